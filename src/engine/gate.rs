//! The gate to the payment API: shut when it refuses the key, so that nobody hammers it with a key that does not work. A
//! refusal of one subject is that subject's own business, and shuts nothing.
//!
//! While it is shut, one payment at a time is let through now and then as a probe, and it begins with a GET. What the gate knows
//! is not stored: a restart may have brought a new key, and probes once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Ports;
use super::health::Health;
use super::names::alarm_name;
use super::telling::count_alarm;
use crate::domain::event::{Alarm, Event, EventKind};
use crate::domain::payment::{NO_PAYMENT, PaymentId};
use crate::domain::time::{Span, Timestamp};
use crate::planted::{Bug, planted};
use crate::policy::pace::{Pace, Window};
use crate::ports::clock::Clock;
use crate::ports::payment_api::{ApiError, PaymentApi};
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
#[derive(Clone, Debug)]
struct Door {
    gate: Gate,
    /// Whether this kind of call was refused, and has not worked since. The alarm is not raised again meanwhile.
    refused: bool,
    /// The one subject that was refused since a call of this kind worked, while it is not known whether it is the key.
    doubted: Option<String>,
}

const OPEN: Door = Door { gate: Gate::Open, refused: false, doubted: None };

struct State {
    /// For questions.
    get: Door,
    /// For completions. A key that may ask but not complete leaves the others open.
    complete: Door,
    /// For opening off-ramps.
    open: Door,
    /// Subjects whose change was refused once, which proves nothing yet; the next refusal is theirs.
    refused_once: BTreeSet<String>,
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
                door.gate = Gate::Open;
            }
        }
        *self.door(asked) = OPEN;
    }

    const fn any_refused(&self) -> bool {
        self.get.refused || self.complete.refused || self.open.refused
    }
}

/// Whose refusal an answer is.
enum Refusal {
    /// The key's, for this kind of calls.
    Key(Asked),
    /// That of the subject asked about.
    Subject,
    /// Not known yet.
    Unknown,
}

/// How much sooner than a shut gate is probed a refused subject is tried once more.
const SOONER: u64 = 10;

/// The most subjects that are remembered as refused once.
const MOST_REFUSED_ONCE: usize = 1_000;

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
    api: Arc<dyn PaymentApi>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    health: Arc<Health>,
    pace: Pace,
    /// Whether completions wait for their turn.
    completions_wait: AtomicBool,
}

impl ApiGate {
    /// At most `most` calls are to be under way at once.
    pub(crate) fn new(ports: &Ports, health: Arc<Health>, pace: Pace, most: usize) -> Self {
        let Ports { api, store, clock, .. } = ports.clone();
        let state =
            State { get: OPEN, complete: OPEN, open: OPEN, refused_once: BTreeSet::new(), window: Window::new(most) };
        Self { state: Mutex::new(state), api, store, clock, health, pace, completions_wait: AtomicBool::new(false) }
    }

    /// How many calls a loop may have under way at once, as the API bears it now.
    pub(crate) fn window(&self) -> usize {
        self.state().window.size()
    }

    /// Who may make calls that come to this kind now. Asking while a probe's time has come takes the probe, so ask
    /// only with something to ask.
    pub(crate) fn pass(&self, asked: Asked) -> Pass {
        let now = self.clock.now();
        let mut state = self.state();
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
        match self.state().gate(asked) {
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

    /// Takes in how a call of this kind, about this subject, went. Gives the answer back: where it refuses the subject and not the
    /// key, as a refusal of what was asked.
    pub(crate) async fn learn<T: Send>(
        &self,
        asked: Asked,
        about: &str,
        answer: Result<T, ApiError>,
    ) -> Result<Result<T, ApiError>, StoreError> {
        let now = self.clock.now();
        match answer {
            Err(ApiError::KeyRefused { status, detail }) => match self.whose_refusal(asked, about).await {
                Refusal::Key(asked) => {
                    self.shut(asked, status, now).await?;
                    Ok(Err(ApiError::KeyRefused { status, detail }))
                }
                Refusal::Unknown => {
                    tracing::warn!(about, status, %detail, "the payment API refuses this one; it is tried once more");
                    let retry_after = Some(Span::from_millis(self.pace.key_probe.as_millis() / SOONER));
                    Ok(Err(ApiError::NotNow { detail, retry_after }))
                }
                Refusal::Subject => {
                    let refused = ApiError::Refused { status, detail };
                    self.health.api_unanswered(about, now, &refused.to_string());
                    Ok(Err(refused))
                }
            },
            Err(error @ (ApiError::NotNow { .. } | ApiError::Unclear { .. })) => {
                self.state().window.strained();
                self.health.api_unanswered(about, now, &error.to_string());
                self.health.api_failed(now, &error.to_string());
                Ok(Err(error))
            }
            Ok(_) | Err(ApiError::NotFound { .. } | ApiError::Refused { .. }) => {
                let healed = {
                    let mut state = self.state();
                    state.worked(asked);
                    state.window.answered();
                    !state.any_refused()
                };
                self.health.api_worked(healed);
                match &answer {
                    // What is refused when it is asked after is asked after again, and somebody has to hear of it.
                    Err(error @ ApiError::Refused { .. }) if asked == Asked::Get => {
                        self.health.api_unanswered(about, now, &error.to_string());
                    }
                    _ => self.health.api_answered(about, now),
                }
                Ok(answer)
            }
        }
    }

    /// Whose refusal this is: 401 and 403 are also said of one payment, whose user was closed or whose recipient is suspended.
    /// A payment that cannot be there tells: the API that refuses the key for it too refuses the key. For calls that change
    /// something, it is the key's when another subject is refused and nothing has worked in between, and the subject's when it
    /// is refused again.
    async fn whose_refusal(&self, asked: Asked, about: &str) -> Refusal {
        if self.state().door(asked).refused || planted(Bug::OneRefusalShutsAll) {
            return Refusal::Key(asked);
        }
        let Ok(canary) = PaymentId::new(NO_PAYMENT) else { return Refusal::Unknown };
        let canary = self.api.payment(&canary).await;
        let mut state = self.state();
        let other = state.door(asked).doubted.replace(about.to_owned()).filter(|other| other != about);
        match canary {
            Err(ApiError::KeyRefused { .. }) => Refusal::Key(Asked::Get),
            // The key may ask.
            Ok(_) | Err(ApiError::NotFound { .. } | ApiError::Refused { .. }) if asked == Asked::Get => {
                state.get.doubted = None;
                Refusal::Subject
            }
            _ if other.is_some() => Refusal::Key(asked),
            _ => {
                if state.refused_once.len() >= MOST_REFUSED_ONCE {
                    state.refused_once.clear();
                }
                if state.refused_once.insert(about.to_owned()) { Refusal::Unknown } else { Refusal::Subject }
            }
        }
    }

    /// Calls of this kind are not made until one of them works again. The alarm is raised once.
    async fn shut(&self, asked: Asked, status: u16, now: Timestamp) -> Result<(), StoreError> {
        self.health.update(|health| health.key_refused = Some(status));
        let is_news = {
            let mut state = self.state();
            let was_told = state.any_refused();
            state.shut(asked, now.plus(self.pace.key_probe));
            state.door(asked).refused = true;
            !was_told
        };
        if is_news { self.alarm(status, now).await } else { Ok(()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
