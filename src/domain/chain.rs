//! Blocks, transactions and transfers, as a chain node reports them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use alloy::primitives::{Address, B256};

use super::amount::Amount;
use super::time::Timestamp;

/// A block's position on its chain.
pub type BlockNumber = u64;

/// A block named so that it cannot be mistaken: by number and by hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlockRef {
    pub number: BlockNumber,
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

/// Whether these headers can be of one chain: none of them has another block at a height, or above another parent, than the
/// others say.
#[must_use]
pub fn is_one_chain(headers: impl IntoIterator<Item = Header>) -> bool {
    let mut known: BTreeMap<BlockNumber, B256> = BTreeMap::new();
    let mut fits = |number: BlockNumber, hash: B256| *known.entry(number).or_insert(hash) == hash;
    headers.into_iter().all(|header| {
        let number = header.block.number;
        fits(number, header.block.hash) && number.checked_sub(1).is_none_or(|below| fits(below, header.parent))
    })
}

/// A header, and what the node that gave it said of finality in the same breath.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WitnessedHeader {
    /// The header; `None` when the node has no such block.
    pub header: Option<Header>,
    /// The header under the node's `finalized` tag, if that was asked for and it has one.
    pub finalized: Option<Header>,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn header(number: BlockNumber) -> Header {
        let hash = |number: BlockNumber| B256::repeat_byte(u8::try_from(number % 251).expect("below 251"));
        let parent = number.checked_sub(1).map_or(B256::ZERO, hash);
        Header { block: BlockRef { number, hash: hash(number) }, parent, time: Timestamp::from_secs(number) }
    }

    #[test]
    fn headers_of_one_chain_fit_together() {
        let orphan = |number: u64| {
            let block = BlockRef { number, hash: B256::repeat_byte(254) };
            Header { block, ..header(number) }
        };
        let cases = [
            (vec![], true),
            (vec![header(7)], true),
            (vec![header(7), header(7)], true),
            (vec![header(9), header(7), header(8)], true),
            (vec![header(9), header(3)], true),
            // Another block at the same height; one that the next has not for its parent, in either order.
            (vec![header(7), orphan(7)], false),
            (vec![header(8), orphan(7)], false),
            (vec![orphan(7), header(8)], false),
            (vec![header(9), header(8), orphan(7)], false),
            // Two that name another parent.
            (vec![header(7), Header { parent: B256::ZERO, ..header(7) }], false),
            // Too far apart to tell.
            (vec![header(9), orphan(7)], true),
            (vec![header(0)], true),
        ];
        for (headers, expected) in cases {
            assert_eq!(is_one_chain(headers.clone()), expected, "{headers:?}");
        }
    }
}

/// How a node is asked for the transfers to many recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFilter {
    Recipients,
    /// They are too many to be named: the transfers to anybody are asked for, and theirs are picked out of the answer.
    AnyRecipient,
}
