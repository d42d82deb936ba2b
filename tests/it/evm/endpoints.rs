//! Fail-over: what a broken endpoint costs, and that a better one is asked.

use super::*;

use rampwatch::ports::chain::ChainError;

use crate::support::node::{HttpFault, MethodFault, Order, Refusal, Unit, provider_errors};

/// Two nodes of one chain.
fn two() -> (ScriptedChain, Node, Node) {
    let (chain, first) = one_node();
    let second = Node::start(&chain, NodeOptions::default());
    (chain, first, second)
}

#[tokio::test]
async fn every_http_fault_is_made_good_by_the_other_endpoint() {
    let html = HttpFault::Html(502);
    let refused = HttpFault::EveryCall(Refusal::rpc(-32000, "something is wrong"));
    for fault in [
        HttpFault::RateLimited { retry_after: Some(100) },
        HttpFault::QuotaGone,
        html,
        HttpFault::Html(403),
        HttpFault::Garbage("<html>".to_owned()),
        HttpFault::Garbage("{\"jsonrpc\":\"2.0\",\"id\":0}".to_owned()),
        HttpFault::Garbage("[]".to_owned()),
        HttpFault::Garbage(String::new()),
        HttpFault::Hang,
        HttpFault::Cut,
        refused,
    ] {
        let (chain, first, second) = two();
        let block = chain.append(deposit(watched(0), 7));
        first.fail_http(fault.clone());
        let mut settings = settings(vec![http("first", first.url()), http("second", second.url())]);
        settings.request_timeout = Duration::from_millis(400);
        settings.connect_timeout = Duration::from_millis(400);
        settings.cool_down = CoolDown { first: SOON, longest: SOON };
        let evm = EvmChain::new(settings).unwrap();
        let page = evm.transfers(&query(block.number, block.number, everybody(1))).await.unwrap();
        assert_eq!((page.transfers.len(), page.endpoint), (1, EndpointId(1)), "{fault:?}");
        // What it answered may be about that question alone: it is asked something else, once.
        evm.head().await.unwrap();
        let tried = first.counts().http_requests;
        evm.head().await.unwrap();
        evm.transfers(&query(block.number, block.number, everybody(1))).await.unwrap();
        assert_eq!(first.counts().http_requests, tried, "{fault:?}: it rests, or the other one goes first");
    }
}

#[tokio::test]
async fn a_dead_endpoint_is_left_alone_and_comes_back() {
    let (_, first, second) = two();
    first.die().await;
    let evm = chain_of(vec![http("first", first.url()), http("second", second.url())]);
    for _ in 0..20 {
        assert_eq!(evm.finality(false).await.unwrap().endpoint, EndpointId(1));
    }
    first.revive();
    let is_back = async || evm.finality(false).await.unwrap().endpoint == EndpointId(0);
    crate::support::eventually(SOON, "the first is used again", is_back).await;
}

#[tokio::test]
async fn a_mute_endpoint_costs_no_more_than_the_timeouts() {
    let (_, first, second) = two();
    first.set_mute(true);
    let mut settings = settings(vec![http("first", first.url()), http("second", second.url())]);
    settings.request_timeout = Duration::from_millis(200);
    settings.connect_timeout = Duration::from_millis(200);
    let evm = EvmChain::new(settings.clone()).unwrap();
    tokio::time::timeout(Duration::from_secs(3), evm.head()).await.expect("in time").unwrap();
    settings.endpoints = vec![ws("mute", first.ws_url())];
    let evm = EvmChain::new(settings).unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(3), evm.head()).await.expect("in time");
    assert!(matches!(answer, Err(ChainError::Unavailable(_))), "{answer:?}");
}

#[tokio::test]
async fn unavailable_names_every_endpoint_and_its_reason() {
    let (_, first, second) = two();
    first.fail_http(HttpFault::Html(503));
    second.refuse_connections().await;
    let evm = chain_of(vec![http("first", first.url()), http("second", second.url())]);
    for _ in 0..3 {
        let Err(ChainError::Unavailable(text)) = evm.head().await else { panic!("it is available") };
        assert!(text.contains("\"first\"") && text.contains("\"second\""), "{text}");
        assert!(text.contains("503") || text.contains("efused"), "{text}");
    }
}

