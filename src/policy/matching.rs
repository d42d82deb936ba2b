//! Which deposit pays which payment: by token, recipient and amount in base units, and refusing to guess.
//!
//! [`decide`] looks at one deposit and the payments of its address; [`judge`] does so for all deposits of an
//! address in the order of the chain. Deliberately absent: the transaction's own sender and call data, which say
//! nothing about who paid (relayers, smart wallets and exchanges send for others).

use std::collections::BTreeMap;

use super::strays::{self, plus};
use crate::domain::amount::Amount;
use crate::domain::chain::{Address, B256};
use crate::domain::deposit::{BlockStatus, Deposit, DepositKey, MatchRule, NothingReason, ReviewReason, Verdict};
use crate::domain::order::{AttemptKind, Order, OrderId};
use crate::domain::payment::{Outcome, Payment, PaymentId, PaymentState};
use crate::domain::time::Span;
use crate::domain::time::Timestamp;
use crate::planted::{Bug, planted};

/// The most candidates that an ambiguous verdict names.
const MAX_NAMED_CANDIDATES: usize = 8;

/// What counts as the right amount and the right time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatchParams {
    /// How much less than the amount is still taken, in base units.
    pub under: Amount,
    /// How much more than the amount is still taken, in base units.
    pub over: Amount,
    /// How far the chain's clock and the API's may be apart.
    pub skew: Span,
}

/// How well an amount fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    Exact,
    Near,
    Under,
    Over,
}

/// Where a payment stands towards one deposit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// The API has taken this very transaction for it, or its state already speaks of this deposit.
    Taken,
    /// It waits for its deposit, and this one came in time.
    Open,
    /// It waits or is over, and the deposit's block is older than the payment.
    Early,
    /// It waits or is over, and the deposit's block is younger than its expiry.
    Late,
    /// It has its deposit.
    Paid,
    /// It is over, or a person has it.
    Over,
}

/// What our own wallet has to do with an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Whether the address is the wallet's own.
    pub is_wallet: bool,
    /// The transfers to it that our orders have signed, by transaction: the order, and the wallet that pays.
    pub transfers: BTreeMap<B256, (OrderId, Address)>,
}

impl Own {
    /// From all orders that pay to the address.
    #[must_use]
    pub fn from_orders(is_wallet: bool, orders: &[Order]) -> Self {
        let transfers = orders.iter().flat_map(|order| {
            let signed = order.attempts.iter().filter(|attempt| attempt.kind == AttemptKind::Transfer);
            signed.map(|attempt| (attempt.tx_hash, (order.id.clone(), order.wallet)))
        });
        Self { is_wallet, transfers: transfers.collect() }
    }

    /// The order whose transfer the deposit is. A log of the same transaction from somebody else's balance is not it.
    fn order_of(&self, deposit: &Deposit) -> Option<&OrderId> {
        let (order, wallet) = self.transfers.get(&deposit.key.tx_hash)?;
        (*wallet == deposit.from).then_some(order)
    }
}

/// Which payments already have their deposit.
pub type Claims = BTreeMap<PaymentId, DepositKey>;

