//! Finds the block that an address's sweep begins with, by the time since when its money matters.

use super::{Trouble, Watcher};
use crate::domain::coverage::{Coverage, Swept};
use crate::domain::event::{Event, EventKind};
use crate::domain::time::Timestamp;
use crate::policy::sweep;
use crate::ports::chain::ChainError;
use crate::ports::store::{Commit, StoreError};

/// The most questions one search may take; 2^40 blocks need fewer.
const MOST_PROBES: u32 = 128;

/// How many addresses are placed in one commit.
const BATCH: usize = 256;

impl Watcher {
    /// Places every address that has no start block yet.
    pub(super) async fn place_new(&mut self) -> Result<(), Trouble> {
        let mut fresh: Vec<Coverage> =
            self.watched.iter().filter(|coverage| coverage.swept.is_none()).cloned().collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let head = self.fresh_head().await?;
        self.times.insert(head.block.number, head.time);
        fresh.sort_by_key(|coverage| std::cmp::Reverse(coverage.since));
        for batch in fresh.chunks(BATCH) {
            let mut commit = Commit::default();
            for coverage in batch {
                // The first block has no transfers; starting above it leaves room for "nothing covered yet".
                let start = self.start_block(coverage.since).await?.max(1);
                let below = start.saturating_sub(1);
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
        self.reload().await?;
        self.forget_times();
        Ok(())
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
