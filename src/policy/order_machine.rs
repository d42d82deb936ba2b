//! The order's state machine: what a fact makes of an order. What is to be done next with a signed one, `acts` says.
//!
//! [`apply`] is the only place where an order's state changes. It is a closed match over state and fact; what a state does
//! not expect is answered with [`UnexpectedOrder`], never swallowed. The nonce is taken with the first signature and given
//! up only when a receipt at that nonce is final, or a person has adopted the wallet past it.

use thiserror::Error;

use super::evidence::{Freeing, Proof};
use super::order_decisions::{approval_expired, approval_missing, approved, cancelled, rejected, unsent};
use super::preflight::{Answer, answer_to};
use crate::domain::actor::Actor;
use crate::domain::chain::{B256, BlockRef};
use crate::domain::event::{Alarm, EventKind};
use crate::domain::hold::Hold;
use crate::domain::order::{
    ApprovalReason, Attempt, AttemptKind, CancelReason, Effect, Order, OrderOutcome, OrderState as State, Spend,
    UnsentReason,
};
use crate::domain::text::short;
use crate::domain::time::{Span, Timestamp};
use crate::planted::{Bug, planted};

pub use self::acts::{Act, is_at_its_most, jam, next_act, too_cheap};
use self::acts::{is_at_most, most_before};

mod acts;
pub use super::evidence::effect;

/// How often the funder looks and acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FundingPace {
    /// How long until a hold is looked at again.
    pub hold_check: Span,
    /// How long an attempt that no block can take is left alone before its fees are raised.
    pub bump_after: Span,
    /// How long until bytes that are not mined are broadcast again.
    pub rebroadcast_after: Span,
    /// How often receipts are asked for while something is on its way.
    pub poll_interval: Span,
    /// How many orders may have a nonce that is not mined.
    pub max_in_flight: usize,
    /// How long an order may wait for its approval; it ends unsent then.
    pub approval_valid_for: Span,
}

/// Something that was learnt and concerns one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderFact {
    /// A person approves it.
    Approved { reason: String, by: Actor },
    /// A person refuses it.
    Rejected { reason: String, by: Actor },
    /// A person wants it cancelled.
    CancelAsked { reason: String, by: Actor },
    /// Nobody has approved it in time.
    ApprovalExpired,
    /// Something stands in the way.
    Held(Hold),
    /// Every check has passed, and it is not signed all the same: shadow mode keeps it ready.
    Cleared,
    /// A transaction was signed, and is stored with this very change.
    Signed(Attempt),
    /// A transaction was given to the nodes, and at least one may have it.
    Sent {
        tx_hash: B256,
        /// What the nodes said, in words.
        said: String,
    },
    /// One of its transactions is in a block.
    Mined { tx_hash: B256, block: BlockRef, effect: Effect },
    /// The block that held its transaction is not there any more.
    Unmined,
    /// The block that holds its transaction is final, and what that frees is proven.
    Final {
        proof: Proof,
        /// The block's time: what it spent counts from then on.
        block_time: Timestamp,
    },
    /// A transaction that is not ours has consumed its nonce, for good, and that is proven.
    Displaced {
        proof: Proof,
        /// The time of a block by which it had: its spend counts from then on.
        block_time: Timestamp,
    },
}

/// A fact that an order in this state cannot meet.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the order is {state} now: {fact} is not possible")]
pub struct UnexpectedOrder {
    pub state: &'static str,
    /// The fact, in words.
    pub fact: String,
}

/// What a fact makes of the state.
pub(super) struct Step {
    pub(super) state: State,
    pub(super) spend: Spend,
    pub(super) next_at: Option<Timestamp>,
    pub(super) why: String,
}

