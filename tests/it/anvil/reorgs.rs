//! Reorgs that are not deeper than finality: what is dropped is not seen any more, what moves is followed, and each
//! payment is completed once, with the transaction that is on the chain in the end.

use rampwatch::domain::chain::{Address, B256};
use rampwatch::domain::deposit::{BlockStatus, Verdict};
use rampwatch::policy::finality::FinalityRule;
use rampwatch::sandbox::fake_api::OffRamp;
use rampwatch::sandbox::{DEV_ACCOUNTS, Placed, Receipt, USDC};

use super::world::{LIMIT, Setup, World, key_of, usdc};

/// Who pays what in a round. Each has an account of its own, so that no nonce hangs on another's transaction.
const DROPPED: Address = DEV_ACCOUNTS[1];
const SENT_AGAIN: Address = DEV_ACCOUNTS[2];
const KEPT: Address = DEV_ACCOUNTS[3];
const MOVED: Address = DEV_ACCOUNTS[4];
const SHIFTED: Address = DEV_ACCOUNTS[5];
const FAILING: Address = DEV_ACCOUNTS[6];
const UNRELATED: Address = DEV_ACCOUNTS[7];

/// What is completed in the end.
type Completed = Vec<(OffRamp, B256)>;

/// Deep enough that a reorg of 20 blocks touches nothing final.
fn deep(finality: FinalityRule, slots: u64) -> Setup {
    let mut setup = Setup { slots, ..Setup::default() };
    setup.engine.finality = finality;
    setup
}

fn tag() -> Setup {
    deep(FinalityRule::Finalized { depth: 2 }, 12)
}

fn depth_alone() -> Setup {
    deep(FinalityRule::Depth { depth: 24 }, 1)
}

/// An off-ramp, the transaction that pays it, and its receipt before the reorg.
struct Bill {
    off_ramp: OffRamp,
    tx_hash: B256,
    before: Receipt,
}

impl Bill {
    /// The transaction's receipt as it is now.
    async fn receipt(&self, world: &World) -> Receipt {
        world.node().mined(self.tx_hash, LIMIT).await.unwrap()
    }

    /// Waits until the payment has seen its deposit where it is now, and checks that the old one is gone.
    async fn is_followed(&self, world: &World) -> Receipt {
        let now = self.receipt(world).await;
        let key = key_of(&now, &self.off_ramp);
        assert_ne!(key, key_of(&self.before, &self.off_ramp));
        world.wait_seen(&self.off_ramp, key).await;
        let deposits = world.deposits(&self.off_ramp).await;
        let old = deposits.iter().find(|deposit| deposit.key == key_of(&self.before, &self.off_ramp)).unwrap();
        assert_eq!((old.standing, &old.verdict), (BlockStatus::Gone { after_final: false }, &Verdict::Unjudged));
        assert_eq!(deposits.len(), 2, "{deposits:#?}");
        now
    }
}

/// A round's transactions, sent in this order.
async fn pay_all(world: &World, senders: &[Address]) -> Vec<(OffRamp, B256)> {
    let mut sent = Vec::new();
    for sender in senders {
        let off_ramp = world.open(usdc(33)).await;
        let tx_hash = world.send(*sender, &off_ramp, usdc(33)).await;
        sent.push((off_ramp, tx_hash));
    }
    sent
}

/// One reorg of this depth, with a deposit for each thing that can become of one.
async fn round(world: &World, depth: u64) -> (Completed, Vec<OffRamp>) {
    let node = world.node();
    let sent = pay_all(world, &[KEPT, SHIFTED, MOVED, DROPPED, SENT_AGAIN, FAILING]).await;
    let unrelated = node.transfer(USDC, UNRELATED, Address::repeat_byte(0x99), usdc(1)).await.unwrap();
    let blacklisting = node.set_blacklisted(USDC, FAILING, true).await.unwrap();
    world.mine(1).await;
    let mut bills = Vec::new();
    for (off_ramp, tx_hash) in sent {
        let before = node.succeeded(tx_hash, LIMIT).await.unwrap();
        world.wait_seen(&off_ramp, key_of(&before, &off_ramp)).await;
        bills.push(Bill { off_ramp, tx_hash, before });
    }
    world.mine(depth - 1).await;
    let [kept, shifted, moved, dropped, sent_again, failing] =
        <[Bill; 6]>::try_from(bills).unwrap_or_else(|_| panic!("six bills"));
    let at = |tx_hash, block| Placed { tx_hash, block };
    let placed = [
        at(kept.tx_hash, 0),
        at(unrelated, 0),
        at(shifted.tx_hash, 0),
        at(blacklisting, 0),
        at(failing.tx_hash, 0),
        at(moved.tx_hash, depth - 1),
    ];
    let reorg = node.reorg(depth, &placed).await.unwrap();
    assert_eq!(reorg.first, kept.before.block.number, "the reorg reaches just to the deposits");

    let here = kept.is_followed(world).await;
    assert_eq!(here.block.number, kept.before.block.number);
    let here = shifted.is_followed(world).await;
    assert_eq!(here.transfers[0].log_index, shifted.before.transfers[0].log_index + 1);
    let here = moved.is_followed(world).await;
    assert_eq!(here.block.number, moved.before.block.number + depth - 1);
    for gone in [&dropped, &sent_again, &failing] {
        world.wait_named(&gone.off_ramp, "waiting").await;
    }
    assert!(!failing.receipt(world).await.succeeded, "it has come back, and failed");
    node.send_raw(&reorg.dropped[&sent_again.tx_hash]).await.unwrap();
    let pardon = node.set_blacklisted(USDC, FAILING, false).await.unwrap();
    world.mine(1).await;
    node.succeeded(pardon, LIMIT).await.unwrap();
    sent_again.is_followed(world).await;
    let completed = [kept, shifted, moved, sent_again].map(|bill| (bill.off_ramp, bill.tx_hash)).into();
    (completed, vec![dropped.off_ramp, failing.off_ramp])
}

