//! The payment's state machine: what a fact makes of a state.
//!
//! [`step`] alone changes a payment's state: a closed match over state and fact. What is not expected is [`Unexpected`].

use thiserror::Error;

use super::api_answer::stands_still;
use super::ending::{
    HashView, Look, hash_view, is_settled_by_open, look, may_be_taken, may_open_again, may_still_land, open_again,
    second_look, still_over, taken_after,
};
use super::evidence::{Freeing, Proof};
use super::retry::{Jitter, MAX_RETRY_AFTER, RetryPolicy};
use crate::domain::chain::B256;
use crate::domain::deposit::DepositKey;
use crate::domain::payment::{ApiView, Ending, Outcome, Payment, PaymentReview, PaymentState as State, Refusal};
use crate::domain::time::{Span, Timestamp};
use crate::planted::{Bug, planted};

/// How often the API may say that a completed payment waits for funds before a person is asked.
const MAX_STILL_AWAITING: u32 = 10;

/// Something that was learnt and concerns one payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// This deposit pays it.
    Matched(DepositKey),
    /// The deposit that paid it went away, or is taken for something else.
    Unmatched,
    /// Its deposit is final.
    Final,
    /// Its deposit had been final, and is not on the chain any more.
    GoneAfterFinal,
    /// The completion is about to be called: the deposit is proven.
    CallStarted(Proof),
    /// What a GET said.
    Reported(ApiView),
    /// What the answer to `/complete` said.
    Accepted(ApiView),
    CallFailed(CallFailure),
    /// The GET failed; ask again later.
    AskFailed {
        /// What `Retry-After` says.
        retry_after: Option<Span>,
    },
    /// The API does not know the payment.
    Unknown,
    /// The API has other terms than ours.
    TermsDiffer {
        field: String,
        ours: String,
        theirs: String,
    },
    /// A person wants it tried again.
    Retry {
        /// Whether the deposit is final.
        is_final: bool,
    },
    /// A person stops our completion.
    Cancel,
}

/// How a `/complete` call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallFailure {
    /// It was certainly not acted upon.
    NotNow {
        /// What `Retry-After` says.
        retry_after: Option<Span>,
    },
    /// Nobody knows whether it was acted upon.
    Unclear {
        /// What `Retry-After` says.
        retry_after: Option<Span>,
    },
    /// The API refused.
    Refused(Refusal),
}

/// What a fact made of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub state: State,
    /// When the payment is to be looked at again.
    pub next_at: Option<Timestamp>,
    /// Questions without news, counted.
    pub quiet_checks: u32,
    /// Why, in words.
    pub why: String,
    /// The end that the API names and that is not confirmed.
    pub ending: Option<Ending>,
    /// Whether the API has taken a completion with the payment's deposit, if that is known.
    pub taken: Option<bool>,
}

/// A fact that a payment in this state cannot meet.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the payment is {state} now: {fact} is not possible")]
pub struct Unexpected {
    pub state: &'static str,
    pub fact: String,
}

/// What a step is decided with.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub now: Timestamp,
    /// How often things are asked and tried.
    pub pace: &'a RetryPolicy,
    /// A random share for waiting times.
    pub jitter: Jitter,
}

/// Whether the API's hash, as it came, is this one.
#[must_use]
pub fn same_hash(text: &str, ours: B256) -> bool {
    text.trim().parse::<B256>().is_ok_and(|theirs| theirs == ours)
}

