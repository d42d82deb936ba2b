//! Subscriptions over a websocket, and everything that can be wrong with them.

use alloy::primitives::Address;
use alloy::providers::{DynProvider, Provider, ProviderBuilder, WsConnect};
use alloy::pubsub::RawSubscription;
use alloy::rpc::types::Filter;
use serde_json::{Value, json};

use super::{A_WHILE, SOON};
use crate::support::eventually;
use crate::support::node::{
    Balancer, BlockSpec, LogSpec, MethodFault, Node, NodeOptions, Order, Refusal, ScriptedChain, TRANSFER, Unit,
};

const TOKEN: Address = Address::repeat_byte(0x70);
const FROM: Address = Address::repeat_byte(0x01);
const TO: Address = Address::repeat_byte(0x02);

fn pay(value: u128) -> LogSpec {
    LogSpec::transfer(TOKEN, FROM, TO, value)
}

async fn connect(url: String) -> DynProvider {
    let retries = WsConnect::new(url).with_max_retries(200).with_retry_interval(std::time::Duration::from_millis(20));
    ProviderBuilder::new().connect_ws(retries).await.unwrap().erased()
}

/// A node with one subscriber of heads and one of the transfers to `TO`.
struct Stage {
    chain: ScriptedChain,
    node: Node,
    provider: DynProvider,
    heads: RawSubscription,
    logs: RawSubscription,
}

impl Stage {
    async fn set() -> Self {
        let chain = ScriptedChain::new();
        chain.append_empty(20);
        let node = Node::start(&chain, NodeOptions::default());
        let provider = connect(node.ws_url()).await;
        let heads = provider.subscribe_blocks().await.unwrap().into_raw();
        let filter = Filter::new().address(TOKEN).event_signature(TRANSFER).topic2(TO);
        let logs = provider.subscribe_logs(&filter).await.unwrap().into_raw();
        Self { chain, node, provider, heads, logs }
    }

    async fn head(&mut self) -> String {
        next(&mut self.heads).await["number"].as_str().unwrap().to_owned()
    }

    /// Amount and block hash of the next log, and whether it is taken back.
    async fn log(&mut self) -> (u64, String, bool) {
        let log = next(&mut self.logs).await;
        let amount = u64::from_str_radix(&log["data"].as_str().unwrap()[50..], 16).unwrap();
        (amount, log["blockHash"].as_str().unwrap().to_owned(), log["removed"].as_bool().unwrap())
    }

    async fn amounts(&mut self, count: usize) -> Vec<u64> {
        let mut amounts = Vec::new();
        for _ in 0..count {
            amounts.push(self.log().await.0);
        }
        amounts
    }

    async fn silent(&mut self) -> bool {
        tokio::time::timeout(A_WHILE, async {
            tokio::select! { _ = self.heads.recv() => {}, _ = self.logs.recv() => {} }
        })
        .await
        .is_err()
    }
}

async fn next(subscription: &mut RawSubscription) -> Value {
    let raw = tokio::time::timeout(SOON, subscription.recv()).await.expect("a push comes").unwrap();
    serde_json::from_str(raw.get()).unwrap()
}

fn hex(number: u64) -> String {
    format!("{number:#x}")
}

#[tokio::test]
async fn heads_and_wanted_logs_are_pushed_and_counted() {
    let mut stage = Stage::set().await;
    let asked = stage.node.counts();
    assert_eq!((asked.of("eth_subscribe"), asked.ws_connections, asked.pushes), (2, 1, 0));
    let other = LogSpec::transfer(TOKEN, TO, FROM, 9);
    let block = stage.chain.append(vec![other, pay(5), pay(6)]);
    assert_eq!(stage.head().await, hex(block.number));
    assert_eq!(stage.amounts(2).await, [5, 6]);
    let counts = stage.node.counts();
    assert_eq!((counts.pushes, counts.calls(), counts.http_requests), (3, asked.calls(), 0));
    assert_eq!(stage.provider.get_block_number().await.unwrap(), block.number);
    assert_eq!(stage.node.counts().ws_calls, asked.ws_calls + 1);
    let logs = stage.node.subscriptions().into_iter().find(|params| params[0] == "logs").unwrap();
    assert_eq!(logs[1]["topics"][2], json!(TO.into_word()));
    stage.provider.unsubscribe(*stage.logs.local_id()).await.unwrap();
    eventually(SOON, "one subscription is left", async || stage.node.subscriptions().len() == 1).await;
    stage.chain.append(pay(7));
    stage.head().await;
    assert_eq!(stage.node.counts().pushes, 4);
}

