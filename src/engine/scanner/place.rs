//! Finds the block that an address's sweep begins with, by the time since when its money matters.
//!
//! One endpoint's block times could hide an early deposit for good: where there are several endpoints, two must say that the
//! block before the start is older. If they do not agree, the lower start is taken: reading more costs only requests.

use std::collections::BTreeMap;

use super::{Scanner, Trouble};
use crate::domain::chain::BlockNumber;
use crate::domain::coverage::{Coverage, Swept};
use crate::domain::event::{Event, EventKind};
use crate::domain::time::Timestamp;
use crate::engine::first_block::first_block;
use crate::engine::transaction;
use crate::planted::{Bug, planted};
use crate::policy::sweep::MOST_BLOCKS_A_SECOND;
use crate::ports::chain::{ChainError, EndpointId};
use crate::ports::store::{Commit, StoreError};

/// How many must agree on a start block, where there are as many.
const ENOUGH: usize = 2;

/// How much lower a start is taken at most where one operator alone has told it: a day of the fastest chain's blocks.
const MOST_LOWER: u64 = 86_400 * MOST_BLOCKS_A_SECOND;

/// A start block that was confirmed serves addresses whose own is at most so many blocks higher.
const NEAR: u64 = 64;

/// How many addresses are placed in one commit.
const BATCH: usize = 256;

impl Scanner {
    /// Places every address that has no start block yet. One whose block no node can tell is tried again later, and
    /// does not keep the others from being swept.
    pub(super) async fn place_new(&mut self) -> Result<(), Trouble> {
        let now = self.ports.clock.now();
        let tries_all = self.readings.placing.is_over(now);
        let mut fresh = self.index.unplaced();
        fresh.retain(|coverage| tries_all || !self.readings.unplaced.contains(&coverage.address));
        if fresh.is_empty() {
            return Ok(());
        }
        let head = self.fresh_head().await?;
        self.view.times.insert(head.block.number, head.time);
        fresh.sort_by_key(|coverage| std::cmp::Reverse(coverage.since));
        let mut starts = Vec::new();
        let mut trouble = None;
        for coverage in fresh {
            // The newest come first. What cannot be found for one cannot be found for an older one.
            let found = if trouble.is_some() { Ok(None) } else { self.start_block(coverage.since).await.map(Some) };
            match found {
                Ok(Some(start)) => {
                    self.readings.unplaced.remove(&coverage.address);
                    starts.push((coverage, start));
                }
                Ok(None) => {
                    self.readings.unplaced.insert(coverage.address);
                }
                Err(Trouble::Chain(error)) if !matches!(error, ChainError::Contradiction(_)) => {
                    self.readings.unplaced.insert(coverage.address);
                    trouble = Some(error);
                }
                Err(other) => return Err(other),
            }
        }
        self.keep_starts(&starts).await?;
        match trouble {
            Some(error) => {
                let addresses = self.readings.unplaced.len();
                tracing::error!(%error, addresses, "these addresses cannot be swept: where to begin is not known");
                self.readings.placing.failed(now, &error.to_string());
            }
            None if tries_all => {
                self.readings.placing.worked();
                self.readings.unplaced.clear();
            }
            None => {}
        }
        Ok(())
    }

    async fn keep_starts(&mut self, starts: &[(Coverage, u64)]) -> Result<(), Trouble> {
        for batch in starts.chunks(BATCH) {
            let mut commit = Commit::default();
            for (coverage, start) in batch {
                // The first block has no transfers; starting above it leaves room for "nothing covered yet".
                let start = (*start).max(1);
                let mut below = start.saturating_sub(1);
                if planted(Bug::OneCoverageForAll) {
                    let others = self.index.leads().into_iter().filter_map(|lead| lead.swept);
                    below = others.map(|other| other.covered_to).max().unwrap_or(below).max(below);
                }
                let swept = Swept { start, covered_to: below, confirmed_to: below, second_reading: None };
                commit.coverage.push(Coverage { swept: Some(swept), ..coverage.clone() });
                let kind = EventKind::AddressPlaced { address: coverage.address, start };
                commit.events.push(Event::new(self.ports.clock.now(), kind));
            }
            match transaction::commit(&*self.ports.store, commit).await {
                Ok(_) => {}
                // Somebody changed one of them meanwhile; what is not placed is placed the next time round.
                Err(StoreError::Conflict(what)) => tracing::debug!(what, "placed again later"),
                Err(error) => return Err(error.into()),
            }
        }
        self.forget_times();
        if starts.is_empty() { Ok(()) } else { Ok(self.reload().await?) }
    }

    async fn start_block(&mut self, since: Timestamp) -> Result<u64, Trouble> {
        let mut times = std::mem::take(&mut self.view.times);
        let found = first_block(&*self.ports.chain, &mut times, since, None).await;
        self.view.times = times;
        self.confirmed(found?, since).await
    }

    /// The start block, once two endpoints, where there are as many operators of two, say that the block before it is older than
    /// `since`; the lower of both words where one of them does not. An endpoint that does not answer, or has no such block, is
    /// left out; where too few are left, the start is as low as the fastest chain's would be.
    async fn confirmed(&mut self, start: BlockNumber, since: Timestamp) -> Result<BlockNumber, Trouble> {
        let endpoints = self.ports.chain.endpoints();
        let Some(below) = start.checked_sub(1).filter(|_| endpoints > 1) else {
            return Ok(start);
        };
        // What was confirmed for another address serves this one too, where it is near.
        let near = self.view.confirmed.range(below.saturating_sub(NEAR)..=below).next_back();
        if let Some((number, _)) = near.filter(|(_, time)| **time < since) {
            return Ok(number.saturating_add(1));
        }
        let (mut lowest, mut youngest, mut heard) = (start, Timestamp::EPOCH, Vec::new());
        let one_runs_all = self.ports.chain.operators().len() < ENOUGH;
        for endpoint in (0..endpoints).map(EndpointId) {
            let operator = self.ports.chain.operator(endpoint);
            if heard.contains(&operator) && !one_runs_all {
                continue;
            }
            let Ok(Some(header)) = self.ports.chain.header(below, Some(endpoint)).await else { continue };
            heard.push(operator);
            youngest = youngest.max(header.time);
            if header.time >= since {
                tracing::warn!(
                    endpoint = endpoint.0,
                    block = below,
                    "endpoints differ about a block's time; the lower start is taken"
                );
                let mut times = BTreeMap::from([(below, header.time)]);
                lowest = lowest.min(first_block(&*self.ports.chain, &mut times, since, Some(endpoint)).await?);
            }
            if heard.len() >= ENOUGH {
                break;
            }
        }
        // No chain makes more blocks in that time, whatever one operator says: some blocks more are read.
        if heard.len() < ENOUGH && !one_runs_all {
            let age = self.ports.clock.now().since(since).as_secs();
            let head = self.view.head.map_or(start, |(head, _)| head.block.number);
            let fastest = head.saturating_sub(age.saturating_mul(MOST_BLOCKS_A_SECOND));
            lowest = lowest.min(fastest.max(start.saturating_sub(MOST_LOWER)));
        }
        if heard.len() >= ENOUGH && lowest == start {
            self.view.confirmed.insert(below, youngest);
        }
        Ok(lowest)
    }
}
