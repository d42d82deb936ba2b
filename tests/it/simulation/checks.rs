//! What must hold at every commit, at every `/complete` call and at every acceptance. What must hold at the end is in
//! `end_checks`.
//!
//! Everything is compared with the true chain and the API's server, never with what the process was told.

use std::collections::BTreeMap;

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{B256, Transfer};
use rampwatch::domain::coverage::Coverage;
use rampwatch::domain::deposit::{BlockStatus, Deposit, DepositKey};
use rampwatch::domain::event::EventKind;
use rampwatch::domain::payment::{Payment, PaymentId, PaymentReview, PaymentState};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::ports::clock::Clock;
use rampwatch::ports::store::{Commit, Store};

use super::lies::laws;
use super::lies::settings::Danger;
use super::plan::Planned;
use super::world::{World, short};
use super::{counted, intake, late_logs, odd_nodes, verdicts, wallet, words};
use crate::support::memory_store::MemoryStore;

/// The records that a commit replaces.
pub(super) struct Before {
    payments: BTreeMap<PaymentId, Payment>,
    deposits: BTreeMap<DepositKey, Deposit>,
    coverage: Vec<Coverage>,
}

/// Reads what the commit is about to replace.
pub(super) async fn before(store: &MemoryStore, commit: &Commit) -> Before {
    let mut before = Before { payments: BTreeMap::new(), deposits: BTreeMap::new(), coverage: Vec::new() };
    for payment in &commit.payments {
        if let Some(old) = store.payment(&payment.id).await.expect("memory") {
            before.payments.insert(old.id.clone(), old);
        }
    }
    for deposit in &commit.deposits {
        if let Some(old) = store.deposit(&deposit.key).await.expect("memory") {
            before.deposits.insert(old.key, old);
        }
    }
    for coverage in &commit.coverage {
        before.coverage.extend(store.coverage(coverage.address).await.expect("memory"));
    }
    before
}

/// A commit has been made.
pub(super) async fn on_commit(world: &World, store: &MemoryStore, before: &Before, commit: &Commit) {
    for payment in &commit.payments {
        if !before.payments.contains_key(&payment.id) {
            intake::is_as_opened(world, payment);
        }
        payment_is_explained(world, before.payments.get(&payment.id), payment, commit);
        words::on_payment(world, before.payments.get(&payment.id), payment);
        let was = before.payments.get(&payment.id).map(|old| &old.state);
        // A call that was made by a clock that was ahead is only given its time once more: no other is made.
        if let PaymentState::Calling { deposit, attempt, .. } = &payment.state
            && !matches!(was, Some(PaymentState::Calling { attempt: before, .. }) if before == attempt)
        {
            calling_is_allowed(world, store, payment, deposit).await;
        }
    }
    for deposit in &commit.deposits {
        deposit_is_explained(world, before.deposits.get(&deposit.key), deposit, commit);
        deposit_is_true(world, before.deposits.get(&deposit.key), deposit);
        if !before.deposits.contains_key(&deposit.key) {
            late_logs::on_first_sight(world, deposit);
            odd_nodes::on_first_sight(world, deposit);
        }
    }
    let verdict_of = |key: &DepositKey| before.deposits.get(key).map(|old| &old.verdict);
    let judged: Vec<_> =
        commit.deposits.iter().filter(|deposit| verdict_of(&deposit.key) != Some(&deposit.verdict)).collect();
    if !judged.is_empty() {
        let contents = store.contents();
        for deposit in judged {
            verdicts::is_right(world, &contents, deposit);
        }
    }
    for coverage in &commit.coverage {
        let old = before.coverage.iter().find(|old| old.address == coverage.address);
        coverage_is_honest(world, old, coverage);
        counted::on_coverage(world, store, old, coverage, commit).await;
        if coverage.closed && old.is_some_and(|old| !old.closed) {
            world.count("coverage: closed");
            let payments = store.payments_at(coverage.address).await.expect("memory");
            if let Some(open) = payments.iter().find(|payment| !payment.state.is_ended()) {
                world.violate(&format!("the address of {} is closed, and the payment is {:?}", open.id, open.state));
            }
        }
    }
    for event in &commit.events {
        if let EventKind::Alarm { alarm } = &event.kind {
            laws::on_alarm(world, alarm);
        }
    }
    wallet::commits::on_commit(world, store, commit).await;
    if !commit.payments.is_empty() {
        no_deposit_serves_two(world, &store.payments(None, 10_000).await.expect("memory"));
    }
}

