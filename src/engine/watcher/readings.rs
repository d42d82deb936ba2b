//! The readings: to the head, catching up, a second time, and a last time.

use std::collections::BTreeSet;

use super::absorb::REST;
use super::{HEAD_SERVES_FOR, Trouble, Watcher};
use crate::domain::chain::{Address, BlockNumber, Header};
use crate::domain::coverage::Coverage;
use crate::domain::deposit::Deposit;
use crate::domain::event::{Event, EventKind, Reading};
use crate::domain::time::Timestamp;
use crate::planted::{Bug, planted};
use crate::policy::sweep::{self, Job};
use crate::ports::chain::{ChainError, EndpointId, TransferPage, TransferQuery};
use crate::ports::store::{Commit, StoreError};

/// How often a hinted transfer is looked for, a block's time apart, before it is left to the usual sweeps.
const MOST_LOOKS: u32 = 6;

/// How many addresses' coverage goes into one commit: few, so that a completion's commit does not wait long behind it.
const BATCH: usize = 64;

/// What became of a reading that is in no hurry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deeper {
    /// There is nothing to read.
    Nothing,
    /// It got on; there may be more.
    Further,
    /// It was read, and the same is still to be read: a log was withheld, or somebody changes the record all the time.
    Stuck,
}

/// A last reading that is under way, piece by piece, so that the sweep to the head can go on in between. It is not
/// stored: after a crash it begins anew.
#[derive(Debug)]
pub(super) struct LastReading {
    /// What is left of it.
    job: Job,
    /// The time of the block that the sweep had come to when it began.
    covered_time: Timestamp,
}

/// How many deposits that may still go away are looked at before addresses are let go; the oldest come first.
const MOST_UNSETTLED: usize = 2_000;

impl Watcher {
    /// The newest block: as pushed, if that is fresh, else asked for.
    pub(super) async fn fresh_head(&mut self) -> Result<Header, Trouble> {
        let now = self.ports.clock.now();
        if let Some((head, at)) = self.head
            && self.hints_live
            && !self.head_unserved
            && now.since(at) <= HEAD_SERVES_FOR
        {
            return Ok(head);
        }
        let head = self.ports.chain.head().await?;
        self.take_head(head, now);
        Ok(head)
    }

    /// Reads everything from the coverage to the head, for all addresses that are not far behind.
    pub(super) async fn sweep_to_head(&mut self) -> Result<(), Trouble> {
        let head = self.fresh_head().await?;
        let mut trouble = None;
        if self.last_final.is_none() || sweep::wants_final(&self.watched, head.block.number) {
            match self.ask_finality().await {
                // What came in is seen even while nobody can tell what is final.
                Err(Trouble::Chain(error)) if !matches!(error, ChainError::Contradiction(_)) => trouble = Some(error),
                asked => asked?,
            }
        }
        let to = head.block.number.saturating_sub(self.step_back);
        let job = sweep::head_job(&self.watched, to, self.last_final, &self.settings.sweep);
        if let Some(job) = job {
            // Where the rule asks for no depth and the tag keeps up with the head, the reading itself can prove what is final.
            let rule = self.settings.finality;
            let to_final = self.tag_at_head && self.hinted.is_some() && rule.uses_tag() && rule.depth() == 0;
            let page = if to_final { self.read_to_final(&job).await? } else { self.read(&job, false).await? };
            self.tag_at_head = self.tag_at_head && (!to_final || page.is_tagged);
            self.note_hinted(&page);
            self.absorb(&job, page, Reading::Sweep).await?;
        }
        self.step_back = self.step_back.checked_div(2).unwrap_or(0);
        let behind = sweep::behind_by(&self.watched, self.last_final);
        let now = self.ports.clock.now();
        self.health.update(|health| {
            health.swept_at = Some(now);
            health.behind_by = behind;
        });
        metrics::gauge!("rampwatch_swept_block").set(super::gauge(head.block.number));
        self.find_waiting().await?;
        trouble.map_or(Ok(()), |error| Err(error.into()))
    }

