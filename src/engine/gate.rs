//! The gate to the payment API: shut when it refuses the key, so that nobody hammers it with a key that does not work.
//!
//! While it is shut, one payment at a time is let through now and then as a probe, and it begins with a GET. What the gate knows
//! is not stored: a restart may have brought a new key, and probes once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::health::Health;
use super::names::alarm_name;
use super::telling::count_alarm;
use crate::domain::event::{Alarm, Event, EventKind};
use crate::domain::time::Timestamp;
use crate::policy::pace::{Pace, Window};
use crate::ports::clock::Clock;
use crate::ports::payment_api::ApiError;
use crate::ports::store::{Commit, Store, StoreError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    /// No call before this moment; then one probe.
    Shut(Timestamp),
}

/// The kinds of calls: a key can be good for one and not for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A GET.
    Get,
    /// `/complete`.
    Complete,
    /// What opens an off-ramp.
    Open,
}

/// One kind's gate.
#[derive(Clone, Copy, Debug)]
struct Door {
    gate: Gate,
    /// Whether this kind of call was refused, and has not worked since. The alarm is not raised again meanwhile.
    refused: bool,
}

const OPEN: Door = Door { gate: Gate::Open, refused: false };

struct State {
    /// For questions.
    get: Door,
    /// For completions. A key that may ask but not complete leaves the others open.
    complete: Door,
    /// For opening off-ramps.
    open: Door,
    /// How many calls may be under way at once.
    window: Window,
}

impl State {
    fn door(&mut self, asked: Asked) -> &mut Door {
        match asked {
            Asked::Get => &mut self.get,
            Asked::Complete => &mut self.complete,
            Asked::Open => &mut self.open,
        }
    }

    /// The gate that a loop has to pass: what changes something needs questions too.
    fn gate(&self, asked: Asked) -> Gate {
        let own = match asked {
            Asked::Get => return self.get.gate,
            Asked::Complete => self.complete.gate,
            Asked::Open => self.open.gate,
        };
        match (self.get.gate, own) {
            (Gate::Open, gate) | (gate, Gate::Open) => gate,
            (Gate::Shut(one), Gate::Shut(other)) => Gate::Shut(one.max(other)),
        }
    }

    /// Shuts what is shut for longer: the kind's own gate, and for a question all of them.
    fn shut(&mut self, asked: Asked, until: Timestamp) {
        self.door(asked).gate = Gate::Shut(until);
        if asked == Asked::Get {
            (self.complete.gate, self.open.gate) = (Gate::Shut(until), Gate::Shut(until));
        }
    }

    /// A call of this kind worked: questions do too, and whatever was shut only for theirs.
    fn worked(&mut self, asked: Asked) {
        self.get = OPEN;
        for door in [&mut self.complete, &mut self.open] {
            if !door.refused {
                *door = OPEN;
            }
        }
        *self.door(asked) = OPEN;
    }

    const fn any_refused(&self) -> bool {
        self.get.refused || self.complete.refused || self.open.refused
    }
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
    state: Mutex<State>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    health: Arc<Health>,
    pace: Pace,
    /// Whether completions wait for their turn.
    completions_wait: AtomicBool,
}

impl ApiGate {
    /// At most `most` calls are to be under way at once.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        health: Arc<Health>,
        pace: Pace,
        most: usize,
    ) -> Self {
        let state = State { get: OPEN, complete: OPEN, open: OPEN, window: Window::new(most) };
        Self { state: Mutex::new(state), store, clock, health, pace, completions_wait: AtomicBool::new(false) }
    }

    /// How many calls a loop may have under way at once, as the API bears it now.
    pub(crate) fn window(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).window.size()
    }

    /// Who may make calls that come to this kind now. Asking while a probe's time has come takes the probe, so ask
    /// only with something to ask.
    pub(crate) fn pass(&self, asked: Asked) -> Pass {
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.gate(asked) {
            Gate::Open => Pass::All,
            Gate::Shut(until) if now >= until => {
                let kind = if state.get.gate == Gate::Open { asked } else { Asked::Get };
                state.shut(kind, now.plus(self.pace.key_probe));
                Pass::Probe
            }
            Gate::Shut(_) => Pass::None,
        }
    }

    /// When the gate lets the next probe of this kind through; `None` when it is open.
    pub(crate) fn shut_until(&self, asked: Asked) -> Option<Timestamp> {
        match self.state.lock().unwrap_or_else(PoisonError::into_inner).gate(asked) {
            Gate::Open => None,
            Gate::Shut(until) => Some(until),
        }
    }

    /// The completer says whether more completions are due than may be under way.
    pub(crate) fn note_completions(&self, wait: bool) {
        self.completions_wait.store(wait, Ordering::Relaxed);
    }

    /// How many questions after payments that are in no hurry may be under way: one at a time while completions wait.
    pub(crate) fn window_for_questions(&self) -> usize {
        if self.completions_wait.load(Ordering::Relaxed) { 1 } else { self.window() }
    }

    /// Takes in how a call of this kind went.
    pub(crate) async fn learn<T: Sync>(&self, asked: Asked, result: &Result<T, ApiError>) -> Result<(), StoreError> {
        let now = self.clock.now();
        match result {
            Ok(_) | Err(ApiError::NotFound { .. } | ApiError::Refused { .. }) => {
                let healed = {
                    let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                    state.worked(asked);
                    state.window.answered();
                    !state.any_refused()
                };
                self.health.api_worked(healed);
                Ok(())
            }
            Err(error @ (ApiError::NotNow { .. } | ApiError::Unclear { .. })) => {
                self.state.lock().unwrap_or_else(PoisonError::into_inner).window.strained();
                self.health.api_failed(now, &error.to_string());
                Ok(())
            }
            Err(ApiError::KeyRefused { status, .. }) => {
                self.health.update(|health| health.key_refused = Some(*status));
                let is_news = {
                    let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                    let was_told = state.any_refused();
                    state.shut(asked, now.plus(self.pace.key_probe));
                    state.door(asked).refused = true;
                    !was_told
                };
                if is_news { self.alarm(*status, now).await } else { Ok(()) }
            }
        }
    }

    /// As [`Gate::learn`], where a 403 is about what was asked for: a list that the key may not see says nothing of the key,
    /// and must not shut the gate for completions.
    pub(crate) async fn learn_of_one<T: Sync>(
        &self,
        asked: Asked,
        result: &Result<T, ApiError>,
    ) -> Result<(), StoreError> {
        if result.as_ref().is_err_and(is_forbidden) { Ok(()) } else { self.learn(asked, result).await }
    }

    async fn alarm(&self, status: u16, now: Timestamp) -> Result<(), StoreError> {
        let alarm = Alarm::KeyRefused { status };
        count_alarm(&alarm);
        tracing::error!(
            alarm = alarm_name(&alarm),
            status,
            "the payment API refused the key; it is not called until it works again, watching goes on"
        );
        let event = Event { at: now, payment: None, deposit: None, kind: EventKind::Alarm { alarm } };
        self.store.commit(Commit { events: vec![event], ..Commit::default() }).await.map(|_| ())
    }
}

/// HTTP's word for something that the key, which is in order, may not see.
pub(crate) const FORBIDDEN: u16 = 403;

/// Whether the API has refused what was asked for rather than the key itself.
pub(crate) const fn is_forbidden(error: &ApiError) -> bool {
    matches!(error, ApiError::KeyRefused { status: FORBIDDEN, .. })
}
