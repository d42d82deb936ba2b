//! What a person may decide, and what still holds whatever a person says.
//!
//! An assignment replaces the verdict only: token, chain, recipient and finality are checked as ever, here and
//! again before the completion is called.

use std::collections::BTreeSet;

use strum::IntoStaticStr;
use thiserror::Error;

use super::address::AddressState;
use super::api_answer::may_be_vouched;
use super::matching::{MatchParams, is_kept};
use super::payment_machine::{Context, Fact, Unexpected, same_hash};
use super::strays::{is_dust, is_small, least_paying, plus};
use crate::domain::actor::Actor;
use crate::domain::amount::Amount;
use crate::domain::deposit::{BlockStatus, Deposit, DepositKey, MatchRule, NothingReason, ReviewReason, Verdict};
use crate::domain::event::EventKind;
use crate::domain::odd::Odd;
use crate::domain::payment::{Payment, PaymentId, PaymentReview, PaymentState};

/// The longest reason that is kept, in characters.
pub const MAX_REASON: usize = 500;

/// A person's reason as it is kept: without the blanks around it.
///
/// # Errors
/// [`ResolveError::Reason`] when there is none or it is too long, and [`ResolveError::OddReason`] when it holds what cannot be seen,
/// with which it could show whoever reads it later something else than there is.
pub fn given_reason(text: &str) -> Result<&str, ResolveError> {
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed.chars().count() > MAX_REASON {
        return Err(ResolveError::Reason);
    }
    Odd::in_words(trimmed).map_or(Ok(trimmed), |odd| Err(ResolveError::OddReason(odd)))
}

/// A person's decision.
#[derive(Clone, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(const_into_str, serialize_all = "snake_case")]
pub enum Decision {
    /// The deposit pays the payment.
    Assign { deposit: DepositKey, payment: PaymentId },
    /// The deposit pays nothing; it is out of the review.
    Ignore { deposit: DepositKey },
    /// Look at the payment again, now.
    Retry { payment: PaymentId },
    /// Stop our completion of the payment. Its address stays watched.
    Cancel { payment: PaymentId },
}

impl Decision {
    /// The decision's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.into_str()
    }
}

/// What a person says with a decision; it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said<'a> {
    pub by: &'a Actor,
    pub reason: &'a str,
}

impl Said<'_> {
    fn event(&self, action: &str) -> EventKind {
        let (reason, by) = (self.reason.to_owned(), Some(self.by.clone()));
        EventKind::PersonDecided { action: action.to_owned(), reason, by }
    }
}

/// Why a decision is not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ResolveError {
    /// No reason was given, or too long a one.
    #[error("give a reason of 1 to {MAX_REASON} characters; it is kept with the decision")]
    Reason,
    /// The reason holds a character that cannot be seen.
    #[error("{0}")]
    OddReason(Odd),
    /// The address has no such payment.
    #[error("there is no payment {0} at the deposit's address")]
    NoPayment(PaymentId),
    /// The address has no such deposit.
    #[error("there is no deposit {0} at the payment's address")]
    NoDeposit(DepositKey),
    /// The deposit's block is gone.
    #[error("the deposit's block is not on the chain any more; only a deposit that stands can be assigned")]
    Gone,
    /// It is not the token, the chain or the recipient of the payment.
    #[error("the deposit's {0} is not the payment's; no person's word changes that")]
    OtherTerms(&'static str),
    #[error("the deposit moves nothing (zero value, or sent to itself)")]
    MovesNothing,
    /// The deposit already pays a payment.
    #[error("the deposit already pays payment {0}")]
    AlreadyPays(PaymentId),
    /// The API has taken the deposit's transaction for another payment.
    #[error("the payment API has taken the deposit's transaction for payment {0}; it cannot complete another")]
    TakenFor(PaymentId),
    /// The API names another transaction for the payment, so that no other can complete it.
    #[error("the payment API has transaction {theirs} for payment {payment}; no other can complete it")]
    CompletedOtherwise {
        payment: PaymentId,
        /// The API's hash, as it came.
        theirs: String,
    },
    /// The payment already has its deposit.
    #[error("payment {payment} is {state}, and cannot be given another deposit now")]
    HasDeposit {
        payment: PaymentId,
        /// Its state's name.
        state: &'static str,
    },
    /// Deposits that are more than dust could pay a payment of the address together.
    #[error("some of the deposits there could pay a payment together; decide about each of them: rampwatch reviews")]
    Together,
    /// The deposit has nothing to decide.
    #[error("the deposit pays payment {0}; cancel that payment first")]
    InUse(PaymentId),
    /// The state does not allow it.
    #[error("payment {payment} is {state}: {action} does nothing there")]
    NotNow {
        payment: PaymentId,
        /// Its state's name.
        state: &'static str,
        /// The decision's name.
        action: &'static str,
    },
}

/// The most deposits that are ignored in one commit.
const MOST_IGNORED: usize = 64;

