//! The workers that take due items from the store: each does one job, and is given its turns by `engine::worker`.
//!
//! Deliberately absent: calls from one to another. They meet at the store.

pub(crate) mod balances;
pub(crate) mod completer;
pub(crate) mod funder;
pub(crate) mod intake;
pub mod notifier;
pub(crate) mod opener;
pub(crate) mod reconciler;
