//! Each fault over HTTP happens, and stops when it is switched off.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Client, SOON, call};
use crate::support::eventually;
use crate::support::node::{
    Balancer, HttpFault, LogSpec, MethodFault, Node, NodeOptions, Order, Refusal, ScriptedChain, Unit, provider_error,
    provider_errors,
};

const TOKEN: alloy::primitives::Address = alloy::primitives::Address::repeat_byte(0x70);

fn start() -> (ScriptedChain, Node, Client) {
    let chain = ScriptedChain::new();
    chain.append_empty(50);
    let node = Node::start(&chain, NodeOptions::default());
    let client = Client::new(node.url());
    (chain, node, client)
}

fn chain_id() -> Value {
    call(1, "eth_chainId", json!([]))
}

fn range(from: u64, to: u64) -> Value {
    json!([{ "fromBlock": format!("{from:#x}"), "toBlock": format!("{to:#x}") }])
}

fn transfers(count: u8) -> Vec<LogSpec> {
    (0..count).map(|n| LogSpec::transfer(TOKEN, TOKEN, TOKEN, n.into())).collect()
}

#[tokio::test]
async fn limits_use_the_recorded_errors() {
    let (chain, node, client) = start();
    let head = chain.append(transfers(3)).number;
    for error in provider_errors() {
        let expected = (error.code.unwrap_or(-32000), error.message.clone());
        match error.kind.as_str() {
            "range" => {
                node.behave(|it| it.max_range = Some((10, error.refusal())));
                assert_eq!(client.refused("eth_getLogs", range(head - 10, head)).await, expected, "{}", error.provider);
                client.ask("eth_getLogs", range(head - 9, head)).await;
                node.heal();
                node.behave(|it| it.max_results = Some((2, error.refusal())));
                assert_eq!(client.refused("eth_getLogs", range(head, head)).await, expected, "{}", error.provider);
                client.ask("eth_getLogs", range(head - 10, head - 1)).await;
            }
            "addresses" => {
                node.behave(|it| it.max_addresses = Some((2, error.refusal())));
                let many =
                    json!([{ "topics": [null, null, [TOKEN.into_word(), TOKEN.into_word(), TOKEN.into_word()]] }]);
                assert_eq!(client.refused("eth_getLogs", many).await, expected, "{}", error.provider);
                client.ask("eth_getLogs", json!([{ "address": [TOKEN, TOKEN] }])).await;
            }
            _ => {}
        }
        node.heal();
    }
    node.behave(|it| it.max_range = Some((10, Refusal::http(413, "payload too large"))));
    let body = call(1, "eth_getLogs", range(head - 20, head));
    assert_eq!(client.post(&body).await.unwrap(), (413, "payload too large".to_owned()));
    assert!(node.counts().errors > 20);
}

#[tokio::test]
async fn a_node_behind_clamps_or_says_so() {
    let (chain, node, client) = start();
    let block = chain.append(transfers(1));
    node.behave(|it| it.lag = 1);
    assert_eq!(client.ask("eth_blockNumber", json!([])).await, format!("{:#x}", block.number - 1));
    let honest = client.refused("eth_getLogs", range(block.number - 3, block.number)).await;
    assert_eq!(honest, (-32000, "invalid block range params".to_owned()));
    assert_eq!(client.ask("eth_getBlockByHash", json!([block.hash, false])).await, Value::Null);
    assert_eq!(client.refused("eth_getLogs", json!([{ "blockHash": block.hash }])).await.1, "unknown block");
    node.behave(|it| it.clamps = true);
    assert_eq!(client.ask("eth_getLogs", range(block.number - 3, block.number)).await, json!([]));
    assert_eq!(client.ask("eth_getLogs", range(block.number, block.number)).await, json!([]));
    chain.append_empty(1);
    assert_eq!(client.ask("eth_getLogs", range(block.number, block.number)).await.as_array().unwrap().len(), 1);
    assert_eq!(client.refused("eth_getLogs", range(block.number, block.number - 1)).await.0, -32000);
    let lagging = Client::new(Node::start(&chain, NodeOptions::lagging(3)).url());
    assert!(lagging.post(&chain_id()).await.is_err(), "a node ends with its last handle");
    let third = Node::start(&chain, NodeOptions::clamping(3));
    let head = Client::new(third.url()).ask("eth_blockNumber", json!([])).await;
    assert_eq!(head, format!("{:#x}", chain.head().number - 3));
}