/// Takes a fact into the order. Returns the events that explain it; none when nothing but the next look changed.
///
/// # Errors
/// [`UnexpectedOrder`] when the state does not allow it; nothing was changed.
pub fn apply(
    order: &mut Order,
    fact: &OrderFact,
    now: Timestamp,
    pace: &FundingPace,
) -> Result<Vec<EventKind>, UnexpectedOrder> {
    let unexpected = || UnexpectedOrder { state: order.state.name(), fact: fact_name(fact).to_owned() };
    let mut extra = Vec::new();
    let mut next = order.clone();
    let step = match fact {
        OrderFact::Approved { reason, by } => {
            next.approved_by = Some(by.clone());
            approved(order, reason, now, pace)
        }
        OrderFact::Rejected { reason, .. } => rejected(order, reason, now),
        OrderFact::CancelAsked { reason, .. } => cancelled(order, reason, now),
        OrderFact::ApprovalExpired => approval_expired(order, now, pace),
        OrderFact::Held(hold) => held(order, &hold.clone().shortened(), now, pace, &mut extra),
        OrderFact::Cleared => cleared(order, now, pace),
        OrderFact::Signed(attempt) => {
            if !next.add_attempt(attempt.clone()) {
                return Err(unexpected());
            }
            let kind = EventKind::AttemptSigned { order: order.id.clone(), attempt: Box::new(attempt.clone()) };
            extra.push(kind);
            signed(order, attempt, now)
        }
        OrderFact::Sent { tx_hash, said } => {
            let nonce = order.state.nonce();
            let mut live = next.attempts.iter_mut().filter(|attempt| Some(attempt.nonce) == nonce);
            let attempt = live.find(|attempt| attempt.tx_hash == *tx_hash).ok_or_else(unexpected)?;
            // The first word is news; what the same bytes are answered later is not.
            if attempt.sends == 0 {
                let order = order.id.clone();
                extra.push(EventKind::AttemptSent { order, tx_hash: *tx_hash, said: short(said) });
            }
            attempt.sends = attempt.sends.saturating_add(1);
            attempt.sent_at = Some(now);
            // A transfer that was under way when the order was cancelled must not put off the self-send.
            let overtaken = matches!(order.state, State::Cancelling { .. }) && attempt.kind == AttemptKind::Transfer;
            if overtaken {
                let words = "the nodes were given the transaction";
                Some(step(order, order.state.clone(), order.next_at, words))
            } else {
                sent(order, now, pace)
            }
        }
        OrderFact::Mined { tx_hash, block, effect } => mined(order, *tx_hash, *block, *effect, now, pace),
        OrderFact::Unmined => unmined(order, now),
        OrderFact::Final { proof, .. } => finalised(&mut next, proof, now, &mut extra),
        OrderFact::Displaced { proof, .. } => displaced(order, proof, now),
    };
    let Step { state, spend, next_at, why } = step.ok_or_else(unexpected)?;
    next.spent_at = spent_at(fact, &state, spend).or(next.spent_at);
    let (state, why) = (state.shortened(), short(&why));
    let mut events = Vec::new();
    if state != order.state || spend != order.spend {
        events.push(EventKind::OrderMoved {
            order: order.id.clone(),
            from: Box::new(order.state.clone()),
            to: Box::new(state.clone()),
            spend,
            why,
            by: said_by(fact).cloned(),
        });
    }
    events.extend(extra);
    *order = Order { state, spend, next_at, ..next };
    Ok(events)
}

const fn fact_name(fact: &OrderFact) -> &'static str {
    match fact {
        OrderFact::Approved { .. } => "an approval",
        OrderFact::Rejected { .. } => "a rejection",
        OrderFact::CancelAsked { .. } => "a cancellation",
        OrderFact::ApprovalExpired => "an approval that has expired",
        OrderFact::Held(_) => "a hold",
        OrderFact::Cleared => "checks that have passed",
        OrderFact::Signed(_) => "a signature",
        OrderFact::Sent { .. } => "a broadcast",
        OrderFact::Mined { .. } => "a receipt",
        OrderFact::Unmined => "a receipt that is gone",
        OrderFact::Final { .. } => "a final receipt",
        OrderFact::Displaced { .. } => "a transaction that is not ours",
    }
}

