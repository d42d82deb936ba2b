//! One loop for every worker that takes due items: [`run`] gives a [`Worker`] its turns, and a [`Pool`] is the worker that works on
//! many items of a [`Queue`] at once.
//!
//! What holds for all of them stands here and nowhere else:
//! - **Heartbeat**: each turn is told to [`Health`] (`rampwatch_worker_heartbeat_timestamp_seconds`, `/readyz`). None sleeps for longer
//!   than [`LONGEST_WAIT`], unless all of its places are taken; every call that takes one has a time limit.
//! - **Waking up**: the store's changes are noted before a turn, so none that comes during it is slept over.
//! - **Stop**: nothing new is begun, and what is under way is finished.
//! - **Panic**: a defect. The engine ends with the worker's name, and the others are told to stop: what a worker that broke off has left
//!   in the store is for the next start, as after a crash. Nothing is tried again by the process that panicked.
//! - **A store that fails** ends the engine. A record that does not read puts its item aside until the next start, and it alone.
//!
//! Three loops do not fit. The scanner has tasks instead of items, and chooses among them by what it has just read;
//! `clock_watch` stops all the others; `put_aside` waits for one counter, and has nothing that is due.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Display;
use std::future::{Future, pending, ready};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::circuit_breaker::{CallKind, CircuitBreaker, Permit};
use super::health::Health;
use super::{EngineError, Ports, Shared};
use crate::domain::time::{Span, Timestamp};
use crate::ports::clock::Clock;
use crate::ports::store::{Changes, StoreError};

/// The longest wait before the store is looked at again, whatever it says is due.
pub(crate) const LONGEST_WAIT: Span = Span::from_secs(60);

/// How long found items are worked off before the store is read again. What has become of one meanwhile is found out when it is
/// written to: the state is the queue, and this is only a look at it.
const FOUND_FOR: Span = Span::from_secs(2);

/// The least wait while items that are due are under way, and would make the wait none at all.
const BREATH: Span = Span::from_millis(50);

/// The least wait while an item that is due is put aside, which it stays.
const ASIDE_BREATH: Span = Span::from_secs(1);

/// After what pause a change of the store, from what it was before the turn, calls for the next turn; `None`: it does not.
pub(crate) type Wakes = fn(&Changes, &Changes) -> Option<Span>;

pub(crate) const fn any_change(_: &Changes, _: &Changes) -> Option<Span> {
    Some(Span::ZERO)
}

pub(crate) const fn no_change(_: &Changes, _: &Changes) -> Option<Span> {
    None
}

/// What a worker waits for after a turn.
#[derive(Clone, Copy)]
pub(crate) struct Rest {
    /// The next turn comes after this time; `None`: only for something that happens.
    pub(crate) wait: Option<Span>,
    pub(crate) wakes: Wakes,
}

impl Rest {
    /// At most [`LONGEST_WAIT`], so that the heartbeat goes on: a turn may find nothing due.
    pub(crate) fn until(wait: Span, wakes: Wakes) -> Self {
        Self { wait: Some(wait.min(LONGEST_WAIT)), wakes }
    }
}

/// Somebody who does what is due, turn by turn.
pub(crate) trait Worker: Send {
    /// What it is called in `/readyz` and in the metrics.
    fn name(&self) -> &str;

    /// Does what is due. `seen` is how the store stood before.
    fn turn(
        &mut self,
        seen: &Changes,
        stop: &CancellationToken,
    ) -> impl Future<Output = Result<Rest, EngineError>> + Send;

    /// Ends when something has happened that calls for a turn. Called anew after each turn; may be dropped at any await.
    fn event(&mut self) -> impl Future<Output = Result<(), EngineError>> + Send {
        pending()
    }

    /// Whether something is under way that is to be finished before it stops.
    fn is_busy(&self) -> bool {
        false
    }

    /// The last thing before it stops.
    fn finish(&mut self) -> impl Future<Output = Result<(), EngineError>> + Send {
        ready(Ok(()))
    }
}

