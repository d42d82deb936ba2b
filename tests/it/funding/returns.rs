//! Money that comes to the wallet, logs that only look as if it came from the wallet, and what watching it costs.

use std::time::{Duration, Instant};

use rampwatch::domain::chain::B256;
use rampwatch::domain::deposit::{Deposit, NothingReason, Verdict};
use rampwatch::domain::order::OrderOutcome;
use rampwatch::domain::time::Span;
use rampwatch::sandbox::{DEV_ACCOUNTS, FAKE_USDC, PAYER, RELAYER, USDC, USDC_E, WALLET};

use super::bench::{fund, open, rules, setup, wallet_opened};
use super::tools::{end, fund_in_flight, paid_by, rebroadcasting, until_ended};
use crate::anvil::world::{LIMIT, Setup, World, usdc};

async fn at_wallet(world: &World, tx_hash: B256) -> Vec<Deposit> {
    let deposits = world.store().deposits_at(WALLET).await.unwrap();
    deposits.into_iter().filter(|deposit| deposit.key.tx_hash == tx_hash && deposit.stands()).collect()
}

/// Waits until what a transaction brought to the wallet is recorded and judged.
async fn recorded(world: &World, tx_hash: B256) -> Verdict {
    let judged = || async { at_wallet(world, tx_hash).await.iter().any(|found| found.verdict != Verdict::Unjudged) };
    crate::support::eventually(LIMIT, "what came to the wallet is recorded", judged).await;
    let found = at_wallet(world, tx_hash).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    found[0].verdict.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_to_the_wallet_is_recorded_and_nobody_has_to_look_at_it() {
    let mut world = World::start(setup(rules())).await;
    wallet_opened(&world).await;
    let off_ramp = open(&world, usdc(90)).await;
    fund(&world, &off_ramp).await.unwrap();
    until_ended(&world, &off_ramp).await;
    world.until_completed(&[&off_ramp]).await;
    let credit = Verdict::Nothing { why: NothingReason::WalletCredit };
    // The same sum comes back; the wallet is topped up, once in the other USDC; somebody plays with nothing.
    let back = world.node().transfer(USDC, DEV_ACCOUNTS[6], WALLET, usdc(90)).await.unwrap();
    let top_up = world.node().mint(USDC, WALLET, usdc(5_000)).await.unwrap();
    let other = world.node().transfer(USDC_E, PAYER, WALLET, usdc(7)).await.unwrap();
    let zero = world.node().transfer_from(USDC, RELAYER, PAYER, WALLET, usdc(0)).await.unwrap();
    world.mine(1).await;
    for tx_hash in [back, top_up, other] {
        assert_eq!(recorded(&world, tx_hash).await, credit);
    }
    assert_eq!(recorded(&world, zero).await, Verdict::Nothing { why: NothingReason::ZeroValue });
    // Through a reorg that puts one of them elsewhere, and a restart.
    world.node().reorg_delaying(1, DEV_ACCOUNTS[6], 0).await.unwrap();
    assert_eq!(recorded(&world, back).await, credit);
    world.crash().await;
    world.start_engine().await;
    let later = world.node().transfer(USDC, PAYER, WALLET, usdc(8)).await.unwrap();
    world.mine(1).await;
    assert_eq!(recorded(&world, later).await, credit);
    assert!(world.handle().reviews(None, 100).await.unwrap().items.is_empty(), "nobody has to look at it");
    end(world, &[&off_ramp], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn worthless_logs_from_the_wallet_mean_nothing_before_and_while_a_transfer_is_in_flight() {
    let world = World::start(setup(rebroadcasting(150))).await;
    wallet_opened(&world).await;
    let (before, meanwhile) = (open(&world, usdc(91)).await, open(&world, usdc(92)).await);
    // Anybody may write that the wallet sent nothing, and a fake token that it sent all.
    let poison = async |to| {
        let node = world.node();
        let zero = node.transfer_from(USDC, RELAYER, WALLET, to, usdc(0)).await.unwrap();
        let fake = node.transfer(FAKE_USDC, PAYER, to, usdc(91)).await.unwrap();
        let fake_zero = node.transfer_from(FAKE_USDC, RELAYER, WALLET, to, usdc(0)).await.unwrap();
        [zero, fake, fake_zero]
    };
    let [zero, ..] = poison(before.deposit_address).await;
    world.mine(1).await;
    let seen = || async { world.deposits(&before).await.iter().any(|deposit| deposit.key.tx_hash == zero) };
    crate::support::eventually(LIMIT, "the worthless log is read", seen).await;
    assert_eq!(world.verdict(&before, zero).await, Verdict::Nothing { why: NothingReason::ZeroValue });
    let first = fund_in_flight(&world, &before).await;
    let second = fund_in_flight(&world, &meanwhile).await;
    // In the very block of the real ones, and around it.
    poison(meanwhile.deposit_address).await;
    poison(before.deposit_address).await;
    world.mine(1).await;
    poison(meanwhile.deposit_address).await;
    for (off_ramp, transfer) in [(&before, &first), (&meanwhile, &second)] {
        let outcome = until_ended(&world, off_ramp).await;
        let OrderOutcome::Paid { tx_hash, block, log_index } = outcome else { panic!("{outcome:?}") };
        let receipt = world.node().receipt(tx_hash).await.unwrap().unwrap();
        assert_eq!((tx_hash, block, log_index), (transfer.tx_hash, receipt.block, receipt.transfers[0].log_index));
        assert_eq!(paid_by(&world, off_ramp).await, tx_hash);
        assert_eq!(world.node().balance(USDC, off_ramp.deposit_address).await.unwrap(), off_ramp.amount);
    }
    assert!(world.handle().reviews(None, 100).await.unwrap().items.is_empty(), "nobody has to look at it");
    end(world, &[&before, &meanwhile], &[]).await;
}

/// How many blocks are counted.
const BLOCKS: u32 = 300;

/// The time that a block stands for; every interval below is the configuration's, shortened by the same factor.
const BLOCK: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_nothing_is_open_for_costs_next_to_nothing() {
    let mut setup = Setup { proxies: 1, ..setup(rules()) };
    let sweep = &mut setup.engine.sweep;
    (sweep.interval, sweep.poll_interval) = (Span::from_millis(800), Span::from_millis(530));
    (sweep.ended_interval, sweep.second_after) = (Span::from_millis(4_000), Span::from_millis(4_000));
    let world = World::start(setup).await;
    wallet_opened(&world).await;
    let placed = || async {
        let coverage = world.store().coverage(WALLET).await.unwrap();
        coverage.is_some_and(|coverage| coverage.swept.is_some())
    };
    crate::support::eventually(LIMIT, "the wallet's address is swept", placed).await;
    // A machine that stops for a moment makes the program look again; such a measurement is no measure.
    let mut costs = Vec::new();
    for _ in 0..5 {
        let (before, begun) = (world.proxy(0).requests(), Instant::now());
        let mut tick = tokio::time::interval(BLOCK);
        for _ in 0..BLOCKS {
            tick.tick().await;
            world.mine(1).await;
        }
        let requests = u32::try_from(world.proxy(0).requests() - before).unwrap();
        costs.push(f64::from(requests) / f64::from(BLOCKS));
        println!("{requests} requests in {BLOCKS} blocks and {:?}", begun.elapsed());
        if costs.last().is_some_and(|cost| *cost <= 0.05) {
            break;
        }
    }
    assert!(costs.last().is_some_and(|cost| *cost <= 0.05), "requests a block: {costs:?}");
    // It is watched all the same.
    let top_up = world.node().transfer(USDC, PAYER, WALLET, usdc(8)).await.unwrap();
    world.mine(1).await;
    assert_eq!(recorded(&world, top_up).await, Verdict::Nothing { why: NothingReason::WalletCredit });
    end(world, &[], &[]).await;
}
