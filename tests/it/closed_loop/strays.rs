//! Twenty thousand deposits of a base unit at one address: what is kept of them, how often people are asked, and whether the
//! right deposit is found behind them.

use rampwatch::adapters::evm::EvmSettings;
use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::Address;
use rampwatch::domain::deposit::{ReviewReason, Verdict};
use rampwatch::domain::notice::NoticeKind;
use rampwatch::policy::notices::of_event;
use rampwatch::service::requests::ResolveRequest;

use super::api::PlainApi;
use super::rig::*;
use crate::support::eventually;
use crate::support::memory_store::{Contents, MemoryStore};
use crate::support::node::{LogSpec, ScriptedChain, tx_hash};

/// How many deposits of a base unit come.
const MANY: u64 = 20_000;
/// How many in a block.
const A_BLOCK: u64 = 200;
/// What is asked for, in base units.
const ASKED: u128 = 100_000_000;

/// So many blocks full of them, from this one on.
fn flood(chain: &ScriptedChain, blocks: std::ops::Range<u64>) {
    for block in blocks {
        let log = |n: u64| {
            let from = Address::repeat_byte(u8::try_from(n % 250).unwrap().max(1));
            LogSpec::transfer(USDC, from, place(1), 1).in_tx(tx_hash(1_000_000 + block * A_BLOCK + n))
        };
        chain.append((0..A_BLOCK).map(log).collect::<Vec<_>>());
    }
}

/// How many deposits the address has, kept and counted, and what they come to.
fn all_told(contents: &Contents) -> (u64, u128) {
    let dust = contents.deposits.values().filter(|deposit| deposit.stands() && deposit.amount.base_units() == 1);
    dust.fold((0, 0), |(count, sum), deposit| {
        let tally = deposit.tally.as_ref().map_or((0, 0), |tally| (tally.count, tally.sum.base_units()));
        (count + 1 + tally.0, sum + 1 + tally.1)
    })
}

/// What the store has of deposits and events, in bytes.
fn stored_bytes(contents: &Contents) -> usize {
    let deposits = contents.deposits.values().map(|deposit| serde_json::to_vec(deposit).unwrap().len());
    let events = contents.events.iter().map(|recorded| serde_json::to_vec(&recorded.event).unwrap().len());
    deposits.chain(events).sum()
}

fn is_bounded(contents: &Contents) {
    assert!(contents.deposits.len() < 40, "{} deposits are kept", contents.deposits.len());
    assert!(contents.events.len() < 200, "{} events", contents.events.len());
    // Each took 8 KB on the disk and 36 KB of memory when it was kept.
    let bytes = stored_bytes(contents);
    assert!(bytes < 200_000, "{bytes} bytes are stored");
    let told = contents.events.iter().filter_map(|recorded| of_event(&recorded.event.kind));
    let reviews = told.filter(|news| news.kind == NoticeKind::Review).count();
    assert_eq!(reviews, 1, "people are told once");
}

