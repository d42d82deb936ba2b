//! Notices: what people are told, to which endpoint, and how far the telling is.
//!
//! A notice comes of one event, and its id is made of the event's number, the event's moment and the endpoint's name: the
//! same event can never become two notices for one endpoint, and the receiver knows a repeated delivery by the id.
//! Deliberately absent: where an endpoint is and its secret, which are configuration.

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray, VariantNames};

use super::order::OrderId;
use super::payment::PaymentId;
use super::text::{is_hidden, short};
use super::time::Timestamp;

/// What a notice is about; an endpoint takes some kinds, or all.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    IntoStaticStr,
    VariantArray,
    VariantNames,
)]
#[strum(const_into_str, serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// A payment or a deposit needs a person's decision.
    Review,
    /// An order needs a person's approval.
    Approval,
    /// Something has stood in an order's way for long.
    Hold,
    /// Something does not go on: finality, the chain, the API key, the wallet, a transfer.
    Stall,
    /// The wallet has less than the configured mark.
    Balance,
    /// Something went wrong for good, or should not have happened.
    Failure,
    /// A payment is completed.
    Completed,
}

impl NoticeKind {
    pub const ALL: &'static [Self] = <Self as VariantArray>::VARIANTS;

    /// Every [`NoticeKind::name`].
    pub const NAMES: &'static [&'static str] = <Self as VariantNames>::VARIANTS;

    /// One word for configuration, metrics and the type of a delivery.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.into_str()
    }

    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What people are told. Its texts are bounded, so that a record of it stays small.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub kind: NoticeKind,
    /// When it happened (our clock).
    pub at: Timestamp,
    /// What, in a line.
    pub title: String,
    /// What is the case and why, in sentences; one line each.
    pub text: Vec<String>,
    /// What can be done, each with the command where there is one.
    pub remedies: Vec<String>,
    /// The payment it is about, if any.
    pub payment: Option<PaymentId>,
    /// The order it is about, if any.
    pub order: Option<OrderId>,
}

/// The most sentences, and the most ways out, that a message has.
const MAX_LINES: usize = 6;

impl Message {
    /// The same with every text shortened, as a message must be before it is stored.
    #[must_use]
    pub fn shortened(self) -> Self {
        let lines = |texts: Vec<String>| texts.iter().take(MAX_LINES).map(|text| long(text)).collect();
        Self { title: short(&self.title), text: lines(self.text), remedies: lines(self.remedies), ..self }
    }
}

/// A sentence may be twice as long as a text of others.
fn long(text: &str) -> String {
    let plain: String = text.chars().map(|letter| if is_hidden(letter) { ' ' } else { letter }).collect();
    if plain.len() <= MAX_SENTENCE_BYTES {
        return plain;
    }
    let mut left = MAX_SENTENCE_BYTES;
    let fits = |letter: &char| left.checked_sub(letter.len_utf8()).map(|rest| left = rest).is_some();
    let cut: String = plain.chars().take_while(fits).collect();
    format!("{cut}…")
}

/// The most bytes of a sentence of a message.
const MAX_SENTENCE_BYTES: usize = 700;

/// What identifies a notice: the number of the event it comes of, the event's moment, and the endpoint. The moment tells
/// stores apart that number their events alike.
#[must_use]
pub fn notice_id(event: u64, at: Timestamp, endpoint: &str) -> String {
    format!("rw-{event:012}-{}-{endpoint}", at.as_millis())
}

/// One message to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Its id, from [`notice_id`]. A delivery bears it, however often it is repeated.
    pub id: String,
    pub endpoint: String,
    /// The number of the event that it comes of.
    pub event: u64,
    /// What is told.
    pub message: Message,
    /// How far it is.
    pub state: NoticeState,
}

/// How far a notice is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[strum(const_into_str, serialize_all = "kebab-case")]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum NoticeState {
    /// It is told only if the order is still held when the record's `next_at` has come.
    Withheld,
    /// To be delivered when the record's `next_at` has come.
    Pending {
        /// How many deliveries were begun. An answer that was lost is repeated under the same id.
        attempts: u32,
        /// Why the last one did not succeed, if one has come to its end.
        trouble: Option<String>,
    },
    /// The endpoint has it.
    Delivered {
        /// When it said so (our clock).
        at: Timestamp,
        /// How many deliveries were begun.
        attempts: u32,
    },
    /// It was tried as often as is tried.
    GivenUp {
        /// When (our clock).
        at: Timestamp,
        /// How many deliveries were begun.
        attempts: u32,
        /// Why the last one did not succeed.
        why: String,
    },
    /// What was to be told was over before it had lasted.
    Dropped {
        /// When that was seen (our clock).
        at: Timestamp,
    },
}

impl NoticeState {
    /// One word for tables, metrics and filters.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.into_str()
    }

    /// Whether something is still to be done about it.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Withheld | Self::Pending { .. })
    }
}

/// How far the events were read for one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeCursor {
    pub endpoint: String,
    /// The number of the last event that was read; `None` until the first start has found the newest one, from which it
    /// begins: the past is not told.
    pub through: Option<u64>,
}

/// A condition that has no event of its own. It is told once for each time that it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    pub what: ConditionName,
    /// Since when it holds (our clock); `None` while it does not.
    pub since: Option<Timestamp>,
}

/// The conditions that have no events of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[strum(const_into_str, serialize_all = "kebab-case")]
#[serde(rename_all = "snake_case")]
pub enum ConditionName {
    /// The wallet has less of the token than the configured mark.
    LowToken,
    /// The wallet has less of the native coin than the configured mark.
    LowNative,
    /// The chain could not be read for long.
    ChainUnread,
    /// The payment API has not said for long what it is asked for.
    ApiUnanswered,
}

impl ConditionName {
    /// One word for keys and messages. It never changes: stored keys end with it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.into_str()
    }
}
