//! The notifier: one endpoint that people are told at.
//!
//! Deliberately absent: retries. An implementation makes one request a call; when it is repeated is the engine's business.

use async_trait::async_trait;
use thiserror::Error;

use crate::domain::notice::{Message, NoticeKind};
use crate::domain::time::{Span, Timestamp};

/// One endpoint.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Its name: letters, digits, `-` and `_`.
    fn name(&self) -> &str;

    /// Whether it takes messages of this kind.
    fn takes(&self, kind: NoticeKind) -> bool;

    /// Delivers a message, once. `id` is the same for every repetition, and holds no `.`; `now` is the moment of this
    /// delivery.
    async fn deliver(&self, id: &str, message: &Message, now: Timestamp) -> Result<(), NotifyError>;
}

/// Why a delivery did not succeed. Texts name neither the URL nor a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotifyError {
    /// Try again later, and not before `retry_after`. It may have been delivered all the same.
    #[error("{detail}")]
    Later {
        /// What happened.
        detail: String,
        /// How long the endpoint asks to be left alone.
        retry_after: Option<Span>,
    },
    /// The endpoint wants nothing any more: stop.
    #[error("the endpoint is gone (HTTP 410)")]
    Gone,
}
