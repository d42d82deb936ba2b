//! The subscription's supervision: it dies, freezes, falls silent, is refused, and comes back.

use super::*;

use crate::closed_loop::rig::Ticker;
use crate::support::eventually;
use crate::support::node::Refusal;

fn watching(endpoints: Vec<EndpointSettings>, silence: u64) -> EvmChain {
    let mut settings = settings(endpoints);
    settings.silence_timeout = Duration::from_millis(silence);
    settings.request_timeout = Duration::from_millis(1_000);
    settings.connect_timeout = Duration::from_millis(1_000);
    let evm = EvmChain::new(settings).unwrap();
    evm.watch(set(everybody(2)));
    evm
}

async fn transfer_is_told(chain: &ScriptedChain, evm: &EvmChain) {
    let block = chain.append(deposit(watched(0), 1)).number;
    hints_until(evm, "the transfer", |hint| *hint == Hint::Transfer { block }).await;
}

/// Waits until the subscription works again after it was said not to, which its first head says: the chain grows.
async fn grows_until_live(chain: &ScriptedChain, evm: &EvmChain) -> Vec<Hint> {
    let _ticker = Ticker::start(chain, Duration::from_millis(50));
    hints_until(evm, "live", |hint| *hint == Hint::Live).await
}

/// Waits until the subscription is made anew, and checks that the gap was told.
async fn comes_back(chain: &ScriptedChain, evm: &EvmChain) -> Vec<Hint> {
    let seen = grows_until_live(chain, evm).await;
    let gaps: Vec<&Hint> = seen.iter().filter(|hint| is_gap(hint)).collect();
    assert!(gaps.len() >= 2, "the loss and the new beginning: {seen:?}");
    assert!(is_gap(&seen[seen.len() - 2]), "the gap ends where the subscription works: {seen:?}");
    seen
}

#[tokio::test]
async fn a_cut_connection_is_made_anew() {
    let (chain, node) = one_node();
    let evm = watching(vec![both("one", &node)], 60_000);
    assert_eq!(next_hint(&evm).await, Hint::Live);
    for _ in 0..3 {
        node.drop_websockets();
        comes_back(&chain, &evm).await;
        transfer_is_told(&chain, &evm).await;
    }
    assert_eq!(node.counts().of("eth_getLogs"), 0, "the hints ask for nothing themselves");
}

#[tokio::test]
async fn a_frozen_connection_is_noticed_and_replaced() {
    let (chain, node) = one_node();
    let evm = watching(vec![both("one", &node)], 300);
    assert_eq!(next_hint(&evm).await, Hint::Live);
    node.behave(|it| it.ws.frozen = true);
    let seen = hints_until(&evm, "the gap", is_gap).await;
    assert!(format!("{seen:?}").contains("no new head"), "{seen:?}");
    hints_until(&evm, "down", is_down).await;
    chain.append(deposit(watched(0), 1));
    node.heal();
    let seen = grows_until_live(&chain, &evm).await;
    assert!(is_gap(&seen[seen.len() - 2]), "{seen:?}");
    transfer_is_told(&chain, &evm).await;
}

#[tokio::test]
async fn silence_is_noticed_though_calls_are_answered() {
    let (chain, node) = one_node();
    let other = Node::start(&chain, NodeOptions::default());
    let evm = watching(vec![both("silent", &node), both("other", &other)], 400);
    assert_eq!(next_hint(&evm).await, Hint::Live);
    node.behave(|it| it.ws.drop_pushes = true);
    comes_back(&chain, &evm).await;
    assert_eq!(node.counts().ws_connections, 1, "the other endpoint has it now");
    transfer_is_told(&chain, &evm).await;
}

#[tokio::test]
async fn heads_keep_the_watchdog_quiet() {
    let (chain, node) = one_node();
    let evm = watching(vec![both("one", &node)], 600);
    assert_eq!(next_hint(&evm).await, Hint::Live);
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        chain.append_empty(1);
        assert!(matches!(next_hint(&evm).await, Hint::Head(_)));
    }
}

#[tokio::test]
async fn a_refused_resubscription_is_said_once_and_tried_on() {
    let (chain, node) = one_node();
    let evm = watching(vec![both("one", &node)], 60_000);
    assert_eq!(next_hint(&evm).await, Hint::Live);
    node.behave(|it| it.ws.refuse_subscribe = Some(Refusal::rpc(-32000, "too many subscriptions")));
    node.drop_websockets();
    let tried = node.clone();
    eventually(SOON, "several tries", async || tried.counts().ws_connections > 4).await;
    let seen = {
        let mut seen = Vec::new();
        while let Ok(hint) = tokio::time::timeout(A_WHILE, evm.hint()).await {
            seen.push(hint);
        }
        seen
    };
    assert_eq!(seen.iter().filter(|hint| is_down(hint)).count(), 1, "{seen:?}");
    assert!(!seen.contains(&Hint::Live), "{seen:?}");
    node.heal();
    let seen = grows_until_live(&chain, &evm).await;
    assert!(is_gap(&seen[seen.len() - 2]), "{seen:?}");
    transfer_is_told(&chain, &evm).await;
}

