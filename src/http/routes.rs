//! What each route does: reads the request, asks the handle, answers in JSON.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Operator;
use super::problem::{Code, Problem};
use crate::engine::health::Readiness;
use crate::engine::queries::DepositFilter;
use crate::engine::requests::{AddRequest, ResolveRequest};
use crate::engine::return_views::PaymentDetail;
use crate::engine::views::{DepositView, Page, PaymentView, ResolvedView, ReviewView, WhyView};

pub(super) type Answer<T> = Result<Json<T>, Problem>;
pub(super) type Query_<T> = Result<Query<T>, QueryRejection>;
pub(super) type Body = Result<Bytes, BytesRejection>;

/// How many items a part of a list has when the request does not say.
pub(super) const DEFAULT_LIMIT: usize = 100;

/// What `GET /v1/payments` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PaymentsQuery {
    state: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

/// What `GET /v1/deposits` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DepositsQuery {
    address: Option<String>,
    payment: Option<String>,
    verdict: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

/// What `GET /v1/reviews` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReviewsQuery {
    after: Option<String>,
    limit: Option<usize>,
}

pub(super) fn query<T>(given: Query_<T>) -> Result<T, Problem> {
    given.map(|Query(query)| query).map_err(|error| Problem::new(Code::Malformed, error.body_text()))
}

pub(super) fn path(given: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    given.map(|Path(path)| path).map_err(|error| Problem::new(Code::Malformed, error.body_text()))
}

/// Reads a body as JSON. The error names the field, and never shows the body.
pub(super) fn json<T: DeserializeOwned>(given: Body) -> Result<T, Problem> {
    let bytes = given.map_err(|error| {
        if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
            let most = super::MAX_BODY_BYTES;
            return Problem::new(Code::TooLarge, format!("the body may have at most {most} bytes"));
        }
        Problem::new(Code::Malformed, error.body_text())
    })?;
    let mut reader = serde_json::Deserializer::from_slice(&bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let place = error.path().to_string();
        Problem::new(Code::Malformed, format!("the body is not what this route takes: at {place:?}: {}", error.inner()))
    })?;
    reader.end().map_err(|error| Problem::new(Code::Malformed, format!("the body goes on after its end: {error}")))?;
    Ok(value)
}

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(State(operator): State<Arc<Operator>>) -> Response {
    let readiness = operator.handle.readiness(operator.lag);
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

pub(super) async fn metrics(State(operator): State<Arc<Operator>>) -> Response {
    show_readiness(&operator.handle.readiness(operator.lag));
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (operator.metrics)()).into_response()
}

/// What `/readyz` says, for alerts: whoever only reads metrics hears it too.
fn show_readiness(readiness: &Readiness) {
    let parts = [("chain", &readiness.chain), ("api", &readiness.api), ("store", &readiness.store)];
    for (part, word) in parts {
        let works = word == "ok" || word == "idle";
        ::metrics::gauge!("rampwatch_ready", "part" => part).set(u32::from(works));
    }
}

pub(super) async fn payments(
    State(operator): State<Arc<Operator>>,
    given: Query_<PaymentsQuery>,
) -> Answer<Page<PaymentView>> {
    let PaymentsQuery { state, after, limit } = query(given)?;
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    Ok(Json(operator.handle.list_payments(state.as_deref(), after.as_deref(), limit).await?))
}

pub(super) async fn add(State(operator): State<Arc<Operator>>, body: Body) -> Answer<PaymentView> {
    let request: AddRequest = json(body)?;
    Ok(Json(operator.handle.add_request(&request).await?))
}

pub(super) async fn payment(
    State(operator): State<Arc<Operator>>,
    id: Result<Path<String>, PathRejection>,
) -> Answer<PaymentDetail> {
    Ok(Json(operator.handle.show(&path(id)?).await?))
}

pub(super) async fn deposits(
    State(operator): State<Arc<Operator>>,
    given: Query_<DepositsQuery>,
) -> Answer<Page<DepositView>> {
    let DepositsQuery { address, payment, verdict, after, limit } = query(given)?;
    let filter = DepositFilter { address, payment, verdict };
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    Ok(Json(operator.handle.list_deposits(&filter, after.as_deref(), limit).await?))
}

pub(super) async fn reviews(
    State(operator): State<Arc<Operator>>,
    given: Query_<ReviewsQuery>,
) -> Answer<Page<ReviewView>> {
    let ReviewsQuery { after, limit } = query(given)?;
    Ok(Json(operator.handle.reviews(after.as_deref(), limit.unwrap_or(DEFAULT_LIMIT)).await?))
}

pub(super) async fn why(
    State(operator): State<Arc<Operator>>,
    subject: Result<Path<String>, PathRejection>,
) -> Answer<WhyView> {
    Ok(Json(operator.handle.why(&path(subject)?).await?))
}

pub(super) async fn resolve(State(operator): State<Arc<Operator>>, body: Body) -> Answer<ResolvedView> {
    let request: ResolveRequest = json(body)?;
    Ok(Json(operator.handle.resolve_request(&request).await?))
}

pub(super) async fn no_such_route() -> Problem {
    Problem::new(Code::NoRoute, "there is no such route; see the README for those that there are")
}

pub(super) async fn no_such_method() -> Problem {
    Problem::new(Code::Method, "the route does not take this method")
}
