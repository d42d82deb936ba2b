//! Endpoints in trouble: dead, deaf, behind, on another chain, several behind one URL.

use std::time::Duration;

use rampwatch::domain::event::Alarm;
use rampwatch::domain::time::Span;
use rampwatch::ports::store::Store as _;

use super::api::PlainApi;
use super::rig::{LIMIT, Rig, Ticker, node_of, now, pay, place, quick_evm, quick_settings, urls, world};
use crate::support::eventually;
use crate::support::memory_store::MemoryStore;
use crate::support::node::{Balancer, Finalized, Node, NodeOptions, Order, ScriptedChain, Unit};

const BEAT: Duration = Duration::from_millis(20);

fn start(endpoints: &[(String, String)]) -> Rig {
    Rig::start(endpoints, quick_settings(), MemoryStore::new(), PlainApi::default())
}

async fn expect_all(rig: &Rig, chain: &ScriptedChain, numbers: std::ops::RangeInclusive<u64>) {
    for n in numbers {
        rig.expect(n, now(chain)).await;
    }
}

async fn pay_all(chain: &ScriptedChain, numbers: std::ops::RangeInclusive<u64>) {
    for n in numbers {
        chain.append(pay(n));
        tokio::time::sleep(BEAT).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_alone_and_websocket_alone() {
    for http in [true, false] {
        let chain = world();
        let node = node_of(&chain);
        let _ticker = Ticker::start(&chain, BEAT);
        let only = if http { (node.url(), String::new()) } else { (String::new(), node.ws_url()) };
        let rig = start(&[only]);
        expect_all(&rig, &chain, 1..=3).await;
        pay_all(&chain, 1..=3).await;
        rig.all_completed(1..=3).await;
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_die_in_turns() {
    let chain = world();
    let (one, other) = (node_of(&chain), node_of(&chain));
    let _ticker = Ticker::start(&chain, BEAT);
    let rig = start(&[urls(&one), urls(&other)]);
    expect_all(&rig, &chain, 1..=9).await;
    pay_all(&chain, 1..=2).await;
    one.die().await;
    pay_all(&chain, 3..=4).await;
    rig.all_completed(1..=4).await;
    one.revive();
    other.die().await;
    pay_all(&chain, 5..=6).await;
    rig.all_completed(1..=6).await;
    one.die().await;
    pay_all(&chain, 7..=8).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(rig.api.completions().len(), 6);
    other.revive();
    pay_all(&chain, 9..=9).await;
    rig.all_completed(1..=9).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_on_another_chain_is_never_used() {
    let chain = world();
    let (good, wrong) = (node_of(&chain), node_of(&chain));
    wrong.behave(|it| it.chain_id = Some(80_002));
    let _ticker = Ticker::start(&chain, BEAT);
    let rig = start(&[urls(&good), urls(&wrong)]);
    expect_all(&rig, &chain, 1..=3).await;
    pay_all(&chain, 1..=1).await;
    rig.all_completed([1]).await;
    // With the good one gone, the wrong one is no way out, and no reason to end.
    good.die().await;
    pay_all(&chain, 2..=2).await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(rig.api.completions().len(), 1);
    good.revive();
    pay_all(&chain, 3..=3).await;
    rig.all_completed(1..=3).await;
    let counts = wrong.counts();
    let of_identity = counts.of("eth_chainId") + counts.of("eth_getBlockByNumber");
    assert!(
        counts.calls() == of_identity && counts.of("eth_chainId") >= counts.of("eth_getBlockByNumber"),
        "{counts:?}"
    );
    rig.stop().await;
}

/// The node stays up, answers, and its head never moves again (0xPolygon/bor#2348): what a node that lost its peers does.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_head_stands_still_beside_a_good_one() {
    let chain = world();
    let stuck = node_of(&chain.fork());
    let good = node_of(&chain);
    let rig = start(&[urls(&stuck), urls(&good)]);
    let _ticker = Ticker::start(&chain, BEAT);
    expect_all(&rig, &chain, 1..=3).await;
    chain.append_empty(60);
    pay_all(&chain, 1..=3).await;
    rig.all_completed(1..=3).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_the_finalized_tag_beside_one_that_has_it() {
    let chain = world();
    let (without, with) = (node_of(&chain), node_of(&chain));
    without.behave(|it| it.finalized = Some(Finalized::Absent));
    let rig = start(&[urls(&without), urls(&with)]);
    let _ticker = Ticker::start(&chain, BEAT);
    expect_all(&rig, &chain, 1..=2).await;
    pay_all(&chain, 1..=2).await;
    rig.all_completed(1..=2).await;
    rig.stop().await;
}

/// ethereum/go-ethereum#24078: no logs from blocks that the node has not come to yet are no news of those blocks.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_says_nothing_of_blocks_it_has_not_got() {
    let chain = world();
    let node = Node::start(&chain, NodeOptions::clamping(12));
    let rig = start(&[urls(&node)]);
    expect_all(&rig, &chain, 1..=4).await;
    for n in 1..=4 {
        let block = chain.append(pay(n));
        // It announces heads that it cannot serve yet.
        node.push_head(block.header.clone());
        tokio::time::sleep(BEAT).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(rig.api.completions().is_empty());
    node.behave(|it| it.lag = 0);
    let _ticker = Ticker::start(&chain, BEAT);
    rig.all_completed(1..=4).await;
    rig.stop().await;
}

/// A good node and one that is 30 blocks behind and answers `[]`, behind one URL.
async fn balanced(unit: Unit, seed: Option<u64>) {
    let chain = world();
    let good = node_of(&chain);
    let slow = Node::start(&chain, NodeOptions::clamping(30));
    let order = seed.map_or(Order::RoundRobin, Order::Seeded);
    let balancer = Balancer::start(&[&good, &slow], order, unit);
    let mut settings = quick_settings();
    settings.sweep.overlap = 2;
    settings.sweep.second_after = Span::from_millis(1_200);
    let _ticker = Ticker::start(&chain, BEAT);
    let ends = [(balancer.url(), balancer.ws_url())];
    let rig = Rig::start(&ends, settings, MemoryStore::new(), PlainApi::default());
    expect_all(&rig, &chain, 1..=12).await;
    for n in 1..=12 {
        chain.append(pay(n));
        tokio::time::sleep(BEAT * 3).await;
    }
    rig.all_completed(1..=12).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_that_gives_each_request_to_another_node() {
    balanced(Unit::Request, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_that_tears_batches_apart() {
    balanced(Unit::Member, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_that_chooses_by_chance() {
    tokio::join!(balanced(Unit::Member, Some(7)), balanced(Unit::Request, Some(8)));
}

/// The first reading is told that a final block holds nothing; the node knows better later, or another one does.
#[tokio::test(flavor = "multi_thread")]
async fn the_second_reading_finds_what_the_first_was_not_told() {
    for elsewhere in [false, true] {
        let chain = world();
        let (first, second) = (node_of(&chain), node_of(&chain));
        let mut settings = quick_settings();
        settings.sweep.overlap = 0;
        settings.sweep.interval = Span::from_millis(100);
        settings.sweep.second_after = Span::from_millis(1_500);
        let mut evm = quick_evm(&[(first.url(), String::new()), (second.url(), String::new())]);
        evm.endpoints.truncate(if elsewhere { 2 } else { 1 });
        let rig = Rig::start_with(evm, settings, MemoryStore::new(), PlainApi::default());
        rig.expect(1, now(&chain)).await;
        rig.next_sweep().await;
        first.behave(|it| it.empty_blocks.insert(chain.head().number + 1).then_some(()).unwrap());
        let block = chain.append(pay(1));
        let ticker = Ticker::start(&chain, BEAT);
        eventually(LIMIT, "the block covered", || async {
            let covered = rig.store.contents().coverage.into_values().next().and_then(|it| it.swept);
            covered.is_some_and(|swept| swept.covered_to >= block.number)
        })
        .await;
        assert!(rig.store.contents().deposits.is_empty());
        if !elsewhere {
            first.heal();
        }
        rig.all_completed([1]).await;
        assert_eq!(rig.alarms(|alarm| *alarm == Alarm::MissedByFirstReading), 1);
        drop(ticker);
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_endpoints_gone_for_a_while() {
    let chain = world();
    let (one, other) = (node_of(&chain), node_of(&chain));
    let rig = start(&[urls(&one), urls(&other)]);
    let _ticker = Ticker::start(&chain, BEAT);
    expect_all(&rig, &chain, 1..=3).await;
    pay_all(&chain, 1..=1).await;
    one.refuse_connections().await;
    other.refuse_connections().await;
    one.drop_websockets();
    other.drop_websockets();
    pay_all(&chain, 2..=2).await;
    eventually(LIMIT, "the trouble is told", || async { rig.health.snapshot().chain_trouble.is_some() }).await;
    // A payment that is added meanwhile loses nothing by it.
    rig.expect(4, now(&chain)).await;
    pay_all(&chain, 4..=4).await;
    one.accept_connections();
    other.accept_connections();
    pay_all(&chain, 3..=3).await;
    rig.all_completed(1..=4).await;
    rig.stop().await;
}

/// erigontech/erigon#17249, 0xPolygon/erigon#97: one endpoint numbers logs by block and the other by transaction. One transfer is one
/// deposit, whoever tells of it, and pays one payment.
#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_number_logs_differently_do_not_double_a_deposit() {
    for odd_is_first in [false, true] {
        let chain = world();
        let (one, other) = (node_of(&chain), node_of(&chain));
        if odd_is_first { &one } else { &other }.behave(|it| it.odd.zero_indexes = true);
        let mut settings = quick_settings();
        settings.sweep.second_after = Span::from_millis(300);
        let rig = Rig::start(&[urls(&one), urls(&other)], settings, MemoryStore::new(), PlainApi::default());
        rig.expect(1, now(&chain)).await;
        let created_at = now(&chain);
        // The transfer to the first place is not the first log of its block.
        chain.append(vec![pay(7), pay(8), pay(1)]);
        let _ticker = Ticker::start(&chain, BEAT);
        rig.all_completed([1]).await;
        // Another payment of the same address and amount waits for money of its own.
        let twin = rig.desk().add("twin", place(1), 1, created_at).await;
        let asked = |node: &Node| node.counts().of("eth_getLogs");
        let before = (asked(&one), asked(&other));
        eventually(LIMIT, "both have read it again", || async {
            asked(&one) > before.0 + 5 && asked(&other) > before.1 + 5
        })
        .await;
        assert_eq!(rig.store.deposits_at(place(1)).await.unwrap().len(), 1);
        assert_eq!(rig.api.completions().len(), 1, "one transfer pays one payment");
        assert_eq!(rig.alarms(|alarm| *alarm == Alarm::LogWithheld), 0);
        assert_eq!(rig.payment(&twin).await.state.name(), "waiting");
        rig.stop().await;
    }
}
