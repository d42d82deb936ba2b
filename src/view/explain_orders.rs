//! What happened to orders and to the hot wallet, as sentences.

use crate::domain::actor::Actor;
use crate::domain::event::{EventKind, WalletChange};
use crate::domain::hold::Hold;
use crate::domain::order::{
    ApprovalReason, Attempt, AttemptKind, CancelReason, OrderOutcome, OrderState, UnsentReason,
};
use crate::policy::spend::SpendRefusal;
use crate::view::explain::Names;

/// The name and the sentence of an event about an order or the wallet. Other events have none here.
pub(crate) fn event(kind: &EventKind, names: &Names<'_>) -> (&'static str, String) {
    match kind {
        EventKind::OrderPlaced { order } => {
            let amount = names.amount(order.amount, order.token);
            let by = by_whom(order.placed_by_name.as_ref());
            let text = format!("Order {} was placed{by}: {amount} from {} to {}.", order.id, order.wallet, order.to);
            ("order_placed", text)
        }
        EventKind::OrderMoved { order, from, to, why, .. } => {
            ("order_moved", format!("Order {order} went from {} to {}: {why}.", from.name(), state_text(to, names)))
        }
        EventKind::AttemptSigned { order, attempt } => ("attempt_signed", signed_text(order.to_string(), attempt)),
        EventKind::AttemptSent { order, tx_hash, said } => {
            ("attempt_sent", format!("Transaction {tx_hash} of order {order} was given to the nodes: {said}."))
        }
        EventKind::AttemptMined { order, tx_hash, block, gas_used, gas_price } => (
            "attempt_mined",
            match gas_used.zip(*gas_price) {
                Some((used, price)) => format!(
                    "Transaction {tx_hash} of order {order} is in block {}; it used {used} gas at {} gwei.",
                    block.number,
                    price.to_gwei()
                ),
                None => format!(
                    "Transaction {tx_hash} of order {order} is in block {}; the node did not tell what it cost.",
                    block.number
                ),
            },
        ),
        EventKind::WalletChanged { address, change } => {
            ("wallet_changed", change_text(&address.to_string(), change, names))
        }
        EventKind::PaymentAdded { .. }
        | EventKind::PaymentMoved { .. }
        | EventKind::ApiReported { .. }
        | EventKind::DepositSeen { .. }
        | EventKind::DepositJudged { .. }
        | EventKind::DepositStands { .. }
        | EventKind::DepositsCounted { .. }
        | EventKind::PersonDecided { .. }
        | EventKind::FinalityMoved { .. }
        | EventKind::Alarm { .. }
        | EventKind::AddressPlaced { .. }
        | EventKind::AddressClosed { .. }
        | EventKind::EndpointBack { .. }
        | EventKind::ListenerBack { .. }
        | EventKind::StallOver { .. }
        | EventKind::RecordChanged { .. } => ("other", String::new()),
    }
}

fn signed_text(order: String, attempt: &Attempt) -> String {
    let what = match attempt.kind {
        AttemptKind::Transfer => "The transfer",
        AttemptKind::SelfSend => "A self-send",
    };
    format!(
        "{what} of order {order} was signed: transaction {} with nonce {}, at most {} gwei, tip {} gwei.",
        attempt.tx_hash,
        attempt.nonce,
        attempt.fees.cap.to_gwei(),
        attempt.fees.tip.to_gwei()
    )
}

fn by_whom(by: Option<&Actor>) -> String {
    by.map_or_else(String::new, |by| format!(" by {by}"))
}

fn change_text(wallet: &str, change: &WalletChange, names: &Names<'_>) -> String {
    match change {
        WalletChange::Opened { next_nonce } => format!("This store sends from {wallet} from nonce {next_nonce} on."),
        WalletChange::Paused { reason, by } => {
            format!("The wallet {wallet} was paused{}: {reason:?}.", by_whom(by.as_ref()))
        }
        WalletChange::Resumed { reason, by } => {
            format!("The pause of wallet {wallet} was ended{}: {reason:?}.", by_whom(by.as_ref()))
        }
        WalletChange::Halted { why } => format!("The wallet {wallet} is halted: {why}."),
        WalletChange::Adopted { reason, next_nonce, by, booked, typed } => {
            let (by, given) = (by_whom(by.as_ref()), if *typed { " (as it was given)" } else { "" });
            let counts = booked.map_or_else(String::new, |booked| {
                let sent = names.paid(booked);
                format!(
                    " It sent {sent} in the last 24 hours that no order here accounts for, and that counts as spent."
                )
            });
            format!("The wallet {wallet} was adopted{by}, with nonce {next_nonce}{given} next: {reason:?}.{counts}")
        }
    }
}