/// What became of a wish to ignore all that could pay nothing at an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IgnoredAll {
    /// How many deposits are ignored that were not, counted ones included.
    pub count: u64,
    /// Whether some are left for the next commit.
    pub more: bool,
}

/// Writes into the book that nothing that could pay nothing at its address is to be decided upon any more: at most
/// [`MOST_IGNORED`] deposits at a time, and all that are only counted.
///
/// # Errors
/// [`ResolveError::Together`] when some of them, that are more than dust, could pay together; each is a decision of its own then.
pub fn ignore_all(
    book: &mut AddressState,
    said: Said<'_>,
    params: &MatchParams,
    context: &Context<'_>,
) -> Result<IgnoredAll, ResolveError> {
    let said = Said { reason: given_reason(said.reason)?, ..said };
    let payments = book.payments();
    let is_stray = |deposit: &&Deposit| {
        is_small(deposit.amount, payments, params)
            && match &deposit.verdict {
                Verdict::Nothing { why: NothingReason::Dust } => true,
                Verdict::Review { why } => !is_kept(why),
                _ => false,
            }
    };
    let strays = || book.deposits().iter().filter(is_stray);
    for token in strays().map(|deposit| deposit.token).collect::<BTreeSet<_>>() {
        let parts = strays().filter(|it| it.token == token && !is_dust(it.amount, payments, params));
        let sum = parts.fold(Amount::ZERO, |sum, deposit| plus(sum, deposit.amount));
        if least_paying(payments, params).is_some_and(|paying| sum >= paying) {
            return Err(ResolveError::Together);
        }
    }
    let found: Vec<DepositKey> = strays().map(|deposit| deposit.key).collect();
    let mut ignored = IgnoredAll { more: found.len() > MOST_IGNORED, ..IgnoredAll::default() };
    for key in found.into_iter().take(MOST_IGNORED) {
        ignore(book, &key, said, context)?;
        ignored.count = ignored.count.saturating_add(1);
    }
    let bearers =
        book.deposits().iter().filter(|it| it.tally.as_ref().is_some_and(|tally| !tally.undecided().is_zero()));
    for key in bearers.map(|deposit| deposit.key).collect::<Vec<_>>() {
        ignored.count = ignored.count.saturating_add(book.ignore_counted(&key));
        book.note_deposit(&key, context.now, said.event("ignore-all"));
    }
    Ok(ignored)
}

/// Writes a person's decision into the book. The caller settles and commits.
///
/// # Errors
/// [`ResolveError`] when something forbids it; the book is then not to be committed.
pub fn resolve(
    book: &mut AddressState,
    decision: &Decision,
    said: Said<'_>,
    context: &Context<'_>,
) -> Result<(), ResolveError> {
    let said = Said { reason: given_reason(said.reason)?, ..said };
    match decision {
        Decision::Assign { deposit, payment } => assign(book, deposit, payment, said, context)?,
        Decision::Ignore { deposit } => ignore(book, deposit, said, context)?,
        Decision::Retry { payment } => {
            let current = payment_of(book, payment)?.clone();
            let is_final = current.state.deposit().is_some_and(|key| {
                // A deposit that does not pay it, final or not, would never be called with: the payment would hang.
                let found = book.deposits().iter().find(|deposit| deposit.key == *key);
                found.is_some_and(|deposit| {
                    matches!(deposit.standing, BlockStatus::Final { .. })
                        && matches!(&deposit.verdict, Verdict::Pays { payment: id, .. } if id == payment)
                })
            });
            tell(book, &current, &Fact::Retry { is_final }, decision, context)?;
            if let PaymentState::Review { why: PaymentReview::Unreadable { field, .. }, .. } = &current.state
                && may_be_vouched(*field)
            {
                book.vouch(payment, *field);
            }
            note_payment(book, &current, decision, said, context);
        }
        Decision::Cancel { payment } => {
            let current = payment_of(book, payment)?.clone();
            tell(book, &current, &Fact::Cancel, decision, context)?;
            note_payment(book, &current, decision, said, context);
        }
    }
    Ok(())
}

