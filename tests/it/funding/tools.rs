//! What the stories about trouble share: looks at orders that are in flight, and the end of a story.

use std::time::Duration;

use tokio::time::Instant;

use rampwatch::domain::chain::B256;
use rampwatch::domain::hold::Hold;
use rampwatch::domain::order::{Attempt, AttemptKind, CancelReason, Effect, Order, OrderOutcome, OrderState, Spend};
use rampwatch::domain::time::Span;
use rampwatch::engine::FundingRules;
use rampwatch::sandbox::WALLET;
use rampwatch::sandbox::fake_api::OffRamp;

use super::bench::{assert_laws, fund, order, rules, until_all_ended, wait_order};
use crate::anvil::world::{LIMIT, World};

/// Rules by which nothing is raised, and what is not mined is broadcast again after so many milliseconds.
pub(crate) fn rebroadcasting(after_ms: u64) -> FundingRules {
    let mut rules = rules();
    rules.pace.bump_after = Span::from_secs(600);
    rules.pace.rebroadcast_after = Span::from_millis(after_ms);
    rules
}

/// What stands in the way of an order, if anything does.
pub(crate) fn hold_of(state: &OrderState) -> Option<&Hold> {
    match state {
        OrderState::Held { why } => Some(why),
        OrderState::Sending { trouble, .. } | OrderState::Cancelling { trouble, .. } => trouble.as_ref(),
        _ => None,
    }
}

/// Waits, without mining, until something of this name stands in the order's way.
pub(crate) async fn wait_hold(world: &World, off_ramp: &OffRamp, name: &str) -> Hold {
    let named = |state: &OrderState| hold_of(state).is_some_and(|hold| hold.name() == name);
    hold_of(&wait_order(world, off_ramp, name, named).await.state).cloned().unwrap()
}

/// The newest attempt of an order.
pub(crate) fn newest(order: &Order) -> Attempt {
    order.attempts.last().cloned().unwrap_or_else(|| panic!("{} has an attempt", order.id))
}

/// Waits until a transaction waits in the pool.
pub(crate) async fn wait_pooled(world: &World, tx_hash: B256) {
    let pooled = || async {
        let pool = world.node().pool().await.unwrap();
        pool.iter().any(|waiting| waiting.tx_hash == tx_hash)
    };
    crate::support::eventually(LIMIT, "the transaction waits in the pool", pooled).await;
}