/// Judges one deposit. `payments` are all of its address, `claims` those that have another deposit.
#[must_use]
pub fn decide(deposit: &Deposit, payments: &[Payment], claims: &Claims, params: &MatchParams) -> Verdict {
    if deposit.amount.is_zero() {
        return Verdict::Nothing { why: NothingReason::ZeroValue };
    }
    if deposit.from == deposit.to && !planted(Bug::MoneyToItselfPays) {
        return Verdict::Nothing { why: NothingReason::SelfTransfer };
    }
    if payments.is_empty() {
        return Verdict::Review { why: ReviewReason::NoPayment };
    }
    let mut rated: Vec<(&Payment, Fit, Stand)> = payments
        .iter()
        .filter(|payment| payment.terms.token == deposit.token || planted(Bug::AnyTokenPays))
        .filter(|payment| payment.terms.chain_id == deposit.key.chain_id)
        .map(|payment| (payment, fit(deposit, payment, params), stand(deposit, payment, claims, params)))
        .collect();
    if rated.is_empty() {
        return Verdict::Review { why: ReviewReason::WrongToken };
    }
    // The order in which the payments happen to come must not show in a verdict.
    rated.sort_by(|(one, ..), (other, ..)| one.id.cmp(&other.id));
    // Money that the API took for one payment is not there for another, however well it would fit.
    for standing in [Stand::Taken, Stand::Open] {
        for wanted in [Fit::Exact, Fit::Near] {
            let open = rated.iter().filter(|(_, fit, stand)| *fit == wanted && *stand == standing);
            let open: Vec<&Payment> = open.map(|(payment, ..)| *payment).collect();
            // Money that came in time for a payment that has ended without any may have been meant for that one. Only a
            // person who cancelled it has said that it was not.
            let rivals = rated.iter().filter(|(payment, fit, stand)| {
                let fits = *fit == Fit::Exact || *fit == wanted;
                standing == Stand::Open && *stand == Stand::Over && fits && !is_cancelled(payment)
            });
            let rivals: Vec<&Payment> = rivals.map(|(payment, ..)| *payment).collect();
            if let Some(verdict) = choose(deposit, &open, &rivals, wanted) {
                return verdict;
            }
        }
    }
    Verdict::Review { why: why_none_fits(deposit, &rated) }
}

/// The one payment of several that fit, if it can be told. `rivals` fit as well, and cannot be paid any more.
fn choose(deposit: &Deposit, open: &[&Payment], rivals: &[&Payment], fit: Fit) -> Option<Verdict> {
    let pays = |payment: &Payment, rule| Some(Verdict::Pays { payment: payment.id.clone(), rule });
    match (open, rivals) {
        ([], _) => None,
        ([first, ..], _) if planted(Bug::GuessesBetweenTwo) => pays(first, MatchRule::Exact),
        ([payment], []) if fit == Fit::Exact => pays(payment, MatchRule::Exact),
        ([payment], []) => {
            pays(payment, MatchRule::Tolerance { off_by: payment.terms.amount.distance(deposit.amount) })
        }
        _ => {
            let names = |payment: &&&Payment| payment.terms.sender == Some(deposit.from);
            let named: Vec<&&Payment> = open.iter().filter(names).collect();
            if let ([payment], false) = (named.as_slice(), rivals.iter().any(|rival| names(&rival))) {
                return pays(payment, MatchRule::Sender);
            }
            let mut candidates: Vec<PaymentId> = open.iter().chain(rivals).map(|payment| payment.id.clone()).collect();
            candidates.sort();
            candidates.truncate(MAX_NAMED_CANDIDATES);
            Some(Verdict::Review { why: ReviewReason::Ambiguous { candidates } })
        }
    }
}

/// Names the nearest reason why no open payment fits. `rated` is not empty.
fn why_none_fits(deposit: &Deposit, rated: &[(&Payment, Fit, Stand)]) -> ReviewReason {
    let fits = |fit: Fit| matches!(fit, Fit::Exact | Fit::Near);
    let find = |wanted: Stand, fitting: bool| {
        let found = rated.iter().find(|(_, fit, stand)| *stand == wanted && (!fitting || fits(*fit)));
        found.map(|(payment, ..)| payment.id.clone())
    };
    let open = rated.iter().filter(|(.., stand)| matches!(stand, Stand::Taken | Stand::Open));
    let open: Vec<&Payment> = open.map(|(payment, ..)| *payment).collect();
    // An amount that fits a payment says more than a payment that happens to be open.
    for fitting in [true, false] {
        if !fitting && !open.is_empty() {
            break;
        }
        if let Some(payment) = find(Stand::Late, fitting) {
            return ReviewReason::Late { payment };
        }
        if let Some(payment) = find(Stand::Early, fitting) {
            return ReviewReason::Early { payment };
        }
        if let Some(payment) = find(Stand::Paid, fitting) {
            return ReviewReason::SecondDeposit { payment };
        }
        if let Some(payment) = find(Stand::Over, fitting) {
            return ReviewReason::PaymentEnded { payment };
        }
    }
    match open.as_slice() {
        [payment] => {
            let (asked, got) = (payment.terms.amount, deposit.amount);
            match asked.checked_sub(got) {
                Some(missing) => ReviewReason::Under { missing },
                None => ReviewReason::Over { excess: got.distance(asked) },
            }
        }
        _ => ReviewReason::NoFit,
    }
}

