//! What a person must decide about a payout, in words, and the ways to settle it.

use crate::domain::payout::{Payout, PayoutReview, PayoutState};
use crate::view::explain::Names;
use crate::view::reviews::argument;
use crate::view::runbook;
use crate::view::{ReviewView, WayOut};

/// Why a person has to look, as a sentence.
pub(crate) fn review(payout: &Payout, why: &PayoutReview, names: &Names<'_>) -> String {
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
pub(crate) fn remedy(payout: &Payout, why: &PayoutReview) -> String {
    let settle = ways(payout, why);
    let told = settle.iter().map(|way| match &way.command {
        Some(command) => format!("{}: `{command}`.", way.when),
        None => format!("{}.", way.when),
    });
    told.collect::<Vec<_>>().join(" ")
}

fn ways(payout: &Payout, why: &PayoutReview) -> Vec<WayOut> {
    let name = argument(payout.reference.as_str());
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
                let id = argument(id.as_str());
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
    let known = payout.knows_what_is_open();
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
pub(crate) fn of_payout(payout: &Payout, names: &Names<'_>) -> Option<ReviewView> {
    let PayoutState::Review { why } = &payout.state else { return None };
    Some(ReviewView {
        subject: "payout".to_owned(),
        id: payout.reference.to_string(),
        reason: why.name().to_owned(),
        what: review(payout, why, names),
        settle: ways(payout, why),
        runbook: runbook::review(names.docs, "payout", why.name()),
    })
}