#[tokio::test]
async fn a_single_endpoint_is_waited_for_while_it_rests() {
    let (_, node) = one_node();
    let evm = chain_of(vec![http("one", node.url())]);
    node.fail_next_http(1, HttpFault::Html(500));
    evm.head().await.unwrap_err();
    evm.head().await.unwrap();
}

#[tokio::test]
async fn a_rate_limit_is_waited_out_within_one_question() {
    let (chain, node) = one_node();
    let from = chain.head().number;
    for nth in 0..30 {
        chain.append(deposit(watched(nth), 1));
    }
    let mut settings = settings(vec![http("one", node.url())]);
    settings.max_block_range = 3;
    let evm = EvmChain::new(settings).unwrap();
    evm.head().await.unwrap();
    node.fail_next_http(3, HttpFault::RateLimited { retry_after: None });
    let page = evm.transfers(&query(from, from + 30, everybody(30))).await.unwrap();
    assert_eq!(page.transfers.len(), 30);
}

#[tokio::test]
async fn every_recorded_error_is_made_good_by_the_other_endpoint() {
    for error in provider_errors() {
        let (chain, first, second) = two();
        let from = chain.head().number;
        let block = chain.append(deposit(watched(0), 7));
        chain.append_empty(3);
        first.fail_method("eth_getLogs", MethodFault::Refuse(error.refusal()));
        let evm = chain_of(vec![http("first", first.url()), http("second", second.url())]);
        let page = evm.transfers(&query(from, block.number + 3, everybody(3))).await;
        let page = page.unwrap_or_else(|failed| panic!("{}: {failed}", error.message));
        assert_eq!(page.transfers.len(), 1, "{}", error.message);
        assert_eq!(page.endpoint, EndpointId(1), "{}", error.message);
    }
}

#[tokio::test]
async fn websocket_alone_is_enough_and_is_made_anew() {
    let (chain, node) = one_node();
    let block = chain.append(deposit(watched(0), 7));
    let evm = chain_of(vec![ws("one", node.ws_url())]);
    evm.check().await.unwrap();
    node.reset();
    assert_eq!(evm.head().await.unwrap().block.hash, block.hash);
    let page = evm.transfers(&query(block.number - 3, block.number, everybody(1))).await.unwrap();
    assert_eq!((page.transfers.len(), page.anchor.block.hash), (1, block.hash));
    assert_eq!((node.counts().ws_connections, node.counts().http_requests), (0, 0), "the connection is kept");
    node.drop_websockets();
    crate::support::eventually(SOON, "it is closed", async || node.open_websockets() == 0).await;
    assert_eq!(evm.head().await.unwrap().block.hash, block.hash, "an idle connection that ended is no failure");
    node.behave(|it| it.chain_id = Some(9));
    node.drop_websockets();
    let contradicts = async || matches!(evm.head().await, Err(ChainError::Contradiction(_)));
    crate::support::eventually(SOON, "the new connection is asked for its chain", contradicts).await;
}

#[tokio::test]
async fn a_balancer_with_a_node_that_is_behind() {
    for options in [NodeOptions::lagging(3), NodeOptions::clamping(3)] {
        let (chain, fresh) = one_node();
        let behind = Node::start(&chain, options);
        let balancer = Balancer::start(&[&behind, &fresh], Order::RoundRobin, Unit::Request);
        let evm = chain_of(vec![http("balanced", balancer.url())]);
        for nth in 0..10 {
            let block = chain.append(deposit(watched(0), nth + 1));
            match evm.transfers(&query(block.number, block.number, everybody(1))).await {
                Ok(page) => assert_eq!(page.transfers.len(), 1, "an empty answer was believed"),
                Err(error) => assert!(matches!(error, ChainError::Behind(_)), "{error}"),
            }
        }
    }
}