#[tokio::test]
async fn a_burst_comes_whole() {
    let mut stage = Stage::set().await;
    let mut big = stage.provider.subscribe_logs(&Filter::new()).channel_size(4096).await.unwrap().into_raw();
    stage.chain.append((0..2000).map(pay).collect::<Vec<_>>());
    for nth in 0..2000 {
        assert_eq!(next(&mut big).await["logIndex"], hex(nth));
    }
    stage.head().await;
}

#[tokio::test]
async fn a_reorg_takes_logs_back() {
    let mut stage = Stage::set().await;
    let old = stage.chain.append(pay(5));
    let top = stage.chain.append(pay(6));
    let new = stage.chain.reorg(2, vec![BlockSpec::default(), pay(5).into()]);
    let mut logs = Vec::new();
    for _ in 0..5 {
        logs.push(stage.log().await);
    }
    let hash = |block: &crate::support::node::Block| block.hash.to_string();
    let told = [
        (5, hash(&old), false),
        (6, hash(&top), false),
        (6, hash(&top), true),
        (5, hash(&old), true),
        (5, hash(&new[1]), false),
    ];
    assert_eq!(logs, told);
    stage.node.behave(|it| it.ws.quiet_reorgs = true);
    stage.chain.reorg(1, vec![pay(8).into()]);
    assert_eq!(stage.amounts(1).await, [8]);
    stage.node.push_removed(&top);
    assert_eq!(stage.log().await, (6, hash(&top), true));
}

#[tokio::test]
async fn a_node_behind_pushes_later() {
    let mut stage = Stage::set().await;
    stage.node.behave(|it| it.lag = 2);
    let block = stage.chain.append(pay(5));
    stage.chain.append_empty(1);
    assert!(stage.silent().await);
    stage.chain.append_empty(1);
    assert_eq!(stage.head().await, hex(block.number));
    assert_eq!(stage.amounts(1).await, [5]);
    stage.node.heal();
    assert_eq!(stage.head().await, hex(block.number + 1));
    assert_eq!(stage.head().await, hex(block.number + 2));
}

#[tokio::test]
async fn pushes_are_dropped_doubled_and_turned_round() {
    let mut stage = Stage::set().await;
    stage.node.behave(|it| it.ws.drop_pushes = true);
    stage.chain.append(pay(1));
    assert!(stage.silent().await);
    assert_eq!(stage.node.counts().pushes_dropped, 2);
    assert!(stage.provider.get_chain_id().await.is_ok());
    stage.node.heal();
    stage.node.behave(|it| it.ws.duplicate_pushes = true);
    stage.chain.append(pay(2));
    assert_eq!(stage.amounts(2).await, [2, 2]);
    stage.node.heal();
    stage.node.behave(|it| it.ws.reverse_pushes = true);
    stage.chain.append(vec![pay(3), pay(4)]);
    assert_eq!(stage.amounts(2).await, [4, 3]);
}

#[tokio::test]
async fn a_frozen_node_keeps_still_and_thaws() {
    let mut stage = Stage::set().await;
    stage.node.behave(|it| it.ws.frozen = true);
    stage.chain.append(pay(1));
    stage.node.push_log(json!({}));
    assert!(stage.silent().await);
    assert!(tokio::time::timeout(A_WHILE, stage.provider.get_chain_id()).await.is_err());
    assert_eq!((stage.node.open_websockets(), stage.node.counts().pushes), (1, 0));
    stage.node.heal();
    assert_eq!(stage.amounts(1).await, [1]);
}

