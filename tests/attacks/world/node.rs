//! What an honest node says of the chain, in JSON-RPC. A method that it does not have is a fault of the suite: whoever needs
//! another one adds it here.

use alloy::primitives::{Address, B256, Bloom, Bytes, U256, b256, hex, keccak256};
use alloy::sol_types::SolValue;
use rampwatch::sandbox::USDC;
use serde_json::{Value, json};

use super::chain::{Accounts, Block, CHAIN_ID, GWEI, Mined, State, TRANSFER_GAS, transfer_of};

/// The first topic of `Transfer(address,address,uint256)`.
pub(crate) const TRANSFER: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

/// The hash of an empty list of uncles.
const NO_UNCLES: B256 = b256!("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347");

/// A JSON-RPC error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RpcError {
    pub(crate) code: i64,
    pub(crate) message: String,
}

/// An answer.
pub(crate) type Answer = Result<Value, RpcError>;

/// A refusal.
pub(crate) fn refuse(code: i64, message: impl Into<String>) -> Answer {
    Err(RpcError { code, message: message.into() })
}

/// A number as JSON-RPC writes it.
pub(crate) fn quantity(number: impl Into<u128>) -> String {
    format!("{:#x}", number.into())
}

/// A number as JSON-RPC writes it, read.
pub(crate) fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

fn read<T: std::str::FromStr>(value: &Value) -> Result<T, RpcError> {
    let found = value.as_str().and_then(|text| text.parse().ok());
    found.ok_or_else(|| RpcError { code: -32_602, message: format!("invalid argument: {value}") })
}

/// Answers a call as an honest node does; `None` when it has no such method.
pub(crate) fn answer(state: &mut State, method: &str, params: &Value) -> Option<Answer> {
    Some(match method {
        "eth_chainId" => Ok(json!(quantity(CHAIN_ID))),
        "net_version" => Ok(json!(CHAIN_ID.to_string())),
        "web3_clientVersion" => Ok(json!("scripted/v1.0.0")),
        "eth_blockNumber" => Ok(json!(quantity(state.head().number))),
        "eth_getBlockByNumber" => Ok(block_under(state, &params[0]).map_or(Value::Null, header)),
        "eth_getBlockByHash" => read::<B256>(&params[0]).map(|hash| {
            let found = state.blocks.iter().rev().find(|block| block.hash == hash);
            found.map_or(Value::Null, |block| header(block))
        }),
        "eth_getLogs" => logs(state, &params[0]),
        "eth_getTransactionReceipt" => read::<B256>(&params[0])
            .map(|hash| state.mined(hash).map_or(Value::Null, |(block, mined)| receipt(block, mined))),
        "eth_getTransactionByHash" => read::<B256>(&params[0]).map(|hash| transaction(state, hash)),
        "eth_sendRawTransaction" => read::<Bytes>(&params[0]).and_then(|raw| match state.take(&raw) {
            Ok(hash) => Ok(json!(hash)),
            Err(why) => refuse(-32_000, why),
        }),
        "eth_getTransactionCount" => read::<Address>(&params[0]).map(|account| count(state, account, &params[1])),
        "eth_getBalance" => read::<Address>(&params[0]).and_then(|account| {
            let natives = &accounts(state, &params[1])?.natives;
            Ok(json!(quantity(natives.get(&account).copied().unwrap_or_default())))
        }),
        "eth_getCode" => {
            read::<Address>(&params[0]).map(|account| json!(if account == USDC { "0x6080" } else { "0x" }))
        }
        "eth_call" => call(state, &params[0], &params[1]),
        "eth_estimateGas" => call(state, &params[0], &Value::Null).map(|_| json!(quantity(TRANSFER_GAS))),
        "eth_gasPrice" => Ok(json!(quantity(state.head().base_fee + 30 * GWEI))),
        "eth_maxPriorityFeePerGas" => Ok(json!(quantity(30 * GWEI))),
        "eth_feeHistory" => Ok(fee_history(state)),
        _ => return None,
    })
}

