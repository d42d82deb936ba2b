//! What the simulation needs of the tests' common things.

#![allow(dead_code, reason = "the other tests use the rest of these files")]

#[cfg(test)]
#[path = "../it/support/memory_store.rs"]
pub(crate) mod memory_store;
#[cfg(test)]
#[path = "../it/support/payouts.rs"]
pub(crate) mod payouts;
#[cfg(test)]
#[path = "../it/support/points.rs"]
pub(crate) mod points;
#[cfg(test)]
#[path = "../it/support/records.rs"]
pub(crate) mod records;

/// An approval that says nothing again of what was shown.
#[cfg(test)]
pub(crate) fn because(reason: &str) -> rampwatch::service::orders::ApproveRequest {
    rampwatch::service::orders::ApproveRequest { reason: reason.to_owned(), ..Default::default() }
}
