//! The moves of a payout: how it goes on, waits, comes before a person, and ends.

use super::super::payment_machine::CallFailure;
use super::super::retry::MAX_RETRY_AFTER;
use super::terms::{Said, differing, objection, speaks_of_quote, usable_until};
use super::{MAX_SPOILT_QUOTES, PayoutStep, Turn};
use crate::domain::payment::Refusal;
use crate::domain::payout::{FundBy, Funding, Payout, PayoutReview, PayoutState as State, TakenQuote};
use crate::domain::text::short;
use crate::domain::time::{Span, Timestamp};

impl PayoutStep {
    /// The same, with what went wrong.
    pub(super) fn with_trouble(mut self, detail: &str) -> Self {
        self.payout.trouble = Some(short(detail));
        self
    }
}

impl Turn<'_> {
    fn moved(&self, state: State, next_at: Option<Timestamp>, why: &str) -> PayoutStep {
        let payout = Payout { state, updated_at: self.context.now, ..self.payout.clone() };
        PayoutStep { payout, next_at, why: why.to_owned() }
    }

    /// To a state that is looked at again at a moment.
    pub(super) fn at(&self, state: State, at: Timestamp, why: &str) -> PayoutStep {
        self.moved(state, Some(at), why)
    }

    /// To a state that is acted upon at once.
    pub(super) fn now(&self, state: State, why: &str) -> PayoutStep {
        self.moved(state, Some(self.context.now), why)
    }

    /// To a state that nobody looks at again by himself. Nothing is wrong any more.
    pub(super) fn rest(&self, state: State, why: &str) -> PayoutStep {
        let mut step = self.moved(state, None, why);
        step.payout.trouble = None;
        step
    }

    /// To a state that is tried again, at a rate that slows down.
    pub(super) fn again_later(&self, state: State, retry_after: Option<Span>, why: &str) -> PayoutStep {
        let failures = self.payout.failures.saturating_add(1);
        let wait = self.context.pace.backoff(failures, retry_after, self.context.jitter);
        let mut step = self.at(state, self.context.now.plus(wait), why);
        step.payout.failures = failures;
        step
    }

    /// To a person. What is wrong is in the review.
    pub(super) fn ask_person(&self, why: PayoutReview, text: &str) -> PayoutStep {
        self.rest(State::Review { why }, text)
    }

    /// The create call failed.
    pub(super) fn call_failed(&self, failure: &CallFailure, detail: &str) -> PayoutStep {
        match failure {
            CallFailure::NotNow { retry_after } => {
                let step = self.again_later(State::Quoted, *retry_after, "could not be opened now; again later");
                step.with_trouble(detail)
            }
            CallFailure::Unclear { retry_after } => {
                // Neither before the call can take effect no more, nor before the API wants to be asked again.
                let told = retry_after.map_or(Span::ZERO, |told| told.min(MAX_RETRY_AFTER));
                let at = self.context.now.plus(self.context.pace.unclear_wait().max(told));
                let why = "got an unclear answer; its key is looked for once the call can no longer take effect";
                let mut step = self.at(State::Unclear { refusal: None }, at, why).with_trouble(detail);
                step.payout.may_be_open = true;
                step
            }
            CallFailure::Refused(refusal) => {
                let state = State::Unclear { refusal: Some(refusal.clone()) };
                self.now(state, "was refused by the API; its key is looked for all the same")
            }
        }
    }

    pub(super) fn cancel(&self, reason: &str) -> Option<PayoutStep> {
        let known = self.payout.knows_what_is_open();
        if self.payout.may_be_open && !known {
            return None;
        }
        Some(self.rest(State::Cancelled { reason: reason.to_owned() }, "was cancelled"))
    }

    pub(super) fn take_quote(&self, taken: &TakenQuote) -> PayoutStep {
        let mut step = match objection(self.payout, &taken.quote) {
            Some(why) => self.ask_person(why, "is with a person: the newest quote is not what was asked for"),
            None if self.context.now < usable_until(taken, self.context.params.quote_margin) => {
                let mut step = self.now(State::Quoted, "has a quote");
                step.payout.failures = 0;
                step.payout.trouble = None;
                step
            }
            None => {
                return self.spoilt("it had run out, or was about to, when it came: compare this clock with the API's");
            }
        };
        step.payout.quote = Some(taken.clone());
        step
    }

    /// A quote was of no use: another one, a bounded number of times.
    fn spoilt(&self, what: &str) -> PayoutStep {
        let spoilt_quotes = self.payout.spoilt_quotes.saturating_add(1);
        if spoilt_quotes >= MAX_SPOILT_QUOTES {
            let why = PayoutReview::NoUsableQuote { last: short(what) };
            return self.ask_person(why, "is with a person: quote after quote is of no use");
        }
        let mut step = self.again_later(State::Placed, None, "needs another quote");
        step.payout.spoilt_quotes = spoilt_quotes;
        step.with_trouble(what)
    }

    /// The call may be made, unless the quote is about to run out: then another one is taken first.
    pub(super) fn start_call(&self) -> PayoutStep {
        let now = self.context.now;
        let margin = self.context.params.quote_margin;
        if self.payout.quote.as_ref().is_none_or(|taken| now >= usable_until(taken, margin)) {
            return self.now(State::Placed, "needs another quote: the one at hand is about to run out");
        }
        let settles = now.plus(self.context.pace.unclear_wait());
        let mut step = self.at(State::Creating { started_at: now }, settles, "is being opened");
        step.payout.attempts = self.payout.attempts.saturating_add(1);
        step
    }

    /// The API refuses, and nothing bears the key.
    pub(super) fn refused(&self, refusal: &Refusal) -> PayoutStep {
        if speaks_of_quote(refusal) {
            return self.spoilt(&format!("HTTP {}: {}", refusal.status, refusal.message));
        }
        let why = PayoutReview::Refused { refusal: refusal.clone() };
        self.ask_person(why, "is with a person: the API refuses to open it")
    }

    /// A payment bears our key.
    pub(super) fn opened(&self, said: &Said) -> PayoutStep {
        let missing: Vec<&str> = [("depositAddress", said.address.is_none()), ("depositAmount", said.amount.is_none())]
            .into_iter()
            .filter_map(|(field, is_missing)| is_missing.then_some(field))
            .collect();
        let mut step = if let Some((field, ours, theirs)) = differing(self.payout, said, self.context.params) {
            let why = PayoutReview::TermsDiffer { field, ours, theirs };
            self.ask_person(why, "is with a person: its payment has other terms than were asked for")
        } else if missing.is_empty() {
            self.begin_funding(&format!("has its payment {}", said.payment))
        } else {
            let why = PayoutReview::NoDepositAddress { missing: missing.join(", ") };
            self.ask_person(why, "is with a person: the API does not tell where to send the money")
        };
        // One that another payout has stays the other's, whatever is decided about this one later: only the review names it.
        if said.other.is_none() {
            step.payout.payment = Some(said.payment.clone());
        }
        step.payout.may_be_open = true;
        step.payout.failures = 0;
        step
    }

    pub(super) fn begin_funding(&self, why: &str) -> PayoutStep {
        match self.payout.wish.fund {
            FundBy::ByHand => self.rest(State::Created { funding: Funding::Hand }, why),
            FundBy::Wallet => {
                let mut step = self.now(State::Created { funding: Funding::Due }, why);
                step.payout.trouble = None;
                step
            }
        }
    }

    /// A person has mended what was wrong, or hopes so.
    pub(super) fn retry(&self, why: &PayoutReview) -> PayoutStep {
        let text = "is tried again: a person wants it";
        let mut step = match why {
            PayoutReview::TermsDiffer { .. } | PayoutReview::NoDepositAddress { .. } | PayoutReview::Several { .. } => {
                self.now(State::Unclear { refusal: None }, text)
            }
            // What may be there is looked for before anything is called again.
            _ if self.payout.may_be_open => self.now(State::Unclear { refusal: None }, text),
            PayoutReview::QuoteRefused { .. }
            | PayoutReview::PaysTooLittle { .. }
            | PayoutReview::QuoteDiffers { .. }
            | PayoutReview::NoUsableQuote { .. }
            | PayoutReview::Refused { .. }
            | PayoutReview::FileLost { .. } => self.now(State::Placed, text),
        };
        (step.payout.failures, step.payout.spoilt_quotes, step.payout.trouble) = (0, 0, None);
        step
    }
}