fn block_under<'a>(state: &'a State, tag: &Value) -> Option<&'a Block> {
    match tag.as_str() {
        Some("latest" | "pending") => Some(state.head()),
        Some("finalized" | "safe") => Some(state.finalized()),
        Some("earliest") => state.at(0).map(|block| &**block),
        _ => state.at(number(tag)?).map(|block| &**block),
    }
}

fn accounts<'a>(state: &'a State, tag: &Value) -> Result<&'a Accounts, RpcError> {
    if tag.is_null() || tag == "latest" || tag == "pending" {
        return Ok(&state.now);
    }
    let block = block_under(state, tag);
    let block = block.ok_or_else(|| RpcError { code: -32_000, message: "header not found".to_owned() })?;
    Ok(&block.after)
}

fn count(state: &State, account: Address, tag: &Value) -> Value {
    if tag == "pending" {
        return json!(quantity(state.pending_nonce(account)));
    }
    let nonces = accounts(state, tag).map(|accounts| accounts.nonces.get(&account).copied());
    json!(quantity(nonces.ok().flatten().unwrap_or_default()))
}

/// A header, as `eth_getBlockBy…` shows it, with the hashes of its transactions.
pub(crate) fn header(block: &Block) -> Value {
    let hashes: Vec<B256> = block.mined.iter().map(|mined| mined.hash).collect();
    json!({
        "hash": block.hash, "parentHash": block.parent, "sha3Uncles": NO_UNCLES, "miner": Address::ZERO,
        "stateRoot": keccak256(block.hash), "transactionsRoot": keccak256(block.parent), "receiptsRoot": B256::ZERO,
        "logsBloom": Bloom::repeat_byte(0xff), "difficulty": "0x1", "number": quantity(block.number),
        "gasLimit": "0x1c9c380", "gasUsed": quantity(TRANSFER_GAS * block.mined.len() as u64),
        "timestamp": quantity(block.time), "extraData": "0x", "mixHash": B256::ZERO, "nonce": "0x0000000000000000",
        "baseFeePerGas": quantity(block.base_fee), "size": "0x400", "transactions": hashes, "uncles": [],
    })
}

/// The log of a transaction that moved tokens.
pub(crate) fn log(block: &Block, mined: &Mined) -> Option<Value> {
    let moved = mined.moved?;
    Some(json!({
        "address": USDC, "topics": [TRANSFER, moved.from.into_word(), moved.to.into_word()],
        "data": B256::from(U256::from(moved.amount)), "blockNumber": quantity(block.number), "blockHash": block.hash,
        "blockTimestamp": quantity(block.time), "transactionHash": mined.hash,
        "transactionIndex": quantity(mined.log_index), "logIndex": quantity(mined.log_index), "removed": false,
    }))
}

/// The receipt of a transaction.
pub(crate) fn receipt(block: &Block, mined: &Mined) -> Value {
    let logs: Vec<Value> = log(block, mined).into_iter().collect();
    json!({
        "transactionHash": mined.hash, "transactionIndex": quantity(mined.log_index), "blockHash": block.hash,
        "blockNumber": quantity(block.number), "from": mined.from, "to": mined.to, "contractAddress": null,
        "cumulativeGasUsed": quantity(mined.gas_used), "gasUsed": quantity(mined.gas_used),
        "effectiveGasPrice": quantity(mined.gas_price), "logsBloom": Bloom::repeat_byte(0xff),
        "status": if mined.succeeded { "0x1" } else { "0x0" }, "type": "0x2", "logs": logs,
    })
}

fn transaction(state: &State, hash: B256) -> Value {
    if let Some((block, mined)) = state.mined(hash) {
        return json!({
            "hash": hash, "from": mined.from, "to": mined.to, "nonce": quantity(mined.nonce), "value": "0x0",
            "blockHash": block.hash, "blockNumber": quantity(block.number),
            "transactionIndex": quantity(mined.log_index), "gas": quantity(mined.gas_used), "input": "0x", "type": "0x2",
        });
    }
    if state.waits(hash) { json!({ "hash": hash, "blockHash": null, "blockNumber": null }) } else { Value::Null }
}

