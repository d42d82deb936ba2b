//! The routes of payouts, and of the files that go with them.
//!
//! Deliberately absent: anything that opens an off-ramp. These change what the store says, and the one opener acts on that.

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::api::{Api, ApiResponse};
use super::api_request::{ApiRequest, NoQuery, TakesBody};
use super::problem::{Code, Problem};
use super::route::Access::Needs;
use super::route::{get, post, put};
use super::routes::limit;
use crate::domain::actor::Role::{Operate, Read};
use crate::service::orders::ReasonRequest;
use crate::service::payouts::PAYOUT_STATES;
use crate::view::Page;
use crate::view::payout::{FileRef, PayoutRequest, PayoutView, RepeatView};
use crate::view::shapes;

/// The most bytes of a file's body. What is configured may be less.
const MAX_FILE_BODY: usize = 20_000_000;

/// What `GET /v1/payouts` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PayoutsQuery {
    /// Only those in this state.
    #[schemars(extend("enum" = PAYOUT_STATES))]
    state: Option<String>,
    /// Those after this one, by reference.
    #[schemars(with = "Option<shapes::Id>")]
    after: Option<String>,
    /// At most so many.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<usize>,
}

/// A file as it is, with its media type in `Content-Type`.
struct Content {
    media_type: String,
    bytes: Vec<u8>,
}

impl TakesBody for Content {
    const TAKES: bool = true;
    const MOST: usize = MAX_FILE_BODY;
    const MEDIA_TYPES: &'static [&'static str] = &["application/pdf", "image/png", "image/jpeg"];

    fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
        Some(json_schema!({ "type": "string", "format": "binary" }))
    }

    fn read(headers: &HeaderMap, bytes: &Bytes) -> Result<Self, Problem> {
        let said = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if kind.is_empty() {
            return Err(Problem::new(
                Code::MediaType,
                "the file must come with its Content-Type, such as application/pdf",
            ));
        }
        Ok(Self { media_type: kind, bytes: bytes.to_vec() })
    }
}

/// The routes of payouts.
pub(super) fn routes(api: &mut Api) {
    use Code::{Exists, Invalid, NotFound, Refused};

    api.add(
        get("/v1/payouts", Needs(Read), "listPayouts", "Payouts, in the order of their references").refuses(&[Invalid]),
        payouts,
    );
    api.add(
        post(
            "/v1/payouts",
            Needs(Operate),
            "placePayout",
            "Places a payout: an off-ramp that is opened and seen through",
        )
        .about(
            "Its idempotency key is on the disk before anything is called. Placing the same again under its reference \
                 changes nothing; other content under the same reference is refused. One that repeats a payout of late \
                 (payouts.repeat_window) is refused unless allow_repeat says that it is meant.",
        )
        .refuses(&[Invalid, Exists, Refused, Code::Repeat, Code::Busy]),
        place,
    );
    api.add(
        post(
            "/v1/repeats",
            Needs(Read),
            "askRepeat",
            "Whether a payout would repeat an earlier one; nothing is placed",
        )
        .refuses(&[Invalid]),
        repeat,
    );
    api.add(
        get("/v1/payouts/{reference}", Needs(Read), "showPayout", "One payout, with its payment and its order")
            .param::<shapes::Id>("The payout's reference.")
            .refuses(&[Invalid, NotFound]),
        payout,
    );
    api.add(
        post(
            "/v1/payouts/{reference}/cancel",
            Needs(Operate),
            "cancelPayout",
            "Stops a payout for which nothing was opened",
        )
        .about("Also one that is with a person: its payment, if there is one, is left unpaid and runs out.")
        .param::<shapes::Id>("The payout's reference.")
        .refuses(&[Invalid, NotFound, Refused]),
        cancel,
    );
    api.add(
        post("/v1/payouts/{reference}/retry", Needs(Operate), "retryPayout", "Tries a payout again, now")
            .about("After a person has mended what it was in review for, or instead of waiting.")
            .param::<shapes::Id>("The payout's reference.")
            .refuses(&[Invalid, NotFound, Refused]),
        retry,
    );
    api.add(
        put("/v1/attachments", Needs(Operate), "putAttachment", "Keeps a file that is to go with payouts")
            .about("The body is the file, with its media type as Content-Type. Keeping it again changes nothing.")
            .refuses(&[Invalid, Refused]),
        attachment,
    );
}

async fn payouts(asked: ApiRequest<PayoutsQuery>) -> ApiResponse<Page<PayoutView>> {
    let PayoutsQuery { state, after, limit } = asked.query;
    Ok(asked.handle.list_payouts(state.as_deref(), after.as_deref(), self::limit(limit)?).await?)
}

async fn place(asked: ApiRequest<NoQuery, PayoutRequest>) -> ApiResponse<PayoutView> {
    Ok(asked.handle.place_payout(&asked.body).await?)
}

async fn repeat(asked: ApiRequest<NoQuery, PayoutRequest>) -> ApiResponse<RepeatView> {
    Ok(asked.handle.repeat_of(&asked.body).await?)
}

async fn payout(asked: ApiRequest) -> ApiResponse<PayoutView> {
    Ok(asked.handle.show_payout(&asked.path).await?)
}

async fn cancel(asked: ApiRequest<NoQuery, ReasonRequest>) -> ApiResponse<PayoutView> {
    Ok(asked.handle.cancel_payout(&asked.path, &asked.body.reason).await?)
}

async fn retry(asked: ApiRequest<NoQuery, ReasonRequest>) -> ApiResponse<PayoutView> {
    Ok(asked.handle.retry_payout(&asked.path, &asked.body.reason).await?)
}

async fn attachment(asked: ApiRequest<NoQuery, Content>) -> ApiResponse<FileRef> {
    let Content { media_type, bytes } = asked.body;
    Ok(asked.handle.put_attachment(bytes, &media_type).await?)
}
