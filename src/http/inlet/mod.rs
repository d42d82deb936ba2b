//! The webhook inlet: hears the payment API say that a payment has moved on, and has the API asked.
//!
//! It listens at an address of its own and serves `POST /webhooks/sentra` and nothing else, so that it may be reached from
//! outside while the operator API is not. A delivery is believed to come from the API when its signature is right, and even then it
//! is only a reason to ask: no status, amount or hash in it is ever read. It is answered as soon as it is noted; asking
//! is done at the reconciler's own pace, at most once in [`hints::EVERY`] for each payment, however many deliveries come.
//!
//! Everything is bounded: connections, their age, the body's size and time, deliveries in a second, payments that are noted.
//! Deliberately absent: TLS (put a proxy in front), and what a delivery says.

mod body;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod hints;
mod rate;
mod verify;

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, HeaderValue, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use futures_util::StreamExt as _;
use secrecy::SecretString;
use strum::{IntoStaticStr, VariantArray};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::listener::{Bounded, Bounds};
use crate::config::InletSettings;
use crate::service::operator_service::OperatorService;
use body::Named;
use hints::{Hints, Noted};
use rate::Bucket;
use verify::{Verdict, Verifier};

/// Where deliveries go.
pub const PATH: &str = "/webhooks/sentra";

/// The most connections that are open at once; for one more, the oldest is closed.
const MAX_CONNECTIONS: usize = 32;
/// How long a connection may say nothing before it is closed.
const IDLE: Duration = Duration::from_secs(5);
/// How old a connection may get: each serves one delivery, so this is what somebody gets who sends byte by byte.
const MAX_AGE: Duration = Duration::from_secs(15);
/// How long a delivery's body may take.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// The most kinds of deliveries without a payment that are logged.
const MOST_KINDS: usize = 64;
/// How many times as many requests as deliveries are looked at in a second: a flood of forgeries must not use up the
/// places of what is genuine.
const FORGERIES: u32 = 10;

/// What a delivery came to, for the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(const_into_str, serialize_all = "snake_case")]
enum Came {
    /// It is noted.
    Taken,
    /// Its payments are noted already.
    Coalesced,
    /// It was heard before.
    Replayed,
    /// The signature is missing or wrong.
    BadSignature,
    /// The moment in it is missing, or too far from ours.
    Stale,
    /// It is genuine and names no payment, such as a test of the endpoint.
    NamesNone,
    /// It is no JSON.
    Malformed,
    TooLarge,
    /// It came too slowly.
    Slow,
    TooMany,
}

impl Came {
    const ALL: &'static [Self] = <Self as VariantArray>::VARIANTS;

    const fn name(self) -> &'static str {
        self.into_str()
    }

    /// What is answered. Whatever is genuine and can be read is fine: its sender can do nothing better, and may give up an endpoint
    /// that refuses it. A delivery that was heard before is answered as if it were new: its sender has missed our answer.
    const fn status(self) -> StatusCode {
        match self {
            Self::Taken | Self::Coalesced | Self::Replayed | Self::NamesNone => StatusCode::NO_CONTENT,
            Self::BadSignature | Self::Stale => StatusCode::UNAUTHORIZED,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    fn count(self, by: u64) {
        metrics::counter!("rampwatch_deliveries_total", "result" => self.name()).increment(by);
    }
}

struct Inlet {
    verifier: Verifier,
    max_body: usize,
    hints: Hints,
    /// Of all requests, forged or not.
    requests: Bucket,
    /// Of deliveries with a right signature.
    deliveries: Bucket,
    /// The kinds of deliveries without a payment that were logged.
    kinds: Mutex<BTreeSet<String>>,
}

/// Serves until `stop` is cancelled, then lets requests under way finish.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    settings: &InletSettings,
    secrets: &[SecretString],
    handle: OperatorService,
    stop: CancellationToken,
) -> io::Result<()> {
    for came in Came::ALL.iter().copied() {
        came.count(0);
    }
    let hints = Hints::default();
    let asking = tokio::spawn(hints.clone().keep_asking(handle, stop.clone()));
    let inlet = Inlet {
        verifier: Verifier::new(settings, secrets),
        max_body: settings.max_body,
        hints,
        requests: Bucket::new(settings.rate.saturating_mul(FORGERIES)),
        deliveries: Bucket::new(settings.rate),
        kinds: Mutex::default(),
    };
    let cut = || Came::Slow.count(1);
    let bounds = Bounds { strangers: MAX_CONNECTIONS, known: 0, idle: IDLE, age: Some(MAX_AGE), cut };
    let listener = Bounded::new(listener, bounds);
    let router = Router::new().route(PATH, post(take)).with_state(Arc::new(inlet));
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
    asking.abort();
    served
}

