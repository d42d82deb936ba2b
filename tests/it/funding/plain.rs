//! What should happen, happens.

use rampwatch::domain::order::{OrderOutcome, OrderState};

use super::bench::{assert_laws, fund, open, order, rules, setup, until_all_ended, wait_order, wallet_opened};
use crate::anvil::world::{Setup, World, usdc};

#[tokio::test(flavor = "multi_thread")]
async fn an_off_ramp_is_funded_and_completed() {
    let mut world = World::start(setup(rules())).await;
    wallet_opened(&world).await;
    let off_ramp = open(&world, usdc(250)).await;
    fund(&world, &off_ramp).await.unwrap();
    until_all_ended(&world).await;
    let order = order(&world, &off_ramp).await;
    let OrderState::Ended { outcome: OrderOutcome::Paid { tx_hash, .. }, .. } = order.state else {
        panic!("it is paid, not {:?}", order.state);
    };
    world.until_completed(&[&off_ramp]).await;
    assert_laws(&world, &[&off_ramp]).await;
    world.assert_completions(&[(&off_ramp, tx_hash)]);
    world.end_whatever_was_completed().await;
}

/// What is in a block is asked after at the configured pace while its block is not final, and no more often.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_finality_costs_a_few_requests_a_poll() {
    let mut world = World::start(Setup { proxies: 1, ..setup(rules()) }).await;
    wallet_opened(&world).await;
    let off_ramp = open(&world, usdc(251)).await;
    fund(&world, &off_ramp).await.unwrap();
    let sent = wait_order(&world, &off_ramp, "given to the nodes", |state| state.name() == "sending").await;
    let in_pool = || async { !world.node().pool().await.unwrap().is_empty() };
    crate::support::eventually(crate::anvil::world::LIMIT, "it waits in the pool", in_pool).await;
    world.mine(1).await;
    wait_order(&world, &off_ramp, "mined", |state| state.name() == "mined").await;
    let (before, begun) = (world.proxy(0).requests(), std::time::Instant::now());
    world.sweeps(12).await;
    let (asked, polls) = (world.proxy(0).requests() - before, begun.elapsed().as_millis() / 60);
    // The sweeps of the watcher are among them.
    let most = u64::try_from(polls).unwrap() * 3 + 40;
    println!("{asked} requests in {polls} polls");
    assert!(asked <= most, "{asked} requests in {:?}", begun.elapsed());
    until_all_ended(&world).await;
    world.until_completed(&[&off_ramp]).await;
    assert_laws(&world, &[&off_ramp]).await;
    world.assert_completions(&[(&off_ramp, sent.attempts[0].tx_hash)]);
    world.end_whatever_was_completed().await;
}