fn fit(deposit: &Deposit, payment: &Payment, params: &MatchParams) -> Fit {
    fit_amount(deposit.amount, payment.terms.amount, params)
}

/// Whether an amount is the right one.
pub(super) fn pays(got: Amount, asked: Amount, params: &MatchParams) -> bool {
    matches!(fit_amount(got, asked, params), Fit::Exact | Fit::Near)
}

fn fit_amount(got: Amount, asked: Amount, params: &MatchParams) -> Fit {
    match got.cmp(&asked) {
        std::cmp::Ordering::Equal => Fit::Exact,
        std::cmp::Ordering::Less if planted(Bug::TooLittleIsEnough) => Fit::Near,
        std::cmp::Ordering::Less if got.distance(asked) <= params.under => Fit::Near,
        std::cmp::Ordering::Less => Fit::Under,
        std::cmp::Ordering::Greater if got.distance(asked) <= params.over => Fit::Near,
        std::cmp::Ordering::Greater => Fit::Over,
    }
}

fn stand(deposit: &Deposit, payment: &Payment, claims: &Claims, params: &MatchParams) -> Stand {
    match claims.get(&payment.id) {
        Some(key) if *key != deposit.key => return Stand::Paid,
        Some(_) | None => {}
    }
    let taken = |is: bool| if is { Stand::Taken } else { Stand::Paid };
    match &payment.state {
        PaymentState::Waiting | PaymentState::Seen { .. } => in_time(deposit, payment, params),
        PaymentState::Due { deposit: its, .. }
        | PaymentState::Calling { deposit: its, .. }
        | PaymentState::Unclear { deposit: its, .. }
        | PaymentState::Review { deposit: Some(its), .. } => taken(*its == deposit.key),
        // The deposit with the API's own hash is the one that paid it, be it that somebody completed it by hand, or
        // that its transaction has come back in another block.
        PaymentState::Following { deposit: its } => {
            taken(*its == Some(deposit.key) || names_transaction(payment, deposit))
        }
        PaymentState::Ended { outcome: Outcome::Completed, .. } => taken(names_transaction(payment, deposit)),
        PaymentState::Review { deposit: None, .. } => Stand::Over,
        // It is over, but that the money came after its expiry, or before its creation, says more.
        PaymentState::Ended { .. } => match in_time(deposit, payment, params) {
            Stand::Open => Stand::Over,
            other => other,
        },
    }
}

/// From when until when money for a payment is in time; without an end where it has no expiry.
#[must_use]
pub const fn window_of(payment: &Payment) -> (Timestamp, Option<Timestamp>) {
    (payment.terms.created_at, payment.terms.expires_at)
}

/// Whether a block's own header must be asked when it was made, because by what a log says of it (`told`) its money is in time
/// for none of these payments. Else the header is asked before anything comes of it, with the question for finality.
#[must_use]
pub fn needs_header(told: Timestamp, windows: &[(Timestamp, Option<Timestamp>)], params: &MatchParams) -> bool {
    let is_in = |(from, to): &(Timestamp, Option<Timestamp>)| {
        told.plus(params.skew) >= *from && to.is_none_or(|to| told <= to.plus(params.skew))
    };
    !windows.is_empty() && !windows.iter().any(is_in)
}

fn in_time(deposit: &Deposit, payment: &Payment, params: &MatchParams) -> Stand {
    if planted(Bug::AnyTimePays) {
        return Stand::Open;
    }
    if deposit.block_time.plus(params.skew) < payment.terms.created_at {
        return Stand::Early;
    }
    match payment.terms.expires_at {
        Some(expiry) if deposit.block_time > expiry.plus(params.skew) => Stand::Late,
        Some(_) | None => Stand::Open,
    }
}

