//! Takes the hints, and measures by the heads among them how fast the chain goes.
//!
//! Deliberately absent: believing any of it. A hint only says when to look.

use futures_util::FutureExt;

use super::{Scanner, gauge};
use crate::domain::chain::{BlockNumber, Header};
use crate::domain::time::{Span, Timestamp};
use crate::ports::chain::Hint;

/// Over how many blocks the block time is measured.
const MEASURED_BLOCKS: u64 = 512;
/// How many block times are remembered.
const MOST_TIMES: usize = 20_000;
/// How many hints are taken before anything else is done.
const MOST_HINTS: u32 = 10_000;

impl Scanner {
    /// Takes a hint, and all others that are there already.
    pub(super) fn take_hints(&mut self, first: Hint) {
        let mut next = Some(first);
        let mut budget = MOST_HINTS;
        while let Some(hint) = next {
            self.take_hint(hint);
            budget = budget.saturating_sub(1);
            next = if budget == 0 { None } else { self.ports.chain.hint().now_or_never() };
        }
    }

    fn take_hint(&mut self, hint: Hint) {
        let now = self.ports.clock.now();
        // While the chain cannot be read, hints wait like everything else.
        let soon = if self.progress.failures > 0 { self.schedule.sweep_at } else { now };
        match hint {
            Hint::Transfer { block } => {
                tracing::debug!(block, "a transfer to a watched address was hinted");
                let (highest, _) = self.schedule.hinted.unwrap_or((block, 0));
                self.schedule.hinted = Some((highest.max(block), 0));
                // The head that was pushed last may be older than the transfer's block.
                if self.view.head.is_none_or(|(head, _)| head.block.number < block) {
                    self.view.head = None;
                }
                self.schedule.sweep_whole_at(soon);
                // Its block is a head that may not have been pushed yet.
                self.want_final_of(block);
            }
            Hint::Head(header) => {
                self.take_head(header, now);
                if self.schedule.heads_only {
                    self.schedule.sweep_at = self.schedule.sweep_at.min(soon);
                }
            }
            Hint::Live => {
                self.view.hints_live = true;
                // What was mined before the subscription covered all addresses was not hinted.
                self.view.head = None;
                self.schedule.sweep_whole_at(soon);
                metrics::gauge!("rampwatch_subscription_live").set(gauge(1));
                self.health.update(|health| health.hints_live = true);
            }
            Hint::Gap { why } => {
                tracing::info!(why, "hints may have been lost; sweeping");
                // What was lost may have been a head: the sweep is to reach the real one.
                self.view.head = None;
                self.schedule.sweep_whole_at(soon);
            }
            Hint::Endpoint { name, news } => self.known.told.endpoints.push((name, news)),
            Hint::Down { why } => {
                tracing::warn!(why, "no subscription; polling");
                self.view.hints_live = false;
                self.view.head = None;
                metrics::gauge!("rampwatch_subscription_live").set(gauge(0));
                self.health.update(|health| health.hints_live = false);
                self.schedule.sweep_whole_at(soon);
            }
        }
    }

    pub(super) fn take_head(&mut self, header: Header, now: Timestamp) {
        self.view.head = Some((header, now));
        self.note_arrival(header.block.number, now);
        self.view.times.insert(header.block.number, header.time);
        self.forget_times();
        self.health.update(|health| {
            health.head = Some(header.block.number);
            health.head_at = Some(now);
            health.head_time = Some(header.time);
        });
        metrics::gauge!("rampwatch_head_block").set(gauge(header.block.number));
        self.waiting.heads_without_news = self.waiting.heads_without_news.saturating_add(1);
        self.want_final_of(header.block.number);
    }

    /// Forgets the times of the oldest blocks when there are too many. Not in the middle of a search, which asks for
    /// old ones.
    pub(super) fn forget_times(&mut self) {
        while self.view.times.len() > MOST_TIMES {
            self.view.times.pop_first();
        }
        while self.view.confirmed.len() > MOST_TIMES {
            self.view.confirmed.pop_first();
        }
    }

    /// The measured time between blocks, by our clock; a second and a half until there is something to measure.
    pub(super) fn block_time(&self) -> Span {
        let measured = |[(first, first_at), (last, last_at)]: [(BlockNumber, Timestamp); 2]| {
            let blocks = last.checked_sub(first).filter(|blocks| *blocks >= 4)?;
            let millis = last_at.since(first_at).as_millis().checked_div(blocks)?;
            Some(Span::from_millis(millis.clamp(10, 15_000)))
        };
        self.view.arrivals.and_then(measured).unwrap_or(Span::from_millis(1_500))
    }

    fn note_arrival(&mut self, block: BlockNumber, now: Timestamp) {
        let [first, last] = self.view.arrivals.unwrap_or([(block, now); 2]);
        self.view.arrivals = Some(match block {
            // A chain that went back, or a long stretch: measured anew from where it was.
            _ if block < last.0 => [(block, now); 2],
            _ if block.saturating_sub(first.0) > MEASURED_BLOCKS => [last, (block, now)],
            _ => [first, (block, now)],
        });
    }

    /// Has finality asked for: not more than once in half a block's time with pushed heads, once in two without.
    pub(super) fn want_final(&mut self) {
        let gap = if self.view.hints_live { self.half_block_time() } else { self.block_time().times(2) };
        self.schedule.want_final(self.ports.clock.now(), gap);
    }

    /// Has finality asked for because this head is new.
    pub(super) fn want_final_of(&mut self, head: BlockNumber) {
        if head == self.schedule.final_wanted.0 || !self.worth_asking(head) {
            return;
        }
        if !self.view.hints_live {
            return self.want_final();
        }
        let gap = self.half_block_time();
        self.schedule.want_final_of(head, self.ports.clock.now(), gap);
    }

    fn half_block_time(&self) -> Span {
        Span::from_millis(self.block_time().as_millis().checked_div(2).unwrap_or(0))
    }
}
