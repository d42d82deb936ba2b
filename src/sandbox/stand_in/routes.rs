//! The API's routes, and the work behind each.

use std::str::FromStr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use axum::routing::{get, post};
use serde::Deserialize;

use super::book::{NewOffRamp, Refusal};
use super::fault::Call;
use super::listener::Cutter;
use super::server::{self, Answer, Received, Reply, Shared, Work, now};
use super::{Behaviour, shapes};
use crate::domain::chain::{Address, B256};
use crate::domain::payment::{BankAccountId, RecipientId};

/// The largest body taken: off-ramps may bear files.
const MAX_BODY: usize = 1024 * 1024;

/// The API under its base path.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let api = Router::new()
        .route("/payments/{id}", get(get_payment))
        .route("/payments/user/{id}", get(list_user))
        .route("/payments/recipient/{id}", get(list_recipient))
        .route("/payments/recipient/{id}/off-ramp", post(create))
        .route("/payments/recipient/{id}/off-ramp/{payment}/complete", post(complete))
        .route("/payments/{id}/quote", post(quote))
        .route("/payments/{id}/rate", post(rate));
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

async fn list_user(caller: Caller, Path(_user): Path<String>) -> Response<Body> {
    handle(caller, Call::List, None, Work::ListUser).await
}

async fn list_recipient(caller: Caller, Path(recipient): Path<String>) -> Response<Body> {
    handle(caller, Call::List, None, Work::ListRecipient { recipient }).await
}

async fn create(caller: Caller, Path(recipient): Path<String>, body: Bytes) -> Response<Body> {
    handle(caller, Call::Create, None, Work::Create { recipient, body: body.to_vec() }).await
}

async fn complete(caller: Caller, Path((recipient, id)): Path<(String, String)>, body: Bytes) -> Response<Body> {
    let work = Work::Complete { recipient, id: id.clone(), body: body.to_vec() };
    handle(caller, Call::Complete, Some(id), work).await
}

async fn quote(caller: Caller, Path(_user): Path<String>, body: Bytes) -> Response<Body> {
    handle(caller, Call::Quote, None, Work::Quote { body: body.to_vec(), binding: true }).await
}

async fn rate(caller: Caller, Path(_user): Path<String>, body: Bytes) -> Response<Body> {
    handle(caller, Call::Quote, None, Work::Quote { body: body.to_vec(), binding: false }).await
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
        Work::ListUser => server::listed(shared, |_| true),
        Work::ListRecipient { recipient } => {
            server::listed(shared, |off_ramp| off_ramp.recipient_id.as_str() == recipient)
        }
        Work::Create { recipient, body } => create_payment(shared, recipient, body),
        Work::Quote { body, binding } => super::quotes::quote(shared, body, *binding),
    }
}

fn refused(refusal: &Refusal) -> Answer {
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateBody {
    idempotency_key: String,
    quote_id: String,
    bank_account_id: String,
    from_address: String,
    payment_reason: String,
}

fn create_payment(shared: &Shared, recipient: &str, body: &[u8]) -> Answer {
    let bad = |message: &str, field: &str| Answer::error(StatusCode::BAD_REQUEST, message, Some(field));
    let body: CreateBody = match serde_json::from_slice(body) {
        Ok(body) => body,
        Err(error) => return bad(&error.to_string(), "body"),
    };
    let filled = [
        ("idempotencyKey", &body.idempotency_key),
        ("bankAccountId", &body.bank_account_id),
        ("paymentReason", &body.payment_reason),
    ];
    if let Some((field, _)) = filled.into_iter().find(|(_, value)| value.is_empty() || value.len() > 255) {
        return bad(&format!("{field} must have 1 to 255 characters"), field);
    }
    let Ok(sender) = Address::from_str(&body.from_address) else {
        return bad("fromAddress must be an address", "fromAddress");
    };
    let Ok(recipient_id) = RecipientId::new(recipient) else {
        return refused(&Refusal::Unknown);
    };
    let Ok(bank_account) = BankAccountId::new(body.bank_account_id) else {
        return bad("bankAccountId is no id", "bankAccountId");
    };
    let mut world = shared.world();
    let Some(amount) = world.quotes.amount(&body.quote_id) else {
        return Answer::error(StatusCode::NOT_FOUND, "Quote not found", None);
    };
    let new = NewOffRamp {
        recipient_id: Some(recipient_id),
        bank_account: Some(bank_account),
        amount,
        sender: Some(sender),
        idempotency_key: Some(body.idempotency_key),
        ..NewOffRamp::default()
    };
    let shape = world.behaviour.shape;
    let opened_before = world.book.opened();
    match world.book.open(new, now()) {
        Ok(off_ramp) => {
            let acted = world.book.opened() > opened_before;
            // The create answer of both descriptions: the guide adds where the money goes.
            Answer::with(StatusCode::CREATED, acted, shapes::payment(&off_ramp, shape))
        }
        Err(refusal) => refused(&refusal),
    }
}
