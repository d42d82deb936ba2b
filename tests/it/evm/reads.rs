//! Heads, headers and finality, and what they cost.

use super::*;

use std::collections::BTreeSet;

use rampwatch::domain::chain::Header;
use rampwatch::policy::finality::{FinalityRule, final_block};
use rampwatch::ports::chain::ChainError;

use crate::support::node::{Block, Finalized, HttpFault, MethodFault, Order, Refusal, Unit};

#[tokio::test]
async fn a_head_costs_one_request() {
    let (chain, node) = one_node();
    let evm = chain_of(vec![http("one", node.url())]);
    assert_eq!(node.counts().http_requests, 0, "making it connects to nothing");
    let head = evm.head().await.unwrap();
    let block = chain.head();
    assert_eq!((head.block.number, head.block.hash, head.parent), (block.number, block.hash, block.parent));
    assert_eq!(head.time.as_secs(), block.time);
    assert_eq!((node.counts().calls(), node.counts().http_requests), (3, 2), "first the chain's id and first block");
    node.reset();
    for _ in 0..5 {
        evm.head().await.unwrap();
    }
    assert_eq!((node.counts().calls(), node.counts().of("eth_getBlockByNumber")), (5, 5));
    node.reset();
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(node.counts().calls(), 0, "idle is silent");
}

#[tokio::test]
async fn finality_comes_with_the_head_of_the_same_node_in_one_batch() {
    let (chain, node) = one_node();
    chain.append_empty(9);
    chain.set_finalized(Finalized::Below(3));
    let evm = chain_of(vec![http("one", node.url())]);
    let report = evm.finality(true).await.unwrap();
    let head = chain.head();
    assert_eq!(report.head.block.hash, head.hash);
    assert_eq!(report.finalized.unwrap().block.number, head.number - 3);
    assert_eq!(report.finalized.unwrap().block.hash, chain.block(head.number - 3).unwrap().hash);
    assert_eq!((node.counts().http_requests, node.counts().batches), (2, 2));
    let report = evm.finality(false).await.unwrap();
    assert_eq!((report.finalized, report.head.block.hash), (None, head.hash));
    assert_eq!(node.counts().calls(), 5);
    assert!(node.calls().iter().all(|call| !call.params.to_string().contains("safe")));
}

#[tokio::test]
async fn a_node_without_finality_says_so_with_and_without_batches() {
    let (chain, node) = one_node();
    chain.set_finalized(Finalized::Absent);
    let evm = chain_of(vec![http("one", node.url())]);
    assert_eq!(evm.finality(true).await.unwrap().finalized, None);
    node.behave(|it| it.max_batch = Some((1, Refusal::rpc(-32600, "batch too large"))));
    let report = evm.finality(true).await.unwrap();
    assert_eq!((report.finalized, report.head.block.hash), (None, chain.head().hash));
    node.fail_method("eth_getBlockByNumber", MethodFault::Answer(serde_json::Value::Null));
    assert!(matches!(evm.finality(true).await, Err(ChainError::Refused(_))), "no head is an error");
}

#[tokio::test]
async fn a_finalized_block_above_the_head_is_not_believed() {
    let (chain, liar) = one_node();
    chain.append_empty(9);
    chain.set_finalized(Finalized::Below(0));
    liar.behave(|it| {
        it.lag = 5;
        it.finalized_ignores_lag = true;
    });
    let alone = chain_of(vec![http("liar", liar.url())]);
    assert_eq!(alone.finality(true).await.unwrap().finalized, None);
    let honest = Node::start(&chain, NodeOptions::default());
    let evm = chain_of(vec![http("liar", liar.url()), http("honest", honest.url())]);
    assert_eq!(evm.finality(true).await.unwrap().endpoint, EndpointId(1));
}

#[tokio::test]
async fn headers_by_number() {
    let (chain, node) = one_node();
    let block = chain.append_empty(1);
    let evm = chain_of(vec![http("one", node.url())]);
    let header = evm.header(block.number, None).await.unwrap().unwrap();
    assert_eq!((header.block.hash, header.time.as_secs()), (block.hash, block.time));
    assert_eq!(evm.header(block.number + 1, None).await.unwrap(), None);
    node.fail_method("eth_getBlockByNumber", MethodFault::Refuse(Refusal::rpc(-32000, "header not found")));
    assert_eq!(evm.header(block.number, None).await.unwrap(), None);
    node.fail_method(
        "eth_getBlockByNumber",
        MethodFault::Answer(serde_json::json!(chain.block(block.number - 1).unwrap().header)),
    );
    assert!(evm.header(block.number, None).await.is_err(), "another block than the one asked for");
}

