//! The routes of rates, quotes and webhooks: questions to the payment API, and where it is to send its webhooks.

use super::api::{Api, ApiResponse};
use super::api_request::{ApiRequest, NoQuery};
use super::problem::Code;
use super::route::Access::Needs;
use super::route::{get, post};
use crate::domain::actor::Role::{Operate, Read};
use crate::view::Page;
use crate::view::quote::{QuoteRequest, QuoteView, RateRequest, RateView};
use crate::view::shapes;
use crate::view::webhook::{RegisterRequest, UpdateRequest, WebhookView};

pub(super) fn routes(api: &mut Api) {
    use Code::{Exists, Invalid, NotFound, Refused};

    api.add(
        post("/v1/rate", Needs(Read), "askRate", "What the payment API would give now")
            .about("Nothing is stored, here or there, and nobody is bound.")
            .refuses(&[Invalid, Refused, Code::Api, Code::Busy]),
        rate,
    );
    api.add(
        post("/v1/quote", Needs(Operate), "takeQuote", "What the payment API gives to a bank account for some minutes")
            .about("The API makes a quote with each call. Nothing is stored here, and nobody is bound.")
            .refuses(&[Invalid, Refused, Code::Api, Code::Busy]),
        quote,
    );
    api.add(
        get("/v1/webhooks", Needs(Read), "listWebhooks", "The webhooks that were registered here")
            .about("Each is asked after at the payment API; where that fails, what was known before is shown, and why.")
            .refuses(&[Code::Busy]),
        webhooks,
    );
    api.add(
        post("/v1/webhooks", Needs(Operate), "registerWebhook", "Registers a webhook at the payment API")
            .about(
                "With the configured secret, which is in no answer. The API neither lists webhooks nor keeps one from \
                 being registered twice, so where there is, or may be, one for the URL, `again` has to be given.",
            )
            .refuses(&[Invalid, Exists, Refused, Code::Api, Code::Busy]),
        register,
    );
    api.add(
        post("/v1/webhooks/{id}", Needs(Operate), "updateWebhook", "Changes a webhook at the payment API")
            .about("Also one that was registered elsewhere. Doing it twice does no harm.")
            .param::<shapes::Id>("The API's id of the webhook.")
            .refuses(&[Invalid, NotFound, Refused, Code::Api, Code::Busy]),
        update,
    );
}

async fn rate(asked: ApiRequest<NoQuery, RateRequest>) -> ApiResponse<RateView> {
    Ok(asked.handle.rate(&asked.body).await?)
}

async fn quote(asked: ApiRequest<NoQuery, QuoteRequest>) -> ApiResponse<QuoteView> {
    Ok(asked.handle.quote(&asked.body).await?)
}

async fn webhooks(asked: ApiRequest) -> ApiResponse<Page<WebhookView>> {
    Ok(asked.handle.list_webhooks().await?)
}

async fn register(asked: ApiRequest<NoQuery, RegisterRequest>) -> ApiResponse<WebhookView> {
    Ok(asked.handle.register_webhook(&asked.body).await?)
}

async fn update(asked: ApiRequest<NoQuery, UpdateRequest>) -> ApiResponse<WebhookView> {
    Ok(asked.handle.update_webhook(&asked.path, &asked.body).await?)
}
