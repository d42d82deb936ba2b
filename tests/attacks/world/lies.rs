//! What lying nodes say. Each of these is a whole lie that one endpoint tells until it is honest again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, U256, keccak256};
use rampwatch::sandbox::USDC;
use serde_json::{Value, json};

use super::chain::{Block, Moved};
use super::endpoint::{Asked, Lie};
use super::node::{self, Answer, TRANSFER, number, quantity};

/// How far above the true head a far number is: the distance between two networks that a balancer may mix up.
const FAR: u64 = 400_000_000;

/// The hash of a block that is not there.
fn invented_hash(number: u64) -> B256 {
    keccak256(format!("invented block {number}"))
}

/// The header of a block that is not there. Its time is that of the true head, or goes on from there.
fn invented_header(asked: &Asked<'_>, number: u64) -> Value {
    let head = asked.chain.state().head().clone();
    let mut header = node::header(&head);
    header["number"] = json!(quantity(number));
    header["hash"] = json!(invented_hash(number));
    header["parentHash"] = json!(invented_hash(number.saturating_sub(1)));
    header["transactions"] = json!([]);
    header
}

/// The wallet's transfers failed, says every receipt, and no log of them is shown.
pub(crate) fn reverted(wallet: Address) -> Lie {
    Arc::new(move |asked| match asked.method {
        "eth_getTransactionReceipt" => {
            let mut receipt = asked.honest().ok()?;
            if !is_from(&receipt["from"], wallet) {
                return None;
            }
            receipt["status"] = json!("0x0");
            receipt["logs"] = json!([]);
            Some(Ok(receipt))
        }
        "eth_getLogs" => Some(without(asked.honest(), wallet)),
        _ => None,
    })
}

/// The wallet's transfers are nowhere; what it signed besides them is mined, in a block that was final when it was first asked
/// for.
pub(crate) fn self_sent(wallet: Address) -> Lie {
    let told: Mutex<BTreeMap<String, Arc<Block>>> = Mutex::default();
    Arc::new(move |asked| match asked.method {
        "eth_getTransactionReceipt" => {
            let honest = asked.honest().ok()?;
            if is_from(&honest["from"], wallet) {
                return Some(Ok(Value::Null));
            }
            let name = asked.params[0].as_str()?;
            let (final_block, waits) = {
                let state = asked.chain.state();
                (state.finalized().clone(), state.waits(name.parse().ok()?))
            };
            // The true chain has no receipt, and nothing that waits: it is the self-send, which comes too late.
            if !honest.is_null() || waits {
                return None;
            }
            let block =
                told.lock().expect("nobody panics with it").entry(name.to_owned()).or_insert(final_block).clone();
            Some(Ok(json!({
                "transactionHash": name, "transactionIndex": "0x0", "blockHash": block.hash,
                "blockNumber": quantity(block.number), "from": wallet, "to": wallet, "contractAddress": null,
                "cumulativeGasUsed": "0x5208", "gasUsed": "0x5208", "effectiveGasPrice": quantity(block.base_fee),
                "logsBloom": honest_bloom(&block), "status": "0x1", "type": "0x2", "logs": [],
            })))
        }
        "eth_getLogs" => Some(without(asked.honest(), wallet)),
        _ => None,
    })
}

fn honest_bloom(block: &Block) -> Value {
    node::header(block)["logsBloom"].take()
}

fn is_from(value: &Value, account: Address) -> bool {
    value.as_str().and_then(|text| text.parse::<Address>().ok()) == Some(account)
}

/// No log is shown of anything.
pub(crate) fn hidden() -> Lie {
    Arc::new(|asked| (asked.method == "eth_getLogs").then(|| Ok(json!([]))))
}

/// What is signed has a nonce that is consumed already.
pub(crate) fn nonce_too_low() -> Lie {
    Arc::new(|asked| (asked.method == "eth_sendRawTransaction").then(|| node::refuse(-32_000, "nonce too low")))
}

/// Logs without those of an account's transfers.
fn without(logs: Answer, account: Address) -> Answer {
    let mut logs = logs?;
    if let Some(all) = logs.as_array_mut() {
        all.retain(|log| log["topics"][1] != json!(account.into_word()));
    }
    Ok(logs)
}

/// For a moment, once the finalized block is asked for, that and the head are of another network.
pub(crate) fn far_once() -> Lie {
    let since: Mutex<Option<Instant>> = Mutex::new(None);
    Arc::new(move |asked| {
        let asks_final = asked.block() == Some("finalized");
        let began = {
            let mut since = since.lock().expect("nobody panics with it");
            if asks_final && since.is_none() {
                *since = Some(Instant::now());
            }
            *since
        };
        if began?.elapsed() > Duration::from_millis(1_500) {
            return None;
        }
        let far = asked.chain.head() + FAR;
        match (asked.method, asked.block()) {
            (_, Some("finalized")) => Some(Ok(invented_header(asked, far - 2))),
            (_, Some("latest")) => Some(Ok(invented_header(asked, far))),
            ("eth_blockNumber", _) => Some(Ok(json!(quantity(far)))),
            _ => None,
        }
    })
}

