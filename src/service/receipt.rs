//! Puts the chain of evidence of one payment together: its record, its orders, the deposit that pays it, and every event
//! of the payment and of that deposit, in the order of the ledger.

use std::collections::BTreeMap;

use crate::domain::chain::{B256, BlockRef};
use crate::domain::deposit::{BlockStatus, Deposit, Verdict};
use crate::domain::event::{EventKind, Recorded};
use crate::domain::order::{Attempt, Order, OrderId};
use crate::domain::payment::{Payment, PaymentState, Terms};
use crate::domain::wei::Wei;
use crate::policy::approval::{Made, makers};
use crate::policy::finality::FinalityRule;
use crate::ports::store::Subject;
use crate::service::operator_service::{OperatorError, OperatorService};
use crate::view::explain::{self, Names};
use crate::view::export_rows::settles;
use crate::view::order::OrderView;
use crate::view::receipt::{
    CompletionCall, CostView, Decided, Finality, Matched, MinedView, Note, ReceiptOrder, ReceiptPayout,
    ReceiptTransaction, ReceiptView, StatusView,
};
use crate::view::{DepositView, WhyView, moment};

/// The most events of a payment, and of its deposit each, that a receipt is made of.
const MAX_EVENTS: usize = 20_000;

/// How many events are read at once.
const CHUNK: usize = 500;

/// Everything that a receipt is made of.
struct Evidence<'a> {
    payment: &'a Payment,
    orders: &'a [Order],
    paying: Option<&'a Deposit>,
    /// By number; those of the payment and of the paying deposit, each once.
    events: BTreeMap<u64, Recorded>,
    /// Whether there are more events than these.
    is_cut: bool,
}

impl OperatorService {
    /// The chain of evidence of one payment.
    ///
    /// # Errors
    /// When it is not known, or the store fails.
    pub async fn receipt(&self, id: &str) -> Result<ReceiptView, OperatorError> {
        let payment = self.stored(id).await?;
        // What concerns it, and what is open, is told as `why` tells it.
        let why = self.why(payment.id.as_str()).await?;
        let orders = self.store.orders_of(&payment.id).await?;
        let deposits = self.store.deposits_at(payment.terms.deposit_address).await?;
        let paying = deposits
            .iter()
            .find(|deposit| matches!(&deposit.verdict, Verdict::Pays { payment: paid, .. } if *paid == payment.id));
        let mut events = BTreeMap::new();
        let mut is_cut = self.collect(&Subject::Payment(payment.id.clone()), &mut events).await?;
        if let Some(deposit) = paying {
            is_cut |= self.collect(&Subject::Deposit(deposit.key), &mut events).await?;
        }
        let evidence = Evidence { payment: &payment, orders: &orders, paying, events, is_cut };
        let payout = self.payout_of(&payment.id).await?;
        Ok(self.put_together(&evidence, why, payout))
    }

    /// Adds the subject's events; true when there are more than are looked at.
    async fn collect(&self, subject: &Subject, events: &mut BTreeMap<u64, Recorded>) -> Result<bool, OperatorError> {
        let (mut after, mut count) = (0, 0_usize);
        loop {
            let chunk = self.store.events_of(subject, after, CHUNK).await?;
            let is_last = chunk.len() < CHUNK;
            count = count.saturating_add(chunk.len());
            after = chunk.last().map_or(after, |last| last.seq);
            events.extend(chunk.into_iter().map(|recorded| (recorded.seq, recorded)));
            if is_last || count >= MAX_EVENTS {
                return Ok(!is_last);
            }
        }
    }

    fn put_together(&self, evidence: &Evidence<'_>, why: WhyView, payout: Option<ReceiptPayout>) -> ReceiptView {
        let names = self.names();
        let payment = evidence.payment;
        let paying_key = evidence.paying.map(|deposit| deposit.key.to_string());
        let is_other = |view: &DepositView| Some(&view.key) != paying_key.as_ref();
        let api = payment.api.as_ref();
        let mut view = ReceiptView {
            payment: crate::view::PaymentView::of(payment, &names),
            bank_account: payment.terms.bank_account.as_ref().map(ToString::to_string),
            api_fee: api.and_then(|view| view.fee.as_ref()).map(ToString::to_string),
            payout,
            orders: evidence.orders.iter().map(|order| order_evidence(evidence, order, &names)).collect(),
            deposit: evidence.paying.map(|deposit| DepositView::of(deposit, &names)),
            matched: evidence.paying.and_then(|deposit| matched(evidence, deposit, &names)),
            finality: evidence.paying.and_then(|deposit| finality(self.settings.finality, deposit)),
            completions: completions(evidence, &names),
            statuses: evidence.each(status),
            states: evidence.each(|at, kind| {
                let EventKind::PaymentMoved { .. } = kind else { return None };
                Some(note(at, kind, &names))
            }),
            decisions: evidence.each(decided),
            alarms: evidence.each(|at, kind| {
                let EventKind::Alarm { .. } = kind else { return None };
                Some(note(at, kind, &names))
            }),
            other_deposits: why.deposits.into_iter().filter(is_other).collect(),
            reviews: why.reviews,
            money_back: why.money_back,
            missing: Vec::new(),
        };
        view.missing = missing(evidence, &view);
        view
    }
}

