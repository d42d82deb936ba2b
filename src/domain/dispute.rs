//! Disputes: where operators contradict each other, or too few of them say anything, about a fact that frees something.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::actor::Actor;
use super::chain::{B256, BlockRef};
use super::operator::Operator;
use super::order::OrderId;
use super::payment::PaymentId;
use super::testimony::Said;
use super::time::Timestamp;

/// The most statements that are kept with a dispute: the record has a bound.
pub const MAX_SAID: usize = 8;

/// What operators have to agree about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "about", content = "id", rename_all = "snake_case")]
pub enum Matter {
    /// The completion of a payment.
    Payment(PaymentId),
    /// The end of an order.
    Order(OrderId),
}

impl Matter {
    /// The payment it concerns.
    #[must_use]
    pub const fn payment(&self) -> &PaymentId {
        match self {
            Self::Payment(id) => id,
            Self::Order(id) => &id.payment,
        }
    }

    /// Its id in commands: the payment's, or the order's, which has a colon.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Payment(id) => id.to_string(),
            Self::Order(id) => id.to_string(),
        }
    }
}

impl fmt::Display for Matter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Payment(id) => write!(f, "payment {id}"),
            Self::Order(id) => write!(f, "order {id}"),
        }
    }
}

/// What keeps operators from agreeing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeKind {
    /// They say different things, or the wallet's own records say otherwise.
    Contradiction,
    /// Too few say anything.
    Silence,
}

/// A dispute, with what everybody says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    pub matter: Matter,
    pub tx_hash: B256,
    /// The block that is said to hold it.
    pub block: BlockRef,
    /// What keeps operators from agreeing.
    pub kind_of: DisputeKind,
    /// Since when (our clock).
    pub since: Timestamp,
    /// What was said, ours first; at most [`MAX_SAID`].
    pub said: Vec<Said>,
    /// When the payment runs out, where that is known.
    pub deadline: Option<Timestamp>,
    /// Whom a person has decided to believe in this matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted: Option<Trust>,
    /// How it ended; `None` while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<DisputeEnd>,
}

/// A person's decision to believe one operator in one matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    pub operator: Operator,
    pub by: Option<Actor>,
    pub reason: String,
    /// When (our clock).
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeEnd {
    /// When (our clock).
    pub at: Timestamp,
    /// How, in words.
    pub how: String,
}

/// That a person has excluded an endpoint, or includes it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exclusion {
    /// The endpoint's configured name.
    pub endpoint: String,
    /// Whether it is excluded now.
    pub excluded: bool,
    pub by: Option<Actor>,
    pub reason: String,
    /// When (our clock).
    pub at: Timestamp,
}
