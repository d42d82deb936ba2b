//! Orders: instructions to fund one payment from the hot wallet, and their attempts.
//!
//! All attempts of an order that can still be mined bear one nonce, so at most one of them ever is. Deliberately
//! absent: the key, and how a transaction is built; a signed attempt is kept as its bytes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;
use thiserror::Error;

use super::actor::Actor;
use super::amount::Amount;
use super::chain::{Address, B256, BlockRef};
use super::hold::Hold;
use super::odd::explained;
use super::payment::{BankAccountId, PaymentId, Provenance, RecipientId};
use super::text::short;
use super::time::Timestamp;
use super::wei::Wei;

pub use super::hold::ApprovalReason;

/// The most attempts an order may have. Each raises the fees by an eighth at least, so sixteen span a factor of six
/// without any help of the market; the bound keeps the record small.
pub const MAX_ATTEMPTS: usize = 16;

/// What tells one order from every other: the payment, and which of its orders it is, from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OrderId {
    pub payment: PaymentId,
    /// Which of the payment's orders, from 1.
    pub turn: u32,
}

/// Why a text is no order id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", explained(format_args!("{:?} is no order id; it has the form payment:number, as `rampwatch orders` prints it", .0), .0))]
pub struct OrderIdError(String);

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.payment, self.turn)
    }
}

impl FromStr for OrderId {
    type Err = OrderIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (payment, turn) = text.split_once(':')?;
            let plain = !turn.is_empty() && !turn.starts_with('0') && turn.bytes().all(|byte| byte.is_ascii_digit());
            Some(Self { payment: payment.parse().ok()?, turn: turn.parse().ok().filter(|_| plain)? })
        };
        parse().ok_or_else(|| OrderIdError(text.chars().take(160).collect()))
    }
}

impl TryFrom<String> for OrderId {
    type Error = OrderIdError;
    fn try_from(text: String) -> Result<Self, OrderIdError> {
        text.parse()
    }
}

impl From<OrderId> for String {
    fn from(id: OrderId) -> Self {
        id.to_string()
    }
}

/// An instruction to fund one payment from the wallet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub id: OrderId,
    /// The version the store holds (0: not stored yet).
    pub version: u64,
    /// Whose payment it funds.
    pub recipient_id: RecipientId,
    /// Where the recipient is known from; `None` in records from before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient_from: Option<Provenance>,
    /// The bank account that the payment goes to, where it is known.
    pub bank_account: Option<BankAccountId>,
    /// The wallet that pays.
    pub wallet: Address,
    pub chain_id: u64,
    pub token: Address,
    /// The payment's deposit address.
    pub to: Address,
    /// How much, in base units of `token`.
    pub amount: Amount,
    pub placed_by: Placer,
    /// The person's name, where one placed it; `None` in records from before names were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placed_by_name: Option<Actor>,
    /// Who approved it, where somebody had to and has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<Actor>,
    /// When it was placed (our clock).
    pub placed_at: Timestamp,
    /// The block time that its spend counts from once it is over: that of the block that mined it. `None` while it is open,
    /// and in records from before block times were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent_at: Option<Timestamp>,
    /// How far it is.
    pub state: OrderState,
    /// Whether it counts as spent.
    pub spend: Spend,
    /// The signed transactions, oldest first: at most [`MAX_ATTEMPTS`], see [`Order::add_attempt`].
    pub attempts: Vec<Attempt>,
    /// How many of its nonces ended in a revert.
    pub reverts: u32,
    /// When the funder has to look at it again; `None` when nobody has to.
    pub next_at: Option<Timestamp>,
}

impl Order {
    /// The attempts that bear the nonce that is in use, oldest first.
    pub fn live_attempts(&self) -> impl DoubleEndedIterator<Item = &Attempt> {
        let nonce = self.state.nonce();
        self.attempts.iter().filter(move |attempt| Some(attempt.nonce) == nonce)
    }

    /// Adds an attempt; says `false`, and adds none, when there is no room. Where there is no room, the oldest attempt of another
    /// nonce gives way: a nonce is only followed by another once a receipt at it is final, so none of its attempts can be mined
    /// any more. The store finds the order by their hashes all the same.
    #[must_use]
    pub fn add_attempt(&mut self, attempt: Attempt) -> bool {
        if self.attempts.len() >= MAX_ATTEMPTS {
            let Some(oldest) = self.attempts.iter().position(|old| old.nonce != attempt.nonce) else { return false };
            self.attempts.remove(oldest);
        }
        self.attempts.push(attempt);
        true
    }

