//! Payments: off-ramps as the API knows them, and how far rampwatch has come with each.
//!
//! The API's word is a *status*, ours is a *state*. They are kept side by side and never mixed.

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::actor::Actor;
use super::amount::Amount;
use super::api_field::{ApiField, Unread};
use super::chain::Address;
use super::decimal::Decimal;
use super::deposit::DepositKey;
use super::odd::explained;
use super::text::short;
use super::time::Timestamp;

/// The longest id taken, in bytes. The API's reference has UUIDs (36); the bound keeps records small.
pub const MAX_ID_BYTES: usize = 128;

/// The id of no payment: an API that does not know it has taken the key.
pub const NO_PAYMENT: &str = "00000000-0000-0000-0000-000000000000";

macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Takes an id as it came.
            ///
            /// # Errors
            /// Empty, longer than [`MAX_ID_BYTES`], or with anything but letters, digits, `-`, `_` and `.` in it
            /// (it becomes part of a URL's path, so `.` and `..` are refused too).
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
                let dots_only = text.bytes().all(|byte| byte == b'.');
                if dots_only || text.len() > MAX_ID_BYTES || !text.bytes().all(plain) {
                    return Err(IdError { what: stringify!($name), text: text.chars().take(160).collect() });
                }
                Ok(Self(text))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// Why a text is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", explained(format_args!("{:?} is no {}: an id has 1 to 128 letters, digits, '-', '_' or '.'", .text, .what), .text))]
pub struct IdError {
    what: &'static str,
    text: String,
}

opaque_id! {
    /// The API's id of a payment. A UUID in the API's reference, opaque here.
    PaymentId
}
opaque_id! {
    /// The API's id of a recipient.
    RecipientId
}
opaque_id! {
    /// The API's id of a bank account.
    BankAccountId
}
opaque_id! {
    /// The API's id of a user, who has recipients.
    UserId
}
opaque_id! {
    /// The API's id of a quote.
    QuoteId
}
opaque_id! {
    /// The API's id of a webhook.
    WebhookId
}
opaque_id! {
    /// What the payer calls a payout: their own name for it, which no other payout has.
    PayoutReference
}

/// One off-ramp payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    pub id: PaymentId,
    /// The version the store holds (0: not stored yet).
    pub version: u64,
    /// Whose payment it is; part of the `/complete` path.
    pub recipient_id: RecipientId,
    /// What is to be paid, where and until when.
    pub terms: Terms,
    /// How far rampwatch is.
    pub state: PaymentState,
    /// What the API said last, if it was ever asked.
    pub api: Option<ApiView>,
    /// When the completer or the reconciler has to look at it again; `None` when nobody has to.
    pub next_at: Option<Timestamp>,
    /// How often it was asked after without news; the questions grow rarer with it.
    pub quiet_checks: u32,
    /// When it was added (our clock).
    pub added_at: Timestamp,
    /// The end that the API names and that no second look has confirmed yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// Whether the API has taken a completion with the payment's deposit; `None` in records from before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<bool>,
    /// The fields that a person has vouched for, as the API's own cannot be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vouched: Vec<ApiField>,
}

/// An end that the API names. It is believed when a second answer, some minutes later, says the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    pub outcome: Outcome,
    /// Since when the API has named it without a break (our clock).
    pub since: Timestamp,
}

/// What is to be paid. Fixed once the payment is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The chain that the money comes in on.
    pub chain_id: u64,
    /// The token that is asked for.
    pub token: Address,
    /// The address that the money goes to.
    pub deposit_address: Address,
    /// Where the address is known from.
    pub address_from: Provenance,
    /// How much, in base units of `token`.
    pub amount: Amount,
    /// Where the amount is known from.
    pub amount_from: Provenance,
    /// The sender named at creation, if any. It only ever settles between several payments that fit.
    pub sender: Option<Address>,
    /// When the API created the payment.
    pub created_at: Timestamp,
    /// When the payment runs out, if the API says.
    pub expires_at: Option<Timestamp>,
    /// The bank account that it goes to, if the API says. Only the API's own word counts: limits go by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank_account: Option<BankAccountId>,
    /// Where the recipient is known from; `None` in records from before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient_from: Option<Provenance>,
    /// Where the expiry is known from, if there is one; `None` in records from before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry_from: Option<Provenance>,
    /// Where the sender is known from, if one is; `None` in records from before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_from: Option<Provenance>,
    /// Who typed what was typed; `None` where nothing was, and in records from before names were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typed_by: Option<Actor>,
}

impl Terms {
    /// Whether the recipient is a person's word alone. In records from before it was kept it counts as the API's.
    #[must_use]
    pub fn is_recipient_typed(&self) -> bool {
        self.recipient_from == Some(Provenance::Typed)
    }

    /// Whether a person typed any of them.
    #[must_use]
    pub fn any_typed(&self) -> bool {
        let kept = [self.recipient_from, self.expiry_from, self.sender_from];
        let all = [Some(self.address_from), Some(self.amount_from)].into_iter().chain(kept);
        all.flatten().any(|from| from == Provenance::Typed)
    }
}

/// Where a figure came from (decision 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// From the answer to our own create call, or from what the API says of the payment that bears our own key.
    Created,
    /// From the API's answer to a GET.
    Api,
    /// Typed by a person.
    Typed,
}

