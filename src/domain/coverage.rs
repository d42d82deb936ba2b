//! Which blocks have been swept for which address (decision 4: coverage belongs to an address).

use serde::{Deserialize, Serialize};

use super::chain::{Address, BlockNumber, BlockRef};
use super::time::Timestamp;

/// How far the sweep has come for one watched address.
///
/// Three marks rise through the chain: `confirmed_to` ≤ `covered_to` < the head. What lies above
/// `covered_to` may have been looked at, but is not counted: it is read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    pub address: Address,
    /// The version the store holds (0: not stored yet).
    pub version: u64,
    /// Money that came at or after this moment must be seen.
    pub since: Timestamp,
    /// Where the sweep stands; `None` until the block at `since` has been found.
    pub swept: Option<Swept>,
    /// When the address stops being watched; `None` while a payment of it is open.
    pub watch_until: Option<Timestamp>,
    /// Set once the address is no longer watched, after the last reading of its whole window.
    pub closed: bool,
}

/// The blocks read for one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    /// The first block that matters.
    pub start: BlockNumber,
    /// All blocks from `start` up to and including this one were final when they were read; `start - 1` when none.
    pub covered_to: BlockNumber,
    /// As `covered_to`, but read a second time.
    pub confirmed_to: BlockNumber,
    /// The second reading that is owed next: up to this block, not before this moment.
    pub second_reading: Option<(BlockNumber, Timestamp)>,
}

/// What is believed of finality, kept so that a restart does not forget a number that moved back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalityMark {
    /// The version the store holds (0: not stored yet).
    pub version: u64,
    /// The highest block ever believed final.
    pub highest: BlockRef,
    /// The final block as last believed. Below `highest` while the chain's word has moved back.
    pub current: BlockRef,
    /// When `current` was learnt.
    pub at: Timestamp,
}