    /// The moment that its spend counts from, once it is over. A record that keeps no block time counts as it always did.
    #[must_use]
    pub fn counts_from(&self) -> Timestamp {
        self.spent_at.unwrap_or(self.placed_at)
    }

    /// The attempt with this hash.
    #[must_use]
    pub fn attempt(&self, tx_hash: B256) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.tx_hash == tx_hash)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placer {
    /// A person asked for it.
    Person,
    /// The automatic mode.
    Auto,
}

/// Whether an order counts towards the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spend {
    /// It counts: for as long as the order is open, and then for a day of block time.
    Counted,
    /// It does not any more: nothing was signed, or a revert or a self-send at its nonce is final.
    GivenBack,
}

/// How far an order is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[strum(const_into_str, serialize_all = "kebab-case")]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum OrderState {
    /// A person must approve it first.
    AwaitingApproval { why: ApprovalReason },
    /// It is to be checked and signed at `next_at`. Nothing is signed.
    Ready,
    /// Something stands in the way, and is looked at again at `next_at`. Nothing is signed.
    Held { why: Hold },
    /// A nonce is taken and the transfer is signed. Whether it was sent, and taken, only the chain can say.
    Sending {
        /// The nonce of its live attempts.
        nonce: u64,
        /// What keeps the bytes from being sent again right now, if anything.
        trouble: Option<Hold>,
    },
    /// The nonce is to be consumed by a self-send instead. The outcome is unknown until one of the two is final.
    Cancelling {
        /// The nonce of its live attempts.
        nonce: u64,
        /// Why the transfer must not go out any more.
        why: CancelReason,
        /// What keeps the self-send from being sent right now, if anything.
        trouble: Option<Hold>,
    },
    /// One of the attempts is in a block that is not final yet.
    Mined {
        nonce: u64,
        /// Which attempt.
        tx_hash: B256,
        block: BlockRef,
        effect: Effect,
        /// Set when the order was being cancelled; it goes on so if the block goes away.
        cancelling: Option<CancelReason>,
    },
    /// Over.
    Ended {
        outcome: OrderOutcome,
        /// When we learnt of it (our clock).
        at: Timestamp,
    },
}

impl OrderState {
    /// The nonce that is taken and not known to be consumed for good, if any.
    #[must_use]
    pub const fn nonce(&self) -> Option<u64> {
        match self {
            Self::AwaitingApproval { .. } | Self::Ready | Self::Held { .. } | Self::Ended { .. } => None,
            Self::Sending { nonce, .. } | Self::Cancelling { nonce, .. } | Self::Mined { nonce, .. } => Some(*nonce),
        }
    }

    /// What keeps it from going on, if anything does.
    #[must_use]
    pub const fn hold(&self) -> Option<&Hold> {
        match self {
            Self::Held { why } => Some(why),
            Self::Sending { trouble, .. } | Self::Cancelling { trouble, .. } => trouble.as_ref(),
            Self::AwaitingApproval { .. } | Self::Ready | Self::Mined { .. } | Self::Ended { .. } => None,
        }
    }

    #[must_use]
    pub const fn is_ended(&self) -> bool {
        matches!(self, Self::Ended { .. })
    }

    /// The same with every text in it shortened, as a state must be before it is stored.
    #[must_use]
    pub fn shortened(self) -> Self {
        let brief = |trouble: Option<Hold>| trouble.map(Hold::shortened);
        match self {
            Self::Held { why } => Self::Held { why: why.shortened() },
            Self::Sending { nonce, trouble } => Self::Sending { nonce, trouble: brief(trouble) },
            Self::Cancelling { nonce, why, trouble } => {
                Self::Cancelling { nonce, why: why.shortened(), trouble: brief(trouble) }
            }
            Self::Mined { nonce, tx_hash, block, effect, cancelling } => {
                Self::Mined { nonce, tx_hash, block, effect, cancelling: cancelling.map(CancelReason::shortened) }
            }
            Self::Ended { outcome, at } => Self::Ended { outcome: outcome.shortened(), at },
            other @ (Self::AwaitingApproval { .. } | Self::Ready) => other,
        }
    }

    /// One word for tables, metrics and filters.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.into_str()
    }
}

/// Why the nonce of a signed transfer is consumed by a self-send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum CancelReason {
    /// A person wants it so.
    Person { reason: String },
    /// The transfer must not go out any more.
    Hold { hold: Hold },
}

