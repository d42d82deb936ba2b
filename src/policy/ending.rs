//! Whether an end that the API names is believed, and what a payment is that the API opens again (decision 14).
//!
//! EXPIRED, FAILED, REFUNDED, and COMPLETED without our transaction, let go of an address, an order and a completion. One
//! answer may be wrong: so the first one is only kept with the payment, and a second one, asked for long enough after it,
//! must say the same. An answer that says something else in between clears the first. COMPLETED with our own transaction
//! needs no second look: it ends nothing that was still to be done. Deliberately absent: states; `payment_machine` moves them.

use super::payment_machine::{Context, Step, new_step, same_hash};
use super::wrong_clock::begun_by;
use crate::domain::deposit::DepositKey;
use crate::domain::payment::{ApiStatus, ApiView, Ending, Outcome, Payment, PaymentReview, PaymentState as State};
use crate::domain::time::{Span, Timestamp};
use crate::planted::{Bug, planted};

/// For how long after its end a payment whose money is there is asked after.
const ASKED_AFTER_FOR: Span = Span::from_secs(86_400);

/// What the API's word says of the hash that pays the payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HashView {
    /// It waits for funds and has no hash: a completion may be called.
    Open,
    /// It bears our hash.
    Ours,
    /// It bears a hash that is not ours, or we have none.
    Other,
    /// It has moved on without naming a hash.
    MovedOn,
}

pub(super) fn hash_view(view: &ApiView, ours: Option<&DepositKey>) -> HashView {
    match (&view.tx_hash, ours) {
        (Some(text), Some(key)) if same_hash(text, key.tx_hash) => HashView::Ours,
        (Some(_), _) => HashView::Other,
        (None, _) if view.status == ApiStatus::AwaitingFunds => HashView::Open,
        (None, _) => HashView::MovedOn,
    }
}

/// What an answer says of the payment's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It names none.
    Open,
    /// It names one that needs a second look, first named as kept here.
    Named(Ending),
    /// It is believed: our own transaction completed it, or a second look said the same.
    Believed(Outcome),
}

/// What this answer, after those before it, says of the payment's end.
pub(super) fn look(payment: &Payment, view: &ApiView, context: &Context<'_>) -> Look {
    let Some(outcome) = view.status.outcome() else { return Look::Open };
    let ours = match hash_view(view, payment.state.deposit()) {
        HashView::Ours => true,
        // It took our transaction before, and names no other.
        HashView::MovedOn => payment.taken == Some(true),
        HashView::Open | HashView::Other => false,
    };
    if outcome == Outcome::Completed && ours {
        return Look::Believed(outcome);
    }
    let same_hash = payment.api.as_ref().is_some_and(|last| last.tx_hash == view.tx_hash);
    // A clock that was set back must not leave the first look in the future.
    let known = payment.ending.filter(|known| known.outcome == outcome && same_hash && known.since <= context.now);
    match known {
        // Counted from when the first answer was in to when the second was asked for.
        Some(known) if view.as_of >= known.since.plus(context.pace.end_confirm_after) => Look::Believed(outcome),
        Some(known) => Look::Named(known),
        None if planted(Bug::EndBelievedAtOnce) => Look::Believed(outcome),
        None => Look::Named(Ending { outcome, since: context.now }),
    }
}

/// Whether a payment in this state is open again as soon as the API says that it waits for funds and has no hash.
#[must_use]
pub const fn may_open_again(state: &State) -> bool {
    match state {
        State::Ended { outcome, .. } => match outcome {
            Outcome::Expired | Outcome::Failed | Outcome::Refunded => true,
            // A person stopped it; or its money was taken, and a second completion could pay twice.
            Outcome::Cancelled | Outcome::Completed => false,
        },
        State::Waiting
        | State::Seen { .. }
        | State::Due { .. }
        | State::Calling { .. }
        | State::Unclear { .. }
        | State::Following { .. }
        | State::Review { .. } => false,
    }
}

/// Whether a call of which nothing is known yet could take effect after this moment. A webhook can wake a question
/// at any time, even while the call is on its way.
pub(super) fn may_still_land(payment: &Payment, asked_at: Timestamp, context: &Context<'_>) -> bool {
    match &payment.state {
        State::Calling { started_at, .. } => asked_at < started_at.plus(context.pace.unclear_wait()),
        State::Unclear { .. } => payment.next_at.is_some_and(|settles_at| asked_at < settles_at),
        _ => false,
    }
}

