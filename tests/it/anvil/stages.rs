//! Payments that are added, and end, while a reading is under way: at each of its questions, before the node is asked
//! and after it has answered.

use rampwatch::domain::chain::B256;
use rampwatch::domain::deposit::{ReviewReason, Verdict};
use rampwatch::domain::payment::{Outcome, PaymentState};
use rampwatch::sandbox::fake_api::OffRamp;

use super::proxy::Stage;
use super::world::{Setup, World, usdc};

/// What came of one stage.
struct Stood {
    added: (OffRamp, B256),
    ended: (OffRamp, B256),
}

/// Holds one question. Meanwhile one payment is added and paid, and another ends and is paid after that.
async fn at(world: &World, method: &'static str, stage: Stage, skipped: u32) -> Stood {
    let ending = world.open(usdc(41)).await;
    world.wait_named(&ending, "waiting").await;
    let mut held = world.proxy(0).hold(method, stage, skipped);
    held.reached().await;
    world.api.set(&ending.id, "EXPIRED", None).unwrap();
    let added = world.open(usdc(42)).await;
    let paid = world.pay(&added).await;
    world.mine(1).await;
    let expired = |state: &PaymentState| matches!(state, PaymentState::Ended { outcome: Outcome::Expired, .. });
    world.wait(&ending, "expired", expired).await;
    let too_late = world.pay(&ending).await;
    world.mine(1).await;
    drop(held);
    world.until_completed(&[&added]).await;
    Stood { added: (added, paid), ended: (ending, too_late) }
}

async fn every_stage(method: &'static str) {
    let mut world = World::start(Setup { proxies: 1, ..Setup::default() }).await;
    // One that waits all the time, so that there is always something to read.
    let steady = world.open(usdc(40)).await;
    let mut all = Vec::new();
    for stage in [Stage::Before, Stage::After] {
        for skipped in 0..5 {
            all.push(at(&world, method, stage, skipped).await);
        }
    }
    let paid = world.pay(&steady).await;
    world.until_completed(&[&steady]).await;
    world.catch_up().await;
    for Stood { ended: (ending, too_late), .. } in &all {
        let why = ReviewReason::PaymentEnded { payment: ending.id.clone() };
        assert_eq!(world.verdict(ending, *too_late).await, Verdict::Review { why });
    }
    let added = all.iter().map(|stood| (&stood.added.0, stood.added.1));
    let expected: Vec<_> = added.chain([(&steady, paid)]).collect();
    world.end(&expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_added_and_ended_at_every_question_for_logs_are_each_treated_right() {
    every_stage("eth_getLogs").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_added_and_ended_at_every_question_for_a_block_are_each_treated_right() {
    every_stage("eth_getBlockByNumber").await;
}
