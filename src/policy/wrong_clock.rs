//! What a clock that was ahead has left behind, once it is right again.
//!
//! Whatever was scheduled meanwhile lies hours or days ahead, and would wait for as long. So what is put off further than
//! rampwatch ever puts anything off counts as due. What is measured from a moment that has not come yet is over, or begins
//! anew, whichever is safe: a call that may be under way is given all its time once more before it is looked into.
//! Deliberately absent: a clock that is behind. What was scheduled by it is due too early, and looked at once too often.

use super::order_machine::FundingPace;
use super::retry::{MAX_RETRY_AFTER, RetryPolicy};
use crate::domain::payment::{Payment, PaymentState};
use crate::domain::payout::PayoutState;
use crate::domain::time::{Span, Timestamp};

/// What a look may be put off beyond the longest wait: for what is slow, and for what is put off twice.
const SPARE: Span = Span::from_secs(60);

/// How far a clock may be set back before it counts as one that was ahead. By less, nothing waits for long.
pub const TOLERATED: Span = Span::from_secs(60);

/// What is known of our clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing speaks against it.
    Nothing,
    /// It was ahead when some of the moments were noted that are stored.
    WasAhead,
}

/// The longest that a payment, a payout or a candidate is put off. An API that names a time in `Retry-After` is left alone for
/// longer than rampwatch waits by itself; where the clock is known to have been ahead, that is not worth a wait of an hour.
#[must_use]
pub fn longest(pace: &RetryPolicy, known: Known) -> Span {
    let waits =
        [pace.ask_every, pace.follow_most, with_jitter(pace.backoff_most), pace.key_probe, pace.end_confirm_after];
    let own = waits.into_iter().fold(pace.unclear_wait(), Span::max);
    let most = match known {
        Known::WasAhead => own,
        Known::Nothing => own.max(with_jitter(MAX_RETRY_AFTER)),
    };
    most.plus(SPARE)
}

/// The longest that an order is put off.
#[must_use]
pub fn longest_of_orders(pace: &FundingPace) -> Span {
    let waits = [pace.hold_check, pace.bump_after, pace.rebroadcast_after];
    waits.into_iter().fold(pace.poll_interval, Span::max).plus(SPARE)
}

/// A wait with all the jitter that it can have.
fn with_jitter(wait: Span) -> Span {
    wait.plus(Span::from_millis(wait.as_millis().div_ceil(4)))
}

/// Whether what is scheduled for this moment is put off for longer than anything ever is. What nobody is to look at by
/// himself, at [`Timestamp::FAR_FUTURE`], is not meant.
#[must_use]
pub fn is_too_far(next_at: Timestamp, now: Timestamp, longest: Span) -> bool {
    next_at > now.plus(longest) && next_at != Timestamp::FAR_FUTURE
}

/// Whether what the API said of a payment last was said by a clock that is ahead of ours now. So was the next look scheduled.
#[must_use]
pub fn was_ahead(payment: &Payment, now: Timestamp) -> bool {
    payment.api.as_ref().is_some_and(|view| view.as_of > now.plus(TOLERATED))
}

/// When a payment that is put off too far is looked at instead.
#[must_use]
pub fn look_at(state: &PaymentState, now: Timestamp, pace: &RetryPolicy) -> Timestamp {
    match state {
        PaymentState::Calling { .. } | PaymentState::Unclear { .. } => now.plus(pace.unclear_wait()),
        PaymentState::Waiting
        | PaymentState::Seen { .. }
        | PaymentState::Due { .. }
        | PaymentState::Following { .. }
        | PaymentState::Ended { .. }
        | PaymentState::Review { .. } => now,
    }
}

/// When a payout that is put off too far is looked at instead.
#[must_use]
pub fn look_at_payout(state: &PayoutState, now: Timestamp, pace: &RetryPolicy) -> Timestamp {
    match state {
        PayoutState::Creating { .. } | PayoutState::Unclear { .. } => now.plus(pace.unclear_wait()),
        PayoutState::Placed
        | PayoutState::Quoted
        | PayoutState::Created { .. }
        | PayoutState::Review { .. }
        | PayoutState::Cancelled { .. } => now,
    }
}

/// The state of a payment, with a call that began no later than now. One that began later, by a clock that was ahead, counts as
/// begun now: it may have been made just before.
#[must_use]
pub fn begun_by(state: &PaymentState, now: Timestamp) -> PaymentState {
    match state {
        PaymentState::Calling { deposit, attempt, started_at } => {
            PaymentState::Calling { deposit: *deposit, attempt: *attempt, started_at: (*started_at).min(now) }
        }
        PaymentState::Waiting
        | PaymentState::Seen { .. }
        | PaymentState::Due { .. }
        | PaymentState::Unclear { .. }
        | PaymentState::Following { .. }
        | PaymentState::Ended { .. }
        | PaymentState::Review { .. } => state.clone(),
    }
}

/// When a wait is over that began at a moment; now, if the moment lies further ahead than the wait is long.
#[must_use]
pub fn over_at(began_at: Timestamp, wait: Span, now: Timestamp) -> Timestamp {
    if began_at > now.plus(wait) { now } else { began_at.plus(wait) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn what_is_put_off_for_longer_than_anything_ever_is_counts_as_due() {
        let pace = RetryPolicy::for_timeout(Span::from_secs(30));
        let (nothing, was_ahead) = (longest(&pace, Known::Nothing), longest(&pace, Known::WasAhead));
        assert_eq!((nothing.as_secs(), was_ahead.as_secs()), (4_560, 660));
        // When it is due, and whether that is too far: usually, and where the clock is known to have been ahead.
        let cases = [
            (Timestamp::EPOCH, false, false),
            (at(NOW), false, false),
            (at(NOW + 600), false, false),
            (at(NOW + 660), false, false),
            (at(NOW + 661), false, true),
            (at(NOW + 4_560), false, true),
            (at(NOW + 4_561), true, true),
            (at(NOW + 2 * 86_400), true, true),
            (Timestamp::FAR_FUTURE, false, false),
        ];
        for (next_at, usually, ahead) in cases {
            let found = (is_too_far(next_at, at(NOW), nothing), is_too_far(next_at, at(NOW), was_ahead));
            assert_eq!(found, (usually, ahead), "{next_at:?}");
        }
    }

    #[test]
    fn no_wait_of_its_own_is_too_far() {
        for timeout in [1, 30, 3_600] {
            let pace = RetryPolicy::for_timeout(Span::from_secs(timeout)).confirming_ends_after(Span::from_secs(7_000));
            let most = longest(&pace, Known::WasAhead);
            let waits =
                [pace.ask_wait(at(NOW), None), pace.follow_wait(99), pace.unclear_wait(), pace.end_confirm_after];
            let longest_backoff = pace.backoff(99, None, crate::policy::retry::Jitter(999));
            for wait in waits.into_iter().chain([longest_backoff]) {
                assert!(!is_too_far(at(NOW).plus(wait), at(NOW), most), "{wait:?} with a time-out of {timeout} s");
            }
        }
    }

    #[test]
    fn a_wait_from_a_moment_that_is_far_ahead_is_over() {
        let over = |began_at: u64| over_at(at(began_at), Span::from_secs(60), at(NOW)).as_secs();
        let cases = [NOW - 61, NOW - 60, NOW, NOW + 60, NOW + 61, NOW + 86_400].map(over);
        assert_eq!(cases, [NOW - 1, NOW, NOW + 60, NOW + 120, NOW, NOW]);
    }
}
