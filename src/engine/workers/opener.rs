//! The one caller of what opens off-ramps.
//!
//! For every payout that is due: a quote, "creating" committed, and only then the POST, always with the payout's own key. A
//! call whose answer is not known is looked into, in the recipient's list, once it can no longer take effect; if nothing there
//! bears the key, it is called again with the same one. The answer is stored together with the payment, whose deposits are
//! looked for from that commit on; the order that funds it, together with what the payout says of it. So a crash between
//! any two lines leaves a state that says what the next start has to do.

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::domain::payment::PayoutReference;
use crate::domain::payout::{Payout, PayoutState};
use crate::domain::record::RecordKind;
use crate::domain::time::{Span, Timestamp};
use crate::engine::address_repository::AddressRepository;
use crate::engine::circuit_breaker::{CallKind, CircuitBreaker, Permit};
use crate::engine::health::Health;
use crate::engine::order_repository::OrderRepository;
use crate::engine::payout_repository::{Kept, PayoutError, PayoutRepository};
use crate::engine::worker::Queue;
use crate::engine::{EngineSettings, PayoutPorts, Ports, Shared};
use crate::ports::off_ramp_api::OffRampApi;
use crate::ports::payment_api::ApiError;
use crate::ports::store::StoreError;

mod fund;
mod look;
mod open;

/// The most further steps of a payout that is let through an open circuit breaker: its quote ran out, another is taken, it is opened.
const PROBE_STEPS: usize = 3;

/// How long orders that are placed at their time may be late while something else waits for the circuit breaker.
const LATE: Span = Span::from_secs(1);

pub(crate) struct Opener {
    ports: Ports,
    api: Arc<dyn OffRampApi>,
    payouts: PayoutPorts,
    settings: Arc<EngineSettings>,
    addresses: AddressRepository,
    breaker: Arc<CircuitBreaker>,
    health: Arc<Health>,
    /// Held while a payment is taken for a payout: it belongs to one only.
    taking: Mutex<()>,
}

impl Queue for Opener {
    type Item = Kept;
    type Key = PayoutReference;

    const NAME: &'static str = "opener";
    const CALLS: CallKind = CallKind::Open;
    const BATCH: usize = 512;

    fn key(kept: &Kept) -> PayoutReference {
        kept.payout.reference.clone()
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Kept>, StoreError> {
        let due = self.ports.store.records_due(RecordKind::Payout, now, limit).await?;
        Ok(due.into_iter().filter_map(Kept::of).collect())
    }

    async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let next = self.ports.store.next_record_due(RecordKind::Payout).await?;
        // With the breaker open, orders are still placed at their time; what has come due waits for the circuit breaker.
        let shut = self.breaker.open_until(CallKind::Open);
        Ok(next.map(|next| shut.filter(|_| next <= now).map_or(next, |until| until.min(now.plus(LATE)))))
    }

    fn at_once(&self) -> usize {
        self.settings.payouts.max_concurrent.max(1)
    }

    /// Placing an order asks nothing of the API.
    fn calls(kept: &Kept) -> bool {
        !matches!(kept.payout.state, PayoutState::Created { .. })
    }

    fn settles_after(&self) -> Span {
        self.settings.pace.unclear_wait()
    }

    fn was_called(kept: &Kept) -> bool {
        matches!(kept.payout.state, PayoutState::Creating { .. })
    }

    async fn work(&self, kept: Kept, permit: Permit) -> Result<(), StoreError> {
        settle(&kept.payout.reference, self.handle(&kept, permit).await)
    }
}

impl Opener {
    pub(crate) fn new(shared: &Shared, api: Arc<dyn OffRampApi>, payouts: PayoutPorts) -> Self {
        let Shared { ports, settings, addresses, breaker, health, .. } = shared.clone();
        Self { ports, api, payouts, settings, addresses, breaker, health, taking: Mutex::default() }
    }

    async fn handle(&self, kept: &Kept, permit: Permit) -> Result<(), PayoutError> {
        self.step(kept).await?;
        if permit != Permit::Probe {
            return Ok(());
        }
        // A quote alone does not show whether the key may open anything, and has run out by the next probe.
        for _ in 0..PROBE_STEPS {
            let Some(kept) = self.book().read(&kept.payout.reference).await? else { return Ok(()) };
            let is_due = kept.next_at.is_some_and(|at| at <= self.ports.clock.now());
            if !is_due || !matches!(kept.payout.state, PayoutState::Placed | PayoutState::Quoted) {
                return Ok(());
            }
            self.step(&kept).await?;
        }
        Ok(())
    }

    async fn step(&self, kept: &Kept) -> Result<(), PayoutError> {
        match &kept.payout.state {
            PayoutState::Placed => self.quote(kept).await,
            PayoutState::Quoted => self.open(kept).await,
            PayoutState::Creating { .. } | PayoutState::Unclear { .. } => self.look(kept).await,
            PayoutState::Created { .. } => self.fund(kept).await,
            // Nobody looks at these by himself; one that moved there meanwhile is left alone.
            PayoutState::Review { .. } | PayoutState::Cancelled { .. } => Ok(()),
        }
    }

    fn book(&self) -> PayoutRepository {
        PayoutRepository::new(&self.ports, self.settings.clone())
    }

    /// The way to the orders, for whoever asked for the payout: whoever placed an order cannot approve it.
    fn orders(&self, payout: &Payout) -> Option<OrderRepository> {
        let rules = self.settings.funding.clone()?;
        let actor = Some(payout.placed_by.clone());
        let (store, clock) = (self.ports.store.clone(), self.ports.clock.clone());
        let (health, skew) = (self.health.clone(), self.settings.matching.skew);
        Some(OrderRepository { store, clock, rules, health, skew, actor })
    }
}

/// Shows every result at 0: an alert looks for a rise, and a series that begins with 1 has never risen.
pub(crate) fn show_results() {
    for result in std::iter::once("opened").chain(ApiError::NAMES) {
        metrics::counter!("rampwatch_creations_total", "result" => result).increment(0);
    }
}

/// Sorts out how work on a payout went: only a failing store is the caller's business.
fn settle(reference: &PayoutReference, result: Result<(), PayoutError>) -> Result<(), StoreError> {
    match result {
        Ok(()) => Ok(()),
        Err(PayoutError::Store(StoreError::Conflict(what))) => {
            tracing::warn!(%what, %reference, "the record keeps changing; looked at again later");
            Ok(())
        }
        Err(PayoutError::Store(error)) => Err(error),
        Err(error @ (PayoutError::Unknown(_) | PayoutError::Unexpected(_) | PayoutError::Payment(_))) => {
            tracing::warn!(%error, %reference, "the fact came too late for the payout's state");
            Ok(())
        }
    }
}
