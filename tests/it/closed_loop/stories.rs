//! One deposit after the other, from the log to the completion.

use rampwatch::domain::chain::Address;
use rampwatch::domain::deposit::BlockStatus;
use rampwatch::domain::time::Timestamp;
use rampwatch::ports::store::Store;

use super::api::PlainApi;
use super::rig::{LIMIT, Rig, USDC, quick_settings};
use crate::support::eventually;
use crate::support::memory_store::MemoryStore;
use crate::support::node::{BlockSpec, Finalized, LogSpec, Node, NodeOptions, ScriptedChain, tx_hash};

fn payer() -> Address {
    Address::repeat_byte(0x11)
}

fn time_of(chain: &ScriptedChain) -> Timestamp {
    Timestamp::from_secs(chain.head().time)
}

fn start(node: &Node) -> Rig {
    Rig::start(&[(node.url(), node.ws_url())], quick_settings(), MemoryStore::new(), PlainApi::default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_is_completed_once_it_is_final() {
    let chain = ScriptedChain::new();
    chain.append_empty(50);
    let node = Node::start(&chain, NodeOptions::default());
    let rig = start(&node);
    let to = Address::repeat_byte(0xaa);
    let id = rig.add("p-1", to, 5_000_000, time_of(&chain)).await;
    let block = chain.append(LogSpec::transfer(USDC, payer(), to, 5_000_000).in_tx(tx_hash(7)));
    rig.wait_for(&id, "seen").await;
    assert!(rig.api.completions().is_empty(), "nothing is completed before the block is final");
    chain.set_finalized(Finalized::At(block.number));
    chain.append_empty(3);
    rig.wait_for(&id, "ended").await;
    assert_eq!(rig.api.completions(), [(id, tx_hash(7))]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_came_before_the_payment_was_added_is_found() {
    let chain = ScriptedChain::new();
    chain.append_empty(3_000);
    chain.set_finalized(Finalized::Below(3));
    let node = Node::start(&chain, NodeOptions::default());
    let created = time_of(&chain);
    let to = Address::repeat_byte(0xab);
    chain.append(LogSpec::transfer(USDC, payer(), to, 7).in_tx(tx_hash(1)));
    chain.append_empty(4_000);
    let rig = start(&node);
    let id = rig.add("late", to, 7, created).await;
    rig.wait_for(&id, "ended").await;
    assert_eq!(rig.api.completions(), [(id, tx_hash(1))]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_whose_block_goes_away_is_not_seen_any_more_and_one_that_moves_is_followed() {
    let chain = ScriptedChain::new();
    chain.append_empty(50);
    let node = Node::start(&chain, NodeOptions::default());
    let rig = start(&node);
    let to = Address::repeat_byte(0xac);
    let id = rig.add("moved", to, 9, time_of(&chain)).await;
    let transfer = || LogSpec::transfer(USDC, payer(), to, 9).in_tx(tx_hash(3));
    chain.append(transfer());
    rig.wait_for(&id, "seen").await;
    chain.reorg(1, vec![BlockSpec::default(), BlockSpec::default()]);
    rig.wait_for(&id, "waiting").await;
    let again = chain.append(transfer().at_index(17));
    rig.wait_for(&id, "seen").await;
    chain.set_finalized(Finalized::At(again.number));
    chain.append_empty(3);
    rig.wait_for(&id, "ended").await;
    let deposits = rig.store.deposits_at(to).await.unwrap();
    let gone = deposits.iter().filter(|deposit| deposit.standing == BlockStatus::Gone { after_final: false }).count();
    assert_eq!((deposits.len(), gone, rig.api.completions().len()), (2, 1, 1));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_while_the_process_was_down_is_completed_after_the_start() {
    let chain = ScriptedChain::new();
    chain.append_empty(50);
    let node = Node::start(&chain, NodeOptions::default());
    let rig = start(&node);
    let to = Address::repeat_byte(0xad);
    let id = rig.add("down", to, 11, time_of(&chain)).await;
    eventually(LIMIT, "the first sweep", || async { rig.health.snapshot().swept_at.is_some() }).await;
    let api = rig.api.clone();
    let store = rig.crash().await;
    chain.append(LogSpec::transfer(USDC, payer(), to, 11).in_tx(tx_hash(5)));
    chain.append_empty(2_500);
    chain.set_finalized(Finalized::Below(3));
    let rig = Rig::start(&[(node.url(), node.ws_url())], quick_settings(), store, api);
    rig.wait_for(&id, "ended").await;
    assert_eq!(rig.api.completions(), [(id, tx_hash(5))]);
    rig.stop().await;
}
