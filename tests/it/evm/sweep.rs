//! The sweep's question: complete or an error, in pieces that the provider takes.

use super::*;

use std::collections::BTreeSet;

use rampwatch::ports::chain::{ChainError, TransferPage};
use serde_json::json;

use crate::support::node::{
    BlockSpec, Call, Finalized, MethodFault, Order, Refusal, TRANSFER, USDC_E, Unit, provider_errors,
};

/// A deposit to each of so many addresses, one a block.
fn deposits(chain: &ScriptedChain, count: u64) -> (u64, u64) {
    let from = chain.head().number + 1;
    for nth in 0..count {
        chain.append(deposit(watched(nth), u128::from(nth) + 1));
    }
    (from, chain.head().number)
}

fn amounts(page: &TransferPage) -> Vec<u128> {
    page.transfers.iter().map(|transfer| transfer.amount.base_units()).collect()
}

#[tokio::test]
async fn one_batch_answers_and_anchors() {
    let (chain, node) = one_node();
    let (from, to) = deposits(&chain, 5);
    let evm = chain_of(vec![http("one", node.url())]);
    let page = evm.transfers(&query(from, to, everybody(5))).await.unwrap();
    assert_eq!(amounts(&page), [1, 2, 3, 4, 5]);
    assert_eq!((page.anchor.block.number, page.anchor.block.hash), (to, chain.head().hash));
    assert_eq!((page.endpoint, page.malformed.len()), (EndpointId(0), 0));
    let first = page.transfers[0];
    let log = &chain.block(from).unwrap().logs[0];
    assert_eq!((first.tx_hash, first.log_index, first.token), (log.tx_hash, log.log_index, TOKEN));
    assert_eq!((first.from, first.to, first.block.hash), (SENDER, watched(0), chain.block(from).unwrap().hash));
    assert_eq!(first.block_time.unwrap().as_secs(), chain.block(from).unwrap().time);
    let counts = node.counts();
    assert_eq!((counts.http_requests, counts.batches, counts.batch_members), (2, 2, 4));
    let calls = node.calls();
    let filter = &calls.last().unwrap().params[0];
    assert_eq!(filter["topics"][0], json!(TRANSFER));
    assert_eq!(filter["topics"][1], json!(null));
    assert_eq!(filter["topics"][2].as_array().unwrap().len(), 5);
    assert_eq!(calls[2].method, "eth_getBlockByNumber", "the block is asked for before the logs");
}

#[tokio::test]
async fn big_questions_are_cut_and_put_together() {
    let (chain, node) = one_node();
    let (from, to) = deposits(&chain, 120);
    let mut settings = settings(vec![http("one", node.url())]);
    settings.max_block_range = 7;
    settings.max_addresses = 11;
    let evm = EvmChain::new(settings).unwrap();
    let page = evm.transfers(&query(from, to, everybody(120))).await.unwrap();
    assert_eq!(amounts(&page), (1..=120).collect::<Vec<u128>>());
    assert_eq!(page.anchor.block.number, to);
    assert_eq!(node.counts().of("eth_getLogs"), 18 * 11, "as many pieces as needed");
    for call in node.calls().iter().filter(|call| call.method == "eth_getLogs") {
        assert!(call.params[0]["topics"][2].as_array().unwrap().len() <= 11);
    }
}

/// The numbers of the blocks that were asked for by their tag.
fn tags_asked(node: &Node) -> u64 {
    let is_tag = |call: &&Call| call.method == "eth_getBlockByNumber" && call.params[0] == "finalized";
    node.calls().iter().filter(is_tag).count() as u64
}

