//! The engine dies at every commit that changes a payment or a deposit, just before it and just after it, and is
//! started again on the same store: each payment is completed, and once.

use std::sync::Arc;

use rampwatch::domain::chain::B256;
use rampwatch::domain::time::Span;
use rampwatch::sandbox::fake_api::{NewOffRamp, OffRamp};

use super::fuse::{Fuse, Side, dead_or_completed};
use super::world::{Setup, World, request_for, usdc};

/// More commits than one payment takes.
const TOO_MANY: u32 = 30;

async fn crash_at_every_commit(side: Side) {
    let mut setup = Setup::default();
    // After a crash in the middle of a call, twice this and a second is waited.
    setup.engine.pace.api_timeout = Span::from_millis(500);
    let mut world = World::start(setup).await;
    let mut completed: Vec<(OffRamp, B256)> = Vec::new();
    let mut deaths = 0;
    for nth in 1..=TOO_MANY {
        let (bill, tx_hash, died) = crash_at(&mut world, nth, side).await;
        completed.push((bill, tx_hash));
        if !died {
            break;
        }
        deaths = nth;
    }
    assert!((5..TOO_MANY).contains(&deaths), "a payment's whole life was gone through: {deaths} commits");
    let completed: Vec<_> = completed.iter().map(|(bill, tx_hash)| (bill, *tx_hash)).collect();
    world.end(&completed).await;
}

/// One payment's life with a death at the nth commit. False when it was over before.
async fn crash_at(world: &mut World, nth: u32, side: Side) -> (OffRamp, B256, bool) {
    world.crash().await;
    let (fuse, mut blown) = Fuse::new(world.open_store().await, nth, side);
    world.start_engine_on(Arc::new(fuse)).await;
    let bill = world.api.open(NewOffRamp { amount: usdc(44), ..NewOffRamp::default() }).unwrap();
    tokio::select! {
        added = world.handle().add(request_for(&bill)) => drop(added.unwrap()),
        _ = blown.wait_for(|blown| *blown) => {}
    }
    let tx_hash = world.pay(&bill).await;
    world.mine(1).await;
    let died = dead_or_completed(world, &blown, &bill, nth).await;
    world.crash().await;
    world.start_engine().await;
    world.add(&bill).await;
    world.until_completed(&[&bill]).await;
    (bill, tx_hash, died)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_before_any_commit_costs_nothing() {
    crash_at_every_commit(Side::Before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_after_any_commit_costs_nothing() {
    crash_at_every_commit(Side::After).await;
}
