//! The operator: tells rampwatch of payments and resolves reviews, through the engine's handle, as long as it takes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use rampwatch::domain::actor::Actor;
use rampwatch::domain::deposit::{Deposit, Verdict};
use rampwatch::domain::payment::{Payment, PaymentReview, PaymentState};
use rampwatch::domain::time::Span;
use rampwatch::engine::add::AddPayment;
use rampwatch::policy::resolve::Decision;
use rampwatch::ports::clock::Clock;
use rampwatch::service::operator_service::{OperatorError, OperatorService};

use super::fuse::Life;
use super::intake;
use super::plan::{Act, Planned};
use super::rng::Rng;
use super::world::World;

/// What waits for the operator. It is taken off only when it is done, so that nothing is forgotten when the process
/// dies meanwhile.
pub(super) type Errands = Arc<Mutex<VecDeque<Act>>>;

/// How long the operator waits before looking for work.
const LOOKS_EVERY: Span = Span::from_millis(700);
/// The same when hardly anything is left to do: an hour of looking for nothing would take as long as all the rest.
const LOOKS_SELDOM: Span = Span::from_secs(10);
/// How long the operator waits when the API did not help.
const TRIES_AGAIN_AFTER: Span = Span::from_secs(4);

/// Does what is to be done with one life of the process.
pub(super) async fn serve(world: Arc<World>, life: Arc<Life>, handle: OperatorService, errands: Errands) {
    let mut rng = Rng::stream(world.seed, &format!("operator in life {}", life.number));
    loop {
        world.clock.sleep(if world.is_chaos() { LOOKS_EVERY } else { LOOKS_SELDOM }).await;
        let next = errands.lock().expect("one thread").front().cloned();
        let done = match next {
            None => continue,
            Some(Act::Add(place)) => add(&world, &handle, &world.plan.payments[place]).await,
            Some(Act::Review) => {
                review(&world, &handle, &mut rng).await;
                true
            }
            Some(Act::Create(_) | Act::Send(_) | Act::ByHand(_)) => true,
        };
        if !done {
            world.clock.sleep(TRIES_AGAIN_AFTER).await;
        }
        let mut errands = errands.lock().expect("one thread");
        if let Some(act) = errands.pop_front().filter(|_| !done) {
            errands.push_back(act);
        }
    }
}

/// Adds a payment. False when it has to be tried again.
async fn add(world: &World, handle: &OperatorService, planned: &Planned) -> bool {
    let typed = world.settings.reference_shape;
    let request = AddPayment {
        id: planned.id.clone(),
        recipient_id: planned.recipient.clone(),
        deposit_address: typed.then_some(planned.address),
        amount: typed.then(|| planned.amount.to_decimal(6)),
        sender: planned.sender,
        created_at: typed.then(|| world.clock.moment(planned.create_at)),
        expires_at: None,
        deposit_chain: None,
    };
    // Some are added by one of those who approve.
    let is_berts = planned.id.as_str().bytes().map(u64::from).sum::<u64>().is_multiple_of(3);
    let actor = Actor::new(if is_berts { "bert" } else { "carl" }).expect("a name");
    match handle.acting_as(&actor).add(request).await {
        Ok(payment) => {
            world.note(&format!("{} is added; it is {}", planned.id, payment.state.name()));
            true
        }
        // A clock that is wrong finds what the creator says wrong.
        Err(_) if world.process_now() != world.clock.now() => false,
        Err(OperatorError::Invalid { problem, .. }) if problem.contains("give what is right with --") => {
            world.count("operator: add asks for what cannot be read");
            false
        }
        Err(OperatorError::Api(_) | OperatorError::NotFound(_) | OperatorError::UnknownToApi(_)) => {
            world.count("operator: add tried again");
            false
        }
        Err(error) => {
            world.violate(&format!("{} cannot be added: {error}", planned.id));
            true
        }
    }
}

/// Looks through the reviews, and resolves some of them.
async fn review(world: &World, handle: &OperatorService, rng: &mut Rng) {
    let contents = world.store.contents();
    for deposit in contents.deposits.values() {
        if matches!(deposit.verdict, Verdict::Review { .. }) && rng.permille(500) {
            let payments: Vec<&Payment> =
                contents.payments.values().filter(|payment| payment.terms.deposit_address == deposit.to).collect();
            let decision = on_deposit(deposit, &payments, rng);
            resolve(world, handle, decision).await;
        }
    }
    for payment in contents.payments.values() {
        let decision = match &payment.state {
            PaymentState::Review { why, .. } if rng.permille(600) => on_payment(payment, why, rng),
            _ if rng.permille(20) => Decision::Cancel { payment: payment.id.clone() },
            _ if rng.permille(20) => Decision::Retry { payment: payment.id.clone() },
            _ => continue,
        };
        resolve(world, handle, decision).await;
    }
    intake::settle_candidates(world, handle, &contents, rng).await;
}

fn on_deposit(deposit: &Deposit, payments: &[&Payment], rng: &mut Rng) -> Decision {
    if payments.is_empty() || rng.permille(300) {
        return Decision::Ignore { deposit: deposit.key };
    }
    Decision::Assign { deposit: deposit.key, payment: rng.pick(payments).id.clone() }
}

fn on_payment(payment: &Payment, why: &PaymentReview, rng: &mut Rng) -> Decision {
    let payment = payment.id.clone();
    match why {
        PaymentReview::Refused { .. } | PaymentReview::NotFound | PaymentReview::StillAwaiting => {
            Decision::Retry { payment }
        }
        PaymentReview::OtherHash { .. }
        | PaymentReview::EndedWithMoney { .. }
        | PaymentReview::TermsDiffer { .. }
        | PaymentReview::Unreadable { .. }
        | PaymentReview::GoneAfterFinal => {
            if rng.permille(500) {
                Decision::Retry { payment }
            } else {
                Decision::Cancel { payment }
            }
        }
    }
}

async fn resolve(world: &World, handle: &OperatorService, decision: Decision) {
    if let Decision::Assign { payment, .. } = &decision {
        world.assign(payment);
    }
    let done = handle.resolve(&decision, "the simulation says so").await;
    world.note(&format!("a person decides {decision:?}: {done:?}"));
    let outcome = match done {
        Ok(()) => "done",
        Err(OperatorError::Refused(_)) => "refused",
        Err(OperatorError::Store(error)) => return world.violate(&format!("{decision:?}: {error}")),
        Err(_) => "not possible",
    };
    world.count(&format!("operator: {}, {outcome}", decision.name()));
}
