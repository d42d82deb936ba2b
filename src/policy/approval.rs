//! Who may approve an order: four eyes.
//!
//! Whoever placed an order does not approve it. A person with a token of their own never does, whatever else is
//! configured. The machine's own token (`local`) is that of a single operator until somebody else can approve: from
//! then on it approves nothing either that it has placed. What the automatic mode places, nobody has placed, so that
//! anybody with the role approves it.
//!
//! Deliberately absent: roles (the driving adapters see to them), and what needs an approval (`spend` says so).

use thiserror::Error;

use crate::domain::actor::Actor;
use crate::domain::order::{Order, Placer};
use crate::planted::{Bug, planted};

/// Who there is to approve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Approvers {
    /// Only the machine's own token: one operator does everything.
    #[default]
    LocalOnly,
    /// At least one token with a name of its own has the role.
    Named,
}

/// An order that its approver has placed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("order {order} was placed by {by}, who cannot approve it too: somebody else with the role approve must")]
pub struct OwnOrder {
    /// The order's id.
    pub order: String,
    /// Who placed it.
    pub by: Actor,
}

/// Whether `by` may approve the order.
///
/// # Errors
/// [`OwnOrder`] when the same actor has placed it.
pub fn may_approve(order: &Order, by: &Actor, approvers: Approvers) -> Result<(), OwnOrder> {
    let placed_by = match order.placed_by {
        Placer::Auto => return Ok(()),
        // Before names were kept there was one token only, the machine's own.
        Placer::Person => order.placed_by_name.clone().unwrap_or_else(Actor::local),
    };
    let alone = by.is_local() && approvers == Approvers::LocalOnly;
    if placed_by != *by || alone || planted(Bug::OwnOrderApproved) {
        return Ok(());
    }
    Err(OwnOrder { order: order.id.to_string(), by: placed_by })
}