/// The person whose word the fact is.
const fn said_by(fact: &OrderFact) -> Option<&Actor> {
    match fact {
        OrderFact::Approved { by, .. } | OrderFact::Rejected { by, .. } | OrderFact::CancelAsked { by, .. } => Some(by),
        OrderFact::ApprovalExpired
        | OrderFact::Held(_)
        | OrderFact::Cleared
        | OrderFact::Signed(_)
        | OrderFact::Sent { .. }
        | OrderFact::Mined { .. }
        | OrderFact::Unmined
        | OrderFact::Final { .. }
        | OrderFact::Displaced { .. } => None,
    }
}

/// From which block time on what an order spent counts, if the fact has ended it and it counts.
fn spent_at(fact: &OrderFact, state: &State, spend: Spend) -> Option<Timestamp> {
    match fact {
        OrderFact::Final { block_time, .. } | OrderFact::Displaced { block_time, .. } => {
            (state.is_ended() && spend == Spend::Counted).then_some(*block_time)
        }
        _ => None,
    }
}

pub(super) fn step(order: &Order, state: State, next_at: Option<Timestamp>, why: impl Into<String>) -> Step {
    Step { state, spend: order.spend, next_at, why: why.into() }
}

pub(super) fn ended(
    order: &Order,
    outcome: OrderOutcome,
    spend: Spend,
    now: Timestamp,
    why: impl Into<String>,
) -> Step {
    Step { spend, ..step(order, State::Ended { outcome, at: now }, None, why) }
}

fn held(order: &Order, hold: &Hold, now: Timestamp, pace: &FundingPace, extra: &mut Vec<EventKind>) -> Option<Step> {
    let later = Some(now.plus(pace.hold_check));
    let kept = |old: &Hold| if old.is_like(hold) { old.clone() } else { hold.clone() };
    let words = hold.to_string();
    if let (State::Ready | State::Held { .. }, Hold::ApprovalMissing { why }) = (&order.state, hold) {
        return Some(approval_missing(order, *why, now, pace));
    }
    let step = match (&order.state, answer_to(hold, order.state.nonce().is_some())) {
        (State::Ready | State::Held { .. }, Answer::End | Answer::SelfSend) => {
            unsent(order, UnsentReason::NotPayable { hold: hold.clone() }, now, &words)
        }
        (State::Ready, Answer::Wait) => step(order, State::Held { why: hold.clone() }, later, words),
        (State::Held { why }, Answer::Wait) => step(order, State::Held { why: kept(why) }, later, words),
        (State::Sending { nonce, trouble }, Answer::Wait) => {
            let trouble = Some(trouble.as_ref().map_or_else(|| hold.clone(), kept));
            step(order, State::Sending { nonce: *nonce, trouble }, later, words)
        }
        (State::Sending { nonce, .. }, Answer::SelfSend | Answer::End) => {
            let why = CancelReason::Hold { hold: hold.clone() };
            let words = format!("{hold}; the transfer is signed, so its nonce is consumed by a self-send");
            step(order, State::Cancelling { nonce: *nonce, why, trouble: None }, Some(now), words)
        }
        (State::Cancelling { nonce, why, trouble }, _) => {
            let trouble = Some(trouble.as_ref().map_or_else(|| hold.clone(), kept));
            step(order, State::Cancelling { nonce: *nonce, why: why.clone(), trouble }, later, words)
        }
        // A payment that is over needs no approval any more. Whatever else stands in the way is looked at once it is approved.
        (State::AwaitingApproval { .. }, Answer::End) => {
            unsent(order, UnsentReason::NotPayable { hold: hold.clone() }, now, &words)
        }
        (State::AwaitingApproval { .. } | State::Mined { .. } | State::Ended { .. }, _) => return None,
    };
    // Told once each time that it gets stuck, however the reason changes meanwhile.
    let stuck =
        |hold: &Hold| matches!(hold, Hold::FeeCeiling { .. } | Hold::TooManyAttempts | Hold::NodeRefuses { .. });
    let was_stuck = match &order.state {
        State::Sending { trouble, .. } | State::Cancelling { trouble, .. } => trouble.as_ref().is_some_and(stuck),
        State::AwaitingApproval { .. }
        | State::Ready
        | State::Held { .. }
        | State::Mined { .. }
        | State::Ended { .. } => false,
    };
    if stuck(hold) && !was_stuck && order.state.nonce().is_some() {
        let alarm = Alarm::FundingStuck { order: order.id.clone(), hold: hold.clone() };
        extra.push(EventKind::Alarm { alarm });
    }
    Some(step)
}

