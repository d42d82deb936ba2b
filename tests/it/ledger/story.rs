//! One payment from its adding to its end, as the loops would have written it: funded by the wallet after an approval and
//! a raise of the fees, seen, matched, final, completed by a call whose answer was lost, and followed to its end.

use rampwatch::domain::actor::Actor;
use rampwatch::domain::chain::BlockRef;
use rampwatch::domain::decimal::Decimal;
use rampwatch::domain::deposit::{BlockStatus, Deposit, DepositKey, MatchRule, Verdict};
use rampwatch::domain::event::{Event, EventKind, Reading};
use rampwatch::domain::order::{ApprovalReason, Attempt, Effect, Fees, Order, OrderOutcome, OrderState, Spend};
use rampwatch::domain::payment::{ApiStatus, ApiView, BankAccountId, Outcome, Payment, PaymentState};
use rampwatch::domain::wei::Wei;
use rampwatch::ports::store::{Commit, Store as _};

use crate::support::memory_store::MemoryStore;
use crate::support::records::{
    address, at, attempt, deposit, hash, order, payment, payment_id, wallet, wallet_address,
};

/// The block of the transfer.
pub(super) const BLOCK: u64 = 70;

fn block() -> BlockRef {
    BlockRef { number: BLOCK, hash: hash(BLOCK) }
}

pub(super) fn key() -> DepositKey {
    DepositKey { chain_id: 137, block_hash: hash(BLOCK), tx_hash: hash(0xa2), log_index: 5 }
}

/// The first attempt offers too little; the second is mined.
fn attempts() -> [Attempt; 2] {
    let raised = Fees { cap: Wei::from_gwei(120), tip: Wei::from_gwei(40) };
    let first = Attempt { signed_at: at(3_000), sent_at: Some(at(3_100)), sends: 1, ..attempt(7, 0xa1) };
    let second = Attempt { signed_at: at(9_000), sent_at: Some(at(9_100)), sends: 1, fees: raised, ..attempt(7, 0xa2) };
    [first, second]
}

fn name(text: &str) -> Actor {
    Actor::new(text).unwrap()
}

fn placed() -> Order {
    let why = ApprovalReason::AboveAmount { limit: rampwatch::domain::amount::Amount::from_base_units(500_000_000) };
    Order {
        placed_by_name: Some(name("ann")),
        placed_at: at(1_000),
        state: OrderState::AwaitingApproval { why },
        next_at: None,
        ..order(1)
    }
}

fn order_events(payment: &Payment) -> Vec<Event> {
    let id = placed().id;
    let moved = |from: &OrderState, to: &OrderState, why: &str| EventKind::OrderMoved {
        order: id.clone(),
        from: Box::new(from.clone()),
        to: Box::new(to.clone()),
        spend: Spend::Counted,
        why: why.to_owned(),
        by: (why == "a person approved it").then(|| name("bea")),
    };
    let sending = OrderState::Sending { nonce: 7, trouble: None };
    let mined = mined();
    let [first, second] = attempts();
    let signed = |attempt: &Attempt| EventKind::AttemptSigned { order: id.clone(), attempt: Box::new(attempt.clone()) };
    let sent = |attempt: &Attempt| EventKind::AttemptSent {
        order: id.clone(),
        tx_hash: attempt.tx_hash,
        said: "node-0 accepted it".to_owned(),
    };
    let approved = EventKind::PersonDecided {
        action: format!("approve order {id}"),
        reason: "=seen the \"invoice\"".to_owned(),
        by: Some(name("bea")),
    };
    let receipt = EventKind::AttemptMined {
        order: id.clone(),
        tx_hash: second.tx_hash,
        block: block(),
        gas_used: Some(62_000),
        gas_price: Some(Wei::new(85_000_000_001)),
    };
    let kinds = [
        (1_000, EventKind::OrderPlaced { order: Box::new(placed()) }),
        (2_000, approved),
        (2_000, moved(&placed().state, &OrderState::Ready, "a person approved it")),
        (3_000, moved(&OrderState::Ready, &sending, "the transfer is signed and takes its nonce")),
        (3_000, signed(&first)),
        (3_100, sent(&first)),
        (9_000, signed(&second)),
        (9_100, sent(&second)),
        (12_000, moved(&sending, &mined, "the transfer is in a block")),
        (12_000, receipt),
        (20_000, moved(&mined, &ended(), "the transfer is final")),
    ];
    let event = |(millis, kind)| Event { at: at(millis), payment: Some(payment.id.clone()), deposit: None, kind };
    kinds.into_iter().map(event).collect()
}

fn mined() -> OrderState {
    let effect = Effect::Paid { log_index: 5 };
    OrderState::Mined { nonce: 7, tx_hash: hash(0xa2), block: block(), effect, cancelling: None }
}

