//! What an honest node answers.

use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::{Provider, ProviderBuilder};
use alloy::rpc::types::Filter;
use serde_json::{Value, json};

use super::{Client, call};
use crate::support::node::{
    BlockSpec, Finalized, LogSpec, Node, NodeOptions, ScriptedChain, TRANSFER, Token, USDC_E, recorded_json, tx_hash,
};

const TOKEN: Address = Address::repeat_byte(0x70);
const OTHER: Address = Address::repeat_byte(0x71);
const FROM: Address = Address::repeat_byte(0x01);
const TO: Address = Address::repeat_byte(0x02);

fn start() -> (ScriptedChain, Node, Client) {
    let chain = ScriptedChain::new();
    let node = Node::start(&chain, NodeOptions::default());
    let client = Client::new(node.url());
    (chain, node, client)
}

fn hex(number: u64) -> String {
    format!("{number:#x}")
}

#[tokio::test]
async fn alloy_reads_blocks_logs_and_receipts() {
    let (chain, node, _) = start();
    let block = chain.append(vec![LogSpec::transfer(TOKEN, FROM, TO, 5), LogSpec::transfer(OTHER, FROM, TO, 6)]);
    let provider = ProviderBuilder::new().connect_http(node.url().parse().unwrap());
    assert_eq!(provider.get_chain_id().await.unwrap(), 137);
    assert_eq!(provider.get_block_number().await.unwrap(), block.number);
    let latest = provider.get_block_by_number(BlockNumberOrTag::Latest).await.unwrap().unwrap();
    assert_eq!((latest.header.hash, latest.header.timestamp), (block.hash, block.time));
    let parent = provider.get_block(BlockId::hash(latest.header.parent_hash)).await.unwrap().unwrap();
    assert_eq!(parent.header.number + 1, block.number);
    let filter = Filter::new().address(TOKEN).event_signature(TRANSFER).topic2(TO).select(block.number - 5..);
    let logs = provider.get_logs(&filter).await.unwrap();
    assert_eq!(logs.len(), 1);
    assert_eq!((logs[0].block_timestamp, logs[0].log_index), (Some(block.time), Some(0)));
    assert_eq!(U256::from_be_slice(&logs[0].inner.data.data), U256::from(5));
    let receipt = provider.get_transaction_receipt(logs[0].transaction_hash.unwrap()).await.unwrap().unwrap();
    assert!(receipt.status());
    assert_eq!(receipt.block_hash, Some(block.hash));
    assert_eq!(provider.get_transaction_receipt(tx_hash(99)).await.unwrap(), None);
}

#[tokio::test]
async fn the_chain_is_linked_and_has_a_past() {
    let (chain, _node, client) = start();
    chain.append_empty(2);
    let mut number = chain.head().number;
    let mut hash = json!(chain.head().hash);
    for _ in 0..6 {
        let block = client.ask("eth_getBlockByNumber", json!([hex(number), false])).await;
        assert_eq!(block["hash"], hash);
        assert_eq!(client.ask("eth_getBlockByHash", json!([hash, false])).await, block);
        assert_eq!(chain.block(number).unwrap().parent, block["parentHash"].as_str().unwrap().parse::<B256>().unwrap());
        number -= 1;
        hash = block["parentHash"].clone();
    }
    let first = client.ask("eth_getBlockByNumber", json!(["earliest", true])).await;
    assert_eq!((&first["number"], &first["parentHash"]), (&json!("0x0"), &json!(B256::ZERO)));
    let above = client.ask("eth_getBlockByNumber", json!([hex(chain.head().number + 1), false])).await;
    assert_eq!(above, Value::Null);
}