/// Gives a worker its turns until `stop` is cancelled.
pub(crate) async fn run(
    mut worker: impl Worker,
    ports: Ports,
    health: Arc<Health>,
    stop: CancellationToken,
) -> Result<(), EngineError> {
    let ended = turns(&mut worker, &ports, &health, &stop).await;
    if let Err(EngineError::Store(error)) = &ended {
        health.update(|health| health.store_failed = Some(error.to_string()));
    }
    ended
}

async fn turns(
    worker: &mut impl Worker,
    ports: &Ports,
    health: &Health,
    stop: &CancellationToken,
) -> Result<(), EngineError> {
    let mut changes = ports.store.changes();
    loop {
        health.beat(worker.name(), ports.clock.now());
        let seen = *changes.borrow_and_update();
        let Rest { wait, wakes } = worker.turn(&seen, stop).await?;
        if stop.is_cancelled() && !worker.is_busy() {
            return worker.finish().await;
        }
        tokio::select! {
            biased;
            happened = worker.event() => happened?,
            () = stop.cancelled(), if !stop.is_cancelled() => {}
            () = news(&mut changes, seen, wakes, &*ports.clock) => {}
            () = ports.clock.sleep(wait.unwrap_or_default()), if wait.is_some() => {}
        }
    }
}

/// Ends when the store has changed since `seen` in a way that wakes. A turn that changed something itself is followed by another,
/// which finds nothing new; that is the price for never sleeping over somebody else's change.
async fn news(changes: &mut watch::Receiver<Changes>, seen: Changes, wakes: Wakes, clock: &dyn Clock) {
    loop {
        let now = *changes.borrow_and_update();
        match wakes(&seen, &now).filter(|_| now != seen) {
            Some(Span::ZERO) => return,
            Some(pause) => return clock.sleep(pause).await,
            None if changes.changed().await.is_err() => return pending().await,
            None => {}
        }
    }
}

/// Workers that run together: when one fails or ends unasked, the others are told to stop, and all are waited for.
pub(crate) struct Crew {
    tasks: JoinSet<Result<(), EngineError>>,
    halt: CancellationToken,
}

impl Crew {
    pub(crate) fn new(halt: CancellationToken) -> Self {
        Self { tasks: JoinSet::new(), halt }
    }

    pub(crate) fn spawn(
        &mut self,
        name: &'static str,
        worker: impl Future<Output = Result<(), EngineError>> + Send + 'static,
    ) {
        let halt = self.halt.clone();
        self.tasks.spawn(async move {
            match AssertUnwindSafe(worker).catch_unwind().await {
                Ok(Ok(())) if !halt.is_cancelled() => Err(EngineError::Ended(name)),
                Ok(ended) => ended,
                Err(_) => Err(EngineError::Panicked(name)),
            }
        });
    }

    pub(crate) fn spawn_worker(
        &mut self,
        name: &'static str,
        worker: impl Worker + 'static,
        ports: &Ports,
        health: &Arc<Health>,
    ) {
        self.spawn(name, run(worker, ports.clone(), health.clone(), self.halt.clone()));
    }

    pub(crate) fn spawn_pool<Q: Queue>(&mut self, queue: Q, shared: &Shared) {
        let pool = Pool::new(queue, &shared.breaker, &shared.ports.clock);
        self.spawn_worker(Q::NAME, pool, &shared.ports, &shared.health);
    }

    /// The first failure, once all have ended.
    pub(crate) async fn join(mut self) -> Result<(), EngineError> {
        let mut outcome = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            outcome = outcome.and(ended.unwrap_or(Err(EngineError::Ended("worker"))));
            self.halt.cancel();
        }
        outcome
    }
}

