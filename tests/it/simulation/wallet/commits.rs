//! What must hold when orders or the wallet's record are committed.

use rampwatch::domain::event::EventKind;
use rampwatch::domain::order::{
    Attempt, AttemptKind, CancelReason, Order, OrderOutcome, OrderState, Placer, Spend, UnsentReason,
};
use rampwatch::domain::payment::Provenance;
use rampwatch::domain::time::Timestamp;
use rampwatch::policy::rules::SpendLimits;
use rampwatch::ports::clock::Clock;
use rampwatch::ports::store::{Commit, Store};

use super::super::plan::Planned;
use super::super::strays;
use super::super::world::{World, short};
use super::books::{Books, Kept, Line};
use super::broadcasts::{SLOWEST, stands_against};
use super::bytes;
use super::rules::{WalletSettings, bank_account};
use crate::support::memory_store::MemoryStore;

/// A commit has been made.
pub(crate) async fn on_commit(world: &World, store: &MemoryStore, commit: &Commit) {
    let Some(settings) = &world.settings.wallet else { return };
    let now = world.clock.now();
    let mut broken = Vec::new();
    {
        let mut wallet = world.wallet();
        let books = &mut wallet.books;
        for deposit in &commit.deposits {
            books.deposits.insert(deposit.key, now);
        }
        for payment in &commit.payments {
            books.payments.insert(payment.id.clone(), now);
        }
        for order in &commit.orders {
            on_order(world, settings, books, order, commit, now, &mut broken);
        }
        if let Some(wallet) = &commit.wallet {
            let stopped = wallet.paused.is_some() || wallet.halted.is_some();
            books.stopped_since = stopped.then(|| books.stopped_since.unwrap_or(now));
        }
    }
    if !commit.orders.is_empty() {
        let stored = store.spent_since(Timestamp::EPOCH).await.expect("memory");
        let stored: u128 = stored.iter().map(|order| order.amount.base_units()).sum();
        let ours = world.wallet().books.spent();
        if stored != ours {
            broken.push(format!("{stored} counts as spent, and {ours} should"));
        }
        let one_day = world.settings.leaps.iter().all(Option::is_none);
        if one_day && ours > settings.rules.limits.max_per_day.base_units() {
            broken.push(format!("{ours} counts as spent, more than the limit for a day"));
        }
    }
    strays::is_no_brake(world, &store.contents(), &commit.orders, commit);
    for event in &commit.events {
        tell(world, &event.kind);
    }
    for what in &broken {
        world.violate(what);
    }
}

fn tell(world: &World, kind: &EventKind) {
    match kind {
        EventKind::OrderMoved { order, to, why, .. } => {
            world.note(&format!("order {order} is {}: {why}", to.name()));
            world.count(&format!("order: {}", to.name()));
            let hold = match &**to {
                OrderState::Held { why } => Some(why),
                OrderState::Sending { trouble, .. } => trouble.as_ref(),
                OrderState::Cancelling { why: CancelReason::Hold { hold }, trouble: None, .. } => Some(hold),
                OrderState::Cancelling { trouble, .. } => trouble.as_ref(),
                OrderState::Ended { outcome, .. } => {
                    world.count(&format!("order: ended {}", outcome.name()));
                    match outcome {
                        OrderOutcome::Unsent { why: UnsentReason::NotPayable { hold } } => Some(hold),
                        _ => None,
                    }
                }
                OrderState::AwaitingApproval { .. } | OrderState::Ready | OrderState::Mined { .. } => None,
            };
            if let Some(hold) = hold {
                world.count(&format!("hold: {}", hold.name()));
            }
        }
        EventKind::OrderPlaced { order } => {
            world.note(&format!("order {} is placed: {} to {}", order.id, order.amount, short(&order.to)));
            world.count(&format!("order: placed, {}", order.state.name()));
        }
        EventKind::WalletChanged { change, .. } => world.note(&format!("the wallet: {change:?}")),
        EventKind::AttemptSigned { order, attempt } => {
            world.count(&format!("order: signed, {:?}", attempt.kind));
            world.note(&format!(
                "{} is signed for {order}: {:?} at nonce {}, {} and {}",
                short(&attempt.tx_hash),
                attempt.kind,
                attempt.nonce,
                attempt.fees.cap,
                attempt.fees.tip,
            ));
        }
        _ => {}
    }
}

