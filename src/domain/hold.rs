//! Holds: what stands in the way of a transfer, each by its name and with its figures.
//!
//! Deliberately absent: what to do about a hold (`policy::preflight` says that).

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use super::amount::Amount;
use super::chain::{Address, B256, BlockRef};
use super::payment::ApiStatus;
use super::text::short;
use super::time::Timestamp;
use super::wei::Wei;

/// What stands in the way of a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[strum(const_into_str, serialize_all = "kebab-case")]
#[serde(tag = "hold", rename_all = "snake_case")]
pub enum Hold {
    /// The payment API could not be asked.
    ApiUnavailable { detail: String },
    /// The API does not say AWAITING_FUNDS.
    ApiStatus { status: ApiStatus },
    /// The API names an end of the payment, and no second look has confirmed it yet.
    EndUnconfirmed { status: ApiStatus },
    /// The API has a transaction hash for the payment already.
    ApiHasHash {
        /// The hash, as it came.
        tx_hash: String,
    },
    /// The API tells a term of the payment otherwise.
    TermsDiffer {
        field: String,
        /// What the order has.
        ours: String,
        theirs: String,
    },
    /// The payment is not where it can be funded: it is with a person, or has gone on.
    PaymentState { state: String },
    /// The payment is over, here: a person stopped it, or the API ended it.
    PaymentEnded,
    /// Too little time is left before the payment runs out.
    TimeShort {
        /// When it runs out.
        expires_at: Timestamp,
        /// The least time that must be left, in seconds.
        least_s: u64,
    },
    /// The payment names another sender than the wallet.
    OtherSender { named: Address },
    /// There is money at the deposit address that may pay it already.
    MoneyThere {
        /// The transaction that brought it.
        tx_hash: B256,
        /// How much, in base units.
        amount: Amount,
    },
    /// Our own transfer was seen in a block, or the API names it: its receipt is awaited.
    OwnTransferSeen { tx_hash: B256 },
    /// The deposit address has not been read up to near the head yet.
    NotReadYet,
    /// The chain is further on than our clock by more than clocks may differ: how much time is left is not known.
    ClockBehind {
        /// By how much the newest block is dated after our clock, in seconds.
        by_s: u64,
    },
    /// The token is paused.
    TokenPaused,
    /// The token has blacklisted the wallet.
    WalletBlacklisted,
    /// The token has blacklisted the deposit address.
    RecipientBlacklisted,
    /// The deposit address is zero, the token, or the wallet itself.
    RecipientForbidden { what: String },
    /// The wallet has too little of the token.
    TokenShort {
        /// What it has, less what other signed orders will take, in base units.
        have: Amount,
        /// What is needed: the amount and the reserve, in base units.
        need: Amount,
    },
    /// The wallet has too little of the native coin.
    NativeShort {
        /// What it has, less what other signed orders may take.
        have: Wei,
        /// What is needed: the most that the gas may cost, and the reserve.
        need: Wei,
    },
    /// `eth_call` of the transfer did not return true.
    CallFails { reason: String },
    /// The transfer would use more gas than allowed.
    GasTooHigh {
        /// What it would use.
        estimate: u64,
        most: u64,
    },
    /// The market asks for more than the ceiling allows.
    FeeCeiling {
        /// What would be needed for a unit of gas.
        needed: Wei,
        ceiling: Wei,
    },
    /// As many attempts as are allowed were made at this nonce.
    TooManyAttempts,
    /// The rules in force do not allow it: they were tightened after it was placed.
    Policy {
        /// The setting that forbids it, such as `funding.allowed_recipients`.
        rule: String,
        /// Where that is a limit: by how much it is passed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        over: Option<Box<Over>>,
    },
    /// The rules in force ask for an approval, which it does not have: they were tightened after it was placed.
    ApprovalMissing {
        /// Why it needs one.
        why: ApprovalReason,
    },
    /// No node could be asked.
    ChainUnavailable { detail: String },
    /// A node refused the bytes.
    NodeRefuses { detail: String },
    /// The wallet is paused.
    WalletPaused,
    /// The wallet is halted: a person must look and adopt it.
    WalletHalted,
    /// The signer cannot be used right now, or refuses.
    Signer { detail: String },
}

/// Why a person must approve an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum ApprovalReason {
    /// It is above the amount that needs none.
    AboveAmount {
        /// That amount, in base units of the token.
        limit: Amount,
    },
    /// A person typed the deposit address.
    TypedAddress,
    /// A person typed the amount.
    TypedAmount,
    /// Nobody knows when the payment runs out.
    ExpiryUnknown,
    /// A person typed the recipient, and the API does not confirm it.
    TypedRecipient,
    /// A person typed when the payment runs out.
    TypedExpiry,
    /// With what its placer has placed in 24 hours and nobody had to approve, it is above the amount that needs none.
    AbovePerDay {
        /// That amount, in base units of the token.
        limit: Amount,
    },
    /// Its transfer was mined and failed, for good. The same value is never signed again by itself.
    Reverted { tx_hash: B256, block: BlockRef },
}

/// By how much a limit is passed, in base units of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Over {
    /// What would count towards it.
    pub sum: Amount,
    pub limit: Amount,
}

