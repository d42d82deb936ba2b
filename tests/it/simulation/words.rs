//! The API's word, as the store keeps it, and what follows from it: that it was said, and that nothing but it ends a
//! payment. Compared with what the API's server really holds.

use rampwatch::domain::payment::{Outcome, Payment, PaymentState};
use rampwatch::ports::clock::Clock;

use super::world::World;

/// A payment has been stored, over `old`.
pub(super) fn on_payment(world: &World, old: Option<&Payment>, new: &Payment) {
    let now = world.clock.now();
    let was = old.and_then(|old| old.api.as_ref());
    if let Some(view) = new.api.as_ref().filter(|view| was.is_none_or(|was| was != *view)) {
        let api = world.api();
        let said = api.ever_was(&new.id, &view.status, now) && api.ever_had(&new.id, view.tx_hash.as_deref());
        drop(api);
        if !said {
            world.violate(&format!("the API never said {view:?} of {}", new.id));
        }
    }
    let PaymentState::Ended { outcome, .. } = &new.state else { return };
    if *outcome == Outcome::Cancelled || old.is_some_and(|old| old.state.is_ended()) {
        return;
    }
    // An API that flaps has said so for as long as a second look takes.
    if world.settings.flaps.is_some() {
        if !world.api().has_said(&new.id, *outcome, now) {
            world.violate(&format!("{} is over as {outcome:?}, which the API has not said for long", new.id));
        }
        world.count("flap: an end is believed");
        return;
    }
    // What ends a payment at the API ends it for good, so it still says so.
    let status = world.api().status(&new.id, now);
    if status.as_ref().and_then(|status| status.outcome()) != Some(*outcome) {
        world.violate(&format!("{} is over as {outcome:?}, and the API says {status:?}", new.id));
    }
}
