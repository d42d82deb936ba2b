//! This machine's clock was days ahead for a while: nothing that was put off meanwhile waits for days.

use std::sync::Arc;

use rampwatch::adapters::system::SystemClock;
use rampwatch::domain::chain::Address;
use rampwatch::domain::payment::{ApiStatus, Payment, PaymentId};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::ports::clock::Clock;
use rampwatch::ports::store::{Commit, Store};

use super::chain::PlainChain;
use super::clock::SetClock;
use super::{HEAD, Rig, short_margin, start, swept, world};
use crate::closed_loop::rig::LIMIT;
use crate::support::eventually;
use crate::support::memory_store::MemoryStore;

const TWO_DAYS: Span = Span::from_secs(2 * 86_400);

/// A payment whose deposit is final, and which the API does not let be completed yet.
async fn due(chain: &PlainChain, rig: &Rig, clock: &dyn Clock) -> PaymentId {
    let to = Address::repeat_byte(1);
    let id = rig.add("due", to, 6, chain.time_of(HEAD)).await;
    swept(rig, to).await;
    rig.api.hold(true);
    chain.pay(HEAD - 4, 0, to, 6);
    rig.wait_for(&id, "due").await;
    assert!(rig.payment(&id).await.next_at <= Some(clock.now().plus(Span::from_secs(60))));
    id
}

/// Puts a payment off, as a life with a clock that was ahead has.
async fn put_off(store: &MemoryStore, id: &PaymentId, next_at: Timestamp) {
    let payment = store.payment(id).await.unwrap().unwrap();
    let payments = vec![Payment { next_at: Some(next_at), ..payment }];
    store.commit(Commit { payments, ..Commit::default() }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_off_for_days_is_done_after_a_start() {
    let (chain, rig) = world(short_margin());
    let other = rig.add("other", Address::repeat_byte(2), 7, chain.time_of(HEAD)).await;
    let id = due(&chain, &rig, &SystemClock).await;
    let api = rig.api.clone();
    let store = rig.crash().await;
    for id in [&id, &other] {
        put_off(&store, id, SystemClock.now().plus(TWO_DAYS)).await;
    }
    api.hold(false);
    api.completed_by_hand(&other, None, ApiStatus::Expired);
    let rig = Rig::over(Arc::new(chain), Arc::new(SystemClock), short_margin(), store, api);
    rig.wait_for(&id, "ended").await;
    rig.wait_for(&other, "ended").await;
    assert_eq!(rig.api.completions().len(), 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_off_for_days_is_done_once_the_clock_is_right_again() {
    let clock = SetClock::new();
    let chain = PlainChain::new(HEAD, clock.now());
    let rig = start(&chain, Arc::new(clock.clone()), short_margin());
    let id = due(&chain, &rig, &clock).await;
    let right = clock.now();
    clock.set_forward(TWO_DAYS);
    let is_put_off = async || rig.payment(&id).await.next_at > Some(right.plus(TWO_DAYS));
    eventually(LIMIT, "the payment is put off by the wrong clock", is_put_off).await;
    clock.set_back(TWO_DAYS);
    rig.api.hold(false);
    rig.wait_for(&id, "ended").await;
    assert_eq!(rig.api.completions().len(), 1);
    rig.stop().await;
}
