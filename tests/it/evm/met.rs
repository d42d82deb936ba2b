//! What others met in the wild, at the adapter: one thing that a node does badly takes nothing away from what it does well.

use super::*;

use std::collections::BTreeSet;

use rampwatch::ports::chain::ChainError;
use rampwatch::ports::sender::Sender;
use serde_json::json;

use crate::support::node::{BatchIds, HttpFault, MethodFault, Refusal, tx_hash};

/// Chain and node, with so many deposits, one a block.
fn with_deposits(count: u64) -> (ScriptedChain, Node, u64, u64) {
    let (chain, node) = one_node();
    let from = chain.head().number + 1;
    for nth in 0..count {
        chain.append(deposit(watched(nth), u128::from(nth) + 1));
    }
    let to = chain.head().number;
    (chain, node, from, to)
}

fn amounts(page: &rampwatch::ports::chain::TransferPage) -> Vec<u128> {
    page.transfers.iter().map(|transfer| transfer.amount.base_units()).collect()
}

/// blockscout/blockscout#7211: a batch that is refused as a whole, in a list, with the id null.
#[tokio::test]
async fn r2_a_batch_that_is_refused_is_put_in_smaller_parts_after_one_refusal() {
    for (most, refuses_in_list) in [(1, true), (10, true), (1, false), (10, false)] {
        let (chain, node) = one_node();
        let head = chain.append_empty(40).number;
        let words = format!("batch limit {most} exceeded. Requested batch of size: 20");
        node.behave(|it| {
            it.max_batch = Some((most, Refusal::rpc(-32000, &words)));
            it.odd.refuses_in_list = refuses_in_list;
        });
        let evm = chain_of(vec![http("one", node.url())]);
        let numbers: Vec<u64> = (head - 19..=head).collect();
        for round in 0..3 {
            let found = evm.headers(&numbers, None).await.unwrap();
            assert_eq!(found.iter().flatten().count(), 20, "round {round} at {most}");
        }
        // Each size was refused at most once: for the two calls of the beginning, and for the twenty.
        assert!(node.counts().errors <= 2, "{} refusals at {most}", node.counts().errors);
    }
}

/// A server that has no word for it: HTTP 500 to every batch (NethermindEth/nethermind#4320 and the like).
#[tokio::test]
async fn batches_that_always_fail_without_a_word_are_given_up() {
    let (chain, node) = one_node();
    chain.append_empty(4);
    let mut settings = settings(vec![http("one", node.url())]);
    settings.cool_down = CoolDown { first: Duration::from_millis(1), longest: Duration::from_millis(1) };
    node.behave(|it| it.max_batch = Some((1, Refusal::http(500, ""))));
    let evm = EvmChain::new(settings).unwrap();
    let works = async || evm.finality(true).await.is_ok();
    crate::support::eventually(SOON, "questions are put one by one", works).await;
    for _ in 0..5 {
        evm.finality(true).await.unwrap();
    }
}

/// ethers-io/ethers.js#4679: one item a call, all of them with the id null.
#[tokio::test]
async fn r2_a_rate_limit_without_ids_is_a_rate_limit() {
    let (chain, node) = one_node();
    chain.append_empty(4);
    let evm = chain_of(vec![http("one", node.url())]);
    evm.head().await.unwrap();
    node.behave(|it| it.odd.batch_ids = BatchIds::NullInErrors);
    node.fail_http(HttpFault::EveryCall(Refusal::rpc(429, "Too many requests, reason: call rate limit exhausted")));
    let Err(ChainError::Unavailable(text)) = evm.finality(true).await else { panic!("it is available") };
    assert!(text.contains("call rate limit exhausted"), "{text}");
    node.heal();
    let is_back = async || evm.finality(true).await.is_ok();
    crate::support::eventually(SOON, "it was waited out", is_back).await;
    assert!(node.counts().batches > 1, "batches are asked as before");
}

/// AlphaWallet/alpha-wallet-ios#6803.
#[tokio::test]
async fn r2_ids_as_text_are_understood() {
    let (chain, node, from, to) = with_deposits(4);
    node.behave(|it| it.odd.batch_ids = BatchIds::Text);
    let evm = chain_of(vec![http("one", node.url())]);
    assert_eq!(amounts(&evm.transfers(&query(from, to, everybody(4))).await.unwrap()), [1, 2, 3, 4]);
    assert_eq!(evm.finality(true).await.unwrap().head.block.hash, chain.head().hash);
    assert!(node.counts().batches == node.counts().http_requests, "and no batch is given up for them");
}

