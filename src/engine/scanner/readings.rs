//! The readings: to the head, catching up, a second time, and a last time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::absorb::{Place, REST, place_of};
use super::prefetch::Prefetch;
use super::{HEAD_SERVES_FOR, Scanner, Trouble};
use crate::domain::chain::{Address, BlockNumber, Header};
use crate::domain::coverage::Coverage;
use crate::domain::deposit::Deposit;
use crate::domain::event::{Event, EventKind, Reading};
use crate::domain::operator::Operator;
use crate::domain::time::Timestamp;
use crate::planted::{Bug, planted};
use crate::policy::log_filter;
use crate::policy::numbering;
use crate::policy::schedule::Extent;
use crate::policy::sweep::{self, Job};
use crate::ports::chain::{ChainError, EndpointId, TransferPage, TransferQuery};
use crate::ports::store::Commit;

/// How often a hinted transfer is looked for, a block's time apart, before it is left to the usual sweeps.
const MOST_LOOKS: u32 = 6;

/// How many blocks below its end are read again by a sweep that only reads what is new: the newest are the likeliest to
/// change.
const READ_AGAIN: u64 = 2;

/// How far below the head a sweep may end and still have come to it, in blocks: behind a balancer nodes are a little apart.
pub(super) const MOST_SHORT: u64 = 16;

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
    /// It got on, and what is called final is further off than any chain comes: there is no hurry to get there.
    FarOff,
}

/// How many deposits that may still go away are looked at before addresses are let go; the oldest come first.
const MOST_UNSETTLED: usize = 2_000;

impl Scanner {
    /// The newest block: as pushed, if that is fresh, else asked for.
    pub(super) async fn fresh_head(&mut self) -> Result<Header, Trouble> {
        let now = self.ports.clock.now();
        if let Some((head, at)) = self.view.head
            && self.view.hints_live
            && !self.view.head_unserved
            && now.since(at) <= HEAD_SERVES_FOR
        {
            return Ok(head);
        }
        let head = self.ports.chain.head().await?;
        self.progress.note_head(head.block.number, now);
        self.take_head(head, now);
        Ok(head)
    }

    /// Reads everything from the coverage to the head, for all addresses that are not far behind, or only what is above the last sweep.
    pub(super) async fn sweep_to_head(&mut self, extent: Extent) -> Result<(), Trouble> {
        let is_whole = extent == Extent::Whole;
        let head = self.fresh_head().await?;
        let fits = self.mind_the_head(head.block.number).await?;
        let (mut trouble, mut is_swept) = (None, false);
        if self.view.last_final.is_none() || (is_whole && sweep::wants_final(&self.index.leads(), head.block.number)) {
            // How far the sweep counts is to be known; what it settles may have time.
            let now = self.ports.clock.now();
            let later = self.schedule.settles_later(&self.order(now), now);
            let asked = if later { self.only_learn_finality().await } else { self.ask_finality().await };
            match asked {
                // What came in is seen even while nobody can tell what is final.
                Err(Trouble::Chain(error)) if !matches!(error, ChainError::Contradiction(_)) => trouble = Some(error),
                asked => asked?,
            }
        }
        let to = head.block.number.saturating_sub(self.view.step_back);
        // Where catching up fails, what is new is found all the same.
        let waits = match self.readings.second_reading.why() {
            Some(_) => self.index.leads().iter().map(|lead| lead.address).collect(),
            None => self.index.resting_leads(),
        };
        let job = sweep::head_job(&self.index.leads(), &waits, to, self.view.last_final, &self.settings.sweep);
        let above = self.schedule.read_to.saturating_add(1).saturating_sub(READ_AGAIN);
        let job = job.map(|job| if is_whole { job } else { sweep::only_above(job, above) });
        if let Some(job) = job.map(|job| self.index.for_members(job)) {
            // Where the rule asks for no depth and the tag keeps up with the head, the reading itself can prove what is final.
            let rule = self.settings.finality;
            let to_final =
                self.view.tag_at_head && self.schedule.hinted.is_some() && rule.uses_tag() && rule.depth() == 0;
            let (job, page) = self.read_what_can_be(job, to_final).await?;
            self.view.tag_at_head = self.view.tag_at_head && (!to_final || page.is_tagged);
            self.schedule.read_to = job.to;
            self.progress.note_read(job.to, self.ports.clock.now());
            // A sweep that ends far below the head has not come to what is new.
            is_swept = fits && self.view.step_back <= MOST_SHORT;
            self.note_hinted(&page);
            self.absorb(&job, page, Reading::Sweep).await?;
        }
        let short = self.view.step_back;
        self.view.step_back = self.view.step_back.checked_div(2).unwrap_or(0);
        let behind = sweep::behind_by(&self.index.leads(), self.view.last_final);
        // Through this block everybody was read: whoever is behind, or cannot be read, holds it back.
        let swept = self.view.last_final.filter(|_| behind > 0).map(|last| last.saturating_sub(behind));
        metrics::gauge!("rampwatch_swept_block").set(super::gauge(swept.unwrap_or(self.schedule.read_to)));
        let now = self.ports.clock.now();
        self.health.update(|health| {
            // Where nothing was read, or where the head is below what counts as read, nobody knows what came in.
            if is_swept {
                health.swept_at = Some(now);
            }
            health.short_by = short;
            health.behind_by = behind;
        });
        self.find_waiting().await?;
        trouble.map_or(Ok(()), |error| Err(error.into()))
    }

