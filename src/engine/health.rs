//! How the engine is: what `/readyz`, the metrics and the progress bar tell.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gate::ApiGate;
use crate::domain::chain::BlockNumber;
use crate::domain::time::{Span, Timestamp};

/// What is known of the engine's state at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// How many addresses are watched; none: idle.
    pub watched: usize,
    /// The newest block known.
    pub head: Option<BlockNumber>,
    /// When `head` was learnt.
    pub head_at: Option<Timestamp>,
    /// When `head` was made, by the chain.
    #[serde(default)]
    pub head_time: Option<Timestamp>,
    /// Since when the nodes answer and the newest block has stayed the same, if that is too long.
    #[serde(default)]
    pub head_stalled: Option<Timestamp>,
    /// The newest block taken for final.
    pub last_final: Option<BlockNumber>,
    /// Whether hints come in over a subscription.
    pub hints_live: bool,
    /// When the last sweep to the head was finished.
    pub swept_at: Option<Timestamp>,
    /// How many final blocks the furthest-behind address still has to be swept for.
    pub behind_by: u64,
    /// Since when nothing could be read from the chain, and why.
    pub chain_trouble: Option<(Timestamp, String)>,
    /// Since when the final block has not moved although something waits for it.
    pub finality_stalled: Option<Timestamp>,
    /// When the final block last moved back, or else when the engine started: what was final before is looked at again
    /// before it is completed.
    #[serde(default)]
    pub finality_doubted: Option<Timestamp>,
    /// Since when the API could not be used, and why.
    pub api_trouble: Option<(Timestamp, String)>,
    /// Whether the API refused the key, with the HTTP status.
    pub key_refused: Option<u16>,
    /// Whether the store has failed.
    pub store_failed: Option<String>,
    /// Why the hot wallet is halted, if it is.
    #[serde(default)]
    pub wallet_halted: Option<String>,
    /// Why a person has paused the hot wallet, if one has.
    #[serde(default)]
    pub wallet_paused: Option<String>,
    /// Whether it runs in shadow mode: nothing is completed, signed, sent or opened.
    #[serde(default)]
    pub shadow: bool,
    /// How many operators must agree, in a line; empty in the sandbox.
    #[serde(default)]
    pub agreement: String,
}

/// One part's answer to "is it ready?".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Readiness {
    /// Whether all parts are.
    pub ready: bool,
    /// The chain: `ok`, `idle`, or what is wrong.
    pub chain: String,
    /// The payment API: `ok`, or what is wrong.
    pub api: String,
    /// The store: `ok`, or what is wrong.
    pub store: String,
    /// The hot wallet: `ok`, or what keeps it from sending. Watching and completing go on without it.
    #[serde(default)]
    pub wallet: String,
    /// Whether it runs in shadow mode: nothing is completed, signed, sent or opened. It can be ready all the same.
    #[serde(default)]
    pub shadow: bool,
    /// How many operators must agree before a payment is completed or an order ends.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub agreement: String,
}

/// Shared by the loops, which write it, and by whoever tells of it.
#[derive(Debug, Default)]
pub struct Health(Mutex<Snapshot>, Mutex<Weak<ApiGate>>);

impl Health {
    /// What is known now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The engine that runs calls the API through this gate.
    pub(crate) fn set_gate(&self, gate: &Arc<ApiGate>) {
        *self.1.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(gate);
    }

    /// The gate to the API of the engine that runs, if one does.
    pub(crate) fn gate(&self) -> Option<Arc<ApiGate>> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    /// The API answered. `key_is_good`: for all kinds of calls, as far as is known.
    pub(crate) fn api_worked(&self, key_is_good: bool) {
        self.update(|health| {
            health.api_trouble = None;
            if key_is_good {
                health.key_refused = None;
            }
        });
    }

    /// The clock was set back: no moment is later than now.
    pub(crate) fn clock_set_back(&self, now: Timestamp) {
        let capped = |at: Option<Timestamp>| at.map(|at| at.min(now));
        self.update(|health| {
            health.head_at = capped(health.head_at);
            health.head_stalled = capped(health.head_stalled);
            health.swept_at = capped(health.swept_at);
            health.finality_stalled = capped(health.finality_stalled);
            health.finality_doubted = capped(health.finality_doubted);
            for (since, _) in health.chain_trouble.iter_mut().chain(&mut health.api_trouble) {
                *since = (*since).min(now);
            }
        });
    }

    pub(crate) fn api_failed(&self, now: Timestamp, why: &str) {
        self.update(|health| {
            let since = health.api_trouble.as_ref().map_or(now, |(since, _)| *since);
            health.api_trouble = Some((since, why.to_owned()));
        });
    }
}

impl Snapshot {
    /// Whether the engine does its work. The chain may lag by `lag` before it counts as not ready.
    #[must_use]
    pub fn readiness(&self, now: Timestamp, lag: Span) -> Readiness {
        let stale = self.swept_at.is_none_or(|at| now.since(at) > lag);
        let chain = match (&self.chain_trouble, self.finality_stalled) {
            _ if self.watched == 0 => "idle".to_owned(),
            (Some((since, why)), _) if stale => {
                format!("not read for {} s: {why}", now.since(*since).as_secs())
            }
            _ if self.head_stalled.is_some() => {
                let since = self.head_stalled.unwrap_or(now);
                let head = self.head.unwrap_or_default();
                format!("the newest block, {head}, has stayed the same for {} s", now.since(since).as_secs())
            }
            (_, Some(since)) => format!("the final block has not moved for {} s", now.since(since).as_secs()),
            _ if stale => "not swept yet, or not for too long".to_owned(),
            _ => "ok".to_owned(),
        };
        let api = match (self.key_refused, &self.api_trouble) {
            (Some(status), _) => format!("the key was refused with HTTP {status}"),
            (None, Some((since, why))) if now.since(*since) > lag => {
                format!("not usable for {} s: {why}", now.since(*since).as_secs())
            }
            (None, _) => "ok".to_owned(),
        };
        let store = self.store_failed.clone().unwrap_or_else(|| "ok".to_owned());
        let chain_ready = chain == "ok" || chain == "idle";
        let wallet = match (&self.wallet_halted, &self.wallet_paused) {
            (Some(why), _) => format!("halted: {why}"),
            (None, Some(reason)) => format!("paused: {reason}"),
            (None, None) => "ok".to_owned(),
        };
        let (shadow, agreement) = (self.shadow, self.agreement.clone());
        let ready = chain_ready && api == "ok" && store == "ok";
        Readiness { ready, chain, api, store, wallet, shadow, agreement }
    }
}
