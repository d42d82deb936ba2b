//! The nodes forget what waits.

use rampwatch::domain::chain::B256;
use rampwatch::domain::time::Span;
use rampwatch::sandbox::fake_api::OffRamp;

use super::bench::{end, order, pooled, rules, send, setup, spent, until, until_all_ended, wallet_opened};
use crate::anvil::world::{World, usdc};

/// Three transfers in the pool, which nothing but a broadcast brings back.
async fn three_waiting() -> (World, Vec<OffRamp>, Vec<(u64, B256, bool)>) {
    let mut rules = rules();
    rules.pace.bump_after = Span::from_secs(60);
    rules.pace.rebroadcast_after = Span::from_millis(600);
    let world = World::start(setup(rules)).await;
    wallet_opened(&world).await;
    let mut off_ramps = Vec::new();
    for nth in 0..3 {
        off_ramps.push(send(&world, usdc(400 + nth)).await.0);
    }
    let waiting = pooled(&world).await;
    assert_eq!(waiting.iter().map(|(nonce, ..)| *nonce).collect::<Vec<_>>(), [0, 1, 2]);
    (world, off_ramps, waiting)
}

/// The same bytes come back, and are what is mined.
async fn come_back(world: World, off_ramps: &[OffRamp], waiting: &[(u64, B256, bool)]) {
    until("the same transactions wait again", || async { pooled(&world).await == waiting }).await;
    until_all_ended(&world).await;
    for (off_ramp, (nonce, tx_hash, _)) in off_ramps.iter().zip(waiting) {
        let order = order(&world, off_ramp).await;
        let [only] = &order.attempts[..] else { panic!("nothing else was signed: {order:?}") };
        assert_eq!((only.nonce, only.tx_hash), (*nonce, *tx_hash));
    }
    assert!(order(&world, &off_ramps[0]).await.attempts[0].sends >= 2, "it was sent again");
    assert_eq!(spent(&world).await, usdc(400 + 401 + 402));
    end(world, &off_ramps.iter().collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_forgets_everything_is_given_the_same_bytes_again() {
    let (world, off_ramps, waiting) = three_waiting().await;
    world.node().drop_all_transactions().await.unwrap();
    world.mine(1).await;
    come_back(world, &off_ramps, &waiting).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_forgets_the_lowest_nonce_alone_is_given_the_same_bytes_again() {
    let (world, off_ramps, waiting) = three_waiting().await;
    let mut later = Vec::new();
    for (_, tx_hash, _) in &waiting[1..] {
        later.push(world.node().raw_transaction(*tx_hash).await.unwrap().unwrap());
    }
    // With the lowest one, anvil drops those that could follow it.
    world.node().drop_transaction(waiting[0].1).await.unwrap();
    for raw in &later {
        // The wallet may have been quicker with it.
        drop(world.node().send_raw(raw).await);
    }
    world.mine(1).await;
    come_back(world, &off_ramps, &waiting).await;
}
