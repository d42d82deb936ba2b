//! Giving transactions to nodes, and what is made of their answers.

use super::*;

use alloy::primitives::U256;
use rampwatch::domain::amount::Amount;
use rampwatch::domain::order::Fees;
use rampwatch::domain::wei::Wei;
use rampwatch::ports::sender::{EndpointAnswer, SendAnswer, Sender, SignedTx, TransferSpec, TxAction, TxSpec};

use crate::support::key::Key;
use crate::support::node::{Account, HttpFault, MethodFault, Refusal};

const SEND: &str = "eth_sendRawTransaction";

/// A transfer at this nonce.
fn signed(evm: &EvmChain, nonce: u64) -> SignedTx {
    let key = Key::of(7);
    let amount = Amount::from_base_units(25_000_000);
    let transfer = TransferSpec { wallet: key.address(), token: TOKEN, to: watched(0), amount };
    let fees = Fees { cap: Wei::from_gwei(90), tip: Wei::from_gwei(30) };
    let spec = TxSpec { chain_id: 137, nonce, fees, gas_limit: 80_000, action: TxAction::Transfer(transfer) };
    key.signed(evm, &spec)
}

/// Two nodes of one chain, and both behind one adapter that gives up soon.
fn two() -> (ScriptedChain, Node, Node, EvmChain) {
    let (chain, first) = one_node();
    let second = Node::start(&chain, NodeOptions::default());
    let mut settings = settings(vec![http("first", first.url()), http("second", second.url())]);
    settings.request_timeout = Duration::from_millis(400);
    settings.connect_timeout = Duration::from_millis(400);
    (chain, first, second, EvmChain::new(settings).unwrap())
}

fn names(answers: &[EndpointAnswer<SendAnswer>]) -> Vec<(usize, &str, String)> {
    let kind = |answer: &SendAnswer| format!("{answer:?}").split('(').next().unwrap().to_owned();
    answers.iter().map(|it| (it.endpoint.0, it.name.as_str(), kind(&it.answer))).collect()
}

fn text(answer: &SendAnswer) -> &str {
    match answer {
        SendAnswer::Unclear(text)
        | SendAnswer::NotReached(text)
        | SendAnswer::Refused(text)
        | SendAnswer::FeeTooLow(text) => text,
        other => panic!("{other:?} has no text"),
    }
}

#[tokio::test]
async fn every_endpoint_gets_the_bytes_once_and_is_asked_for_its_chain_first() {
    let (chain, first, second, evm) = two();
    let tx = signed(&evm, 0);
    let answers = evm.send(&tx).await;
    // Both serve one chain, so that the later of the two has it already.
    let mut kinds: Vec<String> = names(&answers).into_iter().map(|(_, _, kind)| kind).collect();
    kinds.sort();
    assert_eq!(kinds, ["Accepted", "AlreadyKnown"]);
    assert_eq!(chain.taken(), [tx.hash]);
    for node in [&first, &second] {
        let methods: Vec<String> = node.calls().into_iter().map(|call| call.method).collect();
        assert_eq!(methods, ["eth_chainId", "eth_getBlockByNumber", SEND]);
        assert_eq!(node.calls()[2].params, serde_json::json!([tx.raw.0]));
    }
    let again = evm.send(&tx).await;
    assert_eq!(names(&again), [(0, "first", "AlreadyKnown".to_owned()), (1, "second", "AlreadyKnown".to_owned())]);
    chain.set_account(Key::of(7).address(), Account { nonce: 5, ..Account::default() });
    let late = evm.send(&signed(&evm, 4)).await;
    assert!(late.iter().all(|it| it.answer == SendAnswer::NonceTooLow), "{late:?}");
}

#[tokio::test]
async fn one_endpoint_that_fails_does_not_hold_up_the_other() {
    let cases = [
        (HttpFault::Hang, "Unclear"),
        (HttpFault::Cut, "Unclear"),
        (HttpFault::Html(500), "Unclear"),
        (HttpFault::Html(502), "Unclear"),
        (HttpFault::Html(504), "Unclear"),
        (HttpFault::Garbage("{\"jsonrpc\":\"2.0\",\"id\":0}".to_owned()), "Unclear"),
        (HttpFault::Garbage("<html>".to_owned()), "Unclear"),
        (HttpFault::Garbage(String::new()), "Unclear"),
        (HttpFault::RateLimited { retry_after: Some(100) }, "NotReached"),
        (HttpFault::QuotaGone, "NotReached"),
        (HttpFault::Html(401), "NotReached"),
        (HttpFault::Html(403), "NotReached"),
        (HttpFault::Html(429), "NotReached"),
        (HttpFault::EveryCall(Refusal::rpc(-32603, "Internal error")), "Unclear"),
        (HttpFault::EveryCall(Refusal::rpc(-32000, "insufficient funds for gas * price + value")), "InsufficientFunds"),
        (HttpFault::EveryCall(Refusal::rpc(-32000, "something is wrong")), "Refused"),
    ];
    for (fault, expected) in cases {
        let (chain, first, _second, evm) = two();
        evm.head().await.unwrap();
        let tx = signed(&evm, 0);
        first.fail_http(fault.clone());
        let answers = tokio::time::timeout(SOON, evm.send(&tx)).await.expect("within the timeouts");
        // The one that cuts the answer has taken the transaction before, perhaps before the other.
        let other = &answers[1].answer;
        assert!(matches!(other, SendAnswer::Accepted | SendAnswer::AlreadyKnown), "{fault:?}: {other:?}");
        assert_eq!(names(&answers)[0], (0, "first", expected.to_owned()), "{fault:?}: {answers:?}");
        assert_eq!(chain.taken(), [tx.hash], "{fault:?}");
    }
}

