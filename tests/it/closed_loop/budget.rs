//! RPC requests a block, counted by the node. A block every 20 ms stands for one every 1.5 s; every interval of the
//! configuration's example is shortened by the same factor.

use std::time::Duration;

use rampwatch::domain::chain::Address;
use rampwatch::domain::payment::ApiStatus;
use rampwatch::domain::time::Timestamp;
use rampwatch::policy::resolve::Decision;

use super::api::PlainApi;
use super::rig::{LIMIT, Rig, USDC, quick_settings};
use crate::support::eventually;
use crate::support::memory_store::MemoryStore;
use crate::support::node::{Finalized, LogSpec, Node, NodeOptions, ScriptedChain};

const BLOCKS: u64 = 400;

/// Appends blocks at an even rate and returns the requests for each.
async fn requests_a_block(chain: &ScriptedChain, node: &Node) -> f64 {
    node.reset();
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..BLOCKS {
        tick.tick().await;
        chain.append_empty(1);
    }
    let counts = node.counts();
    println!("{} calls in {BLOCKS} blocks: {counts:?}", counts.calls());
    f64::from(u32::try_from(counts.calls()).unwrap()) / f64::from(u32::try_from(BLOCKS).unwrap())
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
    let cost = requests_a_block(&chain, &node).await;
    assert!(cost == 0.0, "{cost} requests a block");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_ended_payments_cost_next_to_nothing() {
    let (chain, node, rig) = world(true);
    let id = rig.add("ended", Address::repeat_byte(1), 5, now(&chain)).await;
    rig.api.set_status(&id, ApiStatus::Expired);
    let look_now = Decision::Retry { payment: id.clone() };
    rig.handle.resolve(&look_now, "to have the API asked at once").await.unwrap();
    rig.wait_for(&id, "ended").await;
    quiet(&rig).await;
    let cost = requests_a_block(&chain, &node).await;
    assert!(cost <= 0.05, "{cost} requests a block");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn something_pending_without_a_hint_is_cheap() {
    let (chain, node, rig) = world(true);
    rig.add("pending", Address::repeat_byte(2), 5, now(&chain)).await;
    quiet(&rig).await;
    let cost = requests_a_block(&chain, &node).await;
    assert!(cost > 0.0 && cost <= 0.2, "{cost} requests a block");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn something_pending_is_cheap_by_polling_too() {
    let (chain, node, rig) = world(false);
    rig.add("polled", Address::repeat_byte(3), 5, now(&chain)).await;
    quiet(&rig).await;
    let cost = requests_a_block(&chain, &node).await;
    assert!(cost > 0.0 && cost <= 0.2, "{cost} requests a block");
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
        let cost = requests_a_block(&chain, &node).await;
        assert!(cost > 0.1 && cost <= 2.0, "{cost} requests a block");
        rig.stop().await;
    }
}