#[tokio::test(flavor = "multi_thread")]
async fn f15_twenty_thousand_deposits_of_a_base_unit_are_one_review_and_hide_nothing() {
    let chain = world();
    let node = node_of(&chain);
    // Answers are large here, and the machine may be slow.
    let evm = || EvmSettings { request_timeout: LIMIT, ..quick_evm(&[urls(&node)]) };
    let rig = Rig::start_with(evm(), quick_settings(), MemoryStore::new(), PlainApi::default());
    let created_at = now(&chain);
    let id = rig.add("p-1", place(1), ASKED, created_at).await;
    for blocks in [0..1, 1..2, 2..20, 20..40, 40..60, 60..80, 80..100] {
        let came = blocks.end * A_BLOCK;
        flood(&chain, blocks);
        // The coverage of what pays nothing follows the head at some distance.
        chain.append_empty(100);
        let counted = || async { rig.store.look(all_told) == (came, u128::from(came)) };
        eventually(LIMIT * 4, "all that came", counted).await;
    }
    rig.store.look(is_bounded);
    let reviews = rig.handle.reviews(None, 100).await.unwrap();
    assert_eq!(reviews.items.len(), 1, "{:?}", reviews.items);
    let kept = rig.store.look(|contents| contents.deposits.len());
    let said = format!("{} more like it", MANY - kept as u64);
    assert!(reviews.items[0].what.contains(&said), "{}", reviews.items[0].what);
    let why = rig.handle.why("p-1").await.unwrap();
    assert!(why.deposits.iter().any(|deposit| deposit.counted.is_some()));

    // Read a second time, after a crash and with what overlaps, none is counted twice.
    let (api, store) = (rig.api.clone(), rig.crash().await);
    let rig = Rig::start_with(evm(), quick_settings(), store, api);
    let to = chain.head().number - 90;
    let twice = || async {
        let coverage = rig.store.look(|contents| contents.coverage.values().next().and_then(|it| it.swept));
        coverage.is_some_and(|swept| swept.confirmed_to >= to)
    };
    let ticker = Ticker::start(&chain, std::time::Duration::from_millis(50));
    eventually(LIMIT * 4, "the second reading", twice).await;
    assert_eq!(rig.store.look(all_told), (MANY, u128::from(MANY)));
    rig.store.look(is_bounded);

    // One decision is enough, and the right deposit completes the payment.
    let ignore = ResolveRequest::IgnoreAll { address: place(1).to_string(), reason: "dust".to_owned() };
    let done = rig.handle.resolve_request(&ignore).await.unwrap();
    assert_eq!(done.ignored, Some(MANY));
    assert_eq!(rig.handle.reviews(None, 100).await.unwrap().items, []);
    assert!(rig.handle.resolve_request(&ignore).await.is_err(), "nothing is left to ignore");
    chain.append(LogSpec::transfer(USDC, Address::repeat_byte(0x11), place(1), ASKED).in_tx(tx_hash(1)));
    rig.wait_for(&id, "ended").await;
    assert_eq!(rig.api.completions(), [(id, tx_hash(1))]);
    drop(ticker);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f15_a_deposit_that_came_before_its_payment_was_added_is_found_among_what_was_counted() {
    let chain = world();
    let node = node_of(&chain);
    let rig = Rig::start(&[urls(&node)], quick_settings(), MemoryStore::new(), PlainApi::default());
    let created_at = now(&chain);
    rig.add("large", place(1), ASKED, created_at).await;
    for n in 0..40_u64 {
        chain.append(LogSpec::transfer(USDC, Address::repeat_byte(0x22), place(1), 1).in_tx(tx_hash(100 + n)));
    }
    chain.append(LogSpec::transfer(USDC, Address::repeat_byte(0x11), place(1), 90_000).in_tx(tx_hash(1)));
    chain.append_empty(100);
    let all = |contents: &Contents| {
        contents.deposits.values().filter_map(|it| it.tally.as_ref()).map(|it| it.count).sum::<u64>()
    };
    eventually(LIMIT, "what is small is counted", || async { rig.store.look(all) == 25 }).await;
    let small = rig.add("small", place(1), 90_000, created_at).await;
    let ticker = Ticker::start(&chain, std::time::Duration::from_millis(50));
    rig.wait_for(&small, "ended").await;
    assert_eq!(rig.api.completions(), [(small, tx_hash(1))]);
    let under = |verdict: &Verdict| {
        matches!(verdict, Verdict::Review { why: ReviewReason::Under { .. } | ReviewReason::NoFit })
    };
    eventually(LIMIT, "one review", || async {
        rig.verdicts(place(1)).await.iter().filter(|it| under(it)).count() <= 1
    })
    .await;
    assert!(
        rig.store.look(|contents| contents.deposits.values().any(|it| it.amount == Amount::from_base_units(90_000)))
    );
    drop(ticker);
    rig.stop().await;
}