impl Hold {
    /// Every [`Hold::name`].
    pub const NAMES: &'static [&'static str] = <Self as VariantNames>::VARIANTS;

    /// One word for tables, metrics and filters.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.into_str()
    }

    /// The same with every text in it shortened. A hold must be shortened before it is stored: others wrote the texts,
    /// and a record has a bound.
    #[must_use]
    pub fn shortened(self) -> Self {
        match self {
            Self::ApiUnavailable { detail } => Self::ApiUnavailable { detail: short(&detail) },
            Self::ApiStatus { status } => Self::ApiStatus { status: short(status.as_str()).into() },
            Self::EndUnconfirmed { status } => Self::EndUnconfirmed { status: short(status.as_str()).into() },
            Self::ApiHasHash { tx_hash } => Self::ApiHasHash { tx_hash: short(&tx_hash) },
            Self::TermsDiffer { field, ours, theirs } => {
                Self::TermsDiffer { field: short(&field), ours: short(&ours), theirs: short(&theirs) }
            }
            Self::PaymentState { state } => Self::PaymentState { state: short(&state) },
            Self::RecipientForbidden { what } => Self::RecipientForbidden { what: short(&what) },
            Self::CallFails { reason } => Self::CallFails { reason: short(&reason) },
            Self::Policy { rule, over } => Self::Policy { rule: short(&rule), over },
            Self::ChainUnavailable { detail } => Self::ChainUnavailable { detail: short(&detail) },
            Self::NodeRefuses { detail } => Self::NodeRefuses { detail: short(&detail) },
            Self::Signer { detail } => Self::Signer { detail: short(&detail) },
            other @ (Self::TimeShort { .. }
            | Self::OtherSender { .. }
            | Self::MoneyThere { .. }
            | Self::OwnTransferSeen { .. }
            | Self::PaymentEnded
            | Self::NotReadYet
            | Self::ClockBehind { .. }
            | Self::TokenPaused
            | Self::WalletBlacklisted
            | Self::RecipientBlacklisted
            | Self::TokenShort { .. }
            | Self::NativeShort { .. }
            | Self::GasTooHigh { .. }
            | Self::FeeCeiling { .. }
            | Self::TooManyAttempts
            | Self::ApprovalMissing { .. }
            | Self::WalletPaused
            | Self::WalletHalted) => other,
        }
    }

    /// Whether two holds are the same trouble, whatever their figures: then there is nothing new to tell.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiUnavailable { detail } => write!(f, "the payment API could not be asked: {detail}"),
            Self::ApiStatus { status } => write!(f, "the payment API says {status}, not AWAITING_FUNDS"),
            Self::EndUnconfirmed { status } => {
                write!(f, "the payment API says {status}, which is believed once it says so again")
            }
            Self::ApiHasHash { tx_hash } => write!(f, "the payment API has the transaction {tx_hash} for it already"),
            Self::TermsDiffer { field, ours, theirs } => {
                write!(f, "the payment API's {field} is {theirs}, the order's {ours}")
            }
            Self::PaymentState { state } => write!(f, "the payment is {state}"),
            Self::PaymentEnded => f.write_str("the payment has ended"),
            Self::TimeShort { expires_at, least_s } => {
                write!(f, "it runs out at {} s, and {least_s} s must be left", expires_at.as_secs())
            }
            Self::OtherSender { named } => write!(f, "the payment names {named} as its sender, not the wallet"),
            Self::MoneyThere { tx_hash, amount } => {
                write!(f, "{amount} are at the deposit address already, by transaction {tx_hash}")
            }
            Self::OwnTransferSeen { tx_hash } => write!(f, "our own transfer {tx_hash} is on its way already"),
            Self::NotReadYet => f.write_str("the deposit address has not been read up to the head yet"),
            Self::ClockBehind { by_s } => {
                write!(f, "the newest block is dated {by_s} s after our clock, so how much time is left is not certain")
            }
            Self::TokenPaused => f.write_str("the token is paused"),
            Self::WalletBlacklisted => f.write_str("the token has blacklisted the wallet"),
            Self::RecipientBlacklisted => f.write_str("the token has blacklisted the deposit address"),
            Self::RecipientForbidden { what } => write!(f, "the deposit address is {what}"),
            Self::TokenShort { have, need } => {
                write!(f, "the wallet has {have} of the token to give, and needs {need}")
            }
            Self::NativeShort { have, need } => {
                write!(
                    f,
                    "the wallet has {} of the native coin to give, and needs {}",
                    have.to_native(),
                    need.to_native()
                )
            }
            Self::CallFails { reason } => write!(f, "the transfer would fail: {reason}"),
            Self::GasTooHigh { estimate, most } => write!(f, "it would use {estimate} gas, and {most} are allowed"),
            Self::FeeCeiling { needed, ceiling } => {
                write!(f, "a unit of gas costs {} gwei, and {} are allowed", needed.to_gwei(), ceiling.to_gwei())
            }
            Self::TooManyAttempts => f.write_str("as many attempts as are allowed were made at this nonce"),
            Self::Policy { rule, over: None } => write!(f, "{rule} does not allow it any more"),
            Self::Policy { rule, over: Some(over) } => {
                write!(f, "{rule} allows {}, and with this order it would be {}", over.limit, over.sum)
            }
            Self::ApprovalMissing { .. } => f.write_str("the rules in force ask for an approval that it does not have"),
            Self::ChainUnavailable { detail } => write!(f, "no node could be asked: {detail}"),
            Self::NodeRefuses { detail } => write!(f, "the nodes refuse the transaction: {detail}"),
            Self::WalletPaused => f.write_str("the wallet is paused"),
            Self::WalletHalted => f.write_str("the wallet is halted"),
            Self::Signer { detail } => write!(f, "nothing can be signed: {detail}"),
        }
    }
}
