//! Requests that were refused for their token: counted each, and logged without letting anybody fill the log.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::actor::Actor;

/// The least time between two lines in the log.
const LOGGED_EVERY: Duration = Duration::from_secs(5);

/// Why a request is refused, for the metric: its token, the token's role, or how often it has asked.
const REASONS: [&str; 3] = ["token", "role", "limit"];

/// What was refused since the last line in the log.
#[derive(Default)]
pub(super) struct Refusals {
    since: Mutex<Since>,
}

#[derive(Default)]
struct Since {
    logged_at: Option<Instant>,
    unlogged: u64,
}

impl Refusals {
    /// Shows every reason at 0: an alert looks for a rise, and a series that begins with 1 has never risen.
    pub(super) fn show() {
        for why in REASONS {
            metrics::counter!("rampwatch_api_refused_total", "why" => why).increment(0);
        }
    }

    /// Somebody has asked too often.
    pub(super) fn count_limit() {
        metrics::counter!("rampwatch_api_refused_total", "why" => "limit").increment(1);
    }

    /// A token was refused: unknown, or `who` lacks the role that the route needs.
    pub(super) fn note(&self, why: &'static str, who: Option<&Actor>, route: &'static str) {
        metrics::counter!("rampwatch_api_refused_total", "why" => why).increment(1);
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if since.logged_at.is_some_and(|at| at.elapsed() < LOGGED_EVERY) {
            since.unlogged = since.unlogged.saturating_add(1);
            return;
        }
        let others = std::mem::take(&mut since.unlogged);
        since.logged_at = Some(Instant::now());
        let who = who.map_or("somebody", Actor::as_str);
        tracing::warn!(why, who, route, others, "the operator API refused a token");
    }
}
