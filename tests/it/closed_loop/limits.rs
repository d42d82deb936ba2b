//! Providers that limit ranges, results and addresses, each with the words it really uses.

use std::sync::OnceLock;

use rampwatch::domain::time::Timestamp;
use rampwatch::policy::sweep::SweepParams;

use super::api::PlainApi;
use super::rig::{Rig, Ticker, now, pay, quick_evm, quick_settings};
use crate::support::memory_store::MemoryStore;
use crate::support::node::{Behaviour, Finalized, Node, NodeOptions, Refusal, ScriptedChain, provider_errors};

/// Five payments of long ago, whose deposits lie in some hundred blocks, and when they were made.
fn past() -> &'static (ScriptedChain, Timestamp) {
    static PAST: OnceLock<(ScriptedChain, Timestamp)> = OnceLock::new();
    PAST.get_or_init(|| {
        let chain = ScriptedChain::new();
        chain.append_empty(400);
        let created = now(&chain);
        for n in 1..=3 {
            chain.append(pay(n));
            chain.append_empty(100);
        }
        chain.append(vec![pay(4), pay(5)]);
        chain.append_empty(100);
        chain.set_finalized(Finalized::Below(3));
        (chain, created)
    })
}

/// They are all found by way of a node with this limit.
async fn catches_up(limit: impl FnOnce(&mut Behaviour)) {
    let (chain, created) = past();
    let node = Node::start(chain, NodeOptions::default());
    node.behave(limit);
    let mut settings = quick_settings();
    settings.sweep = SweepParams { chunk: 150, ..settings.sweep };
    let evm = quick_evm(&[(node.url(), node.ws_url())]);
    let rig = Rig::start_with(evm, settings, MemoryStore::new(), PlainApi::default());
    for n in 1..=5 {
        rig.expect(n, *created).await;
    }
    rig.all_completed(1..=5).await;
    rig.stop().await;
}

fn refusals(kind: &str) -> Vec<Refusal> {
    provider_errors().iter().filter(|error| error.kind == kind).map(|error| error.refusal()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_on_ranges() {
    let all = refusals("range").into_iter().map(|refusal| catches_up(|it| it.max_range = Some((40, refusal))));
    futures_util::future::join_all(all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_on_results() {
    let all = refusals("range").into_iter().map(|refusal| catches_up(|it| it.max_results = Some((1, refusal))));
    futures_util::future::join_all(all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_on_addresses_and_batches() {
    // Two tokens are in every filter, so that two is the least that a provider can allow.
    let mut all = refusals("addresses");
    all.extend(refusals("topics"));
    let addresses = all.into_iter().map(|refusal| catches_up(|it| it.max_addresses = Some((2, refusal))));
    let batches = refusals("batch").into_iter().map(|refusal| catches_up(|it| it.max_batch = Some((1, refusal))));
    futures_util::future::join(futures_util::future::join_all(addresses), futures_util::future::join_all(batches))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_limited_at_once_while_blocks_come() {
    let chain = ScriptedChain::new();
    chain.append_empty(200);
    chain.set_finalized(Finalized::Below(3));
    let node = Node::start(&chain, NodeOptions::default());
    node.behave(|it| {
        it.max_range = Some((10, refusals("range").swap_remove(0)));
        it.max_addresses = Some((3, refusals("addresses").swap_remove(0)));
        it.max_batch = Some((1, refusals("batch").swap_remove(0)));
    });
    let _ticker = Ticker::start(&chain, std::time::Duration::from_millis(20));
    let ends = [(node.url(), node.ws_url())];
    let rig = Rig::start(&ends, quick_settings(), MemoryStore::new(), PlainApi::default());
    for n in 1..=10 {
        rig.expect(n, now(&chain)).await;
        chain.append(pay(n));
    }
    rig.all_completed(1..=10).await;
    rig.stop().await;
}