/// Reorgs of these depths one after the other, while the deposits of earlier ones become final.
async fn rounds(setup: Setup, depths: std::ops::RangeInclusive<u64>) {
    let mut world = World::start(setup).await;
    let (mut completed, mut unpaid) = (Completed::new(), Vec::new());
    for depth in depths {
        let (more, gone) = round(&world, depth).await;
        completed.extend(more);
        unpaid.extend(gone);
    }
    world.mine(26).await;
    world.until_completed(&completed.iter().map(|(off_ramp, _)| off_ramp).collect::<Vec<_>>()).await;
    world.catch_up().await;
    for off_ramp in &unpaid {
        assert_eq!(world.state(off_ramp).await.name(), "waiting");
        let deposits = world.deposits(off_ramp).await;
        assert!(deposits.iter().all(|deposit| deposit.standing == BlockStatus::Gone { after_final: false }));
    }
    let completed: Vec<_> = completed.iter().map(|(off_ramp, tx_hash)| (off_ramp, *tx_hash)).collect();
    world.end(&completed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reorgs_of_1_to_5_blocks() {
    rounds(tag(), 1..=5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reorgs_of_6_to_10_blocks() {
    rounds(depth_alone(), 6..=10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reorgs_of_11_to_15_blocks() {
    rounds(tag(), 11..=15).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reorgs_of_16_to_20_blocks() {
    rounds(depth_alone(), 16..=20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_first_of_two_deposits_is_dropped_the_second_pays() {
    let world = World::start(tag()).await;
    let bill = world.open(usdc(34)).await;
    let first = world.send(DROPPED, &bill, usdc(34)).await;
    let receipt = world.mine_for(first).await;
    let second = world.send(KEPT, &bill, usdc(34)).await;
    world.mine_for(second).await;
    world.wait_seen(&bill, key_of(&receipt, &bill)).await;
    world.sweeps(2).await;
    world.node().reorg(2, &[Placed { tx_hash: second, block: 1 }]).await.unwrap();
    let now = world.node().mined(second, LIMIT).await.unwrap();
    world.wait_seen(&bill, key_of(&now, &bill)).await;
    world.mine(22).await;
    world.until_completed(&[&bill]).await;
    world.end(&[(&bill, second)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reorg_that_nobody_tells_of_and_that_comes_back_is_followed() {
    let world = World::start(tag()).await;
    let bill = world.open(usdc(35)).await;
    let snapshot = world.node().snapshot().await.unwrap();
    let tx_hash = world.pay(&bill).await;
    let receipt = world.mine_for(tx_hash).await;
    world.wait_seen(&bill, key_of(&receipt, &bill)).await;
    let bytes = world.node().raw_transaction(tx_hash).await.unwrap().unwrap();
    // The chain is shorter than before, and no subscription says so. A node that is merely behind looks the same: only
    // another block at that height tells.
    world.node().revert(snapshot).await.unwrap();
    world.mine(1).await;
    world.wait_named(&bill, "waiting").await;
    world.node().send_raw(&bytes).await.unwrap();
    let receipt = world.mine_for(tx_hash).await;
    world.wait_seen(&bill, key_of(&receipt, &bill)).await;
    world.mine(24).await;
    world.until_completed(&[&bill]).await;
    world.end(&[(&bill, tx_hash)]).await;
}