#[tokio::test]
async fn what_ends_at_the_finalized_block_is_read_with_it() {
    // So many questions, of which so many reach up to the last block.
    for (recipients, max_addresses, max_block_range, pieces, last) in
        [(40, 50, 200, 1, 1), (120, 11, 200, 11, 11), (90, 10, 30, 27, 9)]
    {
        let (chain, node) = one_node();
        let (from, to) = deposits(&chain, recipients);
        chain.set_finalized(Finalized::Below(0));
        let settings = settings(vec![http("one", node.url())]);
        let evm = EvmChain::new(EvmSettings { max_block_range, max_addresses, ..settings }).unwrap();
        let page = evm.transfers_to_final(&query(from, to, everybody(recipients))).await.unwrap();
        assert_eq!(amounts(&page), (1..=u128::from(recipients)).collect::<Vec<u128>>());
        assert!(page.is_tagged && page.anchor.block.hash == chain.head().hash, "{recipients}");
        assert_eq!((node.counts().of("eth_getLogs"), tags_asked(&node)), (pieces, last));
        let calls = node.calls();
        // The first one is the chain's first block.
        let asked = calls.iter().skip(2).map(|call| call.method.as_str());
        let order: Vec<&str> = asked.filter(|name| name.contains("Logs") || name.contains("Number")).collect();
        assert!(order.chunks(2).all(|pair| pair == ["eth_getBlockByNumber", "eth_getLogs"]), "{order:?}");
        assert!(!evm.transfers(&query(from, to, everybody(recipients))).await.unwrap().is_tagged);
    }
}

#[tokio::test]
async fn limits_that_are_learned_on_the_way_do_not_take_the_proof_away() {
    let (chain, node) = one_node();
    let (from, to) = deposits(&chain, 90);
    chain.set_finalized(Finalized::Below(0));
    node.behave(|it| it.max_range = Some((12, Refusal::rpc(-32077, "eth_getLogs is limited to a 12 range"))));
    let evm = chain_of(vec![http("one", node.url())]);
    let page = evm.transfers_to_final(&query(from, to, everybody(50))).await.unwrap();
    assert_eq!((page.transfers.len(), page.is_tagged, page.anchor.block.number), (50, true, to));
}

#[tokio::test]
async fn what_does_not_end_at_the_finalized_block_is_read_as_usual() {
    for finalized in [Finalized::Below(1), Finalized::Absent] {
        let (chain, node) = one_node();
        let (from, to) = deposits(&chain, 120);
        chain.set_finalized(finalized);
        let settings = settings(vec![http("one", node.url())]);
        let evm = EvmChain::new(EvmSettings { max_block_range: 200, max_addresses: 10, ..settings }).unwrap();
        let page = evm.transfers_to_final(&query(from, to, everybody(120))).await.unwrap();
        assert_eq!(amounts(&page), (1..=120).collect::<Vec<u128>>());
        assert!(!page.is_tagged && page.anchor.block.number == to);
        let tags = tags_asked(&node);
        assert!((1..=4).contains(&tags), "one was tried, and what was under way with it: {tags}");
    }
}

/// Behind one address, one node calls the last block finalized and the other does not: half of the answers prove nothing.
#[tokio::test]
async fn what_not_every_answer_proves_is_not_proven() {
    let (chain, node) = one_node();
    let other = Node::start(&chain, NodeOptions::default());
    let (from, to) = deposits(&chain, 60);
    chain.set_finalized(Finalized::Below(0));
    other.behave(|it| it.finalized = Some(Finalized::Below(5)));
    let both = Balancer::start(&[&other, &node], Order::RoundRobin, Unit::Request);
    let settings = settings(vec![http("both", both.url())]);
    let evm = EvmChain::new(EvmSettings { max_addresses: 10, max_in_flight: 1, ..settings }).unwrap();
    let page = evm.transfers_to_final(&query(from, to, everybody(60))).await.unwrap();
    assert_eq!((page.transfers.len(), page.is_tagged), (60, false));
    assert!(tags_asked(&node) > 0 && tags_asked(&other) > 0, "one of them gave it");
}

#[tokio::test]
async fn nobody_to_ask_for_is_never_anybody() {
    let (chain, node) = one_node();
    let (from, to) = deposits(&chain, 3);
    let evm = chain_of(vec![http("one", node.url())]);
    let page = evm.transfers(&query(from, to, Arc::default())).await.unwrap();
    assert_eq!((page.transfers.len(), page.anchor.block.number), (0, to));
    let without_tokens = TransferQuery { tokens: Arc::default(), ..query(from, to, everybody(3)) };
    assert_eq!(evm.transfers(&without_tokens).await.unwrap().transfers.len(), 0);
    assert_eq!(node.counts().of("eth_getLogs"), 0);
    let ahead = evm.transfers(&query(from, to + 1, Arc::default())).await;
    assert!(matches!(ahead, Err(ChainError::Behind(_))), "{ahead:?}");
    assert!(evm.transfers(&query(to, from, everybody(1))).await.is_err());
}

