//! The payout's state machine: what a fact makes of a payout on its way to a payment.
//!
//! [`step`] is the only place where a payout's state changes. It is a closed match over state and fact; what a state does
//! not expect is answered with [`UnexpectedPayout`], never swallowed. The idempotency key is no part of it: it is chosen
//! before the payout is stored, and never changes.

use thiserror::Error;

use super::payment_machine::CallFailure;
use super::retry::{Jitter, RetryPolicy};
use crate::domain::chain::Address;
use crate::domain::order::OrderId;
use crate::domain::payment::{PaymentId, Refusal};
use crate::domain::payout::{Funding, Payout, PayoutReview, PayoutState as State, TakenQuote};
use crate::domain::text::short;
use crate::domain::time::{Span, Timestamp};

mod files;
mod moves;
mod terms;

pub use files::{FileLimits, FileRefusal, check_file};
pub use terms::{Said, differing, speaks_of_quote, usable_until};

/// How many quotes in a row may be of no use before a person is asked.
pub const MAX_SPOILT_QUOTES: u32 = 5;

/// How many of several payments are named in a review.
const MAX_NAMED: usize = 8;

/// How often an order that the wallet's limits refuse is tried again: they come free with time.
pub const FUND_AGAIN: Span = Span::from_secs(60);

/// What a payout is decided with.
#[derive(Clone, Debug)]
pub struct PayoutContext<'a> {
    pub now: Timestamp,
    /// How often things are asked and tried.
    pub pace: &'a RetryPolicy,
    /// A random share for waiting times.
    pub jitter: Jitter,
    /// What a payment must be.
    pub params: &'a PayoutParams,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayoutParams {
    /// How much of its time a quote must have left to be used.
    pub quote_margin: Span,
    /// What the API calls the token.
    pub currency: String,
    /// What the API calls the chain.
    pub chain_name: String,
    /// The token's contract.
    pub token: Address,
}

/// Something that was learnt and concerns one payout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayoutFact {
    /// The API gave a quote.
    Quoted(Box<TakenQuote>),
    /// It gave none.
    QuoteFailed {
        failure: CallFailure,
        detail: String,
    },
    /// The create call is about to be made.
    CallStarted,
    /// A payment bears our key: by the answer to the call, or by the recipient's list.
    Opened(Box<Said>),
    CallFailed {
        failure: CallFailure,
        detail: String,
    },
    /// Nothing in the recipient's list bears our key.
    NotListed,
    /// The list is not to be had.
    ListRefused(Refusal),
    /// Several payments in the list bear our key.
    SeveralListed(Vec<PaymentId>),
    /// A question after what the call did could not be put, or is not answered.
    AskFailed {
        /// What `Retry-After` says.
        retry_after: Option<Span>,
        detail: String,
    },
    /// A file that goes with it cannot be read.
    FileLost {
        detail: String,
        /// Whether another try may help.
        again: bool,
    },
    /// A person added the payment, with what the API does not tell.
    Added,
    /// This order funds the payment.
    OrderPlaced(OrderId),
    /// No order was placed.
    OrderRefused {
        why: String,
        /// Whether that can change by itself.
        again: bool,
    },
    /// A person wants it tried again.
    Retry,
    /// A person stops it.
    Cancel {
        reason: String,
    },
}

/// What a fact made of a payout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayoutStep {
    /// The payout as it is now.
    pub payout: Payout,
    /// When it is to be looked at again.
    pub next_at: Option<Timestamp>,
    /// Why, in words that go on from "The payout …": `is with a person: …`.
    pub why: String,
}

/// A fact that a payout in this state cannot meet.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the payout is {state} now: {fact} is not possible")]
pub struct UnexpectedPayout {
    pub state: &'static str,
    pub fact: String,
}

