//! The largest order that can be, and the largest events about it, fit into a record with room to spare.

use std::sync::Arc;

use rampwatch::domain::actor::{Actor, MAX_ACTOR_BYTES};
use rampwatch::domain::chain::{B256, BlockRef};
use rampwatch::domain::event::{Alarm, Event, EventKind};
use rampwatch::domain::hold::Hold;
use rampwatch::domain::order::OrderOutcome;
use rampwatch::domain::order::{
    Attempt, AttemptKind, CancelReason, Effect, Fees, MAX_ATTEMPTS, Order, OrderId, OrderState, Placer, RawTransaction,
    Spend, UnsentReason,
};
use rampwatch::domain::payment::{BankAccountId, MAX_ID_BYTES, PaymentId, RecipientId};
use rampwatch::domain::text::short;
use rampwatch::domain::time::Timestamp;
use rampwatch::domain::wei::Wei;
use rampwatch::ports::store::{Commit, MAX_RECORD_BYTES, Store};
use serde::Serialize;
use serde_json::Value;

use super::{commit, for_every_store, funding};
use crate::support::records;

for_every_store!(the_largest_order_is_stored);

/// A signed transfer of USDC has some 180 bytes: 68 of them are the call, 66 the signature, 21 the token. Large nonces and
/// fees make it 190.
const RAW_BYTES: usize = 200;

/// What a node may answer at its worst, some of which takes several bytes in JSON.
fn endless() -> String {
    "\u{0}\"\\é €\n".repeat(4_000)
}

fn id() -> String {
    "x".repeat(MAX_ID_BYTES)
}

fn stored_bytes(record: &impl Serialize) -> usize {
    serde_json::to_vec(record).unwrap().len()
}

/// Puts an endless text wherever the hold takes one.
fn endless_texts(hold: &Hold) -> Hold {
    let mut json = serde_json::to_value(hold).unwrap();
    let fields: Vec<String> = json.as_object().unwrap().keys().cloned().collect();
    for field in fields {
        let mut longer = json.clone();
        longer[&field] = Value::from(endless());
        if serde_json::from_value::<Hold>(longer.clone()).is_ok() {
            json = longer;
        }
    }
    serde_json::from_value(json).unwrap()
}

fn longest_hold() -> Hold {
    let holds = funding::holds().into_iter().map(|hold| endless_texts(&hold).shortened());
    holds.max_by_key(stored_bytes).unwrap()
}

fn attempt(number: usize) -> Attempt {
    let most = Wei::new(u128::MAX);
    let mut tx_hash = B256::repeat_byte(0xff);
    tx_hash.0[0] = u8::try_from(number).unwrap();
    Attempt {
        kind: AttemptKind::SelfSend,
        nonce: u64::MAX,
        tx_hash,
        raw: RawTransaction(vec![0xff; RAW_BYTES].into()),
        fees: Fees { cap: most, tip: most },
        gas_limit: u64::MAX,
        signed_at: Timestamp::FAR_FUTURE,
        sent_at: Some(Timestamp::FAR_FUTURE),
        sends: u32::MAX,
    }
}

/// Every state with the longest texts that it may have.
fn states() -> Vec<OrderState> {
    let (nonce, tx_hash) = (u64::MAX, B256::repeat_byte(0xff));
    let block = BlockRef { number: u64::MAX, hash: tx_hash };
    let hold = longest_hold;
    let cancels = || [CancelReason::Person { reason: endless() }, CancelReason::Hold { hold: hold() }];
    let mut all = funding::states();
    all.push(OrderState::Held { why: hold() });
    all.push(OrderState::Sending { nonce, trouble: Some(hold()) });
    for why in cancels() {
        let effect = Effect::Paid { log_index: u64::MAX };
        all.push(OrderState::Cancelling { nonce, why: why.clone(), trouble: Some(hold()) });
        all.push(OrderState::Mined { nonce, tx_hash, block, effect, cancelling: Some(why.clone()) });
        all.push(OrderState::Ended { outcome: OrderOutcome::SelfSent { tx_hash, why }, at: Timestamp::FAR_FUTURE });
    }
    let reason = endless;
    for why in [UnsentReason::Rejected { reason: reason() }, UnsentReason::Cancelled { reason: reason() }] {
        all.push(OrderState::Ended { outcome: OrderOutcome::Unsent { why }, at: Timestamp::FAR_FUTURE });
    }
    all.into_iter().map(OrderState::shortened).collect()
}

fn largest_state() -> OrderState {
    states().into_iter().max_by_key(stored_bytes).unwrap()
}

fn longest_name() -> Actor {
    Actor::new("n".repeat(MAX_ACTOR_BYTES)).unwrap()
}

