//! Operators that agree, lie and are silent: nothing is completed on one operator's word where there are two.

use std::time::Duration;

use rampwatch::domain::event::Alarm;
use rampwatch::domain::time::Span;
use rampwatch::engine::EngineSettings;
use rampwatch::ports::store::Store as _;
use rampwatch::view::dispute::TrustRequest;

use super::api::PlainApi;
use super::rig::{LIMIT, Rig, Ticker, node_of, now, pay, quick_settings, urls, world};
use crate::support::memory_store::MemoryStore;
use crate::support::node::{Node, ScriptedChain};
use crate::support::{eventually, of_its_own};

const BEAT: Duration = Duration::from_millis(20);

/// Two operators must agree; each endpoint is an operator of its own, called `node-0`, `node-1` and so on.
fn agreeing(count: usize) -> EngineSettings {
    let known = (0..count).map(|n| of_its_own(&format!("node-{n}"))).collect();
    EngineSettings { agreement: 2, endpoints: known, ..quick_settings() }
}

fn start(nodes: &[&Node]) -> Rig {
    let endpoints: Vec<_> = nodes.iter().map(|node| urls(node)).collect();
    Rig::start(&endpoints, agreeing(nodes.len()), MemoryStore::new(), PlainApi::default())
}

fn disputes(rig: &Rig) -> usize {
    rig.alarms(|alarm| matches!(alarm, Alarm::OperatorsDisagree { .. }))
}

#[tokio::test(flavor = "multi_thread")]
async fn where_operators_agree_a_completion_costs_three_requests_more() {
    let chain = world();
    let (first, second) = (node_of(&chain), node_of(&chain));
    let _ticker = Ticker::start(&chain, BEAT);
    let rig = start(&[&first, &second]);
    for n in 1..=4 {
        rig.expect(n, now(&chain)).await;
    }
    eventually(LIMIT, "a sweep", || async { rig.health.snapshot().swept_at.is_some() }).await;
    second.reset();
    for n in 1..=4 {
        chain.append(pay(n));
        tokio::time::sleep(BEAT).await;
    }
    rig.all_completed(1..=4).await;
    let counts = second.counts();
    assert!(counts.of("eth_getTransactionReceipt") <= 4, "one receipt a completion: {counts:?}");
    assert_eq!(disputes(&rig), 0);
    rig.stop().await;
}