async fn take(State(inlet): State<Arc<Inlet>>, request: Request) -> Response {
    let came = inlet.hear(request).await;
    came.count(1);
    let mut response = came.status().into_response();
    // One delivery, one connection: so a connection's age bounds how slowly it can be sent.
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    if came == Came::TooMany {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

impl Inlet {
    async fn hear(&self, request: Request) -> Came {
        if !self.requests.take() {
            return Came::TooMany;
        }
        let (parts, body) = request.into_parts();
        let within = tokio::time::timeout(BODY_WITHIN, self.read(body)).await;
        let body = match within {
            Ok(Ok(body)) => body,
            Ok(Err(came)) => return came,
            Err(_) => return Came::Slow,
        };
        self.judge(&parts.headers, &body)
    }

    async fn read(&self, body: Body) -> Result<Vec<u8>, Came> {
        // What a body says of its size is believed only when it is too large.
        let said = body.size_hint().lower();
        if said > u64::try_from(self.max_body).unwrap_or(u64::MAX) {
            return Err(Came::TooLarge);
        }
        let (mut read, mut chunks) = (Vec::new(), body.into_data_stream());
        while let Some(chunk) = chunks.next().await {
            // When the connection breaks or grows too old, nobody hears the answer.
            let chunk = chunk.map_err(|_| Came::Slow)?;
            if read.len().saturating_add(chunk.len()) > self.max_body {
                return Err(Came::TooLarge);
            }
            read.extend_from_slice(&chunk);
        }
        Ok(read)
    }

    /// Whether no delivery of this kind was logged before. Only so many kinds are logged at all.
    fn is_new_kind(&self, kind: &str) -> bool {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.len() < MOST_KINDS && kinds.insert(kind.to_owned())
    }

    fn judge(&self, headers: &HeaderMap, body: &[u8]) -> Came {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let tag = match self.verifier.judge(headers, body, now) {
            Verdict::Genuine(tag) => tag,
            Verdict::Replayed => return Came::Replayed,
            Verdict::Forged => return Came::BadSignature,
            Verdict::Stale => return Came::Stale,
        };
        if !self.deliveries.take() {
            // It may come again, so it must not count as heard.
            self.verifier.forget(&tag);
            return Came::TooMany;
        }
        let payments = match body::read(body) {
            Named::Payments(payments) => payments,
            Named::None { kind } => {
                if self.is_new_kind(&kind) {
                    tracing::info!(
                        kind,
                        "a genuine delivery names no payment; further ones of its kind are only counted"
                    );
                }
                return Came::NamesNone;
            }
            Named::NoJson => {
                if self.is_new_kind("no JSON") {
                    tracing::warn!("a genuine delivery is no JSON, and is refused; further ones are only counted");
                }
                return Came::Malformed;
            }
        };
        match self.hints.note(payments) {
            Noted::New => Came::Taken,
            Noted::Known => Came::Coalesced,
            Noted::Full => {
                self.verifier.forget(&tag);
                Came::TooMany
            }
        }
    }
}
