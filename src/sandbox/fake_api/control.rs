//! The fake API's own routes under `/control`: opening and changing off-ramps, faults on command, and the journal.
//!
//! They are for people and tests, on the loopback interface, and ask for no key.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::book::{NewOffRamp, OffRamp, Progress, Refusal, SharedHash};
use super::change::Change;
use super::create::KeyReuse;
use super::deliveries::Delivery;
use super::fault::FaultRule;
use super::journal::Entry;
use super::server::{Shared, now};
use super::shapes::{Shape, refusal};
use super::webhooks::Registered;
use crate::domain::amount::Amount;
use crate::domain::chain::Address;
use crate::domain::payment::{BankAccountId, PaymentId, RecipientId, UserId};
use crate::domain::time::{Span, Timestamp};

/// The most journal entries in one answer.
const MAX_PAGE: usize = 10_000;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/control/off-ramps", get(off_ramps).post(open))
        .route("/control/off-ramps/{id}", get(off_ramp).patch(change))
        .route("/control/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/control/journal", get(journal))
        .route("/control/behaviour", post(behave))
        .route("/control/recipients", post(give))
        .route("/control/webhooks", get(webhooks))
        .route("/control/deliveries", get(deliveries))
}

type Refused = (StatusCode, Json<Value>);

fn refuse(reason: &Refusal) -> Refused {
    let (status, message, _) = refusal(reason);
    (status, Json(json!({ "message": message, "statusCode": status.as_u16() })))
}

async fn off_ramps(State(shared): State<Arc<Shared>>) -> Json<Vec<OffRamp>> {
    let mut world = shared.world();
    let progress = world.behaviour.progress;
    Json(world.book.all(progress, now()))
}

async fn off_ramp(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Result<Json<OffRamp>, Refused> {
    let mut world = shared.world();
    let progress = world.behaviour.progress;
    world.book.look(&id, progress, now()).map(|found| Json(found.clone())).ok_or_else(|| refuse(&Refusal::Unknown))
}

/// An off-ramp to open, as it comes over HTTP. The amount is in whole units, as a person writes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Opening {
    id: Option<PaymentId>,
    recipient_id: Option<RecipientId>,
    deposit_address: Option<Address>,
    bank_account: Option<BankAccountId>,
    amount: String,
    sender: Option<Address>,
    created_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
}

async fn open(State(shared): State<Arc<Shared>>, Json(body): Json<Opening>) -> Result<Json<OffRamp>, Refused> {
    let amount =
        Amount::from_person(&body.amount, 6).map_err(|error| refuse(&Refusal::NotOpened(error.to_string())))?;
    let new = NewOffRamp {
        id: body.id,
        recipient_id: body.recipient_id,
        deposit_address: body.deposit_address,
        bank_account: body.bank_account,
        amount,
        sender: body.sender,
        created_at: body.created_at,
        expires_at: body.expires_at,
        ..NewOffRamp::default()
    };
    let opened = shared.world().book.open(new, now()).map_err(|reason| refuse(&reason))?;
    shared.changed();
    Ok(Json(opened))
}

async fn change(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Json(body): Json<Change>,
) -> Result<Json<OffRamp>, Refused> {
    let changed = shared.world().book.change(&id, body, now());
    shared.changed();
    changed.map(Json).ok_or_else(|| refuse(&Refusal::Unknown))
}

async fn faults(State(shared): State<Arc<Shared>>) -> Json<Vec<FaultRule>> {
    Json(shared.world().plan.rules())
}

async fn add_fault(State(shared): State<Arc<Shared>>, Json(rule): Json<FaultRule>) -> StatusCode {
    if shared.world().plan.add(rule) { StatusCode::NO_CONTENT } else { StatusCode::INSUFFICIENT_STORAGE }
}

async fn clear_faults(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.world().plan.clear();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct From {
    #[serde(default)]
    after: u64,
}

/// A part of the journal.
#[derive(Serialize)]
struct Page {
    received: u64,
    entries: Vec<Entry>,
}

async fn journal(State(shared): State<Arc<Shared>>, Query(from): Query<From>) -> Json<Page> {
    let world = shared.world();
    let entries = world.journal.entries().iter().filter(|entry| entry.number > from.after).take(MAX_PAGE);
    Json(Page { received: world.journal.received(), entries: entries.cloned().collect() })
}

/// What of the behaviour is to change.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Behaving {
    shape: Option<Shape>,
    progress: Option<Progress>,
    shared_hash: Option<SharedHash>,
    /// In milliseconds.
    quote_life: Option<Span>,
    key_reuse: Option<KeyReuse>,
    deliver: Option<bool>,
}

async fn behave(State(shared): State<Arc<Shared>>, Json(body): Json<Behaving>) -> StatusCode {
    let behaviour = &mut shared.world().behaviour;
    behaviour.shape = body.shape.unwrap_or(behaviour.shape);
    behaviour.progress = body.progress.unwrap_or(behaviour.progress);
    behaviour.shared_hash = body.shared_hash.unwrap_or(behaviour.shared_hash);
    behaviour.quote_life = body.quote_life.unwrap_or(behaviour.quote_life);
    behaviour.key_reuse = body.key_reuse.unwrap_or(behaviour.key_reuse);
    behaviour.deliver = body.deliver.unwrap_or(behaviour.deliver);
    StatusCode::NO_CONTENT
}

/// Whose recipient somebody is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Giving {
    recipient_id: RecipientId,
    user_id: UserId,
}

async fn give(State(shared): State<Arc<Shared>>, Json(body): Json<Giving>) -> StatusCode {
    let given = shared.world().people.give(body.recipient_id, body.user_id);
    if given { StatusCode::NO_CONTENT } else { StatusCode::INSUFFICIENT_STORAGE }
}

async fn webhooks(State(shared): State<Arc<Shared>>) -> Json<Vec<Registered>> {
    Json(shared.world().webhooks.all())
}

async fn deliveries(State(shared): State<Arc<Shared>>) -> Json<Vec<Delivery>> {
    Json(shared.world().deliveries.clone())
}
