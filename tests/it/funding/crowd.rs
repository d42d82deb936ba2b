//! Very many orders at once.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use rampwatch::domain::event::EventKind;
use rampwatch::domain::hold::Hold;
use rampwatch::domain::order::{OrderId, OrderState};
use rampwatch::sandbox::USDC;
use rampwatch::sandbox::fake_api::OffRamp;
use tokio::time::Instant;

use super::bench::{end, events, fund, mined_nonces, open, order, rules, setup, spent, until_all_ended, wallet_opened};
use crate::anvil::world::{LIMIT, World, usdc};

const ORDERS: u128 = 200;

/// Their signing, checking and settling is minutes of work for a slow core, all of it waited for.
const PATIENCE: u32 = 4;

/// How many orders had a transaction that was signed and not mined, at the most and at any moment of the ledger.
fn most_in_flight(events: &[EventKind]) -> usize {
    let mut in_flight: BTreeMap<OrderId, bool> = BTreeMap::new();
    let mut most = 0;
    for event in events {
        if let EventKind::OrderMoved { order, to, .. } = event {
            let waits = matches!(**to, OrderState::Sending { .. } | OrderState::Cancelling { .. });
            in_flight.insert(order.clone(), waits);
            most = most.max(in_flight.values().filter(|waits| **waits).count());
        }
    }
    most
}

/// Mines block after block until the only open order is this one's.
async fn until_the_others_ended(world: &World, held: &OffRamp) {
    let end = Instant::now() + LIMIT * PATIENCE;
    loop {
        let open = world.store().open_orders().await.unwrap();
        if open.iter().all(|order| order.id.payment == held.id) {
            return;
        }
        assert!(Instant::now() < end, "{} orders are still open", open.len());
        world.mine(1).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_orders_at_once_are_each_paid_once_and_a_blacklisted_one_holds_up_nobody() {
    let world = World::start(setup(rules())).await;
    wallet_opened(&world).await;
    let mut off_ramps = Vec::new();
    for nth in 1..=ORDERS {
        off_ramps.push(open(&world, usdc(100 + nth)).await);
    }
    let held = &off_ramps[57];
    let listed = world.node().set_blacklisted(USDC, held.deposit_address, true).await.unwrap();
    assert!(world.mine_for(listed).await.succeeded);

    let placed = join_all(off_ramps.iter().map(|off_ramp| fund(&world, off_ramp))).await;
    assert_eq!(placed.into_iter().collect::<Result<Vec<()>, String>>(), Ok(vec![(); off_ramps.len()]));
    until_the_others_ended(&world, held).await;
    let state = order(&world, held).await.state;
    assert_eq!(state, OrderState::Held { why: Hold::RecipientBlacklisted });
    assert_eq!(mined_nonces(&world).await, (0..199).collect::<Vec<u64>>(), "without a gap, in the order of the chain");

    let cleared = world.node().set_blacklisted(USDC, held.deposit_address, false).await.unwrap();
    assert!(world.mine_for(cleared).await.succeeded);
    until_all_ended(&world).await;
    assert_eq!(mined_nonces(&world).await.len(), 200);
    assert_eq!(world.store().wallet().await.unwrap().unwrap().next_nonce, 200);
    let most = most_in_flight(&events(&world).await);
    assert_eq!(most, 16, "so many were in flight at once");
    let all = (1..=ORDERS).map(|nth| 100 + nth).sum();
    assert_eq!(spent(&world).await, usdc(all));
    let all: Vec<&OffRamp> = off_ramps.iter().collect();
    end(world, &all).await;
}