#[tokio::test]
async fn a_header_at_an_endpoint_is_its_own() {
    let (ours, first) = one_node();
    let theirs = ours.fork();
    let (a, b) = (ours.append_empty(1), theirs.append(deposit(watched(0), 1)));
    let second = Node::start(&theirs, NodeOptions::default());
    let evm = chain_of(vec![http("first", first.url()), http("second", second.url())]);
    let hash_at = async |at| evm.header(a.number, Some(EndpointId(at))).await.map(|header| header.unwrap().block.hash);
    assert_ne!(a.hash, b.hash);
    assert_eq!((hash_at(0).await, hash_at(1).await), (Ok(a.hash), Ok(b.hash)));
    second.fail_http(HttpFault::Html(502));
    assert!(matches!(hash_at(1).await, Err(ChainError::Unavailable(_))), "the first does not answer for the second");
    assert!(evm.header(a.number, Some(EndpointId(7))).await.is_err());
}

#[tokio::test]
async fn a_header_is_sought_where_it_is() {
    let (chain, fresh) = one_node();
    chain.append_empty(9);
    let lagging = Node::start(&chain, NodeOptions::lagging(5));
    let evm = chain_of(vec![http("lagging", lagging.url()), http("fresh", fresh.url())]);
    let head = chain.head();
    assert_eq!(evm.header(head.number, None).await.unwrap(), None, "nobody has shown such a head yet");
    evm.transfers(&query(head.number, head.number, everybody(1))).await.unwrap();
    assert_eq!(evm.header(head.number, None).await.unwrap().unwrap().block.hash, head.hash);
}

#[tokio::test]
async fn a_head_that_hangs_far_behind_is_not_taken_while_another_is_there() {
    let (chain, fresh) = one_node();
    let stuck = Node::start(&chain, NodeOptions::default());
    let evm = chain_of(vec![http("stuck", stuck.url()), http("fresh", fresh.url())]);
    evm.head().await.unwrap();
    chain.append_empty(50);
    stuck.behave(|it| it.lag = 50);
    stuck.fail_next_http(1, HttpFault::Html(500));
    assert_eq!(evm.head().await.unwrap().block.hash, chain.head().hash, "the stuck one fails, the other answers");
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(evm.head().await.unwrap().block.hash, chain.head().hash, "the stuck one answers, and is not believed");
    chain.set_finalized(Finalized::Below(2));
    let final_at = evm.finality(true).await.unwrap().finalized.unwrap().block.number;
    assert_eq!(final_at, chain.head().number - 2, "nor for finality");
    fresh.die().await;
    let stuck_at = chain.head().number - 50;
    assert_eq!(evm.head().await.unwrap().block.number, stuck_at, "alone, it is all there is");
}