/// erigontech/erigon#17249, #14551; 0xPolygon/erigon#97.
#[tokio::test]
async fn r1_logs_that_are_numbered_by_transaction_are_all_found() {
    let (chain, node) = one_node();
    let block = chain.append(vec![deposit(watched(0), 5), deposit(watched(1), 6), deposit(watched(2), 7)]);
    node.behave(|it| it.odd.zero_indexes = true);
    let evm = chain_of(vec![http("one", node.url())]);
    let page = evm.transfers(&query(block.number, block.number, everybody(3))).await.unwrap();
    let found: BTreeSet<u128> = amounts(&page).into_iter().collect();
    assert_eq!((found, page.flaws.is_empty()), (BTreeSet::from([5, 6, 7]), true));
    assert!(page.transfers.iter().all(|transfer| transfer.log_index == 0));
}

#[tokio::test]
async fn r1_what_contradicts_itself_is_asked_of_another_endpoint_and_told_of_the_first() {
    let (chain, odd) = one_node();
    let good = Node::start(&chain, NodeOptions::default());
    let block = chain.append(vec![deposit(watched(0), 5), deposit(watched(1), 6)]);
    let mut twice = block.logs[0].json.clone();
    twice["data"] = json!(B256::with_last_byte(9));
    let answer = json!([block.logs[0].json, twice, block.logs[1].json]);
    odd.fail_method("eth_getLogs", MethodFault::Answer(answer));
    let alone = chain_of(vec![http("odd", odd.url())]);
    let page = alone.transfers(&query(block.number, block.number, everybody(2))).await.unwrap();
    assert_eq!(amounts(&page), [6], "what is sound is found");
    assert!(page.flaws.about(&watched(0)).unwrap().contains("two different logs"), "{:?}", page.flaws);
    assert!(page.flaws.about(&watched(1)).is_none());
    let both = chain_of(vec![http("odd", odd.url()), http("good", good.url())]);
    let page = both.transfers(&query(block.number, block.number, everybody(2))).await.unwrap();
    assert_eq!((amounts(&page), page.flaws.is_empty(), page.endpoint), (vec![5, 6], true, EndpointId(1)));
    let Hint::Endpoint { name, news } = both.hint().await else { panic!("an endpoint is told of") };
    assert_eq!(name, "odd");
    assert!(format!("{news:?}").contains("two different logs"), "{news:?}");
    // For all else it is used as before.
    assert_eq!(both.finality(true).await.unwrap().endpoint, EndpointId(0));
}

/// ethereum/go-ethereum#31939, paradigmxyz/reth#21122, erigontech/erigon#13198.
#[tokio::test]
async fn r7_a_node_without_a_past_is_used_for_what_it_has() {
    for words in [
        Refusal::rpc(4444, "pruned history unavailable"),
        Refusal::rpc(-32603, "state at block #1 is pruned"),
        Refusal::rpc(-32000, "data before txNum=6900 is not available: blockNum=1, seek with txNum=100"),
    ] {
        let (chain, pruned, from, to) = with_deposits(6);
        let archive = Node::start(&chain, NodeOptions::default());
        pruned.behave(|it| it.odd.no_logs_below = Some((from + 3, words.clone())));
        let alone = chain_of(vec![http("pruned", pruned.url())]);
        let answer = alone.transfers(&query(from, to, everybody(6))).await;
        assert!(matches!(&answer, Err(ChainError::Refused(_))), "{answer:?}");
        let asked = pruned.counts().of("eth_getLogs");
        let again = alone.transfers(&query(from, to, everybody(6))).await;
        assert!(matches!(&again, Err(ChainError::Refused(text)) if text.contains("no longer has")), "{again:?}");
        assert_eq!(pruned.counts().of("eth_getLogs"), asked, "it is remembered: {words:?}");
        let page = alone.transfers(&query(from + 3, to, everybody(6))).await.unwrap();
        assert_eq!(amounts(&page), [4, 5, 6], "what it has it gives, without a rest");
        let both = chain_of(vec![http("pruned", pruned.url()), http("archive", archive.url())]);
        for _ in 0..3 {
            let page = both.transfers(&query(from, to, everybody(6))).await.unwrap();
            assert_eq!((page.transfers.len(), page.endpoint), (6, EndpointId(1)));
            assert_eq!(both.transfers(&query(from + 3, to, everybody(6))).await.unwrap().endpoint, EndpointId(0));
        }
        assert_eq!(pruned.counts().of("eth_getLogs"), asked + 2 + 3, "refused once, and used for the rest");
    }
}

