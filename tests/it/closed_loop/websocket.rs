//! The subscription in trouble: whatever the websocket does, no deposit is lost.

use std::time::Duration;

use rampwatch::domain::time::Span;
use serde_json::json;

use super::api::PlainApi;
use super::rig::{LIMIT, Rig, Ticker, now, pay, quick_evm, quick_settings, urls};
use crate::support::eventually;
use crate::support::memory_store::MemoryStore;
use crate::support::node::{Behaviour, Finalized, Node, NodeOptions, Refusal, ScriptedChain};

const BEAT: Duration = Duration::from_millis(20);

fn world() -> (ScriptedChain, Node) {
    let chain = ScriptedChain::new();
    chain.append_empty(50);
    chain.set_finalized(Finalized::Below(3));
    let node = Node::start(&chain, NodeOptions::default());
    (chain, node)
}

fn start(node: &Node, silence: Duration) -> Rig {
    let mut evm = quick_evm(&[urls(node)]);
    evm.silence_timeout = silence;
    Rig::start_with(evm, quick_settings(), MemoryStore::new(), PlainApi::default())
}

async fn live(rig: &Rig) {
    eventually(LIMIT, "live hints", || async { rig.health.snapshot().hints_live }).await;
}

/// Ten deposits under a fault that was there from the start, and is not for the last of them.
async fn survives(fault: impl FnOnce(&mut Behaviour)) {
    let (chain, node) = world();
    let _ticker = Ticker::start(&chain, BEAT);
    node.behave(fault);
    let rig = start(&node, Duration::from_secs(3));
    for n in 1..=10 {
        rig.expect(n, now(&chain)).await;
    }
    for n in 1..=9 {
        chain.append(pay(n));
        tokio::time::sleep(BEAT).await;
    }
    rig.all_completed(1..=9).await;
    node.heal();
    chain.append(pay(10));
    rig.all_completed(1..=10).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_that_is_killed_again_and_again() {
    let (chain, node) = world();
    let _ticker = Ticker::start(&chain, BEAT);
    let rig = start(&node, Duration::from_secs(3));
    for n in 1..=12 {
        rig.expect(n, now(&chain)).await;
        if n % 3 == 0 {
            live(&rig).await;
        }
        node.drop_websockets();
        chain.append(pay(n));
        node.drop_websockets();
    }
    rig.all_completed(1..=12).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_that_freezes_for_many_times_its_patience() {
    let (chain, node) = world();
    let _ticker = Ticker::start(&chain, BEAT);
    let rig = start(&node, Duration::from_millis(300));
    rig.expect(1, now(&chain)).await;
    live(&rig).await;
    node.behave(|it| it.ws.frozen = true);
    for n in 2..=6 {
        rig.expect(n, now(&chain)).await;
        chain.append(pay(n));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    rig.all_completed(2..=6).await;
    node.heal();
    node.drop_websockets();
    eventually(LIMIT, "a subscription", || async { !node.subscriptions().is_empty() }).await;
    chain.append(pay(1));
    rig.all_completed(1..=6).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_freezes_altogether_while_deposits_arrive() {
    let (chain, node) = world();
    let _ticker = Ticker::start(&chain, BEAT);
    let mut evm = quick_evm(&[urls(&node)]);
    evm.silence_timeout = Duration::from_millis(300);
    evm.connect_timeout = Duration::from_millis(300);
    evm.request_timeout = Duration::from_millis(300);
    let rig = Rig::start_with(evm, quick_settings(), MemoryStore::new(), PlainApi::default());
    for n in 1..=4 {
        rig.expect(n, now(&chain)).await;
    }
    live(&rig).await;
    node.set_mute(true);
    node.behave(|it| it.ws.frozen = true);
    for n in 1..=4 {
        chain.append(pay(n));
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    assert!(rig.api.completions().is_empty(), "a node that says nothing cannot have shown a deposit");
    node.heal();
    rig.all_completed(1..=4).await;
    assert!(rig.health.snapshot().chain_trouble.is_none());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_that_are_dropped() {
    survives(|it| it.ws.drop_pushes = true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_that_are_doubled_and_in_the_wrong_order() {
    survives(|it| (it.ws.duplicate_pushes, it.ws.reverse_pushes) = (true, true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_that_are_refused() {
    survives(|it| it.ws.refuse_subscribe = Some(Refusal::rpc(-32601, "notifications not supported"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_refused() {
    survives(|it| it.ws.refuse_upgrade = Some(429)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_is_refused_when_it_has_to_be_made_anew() {
    let (chain, node) = world();
    let _ticker = Ticker::start(&chain, BEAT);
    let rig = start(&node, Duration::from_secs(3));
    rig.expect(1, now(&chain)).await;
    live(&rig).await;
    node.behave(|it| it.ws.refuse_subscribe = Some(Refusal::rpc(-32005, "too many subscriptions")));
    rig.expect(2, now(&chain)).await;
    chain.append(vec![pay(1), pay(2)]);
    rig.all_completed(1..=2).await;
    node.heal();
    rig.expect(3, now(&chain)).await;
    live(&rig).await;
    chain.append(pay(3));
    rig.all_completed(1..=3).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_that_are_said_to_be_taken_back_and_are_not() {
    let (chain, node) = world();
    let _ticker = Ticker::start(&chain, BEAT);
    let rig = start(&node, Duration::from_secs(3));
    rig.expect(1, now(&chain)).await;
    live(&rig).await;
    let block = chain.append(pay(1));
    for _ in 0..20 {
        node.push_removed(&block);
    }
    rig.all_completed([1]).await;
    rig.stop().await;
}

/// With nothing but one message that cannot be read to go by, the sweep it causes has to reach the real head.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_read_is_reason_to_look_at_the_real_head() {
    let (chain, node) = world();
    let mut settings = quick_settings();
    settings.sweep.interval = Span::from_secs(3_600);
    let mut evm = quick_evm(&[urls(&node)]);
    evm.silence_timeout = Duration::from_secs(60);
    let rig = Rig::start_with(evm, settings, MemoryStore::new(), PlainApi::default());
    let id = rig.expect(1, now(&chain)).await;
    live(&rig).await;
    chain.append_empty(1);
    eventually(LIMIT, "a quiet node", || async {
        rig.health.snapshot().head == Some(chain.head().number) && rig.health.snapshot().swept_at.is_some()
    })
    .await;
    node.behave(|it| it.ws.drop_pushes = true);
    chain.append(pay(1));
    tokio::time::sleep(Duration::from_millis(200)).await;
    node.push_log(json!({ "blockNumber": "not a number" }));
    let seen = || async { rig.payment(&id).await.state.name() == "seen" };
    eventually(Duration::from_secs(6), "the deposit", seen).await;
    rig.stop().await;
}

/// A head that does not exist must neither stop the sweep nor move the place where it begins.
#[tokio::test(flavor = "multi_thread")]
async fn heads_that_do_not_exist() {
    let (chain, node) = world();
    let _ticker = Ticker::start(&chain, Duration::from_millis(200));
    let rig = start(&node, Duration::from_secs(3));
    rig.expect(1, now(&chain)).await;
    live(&rig).await;
    rig.next_sweep().await;
    let mut head = chain.head().header.clone();
    head["number"] = json!("0xffffffff");
    node.push_head(head.clone());
    rig.expect(2, now(&chain)).await;
    chain.append(vec![pay(1), pay(2)]);
    node.push_head(head);
    rig.all_completed(1..=2).await;
    rig.stop().await;
}
