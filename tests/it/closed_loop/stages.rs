//! Payments that are added and ended, and an engine that dies, at every stage of its reading.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::runtime::Handle as Runtime;
use tokio::task::{AbortHandle, block_in_place};

use rampwatch::domain::deposit::{ReviewReason, Verdict};
use rampwatch::domain::payment::{ApiStatus, PaymentId};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::engine::EngineSettings;

use super::api::PlainApi;
use super::rig::{Desk, LIMIT, Rig, Ticker, now, pay, place, quick_settings, urls};
use crate::support::eventually;
use crate::support::memory_store::MemoryStore;
use crate::support::node::{Finalized, Node, NodeOptions, ScriptedChain, tx_hash};

/// The calls that readings are made of.
const METHODS: [&str; 2] = ["eth_getBlockByNumber", "eth_getLogs"];

const BEAT: Duration = Duration::from_millis(60);

/// What the hooks work with; set once the engine runs.
type Slot = Arc<OnceLock<(Desk, AbortHandle)>>;

/// A chain with the deposits of long ago, and one in its newest block; and when it all began. Made once, since making
/// blocks takes longer than anything else here.
fn past() -> &'static (ScriptedChain, Timestamp) {
    static PAST: OnceLock<(ScriptedChain, Timestamp)> = OnceLock::new();
    PAST.get_or_init(|| {
        let chain = ScriptedChain::new();
        chain.append_empty(50);
        let began = now(&chain);
        for n in 1..=3 {
            chain.append(pay(n));
            chain.append_empty(150);
        }
        chain.append(pay(4));
        chain.set_finalized(Finalized::Below(3));
        (chain, began)
    })
}

/// That chain, to be gone on with, and a node.
fn world() -> (ScriptedChain, Node, Timestamp) {
    let (chain, began) = past();
    let (chain, began) = (chain.fork(), *began);
    let node = Node::start(&chain, NodeOptions::default());
    (chain, node, began)
}

fn settings() -> EngineSettings {
    let mut settings = quick_settings();
    settings.sweep.chunk = 100;
    settings.sweep.interval = Span::from_millis(200);
    settings.sweep.second_after = Span::from_millis(300);
    settings
}

/// Calls `hook` before the `nth` call of the method from now on is answered.
fn before_nth(node: &Node, method: &str, nth: usize, hook: impl FnOnce(&ScriptedChain) + Send + 'static) {
    for _ in 1..nth {
        node.before_next(method, |_| {});
    }
    node.before_next(method, hook);
}

fn start(node: &Node, slot: &Slot) -> Rig {
    let rig = Rig::start(&[urls(node)], settings(), MemoryStore::new(), PlainApi::default());
    assert!(slot.set((rig.desk(), rig.killer())).is_ok());
    rig
}

async fn added_at(method: &str, nth: usize) {
    let (chain, node, began) = world();
    let slot = Slot::default();
    let desk = slot.clone();
    before_nth(&node, method, nth, move |_| {
        let (desk, _) = desk.get().unwrap();
        block_in_place(|| {
            Runtime::current().block_on(async {
                desk.expect(2, began).await;
                desk.expect(4, began).await;
                // A second payment of an address that is being read, older than the first.
                desk.add("elder", place(1), 77, began.minus(Span::from_secs(120))).await;
            });
        });
    });
    let rig = start(&node, &slot);
    rig.expect(1, began).await;
    let ticker = Ticker::start(&chain, BEAT);
    eventually(LIMIT, "the hook", || async { rig.store.contents().payments.len() == 4 }).await;
    rig.all_completed([1, 2, 4]).await;
    drop(ticker);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn payments_that_are_added_at_every_stage() {
    let stages = METHODS.iter().flat_map(|method| (1..=8).map(move |nth| added_at(method, nth)));
    join_all(stages).await;
}

async fn ended_at(method: &str, nth: usize) {
    let (chain, node, began) = world();
    let rig = start(&node, &Slot::default());
    let ended = rig.expect(9, began).await;
    let desk = rig.desk();
    before_nth(&node, method, nth, move |_| {
        let ended = PaymentId::new("p-9").unwrap();
        block_in_place(|| {
            // The call may be one that the other payment caused before this one was added.
            let added = || async { desk.handle.show(ended.as_str()).await.is_ok() };
            Runtime::current().block_on(eventually(LIMIT, "the payment", added));
            desk.api.set_status(&ended, ApiStatus::Expired);
            Runtime::current().block_on(desk.look_now(&ended));
        });
    });
    rig.expect(1, began).await;
    let ticker = Ticker::start(&chain, BEAT);
    rig.wait_for(&ended, "ended").await;
    chain.append(pay(9));
    eventually(LIMIT, "the late money", || async { !rig.verdicts(place(9)).await.is_empty() }).await;
    rig.all_completed([1]).await;
    let why = ReviewReason::PaymentEnded { payment: ended };
    assert_eq!(rig.verdicts(place(9)).await, [Verdict::Review { why }]);
    drop(ticker);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn payments_that_end_at_every_stage() {
    let stages = METHODS.iter().flat_map(|method| (1..=8).map(move |nth| ended_at(method, nth)));
    join_all(stages).await;
}

async fn dies_at(method: &str, nth: usize) {
    let (chain, node, began) = world();
    let slot = Slot::default();
    let killer = slot.clone();
    before_nth(&node, method, nth, move |_| killer.get().unwrap().1.abort());
    let rig = start(&node, &slot);
    for n in 1..=4 {
        rig.expect(n, began).await;
    }
    let ticker = Ticker::start(&chain, BEAT);
    eventually(LIMIT, "the death", || async { rig.killer().is_finished() }).await;
    let api = rig.api.clone();
    let store = rig.crash().await;
    chain.append(pay(5));
    let rig = Rig::start(&[urls(&node)], settings(), store, api);
    rig.expect(5, began).await;
    rig.all_completed(1..=5).await;
    drop(ticker);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_engine_that_dies_at_every_call() {
    let stages = METHODS.iter().flat_map(|method| (1..=12).map(move |nth| dies_at(method, nth)));
    join_all(stages).await;
}

/// A reorg comes just before the node answers, at every stage.
async fn reorganised_at(method: &str, nth: usize) {
    let (chain, node, began) = world();
    chain.set_finalized(Finalized::At(chain.head().number - 40));
    before_nth(&node, method, nth, |chain| {
        let depth = 6;
        chain.append(pay(5));
        let blocks = (0..depth + 2).map(|n| if n == 4 { vec![pay(4), pay(5)].into() } else { Vec::new().into() });
        chain.reorg(depth, blocks.collect());
    });
    let rig = start(&node, &Slot::default());
    for n in 3..=5 {
        rig.expect(n, began).await;
    }
    eventually(LIMIT, "the reorg", || async { chain.holds(tx_hash(5)) }).await;
    chain.set_finalized(Finalized::Below(3));
    let ticker = Ticker::start(&chain, BEAT);
    rig.all_completed(3..=5).await;
    drop(ticker);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reorgs_at_every_stage() {
    let stages = METHODS.iter().flat_map(|method| (1..=8).map(move |nth| reorganised_at(method, nth)));
    join_all(stages).await;
}
