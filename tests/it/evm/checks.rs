//! What is verified at start: settings, chain ids, decimals. And that no key is seen.

use super::*;

use rampwatch::adapters::evm::EvmError;
use rampwatch::domain::operator::Operator;
use rampwatch::ports::chain::ChainError;

use crate::support::node::{HttpFault, MethodFault, Refusal};

#[tokio::test]
async fn settings_that_make_no_sense() {
    let refused = |change: &dyn Fn(&mut EvmSettings)| {
        let mut settings = settings(vec![http("one", "http://127.0.0.1:1/".to_owned())]);
        change(&mut settings);
        EvmChain::new(settings).unwrap_err().to_string()
    };
    assert!(refused(&|it| it.endpoints.clear()).contains("rpc.endpoints"));
    assert!(refused(&|it| it.endpoints[0].http = None).contains("\"one\" has neither http nor ws"));
    for bad in ["secret-secret-secret", "ws://host/secret-secret-secret", "http://"] {
        let error = refused(&|it| it.endpoints[0].http = Some(bad.to_owned().into()));
        assert!(error.contains("http URL of \"one\"") && !error.contains("secret"), "{bad}: {error}");
    }
    assert!(refused(&|it| it.endpoints[0].ws = Some("http://host/".to_owned().into())).contains("ws:// or wss://"));
    assert!(refused(&|it| it.max_block_range = 0).contains("rpc.max_block_range must be at least 1"));
    assert!(refused(&|it| it.max_addresses = 0).contains("rpc.max_addresses"));
    assert!(refused(&|it| it.max_in_flight = 0).contains("rpc.max_in_flight"));
    assert!(refused(&|it| it.request_timeout = Duration::ZERO).contains("rpc.request_timeout"));
}

#[tokio::test]
async fn the_chain_and_the_token_are_as_configured() {
    let (chain, node) = one_node();
    let evm = chain_of(vec![both("one", &node)]);
    assert!(evm.check().await.unwrap().iter().all(|report| report.problem.is_none()));
    assert_eq!(node.counts().of("eth_chainId"), 2, "each URL is asked");
    chain.set_token(TOKEN, Token::new("USDC", 18));
    let error = evm.check().await.unwrap_err();
    let setting = || "chain.token".to_owned();
    assert_eq!(error, EvmError::Decimals { setting: setting(), token: TOKEN, expected: 6, said: "18".to_owned() });
    let text = error.to_string();
    assert!(text.starts_with("chain.token.decimals is 6") && text.contains(&TOKEN.to_string()), "{text}");
    assert!(text.contains("18"), "{text}");
    node.fail_method("eth_call", MethodFault::Answer(serde_json::json!("0x")));
    let error = evm.check().await.unwrap_err();
    assert!(matches!(error, EvmError::NotAToken { .. }), "no contract there: {error}");
    assert!(error.to_string().starts_with("chain.token.address is"), "{error}");
    node.fail_method("eth_call", MethodFault::Refuse(Refusal::rpc(3, "execution reverted")));
    assert!(matches!(evm.check().await, Err(EvmError::NotAToken { .. })), "a contract without decimals");
}

#[tokio::test]
async fn f19_what_one_endpoint_says_of_a_token_is_no_fault_of_the_configuration_while_another_is_silent() {
    let (chain, here) = one_node();
    chain.set_token(TOKEN, Token::new("USDC", 18));
    let (_, gone) = one_node();
    gone.refuse_connections().await;
    let evm = chain_of(vec![http("here", here.url()), http("gone", gone.url())]);
    let error = evm.check().await.unwrap_err();
    assert!(matches!(&error, EvmError::Unreachable(text) if text.contains("18")), "the other may know better: {error}");
    let (_, right) = one_node();
    let evm = chain_of(vec![http("here", here.url()), http("right", right.url())]);
    evm.check().await.unwrap();
    let evm = chain_of(vec![http("here", here.url()), http("again", here.url())]);
    assert!(matches!(evm.check().await, Err(EvmError::Decimals { .. })), "all say so");
}