/// Whether the API has, or may have, taken a completion of ours for the payment. Then no other is called by itself.
pub(super) fn may_be_taken(payment: &Payment) -> bool {
    match (payment.taken, &payment.state) {
        (Some(taken), _) => taken,
        // From before it was kept. What ended without a hash was not completed by us, as far as can be told.
        (None, State::Ended { .. }) => payment.api.as_ref().is_some_and(|last| last.tx_hash.is_some()),
        (None, State::Waiting | State::Seen { .. } | State::Due { .. }) => false,
        (None, State::Calling { .. } | State::Unclear { .. } | State::Following { .. } | State::Review { .. }) => true,
    }
}

/// Whether the API has taken a completion of ours, after it said this and the payment went on to `next`.
pub(super) fn taken_after(payment: &Payment, view: &ApiView, next: &State) -> Option<bool> {
    let called = matches!(payment.state, State::Calling { .. } | State::Unclear { .. });
    // What has run out was not taken, whatever call it answers.
    let went_on = view.status != ApiStatus::Expired
        && matches!(next, State::Following { .. } | State::Ended { outcome: Outcome::Completed, .. });
    let ours = hash_view(view, payment.state.deposit().or_else(|| next.deposit())) == HashView::Ours;
    // A status that nobody knows does not say that a call was taken which the API had refused.
    let is_refused = matches!(payment.state, State::Unclear { refusal: Some(_), .. });
    let says_nothing = is_refused && matches!(view.status, ApiStatus::Other(_));
    if ours {
        Some(true)
    } else if !(called && went_on) {
        payment.taken
    } else if says_nothing {
        payment.taken.or(Some(false))
    } else {
        Some(true)
    }
}

/// Whether a review is settled by the API itself when it says that the payment waits for funds and has no hash. Terms that
/// differed once stay a person's business, as does whatever a call had to do with.
pub(super) const fn is_settled_by_open(why: &PaymentReview) -> bool {
    match why {
        PaymentReview::EndedWithMoney { .. } | PaymentReview::NotFound | PaymentReview::Unreadable { .. } => true,
        PaymentReview::OtherHash { .. }
        | PaymentReview::TermsDiffer { .. }
        | PaymentReview::Refused { .. }
        | PaymentReview::StillAwaiting
        | PaymentReview::GoneAfterFinal => false,
    }
}

/// The API says again that the payment waits for funds. Where it had taken a completion before, a person decides: calling
/// once more might complete twice.
pub(super) fn open_again(payment: &Payment, context: &Context<'_>) -> Step {
    let deposit = payment.state.deposit().copied();
    let why = "the API has opened it again";
    match deposit {
        _ if may_be_taken(payment) => context.review(PaymentReview::StillAwaiting, deposit, why),
        Some(deposit) => context.ask(payment, State::Seen { deposit }, why),
        None => context.ask(payment, State::Waiting, why),
    }
}

/// The API has not opened the payment again. Where its money is there, it is asked again for a day, ever more seldom.
pub(super) fn still_over(payment: &Payment, context: &Context<'_>) -> Step {
    let State::Ended { at, .. } = payment.state else { return context.rest(payment.state.clone()) };
    let is_asked_after = payment.quiet_checks > 0 && may_open_again(&payment.state);
    if !is_asked_after || context.now.since(at) > ASKED_AFTER_FOR {
        return context.rest(payment.state.clone());
    }
    let next_at = context.now.plus(context.pace.follow_wait(payment.quiet_checks));
    let quiet_checks = payment.quiet_checks.saturating_add(1);
    new_step(payment.state.clone(), Some(next_at), quiet_checks, "the API has not opened it again")
}

/// The API names an end that is not believed yet: nothing moves before it is asked again. A payment whose completion is
/// due is asked after sooner too, since it may be open the next moment.
pub(super) fn second_look(payment: &Payment, view: &ApiView, ending: Ending, context: &Context<'_>) -> Step {
    let why = format!("the API says {}; it is believed when it says so again", view.status);
    let second = ending.since.plus(context.pace.end_confirm_after);
    let state = begun_by(&payment.state, context.now);
    let (next_at, quiet_checks) = match &state {
        State::Due { .. } => {
            let known = payment.ending == Some(ending);
            let quiet_checks = if known { payment.quiet_checks.saturating_add(1) } else { 0 };
            (second.min(context.now.plus(context.pace.follow_wait(quiet_checks))), quiet_checks)
        }
        // Not before the call can no longer take effect.
        State::Calling { started_at, .. } => (second.max(started_at.plus(context.pace.unclear_wait())), 0),
        State::Unclear { .. } => (payment.next_at.map_or(second, |settles_at| settles_at.max(second)), 0),
        State::Waiting | State::Seen { .. } | State::Following { .. } | State::Review { .. } | State::Ended { .. } => {
            (second, payment.quiet_checks)
        }
    };
    Step { quiet_checks, ..context.at(state, next_at, &why) }
}
