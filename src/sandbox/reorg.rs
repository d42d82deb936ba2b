//! Reorgs of the sandbox's chain, which drop, keep or move transactions.
//!
//! Anvil's own `anvil_reorg` is used with the signed bytes of each transaction, and its quirks are made good: without
//! a difference it can rebuild the very same blocks, so the fee recipient is changed each time; it sets the clock
//! back, so the clock is set again; and it leaves a transaction out without a word, so the result is checked. It tells
//! subscribers of new heads and new logs, and never of removed ones.
//!
//! Deliberately absent: putting dropped transactions back into the pool. Anvil forgets them; [`Reorg::dropped`] has
//! their bytes for [`Node::send_raw`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use alloy::primitives::Bytes;
use serde_json::{Value, json};

use super::chain::{BlockTag, Node};
use super::error::{Result, SandboxError};
use crate::domain::chain::{Address, B256, BlockNumber};
use crate::domain::time::Timestamp;

/// How often a reorg is prepared anew because a block came in between.
const PREPARATIONS: u32 = 10;

/// A transaction and the place in the new blocks that it is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Which transaction; it must be in a replaced block or in the pool.
    pub tx_hash: B256,
    /// In which of the new blocks, from 0. Within a block, the order given is the order of the transactions.
    pub block: u64,
}

/// What a reorg did.
#[derive(Clone, Debug)]
pub struct Reorg {
    /// The number of the first block that was replaced.
    pub first: BlockNumber,
    /// The transactions that are in no block any more, with their signed bytes.
    pub dropped: BTreeMap<B256, Bytes>,
}

impl Node {
    /// Replaces the newest `depth` blocks by as many new ones, with the transactions placed as given and no others.
    /// Keep all transactions of one account that come after a kept one, or none: anvil does not look at nonces here.
    /// While blocks are mined by the clock, [`Node::reorg_from`] is surer.
    ///
    /// # Errors
    /// When `depth` is 0 or reaches genesis, a place is outside the new blocks, a transaction's bytes are not to be
    /// had, or a transaction is not where it should be afterwards.
    pub async fn reorg(&self, depth: u64, placed: &[Placed]) -> Result<Reorg> {
        let head = self.head().await?;
        if depth == 0 || depth > head {
            return Err(SandboxError::Invalid(format!("a reorg of {depth} blocks at head {head} is not possible")));
        }
        self.reorg_from(head.saturating_sub(depth).saturating_add(1), placed).await
    }

    /// Replaces the block `first` and all above it, however many those are by now.
    ///
    /// # Errors
    /// As [`Node::reorg`]; also when blocks are mined faster than a reorg can be prepared.
    pub async fn reorg_from(&self, first: BlockNumber, placed: &[Placed]) -> Result<Reorg> {
        for _ in 0..PREPARATIONS {
            let head = self.head().await?;
            let depth = head.saturating_add(1).saturating_sub(first);
            if first == 0 || depth == 0 {
                let why = format!("a reorg from block {first} on at head {head} is not possible");
                return Err(SandboxError::Invalid(why));
            }
            let (pairs, dropped) = self.prepared(first, depth, placed).await?;
            let ahead = self.clock_ahead().await?;
            let number = self.reorgs.fetch_add(1, Ordering::Relaxed);
            let fee_recipient = Address::left_padding_from(&number.to_be_bytes());
            self.rpc.command("anvil_setCoinbase", json!([fee_recipient])).await?;
            if self.head().await? != head {
                continue;
            }
            self.rpc.command("anvil_reorg", json!([depth, pairs])).await?;
            self.set_clock(Timestamp::from_secs(wall_seconds().saturating_add_signed(ahead))).await?;
            for place in placed {
                self.check_place(place.tx_hash, first.saturating_add(place.block)).await?;
            }
            return Ok(Reorg { first, dropped });
        }
        Err(SandboxError::Invalid(format!("the chain grew during each of {PREPARATIONS} attempts at a reorg")))
    }

    /// The new blocks' transactions as anvil wants them, and what is dropped.
    async fn prepared(
        &self,
        first: BlockNumber,
        depth: u64,
        placed: &[Placed],
    ) -> Result<(Vec<Value>, BTreeMap<B256, Bytes>)> {
        if let Some(outside) = placed.iter().find(|place| place.block >= depth) {
            let why = format!("block {} is outside the {depth} new blocks", outside.block);
            return Err(SandboxError::Transaction { tx_hash: outside.tx_hash, why });
        }
        let replaced = self.transactions_above(first.saturating_sub(1)).await?;
        let kept: BTreeSet<B256> = placed.iter().map(|place| place.tx_hash).collect();
        let mut dropped = BTreeMap::new();
        for tx_hash in replaced.values().flatten().filter(|tx_hash| !kept.contains(*tx_hash)) {
            dropped.insert(*tx_hash, self.bytes_of(*tx_hash).await?);
        }
        let mut pairs = Vec::with_capacity(placed.len());
        for place in placed {
            pairs.push(json!([self.bytes_of(place.tx_hash).await?, place.block]));
        }
        Ok((pairs, dropped))
    }

