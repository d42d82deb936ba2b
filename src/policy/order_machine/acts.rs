//! What is to be done next with a signed order: broadcast, raise the fees, or wait.
//!
//! Deliberately absent: the checks before each of them (`preflight`), and the order's state, which only the order machine changes.

use super::FundingPace;
use crate::domain::chain::B256;
use crate::domain::hold::Hold;
use crate::domain::order::{AttemptKind, Fees, MAX_ATTEMPTS, Order, OrderState as State};
use crate::domain::time::Timestamp;
use crate::domain::wallet::Market;
use crate::domain::wei::Wei;
use crate::policy::fees::{self, FeeParams};
use crate::policy::wrong_clock::over_at;

/// How many attempts of an order may come before another transfer: the rest is for the self-send, which must always be
/// possible.
const MOST_FOR_TRANSFERS: usize = MAX_ATTEMPTS - 4;

/// How much longer an attempt that a block could take, and none does, is left alone before it is raised.
const PATIENCE: u64 = 3;

/// The most that an attempt of this kind may offer for a unit of gas.
const fn most_for(kind: AttemptKind, params: &FeeParams) -> Wei {
    match kind {
        AttemptKind::Transfer => params.for_transfers().ceiling,
        AttemptKind::SelfSend => params.ceiling,
    }
}

/// How many attempts there may be before another of this kind.
pub(super) const fn most_before(kind: AttemptKind) -> usize {
    match kind {
        AttemptKind::Transfer => MOST_FOR_TRANSFERS,
        AttemptKind::SelfSend => MAX_ATTEMPTS,
    }
}

/// Whether a hold says that the fees cannot be raised any more. What is signed then waits for the market to come down.
#[must_use]
pub(super) const fn is_at_most(hold: &Hold) -> bool {
    matches!(hold, Hold::FeeCeiling { .. } | Hold::TooManyAttempts)
}

/// What stands in an order's way, where it has a nonce that is not mined.
const fn trouble_of(order: &Order) -> Option<&Hold> {
    match &order.state {
        State::Sending { trouble, .. } | State::Cancelling { trouble, .. } => trouble.as_ref(),
        State::AwaitingApproval { .. }
        | State::Ready
        | State::Held { .. }
        | State::Mined { .. }
        | State::Ended { .. } => None,
    }
}

/// What to note when the nodes say that a transaction offers too little: where the fees cannot be raised, that is what keeps
/// it, and the nodes say nothing new; else it is their refusal, and it is raised.
#[must_use]
pub fn too_cheap(order: &Order, said: &str) -> Hold {
    let at_most = trouble_of(order).filter(|hold| is_at_most(hold)).cloned();
    at_most.unwrap_or_else(|| Hold::NodeRefuses { detail: said.to_owned() })
}

/// What keeps further orders from taking a nonce, if anything does: the `lowest` one that is not mined can be raised no more,
/// and at this base fee no block takes its bytes. What is signed behind it could not be mined before it, would be good for
/// ever, and would need a self-send of its own should its payment run out; what is not signed can just end.
#[must_use]
pub fn jam(lowest: &Order, base_fee: Wei, params: &FeeParams) -> Option<Hold> {
    let last = lowest.live_attempts().last()?;
    if !is_at_its_most(lowest) || fees::is_includable(&last.fees, base_fee, params) {
        return None;
    }
    Some(Hold::FeeCeiling { needed: base_fee.plus(params.tip_floor), ceiling: last.fees.cap })
}

/// Whether the order's fees cannot be raised any more.
#[must_use]
pub fn is_at_its_most(order: &Order) -> bool {
    trouble_of(order).is_some_and(is_at_most)
}

/// What is to be done with an order that has a nonce and is not mined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Give this transaction to the nodes, after the checks.
    Broadcast(B256),
    /// Sign another attempt of this kind with these fees, after the checks.
    Sign(AttemptKind, Fees),
    /// Nothing can be done: note this.
    Hold(Hold),
    /// Nothing is due before this moment.
    Wait(Timestamp),
}

/// What is to be done next with an order that has a nonce. `is_lowest`: no lower nonce waits to be mined, so that this
/// one could be.
#[must_use]
pub fn next_act(
    order: &Order,
    market: &Market,
    is_lowest: bool,
    now: Timestamp,
    pace: &FundingPace,
    params: &FeeParams,
) -> Act {
    let (kind, trouble) = match &order.state {
        State::Sending { trouble, .. } => (AttemptKind::Transfer, trouble.as_ref()),
        State::Cancelling { trouble, .. } => (AttemptKind::SelfSend, trouble.as_ref()),
        State::AwaitingApproval { .. }
        | State::Ready
        | State::Held { .. }
        | State::Mined { .. }
        | State::Ended { .. } => return Act::Wait(Timestamp::FAR_FUTURE),
    };
    let Some(last) = order.live_attempts().last() else { return Act::Wait(Timestamp::FAR_FUTURE) };
    let raise = || {
        if order.attempts.len() >= most_before(kind) {
            return Act::Hold(Hold::TooManyAttempts);
        }
        let (base, tip) = (market.base_fee, market.tip);
        let raised = match (last.kind, kind) {
            (AttemptKind::Transfer, AttemptKind::SelfSend) => fees::outbid(&last.fees, base, tip, params),
            (_, AttemptKind::SelfSend) => fees::bump(&last.fees, base, tip, params),
            (_, AttemptKind::Transfer) => fees::bump(&last.fees, base, tip, &params.for_transfers()),
        };
        match raised {
            // It is the last that may be signed: what it offers at most must not be what keeps it from being mined.
            Ok(fees) if order.attempts.len().saturating_add(1) >= most_before(kind) => {
                Act::Sign(kind, Fees { cap: most_for(kind, params).max(fees.cap), ..fees })
            }
            Ok(fees) => Act::Sign(kind, fees),
            Err(above) => Act::Hold(above.into()),
        }
    };
    if last.kind != kind {
        return raise();
    }
    let fits = fees::is_includable(&last.fees, market.base_fee, params);
    // What the nodes refuse waits in no pool: it is raised as if no block could take it. Mostly they want a higher tip.
    let is_refused = matches!(trouble, Some(Hold::NodeRefuses { .. }));
    let is_stuck = !fits || is_refused;
    let patience = if is_stuck { pace.bump_after } else { pace.bump_after.times(PATIENCE) };
    let raise_at = over_at(last.signed_at, patience, now);
    let was_offered = is_refused || trouble.is_some_and(is_at_most);
    let again_at = match last.sent_at {
        Some(sent_at) => over_at(sent_at, pace.rebroadcast_after, now),
        None if was_offered => now,
        None => return Act::Broadcast(last.tx_hash),
    };
    // What waits behind a lower nonce is raised only where its own fees have become too low.
    if (is_lowest || is_stuck) && now >= raise_at {
        return match raise() {
            // The bytes that are there may still be taken: nodes forget them, and the market comes down again. First it is
            // noted why nothing better can be offered.
            Act::Hold(_) if now >= again_at && trouble.is_some_and(is_at_most) => Act::Broadcast(last.tx_hash),
            other => other,
        };
    }
    if now >= again_at {
        return Act::Broadcast(last.tx_hash);
    }
    // Past its time, it waits only for the lower nonces; there is nothing to be looked at before they have moved.
    let look_at = if raise_at > now { raise_at } else { now.plus(pace.bump_after) };
    Act::Wait(again_at.min(look_at))
}
