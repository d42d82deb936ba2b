//! Catching up: the way to the final block is asked for a chunk at a time, several chunks ahead of the one that is being
//! taken in, and taken in strictly in the order of the chain.
//!
//! What is read ahead is in memory only. A crash, or a chunk that cannot be read, costs reading it again: coverage rises
//! with what is stored, and never past a chunk that is missing. Deliberately absent: giving up what was read before the
//! chunk that failed, and asking for more after it.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::readings::{Deeper, query};
use super::{Scanner, Trouble};
use crate::domain::event::Reading;
use crate::policy::sweep::{self, Job};
use crate::ports::chain::{Chain, ChainError, TransferPage, TransferQuery};

/// What became of the reading of a chunk.
type Page = Result<TransferPage, ChainError>;

/// A chunk that was asked for.
#[derive(Debug)]
struct Chunk {
    job: Job,
    /// What came of it, once it came.
    page: Option<Page>,
}

/// The way to the final block that is being read.
#[derive(Debug, Default)]
pub(super) struct Prefetch {
    /// What has not been asked for yet.
    rest: Option<Job>,
    /// What was asked for, in the order of the chain.
    chunks: VecDeque<Chunk>,
    /// The chunk that could not be read.
    failed: Option<Job>,
    /// The questions under way; each answer bears the first block of its chunk.
    reading: JoinSet<(u64, Page)>,
}

impl Prefetch {
    /// Whether somebody is being caught up with.
    pub(super) fn is_under_way(&self) -> bool {
        self.rest.is_some() || !self.chunks.is_empty()
    }

    /// Asks for further chunks, as far ahead as may be.
    fn ask(&mut self, blocks: u64, read: impl Fn(&Job) -> Asking) {
        while sweep::may_read_ahead(self.chunks.len(), self.waiting()) {
            let Some(rest) = self.rest.take() else { return };
            let (job, rest) = rest.split(blocks);
            self.rest = rest;
            let (from, Asking { chain, query }) = (job.from, read(&job));
            self.reading.spawn(async move { (from, chain.transfers(&query).await) });
            self.chunks.push_back(Chunk { job, page: None });
        }
    }

    /// How many transfers wait to be taken in.
    fn waiting(&self) -> usize {
        let pages = self.chunks.iter().filter_map(|chunk| chunk.page.as_ref()?.as_ref().ok());
        pages.fold(0, |sum, page| sum.saturating_add(page.transfers.len()))
    }

    fn keep(&mut self, from: u64, page: Page) {
        if let Some(chunk) = self.chunks.iter_mut().find(|chunk| chunk.job.from == from) {
            chunk.page = Some(page);
        }
    }

    /// Waits for the first chunk, and takes all that have come behind it without a gap: as one reading.
    async fn next(&mut self) -> Result<Option<(Job, TransferPage)>, ChainError> {
        while self.chunks.front().is_some_and(|first| first.page.is_none()) {
            match self.reading.join_next().await {
                Some(Ok((from, page))) => self.keep(from, page),
                Some(Err(_)) | None => return Err(ChainError::Unavailable("a reading ended unasked".to_owned())),
            }
        }
        while let Some(Ok((from, page))) = self.reading.try_join_next() {
            self.keep(from, page);
        }
        let mut taken: Option<(Job, TransferPage)> = None;
        while let Some(chunk) = self.chunks.pop_front_if(|chunk| is_next(chunk, taken.as_ref())) {
            let Some(page) = chunk.page else { break };
            if page.is_err() {
                self.failed = Some(chunk.job.clone());
            }
            taken = Some(joined(taken, chunk.job, page?));
        }
        Ok(taken)
    }
}

/// Whether the chunk is taken in with what was taken before it. One that failed is taken alone: what came before it counts.
fn is_next(chunk: &Chunk, taken: Option<&(Job, TransferPage)>) -> bool {
    match (&chunk.page, taken) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(page), Some((_, before))) => page.is_ok() && sweep::may_take_in_with(before.transfers.len()),
    }
}

/// Two readings that follow each other, for the same addresses, as one. Its anchor is that of the last block.
fn joined(before: Option<(Job, TransferPage)>, job: Job, page: TransferPage) -> (Job, TransferPage) {
    let Some((first, mut all)) = before else { return (job, page) };
    all.transfers.extend(page.transfers);
    all.malformed.extend(page.malformed);
    all.flaws.extend(page.flaws);
    (Job { from: first.from, ..job }, TransferPage { anchor: page.anchor, endpoint: page.endpoint, ..all })
}

/// A question, and who is asked.
struct Asking {
    chain: Arc<dyn Chain>,
    query: TransferQuery,
}

