//! Death before and after every commit and every call, from the placing to the order: one payment, one order, one key.

use std::collections::BTreeSet;

use rampwatch::domain::event::EventKind;
use rampwatch::view::payout::Fund;

use super::bench::{Bench, request};
use super::shop::{Mishap, Told};

/// Dies at the `nth` point, lives on, and counts what is there in the end. Tells whether it died at all.
async fn story(nth: u32, mishaps: &[Mishap], told: Told) -> bool {
    let mut bench = Bench::new().await;
    bench.shop.held().told = told;
    bench.shop.mishaps(mishaps);
    let life = bench.start(nth);
    let wish = request("rent-1", Fund::Wallet);
    let died = life
        .dies_before(async {
            life.place(&wish).await;
            life.until("rent-1", "funded", |view| view.order.is_some()).await;
        })
        .await;
    life.kill().await;
    let life = bench.start(0);
    let placed = life.place(&wish).await;
    let view = life.until("rent-1", "funded", |view| view.order.is_some()).await;
    let what = format!("dead at {nth} of {mishaps:?}");
    assert_eq!((view.state.as_str(), &view.idempotency_key), ("created", &placed.idempotency_key), "{what}");
    {
        let held = bench.shop.held();
        assert_eq!(held.payments.len(), 1, "{what}");
        assert_eq!(held.creates.iter().collect::<BTreeSet<_>>().len(), 1, "{what}: one key");
        assert!(held.used_late.is_empty(), "{what}");
    }
    let contents = bench.store.contents();
    assert_eq!((contents.payments.len(), contents.orders.len(), contents.coverage.len()), (1, 1, 1), "{what}");
    let placings = contents.events.iter().filter(|it| matches!(it.event.kind, EventKind::OrderPlaced { .. }));
    assert_eq!(placings.count(), 1, "{what}");
    life.stop().await;
    died
}

/// Dies at one point after the other, until a life comes to its end.
async fn every_death(mishaps: &[Mishap], told: Told, least: u32) {
    let mut nth = 1;
    while story(nth, mishaps, told).await {
        nth += 1;
        assert!(nth < 200, "it never comes to its end");
    }
    assert!(nth > least, "only {} deaths with {mishaps:?}", nth - 1);
}

#[tokio::test(start_paused = true)]
async fn a_death_at_any_point_opens_and_orders_once() {
    every_death(&[], Told::Always, 12).await;
}

#[tokio::test(start_paused = true)]
async fn a_death_at_any_point_after_a_lost_answer() {
    every_death(&[Mishap::LostAfter], Told::Always, 16).await;
    every_death(&[Mishap::LostBefore], Told::Always, 18).await;
}

#[tokio::test(start_paused = true)]
async fn a_death_at_any_point_where_the_address_is_asked_for() {
    every_death(&[Mishap::NotNow, Mishap::LostAfter], Told::ByGet, 20).await;
}
