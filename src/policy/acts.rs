//! What is to be done next with a signed order: broadcast, raise the fees, or wait.
//!
//! Deliberately absent: the checks before each of them (`preflight`), and the order's state, which only `funding` changes.

use super::fees::{self, FeeParams};
use super::funding::FundingPace;
use crate::domain::chain::B256;
use crate::domain::hold::Hold;
use crate::domain::order::{AttemptKind, Fees, MAX_ATTEMPTS, Order, OrderState as State};
use crate::domain::time::Timestamp;
use crate::domain::wallet::Market;

/// How many attempts of an order may come before another transfer: the rest is for the self-send, which must always be
/// possible.
const MOST_FOR_TRANSFERS: usize = MAX_ATTEMPTS - 4;

/// How much longer an attempt that a block could take, and none does, is left alone before it is raised.
const PATIENCE: u64 = 3;

/// How many attempts there may be before another of this kind.
pub(super) const fn most_before(kind: AttemptKind) -> usize {
    match kind {
        AttemptKind::Transfer => MOST_FOR_TRANSFERS,
        AttemptKind::SelfSend => MAX_ATTEMPTS,
    }
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
            Ok(fees) => Act::Sign(kind, fees),
            Err(above) => Act::Hold(above.into()),
        }
    };
    if last.kind != kind {
        return raise();
    }
    let fits = fees::is_includable(&last.fees, market.base_fee, params);
    // What the nodes refuse waits in no pool: it is raised as if no block could take it. Mostly they want a higher tip.
    let is_stuck = !fits || matches!(trouble, Some(Hold::NodeRefuses { .. }));
    let patience = if is_stuck { pace.bump_after } else { pace.bump_after.times(PATIENCE) };
    let raise_at = last.signed_at.plus(patience);
    let is_refused = is_stuck && fits;
    let again_at = match last.sent_at {
        Some(sent_at) => sent_at.plus(pace.rebroadcast_after),
        None if is_refused => now,
        None => return Act::Broadcast(last.tx_hash),
    };
    // What waits behind a lower nonce is raised only where its own fees have become too low.
    if (is_lowest || is_stuck) && now >= raise_at {
        return match raise() {
            // The bytes that are there may still be taken: nodes forget them, and the market comes down again.
            Act::Hold(_) if now >= again_at => Act::Broadcast(last.tx_hash),
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
