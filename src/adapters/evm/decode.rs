//! From a log, as the node wrote it, to a transfer: right event, right contract, three topics, 32 data bytes, plain
//! addresses, an amount that fits.

use alloy::primitives::{Address, B256, U256};
use alloy::rpc::types::Log;
use alloy::sol_types::SolEvent as _;

use crate::domain::amount::Amount;
use crate::domain::chain::{BlockRef, Transfer};
use crate::domain::time::Timestamp;

use super::failure::Failure;

/// The token's interface, read from its ABI.
pub(super) mod abi {
    alloy::sol!(Usdc, "abi/usdc.json");
}

/// The first topic of a `Transfer(address,address,uint256)`.
pub(super) const TRANSFER: B256 = abi::Usdc::Transfer::SIGNATURE_HASH;

/// Which end of a transfer is asked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Who gets it.
    To,
    /// Whose balance goes down.
    From,
}

impl Side {
    /// The place of its topic in a log.
    const fn topic(self) -> usize {
        match self {
            Self::From => 1,
            Self::To => 2,
        }
    }
}

/// What was asked for; accounts sorted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// The first block.
    pub(super) from: u64,
    /// The last block, included.
    pub(super) to: u64,
    /// The token contracts.
    pub(super) tokens: &'a [Address],
    /// Whose transfers, sorted.
    pub(super) accounts: &'a [Address],
    /// On which side of the transfer they are.
    pub(super) side: Side,
}

/// What a log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    /// A transfer that was asked for.
    Transfer(Transfer),
    /// Not asked for, or taken back: another contract, event, recipient or block.
    Foreign,
    /// From a known token, under the right topic, and yet no transfer; says why.
    Malformed(String),
}

/// Decodes one log.
///
/// # Errors
/// [`Class::Garbage`](super::classify::Class::Garbage) when a log that matters does not say where it stands: the
/// whole answer is then worth nothing.
pub(super) fn decode(log: &Log, wanted: &Wanted<'_>) -> Result<Decoded, Failure> {
    let topics = log.topics();
    if log.removed || topics.first() != Some(&TRANSFER) || !wanted.tokens.contains(&log.address()) {
        return Ok(Decoded::Foreign);
    }
    if topics.get(wanted.side.topic()).is_some_and(|topic| !is_wanted(topic, wanted)) {
        return Ok(Decoded::Foreign);
    }
    let (Some(number), Some(hash), Some(tx_hash), Some(log_index)) =
        (log.block_number, log.block_hash, log.transaction_hash, log.log_index)
    else {
        return Err(Failure::garbage("a log lacks its block, transaction or index"));
    };
    if number < wanted.from || number > wanted.to {
        return Ok(Decoded::Foreign);
    }
    let malformed = |why: String| {
        let token = log.address();
        Ok(Decoded::Malformed(format!("log {log_index} of block {number} ({tx_hash}) of token {token}: {why}")))
    };
    let (from, to, amount) = match parts(log) {
        Ok(parts) => parts,
        Err(why) => return malformed(why),
    };
    Ok(Decoded::Transfer(Transfer {
        block: BlockRef { number, hash },
        block_time: log.block_timestamp.map(Timestamp::from_secs),
        tx_hash,
        log_index,
        token: log.address(),
        from,
        to,
        amount,
    }))
}

/// From whom, to whom and how much, or what is wrong with a log under the topic of a transfer.
pub(super) fn parts(log: &Log) -> Result<(Address, Address, Amount), String> {
    let topics = log.topics();
    let [_, from, to] = topics else {
        return Err(format!("{} topics, where a transfer has 3", topics.len()));
    };
    let data = log.data().data.as_ref();
    let Ok(word) = <[u8; 32]>::try_from(data) else {
        return Err(format!("{} data bytes, where a transfer has 32", data.len()));
    };
    let (Some(from), Some(to)) = (address(from), address(to)) else {
        return Err("a topic that should be an address is none".to_owned());
    };
    let Ok(amount) = u128::try_from(U256::from_be_bytes(word)) else {
        return Err("an amount beyond 128 bits".to_owned());
    };
    Ok((from, to, Amount::from_base_units(amount)))
}

