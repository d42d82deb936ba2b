//! The one caller of what opens off-ramps.
//!
//! For every payout that is due: a quote, "creating" committed, and only then the POST, always with the payout's own key. A
//! call whose answer is not known is looked into, in the recipient's list, once it can no longer take effect; if nothing there
//! bears the key, it is called again with the same one. The answer is stored together with the payment, whose deposits are
//! looked for from that commit on; the order that funds it, together with what the payout says of it. So a crash between
//! any two lines leaves a state that says what the next start has to do.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::api_facts::note_failure;
use super::circuit_breaker::{CallKind, CircuitBreaker, Permit};
use super::health::Health;
use super::ledger::Ledger;
use super::order_book::OrderBook;
use super::payout_book::{Kept, PayoutBook, PayoutError};
use super::put_aside::PutAside;
use super::{EngineError, EngineSettings, PayoutPorts, Ports};
use crate::domain::payment::PayoutReference;
use crate::domain::payout::{Funding, Payout, PayoutState};
use crate::domain::record::RecordKind;
use crate::domain::time::Span;
use crate::ports::desk_api::DeskApi;
use crate::ports::store::StoreError;

mod fund;
mod look;
mod open;

/// How many due payouts are taken up at once.
const BATCH: usize = 512;

/// The longest wait before the store is looked at again, whatever it says is due.
const LONGEST_WAIT: Span = Span::from_secs(60);

/// The most further steps of a payout that is let through an open circuit breaker: its quote ran out, another is taken, it is opened.
const PROBE_STEPS: usize = 3;

/// How long the opener rests when everything that is due is under way, or must wait for the circuit breaker.
const BREATH: Span = Span::from_millis(50);

#[derive(Clone)]
pub(crate) struct Opener {
    pub(crate) ports: Ports,
    pub(crate) api: Arc<dyn DeskApi>,
    pub(crate) payouts: PayoutPorts,
    pub(crate) settings: Arc<EngineSettings>,
    pub(crate) ledger: Ledger,
    pub(crate) breaker: Arc<CircuitBreaker>,
    pub(crate) health: Arc<Health>,
    /// Held while a payment is taken for a payout: it belongs to one only.
    pub(crate) taking: Arc<Mutex<()>>,
}

