//! The routes of disputes and of endpoints.

use schemars::JsonSchema;
use serde::Deserialize;

use super::api::{Api, ApiResponse};
use super::api_request::{ApiRequest, NoQuery};
use super::problem::Code;
use super::route::Access::Needs;
use super::route::{get, post};
use super::routes::limit;
use crate::domain::actor::Role::{Approve, Read};
use crate::service::orders::ReasonRequest;
use crate::view::Page;
use crate::view::dispute::{DisputeView, EndpointView, TrustRequest};

/// What `GET /v1/disputes` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DisputesQuery {
    /// Also those that have ended.
    #[serde(default)]
    all: bool,
    /// Those after this one, by id.
    after: Option<String>,
    /// At most so many.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<usize>,
}

pub(super) fn routes(api: &mut Api) {
    use Code::{Invalid, NotFound, Refused};

    let route =
        get("/v1/disputes", Needs(Read), "listDisputes", "Where operators contradict each other, or say nothing");
    api.add(route.refuses(&[Invalid]), disputes);
    api.add(
        post("/v1/disputes/{id}/decide", Needs(Approve), "decideDispute", "Believes one operator in this one case")
            .about("The payment or order goes on with that operator's word. Everything else needs agreement as before.")
            .param::<String>("What the dispute is about: the id of the payment or of the order.")
            .refuses(&[Invalid, NotFound, Refused]),
        decide,
    );
    api.add(get("/v1/endpoints", Needs(Read), "listEndpoints", "The RPC endpoints, and who runs them"), endpoints);
    api.add(
        post("/v1/endpoints/{name}/exclude", Needs(Approve), "excludeEndpoint", "Excludes an RPC endpoint at once")
            .about("It is not asked any more, and what it said does not count, until it is included again.")
            .param::<String>("The endpoint's configured name.")
            .refuses(&[Invalid, NotFound, Refused]),
        exclude,
    );
    api.add(
        post("/v1/endpoints/{name}/include", Needs(Approve), "includeEndpoint", "Includes an RPC endpoint again")
            .param::<String>("The endpoint's configured name.")
            .refuses(&[Invalid, NotFound, Refused]),
        include,
    );
}

async fn disputes(asked: ApiRequest<DisputesQuery>) -> ApiResponse<Page<DisputeView>> {
    let DisputesQuery { all, after, limit: most } = asked.query;
    Ok(asked.handle.list_disputes(all, after.as_deref(), limit(most)?).await?)
}

async fn decide(asked: ApiRequest<NoQuery, TrustRequest>) -> ApiResponse<DisputeView> {
    Ok(asked.handle.decide_dispute(&asked.path, &asked.body).await?)
}

async fn endpoints(asked: ApiRequest) -> ApiResponse<Page<EndpointView>> {
    Ok(asked.handle.list_endpoints().await?)
}

async fn exclude(asked: ApiRequest<NoQuery, ReasonRequest>) -> ApiResponse<Page<EndpointView>> {
    Ok(asked.handle.exclude_endpoint(&asked.path, true, &asked.body.reason).await?)
}

async fn include(asked: ApiRequest<NoQuery, ReasonRequest>) -> ApiResponse<Page<EndpointView>> {
    Ok(asked.handle.exclude_endpoint(&asked.path, false, &asked.body.reason).await?)
}
