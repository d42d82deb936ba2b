//! The JSON-RPC methods, over the chain as one node sees it.
//!
//! Deliberately absent: subscriptions (they belong to a connection).

use std::sync::Arc;

use alloy::primitives::{Address, B256, Bytes, U256, hex};
use alloy::sol_types::SolValue;
use serde_json::{Value, json};

use super::accounts;
use super::block::{Block, ChainLog, quantity};
use super::chain::State;
use super::faults::{Behaviour, Refusal};
use super::filter::LogFilter;

type Answer = Result<Value, Refusal>;

fn refuse<T>(code: i64, message: &str) -> Result<T, Refusal> {
    Err(Refusal::rpc(code, message))
}

fn invalid(message: &str) -> Refusal {
    Refusal::rpc(-32602, message)
}

/// Runs one method.
pub(super) fn run(state: &mut State, behaviour: &Behaviour, method: &str, params: &Value) -> Answer {
    if method == "eth_sendRawTransaction" {
        return accounts::send(state, &parse(&params[0])?);
    }
    let sight = Sight { state, behaviour };
    match method {
        "eth_chainId" => Ok(json!(quantity(behaviour.chain_id.unwrap_or(state.chain_id)))),
        "net_version" => Ok(json!(behaviour.chain_id.unwrap_or(state.chain_id).to_string())),
        "web3_clientVersion" => Ok(json!("bor/v2.2.11-scripted/linux-amd64/go1.24")),
        "eth_blockNumber" => Ok(json!(quantity(sight.head()))),
        "eth_getBlockByNumber" => {
            let block = sight.by_tag(&params[0])?;
            sight.show(block, &params[1])
        }
        "eth_getBlockByHash" => sight.show(sight.by_hash(&params[0])?, &params[1]),
        "eth_getLogs" => sight.logs(&params[0]),
        "eth_call" => sight.call(&params[0], &params[1]),
        "eth_getCode" => {
            let known = state.tokens.contains_key(&parse::<Address>(&params[0])?);
            Ok(json!(if known { "0x6080" } else { "0x" }))
        }
        "eth_estimateGas" => sight.call(&params[0], &Value::Null).map(|_| json!(quantity(45_047))),
        "eth_maxPriorityFeePerGas" => Ok(json!(quantity(25_000_000_000))),
        "eth_getBalance" => Ok(accounts::balance(state, parse(&params[0])?)),
        "eth_getTransactionCount" => Ok(accounts::count(state, parse(&params[0])?, &params[1])),
        "eth_getTransactionReceipt" => sight.receipt(&params[0]),
        "eth_subscribe" | "eth_unsubscribe" => refuse(-32601, "notifications not supported"),
        other => refuse(-32601, &format!("the method {other} does not exist/is not available")),
    }
}

/// The chain as far as a node has seen it.
struct Sight<'a> {
    state: &'a State,
    behaviour: &'a Behaviour,
}