/// S3: an operator that shows a deposit that nobody else has completes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn s3_an_invented_deposit_is_disputed_and_never_completed() {
    let chain = world();
    let lie = chain.fork();
    let (liar, honest, third) = (node_of(&lie), node_of(&chain), node_of(&chain));
    let _tickers = (Ticker::start(&chain, BEAT), Ticker::start(&lie, BEAT));
    let rig = start(&[&liar, &honest, &third]);
    let id = rig.expect(1, now(&chain)).await;
    lie.append(pay(1));
    rig.wait_for(&id, "due").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(rig.api.completions().is_empty(), "nobody else has it");
    // The true deposit comes, in another block: now they say different things.
    chain.append(pay(1));
    eventually(LIMIT, "a dispute", || async { disputes(&rig) == 1 }).await;
    let open = rig.handle.list_disputes(false, None, 9).await.unwrap().items;
    assert_eq!((open.len(), open[0].id.as_str(), open[0].kind.as_str()), (1, "p-1", "contradiction"));
    assert!(open[0].said.len() >= 2, "{open:?}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(rig.api.completions().is_empty(), "no majority overrules a dispute");
    assert_eq!(disputes(&rig), 1, "and it is told once");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_silent_operator_of_three_delays_nothing() {
    let chain = world();
    let (first, silent, third) = (node_of(&chain), node_of(&chain), node_of(&chain));
    silent.set_mute(true);
    let _ticker = Ticker::start(&chain, BEAT);
    let rig = start(&[&first, &silent, &third]);
    rig.expect(1, now(&chain)).await;
    rig.expect(2, now(&chain)).await;
    chain.append(pay(1));
    rig.all_completed([1]).await;
    chain.append(pay(2));
    let before = tokio::time::Instant::now();
    rig.all_completed([1, 2]).await;
    assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
    assert_eq!(disputes(&rig), 0);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_operators_a_silent_one_is_waited_for_and_that_is_said() {
    let chain = world();
    let (first, silent) = (node_of(&chain), node_of(&chain));
    let _ticker = Ticker::start(&chain, BEAT);
    let rig = start(&[&first, &silent]);
    let id = rig.expect(1, now(&chain)).await;
    silent.set_mute(true);
    chain.append(pay(1));
    rig.wait_for(&id, "due").await;
    let told = || rig.alarms(|alarm| matches!(alarm, Alarm::AgreementMissing { about, .. } if about == "payment p-1"));
    eventually(Duration::from_secs(60), "that an operator is silent", || async { told() == 1 }).await;
    assert!(rig.api.completions().is_empty());
    silent.set_mute(false);
    rig.all_completed([1]).await;
    assert_eq!(told(), 1, "once");
    assert!(rig.handle.list_disputes(false, None, 9).await.unwrap().items.is_empty(), "it is over");
    assert_eq!(rig.handle.list_disputes(true, None, 9).await.unwrap().items.len(), 1, "and kept");
    rig.stop().await;
}

/// A rig in which the second operator says of a true deposit that it is in another block, and calls that final.
async fn contradicted() -> (Rig, Vec<Ticker>, ScriptedChain, Vec<Node>) {
    let chain = world();
    let lie = chain.fork();
    let nodes = vec![node_of(&chain), node_of(&lie)];
    let tickers = vec![Ticker::start(&chain, BEAT), Ticker::start(&lie, BEAT)];
    let rig = start(&[&nodes[0], &nodes[1]]);
    rig.expect(1, now(&chain)).await;
    lie.append_empty(1);
    lie.append(pay(1));
    chain.append(pay(1));
    eventually(LIMIT, "a dispute", || async { disputes(&rig) >= 1 }).await;
    assert!(rig.api.completions().is_empty());
    (rig, tickers, chain, nodes)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_a_person_excludes_does_not_count_any_more() {
    let (rig, _tickers, _chain, _nodes) = contradicted().await;
    let refused = rig.handle.exclude_endpoint("nobody", true, "it lies").await;
    assert!(refused.is_err(), "{refused:?}");
    rig.handle.exclude_endpoint("node-1", true, "it lies").await.unwrap();
    rig.all_completed([1]).await;
    let last = rig.handle.exclude_endpoint("node-0", true, "it too").await;
    assert!(last.is_err(), "the last one stays: {last:?}");
    let listed = rig.handle.list_endpoints().await.unwrap().items;
    assert_eq!(listed.iter().map(|it| it.excluded).collect::<Vec<_>>(), [false, true]);
    // It is kept: the next start leaves it out too.
    assert_eq!(
        rig.store.records_page(rampwatch::domain::record::RecordKind::Exclusion, None, 9).await.unwrap().len(),
        1
    );
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_decides_one_case() {
    let (rig, _tickers, _chain, _nodes) = contradicted().await;
    let request = |trust: &str| TrustRequest { trust: trust.to_owned(), reason: "seen in two explorers".to_owned() };
    assert!(rig.handle.decide_dispute("p-1", &request("nobody")).await.is_err());
    assert!(rig.handle.decide_dispute("p-9", &request("node-0")).await.is_err());
    let view = rig.handle.decide_dispute("p-1", &request("node-0")).await.unwrap();
    assert_eq!((view.trusted.as_deref(), view.decided_by.as_deref()), (Some("node-0"), Some("local")));
    rig.all_completed([1]).await;
    eventually(LIMIT, "its end", || async { rig.handle.list_disputes(false, None, 9).await.unwrap().items.is_empty() })
        .await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_operator_everything_rests_on_its_word_and_nobody_else_is_asked() {
    let chain = world();
    let (first, second) = (node_of(&chain), node_of(&chain));
    let _ticker = Ticker::start(&chain, BEAT);
    let settings = EngineSettings { stall_after: Span::from_secs(60), ..quick_settings() };
    let rig = Rig::start(&[urls(&first), urls(&second)], settings, MemoryStore::new(), PlainApi::default());
    rig.expect(1, now(&chain)).await;
    chain.append(pay(1));
    rig.all_completed([1]).await;
    let asked = |node: &Node| node.counts().of("eth_getTransactionReceipt");
    assert_eq!((asked(&first), asked(&second)), (0, 0));
    rig.stop().await;
}