fn cleared(order: &Order, now: Timestamp, pace: &FundingPace) -> Option<Step> {
    match &order.state {
        State::Ready | State::Held { .. } => {
            let words = "every check has passed, and shadow mode keeps it from being signed";
            Some(step(order, State::Ready, Some(now.plus(pace.hold_check)), words))
        }
        State::AwaitingApproval { .. }
        | State::Sending { .. }
        | State::Cancelling { .. }
        | State::Mined { .. }
        | State::Ended { .. } => None,
    }
}

fn signed(order: &Order, attempt: &Attempt, now: Timestamp) -> Option<Step> {
    let room = order.attempts.len() < most_before(attempt.kind);
    let is_new = order.attempt(attempt.tx_hash).is_none();
    let fits = match order.live_attempts().last() {
        Some(last) => attempt.fees.cap > last.fees.cap && attempt.fees.tip > last.fees.tip,
        // A nonce that ended in a revert is consumed: the next one is a later one.
        None => order.attempts.iter().all(|old| old.nonce < attempt.nonce),
    };
    if !room || !is_new || !fits {
        return None;
    }
    match (&order.state, attempt.kind) {
        (State::Ready | State::Held { .. }, AttemptKind::Transfer) => {
            let state = State::Sending { nonce: attempt.nonce, trouble: None };
            Some(step(order, state, Some(now), "the transfer is signed and takes its nonce"))
        }
        (State::Sending { nonce, .. }, AttemptKind::Transfer) if *nonce == attempt.nonce => {
            let state = State::Sending { nonce: *nonce, trouble: None };
            Some(step(order, state, Some(now), "the transfer is signed again with higher fees"))
        }
        (State::Cancelling { nonce, why, .. }, AttemptKind::SelfSend) if *nonce == attempt.nonce => {
            let state = State::Cancelling { nonce: *nonce, why: why.clone(), trouble: None };
            Some(step(order, state, Some(now), "a self-send is signed"))
        }
        (
            State::AwaitingApproval { .. }
            | State::Ready
            | State::Held { .. }
            | State::Sending { .. }
            | State::Cancelling { .. }
            | State::Mined { .. }
            | State::Ended { .. },
            AttemptKind::Transfer | AttemptKind::SelfSend,
        ) => None,
    }
}

fn sent(order: &Order, now: Timestamp, pace: &FundingPace) -> Option<Step> {
    let later = Some(now.plus(pace.bump_after.min(pace.rebroadcast_after)));
    let words = "the nodes were given the transaction";
    // That the fees cannot be raised is not mended by sending the same bytes again; it would be news, and an alarm, anew.
    let kept = |trouble: &Option<Hold>| trouble.clone().filter(is_at_most);
    match &order.state {
        State::Sending { nonce, trouble } => {
            Some(step(order, State::Sending { nonce: *nonce, trouble: kept(trouble) }, later, words))
        }
        State::Cancelling { nonce, why, trouble } => {
            let state = State::Cancelling { nonce: *nonce, why: why.clone(), trouble: kept(trouble) };
            Some(step(order, state, later, words))
        }
        // It may have been mined, and seen so, while the nodes were answering.
        State::Mined { .. } => Some(step(order, order.state.clone(), order.next_at, words)),
        State::AwaitingApproval { .. } | State::Ready | State::Held { .. } | State::Ended { .. } => None,
    }
}