    /// A hint says that there is a transfer in a block; a node that does not show it yet is asked again, a few times.
    fn note_hinted(&mut self, page: &TransferPage) {
        let Some((block, tries)) = self.schedule.hinted else { return };
        let shown = page.transfers.iter().any(|transfer| transfer.block.number >= block);
        self.schedule.hinted = if shown || tries >= MOST_LOOKS { None } else { Some((block, tries.saturating_add(1))) };
    }

    /// One piece of the readings that are in no hurry.
    pub(super) async fn read_deeper(&mut self) -> Result<Deeper, Trouble> {
        // What is to be read up to a block that is not there is about to be taken back.
        if self.view.above_head.is_seen() {
            self.readings.prefetch = Prefetch::default();
            return Ok(Deeper::Nothing);
        }
        if let Some(got) = self.catch_up().await? {
            return Ok(got);
        }
        let params = self.settings.sweep;
        let ready = self.ready();
        let now = self.ports.clock.now();
        if let Some(job) = sweep::second_job(&ready, now, &params) {
            let job = self.index.for_members(job);
            let page = match self.read_again(&job).await {
                Err(Trouble::Chain(ChainError::Refused(why))) => {
                    self.let_wait(&job, Reading::Second, &why)?;
                    return Ok(Deeper::Further);
                }
                page => page?,
            };
            self.absorb(&job, page, Reading::Second).await?;
            let next = sweep::second_job(&self.ready(), now, &params);
            return Ok(self.got_on(&job, next));
        }
        self.let_go().await
    }

    /// Whether reading this has left something else to be read next.
    fn got_on(&self, job: &Job, next: Option<Job>) -> Deeper {
        let next = next.map(|next| self.index.for_members(next));
        if next.as_ref() == Some(job) { Deeper::Stuck } else { Deeper::Further }
    }

    /// The leads of the watched addresses that do not rest.
    pub(super) fn ready(&mut self) -> Vec<Coverage> {
        let now = self.ports.clock.now();
        let rested: Vec<Address> =
            self.readings.resting.extract_if(.., |_, until| *until <= now).map(|(address, _)| address).collect();
        rested.iter().for_each(|address| self.index.rest(address, false));
        self.index.ready_leads()
    }

    /// Has an address stand back behind others for a while.
    pub(super) fn rest(&mut self, address: Address) {
        self.rest_until(address, self.ports.clock.now().plus(REST));
    }

    pub(super) fn rest_until(&mut self, address: Address, until: Timestamp) {
        self.readings.resting.insert(address, until);
        self.index.rest(&address, true);
    }

