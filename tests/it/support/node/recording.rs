//! Recorded data: Polygon block 50,000,000 as a chain, and the errors that providers really gave.

use std::path::Path;

use alloy::primitives::{Address, U256, address};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::block::{Block, BlockSpec, ChainLog};
use super::chain::{ScriptedChain, Token, past_hash};
use super::faults::Refusal;

/// How many empty blocks stand before the recorded one (and below them, as many as are asked for).
const BEFORE: u64 = 64;
/// How many empty blocks stand after the recorded one.
const AFTER: usize = 16;
/// The bridged USDC, which the recorded block is full of.
pub(crate) const USDC_E: Address = address!("2791Bca1f2de4661ED88A30C99A7a9449Aa84174");

/// Reads a JSON file of `tests/data`.
pub(crate) fn recorded_json<T: DeserializeOwned>(path: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path);
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// An error that a provider really gave.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ProviderError {
    /// Whose.
    pub(crate) provider: String,
    /// Its code, where it was recorded.
    pub(crate) code: Option<i64>,
    /// Its text.
    pub(crate) message: String,
    /// What it means: `range`, `addresses`, `batch`, `quota`, `node-behind` …
    pub(crate) kind: String,
}

impl ProviderError {
    /// As a node's answer; the code is -32000 where none was recorded.
    pub(crate) fn refusal(&self) -> Refusal {
        Refusal::rpc(self.code.unwrap_or(-32000), &self.message)
    }
}

/// All recorded errors.
pub(crate) fn provider_errors() -> Vec<ProviderError> {
    recorded_json("provider-errors.json")
}

/// The first recorded error whose text contains `text`.
pub(crate) fn provider_error(text: &str) -> Refusal {
    let all = provider_errors();
    let found = all.iter().find(|error| error.message.contains(text));
    found.unwrap_or_else(|| panic!("no recorded error says {text:?}")).refusal()
}

fn number(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

/// The recorded block itself.
fn recorded_block() -> Block {
    let mut header: Value = recorded_json("polygon-block-50000000/block.json");
    let receipts: Vec<Value> = recorded_json("polygon-block-50000000/receipts.json");
    let fields = header.as_object_mut().unwrap();
    fields.remove("uncles");
    let transactions = match fields.remove("transactions") {
        Some(Value::Array(whole)) => Some(whole),
        other => panic!("the recorded block has no list of transactions: {other:?}"),
    };
    let logs = receipts.iter().flat_map(|receipt| receipt["logs"].as_array().unwrap());
    Block {
        number: number(&header["number"]),
        hash: header["hash"].as_str().unwrap().parse().unwrap(),
        parent: header["parentHash"].as_str().unwrap().parse().unwrap(),
        time: number(&header["timestamp"]),
        logs: logs.cloned().map(ChainLog::recorded).collect(),
        header,
        transactions,
        receipts: Some(receipts),
    }
}

impl ScriptedChain {
    /// Polygon block 50,000,000 exactly as recorded (header, transactions, receipts, logs), between made-up empty
    /// blocks that are linked to it by their hashes. USDC.e is known as a token. Nothing is final yet.
    pub(crate) fn polygon_50_000_000() -> Self {
        let recorded = recorded_block();
        let first = recorded.number - BEFORE;
        let empty = |number: u64| {
            let parent = past_hash(number - 1);
            let hash = if number + 1 == recorded.number { recorded.parent } else { past_hash(number) };
            Block::make(
                &BlockSpec::default(),
                number,
                parent,
                recorded.time - 2 * (recorded.number - number),
                0,
                Some(hash),
            )
        };
        let chain = Self::of(empty(first));
        for number in first + 1..recorded.number {
            chain.push_block(empty(number));
        }
        chain.push_block(recorded);
        chain.append_empty(AFTER);
        let mut token = Token::new("USDC", 6);
        token.balances.insert(Address::ZERO, U256::ZERO);
        chain.set_token(USDC_E, token);
        chain
    }
}