impl Sight<'_> {
    fn head(&self) -> u64 {
        let head = self.state.head().number.saturating_sub(self.behaviour.lag);
        self.behaviour.odd.stands_at.map_or(head, |stands_at| head.min(stands_at))
    }

    fn at(&self, number: u64) -> Option<Arc<Block>> {
        let is_kept = number <= self.head() && number >= self.behaviour.pruned_below;
        if is_kept { self.state.at(number) } else { None }
    }

    fn by_hash(&self, hash: &Value) -> Result<Option<Arc<Block>>, Refusal> {
        let hash = parse::<B256>(hash)?;
        let own = self.state.by_hash(hash).filter(|block| block.number <= self.head());
        let orphan = || self.state.orphans.get(&hash).filter(|_| self.behaviour.serves_orphans).cloned();
        Ok(own.or_else(orphan))
    }

    fn by_tag(&self, tag: &Value) -> Result<Option<Arc<Block>>, Refusal> {
        match tag.as_str() {
            Some("latest" | "pending") => Ok(self.at(self.head())),
            Some("earliest") => Ok(self.at(0)),
            Some("safe") => refuse(-32000, "safe block not found"),
            Some("finalized") => {
                let rule = self.behaviour.finalized.unwrap_or(self.state.finalized);
                let number = self.state.finalized_number(rule);
                let block = match (number, self.behaviour.finalized_ignores_lag) {
                    (Some(number), true) => self.state.at(number),
                    (Some(number), false) if number <= self.state.head().number => self.at(number.min(self.head())),
                    _ => None,
                };
                block.map_or_else(|| refuse(-32000, "finalized block not found"), |block| Ok(Some(block)))
            }
            _ => Ok(self.at(parse_number(tag)?)),
        }
    }

    fn show(&self, block: Option<Arc<Block>>, full: &Value) -> Answer {
        let full = full.as_bool().ok_or_else(|| invalid("missing value for required argument 1"))?;
        let Some(block) = block else { return Ok(Value::Null) };
        let mut json = block.to_json(full).map_err(|text| invalid(&text))?;
        if self.behaviour.other_beginning && block.number == 0 {
            json["hash"] = json!(B256::repeat_byte(0x0e));
        }
        Ok(json)
    }

    fn bound(&self, bound: &Value) -> Result<u64, Refusal> {
        if bound.is_null() {
            return Ok(self.head());
        }
        match (self.by_tag(bound), bound.as_str()) {
            (Ok(Some(block)), _) => Ok(block.number),
            (Err(refusal), Some("finalized" | "safe")) => Err(refusal),
            _ => parse_number(bound),
        }
    }

    fn logs(&self, filter: &Value) -> Answer {
        let wanted = LogFilter::parse(filter).map_err(|text| invalid(&text))?;
        if let Some((most, refusal)) = &self.behaviour.max_addresses
            && wanted.widest() > *most
        {
            return Err(refusal.clone());
        }
        let blocks = match &filter["blockHash"] {
            Value::Null => self.range(filter)?,
            hash => match self.by_hash(hash)? {
                Some(block) => vec![block],
                None => return refuse(-32000, "unknown block"),
            },
        };
        let full = blocks.iter().filter(|block| !self.behaviour.empty_blocks.contains(&block.number));
        let logs = full.flat_map(|block| &block.logs).filter(|log| wanted.wants(log));
        let logs: Vec<Value> = logs.map(|log| show_log(self.behaviour, log)).collect();
        match &self.behaviour.max_results {
            Some((most, refusal)) if logs.len() > *most => Err(refusal.clone()),
            _ => Ok(Value::Array(logs)),
        }
    }

    /// The blocks of a range that may hold logs.
    fn range(&self, filter: &Value) -> Result<Vec<Arc<Block>>, Refusal> {
        let (from, to) = (self.bound(&filter["fromBlock"])?, self.bound(&filter["toBlock"])?);
        let head = self.head();
        if from > to || (to > head && !self.behaviour.clamps) {
            return refuse(-32000, "invalid block range params");
        }
        if let Some((most, refusal)) = &self.behaviour.max_range
            && to - from >= *most
        {
            return Err(refusal.clone());
        }
        if let Some((_, refusal)) = self.behaviour.odd.no_logs_below.as_ref().filter(|(below, _)| from < *below) {
            return Err(refusal.clone());
        }
        let lost = self.behaviour.odd.lost_blocks.range(from..=to).next();
        if let Some(lost) = lost {
            return refuse(-32000, &format!("failed to get logs for block #{lost}"));
        }
        let in_range = |block: &&Arc<Block>| block.number >= from && block.number <= to.min(head);
        Ok(self.state.blocks.iter().filter(in_range).cloned().collect())
    }

    fn call(&self, call: &Value, tag: &Value) -> Answer {
        let to = parse::<Address>(&call["to"])?;
        let data = if call["input"].is_null() { &call["data"] } else { &call["input"] };
        let data = parse::<Bytes>(data)?;
        let Some(token) = self.state.tokens.get(&to) else { return Ok(json!("0x")) };
        let selector = data.get(..4).map(hex::encode).unwrap_or_default();
        let answer = match selector.as_str() {
            "313ce567" => U256::from(token.decimals).abi_encode(),
            "95d89b41" => token.symbol.abi_encode(),
            "70a08231" => {
                let owner = data.get(16..36).map(Address::from_slice);
                let balance = match parse_number(tag) {
                    Ok(number) => match owner.and_then(|owner| token.past.get(&(number, owner))) {
                        None => return refuse(-32000, "missing trie node: state is not available"),
                        known => known,
                    },
                    Err(_) => owner.and_then(|owner| token.balances.get(&owner)),
                };
                balance.copied().unwrap_or_default().abi_encode()
            }
            other => {
                let from = parse(&call["from"]).unwrap_or_default();
                let answer = accounts::call(token, other, from, &data);
                answer.unwrap_or_else(|| refuse(3, "execution reverted"))?
            }
        };
        Ok(json!(Bytes::from(answer)))
    }

    fn receipt(&self, hash: &Value) -> Answer {
        let hash = parse::<B256>(hash)?;
        if self.behaviour.odd.lost_receipts.contains(&hash) {
            return refuse(-32000, "transaction indexing is in progress");
        }
        let seen = self.state.blocks.iter().rev().filter(|block| block.number <= self.head());
        Ok(seen.filter_map(|block| block.receipt(hash)).next().unwrap_or(Value::Null))
    }
}

/// A log as this node shows it.
pub(super) fn show_log(behaviour: &Behaviour, log: &ChainLog) -> Value {
    let mut json = log.json.clone();
    if behaviour.no_log_times {
        json.as_object_mut().and_then(|fields| fields.remove("blockTimestamp"));
    }
    if let Some(time) = behaviour.odd.log_time {
        json["blockTimestamp"] = json!(quantity(time));
    }
    if behaviour.odd.zero_indexes {
        json["logIndex"] = json!("0x0");
    }
    json
}

fn parse<T: std::str::FromStr>(value: &Value) -> Result<T, Refusal> {
    let text = value.as_str().filter(|text| text.starts_with("0x"));
    text.and_then(|text| text.parse().ok()).ok_or_else(|| invalid(&format!("invalid argument 0: cannot read {value}")))
}

fn parse_number(value: &Value) -> Result<u64, Refusal> {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    number.ok_or_else(|| invalid(&format!("invalid argument 0: cannot read {value} as a block number")))
}