#[tokio::test]
async fn finality_is_what_the_test_says() {
    let (chain, node, client) = start();
    chain.append_empty(10);
    let finalized = || client.answer("eth_getBlockByNumber", json!(["finalized", false]));
    let absent = finalized().await;
    assert_eq!(absent["error"], json!({ "code": -32000, "message": "finalized block not found" }));
    let head = chain.head().number;
    for (rule, number) in [(Finalized::At(head - 2), head - 2), (Finalized::At(head - 7), head - 7)] {
        chain.set_finalized(rule);
        assert_eq!(finalized().await["result"]["number"], hex(number));
    }
    chain.set_finalized(Finalized::Below(4));
    chain.append_empty(1);
    assert_eq!(finalized().await["result"]["number"], hex(head - 3));
    node.behave(|it| it.lag = 6);
    assert_eq!(finalized().await["result"]["number"], hex(head + 1 - 6));
    node.behave(|it| it.finalized_ignores_lag = true);
    assert_eq!(finalized().await["result"]["number"], hex(head - 3));
    node.behave(|it| it.finalized = Some(Finalized::At(3)));
    assert_eq!(finalized().await["result"]["number"], "0x3");
    let (code, text) = client.refused("eth_getBlockByNumber", json!(["safe", false])).await;
    assert_eq!((code, text.as_str()), (-32000, "safe block not found"));
}

#[tokio::test]
async fn logs_are_filtered() {
    let (chain, _node, client) = start();
    let (a, b) = (Address::repeat_byte(0xaa), Address::repeat_byte(0xbb));
    let block = chain.append(vec![
        LogSpec::transfer(TOKEN, FROM, a, 1),
        LogSpec::transfer(TOKEN, FROM, b, 2),
        LogSpec::transfer(OTHER, b, a, 3),
        LogSpec::raw(TOKEN, vec![TRANSFER], Bytes::new()),
    ]);
    let at = hex(block.number);
    let indices = async |filter: Value| {
        let logs = client.ask("eth_getLogs", json!([filter])).await;
        logs.as_array().unwrap().iter().map(|log| log["logIndex"].clone()).collect::<Vec<_>>()
    };
    let (a, b) = (a.into_word(), b.into_word());
    assert_eq!(indices(json!({ "fromBlock": at, "toBlock": at })).await.len(), 4);
    assert_eq!(indices(json!({})).await.len(), 4);
    assert_eq!(indices(json!({ "fromBlock": at, "address": TOKEN })).await, ["0x0", "0x1", "0x3"]);
    assert_eq!(indices(json!({ "fromBlock": at, "address": [OTHER] })).await, ["0x2"]);
    assert_eq!(indices(json!({ "fromBlock": at, "address": [TOKEN, OTHER] })).await.len(), 4);
    assert_eq!(indices(json!({ "fromBlock": at, "topics": [TRANSFER, null, a] })).await, ["0x0", "0x2"]);
    assert_eq!(indices(json!({ "fromBlock": at, "topics": [[TRANSFER], [], [a, b]] })).await, ["0x0", "0x1", "0x2"]);
    assert_eq!(indices(json!({ "fromBlock": at, "topics": [TRANSFER, [b]] })).await, ["0x2"]);
    assert_eq!(indices(json!({ "blockHash": block.hash, "address": OTHER })).await, ["0x2"]);
    assert!(indices(json!({ "fromBlock": "earliest", "toBlock": hex(block.number - 1) })).await.is_empty());
    let unknown = client.refused("eth_getLogs", json!([{ "blockHash": tx_hash(1) }])).await;
    assert_eq!(unknown, (-32000, "unknown block".to_owned()));
    let wrong = client.refused("eth_getLogs", json!([{ "address": "0x12" }])).await;
    assert_eq!(wrong.0, -32602);
}

