//! What waits to be mined, who sent what, and somebody else with the wallet's key: anvil does each as it is told here.

use std::time::Duration;

use rampwatch::domain::chain::B256;
use rampwatch::domain::wei::Wei;
use rampwatch::sandbox::{BlockTag, MASTER, Mining, Node, PAYER, SandboxError, Sent, USDC, WALLET};

use super::rogue::{Deed, Rogue};
use super::{LIMIT, furnished, mine_for, stranger, usdc};

/// The answer of a node that refuses.
fn message<T: std::fmt::Debug>(refused: Result<T, SandboxError>) -> String {
    match refused {
        Err(SandboxError::Refused { message, .. }) => message,
        other => panic!("it is not refused: {other:?}"),
    }
}

/// Nonces of the wallet that wait, and whether each is ready.
async fn waiting(node: &Node) -> Vec<(u64, bool)> {
    node.pool().await.unwrap().iter().filter(|w| w.from == WALLET).map(|w| (w.nonce, w.is_ready)).collect()
}

async fn send(node: &Node, nonces: std::ops::Range<u64>) -> Vec<B256> {
    let mut sent = Vec::new();
    for nonce in nonces {
        sent.push(Rogue::of_wallet().send(node, &Deed::transfer(nonce, stranger(1), usdc(1))).await.unwrap());
    }
    sent
}

#[tokio::test]
async fn the_pool_is_seen_and_dropped_one_by_one_by_account_and_whole() {
    let anvil = furnished().await;
    let node = anvil.node();
    let sent = send(node, 0..3).await;
    send(node, 4..5).await;
    let other = node.transfer(USDC, PAYER, stranger(2), usdc(1)).await.unwrap();
    assert_eq!(waiting(node).await, [(0, true), (1, true), (2, true), (4, false)]);
    let first = node.pool().await.unwrap().into_iter().find(|w| w.tx_hash == sent[0]).unwrap();
    assert_eq!((first.cap, first.tip), (Wei::from_gwei(100), Wei::from_gwei(30)));
    assert_eq!(node.transaction_count(WALLET, BlockTag::Pending).await.unwrap(), 3);
    assert_eq!(node.transaction_count(WALLET, BlockTag::Latest).await.unwrap(), 0);

    node.drop_transaction(sent[1]).await.unwrap();
    assert_eq!(waiting(node).await, [(0, true), (4, false)], "the later ones that were ready go with it");
    assert!(node.drop_transaction(sent[1]).await.is_err());
    let raw = Rogue::of_wallet().sign(&Deed::transfer(1, stranger(1), usdc(1)));
    assert_eq!(node.send_raw(&raw.1).await.unwrap(), sent[1], "the same bytes are taken again, with the same hash");
    assert!(message(node.send_raw(&raw.1).await).contains("already imported"));
    node.drop_transactions_of(WALLET).await.unwrap();
    assert_eq!(waiting(node).await, []);
    assert_eq!(node.pool().await.unwrap().len(), 1, "the other account's stays");
    node.drop_all_transactions().await.unwrap();
    assert!(node.pool().await.unwrap().is_empty());
    node.mine(1).await.unwrap();
    assert!(node.receipt(other).await.unwrap().is_none());
}

#[tokio::test]
async fn a_higher_base_fee_throws_cheap_transactions_out_and_refuses_new_ones() {
    let anvil = furnished().await;
    let node = anvil.node();
    let cheap = Deed::transfer(0, stranger(1), usdc(1)).at(100, 30);
    let (hash, raw) = Rogue::of_wallet().sign(&cheap);
    node.send_raw(&raw).await.unwrap();
    node.mine_at(Wei::from_gwei(1_000), 2).await.unwrap();
    assert_eq!(node.base_fee(BlockTag::Latest).await.unwrap(), Wei::from_gwei(1_000));
    assert!(node.receipt(hash).await.unwrap().is_none());
    assert_eq!(waiting(node).await, [], "it is not kept until the fee falls");
    assert!(message(node.send_raw(&raw).await).contains("max fee per gas less than block base fee"));
    let dear = Deed::transfer(0, stranger(1), usdc(1)).at(1_031, 30);
    let dear = Rogue::of_wallet().send(node, &dear).await.unwrap();
    assert!(mine_for(node, dear).await.succeeded);
    assert_eq!(node.base_fee(BlockTag::Latest).await.unwrap(), Wei::from_gwei(1_000));
    node.mine(1).await.unwrap();
    let falling = node.base_fee(BlockTag::Latest).await.unwrap();
    assert!(falling < Wei::from_gwei(900) && falling > Wei::from_gwei(870), "{falling}");
}

