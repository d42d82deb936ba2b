//! What people decide about an order: to approve, reject or cancel it; and that nobody has approved it in time.

use super::order_machine::{FundingPace, Step, ended, step};
use crate::domain::order::{
    ApprovalReason, CancelReason, Order, OrderOutcome, OrderState as State, Spend, UnsentReason,
};
use crate::domain::time::Timestamp;
use crate::planted::{Bug, planted};

/// Whether an order has waited for its approval for too long: whoever approves it now would approve what is not asked for
/// any more. It ends unsent.
#[must_use]
pub fn is_approval_over(order: &Order, now: Timestamp, pace: &FundingPace) -> bool {
    // After a revert it is not a wish that grows old, but money that somebody has to decide about.
    let waits =
        matches!(&order.state, State::AwaitingApproval { why } if !matches!(why, ApprovalReason::Reverted { .. }));
    // One that needs it only since the rules were tightened has waited from then on.
    let until = order.placed_at.plus(pace.approval_valid_for).max(order.next_at.unwrap_or_default());
    waits && now > until && !planted(Bug::ApprovalForEver)
}

/// The rules were tightened, and ask for an approval now.
pub(super) fn approval_missing(order: &Order, why: ApprovalReason, now: Timestamp, pace: &FundingPace) -> Step {
    let words = "the rules in force ask for an approval that it does not have";
    step(order, State::AwaitingApproval { why }, Some(now.plus(pace.approval_valid_for)), words)
}

pub(super) fn approved(order: &Order, reason: &str, now: Timestamp, pace: &FundingPace) -> Option<Step> {
    match order.state {
        State::AwaitingApproval { .. } if !is_approval_over(order, now, pace) => {
            Some(step(order, State::Ready, Some(now), format!("a person approved it: {reason:?}")))
        }
        State::AwaitingApproval { .. }
        | State::Ready
        | State::Held { .. }
        | State::Sending { .. }
        | State::Cancelling { .. }
        | State::Mined { .. }
        | State::Ended { .. } => None,
    }
}

pub(super) fn unsent(order: &Order, why: UnsentReason, now: Timestamp, words: &str) -> Step {
    // Nothing of it is signed; or a transfer has failed, which a person takes for certain by rejecting or cancelling it.
    let by_person = match &why {
        UnsentReason::Rejected { .. } | UnsentReason::Cancelled { .. } => true,
        UnsentReason::NotPayable { .. } | UnsentReason::ApprovalExpired { .. } => false,
    };
    let spend = if order.reverts == 0 || by_person { Spend::GivenBack } else { order.spend };
    ended(order, OrderOutcome::Unsent { why }, spend, now, words)
}

pub(super) fn approval_expired(order: &Order, now: Timestamp, pace: &FundingPace) -> Option<Step> {
    is_approval_over(order, now, pace).then(|| {
        let why = UnsentReason::ApprovalExpired { valid_for_s: pace.approval_valid_for.as_secs() };
        unsent(order, why, now, "nobody approved it in time, and nothing of it is signed")
    })
}

pub(super) fn rejected(order: &Order, reason: &str, now: Timestamp) -> Option<Step> {
    match order.state {
        State::AwaitingApproval { .. } => {
            let why = UnsentReason::Rejected { reason: reason.to_owned() };
            Some(unsent(order, why, now, "a person rejected it"))
        }
        State::Ready
        | State::Held { .. }
        | State::Sending { .. }
        | State::Cancelling { .. }
        | State::Mined { .. }
        | State::Ended { .. } => None,
    }
}

pub(super) fn cancelled(order: &Order, reason: &str, now: Timestamp) -> Option<Step> {
    match &order.state {
        State::AwaitingApproval { .. } | State::Ready | State::Held { .. } => {
            let why = UnsentReason::Cancelled { reason: reason.to_owned() };
            Some(unsent(order, why, now, "a person cancelled it, and nothing of it is on its way"))
        }
        State::Sending { nonce, .. } => {
            let why = CancelReason::Person { reason: reason.to_owned() };
            let state = State::Cancelling { nonce: *nonce, why, trouble: None };
            let words = "a person cancels it; the transfer is signed, so its nonce is consumed by a self-send";
            let spend = if planted(Bug::SpendGivenBackEarly) { Spend::GivenBack } else { order.spend };
            Some(Step { spend, ..step(order, state, Some(now), words) })
        }
        State::Cancelling { .. } | State::Mined { .. } | State::Ended { .. } => None,
    }
}