/// What `fact` makes of `payment`.
///
/// # Errors
/// [`Unexpected`] when the state does not allow it; the caller drops the decision and reads again.
pub fn step(payment: &Payment, fact: &Fact, context: &Context<'_>) -> Result<Step, Unexpected> {
    let state = &payment.state;
    let step = match fact {
        Fact::Matched(deposit) => matched(payment, *deposit, context),
        Fact::Unmatched => match state {
            State::Seen { .. } | State::Due { attempt: 0, .. } => {
                Some(context.ask(payment, State::Waiting, "the deposit that paid it does not any more"))
            }
            _ => None,
        },
        Fact::Final => match state {
            State::Seen { deposit } => {
                let due = State::Due { deposit: *deposit, attempt: 0 };
                Some(context.at(due, context.now, "its deposit is final"))
            }
            _ => None,
        },
        Fact::GoneAfterFinal => match state {
            State::Due { deposit, .. } | State::Seen { deposit } => {
                let why = "its final deposit is not on the chain any more";
                Some(context.review(PaymentReview::GoneAfterFinal, Some(*deposit), why))
            }
            _ => None,
        },
        Fact::CallStarted(proof) => match state {
            State::Due { deposit, attempt } if proof.fact() == Freeing::Completion => {
                let attempt = attempt.saturating_add(1);
                let calling = State::Calling { deposit: *deposit, attempt, started_at: context.now };
                Some(context.at(calling, context.now.plus(context.pace.unclear_wait()), "the completion is called"))
            }
            _ => None,
        },
        Fact::Reported(view) => Some(reported(payment, view, context)),
        Fact::Accepted(view) => accepted(payment, view, context),
        Fact::CallFailed(failure) => call_failed(payment, failure, context),
        Fact::AskFailed { retry_after } => Some(ask_failed(payment, *retry_after, context)),
        Fact::Unknown if planted(Bug::UnknownMeansOver) => {
            Some(context.ended(Outcome::Failed, "the API does not know it"))
        }
        Fact::Unknown => Some(context.contradicted(payment, PaymentReview::NotFound, "the API does not know it")),
        Fact::TermsDiffer { field, ours, theirs } => {
            let (field, ours, theirs) = (field.clone(), ours.clone(), theirs.clone());
            let review = PaymentReview::TermsDiffer { field, ours, theirs };
            Some(context.contradicted(payment, review, "the API has other terms than were matched against"))
        }
        Fact::Retry { is_final } => retried(payment, *is_final, context),
        Fact::Cancel => match state {
            State::Waiting | State::Seen { .. } | State::Due { .. } | State::Review { .. } => {
                Some(context.ended(Outcome::Cancelled, "a person stopped our completion"))
            }
            State::Calling { .. } | State::Unclear { .. } | State::Following { .. } | State::Ended { .. } => None,
        },
    };
    let step = step.ok_or_else(|| Unexpected { state: state.name(), fact: format!("{fact:?}") })?;
    Ok(remember(payment, fact, step, context))
}

/// What is kept of the API's answers besides the last one.
fn remember(payment: &Payment, fact: &Fact, step: Step, context: &Context<'_>) -> Step {
    let (ending, taken) = match fact {
        Fact::Reported(view) | Fact::Accepted(view) => {
            let ending = match look(payment, view, context) {
                Look::Named(ending) => Some(ending),
                // It stays believed while the API goes on to say it.
                Look::Believed(_) => payment.ending,
                Look::Open => None,
            };
            (ending, taken_after(payment, view, &step.state))
        }
        Fact::Matched(_)
        | Fact::Unmatched
        | Fact::Final
        | Fact::GoneAfterFinal
        | Fact::CallStarted(_)
        | Fact::CallFailed(_)
        | Fact::AskFailed { .. }
        | Fact::Unknown
        | Fact::TermsDiffer { .. }
        | Fact::Retry { .. }
        | Fact::Cancel => (payment.ending, payment.taken),
    };
    let ending = ending.filter(|_| !step.state.is_ended());
    Step { ending, taken, ..step }
}

/// A deposit pays the payment.
fn matched(payment: &Payment, deposit: DepositKey, context: &Context<'_>) -> Option<Step> {
    match &payment.state {
        State::Waiting | State::Seen { .. } => Some(context.ask(payment, State::Seen { deposit }, "a deposit pays it")),
        State::Review { .. } => Some(context.ask(payment, State::Seen { deposit }, "a person assigned a deposit")),
        State::Following { .. } => {
            let state = State::Following { deposit: Some(deposit) };
            Some(context.unchanged(payment, state, "the deposit that the API names was found"))
        }
        State::Ended { .. } => Some(context.unchanged(payment, payment.state.clone(), "it has ended")),
        State::Due { .. } | State::Calling { .. } | State::Unclear { .. } => None,
    }
}

