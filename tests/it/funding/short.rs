//! The wallet runs out of the native coin or of the token, before a transfer is signed and while it is in flight.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::hold::Hold;
use rampwatch::domain::order::{Effect, OrderOutcome, OrderState};
use rampwatch::domain::wei::Wei;
use rampwatch::policy::fees::worst_cost;
use rampwatch::sandbox::fake_api::OffRamp;
use rampwatch::sandbox::{USDC, WALLET, WALLET_FUNDS, WALLET_GAS_MONEY};

use super::bench::{approve_reverted, fund, is_reverted, open, order, rules, setup, wait_order, wallet_opened};
use super::tools::{
    end, fund_in_flight, hold_of, in_flight, newest, rebroadcasting, until_ended, until_order, wait_hold, wait_mined,
    wait_pooled,
};
use crate::anvil::world::{LIMIT, World, usdc};

/// Waits until the order, which is held, was looked at twice more, and is held still.
async fn still_held(world: &World, off_ramp: &OffRamp) {
    for _ in 0..2 {
        let before = order(world, off_ramp).await.next_at;
        let looked_at = || async { order(world, off_ramp).await.next_at != before };
        crate::support::eventually(LIMIT, "the order is looked at again", looked_at).await;
    }
    let now = order(world, off_ramp).await;
    assert!(matches!(now.state, OrderState::Held { .. }) && now.attempts.is_empty(), "{now:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn gas_money_is_held_against_the_worst_cost_and_the_reserve_to_the_unit() {
    let mut rules = rules();
    let reserve = Wei::from_gwei(123_456_789);
    rules.preflight.reserve_native = reserve;
    let world = World::start(setup(rules)).await;
    wallet_opened(&world).await;
    world.node().set_native_balance(WALLET, Wei::new(1_000)).await.unwrap();
    let off_ramp = open(&world, usdc(40)).await;
    fund(&world, &off_ramp).await.unwrap();
    let Hold::NativeShort { have, need } = wait_hold(&world, &off_ramp, "native-short").await else { unreachable!() };
    assert_eq!(have, Wei::new(1_000));
    let shown = world.handle().show_order(&order(&world, &off_ramp).await.id.to_string()).await.unwrap();
    assert!(shown.text.contains(&need.to_native()) && shown.hold.as_deref() == Some("native-short"), "{shown:?}");
    world.node().set_native_balance(WALLET, need.minus(Wei::new(1))).await.unwrap();
    still_held(&world, &off_ramp).await;
    world.node().set_native_balance(WALLET, need).await.unwrap();
    let transfer = in_flight(&world, &off_ramp).await;
    let most = worst_cost(&transfer.fees, transfer.gas_limit);
    assert_eq!(need, most.plus(reserve), "what is needed is the most that it can cost, and the reserve");
    world.mine_for(transfer.tx_hash).await;
    assert!(world.node().native_balance(WALLET).await.unwrap() >= reserve, "the reserve was not touched");
    end(world, &[&off_ramp], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_held_against_the_reserve_and_what_is_in_flight_to_the_unit() {
    let mut rules = rules();
    let (reserve, one) = (usdc(5), Amount::from_base_units(1));
    rules.preflight.reserve_token = reserve;
    let world = World::start(setup(rules)).await;
    wallet_opened(&world).await;
    let (first, second) = (open(&world, usdc(40)).await, open(&world, usdc(30)).await);
    let need = usdc(45);
    let less = need.checked_sub(one).unwrap();
    world.node().deal(USDC, WALLET, less).await.unwrap();
    fund(&world, &first).await.unwrap();
    assert_eq!(wait_hold(&world, &first, "token-short").await, Hold::TokenShort { have: less, need });
    still_held(&world, &first).await;
    world.node().deal(USDC, WALLET, need).await.unwrap();
    let transfer = in_flight(&world, &first).await;
    // All but the reserve is promised: the next one finds only that.
    fund(&world, &second).await.unwrap();
    let short = wait_hold(&world, &second, "token-short").await;
    assert_eq!(short, Hold::TokenShort { have: reserve, need: usdc(35) });
    let id = order(&world, &second).await.id.to_string();
    let text = world.handle().show_order(&id).await.unwrap().text;
    assert!(text.contains("has 5.00 to give, and needs 35.00"), "{text}");
    world.mine_for(transfer.tx_hash).await;
    assert!(matches!(until_ended(&world, &first).await, OrderOutcome::Paid { .. }));
    assert_eq!(world.node().balance(USDC, WALLET).await.unwrap(), reserve, "the reserve is there to the unit");
    still_held(&world, &second).await;
    world.node().deal(USDC, WALLET, usdc(35)).await.unwrap();
    end(world, &[&first, &second], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gas_money_that_goes_away_in_flight_is_named_and_the_same_bytes_go_out_when_it_is_back() {
    let world = World::start(setup(rebroadcasting(200))).await;
    wallet_opened(&world).await;
    let off_ramp = open(&world, usdc(41)).await;
    let transfer = fund_in_flight(&world, &off_ramp).await;
    world.node().set_native_balance(WALLET, Wei::new(7)).await.unwrap();
    // The node throws it out, as it cannot be paid for.
    world.mine(1).await;
    let Hold::NativeShort { have, need } = wait_hold(&world, &off_ramp, "native-short").await else { unreachable!() };
    assert_eq!((have, need), (Wei::new(7), worst_cost(&transfer.fees, transfer.gas_limit)));
    assert!(matches!(order(&world, &off_ramp).await.state, OrderState::Sending { nonce: 0, .. }));
    world.mine(3).await;
    assert_eq!(world.node().pool().await.unwrap(), [], "nothing is sent that cannot be paid for");
    world.node().set_native_balance(WALLET, WALLET_GAS_MONEY).await.unwrap();
    wait_pooled(&world, transfer.tx_hash).await;
    wait_order(&world, &off_ramp, "without trouble", |state| hold_of(state).is_none()).await;
    assert!(
        matches!(until_ended(&world, &off_ramp).await, OrderOutcome::Paid { tx_hash, .. } if tx_hash == transfer.tx_hash)
    );
    end(world, &[&off_ramp], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_behind_keeps_nobody_from_being_sent_though_the_gas_money_is_not_enough_for_all() {
    let world = World::start(setup(rebroadcasting(200))).await;
    wallet_opened(&world).await;
    let (first, second) = (open(&world, usdc(44)).await, open(&world, usdc(45)).await);
    let transfer = fund_in_flight(&world, &first).await;
    let behind = fund_in_flight(&world, &second).await;
    let most = worst_cost(&transfer.fees, transfer.gas_limit);
    world.node().set_native_balance(WALLET, most).await.unwrap();
    world.node().drop_all_transactions().await.unwrap();
    wait_pooled(&world, transfer.tx_hash).await;
    wait_hold(&world, &second, "native-short").await;
    world.node().set_native_balance(WALLET, WALLET_GAS_MONEY).await.unwrap();
    wait_pooled(&world, behind.tx_hash).await;
    until_ended(&world, &first).await;
    until_ended(&world, &second).await;
    end(world, &[&first, &second], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_go_away_in_flight_are_named_and_the_transfer_is_paid_when_they_are_back() {
    let world = World::start(setup(rebroadcasting(200))).await;
    wallet_opened(&world).await;
    let (waits, reverts) = (open(&world, usdc(42)).await, open(&world, usdc(43)).await);
    // Back before it is mined.
    let transfer = fund_in_flight(&world, &waits).await;
    world.node().deal(USDC, WALLET, Amount::from_base_units(9)).await.unwrap();
    let short = Hold::TokenShort { have: Amount::from_base_units(9), need: usdc(42) };
    assert_eq!(wait_hold(&world, &waits, "token-short").await, short);
    world.node().deal(USDC, WALLET, WALLET_FUNDS).await.unwrap();
    wait_order(&world, &waits, "without trouble", |state| hold_of(state).is_none()).await;
    assert!(
        matches!(until_ended(&world, &waits).await, OrderOutcome::Paid { tx_hash, .. } if tx_hash == transfer.tx_hash)
    );
    // Mined meanwhile: it reverts. Approved once more, the order is held until they are back.
    let transfer = fund_in_flight(&world, &reverts).await;
    world.node().deal(USDC, WALLET, Amount::ZERO).await.unwrap();
    world.mine_for(transfer.tx_hash).await;
    assert_eq!(wait_mined(&world, &reverts).await, (transfer.tx_hash, Effect::Reverted));
    until_order(&world, &reverts, "waiting for a person", is_reverted).await;
    approve_reverted(&world, &reverts).await;
    let held = |state: &OrderState| matches!(state, OrderState::Held { why: Hold::TokenShort { .. } });
    let held = until_order(&world, &reverts, "held", held).await;
    assert_eq!(newest(&held).tx_hash, transfer.tx_hash, "nothing more was signed");
    world.node().deal(USDC, WALLET, WALLET_FUNDS).await.unwrap();
    assert!(
        matches!(until_ended(&world, &reverts).await, OrderOutcome::Paid { tx_hash, .. } if tx_hash != transfer.tx_hash)
    );
    end(world, &[&waits, &reverts], &[]).await;
}
