//! Hints from outside that a payment has moved on: the next question to the API is pulled forward, and nothing else.
//!
//! A hint is only ever a reason to ask. What it says moves nothing (decision 11), so this takes a payment's id and no more.

use crate::domain::payment::{ApiStatus, ApiView, PaymentId, PaymentState};
use crate::engine::address_repository::RepositoryError;
use crate::planted::{Bug, planted};
use crate::policy::ending::may_open_again;
use crate::policy::payment_machine::{Fact, Unexpected};
use crate::ports::store::Lane;
use crate::service::operator_service::{OperatorError, OperatorService};

/// What became of a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The API is asked now.
    Asked,
    /// The payment has ended for good, or is being completed at its own pace: an unclear call must not be asked after too early.
    NotNow,
    /// The payment is not known here.
    Unknown,
}

impl OperatorService {
    /// Has the API asked after a payment now, if that is its next step anyway.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn wake(&self, id: &PaymentId) -> Result<Woken, OperatorError> {
        let Some(payment) = self.store.payment(id).await? else { return Ok(Woken::Unknown) };
        if !may_ask(&payment.state) {
            return Ok(Woken::NotNow);
        }
        let change = self.addresses.change_payment(id, |unit, payment, context| {
            if may_ask(&payment.state) {
                // A new version, so that an answer that is on its way, and may be older, does not swallow the hint.
                unit.touch_payments = true;
                if planted(Bug::HintIsTheWord) {
                    let (status, unread) = (ApiStatus::Pending, Vec::new());
                    let view = ApiView { status, tx_hash: None, as_of: context.now, fee: None, unread };
                    return unit.book.hear(&payment.id, &Fact::Reported(view.clone()), &view, context);
                }
                if payment.next_at.is_none_or(|at| at > context.now) {
                    unit.book.postpone(&payment.id, context.now);
                }
            }
            Ok::<(), Unexpected>(())
        });
        match change.await {
            Ok(_) => Ok(Woken::Asked),
            Err(RepositoryError::Store(error)) => Err(OperatorError::Store(error)),
            Err(RepositoryError::NoPayment(_)) => Ok(Woken::Unknown),
            Err(RepositoryError::Refused(error) | RepositoryError::Unexpected(error)) => {
                Err(OperatorError::Refused(error.to_string()))
            }
        }
    }
}

fn may_ask(state: &PaymentState) -> bool {
    let may_move = !state.is_ended() || may_open_again(state);
    (Lane::of(state) == Lane::Follow || planted(Bug::HintHurriesUnclear)) && may_move
}
