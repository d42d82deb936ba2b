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
use super::{Trouble, Watcher};
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
pub(super) struct Ahead {
    /// What has not been asked for yet.
    rest: Option<Job>,
    /// What was asked for, in the order of the chain.
    chunks: VecDeque<Chunk>,
    /// The questions under way; each answer bears the first block of its chunk.
    reading: JoinSet<(u64, Page)>,
}

impl Ahead {
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
    (Job { from: first.from, ..job }, TransferPage { anchor: page.anchor, endpoint: page.endpoint, ..all })
}

/// A question, and who is asked.
struct Asking {
    chain: Arc<dyn Chain>,
    query: TransferQuery,
}

impl Watcher {
    /// Takes in the next chunks of the way to the final block; `None` when nobody is behind.
    pub(super) async fn catch_up(&mut self) -> Result<Option<Deeper>, Trouble> {
        let params = self.settings.sweep;
        if !self.ahead.is_under_way() {
            let ready = self.ready();
            let Some(way) = sweep::catch_up_job(&ready, self.last_final, &params) else { return Ok(None) };
            self.ahead.rest = Some(self.roll.for_members(way));
        }
        self.ask_ahead();
        let next = self.ahead.next().await;
        let Ok(Some((job, page))) = next else {
            self.ahead = Ahead::default();
            return next.map(|_| Some(Deeper::Further)).map_err(Trouble::from);
        };
        // The room that has come free is used while this is written.
        self.ask_ahead();
        self.last_reader = Some(page.endpoint);
        let absorbed = self.absorb(&job, page, Reading::Sweep).await;
        if absorbed.is_err() {
            self.ahead = Ahead::default();
        }
        absorbed?;
        let behind = sweep::behind_by(&self.roll.leads(), self.last_final);
        self.health.update(|health| health.behind_by = behind);
        if !self.ahead.is_under_way() {
            // What is above the way is swept at once: it was not swept while the addresses were behind.
            self.sweep_whole_at(self.ports.clock.now());
        }
        let next = sweep::catch_up_job(&self.ready(), self.last_final, &params);
        let next = next.map(|next| self.roll.for_members(next));
        if next.is_some_and(|next| next.from <= job.from && next.addresses == job.addresses) {
            self.ahead = Ahead::default();
            return Ok(Some(Deeper::Stuck));
        }
        Ok(Some(Deeper::Further))
    }

    fn ask_ahead(&mut self) {
        let (chain, tokens, filter) = (&self.ports.chain, &self.tokens, self.settings.sweep.filter);
        let read = |job: &Job| Asking { chain: Arc::clone(chain), query: query(tokens, job, filter) };
        self.ahead.ask(self.settings.sweep.chunk, read);
    }
}