/// Every change of a payment is told by the events of the same commit, step by step.
fn payment_is_explained(world: &World, old: Option<&Payment>, new: &Payment, commit: &Commit) {
    let mut told: Option<Payment> = old.cloned();
    for event in commit.events.iter().filter(|event| event.payment.as_ref() == Some(&new.id)) {
        match (&event.kind, &mut told) {
            (EventKind::PaymentAdded { payment }, None) => told = Some(payment.as_ref().clone()),
            (EventKind::PaymentMoved { from, to, why }, Some(told)) => {
                if told.state != **from || why.is_empty() {
                    world.violate(&format!("{} is told to move from {from:?}, and was {:?}", new.id, told.state));
                }
                told.state = to.as_ref().clone();
                world.note(&format!("{} is {}: {why}", new.id, to.name()));
                world.count(&format!("payment: {}", to.name()));
                if matches!(&**to, PaymentState::Review { why: PaymentReview::Unreadable { .. }, .. }) {
                    world.count("payment: review, unreadable");
                }
            }
            (EventKind::ApiReported { view }, Some(told)) => told.api = Some(view.clone()),
            _ => {}
        }
    }
    let Some(told) = told else {
        return world.violate(&format!("{} appeared without an event", new.id));
    };
    if told.state != new.state {
        world.violate(&format!("no event tells how {} came from {:?} to {:?}", new.id, told.state, new.state));
    }
    let word = |payment: &Payment| payment.api.as_ref().map(|view| (view.status.clone(), view.tx_hash.clone()));
    if word(&told) != word(new) {
        world.violate(&format!("no event tells what the API said of {}", new.id));
    }
    if told.terms != new.terms || told.recipient_id != new.recipient_id {
        world.violate(&format!("the terms of {} changed", new.id));
    }
}

/// Every change of a deposit is told by the events of the same commit.
fn deposit_is_explained(world: &World, old: Option<&Deposit>, new: &Deposit, commit: &Commit) {
    let mut told: Option<Deposit> = old.cloned();
    for event in commit.events.iter().filter(|event| event.deposit == Some(new.key)) {
        match (&event.kind, &mut told) {
            (EventKind::DepositSeen { deposit, reading }, None) => {
                world.note(&format!("deposit {} seen by {reading:?}", short(&new.key.tx_hash)));
                world.count(&format!("deposit: seen by {reading:?}"));
                told = Some(deposit.as_ref().clone());
            }
            (EventKind::DepositStands { standing, made_at, .. }, Some(told)) => {
                told.block_time = made_at.unwrap_or(told.block_time);
                world.note(&format!("deposit {} is {standing:?}", short(&new.key.tx_hash)));
                told.standing = *standing;
            }
            (EventKind::DepositJudged { verdict }, Some(told)) => {
                world.note(&format!("deposit {} is judged: {verdict:?}", short(&new.key.tx_hash)));
                told.verdict = verdict.clone();
            }
            _ => {}
        }
    }
    let Some(mut told) = told else {
        return world.violate(&format!("deposit {} appeared without an event", new.key));
    };
    // Whose word it is that it is final goes with the standing.
    let is_final = matches!(new.standing, BlockStatus::Final { .. });
    told.final_by = new.final_by.clone().filter(|_| is_final || told.final_by.is_some());
    told.version = new.version;
    // What is only counted is told now and then.
    told.tally.clone_from(&new.tally);
    if told != *new {
        world.violate(&format!("events tell {told:?}, stored is {new:?}"));
    }
}