fn on_order(
    world: &World,
    settings: &WalletSettings,
    books: &mut Books,
    order: &Order,
    commit: &Commit,
    now: Timestamp,
    broken: &mut Vec<String>,
) {
    let old = books.lines.get(&order.id).cloned();
    is_explained(world, old.as_ref().map(|line| &line.order), order, commit, broken);
    if old.is_none() {
        is_placed_rightly(world, settings, books.life, order, broken);
        for other in books.lines.values().map(|line| &line.order) {
            let paid = matches!(other.state, OrderState::Ended { outcome: OrderOutcome::Paid { .. }, .. });
            if other.id.payment == order.id.payment && (paid || !other.state.is_ended()) {
                broken.push(format!("order {} is placed, and {} is {}", order.id, other.id, other.state.name()));
            }
        }
    }
    let mut line =
        old.clone().unwrap_or_else(|| Line { order: order.clone(), changed_at: now, counted: true, kept: Vec::new() });
    if old.as_ref().is_none_or(|old| old.order.state.name() != order.state.name()) {
        line.changed_at = now;
    }
    for attempt in &order.attempts {
        if !line.kept.iter().any(|kept| kept.signed.hash == attempt.tx_hash) {
            is_signed_rightly(world, settings, books, &line, attempt, now, broken);
            if let Some(signed) = bytes::read(&attempt.raw) {
                line.kept.push(Kept { signed, raw: attempt.raw.clone(), since: now });
            }
            books.hashes.insert(attempt.tx_hash, order.id.clone());
        }
    }
    if order.spend == Spend::GivenBack && line.counted {
        is_over_for_good(world, &line, "its spend is given back", broken);
        line.counted = false;
    }
    ends_truly(world, &line, order, broken);
    line.order = order.clone();
    books.lines.insert(order.id.clone(), line);
    let waits = |line: &&Line| matches!(line.order.state, OrderState::Sending { .. } | OrderState::Cancelling { .. });
    let in_flight = books.lines.values().filter(waits).count();
    let is_new = old.is_none_or(|old| old.order.state.nonce().is_none()) && order.state.nonce().is_some();
    if is_new && in_flight > settings.rules.pace.max_in_flight {
        broken.push(format!("{in_flight} orders have a nonce that is not mined"));
    }
}

/// Every change of an order is told by the events of the same commit, step by step.
fn is_explained(world: &World, old: Option<&Order>, new: &Order, commit: &Commit, broken: &mut Vec<String>) {
    let mut approvals = Vec::new();
    let mut told: Option<Order> = old.cloned();
    for event in &commit.events {
        match (&event.kind, &mut told) {
            (EventKind::OrderPlaced { order }, None) if order.id == new.id => told = Some(order.as_ref().clone()),
            (EventKind::OrderMoved { order, from, to, spend, why, by }, Some(told)) if *order == new.id => {
                if told.state != **from || why.is_empty() {
                    broken.push(format!("order {order} is told to move from {from:?}, and was {:?}", told.state));
                }
                if let (OrderState::AwaitingApproval { .. }, OrderState::Ready, Some(by)) = (&**from, &**to, by) {
                    approvals.push(by.clone());
                }
                (told.state, told.spend) = (to.as_ref().clone(), *spend);
            }
            (EventKind::AttemptSigned { order, attempt }, Some(told)) if *order == new.id => {
                let _room = told.add_attempt(attempt.as_ref().clone());
            }
            _ => {}
        }
    }
    let Some(told) = told else { return broken.push(format!("order {} appeared without an event", new.id)) };
    let hashes = |order: &Order| order.attempts.iter().map(|attempt| attempt.tx_hash).collect::<Vec<_>>();
    if (&told.state, told.spend, hashes(&told)) != (&new.state, new.spend, hashes(new)) {
        broken.push(format!("no event tells how order {} came from {:?} to {:?}", new.id, told.state, new.state));
    }
    let terms = |order: &Order| (order.to, order.amount, order.token, order.wallet, order.placed_at, order.placed_by);
    if terms(&told) != terms(new) {
        broken.push(format!("the terms of order {} changed", new.id));
    }
    let typed_by =
        world.store.look(|contents| contents.payments.get(&new.id.payment).and_then(|it| it.terms.typed_by.clone()));
    for by in approvals {
        if Some(&by) == new.placed_by_name.as_ref() || Some(&by) == typed_by.as_ref() {
            broken.push(format!("order {} is approved by {by}, who has made it", new.id));
        }
    }
}

