//! The few JSON-RPC questions that are asked, and how their answers are read.
//!
//! Only the fields that are needed are read: Bor's headers have others, and lack some, that general types insist on.

use alloy::primitives::{Address, B256, Bytes, U64};
use alloy::sol_types::SolCall as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::domain::chain::{BlockRef, Header};
use crate::domain::time::Timestamp;

use super::decode::{TRANSFER, abi};
use super::failure::Failure;

/// One question.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    /// The method.
    pub(super) method: &'static str,
    /// Its parameters.
    pub(super) params: Value,
}

/// Which chain?
pub(super) fn chain_id() -> Ask {
    Ask { method: "eth_chainId", params: json!([]) }
}

/// The header of a block.
pub(super) fn header_of(number: u64) -> Ask {
    header_under(&format!("{number:#x}"))
}

/// The header under a tag.
pub(super) fn header_under(tag: &str) -> Ask {
    Ask { method: "eth_getBlockByNumber", params: json!([tag, false]) }
}

/// The transfers of these tokens to these recipients. Neither may be empty: nodes take that for "any".
pub(super) fn transfer_logs(from: u64, to: u64, tokens: &[Address], recipients: &[Address]) -> Ask {
    let mut filter = filter(tokens, recipients);
    if let Value::Object(fields) = &mut filter {
        fields.insert("fromBlock".to_owned(), json!(format!("{from:#x}")));
        fields.insert("toBlock".to_owned(), json!(format!("{to:#x}")));
    }
    Ask { method: "eth_getLogs", params: json!([filter]) }
}

/// The filter of transfers of these tokens to these recipients, for logs and subscriptions.
pub(super) fn filter(tokens: &[Address], recipients: &[Address]) -> Value {
    let recipients: Vec<B256> = recipients.iter().map(|recipient| recipient.into_word()).collect();
    json!({ "address": tokens, "topics": [TRANSFER, null, recipients] })
}

/// What a token's `decimals()` says now.
pub(super) fn decimals_of(token: Address) -> Ask {
    let data = Bytes::from(abi::Usdc::decimalsCall {}.abi_encode());
    Ask { method: "eth_call", params: json!([{ "to": token, "data": data }, "latest"]) }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawHeader {
    number: U64,
    hash: B256,
    parent_hash: B256,
    timestamp: U64,
}

/// Reads a header; `None` for `null`.
pub(super) fn read_header(answer: &RawValue) -> Result<Option<Header>, Failure> {
    let raw: Option<RawHeader> = read(answer, "a block")?;
    Ok(raw.map(|raw| Header {
        block: BlockRef { number: raw.number.to(), hash: raw.hash },
        parent: raw.parent_hash,
        time: Timestamp::from_secs(raw.timestamp.to()),
    }))
}

/// Reads an answer as what it should be.
pub(super) fn read<T: for<'a> Deserialize<'a>>(answer: &RawValue, what: &str) -> Result<T, Failure> {
    serde_json::from_str(answer.get()).map_err(|error| Failure::garbage(format!("the answer is not {what}: {error}")))
}
