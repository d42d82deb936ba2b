//! The order that funds a payout: placed once, with the name of whoever asked, and never beyond a limit.

use rampwatch::domain::actor::Actor;
use rampwatch::domain::order::Placer;
use rampwatch::policy::rules::SpendLimits;
use rampwatch::view::payout::Fund;

use super::bench::{Bench, request};
use crate::support::records::wallet_address;

#[tokio::test(start_paused = true)]
async fn the_wallet_funds_a_payout_in_the_name_of_who_asked() {
    let mut bench = Bench::new().await;
    let life = bench.start(0);
    let alice = Actor::new("alice").unwrap();
    life.handle.acting_as(&alice).place_payout(&request("rent-1", Fund::Wallet)).await.unwrap();
    let view = life.until("rent-1", "funded", |view| view.order.is_some()).await;
    let order = view.order.unwrap();
    assert_eq!((order.placed_by, order.placed_by_name.as_ref()), (Placer::Person, Some(&alice)));
    assert_eq!((order.wallet, order.amount.to_string().as_str()), (wallet_address(), "1000.00 USDC"));
    assert_eq!((view.pay, view.placed_by), (None, alice));
    life.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_limits_refuse_waits_until_they_come_free() {
    let mut bench = Bench::new().await;
    if let Some(funding) = &mut bench.settings.funding {
        let limits = SpendLimits { max_per_recipient: funding.limits.max_per_day, ..funding.limits.clone() };
        funding.limits = limits;
    }
    let life = bench.start(0);
    // 5000 USDC may go in a day.
    for n in 1..=6 {
        life.place(&request(&format!("rent-{n}"), Fund::Wallet)).await;
        life.until_state(&format!("rent-{n}"), "created").await;
    }
    let waiting = life.until("rent-6", "refused", |view| view.trouble.is_some()).await;
    assert!(waiting.next.contains("24 hours") && waiting.order.is_none(), "{}", waiting.next);
    assert_eq!(bench.store.contents().orders.len(), 5);
    // A day frees nothing of what is open: it may be paid at any time. What ends unsent gives its spend back.
    tokio::time::sleep(std::time::Duration::from_secs(86_400)).await;
    let orders = bench.store.contents().orders;
    assert_eq!(orders.len(), 5);
    let first = orders.keys().next().unwrap().to_string();
    life.handle.cancel_order(&first, "not this month").await.unwrap();
    life.until("rent-6", "funded", |view| view.order.is_some() && view.trouble.is_none()).await;
    assert_eq!(bench.store.contents().orders.len(), 6);
    life.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_wallet_nothing_can_be_asked_to_fund() {
    let mut bench = Bench::new().await;
    bench.settings.funding = None;
    let life = bench.start(0);
    let refused = life.handle.place_payout(&request("rent-1", Fund::Wallet)).await.unwrap_err();
    assert!(refused.to_string().starts_with("fund: there is no wallet"), "{refused}");
    life.stop().await;
}
