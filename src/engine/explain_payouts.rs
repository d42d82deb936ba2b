//! The words for payouts: what happens next, what a person must decide, and how to pay by hand.

use super::explain::Names;
use super::handle::{Handle, HandleError};
use super::order_views::OrderView;
use super::payout_book::Kept;
use super::payout_requests::request_of;
use super::payout_views::{PayView, PayoutView, QuoteView};
use super::views::{PaymentView, ReviewView, WayOut, moment};
use crate::domain::order::Order;
use crate::domain::payment::{ApiStatus, Payment, PaymentState};
use crate::domain::payout::{Funding, Payout, PayoutReview, PayoutState};
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

/// Why a person has to look, as a sentence.
pub(super) fn review(payout: &Payout, why: &PayoutReview, names: &Names<'_>) -> String {
    let shown = |field: &str, figure: &str| {
        let units = figure.strip_suffix(" base units").filter(|_| field.to_lowercase().contains("amount"));
        let amount = units.and_then(|units| units.parse().ok()).map(crate::domain::amount::Amount::from_base_units);
        amount.map_or_else(|| format!("{figure:?}"), |amount| names.paid(amount).to_string())
    };
    match why {
        PayoutReview::QuoteRefused { refusal } => {
            format!("The API refuses to give a quote, with HTTP {}: {:?}.", refusal.status, refusal.message)
        }
        PayoutReview::PaysTooLittle { pays, least } => {
            let currency = &payout.wish.exchange.destination_currency;
            let pays = pays.as_ref().map_or_else(
                || "does not say what it pays out".to_owned(),
                |pays| format!("pays out {pays} {currency}"),
            );
            format!("The newest quote {pays}, and at least {least} {currency} was asked for. Nothing was opened.")
        }
        PayoutReview::QuoteDiffers { what } => {
            format!("The quote is not what was asked for: {what:?}. Nothing was opened.")
        }
        PayoutReview::NoUsableQuote { last } => {
            format!("Quote after quote was of no use; the last because {last:?}. Nothing was opened.")
        }
        PayoutReview::Refused { refusal } => {
            format!("The API refuses to open it, with HTTP {}: {:?}.", refusal.status, refusal.message)
        }
        PayoutReview::FileLost { detail } => format!("A file that goes with it cannot be read: {detail}."),
        PayoutReview::TermsDiffer { field, ours, theirs } => {
            let id = payout.payment.as_ref().map_or_else(|| "its payment".to_owned(), |id| format!("payment {id}"));
            let (ours, theirs) = (shown(field, ours), shown(field, theirs));
            format!("The API opened {id} with {theirs} as its {field}, and {ours} was asked for. It is not funded.")
        }
        PayoutReview::NoDepositAddress { missing } => {
            let id = payout.payment.as_ref().map_or_else(String::new, |id| format!(" {id}"));
            format!("The API opened payment{id}, and does not tell its {missing}.")
        }
        PayoutReview::Several { payments } => {
            let ids: Vec<&str> = payments.iter().map(|id| id.as_str()).collect();
            format!("Several payments bear its key: {}. None of them is funded.", ids.join(", "))
        }
    }
}

/// What a person can do about it, as a sentence.
fn remedy(payout: &Payout, why: &PayoutReview) -> String {
    let settle = ways(payout, why);
    let told = settle.iter().map(|way| match &way.command {
        Some(command) => format!("{}: `{command}`.", way.when),
        None => format!("{}.", way.when),
    });
    told.collect::<Vec<_>>().join(" ")
}

fn ways(payout: &Payout, why: &PayoutReview) -> Vec<WayOut> {
    let name = &payout.reference;
    let name = if name.as_str().starts_with('-') { format!("-- {name}") } else { name.to_string() };
    let way = |when: &str, command: String| WayOut { when: when.to_owned(), command: Some(command) };
    let retry = |when| way(when, format!("rampwatch payout retry --reason '…' {name}"));
    let mut ways = Vec::new();
    match why {
        PayoutReview::QuoteRefused { .. } | PayoutReview::Refused { .. } => {
            ways.push(retry("Once the cause is gone, it is tried again with the same key"));
        }
        PayoutReview::PaysTooLittle { .. } | PayoutReview::QuoteDiffers { .. } => {
            ways.push(retry("To take a new quote"));
        }
        PayoutReview::NoUsableQuote { .. } => {
            ways.push(retry("Once clocks and payouts.quote_margin are as they should be"));
        }
        PayoutReview::FileLost { .. } => ways.push(retry("Once the file was put again")),
        PayoutReview::TermsDiffer { .. } => {
            ways.push(retry("Once the provider says what was asked for, it is looked at again"))
        }
        PayoutReview::NoDepositAddress { missing } => {
            if let Some(id) = &payout.payment {
                let id = if id.as_str().starts_with('-') { format!("-- {id}") } else { id.to_string() };
                let amount = if missing.contains("depositAmount") { " --amount …" } else { "" };
                let recipient = &payout.wish.recipient;
                ways.push(way(
                    "Give the deposit address that the provider tells; the payout goes on from there",
                    format!("rampwatch add {id} {recipient} --deposit-address 0x…{amount}"),
                ));
            }
            ways.push(retry("To ask the API once more"));
        }
        PayoutReview::Several { .. } => {
            ways.push(WayOut { when: "Ask the provider which of them stands".to_owned(), command: None });
            ways.push(retry("Once only one is left"));
        }
    }
    let known = payout.payment.is_some() || matches!(why, PayoutReview::Several { .. });
    if known || !payout.may_be_open {
        let when = if known {
            "To leave it: nothing is paid, and what the API has opened runs out"
        } else {
            "To leave it: nothing was opened"
        };
        ways.push(way(when, format!("rampwatch payout cancel --reason '…' {name}")));
    }
    ways
}

/// The review of a payout, if it is in one.
pub(super) fn of_payout(payout: &Payout, names: &Names<'_>) -> Option<ReviewView> {
    let PayoutState::Review { why } = &payout.state else { return None };
    Some(ReviewView {
        subject: "payout".to_owned(),
        id: payout.reference.to_string(),
        reason: why.name().to_owned(),
        what: review(payout, why, names),
        settle: ways(payout, why),
    })
}

/// How to pay by hand, while the payment waits for that.
fn pay(payout: &Payout, payment: &Payment, order: Option<&Order>, handle: &Handle) -> Option<PayView> {
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

impl Handle {
    /// A payout as it is shown, with its payment and its order.
    pub(super) async fn payout_view(&self, kept: &Kept) -> Result<PayoutView, HandleError> {
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
