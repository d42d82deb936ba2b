//! What must hold of the orders at the end, after the faults stopped and everything had time to settle.

use rampwatch::domain::hold::Hold;
use rampwatch::domain::order::{ApprovalReason, Order, OrderOutcome, OrderState};
use rampwatch::domain::payment::PaymentState;
use rampwatch::ports::clock::Clock;

use super::super::world::World;
use super::books::{Books, Line};
use super::rules::WalletSettings;
use crate::support::memory_store::Contents;

/// Looks at every order once more.
pub(crate) fn every_order_is_settled(world: &World, contents: &Contents) {
    let Some(settings) = &world.settings.wallet else { return };
    let mut broken = Vec::new();
    {
        let wallet = world.wallet();
        for order in contents.orders.values() {
            world.count(&format!("end: order {}", order.state.name()));
            match wallet.books.lines.get(&order.id) {
                Some(line) if line.order.state == order.state => {}
                line => broken.push(format!("order {order:?} was committed as {line:?}")),
            }
        }
        // What was final and is not any more is nobody's fault here, and nobody's to mend.
        if !world.finality_is_broken() {
            // The only operator there is has said of a self-send that it is mined, and the nonces behind it wait for ever.
            let misled = world.settings.one_word() && !world.lies().placed.is_empty();
            for line in wallet.books.lines.values() {
                let settled = is_settled(world, settings, contents, &line.order);
                if settled.is_some() && misled {
                    world.count("end: an order waits because of the only operator's word");
                    continue;
                }
                broken.extend(settled);
                broken.extend(is_true(world, line));
            }
            broken.extend(no_gap(world, &wallet.books, contents).filter(|_| !misled));
        }
    }
    for what in &broken {
        world.violate(what);
    }
}

/// It has ended, or says truly what it waits for.
fn is_settled(world: &World, settings: &WalletSettings, contents: &Contents, order: &Order) -> Option<String> {
    let hold = match &order.state {
        OrderState::Ended { .. } => return None,
        OrderState::Held { why } => why,
        // A person knows better than the one operator there is, and leaves it.
        OrderState::AwaitingApproval { why: ApprovalReason::Reverted { tx_hash, .. } }
            if world.chain().mined_now(*tx_hash).is_some_and(|(mined, _)| mined.succeeded) =>
        {
            world.count("end: a person knows that a transfer has not failed");
            return None;
        }
        state => return Some(format!("order {} is still {state:?}", order.id)),
    };
    world.count(&format!("end: held, {}", hold.name()));
    let account = world.chain().next_account();
    let enough = order.amount.base_units() + settings.rules.preflight.reserve_token.base_units();
    let is_idle = match hold {
        Hold::TokenShort { .. } => account.balance >= enough,
        Hold::TermsDiffer { .. }
        | Hold::PaymentState { .. }
        | Hold::MoneyThere { .. }
        | Hold::NotReadYet
        | Hold::CallFails { .. } => false,
        // The rules were tightened after it was placed.
        Hold::Policy { .. } => settings.tightened.is_none(),
        Hold::GasTooHigh { most, .. } => *most > 63_000,
        // A person has the payment, whose end the API names: nobody else is to end the order.
        Hold::ApiStatus { status } | Hold::EndUnconfirmed { status } => {
            let payment = contents.payments.get(&order.id.payment);
            let is_persons = payment.is_some_and(|payment| matches!(payment.state, PaymentState::Review { .. }));
            !(is_persons && status.outcome().is_some())
        }
        _ => true,
    };
    is_idle.then(|| format!("order {} waits at the end for no good reason: {hold:?}", order.id))
}

/// What it says of its transfers is what the chain says.
fn is_true(world: &World, line: &Line) -> Option<String> {
    let chain = world.chain();
    let transfers = line.kept.iter().filter(|kept| kept.signed.transfer().is_some());
    let paid = transfers.filter_map(|kept| chain.mined_now(kept.signed.hash)).any(|(mined, _)| mined.succeeded);
    let says = matches!(&line.order.state, OrderState::Ended { outcome: OrderOutcome::Paid { .. }, .. });
    if paid {
        world.count("end: an order paid");
    }
    // Where one operator has said that it failed, a person knew better.
    (paid != says && !world.settings.one_word()).then(|| format!("order {:?} has paid: {paid}", line.order))
}

/// Every nonce that was given out is consumed.
fn no_gap(world: &World, books: &Books, contents: &Contents) -> Option<String> {
    let next = contents.wallet.as_ref()?.next_nonce;
    let consumed = world.chain().next_account().nonce;
    // What somebody else has signed since the last look is not known yet; nor is what the store has forgotten, where it came out
    // of a node's pool after a person had typed the count.
    let is_unknown = !books.outsiders.is_empty() || world.lies().sent.values().any(|sent| sent.is_forgotten);
    let fits = if is_unknown { next <= consumed } else { next == consumed };
    let now = world.clock.now().as_secs();
    (!fits).then(|| format!("at {now} the next nonce is {next} here, and {consumed} on the chain"))
}