#[tokio::test]
async fn a_transaction_is_replaced_by_a_higher_cap_alone() {
    let anvil = furnished().await;
    let node = anvil.node();
    let rogue = Rogue::of_wallet();
    let ours = Deed::transfer(0, stranger(1), usdc(1));
    let first = rogue.send(node, &ours.clone().at(100, 30)).await.unwrap();
    let taken_out = Deed::self_send(0, WALLET);
    for (cap, tip) in [(100, 30), (100, 60)] {
        let refused = rogue.send(node, &taken_out.clone().at(cap, tip)).await;
        assert!(message(refused).contains("replacement transaction underpriced"));
    }
    let second = rogue.send(node, &taken_out.clone().at(101, 30)).await.unwrap();
    assert!(message(rogue.send(node, &ours.at(100, 30)).await).contains("underpriced"), "ours does not come back");
    assert!(mine_for(node, second).await.succeeded);
    assert!(node.receipt(first).await.unwrap().is_none());
    let too_low = rogue.send(node, &Deed::transfer(0, stranger(1), usdc(1)).at(200, 60)).await;
    assert!(message(too_low).contains("nonce too low"));
    let sent = node.sent_by(WALLET, 1).await.unwrap();
    let [only] = &sent[..] else { panic!("{sent:?}") };
    assert!(only.is_self_send(WALLET) && only.asked_transfer().is_none());
}

#[tokio::test]
async fn everything_an_account_has_in_a_block_is_listed_with_its_fate() {
    let anvil = furnished().await;
    let node = anvil.node();
    let start = node.head().await.unwrap() + 1;
    let good = send(node, 0..2).await;
    node.mine(2).await.unwrap();
    let pause = node.set_paused(USDC, true).await.unwrap();
    let late = Rogue::of_wallet().send(node, &Deed::transfer(2, stranger(2), usdc(9))).await.unwrap();
    assert!(!mine_for(node, late).await.succeeded, "paused between broadcast and mining");
    assert!(node.receipt(pause).await.unwrap().unwrap().succeeded);
    node.mine(3).await.unwrap();
    let sent: Vec<Sent> = node.sent_by(WALLET, start).await.unwrap();
    let told: Vec<_> =
        sent.iter().map(|s| (s.nonce, s.tx_hash, s.succeeded, s.block.number - start, s.index)).collect();
    assert_eq!(told, [(0, good[0], true, 0, 0), (1, good[1], true, 0, 1), (2, late, false, 2, 1)]);
    assert_eq!(sent[2].asked_transfer(), Some((stranger(2), usdc(9))));
    assert_eq!((sent[0].transfers.len(), sent[2].transfers.len()), (1, 0));
    assert_eq!((sent[0].transfers[0].to, sent[0].transfers[0].amount), (stranger(1), usdc(1)));
    assert!(sent[0].gas_used > 30_000 && sent[0].gas_price > Wei::from_gwei(30) && sent[0].cap == Wei::from_gwei(100));
    assert_eq!(node.sent_by(WALLET, start + 1).await.unwrap().len(), 1);
    assert!(node.sent_by(MASTER, start).await.unwrap().iter().any(|sent| sent.tx_hash == pause));
}