fn ended() -> OrderState {
    let outcome = OrderOutcome::Paid { tx_hash: hash(0xa2), block: block(), log_index: 5 };
    OrderState::Ended { outcome, at: at(20_000) }
}

/// The order as it stands in the end.
pub(super) fn paid_order() -> Order {
    Order { approved_by: Some(name("bea")), state: ended(), attempts: attempts().to_vec(), ..placed() }
}

/// The deposit as it stands in the end.
pub(super) fn final_deposit() -> Deposit {
    Deposit {
        key: key(),
        block_time: at(11_000),
        from: wallet_address(),
        standing: BlockStatus::Final { at: at(20_100) },
        verdict: Verdict::Pays { payment: payment_id(1), rule: MatchRule::OwnTransfer { order: placed().id } },
        first_seen_at: at(12_500),
        seen_by: None,
        final_by: None,
        tally: None,
        to: address(1),
        ..deposit(BLOCK)
    }
}

fn said(status: ApiStatus, with_hash: bool, millis: u64) -> ApiView {
    let fee = Some(Decimal::from_person("1.25").unwrap()).filter(|_| with_hash);
    ApiView { status, tx_hash: with_hash.then(|| hash(0xa2).to_string()), as_of: at(millis), fee, unread: Vec::new() }
}

fn payment_events(payment: &Payment) -> Vec<Event> {
    let deposit = key();
    let first = Deposit { standing: BlockStatus::Provisional, verdict: Verdict::Unjudged, ..final_deposit() };
    let moved = |from: PaymentState, to: PaymentState, why: &str| EventKind::PaymentMoved {
        from: Box::new(from),
        to: Box::new(to),
        why: why.to_owned(),
    };
    let seen = PaymentState::Seen { deposit };
    let due = PaymentState::Due { deposit, attempt: 0 };
    let calling = PaymentState::Calling { deposit, attempt: 1, started_at: at(20_200) };
    let unclear = PaymentState::Unclear { deposit, attempt: 1, refusal: None };
    let following = PaymentState::Following { deposit: Some(deposit) };
    let reported = |view| EventKind::ApiReported { view };
    let kinds = [
        (12_500, true, EventKind::DepositSeen { deposit: Box::new(first), reading: Reading::Sweep }),
        (12_500, true, EventKind::DepositJudged { verdict: final_deposit().verdict }),
        (12_500, false, moved(PaymentState::Waiting, seen.clone(), "a deposit pays it")),
        (
            20_100,
            true,
            EventKind::DepositStands {
                standing: final_deposit().standing,
                block: block(),
                canonical: None,
                made_at: None,
            },
        ),
        (20_100, false, moved(seen, due.clone(), "its deposit is final")),
        (20_200, false, reported(said(ApiStatus::AwaitingFunds, false, 20_200))),
        (20_200, false, moved(due, calling.clone(), "the completion is called")),
        (22_200, false, moved(calling, unclear.clone(), "the call's answer is unclear")),
        (30_000, false, reported(said(ApiStatus::Processing, true, 30_000))),
        (30_000, false, moved(unclear, following.clone(), "the API says PROCESSING")),
        (60_000, false, reported(said(ApiStatus::Completed, true, 60_000))),
        (60_000, false, moved(following, over(), "the API says COMPLETED")),
    ];
    let event = |(millis, of_deposit, kind)| Event {
        at: at(millis),
        payment: Some(payment.id.clone()),
        deposit: Some(deposit).filter(|_| of_deposit),
        kind,
    };
    kinds.into_iter().map(event).collect()
}

fn over() -> PaymentState {
    PaymentState::Ended { outcome: Outcome::Completed, at: at(60_000) }
}

/// The payment as it was added.
pub(super) fn added() -> Payment {
    let mut payment = payment(1);
    payment.terms.bank_account = Some(BankAccountId::new("acc-1").unwrap());
    payment.terms.expires_at = Some(at(3_600_000));
    payment
}

/// The payment as it stands in the end.
pub(super) fn completed() -> Payment {
    Payment { state: over(), api: Some(said(ApiStatus::Completed, true, 60_000)), ..added() }
}

/// A store in which all of it happened, in the order of the moments.
pub(crate) async fn told() -> MemoryStore {
    let payment = completed();
    let added = EventKind::PaymentAdded { payment: Box::new(added()) };
    let mut events = vec![Event { at: at(0), payment: Some(payment.id.clone()), deposit: None, kind: added }];
    events.extend(order_events(&payment));
    events.extend(payment_events(&payment));
    events.sort_by_key(|event| event.at);
    let store = MemoryStore::new();
    let commit = Commit {
        payments: vec![payment],
        deposits: vec![final_deposit()],
        orders: vec![paid_order()],
        wallet: Some(wallet(8)),
        events,
        ..Commit::default()
    };
    store.commit(commit).await.unwrap();
    store
}
