//! What nodes say of the wallet, its transfers and the market; and receipts.

use super::*;

use alloy::primitives::U256;
use rampwatch::domain::amount::Amount;
use rampwatch::domain::wallet::{CallResult, NonceCount, TransferView};
use rampwatch::domain::wei::Wei;
use rampwatch::ports::chain::ChainError;
use rampwatch::ports::sender::{Sender, TransferSpec};
use serde_json::json;

use crate::support::node::{Account, HttpFault, MethodFault, Refusal, Rules, tx_hash};

const WALLET: Address = Address::repeat_byte(0x77);

fn transfer(amount: u128) -> TransferSpec {
    TransferSpec { wallet: WALLET, token: TOKEN, to: watched(0), amount: Amount::from_base_units(amount) }
}

/// A chain with a full token, and a wallet that has 100 base units and two native coins.
fn furnished() -> (ScriptedChain, Node) {
    let (chain, node) = one_node();
    set_token(&chain, Some(Rules::default()));
    let balance = U256::from(2_000_000_000_000_000_000_u64);
    chain.set_account(WALLET, Account { balance, nonce: 3, waiting: 2 });
    (chain, node)
}

fn set_token(chain: &ScriptedChain, rules: Option<Rules>) {
    let mut token = Token::new("USDC", 6);
    token.balances.insert(WALLET, U256::from(100));
    token.rules = rules;
    chain.set_token(TOKEN, token);
}

fn expected(chain: &ScriptedChain, view: &TransferView) {
    assert_eq!(view.head.block.hash, chain.head().hash);
    assert_eq!((view.base_fee, view.market_tip), (Wei::from_gwei(30), Wei::from_gwei(25)));
    assert_eq!((view.paused, view.wallet_blacklisted, view.recipient_blacklisted), (false, false, false));
    assert_eq!(view.token_balance, Amount::from_base_units(100));
    assert_eq!(view.native_balance, Wei::new(2_000_000_000_000_000_000));
    assert_eq!((&view.call, view.gas_estimate), (&CallResult::True, Some(45_047)));
}

#[tokio::test]
async fn a_view_is_one_batch_and_names_no_gas_price() {
    let (chain, node) = furnished();
    let evm = chain_of(vec![http("one", node.url())]);
    evm.head().await.unwrap();
    node.reset();
    expected(&chain, &evm.view(&transfer(100)).await.unwrap());
    assert_eq!((node.counts().http_requests, node.counts().batch_members), (1, 9));
    for call in node.calls().iter().filter(|call| call.method == "eth_estimateGas") {
        assert_eq!(call.params[0]["from"], json!(WALLET));
        assert!(call.params[0].get("gasPrice").is_none() && call.params[0].get("maxFeePerGas").is_none());
    }
    let too_much = evm.view(&transfer(101)).await.unwrap();
    let reason = "ERC20: transfer amount exceeds balance".to_owned();
    assert_eq!((too_much.call, too_much.gas_estimate), (CallResult::Reverted(reason), None));
}

#[tokio::test]
async fn a_view_without_batches_goes_on_after_reverts() {
    let (chain, node) = furnished();
    set_token(&chain, None);
    node.behave(|it| it.max_batch = Some((1, Refusal::rpc(-32600, "batch too large"))));
    node.fail_method("eth_maxPriorityFeePerGas", MethodFault::Refuse(Refusal::rpc(-32601, "no such method")));
    for url in [http("one", node.url()), ws("one", node.ws_url())] {
        let evm = chain_of(vec![url]);
        let view = evm.view(&transfer(100)).await.unwrap();
        assert_eq!(view.market_tip, Wei::ZERO);
        assert_eq!((view.paused, view.wallet_blacklisted, view.recipient_blacklisted), (false, false, false));
        assert_eq!(view.token_balance, Amount::from_base_units(100));
        assert_eq!(view.call, CallResult::Reverted("without a reason".to_owned()));
        assert_eq!(view.gas_estimate, None);
    }
}

#[tokio::test]
async fn what_the_token_forbids_is_seen() {
    let (chain, node) = furnished();
    let evm = chain_of(vec![http("one", node.url())]);
    set_token(&chain, Some(Rules { paused: true, blacklisted: vec![] }));
    let view = evm.view(&transfer(1)).await.unwrap();
    assert!(view.paused && !view.wallet_blacklisted && !view.recipient_blacklisted);
    assert_eq!(view.call, CallResult::Reverted("Pausable: paused".to_owned()));
    set_token(&chain, Some(Rules { paused: false, blacklisted: vec![WALLET] }));
    let view = evm.view(&transfer(1)).await.unwrap();
    assert!(!view.paused && view.wallet_blacklisted && !view.recipient_blacklisted);
    set_token(&chain, Some(Rules { paused: false, blacklisted: vec![watched(0)] }));
    let view = evm.view(&transfer(1)).await.unwrap();
    assert!(!view.paused && !view.wallet_blacklisted && view.recipient_blacklisted);
}

