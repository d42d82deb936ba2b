//! The desk's records: what is kept besides payments, deposits, orders and coverage. To the store they are all alike: a
//! body, a version, and perhaps a moment at which somebody must look at it again.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::address_pattern::AddressTally;
use super::dispute::{Dispute, Exclusion};
use super::lead::Lead;
use super::notice::{Condition, Notice, NoticeCursor};
use super::payment::PaymentId;
use super::payout::Payout;
use super::shadow::Shadow;
use super::time::Timestamp;
use super::webhook::{Webhook, WebhookAttempt};

/// One record of the desk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeskRecord {
    /// The version the store holds (0: not stored yet).
    pub version: u64,
    /// When somebody has to look at it again; `None` when nobody has to.
    pub next_at: Option<Timestamp>,
    /// What it says.
    pub body: DeskBody,
}

/// What a record of the desk says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DeskBody {
    /// A webhook that was registered at the payment API.
    Webhook(Webhook),
    /// An off-ramp that is to be opened.
    Payout(Box<Payout>),
    /// An off-ramp that was found at the payment API and waits for a person.
    Lead(Lead),
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

/// The kinds of the desk's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeskKind {
    /// [`DeskBody::Webhook`].
    Webhook,
    /// [`DeskBody::Payout`].
    Payout,
    /// [`DeskBody::Lead`].
    Lead,
    /// [`DeskBody::Shadow`].
    Shadow,
    /// [`DeskBody::WebhookAttempt`].
    WebhookAttempt,
    /// [`DeskBody::Notice`].
    Notice,
    /// [`DeskBody::NoticeCursor`].
    NoticeCursor,
    /// [`DeskBody::Condition`].
    Condition,
    /// [`DeskBody::Dispute`].
    Dispute,
    /// [`DeskBody::Exclusion`].
    Exclusion,
    /// [`DeskBody::Addresses`].
    Addresses,
}

impl DeskKind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Webhook,
        Self::Payout,
        Self::Lead,
        Self::Shadow,
        Self::WebhookAttempt,
        Self::Notice,
        Self::NoticeCursor,
        Self::Condition,
        Self::Dispute,
        Self::Exclusion,
        Self::Addresses,
    ];

    /// One word for keys and messages. It never changes: stored keys begin with it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Payout => "payout",
            Self::Lead => "lead",
            Self::Shadow => "shadow",
            Self::WebhookAttempt => "webhook-attempt",
            Self::Notice => "notice",
            Self::NoticeCursor => "notice-cursor",
            Self::Condition => "condition",
            Self::Dispute => "dispute",
            Self::Exclusion => "exclusion",
            Self::Addresses => "addresses",
        }
    }
}

impl fmt::Display for DeskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What identifies a record of the desk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeskKey {
    /// Its kind.
    pub kind: DeskKind,
    /// Its id, which no other record of the kind has.
    pub id: String,
}

impl fmt::Display for DeskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

impl DeskBody {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> DeskKind {
        match self {
            Self::Webhook(_) => DeskKind::Webhook,
            Self::Payout(_) => DeskKind::Payout,
            Self::Lead(_) => DeskKind::Lead,
            Self::Shadow(_) => DeskKind::Shadow,
            Self::WebhookAttempt(_) => DeskKind::WebhookAttempt,
            Self::Notice(_) => DeskKind::Notice,
            Self::NoticeCursor(_) => DeskKind::NoticeCursor,
            Self::Condition(_) => DeskKind::Condition,
            Self::Dispute(_) => DeskKind::Dispute,
            Self::Exclusion(_) => DeskKind::Exclusion,
            Self::Addresses(_) => DeskKind::Addresses,
        }
    }

    /// What identifies it. Ids are opaque ids of the domain: they hold no zero byte.
    #[must_use]
    pub fn key(&self) -> DeskKey {
        let id = match self {
            Self::Webhook(webhook) => webhook.id.to_string(),
            Self::WebhookAttempt(attempt) => attempt.url.clone(),
            Self::Lead(lead) => lead.payment.to_string(),
            Self::Payout(payout) => payout.reference.to_string(),
            Self::Notice(notice) => notice.id.clone(),
            Self::NoticeCursor(cursor) => cursor.endpoint.clone(),
            Self::Condition(condition) => condition.what.name().to_owned(),
            Self::Shadow(shadow) => shadow.id(),
            Self::Dispute(dispute) => dispute.matter.id(),
            Self::Exclusion(exclusion) => exclusion.endpoint.clone(),
            Self::Addresses(tally) => tally.recipient.to_string(),
        };
        DeskKey { kind: self.kind(), id }
    }

    /// The other name under which the store finds it from now on for ever, such as the payment that came of it. At most one
    /// record of a kind may bear it.
    #[must_use]
    pub fn alias(&self) -> Option<&str> {
        match self {
            Self::Webhook(_)
            | Self::Lead(_)
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

impl DeskRecord {
    /// One that is not stored yet.
    #[must_use]
    pub const fn new(body: DeskBody, next_at: Option<Timestamp>) -> Self {
        Self { version: 0, next_at, body }
    }
}
