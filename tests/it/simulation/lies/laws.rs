//! What must hold whatever one operator says, whatever the clocks say, and whatever the store has forgotten: held against
//! the true chain alone.
//!
//! In any 24 hours of block time no more leaves the wallet than its limits allow. A payment is paid once. What is final
//! is seen and completed within a bound once the lies have ended, by itself. One silent operator of three delays nothing.

use std::collections::BTreeMap;

use rampwatch::domain::chain::B256;
use rampwatch::domain::coverage::Swept;
use rampwatch::domain::deposit::{BlockStatus, Deposit, Verdict};
use rampwatch::domain::event::{Alarm, EventKind, WalletChange};
use rampwatch::domain::operator::Operator;
use rampwatch::domain::payment::{PaymentId, RecipientId};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::ports::clock::Clock;

use super::super::end_checks;
use super::super::world::World;
use super::settings::Danger;
use crate::support::memory_store::Contents;

/// The window of the limits.
const DAY: Span = Span::from_secs(86_400);
/// So far before an adoption its reading of the chain may end: endpoints lag, and the chain's clock is behind.
const ADOPTS_WITHIN: Span = Span::from_secs(120);
/// So long after the last lie everything that is final is seen, and what it pays is completed. A payment that a person has is
/// asked about every ten minutes, whether the API has opened it again.
pub(crate) const AFTER_LIES: Span = Span::from_secs(720);
/// A completion comes no later than this after its deposit is final, where one operator of three is silent.
const AT_ONCE: Span = Span::from_secs(60);

/// A transfer of the wallet on the true chain.
struct Left {
    at: Timestamp,
    amount: u128,
    payment: PaymentId,
    recipient: RecipientId,
}

/// The chain has changed: what has left the wallet keeps to the limits, and pays nothing twice.
pub(crate) fn what_left(world: &World) {
    let Some(settings) = &world.settings.wallet else { return };
    let left = all_that_left(world);
    let limits = &settings.rules.limits;
    let mut of_payment: BTreeMap<&PaymentId, u32> = BTreeMap::new();
    for transfer in &left {
        *of_payment.entry(&transfer.payment).or_default() += 1;
    }
    for (payment, times) in of_payment.iter().filter(|(_, times)| **times > 1) {
        world.violate(&format!("{payment} was paid {times} times on the true chain"));
    }
    let all: Vec<&Left> = left.iter().collect();
    let total: u128 = left.iter().map(|transfer| transfer.amount).sum();
    if total > limits.max_per_day.base_units() {
        world.count("law: more has left than on one day, on several");
    }
    if let Some((sum, at)) = most_in_a_day(&all, limits.max_per_day.base_units()) {
        world.violate(&format!("{sum} left the wallet in the 24 hours up to {}", at.as_secs()));
    }
    let mut to_recipient: BTreeMap<&RecipientId, Vec<&Left>> = BTreeMap::new();
    for transfer in &left {
        to_recipient.entry(&transfer.recipient).or_default().push(transfer);
    }
    for (recipient, theirs) in to_recipient {
        if let Some((sum, at)) = most_in_a_day(&theirs, limits.max_per_recipient.base_units()) {
            world.violate(&format!("{sum} went to {recipient} in the 24 hours up to {}", at.as_secs()));
        }
    }
}

/// An older copy of the store comes back: what was broadcast and is not in it is forgotten.
pub(crate) fn comes_back_older(world: &World, older: &Contents) {
    let knows = |hash: B256| older.orders.values().any(|order| order.attempt(hash).is_some());
    for (hash, sent) in &mut world.lies().sent {
        sent.is_forgotten |= !knows(*hash);
    }
}