/// One block that a node cannot read (paradigmxyz/reth#27002): others are had.
#[tokio::test]
async fn a_block_that_cannot_be_read_keeps_nobody_from_the_others() {
    let (_, node, from, to) = with_deposits(6);
    node.behave(|it| it.odd.lost_blocks = BTreeSet::from([from + 2]));
    let evm = chain_of(vec![http("one", node.url())]);
    assert!(matches!(evm.transfers(&query(from, to, everybody(6))).await, Err(ChainError::Refused(_))));
    assert_eq!(amounts(&evm.transfers(&query(from + 3, to, everybody(6))).await.unwrap()), [4, 5, 6]);
    assert_eq!(amounts(&evm.transfers(&query(from, from + 1, everybody(6))).await.unwrap()), [1, 2]);
    evm.finality(true).await.unwrap();
}

/// ethers-io/ethers.js#4999, web3/web3.js#7007.
#[tokio::test]
async fn r15_a_receipt_that_is_not_to_be_had_yet_stops_nothing_else() {
    let (chain, node) = one_node();
    let block = chain.append(vec![deposit(watched(0), 5), deposit(watched(1), 6)]);
    let hashes: Vec<B256> = block.logs.iter().map(|log| log.tx_hash).collect();
    node.behave(|it| it.odd.lost_receipts = BTreeSet::from([hashes[0]]));
    let evm = chain_of(vec![http("one", node.url())]);
    let receipts = evm.receipts(&hashes).await.unwrap().receipts;
    assert!(matches!(&receipts[0], Err(why) if why.contains("indexing is in progress")), "{receipts:?}");
    assert!(matches!(&receipts[1], Ok(Some(receipt)) if receipt.tx_hash == hashes[1]), "{receipts:?}");
    // None at all: that is told, and the endpoint goes on for everything else at once.
    node.behave(|it| it.odd.lost_receipts = hashes.iter().copied().collect());
    for _ in 0..3 {
        assert!(matches!(evm.receipts(&hashes).await, Err(ChainError::Refused(_))));
        evm.head().await.unwrap();
        evm.transfers(&query(block.number, block.number, everybody(2))).await.unwrap();
        evm.balances(SENDER, TOKEN).await.unwrap();
    }
    node.behave(|it| it.odd.lost_receipts = BTreeSet::new());
    assert_eq!(evm.receipts(&[tx_hash(9_999)]).await.unwrap().receipts, [Ok(None)]);
}

/// A header that a node has lost (erigontech/erigon#16042 and others): the others of the batch count.
#[tokio::test]
async fn one_header_that_cannot_be_read_is_missing_and_no_other() {
    let (chain, node) = one_node();
    let head = chain.append_empty(9).number;
    let evm = chain_of(vec![http("one", node.url())]);
    node.before_next("eth_chainId", |_| {});
    node.behave(|it| it.pruned_below = head - 3);
    let found = evm.headers(&[head - 5, head - 2, head], None).await.unwrap();
    let numbers: Vec<Option<u64>> = found.iter().map(|it| it.map(|it| it.block.number)).collect();
    assert_eq!(numbers, [None, Some(head - 2), Some(head)]);
}

/// hyperium/hyper#2136, sigp/lighthouse#4439: a server that resets a kept connection when the next request comes.
#[tokio::test]
async fn r14_a_kept_connection_that_is_gone_is_no_failure() {
    let (chain, node) = one_node();
    let head = chain.append_empty(3).number;
    let server = crate::support::cutting::CutsKept::start(node.url()).await;
    let evm = chain_of(vec![http("one", server.url())]);
    for _ in 0..5 {
        assert_eq!(evm.head().await.unwrap().block.number, head);
    }
    assert!(server.cut() >= 3, "each kept connection was cut: {}", server.cut());
}
