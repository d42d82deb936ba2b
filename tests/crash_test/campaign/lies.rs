//! What the lying endpoint says. A lie lasts for a while, and all answers of that time fit it, as far as one node could know.
//!
//! Deliberately absent: whose questions are answered, and for how long ([`super::liar`]).

use alloy::primitives::{Address, B256, Bytes, U256, hex, keccak256};
use alloy::sol_types::SolValue;
use rampwatch::domain::amount::Amount;
use rampwatch::sandbox::{DEV_ACCOUNTS, USDC, WALLET};
use serde_json::{Value, json};

use crate::run::chance::Chance;

/// How far above the true head the number of another network's head is.
const FAR: u64 = 400_000_000;

/// The first bytes of a call of `balanceOf(address)`.
const BALANCE_OF: &str = "70a08231";

/// What a lie is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The wallet's mined transfers failed, and nothing left the wallet.
    Reverted,
    /// No transaction has a receipt.
    NoReceipt,
    /// There are no logs.
    NoLogs,
    /// The head is far ahead, with empty blocks up to there; now and then they are final too.
    FarHead,
    /// The head is dated in the future.
    FutureHead,
    /// The head is final.
    EarlyFinality,
    /// The wallet has made more transactions than it has.
    MoreNonces,
    /// Another chain's answers.
    OtherChain,
    /// The head stays where it is.
    StandingHead,
    /// Somebody has paid exactly what an open payment asks for.
    InventedDeposit,
    /// The wallet has nothing, or far more than it has.
    WrongBalance,
    /// Gas costs next to nothing, or a fortune.
    WrongFees,
    /// A transaction was taken that was thrown away, or is refused though it is good.
    FalseSend,
}

impl Kind {
    /// Each kind with the word for it.
    pub(crate) const ALL: [(Self, &'static str); 13] = [
        (Self::Reverted, "reverted"),
        (Self::NoReceipt, "no_receipt"),
        (Self::NoLogs, "no_logs"),
        (Self::FarHead, "far_head"),
        (Self::FutureHead, "future_head"),
        (Self::EarlyFinality, "early_finality"),
        (Self::MoreNonces, "more_nonces"),
        (Self::OtherChain, "other_chain"),
        (Self::StandingHead, "standing_head"),
        (Self::InventedDeposit, "invented_deposit"),
        (Self::WrongBalance, "wrong_balance"),
        (Self::WrongFees, "wrong_fees"),
        (Self::FalseSend, "false_send"),
    ];
}

/// What is true when a lie begins.
pub(crate) struct Ground {
    /// The header of the head.
    pub(crate) head: Value,
    /// The header of the finalized block.
    pub(crate) finalized: Value,
    /// The wallet's balance of the token, as the node shows it.
    pub(crate) balance: Value,
    /// Where payments wait for money, and how much.
    pub(crate) open: Vec<(Address, Amount)>,
}

/// A call.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) method: &'a str,
    pub(crate) params: &'a Value,
}

/// A result, or an error object.
pub(crate) type Answer = Result<Value, Value>;

/// What becomes of a call before the node has it.
pub(crate) enum Before {
    /// The node is asked as it is.
    Ask,
    /// The node is asked with these parameters.
    AskWith(Value),
    /// The node is not asked.
    Say(Answer),
}

/// A lie.
#[derive(Clone, Debug)]
pub(crate) enum Lie {
    Reverted { balance: Value },
    NoReceipt,
    NoLogs,
    FarHead { far: u64, finalized: Option<u64>, like: Value },
    FutureHead { by: u64 },
    EarlyFinality,
    MoreNonces { by: u64 },
    OtherChain { id: u64 },
    StandingHead { head: u64, finalized: u64 },
    InventedDeposit(Box<Invented>),
    WrongBalance { balance: U256 },
    WrongFees { base_fee: u64 },
    FalseSend { refuses: bool },
}

/// A transfer that nobody made, in a block that is there.
#[derive(Clone, Debug)]
pub(crate) struct Invented {
    tx_hash: B256,
    at: u64,
    log: Value,
    receipt: Value,
}