    /// Reads the whole window of addresses whose time is over a last time, a piece each time, and lets them go.
    async fn let_go(&mut self) -> Result<Deeper, Trouble> {
        if self.readings.last_reading.is_none() {
            self.readings.last_reading = self.begin_last_reading().await?;
        }
        let Some(job) = &self.readings.last_reading else { return Ok(Deeper::Nothing) };
        if planted(Bug::NoLastReading) {
            let job = job.clone();
            self.readings.last_reading = None;
            let covered_time = self.view.times.get(&job.to).copied().unwrap_or(Timestamp::FAR_FUTURE);
            return self.close(&job, covered_time).await;
        }
        let to = job.to.min(job.from.saturating_add(self.settings.sweep.chunk));
        let piece = Job { to, ..job.clone() };
        let page = match self.read_again(&piece).await {
            Err(Trouble::Chain(ChainError::Refused(why))) => {
                self.readings.last_reading = None;
                self.let_wait(&piece, Reading::Second, &why)?;
                return Ok(Deeper::Further);
            }
            page => page?,
        };
        let read_to = page.page.anchor;
        let left = self.absorb(&piece, page, Reading::Second).await?;
        let Some(mut job) = self.readings.last_reading.take() else { return Ok(Deeper::Nothing) };
        if !left.is_empty() {
            Arc::make_mut(&mut job.addresses).retain(|address| !left.contains(address));
        }
        if job.addresses.is_empty() {
            return Ok(Deeper::Stuck);
        }
        if to < job.to {
            job.from = to.saturating_add(1);
            self.readings.last_reading = Some(job);
            return Ok(Deeper::Further);
        }
        // Whoever told the block's time before may have told any: what counts is the word of those who have read it now.
        self.view.times.insert(read_to.block.number, read_to.time);
        self.close(&job, read_to.time).await
    }

    /// The last reading that is worth beginning now, if any.
    async fn begin_last_reading(&mut self) -> Result<Option<Job>, Trouble> {
        let now = self.ports.clock.now();
        let params = self.settings.sweep;
        // An address of which a log was withheld rests: its whole window is not read again at once.
        let ready = self.ready();
        let Some(covered) = sweep::closable_to(&ready, now, &params) else { return Ok(None) };
        let covered_time = match self.view.times.get(&covered) {
            Some(time) => *time,
            None => match self.ports.chain.header(covered, None).await? {
                Some(header) => header.time,
                None => return Ok(None),
            },
        };
        self.view.times.insert(covered, covered_time);
        let job = sweep::last_job(&ready, now, covered_time, &params);
        Ok(job.map(|job| self.index.for_members(job)))
    }