/// What `fact` makes of `payout`.
///
/// # Errors
/// [`UnexpectedPayout`] when the state does not allow it; the caller drops the decision and reads again.
pub fn step(payout: &Payout, fact: &PayoutFact, context: &PayoutContext<'_>) -> Result<PayoutStep, UnexpectedPayout> {
    let turn = Turn { payout, context };
    let step = match &payout.state {
        State::Placed => turn.placed(fact),
        State::Quoted => turn.quoted(fact),
        State::Creating { started_at } => turn.creating(*started_at, fact),
        State::Unclear { refusal } => turn.unclear(refusal.as_ref(), fact),
        State::Created { funding } => turn.created(funding, fact),
        State::Review { why } => turn.review(why, fact),
        State::Cancelled { .. } => None,
    };
    step.ok_or_else(|| UnexpectedPayout { state: payout.state.name(), fact: format!("{fact:?}") })
}

/// One payout, about to take a fact.
struct Turn<'a> {
    payout: &'a Payout,
    context: &'a PayoutContext<'a>,
}

impl Turn<'_> {
    fn placed(&self, fact: &PayoutFact) -> Option<PayoutStep> {
        match fact {
            PayoutFact::Quoted(taken) => Some(self.take_quote(taken)),
            PayoutFact::QuoteFailed { failure: CallFailure::Refused(refusal), .. } => {
                let why = PayoutReview::QuoteRefused { refusal: refusal.clone() };
                Some(self.ask_person(why, "is with a person: the API refuses to give a quote"))
            }
            PayoutFact::QuoteFailed {
                failure: CallFailure::NotNow { retry_after } | CallFailure::Unclear { retry_after },
                detail,
            } => {
                let step = self.again_later(State::Placed, *retry_after, "got no quote; one is asked for again later");
                Some(step.with_trouble(detail))
            }
            PayoutFact::Retry => Some(self.now(State::Placed, "is tried again at once: a person wants it")),
            PayoutFact::Cancel { reason } => self.cancel(reason),
            _ => None,
        }
    }

    fn quoted(&self, fact: &PayoutFact) -> Option<PayoutStep> {
        match fact {
            PayoutFact::CallStarted => Some(self.start_call()),
            PayoutFact::FileLost { detail, again: true } => {
                let step = self.again_later(State::Quoted, None, "could not read a file; it is tried again later");
                Some(step.with_trouble(detail))
            }
            PayoutFact::FileLost { detail, again: false } => {
                let why = PayoutReview::FileLost { detail: short(detail) };
                Some(self.ask_person(why, "is with a person: a file that goes with it cannot be read"))
            }
            PayoutFact::Retry => Some(self.now(State::Quoted, "is tried again at once: a person wants it")),
            PayoutFact::Cancel { reason } => self.cancel(reason),
            _ => None,
        }
    }

    fn creating(&self, started_at: Timestamp, fact: &PayoutFact) -> Option<PayoutStep> {
        match fact {
            PayoutFact::CallFailed { failure, detail } => Some(self.call_failed(failure, detail)),
            // Whoever looks before the call can no longer take effect has seen nothing.
            PayoutFact::NotListed if self.context.now < started_at.plus(self.context.pace.unclear_wait()) => {
                // A clock that was set back begins the wait anew.
                let started_at = started_at.min(self.context.now);
                let settles = started_at.plus(self.context.pace.unclear_wait());
                let state = State::Creating { started_at };
                Some(self.at(state, settles, "can still be opened by the call that was made"))
            }
            PayoutFact::Opened(_)
            | PayoutFact::NotListed
            | PayoutFact::ListRefused(_)
            | PayoutFact::SeveralListed(_)
            | PayoutFact::AskFailed { .. } => self.looked(None, fact),
            _ => None,
        }
    }

    fn unclear(&self, refusal: Option<&Refusal>, fact: &PayoutFact) -> Option<PayoutStep> {
        match fact {
            PayoutFact::Opened(_)
            | PayoutFact::NotListed
            | PayoutFact::ListRefused(_)
            | PayoutFact::SeveralListed(_)
            | PayoutFact::AskFailed { .. } => self.looked(refusal, fact),
            _ => None,
        }
    }

    /// What a look for the key came to, after a call that may have taken effect. `None` for other facts.
    fn looked(&self, refusal: Option<&Refusal>, fact: &PayoutFact) -> Option<PayoutStep> {
        match (fact, refusal) {
            (PayoutFact::Opened(said), _) => Some(self.opened(said)),
            (PayoutFact::SeveralListed(payments), _) => {
                let payments = payments.iter().take(MAX_NAMED).cloned().collect();
                let mut step = self
                    .ask_person(PayoutReview::Several { payments }, "is with a person: several payments bear its key");
                step.payout.may_be_open = true;
                // Nobody looks at it by himself, and its key stays among those that are ours while it is open.
                step.next_at = Some(Timestamp::FAR_FUTURE);
                Some(step)
            }
            (PayoutFact::NotListed, None) => {
                let mut step =
                    self.again_later(State::Quoted, None, "was not opened by the call; again with the same key");
                step.payout.may_be_open = false;
                Some(step)
            }
            (PayoutFact::NotListed, Some(refusal)) => {
                let mut step = self.refused(refusal);
                // A conflict says that something is there, whatever the list says.
                step.payout.may_be_open = refusal.status == 409;
                Some(step)
            }
            (PayoutFact::ListRefused(_), Some(refusal)) => Some(self.refused(refusal)),
            (PayoutFact::ListRefused(list), None) => {
                let why = "is called again with the same key: the list that could tell is not to be had";
                let mut step = self.again_later(State::Quoted, None, why);
                step.payout.may_be_open = true;
                Some(step.with_trouble(&format!("HTTP {}: {}", list.status, list.message)))
            }
            (PayoutFact::AskFailed { retry_after, detail }, refusal) => {
                let state = State::Unclear { refusal: refusal.cloned() };
                let mut step = self.again_later(state, *retry_after, "is asked after again later");
                step.payout.may_be_open = refusal.is_none() || self.payout.may_be_open;
                Some(step.with_trouble(detail))
            }
            _ => None,
        }
    }

    fn created(&self, funding: &Funding, fact: &PayoutFact) -> Option<PayoutStep> {
        let due = *funding == Funding::Due;
        match fact {
            PayoutFact::OrderPlaced(order) if due => {
                let funding = Funding::Order { order: order.clone() };
                Some(self.rest(State::Created { funding }, &format!("is funded by order {order}")))
            }
            PayoutFact::OrderRefused { why, again: true } if due => {
                let at = self.context.now.plus(FUND_AGAIN);
                let step = self.at(self.payout.state.clone(), at, "is not funded yet; the wallet is asked again later");
                Some(step.with_trouble(why))
            }
            PayoutFact::OrderRefused { why, again: false } if due => {
                let funding = Funding::Nobody { why: short(why) };
                Some(self.rest(State::Created { funding }, "is not funded by the wallet").with_trouble(why))
            }
            PayoutFact::Retry if due => {
                Some(self.now(self.payout.state.clone(), "is tried again at once: a person wants it"))
            }
            _ => None,
        }
    }

    fn review(&self, why: &PayoutReview, fact: &PayoutFact) -> Option<PayoutStep> {
        match fact {
            PayoutFact::Retry => Some(self.retry(why)),
            PayoutFact::Cancel { reason } => self.cancel(reason),
            PayoutFact::Added => match why {
                PayoutReview::NoDepositAddress { .. } => {
                    Some(self.begin_funding("has its payment: a person added what the API does not tell"))
                }
                // It is another payment than was asked for: whoever wants the wallet to pay it says so.
                PayoutReview::TermsDiffer { .. } => {
                    let state = State::Created { funding: Funding::Hand };
                    Some(self.rest(state, "has its payment, with other terms than were asked for: a person added it"))
                }
                PayoutReview::QuoteRefused { .. }
                | PayoutReview::PaysTooLittle { .. }
                | PayoutReview::QuoteDiffers { .. }
                | PayoutReview::NoUsableQuote { .. }
                | PayoutReview::Refused { .. }
                | PayoutReview::FileLost { .. }
                | PayoutReview::Several { .. } => None,
            },
            _ => None,
        }
    }
}
