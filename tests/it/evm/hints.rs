//! What the hints tell of, while all is well.

use super::*;

use crate::support::eventually;
use crate::support::node::{BlockSpec, tx_hash};

/// A chain adapter that watches so many addresses, and is live.
async fn live(node: &Node, count: u64) -> EvmChain {
    let evm = chain_of(vec![both("one", node)]);
    evm.watch(set(everybody(count)));
    assert_eq!(next_hint(&evm).await, Hint::Live);
    evm
}

#[tokio::test]
async fn heads_and_transfers_are_told_at_once() {
    let (chain, node) = one_node();
    let evm = live(&node, 3).await;
    let block = chain.append(vec![deposit(watched(1), 5), deposit(watched(99), 5)]);
    let seen = [next_hint(&evm).await, next_hint(&evm).await];
    assert!(seen.contains(&Hint::Transfer { block: block.number }), "{seen:?}");
    assert!(seen.iter().any(|hint| matches!(hint, Hint::Head(head) if head.block.hash == block.hash)), "{seen:?}");
    assert!(tokio::time::timeout(A_WHILE, evm.hint()).await.is_err(), "the other transfer is nobody's");
    node.push_removed(&block);
    for _ in 0..2 {
        assert_eq!(next_hint(&evm).await, Hint::Transfer { block: block.number }, "one taken back is worth a look");
    }
}

#[tokio::test]
async fn watching_costs_no_requests() {
    let (chain, node) = one_node();
    let evm = live(&node, 3).await;
    let counts = node.counts();
    assert_eq!((counts.of("eth_chainId"), counts.of("eth_subscribe"), counts.calls()), (1, 2, 4));
    for _ in 0..10 {
        chain.append_empty(1);
        assert!(matches!(next_hint(&evm).await, Hint::Head(_)));
    }
    evm.watch(set(everybody(3)));
    assert!(tokio::time::timeout(A_WHILE, evm.hint()).await.is_err());
    assert_eq!(node.counts().calls(), 4, "the same set is no change");
}

#[tokio::test]
async fn nobody_watched_means_no_connection() {
    let (chain, node) = one_node();
    let evm = chain_of(vec![both("one", &node)]);
    evm.watch(set(Arc::default()));
    assert!(tokio::time::timeout(A_WHILE, evm.hint()).await.is_err());
    assert_eq!(node.counts().ws_connections, 0);
    evm.watch(set(everybody(1)));
    assert_eq!(next_hint(&evm).await, Hint::Live);
    evm.watch(set(Arc::default()));
    eventually(SOON, "the connection is closed", async || node.open_websockets() == 0).await;
    node.reset();
    chain.append_empty(3);
    assert!(tokio::time::timeout(A_WHILE, evm.hint()).await.is_err());
    assert_eq!((node.counts().calls(), node.counts().ws_connections), (0, 0));
    evm.watch(set(everybody(2)));
    assert_eq!(next_hint(&evm).await, Hint::Live, "no gap: nobody was watched meanwhile");
}

#[tokio::test]
async fn dropping_the_chain_closes_the_connection() {
    let (_, node) = one_node();
    let evm = live(&node, 1).await;
    assert_eq!(node.open_websockets(), 1);
    drop(evm);
    eventually(SOON, "the connection is closed", async || node.open_websockets() == 0).await;
}

