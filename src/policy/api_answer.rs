//! What follows from an answer of the payment API that does not say everything: a field that decides is there and cannot be
//! read, or the status is one that nobody here has heard of.
//!
//! The status is followed whatever else cannot be read. What is known already holds where the API's word is only a date: those
//! are fixed when a payment is opened. But an address, an amount, a chain, a recipient or a hash that cannot be read may be
//! another one, so a completion waits for a person, or for an answer that can be read. Deliberately absent: a guess at what was
//! meant.

use super::ending::{HashView, hash_view};
use super::payment_machine::{Context, Step};
use crate::domain::api_field::{ApiField, Unread};
use crate::domain::payment::{ApiStatus, ApiView, Payment, PaymentReview, PaymentState as State};
use crate::domain::time::Timestamp;

/// Whether nothing is completed while the field is there and cannot be read.
const fn decides_completion(field: ApiField) -> bool {
    match field {
        ApiField::TransactionHash
        | ApiField::RecipientId
        | ApiField::DepositAddress
        | ApiField::DepositAmount
        | ApiField::DepositChain => true,
        ApiField::SourceCurrency
        | ApiField::BankAccountId
        | ApiField::CreatedAt
        | ApiField::ExpiresAt
        | ApiField::IdempotencyKey
        | ApiField::Type
        | ApiField::SentAt
        | ApiField::CompletedAt => false,
    }
}

/// Whether a person's word can stand for the API's. That nobody has completed a payment is the API's alone.
#[must_use]
pub const fn may_be_vouched(field: ApiField) -> bool {
    match field {
        ApiField::TransactionHash => false,
        field => decides_completion(field) || matches!(field, ApiField::ExpiresAt),
    }
}

/// The flag of `add` that supplies a field which the payment cannot do without.
#[must_use]
pub const fn flag(field: ApiField) -> Option<&'static str> {
    match field {
        ApiField::DepositAddress => Some("deposit-address"),
        ApiField::DepositAmount => Some("amount"),
        ApiField::DepositChain => Some("deposit-chain"),
        ApiField::CreatedAt => Some("created-at"),
        ApiField::ExpiresAt => Some("expires-at"),
        ApiField::TransactionHash
        | ApiField::RecipientId
        | ApiField::SourceCurrency
        | ApiField::BankAccountId
        | ApiField::IdempotencyKey
        | ApiField::Type
        | ApiField::SentAt
        | ApiField::CompletedAt => None,
    }
}

/// The first field that keeps a completion from being called: it cannot be read, and no person has vouched for it.
#[must_use]
pub fn hides<'a>(payment: &Payment, view: &'a ApiView) -> Option<&'a Unread> {
    let hidden = |unread: &&Unread| decides_completion(unread.field) && !payment.vouched.contains(&unread.field);
    view.unread.iter().find(hidden)
}

/// Whether a completion may be called by this answer: the payment waits for funds, nobody has completed it, and no field that
/// decides hides anything.
#[must_use]
pub fn is_open(payment: &Payment, view: &ApiView) -> bool {
    hash_view(view, payment.state.deposit()) == HashView::Open && hides(payment, view).is_none()
}

/// The first field that keeps money from being sent, which is more than what keeps it from being completed: the currency, the
/// bank account, and an expiry that nobody knows.
#[must_use]
pub fn keeps_from_sending<'a>(
    unread: &'a [Unread],
    vouched: &[ApiField],
    known_expiry: Option<Timestamp>,
) -> Option<&'a Unread> {
    let keeps = |unread: &&Unread| match unread.field {
        ApiField::SourceCurrency | ApiField::BankAccountId => true,
        ApiField::ExpiresAt => known_expiry.is_none() && !vouched.contains(&unread.field),
        field => decides_completion(field) && !vouched.contains(&field),
    };
    unread.iter().find(keeps)
}

/// The step of a payment that stays as it is, or goes to a person, since the answer does not say enough to go on; `None` where
/// it does, or where there is nothing to go on with.
pub(super) fn stands_still(payment: &Payment, view: &ApiView, context: &Context<'_>) -> Option<Step> {
    let state = &payment.state;
    if let (ApiStatus::Other(status), None) = (&view.status, &view.tx_hash) {
        let why = format!("the API says {status:?}, which nobody here knows: nothing follows from it");
        return match state {
            State::Waiting | State::Seen { .. } | State::Review { .. } => {
                Some(context.ask(payment, state.clone(), &why))
            }
            State::Due { .. } => {
                let is_known = payment.api.as_ref().is_some_and(|last| last.status == view.status);
                let quiet_checks = if is_known { payment.quiet_checks.saturating_add(1) } else { 0 };
                let at = context.now.plus(context.pace.follow_wait(quiet_checks));
                Some(Step { quiet_checks, ..context.at(state.clone(), at, &why) })
            }
            // A call was made, or somebody else had moved it on: most likely the status follows from that.
            State::Calling { .. } | State::Unclear { .. } | State::Following { .. } | State::Ended { .. } => None,
        };
    }
    let unread = hides(payment, view).filter(|_| hash_view(view, state.deposit()) == HashView::Open)?;
    match state {
        State::Due { deposit, .. } => {
            let review = PaymentReview::Unreadable { field: unread.field, said: unread.said.clone() };
            Some(context.review(review, Some(*deposit), &format!("the API says {unread}")))
        }
        State::Review { why: PaymentReview::Unreadable { .. }, .. } => {
            Some(context.ask(payment, state.clone(), "a person has to decide"))
        }
        // Nothing is called in these, and a payment goes through "due" before anything is.
        State::Waiting
        | State::Seen { .. }
        | State::Calling { .. }
        | State::Unclear { .. }
        | State::Following { .. }
        | State::Ended { .. }
        | State::Review { .. } => None,
    }
}
