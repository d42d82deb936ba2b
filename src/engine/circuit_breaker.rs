//! The circuit breaker of the payment API: it opens when the key is refused, so that nobody hammers the API with a key that does
//! not work. A refusal of one subject is that subject's own business, and opens nothing.
//!
//! While it is open, one call at a time is let through now and then as a probe (half-open), and it begins with a GET. The breaker's
//! state is not stored: a restart may have brought a new key, and probes once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Ports;
use super::health::Health;
use super::transaction;
use crate::domain::event::{Alarm, EventKind};
use crate::domain::payment::{NO_PAYMENT, PaymentId};
use crate::domain::time::{Span, Timestamp};
use crate::planted::{Bug, planted};
use crate::policy::retry::{RetryPolicy, Window};
use crate::ports::clock::Clock;
use crate::ports::payment_api::{Answer, ApiError, PaymentApi};
use crate::ports::store::{Store, StoreError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Calls are made.
    Closed,
    /// No call before this moment; then one probe.
    Open(Timestamp),
}

/// The kinds of calls: a key can be good for one and not for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallKind {
    Get,
    /// `/complete`.
    Complete,
    /// What opens an off-ramp.
    Open,
}

/// One kind's breaker.
#[derive(Clone, Debug)]
struct Breaker {
    phase: Phase,
    /// Whether this kind of call was refused, and has not worked since. The alarm is not raised again meanwhile.
    refused: bool,
    /// The one subject that was refused since a call of this kind worked, while it is not known whether it is the key.
    doubted: Option<String>,
}

const CLOSED: Breaker = Breaker { phase: Phase::Closed, refused: false, doubted: None };

struct State {
    /// For questions.
    get: Breaker,
    /// For completions. A key that may ask but not complete leaves the others closed.
    complete: Breaker,
    /// For opening off-ramps.
    open: Breaker,
    /// Subjects whose change was refused once, which proves nothing yet; the next refusal is theirs.
    refused_once: BTreeSet<String>,
    /// How many calls may be under way at once.
    window: Window,
}

impl State {
    fn breaker(&mut self, asked: CallKind) -> &mut Breaker {
        match asked {
            CallKind::Get => &mut self.get,
            CallKind::Complete => &mut self.complete,
            CallKind::Open => &mut self.open,
        }
    }

    /// What a worker has to heed: what changes something needs questions too.
    fn phase(&self, asked: CallKind) -> Phase {
        let own = match asked {
            CallKind::Get => return self.get.phase,
            CallKind::Complete => self.complete.phase,
            CallKind::Open => self.open.phase,
        };
        match (self.get.phase, own) {
            (Phase::Closed, phase) | (phase, Phase::Closed) => phase,
            (Phase::Open(one), Phase::Open(other)) => Phase::Open(one.max(other)),
        }
    }

    /// Opens the kind's own breaker until then, and for a question all of them.
    fn trip(&mut self, asked: CallKind, until: Timestamp) {
        self.breaker(asked).phase = Phase::Open(until);
        if asked == CallKind::Get {
            (self.complete.phase, self.open.phase) = (Phase::Open(until), Phase::Open(until));
        }
    }

    /// A call of this kind worked: questions do too, and whatever was open only for theirs.
    fn worked(&mut self, asked: CallKind) {
        self.get = CLOSED;
        for breaker in [&mut self.complete, &mut self.open] {
            if !breaker.refused {
                breaker.phase = Phase::Closed;
            }
        }
        *self.breaker(asked) = CLOSED;
    }

    /// Remembers that a subject was refused. Tells whether it is the first time.
    fn note_refused(&mut self, about: &str) -> bool {
        if self.refused_once.len() >= MOST_REFUSED_ONCE {
            self.refused_once.clear();
        }
        self.refused_once.insert(about.to_owned())
    }

    const fn any_refused(&self) -> bool {
        self.get.refused || self.complete.refused || self.open.refused
    }
}

/// Whose refusal an answer is.
enum Refusal {
    /// The key's, for this kind of calls.
    Key(CallKind),
    /// That of the subject asked about.
    Subject,
    /// Not known yet.
    Unknown,
}

/// How much sooner than an open breaker is probed a refused subject is tried once more.
const SOONER: u64 = 10;

/// The most subjects that are remembered as refused once.
const MOST_REFUSED_ONCE: usize = 1_000;

/// Who may call the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permit {
    /// Everybody.
    All,
    Probe,
    /// Nobody.
    None,
}

pub(crate) struct CircuitBreaker {
    state: Mutex<State>,
    api: Arc<dyn PaymentApi>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    health: Arc<Health>,
    pace: RetryPolicy,
    /// Whether completions wait for their turn.
    completions_wait: AtomicBool,
}

impl CircuitBreaker {
    /// At most `most` calls are to be under way at once.
    pub(crate) fn new(ports: &Ports, health: Arc<Health>, pace: RetryPolicy, most: usize) -> Self {
        let Ports { api, store, clock, .. } = ports.clone();
        let state = State {
            get: CLOSED,
            complete: CLOSED,
            open: CLOSED,
            refused_once: BTreeSet::new(),
            window: Window::new(most),
        };
        Self { state: Mutex::new(state), api, store, clock, health, pace, completions_wait: AtomicBool::new(false) }
    }