impl Lie {
    /// One of this kind; `None` when nothing is there that it could be about.
    pub(crate) fn draw(kind: Kind, chance: &mut Chance, ground: &Ground) -> Option<Self> {
        let (head, finalized) = (number(&ground.head["number"])?, number(&ground.finalized["number"])?);
        Some(match kind {
            Kind::Reverted => Self::Reverted { balance: ground.balance.clone() },
            Kind::NoReceipt => Self::NoReceipt,
            Kind::NoLogs => Self::NoLogs,
            Kind::FarHead => {
                // Half of them so near that they could be true.
                let far = head + if chance.one_in(2) { FAR } else { chance.between(20, 3_000) };
                let finalized = chance.one_in(2).then_some(far - 2);
                Self::FarHead { far, finalized, like: ground.head.clone() }
            }
            // A rehearsal takes some hours, for clocks that are moved.
            Kind::FutureHead => Self::FutureHead { by: if chance.one_in(2) { 86_400 } else { 900 } },
            Kind::EarlyFinality => Self::EarlyFinality,
            Kind::MoreNonces => Self::MoreNonces { by: chance.between(1, 5) },
            Kind::OtherChain => Self::OtherChain { id: if chance.one_in(2) { 137 } else { 42_161 } },
            Kind::StandingHead => Self::StandingHead { head, finalized },
            Kind::InventedDeposit => {
                let nth = usize::try_from(chance.between(0, ground.open.len().max(1) as u64)).ok()?;
                let (to, amount) = *ground.open.get(nth)?;
                let block = if chance.one_in(2) { &ground.finalized } else { &ground.head };
                Self::InventedDeposit(Box::new(Invented::new(block, to, amount, chance)?))
            }
            Kind::WrongBalance => {
                Self::WrongBalance { balance: if chance.one_in(2) { U256::ZERO } else { U256::from(u128::MAX >> 20) } }
            }
            Kind::WrongFees => Self::WrongFees { base_fee: if chance.one_in(2) { 1 } else { 2_000_000_000_000 } },
            Kind::FalseSend => Self::FalseSend { refuses: chance.one_in(2) },
        })
    }

    /// What it is about.
    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Reverted { .. } => Kind::Reverted,
            Self::NoReceipt => Kind::NoReceipt,
            Self::NoLogs => Kind::NoLogs,
            Self::FarHead { .. } => Kind::FarHead,
            Self::FutureHead { .. } => Kind::FutureHead,
            Self::EarlyFinality => Kind::EarlyFinality,
            Self::MoreNonces { .. } => Kind::MoreNonces,
            Self::OtherChain { .. } => Kind::OtherChain,
            Self::StandingHead { .. } => Kind::StandingHead,
            Self::InventedDeposit(_) => Kind::InventedDeposit,
            Self::WrongBalance { .. } => Kind::WrongBalance,
            Self::WrongFees { .. } => Kind::WrongFees,
            Self::FalseSend { .. } => Kind::FalseSend,
        }
    }

    /// What the node is asked.
    pub(crate) fn before(&self, call: Call<'_>) -> Before {
        match (self, call.method) {
            (Self::EarlyFinality, _) if call.block() == Some("finalized") => {
                Before::AskWith(json!(["latest", call.params[1]]))
            }
            (Self::StandingHead { head, finalized }, _) => standing(call, *head, *finalized),
            (Self::InventedDeposit(invented), "eth_getTransactionReceipt")
                if call.params[0] == json!(invented.tx_hash) =>
            {
                Before::Say(Ok(invented.receipt.clone()))
            }
            (Self::FalseSend { refuses: true }, "eth_sendRawTransaction") => Before::Say(refusal("nonce too low")),
            (Self::FalseSend { refuses: false }, "eth_sendRawTransaction") => {
                let raw = call.params[0].as_str().and_then(|text| text.parse::<Bytes>().ok());
                raw.map_or(Before::Ask, |raw| Before::Say(Ok(json!(keccak256(&raw)))))
            }
            (Self::OtherChain { .. }, "eth_sendRawTransaction") => Before::Say(refusal("invalid chain id for signer")),
            _ => Before::Ask,
        }
    }

    /// What is said instead of the node's answer.
    pub(crate) fn after(&self, call: Call<'_>, honest: Answer) -> Answer {
        match self {
            Self::Reverted { balance } => reverted(call, honest, balance),
            Self::NoReceipt => match call.method {
                "eth_getTransactionReceipt" => Ok(Value::Null),
                _ => honest,
            },
            Self::NoLogs => match call.method {
                "eth_getLogs" => Ok(json!([])),
                _ => honest,
            },
            Self::FarHead { far, finalized, like } => far_head(call, honest, *far, *finalized, like),
            Self::FutureHead { by } => match call.block() {
                Some("latest") => changed(honest, "timestamp", |time| json!(quantity(number(time).unwrap_or(0) + by))),
                _ => honest,
            },
            Self::MoreNonces { by } => match call.method {
                "eth_getTransactionCount" if is_wallet(&call.params[0]) => {
                    honest.map(|count| number(&count).map_or(count, |count| json!(quantity(count + by))))
                }
                _ => honest,
            },
            Self::OtherChain { id } => other_chain(call, honest, *id),
            Self::StandingHead { head, .. } => match (call.method, &honest) {
                ("eth_getTransactionReceipt", Ok(receipt))
                    if number(&receipt["blockNumber"]).is_some_and(|at| at > *head) =>
                {
                    Ok(Value::Null)
                }
                _ => honest,
            },
            Self::InventedDeposit(invented) => match call.method {
                "eth_getLogs" => honest.map(|logs| invented.among(call, logs)),
                _ => honest,
            },
            Self::WrongBalance { balance } => match call.method {
                "eth_getBalance" if is_wallet(&call.params[0]) => Ok(json!(format!("{balance:#x}"))),
                _ if call.asks_the_wallets_tokens() => Ok(json!(Bytes::from(balance.abi_encode()))),
                _ => honest,
            },
            Self::WrongFees { base_fee } => match call.block() {
                Some("latest") => changed(honest, "baseFeePerGas", |_| json!(quantity(*base_fee))),
                _ => honest,
            },
            Self::EarlyFinality | Self::FalseSend { .. } => honest,
        }
    }
}