/// By the time of its block. A transfer that the store has forgotten, and that is mined only after the wallet was adopted, nobody
/// could know of: it lay in some node's queue, behind a nonce that was never sent. Nor could anybody where nothing had to be
/// adopted, because it was mined after the copy had come back.
fn all_that_left(world: &World) -> Vec<Left> {
    let adopted_at = world.store.look(|contents| {
        let mut since = contents.events.iter().filter(|recorded| !world.is_forgotten(recorded.event.at));
        let adopted = since.find(|recorded| {
            matches!(&recorded.event.kind, EventKind::WalletChanged { change: WalletChange::Adopted { .. }, .. })
        });
        adopted.map_or(Timestamp::FAR_FUTURE, |recorded| recorded.event.at)
    });
    // At an address of several payments, what nobody remembers may pay another one than it was sent for. Each is to be paid once
    // all the same.
    let pays: BTreeMap<B256, PaymentId> = world.store.look(|contents| {
        let paying = contents.deposits.values().filter_map(|deposit| match &deposit.verdict {
            Verdict::Pays { payment, .. } => Some((deposit.key.tx_hash, payment.clone())),
            _ => None,
        });
        paying.collect()
    });
    let told = world.lies();
    let chain = world.chain();
    let mut left: Vec<Left> = told
        .sent
        .values()
        .filter_map(|sent| {
            let (mined, block) = chain.mined_now(sent.signed.hash)?;
            let transfer = sent.signed.transfer().filter(|_| mined.succeeded)?;
            let planned = world.plan.payments.iter().find(|planned| planned.id == sent.payment)?;
            let at = chain.time_of(block)?;
            let is_late = at.plus(ADOPTS_WITHIN) >= adopted_at;
            let is_unadopted = adopted_at == Timestamp::FAR_FUTURE && !world.is_forgotten(at);
            if sent.is_forgotten && (is_late || is_unadopted) {
                return None;
            }
            let paid = pays.get(&sent.signed.hash).filter(|_| sent.is_forgotten);
            Some(Left {
                at,
                amount: transfer.amount.base_units(),
                payment: paid.unwrap_or(&sent.payment).clone(),
                recipient: planned.recipient.clone(),
            })
        })
        .collect();
    left.sort_by_key(|transfer| transfer.at);
    left
}

/// The first 24 hours in which more than this left, and how much.
fn most_in_a_day(left: &[&Left], limit: u128) -> Option<(u128, Timestamp)> {
    left.iter().find_map(|last| {
        let within = left.iter().filter(|it| it.at <= last.at && last.at.since(it.at) < DAY);
        let sum: u128 = within.map(|it| it.amount).sum();
        (sum > limit).then_some((sum, last.at))
    })
}

/// A deposit was stored that never was. One operator's word makes it seen, and final; but where two must agree, it completes
/// nothing.
pub(crate) fn on_false_deposit(world: &World, old: Option<&Deposit>, new: &Deposit) {
    let is_told = {
        let told = world.lies();
        told.invented.contains(&new.key.tx_hash) || told.placed.contains_key(&new.key.tx_hash)
    };
    if !is_told {
        return world.violate(&format!("deposit {} never existed", new.key));
    }
    world.count(if old.is_none() {
        "deposit: one that never was is seen"
    } else {
        "deposit: one that never was changes"
    });
    on_false_finality(world, new);
}

/// A deposit is called final that is not on the true chain, or not final there. That is one operator's word: it is kept
/// whose, and completes nothing where two must agree.
pub(crate) fn on_false_finality(world: &World, deposit: &Deposit) {
    if !matches!(deposit.standing, BlockStatus::Final { .. }) {
        return;
    }
    world.count("deposit: called final by the operator that lies");
    let liar = Operator::named(&format!("operator-{}", world.settings.liar));
    // Who showed it, or who called its block final: both by one operator's word that is not the liar's would be new.
    if world.settings.agreement > 1 && deposit.said_by().is_some_and(|said_by| *said_by != liar) {
        world.violate(&format!("{deposit:?} is called final, and is not, by an operator that does not lie"));
    }
}

/// An alarm was raised. Where nobody says anything false, operators do not contradict each other.
pub(crate) fn on_alarm(world: &World, alarm: &Alarm) {
    match alarm {
        Alarm::OperatorsDisagree { about, .. } => {
            let what = about.split_whitespace().next().unwrap_or_default();
            world.count(&format!("{what}: operators contradict each other"));
            world.note(&format!("operators contradict each other about {about}"));
            if !world.settings.lies() && !world.finality_is_broken() {
                world.violate(&format!("operators are said to contradict each other about {about}, and nobody lies"));
            }
        }
        Alarm::AgreementMissing { about, .. } => {
            world.count("alarm: too few operators say anything");
            world.note(&format!("too few operators say anything about {about}"));
        }
        Alarm::KeyRefused { .. } if !world.has_refused_the_key() => {
            world.violate("the API is said to refuse the key, and it refused one payment");
        }
        Alarm::CoverageAboveHead { covered, head, .. } => {
            world.count("watcher: coverage above the head is taken back");
            world.note(&format!("blocks up to {covered} counted, and the head is {head}"));
        }
        _ => {}
    }
}

