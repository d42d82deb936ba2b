//! The readings: to the head, catching up, a second time, and a last time.

use super::{HEAD_SERVES_FOR, Trouble, Watcher};
use crate::domain::chain::Header;
use crate::domain::coverage::Coverage;
use crate::domain::event::{Event, EventKind, Reading};
use crate::policy::sweep::{self, Job};
use crate::ports::chain::{TransferPage, TransferQuery};
use crate::ports::store::{Commit, StoreError};

/// How many addresses' coverage goes into one commit.
const BATCH: usize = 512;

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
        if self.last_final.is_none() || sweep::wants_final(&self.watched, head.block.number) {
            self.ask_finality().await?;
        }
        let to = head.block.number.saturating_sub(self.step_back);
        let job = sweep::head_job(&self.watched, to, self.last_final, &self.settings.sweep);
        if let Some(job) = job {
            let page = self.read(&job, false).await?;
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
        Ok(())
    }

    /// One piece of the readings that are in no hurry. True when there is more to do at once.
    pub(super) async fn read_deeper(&mut self) -> Result<bool, Trouble> {
        let params = self.settings.sweep;
        let ready = self.ready();
        if let Some(job) = sweep::catch_up_job(&ready, self.last_final, &params) {
            let page = self.read(&job, false).await?;
            self.absorb(&job, page, Reading::Sweep).await?;
            let behind = sweep::behind_by(&self.watched, self.last_final);
            self.health.update(|health| health.behind_by = behind);
            return Ok(self.goes_on(job));
        }
        let now = self.ports.clock.now();
        if let Some(job) = sweep::second_job(&ready, now, &params) {
            let page = self.read(&job, true).await?;
            self.absorb(&job, page, Reading::Second).await?;
            return Ok(self.goes_on(job));
        }
        self.let_go().await
    }

    /// The coverage of the watched addresses that do not rest.
    fn ready(&mut self) -> Vec<Coverage> {
        let now = self.ports.clock.now();
        self.resting.retain(|_, until| *until > now);
        self.watched.iter().filter(|coverage| !self.resting.contains_key(&coverage.address)).cloned().collect()
    }

    /// Whether the next piece may follow at once. One that comes a second time led to nothing the first time, and waits
    /// for the next sweep.
    fn goes_on(&mut self, job: Job) -> bool {
        let again = self.last_deep.as_ref() == Some(&job);
        self.last_deep = Some(job);
        !again
    }

    /// Reads the whole window of addresses whose time is over a last time, and lets them go.
    async fn let_go(&mut self) -> Result<bool, Trouble> {
        let now = self.ports.clock.now();
        let params = self.settings.sweep;
        let Some(covered) = sweep::closable_to(&self.watched, now, &params) else { return Ok(false) };
        let covered_time = match self.times.get(&covered) {
            Some(time) => *time,
            None => match self.ports.chain.header(covered, None).await? {
                Some(header) => header.time,
                None => return Ok(false),
            },
        };
        self.times.insert(covered, covered_time);
        let Some(job) = sweep::last_job(&self.watched, now, covered_time, &params) else { return Ok(false) };
        let page = self.read(&job, true).await?;
        self.absorb(&job, page, Reading::Second).await?;
        let mut commit = Commit::default();
        for coverage in self.watched.iter().filter(|coverage| job.addresses.binary_search(&coverage.address).is_ok()) {
            let kind = EventKind::AddressClosed { address: coverage.address, through: job.to };
            commit.events.push(Event { at: now, payment: None, deposit: None, kind });
            commit.coverage.push(Coverage { closed: true, ..coverage.clone() });
        }
        self.store_coverage(commit).await?;
        self.reload().await?;
        Ok(true)
    }

    async fn read(&mut self, job: &Job, elsewhere: bool) -> Result<TransferPage, Trouble> {
        let query = TransferQuery {
            tokens: self.tokens.clone(),
            recipients: std::sync::Arc::new(job.addresses.clone()),
            from: job.from,
            to: job.to,
            avoid: self.last_reader.filter(|_| elsewhere),
        };
        let page = self.ports.chain.transfers(&query).await?;
        if !elsewhere {
            self.last_reader = Some(page.endpoint);
        }
        Ok(page)
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