impl Call<'_> {
    /// The tag or number of the block that is asked for, if it asks for a block.
    fn block(&self) -> Option<&str> {
        (self.method == "eth_getBlockByNumber").then(|| self.params[0].as_str()).flatten()
    }

    /// Whether it asks for the wallet's balance of the token.
    fn asks_the_wallets_tokens(&self) -> bool {
        let call = &self.params[0];
        let data = call["data"].as_str().or_else(|| call["input"].as_str()).unwrap_or_default();
        let is_balance = data.trim_start_matches("0x").starts_with(BALANCE_OF);
        self.method == "eth_call" && is_balance && data.ends_with(&hex::encode(WALLET.into_word()))
    }
}

impl Invented {
    fn new(block: &Value, to: Address, amount: Amount, chance: &mut Chance) -> Option<Self> {
        let tx_hash = keccak256(format!("invented {}", chance.between(0, u64::MAX)));
        let from = DEV_ACCOUNTS[usize::try_from(chance.between(0, 10)).ok()?];
        let topics = [keccak256("Transfer(address,address,uint256)"), from.into_word(), to.into_word()];
        // No block of this chain has so many logs.
        let index = quantity(900 + chance.between(0, 90));
        let log = json!({
            "address": USDC, "topics": topics, "data": B256::from(U256::from(amount.base_units())),
            "blockNumber": block["number"], "blockHash": block["hash"], "blockTimestamp": block["timestamp"],
            "transactionHash": tx_hash, "transactionIndex": "0x63", "logIndex": index, "removed": false,
        });
        let receipt = json!({
            "transactionHash": tx_hash, "transactionIndex": "0x63", "blockHash": block["hash"],
            "blockNumber": block["number"], "from": from, "to": USDC, "contractAddress": null,
            "cumulativeGasUsed": "0xf2c3", "gasUsed": "0xf2c3", "effectiveGasPrice": "0x6fc23ac00",
            "logsBloom": block["logsBloom"], "status": "0x1", "type": "0x2", "logs": [log],
        });
        Some(Self { tx_hash, at: number(&block["number"])?, log, receipt })
    }

    /// The logs with it, if they were asked for.
    fn among(&self, call: Call<'_>, mut logs: Value) -> Value {
        let filter = &call.params[0];
        let is_in = |name: &str, holds: fn(u64, u64) -> bool| number(&filter[name]).is_none_or(|to| holds(self.at, to));
        if is_in("fromBlock", |at, from| from <= at) && is_in("toBlock", |at, to| at <= to) && wants(filter, &self.log)
        {
            logs.as_array_mut().into_iter().for_each(|logs| logs.push(self.log.clone()));
        }
        logs
    }
}

/// Whether a filter wants a log, by its contract and topics.
fn wants(filter: &Value, log: &Value) -> bool {
    let same = |one: &Value, other: &Value| {
        one.as_str().zip(other.as_str()).is_some_and(|(one, other)| one.eq_ignore_ascii_case(other))
    };
    let is_in = |wanted: &Value, found: &Value| match wanted {
        Value::Null => true,
        Value::Array(all) => all.iter().any(|one| same(one, found)),
        one => same(one, found),
    };
    let topics = filter["topics"].as_array().map(Vec::as_slice).unwrap_or_default();
    is_in(&filter["address"], &log["address"])
        && topics.iter().enumerate().all(|(nth, topic)| is_in(topic, &log["topics"][nth]))
}

