//! How a call is answered: noted, struck by a fault or not, acted upon, answered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Behaviour;
use super::book::{Book, OffRamp};
use super::deliveries::Delivery;
use super::fault::{Call, Fault, FaultPlan, RetryAfter};
use super::journal::{Entry, Journal};
use super::people::People;
use super::quotes::Quotes;
use super::shapes;
use super::webhooks::Webhooks;
use crate::domain::time::Timestamp;

/// Everything the fake API knows.
#[derive(Debug)]
pub(super) struct World {
    pub(super) behaviour: Behaviour,
    pub(super) book: Book,
    pub(super) people: People,
    pub(super) quotes: Quotes,
    pub(super) webhooks: Webhooks,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) plan: FaultPlan,
    pub(super) journal: Journal,
}

impl World {
    /// A world in which nothing has happened yet.
    pub(super) fn new(behaviour: Behaviour, seed: u64) -> Self {
        Self {
            behaviour,
            book: Book::default(),
            people: People::default(),
            quotes: Quotes::default(),
            webhooks: Webhooks::default(),
            deliveries: Vec::new(),
            plan: FaultPlan::new(seed),
            journal: Journal::default(),
        }
    }

    /// Keeps a delivery to be looked at, while there are not too many.
    pub(super) fn keep_delivery(&mut self, delivery: Delivery, most: usize) {
        if self.deliveries.len() < most {
            self.deliveries.push(delivery);
        }
    }
}

/// What the routes share.
#[derive(Debug)]
pub(super) struct Shared {
    world: Mutex<World>,
    pub(super) api_key: String,
    /// Raised at every change, for those who wait for one.
    pub(super) changes: watch::Sender<u64>,
    /// Ends the calls that hang.
    pub(super) stopped: CancellationToken,
}

impl Shared {
    pub(super) fn new(world: World, api_key: String) -> Self {
        let (changes, _) = watch::channel(0);
        Self { world: Mutex::new(world), api_key, changes, stopped: CancellationToken::new() }
    }

    /// The world, for a moment: never held across an await.
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        // A panic elsewhere leaves counts at worst out of step; the tests that read them must still see them.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// A call as it came in.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) call: Call,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) payment: Option<String>,
    pub(super) key: Option<String>,
    pub(super) work: Work,
}

/// What a call asks for.
#[derive(Clone, Debug)]
pub(super) enum Work {
    Get { id: String },
    Complete { recipient: String, id: String, body: Vec<u8> },
    ListUser { user: String },
    ListRecipient { recipient: String },
    Create { recipient: String, body: Vec<u8> },
    Quote { user: String, body: Vec<u8>, binding: bool },
    CreateWebhook { body: Vec<u8> },
    GetWebhook { id: String },
    UpdateWebhook { id: String, body: Vec<u8> },
}

/// A status, a JSON body, and whether anything was changed.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Box<RawValue>,
    pub(super) acted: bool,
}

impl Answer {
    /// The answer with this body.
    pub(super) fn with(status: StatusCode, acted: bool, body: serde_json::Result<Box<RawValue>>) -> Self {
        match body {
            Ok(body) => Self { status, body, acted },
            Err(error) => Self { status: StatusCode::INTERNAL_SERVER_ERROR, body: RawValue::NULL.to_owned(), acted }
                .logged(&error),
        }
    }

    /// A body of the fake API's own.
    pub(super) fn json(status: StatusCode, acted: bool, body: &impl Serialize) -> Self {
        Self::with(status, acted, to_raw_value(body))
    }

    /// An error in the API's form.
    pub(super) fn error(status: StatusCode, message: &str, field: Option<&str>) -> Self {
        Self::json(status, false, &shapes::error(status, message, field))
    }

    fn logged(self, error: &serde_json::Error) -> Self {
        tracing::error!(%error, "the fake API could not write its answer");
        self
    }
}

/// What goes back to the caller.
pub(super) enum Reply {
    Send(Response<Body>),
    /// The connection is to be closed instead.
    Cut,
}

/// Answers a call. It runs to its end even when the caller has gone: what was sent may land later.
pub(super) async fn serve(shared: Arc<Shared>, received: Received) -> Reply {
    let (number, fault) = note(&shared, &received);
    let reply = match fault {
        None => answered(&shared, number, work(&shared, &received).await),
        Some(fault) => struck(&shared, number, &received, fault).await,
    };
    shared.changed();
    reply
}

/// Notes the call in the journal and draws its fault. A call with a wrong key draws none.
fn note(shared: &Shared, received: &Received) -> (u64, Option<Fault>) {
    let mut world = shared.world();
    let key_fits = received.key.as_deref() == Some(shared.api_key.as_str());
    let fault = if key_fits { world.plan.take(received.call, received.payment.as_deref()) } else { None };
    let transaction_hash = match &received.work {
        Work::Complete { body, .. } => super::routes::hash_in(body),
        _ => None,
    };
    if let Work::Complete { id, .. } = &received.work {
        world.book.count_call(id);
    }
    let entry = Entry {
        number: 0,
        received_at: now(),
        call: received.call,
        method: received.method.clone(),
        path: received.path.clone(),
        payment: received.payment.clone(),
        transaction_hash,
        fault: fault.as_ref().map(|fault| serde_json::to_string(fault).unwrap_or_else(|_| format!("{fault:?}"))),
        acted: false,
        status: None,
    };
    (world.journal.note(entry), fault)
}

