//! What the scanner does next: the moment from which each task is due, and the order in which due ones come.
//!
//! Deliberately absent: doing any of it, and where what is known comes from.

use super::finality::{Backlog, settles_later};
use crate::domain::chain::BlockNumber;
use crate::domain::time::{Span, Timestamp};

/// How much a sweep reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// All that is above the coverage.
    Whole,
    /// Only what is above the last sweep: that finds deposits, and adds nothing to the coverage.
    OnlyNew,
}

/// Something to do. In one turn each is done at most once, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// Ask for finality, because payments wait for it: they do not wait for the sweep of newer blocks.
    SettlePayments,
    /// Read to the head.
    Sweep(Extent),
    /// Ask for finality, for whatever waits.
    Settle,
    /// Go on with what is final and not settled yet. Behind what pays nothing there may be what pays: no more is brought in before.
    GoOnSettling,
    /// Catch up, read a second time, read a last time.
    ReadFurther,
    /// Wait.
    Rest,
}

/// What the order of tasks depends on besides the moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Whether the final block is known; the first sweep asks for it by itself.
    pub has_final: bool,
    /// Whether a deposit whose payment waits for finality is order.
    pub pays: bool,
    /// Whether addresses are being caught up with.
    pub catches_up: bool,
    /// Whether readings that are in no hurry may be made: the last that failed is long enough ago.
    pub may_read_further: bool,
}

/// The moments from which things are due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    pub sweep_at: Timestamp,
    /// When all that is above the coverage is to be swept. A sweep before that, for a new head alone, reads what is new.
    pub whole_at: Timestamp,
    /// Whether new heads are the only hints, and each of them has the newest blocks read.
    pub heads_only: bool,
    /// The highest block that was read.
    pub read_to: BlockNumber,
    /// The highest block that a transfer was hinted in and no reading has shown yet, and how often it was looked for.
    pub hinted: Option<(BlockNumber, u32)>,
    /// When finality is to be asked for; `None` when nothing waits for it, or no head has come since.
    pub ask_final_at: Option<Timestamp>,
    /// When it was asked for last.
    pub asked_final_at: Timestamp,
    /// The head that finality was last wanted for because it was new, and the earliest moment to ask.
    pub final_wanted: (BlockNumber, Timestamp),
    /// When what is final was settled to its end last.
    pub settled_at: Timestamp,
    /// Whether the last settling left some of what is final.
    pub unsettled: bool,
}

impl Schedule {
    /// The first due task that comes after this one in the turn's order; `None`: the turn begins. `now` is the turn's beginning.
    #[must_use]
    pub fn next(&self, after: Option<Task>, order: &Order, now: Timestamp) -> Task {
        let is_final_due = self.is_final_due(order, now);
        let is_due = |task: Task| match task {
            Task::SettlePayments => order.has_final && order.pays && is_final_due,
            Task::Sweep(_) => now >= self.sweep_at,
            Task::Settle => is_final_due,
            Task::GoOnSettling => self.unsettled,
            Task::ReadFurther => !self.unsettled && order.may_read_further,
            Task::Rest => true,
        };
        let whole = !self.heads_only || self.hinted.is_some() || now >= self.whole_at;
        let sweep = Task::Sweep(if whole { Extent::Whole } else { Extent::OnlyNew });
        let tasks = [Task::SettlePayments, sweep, Task::Settle, Task::GoOnSettling, Task::ReadFurther, Task::Rest];
        let rank = |task: Task| match task {
            Task::SettlePayments => 0_u8,
            Task::Sweep(_) => 1,
            Task::Settle => 2,
            Task::GoOnSettling => 3,
            Task::ReadFurther => 4,
            Task::Rest => 5,
        };
        let is_later = |task: &Task| after.is_none_or(|after| rank(*task) > rank(after));
        tasks.into_iter().filter(is_later).find(|task| is_due(*task)).unwrap_or(Task::Rest)
    }

    /// Whether finality is to be asked for now.
    #[must_use]
    pub fn is_final_due(&self, order: &Order, now: Timestamp) -> bool {
        self.ask_final_at.is_some_and(|at| now >= at) && !self.settles_later(order, now)
    }

    /// Whether settling may wait while others are caught up with.
    #[must_use]
    pub fn settles_later(&self, order: &Order, now: Timestamp) -> bool {
        let backlog = Backlog {
            catches_up: order.catches_up,
            pays: order.pays,
            unsettled: self.unsettled,
            settled_at: self.settled_at,
        };
        settles_later(&backlog, now)
    }

    /// A sweep that began at `now` is done; the next comes after this pause.
    pub fn swept(&mut self, extent: Extent, now: Timestamp, pause: Span) {
        if extent == Extent::Whole {
            self.whole_at = now.plus(pause);
        }
        self.sweep_at = self.whole_at.min(now.plus(pause));
    }

    /// All that is above the coverage is swept at this moment, if not before.
    pub fn sweep_whole_at(&mut self, at: Timestamp) {
        self.sweep_at = self.sweep_at.min(at);
        self.whole_at = self.whole_at.min(at);
    }

    /// A clock that was set back would put everything off by as much.
    pub fn set_back(&mut self, now: Timestamp) {
        self.sweep_whole_at(now);
        self.ask_final_at = self.ask_final_at.map(|at| at.min(now));
        self.asked_final_at = Timestamp::EPOCH;
    }

    /// Has finality asked for as soon as it is worth it: not more than once in `gap`, however often the store changes.
    pub fn want_final(&mut self, now: Timestamp, gap: Span) {
        self.ask_by(now.max(self.asked_final_at.plus(gap)));
    }

    /// Has finality asked for because this head is new. A question between two heads does not hold this one up; heads that come in
    /// a rush are asked for once in `gap`.
    pub fn want_final_of(&mut self, head: BlockNumber, now: Timestamp, gap: Span) {
        let (_, wanted_at) = self.final_wanted;
        let at = now.max(wanted_at.plus(gap));
        self.final_wanted = (head, at);
        self.ask_by(at);
    }

    fn ask_by(&mut self, at: Timestamp) {
        self.ask_final_at = Some(self.ask_final_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// When something is due next, these moments of others among them.
    #[must_use]
    pub fn due_at(&self, others: [Option<Timestamp>; 2]) -> Timestamp {
        others.into_iter().chain([self.ask_final_at]).flatten().fold(self.sweep_at, Timestamp::min)
    }
}
