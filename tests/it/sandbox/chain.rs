//! Anvil as a child, and reorgs of its chain.

use std::time::Duration;

use rampwatch::domain::chain::B256;
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::sandbox::{
    Anvil, AnvilOptions, BlockTag, CHAIN_ID, DEV_ACCOUNTS, Mining, Node, PAYER, Placed, SandboxError, USDC,
};
use serde_json::json;

use super::{LIMIT, furnished, mine_for, stranger, usdc};

#[tokio::test]
async fn the_chain_has_its_own_id_mines_on_command_and_finalises() {
    let anvil = furnished().await;
    let node = anvil.node();
    assert_eq!(node.call("eth_chainId", json!([])).await.unwrap(), json!(format!("{CHAIN_ID:#x}")));
    let head = node.head().await.unwrap();
    node.mine(10).await.unwrap();
    assert_eq!(node.head().await.unwrap(), head + 10);
    assert_eq!(node.existing_block(BlockTag::Finalized).await.unwrap().header.block.number, head + 8);
    node.final_at(head + 8, LIMIT).await.unwrap();
    assert!(node.final_at(head + 9, Duration::from_millis(50)).await.is_err());
    let time = Timestamp::from_secs(4_000_000_000);
    node.set_next_block_time(time).await.unwrap();
    node.mine(1).await.unwrap();
    assert_eq!(node.existing_block(BlockTag::Latest).await.unwrap().header.time, time);
    node.mine_spaced(3, 12).await.unwrap();
    assert_eq!(node.existing_block(BlockTag::Latest).await.unwrap().header.time, time.plus(Span::from_secs(36)));
    assert!(node.block(BlockTag::Number(1_000_000)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_node_of_another_chain_is_refused() {
    let binary = rampwatch::sandbox::find_anvil().unwrap();
    let mut child = tokio::process::Command::new(binary)
        .args(["--port", "0", "--chain-id", "137", "--prune-history", "10"])
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(child.stdout.take().unwrap()));
    let port = loop {
        let line = lines.next_line().await.unwrap().expect("anvil says where it listens");
        if let Some(at) = line.strip_prefix("Listening on ") {
            break at.rsplit(':').next().unwrap().to_owned();
        }
    };
    let refused = Node::connect(&format!("http://127.0.0.1:{port}")).await;
    assert!(matches!(refused, Err(SandboxError::ForeignChain { chain_id: 137, .. })), "{refused:?}");
    child.kill().await.unwrap();
}

#[tokio::test]
async fn a_frozen_node_answers_nothing_until_it_is_thawed() {
    let anvil = furnished().await;
    anvil.pid().freeze().await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(300), anvil.node().head()).await.is_err());
    anvil.pid().thaw().await.unwrap();
    tokio::time::timeout(LIMIT, anvil.node().head()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stopped_chain_comes_back_on_its_port_with_its_state() {
    let folder = tempfile::tempdir().unwrap();
    let options = AnvilOptions { state: Some(folder.path().join("state.json")), ..AnvilOptions::default() };
    let anvil = Anvil::start(&options).await.unwrap();
    anvil.node().furnish().await.unwrap();
    mine_for(anvil.node(), anvil.node().transfer(USDC, PAYER, stranger(1), usdc(2)).await.unwrap()).await;
    let (port, head) = (anvil.port(), anvil.node().head().await.unwrap());
    anvil.stop().await.unwrap();
    let anvil = Anvil::start(&AnvilOptions { port, ..options }).await.unwrap();
    assert_eq!((anvil.port(), anvil.node().head().await.unwrap()), (port, head));
    assert_eq!(anvil.node().balance(USDC, stranger(1)).await.unwrap(), usdc(2));
    anvil.kill().await.unwrap();
}

#[tokio::test]
async fn a_fork_has_the_sandbox_s_chain_id_and_money_without_keys() {
    let source = furnished().await;
    mine_for(source.node(), source.node().transfer(USDC, PAYER, stranger(1), usdc(2)).await.unwrap()).await;
    let options = AnvilOptions { fork_url: Some(source.node().http_url().to_string()), ..AnvilOptions::default() };
    let fork = Anvil::start(&options).await.unwrap();
    fork.node().furnish_fork().await.unwrap();
    assert_eq!(fork.node().balance(USDC, stranger(1)).await.unwrap(), usdc(2));
    let paid = fork.node().transfer(USDC, PAYER, stranger(1), usdc(3)).await.unwrap();
    assert!(mine_for(fork.node(), paid).await.succeeded);
    assert_eq!(fork.node().balance(USDC, stranger(1)).await.unwrap(), usdc(5));
    assert_eq!(source.node().balance(USDC, stranger(1)).await.unwrap(), usdc(2));
}

#[tokio::test]
async fn an_interval_mines_by_itself_and_a_snapshot_comes_back() {
    let options = AnvilOptions { mining: Mining::Every { millis: 250 }, ..AnvilOptions::default() };
    let anvil = Anvil::start(&options).await.unwrap();
    anvil.node().final_at(2, LIMIT).await.unwrap();
    anvil.node().set_mining(Mining::OnCommand).await.unwrap();
    let head = anvil.node().head().await.unwrap();
    let snapshot = anvil.node().snapshot().await.unwrap();
    anvil.node().mine(5).await.unwrap();
    anvil.node().revert(snapshot).await.unwrap();
    assert_eq!(anvil.node().head().await.unwrap(), head);
}

/// Two transfers of different payers in one block, `depth` blocks below the head.
async fn two_transfers(node: &Node, depth: u64) -> (B256, B256) {
    let first = node.transfer(USDC, DEV_ACCOUNTS[2], stranger(1), usdc(1)).await.unwrap();
    let second = node.transfer(USDC, DEV_ACCOUNTS[3], stranger(2), usdc(2)).await.unwrap();
    mine_for(node, second).await;
    node.mine(depth - 1).await.unwrap();
    (first, second)
}

#[tokio::test]
async fn a_reorg_drops_keeps_and_moves_transactions_at_any_depth() {
    let anvil = furnished().await;
    let node = anvil.node();
    for depth in [1, 2, 7, 20] {
        let (first, second) = two_transfers(node, depth).await;
        let before = node.receipt(second).await.unwrap().unwrap();
        assert_eq!(before.transfers[0].log_index, 1);
        let head = node.head().await.unwrap();

        node.reorg_keeping_all(depth).await.unwrap();
        let kept = node.receipt(second).await.unwrap().unwrap();
        assert_eq!((kept.block.number, kept.transfers[0].log_index), (before.block.number, 1));
        assert_ne!(kept.block.hash, before.block.hash, "the block is another one");

        let place = Placed { tx_hash: second, block: depth - 1 };
        let reorg = node.reorg(depth, &[place]).await.unwrap();
        let moved = node.receipt(second).await.unwrap().unwrap();
        assert_eq!((moved.block.number, moved.transfers[0].log_index), (head, 0), "another block, another log index");
        assert_eq!(reorg.dropped.keys().collect::<Vec<_>>(), [&first]);
        assert!(node.receipt(first).await.unwrap().is_none());

        let reorg = node.reorg_dropping_all(depth).await.unwrap();
        assert_eq!(node.head().await.unwrap(), head);
        assert!(node.receipt(second).await.unwrap().is_none());
        node.send_raw(&reorg.dropped[&second]).await.unwrap();
        assert!(mine_for(node, second).await.succeeded, "dropped transactions can come again");
    }
}

#[tokio::test]
async fn a_reorg_from_a_block_on_works_while_blocks_are_mined_by_the_clock() {
    let options = AnvilOptions { mining: Mining::Every { millis: 250 }, ..AnvilOptions::default() };
    let anvil = Anvil::start(&options).await.unwrap();
    let node = anvil.node();
    node.furnish().await.unwrap();
    for _ in 0..3 {
        let tx_hash = node.transfer(USDC, PAYER, stranger(1), usdc(1)).await.unwrap();
        let block = node.succeeded(tx_hash, LIMIT).await.unwrap().block;
        let reorg = node.reorg_from(block.number, &[]).await.unwrap();
        assert!(reorg.dropped.contains_key(&tx_hash));
        assert_ne!(node.existing_block(BlockTag::Number(block.number)).await.unwrap().header.block.hash, block.hash);
        node.send_raw(&reorg.dropped[&tx_hash]).await.unwrap();
        assert_ne!(node.succeeded(tx_hash, LIMIT).await.unwrap().block, block);
    }
}

#[tokio::test]
async fn a_deep_reorg_late_in_a_long_run_leaves_the_token_and_the_clock_alone() {
    let anvil = furnished().await;
    let node = anvil.node();
    for _ in 0..10 {
        node.mine(100).await.unwrap();
        node.reorg_dropping_all(64).await.unwrap();
    }
    let tx_hash = node.transfer(USDC, PAYER, stranger(1), usdc(1)).await.unwrap();
    assert!(mine_for(node, tx_hash).await.succeeded);
    let time = node.existing_block(BlockTag::Latest).await.unwrap().header.time;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(time.as_secs().abs_diff(now) < 5, "block {time:?}, now {now}");
}

#[tokio::test]
async fn impossible_reorgs_are_refused() {
    let anvil = furnished().await;
    let node = anvil.node();
    let head = node.head().await.unwrap();
    assert!(node.reorg_dropping_all(0).await.is_err());
    assert!(node.reorg_dropping_all(head + 1).await.is_err());
    let unknown = Placed { tx_hash: B256::repeat_byte(1), block: 0 };
    assert!(node.reorg(1, &[unknown]).await.is_err());
    let outside = Placed { tx_hash: B256::repeat_byte(1), block: 1 };
    assert!(node.reorg(1, &[outside]).await.unwrap_err().to_string().contains("outside"));
}