/// Whether the API names the deposit's transaction as the payment's.
fn names_transaction(payment: &Payment, deposit: &Deposit) -> bool {
    let hash = payment.api.as_ref().and_then(|view| view.tx_hash.as_ref());
    hash.is_some_and(|text| super::payment_machine::same_hash(text, deposit.key.tx_hash))
}

/// Judges all deposits of one address, in the order of the chain. Returns the verdict of each, in `deposits`' order.
///
/// What a person decided stays, and so does a match whose payment has gone on from "seen": there the money is
/// final, and the completion may be under way. A payment that a person cancelled, or that the API completed with
/// another transaction, lets its deposit go, so that it can be decided upon.
#[must_use]
pub fn judge(payments: &[Payment], deposits: &[Deposit], own: &Own, params: &MatchParams) -> Vec<Verdict> {
    let mut claims = Claims::new();
    let mut verdicts: Vec<Option<Verdict>> = deposits.iter().map(|deposit| settled(deposit, payments)).collect();
    for (deposit, verdict) in deposits.iter().zip(&verdicts) {
        if let Some(Verdict::Pays { payment, .. }) = verdict {
            claims.insert(payment.clone(), deposit.key);
        }
    }
    let mut order: Vec<(&Deposit, &mut Option<Verdict>)> = deposits.iter().zip(verdicts.iter_mut()).collect();
    order.sort_by_key(|(deposit, _)| (deposit.block_number, deposit.key.log_index, deposit.key));
    for (deposit, slot) in order.iter_mut().filter(|(_, slot)| slot.is_none()) {
        let verdict = decide_own(deposit, payments, &claims, own, params);
        if let Verdict::Pays { payment, .. } = &verdict {
            claims.insert(payment.clone(), deposit.key);
        }
        **slot = Some(verdict);
    }
    note_dust(&mut order, payments, params);
    mark_splits(&mut order, payments, &claims, params);
    drop(order);
    verdicts.into_iter().map(|verdict| verdict.unwrap_or(Verdict::Unjudged)).collect()
}

/// Judges one deposit, and knows our own transfers by their transaction: they pay the payment that they were signed for, or
/// none. What comes to the wallet itself pays nothing.
#[must_use]
pub fn decide_own(
    deposit: &Deposit,
    payments: &[Payment],
    claims: &Claims,
    own: &Own,
    params: &MatchParams,
) -> Verdict {
    if let Some(order) = own.order_of(deposit)
        && let Some(payment) = payments.iter().find(|payment| payment.id == order.payment)
    {
        return match decide(deposit, std::slice::from_ref(payment), claims, params) {
            Verdict::Pays { payment, .. } => {
                Verdict::Pays { payment, rule: MatchRule::OwnTransfer { order: order.clone() } }
            }
            other => other,
        };
    }
    // The same transfer in another block is no second money: it pays what it paid there, or nothing.
    let moved: Vec<Payment> =
        payments.iter().filter(|payment| has_copy(payment, deposit, claims, params)).cloned().collect();
    let payments = if moved.is_empty() { payments } else { &moved };
    match decide(deposit, payments, claims, params) {
        Verdict::Review { why: ReviewReason::NoPayment } if own.is_wallet => {
            Verdict::Nothing { why: NothingReason::WalletCredit }
        }
        other => other,
    }
}

/// Whether the payment has this very transaction as its deposit, in another block: a transaction is in one block only, so what
/// the amount fits is the transfer that it has, moved by a reorg.
fn has_copy(payment: &Payment, deposit: &Deposit, claims: &Claims, params: &MatchParams) -> bool {
    let moved = |key: &DepositKey| key.tx_hash == deposit.key.tx_hash && key.block_hash != deposit.key.block_hash;
    let has = [claims.get(&payment.id), payment.state.deposit()];
    has.into_iter().flatten().any(moved) && pays(deposit.amount, payment.terms.amount, params)
}