/// A hold as a sentence, with amounts in whole units.
pub(crate) fn hold_text(hold: &Hold, names: &Names<'_>) -> String {
    match hold {
        Hold::MoneyThere { tx_hash, amount } => {
            format!("{} are at the deposit address already, by transaction {tx_hash}", names.paid(*amount))
        }
        Hold::TokenShort { have, need } => {
            format!("the wallet has {} to give, and needs {}", names.paid(*have), names.paid(*need))
        }
        Hold::Policy { rule, over: Some(over) } => {
            format!(
                "{rule} allows {}, and with this order it would be {}",
                names.paid(over.limit),
                names.paid(over.sum)
            )
        }
        Hold::ApprovalMissing { why } => {
            format!("the rules in force ask for an approval that it does not have: {}", approval_text(*why, names))
        }
        other => other.to_string(),
    }
}

/// A refusal of the spend policy as a sentence, with amounts in whole units.
pub(crate) fn refusal_text(refusal: &SpendRefusal, names: &Names<'_>) -> String {
    refusal.text(|amount| names.paid(amount).to_string())
}

/// Why a person must approve, in words.
pub(crate) fn approval_text(why: ApprovalReason, names: &Names<'_>) -> String {
    match why {
        ApprovalReason::AboveAmount { limit } => {
            format!("it is more than {} (funding.approval_above)", names.paid(limit))
        }
        ApprovalReason::TypedAddress => "a person typed the deposit address".to_owned(),
        ApprovalReason::TypedAmount => "a person typed the amount".to_owned(),
        ApprovalReason::ExpiryUnknown => "nobody knows when the payment runs out".to_owned(),
        ApprovalReason::TypedRecipient => {
            "a person typed the recipient, and the payment API does not confirm it".to_owned()
        }
        ApprovalReason::TypedExpiry => "a person typed when the payment runs out".to_owned(),
        ApprovalReason::AbovePerDay { limit } => format!(
            "with what its placer has placed in 24 hours without an approval, it is more than {} \
             (funding.approval_above_per_day)",
            names.paid(limit)
        ),
        ApprovalReason::Reverted { tx_hash, block } => format!(
            "its transfer {tx_hash} failed in block {}; approve to pay it once more, reject to give it up",
            block.number
        ),
    }
}

/// Why the nonce of a signed transfer is consumed by a self-send, in words.
fn cancel_text(why: &CancelReason, names: &Names<'_>) -> String {
    match why {
        CancelReason::Person { reason } => format!("a person cancelled it: {reason:?}"),
        CancelReason::Hold { hold } => hold_text(hold, names),
    }
}

/// How an order ended, in words.
fn outcome_text(outcome: &OrderOutcome, names: &Names<'_>) -> String {
    match outcome {
        OrderOutcome::Paid { tx_hash, block, .. } => format!("paid by {tx_hash} in block {}, final", block.number),
        OrderOutcome::SelfSent { tx_hash, why } => {
            format!("no money moved: the self-send {tx_hash} is final; {}", cancel_text(why, names))
        }
        OrderOutcome::Reverted { tx_hash } => {
            format!("no money moved: the transfer {tx_hash} failed in its block, for good")
        }
        OrderOutcome::MovedNothing { tx_hash } => {
            format!("the transfer {tx_hash} succeeded by its receipt, and the token wrote no log of it: look at it")
        }
        OrderOutcome::Unsent { why } => match why {
            UnsentReason::Rejected { reason } => format!("nothing was sent: a person rejected it: {reason:?}"),
            UnsentReason::Cancelled { reason } => format!("nothing was sent: a person cancelled it: {reason:?}"),
            UnsentReason::NotPayable { hold } => format!("nothing was sent: {}", hold_text(hold, names)),
            UnsentReason::ApprovalExpired { valid_for_s } => format!(
                "nothing was sent: nobody approved it within {valid_for_s} s (funding.approval_valid_for); if it is still to be \
                 paid, place another order"
            ),
        },
        OrderOutcome::Displaced { nonce } => {
            format!("no money of it moved: a transaction that is not ours consumed nonce {nonce}")
        }
    }
}

/// An order's state in words, with what it waits for.
pub(crate) fn state_text(state: &OrderState, names: &Names<'_>) -> String {
    match state {
        OrderState::AwaitingApproval { why } => format!("awaiting approval ({})", approval_text(*why, names)),
        OrderState::Ready => "ready to be checked and signed".to_owned(),
        OrderState::Held { why } => format!("held ({}); nothing is signed", hold_text(why, names)),
        OrderState::Sending { nonce, trouble: Some(trouble) } => {
            format!("sending with nonce {nonce}, outcome unknown ({})", hold_text(trouble, names))
        }
        OrderState::Sending { nonce, trouble: None } => format!("sending with nonce {nonce}, outcome unknown"),
        OrderState::Cancelling { nonce, why, trouble } => {
            let but = trouble.as_ref().map_or_else(String::new, |trouble| format!("; {}", hold_text(trouble, names)));
            let why = cancel_text(why, names);
            format!("cancelling, outcome unknown: a self-send is to consume nonce {nonce} ({why}{but})")
        }
        OrderState::Mined { block, tx_hash, .. } => format!("mined in block {} by {tx_hash}, not final", block.number),
        OrderState::Ended { outcome, .. } => format!("ended ({})", outcome_text(outcome, names)),
    }
}