#[tokio::test]
async fn one_reachable_endpoint_is_enough_at_start_and_none_is_not() {
    let (_, node) = one_node();
    let (_, gone) = one_node();
    gone.refuse_connections().await;
    let evm = chain_of(vec![both("gone", &gone), http("here", node.url())]);
    let reports = evm.check().await.unwrap();
    let told: Vec<_> = reports.iter().map(|it| (it.endpoint.as_str(), it.side, it.problem.is_none())).collect();
    assert_eq!(told, [("gone", "http", false), ("gone", "ws", false), ("here", "http", true)]);
    node.fail_http(HttpFault::Html(502));
    let EvmError::Unreachable(text) = evm.check().await.unwrap_err() else { panic!("another error") };
    assert!(text.contains("\"gone\"") && text.contains("\"here\"") && text.contains("502"), "{text}");
}

#[tokio::test]
async fn a_contradicting_endpoint_is_never_used() {
    let (chain, wrong) = one_node();
    wrong.behave(|it| it.chain_id = Some(1));
    let evm = chain_of(vec![http("wrong", wrong.url())]);
    for _ in 0..2 {
        let Err(ChainError::Contradiction(text)) = evm.head().await else { panic!("it was used") };
        assert!(text.contains("\"wrong\"") && text.contains("chain 1"), "{text}");
    }
    let right = Node::start(&chain, NodeOptions::default());
    let evm = chain_of(vec![http("wrong", wrong.url()), http("right", right.url())]);
    for _ in 0..3 {
        evm.head().await.unwrap();
    }
    assert_eq!(evm.transfers(&query(5, 6, everybody(1))).await.unwrap().endpoint, EndpointId(1));
    let (asked, of_identity) = (wrong.counts().calls(), wrong.counts().of("eth_chainId") * 2);
    assert_eq!(of_identity, asked, "it was asked for nothing but its chain's id and first block");
}

#[tokio::test]
async fn the_chain_is_asked_for_again_after_a_failure() {
    let (_, node) = one_node();
    let evm = chain_of(vec![http("one", node.url())]);
    evm.head().await.unwrap();
    node.fail_next_http(1, HttpFault::Html(502));
    evm.head().await.unwrap_err();
    node.behave(|it| it.chain_id = Some(5));
    assert!(matches!(evm.head().await, Err(ChainError::Contradiction(_))), "another node is behind the URL now");
    node.heal();
    crate::support::eventually(SOON, "it is used again", async || evm.head().await.is_ok()).await;
}

#[tokio::test]
async fn keys_are_not_seen() {
    let (_, node) = one_node();
    node.refuse_connections().await;
    let key = "0123456789abcdef-my-key";
    let url = |scheme: &str, base: String| {
        let rest = base.split_once("://").unwrap().1.to_owned();
        format!("{scheme}://user:{key}@{rest}v2/{key}?k={key}")
    };
    let endpoint = EndpointSettings {
        name: "one".to_owned(),
        operator: Operator::named("one"),
        http: Some(url("http", node.url()).into()),
        ws: Some(url("ws", node.url()).into()),
    };
    let evm = chain_of(vec![endpoint.clone()]);
    evm.watch(set(everybody(1)));
    let mut texts = vec![format!("{evm:?} {endpoint:?}"), format!("{:?}", next_hint(&evm).await)];
    texts.push(format!("{:?}", evm.head().await.unwrap_err()));
    texts.push(evm.check().await.unwrap_err().to_string());
    node.accept_connections();
    node.fail_http(HttpFault::EveryCall(Refusal::rpc(
        -32000,
        &format!("bad key {key} for https://x.example/v2/{key}"),
    )));
    for _ in 0..3 {
        texts.push(evm.head().await.unwrap_err().to_string());
    }
    assert!(texts.last().unwrap().contains("bad key"), "{texts:?}");
    assert!(texts.iter().all(|text| !text.contains("my-key")), "{texts:?}");
}
