//! Shadow mode: what is done and what is only said, and whether what somebody did instead agrees with it.
//!
//! Deliberately absent: the wall that lets no changing call through even if this were wrong; it is in the adapters that shadow
//! mode is wired with.

use super::payment_machine::same_hash;
use super::retry::RetryPolicy;
use crate::domain::chain::B256;
use crate::domain::payment::{ApiStatus, ApiView, Outcome, Payment, PaymentId, PaymentState};
use crate::domain::shadow::{Shadow, ShadowAct, ShadowOutcome};
use crate::domain::text::short;
use crate::domain::time::{Span, Timestamp};

/// The longest that a payment which would be completed is left alone. Once shadow mode is over, this is how late it may be.
const LONGEST_LOOK: Span = Span::from_secs(60);

/// Whether rampwatch acts, or only says what it would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It acts.
    #[default]
    Real,
    /// It completes, signs, sends and opens nothing; it says what it would have done.
    Shadow,
}

impl Mode {
    /// Whether calls that change something are made.
    #[must_use]
    pub const fn acts(self) -> bool {
        matches!(self, Self::Real)
    }
}

/// When a payment that would be completed is looked at again, after so many looks.
#[must_use]
pub fn look_at(looks: u32, now: Timestamp, pace: &RetryPolicy) -> Timestamp {
    now.plus(pace.follow_wait(looks).min(LONGEST_LOOK))
}

/// What is to be kept of something that would be done; `None` when the same is known already. `known`: what is kept of it.
#[must_use]
pub fn noted(known: Option<&Shadow>, payment: Option<&PaymentId>, act: &ShadowAct, now: Timestamp) -> Option<Shadow> {
    let same = known.is_some_and(|known| known.act == *act && known.outcome.is_none());
    (!same).then(|| Shadow { payment: payment.cloned(), act: act.clone(), noted_at: now, outcome: None })
}

/// What the API's word says of a completion that would have been made with the transaction `ours`; `None` while it waits for
/// funds, or moves on without naming a transaction.
#[must_use]
pub fn compare(ours: B256, view: &ApiView) -> Option<ShadowOutcome> {
    match (&view.tx_hash, view.status.outcome()) {
        (Some(theirs), _) if same_hash(theirs, ours) => Some(ShadowOutcome::Agreed),
        (Some(theirs), _) => Some(ShadowOutcome::Differed { theirs: short(theirs) }),
        (None, Some(Outcome::Completed)) => Some(ShadowOutcome::Unnamed),
        (None, Some(Outcome::Failed | Outcome::Expired | Outcome::Refunded | Outcome::Cancelled)) => {
            Some(ShadowOutcome::NotDone { status: view.status.clone() })
        }
        (None, None) => None,
    }
}

/// What a change of a payment means for its completion in shadow mode: the record as it is to be kept, if it changes.
/// `before`: the payment as it was; `known`: what is kept of it.
#[must_use]
pub fn follow(
    mode: Mode,
    before: Option<&Payment>,
    now_is: &Payment,
    known: Option<&Shadow>,
    now: Timestamp,
) -> Option<Shadow> {
    if let Some(known) = known.filter(|known| known.outcome.is_none()) {
        let ShadowAct::Complete { tx_hash } = known.act else { return None };
        let outcome = match &now_is.state {
            PaymentState::Calling { .. } => Some(ShadowOutcome::TakenOver),
            PaymentState::Waiting
            | PaymentState::Seen { .. }
            | PaymentState::Due { .. }
            | PaymentState::Unclear { .. }
            | PaymentState::Following { .. }
            | PaymentState::Ended { .. }
            | PaymentState::Review { .. } => now_is.api.as_ref().and_then(|view| compare(tx_hash, view)),
        };
        return outcome.map(|outcome| Shadow { outcome: Some(outcome), ..known.clone() });
    }
    if mode.acts() || known.is_some() {
        return None;
    }
    // Somebody was quicker than rampwatch would have been: that is compared too.
    let tx_hash = overtaken(before?, now_is)?;
    let outcome = now_is.api.as_ref().and_then(|view| compare(tx_hash, view));
    let act = ShadowAct::Complete { tx_hash };
    Some(Shadow { payment: Some(now_is.id.clone()), act, noted_at: now, outcome })
}

/// The transaction that pays a payment which somebody else has moved on, before rampwatch would have.
fn overtaken(before: &Payment, now_is: &Payment) -> Option<B256> {
    let was_ours = match &before.state {
        PaymentState::Waiting
        | PaymentState::Seen { .. }
        | PaymentState::Due { .. }
        | PaymentState::Following { deposit: None } => true,
        // A completion of our own lies behind these, or a person's decision.
        PaymentState::Following { deposit: Some(_) }
        | PaymentState::Calling { .. }
        | PaymentState::Unclear { .. }
        | PaymentState::Ended { .. }
        | PaymentState::Review { .. } => false,
    };
    let has_moved = now_is
        .api
        .as_ref()
        .is_some_and(|view| view.tx_hash.is_some() || !matches!(view.status, ApiStatus::AwaitingFunds));
    let deposit = now_is.state.deposit().or_else(|| before.state.deposit())?;
    let gone_on = matches!(
        now_is.state,
        PaymentState::Following { .. } | PaymentState::Ended { .. } | PaymentState::Review { .. }
    );
    (was_ours && has_moved && gone_on).then_some(deposit.tx_hash)
}

/// What is said of it, as a sentence without its full stop.
#[must_use]
pub fn words(shadow: &Shadow) -> String {
    let id = shadow.payment.as_ref().map_or("", PaymentId::as_str);
    match (&shadow.act, &shadow.outcome) {
        (ShadowAct::Complete { tx_hash }, None) => {
            format!("payment {id} would be completed with transaction {tx_hash}")
        }
        (ShadowAct::Complete { tx_hash }, Some(ShadowOutcome::Agreed)) => {
            format!("payment {id} was completed by somebody else with transaction {tx_hash}, as rampwatch would have")
        }
        (ShadowAct::Complete { tx_hash }, Some(ShadowOutcome::Differed { theirs })) => format!(
            "payment {id} was completed by somebody else with transaction {theirs:?}, and rampwatch would have used {tx_hash}"
        ),
        (ShadowAct::Complete { tx_hash }, Some(ShadowOutcome::Unnamed)) => format!(
            "payment {id} was completed by somebody else, the API does not say with which transaction; rampwatch would \
             have used {tx_hash}"
        ),
        (ShadowAct::Complete { tx_hash }, Some(ShadowOutcome::NotDone { status })) => format!(
            "nobody completed payment {id}: the API says {:?}; rampwatch would have completed it with transaction {tx_hash}",
            status.as_str()
        ),
        (ShadowAct::Complete { tx_hash }, Some(ShadowOutcome::TakenOver)) => {
            format!("shadow mode is over, and rampwatch completes payment {id} itself, with transaction {tx_hash}")
        }
        (ShadowAct::Send { order, to, amount }, None) => {
            format!("order {order} would be signed and sent: {amount} to {to}")
        }
        (ShadowAct::Send { order, .. }, Some(ShadowOutcome::TakenOver)) => {
            format!("shadow mode is over, and rampwatch sends order {order} itself")
        }
        (ShadowAct::Send { order, .. }, Some(_)) => format!("order {order} is over"),
        (ShadowAct::Create { reference }, None) => format!("payout {reference} would be opened"),
        (ShadowAct::Create { reference }, Some(_)) => format!("payout {reference} is over"),
    }
}