impl Evidence<'_> {
    /// What the events give, in their order.
    fn each<T>(&self, read: impl Fn(String, &EventKind) -> Option<T>) -> Vec<T> {
        let events = self.events.values().map(|recorded| &recorded.event);
        events.filter_map(|event| read(moment(event.at), &event.kind)).collect()
    }
}

fn note(at: String, kind: &EventKind, names: &Names<'_>) -> Note {
    Note { at, text: explain::event(kind, names).1 }
}

fn status(at: String, kind: &EventKind) -> Option<StatusView> {
    let EventKind::ApiReported { view } = kind else { return None };
    Some(StatusView { at, status: view.status.to_string(), tx_hash: view.tx_hash.clone() })
}

fn decided(at: String, kind: &EventKind) -> Option<Decided> {
    let EventKind::PersonDecided { action, reason, by } = kind else { return None };
    Some(Decided { at, action: action.clone(), reason: reason.clone(), by: by.clone() })
}

/// The rule by which the deposit pays, and the last time that this was decided.
fn matched(evidence: &Evidence<'_>, deposit: &Deposit, names: &Names<'_>) -> Option<Matched> {
    let Verdict::Pays { rule, .. } = &deposit.verdict else { return None };
    let mut judged = evidence.events.values().filter(|recorded| {
        recorded.event.deposit == Some(deposit.key)
            && matches!(&recorded.event.kind, EventKind::DepositJudged { verdict } if *verdict == deposit.verdict)
    });
    Some(Matched {
        rule: rule.name().to_owned(),
        text: explain::verdict(deposit, names),
        at: judged.next_back().map(|recorded| moment(recorded.event.at)),
    })
}

fn finality(rule: FinalityRule, deposit: &Deposit) -> Option<Finality> {
    let BlockStatus::Final { at } = deposit.standing else { return None };
    let rule = match rule {
        FinalityRule::Finalized { depth } => {
            format!("at or below the node's finalized block, and at least {depth} blocks below its head")
        }
        FinalityRule::Depth { depth } => format!("at least {depth} blocks below the head"),
    };
    Some(Finality { rule, block: deposit.block(), at: moment(at) })
}

/// The calls of the completion. What happens between two calls, or after the last, is told under the first of them.
fn completions(evidence: &Evidence<'_>, names: &Names<'_>) -> Vec<CompletionCall> {
    let mut calls: Vec<CompletionCall> = Vec::new();
    for recorded in evidence.events.values() {
        let event = &recorded.event;
        let at = moment(event.at);
        match &event.kind {
            EventKind::PaymentMoved { to, .. } if matches!(**to, PaymentState::Calling { .. }) => {
                if let PaymentState::Calling { deposit, attempt, .. } = to.as_ref() {
                    calls.push(CompletionCall { call: *attempt, at, tx_hash: deposit.tx_hash, outcome: Vec::new() });
                }
            }
            EventKind::PaymentMoved { to, .. } => {
                let Some(call) = calls.last_mut() else { continue };
                call.outcome.push(note(at.clone(), &event.kind, names));
                if let PaymentState::Unclear { refusal: Some(_), .. } = to.as_ref() {
                    call.outcome.push(Note { at, text: explain::state(to, names) });
                }
            }
            EventKind::ApiReported { .. } => {
                if let Some(call) = calls.last_mut() {
                    call.outcome.push(note(at, &event.kind, names));
                }
            }
            _ => {}
        }
    }
    calls
}

/// What is said of an approval that a maker gave: the machine's own commands may, while no other token has the role approve.
fn own_approval(order: &Order, terms: &Terms) -> Option<String> {
    let by = order.approved_by.as_ref()?;
    let made: Vec<&str> = makers(order, Some(terms))
        .filter(|(maker, _)| maker == by)
        .map(|(_, made)| match made {
            Made::Placed => "placed the order",
            Made::Typed => "typed what it pays",
        })
        .collect();
    let made = Some(made.join(" and ")).filter(|made| !made.is_empty())?;
    Some(format!("no: {by} approved it and also {made}; no other token had the role approve"))
}

