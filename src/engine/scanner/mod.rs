//! Watches the chain: hints say when to look, the sweep says what is there (decision 3).
//!
//! One loop owns all reading. It waits for a hint, a change of the store or the timer, and then does what is due:
//! find the start block of new addresses, sweep to the head, ask for finality while something waits for it, catch
//! up, read a second time, and read a last time before an address is let go. A crash between any two lines costs a
//! repeated reading: coverage rises only in the commit that stores what was read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::address_repository::AddressRepository;
use super::health::Health;
use super::{EngineError, EngineSettings, Ports, Shared};
use crate::domain::chain::{Address, BlockNumber, Header};
use crate::domain::deposit::DepositKey;
use crate::domain::time::{Span, Timestamp};
use crate::planted::{Bug, planted};
use crate::policy::schedule::{Order, Schedule, Task};
use crate::policy::sweep::{self, Job};
use crate::policy::watch_index::WatchIndex;
use crate::ports::chain::{ChainError, EndpointId, EndpointNews};
use crate::ports::store::StoreError;

mod above_head;
mod absorb;
mod backoff;
mod finality;
mod hints;
mod malformed;
mod newest_deposits;
pub(super) mod place;
mod prefetch;
mod progress;
mod readings;
mod strays;
mod times;
mod unread;
mod watch_index;

use self::above_head::AboveHead;
use self::backoff::Backoff;
use self::newest_deposits::NewestDeposits;
use self::prefetch::Prefetch;
use self::progress::Progress;
use self::readings::{Deeper, MOST_SHORT};
use self::unread::Unread;

/// The first wait after a reading failed; doubled up to [`LONGEST_TROUBLE_WAIT`].
const FIRST_TROUBLE_WAIT: Span = Span::from_millis(250);
/// The longest wait after a reading failed.
const LONGEST_TROUBLE_WAIT: Span = Span::from_secs(15);
/// The longest wait after a node was only behind: it has the block soon.
const LONGEST_BEHIND_WAIT: Span = Span::from_secs(2);
/// How old a pushed head may be to serve as the head of a sweep.
const HEAD_SERVES_FOR: Span = Span::from_secs(10);
/// The furthest below the head that a sweep ends because nodes are behind, in blocks.
const MOST_STEP_BACK: u64 = 256;
/// The longest sleep, whatever is due.
const LONGEST_SLEEP: Span = Span::from_secs(60);

/// Why a piece of work was not done.
#[derive(Debug)]
enum Trouble {
    /// The chain could not be read: try again soon.
    Chain(ChainError),
    /// The store failed: stop.
    Store(StoreError),
}

