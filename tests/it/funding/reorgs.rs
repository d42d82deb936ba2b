//! The chain changes its mind about the wallet's transactions, before they are final.

use rampwatch::domain::chain::B256;
use rampwatch::domain::order::{AttemptKind, CancelReason, Effect, Order, OrderOutcome, OrderState};
use rampwatch::domain::payment::PaymentState;
use rampwatch::engine::FundingRules;
use rampwatch::sandbox::fake_api::OffRamp;
use rampwatch::sandbox::{DEV_ACCOUNTS, PAYER, Placed, USDC, WALLET};

use super::bench::{approve_reverted, fund, is_reverted, open, order, setup, wait_order, wallet_opened};
use super::tools::{
    end, force_mined, fund_in_flight, hold_of, paid_by, rebroadcasting, until_ended, until_order, until_self_sent,
    wait_mined, withdrawn,
};
use crate::anvil::world::{Setup, World, usdc};

/// A world in which a block is final when sixteen are above it, so that ten can still go.
async fn deep(rules: FundingRules) -> World {
    let world = World::start(Setup { slots: 8, ..setup(rules) }).await;
    wallet_opened(&world).await;
    world
}

/// Funds an off-ramp and waits until its transfer is the newest of so many blocks, and everybody knows.
async fn mined_under(world: &World, off_ramp: &OffRamp, depth: u64) -> B256 {
    let transfer = fund_in_flight(world, off_ramp).await;
    let receipt = world.mine_for(transfer.tx_hash).await;
    world.mine(depth - 1).await;
    let (tx_hash, effect) = wait_mined(world, off_ramp).await;
    assert_eq!((tx_hash, effect), (transfer.tx_hash, Effect::Paid { log_index: receipt.transfers[0].log_index }));
    let key = crate::anvil::world::key_of(&receipt, off_ramp);
    world.wait_seen(off_ramp, key).await;
    tx_hash
}

