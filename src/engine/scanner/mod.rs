//! Watches the chain: hints say when to look, the sweep says what is there (decision 3).
//!
//! One loop owns all reading. It waits for a hint, a change of the store or the timer, and then does what is due:
//! find the start block of new addresses, sweep to the head, ask for finality while something waits for it, catch
//! up, read a second time, and read a last time before an address is let go. A crash between any two lines costs a
//! repeated reading: coverage rises only in the commit that stores what was read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::health::Health;
use super::ledger::Ledger;
use super::{EngineError, EngineSettings, Ports};
use crate::domain::chain::{Address, BlockNumber, Header};
use crate::domain::deposit::DepositKey;
use crate::domain::time::{Span, Timestamp};
use crate::planted::{Bug, planted};
use crate::policy::finality::{Backlog, settles_later};
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

pub(crate) struct Scanner {
    ports: Ports,
    settings: Arc<EngineSettings>,
    ledger: Ledger,
    health: Arc<Health>,
    stop: CancellationToken,
    tokens: Arc<Vec<Address>>,
    /// Every watched address, and how far it is swept.
    index: WatchIndex,
    /// The count of the store's changes of coverage up to which the watch index has them; `None` before the first reading.
    learnt: Option<u64>,
    head: Option<(Header, Timestamp)>,
    /// What should move.
    progress: Progress,
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
    waiting: Waiting,
    hints_live: bool,
    /// The block of the newest deposit of each address: only those can miss from a reading.
    newest_deposits: NewestDeposits,
    /// An older and the newest head, with our clock when each came: what the block time is measured by.
    arrivals: Option<[(BlockNumber, Timestamp); 2]>,
    /// Times of blocks that were looked up to find start blocks.
    times: BTreeMap<BlockNumber, Timestamp>,
    /// Deposits that a provider withholds although their block stands, and logs that are no transfers: told already.
    told: Told,
    /// Addresses of which a log was withheld, and until when others are caught up with and read again before them.
    resting: BTreeMap<Address, Timestamp>,
    /// Which endpoint gave the last reading; the second one goes elsewhere.
    last_reader: Option<EndpointId>,
    sweep_at: Timestamp,
    /// When all that is above the coverage is to be swept. A sweep before that, for a new head alone, reads what is new.
    whole_at: Timestamp,
    /// Whether new heads are the only hints, and each of them has the newest blocks read.
    heads_only: bool,
    /// The highest block that was read.
    read_to: BlockNumber,
    /// When finality is to be asked for; `None` when nothing waits for it, or no head has come since.
    ask_final_at: Option<Timestamp>,
    /// When it was asked for last.
    asked_final_at: Timestamp,
    /// When what is final was settled to its end last.
    settled_at: Timestamp,
    /// Whether the last settling left some of what is final.
    unsettled: bool,
    /// The head that finality was last wanted for because it was new, and the earliest moment to ask.
    final_wanted: (BlockNumber, Timestamp),
    /// The highest block that a transfer was hinted in and no reading has shown yet, and how often it was looked for.
    hinted: Option<(BlockNumber, u32)>,
    failures: u32,
    /// Addresses whose start block could not be found, and when they are tried again.
    unplaced: BTreeSet<Address>,
    placing: Backoff,
    /// The readings that are in no hurry, after one of them failed or came to nothing.
    second_reading: Backoff,
    /// What is left of a last reading that is under way, piece by piece, so that the sweep to the head can go on in between. It
    /// is not stored: after a crash it begins anew.
    last_reading: Option<Job>,
    /// What is being caught up with.
    prefetch: Prefetch,
    unread: Unread,
    /// The newest moment that our clock has shown.
    latest: Timestamp,
}