impl CancelReason {
    fn shortened(self) -> Self {
        match self {
            Self::Person { reason } => Self::Person { reason: short(&reason) },
            Self::Hold { hold } => Self::Hold { hold: hold.shortened() },
        }
    }
}

/// What a mined attempt did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Effect {
    /// The token's own log in the receipt says that the amount went from the wallet to the deposit address.
    Paid {
        /// The log's position among all logs of the block.
        log_index: u64,
    },
    /// The transaction failed; nothing moved.
    Reverted,
    /// The transaction succeeded, and the receipt has no such log: nothing moved.
    MovedNothing,
    /// It was the self-send.
    SelfSent,
}

/// How an order ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[strum(const_into_str, serialize_all = "kebab-case")]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum OrderOutcome {
    /// The transfer is final.
    Paid {
        tx_hash: B256,
        block: BlockRef,
        /// The position of the transfer's log among all logs of the block.
        log_index: u64,
    },
    /// The self-send is final; no money moved.
    SelfSent { tx_hash: B256, why: CancelReason },
    /// The transfer was mined and moved nothing, as often as is tried; the last one is final.
    Reverted { tx_hash: B256 },
    /// The transfer succeeded by its receipt, which is final, and the token wrote no log of it: a person must look.
    MovedNothing { tx_hash: B256 },
    /// Nothing of it is signed that could still be mined: nothing ever was, or what was has failed for good.
    Unsent { why: UnsentReason },
    /// A transaction that is not ours consumed the nonce, for good. No money of this order moved.
    Displaced { nonce: u64 },
}

impl OrderOutcome {
    fn shortened(self) -> Self {
        match self {
            Self::SelfSent { tx_hash, why } => Self::SelfSent { tx_hash, why: why.shortened() },
            Self::Unsent { why } => Self::Unsent { why: why.shortened() },
            other
            @ (Self::Paid { .. } | Self::Reverted { .. } | Self::MovedNothing { .. } | Self::Displaced { .. }) => other,
        }
    }

    /// One word for tables and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.into_str()
    }
}

/// Why an order ended with nothing signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum UnsentReason {
    /// A person refused the approval.
    Rejected { reason: String },
    /// A person cancelled it.
    Cancelled { reason: String },
    /// The payment cannot be funded any more.
    NotPayable { hold: Hold },
    /// Nobody approved it in time.
    ApprovalExpired {
        /// How long an approval may be waited for, in seconds.
        valid_for_s: u64,
    },
}

impl UnsentReason {
    fn shortened(self) -> Self {
        match self {
            Self::Rejected { reason } => Self::Rejected { reason: short(&reason) },
            Self::Cancelled { reason } => Self::Cancelled { reason: short(&reason) },
            Self::NotPayable { hold } => Self::NotPayable { hold: hold.shortened() },
            Self::ApprovalExpired { valid_for_s } => Self::ApprovalExpired { valid_for_s },
        }
    }
}

/// One signed transaction of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// What it is meant to do.
    pub kind: AttemptKind,
    /// The account's nonce that it consumes.
    pub nonce: u64,
    /// The transaction's hash.
    pub tx_hash: B256,
    /// The signed bytes, as they are broadcast (EIP-2718). They may be sent again at any time, and never expire.
    pub raw: RawTransaction,
    /// What it offers.
    pub fees: Fees,
    /// The most gas it may use.
    pub gas_limit: u64,
    /// When it was signed (our clock).
    pub signed_at: Timestamp,
    /// When it was last given to the nodes; `None` when that is not known to have happened.
    pub sent_at: Option<Timestamp>,
    /// How often it was given to the nodes.
    pub sends: u32,
}

/// What an attempt is meant to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptKind {
    /// The token's `transfer` to the deposit address.
    Transfer,
    /// Nothing from the wallet to itself, so that the nonce is consumed.
    SelfSend,
}

/// What a transaction offers for its gas (EIP-1559).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fees {
    /// The most that is paid for a unit of gas: `max_fee_per_gas`.
    pub cap: Wei,
    /// The part that goes to the block's producer: `max_priority_fee_per_gas`.
    pub tip: Wei,
}

/// Signed bytes. In JSON they are hexadecimal digits after `0x`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawTransaction(pub alloy::primitives::Bytes);

impl fmt::Debug for RawTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} signed bytes", self.0.len())
    }
}