#[tokio::test]
async fn a_node_claims_empty_blocks_and_another_chain() {
    let (chain, node, client) = start();
    let block = chain.append(transfers(2));
    node.behave(|it| {
        it.empty_blocks.insert(block.number);
        it.chain_id = Some(1);
    });
    assert_eq!(client.ask("eth_getLogs", range(block.number - 1, block.number)).await, json!([]));
    assert_eq!(client.ask("eth_getLogs", json!([{ "blockHash": block.hash }])).await, json!([]));
    assert_eq!(client.ask("eth_chainId", json!([])).await, "0x1");
    node.heal();
    assert_eq!(client.ask("eth_getLogs", range(block.number - 1, block.number)).await.as_array().unwrap().len(), 2);
    assert_eq!(client.ask("eth_chainId", json!([])).await, "0x89");
}

#[tokio::test]
async fn http_answers_fail_as_told() {
    let (_chain, node, client) = start();
    node.fail_http(HttpFault::RateLimited { retry_after: Some(7) });
    let answer = client.http.post(&client.url).json(&chain_id()).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (429, "7"));
    assert!(answer.text().await.unwrap().contains("-32005"));
    node.fail_http(HttpFault::QuotaGone);
    let (status, text) = client.post(&chain_id()).await.unwrap();
    assert!(status == 402 && text.contains("Payment Required"), "{status} {text}");
    for status in [500, 502, 503] {
        node.fail_http(HttpFault::Html(status));
        let (got, text) = client.post(&chain_id()).await.unwrap();
        assert!(got == status && text.starts_with("<html>"), "{got} {text}");
    }
    node.fail_http(HttpFault::Garbage("{\"jsonrpc\":".into()));
    assert_eq!(client.post(&chain_id()).await.unwrap(), (200, "{\"jsonrpc\":".to_owned()));
    node.fail_http(HttpFault::Cut);
    assert!(client.post(&chain_id()).await.is_err());
    let limit = Refusal::rpc(-32005, "too many requests");
    node.fail_http(HttpFault::EveryCall(limit));
    let (status, text) = client.post(&json!([chain_id(), chain_id()])).await.unwrap();
    assert_eq!((status, text.matches("too many requests").count()), (200, 2));
    node.fail_http(HttpFault::Hang);
    assert!(client.hangs().await);
    assert_eq!(node.counts().of("eth_chainId"), 10);
    assert_eq!(node.counts().errors, 9);
    node.heal();
    client.ask("eth_chainId", json!([])).await;
    node.fail_next_http(2, HttpFault::Html(500));
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(client.post(&chain_id()).await.unwrap().0);
    }
    assert_eq!(statuses, [500, 500, 200, 200]);
}

#[tokio::test]
async fn single_methods_fail_as_told() {
    let (chain, node, client) = start();
    node.fail_method("eth_getLogs", MethodFault::Refuse(provider_error("no backend is currently healthy")));
    assert!(client.refused("eth_getLogs", json!([{}])).await.1.contains("healthy"));
    node.fail_method("eth_getLogs", MethodFault::Answer(json!("soon")));
    assert_eq!(client.ask("eth_getLogs", json!([{}])).await, "soon");
    node.fail_method("eth_chainId", MethodFault::Hang);
    assert!(client.hangs().await);
    node.heal();
    let head = chain.head();
    node.before_next("eth_blockNumber", |chain| {
        chain.append_empty(1);
    });
    for _ in 0..2 {
        assert_eq!(client.ask("eth_blockNumber", json!([])).await, format!("{:#x}", head.number + 1));
    }
}