fn block_hash(order: &Order) -> Option<B256> {
    match &order.state {
        OrderState::Mined { block, .. } | OrderState::Ended { outcome: OrderOutcome::Paid { block, .. }, .. } => {
            Some(block.hash)
        }
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_a_reorg_drops_is_sent_again_at_every_depth() {
    let world = deep(rebroadcasting(100)).await;
    let mut funded = Vec::new();
    for depth in 1..=10 {
        let off_ramp = open(&world, usdc(100 + u128::from(depth))).await;
        let tx_hash = mined_under(&world, &off_ramp, depth).await;
        let before = block_hash(&order(&world, &off_ramp).await);
        let reorg = world.node().reorg_dropping(depth, WALLET).await.unwrap();
        assert!(reorg.dropped.contains_key(&tx_hash), "a reorg of {depth} drops it");
        let undone = |state: &OrderState| matches!(state, OrderState::Sending { .. });
        wait_order(&world, &off_ramp, "undone", undone).await;
        world.wait(&off_ramp, "waiting again", |state| *state == PaymentState::Waiting).await;
        assert!(matches!(until_ended(&world, &off_ramp).await, OrderOutcome::Paid { .. }));
        let after = order(&world, &off_ramp).await;
        assert_eq!(paid_by(&world, &off_ramp).await, tx_hash, "the same bytes were sent again");
        assert!(after.attempts.len() == 1 && after.attempts[0].sends > 1, "{after:?}");
        assert_ne!(block_hash(&after), before);
        funded.push(off_ramp);
    }
    end(world, &funded.iter().collect::<Vec<_>>(), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_comes_back_elsewhere_by_itself_is_followed_there() {
    let world = deep(rebroadcasting(600_000)).await;
    let offs = [open(&world, usdc(201)).await, open(&world, usdc(202)).await, open(&world, usdc(203)).await];
    let [by_node, moved, delayed] = &offs;
    // Dropped, and brought back by the node.
    let first = mined_under(&world, by_node, 2).await;
    let reorg = world.node().reorg_dropping(2, WALLET).await.unwrap();
    world.wait(by_node, "waiting again", |state| *state == PaymentState::Waiting).await;
    world.node().send_dropped(&reorg).await.unwrap();
    assert!(matches!(until_ended(&world, by_node).await, OrderOutcome::Paid { .. }));
    // In a later block, behind somebody else's transfer.
    let second = mined_under(&world, moved, 3).await;
    let at = order(&world, moved).await;
    let foreign = world.node().transfer(USDC, PAYER, DEV_ACCOUNTS[5], usdc(1)).await.unwrap();
    let places = [Placed { tx_hash: foreign, block: 1 }, Placed { tx_hash: second, block: 1 }];
    let reorg = world.node().reorg(3, &places).await.unwrap();
    let elsewhere =
        |state: &OrderState| matches!(state, OrderState::Mined { block, .. } if block.number == reorg.first + 1);
    let there = wait_order(&world, moved, "in the later block", elsewhere).await;
    assert!(
        matches!(there.state, OrderState::Mined { effect: Effect::Paid { log_index: 1 }, .. })
            && matches!(at.state, OrderState::Mined { effect: Effect::Paid { log_index: 0 }, .. }),
        "{there:?}, before {at:?}"
    );
    let outcome = until_ended(&world, moved).await;
    assert!(matches!(outcome, OrderOutcome::Paid { log_index: 1, .. }), "{outcome:?}");
    // Two blocks later.
    let third = mined_under(&world, delayed, 4).await;
    let reorg = world.node().reorg_delaying(4, WALLET, 2).await.unwrap();
    let later =
        |state: &OrderState| matches!(state, OrderState::Mined { block, .. } if block.number == reorg.first + 2);
    wait_order(&world, delayed, "two blocks later", later).await;
    assert!(matches!(until_ended(&world, delayed).await, OrderOutcome::Paid { .. }));
    for (off_ramp, tx_hash) in [(by_node, first), (moved, second), (delayed, third)] {
        assert_eq!(paid_by(&world, off_ramp).await, tx_hash);
        assert_eq!(order(&world, off_ramp).await.attempts[0].sends, 1, "rampwatch had nothing to send again");
    }
    end(world, &[by_node, moved, delayed], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_transfer_that_a_reorg_turns_into_a_revert_is_paid_anew_at_another_nonce_once_approved() {
    let world = deep(rebroadcasting(100)).await;
    let off_ramp = open(&world, usdc(250)).await;
    let tx_hash = mined_under(&world, &off_ramp, 2).await;
    let pause = world.node().set_paused(USDC, true).await.unwrap();
    let places = [Placed { tx_hash: pause, block: 0 }, Placed { tx_hash, block: 0 }];
    world.node().reorg(2, &places).await.unwrap();
    let reverted = |state: &OrderState| matches!(state, OrderState::Mined { effect: Effect::Reverted, .. });
    wait_order(&world, &off_ramp, "reverted", reverted).await;
    world.wait(&off_ramp, "waiting again", |state| *state == PaymentState::Waiting).await;
    until_order(&world, &off_ramp, "waiting for a person", is_reverted).await;
    approve_reverted(&world, &off_ramp).await;
    let paused = |state: &OrderState| hold_of(state).is_some_and(|hold| hold.name() == "token-paused");
    let held = until_order(&world, &off_ramp, "held for the pause", paused).await;
    assert!(matches!(held.state, OrderState::Held { .. }), "the first nonce is over: {held:?}");
    world.node().set_paused(USDC, false).await.unwrap();
    assert!(matches!(until_ended(&world, &off_ramp).await, OrderOutcome::Paid { .. }));
    let after = order(&world, &off_ramp).await;
    assert_eq!(after.attempts.iter().map(|attempt| attempt.nonce).collect::<Vec<_>>(), [0, 1]);
    assert_ne!(paid_by(&world, &off_ramp).await, tx_hash);
    end(world, &[&off_ramp], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_self_send_that_a_reorg_drops_leaves_both_ends_open() {
    let world = deep(rebroadcasting(300)).await;
    let (back, paid) = (open(&world, usdc(301)).await, open(&world, usdc(302)).await);
    for off_ramp in [&back, &paid] {
        let transfer = fund_in_flight(&world, off_ramp).await;
        let id = order(&world, off_ramp).await.id.to_string();
        world.handle().cancel_order(&id, "a mistake").await.unwrap();
        let (why, self_send) = withdrawn(&world, off_ramp).await;
        assert_eq!(why, CancelReason::Person { reason: "a mistake".to_owned() });
        world.mine_for(self_send.tx_hash).await;
        assert_eq!(wait_mined(&world, off_ramp).await, (self_send.tx_hash, Effect::SelfSent));
        // While the wallet is paused nothing of it is sent, and the chain goes on as it likes.
        world.handle().pause_wallet("to see what the chain does").await.unwrap();
        let refused = fund(&world, off_ramp).await.unwrap_err();
        assert!(refused.contains("is open already (mined)"), "{refused}");
        world.node().reorg_dropping(1, WALLET).await.unwrap();
        let again = wait_order(&world, off_ramp, "cancelling again", |state| state.name() == "cancelling").await;
        assert_eq!(again.attempts.last().map(|attempt| attempt.kind), Some(AttemptKind::SelfSend));
        if off_ramp.id == paid.id {
            force_mined(&world, &transfer).await;
            assert!(
                matches!(wait_mined(&world, off_ramp).await, (tx_hash, Effect::Paid { .. }) if tx_hash == transfer.tx_hash)
            );
        }
        world.handle().resume_wallet("it was enough").await.unwrap();
        if off_ramp.id == paid.id {
            assert!(matches!(until_ended(&world, off_ramp).await, OrderOutcome::Paid { .. }));
        } else {
            until_self_sent(&world, off_ramp, self_send.tx_hash).await;
        }
    }
    end(world, &[&paid], &[]).await;
}
