//! The operator API over HTTP: who gets in, what is refused and how, and what is shown.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::deposit::{BlockStatus, Deposit};

use crate::support::records::{address, at, deposit};

mod decisions;
mod door;
mod events;
mod health;
mod limits;
mod lists;
mod openapi;
mod orders;
mod returns;
mod roles;
mod slow;
mod socket;
mod token;

/// The `n`th deposit: so many base units to the `place`th address, final, not judged.
fn final_deposit(n: u64, place: u64, base_units: u128) -> Deposit {
    Deposit {
        to: address(place),
        amount: Amount::from_base_units(base_units),
        standing: BlockStatus::Final { at: at(n) },
        ..deposit(n)
    }
}
