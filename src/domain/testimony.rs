//! Testimony: what one operator's node says of one transaction, and of what is final there.
//!
//! Deliberately absent: judging it (`policy::evidence`).

use serde::{Deserialize, Serialize};

use super::chain::Header;
use super::operator::Operator;
use super::wallet::Receipt;

/// What one node says of a transaction, all in one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub head: Header,
    /// The header under the node's `finalized` tag, if that was asked for and it has one.
    pub finalized: Option<Header>,
    /// The transaction's receipt; `None` when the node has none.
    pub receipt: Option<Receipt>,
}

/// A statement, or the lack of one, and who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Testimony {
    /// Who runs the endpoint.
    pub operator: Operator,
    /// The endpoint's configured name.
    pub endpoint: String,
    /// What it says, or why it says nothing, in words without secrets.
    pub statement: Result<Statement, String>,
}

/// What an operator says where operators contradict each other, kept as evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Who runs the endpoint.
    pub operator: Operator,
    /// The endpoint's configured name.
    pub endpoint: String,
    /// What it says, in words with all figures.
    pub words: String,
}