/// A stored deposit is one that the chain has, or had; and it is called final only when it is.
fn deposit_is_true(world: &World, old: Option<&Deposit>, new: &Deposit) {
    let chain = world.chain();
    let Some(truth) = chain.ever(&new.key) else {
        drop(chain);
        return laws::on_false_deposit(world, old, new);
    };
    let same = truth.block == new.block()
        && truth.token == new.token
        && truth.from == new.from
        && truth.to == new.to
        && truth.amount == new.amount;
    let is_final = matches!(new.standing, BlockStatus::Final { .. });
    // What a log says of its block's time serves until the deposit is final, where nothing hangs on it.
    let timely = truth.block_time == Some(new.block_time);
    if !timely && !is_final {
        world.count("odd node: its time is kept for now");
    }
    if !same || (is_final && !timely) {
        world.violate(&format!("deposit {new:?} is in truth {truth:?}"));
    }
    let was_final = old.is_some_and(|old| matches!(old.standing, BlockStatus::Final { .. }));
    if is_final && !was_final {
        world.count("deposit: final");
        if old.is_none() {
            world.count("deposit: final as read");
        }
        let stands = chain.is_canonical(new.block()) || world.settings.beyond_finality;
        if (new.block_number > chain.final_to() || !stands) && world.settings.lies() {
            laws::on_false_finality(world, new);
        } else if new.block_number > chain.final_to() || !stands {
            world.violate(&format!("deposit {} is called final and is not", new.key));
        }
    }
    if matches!(new.standing, BlockStatus::Gone { .. }) && chain.is_canonical(new.block()) {
        // A node that lags behind a reorg can say so in good faith; what is gone must be able to come back.
        world.count("deposit: said to be gone by a node that lags");
    }
}

/// Only final blocks are counted as swept, and none twice before it was read once.
fn coverage_is_honest(world: &World, old: Option<&Coverage>, new: &Coverage) {
    let Some(swept) = new.swept else { return };
    let final_to = world.chain().final_to();
    let some = swept.covered_to >= swept.start;
    if world.settings.lies() {
        laws::confirmed_truly(world, &swept);
    }
    let too_far = some && swept.covered_to > final_to && !world.settings.lies();
    if too_far || swept.confirmed_to > swept.covered_to {
        world.violate(&format!("covered, and blocks are final up to {final_to}: {new:?}"));
    }
    let fell = old.and_then(|old| old.swept).is_some_and(|old| {
        // What all have disowned is read a second time again, where several have to agree.
        let is_owed_again = swept.second_reading.is_some() && world.settings.agreement > 1;
        let unconfirmed = old.confirmed_to > swept.confirmed_to && !is_owed_again;
        old.start == swept.start && (old.covered_to > swept.covered_to || unconfirmed)
    });
    if fell && !world.settings.beyond_finality && !world.settings.lies() {
        world.violate(&format!("coverage fell from {old:?} to {new:?}"));
    }
}

/// How long ago the process may have been told that a deposit is final when it decides to call: what it relies upon
/// without asking again, and the time that everything takes until then at the slowest.
const FRESH: Span = Span::from_secs(40);

/// A call is decided only for a final deposit in a block that is not above the final one as last believed; or that was
/// told to be final again since the final block moved back. A call that is being decided while it moves back may go on. In any case the process was
/// told a short time ago that the block is final, however long the payment has been due.
async fn calling_is_allowed(world: &World, store: &MemoryStore, payment: &Payment, key: &DepositKey) {
    let deposit = store.deposit(key).await.expect("memory");
    let mark = store.finality().await.expect("memory");
    let allowed = deposit.as_ref().is_some_and(|deposit| {
        let number = deposit.block_number;
        // Without a mark the chain is asked each time.
        let is_below = mark.is_none_or(|mark| {
            let moved_just_now = mark.at.plus(Span::from_secs(3)) > world.clock.now();
            number <= mark.current.number || moved_just_now || world.was_told_final(number, mark.at)
        });
        let BlockStatus::Final { at } = deposit.standing else { return false };
        if at.plus(Span::from_secs(100)) < world.clock.now() {
            world.count("payment: called long after its deposit was final");
        }
        // What a clock that was ahead has dated just now was told some minutes ago.
        let is_dated_anew = world.settings.danger == Some(Danger::Clocks)
            && world.chain().is_canonical(deposit.block())
            && number <= world.chain().final_to();
        is_below && (is_dated_anew || world.was_told_final(number, world.clock.now().minus(FRESH)))
    });
    if !allowed {
        let last = world.last_told_final();
        world.violate(&format!(
            "{} is called for a deposit that was not just told to be final: {deposit:?}, with {mark:?}; told last: {last:?}",
            payment.id
        ));
    }
}

/// No deposit completes two payments.
fn no_deposit_serves_two(world: &World, payments: &[Payment]) {
    let mut serves: BTreeMap<DepositKey, &PaymentId> = BTreeMap::new();
    for payment in payments {
        let key = match &payment.state {
            PaymentState::Seen { deposit }
            | PaymentState::Due { deposit, .. }
            | PaymentState::Calling { deposit, .. }
            | PaymentState::Unclear { deposit, .. }
            | PaymentState::Following { deposit: Some(deposit) } => *deposit,
            _ => continue,
        };
        if let Some(other) = serves.insert(key, &payment.id) {
            world.violate(&format!("deposit {key} serves {other} and {}", payment.id));
        }
    }
}