#[tokio::test]
async fn a_nodes_error_is_never_a_no() {
    let refusals = [
        Refusal::rpc(-32000, "missing trie node"),
        Refusal::rpc(-32601, "the method eth_call does not exist/is not available"),
        Refusal::rpc(-32603, "Internal error"),
        Refusal::rpc(-32000, "header not found"),
        Refusal::http(503, "busy"),
    ];
    for refusal in refusals {
        for batches in [true, false] {
            let (chain, first) = furnished();
            set_token(&chain, Some(Rules { paused: true, blacklisted: vec![WALLET] }));
            first.fail_method("eth_call", MethodFault::Refuse(refusal.clone()));
            if !batches {
                first.behave(|it| it.max_batch = Some((1, Refusal::rpc(-32600, "batch too large"))));
            }
            let alone = chain_of(vec![http("first", first.url())]);
            let answer = alone.view(&transfer(1)).await;
            assert!(answer.is_err(), "{refusal:?}: {answer:?}");
            let second = Node::start(&chain, NodeOptions::default());
            let evm = chain_of(vec![http("first", first.url()), http("second", second.url())]);
            let view = evm.view(&transfer(1)).await.unwrap();
            assert!(view.paused && view.wallet_blacklisted, "{refusal:?}: the other one is asked");
        }
    }
}

#[tokio::test]
async fn a_view_of_a_node_that_hangs_behind_is_not_taken_while_another_is_there() {
    let (chain, fresh) = furnished();
    let stuck = Node::start(&chain, NodeOptions::default());
    let evm = chain_of(vec![http("stuck", stuck.url()), http("fresh", fresh.url())]);
    chain.append_empty(50);
    evm.view(&transfer(1)).await.unwrap();
    stuck.behave(|it| it.lag = 50);
    assert_eq!(evm.view(&transfer(1)).await.unwrap().head.block.hash, chain.head().hash);
    assert_eq!(evm.market().await.unwrap().head.block.hash, chain.head().hash);
    assert_eq!(evm.receipts(&[]).await.unwrap().head, chain.head().number);
    fresh.die().await;
    let view = evm.view(&transfer(1)).await.unwrap();
    assert_eq!(view.head.block.number, chain.head().number - 50, "alone, it is all there is");
}

#[tokio::test]
async fn the_market_and_the_balances() {
    let (chain, node) = furnished();
    let evm = chain_of(vec![http("one", node.url())]);
    evm.head().await.unwrap();
    node.reset();
    let market = evm.market().await.unwrap();
    assert_eq!((market.base_fee, market.tip), (Wei::from_gwei(30), Wei::from_gwei(25)));
    assert_eq!(market.head.block.hash, chain.head().hash);
    let (token, native) = evm.balances(WALLET, TOKEN).await.unwrap();
    assert_eq!((token, native), (Amount::from_base_units(100), Wei::new(2_000_000_000_000_000_000)));
    assert_eq!(node.counts().http_requests, 2);
    assert!(evm.balances(WALLET, OTHER_TOKEN).await.is_err(), "no token there");
    node.fail_method("eth_getBlockByNumber", MethodFault::Answer(json!(null)));
    assert!(evm.market().await.is_err());
}

#[tokio::test]
async fn every_endpoint_tells_its_nonces() {
    let (chain, first) = furnished();
    let second = Node::start(&chain, NodeOptions::default());
    let third = Node::start(&chain, NodeOptions::default());
    let names = [http("first", first.url()), http("second", second.url()), http("third", third.url())];
    let mut settings = settings(names.to_vec());
    settings.request_timeout = Duration::from_millis(400);
    let evm = EvmChain::new(settings).unwrap();
    second.set_mute(true);
    third.behave(|it| it.chain_id = Some(1));
    let at = chain.head().number;
    let answers = evm.nonces(WALLET, Some(at)).await;
    let ids: Vec<_> = answers.iter().map(|it| (it.endpoint.0, it.name.as_str())).collect();
    assert_eq!(ids, [(0, "first"), (1, "second"), (2, "third")]);
    assert_eq!(answers[0].answer, Ok(NonceCount { latest: 3, pending: 5, at_block: Some(3) }));
    assert!(matches!(&answers[1].answer, Err(ChainError::Unavailable(text)) if text.contains("second")), "{answers:?}");
    assert!(matches!(&answers[2].answer, Err(ChainError::Contradiction(_))), "{answers:?}");
    let tags: Vec<_> = first.calls().into_iter().filter(|call| call.method == "eth_getTransactionCount").collect();
    let tags: Vec<_> = tags.iter().map(|call| call.params[1].as_str().unwrap().to_owned()).collect();
    assert_eq!(tags, [format!("{at:#x}"), "latest".to_owned(), "pending".to_owned()]);
    let without = evm.nonces(WALLET, None).await;
    assert_eq!(without[0].answer, Ok(NonceCount { latest: 3, pending: 5, at_block: None }));
}