/// Items that come due, and how one is worked on.
pub(crate) trait Queue: Send + Sync + 'static {
    type Item: Send + 'static;
    type Key: Clone + Ord + Display + Send + Sync + 'static;

    /// What the worker is called.
    const NAME: &'static str;
    /// The kind of calls that its items come to.
    const CALLS: CallKind;
    /// How many due items are read at once, at least.
    const BATCH: usize;

    fn key(item: &Self::Item) -> Self::Key;

    /// The items that are due, the earliest first.
    fn due(&self, now: Timestamp, limit: usize) -> impl Future<Output = Result<Vec<Self::Item>, StoreError>> + Send;

    /// When the next item can be worked on, as far as the store and the circuit breaker tell.
    fn next_due(&self, now: Timestamp) -> impl Future<Output = Result<Option<Timestamp>, StoreError>> + Send;

    /// How many may be under way at once.
    fn at_once(&self) -> usize;

    /// Whether work on the item calls the API: then it needs a permit.
    fn calls(_: &Self::Item) -> bool {
        true
    }

    /// For how long a call that an earlier process has made, or this one a moment ago, may still take effect.
    fn settles_after(&self) -> Span {
        Span::ZERO
    }

    /// Whether a call was made for the item whose fate is not known. None is looked into before it can no longer take effect: at the
    /// start, however long ago it was decided, for the process may have been frozen in between.
    fn was_called(_: &Self::Item) -> bool {
        false
    }

    /// Whether a call that this process has made may still take effect.
    fn is_unsettled(&self, _: &Self::Key) -> bool {
        false
    }

    /// The time for that has really passed; the clock may have been set meanwhile, and show that it has long passed.
    fn settled(&self, _: &Self::Key) {}

    /// Whether more items are due than may be under way.
    fn note_backlog(&self, _: bool) {}

    fn work(&self, item: Self::Item, permit: Permit) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Works on many items of a queue at once, as far as the circuit breaker permits.
pub(crate) struct Pool<Q: Queue> {
    queue: Arc<Q>,
    breaker: Arc<CircuitBreaker>,
    clock: Arc<dyn Clock>,
    found: VecDeque<Q::Item>,
    found_at: Timestamp,
    under_way: BTreeSet<Q::Key>,
    /// What goes by a record that does not read. Nobody can mend one while the store is open.
    aside: BTreeSet<Q::Key>,
    /// Each is a task, so that many use all of the machine. Dropping the set ends them.
    jobs: JoinSet<(Q::Key, Result<(), StoreError>)>,
    /// Ends when calls can no longer take effect: that of the item, or, without a key, all that were found at the start.
    settling: FuturesUnordered<BoxFuture<'static, Option<Q::Key>>>,
    start_settled: bool,
}

impl<Q: Queue> Pool<Q> {
    pub(crate) fn new(queue: Q, breaker: &Arc<CircuitBreaker>, clock: &Arc<dyn Clock>) -> Self {
        let mut pool = Self {
            queue: Arc::new(queue),
            breaker: breaker.clone(),
            clock: clock.clone(),
            found: VecDeque::new(),
            found_at: Timestamp::EPOCH,
            under_way: BTreeSet::new(),
            aside: BTreeSet::new(),
            jobs: JoinSet::new(),
            settling: FuturesUnordered::new(),
            start_settled: true,
        };
        if pool.queue.settles_after() > Span::ZERO {
            pool.start_settled = false;
            pool.settle(None);
        }
        pool
    }

    fn settle(&mut self, key: Option<Q::Key>) {
        let (clock, after) = (self.clock.clone(), self.queue.settles_after());
        self.settling.push(Box::pin(async move {
            clock.sleep(after).await;
            key
        }));
    }

    /// Looks for items that are due and may be worked upon; those that need no call come first.
    async fn find(&mut self, free: usize) -> Result<(), StoreError> {
        let now = self.clock.now();
        if !self.found.is_empty() && self.found_at <= now && now.since(self.found_at) < FOUND_FOR {
            return Ok(());
        }
        let limit = Q::BATCH.max(self.under_way.len().saturating_add(free)).saturating_add(self.aside.len());
        let mut due = self.queue.due(now, limit).await?;
        due.retain(|item| {
            let key = Q::key(item);
            let is_free = !self.under_way.contains(&key) && !self.aside.contains(&key);
            is_free && (!Q::was_called(item) || (self.start_settled && !self.queue.is_unsettled(&key)))
        });
        let (calling, others): (Vec<_>, Vec<_>) = due.into_iter().partition(Q::calls);
        (self.found, self.found_at) = (others.into_iter().chain(calling).collect(), now);
        Ok(())
    }