fn assign(
    book: &mut AddressState,
    key: &DepositKey,
    id: &PaymentId,
    said: Said<'_>,
    context: &Context<'_>,
) -> Result<(), ResolveError> {
    let payment = payment_of(book, id)?.clone();
    let deposit = deposit_of(book, key)?.clone();
    assignable(&deposit, &payment)?;
    if let Verdict::Pays { payment: other, .. } = &deposit.verdict {
        return Err(ResolveError::AlreadyPays(other.clone()));
    }
    match &payment.state {
        PaymentState::Waiting | PaymentState::Review { .. } => {}
        state => return Err(ResolveError::HasDeposit { payment: id.clone(), state: state.name() }),
    }
    if let Some(theirs) = payment.api.as_ref().and_then(|view| view.tx_hash.as_ref())
        && !same_hash(theirs, key.tx_hash)
    {
        return Err(ResolveError::CompletedOtherwise {
            payment: id.clone(),
            theirs: theirs.chars().take(160).collect(),
        });
    }
    if let Some(other) = taken_for(book, &deposit, id) {
        return Err(ResolveError::TakenFor(other));
    }
    // A deposit that the payment held before may have been named to the API, whatever came of that call. So it does not
    // pay another payment by itself, and stays a person's business.
    let held: Vec<DepositKey> = paying(book, id).filter(|other| other != key).collect();
    for other in held {
        let why = ReviewReason::Replaced { payment: id.clone() };
        book.set_verdict(&other, Verdict::Review { why }, context.now);
    }
    let rule = MatchRule::Assigned { reason: said.reason.to_owned() };
    book.set_verdict(key, Verdict::Pays { payment: id.clone(), rule }, context.now);
    let decision = Decision::Assign { deposit: *key, payment: id.clone() };
    tell(book, &payment, &Fact::Matched(*key), &decision, context)?;
    note_payment(book, &payment, &decision, said, context);
    Ok(())
}

fn ignore(
    book: &mut AddressState,
    key: &DepositKey,
    said: Said<'_>,
    context: &Context<'_>,
) -> Result<(), ResolveError> {
    let deposit = deposit_of(book, key)?;
    if let Verdict::Pays { payment, .. } = &deposit.verdict {
        return Err(ResolveError::InUse(payment.clone()));
    }
    book.set_verdict(key, Verdict::Ignored { reason: said.reason.to_owned() }, context.now);
    book.note_deposit(key, context.now, said.event("ignore"));
    Ok(())
}

/// Another payment of the address for which the API has taken the deposit's transaction. A transaction with several
/// transfers to the address is there for as many payments.
fn taken_for(book: &AddressState, deposit: &Deposit, id: &PaymentId) -> Option<PaymentId> {
    let tx_hash = deposit.key.tx_hash;
    let names_it = |payment: &&Payment| {
        let theirs = payment.api.as_ref().and_then(|view| view.tx_hash.as_ref());
        payment.id != *id && theirs.is_some_and(|theirs| same_hash(theirs, tx_hash))
    };
    let taken: Vec<&Payment> = book.payments().iter().filter(names_it).collect();
    let same = |other: &&Deposit| {
        other.key.tx_hash == tx_hash
            && other.key.block_hash == deposit.key.block_hash
            && !other.amount.is_zero()
            && other.token == deposit.token
    };
    let there = book.deposits().iter().filter(same).count();
    if taken.len() < there { None } else { taken.first().map(|payment| payment.id.clone()) }
}

/// What no person's word changes.
fn assignable(deposit: &Deposit, payment: &Payment) -> Result<(), ResolveError> {
    if !deposit.stands() {
        return Err(ResolveError::Gone);
    }
    if deposit.key.chain_id != payment.terms.chain_id {
        return Err(ResolveError::OtherTerms("chain"));
    }
    if deposit.token != payment.terms.token {
        return Err(ResolveError::OtherTerms("token"));
    }
    if deposit.to != payment.terms.deposit_address {
        return Err(ResolveError::OtherTerms("recipient"));
    }
    if deposit.amount.is_zero() || deposit.from == deposit.to {
        return Err(ResolveError::MovesNothing);
    }
    Ok(())
}

fn paying<'a>(book: &'a AddressState, id: &'a PaymentId) -> impl Iterator<Item = DepositKey> + 'a {
    let pays = move |deposit: &&Deposit| matches!(&deposit.verdict, Verdict::Pays { payment, .. } if payment == id);
    book.deposits().iter().filter(pays).map(|deposit| deposit.key)
}

fn payment_of<'a>(book: &'a AddressState, id: &PaymentId) -> Result<&'a Payment, ResolveError> {
    book.payments().iter().find(|payment| payment.id == *id).ok_or_else(|| ResolveError::NoPayment(id.clone()))
}

fn deposit_of<'a>(book: &'a AddressState, key: &DepositKey) -> Result<&'a Deposit, ResolveError> {
    book.deposits().iter().find(|deposit| deposit.key == *key).ok_or(ResolveError::NoDeposit(*key))
}

fn tell(
    book: &mut AddressState,
    payment: &Payment,
    fact: &Fact,
    decision: &Decision,
    context: &Context<'_>,
) -> Result<(), ResolveError> {
    book.tell(&payment.id, fact, context).map_err(|Unexpected { state, .. }| ResolveError::NotNow {
        payment: payment.id.clone(),
        state,
        action: decision.name(),
    })
}

fn note_payment(
    book: &mut AddressState,
    payment: &Payment,
    decision: &Decision,
    said: Said<'_>,
    context: &Context<'_>,
) {
    let kind = said.event(decision.name());
    let deposit = match decision {
        Decision::Assign { deposit, .. } => Some(*deposit),
        Decision::Ignore { .. } | Decision::Retry { .. } | Decision::Cancel { .. } => None,
    };
    book.note_payment(&payment.id, deposit, context.now, kind);
}
