//! Transfers that are mined, and fail there or move nothing.

use alloy::primitives::{Bytes, bytes};
use rampwatch::domain::chain::B256;
use rampwatch::domain::event::Alarm;
use rampwatch::domain::hold::Hold;
use rampwatch::domain::order::{Effect, Order, OrderOutcome, OrderState, Spend};
use rampwatch::domain::time::Span;
use rampwatch::sandbox::fake_api::OffRamp;
use rampwatch::sandbox::{USDC, WALLET};

use super::bench::{
    alarms, approve_reverted, assert_laws, end, mined_nonces, order, rules, send, setup, spent, until_all_ended,
    wait_order, wallet_opened,
};
use crate::anvil::world::{World, usdc};

/// A token that answers `true` to `transfer` and 0 to everything else, and writes no log: the word that it returns is
/// whether the selector is `transfer`'s.
const LIAR: Bytes = bytes!("5f3560e01c63a9059cbb145f5260205ff3");

/// A world in which what waits is left alone.
async fn world() -> World {
    let mut rules = rules();
    rules.pace.bump_after = Span::from_secs(60);
    rules.pace.rebroadcast_after = Span::from_secs(60);
    let world = World::start(setup(rules)).await;
    wallet_opened(&world).await;
    world
}

/// Takes the transfer out of the pool and puts it back: the next block holds first what was sent in between.
struct Lifted(Bytes);

async fn lift(world: &World, order: &Order) -> Lifted {
    let raw = order.attempts.last().unwrap().raw.0.clone();
    world.node().drop_transactions_of(WALLET).await.unwrap();
    Lifted(raw)
}

/// Mines a block with `first` in it and then the transfer, which fails there.
async fn mine_behind(world: &World, first: B256, lifted: Lifted) {
    let tx_hash = world.node().send_raw(&lifted.0).await.unwrap();
    world.mine(1).await;
    assert!(world.node().receipt(first).await.unwrap().unwrap().succeeded);
    let receipt = world.node().receipt(tx_hash).await.unwrap().unwrap();
    assert!(!receipt.succeeded, "the transfer fails in its block");
}

/// The order says that it is mined and failed; then, when that is final and not before, a person is asked. Once somebody
/// approves, it is held for this.
async fn reverted_then_held(world: &World, off_ramp: &OffRamp, why: Hold) {
    let reverted = |state: &OrderState| matches!(state, OrderState::Mined { effect: Effect::Reverted, .. });
    wait_order(world, off_ramp, "mined and reverted", reverted).await;
    world.sweeps(3).await;
    assert!(reverted(&order(world, off_ramp).await.state), "it is not tried again before the failure is final");
    world.mine(3).await;
    approve_reverted(world, off_ramp).await;
    let held = wait_order(world, off_ramp, "held", |state| *state == OrderState::Held { why: why.clone() }).await;
    assert_eq!((held.spend, held.reverts, held.attempts.len()), (Spend::Counted, 1, 1));
    assert_eq!(spent(world).await, off_ramp.amount);
}

/// The order goes on with the next nonce, and its spend counts once.
async fn goes_on(world: World, off_ramp: &OffRamp) {
    until_all_ended(&world).await;
    let order = order(&world, off_ramp).await;
    assert_eq!(order.attempts.iter().map(|attempt| attempt.nonce).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(mined_nonces(&world).await, [0, 1]);
    assert_eq!(spent(&world).await, off_ramp.amount);
    end(world, &[off_ramp]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_that_a_pause_makes_fail_is_made_again_with_another_nonce_when_the_token_goes_on() {
    let world = world().await;
    let (off_ramp, order) = send(&world, usdc(500)).await;
    let lifted = lift(&world, &order).await;
    let pause = world.node().set_paused(USDC, true).await.unwrap();
    mine_behind(&world, pause, lifted).await;
    reverted_then_held(&world, &off_ramp, Hold::TokenPaused).await;
    let unpause = world.node().set_paused(USDC, false).await.unwrap();
    assert!(world.mine_for(unpause).await.succeeded);
    goes_on(world, &off_ramp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_fails_because_the_wallet_is_blacklisted_meanwhile_and_is_made_again_when_it_is_not() {
    let world = world().await;
    let (off_ramp, order) = send(&world, usdc(501)).await;
    let lifted = lift(&world, &order).await;
    let listed = world.node().set_blacklisted(USDC, WALLET, true).await.unwrap();
    mine_behind(&world, listed, lifted).await;
    reverted_then_held(&world, &off_ramp, Hold::WalletBlacklisted).await;
    let cleared = world.node().set_blacklisted(USDC, WALLET, false).await.unwrap();
    assert!(world.mine_for(cleared).await.succeeded);
    goes_on(world, &off_ramp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_that_succeeds_and_moves_nothing_is_an_alarm_and_completes_nothing() {
    let mut world = world().await;
    let (off_ramp, order_before) = send(&world, usdc(502)).await;
    let honest = world.node().code(USDC).await.unwrap();
    world.node().set_code(USDC, &LIAR).await.unwrap();
    world.mine(1).await;
    let tx_hash = order_before.attempts[0].tx_hash;
    assert!(world.node().receipt(tx_hash).await.unwrap().unwrap().succeeded, "by its receipt it went well");
    let nothing = |state: &OrderState| matches!(state, OrderState::Mined { effect: Effect::MovedNothing, .. });
    wait_order(&world, &off_ramp, "mined without a log", nothing).await;
    assert!(alarms(&world).await.is_empty(), "not before it is final");
    world.mine(3).await;
    let ended = wait_order(&world, &off_ramp, "ended", OrderState::is_ended).await;
    let OrderState::Ended { outcome, .. } = &ended.state else { unreachable!() };
    assert_eq!(*outcome, OrderOutcome::MovedNothing { tx_hash });
    assert_eq!(ended.spend, Spend::Counted);
    assert_eq!(alarms(&world).await, [Alarm::MovedNothing { order: ended.id.clone() }]);
    assert_eq!(spent(&world).await, usdc(502));

    world.node().set_code(USDC, &honest).await.unwrap();
    world.catch_up().await;
    assert_eq!(world.state(&off_ramp).await.name(), "waiting");
    assert_laws(&world, &[&off_ramp]).await;
    world.assert_completions(&[]);
    world.end_whatever_was_completed().await;
}