#[tokio::test]
async fn a_reorg_moves_a_transaction() {
    let (chain, node, client) = start();
    let tx = tx_hash(7);
    let old = chain.append(LogSpec::transfer(TOKEN, FROM, TO, 5).in_tx(tx));
    chain.append_empty(1);
    let receipt = client.ask("eth_getTransactionReceipt", json!([tx])).await;
    assert_eq!(receipt["blockHash"], json!(old.hash));
    let moved = LogSpec::transfer(TOKEN, FROM, TO, 5).in_tx(tx).at_index(3);
    let new = chain.reorg(2, vec![BlockSpec::default(), moved.into(), BlockSpec::default()]);
    assert_eq!((new[0].number, new.len()), (old.number, 3));
    assert_ne!(new[0].hash, old.hash);
    let receipt = client.ask("eth_getTransactionReceipt", json!([tx])).await;
    assert_eq!((&receipt["blockHash"], &receipt["logs"][0]["logIndex"]), (&json!(new[1].hash), &json!("0x3")));
    assert_eq!(client.ask("eth_getBlockByHash", json!([old.hash, false])).await, Value::Null);
    let gone = client.refused("eth_getLogs", json!([{ "blockHash": old.hash }])).await;
    assert_eq!(gone.1, "unknown block");
    node.behave(|it| it.serves_orphans = true);
    assert_eq!(client.ask("eth_getBlockByHash", json!([old.hash, false])).await["hash"], json!(old.hash));
}

#[tokio::test]
async fn a_fork_goes_its_own_way() {
    let (chain, _node, client) = start();
    chain.append_empty(1);
    let fork = chain.fork();
    let other = Node::start(&fork, NodeOptions::default());
    let forked = Client::new(other.url());
    let (here, there) = (chain.append_empty(1), fork.append_empty(1));
    assert_eq!((here.number, here.parent), (there.number, there.parent));
    assert_ne!(here.hash, there.hash);
    let latest = json!(["latest", false]);
    assert_eq!(client.ask("eth_getBlockByNumber", latest.clone()).await["hash"], json!(here.hash));
    assert_eq!(forked.ask("eth_getBlockByNumber", latest).await["hash"], json!(there.hash));
}

#[tokio::test]
async fn times_follow_the_script() {
    let (chain, ..) = start();
    let before = chain.head().time;
    chain.set_block_time(3);
    assert_eq!(chain.append_empty(1).time, before + 3);
    assert_eq!(chain.append(BlockSpec { logs: Vec::new(), time: Some(before + 100) }).time, before + 100);
}

#[tokio::test]
async fn a_token_answers_calls() {
    let (chain, _node, client) = start();
    let mut token = Token::new("USDC", 6);
    token.balances.insert(TO, U256::from(77));
    chain.set_token(TOKEN, token);
    let ask =
        async |to: Address, data: String| client.ask("eth_call", json!([{ "to": to, "input": data }, "latest"])).await;
    assert_eq!(ask(TOKEN, "0x313ce567".into()).await, json!(B256::with_last_byte(6)));
    let balance = |of: Address| format!("0x70a08231{}", alloy::primitives::hex::encode(of.into_word()));
    assert_eq!(ask(TOKEN, balance(TO)).await, json!(B256::with_last_byte(77)));
    assert_eq!(ask(TOKEN, balance(FROM)).await, json!(B256::ZERO));
    let symbol = ask(TOKEN, "0x95d89b41".into()).await;
    assert!(symbol.as_str().unwrap().contains("55534443"), "{symbol}");
    assert_eq!(ask(OTHER, "0x313ce567".into()).await, "0x");
    let unknown = client.refused("eth_call", json!([{ "to": TOKEN, "data": "0x12345678" }, "latest"])).await;
    assert_eq!(unknown, (3, "execution reverted".to_owned()));
}