    /// A hint says that there is a transfer in a block; a node that does not show it yet is asked again, a few times.
    fn note_hinted(&mut self, page: &TransferPage) {
        let Some((block, tries)) = self.hinted else { return };
        let shown = page.transfers.iter().any(|transfer| transfer.block.number >= block);
        self.hinted = if shown || tries >= MOST_LOOKS { None } else { Some((block, tries.saturating_add(1))) };
    }

    /// One piece of the readings that are in no hurry.
    pub(super) async fn read_deeper(&mut self) -> Result<Deeper, Trouble> {
        let params = self.settings.sweep;
        let ready = self.ready();
        if let Some(job) = sweep::catch_up_job(&ready, self.last_final, &params) {
            let page = self.read(&job, false).await?;
            self.absorb(&job, page, Reading::Sweep).await?;
            let behind = sweep::behind_by(&self.watched, self.last_final);
            self.health.update(|health| health.behind_by = behind);
            let next = sweep::catch_up_job(&self.ready(), self.last_final, &params);
            return Ok(if next.as_ref() == Some(&job) { Deeper::Stuck } else { Deeper::Further });
        }
        let now = self.ports.clock.now();
        if let Some(job) = sweep::second_job(&ready, now, &params) {
            let page = self.read(&job, true).await?;
            self.absorb(&job, page, Reading::Second).await?;
            let next = sweep::second_job(&self.ready(), now, &params);
            return Ok(if next.as_ref() == Some(&job) { Deeper::Stuck } else { Deeper::Further });
        }
        self.let_go().await
    }

    /// The coverage of the watched addresses that do not rest.
    fn ready(&mut self) -> Vec<Coverage> {
        let now = self.ports.clock.now();
        self.resting.retain(|_, until| *until > now);
        self.watched.iter().filter(|coverage| !self.resting.contains_key(&coverage.address)).cloned().collect()
    }

    /// Reads the whole window of addresses whose time is over a last time, a piece each time, and lets them go.
    async fn let_go(&mut self) -> Result<Deeper, Trouble> {
        if self.last_reading.is_none() {
            self.last_reading = self.begin_last_reading().await?;
        }
        let Some(LastReading { job, covered_time }) = &self.last_reading else { return Ok(Deeper::Nothing) };
        let covered_time = *covered_time;
        if planted(Bug::NoLastReading) {
            let job = job.clone();
            self.last_reading = None;
            return self.close(&job, covered_time).await;
        }
        let to = job.to.min(job.from.saturating_add(self.settings.sweep.chunk));
        let piece = Job { to, ..job.clone() };
        let page = self.read(&piece, true).await?;
        let left = self.absorb(&piece, page, Reading::Second).await?;
        let Some(LastReading { mut job, .. }) = self.last_reading.take() else { return Ok(Deeper::Nothing) };
        job.addresses.retain(|address| !left.contains(address));
        if job.addresses.is_empty() {
            return Ok(Deeper::Stuck);
        }
        if to < job.to {
            job.from = to.saturating_add(1);
            self.last_reading = Some(LastReading { job, covered_time });
            return Ok(Deeper::Further);
        }
        self.close(&job, covered_time).await
    }

    /// The last reading that is worth beginning now, if any.
    async fn begin_last_reading(&mut self) -> Result<Option<LastReading>, Trouble> {
        let now = self.ports.clock.now();
        let params = self.settings.sweep;
        // An address of which a log was withheld rests: its whole window is not read again at once.
        let ready = self.ready();
        let Some(covered) = sweep::closable_to(&ready, now, &params) else { return Ok(None) };
        let covered_time = match self.times.get(&covered) {
            Some(time) => *time,
            None => match self.ports.chain.header(covered, None).await? {
                Some(header) => header.time,
                None => return Ok(None),
            },
        };
        self.times.insert(covered, covered_time);
        let job = sweep::last_job(&ready, now, covered_time, &params);
        Ok(job.map(|job| LastReading { job, covered_time }))
    }