fn largest_order() -> Order {
    Order {
        id: OrderId { payment: PaymentId::new(id()).unwrap(), turn: u32::MAX },
        version: 0,
        recipient_id: RecipientId::new(id()).unwrap(),
        bank_account: Some(BankAccountId::new(id()).unwrap()),
        chain_id: u64::MAX,
        amount: rampwatch::domain::amount::Amount::from_base_units(u128::MAX),
        placed_by: Placer::Person,
        placed_by_name: Some(longest_name()),
        approved_by: Some(longest_name()),
        placed_at: Timestamp::FAR_FUTURE,
        spent_at: Some(Timestamp::FAR_FUTURE),
        state: largest_state(),
        spend: Spend::GivenBack,
        attempts: (0..MAX_ATTEMPTS).map(attempt).collect(),
        reverts: u32::MAX,
        next_at: Some(Timestamp::FAR_FUTURE),
        ..records::order(1)
    }
}

fn largest_events() -> Vec<Event> {
    let order = largest_order();
    let (id, state) = (|| order.id.clone(), || Box::new(largest_state()));
    let (tx_hash, said) = (B256::repeat_byte(0xff), short(&endless()));
    let kinds = vec![
        EventKind::OrderPlaced { order: Box::new(Order { version: u64::MAX, ..order.clone() }) },
        EventKind::OrderMoved {
            order: id(),
            from: state(),
            to: state(),
            spend: Spend::GivenBack,
            why: said.clone(),
            by: Some(longest_name()),
        },
        EventKind::AttemptSigned { order: id(), attempt: Box::new(attempt(0)) },
        EventKind::AttemptSent { order: id(), tx_hash, said },
        EventKind::Alarm { alarm: Alarm::FundingStuck { order: id(), hold: longest_hold() } },
    ];
    let payment = Some(order.id.payment.clone());
    let deposit = Some(records::deposit_key(u64::MAX));
    let event = |kind| Event { at: Timestamp::FAR_FUTURE, payment: payment.clone(), deposit, kind };
    kinds.into_iter().map(event).collect()
}

#[test]
fn the_longest_hold_has_a_bound() {
    for hold in funding::holds() {
        let longer = endless_texts(&hold);
        let kept = longer.clone().shortened();
        assert!(stored_bytes(&kept) < 1_024, "{}: {}", hold.name(), stored_bytes(&kept));
        assert_eq!(kept.clone().shortened(), kept, "shortening again changes nothing");
        assert!(kept.is_like(&hold));
        assert_eq!(hold.clone().shortened(), hold, "a short one stays as it is");
    }
    let with_text = funding::holds().into_iter().filter(|hold| stored_bytes(&endless_texts(hold)) > MAX_RECORD_BYTES);
    assert_eq!(with_text.count(), 11, "those that take a text");
}

#[test]
fn every_state_has_a_bound() {
    for state in states() {
        assert!(stored_bytes(&state) < 2_560, "{}: {}", state.name(), stored_bytes(&state));
        assert_eq!(state.clone().shortened(), state);
    }
}

#[test]
fn the_largest_order_leaves_room() {
    let order = Order { version: u64::MAX, ..largest_order() };
    let bytes = stored_bytes(&order);
    assert!(bytes > 12_000, "{bytes}: it is not the largest");
    assert!(bytes < MAX_RECORD_BYTES - 256, "{bytes}");
    let one_more = Order { attempts: (0..=MAX_ATTEMPTS + 4).map(attempt).collect(), ..order };
    assert!(stored_bytes(&one_more) > MAX_RECORD_BYTES, "the bound on attempts is needed");
}

#[test]
fn attempts_never_pass_their_bound() {
    let mut order = records::order(1);
    for n in 1..=16 {
        assert!(order.add_attempt(records::attempt(7, n)));
    }
    let full = order.clone();
    assert!(!order.add_attempt(records::attempt(7, 17)), "all could still be mined");
    assert_eq!(order, full);
    let hashes = |order: &Order| order.attempts.iter().map(|attempt| attempt.tx_hash).collect::<Vec<_>>();
    for n in 17..=32 {
        assert!(order.add_attempt(records::attempt(8, n)), "those of the nonce before give way");
        assert_eq!(hashes(&order), (n - 15..=n).map(records::hash).collect::<Vec<_>>());
    }
    assert!(!order.add_attempt(records::attempt(8, 33)));
}

async fn the_largest_order_is_stored(store: Arc<dyn Store>) {
    let (order, events) = (largest_order(), largest_events());
    commit(&store, Commit { orders: vec![order.clone()], events: events.clone(), ..Commit::default() }).await;
    assert_eq!(store.order(&order.id).await.unwrap(), Some(Order { version: 1, ..order.clone() }));
    let read = store.events(0, 99).await.unwrap();
    assert_eq!(read.into_iter().map(|recorded| recorded.event).collect::<Vec<_>>(), events);
    for attempt in &order.attempts {
        assert_eq!(store.order_of_tx(attempt.tx_hash).await.unwrap().unwrap().id, order.id);
    }
}
