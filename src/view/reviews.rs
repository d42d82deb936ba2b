//! What would settle a review: for every reason the ways out, each with the exact command.
//!
//! Only commands that the rules would take at this moment are offered (`policy::resolve` has the last word).

use crate::domain::deposit::{Deposit, DepositKey, ReviewReason, Verdict};
use crate::domain::payment::{Payment, PaymentId, PaymentReview, PaymentState};
use crate::domain::record::RecordBody;
use crate::policy::api_answer::may_be_vouched;
use crate::policy::ending::may_open_again;
use crate::view::candidate_text;
use crate::view::explain::{self, Names};
use crate::view::payout_review;
use crate::view::runbook;
use crate::view::{ReviewView, WayOut};

/// The most ways of one kind that are named.
const MAX_WAYS: usize = 8;

/// An id as a command's argument. One that begins with a dash would be taken for a flag.
pub(crate) fn argument(id: &str) -> String {
    if id.starts_with('-') { format!("-- {id}") } else { id.to_owned() }
}

fn way(when: impl Into<String>, command: String) -> WayOut {
    WayOut { when: when.into(), command: Some(command) }
}

fn elsewhere(when: impl Into<String>) -> WayOut {
    WayOut { when: when.into(), command: None }
}

fn assign(deposit: &DepositKey, payment: &PaymentId) -> String {
    format!("rampwatch resolve assign --reason '…' {deposit} {}", argument(payment.as_str()))
}

fn ignore(deposit: &DepositKey) -> String {
    format!("rampwatch resolve ignore --reason '…' {deposit}")
}

fn retry(payment: &PaymentId) -> String {
    format!("rampwatch resolve retry --reason '…' {}", argument(payment.as_str()))
}

fn cancel(payment: &PaymentId) -> String {
    format!("rampwatch resolve cancel --reason '…' {}", argument(payment.as_str()))
}

/// Whether the rules would let this deposit be assigned to this payment now.
fn fits(deposit: &Deposit, payment: &Payment) -> bool {
    let free = matches!(payment.state, PaymentState::Waiting | PaymentState::Review { .. });
    free && deposit.stands()
        && deposit.key.chain_id == payment.terms.chain_id
        && deposit.token == payment.terms.token
        && deposit.to == payment.terms.deposit_address
        && !deposit.amount.is_zero()
        && deposit.from != deposit.to
        && !matches!(deposit.verdict, Verdict::Pays { .. })
}

/// The review of a deposit, if it is in one. `payments` are those of its address.
pub(crate) fn of_deposit(deposit: &Deposit, payments: &[Payment], names: &Names<'_>) -> Option<ReviewView> {
    let Verdict::Review { why } = &deposit.verdict else { return None };
    let key = &deposit.key;
    let mut settle: Vec<WayOut> = Vec::new();
    let takers = payments.iter().filter(|payment| fits(deposit, payment)).take(MAX_WAYS);
    settle.extend(takers.map(|payment| way(assign_when(why, payment, names), assign(key, &payment.id))));
    match why {
        ReviewReason::WrongToken => settle.push(elsewhere(
            "Have the provider send it back, or move it; the payment itself still waits for its own token.",
        )),
        ReviewReason::Under { .. } => settle.push(elsewhere(
            "If the sender pays the full amount in a new transfer, that one is matched by itself; this one is then to be \
             paid back.",
        )),
        ReviewReason::Split { .. } => settle.push(elsewhere(
            "Ask the provider whether one of the transactions may stand for all; after one is assigned, ignore the others.",
        )),
        ReviewReason::NoPayment => settle.push(way(
            "If the payment exists at the API, add it; the deposit is then judged anew.",
            format!("rampwatch add <payment> <recipient> --deposit-address {}", deposit.to),
        )),
        ReviewReason::PaymentEnded { payment } => {
            let ended = payments.iter().find(|known| known.id == *payment);
            if ended.is_some_and(|known| may_open_again(&known.state)) {
                settle.push(way(
                    "Once the provider has opened the payment again: the API is asked, and it is completed if it waits for \
                     funds.",
                    retry(payment),
                ));
            }
            settle.push(elsewhere("Have the provider pay it back, or use it for a new payment of the same address."));
        }
        ReviewReason::SecondDeposit { .. } | ReviewReason::Replaced { .. } | ReviewReason::Late { .. } => settle
            .push(elsewhere("Have the provider pay it back, or use it for a new payment of the same address.")),
        ReviewReason::GoneAfterFinal { .. } => settle.push(elsewhere(
            "Compare the transaction on nodes of other providers. If it is in another block, that deposit is listed by \
             itself and can be assigned.",
        )),
        ReviewReason::Over { .. }
        | ReviewReason::Ambiguous { .. }
        | ReviewReason::NoFit
        | ReviewReason::Early { .. } => {}
    }
    settle.push(way("Ignore it: it belongs to no payment here, or has been handled elsewhere.", ignore(key)));
    let mut what = explain::deposit_review(deposit, why, names);
    if let Some(tally) = &deposit.tally {
        what = format!("{what} {}", explain::counted(tally, Some((names, deposit.token))));
        settle.push(way(
            "If nothing that is too small to pay anything at this address is to be decided upon, counted or not:",
            format!("rampwatch resolve ignore-all --reason '…' {}", deposit.to),
        ));
    }
    let runbook = runbook::review(names.docs, "deposit", why.name());
    Some(ReviewView {
        subject: "deposit".to_owned(),
        id: key.to_string(),
        reason: why.name().to_owned(),
        what,
        settle,
        runbook,
    })
}

