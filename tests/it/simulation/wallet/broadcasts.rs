//! What must hold when signed bytes leave the process.

use std::collections::BTreeMap;

use rampwatch::domain::chain::{Address, BlockNumber};
use rampwatch::domain::deposit::{DepositKey, Verdict};
use rampwatch::domain::order::{Order, OrderId, OrderState};
use rampwatch::domain::payment::{PaymentId, PaymentState};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::ports::clock::Clock;
use rampwatch::ports::sender::SignedTx;

use super::super::lies::told::Sent;
use super::super::world::{World, short};
use super::books::{Books, Kept, Line};
use super::bytes::{self, Signed};

/// The time between what the checks before a broadcast find and the broadcast, at the slowest: each of several endpoints
/// may take some seconds for each of their questions, for each of the orders that are checked together.
pub(super) const SLOWEST: Span = Span::from_secs(75);

/// What the store said for this long is what every check has to go by.
const KNOWN: Span = Span::from_secs(1);

/// The bytes are about to be given to the endpoints. `None`: they are no transaction at all.
pub(super) fn begins(world: &World, tx: &SignedTx) -> Option<Signed> {
    let now = world.clock.now();
    let Some(signed) = bytes::read(&tx.raw).filter(|signed| signed.hash == tx.hash) else {
        world.violate(&format!("{} is broadcast, and its bytes are no transaction of the wallet", tx.hash));
        return None;
    };
    let mut broken = Vec::new();
    {
        let wallet = world.wallet();
        let books = &wallet.books;
        let known = books.hashes.get(&tx.hash).and_then(|id| books.lines.get(id));
        let kept =
            known.and_then(|line| line.kept.iter().find(|kept| kept.signed.hash == tx.hash && kept.raw == tx.raw));
        if let Some(line) = known {
            let payment = line.order.id.payment.clone();
            let sent = Sent { signed: signed.clone(), payment, is_forgotten: false };
            world.lies().sent.insert(tx.hash, sent);
        }
        match known.zip(kept) {
            Some((line, kept)) => look(world, books, line, kept, now, &mut broken),
            None => broken.push("is broadcast before it was committed".to_owned()),
        }
        if books.stopped_since.is_some_and(|since| since.plus(KNOWN) < now) {
            broken.push("is broadcast while the wallet is paused or halted".to_owned());
        }
    }
    for what in &broken {
        world.violate(&format!("{} at nonce {} {what}", short(&tx.hash), signed.tx.nonce));
    }
    world.note(&format!("{} at nonce {} is broadcast", short(&tx.hash), signed.tx.nonce));
    world.wallet().books.sent.insert(tx.hash, now);
    Some(signed)
}

fn look(world: &World, books: &Books, line: &Line, kept: &Kept, now: Timestamp, broken: &mut Vec<String>) {
    let id = &line.order.id;
    let transfer = kept.signed.transfer();
    let fits = match &line.order.state {
        OrderState::Sending { nonce, .. } => transfer.is_some() && *nonce == kept.signed.tx.nonce,
        OrderState::Cancelling { nonce, .. } => transfer.is_none() && *nonce == kept.signed.tx.nonce,
        _ => false,
    };
    if !fits && line.changed_at.plus(KNOWN) < now {
        broken.push(format!("is broadcast for {id}, which is {}", line.order.state.name()));
    }
    let Some(transfer) = transfer else { return };
    let last = books.sent.get(&kept.signed.hash).copied().unwrap_or_default();
    let since = kept.since.max(last).max(books.life_began);
    let fresh = |at: Option<Timestamp>| at.is_some_and(|at| at >= since && now.since(at) <= SLOWEST);
    if !fresh(books.asked.get(&id.payment).copied()) {
        broken.push(format!("is broadcast, and {} was not asked after since {}", id.payment, since.as_millis()));
    }
    let views = books.viewed.get(&(transfer.to, transfer.amount)).into_iter().flatten();
    let views: Vec<BlockNumber> = views.filter(|(at, _)| fresh(Some(*at))).map(|(_, head)| *head).collect();
    if views.is_empty() {
        broken.push("is broadcast without a look at the chain".to_owned());
    }
    let mut read = books.read.get(&transfer.to).into_iter().flatten();
    if !read.any(|reading| fresh(Some(reading.at)) && views.iter().any(|head| reading.to >= *head)) {
        broken.push("is broadcast, and its address was not read up to the head".to_owned());
    }
    broken
        .extend(stands_against(world, books, &line.order, now).into_iter().map(|what| format!("is broadcast {what}")));
}

