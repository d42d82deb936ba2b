//! Sees that nothing counts as read or final above the head, and takes it back where it does.

use super::{Scanner, Trouble};
use crate::domain::chain::BlockNumber;
use crate::domain::coverage::Coverage;
use crate::domain::event::{Alarm, EventKind};
use crate::domain::time::{Span, Timestamp};
use crate::engine::scanner::prefetch::Prefetch;
use crate::engine::transaction;
use crate::planted::{Bug, planted};
use crate::policy::above_head::{self, Excess, Judgement};
use crate::ports::chain::EndpointNews;
use crate::ports::store::{Commit, StoreError};

/// How many addresses' coverage goes into one commit.
const BATCH: usize = 512;

/// How soon the head is looked at again while more counts than it allows.
const LOOK_AGAIN: Span = Span::from_secs(3);

/// What is known of coverage above the head.
#[derive(Debug, Default)]
pub(super) struct AboveHead {
    excess: Option<Excess>,
    /// Whether the alarm was raised.
    told: bool,
    /// The mark of finality is above the head: the next lower word on finality takes it back.
    pub(super) mark: bool,
}

impl AboveHead {
    /// Whether more counts as read or final than the last head allows.
    pub(super) const fn is_seen(&self) -> bool {
        self.excess.is_some()
    }

    /// When the head is to be looked at again on this account.
    pub(super) fn look_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.excess.map(|_| now.plus(LOOK_AGAIN))
    }
}

impl Scanner {
    /// Takes back what counts as read or final above the head, once that is certain. True when nothing does.
    pub(super) async fn mind_the_head(&mut self, head: BlockNumber) -> Result<bool, Trouble> {
        let read = above_head::highest_read(&self.index.leads()).unwrap_or(0);
        let mark = self.ports.store.finality().await?.map_or(0, |mark| mark.current.number);
        let (counted, now) = (read.max(mark), self.ports.clock.now());
        match above_head::judge(self.view.above_head.excess, counted, head, now, self.settings.stall_after) {
            Judgement::Fits => self.view.above_head = AboveHead::default(),
            Judgement::Waits(excess) => self.view.above_head.excess = Some(excess),
            Judgement::TakeBack(_) if planted(Bug::CoverageAboveHeadKept) => {}
            Judgement::TakeBack(excess) => {
                self.view.above_head.excess = Some(excess);
                self.view.above_head.mark = mark > head;
                self.take_back(counted, head, now).await?;
                // Nothing is settled by it that the endpoint does not call final itself.
                self.only_learn_finality().await?;
            }
        }
        Ok(self.view.above_head.excess.is_none())
    }

    async fn take_back(&mut self, counted: BlockNumber, head: BlockNumber, now: Timestamp) -> Result<(), Trouble> {
        let addresses = self.index.addresses().clone();
        let all = addresses.iter().filter_map(|address| self.index.coverage(address));
        let back: Vec<Coverage> = all.filter_map(|it| above_head::taken_back(&it, head)).collect();
        // What is under way was asked for because of it.
        (self.readings.prefetch, self.readings.last_reading) = (Prefetch::default(), None);
        self.schedule.read_to = self.schedule.read_to.min(head);
        self.view.finals.retain(|_, (number, _)| *number <= head);
        self.count_final(now);
        if !std::mem::replace(&mut self.view.above_head.told, true) {
            let count = u64::try_from(back.len()).unwrap_or(u64::MAX);
            let alarm = Alarm::CoverageAboveHead { addresses: count, covered: counted, head };
            tracing::error!(
                addresses = count,
                covered = counted,
                head,
                "more counts as read or final than the chain has"
            );
            self.tell(vec![EventKind::Alarm { alarm }]).await?;
        }
        for batch in back.chunks(BATCH) {
            if self.store_coverage(Commit { coverage: batch.to_vec(), ..Commit::default() }).await? {
                self.index.taken_back(batch);
            }
        }
        self.reload().await?;
        self.schedule.sweep_whole_at(now);
        Ok(())
    }

    /// Raises the alarms about endpoints that hints have brought.
    pub(super) async fn tell_endpoints(&mut self) -> Result<(), StoreError> {
        let news = std::mem::take(&mut self.known.told.endpoints);
        let kinds = news.into_iter().map(|(endpoint, news)| match news {
            EndpointNews::Contradicts { said } => {
                EventKind::Alarm { alarm: Alarm::EndpointContradicts { endpoint, said } }
            }
            EndpointNews::Stalls { said } => EventKind::Alarm { alarm: Alarm::EndpointStalled { endpoint, said } },
            EndpointNews::Back => EventKind::EndpointBack { endpoint },
        });
        self.tell(kinds.collect()).await
    }

    pub(super) async fn tell(&self, kinds: Vec<EventKind>) -> Result<(), StoreError> {
        transaction::tell(&*self.ports.store, self.ports.clock.now(), kinds).await
    }
}