fn mined(
    order: &Order,
    tx_hash: B256,
    block: BlockRef,
    effect: Effect,
    now: Timestamp,
    pace: &FundingPace,
) -> Option<Step> {
    let attempt = order.live_attempts().find(|attempt| attempt.tx_hash == tx_hash)?;
    if (attempt.kind == AttemptKind::SelfSend) != (effect == Effect::SelfSent) {
        return None;
    }
    let cancelling = match &order.state {
        State::Sending { .. } => None,
        State::Cancelling { why, .. } => Some(why.clone()),
        State::Mined { cancelling, .. } => cancelling.clone(),
        State::AwaitingApproval { .. } | State::Ready | State::Held { .. } | State::Ended { .. } => return None,
    };
    if effect == Effect::Reverted && planted(Bug::RevertBelievedAtOnce) {
        return Some(ended(order, OrderOutcome::Reverted { tx_hash }, Spend::GivenBack, now, "it failed in a block"));
    }
    let words = match effect {
        Effect::Paid { .. } => "the transfer is in a block",
        Effect::Reverted => "the transfer is in a block and failed there",
        Effect::MovedNothing => "the transfer is in a block, and the token wrote no log of it",
        Effect::SelfSent => "the self-send is in a block",
    };
    let state = State::Mined { nonce: attempt.nonce, tx_hash, block, effect, cancelling };
    Some(step(order, state, Some(now.plus(pace.poll_interval)), words))
}

fn unmined(order: &Order, now: Timestamp) -> Option<Step> {
    let State::Mined { nonce, cancelling, .. } = &order.state else { return None };
    let state = match cancelling {
        None if planted(Bug::NewNonceOnRetry) => State::Ready,
        None => State::Sending { nonce: *nonce, trouble: None },
        Some(why) => State::Cancelling { nonce: *nonce, why: why.clone(), trouble: None },
    };
    Some(step(order, state, Some(now), "the block that held the transaction is not on the chain any more"))
}

fn finalised(order: &mut Order, proof: &Proof, now: Timestamp, extra: &mut Vec<EventKind>) -> Option<Step> {
    let State::Mined { tx_hash, block, effect, cancelling, .. } = order.state.clone() else { return None };
    if proof.fact() != Freeing::of_effect(effect) {
        return None;
    }
    Some(match effect {
        Effect::Paid { log_index } => {
            let outcome = OrderOutcome::Paid { tx_hash, block, log_index };
            ended(order, outcome, Spend::Counted, now, "the transfer is final")
        }
        Effect::SelfSent => {
            // A self-send is signed only for an order that is being cancelled.
            let outcome = OrderOutcome::SelfSent { tx_hash, why: cancelling? };
            ended(order, outcome, Spend::GivenBack, now, "the self-send is final; no money moved")
        }
        Effect::MovedNothing => {
            extra.push(EventKind::Alarm { alarm: Alarm::MovedNothing { order: order.id.clone() } });
            let outcome = OrderOutcome::MovedNothing { tx_hash };
            ended(order, outcome, Spend::Counted, now, "the transfer is final, and moved nothing by its receipt")
        }
        Effect::Reverted => {
            order.reverts = order.reverts.saturating_add(1);
            order.approved_by = None;
            if planted(Bug::RevertSignedAgain) {
                return Some(step(order, State::Ready, Some(now), "the failed transfer is final"));
            }
            let why = ApprovalReason::Reverted { tx_hash, block };
            let words = "the transfer failed, for good: a person decides whether to pay it again";
            step(order, State::AwaitingApproval { why }, None, words)
        }
    })
}

fn displaced(order: &Order, proof: &Proof, now: Timestamp) -> Option<Step> {
    let nonce = match &order.state {
        _ if proof.fact() != Freeing::Displaced => return None,
        State::Sending { nonce, .. } | State::Cancelling { nonce, .. } => *nonce,
        State::AwaitingApproval { .. }
        | State::Ready
        | State::Held { .. }
        | State::Mined { .. }
        | State::Ended { .. } => return None,
    };
    let words = "a transaction that is not ours has consumed its nonce; its spend stays counted";
    Some(ended(order, OrderOutcome::Displaced { nonce }, order.spend, now, words))
}