#[tokio::test]
async fn an_endpoint_that_nobody_can_connect_to_was_not_reached() {
    let (chain, first, _second, evm) = two();
    first.refuse_connections().await;
    let tx = signed(&evm, 0);
    let answers = evm.send(&tx).await;
    assert_eq!(names(&answers)[0].2, "NotReached", "{answers:?}");
    assert_eq!(chain.taken(), [tx.hash]);
    first.accept_connections();
    let answers = evm.send(&tx).await;
    assert_eq!(names(&answers)[0].2, "AlreadyKnown", "a resting endpoint is given it too: {answers:?}");
    // From here on it is known which chain it is on, and the send itself is refused a connection.
    first.refuse_connections().await;
    let answers = evm.send(&tx).await;
    assert_eq!(names(&answers)[0].2, "NotReached", "{answers:?}");
}

#[tokio::test]
async fn an_endpoint_on_another_chain_never_gets_it() {
    let (chain, first, second, evm) = two();
    first.behave(|it| it.chain_id = Some(1));
    let answers = evm.send(&signed(&evm, 0)).await;
    assert_eq!(names(&answers)[0].2, "NotReached");
    assert!(text(&answers[0].answer).contains("chain 1"), "{answers:?}");
    assert_eq!((first.counts().of(SEND), second.counts().of(SEND), chain.taken().len()), (0, 1, 1));
}

#[tokio::test]
async fn another_hash_than_ours_is_no_answer() {
    let (_chain, first, _second, evm) = two();
    first.fail_method(SEND, MethodFault::Answer(serde_json::json!(B256::ZERO)));
    let answers = evm.send(&signed(&evm, 0)).await;
    assert!(text(&answers[0].answer).contains("another transaction"), "{answers:?}");
    assert_eq!(names(&answers)[0].2, "Unclear");
}

#[tokio::test]
async fn a_key_in_the_url_is_in_no_answer() {
    let (_, node) = one_node();
    let secret = "0123456789abcdefsecret";
    let evm = chain_of(vec![http("one", format!("{}v2/{secret}", node.url()))]);
    let words = format!("bad key {secret} at {}v2/{secret}", node.url());
    for fault in [HttpFault::EveryCall(Refusal::rpc(-32000, &words)), HttpFault::Garbage(words.clone())] {
        evm.head().await.unwrap();
        node.fail_next_http(1, fault);
        let answers = evm.send(&signed(&evm, 0)).await;
        let text = text(&answers[0].answer);
        assert!(!text.contains(secret) && !text.contains("v2/"), "{text}");
    }
}

#[tokio::test]
async fn over_a_websocket_alone() {
    let (chain, node) = one_node();
    let mut settings = settings(vec![ws("one", node.ws_url())]);
    settings.request_timeout = Duration::from_millis(400);
    let evm = EvmChain::new(settings).unwrap();
    let tx = signed(&evm, 0);
    assert_eq!(names(&evm.send(&tx).await)[0].2, "Accepted");
    assert_eq!(names(&evm.send(&tx).await)[0].2, "AlreadyKnown");
    // A connection that ended while nobody asked is made anew.
    node.drop_websockets();
    crate::support::eventually(SOON, "it is cut", async || node.open_websockets() == 0).await;
    assert_eq!(names(&evm.send(&tx).await)[0].2, "AlreadyKnown");
    node.fail_method(SEND, MethodFault::Hang);
    let next = signed(&evm, 1);
    assert_eq!(names(&evm.send(&next).await)[0].2, "Unclear");
    node.heal();
    assert_eq!(names(&evm.send(&next).await)[0].2, "Accepted");
    node.die().await;
    let answers = evm.send(&next).await;
    assert!(matches!(answers[0].answer, SendAnswer::Unclear(_) | SendAnswer::NotReached(_)), "{answers:?}");
    let answers = evm.send(&next).await;
    assert_eq!(names(&answers)[0].2, "NotReached", "{answers:?}");
    assert_eq!(chain.taken(), [tx.hash, next.hash]);
}

#[tokio::test]
async fn a_refused_transaction_is_nothing_against_the_endpoint() {
    let (chain, node) = one_node();
    let evm = chain_of(vec![http("one", node.url())]);
    chain.set_account(Key::of(7).address(), Account { nonce: 5, balance: U256::ZERO, waiting: 0 });
    evm.send(&signed(&evm, 0)).await;
    node.reset();
    evm.head().await.unwrap();
    assert_eq!(node.counts().calls(), 1, "it does not rest, and its chain is not doubted");
}
