//! The API's routes, and the work behind each.

use std::str::FromStr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use axum::routing::{get, post};
use serde::Deserialize;

use super::book::Refusal;
use super::fault::Call;
use super::listener::Cutter;
use super::server::{self, Answer, Received, Reply, Shared, Work, now};
use super::{Behaviour, create, quotes, shapes, webhooks};
use crate::domain::chain::B256;

/// The largest body taken: off-ramps may bear files.
const MAX_BODY: usize = 40 * 1024 * 1024;

/// The API under its base path.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let api = Router::new()
        .route("/payments/{id}", get(get_payment))
        .route("/payments/user/{id}", get(list_user))
        .route("/payments/recipient/{id}", get(list_recipient))
        .route("/payments/recipient/{id}/off-ramp", post(open))
        .route("/payments/recipient/{id}/off-ramp/{payment}/complete", post(complete))
        .route("/payments/{id}/quote", post(quote))
        .route("/payments/{id}/rate", post(rate))
        .route("/webhooks", post(create_webhook))
        .route("/webhooks/{id}", get(get_webhook).put(update_webhook));
    Router::new()
        .nest("/api/v1", api)
        .merge(super::control::router())
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(shared)
}

type Caller = (State<Arc<Shared>>, ConnectInfo<Cutter>, Method, Uri, HeaderMap);

async fn get_payment(caller: Caller, Path(id): Path<String>) -> Response<Body> {
    handle(caller, Call::Get, Some(id.clone()), Work::Get { id }).await
}

async fn list_user(caller: Caller, Path(user): Path<String>) -> Response<Body> {
    handle(caller, Call::List, None, Work::ListUser { user }).await
}

async fn list_recipient(caller: Caller, Path(recipient): Path<String>) -> Response<Body> {
    handle(caller, Call::List, None, Work::ListRecipient { recipient }).await
}

async fn open(caller: Caller, Path(recipient): Path<String>, body: Bytes) -> Response<Body> {
    handle(caller, Call::Create, None, Work::Create { recipient, body: body.to_vec() }).await
}

async fn complete(caller: Caller, Path((recipient, id)): Path<(String, String)>, body: Bytes) -> Response<Body> {
    let work = Work::Complete { recipient, id: id.clone(), body: body.to_vec() };
    handle(caller, Call::Complete, Some(id), work).await
}

async fn quote(caller: Caller, Path(user): Path<String>, body: Bytes) -> Response<Body> {
    handle(caller, Call::Quote, None, Work::Quote { user, body: body.to_vec(), binding: true }).await
}

async fn rate(caller: Caller, Path(user): Path<String>, body: Bytes) -> Response<Body> {
    handle(caller, Call::Rate, None, Work::Quote { user, body: body.to_vec(), binding: false }).await
}

async fn create_webhook(caller: Caller, body: Bytes) -> Response<Body> {
    handle(caller, Call::CreateWebhook, None, Work::CreateWebhook { body: body.to_vec() }).await
}

async fn get_webhook(caller: Caller, Path(id): Path<String>) -> Response<Body> {
    handle(caller, Call::GetWebhook, None, Work::GetWebhook { id }).await
}

async fn update_webhook(caller: Caller, Path(id): Path<String>, body: Bytes) -> Response<Body> {
    handle(caller, Call::UpdateWebhook, None, Work::UpdateWebhook { id, body: body.to_vec() }).await
}

/// Serves the call in a task of its own, because a caller that hangs up would take this one along.
async fn handle(caller: Caller, call: Call, payment: Option<String>, work: Work) -> Response<Body> {
    let (State(shared), ConnectInfo(cutter), method, uri, headers) = caller;
    let key = headers.get("X-API-KEY").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let received = Received { call, method: method.to_string(), path: uri.path().to_owned(), payment, key, work };
    match tokio::spawn(server::serve(shared, received)).await {
        Ok(Reply::Send(response)) => response,
        // The response is never seen: writing it fails, and the connection is closed.
        Ok(Reply::Cut) | Err(_) => {
            cutter.cut();
            Response::new(Body::empty())
        }
    }
}

/// Does what a call asks for.
pub(super) async fn work(shared: &Shared, work: &Work) -> Answer {
    match work {
        Work::Get { id } => {
            let mut world = shared.world();
            let Behaviour { progress, shape, .. } = world.behaviour.clone();
            match world.book.get(id, progress, now()) {
                Ok(off_ramp) => Answer::with(StatusCode::OK, false, shapes::payment(&off_ramp, shape)),
                Err(refusal) => refused(&refusal),
            }
        }
        Work::Complete { recipient, id, body } => complete_payment(shared, recipient, id, body).await,
        Work::ListUser { user } => server::listed(shared, Some(user), |_| true),
        Work::ListRecipient { recipient } => {
            server::listed(shared, None, |off_ramp| off_ramp.recipient_id.as_str() == recipient)
        }
        Work::Create { recipient, body } => create::create(shared, recipient, body),
        Work::Quote { user, body, binding } => quotes::quote(shared, user, body, *binding),
        Work::CreateWebhook { body } => webhooks::create(shared, body),
        Work::GetWebhook { id } => webhooks::show(shared, id),
        Work::UpdateWebhook { id, body } => webhooks::update(shared, id, body),
    }
}

pub(super) fn refused(refusal: &Refusal) -> Answer {
    let (status, message, field) = shapes::refusal(refusal);
    Answer::error(status, &message, field)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CompleteBody {
    transaction_hash: String,
}

/// The transaction hash in a `/complete` body, as it came.
pub(super) fn hash_in(body: &[u8]) -> Option<String> {
    serde_json::from_slice::<CompleteBody>(body).ok().map(|body| body.transaction_hash)
}

async fn complete_payment(shared: &Shared, recipient: &str, id: &str, body: &[u8]) -> Answer {
    let hash = hash_in(body).unwrap_or_default();
    let Some(tx_hash) = B256::from_str(&hash).ok().filter(|_| hash.starts_with("0x")) else {
        let message = "transactionHash must be 0x and 64 hexadecimal digits";
        return Answer::error(StatusCode::BAD_REQUEST, message, Some("transactionHash"));
    };
    let (behaviour, off_ramp) = {
        let mut world = shared.world();
        let behaviour = world.behaviour.clone();
        let off_ramp = world.book.look(id, behaviour.progress, now()).cloned();
        (behaviour, off_ramp)
    };
    let Some(off_ramp) = off_ramp.filter(|off_ramp| off_ramp.recipient_id.as_str() == recipient) else {
        return refused(&Refusal::Unknown);
    };
    if let Some(verifier) = &behaviour.verifier
        && let Err(why) = verifier.check(tx_hash, off_ramp.deposit_address, off_ramp.amount).await
    {
        return Answer::error(StatusCode::BAD_REQUEST, &why, Some("transactionHash"));
    }
    let rules = (behaviour.progress, behaviour.shared_hash);
    match shared.world().book.complete(id, &hash, rules, now()) {
        Ok(off_ramp) => Answer::with(StatusCode::OK, true, shapes::completed(&off_ramp, behaviour.shape)),
        Err(refusal) => refused(&refusal),
    }
}
