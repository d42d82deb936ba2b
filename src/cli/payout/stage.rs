//! How far a payout is, in a word and a sentence, and whether there is anything left to wait for.
//!
//! A plain function of what the engine shows. Deliberately absent: decisions about the payout itself.

use crate::domain::payment::Outcome;
use crate::engine::payout_views::{Fund, PayoutView};
use crate::engine::views::PaymentView;

/// How far a payout is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stage {
    /// One word.
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
