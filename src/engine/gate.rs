//! The gate to the payment API: shut when it refuses the key, so that nobody hammers it with a key that does not work.
//!
//! While it is shut, one call at a time is let through now and then as a probe, and only a GET. What the gate knows
//! is not stored: a restart may have brought a new key, and probes once.

use std::sync::{Arc, Mutex, PoisonError};

use super::health::Health;
use crate::domain::event::{Alarm, Event, EventKind};
use crate::domain::time::Timestamp;
use crate::policy::pace::Pace;
use crate::ports::clock::Clock;
use crate::ports::payment_api::ApiError;
use crate::ports::store::{Commit, Store, StoreError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    /// No call before this moment; then one probe.
    Shut(Timestamp),
}

/// Who may call the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Everybody.
    All,
    /// One GET.
    Probe,
    /// Nobody.
    None,
}

pub(crate) struct ApiGate {
    state: Mutex<Gate>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    health: Arc<Health>,
    pace: Pace,
}

impl ApiGate {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, health: Arc<Health>, pace: Pace) -> Self {
        Self { state: Mutex::new(Gate::Open), store, clock, health, pace }
    }

    /// Who may call now. Asking while a probe's time has come takes the probe, so ask only with something to ask.
    pub(crate) fn pass(&self) -> Pass {
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match *state {
            Gate::Open => Pass::All,
            Gate::Shut(until) if now >= until => {
                *state = Gate::Shut(now.plus(self.pace.key_probe));
                Pass::Probe
            }
            Gate::Shut(_) => Pass::None,
        }
    }

    /// When the gate lets the next probe through; `None` when it is open.
    pub(crate) fn shut_until(&self) -> Option<Timestamp> {
        match *self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            Gate::Open => None,
            Gate::Shut(until) => Some(until),
        }
    }

    /// Takes in how a call went.
    pub(crate) async fn learn<T: Sync>(&self, result: &Result<T, ApiError>) -> Result<(), StoreError> {
        let now = self.clock.now();
        match result {
            Ok(_) | Err(ApiError::NotFound { .. } | ApiError::Refused { .. }) => {
                *self.state.lock().unwrap_or_else(PoisonError::into_inner) = Gate::Open;
                self.health.api_worked();
                Ok(())
            }
            Err(error @ (ApiError::NotNow { .. } | ApiError::Unclear { .. })) => {
                self.health.api_failed(now, &error.to_string());
                Ok(())
            }
            Err(ApiError::KeyRefused { status, .. }) => {
                self.health.update(|health| health.key_refused = Some(*status));
                let was_open = {
                    let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                    let was_open = *state == Gate::Open;
                    *state = Gate::Shut(now.plus(self.pace.key_probe));
                    was_open
                };
                if was_open { self.alarm(*status, now).await } else { Ok(()) }
            }
        }
    }

    async fn alarm(&self, status: u16, now: Timestamp) -> Result<(), StoreError> {
        let alarm = Alarm::KeyRefused { status };
        tracing::error!(
            status,
            "the payment API refused the key; it is not called until it works again, watching goes on"
        );
        metrics::counter!("rampwatch_alarms_total", "alarm" => "key_refused").increment(1);
        let event = Event { at: now, payment: None, deposit: None, kind: EventKind::Alarm { alarm } };
        self.store.commit(Commit { events: vec![event], ..Commit::default() }).await.map(|_| ())
    }
}
