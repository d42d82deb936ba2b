//! A person's yes.

use rampwatch::service::operator_service::{OperatorError, OperatorService};
use rampwatch::service::orders::ApproveRequest;
use rampwatch::view::order::OrderView;

/// Approves an order as it is shown.
pub(crate) async fn approve(handle: &OperatorService, order: &str, reason: &str) -> Result<OrderView, OperatorError> {
    let shown = handle.show_order(order).await?;
    handle.approve(order, &ApproveRequest::of(&shown, reason)).await
}
