//! What the API said, taken into a payment's book.

use super::address_repository::{AddressRepository, RepositoryError};
use crate::domain::api_field::{ApiField, Unread};
use crate::domain::payment::{ApiView, Payment, PaymentId};
use crate::domain::time::Timestamp;
use crate::policy::payment_machine::{CallFailure, Fact, Unexpected};
use crate::ports::payment_api::{ApiError, ApiPayment};
use crate::ports::store::{Lane, StoreError};

/// How a call that changes something failed, as the policy takes it.
pub(crate) fn failure(error: ApiError) -> CallFailure {
    match error.into_refusal() {
        Ok(refusal) => CallFailure::Refused(refusal),
        Err(ApiError::Unclear { retry_after, .. }) => CallFailure::Unclear { retry_after },
        // A key that is refused means that nothing was done; the breaker keeps the next try back.
        Err(error) => CallFailure::NotNow { retry_after: error.retry_after() },
    }
}

/// What a GET's answer means for the payment, as a fact. What was asked at a moment is true of that moment only.
pub(crate) fn fact_of(
    payment: &Payment,
    answer: Result<ApiPayment, ApiError>,
    chain: &str,
    asked_at: Timestamp,
) -> Fact {
    match answer {
        Ok(said) => match differing_term(payment, &said, chain) {
            Some((field, ours, theirs)) => Fact::TermsDiffer { field, ours, theirs },
            None => Fact::Reported(view_of(said, asked_at)),
        },
        Err(ApiError::NotFound { .. }) => Fact::Unknown,
        Err(error) => Fact::AskFailed { retry_after: error.retry_after() },
    }
}

/// What the API said, as it is kept.
pub(crate) fn view_of(said: ApiPayment, now: Timestamp) -> ApiView {
    let is_kept = |unread: &Unread| !matches!(unread.field, ApiField::SentAt | ApiField::CompletedAt);
    let unread = said.unread.into_iter().filter(is_kept).collect();
    ApiView { status: said.status, tx_hash: said.tx_hash, as_of: now, fee: said.fee, unread }
}

/// The first of the payment's terms that the API tells otherwise.
pub(crate) fn differing_term(payment: &Payment, said: &ApiPayment, chain: &str) -> Option<(String, String, String)> {
    let terms = &payment.terms;
    let differs = |field: &str, ours: String, theirs: Option<String>| {
        theirs.filter(|theirs| *theirs != ours).map(|theirs| (field.to_owned(), ours, theirs))
    };
    differs(
        "depositAddress",
        terms.deposit_address.to_string(),
        said.deposit_address.map(|address| address.to_string()),
    )
    .or_else(|| {
        differs("depositAmount", terms.amount.to_string(), said.deposit_amount.map(|amount| amount.to_string()))
    })
    .or_else(|| {
        differs("depositChain", chain.to_lowercase(), said.deposit_chain.as_ref().map(|name| name.to_lowercase()))
    })
    .or_else(|| {
        differs("recipientId", payment.recipient_id.to_string(), said.recipient_id.as_ref().map(ToString::to_string))
    })
}

/// Writes a GET's answer into the payment's book.
pub(crate) async fn record(
    addresses: &AddressRepository,
    asked: &Payment,
    answer: Result<ApiPayment, ApiError>,
    chain: &str,
    asked_at: Timestamp,
) -> Result<(), StoreError> {
    let result = addresses
        .change_known(asked, |unit, payment, context| {
            // An answer to a question put in another state says nothing about this one.
            if payment.state != asked.state {
                return Ok(());
            }
            let fact = fact_of(payment, answer.clone(), chain, asked_at);
            if let Fact::Reported(view) = &fact {
                unit.book.hear(&payment.id, &fact, view, context)?;
            } else {
                unit.book.tell(&payment.id, &fact, context)?;
            }
            // Somebody wanted it asked again while the question was on its way: the answer may be older than the wish.
            let woken = payment.next_at.filter(|at| payment.version != asked.version && *at <= context.now);
            let now_is = unit.book.payments().iter().find(|other| other.id == payment.id);
            let waits_still = now_is.is_some_and(|now_is| now_is.state == payment.state);
            if let Some(at) = woken.filter(|_| waits_still && Lane::of(&payment.state) == Lane::Follow) {
                unit.book.postpone(&payment.id, at);
            }
            Ok(())
        })
        .await;
    settle_result(&asked.id, result)
}

/// Sorts out how a change of the ledger went: only a failing store is the caller's business.
pub(crate) fn settle_result(
    id: &PaymentId,
    result: Result<bool, RepositoryError<Unexpected>>,
) -> Result<(), StoreError> {
    match result {
        Ok(_) => Ok(()),
        Err(RepositoryError::Store(StoreError::Conflict(what))) => {
            tracing::warn!(%what, payment_id = %id, "the record keeps changing; looked at again later");
            Ok(())
        }
        Err(RepositoryError::Store(error)) => Err(error),
        Err(error @ (RepositoryError::Refused(_) | RepositoryError::Unexpected(_) | RepositoryError::NoPayment(_))) => {
            tracing::warn!(%error, payment_id = %id, "the fact came too late for the payment's state");
            Ok(())
        }
    }
}
