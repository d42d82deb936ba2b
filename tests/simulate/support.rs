//! What the simulation needs of the tests' common things.

#![allow(dead_code, reason = "the other tests use the rest of these files")]

#[cfg(test)]
#[path = "../it/support/approving.rs"]
pub(crate) mod approving;
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
