//! The ledger against the payment API's lists: payment by payment.

use std::collections::{BTreeMap, BTreeSet};

use super::{ApiFacts, Books, COMPLETION_GRACE, Difference, Kind, Listed, Said, Scope, words};
use crate::domain::chain::B256;
use crate::domain::deposit::{BlockStatus, Deposit, Verdict};
use crate::domain::payment::{ApiStatus, Outcome, Payment, PaymentId, PaymentState};

/// A hash that can be compared, however it was written.
fn plain(text: &str) -> String {
    let text = text.trim();
    text.parse::<B256>().map_or_else(|_| text.to_lowercase(), |hash| hash.to_string())
}

/// Payments that one side lacks, or has otherwise.
pub(super) fn payments(books: &Books, facts: &ApiFacts, scope: &Scope) -> Vec<Difference> {
    let mut paying: BTreeMap<&PaymentId, &Deposit> = BTreeMap::new();
    for deposit in books.deposits.values().filter(|deposit| deposit.stands()) {
        if let Verdict::Pays { payment, .. } = &deposit.verdict {
            paying.insert(payment, deposit);
        }
    }
    let mut bearers: BTreeMap<String, BTreeSet<&PaymentId>> = BTreeMap::new();
    for listed in facts.listed.values() {
        if let Some(hash) = &listed.tx_hash {
            bearers.entry(plain(hash)).or_default().insert(&listed.id);
        }
    }
    // One transaction may well pay several: then each has a deposit of its own in it.
    bearers.retain(|hash, ids| {
        let is_paid = |id: &&PaymentId| paying.get(*id).is_some_and(|deposit| deposit.key.tx_hash.to_string() == *hash);
        ids.len() > 1 && !ids.iter().all(is_paid)
    });
    let shared = |hash: &str| bearers.contains_key(&plain(hash));
    let mut all: Vec<Difference> = Vec::new();
    for (hash, ids) in &bearers {
        let names: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
        let owner = paying.iter().find(|(_, deposit)| deposit.key.tx_hash.to_string() == *hash);
        let here = owner.map_or(Said::Nothing, |(id, _)| words(format!("it pays {id}")));
        let there = words(format!("it pays {}", names.join(", ")));
        let difference = Difference { tx_hash: Some(hash.clone()), ..Difference::new(Kind::HashTwice, here, there) };
        all.push(ids.first().map_or(difference.clone(), |id| difference.of_payment(id)));
    }
    let unknown = facts.listed.values().filter(|listed| {
        let in_scope = listed.created_at.is_none_or(|at| scope.has(at));
        listed.is_ours && in_scope && !books.payments.contains_key(&listed.id)
    });
    all.extend(unknown.map(|listed| {
        let there = words(listed.status.as_str());
        let difference = Difference::new(Kind::UnknownHere, Said::Nothing, there).of_payment(&listed.id);
        Difference { tx_hash: listed.tx_hash.clone(), address: listed.address, ..difference }
    }));
    for payment in books.payments.values().filter(|payment| scope.has(payment.terms.created_at)) {
        if facts.absent.contains(&payment.id) {
            let here = words(payment.state.name());
            all.push(Difference::new(Kind::UnknownThere, here, Said::Nothing).of_payment(&payment.id));
        }
        if let Some(listed) = facts.listed.get(&payment.id) {
            let deposit = paying.get(&payment.id).copied();
            all.extend(terms(payment, listed));
            all.extend(standing(payment, listed, deposit, &shared, scope));
        }
    }
    all
}

/// What is asked for, where and how much.
fn terms(payment: &Payment, listed: &Listed) -> Vec<Difference> {
    let (terms, mut all) = (&payment.terms, Vec::new());
    if let Some(amount) = listed.amount.filter(|amount| *amount != terms.amount) {
        let (here, there) = (Said::Amount(terms.amount, terms.token), Said::Amount(amount, terms.token));
        all.push(Difference::new(Kind::ApiAmountDiffers, here, there).of_payment(&payment.id));
    }
    if let Some(address) = listed.address.filter(|address| *address != terms.deposit_address) {
        let (here, there) = (words(terms.deposit_address.to_string()), words(address.to_string()));
        let difference = Difference::new(Kind::ApiAddressDiffers, here, there).of_payment(&payment.id);
        all.push(Difference { address: Some(address), ..difference });
    }
    all
}

/// How far both sides are, and by which transaction. At most one difference: the hash speaks before the status.
fn standing(
    payment: &Payment,
    listed: &Listed,
    deposit: Option<&Deposit>,
    shared: &dyn Fn(&str) -> bool,
    scope: &Scope,
) -> Option<Difference> {
    let about = |kind, here: Said| {
        let there = match &listed.tx_hash {
            Some(hash) => words(format!("{}, transaction {hash}", listed.status)),
            None => words(listed.status.as_str()),
        };
        let difference = Difference::new(kind, here, there).of_payment(&payment.id);
        Some(Difference { tx_hash: listed.tx_hash.clone(), deposit: deposit.map(|deposit| deposit.key), ..difference })
    };
    let ours = deposit.map(|deposit| deposit.key.tx_hash).or(payment.state.deposit().map(|key| key.tx_hash));
    if let (Some(ours), Some(theirs)) = (ours, &listed.tx_hash)
        && plain(theirs) != ours.to_string()
    {
        // That two payments bear it says more.
        return if shared(theirs) { None } else { about(Kind::OtherHash, words(format!("transaction {ours}"))) };
    }
    let here = || words(payment.state.name());
    let waits = listed.status == ApiStatus::AwaitingFunds && listed.tx_hash.is_none();
    match (&payment.state, listed.status.outcome()) {
        // A person stopped our part; over there it goes its own way. A call under way is looked into by itself.
        (PaymentState::Ended { outcome: Outcome::Cancelled, .. }, _)
        | (PaymentState::Calling { .. } | PaymentState::Unclear { .. }, _) => None,
        (PaymentState::Ended { outcome, .. }, Some(theirs)) if *outcome == theirs => {
            let is_bare = theirs == Outcome::Completed && ours.is_none();
            if is_bare { about(Kind::CompletedWithoutDeposit, Said::Nothing) } else { None }
        }
        (PaymentState::Ended { outcome, .. }, _) => {
            about(Kind::EndedHereNotThere, words(format!("ended: {}", outcome_word(*outcome))))
        }
        (PaymentState::Following { .. }, Some(_)) => about(Kind::EndedThereFollowedHere, here()),
        (PaymentState::Following { .. }, None) => None,
        _ if !waits => about(Kind::TakenThereOpenHere, here()),
        _ => {
            let final_at = deposit.and_then(|deposit| match deposit.standing {
                BlockStatus::Final { at } => Some(at),
                BlockStatus::Provisional | BlockStatus::Gone { .. } => None,
            });
            let is_late = final_at.is_some_and(|at| scope.now.since(at) > COMPLETION_GRACE);
            if is_late { about(Kind::FinalNotCompleted, here()) } else { None }
        }
    }
}

const fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::Failed => "failed",
        Outcome::Expired => "expired",
        Outcome::Refunded => "refunded",
        Outcome::Cancelled => "cancelled",
    }
}
