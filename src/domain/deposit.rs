//! Deposits: what came in on the chain, and what was made of it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;
use thiserror::Error;

use super::amount::Amount;
use super::chain::{Address, B256, BlockNumber, BlockRef, Transfer};
use super::operator::Operator;
use super::order::OrderId;
use super::payment::PaymentId;
use super::time::Timestamp;

/// What tells one deposit from every other: chain, block hash, transaction hash and log index. The same
/// transaction in another block, or at another log index, is another deposit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DepositKey {
    pub chain_id: u64,
    pub block_hash: B256,
    /// The hash of the transaction.
    pub tx_hash: B256,
    /// The position among all logs of the block.
    pub log_index: u64,
}

/// Why a text is no deposit key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no deposit key; it has the form chain:block-hash:tx-hash:log-index, as `rampwatch deposits` prints it"
)]
pub struct DepositKeyError(String);

impl DepositKey {
    /// The key of the deposit that a transfer is.
    #[must_use]
    pub const fn of_transfer(chain_id: u64, transfer: &Transfer) -> Self {
        Self { chain_id, block_hash: transfer.block.hash, tx_hash: transfer.tx_hash, log_index: transfer.log_index }
    }
}

impl fmt::Display for DepositKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}", self.chain_id, self.block_hash, self.tx_hash, self.log_index)
    }
}

impl FromStr for DepositKey {
    type Err = DepositKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut parts = text.split(':');
            let key = Self {
                chain_id: parts.next()?.parse().ok()?,
                block_hash: parts.next()?.parse().ok()?,
                tx_hash: parts.next()?.parse().ok()?,
                log_index: parts.next()?.parse().ok()?,
            };
            parts.next().is_none().then_some(key)
        };
        parse().ok_or_else(|| DepositKeyError(text.to_owned()))
    }
}

/// One `Transfer` log of a known token to a watched address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deposit {
    pub key: DepositKey,
    /// The version the store holds (0: not stored yet).
    pub version: u64,
    pub block_number: BlockNumber,
    pub block_time: Timestamp,
    /// The token contract.
    pub token: Address,
    /// Whose balance went down; zero for a mint.
    pub from: Address,
    pub to: Address,
    /// How much, in base units of `token`.
    pub amount: Amount,
    pub standing: BlockStatus,
    /// What it is taken for.
    pub verdict: Verdict,
    /// When rampwatch first learnt of it (its own clock).
    pub first_seen_at: Timestamp,
    /// The operator whose node showed it. Kept only where operators have to agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_by: Option<Operator>,
    /// The operator whose node called its block final. Kept only where operators have to agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_by: Option<Operator>,
    /// What else came to its address in its token that is counted instead of kept one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tally: Option<Box<Tally>>,
}

impl Deposit {
    /// A deposit as first read from the chain: not final, not judged.
    #[must_use]
    pub const fn from_transfer(chain_id: u64, transfer: &Transfer, block_time: Timestamp, now: Timestamp) -> Self {
        Self {
            key: DepositKey::of_transfer(chain_id, transfer),
            version: 0,
            block_number: transfer.block.number,
            block_time,
            token: transfer.token,
            from: transfer.from,
            to: transfer.to,
            amount: transfer.amount,
            standing: BlockStatus::Provisional,
            verdict: Verdict::Unjudged,
            first_seen_at: now,
            seen_by: None,
            final_by: None,
            tally: None,
        }
    }

    /// The operator whose node both showed it and called its block final, where one did.
    #[must_use]
    pub fn said_by(&self) -> Option<&Operator> {
        self.seen_by.as_ref().filter(|seen_by| self.final_by.as_ref() == Some(seen_by))
    }

    /// The block that holds it.
    #[must_use]
    pub const fn block(&self) -> BlockRef {
        BlockRef { number: self.block_number, hash: self.key.block_hash }
    }

    /// Whether its block is, as far as is known, part of the chain.
    #[must_use]
    pub const fn stands(&self) -> bool {
        match self.standing {
            BlockStatus::Provisional | BlockStatus::Final { .. } => true,
            BlockStatus::Gone { .. } => false,
        }
    }
}

/// Deposits of one token to one address that could pay nothing there, beyond the first few: counted, each once, and not kept.
/// One of those that are kept bears it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub count: u64,
    /// What they come to, in base units.
    pub sum: Amount,
    /// The largest of them, in base units.
    pub most: Amount,
    /// What of the sum a person has ignored, in base units.
    pub ignored: Amount,
    /// The first block that was counted as it was covered.
    pub from: BlockNumber,
    /// The last one.
    pub through: BlockNumber,
    /// The last block that was counted as it was read a second time.
    pub second_to: BlockNumber,
    /// The transaction that was counted last.
    pub last_tx: B256,
    /// The time of its block.
    pub last_at: Timestamp,
}

