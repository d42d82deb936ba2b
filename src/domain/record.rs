//! Further records: what is kept besides payments, deposits, orders and coverage. To the store they are all alike: a
//! body, a version, and perhaps a moment at which somebody must look at it again.

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use super::address_pattern::AddressTally;
use super::candidate::Candidate;
use super::dispute::{Dispute, Exclusion};
use super::notice::{Condition, Notice, NoticeCursor};
use super::payment::PaymentId;
use super::payout::Payout;
use super::shadow::Shadow;
use super::time::Timestamp;
use super::webhook::{Webhook, WebhookAttempt};

/// One further record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The version the store holds (0: not stored yet).
    pub version: u64,
    /// When somebody has to look at it again; `None` when nobody has to.
    pub next_at: Option<Timestamp>,
    pub body: RecordBody,
}

/// What a further record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RecordBody {
    /// A webhook that was registered at the payment API.
    Webhook(Webhook),
    /// An off-ramp that is to be opened.
    Payout(Box<Payout>),
    /// An off-ramp that was found at the payment API and waits for a person.
    #[serde(rename = "lead")]
    Candidate(Candidate),
    /// Something that would have been done, had it not been for shadow mode.
    Shadow(Shadow),
    /// That a webhook is, or was, to be registered.
    WebhookAttempt(WebhookAttempt),
    /// What people are told, and how far that is.
    Notice(Box<Notice>),
    /// How far the events were read for the endpoint of the notices.
    NoticeCursor(NoticeCursor),
    /// A condition that is told once for each time that it begins.
    Condition(Condition),
    /// Operators contradict each other, or too few say anything.
    Dispute(Box<Dispute>),
    /// A person has excluded an endpoint.
    Exclusion(Exclusion),
    /// What a recipient's deposit addresses were like so far.
    Addresses(AddressTally),
}

/// The kinds of the further records.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, IntoStaticStr, VariantArray,
)]
#[strum(const_into_str, serialize_all = "kebab-case")]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// [`RecordBody::Webhook`].
    Webhook,
    /// [`RecordBody::Payout`].
    Payout,
    /// [`RecordBody::Candidate`].
    #[serde(rename = "lead")]
    #[strum(serialize = "lead")]
    Candidate,
    /// [`RecordBody::Shadow`].
    Shadow,
    /// [`RecordBody::WebhookAttempt`].
    WebhookAttempt,
    /// [`RecordBody::Notice`].
    Notice,
    /// [`RecordBody::NoticeCursor`].
    NoticeCursor,
    /// [`RecordBody::Condition`].
    Condition,
    /// [`RecordBody::Dispute`].
    Dispute,
    /// [`RecordBody::Exclusion`].
    Exclusion,
    /// [`RecordBody::Addresses`].
    Addresses,
}

impl RecordKind {
    pub const ALL: &'static [Self] = <Self as VariantArray>::VARIANTS;

    /// One word for keys and messages. It never changes: stored keys begin with it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.into_str()
    }
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What identifies a further record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordKey {
    pub kind: RecordKind,
    /// Its id, which no other record of the kind has.
    pub id: String,
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

impl RecordBody {
    #[must_use]
    pub const fn kind(&self) -> RecordKind {
        match self {
            Self::Webhook(_) => RecordKind::Webhook,
            Self::Payout(_) => RecordKind::Payout,
            Self::Candidate(_) => RecordKind::Candidate,
            Self::Shadow(_) => RecordKind::Shadow,
            Self::WebhookAttempt(_) => RecordKind::WebhookAttempt,
            Self::Notice(_) => RecordKind::Notice,
            Self::NoticeCursor(_) => RecordKind::NoticeCursor,
            Self::Condition(_) => RecordKind::Condition,
            Self::Dispute(_) => RecordKind::Dispute,
            Self::Exclusion(_) => RecordKind::Exclusion,
            Self::Addresses(_) => RecordKind::Addresses,
        }
    }

    /// What identifies it. Ids are opaque ids of the domain: they hold no zero byte.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        let id = match self {
            Self::Webhook(webhook) => webhook.id.to_string(),
            Self::WebhookAttempt(attempt) => attempt.url.clone(),
            Self::Candidate(candidate) => candidate.payment.to_string(),
            Self::Payout(payout) => payout.reference.to_string(),
            Self::Notice(notice) => notice.id.clone(),
            Self::NoticeCursor(cursor) => cursor.endpoint.clone(),
            Self::Condition(condition) => condition.what.name().to_owned(),
            Self::Shadow(shadow) => shadow.id(),
            Self::Dispute(dispute) => dispute.matter.id(),
            Self::Exclusion(exclusion) => exclusion.endpoint.clone(),
            Self::Addresses(tally) => tally.recipient.to_string(),
        };
        RecordKey { kind: self.kind(), id }
    }

    /// The other name under which the store finds it from now on for ever, such as the payment that came of it. At most one
    /// record of a kind may bear it.
    #[must_use]
    pub fn alias(&self) -> Option<&str> {
        match self {
            Self::Webhook(_)
            | Self::Candidate(_)
            | Self::WebhookAttempt(_)
            | Self::Notice(_)
            | Self::NoticeCursor(_)
            | Self::Condition(_)
            | Self::Dispute(_)
            | Self::Exclusion(_)
            | Self::Addresses(_)
            | Self::Shadow(_) => None,
            Self::Payout(payout) => payout.payment.as_ref().map(PaymentId::as_str),
        }
    }
}

impl Record {
    /// One that is not stored yet.
    #[must_use]
    pub const fn new(body: RecordBody, next_at: Option<Timestamp>) -> Self {
        Self { version: 0, next_at, body }
    }
}