/// A person wants the payment tried or looked at again.
fn retried(payment: &Payment, is_final: bool, context: &Context<'_>) -> Option<Step> {
    let again = "a person wants it tried again";
    match &payment.state {
        State::Review { deposit: Some(deposit), .. } if is_final => {
            Some(context.at(State::Due { deposit: *deposit, attempt: 0 }, context.now, again))
        }
        State::Review { deposit: Some(deposit), .. } => {
            Some(context.ask(payment, State::Seen { deposit: *deposit }, again))
        }
        State::Review { deposit: None, .. } => Some(context.at(State::Waiting, context.now, again)),
        state @ (State::Due { .. } | State::Waiting | State::Seen { .. } | State::Following { .. }) => {
            Some(context.at(state.clone(), context.now, "a person wants it looked at now"))
        }
        // The API's fresh answer decides.
        state @ State::Ended { .. } if may_open_again(state) => {
            Some(context.at(state.clone(), context.now, "a person wants to know whether the API has opened it again"))
        }
        State::Calling { .. } | State::Unclear { .. } | State::Ended { .. } => None,
    }
}

/// What a GET makes of the payment.
fn reported(payment: &Payment, view: &ApiView, context: &Context<'_>) -> Step {
    let state = &payment.state;
    let deposit = state.deposit().copied();
    let hash = hash_view(view, deposit.as_ref());
    if let State::Ended { .. } = state {
        let again = hash == HashView::Open && may_open_again(state);
        return if again { open_again(payment, context) } else { still_over(payment, context) };
    }
    if let Some(step) = stands_still(payment, view, context) {
        return step;
    }
    let seen = look(payment, view, context);
    if hash == HashView::Other && deposit.is_some() {
        return other_hash(payment, view, seen, context);
    }
    match seen {
        Look::Open => {}
        Look::Named(ending) => return second_look(payment, view, ending, context),
        // A call that was made may still take effect, and its money would be there.
        Look::Believed(outcome) if outcome != Outcome::Completed && may_still_land(payment, view.as_of, context) => {
            return second_look(payment, view, Ending { outcome, since: context.now }, context);
        }
        Look::Believed(outcome) => return api_ended(payment, view, outcome, hash, context),
    }
    match (state, hash) {
        (State::Waiting, HashView::Open)
            if planted(Bug::LocalClockExpires) && payment.terms.expires_at.is_some_and(|at| at < context.now) =>
        {
            context.ended(Outcome::Expired, "its time is over by our clock")
        }
        (State::Waiting | State::Seen { .. }, HashView::Open) => {
            context.ask(payment, state.clone(), "the API waits for funds")
        }
        // The completer goes on with the call by itself; the state is as it should be.
        (State::Due { .. }, HashView::Open) => context.unchanged(payment, state.clone(), "the API waits for funds"),
        (State::Calling { .. } | State::Unclear { refusal: None, .. }, HashView::Open)
            if may_still_land(payment, view.as_of, context) =>
        {
            context.until_settled(payment, "the API waits for funds; the call can still take effect")
        }
        (
            State::Calling { deposit, attempt, .. } | State::Unclear { deposit, attempt, refusal: None },
            HashView::Open,
        ) => {
            let due = State::Due { deposit: *deposit, attempt: *attempt };
            let wait = context.pace.backoff(*attempt, None, context.jitter);
            context.at(due, context.now.plus(wait), "the call did not take effect")
        }
        (State::Unclear { deposit, refusal: Some(refusal), .. }, HashView::Open) => {
            let why = PaymentReview::Refused { refusal: refusal.clone() };
            context.review(why, Some(*deposit), "the API refused the completion")
        }
        // Somebody else had moved it on, so no completion of ours is behind it.
        (State::Following { .. }, HashView::Open) if !may_be_taken(payment) => open_again(payment, context),
        (State::Following { deposit }, HashView::Open) if payment.quiet_checks >= MAX_STILL_AWAITING => context.review(
            PaymentReview::StillAwaiting,
            *deposit,
            "the API took the completion and still waits for funds",
        ),
        (State::Following { .. }, _) => context.follow(payment, view, deposit),
        (State::Review { why, .. }, HashView::Open) if is_settled_by_open(why) && !may_be_taken(payment) => {
            open_again(payment, context)
        }
        (State::Review { .. }, HashView::Open)
        | (State::Review { why: PaymentReview::OtherHash { .. }, .. }, HashView::MovedOn) => {
            context.ask(payment, state.clone(), "a person has to decide")
        }
        (_, HashView::Ours | HashView::Other | HashView::MovedOn) => context.follow(payment, view, deposit),
        (State::Ended { .. }, HashView::Open) => context.rest(state.clone()),
    }
}

