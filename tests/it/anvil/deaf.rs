//! A websocket that is cut, and one that goes silent without ending, while deposits arrive: none is lost.

use std::time::Duration;

use rampwatch::domain::time::Span;
use tokio::time::{Instant, sleep_until};

use super::world::{LIMIT, Setup, World, usdc};
use crate::support::eventually;

/// Sweeps by the clock alone are too rare to find anything within the test: what finds the deposits is the
/// subscription, or the care for its gaps.
fn rarely_swept(interval: Span, poll_interval: Span) -> Setup {
    let mut setup = Setup { proxies: 1, ..Setup::default() };
    (setup.engine.sweep.interval, setup.engine.sweep.poll_interval) = (interval, poll_interval);
    setup
}

/// A subscription that was made anew is said to work when its first head has come: blocks are mined until then.
async fn works(world: &World, what: &str) {
    let is_live = || async {
        let is_live = world.health().snapshot().hints_live;
        if !is_live {
            world.mine(1).await;
        }
        is_live
    };
    eventually(LIMIT, what, is_live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_that_is_cut_again_and_again_loses_no_deposit() {
    let hour = Span::from_secs(3_600);
    let mut world = World::start(rarely_swept(hour, hour)).await;
    // All are known before: a payment that is added makes the engine look at the chain anyway.
    let mut open = Vec::new();
    for amount in 100..112 {
        open.push(world.open(usdc(amount)).await);
    }
    let mut bills = Vec::new();
    for (round, bill) in open.into_iter().enumerate() {
        works(&world, "the subscription works").await;
        let ws = world.proxy(0).ws();
        let before = ws.made();
        if round % 4 == 0 {
            ws.cut();
        }
        let tx_hash = world.pay(&bill).await;
        if round % 4 == 1 {
            ws.cut();
        }
        world.mine(1).await;
        if round % 4 == 2 {
            ws.cut();
        }
        // In the fourth round of each four all goes well, so that it is not only the gaps that find something.
        if round % 4 == 3 {
            world.until_completed(&[&bill]).await;
        } else {
            eventually(LIMIT, "a new connection", || async { ws.made() > before }).await;
        }
        bills.push((bill, tx_hash));
    }
    assert!(world.proxy(0).ws().made() >= 9, "it was cut nine times");
    world.until_completed(&bills.iter().map(|(bill, _)| bill).collect::<Vec<_>>()).await;
    world.catch_up().await;
    let expected: Vec<_> = bills.iter().map(|(bill, tx_hash)| (bill, *tx_hash)).collect();
    world.end(&expected).await;
}

/// A real minute, which is nearly all waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_that_is_frozen_for_a_minute_loses_no_deposit() {
    let hour = Span::from_secs(3_600);
    let mut setup = rarely_swept(hour, Span::from_secs(2));
    setup.silence_timeout = Duration::from_secs(10);
    let mut world = World::start(setup).await;
    let mut bills = Vec::new();
    // All are known before: a payment that is added makes the engine look at the chain anyway.
    for amount in 200..212 {
        bills.push(world.open(usdc(amount)).await);
    }
    let first = world.open(usdc(199)).await;
    let paid_first = world.pay(&first).await;
    world.until_completed(&[&first]).await;

    let since = Instant::now();
    world.proxy(0).ws().set_frozen(true);
    let before = world.proxy(0).ws().made();
    let mut paid = vec![(first, paid_first)];
    for (nth, bill) in (1..).zip(bills) {
        let tx_hash = world.pay(&bill).await;
        world.mine(3).await;
        paid.push((bill, tx_hash));
        sleep_until(since + Duration::from_secs(5 * nth)).await;
        if nth == 6 {
            world.wait_named(&paid[1].0, "ended").await;
        }
    }
    assert!(since.elapsed() >= Duration::from_secs(60));
    // Nothing has passed, and yet they are found: the silence was noticed.
    for (bill, _) in &paid {
        world.wait_named(bill, "ended").await;
    }
    let tried = world.proxy(0).ws().made();
    assert!(tried > before, "new connections were tried, and were as deaf");

    world.proxy(0).ws().set_frozen(false);
    works(&world, "the subscription works again").await;
    let last = world.open(usdc(251)).await;
    let tx_hash = world.pay(&last).await;
    world.until_completed(&[&last]).await;
    paid.push((last, tx_hash));
    world.catch_up().await;
    let expected: Vec<_> = paid.iter().map(|(bill, tx_hash)| (bill, *tx_hash)).collect();
    world.end(&expected).await;
}
