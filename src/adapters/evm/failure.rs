//! One failed question, with its class and words that can be shown to anybody.

use std::time::Duration;

use super::classify::Class;

/// Why an endpoint gave no good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// What it is about.
    pub(super) class: Class,
    /// In words, without secrets.
    pub(super) text: String,
    /// The provider's own words, without codes added, where it said something. Limits are read from them.
    pub(super) words: String,
    /// When the server wants to be asked again, if it said so.
    pub(super) retry_after: Option<Duration>,
    /// The wrong chain that the node says it is on.
    pub(super) chain: Option<u64>,
}

impl Failure {
    /// A failure of this class; `text` must be free of secrets.
    pub(super) fn new(class: Class, text: impl Into<String>) -> Self {
        Self { class, text: text.into(), words: String::new(), retry_after: None, chain: None }
    }

    /// An answer that can't be understood.
    pub(super) fn garbage(text: impl Into<String>) -> Self {
        Self::new(Class::Garbage, text)
    }
}