#[tokio::test]
async fn a_big_set_is_sharded() {
    let (chain, node) = one_node();
    let evm = live(&node, 200).await;
    let filters = || node.subscriptions().into_iter().filter(|params| params[0] == "logs").collect::<Vec<_>>();
    let sizes: Vec<usize> = filters().iter().map(|it| it[1]["topics"][2].as_array().unwrap().len()).collect();
    assert!(sizes.len() > 1 && sizes.iter().all(|size| *size <= 50), "{sizes:?}");
    assert_eq!(sizes.iter().sum::<usize>(), 200);
    let blocks: Vec<u64> = (0..200).map(|nth| chain.append(deposit(watched(nth), 1)).number).collect();
    let seen = std::cell::RefCell::new(blocks.into_iter().collect::<std::collections::BTreeSet<u64>>());
    hints_until(&evm, "each of the transfers", |hint| {
        let mut missing = seen.borrow_mut();
        if let Hint::Transfer { block } = hint {
            missing.remove(block);
        }
        missing.is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_filter_that_is_too_big_is_made_smaller() {
    for error in crate::support::node::provider_errors().iter().filter(|error| error.kind == "addresses") {
        let (chain, node) = one_node();
        node.behave(|it| it.max_addresses = Some((9, error.refusal())));
        let evm = live(&node, 40).await;
        let block = chain.append(deposit(watched(39), 1)).number;
        hints_until(&evm, "the transfer", |hint| *hint == Hint::Transfer { block }).await;
        assert!(node.subscriptions().len() > 5);
    }
}

#[tokio::test]
async fn a_changed_set_is_followed_without_a_blind_moment() {
    let (chain, node) = one_node();
    let evm = live(&node, 1).await;
    let mut blocks = std::collections::BTreeSet::new();
    for count in 2..30 {
        evm.watch(set(everybody(count)));
        for _ in 0..5 {
            blocks.insert(chain.append(deposit(watched(0), 1)).number);
            tokio::task::yield_now().await;
        }
    }
    let last = node.clone();
    let wanted = everybody(29).len();
    eventually(SOON, "the last set is subscribed, and no other", async || {
        let subscriptions = last.subscriptions();
        subscriptions.len() == 2
            && subscriptions.iter().any(|it| it[1]["topics"][2].as_array().is_some_and(|all| all.len() == wanted))
    })
    .await;
    let new = chain.append(deposit(watched(28), 1)).number;
    let seen = hints_until(&evm, "the new address's deposit", |hint| *hint == Hint::Transfer { block: new }).await;
    for block in blocks {
        assert!(seen.contains(&Hint::Transfer { block }), "the deposit in block {block} was missed");
    }
    assert!(!seen.iter().any(is_gap));
    assert_eq!(node.counts().ws_connections, 1, "on the same connection");
}

#[tokio::test]
async fn a_set_that_comes_and_goes_ends_right() {
    let (chain, node) = one_node();
    let evm = live(&node, 3).await;
    for _ in 0..5 {
        evm.watch(set(everybody(4)));
        hints_until(&evm, "live again", |hint| *hint == Hint::Live).await;
        evm.watch(set(everybody(3)));
        hints_until(&evm, "live again", |hint| *hint == Hint::Live).await;
    }
    eventually(SOON, "two subscriptions", async || node.subscriptions().len() == 2).await;
    let block = chain.append(deposit(watched(2), 1)).number;
    hints_until(&evm, "the transfer", |hint| *hint == Hint::Transfer { block }).await;
    assert_eq!(node.counts().ws_connections, 1);
}

#[tokio::test]
async fn messages_that_make_no_sense_are_gaps() {
    let (_, node) = one_node();
    let evm = live(&node, 1).await;
    node.push_log(serde_json::json!({ "blockNumber": "next week" }));
    assert!(is_gap(&next_hint(&evm).await));
    node.push_head(serde_json::json!({ "number": null }));
    assert!(is_gap(&next_hint(&evm).await));
}

#[tokio::test]
async fn a_flood_is_told_whole_or_with_a_gap() {
    let (chain, node) = one_node();
    let evm = live(&node, 1).await;
    let logs = |count: u64| (0..count).map(|nth| deposit(watched(0), 1).in_tx(tx_hash(nth))).collect::<Vec<_>>();
    for _ in 0..5 {
        chain.append(BlockSpec::from(logs(1_000)));
    }
    let last = chain.append(deposit(watched(0), 1)).number;
    let seen = hints_until(&evm, "the last transfer", |hint| *hint == Hint::Transfer { block: last }).await;
    let told = seen.iter().filter(|hint| matches!(hint, Hint::Transfer { .. })).count();
    assert!(told == 5_001 || seen.iter().any(is_gap), "{told} transfers and no gap");
}
