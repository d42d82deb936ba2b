//! Minds this machine's clock: what was scheduled while it was ahead is brought near once it is right again.
//!
//! At each start, what is put off for longer than anything ever is counts as due. When the clock is seen to go back, all loops
//! start anew as after a restart, since no moment that they remember is worth anything; calls under way finish before. The
//! due lists are ordered by time, so looking at their ends costs nothing, however many payments are open. Deliberately
//! absent: notices, which are no loop of the engine and look after themselves, and the sweep, which begins its waits anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::health::Health;
use super::{EngineError, EngineSettings, Ports};
use crate::domain::order::Order;
use crate::domain::payment::Payment;
use crate::domain::record::{Record, RecordBody, RecordKind};
use crate::domain::time::{Span, Timestamp};
use crate::engine::transaction;
use crate::policy::wrong_clock::{
    Known, TOLERATED, is_too_far, longest, longest_of_orders, look_at, look_at_payout, was_ahead,
};
use crate::ports::clock::Clock;
use crate::ports::store::{Commit, Lane, Store, StoreError, if_readable};

/// How often the clock is looked at.
const EVERY: Span = Span::from_secs(5);

/// How many records go into one commit.
const BATCH: usize = 256;

/// How often in a row somebody may change a record between the reading and the commit. What is left then waits for the next
/// start.
const MOST_CONFLICTS: usize = 16;

/// Looks at the clock, and at what a wrong one has left behind.
#[derive(Clone)]
pub(crate) struct ClockWatch {
    store: Arc<dyn Store>,
    clock: Arc<MindedClock>,
    settings: Arc<EngineSettings>,
    health: Arc<Health>,
    was_set_back: Arc<AtomicBool>,
}

/// The clock that all loops go by. It remembers the latest moment that it has shown to any of them, however shortly it was
/// ahead.
struct MindedClock {
    clock: Arc<dyn Clock>,
    /// In milliseconds.
    latest: AtomicU64,
}

#[async_trait]
impl Clock for MindedClock {
    fn now(&self) -> Timestamp {
        let now = self.clock.now();
        self.latest.fetch_max(now.as_millis(), Ordering::Relaxed);
        now
    }

    async fn sleep(&self, span: Span) {
        self.clock.sleep(span).await;
    }
}

impl MindedClock {
    /// By how much the clock was set back, if it was by more than is tolerated. What it shows from here on counts anew then.
    fn set_back(&self) -> Option<Span> {
        let now = self.clock.now();
        let by = Timestamp::from_millis(self.latest.load(Ordering::Relaxed)).since(now);
        if by <= TOLERATED {
            return None;
        }
        self.latest.store(now.as_millis(), Ordering::Relaxed);
        Some(by)
    }
}

impl ClockWatch {
    pub(crate) fn new(ports: &Ports, settings: &Arc<EngineSettings>, health: &Arc<Health>) -> Self {
        Self {
            store: ports.store.clone(),
            clock: Arc::new(MindedClock { clock: ports.clock.clone(), latest: AtomicU64::new(0) }),
            settings: settings.clone(),
            health: health.clone(),
            was_set_back: Arc::default(),
        }
    }

    /// The clock that the loops are to go by.
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// Tells the loops to stop when the clock has gone back.
    pub(crate) async fn run(self, halt: CancellationToken) -> Result<(), EngineError> {
        loop {
            tokio::select! {
                biased;
                () = halt.cancelled() => return Ok(()),
                () = self.clock.sleep(EVERY) => {}
            }
            if let Some(by) = self.clock.set_back() {
                tracing::warn!(by_ms = by.as_millis(), "the clock was set back; all loops start anew");
                self.health.clock_set_back(self.clock.now());
                self.was_set_back.store(true, Ordering::Relaxed);
                halt.cancel();
                return Ok(());
            }
        }
    }

    /// Whether the clock has gone back since this was asked last.
    pub(crate) fn take_set_back(&self) -> Known {
        if self.was_set_back.swap(false, Ordering::Relaxed) { Known::WasAhead } else { Known::Nothing }
    }

    /// Brings near whatever is put off for longer than anything ever is. To be called while no loop runs.
    pub(crate) async fn bring_near(&self, known: Known) -> Result<(), StoreError> {
        let now = self.clock.now();
        let known = match known {
            Known::WasAhead => known,
            Known::Nothing => self.what_is_stored_says(now).await?,
        };
        let mut brought = 0_usize;
        let mut conflicts = 0_usize;
        loop {
            let (commit, count) = self.too_far(known, now).await?;
            if commit.is_empty() {
                break;
            }
            match transaction::commit(&*self.store, commit).await {
                Ok(_) => (brought, conflicts) = (brought.saturating_add(count), 0),
                Err(StoreError::Conflict(what)) if conflicts < MOST_CONFLICTS => {
                    conflicts = conflicts.saturating_add(1);
                    tracing::debug!(what, "version conflict, retrying");
                }
                Err(StoreError::Conflict(what)) => {
                    tracing::warn!(
                        what,
                        "records that are due too far ahead keep changing; brought near at the next start"
                    );
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        if brought > 0 {
            tracing::warn!(records = brought, "the clock was ahead; what was put off too far by it is due now");
        }
        Ok(())
    }

    /// Whether the last life ended while the clock was ahead, as far as can be told from when things were learnt.
    async fn what_is_stored_says(&self, now: Timestamp) -> Result<Known, StoreError> {
        let mark = self.store.finality().await?;
        if mark.is_some_and(|mark| mark.at > now.plus(TOLERATED)) {
            return Ok(Known::WasAhead);
        }
        let after = now.plus(longest(&self.settings.pace, Known::WasAhead));
        for lane in [Lane::Complete, Lane::Follow] {
            let far = self.store.due_after(lane, after, BATCH).await?;
            if far.iter().any(|payment| was_ahead(payment, now)) {
                return Ok(Known::WasAhead);
            }
        }
        Ok(Known::Nothing)
    }

    /// Some of what is put off too far, with the moments at which it is looked at instead, and how much that is.
    async fn too_far(&self, known: Known, now: Timestamp) -> Result<(Commit, usize), StoreError> {
        let pace = &self.settings.pace;
        let after = now.plus(longest(pace, known));
        let mut commit = Commit::default();
        for lane in [Lane::Complete, Lane::Follow] {
            let far = self.store.due_after(lane, after, BATCH).await?;
            let near = far.into_iter().map(|it| Payment { next_at: Some(look_at(&it.state, now, pace)), ..it });
            commit.payments.extend(near);
        }
        for kind in [RecordKind::Payout, RecordKind::Candidate] {
            for record in self.store.records_due_after(kind, after, BATCH).await? {
                let at = match &record.body {
                    RecordBody::Payout(payout) => look_at_payout(&payout.state, now, pace),
                    _ => now,
                };
                commit.records.push(Record { next_at: Some(at), ..record });
            }
        }
        if let Some(rules) = &self.settings.funding {
            let most = longest_of_orders(&rules.pace);
            let is_far = |order: &Order| order.next_at.is_some_and(|at| is_too_far(at, now, most));
            let far = if_readable(self.store.open_orders().await)?.into_iter().filter(is_far).take(BATCH);
            commit.orders.extend(far.map(|order| Order { next_at: Some(now), ..order }));
        }
        let count = commit.payments.len().saturating_add(commit.records.len()).saturating_add(commit.orders.len());
        Ok((commit, count))
    }
}
