//! One wrong word on the head or on finality: nothing is lost by it, and readiness tells the truth.

use std::sync::Arc;
use std::time::Duration;

use rampwatch::adapters::system::SystemClock;
use rampwatch::domain::chain::{Address, BlockRef};
use rampwatch::domain::coverage::{Coverage, FinalityMark, Swept};
use rampwatch::domain::event::{Alarm, EventKind};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::engine::EngineSettings;
use rampwatch::ports::clock::Clock;
use rampwatch::ports::store::{Commit, Store};

use super::api::PlainApi;
use super::rig::{LIMIT, Rig, Ticker, now, pay, quick_settings, urls};
use super::troubles::chain::PlainChain;
use crate::support::eventually;
use crate::support::memory_store::MemoryStore;
use crate::support::node::{Finalized, MethodFault, Node, NodeOptions, ScriptedChain};

const BEAT: Duration = Duration::from_millis(20);
/// The head of quite another network.
const FAR: u64 = 401_000_007;

fn world() -> (ScriptedChain, Node) {
    let chain = ScriptedChain::new();
    chain.append_empty(1_000);
    chain.set_finalized(Finalized::Below(3));
    let node = Node::start(&chain, NodeOptions::default());
    (chain, node)
}

fn start(ends: &[(String, String)], settings: EngineSettings, store: MemoryStore) -> Rig {
    Rig::start(ends, settings, store, PlainApi::default())
}

fn is_contradiction(alarm: &Alarm) -> bool {
    matches!(alarm, Alarm::EndpointContradicts { .. })
}