    /// Replaces the newest `depth` blocks and drops all their transactions.
    ///
    /// # Errors
    /// As [`Node::reorg`].
    pub async fn reorg_dropping_all(&self, depth: u64) -> Result<Reorg> {
        self.reorg(depth, &[]).await
    }

    /// Replaces the newest `depth` blocks and keeps every transaction in a block of the same number.
    ///
    /// # Errors
    /// As [`Node::reorg`].
    pub async fn reorg_keeping_all(&self, depth: u64) -> Result<Reorg> {
        let fork_point = self.head().await?.saturating_sub(depth);
        let mut placed = Vec::new();
        for (number, transactions) in self.transactions_above(fork_point).await? {
            let block = number.saturating_sub(fork_point).saturating_sub(1);
            placed.extend(transactions.into_iter().map(|tx_hash| Placed { tx_hash, block }));
        }
        self.reorg(depth, &placed).await
    }

    /// Replaces the newest `depth` blocks and drops the transactions of one account. All others stay in blocks of the
    /// same number.
    ///
    /// # Errors
    /// As [`Node::reorg`].
    pub async fn reorg_dropping(&self, depth: u64, account: Address) -> Result<Reorg> {
        self.reorg_around(depth, account, None).await
    }

    /// Replaces the newest `depth` blocks and puts the transactions of one account so many blocks later, or into the
    /// last of the new blocks, in the order they had. All others stay in blocks of the same number.
    ///
    /// # Errors
    /// As [`Node::reorg`].
    pub async fn reorg_delaying(&self, depth: u64, account: Address, later: u64) -> Result<Reorg> {
        self.reorg_around(depth, account, Some(later)).await
    }

    async fn reorg_around(&self, depth: u64, account: Address, later: Option<u64>) -> Result<Reorg> {
        let fork_point = self.head().await?.saturating_sub(depth);
        let last = depth.saturating_sub(1);
        let mut placed = Vec::new();
        for (number, sender, tx_hash) in self.senders_above(fork_point).await? {
            let block = number.saturating_sub(fork_point).saturating_sub(1);
            match later {
                _ if sender != account => placed.push(Placed { tx_hash, block }),
                Some(later) => placed.push(Placed { tx_hash, block: block.saturating_add(later).min(last) }),
                None => {}
            }
        }
        self.reorg(depth, &placed).await
    }

    /// Sends what a reorg dropped once more.
    ///
    /// # Errors
    /// When the node refuses one of them; those before it are sent.
    pub async fn send_dropped(&self, reorg: &Reorg) -> Result<()> {
        for raw in reorg.dropped.values() {
            self.send_raw(raw).await?;
        }
        Ok(())
    }

    async fn bytes_of(&self, tx_hash: B256) -> Result<Bytes> {
        let gone = || SandboxError::Transaction { tx_hash, why: "the node does not know it".to_owned() };
        self.raw_transaction(tx_hash).await?.ok_or_else(gone)
    }

    async fn check_place(&self, tx_hash: B256, block: BlockNumber) -> Result<()> {
        match self.receipt(tx_hash).await? {
            Some(receipt) if receipt.block.number == block => Ok(()),
            Some(receipt) => {
                let why = format!("it is in block {} after the reorg, not in {block}", receipt.block.number);
                Err(SandboxError::Transaction { tx_hash, why })
            }
            None => Err(SandboxError::Transaction { tx_hash, why: "the reorg left it out".to_owned() }),
        }
    }

    /// By how many seconds the chain's clock is ahead of the computer's; negative when it is behind.
    async fn clock_ahead(&self) -> Result<i64> {
        let pending = self.existing_block(BlockTag::Pending).await?.header.time.as_secs();
        let now = wall_seconds();
        let apart = i64::try_from(pending.abs_diff(now)).unwrap_or(i64::MAX);
        Ok(if pending >= now { apart } else { apart.saturating_neg() })
    }
}

/// The computer's clock, in seconds since the Unix epoch. A clock before 1970 counts as 1970.
fn wall_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