#[tokio::test]
async fn limits_are_learned_from_every_recorded_range_error_and_paid_once() {
    for error in provider_errors().into_iter().filter(|error| error.kind == "range") {
        let (chain, node) = one_node();
        let (from, to) = deposits(&chain, 90);
        node.behave(|it| it.max_range = Some((10, error.refusal())));
        let evm = chain_of(vec![http("one", node.url())]);
        let page = evm.transfers(&query(from, to, everybody(50))).await;
        let page = page.unwrap_or_else(|failed| panic!("{}: {failed}", error.message));
        assert_eq!(page.transfers.len(), 50, "{}", error.message);
        let errors = node.counts().errors;
        assert!(errors <= 5, "{}: {errors} errors to get from 90 blocks to 10", error.message);
        node.reset();
        evm.transfers(&query(from, to, everybody(50))).await.unwrap();
        // A limit on results is tried anew now and then; a rule never.
        assert!(node.counts().errors <= 2, "{}: {} errors again", error.message, node.counts().errors);
        if error.message.contains("range") && !error.message.contains("results") {
            assert_eq!(node.counts().errors, 0, "{}", error.message);
        }
    }
}

#[tokio::test]
async fn range_errors_in_words_of_their_own() {
    let cases = [
        Refusal::rpc(-32000, "you may ask for up to 12 blocks; range too large"),
        Refusal::rpc(35, "ranges over 12 blocks are not supported on freetier"),
        Refusal::rpc(-32602, "Block range limit exceeded"),
        Refusal::http(413, "Payload Too Large"),
        Refusal::http(400, "{\"error\":{\"code\":-32600,\"message\":\"eth_getLogs is limited to a 12 range\"}}"),
    ];
    for refusal in cases {
        let (chain, node) = one_node();
        let (from, to) = deposits(&chain, 60);
        node.behave(|it| it.max_range = Some((12, refusal.clone())));
        let evm = chain_of(vec![http("one", node.url())]);
        let page = evm.transfers(&query(from, to, everybody(50))).await;
        assert_eq!(page.unwrap_or_else(|error| panic!("{refusal:?}: {error}")).transfers.len(), 50);
    }
}

#[tokio::test]
async fn a_limit_that_the_provider_names_costs_one_error() {
    let cases = [
        Refusal::rpc(-32077, "eth_getLogs is limited to a 12 range"),
        Refusal::rpc(77, "block range is larger than max block range, block range = 90, max block range = 12"),
        Refusal::http(400, "{\"error\":{\"code\":-32088,\"message\":\"exceed maximum block range: 12\"}}"),
        Refusal::http(400, "Max range: 12"),
    ];
    for refusal in cases {
        let (chain, node) = one_node();
        let (from, to) = deposits(&chain, 90);
        node.behave(|it| it.max_range = Some((12, refusal.clone())));
        let evm = chain_of(vec![http("one", node.url())]);
        assert_eq!(evm.transfers(&query(from, to, everybody(50))).await.unwrap().transfers.len(), 50);
        assert_eq!(node.counts().errors, if matches!(refusal, Refusal::Http { .. }) { 2 } else { 1 }, "{refusal:?}");
    }
}

#[tokio::test]
async fn questions_that_are_asked_at_once_pay_for_one_error_together() {
    let (chain, node) = one_node();
    let (from, to) = deposits(&chain, 600);
    node.behave(|it| it.max_range = Some((12, Refusal::rpc(-32077, "eth_getLogs is limited to a 12 range"))));
    let evm = chain_of(vec![http("one", node.url())]);
    let asked = (0..3).map(|nth| query(from + nth * 200, from + nth * 200 + 199, everybody(50)));
    let asked: Vec<_> = asked.collect();
    let pages = futures_util::future::join_all(asked.iter().map(|query| evm.transfers(query))).await;
    let found: usize = pages.into_iter().map(|page| page.unwrap().transfers.len()).sum();
    assert_eq!((found, to - from + 1), (50, 600), "each address has one deposit");
    assert_eq!(node.counts().errors, 1);
}