#[tokio::test]
async fn many_headers_come_in_few_requests() {
    let (chain, node) = one_node();
    chain.append_empty(90);
    let head = chain.head().number;
    let evm = chain_of(vec![http("one", node.url())]);
    evm.head().await.unwrap();
    node.reset();
    let numbers: Vec<u64> = (head - 49..=head).rev().collect();
    let hashes =
        |found: Vec<Option<Header>>| found.into_iter().map(|it| it.map(|it| it.block.hash)).collect::<Vec<_>>();
    let expected: Vec<_> = numbers.iter().map(|number| chain.block(*number).map(|block| block.hash)).collect();
    assert_eq!(hashes(evm.headers(&numbers, Some(EndpointId(0))).await.unwrap()), expected, "in the order asked for");
    assert_eq!((node.counts().http_requests, node.counts().of("eth_getBlockByNumber")), (3, 50));

    // A block that is not there is no error, and hides none of the others.
    let found = evm.headers(&[head, head + 1, head - 1], None).await.unwrap();
    assert_eq!(
        found.iter().map(|it| it.map(|it| it.block.number)).collect::<Vec<_>>(),
        [Some(head), None, Some(head - 1)]
    );
    assert!(evm.headers(&[], None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_header_comes_with_the_finality_of_the_node_that_gives_it() {
    let (chain, node) = one_node();
    let head = chain.append_empty(40).number;
    chain.set_finalized(Finalized::Below(3));
    let evm = chain_of(vec![http("one", node.url())]);
    let rule = FinalityRule::Finalized { depth: 0 };
    let last_final = async |numbers: &[u64]| {
        let found = evm.witnessed_headers(numbers, true, EndpointId(0)).await.unwrap();
        found.iter().filter_map(|it| final_block(rule, it)).map(|it| it.number).max()
    };
    evm.head().await.unwrap();
    node.reset();
    assert_eq!(last_final(&[head - 9, head - 3, head - 2]).await, Some(head - 3));
    assert_eq!((node.counts().http_requests, node.counts().of("eth_getBlockByNumber")), (1, 5), "in one request");
    // Another node behind the same address, some blocks behind: what it has not come to, it does not call final.
    node.behave(|it| it.lag = 5);
    assert_eq!(last_final(&[head - 9, head - 3, head - 2]).await, Some(head - 9));
    // Below a head there may be no finalized block at all.
    chain.set_finalized(Finalized::Absent);
    assert_eq!(last_final(&[head - 9]).await, None);
    let by_depth = evm.witnessed_headers(&[head - 9], false, EndpointId(0)).await.unwrap();
    assert!(by_depth[0].finalized.is_none() && by_depth[0].head.block.number == head - 5, "{by_depth:?}");
    let many: Vec<u64> = (head - 39..=head - 5).collect();
    let found = evm.witnessed_headers(&many, false, EndpointId(0)).await.unwrap();
    assert_eq!(found.iter().map(|it| it.header.unwrap().block.number).collect::<Vec<_>>(), many);
}

/// A node that hangs on a branch of its own, with the block at its end, and a good one.
fn torn() -> (ScriptedChain, Node, Node, Arc<Block>) {
    let (chain, fresh) = one_node();
    chain.append_empty(40);
    let branch = chain.fork();
    let orphan = branch.append(deposit(watched(0), 1));
    chain.append_empty(10);
    chain.set_finalized(Finalized::Below(1));
    branch.set_finalized(Finalized::Below(5));
    let behind = Node::start(&branch, NodeOptions::default());
    (chain, fresh, behind, orphan)
}

/// Asks four times for these headers behind a balancer that deals the calls out in turn. Whether the orphan was given, and
/// what was final.
async fn dealt_out(nodes: &[&Node], turns: usize, numbers: &[u64], orphan: &Block) -> (bool, BTreeSet<u64>) {
    let balancer = Balancer::start(nodes, Order::RoundRobin, Unit::Member);
    let evm = chain_of(vec![http("balanced", balancer.url())]);
    for _ in 0..turns {
        evm.head().await.unwrap();
    }
    let (mut was_given, mut finals) = (false, BTreeSet::new());
    for _ in 0..4 {
        let found = evm.witnessed_headers(numbers, true, EndpointId(0)).await.unwrap();
        was_given |= found.iter().filter_map(|it| it.header).any(|header| header.block.hash == orphan.hash);
        for block in found.iter().filter_map(|it| final_block(FinalityRule::Finalized { depth: 0 }, it)) {
            assert_ne!(block.hash, orphan.hash, "after {turns} turns, with {} headers", numbers.len());
            finals.insert(block.number);
        }
    }
    (was_given, finals)
}

#[tokio::test]
async fn where_nodes_share_a_request_the_lowest_word_on_finality_counts() {
    let (_chain, fresh, behind, orphan) = torn();
    let deep = orphan.number - 20;
    let mut was_given = false;
    for turns in 0..2 {
        for more in 0..9 {
            let numbers: Vec<u64> = (deep - more..=deep).chain([orphan.number]).collect();
            let (given, finals) = dealt_out(&[&fresh, &behind], turns, &numbers, &orphan).await;
            assert!(finals.contains(&deep), "what all call final is so, after {turns} turns, with {more} more headers");
            was_given |= given;
        }
    }
    assert!(was_given, "the orphan was there to be believed");
}

#[tokio::test]
async fn headers_that_do_not_follow_each_other_are_asked_for_again() {
    let (chain, fresh, behind, orphan) = torn();
    let second = Node::start(&chain, NodeOptions::default());
    let numbers = [orphan.number - 20, orphan.number, orphan.number + 1];
    for turns in 0..3 {
        let (_, finals) = dealt_out(&[&fresh, &second, &behind], turns, &numbers, &orphan).await;
        assert!(finals.contains(&numbers[0]), "after {turns} turns");
    }
}

#[tokio::test]
async fn refused_large_batches_leave_the_small_ones() {
    let (chain, node) = one_node();
    let head = chain.append_empty(40).number;
    node.behave(|it| it.max_batch = Some((3, Refusal::rpc(-32600, "batch of more than 3 requests are not allowed"))));
    let evm = chain_of(vec![http("one", node.url())]);
    let numbers: Vec<u64> = (head - 29..=head).collect();
    for _ in 0..2 {
        let found = evm.headers(&numbers, None).await.unwrap();
        assert_eq!(found.iter().flatten().map(|it| it.block.number).collect::<Vec<_>>(), numbers);
    }
    // Two for what it began with, ten of three calls each, twice; and one refusal for each piece that was under way.
    assert!(node.counts().batches <= 25, "{}", node.counts().batches);
    node.reset();
    evm.finality(true).await.unwrap();
    assert_eq!((node.counts().batches, node.counts().http_requests), (1, 1), "two calls still go together");
}

#[tokio::test]
async fn headers_of_an_endpoint_that_is_gone_come_from_no_other() {
    let (chain, gone) = one_node();
    let head = chain.append_empty(3).number;
    let well = Node::start(&chain, NodeOptions::default());
    gone.fail_http(HttpFault::Html(503));
    let evm = chain_of(vec![http("gone", gone.url()), http("well", well.url())]);
    assert!(matches!(evm.headers(&[head], Some(EndpointId(0))).await, Err(ChainError::Unavailable(_))));
    assert_eq!(evm.headers(&[head], None).await.unwrap().len(), 1);
}
