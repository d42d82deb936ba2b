//! RPC requests a block, counted by the node. A block every 20 ms stands for one every 1.5 s; every interval of the
//! configuration's example is shortened by the same factor.

use std::time::{Duration, Instant};

use rampwatch::domain::chain::Address;
use rampwatch::domain::payment::ApiStatus;
use rampwatch::domain::time::Timestamp;

use super::api::PlainApi;
use super::rig::{LIMIT, Rig, USDC, quick_settings};
use crate::support::eventually;
use crate::support::memory_store::MemoryStore;
use crate::support::node::{Finalized, LogSpec, Node, NodeOptions, ScriptedChain};

const BLOCKS: u64 = 400;

/// The time that a block stands for.
const BLOCK: Duration = Duration::from_millis(20);

/// How often a measurement is made anew on a machine that is too busy for it.
const MEASUREMENTS: u32 = 5;

/// Requests for each block, and all that the node counted. A machine that stops for a moment makes the program
/// think that its connection hangs, and it reads once more, as it should: that is no measure of quiet times, so it is
/// made anew.
async fn requests_a_block(chain: &ScriptedChain, node: &Node) -> (f64, String) {
    for left in (0..MEASUREMENTS).rev() {
        let (cost, told, was_calm) = measure(chain, node).await;
        println!("{told}");
        if was_calm || left == 0 {
            return (cost, told);
        }
    }
    unreachable!("the last measurement is returned")
}

/// Appends blocks at an even rate. Returns the requests for each, the counts, and whether the rate was kept.
async fn measure(chain: &ScriptedChain, node: &Node) -> (f64, String, bool) {
    node.reset();
    let mut tick = tokio::time::interval(BLOCK);
    let begun = Instant::now();
    let mut last = begun;
    let mut longest = Duration::ZERO;
    for _ in 0..BLOCKS {
        tick.tick().await;
        chain.append_empty(1);
        longest = longest.max(last.elapsed());
        last = Instant::now();
    }
    let counts = node.counts();
    let blocks = u32::try_from(BLOCKS).unwrap();
    let was_calm = longest < BLOCK * 10 && begun.elapsed() < BLOCK * blocks * 11 / 10 && counts.ws_connections == 0;
    let told = format!("{} calls in {BLOCKS} blocks, the longest after {longest:?}: {counts:?}", counts.calls());
    (f64::from(u32::try_from(counts.calls()).unwrap()) / f64::from(blocks), told, was_calm)
}

async fn quiet(rig: &Rig) {
    eventually(LIMIT, "the first sweep", || async { rig.health.snapshot().swept_at.is_some() }).await;
}

fn world(ws: bool) -> (ScriptedChain, Node, Rig) {
    let chain = ScriptedChain::new();
    chain.append_empty(1_000);
    chain.set_finalized(Finalized::Below(3));
    let node = Node::start(&chain, NodeOptions::default());
    let ws_url = if ws { node.ws_url() } else { String::new() };
    let rig = Rig::start(&[(node.url(), ws_url)], quick_settings(), MemoryStore::new(), PlainApi::default());
    (chain, node, rig)
}

fn now(chain: &ScriptedChain) -> Timestamp {
    Timestamp::from_secs(chain.head().time)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_watched_costs_nothing() {
    let (chain, node, rig) = world(true);
    let (cost, told) = requests_a_block(&chain, &node).await;
    assert!(cost == 0.0, "{cost} requests a block: {told}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_ended_payments_cost_next_to_nothing() {
    let (chain, node, rig) = world(true);
    let id = rig.add("ended", Address::repeat_byte(1), 5, now(&chain)).await;
    rig.api.set_status(&id, ApiStatus::Expired);
    rig.desk().look_now(&id).await;
    rig.wait_for(&id, "ended").await;
    quiet(&rig).await;
    let (cost, told) = requests_a_block(&chain, &node).await;
    assert!(cost <= 0.05, "{cost} requests a block: {told}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn something_pending_without_a_hint_is_cheap() {
    let (chain, node, rig) = world(true);
    rig.add("pending", Address::repeat_byte(2), 5, now(&chain)).await;
    quiet(&rig).await;
    let (cost, told) = requests_a_block(&chain, &node).await;
    assert!(cost > 0.0 && cost <= 0.2, "{cost} requests a block: {told}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn something_pending_is_cheap_by_polling_too() {
    let (chain, node, rig) = world(false);
    rig.add("polled", Address::repeat_byte(3), 5, now(&chain)).await;
    quiet(&rig).await;
    let (cost, told) = requests_a_block(&chain, &node).await;
    assert!(cost > 0.0 && cost <= 0.2, "{cost} requests a block: {told}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_finality_costs_two_at_most() {
    for ws in [true, false] {
        let (chain, node, rig) = world(ws);
        let to = Address::repeat_byte(4);
        let id = rig.add("unfinal", to, 5, now(&chain)).await;
        quiet(&rig).await;
        let block = chain.append(LogSpec::transfer(USDC, Address::repeat_byte(9), to, 5));
        chain.set_finalized(Finalized::At(block.number - 1));
        rig.wait_for(&id, "seen").await;
        let (cost, told) = requests_a_block(&chain, &node).await;
        assert!(cost > 0.1 && cost <= 2.0, "{cost} requests a block: {told}");
        rig.stop().await;
    }
}
