//! Heads that cannot be, chains that only have the same id, and endpoints that stand still: who says such a thing is left out,
//! once told, and nobody else suffers by it.

use super::*;

use futures_util::FutureExt as _;
use rampwatch::adapters::evm::EvmError;
use rampwatch::domain::plausibility::Plausibility;
use rampwatch::domain::time::Span;
use rampwatch::ports::chain::{ChainError, EndpointNews};
use rampwatch::ports::sender::{Sender, TransferSpec};
use serde_json::json;

use crate::support::node::{Finalized, HttpFault, MethodFault, Refusal};

/// The head of quite another network.
const FAR: u64 = 401_000_007;

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// A chain with the same beginning whose newest block is this one, and a node that serves it.
fn elsewhere(number: u64, time: u64) -> (ScriptedChain, Node) {
    let chain = ScriptedChain::starting_at(number, time);
    chain.set_token(TOKEN, Token::new("USDC", 6));
    chain.set_finalized(Finalized::Below(0));
    let node = Node::start(&chain, NodeOptions::default());
    (chain, node)
}

/// What was told of endpoints until now.
fn told(evm: &EvmChain) -> Vec<(String, EndpointNews)> {
    let next = || match evm.hint().now_or_never()? {
        Hint::Endpoint { name, news } => Some(Some((name, news))),
        _ => Some(None),
    };
    std::iter::from_fn(next).flatten().collect()
}

fn contradicts(news: &[(String, EndpointNews)], name: &str, words: &str) -> bool {
    matches!(news, [(who, EndpointNews::Contradicts { said })] if who == name && said.contains(words))
}

#[tokio::test]
async fn f3_a_head_that_cannot_be_is_not_believed_and_makes_no_honest_node_hang() {
    let (chain, honest) = one_node();
    let (_, liar) = elsewhere(FAR, now());
    let evm = chain_of(vec![http("honest", honest.url()), http("liar", liar.url())]);
    chain.set_finalized(Finalized::Below(2));
    evm.head().await.unwrap();
    // One hiccup of the first, and the second is asked.
    for _ in 0..3 {
        honest.fail_next_http(1, HttpFault::Html(502));
        let answer = evm.finality(true).await;
        assert!(matches!(answer, Err(ChainError::Unavailable(_))), "no answer, and no reason to end: {answer:?}");
        tokio::time::sleep(Duration::from_millis(60)).await;
        let report = evm.finality(true).await.unwrap();
        assert_eq!((report.endpoint, report.head.block.hash), (EndpointId(0), chain.head().hash));
        assert_eq!(report.finalized.unwrap().block.number, chain.head().number - 2);
    }
    let asked = liar.counts().calls();
    evm.view(&transfer()).await.unwrap();
    assert_eq!(liar.counts().calls(), asked, "the honest one does not hang behind what the liar showed");
    let news = told(&evm);
    assert!(contradicts(&news, "liar", "401000007"), "told once: {news:?}");
}

fn transfer() -> TransferSpec {
    let amount = rampwatch::domain::amount::Amount::ZERO;
    TransferSpec { wallet: SENDER, token: TOKEN, to: watched(0), amount }
}

#[tokio::test]
async fn f3_every_answer_with_a_head_is_judged() {
    let (chain, honest) = one_node();
    let (far, liar) = elsewhere(FAR, now());
    let ends = || vec![http("liar", liar.url()), http("honest", honest.url())];
    let number = chain.head().number;
    // Each question goes to a chain of its own, which knows the honest head already.
    for question in 0..6 {
        let evm = chain_of(ends());
        liar.fail_http(HttpFault::Html(502));
        evm.head().await.unwrap();
        liar.heal();
        tokio::time::sleep(Duration::from_millis(60)).await;
        let was = match question {
            0 => evm.head().await.unwrap().block.number,
            1 => evm.finality(true).await.unwrap().head.block.number,
            2 => evm.view(&transfer()).await.unwrap().head.block.number,
            3 => evm.market().await.unwrap().head.block.number,
            4 => evm.receipts(&[]).await.unwrap().head,
            _ => {
                let witnessed = evm.witnessed_headers(&[FAR], true, EndpointId(0)).await;
                assert!(witnessed.is_err(), "{witnessed:?}");
                let page = evm.transfers(&query(FAR, FAR, everybody(1))).await;
                assert!(page.is_err(), "no reading to a head that cannot be: {page:?}");
                let everywhere = evm.receipts_everywhere(&[]).await;
                assert!(everywhere[0].answer.is_err() && everywhere[1].answer.is_ok(), "{everywhere:?}");
                number
            }
        };
        assert_eq!(was, number, "question {question}");
        let news = told(&evm);
        assert!(contradicts(&news, "liar", &far.head().number.to_string()), "question {question}: {news:?}");
    }
}