/// The process calls `/complete`.
pub(super) fn on_call(world: &World, id: &PaymentId, hash: B256, now: Timestamp) {
    pays_truly(world, id, hash, "called");
    let timeout = world.settings.api_timeout;
    let mut broken = Vec::new();
    {
        let api = world.api();
        // A call that was decided upon an older answer is not made.
        if api.told_awaiting.get(id).is_none_or(|asked_at| now.since(*asked_at) > timeout) {
            broken.push(format!("{id} is called without a fresh word that it awaits funds"));
        }
        // Of a call from before an older copy of the store came back nothing is known.
        let last = api.calls.iter().rev().find(|call| call.payment == *id);
        if let Some(last) = last.filter(|last| !world.is_forgotten(last.started_at)) {
            let safe_at = if last.clear { last.started_at } else { last.started_at.plus(timeout.times(2)) };
            if now < safe_at {
                broken.push(format!("{id} is called while the call before can still act"));
            }
            if api.told_awaiting.get(id).is_none_or(|asked_at| *asked_at < safe_at) {
                broken.push(format!("{id} is called again without asking first whether it still awaits funds"));
            }
        }
    }
    for what in broken {
        world.violate(&what);
    }
    one_log_one_payment(world, id, hash);
}

/// The API accepted a completion of ours.
pub(super) fn on_accepted(world: &World, id: &PaymentId, hash: B256) {
    let paid_by = pays_truly(world, id, hash, "completed");
    let final_since = paid_by.and_then(|transfer| world.chain().final_since(transfer.block.number));
    laws::on_accepted(world, id, hash, final_since);
    let times = world.api().accepted.iter().filter(|accepted| accepted.payment == *id && accepted.by_us).count();
    if times > 1 {
        world.violate(&format!("{id} was completed {times} times"));
    }
}

/// The transaction holds a final transfer that pays this payment, on the true chain, now.
fn pays_truly(world: &World, id: &PaymentId, hash: B256, what: &str) -> Option<Transfer> {
    let planned = world.plan.payments.iter().find(|planned| planned.id == *id).expect("only these exist");
    let assigned = world.was_assigned(id);
    let pays = |transfer: &Transfer| {
        transfer.token == world.settings.token
            && transfer.to == planned.address
            && transfer.from != transfer.to
            && (assigned || amount_fits(world, planned, transfer.amount))
    };
    let found = {
        let chain = world.chain();
        let mut found = chain.of_tx(hash).into_iter().find(pays);
        found = found.filter(|transfer| transfer.block.number <= chain.final_to());
        // Where all that is looked for is what happens long after the reorg, there is no such excuse.
        if found.is_none() && world.settings.long_due.is_none() && world.just_broke_finality(Span::from_secs(60)) {
            found = chain.of_tx_ever(hash).into_iter().find(pays);
        }
        found
    };
    if found.is_none() && world.settings.one_word() {
        world.count("one operator's word completed a payment");
    } else if found.is_none() {
        world.violate(&format!("{id} is {what} with {hash}, which does not pay it finally"));
    }
    found
}

fn amount_fits(world: &World, planned: &Planned, got: Amount) -> bool {
    let (asked, got) = (planned.amount.base_units(), got.base_units());
    got > 0 && got + world.settings.tolerance_under >= asked && got <= asked + world.settings.tolerance_over
}

/// No log of a transaction completes two payments, whatever block it sits in.
fn one_log_one_payment(world: &World, id: &PaymentId, hash: B256) {
    let payment = world.store.contents().payments.get(id).cloned();
    let Some(PaymentState::Calling { deposit, .. }) = payment.map(|payment| payment.state) else {
        return world.violate(&format!("{id} is called, and the store does not say so"));
    };
    if deposit.tx_hash != hash {
        return world.violate(&format!("{id} is called with {hash}, and its deposit is {deposit}"));
    }
    let place = world.chain().place_in_tx(&deposit);
    // A call that the API never took, and that is not on its way to it any more, has completed nothing.
    let other = world.completes(hash, place, id).filter(|other| world.api().may_complete(other, hash));
    if let Some(other) = other {
        world.violate(&format!("the same transfer of {hash} completes {other} and {id}"));
    }
}
