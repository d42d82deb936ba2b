//! What the simulation needs of the tests' common things.

#![allow(dead_code, reason = "the other tests use the rest of these files")]

#[cfg(test)]
use rampwatch::service::operator_service::{OperatorError, OperatorService};
#[cfg(test)]
use rampwatch::service::orders::ApproveRequest;
#[cfg(test)]
use rampwatch::view::order::OrderView;

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

/// Approves an order as it is shown.
#[cfg(test)]
pub(crate) async fn approve(handle: &OperatorService, order: &str, reason: &str) -> Result<OrderView, OperatorError> {
    let shown = handle.show_order(order).await?;
    handle.approve(order, &ApproveRequest::of(&shown, reason)).await
}
