//! Whether an order may be placed for a payment: who asks, which orders it had, and the rules.
//!
//! Everything is decided on the payment's own recipient and amount. A transaction's `to` says nothing: for a token it is
//! always the token. Deliberately absent: the rules themselves (`rules`), what counts towards the limits per day, and until
//! when (`window`), and balances and the chain (`preflight` looks at those just before signing).

use thiserror::Error;

use super::rules::{self, RuleBroken, SpendLimits};
use crate::domain::actor::Actor;

use crate::domain::amount::Amount;
use crate::domain::chain::Address;
use crate::domain::order::{
    ApprovalReason, CancelReason, Order, OrderId, OrderOutcome, OrderState, Placer, UnsentReason,
};
use crate::domain::payment::{ApiStatus, Payment, PaymentState};
use crate::domain::time::Timestamp;
use crate::domain::wallet::Wallet;
use crate::planted::{Bug, planted};

pub use super::window::{Spending, window_now, window_start};

/// How many orders a payment may have had for the automatic mode to place another. What ended them may come again each time,
/// cost a self-send, and nobody would notice.
const MOST_AUTO_TURNS: u32 = 2;

/// A wish to fund a payment.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// The payment, as it stands.
    pub payment: &'a Payment,
    /// All its orders so far, by turn.
    pub orders: &'a [Order],
    /// What counts towards the limits per day, as of this moment.
    pub spending: Spending<'a>,
    /// The wallet's record; `None` while the wallet was never looked at.
    pub wallet: Option<&'a Wallet>,
    pub by: Placer,
    /// The person's name, where one does.
    pub placer: Option<&'a Actor>,
    /// Where to and how much, as it was shown to the person who said yes.
    pub shown: Option<(Address, Amount)>,
    /// The moment (our clock).
    pub now: Timestamp,
}

/// What is left of each limit, before the wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Of the limit for one payment.
    pub per_payment: Amount,
    /// Of the limit for any 24 hours.
    pub per_day: Amount,
    /// Of the limit for the recipient.
    pub per_recipient: Amount,
}

/// A wish that is granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The id of the order to be placed.
    pub id: OrderId,
    /// What is left of each limit, before this order.
    pub left: Left,
    /// Why a person must approve it first, if one must.
    pub approval: Option<ApprovalReason>,
}