/// alloy-rs/alloy#3948 and its neighbours: what a provider sends that no client reads is named, and no hints are said to come.
#[tokio::test]
async fn a_connection_that_cannot_be_read_is_named_once_and_not_said_to_work() {
    let greeting = Some(r#"{"status":"connected"}"#.to_owned());
    for (binary_pushes, greeting, words) in [(true, None, "binary frames"), (false, greeting, "is no JSON-RPC")] {
        let (chain, node) = one_node();
        node.behave(|it| (it.ws.binary_pushes, it.ws.greeting) = (binary_pushes, greeting));
        let evm = watching(vec![both("one", &node)], 60_000);
        let mut seen = Vec::new();
        let end = tokio::time::Instant::now() + SOON;
        while node.counts().ws_connections < 5 {
            assert!(tokio::time::Instant::now() < end, "it is not tried again: {seen:?}");
            chain.append_empty(1);
            while let Ok(hint) = tokio::time::timeout(Duration::from_millis(50), evm.hint()).await {
                seen.push(hint);
            }
        }
        let downs: Vec<&Hint> = seen.iter().filter(|hint| is_down(hint)).collect();
        let text = format!("{downs:?}");
        assert!(downs.len() == 1 && text.contains(words), "{text}");
        let last = seen.iter().rposition(|hint| *hint == Hint::Live);
        assert!(last.is_none_or(|at| at == 0), "not said to work again: {seen:?}");
        node.heal();
        grows_until_live(&chain, &evm).await;
        transfer_is_told(&chain, &evm).await;
    }
}

#[tokio::test]
async fn handshakes_that_hang_or_are_refused_end_at_the_next_endpoint() {
    let (chain, good) = one_node();
    let (hanging, refusing, dead, wrong) = (
        Node::start(&chain, NodeOptions::default()),
        Node::start(&chain, NodeOptions::default()),
        Node::start(&chain, NodeOptions::default()),
        Node::start(&chain, NodeOptions::default()),
    );
    hanging.behave(|it| it.ws.hang_upgrade = true);
    refusing.behave(|it| it.ws.refuse_upgrade = Some(403));
    dead.refuse_connections().await;
    wrong.behave(|it| it.chain_id = Some(1));
    let all = [("hanging", &hanging), ("refusing", &refusing), ("dead", &dead), ("wrong", &wrong), ("good", &good)];
    let evm = watching(all.iter().map(|(name, node)| ws(name, node.ws_url())).collect(), 60_000);
    let seen = hints_until(&evm, "live", |hint| *hint == Hint::Live).await;
    assert!(!seen.iter().any(is_gap), "without a gap: it is the first subscription: {seen:?}");
    transfer_is_told(&chain, &evm).await;
    assert_eq!(wrong.counts().of("eth_subscribe"), 0, "not on another chain");
}

#[tokio::test]
async fn a_secure_url_without_tls_behind_it_is_a_failure_and_no_crash() {
    let (chain, node) = one_node();
    let secure = node.ws_url().replace("ws://", "wss://");
    let evm = watching(vec![ws("secure", secure), both("plain", &node)], 60_000);
    assert_eq!(next_hint(&evm).await, Hint::Live);
    transfer_is_told(&chain, &evm).await;
}

#[tokio::test]
async fn nobody_to_subscribe_at_is_said_once() {
    let (_, node) = one_node();
    let evm = watching(vec![http("one", node.url())], 60_000);
    assert!(is_down(&next_hint(&evm).await));
    evm.watch(set(everybody(5)));
    assert!(tokio::time::timeout(A_WHILE, evm.hint()).await.is_err());
    let (scripted, gone) = one_node();
    gone.refuse_connections().await;
    let evm = watching(vec![ws("gone", gone.ws_url())], 60_000);
    assert!(is_down(&next_hint(&evm).await));
    assert!(tokio::time::timeout(A_WHILE, evm.hint()).await.is_err());
    gone.accept_connections();
    grows_until_live(&scripted, &evm).await;
}

#[tokio::test]
async fn a_set_that_changes_while_nothing_works_is_the_one_subscribed_later() {
    let (chain, node) = one_node();
    node.refuse_connections().await;
    let evm = watching(vec![both("one", &node)], 60_000);
    assert!(is_down(&next_hint(&evm).await));
    evm.watch(set(everybody(9)));
    node.accept_connections();
    grows_until_live(&chain, &evm).await;
    let block = chain.append(deposit(watched(8), 1)).number;
    hints_until(&evm, "the transfer", |hint| *hint == Hint::Transfer { block }).await;
}

#[tokio::test]
async fn with_too_many_recipients_only_heads_are_told() {
    let (chain, node) = one_node();
    let mut settings = settings(vec![both("one", &node)]);
    settings.silence_timeout = Duration::from_secs(60);
    let evm = EvmChain::new(settings).unwrap();
    evm.watch(WatchSet { heads_only: true, ..set(everybody(200)) });
    assert_eq!(next_hint(&evm).await, Hint::Live);
    assert_eq!(node.counts().of("eth_subscribe"), 1, "the heads are one subscription, and there is no other");
    let block = chain.append(deposit(watched(0), 1)).number;
    let seen =
        hints_until(&evm, "its head", |hint| matches!(hint, Hint::Head(head) if head.block.number == block)).await;
    assert!(!seen.iter().any(|hint| matches!(hint, Hint::Transfer { .. })), "{seen:?}");
    // With fewer again, transfers are told of.
    evm.watch(set(everybody(2)));
    hints_until(&evm, "the new filter", |hint| *hint == Hint::Live).await;
    transfer_is_told(&chain, &evm).await;
}