#[tokio::test]
async fn batches_are_answered_as_told() {
    let (_chain, node, client) = start();
    let batch =
        json!([call(7, "eth_chainId", json!([])), call(8, "nonsense", json!([])), call(9, "eth_chainId", json!([]))]);
    let ids = async || {
        let (_, text) = client.post(&batch).await.unwrap();
        let replies: Vec<Value> = serde_json::from_str(&text).unwrap();
        replies.iter().map(|reply| reply["id"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(ids().await, [7, 8, 9]);
    node.behave(|it| it.reverse_batches = true);
    assert_eq!(ids().await, [9, 8, 7]);
    node.behave(|it| it.max_batch = Some((2, provider_error("maximum batch size"))));
    let (_, text) = client.post(&batch).await.unwrap();
    assert!(text.starts_with('{') && text.contains("-32600"), "{text}");
    let (status, text) = client.post(&json!("hello")).await.unwrap();
    assert!(status == 400 && text.contains("-32700"), "{status} {text}");
}

#[tokio::test]
async fn slow_answers_come() {
    let (_chain, node, client) = start();
    node.behave(|it| it.latency = Duration::from_millis(30));
    let before = std::time::Instant::now();
    client.ask("eth_chainId", json!([])).await;
    assert!(before.elapsed() >= Duration::from_millis(30));
}

#[tokio::test]
async fn the_port_closes_and_comes_back() {
    let (_chain, node, client) = start();
    client.ask("eth_chainId", json!([])).await;
    for _ in 0..3 {
        node.refuse_connections().await;
        let error = client.post(&chain_id()).await.unwrap_err();
        assert!(error.is_connect(), "{error:?}");
        node.accept_connections();
        client.ask("eth_chainId", json!([])).await;
    }
    node.die().await;
    assert!(client.post(&chain_id()).await.unwrap_err().is_connect());
    node.revive();
    client.ask("eth_chainId", json!([])).await;
}

#[tokio::test]
async fn a_mute_node_takes_connections_and_says_nothing() {
    let (_chain, node, client) = start();
    client.ask("eth_chainId", json!([])).await;
    node.set_mute(true);
    let fresh = Client::new(node.url());
    assert!(fresh.hangs().await);
    node.set_mute(false);
    fresh.ask("eth_chainId", json!([])).await;
    assert_eq!(node.counts().of("eth_chainId"), 2);
}

#[tokio::test]
async fn a_connection_is_cut_while_it_waits() {
    let (_chain, node, client) = start();
    node.fail_http(HttpFault::Hang);
    let waiting = tokio::spawn(async move { client.post(&chain_id()).await });
    eventually(SOON, "the request is there", async || node.counts().http_requests == 1).await;
    node.cut_connections();
    assert!(waiting.await.unwrap().is_err());
}

/// A chain with a node at its head and one far behind, which clamps.
fn pair() -> (ScriptedChain, Node, Node) {
    let chain = ScriptedChain::new();
    chain.append_empty(50);
    let good = Node::start(&chain, NodeOptions::default());
    let behind = Node::start(&chain, NodeOptions::clamping(20));
    (chain, good, behind)
}

#[tokio::test]
async fn a_balancer_takes_turns() {
    let (chain, good, behind) = pair();
    let balancer = Balancer::start(&[&good, &behind], Order::RoundRobin, Unit::Request);
    let client = Client::new(balancer.url());
    let head = chain.head().number;
    let ahead = json!(format!("{head:#x}"));
    let back = json!(format!("{:#x}", head - 20));
    assert_eq!(client.ask("eth_blockNumber", json!([])).await, ahead);
    assert_eq!(client.ask("eth_blockNumber", json!([])).await, back);
    let batch = json!([call(1, "eth_blockNumber", json!([])), call(2, "eth_blockNumber", json!([]))]);
    let heads = async |client: &Client| {
        let (_, text) = client.post(&batch).await.unwrap();
        let replies: Vec<Value> = serde_json::from_str(&text).unwrap();
        replies.iter().map(|reply| reply["result"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(heads(&client).await, [ahead.clone(), ahead.clone()]);
    assert_eq!(heads(&client).await, [back.clone(), back.clone()]);
    let splitting = Balancer::start(&[&good, &behind], Order::RoundRobin, Unit::Member);
    let split = Client::new(splitting.url());
    assert_eq!(heads(&split).await, [ahead.clone(), back]);
    assert_eq!((balancer.counts().http_requests, balancer.counts().batches), (4, 2));
    assert_eq!((good.counts().of("eth_blockNumber"), behind.counts().of("eth_blockNumber")), (4, 4));
    assert_eq!(splitting.counts().of("eth_blockNumber"), 8);
    behind.die().await;
    assert_eq!(client.ask("eth_blockNumber", json!([])).await, ahead);
    assert_eq!(client.post(&chain_id()).await.unwrap().0, 502);
    balancer.reset();
    assert_eq!((balancer.counts().calls(), good.counts().calls()), (0, 0));
}

#[tokio::test]
async fn a_seeded_balancer_repeats_itself() {
    let (_chain, good, behind) = pair();
    let mut runs = Vec::new();
    for seed in [1, 1, 2] {
        let balancer = Balancer::start(&[&good, &behind], Order::Seeded(seed), Unit::Request);
        let client = Client::new(balancer.url());
        let mut heads = Vec::new();
        for _ in 0..24 {
            heads.push(client.ask("eth_blockNumber", json!([])).await);
        }
        assert!(heads.iter().any(|head| *head != heads[0]));
        runs.push(heads);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}
