//! The operator API on a loopback port: health, metrics, and what operators ask and decide.
//!
//! `/healthz`, `/readyz` and `/metrics` need no token: they tell counts and states, no ids, no amounts, no secrets.
//! Everything under `/v1` needs the bearer token of the token file. Requests that name a host which is not this
//! machine are refused, so that a web page cannot reach the API through a name that it made point here. Errors are
//! `application/problem+json` (RFC 9457) with a `code` for programs.
//!
//! Deliberately absent: TLS and any other address than loopback (put a proxy in front), users and roles, and
//! decisions: every request is one question to the engine's handle.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::domain::time::Span;
use crate::engine::handle::Handle;

mod counts;
mod guard;
mod listener;
mod notice_routes;
mod order_routes;
mod problem;
mod routes;
mod token;

pub use problem::{Code, Problem};
pub use token::{Token, TokenError};

/// The most bytes of a request's body.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// The most connections that are open at once; who comes later waits.
pub const MAX_CONNECTIONS: usize = 64;

/// How long a connection may say nothing before it is closed.
const IDLE: Duration = Duration::from_secs(60);

/// Renders the metrics in Prometheus' text format.
pub type Render = Arc<dyn Fn() -> String + Send + Sync>;

/// What the API serves.
#[derive(Clone)]
pub struct Operator {
    /// What is asked.
    pub handle: Handle,
    /// Who may ask.
    pub token: Arc<Token>,
    /// The metrics.
    pub metrics: Render,
    /// How long the chain may go unread before `/readyz` says so.
    pub lag: Span,
    /// How long a request may take. Adding a payment asks the payment API, so this is longer than its time-out.
    pub timeout: Span,
}

/// The routes.
pub fn router(operator: Operator) -> Router {
    let operator = Arc::new(operator);
    let v1 = Router::new()
        .route("/payments", get(routes::payments).post(routes::add))
        .route("/payments/{id}", get(routes::payment))
        .route("/deposits", get(routes::deposits))
        .route("/reviews", get(routes::reviews))
        .route("/why/{subject}", get(routes::why))
        .route("/resolve", post(routes::resolve))
        .merge(order_routes::routes())
        .merge(notice_routes::routes())
        .fallback(routes::no_such_route)
        .method_not_allowed_fallback(routes::no_such_method)
        .layer(axum::middleware::from_fn_with_state(operator.clone(), guard::bearer));
    Router::new()
        .route("/healthz", get(routes::healthz))
        .route("/readyz", get(routes::readyz))
        .route("/metrics", get(routes::metrics))
        .nest("/v1", v1)
        .fallback(routes::no_such_route)
        .method_not_allowed_fallback(routes::no_such_method)
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(axum::middleware::from_fn_with_state(operator.clone(), guard::time_limit))
        .layer(axum::middleware::from_fn(guard::loopback_host))
        .with_state(operator)
}

/// Serves until `stop` is cancelled, then lets requests under way finish.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(listener: TcpListener, operator: Operator, stop: CancellationToken) -> io::Result<()> {
    let counting = tokio::spawn(counts::keep_counting(operator.handle.clone(), stop.clone()));
    let listener = listener::Bounded::new(listener, MAX_CONNECTIONS, IDLE);
    let served = axum::serve(listener, router(operator)).with_graceful_shutdown(stop.cancelled_owned()).await;
    counting.abort();
    served
}