/// Whether the last 20 bytes are a wanted account. What stands before them is judged later, so that a dirty topic is
/// reported and not just skipped.
fn is_wanted(topic: &B256, wanted: &Wanted<'_>) -> bool {
    wanted.accounts.binary_search(&Address::from_word(*topic)).is_ok()
}

/// A topic as an address, if its upper 12 bytes are zero.
fn address(topic: &B256) -> Option<Address> {
    let address = Address::from_word(*topic);
    (address.into_word() == *topic).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    use serde_json::{Value, json};

    const TOKEN: Address = Address::repeat_byte(0xaa);
    const WATCHED: Address = Address::repeat_byte(0x02);

    fn log() -> Value {
        json!({
            "address": TOKEN, "blockNumber": "0x64", "blockHash": B256::repeat_byte(9), "logIndex": "0x7",
            "transactionHash": B256::repeat_byte(8), "transactionIndex": "0x1", "removed": false,
            "topics": [TRANSFER, Address::repeat_byte(1).into_word(), WATCHED.into_word()],
            "data": B256::with_last_byte(5), "blockTimestamp": "0x65",
        })
    }

    fn decoded(field: &str, value: Value) -> Result<Decoded, Failure> {
        let mut log = log();
        log[field] = value;
        let wanted = Wanted { from: 100, to: 100, tokens: &[TOKEN], accounts: &[WATCHED], side: Side::To };
        decode(&serde_json::from_value(log).unwrap(), &wanted)
    }

    #[test]
    fn a_transfer() {
        let expected = Transfer {
            block: BlockRef { number: 100, hash: B256::repeat_byte(9) },
            block_time: Some(Timestamp::from_secs(101)),
            tx_hash: B256::repeat_byte(8),
            log_index: 7,
            token: TOKEN,
            from: Address::repeat_byte(1),
            to: WATCHED,
            amount: Amount::from_base_units(5),
        };
        assert_eq!(decoded("removed", json!(false)), Ok(Decoded::Transfer(expected)));
        let Ok(Decoded::Transfer(largest)) = decoded("data", json!(B256::from(U256::from(u128::MAX)))) else {
            panic!()
        };
        assert_eq!(largest.amount, Amount::from_base_units(u128::MAX));
        let Ok(Decoded::Transfer(mint)) = decoded("topics", json!([TRANSFER, B256::ZERO, WATCHED.into_word()])) else {
            panic!()
        };
        assert_eq!(mint.from, Address::ZERO);
    }

    #[test]
    fn what_was_not_asked_for() {
        let other = Address::repeat_byte(3).into_word();
        for (field, value) in [
            ("removed", json!(true)),
            ("address", json!(Address::repeat_byte(0xbb))),
            ("blockNumber", json!("0x63")),
            ("blockNumber", json!("0x65")),
            ("topics", json!([])),
            ("topics", json!([B256::ZERO, other, WATCHED.into_word()])),
            ("topics", json!([TRANSFER, WATCHED.into_word(), other])),
        ] {
            assert_eq!(decoded(field, value.clone()), Ok(Decoded::Foreign), "{field} {value}");
        }
    }

    #[test]
    fn what_is_no_transfer() {
        let mut dirty = WATCHED.into_word();
        dirty.0[0] = 1;
        let watched = WATCHED.into_word();
        for (field, value) in [
            ("topics", json!([TRANSFER])),
            ("topics", json!([TRANSFER, watched, watched, watched])),
            ("topics", json!([TRANSFER, watched, dirty])),
            ("topics", json!([TRANSFER, dirty, watched])),
            ("data", json!("0x")),
            ("data", json!(format!("{}00", B256::with_last_byte(5)))),
            ("data", json!(B256::from(U256::from(1) << 128))),
        ] {
            assert!(matches!(decoded(field, value.clone()), Ok(Decoded::Malformed(_))), "{field} {value}");
        }
        for field in ["blockNumber", "blockHash", "transactionHash", "logIndex"] {
            assert!(decoded(field, json!(null)).is_err(), "{field}");
        }
    }
}