#[tokio::test]
async fn f18_a_head_dated_in_the_future_is_not_believed_even_as_the_first() {
    let (chain, honest) = one_node();
    let (_, liar) = elsewhere(1_000_001, now() + 86_400);
    let evm = chain_of(vec![http("liar", liar.url()), http("honest", honest.url())]);
    assert_eq!(evm.view(&transfer()).await.unwrap().head.block.hash, chain.head().hash);
    let news = told(&evm);
    assert!(contradicts(&news, "liar", "after our clock"), "{news:?}");
}

#[tokio::test]
async fn f3_one_wrong_answer_of_the_only_endpoint_is_passed_over() {
    let (chain, node) = one_node();
    let evm = chain_of(vec![http("one", node.url())]);
    evm.head().await.unwrap();
    let far = ScriptedChain::starting_at(FAR, now()).head();
    node.fail_method("eth_getBlockByNumber", MethodFault::Answer(json!(far.header)));
    let answer = evm.finality(true).await;
    assert!(matches!(answer, Err(ChainError::Unavailable(_))), "it is no reason to end: {answer:?}");
    node.heal();
    let is_back = async || evm.head().await.is_ok_and(|head| head.block.hash == chain.head().hash);
    crate::support::eventually(SOON, "it is believed again", is_back).await;
}

#[tokio::test]
async fn f3_a_test_chain_may_jump_go_back_and_be_old() {
    let (chain, node) = one_node();
    let evm = chain_of(vec![http("one", node.url())]);
    for blocks in [1, 5_000, 0, 4_000] {
        chain.append_empty(blocks);
        assert_eq!(evm.head().await.unwrap().block.hash, chain.head().hash);
    }
    chain.reorg(9_000, vec![Vec::new().into()]);
    assert_eq!(evm.head().await.unwrap().block.hash, chain.head().hash, "taken back");
    assert_eq!(told(&evm), []);
}

#[tokio::test]
async fn f3_a_pushed_head_that_cannot_be_is_no_hint() {
    let (_, honest) = one_node();
    let (far, liar) = elsewhere(FAR, now());
    let evm = chain_of(vec![ws("liar", liar.ws_url()), both("honest", &honest)]);
    liar.fail_method("eth_getBlockByNumber", MethodFault::Refuse(Refusal::rpc(-32000, "busy")));
    evm.head().await.unwrap();
    liar.heal();
    evm.watch(set(everybody(1)));
    hints_until(&evm, "live", |hint| *hint == Hint::Live).await;
    far.append_empty(1);
    let seen = hints_until(&evm, "the contradiction", |hint| matches!(hint, Hint::Endpoint { .. })).await;
    assert!(!seen.iter().any(|hint| matches!(hint, Hint::Head(_))), "{seen:?}");
    hints_until(&evm, "the honest one", |hint| *hint == Hint::Live).await;
}

#[tokio::test]
async fn f3_a_chain_with_the_same_id_and_another_beginning_is_shut_out() {
    for batches in [true, false] {
        let (chain, honest) = one_node();
        let (second, other) =
            (Node::start(&chain, NodeOptions::default()), Node::start(&chain, NodeOptions::default()));
        other.behave(|it| it.other_beginning = true);
        if !batches {
            let single = Some((1, Refusal::rpc(-32600, "batch too large")));
            other.behave(|it| it.max_batch = single.clone());
            honest.behave(|it| it.max_batch = single);
        }
        let ends = vec![http("other", other.url()), http("honest", honest.url()), http("second", second.url())];
        let evm = chain_of(ends);
        let reports = evm.check().await.unwrap();
        let wrong: Vec<_> = reports.iter().filter(|it| it.contradicts).map(|it| it.endpoint.as_str()).collect();
        assert_eq!(wrong, ["other"], "what most say counts, whoever comes first: {reports:?}");
        assert!(matches!(evm.other_chain(&reports), Some(EvmError::OtherChain { .. })));
        assert_eq!(evm.finality(false).await.unwrap().endpoint, EndpointId(1));
        let news = told(&evm);
        assert!(contradicts(&news, "other", "its block 0 is"), "{news:?}");
    }
}

