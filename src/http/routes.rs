//! What each route does: asks the handle, answers in JSON.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::Serving;
use super::api::{Api, ApiResponse};
use super::api_request::{ApiRequest, NoQuery, bearer};
use super::problem::{Code, Problem};
use super::route::Access::{Needs, Open};
use super::route::{get, post};
use crate::domain::actor::Role::{Operate, Read};
use crate::service::Readiness;
use crate::service::queries::{DepositFilter, MAX_PAGE, STATES, VERDICTS};
use crate::service::requests::{AddRequest, ResolveRequest};
use crate::view::returns::PaymentDetail;
use crate::view::shapes;
use crate::view::{DepositView, Page, PaymentView, ResolvedView, ReviewView, WhyView};

/// How many items a part of a list has when the request does not say.
const DEFAULT_LIMIT: usize = 100;

/// What `GET /v1/payments` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PaymentsQuery {
    /// Only those in this state.
    #[schemars(extend("enum" = STATES))]
    state: Option<String>,
    /// Those after this payment, by id.
    #[schemars(with = "Option<shapes::Id>")]
    after: Option<String>,
    /// At most so many.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<usize>,
}

/// What `GET /v1/deposits` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DepositsQuery {
    /// Only those to this address.
    #[schemars(with = "Option<shapes::Address>")]
    address: Option<String>,
    /// Only those that concern this payment.
    #[schemars(with = "Option<shapes::Id>")]
    payment: Option<String>,
    /// Only those with this verdict.
    #[schemars(extend("enum" = VERDICTS))]
    verdict: Option<String>,
    /// Those after this deposit, by its key.
    #[schemars(with = "Option<shapes::DepositId>")]
    after: Option<String>,
    /// At most so many.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<usize>,
}

/// What `GET /v1/reviews` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReviewsQuery {
    /// Where the part before said that the next begins.
    #[schemars(with = "Option<shapes::ReviewPlace>")]
    after: Option<String>,
    /// At most so many.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<usize>,
}

/// The routes of payments, deposits and reviews.
pub(super) fn routes(api: &mut Api) {
    use Code::{Api as Call, Exists, Invalid, NotFound, Refused};

    api.add(
        get("/v1/payments", Needs(Read), "listPayments", "Payments, in the order of their ids").refuses(&[Invalid]),
        payments,
    );
    api.add(
        post("/v1/payments", Needs(Operate), "addPayment", "Adds a payment, so that its deposit is looked for")
            .about("What is left out is taken from the payment API. Adding the same payment again changes nothing.")
            .refuses(&[Invalid, NotFound, Exists, Refused, Call, Code::Busy]),
        add,
    );
    api.add(
        get("/v1/payments/{id}", Needs(Read), "showPayment", "One payment, with what the wallet has to do with it")
            .param::<shapes::Id>("The payment's id.")
            .refuses(&[Invalid, NotFound]),
        payment,
    );
    api.add(
        get("/v1/deposits", Needs(Read), "listDeposits", "Deposits with their verdicts")
            .about("Those to one address by block and log index, others in the order of their keys.")
            .refuses(&[Invalid, NotFound]),
        deposits,
    );
    api.add(
        get(
            "/v1/reviews",
            Needs(Read),
            "listReviews",
            "Everything that a person must decide, and what would settle it",
        )
        .refuses(&[Invalid]),
        reviews,
    );
    api.add(
        get("/v1/why/{subject}", Needs(Read), "why", "Why a payment or a deposit stands where it stands")
            .param::<String>("A payment's id, a deposit's key, or a transaction hash (with `:log-index`).")
            .refuses(&[Invalid, NotFound]),
        why,
    );
    api.add(
        post("/v1/resolve", Needs(Operate), "resolve", "A person's decision about a deposit or a payment")
            .refuses(&[Invalid, NotFound, Refused]),
        resolve,
    );
    api.add(get("/v1/openapi.json", Needs(Read), "describe", "The document that describes all of this"), document);
}

/// The routes that need no token: they tell counts and states, no ids, no amounts, no secrets.
pub(super) fn open_routes(api: &mut Api) {
    api.add_other(get("/healthz", Open, "healthz", "Whether the process is alive"), "text/plain", healthz);
    api.add_other(
        get("/readyz", Open, "readyz", "Whether the engine does its work")
            .answers::<Readiness>()
            .also::<Readiness>(StatusCode::SERVICE_UNAVAILABLE, "Something is wrong, and the answer says what."),
        "application/json",
        readyz,
    );
    api.add_other(get("/metrics", Open, "metrics", "Prometheus metrics"), "text/plain", metrics);
}

