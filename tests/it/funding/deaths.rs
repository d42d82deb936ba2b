//! The engine dies at every commit of a funded payment's life, just before it and just after it, and is started again on
//! the same store: each payment gets its money once. (`make send-crash-test` does so to real processes, at every call
//! over the network too, and in more stories.)

use std::sync::Arc;

use rampwatch::ports::store::Commit;
use rampwatch::sandbox::fake_api::OffRamp;
use rampwatch::sandbox::{BlockTag, USDC, WALLET};

use super::bench::{assert_laws, fund, open, rules, setup, until_all_ended, wallet_opened};
use crate::anvil::fuse::{Fuse, Side, dead_or_completed};
use crate::anvil::world::{World, usdc};

/// More commits than one order takes.
const TOO_MANY: u32 = 30;

/// Commits that change something of an order or of what follows from it; not the payment's addition.
fn counts(commit: &Commit) -> bool {
    !commit.orders.is_empty()
        || !commit.deposits.is_empty()
        || commit.payments.iter().any(|payment| payment.version > 0)
}

async fn die_at_every_commit(side: Side) {
    let mut setup = setup(rules());
    // After a death in the middle of a call, twice this and a second is waited.
    setup.engine.pace.api_timeout = rampwatch::domain::time::Span::from_millis(500);
    let mut world = World::start(setup).await;
    wallet_opened(&world).await;
    let mut off_ramps = Vec::new();
    let mut deaths = 0;
    for nth in 1..=TOO_MANY {
        let (off_ramp, died) = die_at(&mut world, nth, side).await;
        off_ramps.push(off_ramp);
        if !died {
            break;
        }
        deaths = nth;
    }
    assert!((8..TOO_MANY).contains(&deaths), "an order's whole life was gone through: {deaths} commits");
    let all: Vec<&OffRamp> = off_ramps.iter().collect();
    assert_laws(&world, &all).await;
    for off_ramp in &off_ramps {
        let got = world.node().balance(USDC, off_ramp.deposit_address).await.unwrap();
        assert_eq!(got, off_ramp.amount, "{} got its money once", off_ramp.id);
    }
    let spent = world.store().spent_since(rampwatch::domain::time::Timestamp::EPOCH).await.unwrap();
    let spent: u128 = spent.iter().map(|order| order.amount.base_units()).sum();
    assert_eq!(spent, off_ramps.iter().map(|off_ramp| off_ramp.amount.base_units()).sum::<u128>());
    let wallet = world.store().wallet().await.unwrap().unwrap();
    let mined = world.node().transaction_count(WALLET, BlockTag::Latest).await.unwrap();
    assert_eq!((wallet.next_nonce, wallet.halted), (mined, None), "every nonce that was taken is consumed");
    world.end_whatever_was_completed().await;
}

/// One payment's life with a death at the nth commit. False when it was over before.
async fn die_at(world: &mut World, nth: u32, side: Side) -> (OffRamp, bool) {
    let off_ramp = open(world, usdc(u128::from(20 + nth))).await;
    world.crash().await;
    let (fuse, mut blown) = Fuse::counting(world.open_store().await, nth, side, counts);
    world.start_engine_on(Arc::new(fuse)).await;
    tokio::select! {
        funded = fund(world, &off_ramp) => funded.unwrap(),
        _ = blown.wait_for(|blown| *blown) => {}
    }
    let died = dead_or_completed(world, &blown, &off_ramp, nth).await;
    world.crash().await;
    world.start_engine().await;
    if world.store().orders_of(&off_ramp.id).await.unwrap().is_empty() {
        fund(world, &off_ramp).await.unwrap();
    }
    until_all_ended(world).await;
    world.until_completed(&[&off_ramp]).await;
    (off_ramp, died)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_before_any_commit_of_a_send_costs_nothing() {
    die_at_every_commit(Side::Before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_after_any_commit_of_a_send_costs_nothing() {
    die_at_every_commit(Side::After).await;
}