/// Does the call's work, if the key is right.
async fn work(shared: &Shared, received: &Received) -> Answer {
    if received.key.as_deref() != Some(shared.api_key.as_str()) {
        return Answer::error(StatusCode::UNAUTHORIZED, "Invalid API key", None);
    }
    super::routes::work(shared, &received.work).await
}

/// Notes in the journal what was done and answered.
fn amend(shared: &Shared, number: u64, acted: bool, status: Option<u16>) {
    shared.world().journal.amend(number, |entry| {
        entry.acted = acted;
        entry.status = status;
    });
    shared.changed();
}

fn answered(shared: &Shared, number: u64, answer: Answer) -> Reply {
    amend(shared, number, answer.acted, Some(answer.status.as_u16()));
    Reply::Send(response(answer.status, "application/json", answer.body.get().to_owned()))
}

/// Answers a call as its fault has it.
async fn struck(shared: &Shared, number: u64, received: &Received, fault: Fault) -> Reply {
    let acted_if = async |acts: bool| acts && work(shared, received).await.acted;
    match fault {
        Fault::Status { status, html, retry_after, acts } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let acted = acted_if(acts).await;
            amend(shared, number, acted, Some(status.as_u16()));
            Reply::Send(error_response(status, html, retry_after))
        }
        Fault::Cut { acts } => {
            let acted = acted_if(acts).await;
            amend(shared, number, acted, None);
            Reply::Cut
        }
        Fault::Hang { acts } => {
            let acted = acted_if(acts).await;
            amend(shared, number, acted, None);
            shared.stopped.cancelled().await;
            Reply::Cut
        }
        Fault::Garbage { acts } => {
            let acted = acted_if(acts).await;
            amend(shared, number, acted, Some(200));
            Reply::Send(response(StatusCode::OK, "application/json", "{\"id\": \"half a paym".to_owned()))
        }
        Fault::Empty { acts } => {
            let acted = acted_if(acts).await;
            amend(shared, number, acted, Some(200));
            Reply::Send(response(StatusCode::OK, "application/json", String::new()))
        }
        Fault::Delay { millis, acts_first } => {
            let pause = tokio::time::sleep(Duration::from_millis(millis));
            if !acts_first {
                pause.await;
                return answered(shared, number, work(shared, received).await);
            }
            let answer = work(shared, received).await;
            amend(shared, number, answer.acted, None);
            pause.await;
            answered(shared, number, answer)
        }
        Fault::OtherHash => meddled(shared, number, received, "PROCESSING", Some(&other_hash(number))).await,
        Fault::Expired => meddled(shared, number, received, "EXPIRED", None).await,
        Fault::CompletedByHand { transaction_hash } => {
            meddled(shared, number, received, "COMPLETED", transaction_hash.as_deref()).await
        }
        Fault::UnknownStatus { status } => meddled(shared, number, received, &status, None).await,
    }
}

/// Somebody else has changed the payment just before.
async fn meddled(shared: &Shared, number: u64, received: &Received, status: &str, hash: Option<&str>) -> Reply {
    if let Some(id) = &received.payment {
        shared.world().book.set(id, status, hash, now());
    }
    answered(shared, number, work(shared, received).await)
}

/// A transaction hash that is nobody's.
fn other_hash(number: u64) -> String {
    alloy::primitives::keccak256(format!("somebody else's transaction {number}")).to_string()
}

fn error_response(status: StatusCode, html: bool, retry_after: Option<RetryAfter>) -> Response<Body> {
    let mut reply = if html {
        response(status, "text/html", shapes::html_page(status))
    } else {
        let message = status.canonical_reason().unwrap_or("Error");
        response(status, "application/json", shapes::error(status, message, None).to_string())
    };
    let value = retry_after.and_then(|after| match after {
        RetryAfter::Seconds(seconds) => Some(seconds.to_string()),
        RetryAfter::DateInSeconds(seconds) => http_date(seconds),
    });
    if let Some(value) = value.and_then(|value| value.parse().ok()) {
        reply.headers_mut().insert(header::RETRY_AFTER, value);
    }
    reply
}

/// The moment so many seconds from now, as HTTP writes it (RFC 9110).
fn http_date(seconds: u64) -> Option<String> {
    let seconds = i64::try_from(now().as_secs().saturating_add(seconds)).ok()?;
    let moment = jiff::Timestamp::from_second(seconds).ok()?;
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&moment).ok()
}

fn response(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

/// This computer's clock.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The off-ramps that pass `wanted`, as a JSON list; with a user, those of the user's recipients.
pub(super) fn listed(shared: &Shared, user: Option<&str>, wanted: impl Fn(&OffRamp) -> bool) -> Answer {
    let mut world = shared.world();
    if user.is_some_and(|user| !world.people.knows(user)) {
        return Answer::error(StatusCode::NOT_FOUND, "User not found", None);
    }
    let Behaviour { progress, shape, .. } = world.behaviour.clone();
    let all = world.book.all(progress, now());
    let theirs = |off_ramp: &OffRamp| user.is_none_or(|user| world.people.owner(&off_ramp.recipient_id) == user);
    let wanted = |off_ramp: &&OffRamp| theirs(off_ramp) && wanted(off_ramp);
    let bodies: serde_json::Result<Vec<Box<RawValue>>> =
        all.iter().filter(wanted).map(|off_ramp| shapes::payment(off_ramp, shape)).collect();
    Answer::with(StatusCode::OK, false, bodies.and_then(|bodies| to_raw_value(&bodies)))
}