#[tokio::test]
async fn an_endpoint_that_refuses_every_size_has_taught_nothing() {
    let (chain, node) = one_node();
    let (from, to) = deposits(&chain, 50);
    let evm = chain_of(vec![http("one", node.url())]);
    node.fail_method("eth_getLogs", MethodFault::Refuse(Refusal::rpc(-32000, "block range too large")));
    evm.transfers(&query(from, to, everybody(50))).await.unwrap_err();
    node.heal();
    node.reset();
    assert_eq!(evm.transfers(&query(from, to, everybody(50))).await.unwrap().transfers.len(), 50);
    assert_eq!(node.counts().of("eth_getLogs"), 1);
}

#[tokio::test]
async fn results_and_addresses_are_learned_too() {
    let all = provider_errors();
    for error in all.iter().filter(|error| error.kind == "addresses" || error.kind == "topics") {
        let (chain, node) = one_node();
        let (from, to) = deposits(&chain, 40);
        node.behave(|it| it.max_addresses = Some((9, error.refusal())));
        let evm = chain_of(vec![http("one", node.url())]);
        let page = evm.transfers(&query(from, to, everybody(40))).await;
        assert_eq!(page.unwrap_or_else(|failed| panic!("{}: {failed}", error.message)).transfers.len(), 40);
        node.reset();
        evm.transfers(&query(from, to, everybody(40))).await.unwrap();
        assert_eq!(node.counts().errors, 0, "{}", error.message);
    }
    let (chain, node) = one_node();
    let (from, to) = deposits(&chain, 40);
    node.behave(|it| it.max_results = Some((3, Refusal::rpc(-32005, "query returned more than 3 results"))));
    let evm = chain_of(vec![http("one", node.url())]);
    assert_eq!(evm.transfers(&query(from, to, everybody(40))).await.unwrap().transfers.len(), 40);
    // Even one block may hold too much: then fewer recipients at a time.
    chain.append((0..8).map(|nth| deposit(watched(nth), 1)).collect::<Vec<_>>());
    let head = chain.head().number;
    assert_eq!(evm.transfers(&query(head, head, everybody(40))).await.unwrap().transfers.len(), 8);
}

#[tokio::test]
async fn refused_batches_are_remembered() {
    for refusal in provider_errors()
        .iter()
        .filter(|error| error.kind == "batch")
        .map(|error| error.refusal())
        .chain([Refusal::rpc(-32600, "Invalid Request"), Refusal::rpc(-32000, "batching is off")])
    {
        let (chain, node) = one_node();
        let (from, to) = deposits(&chain, 5);
        node.behave(|it| it.max_batch = Some((1, refusal.clone())));
        let evm = chain_of(vec![http("one", node.url())]);
        for _ in 0..3 {
            assert_eq!(evm.transfers(&query(from, to, everybody(5))).await.unwrap().transfers.len(), 5);
        }
        assert_eq!(node.counts().batches, 1, "{refusal:?}");
    }
}

#[tokio::test]
async fn answers_of_a_batch_may_come_in_any_order() {
    let (chain, node) = one_node();
    let (from, to) = deposits(&chain, 5);
    node.behave(|it| it.reverse_batches = true);
    let evm = chain_of(vec![http("one", node.url())]);
    assert_eq!(evm.transfers(&query(from, to, everybody(5))).await.unwrap().transfers.len(), 5);
}

#[tokio::test]
async fn a_node_that_is_behind_is_never_believed() {
    for options in [NodeOptions::lagging(2), NodeOptions::clamping(2)] {
        let (chain, fresh) = one_node();
        let behind = Node::start(&chain, options);
        let (from, to) = deposits(&chain, 5);
        let alone = chain_of(vec![http("behind", behind.url())]);
        let answer = alone.transfers(&query(from, to, everybody(5))).await;
        assert!(matches!(answer, Err(ChainError::Behind(_))), "{answer:?}");
        behind.behave(|it| it.max_batch = Some((1, Refusal::rpc(-32600, "no batches"))));
        let answer = alone.transfers(&query(from, to, everybody(5))).await;
        assert!(matches!(answer, Err(ChainError::Behind(_))), "one by one: {answer:?}");
        let evm = chain_of(vec![http("behind", behind.url()), http("fresh", fresh.url())]);
        let page = evm.transfers(&query(from, to, everybody(5))).await.unwrap();
        assert_eq!((page.transfers.len(), page.endpoint), (5, EndpointId(1)));
        let page = evm.transfers(&query(from, to - 2, everybody(5))).await.unwrap();
        assert_eq!(page.transfers.len(), 3, "what it has, it may answer");
    }
}