#[tokio::test]
async fn a_wallet_without_gas_money_is_refused_and_its_waiting_transactions_are_lost() {
    let anvil = furnished().await;
    let node = anvil.node();
    let sent = send(node, 0..1).await;
    node.set_native_balance(WALLET, Wei::new(1)).await.unwrap();
    assert_eq!(node.native_balance(WALLET).await.unwrap(), Wei::new(1));
    let refused = Rogue::of_wallet().send(node, &Deed::transfer(1, stranger(1), usdc(1))).await;
    assert!(message(refused).contains("Insufficient funds"));
    node.mine(1).await.unwrap();
    assert!(node.receipt(sent[0]).await.unwrap().is_none());
    assert_eq!(waiting(node).await, []);
    node.set_native_balance(WALLET, Wei::from_gwei(1_000_000_000)).await.unwrap();
    assert!(mine_for(node, send(node, 0..1).await[0]).await.succeeded);
}

#[tokio::test]
async fn mining_is_stopped_and_started() {
    let anvil = furnished().await;
    let node = anvil.node();
    node.set_mining(Mining::Instant).await.unwrap();
    let first = send(node, 0..1).await[0];
    assert!(node.mined(first, LIMIT).await.unwrap().succeeded);
    node.set_mining(Mining::OnCommand).await.unwrap();
    let second = send(node, 1..2).await[0];
    assert!(node.mined(second, Duration::from_millis(100)).await.is_err());
    node.set_mining(Mining::Every { millis: 1_000 }).await.unwrap();
    assert!(node.mined(second, LIMIT).await.unwrap().succeeded);
    node.set_mining(Mining::OnCommand).await.unwrap();
    let head = node.head().await.unwrap();
    let third = send(node, 2..3).await[0];
    assert!(node.mined(third, Duration::from_millis(1_500)).await.is_err());
    assert_eq!(node.head().await.unwrap(), head);
}

#[tokio::test]
async fn a_reorg_takes_the_wallet_s_transactions_away_or_puts_them_elsewhere() {
    let anvil = furnished().await;
    let node = anvil.node();
    let mut nonce = 0;
    for depth in 1..=10 {
        let sent = send(node, nonce..nonce + 2).await;
        let other = node.transfer(USDC, PAYER, stranger(2), usdc(1)).await.unwrap();
        node.mine(depth).await.unwrap();
        let before = node.receipt(sent[1]).await.unwrap().unwrap().block;
        let head = node.head().await.unwrap();

        let reorg = node.reorg_delaying(depth, WALLET, 1).await.unwrap();
        assert!(reorg.dropped.is_empty());
        let moved = node.receipt(sent[1]).await.unwrap().unwrap().block;
        assert_eq!(moved.number, (before.number + 1).min(head), "depth {depth}");
        assert_ne!(moved.hash, before.hash);
        assert_eq!(node.receipt(other).await.unwrap().unwrap().block.number, before.number);

        let waits = send(node, nonce + 2..nonce + 3).await[0];
        let reorg = node.reorg_dropping(depth, WALLET).await.unwrap();
        assert_eq!(reorg.dropped.len(), 2);
        assert!(node.receipt(sent[0]).await.unwrap().is_none());
        assert!(node.receipt(other).await.unwrap().is_some());
        assert_eq!(node.transaction_count(WALLET, BlockTag::Latest).await.unwrap(), nonce);
        // The pool says that the later one is ready although those before it went away, until the next block.
        assert_eq!(waiting(node).await, [(nonce + 2, true)]);
        node.mine(1).await.unwrap();
        assert!(node.receipt(waits).await.unwrap().is_none());
        assert_eq!(waiting(node).await, []);

        node.send_dropped(&reorg).await.unwrap();
        node.mine(1).await.unwrap();
        for tx_hash in &sent {
            assert!(node.receipt(*tx_hash).await.unwrap().unwrap().succeeded);
        }
        nonce += 2;
    }
    let nonces: Vec<u64> = node.sent_by(WALLET, 1).await.unwrap().iter().map(|sent| sent.nonce).collect();
    assert_eq!(nonces, (0..nonce).collect::<Vec<_>>(), "each once, without a gap");
}