/// No chain makes so many blocks in the time that payments are open: what is called final is not there, most likely.
const FAR_OFF: u64 = 20_000_000;

impl Scanner {
    /// Takes in the next chunks of the way to the final block; `None` when nobody is behind.
    pub(super) async fn catch_up(&mut self) -> Result<Option<Deeper>, Trouble> {
        let params = self.settings.sweep;
        if !self.readings.prefetch.is_under_way() {
            let (ready, to) = (self.ready(), self.final_below_head());
            let Some(way) = sweep::catch_up_job(&ready, to, &params) else { return Ok(None) };
            self.readings.prefetch.rest = Some(self.index.for_members(way));
        }
        self.ask_ahead();
        let next = self.readings.prefetch.next().await;
        let (job, page) = match next {
            Ok(Some(next)) => next,
            Ok(None) => {
                self.readings.prefetch = Prefetch::default();
                return Ok(Some(Deeper::Further));
            }
            Err(ChainError::Refused(why)) => {
                let refused = std::mem::take(&mut self.readings.prefetch).failed;
                let Some(job) = refused else { return Err(ChainError::Refused(why).into()) };
                self.pass_over(&job, &why).await?;
                return Ok(Some(Deeper::Further));
            }
            Err(error) => {
                self.readings.prefetch = Prefetch::default();
                return Err(error.into());
            }
        };
        // The room that has come free is used while this is written.
        self.ask_ahead();
        self.readings.last_reader = Some(page.endpoint);
        let absorbed = self.absorb(&job, page, Reading::Sweep).await;
        if absorbed.is_err() {
            self.readings.prefetch = Prefetch::default();
        }
        absorbed?;
        let behind = sweep::behind_by(&self.index.leads(), self.view.last_final);
        self.health.update(|health| health.behind_by = behind);
        if !self.readings.prefetch.is_under_way() {
            // What is above the way is swept at once: it was not swept while the addresses were behind.
            self.schedule.sweep_whole_at(self.ports.clock.now());
        }
        if behind > FAR_OFF {
            self.readings.prefetch = Prefetch::default();
            return Ok(Some(Deeper::FarOff));
        }
        let next = sweep::catch_up_job(&self.ready(), self.final_below_head(), &params);
        let next = next.map(|next| self.index.for_members(next));
        if next.is_some_and(|next| next.from <= job.from && next.addresses == job.addresses) {
            self.readings.prefetch = Prefetch::default();
            return Ok(Some(Deeper::Stuck));
        }
        Ok(Some(Deeper::Further))
    }