/// The verdict that is not open to judgement any more, if any.
fn settled(deposit: &Deposit, payments: &[Payment]) -> Option<Verdict> {
    let payment_of = |id: &PaymentId| payments.iter().find(|payment| payment.id == *id);
    match (&deposit.standing, &deposit.verdict) {
        (_, Verdict::Ignored { .. } | Verdict::Review { why: ReviewReason::GoneAfterFinal { .. } }) => {
            Some(deposit.verdict.clone())
        }
        (BlockStatus::Gone { after_final: true }, Verdict::Pays { payment, .. }) => {
            Some(Verdict::Review { why: ReviewReason::GoneAfterFinal { payment: Some(payment.clone()) } })
        }
        (BlockStatus::Gone { after_final: true }, _) => {
            Some(Verdict::Review { why: ReviewReason::GoneAfterFinal { payment: None } })
        }
        (BlockStatus::Gone { after_final: false }, _) => Some(Verdict::Unjudged),
        (_, Verdict::Review { why: ReviewReason::Replaced { .. } }) => Some(deposit.verdict.clone()),
        (_, Verdict::Review { why: ReviewReason::PaymentEnded { payment } }) => {
            payment_of(payment).filter(|payment| is_cancelled(payment)).map(|_| deposit.verdict.clone())
        }
        (_, Verdict::Pays { payment: id, rule }) => match payment_of(id) {
            // Its hash may have been used by hand meanwhile, so no other payment takes it by itself, now or later.
            Some(payment) if is_cancelled(payment) => {
                Some(Verdict::Review { why: ReviewReason::PaymentEnded { payment: id.clone() } })
            }
            Some(payment) if was_completed_otherwise(payment, deposit) => None,
            _ if matches!(rule, MatchRule::Assigned { .. }) => Some(deposit.verdict.clone()),
            found => found.is_some_and(|payment| holds(payment, deposit)).then(|| deposit.verdict.clone()),
        },
        (_, Verdict::Unjudged | Verdict::Nothing { .. } | Verdict::Review { .. }) => None,
    }
}

/// Whether the payment has gone on with the deposit that was matched to it.
fn holds(payment: &Payment, deposit: &Deposit) -> bool {
    match &payment.state {
        PaymentState::Waiting | PaymentState::Seen { .. } => false,
        PaymentState::Due { deposit: its, .. }
        | PaymentState::Calling { deposit: its, .. }
        | PaymentState::Unclear { deposit: its, .. } => *its == deposit.key,
        PaymentState::Following { .. } | PaymentState::Ended { .. } | PaymentState::Review { .. } => true,
    }
}

fn is_cancelled(payment: &Payment) -> bool {
    matches!(payment.state, PaymentState::Ended { outcome: Outcome::Cancelled, .. })
}

/// Whether the payment is over, and the API names another transaction than the deposit's for it.
fn was_completed_otherwise(payment: &Payment, deposit: &Deposit) -> bool {
    let has_hash = payment.api.as_ref().is_some_and(|view| view.tx_hash.is_some());
    let completed = matches!(payment.state, PaymentState::Ended { outcome: Outcome::Completed, .. });
    completed && has_hash && !names_transaction(payment, deposit)
}

/// Of all the dust at an address, one deposit is with a person and stands for the rest, which is only noted. Where a person has
/// ignored some of it, there is nothing more to decide.
fn note_dust(order: &mut [(&Deposit, &mut Option<Verdict>)], payments: &[Payment], params: &MatchParams) {
    let is_dust = |deposit: &Deposit| strays::is_dust(deposit.amount, payments, params) && deposit.stands();
    let is_new = |deposit: &Deposit, verdict: &Option<Verdict>| {
        is_dust(deposit) && matches!(verdict, Some(Verdict::Review { why }) if !is_kept(why))
    };
    let is_ignored = |deposit: &Deposit| is_dust(deposit) && matches!(deposit.verdict, Verdict::Ignored { .. });
    let is_settled = order.iter().any(|(deposit, _)| is_ignored(deposit));
    let all = || order.iter().filter(|(deposit, verdict)| is_new(deposit, verdict));
    // The one that bears what was counted, or else the first.
    let stands_for_all = all().find(|(deposit, _)| deposit.tally.is_some()).or_else(|| all().next());
    let stands_for_all = stands_for_all.filter(|_| !is_settled).map(|(deposit, _)| deposit.key);
    for (deposit, verdict) in order.iter_mut() {
        if Some(deposit.key) != stands_for_all && is_new(deposit, verdict) {
            **verdict = Some(Verdict::Nothing { why: NothingReason::Dust });
        }
    }
}