/// What speaks against paying the order now, as far as every check has to know it.
pub(super) fn stands_against(world: &World, books: &Books, order: &Order, now: Timestamp) -> Vec<String> {
    let found = [
        too_late(world, &order.id.payment, now),
        paid_already(world, books, &order.id, now),
        money_told(world, books, order),
    ];
    found.into_iter().flatten().collect()
}

/// There must be time left for the payment.
fn too_late(world: &World, id: &PaymentId, now: Timestamp) -> Option<String> {
    let planned = world.plan.payments.iter().find(|planned| planned.id == *id)?;
    let least = world.settings.wallet.as_ref()?.rules.limits.min_time_left;
    let end = world.clock.moment(planned.expires_at?);
    let late = now.plus(least) > end.plus(SLOWEST);
    late.then(|| format!("with {} s left for {id}", end.since(now).as_secs()))
}

/// No money that is known to pay the payment may be there, and the payment must wait.
fn paid_already(world: &World, books: &Books, id: &OrderId, now: Timestamp) -> Option<String> {
    let long_ago = |at: Option<&Timestamp>| at.is_some_and(|at| at.plus(SLOWEST) < now);
    let contents = world.store.contents();
    let payment = contents.payments.get(&id.payment)?;
    let waits = matches!(payment.state, PaymentState::Waiting | PaymentState::Following { deposit: None });
    if !waits && long_ago(books.payments.get(&id.payment)) {
        return Some(format!("although {} is {:?}", id.payment, payment.state));
    }
    let pays = |verdict: &Verdict| matches!(verdict, Verdict::Pays { payment, .. } if *payment == id.payment);
    let mut there = contents.deposits.values().filter(|deposit| deposit.stands() && pays(&deposit.verdict));
    let paid = there.find(|deposit| long_ago(books.deposits.get(&deposit.key)))?;
    Some(format!("although {} pays {} already", paid.key, id.payment))
}

/// The last look at the chain told of somebody else's money at an address that is this payment's alone.
fn money_told(world: &World, books: &Books, order: &Order) -> Option<String> {
    let alone = world.plan.payments.iter().filter(|planned| planned.address == order.to).count() == 1;
    let (viewed_at, head) = books.viewed.get(&(order.to, order.amount)).filter(|_| alone)?.last()?;
    let reads = books.read.get(&order.to)?.iter().filter(|reading| reading.at >= *viewed_at && reading.to == *head);
    // Whichever of them it was that the check went by.
    let mut told: Option<Vec<DepositKey>> = None;
    for reading in reads {
        let known = |key: &DepositKey| told.as_ref().is_none_or(|told| told.contains(key));
        told = Some(reading.money.iter().filter(|key| known(key)).copied().collect());
    }
    let contents = world.store.contents();
    let ignored = |key: &&DepositKey| {
        contents.deposits.get(*key).is_some_and(|deposit| matches!(deposit.verdict, Verdict::Ignored { .. }))
    };
    let told: Vec<DepositKey> = told?.into_iter().filter(|key| !ignored(&key)).collect();
    // What does not come to what would pay is nobody's hurdle.
    let mut sums: BTreeMap<Address, u128> = BTreeMap::new();
    for transfer in told.iter().filter_map(|key| world.chain().ever(key)) {
        *sums.entry(transfer.token).or_default() += transfer.amount.base_units();
    }
    let paying = order.amount.base_units().saturating_sub(world.settings.tolerance_under);
    let key = told.first().filter(|_| sums.values().any(|sum| *sum >= paying))?;
    Some(format!("although the chain told of {key}"))
}
