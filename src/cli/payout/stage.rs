//! How far a payout is, in a word and a sentence, and whether there is anything left to wait for.
//!
//! A plain function of what the engine shows. Deliberately absent: decisions about the payout itself.

use crate::domain::payment::Outcome;
use crate::view::PaymentView;
use crate::view::payout::{Fund, PayoutView};

/// How far a payout is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stage {
    pub(super) name: String,
    /// The same as a sentence.
    pub(super) text: String,
    /// How waiting ends, if it does.
    pub(super) end: Option<End>,
    /// What a person has to do meanwhile, if anything.
    pub(super) hint: Option<String>,
}

/// How waiting for a payout ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    /// It is paid out.
    Done,
    /// It goes on only when a person has decided something.
    Person,
    /// It has ended without being paid out.
    NotPaid,
}

/// How far it is.
pub(super) fn stage(view: &PayoutView) -> Stage {
    let own = |end| Stage { name: view.state.clone(), text: view.next.clone(), end, hint: None };
    match (view.state.as_str(), &view.payment) {
        ("review", _) => own(Some(End::Person)),
        ("cancelled", _) => own(Some(End::NotPaid)),
        (_, Some(payment)) => of_payment(view, payment),
        // What this program does not know yet is followed, not judged.
        _ => own(None),
    }
}

fn of_payment(view: &PayoutView, payment: &PaymentView) -> Stage {
    let told = |name: &str, text: &str, end| Stage { name: name.to_owned(), text: text.to_owned(), end, hint: None };
    let state = &payment.state;
    let status = payment.api.as_ref().map_or("", |word| word.status.as_str());
    if let Some(outcome) = state.outcome {
        let (name, end) = match outcome {
            Outcome::Completed => ("completed", End::Done),
            Outcome::Failed => ("failed", End::NotPaid),
            Outcome::Expired => ("expired", End::NotPaid),
            Outcome::Refunded => ("refunded", End::NotPaid),
            Outcome::Cancelled => ("cancelled", End::NotPaid),
        };
        return told(name, &state.text, Some(end));
    }
    match state.name.as_str() {
        "waiting" => waiting(view),
        "due" | "calling" | "unclear" => told("completing", &state.text, None),
        "following" => told("at-the-bank", &format!("The payment API says {status}."), None),
        "review" => Stage {
            hint: Some(format!("rampwatch why {}", payment.id)),
            ..told("review", &state.text, Some(End::Person))
        },
        name => told(name, &state.text, None),
    }
}

