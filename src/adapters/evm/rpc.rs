//! The few JSON-RPC questions that are asked, and how their answers are read.
//!
//! Only the fields that are needed are read: Bor's headers have others, and lack some, that general types insist on.

use std::fmt;
use std::marker::PhantomData;

use alloy::primitives::{Address, B256, Bytes, U64, U256};
use alloy::sol_types::SolCall;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer as _};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::domain::chain::{BlockRef, Header};
use crate::domain::time::Timestamp;
use crate::domain::wei::Wei;

use super::decode::{Side, TRANSFER, abi};
use super::failure::Failure;

#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) method: &'static str,
    pub(super) params: Value,
    /// Whether a refusal is an answer too, so that the questions after it are worth asking.
    pub(super) may_fail: bool,
}

impl Ask {
    /// A question that has to be answered.
    pub(super) const fn new(method: &'static str, params: Value) -> Self {
        Self { method, params, may_fail: false }
    }

    /// The same question, where a refusal is an answer too.
    pub(super) fn that_may_fail(self) -> Self {
        Self { may_fail: true, ..self }
    }
}

pub(super) fn chain_id() -> Ask {
    Ask::new("eth_chainId", json!([]))
}

/// The header of a block.
pub(super) fn header_of(number: u64) -> Ask {
    header_under(&format!("{number:#x}"))
}

/// The header under a tag.
pub(super) fn header_under(tag: &str) -> Ask {
    Ask::new("eth_getBlockByNumber", json!([tag, false]))
}

/// The transfers of these tokens to or from these accounts. Neither may be empty: nodes take that for "any".
pub(super) fn transfer_logs(from: u64, to: u64, tokens: &[Address], accounts: &[Address], side: Side) -> Ask {
    let mut filter = match side {
        Side::To => filter(tokens, accounts),
        Side::From => json!({ "address": tokens, "topics": [TRANSFER, words(accounts)] }),
    };
    if let Value::Object(fields) = &mut filter {
        fields.insert("fromBlock".to_owned(), json!(format!("{from:#x}")));
        fields.insert("toBlock".to_owned(), json!(format!("{to:#x}")));
    }
    Ask::new("eth_getLogs", json!([filter]))
}

/// All transfers of these tokens, whoever gets them.
pub(super) fn everybodys_transfer_logs(from: u64, to: u64, tokens: &[Address]) -> Ask {
    let (from, to) = (format!("{from:#x}"), format!("{to:#x}"));
    Ask::new("eth_getLogs", json!([{ "address": tokens, "topics": [TRANSFER], "fromBlock": from, "toBlock": to }]))
}

/// The filter of transfers of these tokens to these recipients, for logs and subscriptions.
pub(super) fn filter(tokens: &[Address], recipients: &[Address]) -> Value {
    json!({ "address": tokens, "topics": [TRANSFER, null, words(recipients)] })
}

fn words(accounts: &[Address]) -> Vec<B256> {
    accounts.iter().map(|account| account.into_word()).collect()
}

/// What a token's `decimals()` says now.
pub(super) fn decimals_of(token: Address) -> Ask {
    view_of(token, &abi::Usdc::decimalsCall {})
}

/// What a contract's view says now.
pub(super) fn view_of(contract: Address, call: &impl SolCall) -> Ask {
    view_under(contract, call, "latest")
}

/// What a contract's view said after a block.
pub(super) fn view_at(contract: Address, call: &impl SolCall, number: u64) -> Ask {
    view_under(contract, call, &format!("{number:#x}"))
}

fn view_under(contract: Address, call: &impl SolCall, tag: &str) -> Ask {
    let data = Bytes::from(call.abi_encode());
    Ask::new("eth_call", json!([{ "to": contract, "data": data }, tag]))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawHeader {
    number: U64,
    hash: B256,
    parent_hash: B256,
    timestamp: U64,
    base_fee_per_gas: Option<U256>,
}

impl RawHeader {
    fn header(&self) -> Header {
        Header {
            block: BlockRef { number: self.number.to(), hash: self.hash },
            parent: self.parent_hash,
            time: Timestamp::from_secs(self.timestamp.to()),
        }
    }
}

/// Reads a header; `None` for `null`.
pub(super) fn read_header(answer: &RawValue) -> Result<Option<Header>, Failure> {
    let raw: Option<RawHeader> = read(answer, "a block")?;
    Ok(raw.map(|raw| raw.header()))
}

/// Reads the newest header, with what its block asked for a unit of gas.
pub(super) fn read_priced_header(answer: &RawValue) -> Result<(Header, Wei), Failure> {
    let raw: Option<RawHeader> = read(answer, "a block")?;
    let raw = raw.ok_or_else(|| Failure::unreadable("the node has no latest block"))?;
    let base_fee = raw.base_fee_per_gas.ok_or_else(|| Failure::unreadable("the newest block has no base fee"))?;
    Ok((raw.header(), wei(base_fee)))
}

/// Reads an amount of the native coin, or a price.
pub(super) fn read_wei(answer: &RawValue, what: &str) -> Result<Wei, Failure> {
    read::<U256>(answer, what).map(wei)
}

/// What does not fit is more than there is: the largest amount then stands for it.
fn wei(value: U256) -> Wei {
    Wei::new(u128::try_from(value).unwrap_or(u128::MAX))
}

/// Reads a list, and gives one of it after the other to `each`, whose first error ends it.
pub(super) fn read_each<T: for<'a> Deserialize<'a>>(
    answer: &RawValue,
    what: &str,
    mut each: impl FnMut(T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut failed = None;
    let list = List { each: |one| each(one).map_err(|failure| failed = Some(failure)).is_ok(), of: PhantomData };
    let read = serde_json::Deserializer::from_str(answer.get()).deserialize_seq(list);
    match (failed, read) {
        (Some(failure), _) => Err(failure),
        (None, read) => read.map_err(|error| Failure::unreadable(format!("the answer is not {what}: {error}"))),
    }
}

/// A list whose elements are taken one by one, until `each` has seen enough.
struct List<T, F> {
    each: F,
    of: PhantomData<T>,
}

impl<'a, T: Deserialize<'a>, F: FnMut(T) -> bool> Visitor<'a> for List<T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(one) = list.next_element()? {
            if !(self.each)(one) {
                return Err(A::Error::custom("not what was asked for"));
            }
        }
        Ok(())
    }
}

/// Reads an answer as what it should be.
pub(super) fn read<T: for<'a> Deserialize<'a>>(answer: &RawValue, what: &str) -> Result<T, Failure> {
    serde_json::from_str(answer.get())
        .map_err(|error| Failure::unreadable(format!("the answer is not {what}: {error}")))
}
