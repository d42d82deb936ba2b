//! Blocks and logs as the test writes them, and as JSON-RPC shows them.

use std::sync::Arc;

use alloy::primitives::{Address, B256, Bloom, Bytes, U256, b256, hex, keccak256};
use serde_json::{Map, Value, json};

/// The first topic of `Transfer(address,address,uint256)`.
pub(crate) const TRANSFER: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

/// The hash of an empty list of uncles.
const NO_UNCLES: B256 = b256!("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347");

/// A number as JSON-RPC writes it.
pub(crate) fn quantity(number: u64) -> String {
    format!("{number:#x}")
}

/// The hash of a made-up transaction; the same label gives the same hash, in whatever block it is.
pub(crate) fn tx_hash(label: u64) -> B256 {
    keccak256(format!("transaction {label}"))
}

/// A log that a test wants in a block.
#[derive(Clone, Debug)]
pub(crate) struct LogSpec {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    tx: Option<B256>,
    index: Option<u64>,
    patch: Vec<(String, Option<Value>)>,
}

impl LogSpec {
    /// A proper `Transfer` of `value` base units.
    pub(crate) fn transfer(token: Address, from: Address, to: Address, value: u128) -> Self {
        Self::raw(
            token,
            vec![TRANSFER, from.into_word(), to.into_word()],
            U256::from(value).to_be_bytes::<32>().to_vec().into(),
        )
    }

    /// A log of any kind.
    pub(crate) fn raw(address: Address, topics: Vec<B256>, data: Bytes) -> Self {
        Self { address, topics, data, tx: None, index: None, patch: Vec::new() }
    }

    /// Caused by this transaction; otherwise each log has one of its own.
    pub(crate) fn in_tx(mut self, tx: B256) -> Self {
        self.tx = Some(tx);
        self
    }

    /// At this place among the logs of the block; otherwise one after the log before.
    pub(crate) fn at_index(mut self, index: u64) -> Self {
        self.index = Some(index);
        self
    }

    /// With other data, for instance too short or too long for a `Transfer`.
    pub(crate) fn with_data(mut self, data: impl Into<Bytes>) -> Self {
        self.data = data.into();
        self
    }

    /// With other topics.
    pub(crate) fn with_topics(mut self, topics: Vec<B256>) -> Self {
        self.topics = topics;
        self
    }

    /// With this in place of a field of the JSON, also where no decoder accepts it. Filters still see the log as
    /// it was made.
    pub(crate) fn with_field(mut self, name: &str, value: Value) -> Self {
        self.patch.push((name.to_owned(), Some(value)));
        self
    }

    /// Without this field of the JSON.
    pub(crate) fn without_field(mut self, name: &str) -> Self {
        self.patch.push((name.to_owned(), None));
        self
    }
}

/// A block that a test wants on the chain.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlockSpec {
    /// Its logs.
    pub(crate) logs: Vec<LogSpec>,
    /// Its time in seconds since 1970; one block time after its parent when `None`.
    pub(crate) time: Option<u64>,
}

impl From<Vec<LogSpec>> for BlockSpec {
    fn from(logs: Vec<LogSpec>) -> Self {
        Self { logs, time: None }
    }
}

impl From<LogSpec> for BlockSpec {
    fn from(log: LogSpec) -> Self {
        vec![log].into()
    }
}

/// A log in its block.
#[derive(Clone, Debug)]
pub(crate) struct ChainLog {
    /// The contract.
    pub(crate) address: Address,
    /// The topics.
    pub(crate) topics: Vec<B256>,
    /// The transaction.
    pub(crate) tx_hash: B256,
    /// The place among all logs of the block.
    pub(crate) log_index: u64,
    /// As `eth_getLogs` shows it.
    pub(crate) json: Value,
}

impl ChainLog {
    /// As a websocket shows it once its block is gone.
    pub(crate) fn removed(&self) -> Value {
        let mut json = self.json.clone();
        json["removed"] = Value::Bool(true);
        json
    }

