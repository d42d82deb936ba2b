//! Orders, the wallet and what funding would mean, as lines for people.

use super::output::{fields, payment, plain};
use crate::domain::order::AttemptKind;
use crate::view::order::{AttemptView, FundView, OrderView, WalletView};
use crate::view::returns::PaymentDetail;

/// An order, in full.
pub(super) fn order(view: &OrderView) -> String {
    let block = view.block.map(|block| block.number.to_string());
    let mut text = fields(&[
        ("order", Some(view.id.to_string())),
        ("state", Some(view.state.clone())),
        ("", Some(plain(&view.text))),
        ("amount", Some(view.amount.to_string())),
        ("to", Some(view.to.to_string())),
        ("wallet", Some(view.wallet.to_string())),
        ("recipient", Some(view.recipient_id.to_string())),
        ("placed", Some(format!("{} by {}", view.placed_at, placer(view)))),
        ("approved", view.approved_by.as_ref().map(|by| format!("by {by}"))),
        (
            "daily limit",
            Some(if view.counts_as_spent { "counts toward it" } else { "does not count toward it" }.to_owned()),
        ),
        ("nonce", view.nonce.map(|nonce| nonce.to_string())),
        ("block", block),
    ]);
    text.extend(view.attempts.iter().map(attempt));
    text
}

/// What would be approved.
pub(super) fn to_approve(view: &OrderView) -> String {
    fields(&[
        ("order", Some(view.id.to_string())),
        ("payment", Some(format!("{} of recipient {}", view.payment, view.recipient_id))),
        ("amount", Some(view.amount.to_string())),
        ("to", Some(view.to.to_string())),
        ("placed", Some(format!("{} by {}", view.placed_at, placer(view)))),
        ("", Some(plain(&view.text))),
    ])
}

fn placer(view: &OrderView) -> &str {
    match view.placed_by {
        crate::domain::order::Placer::Person => view.placed_by_name.as_ref().map_or("a person", |name| name.as_str()),
        crate::domain::order::Placer::Auto => "the automatic mode",
    }
}

fn attempt(view: &AttemptView) -> String {
    let kind = match view.kind {
        AttemptKind::Transfer => "transfer",
        AttemptKind::SelfSend => "self-send",
    };
    let sent = view.sent_at.as_ref().map_or_else(|| "not known to be sent".to_owned(), |at| format!("sent {at}"));
    let (hash, nonce, cap, tip) = (view.tx_hash, view.nonce, &view.cap_gwei, &view.tip_gwei);
    format!(
        "  {kind} {hash}\n    nonce {nonce}, at most {cap} gwei (tip {tip}), at most {} POL; {sent}\n",
        view.most_cost
    )
}

/// A payment, with its orders and whether its money came back.
pub(super) fn detail(view: &PaymentDetail) -> String {
    let mut text = payment(&view.payment);
    text.extend(view.money_back.iter().map(|back| format!("\n{}\n", back.text)));
    text.extend(view.orders.iter().map(|view| format!("\n{}", order(view))));
    text
}

/// What funding a payment would mean.
pub(super) fn preview(view: &FundView) -> String {
    let approval = view.approval_text.as_ref().map_or_else(
        || "not needed".to_owned(),
        |why| format!("needed before anything is sent, because {}", plain(why)),
    );
    let waits = view.waits.as_ref().map(|why| format!("nothing is sent for now: {}", plain(why)));
    fields(&[
        ("payment", Some(format!("{} of recipient {}", view.payment, view.recipient_id))),
        ("amount", Some(view.amount.to_string())),
        ("to", Some(view.to.to_string())),
        ("wallet", Some(view.wallet.to_string())),
        (
            "fee",
            Some(format!("at most {} POL (at most {} gwei for a unit of gas)", view.most_fee, view.fee_ceiling_gwei)),
        ),
        ("limits", Some(format!("{} for one payment", view.left_per_payment))),
        ("", Some(format!("{} left of the limit for 24 hours", view.left_per_day))),
        ("", Some(format!("{} left of the limit for this recipient in 24 hours", view.left_per_recipient))),
        ("approval", Some(approval)),
        ("waits", waits),
    ])
}

pub(super) fn wallet(view: &WalletView) -> String {
    let state = match (&view.halted, &view.paused) {
        (Some(_), Some(_)) => "halted and paused: nothing is sent",
        (Some(_), None) => "halted: nothing is sent",
        (None, Some(_)) => "paused: nothing is sent",
        (None, None) => "ready to send",
    };
    fields(&[
        ("wallet", Some(view.address.to_string())),
        ("state", Some(state.to_owned())),
        ("halted", view.halted.as_deref().map(plain)),
        ("paused", view.paused.as_deref().map(plain)),
        ("next nonce", Some(view.next_nonce.to_string())),
        ("spent", Some(format!("{} of {} in 24 hours, with what is still to be sent", view.spent, view.limit))),
        ("open orders", Some(view.open_orders.to_string())),
    ])
}