#[tokio::test]
async fn f3_an_endpoint_that_changes_its_beginning_is_told_and_one_that_has_forgotten_it_is_not() {
    let (chain, node) = one_node();
    let pruned = Node::start(&chain, NodeOptions::default());
    pruned.behave(|it| it.pruned_below = 900_000);
    let evm = chain_of(vec![http("pruned", pruned.url()), http("one", node.url())]);
    evm.check().await.unwrap();
    assert_eq!(evm.finality(false).await.unwrap().endpoint, EndpointId(0));
    // Another node comes to be behind the URL.
    pruned.heal();
    pruned.behave(|it| it.other_beginning = true);
    pruned.fail_next_http(1, HttpFault::Html(502));
    evm.head().await.unwrap();
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(evm.finality(false).await.unwrap().endpoint, EndpointId(1));
    let news = told(&evm);
    assert!(contradicts(&news, "pruned", "its block 0 is"), "{news:?}");
}

#[tokio::test]
async fn f19_an_endpoint_of_another_chain_is_shut_out_and_the_start_goes_on() {
    let (chain, node) = one_node();
    let wrong = Node::start(&chain, NodeOptions::default());
    wrong.behave(|it| it.chain_id = Some(80_002));
    let (_, gone) = one_node();
    gone.refuse_connections().await;
    for endpoint in [http("wrong", wrong.url()), ws("wrong", wrong.ws_url())] {
        let evm = chain_of(vec![http("right", node.url()), endpoint.clone()]);
        let reports = evm.check().await.unwrap();
        let expected = EvmError::ChainId { endpoint: "wrong".to_owned(), expected: 137, said: 80_002 };
        assert_eq!(evm.other_chain(&reports), Some(expected.clone()), "it can be named all the same");
        let news = told(&evm);
        assert!(contradicts(&news, "wrong", "80002"), "{news:?}");
        evm.head().await.unwrap();
        let evm = chain_of(vec![endpoint.clone()]);
        assert_eq!(evm.check().await.unwrap_err(), expected, "none is right");
        let evm = chain_of(vec![endpoint, http("gone", gone.url())]);
        let error = evm.check().await.unwrap_err();
        assert!(matches!(&error, EvmError::Unreachable(text) if text.contains("80002")), "the other may come: {error}");
    }
}

#[tokio::test]
async fn an_endpoint_that_stands_still_has_no_say_and_that_is_told_with_its_end() {
    let (chain, fresh) = one_node();
    chain.append_empty(100);
    chain.set_finalized(Finalized::Below(2));
    let stuck_chain = chain.fork();
    let stuck = Node::start(&stuck_chain, NodeOptions::default());
    let rules = Plausibility { stall_after: Span::from_millis(200), ..Plausibility::default() };
    let ends = vec![http("stuck", stuck.url()), http("fresh", fresh.url())];
    let evm = EvmChain::with_rules(settings(ends), rules).unwrap();
    assert_eq!(evm.finality(true).await.unwrap().endpoint, EndpointId(0));
    chain.append_empty(50);
    // Nobody has shown the better head yet: it is looked for because the first stands still.
    let found = async || evm.finality(true).await.unwrap().endpoint == EndpointId(1);
    crate::support::eventually(SOON, "the other is asked", found).await;
    let mut news = Vec::new();
    while news.is_empty() {
        chain.append_empty(1);
        evm.finality(true).await.unwrap();
        news.extend(told(&evm));
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert!(matches!(&news[..], [(who, EndpointNews::Stalls { .. })] if who == "stuck"), "{news:?}");
    chain.append_empty(1);
    let asked = stuck.counts().calls();
    evm.finality(true).await.unwrap();
    assert_eq!(stuck.counts().calls(), asked, "it is asked last");
    fresh.fail_http(HttpFault::Html(502));
    let alone = evm.finality(true).await.unwrap();
    assert_eq!((alone.endpoint, alone.finalized), (EndpointId(0), None), "what it calls final does not count");
    stuck_chain.append_empty(1_000);
    let report = evm.finality(true).await.unwrap();
    assert!(report.finalized.is_some() || evm.finality(true).await.unwrap().finalized.is_some());
    assert!(told(&evm).contains(&("stuck".to_owned(), EndpointNews::Back)));
}