    fn ask_ahead(&mut self) {
        let (chain, tokens, filter) = (&self.ports.chain, &self.tokens, self.settings.sweep.filter);
        let read = |job: &Job| Asking { chain: Arc::clone(chain), query: query(tokens, job, filter) };
        self.readings.prefetch.ask(self.settings.sweep.chunk, read);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::collections::BTreeSet;
    use std::sync::Mutex;
    use std::time::Duration;

    use async_trait::async_trait;

    use crate::domain::amount::Amount;
    use crate::domain::chain::{Address, B256, BlockNumber, BlockRef, Header, Transfer, WitnessedHeader};
    use crate::domain::operator::Operator;
    use crate::domain::testimony::Testimony;
    use crate::domain::time::Timestamp;
    use crate::ports::chain::{EndpointId, FinalityReport, Flaws, Hint, WatchSet};

    fn header(number: BlockNumber) -> Header {
        let block = BlockRef { number, hash: B256::with_last_byte(1) };
        Header { block, parent: B256::ZERO, time: Timestamp::EPOCH }
    }

    /// A chain with so many transfers in each block, on which a chunk takes the longer the earlier it was asked for.
    #[derive(Default)]
    struct Backwards {
        in_each: u64,
        fails_at: Option<BlockNumber>,
        asked: Mutex<Vec<BlockNumber>>,
    }

    #[async_trait]
    impl Chain for Backwards {
        fn chain_id(&self) -> u64 {
            137
        }
        async fn head(&self) -> Result<Header, ChainError> {
            Ok(header(1_000))
        }
        async fn finality(&self, _: bool) -> Result<FinalityReport, ChainError> {
            Ok(FinalityReport { finalized: None, head: header(1_000), endpoint: EndpointId(0) })
        }
        async fn header(&self, number: BlockNumber, _: Option<EndpointId>) -> Result<Option<Header>, ChainError> {
            Ok(Some(header(number)))
        }
        async fn witnessed_headers(
            &self,
            numbers: &[BlockNumber],
            _: bool,
            _: EndpointId,
        ) -> Result<Vec<WitnessedHeader>, ChainError> {
            let witnessed =
                |number| WitnessedHeader { header: Some(header(number)), finalized: None, head: header(1_000) };
            Ok(numbers.iter().copied().map(witnessed).collect())
        }
        async fn transfers(&self, query: &TransferQuery) -> Result<TransferPage, ChainError> {
            self.asked.lock().unwrap().push(query.from);
            tokio::time::sleep(Duration::from_millis(1_000_u64.saturating_sub(query.from))).await;
            if self.fails_at.is_some_and(|number| (query.from..=query.to).contains(&number)) {
                return Err(ChainError::Unavailable("a bad chunk".to_owned()));
            }
            let transfer = |block: u64, log_index| Transfer {
                block: header(block).block,
                block_time: None,
                tx_hash: B256::ZERO,
                log_index,
                token: Address::ZERO,
                from: Address::ZERO,
                to: Address::ZERO,
                amount: Amount::ZERO,
            };
            let blocks = query.from..=query.to;
            let transfers = blocks.flat_map(|block| (0..self.in_each).map(move |nth| transfer(block, nth))).collect();
            let anchor = header(query.to);
            Ok(TransferPage {
                transfers,
                anchor,
                is_tagged: false,
                endpoint: EndpointId(0),
                malformed: vec![query.from.to_string()],
                flaws: Flaws::default(),
            })
        }
        fn operator(&self, _: EndpointId) -> Operator {
            Operator::named("one")
        }
        fn operators(&self) -> Vec<Operator> {
            vec![Operator::named("one")]
        }
        async fn testify(&self, operator: &Operator, _: B256, _: bool) -> Testimony {
            let statement = Err("it does not tell of transactions".to_owned());
            Testimony { operator: operator.clone(), endpoint: "one".to_owned(), statement }
        }
        fn exclude(&self, _: &BTreeSet<String>) {}
        fn watch(&self, _: WatchSet) {}
        async fn hint(&self) -> Hint {
            std::future::pending().await
        }
    }

    fn way(to: BlockNumber) -> Prefetch {
        let rest = Job { from: 1, to, addresses: Arc::new(vec![Address::ZERO]) };
        Prefetch { rest: Some(rest), ..Prefetch::default() }
    }

    async fn step(ahead: &mut Prefetch, chain: &Arc<Backwards>) -> Result<Option<(Job, TransferPage)>, ChainError> {
        let read = |job: &Job| Asking {
            chain: Arc::clone(chain) as Arc<dyn Chain>,
            query: query(&Arc::default(), job, 1_000),
        };
        ahead.ask(10, read);
        ahead.next().await
    }

    #[tokio::test(start_paused = true)]
    async fn chunks_are_taken_in_the_order_of_the_chain() {
        let (chain, mut ahead) = (Arc::new(Backwards { in_each: 2, ..Backwards::default() }), way(75));
        let mut next = 1;
        while ahead.is_under_way() {
            let (job, page) = step(&mut ahead, &chain).await.unwrap().expect("a chunk");
            assert_eq!(job.from, next, "nothing is left out");
            let blocks: Vec<u64> = page.transfers.iter().map(|transfer| transfer.block.number).collect();
            let expected: Vec<u64> = (job.from..=job.to).flat_map(|block| [block, block]).collect();
            assert_eq!((blocks, page.anchor.block.number), (expected, job.to));
            let told = (job.from..=job.to).step_by(10).map(|from| from.to_string());
            assert_eq!(page.malformed, told.collect::<Vec<_>>());
            next = job.to + 1;
        }
        assert_eq!(next, 76);
        assert_eq!(chain.asked.lock().unwrap().len(), 8, "and nothing is read twice");
    }

    #[tokio::test(start_paused = true)]
    async fn a_chunk_that_fails_in_the_middle_ends_it_after_those_before() {
        let (chain, mut ahead) = (Arc::new(Backwards { fails_at: Some(25), ..Backwards::default() }), way(75));
        let (job, _) = step(&mut ahead, &chain).await.unwrap().expect("what came before counts");
        assert_eq!((job.from, job.to), (1, 20));
        assert!(step(&mut ahead, &chain).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_bounded() {
        let (chain, mut ahead) = (Arc::new(Backwards { in_each: 6_000, ..Backwards::default() }), way(400));
        let mut asked_before = 0;
        while ahead.is_under_way() {
            let (job, page) = step(&mut ahead, &chain).await.unwrap().expect("a chunk");
            assert_eq!((job.to - job.from, page.transfers.len()), (9, 60_000), "full ones are taken alone");
            let asked = chain.asked.lock().unwrap().len();
            assert!(ahead.chunks.len() < 3 && asked - asked_before <= 3, "{asked} are asked for");
            asked_before = asked;
        }
    }
}
