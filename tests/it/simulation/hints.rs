//! The subscription: what it tells of new blocks and transfers, late, twice, or not at all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rampwatch::domain::chain::{Header, Transfer};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::ports::chain::{Hint, WatchSet};
use rampwatch::ports::clock::Clock;
use tokio::sync::Notify;

use super::clock::SimClock;
use super::only::Chaos;
use super::rng::Rng;
use super::weather::Fault;
use super::world::World;

/// Hands what happens on the chain to the subscription of the life that is on.
pub(super) struct HintHub {
    seed: u64,
    current: Mutex<Option<Arc<HintQueue>>>,
}

impl HintHub {
    /// Nobody listens yet.
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, current: Mutex::new(None) }
    }

    /// A new process connects; the old one's connection is gone.
    pub(super) fn connect(&self, life: u64, clock: SimClock) -> Arc<HintQueue> {
        let rng = Rng::stream(self.seed, &format!("hints of life {life}"));
        let inner = Inner { waiting: BTreeMap::new(), order: 0, set: WatchSet::default(), down: false, rng };
        let queue = Arc::new(HintQueue { clock, inner: Mutex::new(inner), news: Notify::new() });
        *self.current.lock().expect("one thread") = Some(Arc::clone(&queue));
        queue
    }

    /// A block has been added to the chain.
    pub(super) fn announce(&self, world: &World, header: Header, transfers: &[Transfer]) {
        let queue = self.current.lock().expect("one thread").clone();
        if let Some(queue) = queue {
            queue.announce(world, header, transfers);
        }
    }
}

impl HintHub {
    /// Transfers are on the chain no more: the subscription sends their logs again, as removed.
    pub(super) fn take_back(&self, world: &World, transfers: &[Transfer]) {
        let queue = self.current.lock().expect("one thread").clone();
        if let Some(queue) = queue {
            queue.take_back(world, transfers);
        }
    }
}

/// The hints on their way to one life.
pub(super) struct HintQueue {
    clock: SimClock,
    inner: Mutex<Inner>,
    news: Notify,
}

struct Inner {
    waiting: BTreeMap<(Timestamp, u64), Hint>,
    order: u64,
    set: WatchSet,
    down: bool,
    rng: Rng,
}

impl Inner {
    fn push(&mut self, at: Timestamp, hint: Hint) {
        self.order += 1;
        self.waiting.insert((at, self.order), hint);
    }
}

impl HintQueue {
    /// What is asked for from now on.
    pub(super) fn watch(&self, set: WatchSet) {
        let mut inner = self.inner.lock().expect("one thread");
        if set.recipients.is_empty() {
            inner.waiting.clear();
        } else if inner.set != set && !inner.down {
            let at = self.clock.now().plus(Span::from_millis(inner.rng.range(50, 900)));
            inner.push(at, Hint::Live);
        }
        inner.set = set;
        self.news.notify_one();
    }

    /// The next hint. Safe to drop and call again: a hint is taken only when it is returned.
    pub(super) async fn next(&self) -> Hint {
        loop {
            let first = self.inner.lock().expect("one thread").waiting.keys().next().copied();
            match first {
                Some((at, order)) if at <= self.clock.now() => {
                    let taken = self.inner.lock().expect("one thread").waiting.remove(&(at, order));
                    if let Some(hint) = taken {
                        return hint;
                    }
                }
                Some((at, _)) => {
                    tokio::select! {
                        biased;
                        () = self.clock.until(at) => {}
                        () = self.news.notified() => {}
                    }
                }
                None => self.news.notified().await,
            }
        }
    }

    fn take_back(&self, world: &World, transfers: &[Transfer]) {
        let mut inner = self.inner.lock().expect("one thread");
        let elapsed = self.clock.elapsed();
        let silent = world.weather.is(elapsed, Fault::HintsDown) || world.weather.is(elapsed, Fault::HintsSilent);
        for hint in inner.of_transfers(transfers) {
            if !silent {
                world.count("hints: taken back");
                inner.send(world, self.clock.now(), &hint);
            }
        }
        self.news.notify_one();
    }

    fn announce(&self, world: &World, header: Header, transfers: &[Transfer]) {
        let mut inner = self.inner.lock().expect("one thread");
        if inner.set.recipients.is_empty() {
            return;
        }
        let now = self.clock.now();
        let elapsed = self.clock.elapsed();
        let is_down = world.weather.is(elapsed, Fault::HintsDown);
        if is_down != inner.down {
            inner.down = is_down;
            world.count("hints: down");
            let hint = if is_down { Hint::Down { why: "simulated".to_owned() } } else { Hint::Live };
            inner.push(now, hint);
        }
        if is_down || world.weather.is(elapsed, Fault::HintsSilent) {
            world.count("hints: silent");
            return;
        }
        let mut hints = vec![Hint::Head(header)];
        hints.extend(inner.of_transfers(transfers));
        for hint in hints {
            inner.send(world, now, &hint);
        }
        self.news.notify_one();
    }
}

impl Inner {
    /// A hint for each transfer that was asked for.
    fn of_transfers(&self, transfers: &[Transfer]) -> Vec<Hint> {
        let asked = |transfer: &&Transfer| {
            !self.set.heads_only
                && self.set.recipients.contains(&transfer.to)
                && self.set.tokens.contains(&transfer.token)
        };
        transfers.iter().filter(asked).map(|transfer| Hint::Transfer { block: transfer.block.number }).collect()
    }

    fn send(&mut self, world: &World, now: Timestamp, hint: &Hint) {
        let fate = self.rng.below(100);
        let fate = if world.fails(Chaos::Hints) { fate } else { 99 };
        let soon = now.plus(Span::from_millis(self.rng.range(10, 300)));
        let late = now.plus(Span::from_millis(self.rng.range(3_000, 40_000)));
        match fate {
            0..4 => world.count("hints: one lost"),
            4..8 => {
                world.count("hints: one twice");
                self.push(soon, hint.clone());
                self.push(late, hint.clone());
            }
            8..12 => {
                world.count("hints: one late");
                self.push(late, hint.clone());
            }
            12 => {
                world.count("hints: gap");
                self.push(soon, Hint::Gap { why: "simulated".to_owned() });
            }
            _ => self.push(soon, hint.clone()),
        }
    }
}
