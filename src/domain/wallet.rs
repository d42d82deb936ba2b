//! The hot wallet: what is kept of it, and what the nodes say of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::amount::Amount;
use super::chain::{Address, B256, BlockRef, Header, Transfer};
use super::payment::RecipientId;
use super::time::Timestamp;
use super::wei::Wei;

/// What is kept of the one wallet that this store sends from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wallet {
    pub address: Address,
    pub chain_id: u64,
    /// The version the store holds (0: not stored yet).
    pub version: u64,
    /// The nonce that the next order takes. All lower ones are taken or consumed.
    pub next_nonce: u64,
    /// Set while a person has paused it.
    pub paused: Option<Pause>,
    /// Set while something about its nonces is not understood; only a person's adoption ends it.
    pub halted: Option<Halt>,
    /// The latest moment that counted for the spend window: never far ahead of the chain, whatever the system's clock does.
    pub clock: Timestamp,
    /// What left the wallet by transfers that no order here accounts for, as an adoption found it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub booked: Vec<BookedSpend>,
}

/// Spend that no order accounts for: what the wallet sent in about an hour of block time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookedSpend {
    /// The block time of the last of these transfers: they count from here on.
    pub at: Timestamp,
    /// Whose payments were at the addresses; `None` where that is not known, and it counts for everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<RecipientId>,
    /// How much, in base units of the token that pays.
    pub amount: Amount,
}

/// A person's pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when (our clock).
    pub at: Timestamp,
    pub reason: String,
}

/// Why nothing is sent until a person has looked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// Since when (our clock).
    pub at: Timestamp,
    pub why: HaltReason,
}

/// What is not understood about the wallet's nonces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum HaltReason {
    /// The store knows nothing of this wallet, and it has sent transactions before.
    UsedBefore {
        /// How many, as the nodes count.
        transactions: u64,
    },
    /// The nodes have, or wait for, transactions with nonces that this store never gave out: the key is used elsewhere,
    /// or the store is an old copy.
    UsedElsewhere {
        /// The nonce that would be next here.
        ours: u64,
        /// The nonce that would be next by the nodes' count.
        theirs: u64,
    },
    /// A nonce that this store gave out was consumed by a transaction that is not ours.
    NonceTaken { nonce: u64 },
    /// The store holds less than it had acknowledged: it may have lost what it sent.
    StoreIncomplete {
        /// The number of the last event that it held.
        held: u64,
        /// The number of the last event that it had acknowledged; `None` when that was not known any more.
        acknowledged: Option<u64>,
    },
    /// The store holds the record of another wallet.
    OtherWallet {
        /// The address in the store.
        stored: Address,
    },
}

impl fmt::Display for HaltReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UsedBefore { transactions } => write!(
                f,
                "this store knows nothing of the wallet, which has sent {transactions} transactions before: see that \
                 nothing else uses its key, then run `rampwatch wallet adopt`"
            ),
            Self::UsedElsewhere { ours, theirs } => write!(
                f,
                "the next nonce here is {ours}, but the nodes know of transactions up to {theirs}: the key is used \
                 elsewhere, or this store is an old copy; stop the other one, then run `rampwatch wallet adopt`"
            ),
            Self::NonceTaken { nonce } => write!(
                f,
                "nonce {nonce} was consumed by a transaction that is not ours: the key is used elsewhere; stop the \
                 other one, then run `rampwatch wallet adopt`"
            ),
            Self::StoreIncomplete { held, acknowledged } => {
                let lacks = match acknowledged {
                    Some(acknowledged) => {
                        format!("event {acknowledged} was acknowledged, and it holds those up to {held}")
                    }
                    None => "its file `acknowledged` is lost, so nobody knows whether it holds all".to_owned(),
                };
                write!(
                    f,
                    "the store may have forgotten what was sent ({lacks}): stop rampwatch and put the newest folder back, if \
                     there is one; else compare the payments with the API and the chain (rampwatch reconcile), then run \
                     `rampwatch wallet adopt`"
                )
            }
            Self::OtherWallet { stored } => {
                write!(f, "this store belongs to the wallet {stored}: give that one's key, or another store")
            }
        }
    }
}

/// What one endpoint says of the account's nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonceCount {
    /// How many of its transactions are mined.
    pub latest: u64,
    /// The same with those that wait in the endpoint's pool.
    pub pending: u64,
    /// How many were mined in the block that was asked about, if one was.
    pub at_block: Option<u64>,
}

/// What one endpoint says of a transfer that is about to be made. All from one endpoint, for its newest block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferView {
    /// The endpoint's newest block.
    pub head: Header,
    /// What the next block asks for a unit of gas.
    pub base_fee: Wei,
    /// What others tip, as the endpoint sees it.
    pub market_tip: Wei,
    /// Whether the token is paused. `false` for a token that has no such thing.
    pub paused: bool,
    /// Whether the token has blacklisted the wallet.
    pub wallet_blacklisted: bool,
    /// Whether the token has blacklisted the recipient.
    pub recipient_blacklisted: bool,
    /// The wallet's balance of the token, in base units.
    pub token_balance: Amount,
    /// The wallet's balance of the native coin.
    pub native_balance: Wei,
    /// What `eth_call` of the transfer returned.
    pub call: CallResult,
    /// What the node thinks that the transfer uses; `None` when the call fails.
    pub gas_estimate: Option<u64>,
}

/// What `eth_call` of a transfer returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallResult {
    True,
    /// Something else, in words.
    Other(String),
    /// It reverted, with this reason.
    Reverted(String),
}

/// What the market asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Market {
    /// The endpoint's newest block.
    pub head: Header,
    /// What the next block asks for a unit of gas.
    pub base_fee: Wei,
    /// What others tip, as the endpoint sees it.
    pub tip: Wei,
}

/// What a node says of a mined transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub tx_hash: B256,
    /// The block that holds it.
    pub block: BlockRef,
    /// Whether it succeeded. That alone moves no money.
    pub succeeded: bool,
    /// The transfers among its logs, of all contracts.
    pub transfers: Vec<Transfer>,
    /// `None` when the node does not tell: some leave it out, and what it cost is no part of what happened.
    pub gas_used: Option<u64>,
    /// What a unit of gas cost; `None` when the node does not tell.
    pub gas_price: Option<Wei>,
}
