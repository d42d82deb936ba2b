//! The operator API: health, metrics, and what operators ask and decide.
//!
//! There are two doors. The Unix socket is for the machine's own user, who needs no token there (`socket`); TCP is for
//! people and programs with tokens. Each has places of its own, and strangers take those of nobody else (`listener`). A door
//! that cannot be opened is tried again, and stops nothing (`opening`).
//!
//! `/healthz`, `/readyz` and `/metrics` need no token: they tell counts and states, no ids, no amounts, no secrets.
//! Everything under `/v1` needs a bearer token with the route's role: read, operate or approve. Requests that name a host
//! which is not this machine are refused, so that a web page cannot reach the API through a name that it made point
//! here. Errors are `application/problem+json` (RFC 9457) with a `code` for programs. The routes are one table, of which
//! the OpenAPI document is made too: `api` says how one is added.
//!
//! Deliberately absent: TLS (put a proxy in front), and decisions: every request is one question to the engine's handle.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::domain::time::Span;
use crate::service::operator_service::OperatorService;
use listener::{Bounded, Bounds, Caller};

mod api;
mod api_request;
mod counts;
mod dispute_routes;
mod document;
mod events;
mod guard;
mod in_process;
pub mod inlet;
mod ledger_routes;
mod listener;
mod notice_routes;
mod opening;
mod order_routes;
mod payment_api_routes;
mod payout_routes;
mod problem;
mod refusals;
mod route;
mod routes;
pub mod socket;
mod token;
mod tokens;

pub use counts::keep_counting;
pub use in_process::InProcess;
pub use opening::{Opened, open};
pub use problem::{Code, Problem};
pub use socket::Socket;
pub use token::{Token, TokenError};
pub use tokens::{Bearer, Tokens};

/// The most bytes of a request's body.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// The most connections that are open at once at a door without having shown a token; for one more, the oldest is closed. As
/// many again may be open that have shown one.
pub const MAX_CONNECTIONS: usize = 64;

/// The most streams of events that are open at once, so that they leave connections to everybody else.
pub const MAX_STREAMS: usize = 16;

/// How long a connection may say nothing before it is closed.
const IDLE: Duration = Duration::from_secs(60);

/// How old a connection may get that has shown no token: header and body come within this, or not at all.
const STRANGERS_AGE: Duration = Duration::from_secs(15);

/// Renders the metrics in Prometheus' text format.
pub type Render = Arc<dyn Fn() -> String + Send + Sync>;

/// What the API serves.
#[derive(Clone)]
pub struct Operator {
    /// What is asked.
    pub handle: OperatorService,
    /// Who may ask what.
    pub tokens: Arc<Tokens>,
    /// What a `Host` may be besides this machine's loopback names.
    pub hosts: Arc<[String]>,
    pub metrics: Render,
    /// How long the chain may go unread before `/readyz` says so.
    pub lag: Span,
    /// How long a request may take. Adding a payment asks the payment API, so this is longer than its time-out.
    pub timeout: Span,
}

/// What handlers share.
struct Serving {
    operator: Operator,
    /// Whether whoever comes without a token is the machine's own user.
    is_local: bool,
    /// Ends every stream of events.
    stop: CancellationToken,
    /// The OpenAPI document.
    document: Value,
    /// Places for streams of events.
    streams: Arc<Semaphore>,
    /// What was refused for its token.
    refusals: refusals::Refusals,
}

/// All routes, and the document that describes them.
fn table() -> (Router<Arc<Serving>>, Value) {
    let mut api = api::Api::new();
    routes::open_routes(&mut api);
    routes::routes(&mut api);
    order_routes::routes(&mut api);
    order_routes::wallet_routes(&mut api);
    ledger_routes::routes(&mut api);
    events::routes(&mut api);
    dispute_routes::routes(&mut api);
    notice_routes::routes(&mut api);
    payment_api_routes::routes(&mut api);
    payout_routes::routes(&mut api);
    api.finish()
}

/// The OpenAPI document that describes every route.
#[must_use]
pub fn openapi() -> Value {
    table().1
}

fn router(operator: Operator, is_local: bool, stop: CancellationToken) -> Router {
    let (router, document) = table();
    let streams = Arc::new(Semaphore::new(MAX_STREAMS));
    let refusals = refusals::Refusals::default();
    let serving = Arc::new(Serving { operator, is_local, stop, document, streams, refusals });
    router
        .fallback(routes::no_such_route)
        .method_not_allowed_fallback(routes::no_such_method)
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(axum::middleware::from_fn_with_state(serving.clone(), guard::time_limit))
        .layer(axum::middleware::from_fn_with_state(serving.clone(), guard::known_host))
        .with_state(serving)
}

/// Serves those who have tokens until `stop` is cancelled, then lets requests under way finish.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(listener: TcpListener, operator: Operator, stop: CancellationToken) -> io::Result<()> {
    let bounds = Bounds {
        strangers: MAX_CONNECTIONS,
        known: MAX_CONNECTIONS,
        idle: IDLE,
        age: Some(STRANGERS_AGE),
        cut: count_cut,
    };
    serve_at(Bounded::new(listener, bounds), router(operator, false, stop.clone()), stop).await
}

/// Serves the machine's own user until `stop` is cancelled, then lets requests under way finish.
///
/// # Errors
/// When the socket fails for good.
pub async fn serve_local(socket: Socket, operator: Operator, stop: CancellationToken) -> io::Result<()> {
    let bounds = Bounds { strangers: MAX_CONNECTIONS, known: 0, idle: IDLE, age: None, cut: count_cut };
    serve_at(Bounded::new(socket, bounds), router(operator, true, stop.clone()), stop).await
}

async fn serve_at<L: Listener>(listener: Bounded<L>, router: Router, stop: CancellationToken) -> io::Result<()>
where
    L::Addr: std::fmt::Debug,
{
    refusals::Refusals::show();
    metrics::counter!(CUT).increment(0);
    let service = router.into_make_service_with_connect_info::<Caller>();
    axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// Connections that were closed for their age, or for a newcomer.
const CUT: &str = "rampwatch_api_connections_cut_total";

fn count_cut() {
    metrics::counter!(CUT).increment(1);
}
