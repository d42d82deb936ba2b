//! Nothing is pending without a named reason: at the end, the operator's own views are asked about everything that has not
//! ended. What waits says for what, and will be looked at again; what a person must decide is in the list of reviews, with what
//! would settle it.

use std::collections::BTreeSet;
use std::sync::Arc;

use rampwatch::domain::candidate::CandidateState;
use rampwatch::domain::deposit::Verdict;
use rampwatch::domain::payment::{Payment, PaymentState};
use rampwatch::domain::payout::PayoutState;
use rampwatch::domain::record::RecordBody;
use rampwatch::engine::health::Health;
use rampwatch::service::operator_service::OperatorService;
use rampwatch::view::ReviewView;

use super::clock::SimChance;
use super::process::engine_settings;
use super::rng::Rng;
use super::world::World;
use crate::support::memory_store::Contents;

/// How many reviews are asked for at once.
const PAGE: usize = 7;

/// Asks the views about everything that is open.
pub(super) async fn everything_open_is_named(world: &World) {
    let chance = SimChance::new(Rng::stream(world.seed, "chance of the views"));
    let store = Arc::new(world.store.clone());
    let settings = Arc::new(engine_settings(&world.settings));
    let clock = Arc::new(world.clock);
    let handle = OperatorService::offline(store, None, clock, Arc::new(chance), settings, Arc::new(Health::default()));
    let contents = world.store.contents();
    for payment in contents.payments.values().filter(|payment| !payment.state.is_ended()) {
        waits_for_something(world, &handle, payment).await;
    }
    let told: BTreeSet<(String, String)> = all_reviews(world, &handle).await;
    let due = reviews_due(&contents);
    for (subject, id) in due.difference(&told) {
        world.violate(&format!("{subject} {id} is for a person to decide, and no review says so"));
    }
    for (subject, id) in told.difference(&due) {
        world.violate(&format!("{subject} {id} is in the list of reviews, and nothing is to be decided"));
    }
}

/// What a payment says of itself, and whether somebody looks at it again.
async fn waits_for_something(world: &World, handle: &OperatorService, payment: &Payment) {
    let why = match handle.why(payment.id.as_str()).await {
        Ok(why) => why,
        Err(error) => return world.violate(&format!("nobody can say why {} is open: {error}", payment.id)),
    };
    if why.rule.trim().is_empty() {
        world.violate(&format!("{} is open, and no reason is named", payment.id));
    }
    let in_review = matches!(payment.state, PaymentState::Review { .. });
    if !in_review && payment.next_at.is_none() {
        world.violate(&format!("{} is open, and nobody will look at it again: {:?}", payment.id, payment.state));
    }
    if in_review && why.reviews.is_empty() {
        world.violate(&format!("{} is in review, and nothing would settle it", payment.id));
    }
    world.count("end: a reason is named");
}

async fn all_reviews(world: &World, handle: &OperatorService) -> BTreeSet<(String, String)> {
    let (mut told, mut after) = (BTreeSet::new(), None);
    loop {
        let page = match handle.reviews(after.as_deref(), PAGE).await {
            Ok(page) => page,
            Err(error) => {
                world.violate(&format!("the reviews cannot be listed: {error}"));
                return told;
            }
        };
        for review in page.items {
            if !says_enough(&review) {
                world.violate(&format!("a review names no reason, or nothing that would settle it: {review:?}"));
            }
            if !told.insert((review.subject.clone(), review.id.clone())) {
                world.violate(&format!("{} {} is listed twice", review.subject, review.id));
            }
        }
        after = page.next;
        if after.is_none() {
            return told;
        }
    }
}

fn says_enough(review: &ReviewView) -> bool {
    let ways = !review.settle.is_empty() && review.settle.iter().all(|way| !way.when.is_empty());
    ways && !review.reason.is_empty() && !review.what.is_empty()
}

/// What has to be in the list, by what is stored.
fn reviews_due(contents: &Contents) -> BTreeSet<(String, String)> {
    let named = |subject: &str, id: String| (subject.to_owned(), id);
    let payments = contents.payments.values().filter(|payment| matches!(payment.state, PaymentState::Review { .. }));
    let deposits = contents.deposits.values().filter(|deposit| matches!(deposit.verdict, Verdict::Review { .. }));
    let desk = contents.records.values().filter_map(|record| match &record.body {
        RecordBody::Candidate(candidate) if candidate.state == CandidateState::Open => {
            Some(named("lead", candidate.payment.to_string()))
        }
        RecordBody::Payout(payout) if matches!(payout.state, PayoutState::Review { .. }) => {
            Some(named("payout", payout.reference.to_string()))
        }
        _ => None,
    });
    let payments = payments.map(|payment| named("payment", payment.id.to_string()));
    payments.chain(deposits.map(|deposit| named("deposit", deposit.key.to_string()))).chain(desk).collect()
}
