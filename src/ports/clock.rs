//! Time and chance, so that a test can own both.

use async_trait::async_trait;

use crate::domain::time::{Span, Timestamp};

/// Reads the clock and waits.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The moment it is.
    fn now(&self) -> Timestamp;

    /// Returns when `span` has passed.
    async fn sleep(&self, span: Span);
}

/// The source of jitter. Nothing that matters may depend on it.
pub trait Chance: Send + Sync {
    /// A number from 0 up to, but not including, `bound`; 0 when `bound` is 0.
    fn below(&self, bound: u64) -> u64;
}
