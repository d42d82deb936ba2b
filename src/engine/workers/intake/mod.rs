//! Intake: follows users and recipients at the payment API, and takes up the off-ramps that wait for funds there.
//!
//! A round reads the lists, asks for each payment that is new, and adds it on the same way as a person does; what it
//! cannot add becomes a candidate, which a person settles. Everything is worked out anew in each round, so a crash loses
//! nothing: what is remembered between rounds only saves questions. Deliberately absent: calls to `/complete`, and trust in a
//! list, which never moves a payment by itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::domain::payment::{PaymentId, RecipientId};
use crate::domain::record::RecordKind;
use crate::domain::time::{Span, Timestamp};
use crate::engine::add::Adding;
use crate::engine::address_repository::AddressRepository;
use crate::engine::circuit_breaker::{CallKind, CircuitBreaker, Permit};
use crate::engine::health::Health;
use crate::engine::payout_repository::PayoutRepository;
use crate::engine::worker::{LONGEST_WAIT, Rest, Worker, no_change};
use crate::engine::{EngineError, EngineSettings, Ports, Shared};
use crate::policy::intake::Home;
use crate::ports::payment_api::{ApiError, ApiPayment};
use crate::ports::store::{Changes, StoreError};

mod candidates;
mod lists;
mod memory;
mod take_up;

use lists::Source;
use memory::Memory;

/// How many payments are asked after at once. The completer and the reconciler have their own places.
const AT_ONCE: usize = 4;

/// The pause after each such handful: at most twenty questions a second, however long a list is.
const BREATH: Span = Span::from_millis(200);

/// How long everything rests after a record did not read.
const UNREADABLE_AGAIN: Span = Span::from_secs(60);

/// How much later than the others intake probes a key that was refused.
const AFTER_OTHERS: Span = Span::from_secs(5);

/// How many candidates are looked at in one round.
const CANDIDATES_AT_ONCE: usize = 256;

/// A payment of a list.
#[derive(Clone, Debug)]
struct Listed {
    said: ApiPayment,
    /// The recipient whose list it was, if it was a recipient's.
    whose: Option<RecipientId>,
}

/// How far a round may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Onward {
    /// It goes on.
    Yes,
    /// The API cannot be used, or the engine stops: the rest waits for the next round.
    No,
}

pub(crate) struct Intake {
    ports: Ports,
    settings: Arc<EngineSettings>,
    home: Home,
    adding: Adding,
    addresses: AddressRepository,
    breaker: Arc<CircuitBreaker>,
    health: Arc<Health>,
    sources: Vec<Source>,
    memory: Memory,
    /// How often the API could not be used in a row, and until when it is left alone.
    failures: u32,
    resume_at: Timestamp,
}

impl Intake {
    pub(crate) fn new(shared: &Shared) -> Self {
        let Shared { ports, settings, addresses, breaker, health, .. } = shared.clone();
        let payouts = PayoutRepository::new(&ports, settings.clone());
        let sources = Source::all(&settings.intake);
        if sources.is_empty() {
            tracing::debug!("no user and no recipient is followed");
        } else {
            take_up::show_results();
        }
        Self {
            home: Home { chain: settings.chain_name.clone(), currency: settings.intake.currency.clone() },
            adding: Adding { addresses: addresses.clone(), payouts },
            sources,
            ports,
            settings,
            addresses,
            breaker,
            health,
            memory: Memory::default(),
            failures: 0,
            resume_at: Timestamp::EPOCH,
        }
    }

    /// One look at everything that is due.
    async fn round(&mut self, stop: &CancellationToken) -> Result<(), StoreError> {
        let now = self.ports.clock.now();
        if now >= self.resume_at {
            let mut listed: BTreeMap<PaymentId, Listed> = BTreeMap::new();
            let mut onward = self.read_lists(&mut listed, stop).await?;
            if onward == Onward::Yes {
                onward = match self.take_up_listed(&listed, stop).await {
                    // Which off-ramps are ours is not known without it: none is taken for somebody else's.
                    Err(StoreError::Corrupt(what)) => {
                        tracing::error!(what, "no new off-ramp is taken up while a record does not read");
                        Onward::Yes
                    }
                    onward => onward?,
                };
            }
            if onward == Onward::Yes {
                match self.ask_after_candidates(&listed, stop).await {
                    Err(StoreError::Corrupt(what)) => {
                        tracing::error!(what, "no candidate is looked into while a record does not read");
                        self.resume_at = now.plus(UNREADABLE_AGAIN);
                    }
                    asked => drop(asked?),
                }
            }
            self.memory.forget(self.ports.clock.now());
        }
        Ok(())
    }

    async fn rest(&self) -> Result<Rest, StoreError> {
        let now = self.ports.clock.now();
        let candidate = self.ports.store.next_record_due(RecordKind::Candidate).await?;
        let list = self.sources.iter().map(|source| source.next_at).min();
        // With nothing to follow and no candidate, only a new candidate could give it something to do.
        let Some(next) = candidate.into_iter().chain(list).min() else { return Ok(Rest::until(LONGEST_WAIT, records)) };
        let shut = self.breaker.open_until(CallKind::Get).map_or(Timestamp::EPOCH, |until| until.plus(AFTER_OTHERS));
        let next = next.max(self.resume_at).max(shut);
        Ok(Rest::until(next.since(now).max(BREATH).min(LONGEST_WAIT), no_change))
    }

    /// Whether one more question may be put now. A probe is one question, and the round ends with it. The others have the
    /// first chance to probe: what they ask for is known to be there.
    fn permit(&self, stop: &CancellationToken) -> Permit {
        let others_first = |until: Timestamp| self.ports.clock.now() < until.plus(AFTER_OTHERS);
        if stop.is_cancelled() || self.breaker.open_until(CallKind::Get).is_some_and(others_first) {
            return Permit::None;
        }
        self.breaker.permit(CallKind::Get)
    }

    /// The API could not be used: everything waits, longer each time.
    fn back_off(&mut self, error: &ApiError) {
        self.failures = self.failures.saturating_add(1);
        let context = self.addresses.context();
        self.resume_at = context.now.plus(context.pace.backoff(self.failures, error.retry_after(), context.jitter));
    }
}

impl Worker for Intake {
    fn name(&self) -> &str {
        "intake"
    }

    async fn turn(&mut self, _: &Changes, stop: &CancellationToken) -> Result<Rest, EngineError> {
        self.round(stop).await?;
        Ok(self.rest().await?)
    }
}

fn records(seen: &Changes, now: &Changes) -> Option<Span> {
    (now.records != seen.records).then_some(Span::ZERO)
}
