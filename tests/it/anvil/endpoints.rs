//! Endpoints that know less than they should, die, or want small questions.

use rampwatch::domain::chain::B256;
use rampwatch::domain::time::Timestamp;
use rampwatch::sandbox::fake_api::{NewOffRamp, OffRamp};

use super::proxy::{Stage, View};
use super::world::{LIMIT, Setup, World, key_of, usdc};
use crate::support::eventually;
use crate::support::node::provider_error;

fn behind(proxies: usize) -> Setup {
    Setup { proxies, ..Setup::default() }
}

/// A deposit that is final on the chain, while the only node's HTTP side does not show it yet. The websocket does.
async fn alone(view: View, below: u64) {
    let mut world = World::start(behind(1)).await;
    world.proxy(0).show(view);
    let bill = world.open(usdc(81)).await;
    // A block that was mined before would be hinted to nobody, and then nobody asks for more than the node shows.
    eventually(LIMIT, "the subscription works", || async { world.health().snapshot().hints_live }).await;
    let tx_hash = world.pay(&bill).await;
    let receipt = world.mine_for(tx_hash).await;
    world.mine(below).await;
    eventually(LIMIT, "something is withheld", || async { world.proxy(0).withheld() > 0 }).await;
    // Longer than it takes for the second reading, which is as blind.
    world.sweeps(10).await;
    assert_eq!(world.state(&bill).await.name(), "waiting", "a hint alone is not believed");
    assert_eq!(world.deposits(&bill).await, []);
    world.assert_completions(&[]);
    // The node catches up, and no further block comes.
    world.proxy(0).show(View::Honest);
    world.wait_named(&bill, "ended").await;
    assert_eq!(world.deposits(&bill).await[0].key, key_of(&receipt, &bill));
    world.catch_up().await;
    world.end(&[(&bill, tx_hash)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_answers_nothing_for_blocks_it_has_not_got_delays_and_loses_nothing() {
    alone(View::Behind(6), 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_logs_lag_behind_its_headers_delays_and_loses_nothing() {
    alone(View::LogsBehind(6), 4).await;
}

/// Deposits one after the other, and two blocks in between, behind a balancer that stays as it is.
async fn balanced(view: View) {
    let mut world = World::start(behind(1)).await;
    world.proxy(0).show(view);
    let mut bills: Vec<(OffRamp, B256)> = Vec::new();
    for amount in 300..312 {
        let bill = world.open(usdc(amount)).await;
        let tx_hash = world.pay(&bill).await;
        world.mine(2).await;
        bills.push((bill, tx_hash));
        world.sweeps(1).await;
    }
    world.until_completed(&bills.iter().map(|(bill, _)| bill).collect::<Vec<_>>()).await;
    world.catch_up().await;
    assert!(world.proxy(0).withheld() > 0, "the lagging node had its turns");
    let expected: Vec<_> = bills.iter().map(|(bill, tx_hash)| (bill, *tx_hash)).collect();
    world.end(&expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_balancer_a_node_that_lags_and_a_good_one_lose_nothing_together() {
    balanced(View::Balanced(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balancer_that_takes_batches_apart_loses_nothing_either() {
    balanced(View::BalancedByCall(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_dies_in_the_middle_of_a_question_is_replaced_until_it_comes_back() {
    let mut world = World::start(behind(2)).await;
    let mut bills = Vec::new();
    // The first dies, then the second, when the first is back.
    for (nth, amount) in [(0, 90), (1, 91)] {
        let before = world.open(usdc(amount)).await;
        let paid_before = world.pay(&before).await;
        world.until_completed(&[&before]).await;
        let bill = world.open(usdc(amount)).await;
        let tx_hash = world.pay(&bill).await;
        if nth == 0 {
            let mut held = world.proxy(nth).hold("eth_getLogs", Stage::After, 1);
            world.mine(1).await;
            held.reached().await;
            world.proxy(nth).die().await;
        } else {
            world.proxy(nth).die().await;
            world.mine(1).await;
        }
        let (dead, other) = (world.proxy(nth).requests(), world.proxy(1 - nth).requests());
        world.until_completed(&[&bill]).await;
        assert_eq!(world.proxy(nth).requests(), dead, "it is dead");
        assert!(world.proxy(1 - nth).requests() > other, "the other is asked");
        world.proxy(nth).come_back();
        bills.extend([(before, paid_before), (bill, tx_hash)]);
    }
    let asked = world.proxy(0).requests();
    eventually(LIMIT, "the preferred endpoint is asked again", || async { world.proxy(0).requests() > asked }).await;
    world.catch_up().await;
    let expected: Vec<_> = bills.iter().map(|(bill, tx_hash)| (bill, *tx_hash)).collect();
    world.end(&expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_endpoint_dies_and_what_came_meanwhile_is_found_when_it_is_back() {
    let mut world = World::start(behind(1)).await;
    let (bill, later) = (world.open(usdc(92)).await, world.open(usdc(93)).await);
    world.sweeps(1).await;
    world.proxy(0).die().await;
    let tx_hash = world.pay(&bill).await;
    world.mine(700).await;
    let paid_later = world.pay(&later).await;
    world.mine(3).await;
    let added = world.open(usdc(94)).await;
    let paid_added = world.pay(&added).await;
    world.mine(3).await;
    world.assert_completions(&[]);
    world.proxy(0).come_back();
    world.until_completed(&[&bill, &later, &added]).await;
    world.catch_up().await;
    world.end(&[(&bill, tx_hash), (&later, paid_later), (&added, paid_added)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_limits_ranges_is_asked_in_pieces_with_nothing_left_out() {
    let mut setup = Setup { proxies: 1, max_block_range: 2_000, ..Setup::default() };
    setup.engine.sweep.chunk = 2_000;
    let mut world = World::start(setup).await;
    let mut bills = Vec::new();
    // One names what it takes; the others name more than was asked, which is no help.
    for (blocks, text) in [(800, "Max range: 800"), (300, "query exceeds max block range"), (450, "max: 3500")] {
        let mut open = Vec::new();
        for _ in 0..6 {
            // The chain's clock is soon hours ahead.
            let expires_at = Some(Timestamp::from_secs(4_000_000_000));
            open.push(world.open_as(NewOffRamp { amount: usdc(95), expires_at, ..NewOffRamp::default() }).await);
        }
        world.sweeps(1).await;
        world.crash().await;
        let refused = world.proxy(0).refused();
        world.proxy(0).limit(blocks, provider_error(text));
        // At the edges of the pieces, if they begin where the downtime did, and far from them.
        for (bill, apart) in open.into_iter().zip([1, blocks - 2, 1, 1, 200, 700]) {
            world.mine(apart).await;
            let tx_hash = world.pay(&bill).await;
            bills.push((bill, tx_hash));
        }
        world.mine(200).await;
        world.start_engine().await;
        world.until_completed(&bills.iter().map(|(bill, _)| bill).collect::<Vec<_>>()).await;
        assert!(world.proxy(0).refused() > refused, "long ranges were asked for, and refused");
    }
    world.catch_up().await;
    let expected: Vec<_> = bills.iter().map(|(bill, tx_hash)| (bill, *tx_hash)).collect();
    world.end(&expected).await;
}