/// The wallet's transfers failed: the receipts say so, no log shows them, and its balance does not change.
fn reverted(call: Call<'_>, honest: Answer, balance: &Value) -> Answer {
    match call.method {
        "eth_getTransactionReceipt" => honest.map(|mut receipt| {
            if is_wallet(&receipt["from"]) {
                receipt["status"] = json!("0x0");
                receipt["logs"] = json!([]);
            }
            receipt
        }),
        "eth_getLogs" => honest.map(|mut logs| {
            let is_ours = |log: &Value| log["topics"][1] == json!(WALLET.into_word());
            logs.as_array_mut().into_iter().for_each(|logs| logs.retain(|log| !is_ours(log)));
            logs
        }),
        _ if call.asks_the_wallets_tokens() => Ok(balance.clone()),
        _ => honest,
    }
}

/// Blocks that are not there, up to this one.
fn far_head(call: Call<'_>, honest: Answer, far: u64, finalized: Option<u64>, like: &Value) -> Answer {
    let invented = |at: u64| {
        let hash = |at: u64| json!(keccak256(format!("invented block {at}")));
        let mut header = like.clone();
        header["number"] = json!(quantity(at));
        header["hash"] = hash(at);
        header["parentHash"] = hash(at.saturating_sub(1));
        header["transactions"] = json!([]);
        Ok(header)
    };
    match (call.method, call.block(), &honest) {
        ("eth_blockNumber", ..) => Ok(json!(quantity(far))),
        (_, Some("latest"), _) => invented(far),
        (_, Some("finalized"), _) => finalized.map_or(honest, invented),
        (_, Some(_), Ok(Value::Null)) => match number(&call.params[0]).filter(|at| *at <= far) {
            Some(at) => invented(at),
            None => honest,
        },
        ("eth_getLogs", _, Err(_)) => Ok(json!([])),
        _ => honest,
    }
}

/// Its blocks are others, and it knows of nobody here.
fn other_chain(call: Call<'_>, honest: Answer, id: u64) -> Answer {
    let renamed = |hash: &Value| json!(keccak256(format!("{id} {hash}")));
    match call.method {
        "eth_chainId" => Ok(json!(quantity(id))),
        "eth_getBlockByNumber" => honest.map(|mut header| {
            if header.is_object() {
                (header["hash"], header["parentHash"]) = (renamed(&header["hash"]), renamed(&header["parentHash"]));
                header["transactions"] = json!([]);
            }
            header
        }),
        "eth_getLogs" => Ok(json!([])),
        "eth_getTransactionReceipt" => Ok(Value::Null),
        "eth_getTransactionCount" | "eth_getBalance" => Ok(json!("0x0")),
        "eth_call" => Ok(json!("0x")),
        _ => honest,
    }
}

/// Nothing above this head is known.
fn standing(call: Call<'_>, head: u64, finalized: u64) -> Before {
    let is_above = |at: &Value| number(at).is_some_and(|at| at > head);
    match (call.method, call.block()) {
        ("eth_blockNumber", _) => Before::Say(Ok(json!(quantity(head)))),
        (_, Some("latest")) => Before::AskWith(json!([quantity(head), call.params[1]])),
        (_, Some("finalized")) => Before::AskWith(json!([quantity(finalized), call.params[1]])),
        (_, Some(_)) if is_above(&call.params[0]) => Before::Say(Ok(Value::Null)),
        ("eth_getLogs", _) if is_above(&call.params[0]["toBlock"]) => {
            Before::Say(refusal("invalid block range params"))
        }
        _ => Before::Ask,
    }
}

/// An object with one field changed; anything else as it is.
fn changed(honest: Answer, field: &str, change: impl Fn(&Value) -> Value) -> Answer {
    honest.map(|mut object| {
        if object.is_object() {
            object[field] = change(&object[field]);
        }
        object
    })
}

fn refusal(message: &str) -> Answer {
    Err(json!({ "code": -32_000, "message": message }))
}

fn is_wallet(value: &Value) -> bool {
    value.as_str().and_then(|text| text.parse::<Address>().ok()) == Some(WALLET)
}

/// A number as JSON-RPC writes it.
fn quantity(number: u64) -> String {
    format!("{number:#x}")
}

/// A number as JSON-RPC writes it, read.
fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}
