//! Finds the block that an address's sweep begins with, by the time since when its money matters.

use super::{Trouble, Watcher};
use crate::domain::coverage::{Coverage, Swept};
use crate::domain::event::{Event, EventKind};
use crate::domain::time::Timestamp;
use crate::planted::{Bug, planted};
use crate::policy::sweep;
use crate::ports::chain::ChainError;
use crate::ports::store::{Commit, StoreError};

/// The most questions one search may take; 2^40 blocks need fewer.
const MOST_PROBES: u32 = 128;

/// How many addresses are placed in one commit.
const BATCH: usize = 256;

impl Watcher {
    /// Places every address that has no start block yet. One whose block no node can tell is tried again later, and
    /// does not keep the others from being swept.
    pub(super) async fn place_new(&mut self) -> Result<(), Trouble> {
        let now = self.ports.clock.now();
        let tries_all = self.placing.is_over(now);
        let mut fresh = self.roll.unplaced();
        fresh.retain(|coverage| tries_all || !self.unplaced.contains(&coverage.address));
        if fresh.is_empty() {
            return Ok(());
        }
        let head = self.fresh_head().await?;
        self.times.insert(head.block.number, head.time);
        fresh.sort_by_key(|coverage| std::cmp::Reverse(coverage.since));
        let mut starts = Vec::new();
        let mut trouble = None;
        for coverage in fresh {
            // The newest come first. What cannot be found for one cannot be found for an older one.
            let found = if trouble.is_some() { Ok(None) } else { self.start_block(coverage.since).await.map(Some) };
            match found {
                Ok(Some(start)) => {
                    self.unplaced.remove(&coverage.address);
                    starts.push((coverage, start));
                }
                Ok(None) => {
                    self.unplaced.insert(coverage.address);
                }
                Err(Trouble::Chain(error)) if !matches!(error, ChainError::Contradiction(_)) => {
                    self.unplaced.insert(coverage.address);
                    trouble = Some(error);
                }
                Err(other) => return Err(other),
            }
        }
        self.keep_starts(&starts).await?;
        match trouble {
            Some(error) => {
                let addresses = self.unplaced.len();
                tracing::error!(%error, addresses, "these addresses cannot be swept: where to begin is not known");
                self.placing.failed(now, &error.to_string());
            }
            None if tries_all => {
                self.placing.worked();
                self.unplaced.clear();
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
                    let others = self.roll.leads().into_iter().filter_map(|lead| lead.swept);
                    below = others.map(|other| other.covered_to).max().unwrap_or(below).max(below);
                }
                let swept = Swept { start, covered_to: below, confirmed_to: below, second_reading: None };
                commit.coverage.push(Coverage { swept: Some(swept), ..coverage.clone() });
                let kind = EventKind::AddressPlaced { address: coverage.address, start };
                commit.events.push(Event { at: self.ports.clock.now(), payment: None, deposit: None, kind });
            }
            match self.ports.store.commit(commit).await {
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
        for _ in 0..MOST_PROBES {
            match sweep::find_start(&self.times, since) {
                Err(start) => return Ok(start),
                Ok(probe) => {
                    let header = self.ports.chain.header(probe, None).await?;
                    let missing = || {
                        ChainError::Behind(format!(
                            "no endpoint has block {probe}, which is needed to find where to begin"
                        ))
                    };
                    let header = header.ok_or_else(missing)?;
                    self.times.insert(probe, header.time);
                }
            }
        }
        Err(ChainError::Behind("the chain's block times do not lead to a start block".to_owned()).into())
    }
}