/// The review that a record is, if it is one, with the payment that it is about.
pub(crate) fn of_record(body: &RecordBody, names: &Names<'_>) -> Option<(ReviewView, Option<PaymentId>)> {
    match body {
        RecordBody::Candidate(candidate) => {
            candidate_text::review(candidate, names).map(|review| (review, Some(candidate.payment.clone())))
        }
        RecordBody::Payout(payout) => {
            payout_review::of_payout(payout, names).map(|review| (review, payout.payment.clone()))
        }
        RecordBody::Webhook(_)
        | RecordBody::WebhookAttempt(_)
        | RecordBody::Notice(_)
        | RecordBody::NoticeCursor(_)
        | RecordBody::Condition(_)
        | RecordBody::Dispute(_)
        | RecordBody::Exclusion(_)
        | RecordBody::Addresses(_)
        | RecordBody::Shadow(_) => None,
    }
}

fn assign_when(why: &ReviewReason, payment: &Payment, names: &Names<'_>) -> String {
    let asked = names.amount(payment.terms.amount, payment.terms.token);
    let id = &payment.id;
    match why {
        ReviewReason::Under { .. } | ReviewReason::Over { .. } | ReviewReason::NoFit => format!(
            "If it is meant for payment {id} ({asked}) and the provider takes the other amount: it is completed with \
             this transaction."
        ),
        ReviewReason::Split { .. } => {
            format!("If the provider takes this transaction for payment {id} as a whole: it is completed with it.")
        }
        ReviewReason::Late { .. } | ReviewReason::Early { .. } => {
            format!("If it is meant for payment {id} ({asked}) all the same: it is completed with this transaction.")
        }
        ReviewReason::WrongToken
        | ReviewReason::Ambiguous { .. }
        | ReviewReason::SecondDeposit { .. }
        | ReviewReason::Replaced { .. }
        | ReviewReason::PaymentEnded { .. }
        | ReviewReason::NoPayment
        | ReviewReason::GoneAfterFinal { .. } => {
            format!("If it is meant for payment {id} ({asked}): it is completed with this transaction.")
        }
    }
}

/// The review of a payment, if it is in one. `deposits` are those of its address.
pub(crate) fn of_payment(payment: &Payment, deposits: &[Deposit], names: &Names<'_>) -> Option<ReviewView> {
    let PaymentState::Review { why, .. } = &payment.state else { return None };
    let id = &payment.id;
    let mut settle: Vec<WayOut> = Vec::new();
    let retry_when = match why {
        PaymentReview::OtherHash { .. } => {
            settle.push(elsewhere("Find out who completed it, with which money; nothing more is called meanwhile."));
            "Once the API no longer names that transaction: the API is asked, and completed if it waits for funds."
        }
        PaymentReview::Refused { .. } => {
            "Once the cause is gone: the API is asked, and the completion is called again if it still waits for funds."
        }
        PaymentReview::StillAwaiting => {
            "Once the provider confirms that the earlier call had no effect: the API is asked, and the completion is \
             called again if it still waits for funds."
        }
        PaymentReview::EndedWithMoney { .. } => {
            settle.push(elsewhere("Have the provider pay the money back or open the payment again."));
            "Once the provider has opened it again: the API is asked, and completed if it waits for funds."
        }
        PaymentReview::TermsDiffer { .. } => {
            settle.push(elsewhere("Ask the provider which terms hold; the terms kept here are never changed."));
            "Once the API says the terms that are kept here again: it goes on."
        }
        PaymentReview::GoneAfterFinal => {
            settle.push(elsewhere(
                "Compare the transaction on nodes of other providers. If it is in another block, that deposit is listed \
                 by itself and can be assigned.",
            ));
            "If the deposit's block has come back: it is looked at again."
        }
        PaymentReview::Unreadable { field, .. } => {
            settle.push(elsewhere(
                "Ask the provider to mend it: once it can be read and is what is kept here, it goes on by itself.",
            ));
            if may_be_vouched(*field) {
                "If the provider confirms that it is what is kept here: it is completed, whatever the API's answer has there."
            } else {
                "Once the API's answer can be read: it is asked, and completed if it waits for funds."
            }
        }
        PaymentReview::NotFound => "Once the API knows it again: it goes on.",
    };
    settle.push(way(retry_when, retry(id)));
    let others = deposits.iter().filter(|deposit| fits(deposit, payment)).take(MAX_WAYS);
    settle.extend(others.map(|deposit| {
        let amount = names.amount(deposit.amount, deposit.token);
        way(format!("If it is paid by this other deposit instead ({amount}):"), assign(&deposit.key, id))
    }));
    settle.push(way(
        "If it is not to be completed by rampwatch: our side ends; the address stays watched for a while.",
        cancel(id),
    ));
    Some(ReviewView {
        subject: "payment".to_owned(),
        id: id.to_string(),
        reason: why.name().to_owned(),
        what: explain::payment_review(why, names),
        settle,
        runbook: runbook::review(names.docs, "payment", why.name()),
    })
}