/// How far rampwatch is with a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[strum(const_into_str, serialize_all = "snake_case")]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum PaymentState {
    /// No deposit pays it yet.
    Waiting,
    /// A deposit pays it, in a block that is not final yet.
    Seen { deposit: DepositKey },
    /// The deposit is final. The completion is to be called at `next_at`.
    Due {
        deposit: DepositKey,
        /// How many calls were made before.
        attempt: u32,
    },
    /// `/complete` is being called, or was when the process died. Looked into at `next_at`.
    Calling {
        deposit: DepositKey,
        /// Which call it is, from 1.
        attempt: u32,
        /// When it was decided.
        started_at: Timestamp,
    },
    /// The call's answer did not say whether it worked. The API is asked at `next_at`.
    Unclear {
        deposit: DepositKey,
        /// How many calls were made.
        attempt: u32,
        /// What the API said, if it refused: then the payment is not called again by itself.
        refusal: Option<Refusal>,
    },
    /// The API has taken the payment up; it is asked at `next_at` until its status is final.
    Following {
        /// The deposit we completed it with; `None` when somebody else moved it on.
        deposit: Option<DepositKey>,
    },
    /// Over.
    Ended {
        outcome: Outcome,
        /// When we learnt of it (our clock).
        at: Timestamp,
    },
    /// A person must decide.
    Review {
        why: PaymentReview,
        /// The deposit it is about, if any.
        deposit: Option<DepositKey>,
    },
}

impl PaymentState {
    /// The deposit that the state speaks of, if any.
    #[must_use]
    pub const fn deposit(&self) -> Option<&DepositKey> {
        match self {
            Self::Waiting | Self::Ended { .. } => None,
            Self::Seen { deposit }
            | Self::Due { deposit, .. }
            | Self::Calling { deposit, .. }
            | Self::Unclear { deposit, .. } => Some(deposit),
            Self::Following { deposit } | Self::Review { deposit, .. } => deposit.as_ref(),
        }
    }

    #[must_use]
    pub const fn is_ended(&self) -> bool {
        matches!(self, Self::Ended { .. })
    }

    /// One word for tables, metrics and filters.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.into_str()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The API says COMPLETED.
    Completed,
    /// The API says FAILED.
    Failed,
    /// The API says EXPIRED.
    Expired,
    /// The API says REFUNDED.
    Refunded,
    /// A person stopped our completion. The API has no cancel: over there it goes its own way.
    Cancelled,
}

/// Why a person must look at a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[strum(const_into_str, serialize_all = "snake_case")]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum PaymentReview {
    /// The API has another transaction hash than the one that pays it.
    OtherHash {
        /// The API's hash, as it came.
        theirs: String,
    },
    /// The API refused the completion, and the payment still waits for funds there.
    Refused { refusal: Refusal },
    /// The API took the completion, and says again and again that the payment waits for funds.
    StillAwaiting,
    /// The API ended the payment although a deposit for it is there.
    EndedWithMoney { status: ApiStatus },
    /// The API's address or amount is not the one that was matched against.
    TermsDiffer { field: String, ours: String, theirs: String },
    /// The deposit was final, and its block went away all the same.
    GoneAfterFinal,
    /// The API does not know the payment.
    NotFound,
    /// The API says something of a field that decides which cannot be read, so that it may be other than what was matched.
    Unreadable {
        field: ApiField,
        /// What it says, as it came.
        said: String,
    },
}

impl PaymentReview {
    /// One word for tables and filters, as in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.into_str()
    }
}

/// What the API said when it refused a completion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub status: u16,
    /// The API's message, shortened.
    pub message: String,
}

/// What the API said of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiView {
    pub status: ApiStatus,
    /// Its transaction hash, as it came; `None` when it has none.
    pub tx_hash: Option<String>,
    /// When it said so (our clock).
    pub as_of: Timestamp,
    /// What the payment costs, as the API says; in no currency that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<Decimal>,
    /// The fields that were there and could not be read, without those that are only shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<Unread>,
}

/// The API's own status of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum ApiStatus {
    /// Waiting for crypto.
    AwaitingFunds,
    /// Transaction received, being verified.
    Pending,
    /// Being processed.
    Processing,
    /// Funds released towards the bank.
    Sent,
    /// Done. Final.
    Completed,
    /// Failed. Final.
    Failed,
    /// Ran out. Final.
    Expired,
    /// Paid back. Final.
    Refunded,
    /// One this program has never heard of, as it came.
    Other(String),
}

impl ApiStatus {
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::AwaitingFunds => "AWAITING_FUNDS",
            Self::Pending => "PENDING",
            Self::Processing => "PROCESSING",
            Self::Sent => "SENT",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Expired => "EXPIRED",
            Self::Refunded => "REFUNDED",
            Self::Other(word) => word,
        }
    }

    /// How the payment ended, if the status is final.
    #[must_use]
    pub const fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Completed => Some(Outcome::Completed),
            Self::Failed => Some(Outcome::Failed),
            Self::Expired => Some(Outcome::Expired),
            Self::Refunded => Some(Outcome::Refunded),
            Self::AwaitingFunds | Self::Pending | Self::Processing | Self::Sent | Self::Other(_) => None,
        }
    }
}

impl From<String> for ApiStatus {
    fn from(word: String) -> Self {
        match word.as_str() {
            "AWAITING_FUNDS" => Self::AwaitingFunds,
            "PENDING" => Self::Pending,
            "PROCESSING" => Self::Processing,
            "SENT" => Self::Sent,
            "COMPLETED" => Self::Completed,
            "FAILED" => Self::Failed,
            "EXPIRED" => Self::Expired,
            "REFUNDED" => Self::Refunded,
            // It is shown to people who decide.
            _ => Self::Other(short(&word)),
        }
    }
}

impl From<ApiStatus> for String {
    fn from(status: ApiStatus) -> Self {
        status.as_str().to_owned()
    }
}

impl fmt::Display for ApiStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