#[tokio::test]
async fn malformed_logs_are_shown_as_they_were_made() {
    let (chain, node, client) = start();
    chain.append(vec![
        LogSpec::transfer(TOKEN, FROM, TO, 5).with_data(vec![1, 2, 3]),
        LogSpec::transfer(TOKEN, FROM, TO, 5).with_topics(vec![TRANSFER]),
        LogSpec::transfer(TOKEN, FROM, TO, 5).with_field("logIndex", Value::Null).without_field("blockHash"),
    ]);
    let logs = client.ask("eth_getLogs", json!([{ "address": TOKEN }])).await;
    assert_eq!(logs[0]["data"], "0x010203");
    assert_eq!(logs[1]["topics"], json!([TRANSFER]));
    assert_eq!((&logs[2]["logIndex"], logs[2].get("blockHash")), (&Value::Null, None));
    assert!(logs[0].get("blockTimestamp").is_some());
    node.behave(|it| it.no_log_times = true);
    let logs = client.ask("eth_getLogs", json!([{ "address": TOKEN }])).await;
    assert!(logs[0].get("blockTimestamp").is_none());
}

#[tokio::test]
async fn the_recorded_block_is_served_exactly() {
    let chain = ScriptedChain::polygon_50_000_000();
    let node = Node::start(&chain, NodeOptions::default());
    let client = Client::new(node.url());
    let recorded: Value = recorded_json("polygon-block-50000000/block.json");
    let at = hex(50_000_000);
    assert_eq!(client.ask("eth_getBlockByNumber", json!([at, true])).await, recorded);
    let light = client.ask("eth_getBlockByHash", json!([recorded["hash"], false])).await;
    assert_eq!(light["transactions"][563], recorded["transactions"][563]["hash"]);
    let range = json!({ "fromBlock": at, "toBlock": at });
    assert_eq!(client.ask("eth_getLogs", json!([range])).await.as_array().unwrap().len(), 877);
    let usdc: Value = recorded_json("polygon-block-50000000/usdc_logs.json");
    let filter = json!({ "fromBlock": at, "toBlock": at, "address": USDC_E, "topics": [TRANSFER] });
    assert_eq!(client.ask("eth_getLogs", json!([filter])).await, usdc);
    let receipts: Value = recorded_json("polygon-block-50000000/receipts.json");
    let receipt = client.ask("eth_getTransactionReceipt", json!([receipts[200]["transactionHash"]])).await;
    assert_eq!(receipt, receipts[200]);
    let before = client.ask("eth_getBlockByNumber", json!([hex(49_999_999), false])).await;
    assert_eq!(before["hash"], recorded["parentHash"]);
    let after = client.ask("eth_getBlockByNumber", json!([hex(50_000_001), false])).await;
    assert_eq!(after["parentHash"], recorded["hash"]);
    let far = client.ask("eth_getBlockByNumber", json!([hex(49_000_000), false])).await;
    assert_eq!(far["number"], hex(49_000_000));
    let provider = ProviderBuilder::new().connect_http(node.url().parse().unwrap());
    let parsed = provider.get_block_by_number(50_000_000.into()).full().await.unwrap().unwrap();
    assert_eq!(parsed.transactions.len(), 564);
    assert!(chain.head().number > 50_000_000);
}

#[tokio::test]
async fn calls_are_counted_and_kept() {
    let (chain, node, client) = start();
    chain.set_chain_id(80_002);
    assert_eq!(client.ask("net_version", json!([])).await, "80002");
    client.ask("eth_chainId", json!([])).await;
    client.ask("web3_clientVersion", json!([])).await;
    assert_eq!(client.refused("eth_newFilter", json!(["0x"])).await.0, -32601);
    assert_eq!(client.refused("eth_subscribe", json!(["newHeads"])).await.0, -32601);
    client.post(&json!([call(1, "eth_chainId", json!([])), call(2, "eth_blockNumber", json!([]))])).await.unwrap();
    let counts = node.counts();
    assert_eq!((counts.http_requests, counts.batches, counts.batch_members), (6, 1, 2));
    assert_eq!((counts.calls(), counts.of("eth_chainId"), counts.errors), (7, 2, 2));
    assert_eq!(node.calls()[3].params, json!(["0x"]));
    assert_eq!(node.calls()[3].method, "eth_newFilter");
    node.reset();
    assert_eq!(node.counts(), crate::support::node::Counts::default());
    assert!(node.calls().is_empty());
}