/// agglayer/aggkit#120, ethereumjs/ethereumjs-blockstream#10: logs of one block, beside the header of another one at its height.
#[tokio::test]
async fn a_reorg_between_block_and_logs_is_noticed() {
    let (chain, node) = one_node();
    let (from, to) = deposits(&chain, 3);
    let evm = chain_of(vec![http("one", node.url())]);
    node.before_next("eth_getLogs", |chain| {
        chain.reorg(1, vec![BlockSpec::from(deposit(watched(2), 99))]);
    });
    let page = evm.transfers(&query(from, to, everybody(3))).await.unwrap();
    assert_eq!((amounts(&page), page.flaws.of.len()), (vec![1, 2], 1), "only what is in the torn block is missing");
    assert!(page.flaws.about(&watched(2)).unwrap().contains("two hashes"), "{:?}", page.flaws);
    assert_eq!(amounts(&evm.transfers(&query(from, to, everybody(3))).await.unwrap()), [1, 2, 99]);
    let second = Node::start(&chain, NodeOptions::default());
    let evm = chain_of(vec![http("first", node.url()), http("second", second.url())]);
    node.before_next("eth_getLogs", |chain| {
        chain.reorg(1, vec![BlockSpec::from(deposit(watched(2), 77))]);
    });
    let page = evm.transfers(&query(from, to, everybody(3))).await.unwrap();
    assert_eq!((amounts(&page), page.endpoint), (vec![1, 2, 77], EndpointId(1)), "the next endpoint is asked");
}

#[tokio::test]
async fn the_first_reader_is_avoided_if_another_is_well() {
    let (chain, first) = one_node();
    let second = Node::start(&chain, NodeOptions::default());
    let (from, to) = deposits(&chain, 3);
    let evm = chain_of(vec![http("first", first.url()), http("second", second.url())]);
    let ask = |avoid| TransferQuery { avoid: Some(EndpointId(avoid)), ..query(from, to, everybody(3)) };
    assert_eq!(evm.transfers(&ask(0)).await.unwrap().endpoint, EndpointId(1));
    assert_eq!(evm.transfers(&ask(1)).await.unwrap().endpoint, EndpointId(0));
    second.die().await;
    assert_eq!(evm.transfers(&ask(0)).await.unwrap().endpoint, EndpointId(0), "better than nobody");
}

#[tokio::test]
async fn what_was_not_asked_for_is_left_out_and_what_is_malformed_is_told() {
    let (chain, node) = one_node();
    let good = chain.append(deposit(watched(0), 1));
    let block = chain.append(vec![
        deposit(watched(0), 2),
        deposit(watched(7), 3),
        LogSpec::transfer(OTHER_TOKEN, SENDER, watched(0), 4),
        deposit(watched(0), 5).with_data(vec![1_u8; 31]),
        deposit(watched(0), 6).with_topics(vec![TRANSFER, SENDER.into_word(), watched(0).into_word(), B256::ZERO]),
        deposit(watched(0), u128::MAX).with_data(vec![0xff_u8; 32]),
    ]);
    let mut logs: Vec<serde_json::Value> =
        [&good, &block].iter().flat_map(|b| &b.logs).map(|log| log.json.clone()).collect();
    logs.push(block.logs[0].json.clone());
    logs.push(block.logs[0].removed());
    let evm = chain_of(vec![http("one", node.url())]);
    // A node that ignores the filter altogether, and says one thing twice.
    node.fail_method("eth_getLogs", MethodFault::Answer(json!(logs)));
    let page = evm.transfers(&query(block.number, block.number, everybody(1))).await.unwrap();
    assert_eq!(amounts(&page), [2]);
    assert_eq!(page.malformed.len(), 3, "{:?}", page.malformed);
    for index in 3..6 {
        let hash = block.logs[index].tx_hash.to_string();
        assert!(page.malformed.iter().any(|text| text.contains(&hash)), "{:?}", page.malformed);
    }
    let mut lost = block.logs[0].json.clone();
    lost["blockHash"] = json!(null);
    node.fail_method("eth_getLogs", MethodFault::Answer(json!([lost])));
    let page = evm.transfers(&query(block.number, block.number, everybody(1))).await.unwrap();
    assert!(page.transfers.is_empty() && page.flaws.about(&watched(0)).is_some(), "a log without a block: {page:?}");
}