impl From<ChainError> for Trouble {
    fn from(error: ChainError) -> Self {
        Self::Chain(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What the finality question is asked for, and how it stands.
#[derive(Debug, Default)]
struct Waiting {
    /// The lowest block that holds a deposit whose payment waits for finality.
    lowest: Option<BlockNumber>,
    /// Whether such a deposit is known. If not, there only are so many others that one may be behind them.
    pays: bool,
    /// Heads since the final block last moved.
    heads_without_news: u32,
    /// When the final block last moved, while something waited.
    moved_at: Option<Timestamp>,
}

/// Alarms that were raised since the start, so that a sweep a second does not raise them each time anew.
#[derive(Debug, Default)]
struct Told {
    withheld: BTreeSet<DepositKey>,
    malformed: BTreeSet<String>,
    /// What is still to be told of endpoints, by name.
    endpoints: Vec<(String, EndpointNews)>,
}

/// What is known of the chain, and how it has behaved lately.
#[derive(Debug, Default)]
struct ChainView {
    head: Option<(Header, Timestamp)>,
    /// Whether a block was asked for that the node has not got: then the head is asked for, however new the pushed one.
    head_unserved: bool,
    /// How far below the head the sweep ends, while blocks near the head are asked for in vain: behind a balancer the
    /// head and the logs can come from two nodes for ever.
    step_back: u64,
    last_final: Option<BlockNumber>,
    /// Whether the finalized block was the head when it was heard of last.
    tag_at_head: bool,
    /// Each endpoint's last word on the final block, and when it came.
    finals: BTreeMap<EndpointId, (BlockNumber, Timestamp)>,
    above_head: AboveHead,
    /// Blocks of which two endpoints say that they are no younger than this.
    confirmed: BTreeMap<BlockNumber, Timestamp>,
    hints_live: bool,
    /// An older and the newest head, with our clock when each came: what the block time is measured by.
    arrivals: Option<[(BlockNumber, Timestamp); 2]>,
    /// Times of blocks that were looked up to find start blocks.
    times: BTreeMap<BlockNumber, Timestamp>,
    /// The newest moment that our clock has shown.
    latest: Timestamp,
}

/// What is known of the store, and what was said already.
#[derive(Debug, Default)]
struct Known {
    /// The count of the store's changes of coverage up to which the watch index has them; `None` before the first reading.
    learnt: Option<u64>,
    /// The block of the newest deposit of each address: only those can miss from a reading.
    newest_deposits: NewestDeposits,
    /// Deposits that a provider withholds although their block stands, and logs that are no transfers: told already.
    told: Told,
}

/// The readings that are under way, and those that wait.
#[derive(Debug, Default)]
struct Readings {
    /// Which endpoint gave the last reading; the second one goes elsewhere.
    last_reader: Option<EndpointId>,
    /// What is being caught up with.
    prefetch: Prefetch,
    /// The readings that are in no hurry, after one of them failed or came to nothing.
    second_reading: Backoff,
    /// What is left of a last reading that is under way, piece by piece, so that the sweep to the head can go on in between. It
    /// is not stored: after a crash it begins anew.
    last_reading: Option<Job>,
    unread: Unread,
    /// Addresses of which a log was withheld, and until when others are caught up with and read again before them.
    resting: BTreeMap<Address, Timestamp>,
    /// Addresses whose start block could not be found, and when they are tried again.
    unplaced: BTreeSet<Address>,
    placing: Backoff,
}

pub(crate) struct Scanner {
    ports: Ports,
    settings: Arc<EngineSettings>,
    addresses: AddressRepository,
    health: Arc<Health>,
    tokens: Arc<Vec<Address>>,
    /// Every watched address, and how far it is swept.
    index: WatchIndex,
    view: ChainView,
    schedule: Schedule,
    waiting: Waiting,
    known: Known,
    readings: Readings,
    /// What should move.
    progress: Progress,
}

impl Scanner {
    pub(crate) fn new(shared: &Shared) -> Self {
        let Shared { ports, settings, addresses, health, .. } = shared.clone();
        Self {
            tokens: Arc::new(settings.tokens()),
            index: WatchIndex::new(settings.sweep.keep),
            ports,
            settings,
            addresses,
            health,
            view: ChainView::default(),
            schedule: Schedule::default(),
            waiting: Waiting::default(),
            known: Known::default(),
            readings: Readings::default(),
            progress: Progress::default(),
        }
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), EngineError> {
        let mut changes = self.ports.store.changes();
        let mut seen = *changes.borrow_and_update();
        self.load_tips().await?;
        if let Some(mark) = self.ports.store.finality().await? {
            self.ports.chain.go_on_from(mark.current.number, mark.at);
        }
        self.reload().await?;
        loop {
            self.health.beat("watcher", self.ports.clock.now());
            self.tell_endpoints().await?;
            let now = *changes.borrow_and_update();
            if Some(now.coverage) != self.known.learnt {
                self.reload().await?;
            }
            if now.payments != seen.payments || now.deposits != seen.deposits {
                self.find_waiting().await?;
            }
            seen = now;
            let done = self.work().await;
            self.mind_progress_after(&done).await?;
            let wait = match done {
                Ok(more) => {
                    self.worked();
                    if more { Span::ZERO } else { self.sleep_for() }
                }
                Err(Trouble::Store(error)) => {
                    self.health.update(|health| health.store_failed = Some(error.to_string()));
                    return Err(EngineError::Store(error));
                }
                Err(Trouble::Chain(error @ ChainError::Contradiction(_))) => return Err(EngineError::Chain(error)),
                Err(Trouble::Chain(error)) => self.troubled(&error),
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                hint = self.ports.chain.hint() => self.take_hints(hint),
                _ = changes.changed() => {}
                () = self.ports.clock.sleep(wait) => {}
            }
        }
    }

    /// One turn: does what is due, each task at most once. True when there is more to do at once.
    async fn work(&mut self) -> Result<bool, Trouble> {
        if self.index.is_empty() {
            return Ok(false);
        }
        self.mind_the_clock();
        self.place_new().await?;
        let now = self.ports.clock.now();
        let mut done = None;
        loop {
            let task = self.schedule.next(done, &self.order(now), now);
            match task {
                Task::SettlePayments | Task::Settle => self.ask_finality().await?,
                Task::Sweep(extent) => {
                    self.sweep_to_head(extent).await?;
                    let pause = self.pause();
                    self.schedule.swept(extent, now, pause);
                    let again = self.view.above_head.look_at(now);
                    again.into_iter().for_each(|at| self.schedule.sweep_whole_at(at));
                }
                Task::GoOnSettling => return Ok(true),
                Task::ReadFurther => return self.read_further().await,
                Task::Rest => return Ok(false),
            }
            done = Some(task);
        }
    }

    /// A piece of the readings that are in no hurry. A range that nobody can read, or that is withheld, must not slow down the sweep to
    /// the head. True when there may be more.
    async fn read_further(&mut self) -> Result<bool, Trouble> {
        let why = match self.read_deeper().await {
            Ok(Deeper::Nothing) => {
                self.readings.second_reading.worked();
                return Ok(false);
            }
            Ok(Deeper::Further) => {
                self.readings.second_reading.worked();
                return Ok(true);
            }
            Ok(Deeper::FarOff) => "what is called final is further off than a chain comes".to_owned(),
            Ok(Deeper::Stuck) => "a reading got nowhere: a log was withheld, or a record keeps changing".to_owned(),
            Err(Trouble::Chain(error)) if !matches!(error, ChainError::Contradiction(_)) => error.to_string(),
            Err(trouble) => return Err(trouble),
        };
        let wait = self.readings.second_reading.failed(self.ports.clock.now(), &why);
        self.note_trouble(&why);
        tracing::warn!(why, again_in_ms = wait.as_millis(), "catching up or reading again has to wait");
        Ok(false)
    }

    /// What the order of tasks depends on now.
    fn order(&self, now: Timestamp) -> Order {
        Order {
            has_final: self.view.last_final.is_some(),
            pays: self.waiting.pays,
            catches_up: self.readings.prefetch.is_under_way(),
            may_read_further: self.readings.second_reading.is_over(now),
        }
    }

    /// A clock that was set back would put everything off by as much.
    fn mind_the_clock(&mut self) {
        let now = self.ports.clock.now();
        if now < self.view.latest {
            tracing::warn!(by_ms = self.view.latest.since(now).as_millis(), "the clock was set back");
            self.schedule.set_back(now);
            self.waiting.moved_at = self.waiting.moved_at.map(|at| at.min(now));
            self.progress.set_back(now);
            (self.view.head, self.view.arrivals) = (None, None);
            self.readings.placing.end_at(now);
            self.readings.second_reading.end_at(now);
        }
        self.view.latest = now;
    }

    /// How long until the next sweep. A hinted transfer that the node has not shown yet is looked for again soon.
    fn pause(&self) -> Span {
        if planted(Bug::HintsAreEnough) && self.view.hints_live {
            return Span::from_secs(1_000_000);
        }
        let usual =
            sweep::pause(&self.index.leads(), self.view.hints_live, &self.settings.sweep).unwrap_or(LONGEST_SLEEP);
        if self.schedule.hinted.is_some() { usual.min(self.block_time()) } else { usual }
    }

    fn sleep_for(&self) -> Span {
        let now = self.ports.clock.now();
        let until = self.schedule.due_at([self.readings.placing.until(), self.readings.second_reading.until()]);
        if self.index.is_empty() {
            LONGEST_SLEEP
        } else {
            until.since(now).max(Span::from_millis(1)).min(LONGEST_SLEEP)
        }
    }

    fn worked(&mut self) {
        if self.progress.failures > 0 {
            tracing::info!(failures = self.progress.failures, "the chain can be read again");
            self.progress.failures = 0;
            self.view.head_unserved = false;
        }
        let aside = self.readings.second_reading.why().or_else(|| self.readings.placing.why()).cloned();
        let (due, is_idle, now) = (self.schedule.whole_at, self.index.is_empty(), self.ports.clock.now());
        self.health.update(|health| {
            health.chain_trouble = None;
            health.chain_aside = aside;
            // Where nobody is watched, everything is read.
            health.swept_at = if is_idle { Some(now) } else { health.swept_at };
            // A sweep that ended far below the head puts nothing off.
            if health.short_by <= MOST_SHORT {
                health.sweep_due = Some(due);
            }
        });
        // Without pushed heads the question has only the clock to go by.
        if self.waiting.lowest.is_some() && !self.view.hints_live {
            self.want_final();
        }
    }

    fn troubled(&mut self, error: &ChainError) -> Span {
        let is_behind = matches!(error, ChainError::Behind(_));
        let longest = if is_behind { LONGEST_BEHIND_WAIT } else { LONGEST_TROUBLE_WAIT };
        let wait = FIRST_TROUBLE_WAIT.doubled(self.progress.failures, longest);
        let wait = if planted(Bug::NoBackoff) { Span::from_millis(1) } else { wait };
        if is_behind {
            // A head that was pushed may be one that the node which answers has not got, or that never was.
            self.view.head_unserved = true;
            self.view.step_back = self.view.step_back.saturating_mul(2).clamp(1, MOST_STEP_BACK);
            self.view.times.clear();
        }
        self.progress.failures = self.progress.failures.saturating_add(1);
        let again_in_ms = wait.as_millis();
        // What repeats is told once; that it is over is told too.
        if self.progress.failures == 1 {
            tracing::warn!(%error, again_in_ms, "the chain could not be read");
        } else {
            tracing::debug!(%error, again_in_ms, "the chain still cannot be read");
        }
        let now = self.ports.clock.now();
        self.health.update(|health| {
            let since = health.chain_trouble.as_ref().map_or(now, |(since, _)| *since);
            health.chain_trouble = Some((since, error.to_string()));
        });
        // What was due stays due, but not before the wait is over: hints alone do not hurry a node that fails.
        self.schedule.sweep_at = now.plus(wait);
        wait
    }
}

/// A number as a metric's value. Block numbers stay below 2^32 for longer than this program lives.
fn gauge(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