    /// From a recorded log.
    pub(super) fn recorded(json: Value) -> Self {
        let hash = |value: &Value| value.as_str().unwrap().parse::<B256>().unwrap();
        Self {
            address: json["address"].as_str().unwrap().parse().unwrap(),
            topics: json["topics"].as_array().unwrap().iter().map(hash).collect(),
            tx_hash: hash(&json["transactionHash"]),
            log_index: u64::from_str_radix(json["logIndex"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap(),
            json,
        }
    }
}

/// A block of the chain.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// Its number.
    pub(crate) number: u64,
    /// Its hash.
    pub(crate) hash: B256,
    /// The hash of the block before.
    pub(crate) parent: B256,
    /// Its time in seconds since 1970.
    pub(crate) time: u64,
    /// Its logs, in order.
    pub(crate) logs: Vec<ChainLog>,
    /// Its header as JSON-RPC shows it.
    pub(crate) header: Value,
    /// Whole transactions, where they were recorded.
    pub(super) transactions: Option<Vec<Value>>,
    /// Receipts, where they were recorded.
    pub(super) receipts: Option<Vec<Value>>,
}

impl Block {
    /// Makes a block. `hash` is made up from all the rest and `salt` when it is not given.
    pub(super) fn make(spec: &BlockSpec, number: u64, parent: B256, time: u64, salt: u64, hash: Option<B256>) -> Self {
        let hash = hash.unwrap_or_else(|| keccak256(format!("block {number} after {parent} at {time}, {salt}")));
        let mut bloom = Bloom::ZERO;
        let mut logs: Vec<ChainLog> = Vec::new();
        let mut transactions: Vec<B256> = Vec::new();
        for (nth, log) in spec.logs.iter().enumerate() {
            bloom.accrue_raw_log(log.address, &log.topics);
            let tx = log.tx.unwrap_or_else(|| keccak256(format!("log {nth} of {hash}")));
            let tx_index = transactions.iter().position(|known| *known == tx).unwrap_or_else(|| {
                transactions.push(tx);
                transactions.len() - 1
            });
            let index = log.index.unwrap_or_else(|| logs.last().map_or(0, |before| before.log_index + 1));
            let mut json = json!({
                "address": log.address, "topics": log.topics, "data": log.data, "blockNumber": quantity(number),
                "transactionHash": tx, "transactionIndex": quantity(tx_index as u64), "blockHash": hash,
                "blockTimestamp": quantity(time), "logIndex": quantity(index), "removed": false,
            });
            patch(json.as_object_mut().unwrap(), &log.patch);
            logs.push(ChainLog {
                address: log.address,
                topics: log.topics.clone(),
                tx_hash: tx,
                log_index: index,
                json,
            });
        }
        let header = json!({
            "hash": hash, "parentHash": parent, "sha3Uncles": NO_UNCLES, "miner": Address::ZERO,
            "stateRoot": keccak256(hash), "transactionsRoot": keccak256(parent), "receiptsRoot": B256::ZERO,
            "logsBloom": bloom, "difficulty": "0x1", "number": quantity(number), "gasLimit": "0x1c9c380",
            "gasUsed": quantity(65_000 * logs.len() as u64), "timestamp": quantity(time), "extraData": "0x",
            "mixHash": B256::ZERO, "nonce": "0x0000000000000000", "baseFeePerGas": "0x6fc23ac00", "size": "0x400",
        });
        Self { number, hash, parent, time, logs, header, transactions: None, receipts: None }
    }

    /// The block as `eth_getBlockBy…` answers it. Whole transactions are known of recorded blocks only.
    pub(super) fn to_json(&self, full: bool) -> Result<Value, String> {
        let hashes = || {
            let mut seen: Vec<B256> = self.logs.iter().map(|log| log.tx_hash).collect();
            seen.dedup();
            seen.into_iter().map(|hash| json!(hash)).collect::<Vec<_>>()
        };
        let transactions = match (&self.transactions, full) {
            (Some(whole), true) => whole.clone(),
            (Some(whole), false) => whole.iter().map(|tx| tx["hash"].clone()).collect(),
            (None, true) if !self.logs.is_empty() => {
                return Err(format!("block {} is made up and has no whole transactions", self.number));
            }
            (None, _) => hashes(),
        };
        let mut json = self.header.clone();
        json["transactions"] = Value::Array(transactions);
        json["uncles"] = json!([]);
        Ok(json)
    }

    /// The receipt of one of its transactions, as JSON; `null` when it is not in here.
    pub(crate) fn receipt_of(&self, tx: B256) -> Value {
        self.receipt(tx).unwrap_or_default()
    }

    /// The receipt of one of its transactions.
    pub(super) fn receipt(&self, tx: B256) -> Option<Value> {
        if let Some(recorded) = &self.receipts {
            let name = hex::encode_prefixed(tx);
            return recorded.iter().find(|receipt| receipt["transactionHash"] == name.as_str()).cloned();
        }
        let logs: Vec<&Value> = self.logs.iter().filter(|log| log.tx_hash == tx).map(|log| &log.json).collect();
        let first = logs.first()?;
        Some(json!({
            "transactionHash": tx, "transactionIndex": first["transactionIndex"], "blockHash": self.hash,
            "blockNumber": quantity(self.number), "from": Address::repeat_byte(0xfe), "to": first["address"],
            "contractAddress": null, "cumulativeGasUsed": "0xfde8", "gasUsed": "0xfde8",
            "effectiveGasPrice": "0x6fc23ac00", "logsBloom": Bloom::ZERO, "status": "0x1", "type": "0x2", "logs": logs,
        }))
    }
}

/// Applies what [`LogSpec::with_field`] and [`LogSpec::without_field`] asked for.
fn patch(json: &mut Map<String, Value>, changes: &[(String, Option<Value>)]) {
    for (name, value) in changes {
        match value {
            Some(value) => json.insert(name.clone(), value.clone()),
            None => json.remove(name),
        };
    }
}

/// Something that happened to the chain, in the order of happening.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// A block was added on top.
    Appended(Arc<Block>),
    /// These blocks went away, the highest first.
    RolledBack(Vec<Arc<Block>>),
}
