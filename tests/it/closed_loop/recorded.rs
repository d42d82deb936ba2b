//! Polygon block 50,000,000 as it was, with the bridged USDC as the token that pays.

use std::collections::BTreeSet;

use alloy::primitives::{B256, U256};
use serde_json::Value;

use rampwatch::domain::chain::Address;
use rampwatch::domain::deposit::{Deposit, NothingReason, Verdict};
use rampwatch::domain::payment::PaymentId;
use rampwatch::domain::time::Timestamp;
use rampwatch::ports::store::Store;

use super::api::PlainApi;
use super::rig::{LIMIT, Rig, USDC, USDC_E, quick_settings, urls};
use crate::support::eventually;
use crate::support::memory_store::MemoryStore;
use crate::support::node::{Block, Finalized, Node, NodeOptions, ScriptedChain, TRANSFER, recorded_json};

const RECORDED: u64 = 50_000_000;
/// The transaction that makes 26 transfers of nothing.
const POISON: &str = "0x33bf1600";

/// A transfer as it is in the recorded file.
struct Recorded {
    tx_hash: B256,
    log_index: u64,
    to: Address,
    value: u128,
}

fn recorded() -> Vec<Recorded> {
    let logs: Vec<Value> = recorded_json("polygon-block-50000000/usdc_logs.json");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let logs = logs.iter().map(|log| Recorded {
        tx_hash: text(&log["transactionHash"]).parse().unwrap(),
        log_index: text(&log["logIndex"]).parse::<U256>().unwrap().to(),
        to: Address::from_word(text(&log["topics"][2]).parse().unwrap()),
        value: text(&log["data"]).parse::<U256>().unwrap().to(),
    });
    logs.collect()
}

/// Everybody who got one of the poisoning transfers, of whatever token.
fn poisoned(block: &Block) -> BTreeSet<Address> {
    let logs = block.logs.iter().filter(|log| log.tx_hash.to_string().starts_with(POISON));
    logs.filter(|log| log.topics[0] == TRANSFER).map(|log| Address::from_word(log.topics[2])).collect()
}

fn all_deposits(rig: &Rig) -> Vec<Deposit> {
    rig.store.contents().deposits.into_values().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn real_recipients_are_matched_to_the_right_logs() {
    let chain = ScriptedChain::polygon_50_000_000();
    chain.set_finalized(Finalized::Below(3));
    let block = chain.block(RECORDED).unwrap();
    let created = Timestamp::from_secs(block.time);
    let node = Node::start(&chain, NodeOptions::default());
    let mut settings = quick_settings();
    (settings.token, settings.other_tokens) = (USDC_E, vec![USDC]);
    let rig = Rig::start(&[urls(&node)], settings, MemoryStore::new(), PlainApi::default());

    let logs = recorded();
    let (zero, paying): (Vec<&Recorded>, Vec<&Recorded>) = logs.iter().partition(|log| log.value == 0);
    assert_eq!((zero.len(), paying.len()), (6, 5), "as the data's description has it");
    let mut expected: Vec<(PaymentId, B256)> = Vec::new();
    for log in &paying {
        let id = rig.add(&format!("at-{}", log.log_index), log.to, log.value, created).await;
        expected.push((id, log.tx_hash));
    }
    // Every address that was poisoned waits for something too.
    let poisoned = poisoned(&block);
    assert!(poisoned.len() > 6, "other tokens' transfers are among them");
    let mut waiting = Vec::new();
    for (n, to) in poisoned.iter().enumerate() {
        waiting.push(rig.add(&format!("poisoned-{n}"), *to, 5_000_000, created).await);
    }
    for (id, _) in &expected {
        rig.wait_for(id, "ended").await;
    }
    eventually(LIMIT, "all of the block's transfers", || async { all_deposits(&rig).len() == 11 }).await;
    rig.next_sweep().await;

    let mut completed = rig.api.completions();
    completed.sort();
    expected.sort();
    assert_eq!(completed, expected);
    for log in &paying {
        let deposit = rig.store.deposits_at(log.to).await.unwrap().swap_remove(0);
        assert_eq!((deposit.key.log_index, deposit.key.tx_hash), (log.log_index, log.tx_hash));
        assert_eq!((deposit.key.block_hash, deposit.block_number), (block.hash, RECORDED));
        assert_eq!(deposit.block_time, created);
        assert!(matches!(deposit.verdict, Verdict::Pays { .. }), "{:?}", deposit.verdict);
    }
    for log in &zero {
        let nothing = Verdict::Nothing { why: NothingReason::ZeroValue };
        let deposits = rig.store.deposits_at(log.to).await.unwrap();
        let found: Vec<_> = deposits.iter().map(|it| (it.key.log_index, it.verdict.clone())).collect();
        assert_eq!(found, [(log.log_index, nothing)]);
    }
    assert!(all_deposits(&rig).iter().all(|deposit| deposit.token == USDC_E), "no other token's transfer is ours");
    for id in &waiting {
        assert_eq!(rig.payment(id).await.state.name(), "waiting", "nothing was credited to {id}");
    }
    rig.stop().await;
}

/// The native USDC pays, and the bridged one is only known: the same transfers are kept, and pay nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_bridged_token_does_not_pay_for_the_native_one() {
    let chain = ScriptedChain::polygon_50_000_000();
    chain.set_finalized(Finalized::Below(3));
    let created = Timestamp::from_secs(chain.block(RECORDED).unwrap().time);
    let node = Node::start(&chain, NodeOptions::default());
    let rig = Rig::start(&[urls(&node)], quick_settings(), MemoryStore::new(), PlainApi::default());
    let log = recorded().swap_remove(0);
    let id = rig.add("native", log.to, log.value, created).await;
    eventually(LIMIT, "the transfer", || async { !all_deposits(&rig).is_empty() }).await;
    rig.next_sweep().await;
    let verdicts = rig.verdicts(log.to).await;
    let why = rampwatch::domain::deposit::ReviewReason::WrongToken;
    assert_eq!(verdicts, [Verdict::Review { why }]);
    assert_eq!(rig.payment(&id).await.state.name(), "waiting");
    rig.stop().await;
}