fn planned_of<'a>(world: &'a World, order: &Order) -> &'a Planned {
    world.plan.payments.iter().find(|planned| planned.id == order.id.payment).expect("only these exist")
}

/// An order pays what the payment asks for, and nothing that the rules forbid.
fn is_placed_rightly(world: &World, settings: &WalletSettings, life: u64, order: &Order, broken: &mut Vec<String>) {
    let planned = planned_of(world, order);
    let asked = (planned.address, planned.amount, world.settings.token);
    if (order.to, order.amount, order.token) != asked || order.wallet != settings.address {
        broken.push(format!("order {order:?} is not what {planned:?} asks for"));
    }
    let limits = settings.limits_in(life);
    broken.extend(forbidden(world, limits, order).map(|what| format!("order {} is placed {what}", order.id)));
    if order.placed_by == Placer::Auto && !limits.auto {
        broken.push(format!("order {} is placed by itself, which is switched off", order.id));
    }
    if planned.sender.is_some_and(|named| named != settings.address) {
        broken.push(format!("order {} is for a payment that somebody else is to pay", order.id));
    }
}

/// What the lists and the limit for one payment have against an order.
fn forbidden(world: &World, limits: &SpendLimits, order: &Order) -> Option<&'static str> {
    let planned = planned_of(world, order);
    let recipients = &limits.allowed_recipients;
    let told = !world.settings.reference_shape;
    let listed = told && limits.allowed_bank_accounts.contains(&bank_account(&planned.recipient));
    let is_auto = order.placed_by == Placer::Auto;
    let is_typed = order.recipient_from == Some(Provenance::Typed);
    match () {
        () if order.amount > limits.max_per_payment => Some("above the limit for one payment"),
        () if !recipients.is_empty() && !recipients.contains(&planned.recipient) => {
            Some("for a recipient that is not allowed")
        }
        () if !recipients.is_empty() && is_typed => Some("for a recipient that somebody has only typed"),
        () if !listed && (is_auto || !limits.allowed_bank_accounts.is_empty()) => {
            Some("for a bank account that is not allowed")
        }
        () => None,
    }
}

/// How much the placer of an order has placed, with it, that nobody has approved. For worlds that last no day.
fn unapproved(books: &Books, order: &Order) -> u128 {
    let his = books.lines.values().map(|line| (&line.order, line.counted)).filter(|(other, counted)| {
        let waits = matches!(other.state, OrderState::AwaitingApproval { .. });
        *counted && !waits && other.placed_by_name == order.placed_by_name && other.id != order.id
    });
    let unapproved = his.filter(|(other, _)| !books.approved.contains(&other.id) && other.placed_at <= order.placed_at);
    unapproved.map(|(other, _)| other.amount.base_units()).sum::<u128>() + order.amount.base_units()
}

