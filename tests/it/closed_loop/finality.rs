//! Finality that is absent, stands still or moves back.

use std::time::Duration;

use rampwatch::domain::event::{Alarm, EventKind};
use rampwatch::domain::time::Span;
use rampwatch::engine::EngineSettings;
use rampwatch::policy::finality::FinalityRule;

use super::api::PlainApi;
use super::rig::{LIMIT, Rig, Ticker, now, pay, quick_settings, urls};
use crate::support::eventually;
use crate::support::memory_store::MemoryStore;
use crate::support::node::{Finalized, Node, NodeOptions, ScriptedChain};

const BEAT: Duration = Duration::from_millis(20);

fn world() -> (ScriptedChain, Node) {
    let chain = ScriptedChain::new();
    chain.append_empty(100);
    let node = Node::start(&chain, NodeOptions::default());
    (chain, node)
}

fn start(node: &Node) -> Rig {
    Rig::start(&[urls(node)], quick_settings(), MemoryStore::new(), PlainApi::default())
}

async fn told_of_move(rig: &Rig) {
    eventually(LIMIT, "the move is told", || async {
        let events = rig.store.contents().events;
        events.iter().any(|recorded| matches!(recorded.event.kind, EventKind::FinalityMoved { .. }))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_is_absent_for_a_while() {
    for ws in [true, false] {
        let (chain, node) = world();
        let _ticker = Ticker::start(&chain, BEAT);
        let ends = [(node.url(), if ws { node.ws_url() } else { String::new() })];
        let rig = Rig::start(&ends, quick_settings(), MemoryStore::new(), PlainApi::default());
        let id = rig.expect(1, now(&chain)).await;
        chain.append(pay(1));
        rig.wait_for(&id, "seen").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(rig.api.completions().is_empty(), "without the tag nothing is final");
        chain.set_finalized(Finalized::Below(3));
        rig.all_completed([1]).await;
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_above_the_nodes_own_head_is_not_believed() {
    let (chain, node) = world();
    let rig = start(&node);
    let id = rig.expect(1, now(&chain)).await;
    let block = chain.append(pay(1));
    chain.append_empty(20);
    node.behave(|it| (it.lag, it.finalized_ignores_lag) = (15, true));
    chain.set_finalized(Finalized::At(block.number + 10));
    rig.wait_for(&id, "seen").await;
    rig.next_sweep().await;
    assert!(rig.api.completions().is_empty(), "a final block above the head proves nothing");
    node.heal();
    chain.append_empty(1);
    rig.all_completed([1]).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn final_blocks_that_move_back() {
    let (chain, node) = world();
    let rig = start(&node);
    let _ticker = Ticker::start(&chain, BEAT);
    let (first, second) = (rig.expect(1, now(&chain)).await, rig.expect(2, now(&chain)).await);
    let block = chain.append(pay(1));
    chain.append(pay(2));
    rig.wait_for(&first, "seen").await;
    rig.wait_for(&second, "seen").await;
    // The first deposit becomes final while the API cannot be used; then the final block moves back below it.
    rig.api.hold(true);
    chain.append_empty(3);
    chain.set_finalized(Finalized::At(block.number));
    rig.wait_for(&first, "due").await;
    chain.set_finalized(Finalized::At(block.number - 5));
    told_of_move(&rig).await;
    rig.api.hold(false);
    for back in (1..=4).rev() {
        tokio::time::sleep(Duration::from_millis(700)).await;
        chain.set_finalized(Finalized::At(block.number - back));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(rig.api.completions().is_empty(), "nothing is completed above the final block");
    chain.set_finalized(Finalized::Below(3));
    rig.all_completed(1..=2).await;
    rig.stop().await;
}

/// Where the rule asks for no depth, the reading that brings a deposit proves it final: header and log came in one answer.
/// Nothing else is asked of the chain, and seen and final are one commit.
#[tokio::test(flavor = "multi_thread")]
async fn with_no_depth_one_reading_is_proof_enough() {
    proof_enough(FinalityRule::Depth { depth: 0 }, 3).await;
}

/// So does a reading that ends at the finalized block.
#[tokio::test(flavor = "multi_thread")]
async fn a_reading_to_the_finalized_block_is_proof_enough() {
    // A sweep that no hint called for may be the first to read one of them, and it does not ask for the finalized block.
    proof_enough(FinalityRule::Finalized { depth: 0 }, 1).await;
}

/// At least so many of three payments are seen and due by one reading.
async fn proof_enough(finality: FinalityRule, least: usize) {
    let (chain, node) = world();
    chain.set_finalized(Finalized::Below(0));
    let settings = EngineSettings { finality, ..quick_settings() };
    let rig = Rig::start(&[urls(&node)], settings, MemoryStore::new(), PlainApi::default());
    for n in 1..=3 {
        rig.expect(n, now(&chain)).await;
    }
    rig.next_sweep().await;
    for n in 1..=3 {
        chain.append(pay(n));
        rig.all_completed(1..=n).await;
    }
    let contents = rig.store.contents();
    assert_eq!(contents.finality.unwrap().current.number, chain.head().number);
    let moves = contents.events.iter().filter_map(|recorded| match &recorded.event.kind {
        EventKind::PaymentMoved { from, to, .. } if to.name() == "due" => Some((recorded.seq, from.name())),
        _ => None,
    });
    let moves: Vec<_> = moves.collect();
    assert_eq!(moves.len(), 3);
    assert!(moves.iter().all(|(_, from)| *from == "seen"), "no state is passed over");
    let is_told_at_once = |seq: u64| {
        let before = contents.events.iter().rev().find(|it| it.seq < seq).map(|it| &it.event.kind);
        matches!(before, Some(EventKind::PaymentMoved { .. }))
    };
    let at_once = moves.iter().filter(|(seq, _)| is_told_at_once(*seq)).count();
    assert!(at_once >= least, "seen and due were told together {at_once} times");
    rig.stop().await;
}

/// A block that was proof for its deposit and is then replaced is an alarm, and the deposit is not taken twice.
#[tokio::test(flavor = "multi_thread")]
async fn with_no_depth_a_reorg_is_told_as_broken_finality() {
    let (chain, node) = world();
    let settings = EngineSettings { finality: FinalityRule::Depth { depth: 0 }, ..quick_settings() };
    let rig = Rig::start(&[urls(&node)], settings, MemoryStore::new(), PlainApi::default());
    let id = rig.expect(1, now(&chain)).await;
    rig.next_sweep().await;
    rig.api.hold(true);
    chain.append(pay(1));
    rig.wait_for(&id, "due").await;
    chain.reorg(1, vec![Vec::new().into()]);
    chain.append_empty(2);
    rig.wait_for(&id, "review").await;
    rig.api.hold(false);
    rig.next_sweep().await;
    assert_eq!(rig.alarms(|alarm| *alarm == Alarm::GoneAfterFinal), 1);
    assert!(rig.api.completions().is_empty());
    rig.stop().await;
}

/// A word that went back and came again says nothing of the blocks that it went back over: they have to be looked at.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_final_before_a_move_back_is_looked_at_again() {
    let (chain, node) = world();
    let mut settings = quick_settings();
    // The sweep has no part in this.
    settings.sweep.overlap = 0;
    settings.sweep.interval = Span::from_secs(3_600);
    let rig = Rig::start(&[urls(&node)], settings, MemoryStore::new(), PlainApi::default());
    let (first, second) = (rig.expect(1, now(&chain)).await, rig.expect(2, now(&chain)).await);
    let block = chain.append(pay(1));
    chain.append_empty(3);
    rig.wait_for(&first, "seen").await;
    rig.api.hold(true);
    chain.set_finalized(Finalized::At(block.number));
    chain.append(pay(2));
    rig.wait_for(&second, "seen").await;
    chain.append_empty(1);
    rig.wait_for(&first, "due").await;
    node.behave(|it| it.ws.quiet_reorgs = true);
    chain.set_finalized(Finalized::At(block.number - 2));
    chain.append_empty(2);
    told_of_move(&rig).await;
    let depth = usize::try_from(chain.head().number - block.number + 1).unwrap();
    let specs = (0..depth).map(|nth| if nth == 4 { pay(2).into() } else { Vec::new().into() }).collect();
    let blocks = chain.reorg(depth, specs);
    chain.append_empty(6);
    chain.set_finalized(Finalized::At(blocks[4].number));
    chain.append_empty(1);
    eventually(LIMIT, "finality to come back", || async {
        let mark = rig.store.contents().finality;
        mark.is_some_and(|mark| mark.current.number >= block.number)
    })
    .await;
    rig.api.hold(false);
    rig.wait_for(&first, "review").await;
    assert_eq!(rig.alarms(|alarm| *alarm == Alarm::GoneAfterFinal), 1);
    assert!(!rig.api.completions().iter().any(|(id, _)| *id == first));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_final_block_that_stands_still_is_told_once() {
    for ws in [true, false] {
        let (chain, node) = world();
        let _ticker = Ticker::start(&chain, BEAT);
        let mut settings = quick_settings();
        settings.stall_after = Span::from_millis(300);
        let ends = [(node.url(), if ws { node.ws_url() } else { String::new() })];
        let rig = Rig::start(&ends, settings, MemoryStore::new(), PlainApi::default());
        let id = rig.expect(1, now(&chain)).await;
        let block = chain.append(pay(1));
        chain.set_finalized(Finalized::At(block.number - 1));
        rig.wait_for(&id, "seen").await;
        let stalled = || async { rig.health.snapshot().finality_stalled.is_some() };
        eventually(LIMIT, "the stall is told", stalled).await;
        tokio::time::sleep(Duration::from_millis(1_000)).await;
        assert_eq!(rig.alarms(|alarm| matches!(alarm, Alarm::FinalityStalled { .. })), 1);
        chain.set_finalized(Finalized::Below(3));
        rig.all_completed([1]).await;
        eventually(LIMIT, "its end is told", || async { rig.health.snapshot().finality_stalled.is_none() }).await;
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn depth_alone() {
    let (chain, node) = world();
    let mut settings = quick_settings();
    settings.finality = FinalityRule::Depth { depth: 6 };
    let rig = Rig::start(&[urls(&node)], settings, MemoryStore::new(), PlainApi::default());
    let id = rig.expect(1, now(&chain)).await;
    chain.append(pay(1));
    rig.wait_for(&id, "seen").await;
    chain.append_empty(5);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(rig.api.completions().is_empty(), "five blocks are not six");
    chain.append_empty(1);
    rig.all_completed([1]).await;
    rig.stop().await;
}
