//! Who may approve an order: four eyes.
//!
//! An order has makers: whoever placed it, and whoever typed a term of its payment (the deposit address, the amount, the
//! recipient, the expiry or the sender). None of them approves it. A person with a token of their own never does, whatever
//! else is configured. The machine's own commands (`local`) are a single operator's until somebody else can approve: from then
//! on they approve nothing either that they have made. What the automatic mode places, nobody has placed; its payment may have
//! been typed all the same.
//!
//! Deliberately absent: roles (the driving adapters see to them), and what needs an approval (`rules` says so).

use thiserror::Error;

use crate::domain::actor::Actor;
use crate::domain::order::{Order, Placer};
use crate::domain::payment::Terms;
use crate::planted::{Bug, planted};

/// Who there is to approve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Approvers {
    /// Only the machine's own commands: one operator does everything.
    #[default]
    LocalOnly,
    /// At least one token with a name of its own has the role.
    Named,
}

/// What a maker did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// Placed the order.
    Placed,
    Typed,
}

/// An order that its approver has made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} {by}, who cannot approve it too: somebody else with the role approve must", self.what())]
pub struct OwnOrder {
    /// The order's id.
    pub order: String,
    pub by: Actor,
    pub made: Made,
}

impl OwnOrder {
    fn what(&self) -> String {
        match self.made {
            Made::Placed => format!("order {} was placed by", self.order),
            Made::Typed => format!("what order {} pays was typed by", self.order),
        }
    }
}

/// Who made an order, and how, where that is known. `terms`: those of its payment.
pub fn makers(order: &Order, terms: Option<&Terms>) -> impl Iterator<Item = (Actor, Made)> {
    let placer = match order.placed_by {
        Placer::Auto => None,
        // Before names were kept there was one token only, the machine's own.
        Placer::Person => Some(order.placed_by_name.clone().unwrap_or_else(Actor::local)),
    };
    // Whoever typed a term before names were kept is nobody who is known.
    let typist = terms.filter(|terms| terms.any_typed() && !planted(Bug::TypistApproves));
    let typist = typist.and_then(|terms| terms.typed_by.clone());
    placer.map(|name| (name, Made::Placed)).into_iter().chain(typist.map(|name| (name, Made::Typed)))
}

/// Whether `by` may approve the order.
///
/// # Errors
/// [`OwnOrder`] when the same actor has made it.
pub fn may_approve(order: &Order, terms: Option<&Terms>, by: &Actor, approvers: Approvers) -> Result<(), OwnOrder> {
    let alone = by.is_local() && approvers == Approvers::LocalOnly;
    if alone || planted(Bug::OwnOrderApproved) {
        return Ok(());
    }
    match makers(order, terms).find(|(maker, _)| maker == by) {
        Some((by, made)) => Err(OwnOrder { order: order.id.to_string(), by, made }),
        None => Ok(()),
    }
}
