//! What happens next with a payout, and how to pay it by hand.

use crate::domain::order::Order;
use crate::domain::payment::{ApiStatus, Payment, PaymentState};
use crate::domain::payout::{Funding, Payout, PayoutState};
use crate::domain::time::Timestamp;
use crate::view::explain::Names;
use crate::view::moment;
use crate::view::payout::PayView;
use crate::view::payout_review::{remedy, review};

/// What the token that pays is called in what is shown to whoever pays by hand.
pub(crate) struct PayToken<'a> {
    pub(crate) symbol: &'a str,
    /// The chain's name.
    pub(crate) chain: &'a str,
    pub(crate) decimals: u8,
}

/// What happens next, or what a person must do, as a sentence.
pub(crate) fn next(
    payout: &Payout,
    payment: Option<&Payment>,
    names: &Names<'_>,
    next_at: Option<Timestamp>,
) -> String {
    let later = |text: &str| match (&payout.trouble, next_at) {
        (Some(trouble), Some(at)) => format!("{text}; it is tried again at {}, because {trouble:?}.", moment(at)),
        _ => format!("{text}."),
    };
    match &payout.state {
        PayoutState::Placed => later("A quote is taken next"),
        PayoutState::Quoted => later("The off-ramp is opened next, on the quote at hand"),
        PayoutState::Creating { started_at } => format!(
            "The off-ramp is being opened since {}; if the process died meanwhile, its key is looked for in the \
             recipient's list before it is called again with the same key.",
            moment(*started_at)
        ),
        PayoutState::Unclear { refusal: None } => {
            later("It is not known whether the call opened it; its key is looked for next")
        }
        PayoutState::Unclear { refusal: Some(refusal) } => {
            format!(
                "The API answered with HTTP {} ({:?}); its key is looked for all the same.",
                refusal.status, refusal.message
            )
        }
        PayoutState::Created { funding } => created(payout, funding, payment, names),
        PayoutState::Review { why } => format!("{} {}", review(payout, why, names), remedy(payout, why)),
        PayoutState::Cancelled { reason } => format!("It was cancelled, because {reason:?}. Nothing more happens."),
    }
}

fn created(payout: &Payout, funding: &Funding, payment: Option<&Payment>, names: &Names<'_>) -> String {
    let Some(payment) = payment else { return "Its payment is not known here.".to_owned() };
    let waits = payment.state == PaymentState::Waiting;
    let amount = names.amount(payment.terms.amount, payment.terms.token);
    let by_hand = || format!("Send {amount} to {}, from {}.", payment.terms.deposit_address, payout.wish.from_address);
    match funding {
        _ if !waits => crate::view::explain::state(&payment.state, names),
        Funding::Hand => by_hand(),
        Funding::Due => match &payout.trouble {
            Some(trouble) => format!("The wallet does not fund it yet: {trouble}; it is asked again."),
            None => "An order of the wallet is placed next.".to_owned(),
        },
        Funding::Order { order } => format!("Order {order} funds it."),
        Funding::Nobody { why } => format!("The wallet does not fund it: {why}. {}", by_hand()),
    }
}

/// How to pay by hand, while the payment waits for that.
pub(crate) fn pay(payout: &Payout, payment: &Payment, order: Option<&Order>, token: &PayToken<'_>) -> Option<PayView> {
    let PayoutState::Created { funding } = &payout.state else { return None };
    let by_hand = match funding {
        Funding::Hand | Funding::Nobody { .. } => order.is_none_or(|order| order.state.is_ended()),
        Funding::Due | Funding::Order { .. } => false,
    };
    let open =
        payment.api.as_ref().is_none_or(|view| view.status == ApiStatus::AwaitingFunds && view.tx_hash.is_none());
    if !by_hand || !open || payment.state != PaymentState::Waiting {
        return None;
    }
    let terms = &payment.terms;
    let units = terms.amount.base_units();
    let (contract, to, chain_id) = (terms.token, terms.deposit_address, terms.chain_id);
    Some(PayView {
        address: to.to_string(),
        amount: terms.amount.to_decimal(token.decimals),
        base_units: terms.amount,
        token: contract.to_string(),
        symbol: token.symbol.to_owned(),
        chain_id,
        chain: token.chain.to_owned(),
        expires_at: terms.expires_at.map(moment),
        eip681: format!("ethereum:{contract}@{chain_id}/transfer?address={to}&uint256={units}"),
    })
}