    /// Lets the addresses of a last reading go. One that got a payment while it was under way stays watched.
    async fn close(&mut self, job: &Job, covered_time: Timestamp) -> Result<Deeper, Trouble> {
        let now = self.ports.clock.now();
        let through: BlockNumber = job.to;
        let unsettled = self.unsettled(job).await?;
        // Their whole window is read again, and not at once.
        self.resting.extend(unsettled.iter().map(|address| (*address, now.plus(REST))));
        let over = self.watched.iter().filter(|coverage| {
            job.addresses.binary_search(&coverage.address).is_ok()
                && !unsettled.contains(&coverage.address)
                && sweep::is_over(coverage, now, covered_time)
        });
        let over: Vec<Coverage> = over.cloned().collect();
        for batch in over.chunks(BATCH) {
            let mut commit = Commit::default();
            for coverage in batch {
                let kind = EventKind::AddressClosed { address: coverage.address, through };
                commit.events.push(Event { at: now, payment: None, deposit: None, kind });
                commit.coverage.push(Coverage { closed: true, ..coverage.clone() });
            }
            self.store_coverage(commit).await?;
        }
        self.reload().await?;
        let is_watched = |address| self.watched.binary_search_by_key(&address, |coverage| coverage.address).is_ok();
        let closed = over.iter().any(|coverage| !is_watched(coverage.address));
        Ok(if closed { Deeper::Further } else { Deeper::Stuck })
    }

    /// The addresses of the job with a deposit that may still go away. Nobody asks for finality on behalf of a closed
    /// address: so it is asked for now, and an address that has such a deposit all the same stays watched.
    async fn unsettled(&mut self, job: &Job) -> Result<BTreeSet<Address>, Trouble> {
        let of_job = |deposits: Vec<Deposit>| -> BTreeSet<Address> {
            let addresses = deposits.into_iter().map(|deposit| deposit.to);
            addresses.filter(|address| job.addresses.binary_search(address).is_ok()).collect()
        };
        let unsettled = of_job(self.ports.store.provisional(BlockNumber::MAX, MOST_UNSETTLED).await?);
        if unsettled.is_empty() {
            return Ok(unsettled);
        }
        self.ask_finality().await?;
        Ok(of_job(self.ports.store.provisional(BlockNumber::MAX, MOST_UNSETTLED).await?))
    }

    async fn read(&mut self, job: &Job, elsewhere: bool) -> Result<TransferPage, Trouble> {
        let query = self.query(job, self.last_reader.filter(|_| elsewhere));
        let page = self.ports.chain.transfers(&query).await?;
        if !elsewhere {
            self.last_reader = Some(page.endpoint);
        }
        Ok(page)
    }

    /// A first reading whose end is likely to be the finalized block.
    async fn read_to_final(&mut self, job: &Job) -> Result<TransferPage, Trouble> {
        let page = self.ports.chain.transfers_to_final(&self.query(job, None)).await?;
        self.last_reader = Some(page.endpoint);
        Ok(page)
    }

    fn query(&self, job: &Job, avoid: Option<EndpointId>) -> TransferQuery {
        let (tokens, recipients) = (self.tokens.clone(), std::sync::Arc::new(job.addresses.clone()));
        TransferQuery { tokens, recipients, from: job.from, to: job.to, avoid }
    }

    /// Stores what a reading adds to the coverage of addresses that it found nothing for.
    pub(super) async fn raise_coverage(&self, raised: Vec<Coverage>) -> Result<(), Trouble> {
        for batch in raised.chunks(BATCH) {
            self.store_coverage(Commit { coverage: batch.to_vec(), ..Commit::default() }).await?;
        }
        Ok(())
    }

    /// A conflict means that a payment was added or ended meanwhile: the coverage stays as it is, and the blocks are
    /// read again.
    async fn store_coverage(&self, commit: Commit) -> Result<(), Trouble> {
        if commit.is_empty() {
            return Ok(());
        }
        match self.ports.store.commit(commit).await {
            Ok(_) => Ok(()),
            Err(StoreError::Conflict(what)) => {
                tracing::debug!(what, "coverage changed meanwhile; read again later");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}