    /// Begins to work on what was found, as far as there are places and permits. Returns whether anything was begun.
    fn begin(&mut self, free: usize) -> bool {
        let others = self.found.iter().take_while(|item| !Q::calls(item)).count().min(free);
        let calling = self.found.len().saturating_sub(others);
        let left = free.saturating_sub(others);
        // A probe is taken by asking for a permit, so one is asked for only with something to call for.
        let permit = if calling == 0 || left == 0 { Permit::None } else { self.breaker.permit(Q::CALLS) };
        let most = match permit {
            Permit::All => left.min(calling),
            Permit::Probe => 1,
            Permit::None => 0,
        };
        self.queue.note_backlog(calling > most && permit == Permit::All);
        let begun: Vec<Q::Item> = self.found.drain(..others.saturating_add(most)).collect();
        let any = !begun.is_empty();
        for item in begun {
            let permit = if Q::calls(&item) { permit } else { Permit::All };
            self.spawn(item, permit);
        }
        any
    }

    fn spawn(&mut self, item: Q::Item, permit: Permit) {
        let (queue, breaker, key) = (self.queue.clone(), self.breaker.clone(), Q::key(&item));
        self.under_way.insert(key.clone());
        self.jobs.spawn(async move {
            // The breaker may have opened since the permit was given.
            let is_shut = permit == Permit::All && Q::calls(&item) && breaker.open_until(Q::CALLS).is_some();
            let result = if is_shut { Ok(()) } else { queue.work(item, permit).await };
            (key, result)
        });
    }

    async fn wait(&mut self) -> Result<Span, StoreError> {
        let now = self.clock.now();
        let next = self.queue.next_due(now).await?.map_or(LONGEST_WAIT, |at| at.since(now).min(LONGEST_WAIT));
        Ok(next.max(match (self.is_busy() || !self.settling.is_empty(), self.aside.is_empty()) {
            (true, _) => BREATH,
            (false, false) => ASIDE_BREATH,
            (false, true) => Span::from_millis(1),
        }))
    }

    fn ended(&mut self, key: Q::Key, result: Result<(), StoreError>) -> Result<(), StoreError> {
        self.under_way.remove(&key);
        match result {
            Err(StoreError::Corrupt(what)) => {
                tracing::error!(of = %key, what, "stands still: what it goes by holds a record that does not read");
                self.aside.insert(key.clone());
            }
            other => other?,
        }
        if self.queue.is_unsettled(&key) {
            self.settle(Some(key));
        }
        Ok(())
    }
}

impl<Q: Queue> Worker for Pool<Q> {
    fn name(&self) -> &str {
        Q::NAME
    }

    async fn turn(&mut self, _: &Changes, stop: &CancellationToken) -> Result<Rest, EngineError> {
        let free = self.queue.at_once().saturating_sub(self.jobs.len());
        if free == 0 || stop.is_cancelled() {
            return Ok(Rest { wait: None, wakes: no_change });
        }
        self.find(free).await?;
        let wait = if self.begin(free) { LONGEST_WAIT } else { self.wait().await? };
        Ok(Rest::until(wait, any_change))
    }

    async fn event(&mut self) -> Result<(), EngineError> {
        tokio::select! {
            biased;
            Some(ended) = self.jobs.join_next(), if !self.jobs.is_empty() => {
                let (key, result) = ended.map_err(|_| EngineError::Panicked(Q::NAME))?;
                Ok(self.ended(key, result)?)
            }
            Some(settled) = self.settling.next(), if !self.settling.is_empty() => {
                match settled {
                    None => self.start_settled = true,
                    Some(key) => self.queue.settled(&key),
                }
                Ok(())
            }
            else => pending().await,
        }
    }

    fn is_busy(&self) -> bool {
        !self.jobs.is_empty()
    }
}