/// Whether a review stays whatever the amount: what it is about was more than money that came.
pub(super) const fn is_kept(why: &ReviewReason) -> bool {
    match why {
        ReviewReason::GoneAfterFinal { .. } | ReviewReason::Replaced { .. } | ReviewReason::NoPayment => true,
        ReviewReason::WrongToken
        | ReviewReason::Under { .. }
        | ReviewReason::Over { .. }
        | ReviewReason::Split { .. }
        | ReviewReason::Ambiguous { .. }
        | ReviewReason::NoFit
        | ReviewReason::SecondDeposit { .. }
        | ReviewReason::Early { .. }
        | ReviewReason::Late { .. }
        | ReviewReason::PaymentEnded { .. } => false,
    }
}

/// Where all the too small deposits for the one open payment together make its amount, says so of each. Dust belongs to them,
/// kept or counted, where without it they do not come to so much; where it does, the others make it without it.
fn mark_splits(
    order: &mut [(&Deposit, &mut Option<Verdict>)],
    payments: &[Payment],
    claims: &Claims,
    params: &MatchParams,
) {
    for payment in payments.iter().filter(|payment| !claims.contains_key(&payment.id)) {
        let paying = payment.terms.amount.checked_sub(params.under).unwrap_or(Amount::ZERO);
        let (mut whole, mut small) = (Parts::default(), Parts::default());
        let is_open = |deposit: &Deposit| {
            deposit.token == payment.terms.token && stand(deposit, payment, claims, params) == Stand::Open
        };
        for (deposit, verdict) in order.iter() {
            if deposit.token == payment.terms.token {
                small.sum = plus(small.sum, deposit.tally.as_ref().map_or(Amount::ZERO, |tally| tally.undecided()));
            }
            let parts = match verdict {
                _ if !is_open(deposit) => continue,
                Some(Verdict::Nothing { why: NothingReason::Dust }) => &mut small,
                Some(Verdict::Review { why: ReviewReason::Under { .. } })
                    if strays::is_dust(deposit.amount, payments, params) =>
                {
                    &mut small
                }
                Some(Verdict::Review { why: ReviewReason::Under { .. } }) => &mut whole,
                _ => continue,
            };
            parts.count = parts.count.saturating_add(1);
            parts.sum = plus(parts.sum, deposit.amount);
        }
        let all = Parts { count: whole.count.saturating_add(small.count), sum: plus(whole.sum, small.sum) };
        let makes_it =
            whole.count >= 2 && matches!(fit_amount(whole.sum, payment.terms.amount, params), Fit::Exact | Fit::Near);
        let with_dust = whole.sum < paying && all.sum >= paying && all.count >= 2;
        if !makes_it && !with_dust {
            continue;
        }
        for (deposit, verdict) in order.iter_mut() {
            let is_part = matches!(verdict, Some(Verdict::Review { why: ReviewReason::Under { .. } }))
                && (with_dust || !strays::is_dust(deposit.amount, payments, params));
            if is_part && is_open(deposit) {
                let parts = if with_dust { all.count } else { whole.count };
                let why = ReviewReason::Split { payment: payment.id.clone(), parts };
                **verdict = Some(Verdict::Review { why });
            }
        }
    }
}

/// Deposits that are too small, and what they come to.
#[derive(Default)]
struct Parts {
    count: u32,
    sum: Amount,
}