/// The signed bytes do what the order says, at the order's one nonce, under the ceiling, and approved where needed.
fn is_signed_rightly(
    world: &World,
    settings: &WalletSettings,
    books: &mut Books,
    line: &Line,
    attempt: &Attempt,
    now: Timestamp,
    broken: &mut Vec<String>,
) {
    let (order, planned) = (&line.order, planned_of(world, &line.order));
    let Some(signed) = bytes::read(&attempt.raw).filter(|signed| signed.hash == attempt.tx_hash) else {
        return broken.push(format!("what is kept of {} is no transaction of the wallet", order.id));
    };
    let nonce = signed.tx.nonce;
    let pays = signed.transfer().is_some_and(|transfer| {
        (transfer.to, transfer.amount, transfer.token) == (planned.address, planned.amount, world.settings.token)
    });
    if (pays, signed.transfer().is_none()) != (attempt.kind == AttemptKind::Transfer, !pays) || attempt.nonce != nonce {
        broken.push(format!("{signed:?} is signed for {}, and is not what was asked", order.id));
    }
    if let Some(other) = books.nonces.insert(nonce, order.id.clone()).filter(|other| *other != order.id) {
        broken.push(format!("nonce {nonce} is signed for {other} and for {}", order.id));
    }
    let earlier = line.kept.iter().filter(|kept| kept.signed.tx.nonce != nonce);
    for kept in earlier {
        if !is_reverted_for_good(world, line, kept.signed.tx.nonce) {
            let old = kept.signed.tx.nonce;
            broken.push(format!("{} has the nonces {old} and {nonce}, and {old} has not failed for good", order.id));
        }
    }
    let last = line.kept.iter().rev().find(|kept| kept.signed.tx.nonce == nonce);
    let raised = |old: u128, new: u128| new * 10 >= old * 11;
    if let Some(last) = last {
        let (old, new) = (&last.signed, &signed);
        if !raised(old.cap(), new.cap()) || !raised(old.tip(), new.tip()) {
            broken.push(format!("another attempt of {} does not offer a tenth more", order.id));
        }
    }
    let fees = &settings.rules.preflight.fees;
    if signed.cap() > fees.ceiling.get() || signed.tx.gas_limit > fees.gas_limit_max {
        broken.push(format!("an attempt of {} offers more than is allowed", order.id));
    }
    if attempt.kind == AttemptKind::SelfSend {
        return;
    }
    let limits = settings.limits_in(books.life);
    broken.extend(forbidden(world, limits, order).map(|what| format!("{} is signed {what}", order.id)));
    let typed = world.settings.reference_shape;
    let above = planned.amount > limits.approval_above;
    let many = order.placed_by == Placer::Person
        && world.settings.danger.is_none()
        && unapproved(books, order) > limits.approval_above_per_day.base_units();
    if (typed || above || many || planned.expires_at.is_none()) && !books.approved.contains(&order.id) {
        broken.push(format!("{} is signed, and nobody has approved it", order.id));
    }
    let asked = books.asked.get(&order.id.payment);
    if !asked.is_some_and(|at| *at >= books.life_began && now.since(*at) <= SLOWEST) {
        broken.push(format!("{} is signed, and its payment was not asked after", order.id));
    }
    let against = stands_against(world, books, order, now);
    broken.extend(against.into_iter().map(|what| format!("{} is signed {what}", order.id)));
    if books.stopped_since.is_some_and(|since| since.plus(SLOWEST) < now) {
        broken.push(format!("{} is signed while the wallet is paused or halted", order.id));
    }
}

/// Whether a transfer of the order at this nonce failed in a block that is final.
fn is_reverted_for_good(world: &World, line: &Line, nonce: u64) -> bool {
    if world.finality_is_broken() {
        return true;
    }
    let chain = world.chain();
    let of_nonce = line.kept.iter().filter(|kept| kept.signed.tx.nonce == nonce);
    let mut mined = of_nonce.filter_map(|kept| chain.mined_now(kept.signed.hash));
    mined.any(|(mined, block)| !mined.succeeded && block.number <= chain.final_to())
}

/// None of the order's transfers can be mined any more, and none is.
fn is_over_for_good(world: &World, line: &Line, what: &str, broken: &mut Vec<String>) {
    if world.finality_is_broken() || world.settings.one_word() {
        return;
    }
    let chain = world.chain();
    let consumed = chain.final_account().nonce;
    for kept in line.kept.iter().filter(|kept| kept.signed.transfer().is_some()) {
        let (hash, nonce) = (kept.signed.hash, kept.signed.tx.nonce);
        let paid = chain.mined_now(hash).is_some_and(|(mined, _)| mined.succeeded);
        if paid || nonce >= consumed {
            let can = if paid { "is mined" } else { "can still be mined" };
            broken.push(format!("{what} of {}, and {} at nonce {nonce} {can}", line.order.id, short(&hash)));
        }
    }
}

/// An order that ends says what is true for good.
fn ends_truly(world: &World, line: &Line, new: &Order, broken: &mut Vec<String>) {
    let OrderState::Ended { outcome, .. } = &new.state else { return };
    if line.order.state.is_ended() || world.finality_is_broken() || world.settings.one_word() {
        return;
    }
    let OrderOutcome::Paid { tx_hash, block, .. } = outcome else {
        return is_over_for_good(world, line, "something else has ended", broken);
    };
    let chain = world.chain();
    let truly = chain.mined_now(*tx_hash).is_some_and(|(mined, at)| {
        mined.succeeded && mined.signed.transfer().is_some() && at == *block && at.number <= chain.final_to()
    });
    if !truly || !line.kept.iter().any(|kept| kept.signed.hash == *tx_hash) {
        broken.push(format!("{} ended paid by {tx_hash}, which is not final", new.id));
    }
}