/// The payment waits for its money: who is to send it?
fn waiting(view: &PayoutView) -> Stage {
    let told = |name: &str, text: &str| Stage { name: name.to_owned(), text: text.to_owned(), end: None, hint: None };
    let Some(order) = &view.order else {
        return match (view.request.fund, &view.pay) {
            // The wallet was asked to, and does not: somebody has to.
            (Fund::Wallet, Some(_)) => Stage { end: Some(End::Person), ..told("not-funded", &view.next) },
            (Fund::Wallet, None) => told("funding", &view.next),
            (Fund::ByHand, _) => told("waiting", &view.next),
        };
    };
    match (order.state.as_str(), order.outcome.as_deref()) {
        ("awaiting-approval", _) => Stage {
            hint: Some(format!("rampwatch approve {} --reason '…'", order.id)),
            ..told("awaiting-approval", &order.text)
        },
        ("ended", Some("paid")) => told("sent", &order.text),
        ("ended", _) => Stage {
            end: Some(End::Person),
            hint: Some(format!("rampwatch fund {}", order.payment)),
            ..told("not-funded", &order.text)
        },
        (state, _) => told(state, &order.text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A payout as the operator API tells it, with what is not asked about left simple.
    fn payout(state: &str, fund: &str) -> Value {
        json!({
            "reference": "INV-7", "idempotency_key": "k", "state": state, "next": "What is next.", "review": null,
            "request": {
                "reference": "INV-7", "user": "u", "recipient": "r", "bank_account": "b", "amount": "5",
                "destination_currency": "MXN", "destination_rail": "SPEI", "destination_country": "MX", "reason": "RENT",
                "fund": fund
            },
            "quote": null, "payment_id": null, "payment": null, "order": null, "pay": null, "trouble": null,
            "placed_by": "local", "placed_at": "2026-11-22T10:00:00Z", "updated_at": "2026-11-22T10:00:00Z", "version": 1
        })
    }

    fn with_payment(fund: &str, name: &str, outcome: Option<&str>) -> Value {
        let mut payout = payout("created", fund);
        payout["payment"] = json!({
            "id": "pay-1", "recipient_id": "r",
            "state": {
                "name": name, "text": "How it is.", "deposit": null, "calls": null, "outcome": outcome, "ended_at": null,
                "review": null
            },
            "api": { "status": "SENT", "tx_hash": null, "as_of": "2026-11-22T10:00:00Z" },
            "amount": { "base_units": "5000000", "decimal": "5.00", "symbol": "USDC" }, "amount_from": "created",
            "chain_id": 137, "token": "0x00", "deposit_address": "0x01", "address_from": "created", "sender": null,
            "created_at": "2026-11-22T10:00:00Z", "expires_at": null, "added_at": "2026-11-22T10:00:00Z",
            "next_look_at": null
        });
        payout
    }

    fn with_order(state: &str, detail: &Value, outcome: Option<&str>) -> Value {
        let mut payout = with_payment("wallet", "waiting", None);
        payout["order"] = json!({
            "id": "pay-1:1", "payment": "pay-1", "recipient_id": "r", "bank_account": null,
            "wallet": "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359", "to": "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359",
            "amount": { "base_units": "5000000", "decimal": "5.00", "symbol": "USDC" }, "placed_by": "person",
            "placed_at": "2026-11-22T10:00:00Z", "state": state, "text": "How the order is.", "outcome": outcome,
            "hold": null, "counts_as_spent": true, "nonce": null, "attempts": [], "block": null, "detail": detail
        });
        payout
    }

    fn staged(payout: Value) -> (String, Option<End>, Option<String>) {
        let stage = stage(&serde_json::from_value(payout).unwrap());
        (stage.name, stage.end, stage.hint)
    }

    #[test]
    fn every_way_a_payment_can_be_has_a_stage() {
        for (name, outcome, expected, end) in [
            ("waiting", None, "waiting", None),
            ("seen", None, "seen", None),
            ("due", None, "completing", None),
            ("calling", None, "completing", None),
            ("unclear", None, "completing", None),
            ("following", None, "at-the-bank", None),
            ("review", None, "review", Some(End::Person)),
            ("ended", Some("completed"), "completed", Some(End::Done)),
            ("ended", Some("failed"), "failed", Some(End::NotPaid)),
            ("ended", Some("expired"), "expired", Some(End::NotPaid)),
            ("ended", Some("refunded"), "refunded", Some(End::NotPaid)),
            ("ended", Some("cancelled"), "cancelled", Some(End::NotPaid)),
        ] {
            let (stage, ends, hint) = staged(with_payment("by_hand", name, outcome));
            assert_eq!((stage.as_str(), ends), (expected, end), "{name} {outcome:?}");
            assert_eq!(hint.is_some(), name == "review", "{name}");
        }
    }

    #[test]
    fn before_there_is_a_payment_its_own_state_is_the_stage() {
        for (state, end) in [
            ("placed", None),
            ("quoted", None),
            ("creating", None),
            ("unclear", None),
            ("created", None),
            ("of-a-later-version", None),
            ("review", Some(End::Person)),
            ("cancelled", Some(End::NotPaid)),
        ] {
            assert_eq!(staged(payout(state, "wallet")), (state.to_owned(), end, None));
        }
    }

    #[test]
    fn while_the_wallet_is_to_pay_its_order_is_the_stage() {
        assert_eq!(staged(with_payment("wallet", "waiting", None)), ("funding".to_owned(), None, None));
        let mut left = with_payment("wallet", "waiting", None);
        left["pay"] = json!({
            "address": "0x01", "amount": "5.00", "base_units": "5000000", "token": "0x00", "symbol": "USDC",
            "chain_id": 137, "chain": "polygon", "expires_at": null, "eip681": "ethereum:0x00"
        });
        assert_eq!(staged(left), ("not-funded".to_owned(), Some(End::Person), None), "the wallet does not");
        let ready = json!({ "is": "ready" });
        assert_eq!(staged(with_order("ready", &ready, None)), ("ready".to_owned(), None, None));
        let (name, end, hint) = staged(with_order("awaiting-approval", &ready, None));
        assert_eq!((name.as_str(), end), ("awaiting-approval", None), "it goes on once it is approved");
        assert!(hint.is_some_and(|hint| hint.starts_with("rampwatch approve pay-1:1 --reason")));
        assert_eq!(staged(with_order("ended", &ready, Some("paid"))), ("sent".to_owned(), None, None));
        for outcome in ["self-sent", "reverted", "moved-nothing", "unsent", "displaced"] {
            let (name, end, hint) = staged(with_order("ended", &ready, Some(outcome)));
            assert_eq!((name.as_str(), end), ("not-funded", Some(End::Person)), "{outcome}");
            assert_eq!(hint.as_deref(), Some("rampwatch fund pay-1"), "{outcome}");
        }
    }
}