impl Scanner {
    pub(crate) fn new(
        ports: Ports,
        settings: Arc<EngineSettings>,
        ledger: Ledger,
        health: Arc<Health>,
        stop: CancellationToken,
    ) -> Self {
        let tokens = settings.tokens();
        let index = WatchIndex::new(settings.sweep.keep);
        Self {
            ports,
            settings,
            ledger,
            health,
            stop,
            tokens: Arc::new(tokens),
            index,
            learnt: None,
            head: None,
            progress: Progress::default(),
            head_unserved: false,
            step_back: 0,
            last_final: None,
            tag_at_head: false,
            finals: BTreeMap::new(),
            above_head: AboveHead::default(),
            confirmed: BTreeMap::new(),
            waiting: Waiting::default(),
            hints_live: false,
            newest_deposits: NewestDeposits::default(),
            arrivals: None,
            times: BTreeMap::new(),
            told: Told::default(),
            resting: BTreeMap::new(),
            last_reader: None,
            sweep_at: Timestamp::EPOCH,
            whole_at: Timestamp::EPOCH,
            heads_only: false,
            read_to: 0,
            ask_final_at: None,
            asked_final_at: Timestamp::EPOCH,
            settled_at: Timestamp::EPOCH,
            unsettled: false,
            final_wanted: (0, Timestamp::EPOCH),
            hinted: None,
            failures: 0,
            unplaced: BTreeSet::new(),
            placing: Backoff::default(),
            second_reading: Backoff::default(),
            last_reading: None,
            prefetch: Prefetch::default(),
            unread: Unread::default(),
            latest: Timestamp::EPOCH,
        }
    }

