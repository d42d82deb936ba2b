//! The price of gas rises while transfers wait.

use rampwatch::adapters::system::SystemClock;
use rampwatch::domain::event::{Alarm, EventKind};
use rampwatch::domain::hold::Hold;
use rampwatch::domain::order::{Order, OrderState};
use rampwatch::domain::time::Span;
use rampwatch::domain::wei::Wei;
use rampwatch::engine::FundingRules;
use rampwatch::ports::clock::Clock;
use rampwatch::sandbox::fake_api::OffRamp;

use super::bench::{
    alarms, end, events, fund, mined_nonces, open, order, pooled, rules, send, setup, spent, until, until_all_ended,
    wait_order, wallet_opened,
};
use crate::anvil::world::{World, usdc};

/// The most that these rules offer for a unit of gas.
const CEILING: Wei = Wei::from_gwei(500);

async fn world(change: impl FnOnce(&mut FundingRules)) -> World {
    let mut rules = rules();
    change(&mut rules);
    let world = World::start(setup(rules)).await;
    wallet_opened(&world).await;
    world
}

/// Each attempt offers an eighth more than the one before, in tip and in cap, and none more than the ceiling.
fn assert_rises(order: &Order) {
    for attempt in &order.attempts {
        assert!(attempt.fees.cap <= CEILING, "{attempt:?}");
    }
    for pair in order.attempts.windows(2) {
        assert_eq!(pair[0].nonce, pair[1].nonce, "a raise keeps its nonce");
        let (before, after) = (pair[0].fees, pair[1].fees);
        assert!(after.cap.get() * 8 >= before.cap.get() * 9, "{before:?} {after:?}");
        assert!(after.tip.get() * 8 >= before.tip.get() * 9, "{before:?} {after:?}");
    }
}