/// How many items are asked for.
pub(super) fn limit(given: Option<usize>) -> ApiResponse<usize> {
    let limit = given.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_PAGE).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::new(Code::Invalid, format!("limit: {limit} is not between 1 and {MAX_PAGE}")))
}

async fn healthz(_: ApiRequest) -> ApiResponse<Response> {
    Ok("ok\n".into_response())
}

async fn readyz(asked: ApiRequest) -> ApiResponse<Response> {
    let readiness = asked.handle.readiness(asked.serving.operator.lag);
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, Json(readiness)).into_response())
}

async fn metrics(asked: ApiRequest) -> ApiResponse<Response> {
    let operator = &asked.serving.operator;
    show_readiness(&asked.handle.readiness(operator.lag));
    let text = (operator.metrics)();
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

/// What `/readyz` says, for alerts: whoever only reads metrics hears it too.
fn show_readiness(readiness: &Readiness) {
    let parts = [
        ("chain", &readiness.chain),
        ("api", &readiness.api),
        ("store", &readiness.store),
        ("workers", &readiness.workers),
    ];
    for (part, word) in parts {
        let works = word == "ok" || word == "idle";
        ::metrics::gauge!("rampwatch_ready", "part" => part).set(u32::from(works));
    }
}

async fn payments(asked: ApiRequest<PaymentsQuery>) -> ApiResponse<Page<PaymentView>> {
    let PaymentsQuery { state, after, limit } = asked.query;
    Ok(asked.handle.list_payments(state.as_deref(), after.as_deref(), self::limit(limit)?).await?)
}

async fn add(asked: ApiRequest<NoQuery, AddRequest>) -> ApiResponse<PaymentView> {
    Ok(asked.handle.add_request(&asked.body).await?)
}

async fn payment(asked: ApiRequest) -> ApiResponse<PaymentDetail> {
    Ok(asked.handle.show(&asked.path).await?)
}

async fn deposits(asked: ApiRequest<DepositsQuery>) -> ApiResponse<Page<DepositView>> {
    let DepositsQuery { address, payment, verdict, after, limit } = asked.query;
    let filter = DepositFilter { address, payment, verdict };
    Ok(asked.handle.list_deposits(&filter, after.as_deref(), self::limit(limit)?).await?)
}

async fn reviews(asked: ApiRequest<ReviewsQuery>) -> ApiResponse<Page<ReviewView>> {
    let ReviewsQuery { after, limit } = asked.query;
    Ok(asked.handle.reviews(after.as_deref(), self::limit(limit)?).await?)
}

async fn why(asked: ApiRequest) -> ApiResponse<WhyView> {
    Ok(asked.handle.why(&asked.path).await?)
}

async fn resolve(asked: ApiRequest<NoQuery, ResolveRequest>) -> ApiResponse<ResolvedView> {
    Ok(asked.handle.resolve_request(&asked.body).await?)
}

async fn document(asked: ApiRequest) -> ApiResponse<Value> {
    Ok(asked.serving.document.clone())
}

/// Under `/v1` even what there is not is only told to those who bear a token.
fn nothing_there(serving: &Serving, uri: &Uri, request: &Request, problem: Problem) -> Problem {
    let guarded = uri.path() == "/v1" || uri.path().starts_with("/v1/");
    match bearer(serving, request.headers(), "none") {
        Err(stranger) if guarded => stranger,
        Ok(_) | Err(_) => problem,
    }
}

pub(super) async fn no_such_route(State(serving): State<Arc<Serving>>, uri: Uri, request: Request) -> Problem {
    let problem =
        Problem::new(Code::NoRoute, "there is no such route; /v1/openapi.json describes those that there are");
    nothing_there(&serving, &uri, &request, problem)
}

pub(super) async fn no_such_method(State(serving): State<Arc<Serving>>, uri: Uri, request: Request) -> Problem {
    let problem = Problem::new(Code::Method, "the route does not take this method");
    nothing_there(&serving, &uri, &request, problem)
}