    /// Lets the addresses of a last reading go. One that got a payment while it was under way stays watched.
    async fn close(&mut self, job: &Job, covered_time: Timestamp) -> Result<Deeper, Trouble> {
        let now = self.ports.clock.now();
        let through: BlockNumber = job.to;
        let unsettled = self.unsettled(job).await?;
        // Their whole window is read again, and not at once.
        unsettled.iter().for_each(|address| self.rest(*address));
        let mut over = self.coverage_of(&job.addresses);
        over.retain(|coverage| !unsettled.contains(&coverage.address) && sweep::is_over(coverage, now, covered_time));
        for batch in over.chunks(BATCH) {
            let mut commit = Commit::default();
            for coverage in batch {
                let kind = EventKind::AddressClosed { address: coverage.address, through };
                commit.events.push(Event::new(now, kind));
                commit.coverage.push(Coverage { closed: true, ..coverage.clone() });
            }
            self.store_coverage(commit).await?;
        }
        self.reload().await?;
        let closed = over.iter().any(|coverage| !self.index.is_watched(&coverage.address));
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

    /// A first reading.
    pub(super) async fn read(&mut self, job: &Job) -> Result<TransferPage, Trouble> {
        let page = self.ports.chain.transfers(&self.query(job, None)).await?;
        self.readings.last_reader = Some(page.endpoint);
        Ok(page)
    }

    /// A reading that confirms an earlier one, so that an address may be let go: elsewhere, where there is another place.
    /// Where operators have to agree, so many of them read it, and what one of them leaves out another shows (decision 14).
    async fn read_again(&self, job: &Job) -> Result<Heard, Trouble> {
        let chain = &self.ports.chain;
        let elsewhere = self.query(job, self.readings.last_reader);
        let operators = chain.operators();
        let needed = self.settings.operators_needed(operators.len());
        if needed <= 1 || planted(Bug::SecondReadingByOne) {
            return Ok(chain.transfers(&elsewhere).await?.into());
        }
        // Those that end with the same block have read the same chain.
        let (mut chains, mut trouble) = (Vec::<Heard>::new(), None);
        for operator in operators {
            let query = TransferQuery { by: Some(operator.clone()), avoid: None, ..elsewhere.clone() };
            let page = match chain.transfers(&query).await {
                Ok(page) => page,
                Err(error) => {
                    trouble = Some(error);
                    continue;
                }
            };
            let same = chains.iter().position(|heard| heard.page.anchor.block == page.anchor.block);
            let mut heard = match same.map(|place| chains.swap_remove(place)) {
                Some(before) => joined(before, page),
                None => page.into(),
            };
            heard.readers.push(operator);
            if heard.readers.len() >= needed {
                return Ok(heard);
            }
            chains.push(heard);
        }
        if chains.len() > 1 {
            let differ = format!("operators have different blocks at {}", job.to);
            return Err(Trouble::Chain(ChainError::Behind(differ)));
        }
        let missing = || ChainError::Unavailable("too few operators can be read for a second reading".to_owned());
        Err(Trouble::Chain(trouble.unwrap_or_else(missing)))
    }

    /// A first reading whose end is likely to be the finalized block.
    pub(super) async fn read_to_final(&mut self, job: &Job) -> Result<TransferPage, Trouble> {
        let page = self.ports.chain.transfers_to_final(&self.query(job, None)).await?;
        self.readings.last_reader = Some(page.endpoint);
        Ok(page)
    }

    fn query(&self, job: &Job, avoid: Option<EndpointId>) -> TransferQuery {
        TransferQuery { avoid, ..query(&self.tokens, job, self.settings.sweep.filter) }
    }
}

/// What was read of one range, and whose word each transfer is.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) page: TransferPage,
    /// Who shows the transfers that the page's own endpoint does not.
    pub(super) elsewhere: BTreeMap<Place, EndpointId>,
    /// Whose nodes have read it, where several had to.
    pub(super) readers: Vec<Operator>,
}

impl From<TransferPage> for Heard {
    fn from(page: TransferPage) -> Self {
        Self { page, elsewhere: BTreeMap::new(), readers: Vec::new() }
    }
}

/// What several operators have shown of one range, and what another one shows of it, together. All end with the same block.
fn joined(before: Heard, other: TransferPage) -> Heard {
    let Heard { page: one, elsewhere: shown, readers } = before;
    // One hash has one time. Where they tell two, an address is not let go by the later one.
    let anchor = if one.anchor.time < other.anchor.time { one.anchor } else { other.anchor };
    let mut elsewhere = BTreeMap::new();
    for transfer in numbering::missing_from(&one.transfers, &other.transfers) {
        let place = place_of(&transfer);
        elsewhere.insert(place, shown.get(&place).copied().unwrap_or(one.endpoint));
    }
    let transfers = numbering::together(one.transfers, &other.transfers);
    let malformed = one.malformed.into_iter().chain(other.malformed).collect();
    let mut flaws = one.flaws;
    flaws.extend(other.flaws);
    let page = TransferPage { transfers, anchor, malformed, is_tagged: false, flaws, ..other };
    Heard { page, elsewhere, readers }
}

/// The question for a job; whoever answers gives the same, whichever way it is put.
pub(super) fn query(tokens: &Arc<Vec<Address>>, job: &Job, filter: usize) -> TransferQuery {
    let blocks = job.to.saturating_sub(job.from).saturating_add(1);
    let filter = log_filter::choose(job.addresses.len(), blocks, filter);
    let (tokens, recipients) = (Arc::clone(tokens), Arc::clone(&job.addresses));
    TransferQuery { tokens, recipients, filter, from: job.from, to: job.to, avoid: None, by: None }
}