#[tokio::test]
async fn a_transaction_mined_between_two_counts_makes_no_nonsense() {
    let (_, node) = furnished();
    let evm = chain_of(vec![http("one", node.url())]);
    // The state changes just before the last of the three is answered, to fewer that wait than were mined.
    node.before_next("eth_getTransactionCount", |chain| {
        chain.set_account(WALLET, Account { nonce: 9, ..Account::default() });
    });
    node.before_next("eth_getTransactionCount", |chain| {
        chain.set_account(WALLET, Account { nonce: 8, ..Account::default() });
    });
    node.before_next("eth_getTransactionCount", |chain| {
        chain.set_account(WALLET, Account { nonce: 7, ..Account::default() });
    });
    let answers = evm.nonces(WALLET, Some(1)).await;
    assert_eq!(answers[0].answer, Ok(NonceCount { latest: 9, pending: 9, at_block: Some(9) }));
}

#[tokio::test]
async fn receipts_come_in_order_with_a_head_that_was_read_before() {
    let (chain, node) = one_node();
    let evm = chain_of(vec![http("one", node.url())]);
    let block = chain.append(vec![
        deposit(watched(0), 7).in_tx(tx_hash(1)),
        deposit(watched(1), 8).in_tx(tx_hash(1)),
        deposit(watched(2), 9).in_tx(tx_hash(2)),
    ]);
    // What is mined after the head was read has a receipt, above that head.
    node.before_next("eth_getTransactionReceipt", |chain| {
        chain.append(deposit(watched(3), 1).in_tx(tx_hash(3)));
    });
    let hashes = [tx_hash(3), tx_hash(9), tx_hash(1), tx_hash(2)];
    let answer = evm.receipts(&hashes).await.unwrap();
    assert_eq!((answer.endpoint, answer.head), (EndpointId(0), block.number));
    let [Ok(Some(late)), Ok(None), Ok(Some(first)), Ok(Some(second))] = &answer.receipts[..] else {
        panic!("{answer:?}")
    };
    assert_eq!((late.tx_hash, late.block.number), (tx_hash(3), block.number + 1));
    assert_eq!((first.tx_hash, first.block.hash, first.succeeded), (tx_hash(1), block.hash, true));
    let told: Vec<_> = first.transfers.iter().map(|it| (it.to, it.amount.base_units(), it.log_index)).collect();
    assert_eq!(told, [(watched(0), 7, 0), (watched(1), 8, 1)]);
    assert_eq!(second.transfers.len(), 1);
    assert_eq!(evm.receipts(&[]).await.unwrap().receipts, []);
}

#[tokio::test]
async fn many_receipts_come_in_bounded_batches_or_without() {
    let (chain, node) = one_node();
    for nth in 0..50 {
        chain.append(deposit(watched(0), 1).in_tx(tx_hash(nth)));
    }
    let hashes: Vec<B256> = (0..50).map(tx_hash).collect();
    for most in [30, 1] {
        node.reset();
        node.behave(|it| it.max_batch = Some((most, Refusal::rpc(-32600, "batch too large"))));
        let evm = chain_of(vec![http("one", node.url())]);
        let answer = evm.receipts(&hashes).await.unwrap();
        let found: Vec<_> =
            answer.receipts.iter().map(|receipt| receipt.as_ref().unwrap().as_ref().unwrap().tx_hash).collect();
        assert_eq!((found, answer.head), (hashes.clone(), chain.head().number));
        assert!(most == 1 || node.counts().batches == 4, "one of them is for the chain's id and first block");
    }
}

#[tokio::test]
async fn receipts_of_another_transaction_are_not_believed() {
    let (chain, first) = one_node();
    chain.append(deposit(watched(0), 7).in_tx(tx_hash(1)));
    let other = chain.head().receipt_of(tx_hash(1));
    first.fail_method("eth_getTransactionReceipt", MethodFault::Answer(other));
    let second = Node::start(&chain, NodeOptions::default());
    let evm = chain_of(vec![http("first", first.url()), http("second", second.url())]);
    let answer = evm.receipts(&[tx_hash(2)]).await.unwrap();
    assert_eq!((answer.endpoint, &answer.receipts[..]), (EndpointId(1), &[Ok(None)][..]));
    second.fail_http(HttpFault::Html(502));
    let all = evm.receipts_everywhere(&[tx_hash(1)]).await;
    assert!(all[0].answer.is_ok() && all[1].answer.is_err(), "{all:?}");
    let all = evm.receipts_everywhere(&[tx_hash(2)]).await;
    assert!(all.iter().all(|it| it.answer.is_err()), "{all:?}");
}
