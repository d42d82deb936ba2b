//! Payouts, quotes and how to pay, as lines for people.

use std::io::IsTerminal as _;

use super::super::output::{fields, plain, seen};
use super::qr::{self, Ink};
use super::stage::stage;
use crate::domain::amount::Amount;
use crate::view::order::WalletView;
use crate::view::payout::{Fund, PayView, PayoutRequest, PayoutView};
use crate::view::quote::{QuoteView, RateView};

/// Whether the hot wallet or somebody pays, in words.
const fn payer(fund: Fund) -> &'static str {
    match fund {
        Fund::Wallet => "the hot wallet, as soon as the off-ramp is open",
        Fund::ByHand => "you (the address is shown next)",
    }
}

/// What a payout would cost and what would arrive, before anybody says yes.
pub(super) fn preview(request: &PayoutRequest, rate: &RateView, quote: &QuoteView) -> String {
    let terms = &quote.rate;
    let currency = plain(&terms.destination_currency);
    let arrives = terms.destination_amount.as_ref().or(rate.destination_amount.as_ref());
    let arrives = arrives.map_or_else(
        || format!("{currency}; the payment API does not say how much"),
        |amount| format!("{amount} {currency}"),
    );
    let per_unit = |rate: &RateView| {
        let source = plain(&rate.source_currency);
        rate.exchange_rate.as_ref().map(|rate| format!("{rate} {currency} for 1 {source}"))
    };
    let good_for = match quote.seconds_left {
        None => String::new(),
        Some(seconds) if seconds >= 120 => format!(", good for {} min", seconds / 60),
        Some(seconds) => format!(", good for {seconds} s"),
    };
    let quoted = per_unit(terms).unwrap_or_else(|| "the payment API does not say the rate".to_owned());
    let fees = terms.total_fee.as_ref().map(|fee| format!("{fee} (payment API)"));
    let bound = match &request.min_destination_amount {
        Some(least) => format!("{least} {currency}; nothing is opened for less"),
        None => "none: the final quote may differ; to set one, use --min-destination-amount".to_owned(),
    };
    let names: Vec<String> = request.files.iter().map(|file| plain(&file.name)).collect();
    let (account, recipient) = (&request.bank_account, &request.recipient);
    let (rail, country) = (&request.destination_rail, &request.destination_country);
    fields(&[
        ("reference", request.reference.clone()),
        ("you send", Some(format!("{} on {}", terms.source_amount, plain(&terms.source_rail)))),
        ("rate", per_unit(rate)),
        ("quote", Some(format!("{quoted}{good_for}"))),
        ("fees", fees),
        ("arrives", Some(arrives)),
        ("at", Some(format!("bank account {account} of recipient {recipient}, by {rail} in {country}"))),
        ("for", Some(request.reason.clone())),
        ("document", request.document_reference.as_deref().map(plain)),
        ("files", (!names.is_empty()).then(|| names.join(", "))),
        ("paid by", Some(payer(request.fund).to_owned())),
        ("minimum", Some(bound)),
    ])
}

/// What the wallet may still spend.
pub(super) fn limits(wallet: &WalletView) -> String {
    let waits = wallet.halted.as_ref().map(|why| format!("the wallet is halted: {}", plain(why)));
    let waits = waits.or_else(|| wallet.paused.as_ref().map(|why| format!("the wallet is paused: {}", plain(why))));
    fields(&[
        ("wallet", Some(wallet.address.to_string())),
        ("spent", Some(format!("{} of {} in 24 hours", wallet.spent, wallet.limit))),
        ("waits", waits),
    ])
}

/// How to pay by hand, to be written as it is: the code has its colours. `code` says whether a QR code is wanted; unless it is said,
/// it is drawn on a terminal.
pub(super) fn how_to_pay(pay: &PayView, code: bool) -> String {
    let is_terminal = std::io::stdout().is_terminal();
    let ink = if is_terminal { Ink::Terminal } else { Ink::Text };
    let drawn = if code || is_terminal { qr::draw(&pay.eip681, ink) } else { None };
    let mut text = seen(&fields(&[
        (
            "pay",
            Some(format!("{} {} on {} (chain {})", pay.amount, plain(&pay.symbol), plain(&pay.chain), pay.chain_id)),
        ),
        ("to", Some(pay.address.clone())),
        ("token", Some(pay.token.clone())),
        ("before", pay.expires_at.clone()),
        ("link", Some(pay.eip681.clone())),
    ]));
    if let Some(drawn) = drawn {
        text.push('\n');
        text.push_str(&drawn);
    }
    text
}

/// A payout, in full.
pub(super) fn payout(view: &PayoutView) -> String {
    let stage = stage(view);
    let pays_out = view.quote.as_ref().and_then(|quote| {
        let terms = &quote.rate;
        terms.destination_amount.as_ref().map(|amount| format!("{amount} {}", plain(&terms.destination_currency)))
    });
    fields(&[
        ("payout", Some(view.reference.to_string())),
        ("state", Some(stage.name)),
        ("", Some(plain(&stage.text))),
        ("next", stage.hint),
        ("trouble", view.trouble.as_deref().map(plain)),
        ("amount", Some(plain(&view.request.amount))),
        ("pays out", pays_out),
        ("recipient", Some(format!("{}, bank account {}", view.request.recipient, view.request.bank_account))),
        ("payment", view.payment_id.clone()),
        ("to", view.payment.as_ref().map(|payment| payment.deposit_address.clone())),
        ("transaction", transaction(view)),
        ("order", view.order.as_ref().map(|order| order.id.to_string())),
        ("API says", view.payment.as_ref().and_then(|payment| payment.api.as_ref()).map(|word| plain(&word.status))),
        ("placed", Some(format!("{} by {}", view.placed_at, plain(&view.placed_by.to_string())))),
        ("changed", Some(view.updated_at.clone())),
        ("key", Some(view.idempotency_key.clone())),
    ])
}

/// The transaction that pays it: the API's word, else the deposit's, else the order's last.
pub(super) fn transaction(view: &PayoutView) -> Option<String> {
    let payment = view.payment.as_ref();
    let told = payment.and_then(|payment| payment.api.as_ref()).and_then(|word| word.tx_hash.as_deref()).map(plain);
    let seen = || payment.and_then(|payment| payment.state.deposit).map(|deposit| deposit.tx_hash.to_string());
    let sent =
        || view.order.as_ref().and_then(|order| order.attempts.last()).map(|attempt| attempt.tx_hash.to_string());
    told.or_else(seen).or_else(sent)
}

/// An amount in whole units of the token.
pub(super) fn whole(amount: Amount, decimals: u8, symbol: &str) -> String {
    format!("{} {symbol}", amount.to_decimal(decimals))
}

/// A payout as a row of a table.
pub(in super::super) fn row(view: &PayoutView) -> Vec<String> {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    vec![
        view.reference.to_string(),
        plain(&view.request.amount),
        view.request.recipient.clone(),
        stage(view).name,
        or_none(view.payment_id.clone()),
        or_none(transaction(view)),
    ]
}
