//! Blocks, transactions and transfers, as a chain node reports them.

use serde::{Deserialize, Serialize};

pub use alloy::primitives::{Address, B256};

use super::amount::Amount;
use super::time::Timestamp;

/// A block's position on its chain.
pub type BlockNumber = u64;

/// A block named so that it cannot be mistaken: by number and by hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlockRef {
    /// Its number.
    pub number: BlockNumber,
    /// Its hash.
    pub hash: B256,
}

/// What is read of a block's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Number and hash.
    pub block: BlockRef,
    /// The hash of the block before.
    pub parent: B256,
    /// The block's own time.
    pub time: Timestamp,
}

/// A header, and what the node that gave it said of finality in the same breath.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WitnessedHeader {
    /// The header; `None` when the node has no such block.
    pub header: Option<Header>,
    /// The header under the node's `finalized` tag, if that was asked for and it has one.
    pub finalized: Option<Header>,
    /// The node's head.
    pub head: Header,
}

/// One `Transfer` log of a known token: `Transfer(address indexed from, address indexed to, uint256 value)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// The block that holds it.
    pub block: BlockRef,
    /// The block's time, where the node says it with the log.
    pub block_time: Option<Timestamp>,
    /// The transaction that caused it.
    pub tx_hash: B256,
    /// Its position among all logs of the block.
    pub log_index: u64,
    /// The token contract that wrote it.
    pub token: Address,
    /// Whose balance went down; zero for a mint.
    pub from: Address,
    /// Whose balance went up.
    pub to: Address,
    /// How much, in base units of the token.
    pub amount: Amount,
}