/// The logs that a filter wants, as far as there are blocks.
fn logs(state: &State, filter: &Value) -> Answer {
    let bound = |tag: &Value| if tag.is_null() { Some(state.head().number) } else { bound_of(state, tag) };
    let range = match &filter["blockHash"] {
        Value::Null => bound(&filter["fromBlock"]).zip(bound(&filter["toBlock"])),
        hash => {
            let found = state.blocks.iter().find(|block| json!(block.hash) == *hash);
            found.map(|block| (block.number, block.number))
        }
    };
    let Some((from, to)) = range else { return refuse(-32_000, "unknown block") };
    if from > to || to > state.head().number {
        return refuse(-32_000, "invalid block range params");
    }
    let blocks = (from..=to).filter_map(|number| state.at(number));
    let logs = blocks.flat_map(|block| block.mined.iter().filter_map(|mined| log(block, mined)));
    Ok(Value::Array(logs.filter(|log| wants(filter, log)).collect()))
}

fn bound_of(state: &State, tag: &Value) -> Option<u64> {
    match number(tag) {
        Some(number) => Some(number),
        None => block_under(state, tag).map(|block| block.number),
    }
}

/// Whether a filter wants a log.
pub(crate) fn wants(filter: &Value, log: &Value) -> bool {
    let is_in = |wanted: &Value, found: &Value| match wanted {
        Value::Null => true,
        Value::Array(all) => all.iter().any(|one| same(one, found)),
        one => same(one, found),
    };
    let none = Vec::new();
    let topics = filter["topics"].as_array().unwrap_or(&none);
    is_in(&filter["address"], &log["address"])
        && topics.iter().enumerate().all(|(nth, topic)| is_in(topic, &log["topics"][nth]))
}

fn same(one: &Value, other: &Value) -> bool {
    match (one.as_str(), other.as_str()) {
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
        _ => false,
    }
}

fn call(state: &State, call: &Value, tag: &Value) -> Answer {
    let to = read::<Address>(&call["to"])?;
    let data = if call["input"].is_null() { &call["data"] } else { &call["input"] };
    // A plain transaction without data estimates and calls well.
    let data = if data.is_null() { Bytes::new() } else { read::<Bytes>(data)? };
    if to != USDC {
        return Ok(json!("0x"));
    }
    let account = data.get(16..36).map(Address::from_slice).unwrap_or_default();
    let tokens = &accounts(state, tag)?.tokens;
    let balance = |account: &Address| tokens.get(account).copied().unwrap_or_default();
    let answer = match data.get(..4).map(hex::encode).unwrap_or_default().as_str() {
        "313ce567" => U256::from(6).abi_encode(),
        "95d89b41" => "USDC".to_owned().abi_encode(),
        "70a08231" => U256::from(balance(&account)).abi_encode(),
        "5c975abb" | "fe575a87" => false.abi_encode(),
        "a9059cbb" => {
            let from = read::<Address>(&call["from"]).unwrap_or_default();
            match transfer_of(from, to, &data) {
                Some(moved) if balance(&from) >= moved.amount => true.abi_encode(),
                _ => return refuse(3, "execution reverted: ERC20: transfer amount exceeds balance"),
            }
        }
        _ => return refuse(3, "execution reverted"),
    };
    Ok(json!(Bytes::from(answer)))
}

fn fee_history(state: &State) -> Value {
    let head = state.head();
    let fee = quantity(head.base_fee);
    json!({
        "oldestBlock": quantity(head.number), "baseFeePerGas": [fee, fee], "gasUsedRatio": [0.5],
        "reward": [[quantity(30 * GWEI)]],
    })
}