impl Opener {
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), EngineError> {
        let mut changes = self.ports.store.changes();
        let mut under_way: BTreeSet<PayoutReference> = BTreeSet::new();
        let mut aside: PutAside<PayoutReference> = PutAside::default();
        let mut work = FuturesUnordered::new();
        // A call that is found at the start may have gone out until just before it: the process may have been frozen between
        // the commit and the call. None is looked into before it can no longer take effect.
        let mut settling = std::pin::pin!(self.ports.clock.sleep(self.settings.pace.unclear_wait()));
        let mut settled = false;
        loop {
            self.health.beat("opener", self.ports.clock.now());
            changes.mark_unchanged();
            let free = self.settings.payouts.max_concurrent.max(1).saturating_sub(work.len());
            let mut wait = LONGEST_WAIT;
            if free > 0 && !stop.is_cancelled() {
                let fresh = self.take_up((&under_way, &aside), free, settled).await?;
                if fresh.is_empty() {
                    wait = self.wait().await?;
                    // What is due and under way would make the wait none at all.
                    wait = if work.is_empty() && settled && aside.len() == 0 { wait } else { wait.max(BREATH) };
                }
                for (kept, permit) in fresh {
                    under_way.insert(kept.payout.reference.clone());
                    let this = self.clone();
                    work.push(async move {
                        let reference = kept.payout.reference.clone();
                        (reference, this.handle(kept, permit).await)
                    });
                }
            }
            if stop.is_cancelled() && work.is_empty() {
                return Ok(());
            }
            tokio::select! {
                biased;
                Some((reference, result)) = work.next(), if !work.is_empty() => {
                    under_way.remove(&reference);
                    note_failure(&self.health, aside.settle(&reference, settle(&reference, result)))?;
                }
                () = stop.cancelled(), if !stop.is_cancelled() => {}
                () = &mut settling, if !settled => settled = true,
                _ = changes.changed(), if free > 0 => {}
                () = self.ports.clock.sleep(wait), if free > 0 => {}
            }
        }
    }

    /// The payouts that are due, are not under way, and may be worked upon.
    async fn take_up(
        &self,
        (under_way, aside): (&BTreeSet<PayoutReference>, &PutAside<PayoutReference>),
        free: usize,
        settled: bool,
    ) -> Result<Vec<(Kept, Permit)>, StoreError> {
        let limit = BATCH.max(under_way.len().saturating_add(free)).saturating_add(aside.len());
        let due = self.ports.store.desk_due(RecordKind::Payout, self.ports.clock.now(), limit).await?;
        let due = due.into_iter().filter_map(Kept::of);
        let fresh =
            due.filter(|kept| !under_way.contains(&kept.payout.reference) && !aside.contains(&kept.payout.reference));
        let fresh = fresh.filter(|kept| settled || !matches!(kept.payout.state, PayoutState::Creating { .. }));
        // Placing an order asks nothing of the API.
        let (mut fresh, calling): (Vec<Kept>, Vec<Kept>) =
            fresh.partition(|kept| matches!(kept.payout.state, PayoutState::Created { funding: Funding::Due }));
        fresh.truncate(free);
        let mut fresh: Vec<(Kept, Permit)> = fresh.into_iter().map(|kept| (kept, Permit::All)).collect();
        let left = free.saturating_sub(fresh.len());
        let permit = if calling.is_empty() || left == 0 { Permit::None } else { self.breaker.permit(CallKind::Open) };
        let most = match permit {
            Permit::All => left,
            Permit::Probe => 1,
            Permit::None => 0,
        };
        fresh.extend(calling.into_iter().take(most).map(|kept| (kept, permit)));
        Ok(fresh)
    }

    /// How long the loop may sleep: until the next payout is due and the breaker is closed.
    async fn wait(&self) -> Result<Span, StoreError> {
        let now = self.ports.clock.now();
        let Some(next) = self.ports.store.desk_next_due(RecordKind::Payout).await? else { return Ok(LONGEST_WAIT) };
        let wait = next.since(now).max(Span::from_millis(1));
        // With the breaker open, orders are still placed at their time; what has come due waits for the circuit breaker.
        let shut = self.breaker.open_until(CallKind::Open);
        let wait =
            shut.filter(|_| next <= now).map_or(wait, |until| until.since(now).min(Span::from_secs(1)).max(BREATH));
        Ok(wait.min(LONGEST_WAIT))
    }

    async fn handle(&self, kept: Kept, permit: Permit) -> Result<(), PayoutError> {
        let funding = matches!(kept.payout.state, PayoutState::Created { .. });
        // The breaker may have opened since the payout was taken up.
        if permit == Permit::All && !funding && self.breaker.open_until(CallKind::Open).is_some() {
            return Ok(());
        }
        self.step(&kept).await?;
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

    fn book(&self) -> PayoutBook {
        PayoutBook::new(&self.ports, self.settings.clone())
    }

    /// The way to the orders, for whoever asked for the payout: whoever placed an order cannot approve it.
    fn orders(&self, payout: &Payout) -> Option<OrderBook> {
        let rules = self.settings.funding.clone()?;
        let actor = Some(payout.placed_by.clone());
        let (store, clock) = (self.ports.store.clone(), self.ports.clock.clone());
        let (health, skew) = (self.health.clone(), self.settings.matching.skew);
        Some(OrderBook { store, clock, rules, health, skew, actor })
    }
}

/// Shows every result at 0: an alert looks for a rise, and a series that begins with 1 has never risen.
pub(crate) fn show_results() {
    for result in open::RESULTS {
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
        Err(error @ (PayoutError::Unknown(_) | PayoutError::Unexpected(_))) => {
            tracing::warn!(%error, %reference, "the fact came too late for the payout's state");
            Ok(())
        }
    }
}