/// Why a payment is not funded. Amounts are in base units of the token.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SpendRefusal {
    /// Funding is off.
    #[error("funding is switched off (funding.enabled)")]
    Off,
    /// Somebody asked before.
    #[error("order {id} for this payment is open already ({state})")]
    Open {
        /// The open order.
        id: OrderId,
        state: &'static str,
    },
    #[error("order {id} has funded this payment already")]
    Funded { id: OrderId },
    /// What an earlier order did is not known for certain.
    #[error(
        "order {id} ended {outcome}; its payment is not funded by itself again: a person must place the next order"
    )]
    NotAgainByItself { id: OrderId, outcome: &'static str },
    /// The payment does not wait for money.
    #[error(
        "the payment is {state}, and the payment API last said {status}: only one that waits for its funds can be funded"
    )]
    NotWaiting {
        /// Our state.
        state: &'static str,
        /// The API's last word.
        status: String,
    },
    /// The payment is another one than was shown.
    #[error("the payment asks for {amount} to {to}, which is not what was agreed to: look at it again")]
    NotAsShown {
        /// Where the money would go.
        to: Address,
        amount: Amount,
    },
    /// The payment is on another chain than the wallet.
    #[error("the payment is on chain {chain_id}, and the wallet on chain {wallet}")]
    OtherChain {
        /// The payment's chain.
        chain_id: u64,
        /// The wallet's chain.
        wallet: u64,
    },
    /// The payment names a sender that is not the wallet.
    #[error("the payment names {named} as its sender, and the wallet is {wallet}")]
    OtherSender { named: Address, wallet: Address },
    /// The address can never be paid.
    #[error("the deposit address {to} is {what}")]
    ForbiddenAddress { to: Address, what: &'static str },
    /// A rule forbids it.
    #[error("{0}")]
    Rule(#[from] RuleBroken),
    /// Too little time is left.
    #[error("it runs out in {left_s} s, and {least_s} s must be left (funding.min_time_left)")]
    TimeShort {
        /// How much is left, in seconds.
        left_s: u64,
        /// How much must be, in seconds.
        least_s: u64,
    },
}

impl SpendRefusal {
    /// As a sentence, with amounts as `show` writes them.
    #[must_use]
    pub fn text(&self, show: impl Fn(Amount) -> String) -> String {
        match self {
            Self::NotAsShown { to, amount } => format!(
                "the payment asks for {} to {to}, which is not what was agreed to: look at it again",
                show(*amount)
            ),
            Self::Rule(RuleBroken::Over { limit, figures }) => rules::over_text(limit, &figures.map(show)),
            other => other.to_string(),
        }
    }
}

/// Decides whether a wish is granted, and by which figures.
///
/// # Errors
/// The first rule that forbids it, with its figures.
pub fn authorize(wish: &Wish<'_>, limits: &SpendLimits) -> Result<Granted, SpendRefusal> {
    let payment = wish.payment;
    if !limits.enabled {
        return Err(SpendRefusal::Off);
    }
    rules::check_mode(wish.by, limits)?;
    let turn = next_turn(wish)?;
    check_payment(wish)?;
    rules::check(payment, wish.by, &wish.spending, limits)?;
    if let Some(expires_at) = payment.terms.expires_at {
        let left = expires_at.since(wish.now);
        if left < limits.min_time_left {
            let (left_s, least_s) = (left.as_secs(), limits.min_time_left.as_secs());
            return Err(SpendRefusal::TimeShort { left_s, least_s });
        }
    }
    let id = OrderId { payment: payment.id.clone(), turn };
    let approval = rules::approval(payment, wish.placer, &wish.spending, limits);
    Ok(Granted { id, left: left(payment, &wish.spending, limits), approval })
}

/// The turn of the payment's next order.
fn next_turn(wish: &Wish<'_>) -> Result<u32, SpendRefusal> {
    let Some(last) = wish.orders.iter().max_by_key(|order| order.id.turn) else { return Ok(1) };
    for order in wish.orders {
        match &order.state {
            OrderState::Ended { outcome: OrderOutcome::Paid { .. }, .. } => {
                return Err(SpendRefusal::Funded { id: order.id.clone() });
            }
            OrderState::Ended { .. } => {}
            _ if planted(Bug::OrderPlacedTwice) => {}
            state => return Err(SpendRefusal::Open { id: order.id.clone(), state: state.name() }),
        }
    }
    // Whatever else ended the last order, a person had a hand in it or should have: the automatic mode would only repeat it.
    if let (Placer::Auto, OrderState::Ended { outcome, .. }) = (wish.by, &last.state)
        && (!ended_by_hold(outcome) || last.reverts > 0 || last.id.turn > MOST_AUTO_TURNS)
    {
        return Err(SpendRefusal::NotAgainByItself { id: last.id.clone(), outcome: outcome.name() });
    }
    Ok(last.id.turn.saturating_add(1))
}

/// Whether rampwatch itself ended an order because something stood in the way, and for certain moved nothing. Signed or not,
/// what stood in the way may be gone: one operator's deposit that never was, one answer of the API.
const fn ended_by_hold(outcome: &OrderOutcome) -> bool {
    matches!(
        outcome,
        OrderOutcome::Unsent { why: UnsentReason::NotPayable { .. } }
            | OrderOutcome::SelfSent { why: CancelReason::Hold { .. }, .. }
    )
}

fn check_payment(wish: &Wish<'_>) -> Result<(), SpendRefusal> {
    let payment = wish.payment;
    let status = payment.api.as_ref().map(|view| &view.status);
    let has_hash = payment.api.as_ref().is_some_and(|view| view.tx_hash.is_some());
    let waits = payment.state == PaymentState::Waiting
        && !has_hash
        && status.is_none_or(|status| *status == ApiStatus::AwaitingFunds);
    if !waits {
        let status = status.map_or_else(|| "nothing".to_owned(), ToString::to_string);
        return Err(SpendRefusal::NotWaiting { state: payment.state.name(), status });
    }
    let (to, amount) = (payment.terms.deposit_address, payment.terms.amount);
    if wish.shown.is_some_and(|shown| shown != (to, amount)) {
        return Err(SpendRefusal::NotAsShown { to, amount });
    }
    if let Some(wallet) = wish.wallet.filter(|wallet| wallet.chain_id != payment.terms.chain_id) {
        return Err(SpendRefusal::OtherChain { chain_id: payment.terms.chain_id, wallet: wallet.chain_id });
    }
    let wallet = wish.wallet.map(|wallet| wallet.address);
    if let (Some(named), Some(wallet)) = (payment.terms.sender, wallet)
        && named != wallet
    {
        return Err(SpendRefusal::OtherSender { named, wallet });
    }
    if let Some(what) = forbidden(to, payment.terms.token, wallet) {
        return Err(SpendRefusal::ForbiddenAddress { to, what });
    }
    Ok(())
}

/// What an address is that must never be paid.
#[must_use]
pub fn forbidden(to: Address, token: Address, wallet: Option<Address>) -> Option<&'static str> {
    match to {
        _ if to.is_zero() => Some("the zero address"),
        _ if to == token => Some("the token itself"),
        _ if Some(to) == wallet => Some("the wallet itself"),
        _ => None,
    }
}

/// What is left of each limit.
#[must_use]
pub fn left(payment: &Payment, spending: &Spending<'_>, limits: &SpendLimits) -> Left {
    let rest = |limit: Amount, spent: Amount| limit.checked_sub(spent).unwrap_or(Amount::ZERO);
    Left {
        per_payment: limits.max_per_payment,
        per_day: rest(limits.max_per_day, spending.all()),
        per_recipient: rest(limits.max_per_recipient, spending.to(&payment.recipient_id)),
    }
}
