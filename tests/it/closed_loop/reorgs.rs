//! Reorgs, from one block to twenty, and beyond finality.

use futures_util::future::join_all;

use rampwatch::domain::deposit::{BlockStatus, ReviewReason, Verdict};
use rampwatch::domain::event::Alarm;
use rampwatch::domain::payment::{PaymentReview, PaymentState};
use rampwatch::ports::store::Store;

use super::api::PlainApi;
use super::rig::{LIMIT, Rig, now, pay, place, quick_settings, urls};
use crate::support::eventually;
use crate::support::memory_store::MemoryStore;
use crate::support::node::{BlockSpec, Finalized, Node, NodeOptions, ScriptedChain, tx_hash};

fn world() -> (ScriptedChain, Node) {
    let chain = ScriptedChain::new();
    chain.append_empty(100);
    chain.set_finalized(Finalized::At(chain.head().number - 10));
    let node = Node::start(&chain, NodeOptions::default());
    (chain, node)
}

fn start(node: &Node, ws: bool) -> Rig {
    let ends = [(node.url(), if ws { node.ws_url() } else { String::new() })];
    Rig::start(&ends, quick_settings(), MemoryStore::new(), PlainApi::default())
}

/// A reorg of this depth drops the first deposit, keeps the second at its height, moves the third to another block and
/// the fourth to another log index; the fifth lies just below it.
async fn reorganised(depth: usize, ws: bool, quiet: bool) {
    let (chain, node) = world();
    node.behave(|it| it.ws.quiet_reorgs = quiet);
    let rig = start(&node, ws);
    let mut ids = Vec::new();
    for n in 1..=5 {
        ids.push(rig.expect(n, now(&chain)).await);
    }
    chain.append(pay(5));
    let old = chain.append(vec![pay(1), pay(2), pay(3), pay(4)]);
    chain.append_empty(depth - 1);
    for id in &ids {
        rig.wait_for(id, "seen").await;
    }
    let mut specs: Vec<BlockSpec> = vec![BlockSpec::default(); depth + 1];
    specs[0] = vec![pay(2), pay(4).at_index(40)].into();
    specs[depth] = pay(3).into();
    chain.reorg(depth, specs);
    rig.wait_for(&ids[0], "waiting").await;
    for n in 2..=4 {
        eventually(LIMIT, "the deposit in its new block", || async {
            let deposits = rig.store.deposits_at(place(n)).await.unwrap();
            let stands = |it: &rampwatch::domain::deposit::Deposit| it.stands() == (it.key.block_hash != old.hash);
            deposits.len() == 2 && deposits.iter().all(stands)
        })
        .await;
    }
    assert!(rig.api.completions().is_empty());
    chain.append_empty(5);
    chain.set_finalized(Finalized::Below(3));
    chain.append_empty(1);
    rig.all_completed(2..=5).await;
    assert_eq!(rig.payment(&ids[0]).await.state, PaymentState::Waiting);
    let dropped = rig.store.deposits_at(place(1)).await.unwrap();
    assert_eq!(dropped.len(), 1);
    assert_eq!(dropped[0].standing, BlockStatus::Gone { after_final: false });
    assert_eq!(rig.alarms(|_| true), 0);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reorgs_of_every_depth() {
    join_all((1..=20).map(|depth| reorganised(depth, true, depth % 2 == 0))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reorgs_that_only_polling_sees() {
    join_all([1, 2, 7, 20].map(|depth| reorganised(depth, false, false))).await;
}

/// The head goes down before the new branch grows beyond the old one.
#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_is_shorter_at_first() {
    let (chain, node) = world();
    let rig = start(&node, true);
    let (gone, moved) = (rig.expect(1, now(&chain)).await, rig.expect(2, now(&chain)).await);
    chain.append_empty(8);
    chain.append(vec![pay(1), pay(2)]);
    rig.wait_for(&gone, "seen").await;
    rig.wait_for(&moved, "seen").await;
    chain.reorg(9, vec![BlockSpec::default()]);
    for _ in 0..12 {
        chain.append_empty(1);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    chain.append(pay(2));
    rig.wait_for(&gone, "waiting").await;
    chain.set_finalized(Finalized::Below(3));
    chain.append_empty(6);
    rig.all_completed([2]).await;
    rig.stop().await;
}

/// A deposit goes away and comes back in the very same block (the first branch wins in the end).
#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_comes_back() {
    let (chain, node) = world();
    let rig = start(&node, true);
    let id = rig.expect(1, now(&chain)).await;
    let old = chain.append(pay(1));
    rig.wait_for(&id, "seen").await;
    chain.reorg(1, vec![BlockSpec::default(), BlockSpec::default()]);
    rig.wait_for(&id, "waiting").await;
    chain.reorg(2, Vec::new());
    chain.put_back(&old);
    rig.wait_for(&id, "seen").await;
    chain.set_finalized(Finalized::Below(3));
    chain.append_empty(6);
    rig.all_completed([1]).await;
    assert_eq!(rig.store.deposits_at(place(1)).await.unwrap().len(), 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorg_beyond_finality_before_the_completion() {
    let (chain, node) = world();
    let rig = start(&node, true);
    let id = rig.expect(1, now(&chain)).await;
    chain.append(pay(1));
    rig.wait_for(&id, "seen").await;
    rig.api.hold(true);
    chain.append_empty(5);
    chain.set_finalized(Finalized::Below(3));
    chain.append_empty(1);
    rig.wait_for(&id, "due").await;
    chain.reorg(7, vec![BlockSpec::default(); 8]);
    rig.wait_for(&id, "review").await;
    rig.api.hold(false);
    // Its transaction comes back: a person has to say whether that is good enough.
    chain.append(pay(1));
    chain.append_empty(5);
    eventually(LIMIT, "both deposits judged", || async { rig.store.deposits_at(place(1)).await.unwrap().len() == 2 })
        .await;
    rig.next_sweep().await;
    assert!(rig.api.completions().is_empty());
    let PaymentState::Review { why, .. } = rig.payment(&id).await.state else { panic!("it is with a person") };
    assert_eq!(why, PaymentReview::GoneAfterFinal);
    assert_eq!(rig.alarms(|alarm| *alarm == Alarm::GoneAfterFinal), 1);
    for verdict in rig.verdicts(place(1)).await {
        assert!(matches!(verdict, Verdict::Review { .. }), "{verdict:?}");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorg_beyond_finality_after_the_completion() {
    for returns in [false, true] {
        let (chain, node) = world();
        let rig = start(&node, true);
        let id = rig.expect(1, now(&chain)).await;
        chain.append(pay(1));
        chain.set_finalized(Finalized::Below(3));
        chain.append_empty(6);
        rig.wait_for(&id, "ended").await;
        let mut specs = vec![BlockSpec::default(); 9];
        if returns {
            specs[2] = pay(1).at_index(9).into();
        }
        chain.reorg(7, specs);
        chain.append_empty(5);
        eventually(LIMIT, "the alarm", || async { rig.alarms(|alarm| *alarm == Alarm::GoneAfterFinal) == 1 }).await;
        rig.next_sweep().await;
        let deposits = rig.store.deposits_at(place(1)).await.unwrap();
        let gone = deposits.iter().find(|it| it.standing == BlockStatus::Gone { after_final: true }).unwrap();
        let why = ReviewReason::GoneAfterFinal { payment: Some(id.clone()) };
        assert_eq!(gone.verdict, Verdict::Review { why });
        assert_eq!(deposits.len(), if returns { 2 } else { 1 });
        rig.all_completed([1]).await;
        rig.stop().await;
    }
}

/// The same node pushes every reorg twice over and in the wrong order, at random depths, while deposits arrive.
#[tokio::test(flavor = "multi_thread")]
async fn reorgs_all_the_time() {
    let (chain, node) = world();
    node.behave(|it| (it.ws.duplicate_pushes, it.ws.reverse_pushes) = (true, true));
    let rig = Rig::start(&[urls(&node)], quick_settings(), MemoryStore::new(), PlainApi::default());
    for n in 1..=20_u64 {
        rig.expect(n, now(&chain)).await;
        chain.append(pay(n));
        let depth = usize::try_from(n % 7 + 1).unwrap();
        let lost = chain.reorg(depth.min(usize::try_from(n).unwrap()), Vec::new());
        assert!(lost.is_empty());
        chain.append_empty(depth + 1);
        tokio::time::sleep(std::time::Duration::from_millis(15)).await;
    }
    for n in 1..=20 {
        if !chain.holds(tx_hash(n)) {
            chain.append(pay(n));
        }
    }
    chain.set_finalized(Finalized::Below(3));
    chain.append_empty(8);
    rig.all_completed(1..=20).await;
    rig.stop().await;
}