/// What is known of an order and of each of its transactions.
fn order_evidence(evidence: &Evidence<'_>, order: &Order, names: &Names<'_>) -> ReceiptOrder {
    let mut receipt = ReceiptOrder {
        order: OrderView::new(order, names),
        own_approval: own_approval(order, &evidence.payment.terms),
        states: Vec::new(),
        transactions: Vec::new(),
        fee_wei: None,
        fee: None,
    };
    let mut costs: Vec<(B256, BlockRef, Wei)> = Vec::new();
    let mut spent: Option<Wei> = None;
    for recorded in evidence.events.values() {
        let (at, kind) = (moment(recorded.event.at), &recorded.event.kind);
        if order_of(kind) != Some(&order.id) {
            continue;
        }
        match kind {
            EventKind::OrderPlaced { .. } => receipt.states.push(note(at, kind, names)),
            EventKind::OrderMoved { .. } => {
                receipt.states.push(note(at, kind, names));
                let cost = settles(kind).and_then(|(tx_hash, block)| {
                    costs
                        .iter()
                        .rev()
                        .find(|(its, held, _)| (*its, *held) == (tx_hash, block))
                        .map(|(_, _, cost)| *cost)
                });
                spent = cost.map_or(spent, |cost| Some(spent.unwrap_or_default().plus(cost)));
            }
            EventKind::AttemptSigned { attempt, .. } => receipt.transactions.push(transaction(attempt)),
            EventKind::AttemptSent { tx_hash, said, .. } => {
                if let Some(tx) = receipt.transactions.iter_mut().find(|tx| tx.tx_hash == *tx_hash) {
                    tx.sent = Some(Note { at, text: said.clone() });
                }
            }
            EventKind::AttemptMined { tx_hash, block, gas_used, gas_price, .. } => {
                let gas = gas_used.zip(*gas_price);
                costs.extend(gas.map(|(used, price)| (*tx_hash, *block, price.times(used))));
                if let Some(tx) = receipt.transactions.iter_mut().find(|tx| tx.tx_hash == *tx_hash) {
                    let cost = gas.map(|(used, price)| CostView::new(used, price));
                    tx.mined = Some(MinedView { at, block: *block, cost });
                }
            }
            _ => {}
        }
    }
    (receipt.fee_wei, receipt.fee) = (spent.map(|wei| wei.get().to_string()), spent.map(Wei::to_native));
    receipt
}

/// The order that an event is about.
const fn order_of(kind: &EventKind) -> Option<&OrderId> {
    match kind {
        EventKind::OrderPlaced { order } => Some(&order.id),
        EventKind::OrderMoved { order, .. }
        | EventKind::AttemptSigned { order, .. }
        | EventKind::AttemptSent { order, .. }
        | EventKind::AttemptMined { order, .. } => Some(order),
        _ => None,
    }
}

fn transaction(attempt: &Attempt) -> ReceiptTransaction {
    ReceiptTransaction {
        kind: attempt.kind,
        nonce: attempt.nonce,
        tx_hash: attempt.tx_hash,
        cap_gwei: attempt.fees.cap.to_gwei(),
        tip_gwei: attempt.fees.tip.to_gwei(),
        signed_at: moment(attempt.signed_at),
        sent: None,
        mined: None,
    }
}

/// The parts that are not there, in the order of the receipt.
fn missing(evidence: &Evidence<'_>, view: &ReceiptView) -> Vec<String> {
    let payment = evidence.payment;
    let typed = payment.terms.any_typed();
    let parts = [
        (
            view.payout.is_none(),
            "Creation: rampwatch did not create this payment at the API, so there is no idempotency key or quote.",
        ),
        (typed, "Terms: a person typed some of them; the API has not confirmed those."),
        (view.bank_account.is_none(), "Bank account: the API has not said which one the payment goes to."),
        (view.api_fee.is_none(), "API fee: the API has not said what the payment costs."),
        (view.orders.is_empty(), "Order: the hot wallet did not fund this payment; somebody else paid."),
        (view.deposit.is_none(), "Deposit: no deposit pays this payment."),
        (
            view.deposit.is_some() && view.matched.as_ref().is_none_or(|matched| matched.at.is_none()),
            "Match: the ledger has no event that says when the deposit was matched.",
        ),
        (view.deposit.is_some() && view.finality.is_none(), "Finality: the deposit's block is not final."),
        (view.completions.is_empty(), "Completion: rampwatch has not called the completion."),
        (view.statuses.is_empty(), "API answers: the ledger has no answer of the API of this payment."),
        (!payment.state.is_ended(), "End: the payment is not over."),
        (evidence.is_cut, "Events: there are more than a receipt is made of; the newest are left out."),
    ];
    let unsent = view.orders.iter().flat_map(|order| &order.transactions).filter(|tx| tx.sent.is_none());
    let lost = view.orders.iter().filter(|order| order.transactions.len() < order.order.attempts.len());
    let named = parts.into_iter().filter(|(is_missing, _)| *is_missing).map(|(_, text)| text.to_owned());
    named
        .chain(unsent.map(|tx| format!("Broadcast: nothing says that transaction {} was given to a node.", tx.tx_hash)))
        .chain(
            lost.map(|order| {
                format!("Signatures: the events of order {} lack some of its transactions.", order.order.id)
            }),
        )
        .collect()
}