#[tokio::test]
async fn logs_without_a_time_are_taken() {
    let (chain, node) = one_node();
    let (from, to) = deposits(&chain, 2);
    node.behave(|it| it.no_log_times = true);
    let page = chain_of(vec![http("one", node.url())]).transfers(&query(from, to, everybody(2))).await.unwrap();
    assert!(page.transfers.len() == 2 && page.transfers.iter().all(|transfer| transfer.block_time.is_none()));
}

#[tokio::test]
async fn a_recorded_block_of_polygon() {
    let chain = ScriptedChain::polygon_50_000_000();
    let node = Node::start(&chain, NodeOptions::default());
    let block = chain.block(50_000_000).unwrap();
    let recipients: BTreeSet<Address> = block
        .logs
        .iter()
        .filter(|log| log.address == USDC_E && log.topics.first() == Some(&TRANSFER))
        .map(|log| Address::from_word(log.topics[2]))
        .collect();
    let logs = block.logs.iter().filter(|log| log.address == USDC_E && log.topics.first() == Some(&TRANSFER)).count();
    let tokens = Arc::new(vec![USDC_E]);
    let recipients = Arc::new(recipients.into_iter().collect::<Vec<_>>());
    let whole = TransferQuery {
        tokens,
        recipients,
        from: 49_999_950,
        to: 50_000_010,
        filter: LogFilter::Recipients,
        avoid: None,
        by: None,
    };
    let page = chain_of(vec![http("one", node.url())]).transfers(&whole).await.unwrap();
    assert!(logs > 10, "{logs} transfers");
    assert_eq!((page.transfers.len(), page.malformed.len()), (logs, 0));
    assert!(page.transfers.iter().all(|transfer| transfer.block.hash == block.hash));
    assert!(page.transfers.windows(2).all(|pair| pair[0].log_index < pair[1].log_index));
}

#[tokio::test]
async fn all_of_a_long_range_comes_through_a_bad_day() {
    let (chain, first) = one_node();
    let second = Node::start(&chain, NodeOptions::default());
    let (from, to) = deposits(&chain, 100);
    let mut settings = settings(vec![http("first", first.url()), http("second", second.url())]);
    settings.max_block_range = 5;
    let evm = EvmChain::new(settings).unwrap();
    evm.head().await.unwrap();
    first.before_next("eth_getLogs", |_| {});
    let dying = first.clone();
    first.before_next("eth_getLogs", move |_| {
        tokio::spawn(async move { dying.die().await });
    });
    let page = evm.transfers(&query(from, to, everybody(100))).await.unwrap();
    assert_eq!(amounts(&page), (1..=100).collect::<Vec<u128>>());
}

#[tokio::test]
async fn asking_for_everybody_finds_the_same() {
    let (chain, node) = one_node();
    let (from, to) = deposits(&chain, 60);
    chain.append(BlockSpec::default());
    let evm = chain_of(vec![http("one", node.url())]);
    let nobody = Arc::new(vec![Address::repeat_byte(0xee)]);
    for (recipients, found) in [(everybody(60), 60), (everybody(7), 7), (everybody(1), 1), (nobody, 0)] {
        let named = query(from, to, recipients);
        let all = TransferQuery { filter: LogFilter::AnyRecipient, ..named.clone() };
        let named = evm.transfers(&named).await.unwrap();
        node.reset();
        let all = evm.transfers(&all).await.unwrap();
        assert_eq!(all.transfers.len(), found);
        assert_eq!((all.transfers, all.anchor, all.malformed), (named.transfers, named.anchor, named.malformed));
        assert_eq!(node.counts().of("eth_getLogs"), 1, "one question, however many recipients");
        let asked = node.calls().into_iter().find(|call| call.method == "eth_getLogs").unwrap();
        assert_eq!(asked.params[0]["topics"], json!([TRANSFER]), "nobody is named");
        assert_eq!(asked.params[0]["address"], json!([TOKEN]), "only the token's");
    }
}