/// Waits until the order's transfer waits in the pool, and the order says that it was sent.
pub(crate) async fn in_flight(world: &World, off_ramp: &OffRamp) -> Attempt {
    let end = Instant::now() + LIMIT;
    loop {
        let order = order(world, off_ramp).await;
        if let (OrderState::Sending { .. }, Some(last)) = (&order.state, order.attempts.last())
            && last.sent_at.is_some()
        {
            wait_pooled(world, last.tx_hash).await;
            return last.clone();
        }
        assert!(Instant::now() < end, "waited in vain until {} is sent; it is {:?}", order.id, order.state);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Funds an off-ramp, and gives the transfer that waits to be mined.
pub(crate) async fn fund_in_flight(world: &World, off_ramp: &OffRamp) -> Attempt {
    fund(world, off_ramp).await.unwrap();
    in_flight(world, off_ramp).await
}

/// Waits, without mining, until the order is being cancelled and its self-send waits in the pool. Gives why.
pub(crate) async fn withdrawn(world: &World, off_ramp: &OffRamp) -> (CancelReason, Attempt) {
    let sent = |state: &OrderState| matches!(state, OrderState::Cancelling { .. });
    let end = Instant::now() + LIMIT;
    loop {
        let order = wait_order(world, off_ramp, "cancelling", sent).await;
        assert_eq!(order.spend, Spend::Counted, "nothing is given back while the outcome is unknown");
        let shown = world.handle().show_order(&order.id.to_string()).await.unwrap();
        assert!(shown.text.contains("outcome unknown"), "{}", shown.text);
        let last = newest(&order);
        if let (OrderState::Cancelling { why, .. }, AttemptKind::SelfSend) = (&order.state, last.kind)
            && last.sent_at.is_some()
        {
            wait_pooled(world, last.tx_hash).await;
            assert_eq!(last.nonce, order.attempts[0].nonce, "the self-send has the transfer's nonce");
            return (why.clone(), last);
        }
        assert!(Instant::now() < end, "waited in vain for the self-send of {order:#?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits, without mining, until one of the order's transactions is in a block, and says what it did.
pub(crate) async fn wait_mined(world: &World, off_ramp: &OffRamp) -> (B256, Effect) {
    let order = wait_order(world, off_ramp, "mined", |state| matches!(state, OrderState::Mined { .. })).await;
    let OrderState::Mined { tx_hash, effect, .. } = order.state else { unreachable!("it is mined") };
    assert_eq!(order.spend, Spend::Counted, "nothing is given back before it is final");
    (tx_hash, effect)
}

/// Mines block after block until the last order of an off-ramp is as wished.
pub(crate) async fn until_order(
    world: &World,
    off_ramp: &OffRamp,
    what: &str,
    wished: impl Fn(&OrderState) -> bool,
) -> Order {
    let end = Instant::now() + LIMIT;
    loop {
        let order = order(world, off_ramp).await;
        if wished(&order.state) {
            return order;
        }
        assert!(Instant::now() < end, "waited in vain until {} is {what}; it is {:?}", order.id, order.state);
        world.mine(1).await;
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// Mines block after block until the last order of an off-ramp has ended. Gives how.
pub(crate) async fn until_ended(world: &World, off_ramp: &OffRamp) -> OrderOutcome {
    let order = until_order(world, off_ramp, "ended", OrderState::is_ended).await;
    let OrderState::Ended { outcome, .. } = order.state else { unreachable!("it has ended") };
    outcome
}

/// The transfer that paid an off-ramp, for good.
pub(crate) async fn paid_by(world: &World, off_ramp: &OffRamp) -> B256 {
    match order(world, off_ramp).await.state {
        OrderState::Ended { outcome: OrderOutcome::Paid { tx_hash, .. }, .. } => tx_hash,
        other => panic!("{} is paid, not {other:?}", off_ramp.id),
    }
}

/// Mines until the last order has ended with its self-send: the spend is given back, and not before.
pub(crate) async fn until_self_sent(world: &World, off_ramp: &OffRamp, self_send: B256) -> CancelReason {
    let OrderOutcome::SelfSent { tx_hash, why } = until_ended(world, off_ramp).await else {
        panic!("it was self-sent, not {:?}", order(world, off_ramp).await.state)
    };
    assert_eq!(tx_hash, self_send);
    assert_eq!(order(world, off_ramp).await.spend, Spend::GivenBack);
    why
}

/// The signed transfer is mined although a self-send is to take its place. The wallet must be paused, so that nobody
/// brings the self-send back.
pub(crate) async fn force_mined(world: &World, transfer: &Attempt) {
    world.node().drop_transactions_of(WALLET).await.unwrap();
    world.node().send_raw(&transfer.raw.0).await.unwrap();
    world.mine_for(transfer.tx_hash).await;
}

/// The end of a story: every order ends, every law holds, the funded ones are completed with the transfer of their
/// order, those paid by hand with theirs, and nothing else is.
pub(crate) async fn end(world: World, funded: &[&OffRamp], by_hand: &[(&OffRamp, B256)]) {
    until_all_ended(&world).await;
    let paid: Vec<&OffRamp> = funded.iter().copied().chain(by_hand.iter().map(|(off_ramp, _)| *off_ramp)).collect();
    world.until_completed(&paid).await;
    let mut expected = by_hand.to_vec();
    for off_ramp in funded {
        expected.push((off_ramp, paid_by(&world, off_ramp).await));
    }
    assert_laws(&world, &paid).await;
    world.end(&expected).await;
}