async fn stuck(world: &World, of: &OffRamp) -> Vec<Hold> {
    let hold = |alarm| match alarm {
        Alarm::FundingStuck { order, hold } if order.payment == of.id => Some(hold),
        _ => None,
    };
    alarms(world).await.into_iter().filter_map(hold).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_that_a_base_fee_ten_times_higher_throws_out_are_raised_and_mined_under_the_ceiling() {
    let mut world = world(|rules| rules.pace.bump_after = Span::from_millis(700)).await;
    world.node().mine_at(Wei::from_gwei(20), 1).await.unwrap();
    let mut off_ramps = Vec::new();
    for nth in 0..4 {
        let (off_ramp, order) = send(&world, usdc(300 + nth)).await;
        assert_eq!(order.attempts[0].fees.cap, Wei::from_gwei(70));
        off_ramps.push(off_ramp);
    }
    let dear = Wei::from_gwei(200);
    // Nobody looks until the time of all has come: each would be raised when its own has.
    world.crash().await;
    world.node().mine_at(dear, 1).await.unwrap();
    let all_due = SystemClock.now().plus(Span::from_millis(1_500));
    until("the time of all has come", || async { SystemClock.now() > all_due }).await;
    world.start_engine().await;
    until("all are in the pool again, at a price that is mined", || async {
        let pool = world.node().pool().await.unwrap();
        pool.len() == 4 && pool.iter().all(|waiting| waiting.cap > dear && waiting.is_ready)
    })
    .await;
    let raised = events(&world).await.into_iter().filter_map(|event| match event {
        EventKind::AttemptSigned { attempt, .. } if attempt.fees.cap > dear => Some(attempt.nonce),
        _ => None,
    });
    assert_eq!(raised.take(4).collect::<Vec<u64>>(), [0, 1, 2, 3], "the lowest nonce is raised first");
    world.node().mine_at(dear, 1).await.unwrap();
    until_all_ended(&world).await;
    for off_ramp in &off_ramps {
        let order = order(&world, off_ramp).await;
        assert!(order.attempts.len() >= 2);
        assert_rises(&order);
    }
    assert_eq!(spent(&world).await, usdc(300 + 301 + 302 + 303));
    end(world, &off_ramps.iter().collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn above_the_ceiling_transfers_wait_with_one_alarm_and_go_on_when_the_base_fee_falls() {
    let world = world(|_| {}).await;
    world.node().mine_at(Wei::from_gwei(20), 1).await.unwrap();
    let (signed, _) = send(&world, usdc(310)).await;
    let dear = Wei::from_gwei(600);
    world.node().mine_at(dear, 1).await.unwrap();
    let fresh = open(&world, usdc(311)).await;
    fund(&world, &fresh).await.unwrap();
    let too_dear = |state: &OrderState| matches!(state, OrderState::Held { why: Hold::FeeCeiling { .. } });
    wait_order(&world, &fresh, "held for its fees", too_dear).await;
    let troubled = |state: &OrderState| matches!(state, OrderState::Sending { trouble: Some(_), .. });
    wait_order(&world, &signed, "in trouble", troubled).await;
    // Many times as long as a hold and a broadcast last.
    world.sweeps(25).await;
    let order_now = order(&world, &signed).await;
    assert!(troubled(&order_now.state), "{:?}", order_now.state);
    assert_eq!(order_now.attempts.len(), 1, "nothing is signed above the ceiling");
    assert_eq!(stuck(&world, &signed).await.len(), 1, "{:?}", stuck(&world, &signed).await);
    assert!(stuck(&world, &fresh).await.is_empty(), "nothing of it is signed");
    assert!(pooled(&world).await.is_empty());

    world.node().mine_at(Wei::from_gwei(15), 1).await.unwrap();
    until_all_ended(&world).await;
    assert_rises(&order(&world, &signed).await);
    end(world, &[&signed, &fresh]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_ceiling_the_same_bytes_are_sent_again_and_the_alarm_is_raised_once() {
    let world = world(|rules| {
        // First 30 and twice the base fee; an eighth more is too much already.
        rules.preflight.fees.ceiling = Wei::from_gwei(37);
        rules.pace.bump_after = Span::from_millis(150);
        rules.pace.rebroadcast_after = Span::from_millis(300);
    })
    .await;
    world.node().mine(3).await.unwrap();
    let (off_ramp, _) = send(&world, usdc(320)).await;
    let at_the_ceiling = |state: &OrderState| {
        let trouble = match state {
            OrderState::Sending { trouble, .. } => trouble.as_ref(),
            _ => None,
        };
        matches!(trouble, Some(Hold::FeeCeiling { .. }))
    };
    let before = wait_order(&world, &off_ramp, "at the ceiling", at_the_ceiling).await;
    let again = || async { order(&world, &off_ramp).await.attempts[0].sends >= before.attempts[0].sends + 3 };
    until("three more broadcasts", again).await;
    let now = order(&world, &off_ramp).await;
    assert!(at_the_ceiling(&now.state), "it still says what keeps it: {:?}", now.state);
    assert_eq!(now.attempts.len(), 1);
    assert_eq!(stuck(&world, &off_ramp).await.len(), 1);
    until_all_ended(&world).await;
    end(world, &[&off_ramp]).await;
}

/// Peers stand still for ever here: their pools have dropped everything, and nobody offers it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_market_above_the_ceiling_jams_nothing_though_every_pool_has_dropped_all() {
    let world = world(|rules| rules.pace.bump_after = Span::from_millis(700)).await;
    world.node().mine_at(Wei::from_gwei(20), 1).await.unwrap();
    let mut off_ramps = Vec::new();
    for nth in 0..3 {
        off_ramps.push(send(&world, usdc(330 + nth)).await.0);
    }
    let dear = Wei::from_gwei(600);
    world.node().mine_at(dear, 1).await.unwrap();
    world.node().drop_all_transactions().await.unwrap();
    let fresh = open(&world, usdc(340)).await;
    fund(&world, &fresh).await.unwrap();
    let held = |state: &OrderState| matches!(state, OrderState::Held { why: Hold::FeeCeiling { .. } });
    wait_order(&world, &fresh, "held for its fees", held).await;
    let waits =
        |state: &OrderState| matches!(state, OrderState::Sending { trouble: Some(Hold::FeeCeiling { .. }), .. });
    for off_ramp in &off_ramps {
        wait_order(&world, off_ramp, "waiting by name", waits).await;
    }
    // Many times as long as a hold and a broadcast last. Refused or not, it is the ceiling that keeps them.
    for _ in 0..5 {
        world.sweeps(6).await;
        for off_ramp in &off_ramps {
            let now = order(&world, off_ramp).await;
            assert!(waits(&now.state), "{:?}", now.state);
            assert_eq!(now.attempts.len(), 1, "nothing is signed above the ceiling");
            assert_eq!(stuck(&world, off_ramp).await.len(), 1, "the alarm is raised once");
        }
    }
    assert!(order(&world, &fresh).await.attempts.is_empty(), "it takes no nonce behind them");
    assert_eq!(world.store().wallet().await.unwrap().unwrap().next_nonce, 3);

    world.node().mine_at(Wei::from_gwei(15), 1).await.unwrap();
    until_all_ended(&world).await;
    assert_eq!(mined_nonces(&world).await, [0, 1, 2, 3]);
    off_ramps.push(fresh);
    for off_ramp in &off_ramps {
        assert_rises(&order(&world, off_ramp).await);
    }
    end(world, &off_ramps.iter().collect::<Vec<_>>()).await;
}
