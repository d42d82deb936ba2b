//! Tells what stands still, once when it begins and once when it is over, whoever answers meanwhile.

use std::collections::BTreeMap;

use super::{Scanner, Trouble};
use crate::domain::chain::BlockNumber;
use crate::domain::event::{Alarm, EventKind};
use crate::domain::stall::Stall;
use crate::domain::text::short;
use crate::domain::time::Timestamp;
use crate::engine::health::{Unread, Unsettled};
use crate::policy::progress::{Facts, moves, stalls};
use crate::ports::store::StoreError;

#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The highest block that was read or asked for as the newest, since when it is that, and when that was tried last. One that
    /// was only pushed is no block that can be read.
    head: Option<(BlockNumber, Timestamp, Timestamp)>,
    /// The lowest block with a deposit that could be settled, and since when.
    settling: Option<(BlockNumber, Timestamp)>,
    told: BTreeMap<Stall, Timestamp>,
    /// What went wrong last, and when.
    trouble: Option<(Timestamp, String)>,
    /// When a deposit was settled last.
    pub(super) settled_at: Option<Timestamp>,
    /// How often the chain could not be read, one time after the other.
    pub(super) failures: u32,
}

impl Progress {
    /// A block was read. One below the newest says nothing: a sweep ends below where nodes are behind.
    pub(super) fn note_read(&mut self, number: BlockNumber, now: Timestamp) {
        if self.head.is_none_or(|(highest, ..)| number > highest) {
            self.head = Some((number, now, now));
        }
    }

    /// The clock was set back: what is told of the settling by its moments is no later than now.
    pub(super) fn set_back(&mut self, now: Timestamp) {
        self.settled_at = self.settled_at.map(|at| at.min(now));
        if let Some((at, _)) = &mut self.trouble {
            *at = now.min(*at);
        }
    }

    /// A block is the newest, by the answer of who can be read.
    pub(super) fn note_head(&mut self, number: BlockNumber, now: Timestamp) {
        self.head = Some(match self.head {
            Some((highest, moved_at, _)) if !moves(number, highest) => (highest, moved_at.min(now), now),
            Some(_) | None => (number, now, now),
        });
    }
}

impl Scanner {
    /// Something went wrong on the chain's side.
    pub(super) fn note_trouble(&mut self, why: &str) {
        self.progress.trouble = Some((self.ports.clock.now(), why.to_owned()));
    }

    /// Looks at what should move.
    pub(super) async fn mind_progress(&mut self) -> Result<(), StoreError> {
        let now = self.ports.clock.now();
        let unread = self.not_read();
        metrics::gauge!("rampwatch_unread_addresses")
            .set(u32::try_from(unread.as_ref().map_or(0, |unread| unread.addresses)).unwrap_or(u32::MAX));
        let due = self.waiting.lowest.filter(|lowest| self.waiting.pays && self.view.last_final >= Some(*lowest));
        self.progress.settling = due.map(|lowest| match self.progress.settling {
            Some((known, since)) if known == lowest => (known, since.min(now)),
            _ => (lowest, now),
        });
        let facts = Facts {
            now,
            stall_after: self.settings.stall_after,
            watched: !self.index.is_empty(),
            head: self.progress.head.map(|(_, moved_at, heard_at)| (moved_at, heard_at)),
            // Until it was asked for once, nobody knows whether it stands.
            finality: self
                .waiting
                .moved_at
                .filter(|at| self.waiting.lowest.is_some() && self.schedule.asked_final_at >= *at),
            settling: self.progress.settling.map(|(_, since)| since),
            unread: unread.as_ref().map(|unread| unread.since),
        };
        let standing: BTreeMap<Stall, Timestamp> = stalls(&facts).into_iter().collect();
        let since = |stall| standing.get(&stall).copied();
        let mut news = Vec::new();
        for (stall, since) in &standing {
            if !self.progress.told.contains_key(stall) {
                news.push(EventKind::Alarm { alarm: self.alarm_of(*stall, *since, unread.as_ref()) });
            }
        }
        for (stall, since) in self.progress.told.iter().filter(|(stall, _)| !standing.contains_key(stall)) {
            news.push(EventKind::StallOver { what: *stall, since: *since });
        }
        let newest = self.progress.head.map(|(number, ..)| number);
        let unsettled = since(Stall::Settling).map(|since| Unsettled {
            since,
            why: self.why_unsettled(),
            only_some: self.progress.settled_at.is_some_and(|at| at >= since),
        });
        self.health.update(|health| {
            health.head_stalled = newest.zip(since(Stall::Head));
            health.finality_stalled = since(Stall::Finality);
            (health.unsettled, health.unread) = (unsettled, unread);
        });
        self.tell(news).await?;
        self.progress.told = standing;
        Ok(())
    }

    /// Why the lowest deposit that could be settled is not, as far as somebody has said so since.
    fn why_unsettled(&self) -> String {
        let Some((block, since)) = self.progress.settling else { return String::new() };
        let said = self.progress.trouble.as_ref().filter(|(at, _)| *at >= since);
        let settled_since = self.progress.settled_at.filter(|at| *at >= since);
        match said {
            // What was in the way of others too is over once one of them is settled.
            Some((at, why)) if settled_since.is_none_or(|settled| settled < *at) => format!("block {block}: {why}"),
            _ => format!("block {block}: no endpoint shows that block, or another one in its place, as final"),
        }
    }

    fn alarm_of(&self, stall: Stall, since: Timestamp, unread: Option<&Unread>) -> Alarm {
        let detail = match stall {
            Stall::Finality => return Alarm::FinalityStalled { at: self.view.last_final.unwrap_or(0) },
            Stall::Head => self.progress.head.map_or_else(String::new, |(number, ..)| format!("it is {number}")),
            Stall::Settling => self.why_unsettled(),
            Stall::Unread => unread.map_or_else(String::new, |unread| {
                format!("{} of {} addresses: {}", unread.addresses, self.index.len(), unread.why)
            }),
        };
        Alarm::Standstill { what: stall, since, detail: short(&detail) }
    }

    /// A piece of work failed: whatever is in the way, it is told what stands still meanwhile.
    pub(super) async fn mind_progress_after<T>(&mut self, result: &Result<T, Trouble>) -> Result<(), StoreError> {
        if let Err(Trouble::Chain(error)) = result {
            self.note_trouble(&error.to_string());
        }
        self.mind_progress().await
    }
}