/// The chain is far longer than it is, and empty above its true head. `is_final`: nearly all of it is said to be final, too.
pub(crate) fn invented_blocks(is_final: bool) -> Lie {
    Arc::new(move |asked| {
        let head = asked.chain.head();
        let far = head + FAR;
        match (asked.method, asked.block()) {
            (_, Some("latest")) => Some(Ok(invented_header(asked, far))),
            (_, Some("finalized")) if is_final => Some(Ok(invented_header(asked, far - 2))),
            (_, Some(_)) => {
                let wanted = number(&asked.params[0])?;
                (wanted > head).then(|| match wanted > far {
                    true => Ok(Value::Null),
                    false => Ok(invented_header(asked, wanted)),
                })
            }
            ("eth_blockNumber", _) => Some(Ok(json!(quantity(far)))),
            ("eth_getLogs", _) => {
                let to = number(&asked.params[0]["toBlock"])?;
                (to > head).then(|| Ok(json!([])))
            }
            _ => None,
        }
    })
}

/// The newest block is of tomorrow.
pub(crate) fn future_head() -> Lie {
    Arc::new(|asked| {
        if asked.block() != Some("latest") {
            return None;
        }
        let mut header = asked.honest().ok()?;
        header["timestamp"] = json!(quantity(number(&header["timestamp"])? + 86_400));
        Some(Ok(header))
    })
}

/// All blocks but the newest few are a day older than they are.
pub(crate) fn older_blocks() -> Lie {
    Arc::new(|asked| {
        let wanted = asked.block().and_then(|_| number(&asked.params[0]))?;
        if wanted + 10 > asked.chain.head() {
            return None;
        }
        let mut header = asked.honest().ok()?;
        header["timestamp"] = json!(quantity(number(&header["timestamp"])?.saturating_sub(86_400)));
        Some(Ok(header))
    })
}

/// A deposit that nobody made, in a block that is there.
pub(crate) fn invented_deposit(tx_hash: B256, moved: Moved, at: u64) -> Lie {
    Arc::new(move |asked| {
        let block = asked.chain.state().at(at)?.clone();
        let index = quantity(block.mined.len() as u64);
        let log = json!({
            "address": USDC, "topics": [TRANSFER, moved.from.into_word(), moved.to.into_word()],
            "data": B256::from(U256::from(moved.amount)), "blockNumber": quantity(block.number),
            "blockHash": block.hash, "blockTimestamp": quantity(block.time), "transactionHash": tx_hash,
            "transactionIndex": index, "logIndex": index, "removed": false,
        });
        match asked.method {
            "eth_getLogs" => {
                let mut logs = asked.honest().ok()?;
                let bound = |name: &str| number(&asked.params[0][name]).unwrap_or_else(|| asked.chain.head());
                let is_in = bound("fromBlock") <= at && at <= bound("toBlock");
                if is_in && node::wants(&asked.params[0], &log) {
                    logs.as_array_mut()?.push(log);
                }
                Some(Ok(logs))
            }
            "eth_getTransactionReceipt" if asked.params[0] == json!(tx_hash) => Some(Ok(json!({
                "transactionHash": tx_hash, "transactionIndex": index, "blockHash": block.hash,
                "blockNumber": quantity(block.number), "from": moved.from, "to": USDC, "contractAddress": null,
                "cumulativeGasUsed": "0xf2c3", "gasUsed": "0xf2c3", "effectiveGasPrice": quantity(block.base_fee),
                "logsBloom": honest_bloom(&block), "status": "0x1", "type": "0x2", "logs": [log],
            }))),
            _ => None,
        }
    })
}

/// The wallet has made more transactions than it has.
pub(crate) fn more_nonces(wallet: Address, more: u64) -> Lie {
    Arc::new(move |asked| {
        if asked.method != "eth_getTransactionCount" || !is_from(&asked.params[0], wallet) {
            return None;
        }
        let honest = number(&asked.honest().ok()?)?;
        Some(Ok(json!(quantity(honest + more))))
    })
}

/// It is another chain's node.
pub(crate) fn other_chain() -> Lie {
    Arc::new(|asked| (asked.method == "eth_chainId").then(|| Ok(json!(quantity(42_161_u64)))))
}

/// The newest block stays the one that it is.
pub(crate) fn standing_head(stands_at: u64) -> Lie {
    Arc::new(move |asked| {
        let block = |number: u64| asked.chain.state().at(number).map(|block| Ok(node::header(block)));
        match (asked.method, asked.block()) {
            (_, Some("latest")) => block(stands_at),
            (_, Some("finalized")) => block(stands_at - 2),
            (_, Some(_)) => (number(&asked.params[0])? > stands_at).then_some(Ok(Value::Null)),
            ("eth_blockNumber", _) => Some(Ok(json!(quantity(stands_at)))),
            ("eth_getLogs", _) => {
                let to = number(&asked.params[0]["toBlock"])?;
                (to > stands_at).then(|| node::refuse(-32_000, "invalid block range params"))
            }
            _ => None,
        }
    })
}
