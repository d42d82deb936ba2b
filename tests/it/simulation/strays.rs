//! Dust: strangers send a base unit, or little more, to addresses that are watched, before and after they are paid or their
//! orders are signed. And what must hold of it: it stands in nobody's way, what is only counted is counted once, and nothing
//! that could pay is.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::Transfer;
use rampwatch::domain::deposit::Verdict;
use rampwatch::domain::event::EventKind;
use rampwatch::domain::hold::Hold;
use rampwatch::domain::order::{CancelReason, Order, OrderState};
use rampwatch::domain::time::Span;
use rampwatch::ports::store::Commit;

use super::chain::{Move, Tx};
use super::end_checks::key_of;
use super::plan::{Act, Plan};
use super::rng::Rng;
use super::settings::Settings;
use super::world::World;
use crate::support::memory_store::Contents;

/// In every fourth world some addresses get dust, so much that not all of it is kept.
pub(super) fn draw(plan: &mut Plan, rng: &mut Rng, settings: &Settings) {
    if !rng.permille(250) || plan.payments.is_empty() {
        return;
    }
    for _ in 0..rng.range(1, 4) {
        let planned = rng.pick(&plan.payments).clone();
        let token = if rng.permille(850) { settings.token } else { settings.other_token };
        // Some of it comes at once, and some over the payment's whole life.
        let lasts = *rng.pick(&[4, 60, 400]);
        let begins = planned.create_at.as_millis() + rng.below(60_000);
        for _ in 0..rng.range(3, 70) {
            let amount = Amount::from_base_units(u128::from(rng.range(1, 100)));
            let step = Move { token, from: rng.address(), to: planned.address, amount };
            let at = Span::from_millis(begins + rng.below(lasts * 1_000));
            plan.act(at, Act::Send(Tx { hash: rng.hash(), moves: vec![step] }));
        }
    }
}

/// What could pay nothing by itself, by the checks' own rule.
fn is_small(world: &World, contents: &Contents, transfer: &Transfer) -> bool {
    let at_address = contents.payments.values().filter(|payment| payment.terms.deposit_address == transfer.to);
    let least = at_address.map(|payment| payment.terms.amount.base_units()).min();
    least.is_none_or(|least| transfer.amount.base_units() + world.settings.tolerance_under < least)
}

/// Whether a transfer that is no deposit is one of those that are counted, and may be.
pub(super) fn is_counted(world: &World, contents: &Contents, transfer: &Transfer) -> bool {
    let mut there = contents.deposits.values().filter(|it| it.to == transfer.to && it.token == transfer.token);
    let is_counted = there.any(|it| it.tally.as_ref().is_some_and(|tally| transfer.amount <= tally.most));
    is_counted && is_small(world, contents, transfer)
}

/// What is counted at an address is no more than what came there.
pub(super) fn are_counted_once(world: &World, contents: &Contents) {
    if world.settings.lies() || world.finality_is_broken() {
        return;
    }
    for deposit in contents.deposits.values() {
        let Some(tally) = &deposit.tally else { continue };
        // What a node that lags still has in a block that was replaced may be counted too: nobody asks which block it was in.
        let mut came = world.chain().ever_to(deposit.to);
        came.retain(|it| it.token == deposit.token && !contents.deposits.contains_key(&key_of(it)));
        let sum: u128 = came.iter().map(|it| it.amount.base_units()).sum();
        let is_more = tally.count > came.len() as u64 || tally.sum.base_units() > sum;
        if is_more {
            world.violate(&format!("{tally:?} is counted at {}, and {} came, {sum} together", deposit.to, came.len()));
        }
        world.count("end: dust is counted");
    }
}

/// An order is held up, or withdrawn, because of money at its address: there must be enough of it to pay.
pub(super) fn is_no_brake(world: &World, contents: &Contents, orders: &[Order], commit: &Commit) {
    for event in &commit.events {
        let EventKind::OrderMoved { order: id, to, .. } = &event.kind else { continue };
        let hold = match &**to {
            OrderState::Held { why } => Some(why),
            OrderState::Cancelling { why: CancelReason::Hold { hold }, .. } => Some(hold),
            _ => None,
        };
        let Some(Hold::MoneyThere { tx_hash, amount }) = hold else { continue };
        let Some(order) = orders.iter().find(|order| order.id == *id) else { continue };
        let pays = |verdict: &Verdict| matches!(verdict, Verdict::Pays { payment, .. } if *payment == id.payment);
        let is_paid = contents.deposits.values().any(|it| it.key.tx_hash == *tx_hash && pays(&it.verdict));
        let is_enough = amount.base_units() + world.settings.tolerance_under >= order.amount.base_units();
        if !is_enough && !is_paid {
            world.violate(&format!("order {id} of {} is in the way of {amount} only: {hold:?}", order.amount));
        }
    }
}