/// The API names another transaction than the one that we matched.
fn other_hash(payment: &Payment, view: &ApiView, seen: Look, context: &Context<'_>) -> Step {
    let deposit = payment.state.deposit().copied();
    let was_told = matches!(&payment.state, State::Review { why: PaymentReview::OtherHash { .. }, .. });
    if was_told && seen == Look::Believed(Outcome::Completed) {
        return context.ended(Outcome::Completed, "the API completed it with another transaction; a person was told");
    }
    let theirs: String = view.tx_hash.as_deref().unwrap_or_default().chars().take(160).collect();
    context.review(
        PaymentReview::OtherHash { theirs },
        deposit,
        "the API names another transaction than the one that pays it",
    )
}

/// The API's status is final.
fn api_ended(payment: &Payment, view: &ApiView, outcome: Outcome, hash: HashView, context: &Context<'_>) -> Step {
    let deposit = payment.state.deposit().copied();
    let why = format!("the API says {}", view.status);
    match (&payment.state, outcome) {
        // The money is there, and the API ended the payment without taking it.
        (State::Following { .. }, Outcome::Failed | Outcome::Refunded) => context.ended(outcome, &why),
        (_, Outcome::Expired | Outcome::Failed) if deposit.is_some() => {
            let review = PaymentReview::EndedWithMoney { status: view.status.clone() };
            context.review(review, deposit, &why)
        }
        (_, Outcome::Refunded) if deposit.is_some() && hash != HashView::Ours => {
            let review = PaymentReview::EndedWithMoney { status: view.status.clone() };
            context.review(review, deposit, &why)
        }
        (_, outcome) => context.ended(outcome, &why),
    }
}

/// What a good answer to `/complete` makes of the payment; `None` when no call was under way.
fn accepted(payment: &Payment, view: &ApiView, context: &Context<'_>) -> Option<Step> {
    let (State::Calling { deposit, attempt, .. } | State::Unclear { deposit, attempt, .. }) = &payment.state else {
        return None;
    };
    Some(match (hash_view(view, Some(deposit)), view.status.outcome()) {
        (HashView::Other, _) => other_hash(payment, view, look(payment, view, context), context),
        // A good answer that says nothing has happened is not one to rely upon.
        (HashView::Open, _) => {
            let unclear = State::Unclear { deposit: *deposit, attempt: *attempt, refusal: None };
            context.at(
                unclear,
                context.now.plus(context.pace.unclear_wait()),
                "the answer says that nothing has changed",
            )
        }
        (HashView::Ours, Some(Outcome::Completed)) => context.ended(Outcome::Completed, "the API completed it"),
        (HashView::Ours | HashView::MovedOn, _) => {
            let following = State::Following { deposit: Some(*deposit) };
            Step {
                quiet_checks: 0,
                ..context.at(following, context.now.plus(context.pace.follow_wait(0)), "the API took the completion")
            }
        }
    })
}

/// What a failed call makes of the payment; `None` when no call was under way.
fn call_failed(payment: &Payment, failure: &CallFailure, context: &Context<'_>) -> Option<Step> {
    let (State::Calling { deposit, attempt, .. } | State::Unclear { deposit, attempt, .. }) = &payment.state else {
        return None;
    };
    let (deposit, attempt) = (*deposit, *attempt);
    Some(match failure {
        CallFailure::NotNow { retry_after } => {
            let wait = context.pace.backoff(attempt, *retry_after, context.jitter);
            context.at(
                State::Due { deposit, attempt },
                context.now.plus(wait),
                "the call could not be made; again later",
            )
        }
        CallFailure::Unclear { retry_after } => {
            let state = State::Unclear { deposit, attempt, refusal: None };
            // Neither before the call can take effect no more, nor before the API wants to be asked again.
            let told = retry_after.map_or(Span::ZERO, |told| told.min(MAX_RETRY_AFTER));
            let at = context.now.plus(context.pace.unclear_wait().max(told));
            context.at(
                state,
                at,
                "the call's answer is unclear; the API is asked once the call can no longer take effect",
            )
        }
        CallFailure::Refused(refusal) => {
            let state = State::Unclear { deposit, attempt, refusal: Some(refusal.clone()) };
            context.at(state, context.now, "the API refused; it is asked how the payment stands")
        }
    })
}