fn is_above_head(alarm: &Alarm) -> bool {
    matches!(alarm, Alarm::CoverageAboveHead { .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn f3_one_wrong_number_of_the_only_endpoint_stops_nothing() {
    let (chain, node) = world();
    let _ticker = Ticker::start(&chain, BEAT);
    let rig = start(&[(node.url(), String::new())], quick_settings(), MemoryStore::new());
    rig.expect(1, now(&chain)).await;
    chain.append(pay(1));
    rig.all_completed([1]).await;
    let far = ScriptedChain::starting_at(FAR, now(&chain).as_secs()).head();
    rig.expect(2, now(&chain)).await;
    node.fail_method("eth_getBlockByNumber", MethodFault::Answer(serde_json::json!(far.header)));
    let told = || async { rig.alarms(is_contradiction) > 0 };
    eventually(LIMIT, "the contradiction is told", told).await;
    node.heal();
    chain.append(pay(2));
    rig.all_completed([1, 2]).await;
    assert_eq!((rig.alarms(is_contradiction), rig.alarms(is_above_head)), (1, 0));
    assert!(rig.health.snapshot().last_final.unwrap() <= chain.head().number);
    rig.stop().await;
}

/// What was stored under a lie: all of it counts as read far above the head.
async fn poison(store: &MemoryStore, above: u64) {
    let lie = |known: Coverage| {
        let covered =
            known.swept.map(|swept| Swept { covered_to: swept.covered_to + above, second_reading: None, ..swept });
        Coverage { swept: covered, ..known }
    };
    let coverage = store.contents().coverage.into_values().map(lie).collect();
    let finality = store.finality().await.unwrap().map(|mark| {
        let current = BlockRef { number: mark.current.number + above, ..mark.current };
        FinalityMark { highest: current, current, ..mark }
    });
    store.commit(Commit { coverage, finality, ..Commit::default() }).await.unwrap();
}

async fn taken_back(above: u64, settings: EngineSettings) {
    let (chain, node) = world();
    let ticker = Ticker::start(&chain, BEAT);
    let rig = start(&[urls(&node)], settings.clone(), MemoryStore::new());
    rig.expect(1, now(&chain)).await;
    rig.expect(2, now(&chain)).await;
    chain.append(pay(1));
    rig.all_completed([1]).await;
    rig.next_sweep().await;
    let api = rig.api.clone();
    let store = rig.crash().await;
    drop(ticker);
    poison(&store, above).await;
    // It is in no block that is read because it is the newest.
    chain.append(pay(2));
    chain.append_empty(8);
    let rig = Rig::start(&[(node.url(), String::new())], settings, store, api);
    let _ticker = Ticker::start(&chain, Duration::from_millis(200));
    rig.all_completed([1, 2]).await;
    assert_eq!(rig.alarms(is_above_head), 1);
    let head = chain.head().number;
    for coverage in rig.store.contents().coverage.into_values() {
        assert!(coverage.swept.is_none_or(|swept| swept.covered_to <= head), "{coverage:?} above {head}");
    }
    assert!(rig.store.contents().finality.unwrap().current.number <= head);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f3_coverage_far_above_the_head_is_taken_back_after_a_restart() {
    let settings = EngineSettings { stall_after: Span::from_secs(2), ..quick_settings() };
    taken_back(10_000_000, settings).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f3_coverage_a_little_above_the_head_is_taken_back_once_that_lasts() {
    let settings = EngineSettings { stall_after: Span::from_secs(1), ..quick_settings() };
    taken_back(300, settings).await;
}

/// The adapter has a gate; whatever comes through it all the same is forgotten once nobody says it any more.
#[tokio::test(flavor = "multi_thread")]
async fn f3_a_wrong_number_that_was_believed_is_forgotten_and_readiness_tells_the_truth() {
    const HEAD: u64 = 20_000;
    let chain = PlainChain::new(HEAD, SystemClock.now());
    let mut settings = EngineSettings { stall_after: Span::from_millis(500), ..quick_settings() };
    settings.sweep.start_margin = Span::from_secs(5);
    settings.sweep.interval = Span::from_millis(100);
    settings.sweep.poll_interval = Span::from_millis(100);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let rig = Rig::over(Arc::new(chain.clone()), clock, settings, MemoryStore::new(), PlainApi::default());
    let to = Address::repeat_byte(1);
    let id = rig.add("paid", to, 6, chain.time_of(HEAD)).await;
    rig.next_sweep().await;
    chain.told(|told| (told.head, told.finalized) = (HEAD + 30_000, Some(HEAD + 30_000)));
    let is_poisoned = || async {
        let swept = rig.store.coverage(to).await.unwrap().and_then(|coverage| coverage.swept);
        swept.is_some_and(|swept| swept.covered_to > HEAD + 1_000)
    };
    eventually(LIMIT, "coverage of blocks that are not there", is_poisoned).await;
    chain.told(|told| (told.head, told.finalized) = (HEAD + 5, Some(HEAD + 4)));
    let swept_at = rig.health.snapshot().swept_at;
    chain.pay(HEAD + 2, 0, to, 6);
    rig.wait_for(&id, "ended").await;
    assert!(rig.alarms(is_above_head) >= 1);
    assert!(rig.health.snapshot().last_final.is_some_and(|number| number <= HEAD + 5));
    assert!(rig.health.snapshot().swept_at > swept_at, "and it is swept again");
    rig.stop().await;
}

/// While addresses catch up, or nothing could be read, nothing was swept.
#[tokio::test(flavor = "multi_thread")]
async fn f3_a_sweep_that_read_nothing_does_not_count_as_one() {
    const HEAD: u64 = 20_000;
    let chain = PlainChain::new(HEAD, SystemClock.now());
    let mut settings = quick_settings();
    settings.sweep.start_margin = Span::from_secs(5);
    settings.sweep.poll_interval = Span::from_millis(50);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    // Far behind, and no block can be read.
    chain.told(|told| told.unread_below = u64::MAX);
    let rig = Rig::over(Arc::new(chain.clone()), clock, settings, MemoryStore::new(), PlainApi::default());
    rig.add("old", Address::repeat_byte(1), 5, chain.time_of(10)).await;
    let asked = || async { chain.told(|told| told.queries.len() >= 3) };
    eventually(LIMIT, "the way is asked for", asked).await;
    // Whatever was so while nobody was watched.
    let swept_at = rig.health.snapshot().swept_at;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(rig.health.snapshot().swept_at, swept_at);
    let readiness = || rig.health.snapshot().readiness(SystemClock.now(), Span::from_secs(1));
    eventually(LIMIT, "it is not ready", || async { !readiness().ready }).await;
    // What is new can be read, and the way to it cannot: that is swept, and the rest is told.
    chain.told(|told| told.unread_below = HEAD - 5_000);
    let told = || async {
        let readiness = rig.health.snapshot().readiness(SystemClock.now(), Span::from_millis(100));
        readiness.ready && readiness.troubles.iter().any(|it| it.contains("wait to be read"))
    };
    eventually(LIMIT, "it is ready, and says what it cannot read", told).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_one_endpoints_block_times_do_not_hide_an_early_deposit() {
    let (chain, honest) = world();
    let early = chain.append(pay(1));
    chain.append_empty(150);
    // The same numbers, long ago: all that the payment may have been paid in looks too old.
    let lie = ScriptedChain::starting_at(1_000_000, 1_790_000_000 - 50_000);
    lie.append_empty(1_151);
    lie.set_finalized(Finalized::Below(3));
    let liar = Node::start(&lie, NodeOptions::default());
    let ends = [(liar.url(), String::new()), (honest.url(), String::new())];
    let rig = start(&ends, quick_settings(), MemoryStore::new());
    rig.expect(1, Timestamp::from_secs(early.time)).await;
    let early = early.number;
    let start = || {
        let events = rig.store.contents().events;
        events.iter().find_map(|recorded| match recorded.event.kind {
            EventKind::AddressPlaced { start, .. } => Some(start),
            _ => None,
        })
    };
    eventually(LIMIT, "the address is placed", || async { start().is_some() }).await;
    assert!(start().is_some_and(|start| start <= early), "{:?} is above {early}", start());
    liar.die().await;
    rig.all_completed([1]).await;
    rig.stop().await;
}
