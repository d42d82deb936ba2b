//! What logs can be like: malformed, without times, withheld, a thousand at once, worthless by the thousand.

use std::time::Duration;

use alloy::primitives::{B256, U256};
use serde_json::json;

use rampwatch::domain::chain::Address;
use rampwatch::domain::deposit::{NothingReason, Verdict};
use rampwatch::domain::event::Alarm;
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::ports::store::Store;

use super::api::PlainApi;
use super::rig::{LIMIT, Rig, Ticker, USDC, now, pay, place, quick_evm, quick_settings, urls};
use crate::support::eventually;
use crate::support::memory_store::MemoryStore;
use crate::support::node::{Finalized, LogSpec, MethodFault, Node, NodeOptions, ScriptedChain, TRANSFER};

const BEAT: Duration = Duration::from_millis(20);

fn world() -> (ScriptedChain, Node) {
    let chain = ScriptedChain::new();
    chain.append_empty(100);
    chain.set_finalized(Finalized::Below(3));
    let node = Node::start(&chain, NodeOptions::default());
    (chain, node)
}

fn start(node: &Node) -> Rig {
    Rig::start(&[urls(node)], quick_settings(), MemoryStore::new(), PlainApi::default())
}

/// Logs under a transfer's topic, to the first place, that are no transfers of one unit.
fn malformed() -> Vec<LogSpec> {
    let (payer, to) = (Address::repeat_byte(0x11).into_word(), place(1).into_word());
    let plain = LogSpec::transfer(USDC, Address::repeat_byte(0x11), place(1), 1);
    vec![
        plain.clone().with_data(vec![0; 31]),
        plain.clone().with_data(vec![1; 64]),
        plain.clone().with_data(U256::MAX.to_be_bytes::<32>().to_vec()),
        plain.clone().with_topics(vec![TRANSFER, payer, to, B256::ZERO]),
        plain.with_topics(vec![TRANSFER, B256::repeat_byte(0x99), to]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_logs_pay_nothing_and_are_told_once() {
    let (chain, node) = world();
    let rig = start(&node);
    let (id, other) = (rig.expect(1, now(&chain)).await, rig.expect(2, now(&chain)).await);
    let mut logs = malformed();
    let bad = logs.len();
    logs.push(pay(2));
    chain.append(logs);
    let ticker = Ticker::start(&chain, BEAT);
    rig.wait_for(&other, "ended").await;
    for _ in 0..3 {
        rig.next_sweep().await;
    }
    assert_eq!(rig.payment(&id).await.state.name(), "waiting");
    assert_eq!(rig.alarms(|alarm| matches!(alarm, Alarm::MalformedLog { .. })), bad);
    chain.append(pay(1));
    rig.all_completed(1..=2).await;
    drop(ticker);
    rig.stop().await;
}

/// One endpoint's logs cannot be read at all; another's can.
#[tokio::test(flavor = "multi_thread")]
async fn logs_that_no_decoder_takes() {
    let (chain, node) = world();
    let good = Node::start(&chain, NodeOptions::default());
    let rig = Rig::start(&[urls(&node), urls(&good)], quick_settings(), MemoryStore::new(), PlainApi::default());
    rig.expect(1, now(&chain)).await;
    let log = LogSpec::transfer(USDC, Address::repeat_byte(0x11), place(1), 1).with_field("logIndex", json!(null));
    let block = chain.fork().append(log);
    node.fail_method("eth_getLogs", MethodFault::Answer(json!([block.logs[0].json])));
    node.push_log(block.logs[0].json.clone());
    chain.append(pay(1));
    let ticker = Ticker::start(&chain, BEAT);
    rig.all_completed([1]).await;
    drop(ticker);
    rig.stop().await;
}

/// gear-tech/gear#4507: many nodes give logs no time; the block's own header has it.
#[tokio::test(flavor = "multi_thread")]
async fn logs_without_times() {
    let (chain, node) = world();
    node.behave(|it| it.no_log_times = true);
    let rig = start(&node);
    for n in 1..=3 {
        rig.expect(n, now(&chain)).await;
    }
    let block = chain.append(vec![pay(1), pay(2)]);
    chain.append(pay(3));
    let ticker = Ticker::start(&chain, BEAT);
    rig.all_completed(1..=3).await;
    let deposit = rig.store.deposits_at(place(2)).await.unwrap().swap_remove(0);
    assert_eq!(deposit.block_time, Timestamp::from_secs(block.time));
    drop(ticker);
    rig.stop().await;
}

/// The node shows a deposit, and then denies it although its block stands.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_withheld() {
    let (chain, node) = world();
    let mut settings = quick_settings();
    settings.sweep.interval = Span::from_millis(100);
    settings.sweep.second_after = Span::from_millis(300);
    settings.sweep.chunk = 50;
    let rig = Rig::start(&[urls(&node)], settings, MemoryStore::new(), PlainApi::default());
    let id = rig.expect(1, now(&chain)).await;
    let block = chain.append(pay(1));
    rig.wait_for(&id, "seen").await;
    node.behave(|it| it.empty_blocks.insert(block.number).then_some(()).unwrap());
    let ticker = Ticker::start(&chain, BEAT);
    rig.all_completed([1]).await;
    let withheld = || async { rig.alarms(|alarm| *alarm == Alarm::LogWithheld) == 1 };
    eventually(LIMIT, "the alarm", withheld).await;
    chain.append_empty(200);
    node.reset();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let asked = node.counts().of("eth_getLogs");
    assert!(asked < 120, "asked {asked} times in two seconds, at ten sweeps a second");
    assert!(withheld().await, "told once");
    // Others do not have to suffer for it: neither what is new, nor what has to be caught up with.
    rig.expect(2, now(&chain).minus(Span::from_secs(900))).await;
    chain.append(pay(2));
    rig.all_completed(1..=2).await;
    let confirmed = || async {
        let contents = rig.store.contents();
        contents.coverage[&place(2)].swept.is_some_and(|swept| swept.confirmed_to > block.number)
    };
    eventually(LIMIT, "the second reading of another address", confirmed).await;
    drop(ticker);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_addresses_in_filters_of_some_hundred() {
    const WATCHED: u64 = 1_500;
    let (chain, node) = world();
    let mut evm = quick_evm(&[urls(&node)]);
    evm.max_addresses = 200;
    let rig = Rig::start_with(evm, quick_settings(), MemoryStore::new(), PlainApi::default());
    let desk = rig.desk();
    futures_util::future::join_all((1..=WATCHED).map(|n| desk.expect(n, now(&chain)))).await;
    let paid = |n: u64| 1 + n * (WATCHED / 20);
    for n in 0..20 {
        chain.append(pay(paid(n)));
    }
    let ticker = Ticker::start(&chain, BEAT);
    rig.all_completed((0..20).map(paid)).await;
    drop(ticker);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_deposits_in_one_block() {
    let (chain, node) = world();
    let rig = start(&node);
    let desk = rig.desk();
    futures_util::future::join_all((1..=1_000).map(|n| desk.expect(n, now(&chain)))).await;
    chain.append((1..=1_000).map(pay).collect::<Vec<_>>());
    let ticker = Ticker::start(&chain, BEAT);
    rig.all_completed(1..=1_000).await;
    drop(ticker);
    rig.stop().await;
}

/// Worthless transfers by the thousand before the one that pays: they cost time, not money.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_worthless_transfers() {
    let (chain, node) = world();
    chain.set_finalized(Finalized::At(chain.head().number));
    let rig = start(&node);
    for n in 1..=4 {
        rig.expect(n, now(&chain)).await;
    }
    let dust = |n: u64| LogSpec::transfer(USDC, Address::repeat_byte(0x66), place(n % 4 + 1), 0);
    chain.append((0..2_100).map(dust).collect::<Vec<_>>());
    chain.append((1..=4).map(pay).collect::<Vec<_>>());
    for n in 1..=4 {
        rig.wait_for(&format!("p-{n}").parse().unwrap(), "seen").await;
    }
    let ticker = Ticker::start(&chain, Duration::from_millis(200));
    chain.set_finalized(Finalized::Below(3));
    let done = || async { rig.api.completions().len() == 4 };
    eventually(LIMIT, "the completions", done).await;
    rig.all_completed(1..=4).await;
    let nothing = Verdict::Nothing { why: NothingReason::ZeroValue };
    // Few are kept of each address, and the others counted once their blocks are covered.
    let all = || async {
        let contents = rig.store.contents();
        let kept = contents.deposits.values().filter(|it| it.verdict == nothing);
        let counted = kept.clone().filter_map(|it| it.tally.as_ref()).map(|tally| tally.count).sum::<u64>();
        kept.count() as u64 + counted == 2_100
    };
    eventually(LIMIT, "all of them to be kept or counted", all).await;
    drop(ticker);
    rig.stop().await;
}