    pub(crate) async fn run(mut self) -> Result<(), EngineError> {
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
            if Some(now.coverage) != self.learnt {
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
                () = self.stop.cancelled() => return Ok(()),
                hint = self.ports.chain.hint() => self.take_hints(hint),
                _ = changes.changed() => {}
                () = self.ports.clock.sleep(wait) => {}
            }
        }
    }

    /// Does what is due. True when there is more to do at once.
    async fn work(&mut self) -> Result<bool, Trouble> {
        if self.index.is_empty() {
            return Ok(false);
        }
        self.mind_the_clock();
        self.place_new().await?;
        let now = self.ports.clock.now();
        // Payments do not wait for the sweep of newer blocks; what pays nothing does. The first sweep asks by itself.
        if self.last_final.is_some() && self.waiting.pays && self.is_final_due(now) {
            self.ask_finality().await?;
        }
        if now >= self.sweep_at {
            let is_whole = !self.heads_only || self.hinted.is_some() || now >= self.whole_at;
            self.sweep_to_head(is_whole).await?;
            if is_whole {
                self.whole_at = now.plus(self.pause());
            }
            self.sweep_at = self.whole_at.min(now.plus(self.pause()));
            self.above_head.look_at(now).into_iter().for_each(|at| self.sweep_whole_at(at));
        }
        if self.is_final_due(now) {
            self.ask_finality().await?;
        }
        // Behind what pays nothing there may be what pays: no more is brought in before all of it is settled.
        if self.unsettled {
            return Ok(true);
        }
        if !self.second_reading.is_over(now) {
            return Ok(false);
        }
        // A range that nobody can read, or that is withheld, must not slow down the sweep to the head.
        let why = match self.read_deeper().await {
            Ok(Deeper::Nothing) => {
                self.second_reading.worked();
                return Ok(false);
            }
            Ok(Deeper::Further) => {
                self.second_reading.worked();
                return Ok(true);
            }
            Ok(Deeper::FarOff) => "what is called final is further off than a chain comes".to_owned(),
            Ok(Deeper::Stuck) => "a reading got nowhere: a log was withheld, or a record keeps changing".to_owned(),
            Err(Trouble::Chain(error)) if !matches!(error, ChainError::Contradiction(_)) => error.to_string(),
            Err(trouble) => return Err(trouble),
        };
        let wait = self.second_reading.failed(self.ports.clock.now(), &why);
        self.note_trouble(&why);
        tracing::warn!(why, again_in_ms = wait.as_millis(), "catching up or reading again has to wait");
        Ok(false)
    }

    /// Whether finality is to be asked for now.
    fn is_final_due(&self, now: Timestamp) -> bool {
        self.ask_final_at.is_some_and(|at| now >= at) && !self.settles_later(now)
    }

    fn settles_later(&self, now: Timestamp) -> bool {
        let backlog = Backlog {
            catches_up: self.prefetch.is_under_way(),
            pays: self.waiting.pays,
            unsettled: self.unsettled,
            settled_at: self.settled_at,
        };
        settles_later(&backlog, now)
    }

    /// A clock that was set back would put everything off by as much.
    fn mind_the_clock(&mut self) {
        let now = self.ports.clock.now();
        if now < self.latest {
            tracing::warn!(by_ms = self.latest.since(now).as_millis(), "the clock was set back");
            self.sweep_whole_at(now);
            self.ask_final_at = self.ask_final_at.map(|at| at.min(now));
            self.asked_final_at = Timestamp::EPOCH;
            self.waiting.moved_at = self.waiting.moved_at.map(|at| at.min(now));
            (self.head, self.arrivals) = (None, None);
            self.placing.end_at(now);
            self.second_reading.end_at(now);
        }
        self.latest = now;
    }

    /// All that is above the coverage is swept at this moment, if not before.
    fn sweep_whole_at(&mut self, at: Timestamp) {
        self.sweep_at = self.sweep_at.min(at);
        self.whole_at = self.whole_at.min(at);
    }

    /// How long until the next sweep. A hinted transfer that the node has not shown yet is looked for again soon.
    fn pause(&self) -> Span {
        if planted(Bug::HintsAreEnough) && self.hints_live {
            return Span::from_secs(1_000_000);
        }
        let usual = sweep::pause(&self.index.leads(), self.hints_live, &self.settings.sweep).unwrap_or(LONGEST_SLEEP);
        if self.hinted.is_some() { usual.min(self.block_time()) } else { usual }
    }

    fn sleep_for(&self) -> Span {
        let now = self.ports.clock.now();
        let others = [self.ask_final_at, self.placing.until(), self.second_reading.until()];
        let until = others.into_iter().flatten().fold(self.sweep_at, Timestamp::min);
        if self.index.is_empty() {
            LONGEST_SLEEP
        } else {
            until.since(now).max(Span::from_millis(1)).min(LONGEST_SLEEP)
        }
    }

    fn worked(&mut self) {
        if self.failures > 0 {
            tracing::info!(failures = self.failures, "the chain can be read again");
            self.failures = 0;
            self.head_unserved = false;
        }
        let aside = self.second_reading.why().or_else(|| self.placing.why()).cloned();
        let (due, is_idle, now) = (self.whole_at, self.index.is_empty(), self.ports.clock.now());
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
        if self.waiting.lowest.is_some() && !self.hints_live {
            self.want_final();
        }
    }

    fn troubled(&mut self, error: &ChainError) -> Span {
        let factor = 1_u64.checked_shl(self.failures.min(16)).unwrap_or(u64::MAX);
        let is_behind = matches!(error, ChainError::Behind(_));
        let longest = if is_behind { LONGEST_BEHIND_WAIT } else { LONGEST_TROUBLE_WAIT };
        let wait = FIRST_TROUBLE_WAIT.times(factor).min(longest);
        let wait = if planted(Bug::NoBackoff) { Span::from_millis(1) } else { wait };
        if is_behind {
            // A head that was pushed may be one that the node which answers has not got, or that never was.
            self.head_unserved = true;
            self.step_back = self.step_back.saturating_mul(2).clamp(1, MOST_STEP_BACK);
            self.times.clear();
        }
        self.failures = self.failures.saturating_add(1);
        let again_in_ms = wait.as_millis();
        // What repeats is told once; that it is over is told too.
        if self.failures == 1 {
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
        self.sweep_at = now.plus(wait);
        wait
    }
}

/// A number as a metric's value. Block numbers stay below 2^32 for longer than this program lives.
fn gauge(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