/// What was read a second time is there: where two must agree, that reading is more than one operator's. That it is final is
/// one operator's word.
pub(crate) fn confirmed_truly(world: &World, swept: &Swept) {
    let head = world.chain().head_number();
    if world.settings.agreement > 1 && swept.confirmed_to > head {
        world.violate(&format!("blocks were read twice that are not there, the head is {head}: {swept:?}"));
    }
}

/// The lies have ended long enough ago: everything that is final is seen, and what is plainly paid is completed.
pub(crate) fn after_the_lies(world: &World) {
    if world.settings.danger.is_none() || world.clock.elapsed() < world.settings.chaos.plus(AFTER_LIES) {
        return;
    }
    if std::mem::replace(&mut world.lies().looked_after, true) {
        return;
    }
    world.count("law: looked at what is final after the lies");
    let head = world.chain().head_number();
    for coverage in world.store.contents().coverage.values().filter(|coverage| !coverage.closed) {
        if coverage.swept.is_some_and(|swept| swept.covered_to > head) {
            world.violate(&format!("blocks count as read that are not there, the head is {head}: {coverage:?}"));
        }
    }
    end_checks::what_is_final_is_done(world);
}

/// A completion of ours was accepted, with the deposit in a block that is final since then.
pub(crate) fn on_accepted(world: &World, id: &PaymentId, hash: B256, final_since: Option<Timestamp>) {
    // A person takes as long as a person takes.
    if world.settings.danger != Some(Danger::Silence) || world.was_assigned(id) {
        return;
    }
    let added_at = world.store.look(|contents| contents.payments.get(id).map(|payment| payment.added_at));
    let Some((final_since, added_at)) = final_since.zip(added_at) else { return };
    let known_since = final_since.max(added_at).max(left_review_at(world, hash));
    let took = world.clock.now().since(known_since);
    world.count("law: completed although an operator is silent");
    world.log().most("seconds to complete although an operator is silent", took.as_secs());
    if took > AT_ONCE {
        world.violate(&format!("{id} was completed {} s after its deposit was final", took.as_secs()));
    }
}

/// Since when a deposit that was with a person at first pays by itself: the payment that it could have been for as well is over.
fn left_review_at(world: &World, hash: B256) -> Timestamp {
    let mut was_with_person = false;
    world.store.look(|contents| {
        let judged = contents.events.iter().filter_map(|recorded| match &recorded.event.kind {
            EventKind::DepositJudged { verdict } if recorded.event.deposit.is_some_and(|it| it.tx_hash == hash) => {
                Some((recorded.event.at, verdict))
            }
            _ => None,
        });
        judged.fold(Timestamp::EPOCH, |since, (at, verdict)| match verdict {
            Verdict::Review { .. } => {
                was_with_person = true;
                since
            }
            Verdict::Pays { .. } if was_with_person => at,
            _ => since,
        })
    })
}

/// The end: what was lied about, and came to a good end all the same.
pub(crate) fn count_what_held(world: &World) {
    let told = world.lies();
    let paid = |hash| world.chain().mined_now(hash).is_some_and(|(mined, _)| mined.succeeded);
    let lied_about = told.hidden.iter().copied().filter(|hash| paid(*hash)).count();
    let completed = |hash: &B256| {
        let hash = hash.to_string();
        world.api().accepted.iter().any(|accepted| accepted.by_us && accepted.hash == hash)
    };
    let (believed, refused): (Vec<B256>, Vec<B256>) = told.invented.iter().copied().partition(completed);
    let counts = [
        ("law: a transfer that was said to have failed moved its amount once", lied_about),
        ("law: an invented deposit completed nothing", refused.len()),
        ("one operator's invented deposit completed a payment", believed.len()),
    ];
    drop(told);
    for (what, times) in counts {
        for _ in 0..times {
            world.count(what);
        }
    }
}
