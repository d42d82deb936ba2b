//! Holds: each has its name, and the order goes on when what it names is mended.

use rampwatch::domain::hold::Hold;
use rampwatch::domain::order::OrderState;
use rampwatch::sandbox::{USDC, WALLET};

use super::bench::{end, fund, open, rules, send, setup, spent, until_all_ended, wait_order, wallet_opened};
use crate::anvil::world::{World, usdc};

async fn world() -> World {
    let world = World::start(setup(rules())).await;
    wallet_opened(&world).await;
    world
}

/// Whether an order of which nothing is signed is held for this.
fn held(why: Hold) -> impl Fn(&OrderState) -> bool {
    move |state| *state == OrderState::Held { why: why.clone() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_token_and_a_blacklisted_wallet_hold_orders_until_they_are_mended() {
    let world = world().await;
    let node = world.node();
    let pause = node.set_paused(USDC, true).await.unwrap();
    let listed = node.set_blacklisted(USDC, WALLET, true).await.unwrap();
    world.mine(1).await;
    for tx_hash in [pause, listed] {
        assert!(node.receipt(tx_hash).await.unwrap().unwrap().succeeded);
    }
    let off_ramp = open(&world, usdc(600)).await;
    fund(&world, &off_ramp).await.unwrap();
    wait_order(&world, &off_ramp, "held by the pause", held(Hold::TokenPaused)).await;
    node.set_paused(USDC, false).await.unwrap();
    world.mine(1).await;
    wait_order(&world, &off_ramp, "held by the blacklist", held(Hold::WalletBlacklisted)).await;
    node.set_blacklisted(USDC, WALLET, false).await.unwrap();
    world.mine(1).await;
    until_all_ended(&world).await;
    assert_eq!(spent(&world).await, usdc(600));
    end(world, &[&off_ramp]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_of_a_paused_wallet_say_so_and_go_on_when_it_is_resumed() {
    let world = world().await;
    let (signed, _) = send(&world, usdc(610)).await;
    world.handle().pause_wallet("a person looks").await.unwrap();
    let ready = open(&world, usdc(611)).await;
    fund(&world, &ready).await.unwrap();
    wait_order(&world, &ready, "held by the pause", held(Hold::WalletPaused)).await;
    let paused = |state: &OrderState| matches!(state, OrderState::Sending { trouble: Some(Hold::WalletPaused), .. });
    wait_order(&world, &signed, "sending, and stopped", paused).await;
    // What is out is watched all the same.
    world.mine(3).await;
    wait_order(&world, &signed, "ended", OrderState::is_ended).await;
    wait_order(&world, &ready, "still held", held(Hold::WalletPaused)).await;
    world.handle().resume_wallet("all is well").await.unwrap();
    until_all_ended(&world).await;
    assert_eq!(spent(&world).await, usdc(610 + 611));
    end(world, &[&signed, &ready]).await;
}