impl Tally {
    /// Whether a transfer that is not kept must be one of those that were counted: whatever small came in these blocks was.
    #[must_use]
    pub fn has(&self, block: BlockNumber, amount: Amount) -> bool {
        let blocks = self.from..=self.through.max(self.second_to);
        self.count > 0 && blocks.contains(&block) && amount <= self.most
    }

    /// What of the sum nobody has decided about.
    #[must_use]
    pub fn undecided(&self) -> Amount {
        self.sum.checked_sub(self.ignored).unwrap_or(Amount::ZERO)
    }
}

/// Where a deposit's block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum BlockStatus {
    /// In a block that may still go away.
    Provisional,
    /// In a block that was final by the configured rule, at this moment.
    Final {
        /// When finality was established (our clock).
        at: Timestamp,
    },
    /// Its block is not part of the chain any more.
    Gone {
        /// Whether it had been taken for final before: an alarm.
        after_final: bool,
    },
}

impl BlockStatus {
    /// One word for tables and metrics; what went away after it was final has a word of its own.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Provisional => "provisional",
            Self::Final { .. } => "final",
            Self::Gone { after_final: false } => "gone",
            Self::Gone { after_final: true } => "gone_after_final",
        }
    }
}

/// What a deposit is taken for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[strum(const_into_str, serialize_all = "snake_case")]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Verdict {
    /// Not looked at yet, or its block is gone.
    Unjudged,
    /// It pays this payment.
    Pays {
        payment: PaymentId,
        /// The rule that said so.
        rule: MatchRule,
    },
    /// It credits nothing, and there is nothing to decide.
    Nothing { why: NothingReason },
    /// A person must decide.
    Review { why: ReviewReason },
    /// A person decided that it pays nothing.
    Ignored { reason: String },
}

impl Verdict {
    /// One word for tables, metrics and filters, as in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.into_str()
    }
}

/// The rule by which a deposit pays a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[strum(const_into_str, serialize_all = "snake_case")]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum MatchRule {
    /// The one open payment of this address with this amount.
    Exact,
    /// The one open payment of this address whose amount is this near.
    Tolerance {
        /// How far the deposit is from the payment's amount, in base units.
        off_by: Amount,
    },
    /// Several payments fit; only this one names the deposit's sender.
    Sender,
    /// It is our own transfer: its transaction is one that an order of the payment signed.
    OwnTransfer { order: OrderId },
    /// A person said so.
    Assigned { reason: String },
}

impl MatchRule {
    /// One word for tables, metrics and filters, as in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.into_str()
    }
}

/// Why a deposit credits nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[strum(const_into_str, serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum NothingReason {
    /// The amount is zero: anyone can make such a transfer (address poisoning).
    ZeroValue,
    /// Sender and recipient are the same: the token logs it and moves nothing.
    SelfTransfer,
    /// It came to the hot wallet itself: its funding, or money that came back.
    WalletCredit,
    /// It is far too little to pay anything at its address, and the first one like it is with a person: it is only noted.
    Dust,
}

impl NothingReason {
    /// One word for tables, metrics and filters, as in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.into_str()
    }
}

/// Why a person must look at a deposit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[strum(const_into_str, serialize_all = "snake_case")]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum ReviewReason {
    /// A known token, but not the one the payment asked for.
    WrongToken,
    /// Less than the payment's amount.
    Under {
        /// By how much, in base units.
        missing: Amount,
    },
    /// More than the payment's amount.
    Over {
        /// By how much, in base units.
        excess: Amount,
    },
    /// One of several deposits that only together make the amount.
    Split {
        /// The payment whose amount they make together.
        payment: PaymentId,
        /// How many deposits.
        parts: u32,
    },
    /// Several payments fit; at least one of them is open.
    Ambiguous {
        /// Which (at most eight are named).
        candidates: Vec<PaymentId>,
    },
    /// Several payments are open at the address, and none has this amount.
    NoFit,
    /// The payment it would fit already has its deposit.
    SecondDeposit { payment: PaymentId },
    /// It was the payment's deposit until a person assigned another. The API may have been told its transaction, so it
    /// pays no other payment by itself.
    Replaced { payment: PaymentId },
    /// Its block is older than the payment.
    Early { payment: PaymentId },
    /// Its block is younger than the payment's expiry.
    Late { payment: PaymentId },
    /// The payment it would fit has ended.
    PaymentEnded { payment: PaymentId },
    /// No payment is known for the address.
    NoPayment,
    /// It was final, and its block went away all the same: the chain or a provider broke its word.
    GoneAfterFinal {
        /// The payment it paid, if any.
        payment: Option<PaymentId>,
    },
}

impl ReviewReason {
    /// One word for tables, metrics and filters, as in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.into_str()
    }
}
