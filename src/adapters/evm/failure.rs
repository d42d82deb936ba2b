//! One failed question, with its class and words that can be shown to anybody.

use std::time::Duration;

use alloy::primitives::Bytes;

use super::classify::Class;

/// How far a question came before it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// It certainly was not sent: there was no connection.
    Unsent,
    /// Nobody knows whether it came to a node.
    Unknown,
    /// It was answered, with a JSON-RPC error.
    Answered,
}

/// Why an endpoint gave no good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) class: Class,
    /// In words, without secrets.
    pub(super) text: String,
    /// The provider's own words, without codes added, where it said something. Limits are read from them.
    pub(super) words: String,
    /// When the server wants to be asked again, if it said so.
    pub(super) retry_after: Option<Duration>,
    /// The wrong chain that the node says it is on.
    pub(super) chain: Option<u64>,
    /// How far the question came.
    pub(super) reach: Reach,
    /// What the contract returned with a revert, if it came with the error; not more than is worth decoding.
    pub(super) returned: Option<Bytes>,
}

impl Failure {
    /// A failure of this class; `text` must be free of secrets.
    pub(super) fn new(class: Class, text: impl Into<String>) -> Self {
        Self {
            class,
            text: text.into(),
            words: String::new(),
            retry_after: None,
            chain: None,
            reach: Reach::Unknown,
            returned: None,
        }
    }

    /// An answer that can't be understood.
    pub(super) fn garbage(text: impl Into<String>) -> Self {
        Self::new(Class::Garbage, text)
    }

    /// An answer to one question that is not what was asked for.
    pub(super) fn unreadable(text: impl Into<String>) -> Self {
        Self { reach: Reach::Answered, ..Self::garbage(text) }
    }

    /// The same, where the question certainly was not sent.
    pub(super) fn unsent(self) -> Self {
        Self { reach: Reach::Unsent, ..self }
    }

    /// Whether a node took up the question.
    pub(super) fn was_answered(&self) -> bool {
        let turned_away = matches!(self.class, Class::RateLimit | Class::Quota | Class::Denied | Class::RetryOrSplit);
        self.reach == Reach::Answered && !turned_away
    }

    /// Whether something was there that took the connection and the key.
    pub(super) fn is_reached(&self) -> bool {
        self.reach != Reach::Unsent && !matches!(self.class, Class::Timeout | Class::Denied | Class::Quota)
    }

    /// Whether this is a node's answer to the question, rather than a sign that the endpoint is not well.
    pub(super) fn is_an_answer(&self) -> bool {
        let is_sound = !matches!(self.class, Class::Timeout | Class::Server | Class::Garbage | Class::Impossible);
        self.was_answered() && is_sound
    }

    /// Whether a node answered, and what is wrong is about this question alone: the endpoint may do all others well.
    pub(super) fn is_about_the_question(&self) -> bool {
        let is_of_all =
            matches!(self.class, Class::RateLimit | Class::Quota | Class::Contradiction | Class::Implausible);
        self.reach == Reach::Answered && !is_of_all
    }
}