/// The question could not be put. Nothing changes but the time of the next one; where a call waits to be made or to
/// take effect, that time never comes nearer by it.
fn ask_failed(payment: &Payment, retry_after: Option<Span>, context: &Context<'_>) -> Step {
    let quiet_checks = payment.quiet_checks.saturating_add(1);
    let then = context.now.plus(context.pace.backoff(quiet_checks, retry_after, context.jitter));
    let next_at = match &payment.state {
        // Somebody wants to know whether it is open again.
        State::Ended { .. } => payment.next_at.map(|_| then),
        State::Due { .. } | State::Calling { .. } | State::Unclear { .. } => payment.next_at.max(Some(then)),
        State::Waiting | State::Seen { .. } | State::Following { .. } | State::Review { .. } => Some(then),
    };
    new_step(payment.state.clone(), next_at, quiet_checks, "the API did not answer")
}

pub(super) fn new_step(state: State, next_at: Option<Timestamp>, quiet_checks: u32, why: &str) -> Step {
    Step { state, next_at, quiet_checks, why: why.to_owned(), ending: None, taken: None }
}

impl Context<'_> {
    pub(super) fn at(&self, state: State, at: Timestamp, why: &str) -> Step {
        new_step(state, Some(at), 0, why)
    }

    fn unchanged(&self, payment: &Payment, state: State, why: &str) -> Step {
        new_step(state, payment.next_at, payment.quiet_checks, why)
    }

    /// Nothing moves before the call that was made can no longer take effect.
    fn until_settled(&self, payment: &Payment, why: &str) -> Step {
        let step = self.unchanged(payment, super::wrong_clock::begun_by(&payment.state, self.now), why);
        // The time-out may have been raised since the call was made: what was due then is not asked again and again.
        let settles_at = match &step.state {
            State::Calling { started_at, .. } => Some(started_at.plus(self.pace.unclear_wait())),
            _ => None,
        };
        Step { next_at: step.next_at.max(settles_at), ..step }
    }

    pub(super) fn rest(&self, state: State) -> Step {
        new_step(state, None, 0, "it has ended")
    }

    /// To a state in which the API is asked now and then whether something happened over there.
    pub(super) fn ask(&self, payment: &Payment, state: State, why: &str) -> Step {
        let next_at = self.now.plus(self.pace.ask_wait(self.now, payment.terms.expires_at));
        new_step(state, Some(next_at), 0, why)
    }

    pub(super) fn review(&self, why: PaymentReview, deposit: Option<DepositKey>, because: &str) -> Step {
        let next_at = self.now.plus(self.pace.ask_wait(self.now, None));
        new_step(State::Review { why, deposit }, Some(next_at), 0, because)
    }

    /// A review, unless the payment is over: then nothing is left to decide. While a call may still take effect, the answer
    /// to the next question says more.
    fn contradicted(&self, payment: &Payment, why: PaymentReview, because: &str) -> Step {
        if payment.state.is_ended() {
            self.rest(payment.state.clone())
        } else if may_still_land(payment, self.now, self) {
            self.until_settled(payment, because)
        } else {
            self.review(why, payment.state.deposit().copied(), because)
        }
    }

    fn ended(&self, outcome: Outcome, why: &str) -> Step {
        new_step(State::Ended { outcome, at: self.now }, None, 0, why)
    }

    /// The API has the payment in hand: asked at a rate that slows down while nothing changes.
    fn follow(&self, payment: &Payment, view: &ApiView, deposit: Option<DepositKey>) -> Step {
        let news = payment.api.as_ref().is_none_or(|last| last.status != view.status || last.tx_hash != view.tx_hash);
        let was_following = matches!(payment.state, State::Following { .. });
        let quiet_checks = if news || !was_following { 0 } else { payment.quiet_checks.saturating_add(1) };
        let next_at = self.now.plus(self.pace.follow_wait(quiet_checks));
        new_step(State::Following { deposit }, Some(next_at), quiet_checks, &format!("the API says {}", view.status))
    }
}
