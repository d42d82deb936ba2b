//! Holds: each has its name, and the order goes on when what it names is mended.

use rampwatch::domain::hold::Hold;
use rampwatch::domain::order::{CancelReason, OrderOutcome, OrderState, Spend};
use rampwatch::domain::time::Span;
use rampwatch::sandbox::{USDC, WALLET};

use super::bench::{
    end, fund, mined_nonces, open, order, paid_by, rules, send, setup, spent, until_all_ended, wait_order,
    wallet_opened,
};
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_transfer_waits_while_the_token_is_paused_and_goes_out_with_the_same_bytes() {
    let mut rules = rules();
    rules.pace.bump_after = Span::from_secs(60);
    rules.pace.rebroadcast_after = Span::from_millis(1_500);
    let world = World::start(setup(rules)).await;
    wallet_opened(&world).await;
    let (off_ramp, signed) = send(&world, usdc(620)).await;
    // The pause is mined before the wallet gives its bytes to the node again.
    let pause = world.node().set_paused(USDC, true).await.unwrap();
    world.node().drop_transactions_of(WALLET).await.unwrap();
    assert!(world.mine_for(pause).await.succeeded);
    let paused = |state: &OrderState| matches!(state, OrderState::Sending { trouble: Some(Hold::TokenPaused), .. });
    wait_order(&world, &off_ramp, "sending, and held by the pause", paused).await;
    let unpause = world.node().set_paused(USDC, false).await.unwrap();
    assert!(world.mine_for(unpause).await.succeeded);
    until_all_ended(&world).await;
    assert_eq!(paid_by(&world, &off_ramp).await, signed.attempts[0].tx_hash);
    end(world, &[&off_ramp]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_transfer_to_an_address_that_is_blacklisted_is_withdrawn_and_can_be_funded_anew() {
    let mut rules = rules();
    rules.pace.bump_after = Span::from_secs(60);
    rules.pace.rebroadcast_after = Span::from_millis(1_500);
    let world = World::start(setup(rules)).await;
    wallet_opened(&world).await;
    let (off_ramp, _) = send(&world, usdc(630)).await;
    let (behind, _) = send(&world, usdc(631)).await;
    world.node().drop_transactions_of(WALLET).await.unwrap();
    let listed = world.node().set_blacklisted(USDC, off_ramp.deposit_address, true).await.unwrap();
    assert!(world.mine_for(listed).await.succeeded);
    let cancelling = |state: &OrderState| !matches!(state, OrderState::Sending { .. });
    wait_order(&world, &off_ramp, "withdrawn", cancelling).await;
    until_all_ended(&world).await;
    let ended = order(&world, &off_ramp).await;
    let why = CancelReason::Hold { hold: Hold::RecipientBlacklisted };
    assert!(
        matches!(&ended.state, OrderState::Ended { outcome: OrderOutcome::SelfSent { why: told, .. }, .. } if *told == why),
        "{:?}",
        ended.state
    );
    assert_eq!((ended.spend, spent(&world).await), (Spend::GivenBack, usdc(631)));
    let cleared = world.node().set_blacklisted(USDC, off_ramp.deposit_address, false).await.unwrap();
    assert!(world.mine_for(cleared).await.succeeded);
    fund(&world, &off_ramp).await.unwrap();
    until_all_ended(&world).await;
    assert_eq!(mined_nonces(&world).await, [0, 1, 2]);
    end(world, &[&off_ramp, &behind]).await;
}