#[tokio::test]
async fn dropped_connections_lose_what_comes_meanwhile() {
    let mut stage = Stage::set().await;
    stage.node.behave(|it| it.ws.refuse_upgrade = Some(503));
    stage.node.drop_websockets();
    eventually(SOON, "the connection is gone", async || stage.node.open_websockets() == 0).await;
    assert!(stage.node.subscriptions().is_empty());
    stage.chain.append(pay(1));
    stage.node.heal();
    eventually(SOON, "both subscriptions are back", async || stage.node.subscriptions().len() == 2).await;
    stage.chain.append(pay(2));
    assert_eq!(stage.amounts(1).await, [2]);
    stage.node.refuse_connections().await;
    eventually(SOON, "the connection is gone", async || stage.node.open_websockets() == 0).await;
    stage.node.accept_connections();
    eventually(SOON, "both subscriptions are back", async || stage.node.subscriptions().len() == 2).await;
}

#[tokio::test]
async fn upgrades_and_subscriptions_are_refused() {
    let chain = ScriptedChain::new();
    let node = Node::start(&chain, NodeOptions::default());
    node.behave(|it| it.ws.refuse_upgrade = Some(403));
    assert!(ProviderBuilder::new().connect_ws(WsConnect::new(node.ws_url())).await.is_err());
    node.heal();
    node.behave(|it| it.ws.hang_upgrade = true);
    let hanging = ProviderBuilder::new().connect_ws(WsConnect::new(node.ws_url()));
    assert!(tokio::time::timeout(A_WHILE, hanging).await.is_err());
    node.set_mute(true);
    let mute = ProviderBuilder::new().connect_ws(WsConnect::new(node.ws_url()));
    assert!(tokio::time::timeout(A_WHILE, mute).await.is_err());
    node.heal();
    let provider = connect(node.ws_url()).await;
    node.behave(|it| it.ws.refuse_subscribe = Some(Refusal::rpc(-32000, "too many subscriptions")));
    let error = provider.subscribe_blocks().await.unwrap_err();
    assert!(error.to_string().contains("too many subscriptions"), "{error}");
    node.heal();
    node.behave(|it| it.max_addresses = Some((1, Refusal::rpc(-32602, "exceed max topics"))));
    let wide = Filter::new().topic2(vec![FROM.into_word(), TO.into_word()]);
    assert!(provider.subscribe_logs(&wide).await.unwrap_err().to_string().contains("exceed max topics"));
    assert!(node.subscriptions().is_empty());
    node.fail_method("eth_subscribe", MethodFault::Hang);
    assert!(tokio::time::timeout(A_WHILE, provider.subscribe_blocks().into_future()).await.is_err());
}

#[tokio::test]
async fn nonsense_is_pushed() {
    let mut stage = Stage::set().await;
    stage.node.push_log(json!({ "address": 7 }));
    assert_eq!(next(&mut stage.logs).await, json!({ "address": 7 }));
    stage.node.push_head(json!("head"));
    assert_eq!(next(&mut stage.heads).await, "head");
    assert_eq!(stage.node.counts().pushes, 2);
    stage.node.push_text("{\"jsonrpc\":");
    eventually(SOON, "alloy gives the connection up and makes another", async || {
        stage.node.counts().ws_connections == 2
    })
    .await;
}

#[tokio::test]
async fn a_balanced_websocket_stays_with_its_node() {
    let chain = ScriptedChain::new();
    let (good, bad) = (Node::start(&chain, NodeOptions::default()), Node::start(&chain, NodeOptions::clamping(1)));
    let balancer = Balancer::start(&[&good, &bad], Order::RoundRobin, Unit::Request);
    let (first, second) = (connect(balancer.ws_url()).await, connect(balancer.ws_url()).await);
    let head = chain.append_empty(1).number;
    for _ in 0..2 {
        assert_eq!(first.get_block_number().await.unwrap(), head);
        assert_eq!(second.get_block_number().await.unwrap(), head - 1);
    }
    bad.die().await;
    eventually(SOON, "the dead node's websocket is closed", async || bad.open_websockets() == 0).await;
    assert_eq!(first.get_block_number().await.unwrap(), head);
    assert_eq!(balancer.counts().of("eth_blockNumber"), 5);
}
