//! From a log, as the node wrote it, to a transfer: right event, right contract, three topics, 32 data bytes, plain
//! addresses, an amount that fits.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, U256};
use alloy::rpc::types::Log;
use alloy::sol_types::SolEvent as _;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::amount::Amount;
use crate::domain::chain::{BlockRef, Transfer};
use crate::domain::time::Timestamp;

/// The token's interface, read from its ABI.
pub(super) mod abi {
    alloy::sol!(Usdc, "abi/usdc.json");
}

/// The first topic of a `Transfer(address,address,uint256)`.
pub(super) const TRANSFER: B256 = abi::Usdc::Transfer::SIGNATURE_HASH;

/// Which end of a transfer is asked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
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
    /// A transfer of this account that does not say where it stands: its block, its transaction or its index.
    Placeless(Address),
}

/// What a log may say besides what is needed: where nodes differ, and what no decision goes by.
const NEEDLESS: [&str; 2] = ["blockTimestamp", "transactionIndex"];

/// Reads a log. Where what is needless does not read, it counts as not told.
pub(super) fn read_log(log: &RawValue) -> serde_json::Result<Log> {
    serde_json::from_str(log.get()).or_else(|error| {
        let mut fields: BTreeMap<&str, &RawValue> = serde_json::from_str(log.get()).map_err(|_| error)?;
        let null: &RawValue = serde_json::from_str("null")?;
        fields.extend(NEEDLESS.map(|name| (name, null)));
        serde_json::from_str(&serde_json::to_string(&fields)?)
    })
}

/// Whether a log that cannot be read says of itself that it is no `Transfer`.
pub(super) fn is_of_another_event(log: &RawValue) -> bool {
    let log: Value = serde_json::from_str(log.get()).unwrap_or(Value::Null);
    let has_none = log.get("topics").and_then(Value::as_array).is_some_and(Vec::is_empty);
    has_none || topic_of(&log, 0).is_some_and(|topic| topic != TRANSFER)
}

/// Decodes one log.
pub(super) fn decode(log: &Log, wanted: &Wanted<'_>) -> Decoded {
    let topics = log.topics();
    if log.removed || topics.first() != Some(&TRANSFER) || !wanted.tokens.contains(&log.address()) {
        return Decoded::Foreign;
    }
    let account = topics.get(wanted.side.topic());
    if account.is_some_and(|topic| !is_wanted(topic, wanted)) {
        return Decoded::Foreign;
    }
    let malformed = |place: String, why: String| {
        let token = log.address();
        Decoded::Malformed(format!("log {place} of token {token}: {why}"))
    };
    let parts = parts(log);
    let (Some(number), Some(hash), Some(tx_hash), Some(log_index)) =
        (log.block_number, log.block_hash, log.transaction_hash, log.log_index)
    else {
        return match (parts, account) {
            (Ok(_), Some(account)) => Decoded::Placeless(Address::from_word(*account)),
            (Ok(_), None) => Decoded::Foreign,
            (Err(why), _) => malformed("without a place".to_owned(), why),
        };
    };
    if number < wanted.from || number > wanted.to {
        return Decoded::Foreign;
    }
    let (from, to, amount) = match parts {
        Ok(parts) => parts,
        Err(why) => return malformed(format!("{log_index} of block {number} ({tx_hash})"), why),
    };
    Decoded::Transfer(Transfer {
        block: BlockRef { number, hash },
        block_time: log.block_timestamp.map(Timestamp::from_secs),
        tx_hash,
        log_index,
        token: log.address(),
        from,
        to,
        amount,
    })
}

/// Whose transfer a log may be that can't be read as one: `None` when it is none that was asked for.
pub(super) fn owner(log: &Value, wanted: &Wanted<'_>) -> Option<Owner> {
    let token = log.get("address").and_then(Value::as_str).and_then(|text| text.parse::<Address>().ok());
    let is_other = token.is_some_and(|token| !wanted.tokens.contains(&token))
        || topic_of(log, 0).is_some_and(|topic| topic != TRANSFER)
        || log.get("removed") == Some(&Value::Bool(true));
    if is_other {
        return None;
    }
    match topic_of(log, wanted.side.topic()) {
        Some(topic) => is_wanted(&topic, wanted).then(|| Owner::One(Address::from_word(topic))),
        None => Some(Owner::Anybody),
    }
}

/// A topic of a log that can't be read as one, as far as that topic can.
fn topic_of(log: &Value, nth: usize) -> Option<B256> {
    log.get("topics")?.get(nth)?.as_str()?.parse().ok()
}

/// Whose a log is that can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// This account's.
    One(Address),
    /// Nobody can tell.
    Anybody,
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

    fn decoded(field: &str, value: Value) -> Decoded {
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
        assert_eq!(decoded("removed", json!(false)), Decoded::Transfer(expected));
        let Decoded::Transfer(largest) = decoded("data", json!(B256::from(U256::from(u128::MAX)))) else { panic!() };
        assert_eq!(largest.amount, Amount::from_base_units(u128::MAX));
        let topics = json!([TRANSFER, B256::ZERO, WATCHED.into_word()]);
        let Decoded::Transfer(mint) = decoded("topics", topics) else { panic!() };
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
            assert_eq!(decoded(field, value.clone()), Decoded::Foreign, "{field} {value}");
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
            assert!(matches!(decoded(field, value.clone()), Decoded::Malformed(_)), "{field} {value}");
        }
        for field in ["blockNumber", "blockHash", "transactionHash", "logIndex"] {
            assert_eq!(decoded(field, json!(null)), Decoded::Placeless(WATCHED), "{field}");
        }
    }
}
