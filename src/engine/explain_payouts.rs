//! The words for payouts: what happens next, and how to pay by hand.

use super::explain::Names;
use super::operator_service::{OperatorError, OperatorService};
use super::order_views::OrderView;
use super::payout_book::Kept;
use super::payout_requests::request_of;
use super::payout_reviews::{remedy, review};
use super::payout_views::{PayView, PayoutView, QuoteView};
use super::views::{PaymentView, moment};
use crate::domain::order::Order;
use crate::domain::payment::{ApiStatus, Payment, PaymentState};
use crate::domain::payout::{Funding, Payout, PayoutState};
use crate::domain::time::Timestamp;

/// What happens next, or what a person must do, as a sentence.
fn next(payout: &Payout, payment: Option<&Payment>, names: &Names<'_>, next_at: Option<Timestamp>) -> String {
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
        _ if !waits => super::explain::state(&payment.state, names),
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
fn pay(payout: &Payout, payment: &Payment, order: Option<&Order>, handle: &OperatorService) -> Option<PayView> {
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
    let (terms, params) = (&payment.terms, &handle.settings.payouts.params);
    let units = terms.amount.base_units();
    let (token, to, chain_id) = (terms.token, terms.deposit_address, terms.chain_id);
    Some(PayView {
        address: to.to_string(),
        amount: terms.amount.to_decimal(handle.settings.decimals),
        base_units: terms.amount,
        token: token.to_string(),
        symbol: params.currency.clone(),
        chain_id,
        chain: params.chain_name.clone(),
        expires_at: terms.expires_at.map(moment),
        eip681: format!("ethereum:{token}@{chain_id}/transfer?address={to}&uint256={units}"),
    })
}

impl OperatorService {
    /// A payout as it is shown, with its payment and its order.
    pub(super) async fn payout_view(&self, kept: &Kept) -> Result<PayoutView, OperatorError> {
        let Kept { payout, version, next_at } = kept;
        let names = self.names();
        let (mut payment, mut order) = (None, None);
        if let Some(id) = &payout.payment {
            payment = self.store.payment(id).await?;
            order = self.store.orders_of(id).await?.pop();
        }
        let stop = if order.is_some() { self.stop().await? } else { None };
        let review = match &payout.state {
            PayoutState::Review { why } => Some(why.name().to_owned()),
            _ => None,
        };
        let now = self.clock.now();
        let quote = payout.quote.as_ref();
        let decimals = self.settings.decimals;
        Ok(PayoutView {
            reference: payout.reference.clone(),
            idempotency_key: payout.key.to_string(),
            state: payout.state.name().to_owned(),
            next: next(payout, payment.as_ref(), &names, *next_at),
            review,
            request: request_of(&payout.reference, &payout.wish, decimals),
            quote: quote.map(|taken| {
                let source = names.paid(payout.wish.exchange.source_amount);
                QuoteView::new(&payout.wish.exchange, &payout.wish.bank_account, &taken.quote, source, now)
            }),
            payment_id: payout.payment.as_ref().map(ToString::to_string),
            pay: payment.as_ref().and_then(|payment| pay(payout, payment, order.as_ref(), self)),
            payment: payment.as_ref().map(|payment| PaymentView::of(payment, &names)),
            order: order.as_ref().map(|order| OrderView::new(order, &names).with_stop(stop.as_ref())),
            trouble: payout.trouble.clone(),
            placed_by: payout.placed_by.clone(),
            placed_at: moment(payout.placed_at),
            updated_at: moment(payout.updated_at),
            version: *version,
        })
    }
}