    /// How many calls a loop may have under way at once, as the API bears it now.
    pub(crate) fn window(&self) -> usize {
        self.state().window.size()
    }

    /// Who may make calls that come to this kind now. Asking while a probe's time has come takes the probe, so ask
    /// only with something to ask.
    pub(crate) fn permit(&self, asked: CallKind) -> Permit {
        let now = self.clock.now();
        let mut state = self.state();
        match state.phase(asked) {
            Phase::Closed => Permit::All,
            Phase::Open(until) if now >= until => {
                let kind = if state.get.phase == Phase::Closed { asked } else { CallKind::Get };
                state.trip(kind, now.plus(self.pace.key_probe));
                Permit::Probe
            }
            Phase::Open(_) => Permit::None,
        }
    }

    /// When the next probe of this kind is let through; `None` when the breaker is closed.
    pub(crate) fn open_until(&self, asked: CallKind) -> Option<Timestamp> {
        match self.state().phase(asked) {
            Phase::Closed => None,
            Phase::Open(until) => Some(until),
        }
    }

    /// The moment, or that of the next probe of this kind if it comes later.
    pub(crate) fn once_closed(&self, asked: CallKind, at: Option<Timestamp>) -> Option<Timestamp> {
        at.map(|at| self.open_until(asked).map_or(at, |until| at.max(until)))
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
        asked: CallKind,
        about: &str,
        answer: Answer<T>,
    ) -> Result<Answer<T>, StoreError> {
        let now = self.clock.now();
        match answer {
            Err(ApiError::KeyRefused { status, detail }) => match self.whose_refusal(asked, about).await {
                Refusal::Key(asked) => {
                    self.trip(asked, status, now).await?;
                    Ok(Err(ApiError::KeyRefused { status, detail }))
                }
                Refusal::Unknown => {
                    tracing::warn!(about, status, %detail, "the payment API refuses this one; it is tried once more");
                    let retry_after = Some(Span::from_millis(self.pace.key_probe.as_millis() / SOONER));
                    Ok(Err(ApiError::NotNow { detail, retry_after }))
                }
                Refusal::Subject => {
                    if asked == CallKind::Get {
                        let healed = !self.state().any_refused();
                        self.health.api_worked(healed);
                    }
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
                    Err(error @ ApiError::Refused { .. }) if asked == CallKind::Get => {
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
    ///
    /// What is refused while the kind's breaker is open says nothing new of the key; it counts as that subject's first time, so that
    /// two subjects which are refused for reasons of their own do not open the breaker again and again, once something else works.
    async fn whose_refusal(&self, asked: CallKind, about: &str) -> Refusal {
        if planted(Bug::OneRefusalShutsAll) {
            return Refusal::Key(asked);
        }
        let Ok(canary) = PaymentId::new(NO_PAYMENT) else { return Refusal::Unknown };
        let canary = self.api.payment(&canary).await;
        let may_ask = match canary {
            Err(ApiError::KeyRefused { .. }) => return Refusal::Key(CallKind::Get),
            Err(ApiError::NotNow { .. } | ApiError::Unclear { .. }) => false,
            Ok(_) | Err(ApiError::NotFound { .. } | ApiError::Refused { .. }) => true,
        };
        let mut state = self.state();
        if may_ask && asked == CallKind::Get {
            state.worked(CallKind::Get);
            return Refusal::Subject;
        }
        let is_open = state.breaker(asked).refused;
        if !may_ask {
            return if is_open { Refusal::Key(asked) } else { Refusal::Unknown };
        }
        let is_first = state.note_refused(about);
        if is_open {
            return Refusal::Key(asked);
        }
        if !is_first {
            // It is this one's, so it says nothing of the key.
            state.breaker(asked).doubted = None;
            return Refusal::Subject;
        }
        let other = state.breaker(asked).doubted.replace(about.to_owned()).filter(|other| other != about);
        if other.is_some() { Refusal::Key(asked) } else { Refusal::Unknown }
    }

    /// Calls of this kind are not made until one of them works again. The alarm is raised once.
    async fn trip(&self, asked: CallKind, status: u16, now: Timestamp) -> Result<(), StoreError> {
        self.health.update(|health| health.key_refused = Some(status));
        let is_news = {
            let mut state = self.state();
            let was_told = state.any_refused();
            state.trip(asked, now.plus(self.pace.key_probe));
            state.breaker(asked).refused = true;
            !was_told
        };
        if is_news { self.alarm(status, now).await } else { Ok(()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn alarm(&self, status: u16, now: Timestamp) -> Result<(), StoreError> {
        tracing::error!(
            status,
            "the payment API refused the key; it is not called until it works again, watching goes on"
        );
        let alarm = Alarm::KeyRefused { status };
        transaction::tell(&*self.store, now, [EventKind::Alarm { alarm }]).await
    }
}
