//! The automatic mode: whoever holds the API key must not be able to drain the wallet.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::order::{Order, OrderOutcome, OrderState, Placer, Spend};
use rampwatch::domain::payment::BankAccountId;
use rampwatch::domain::payout::{Funding, Payout, PayoutState};
use rampwatch::domain::record::{Record, RecordBody};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::engine::FundingRules;
use rampwatch::engine::add::AddPayment;
use rampwatch::ports::store::{Commit, Store};
use rampwatch::sandbox::fake_api::{NewOffRamp, OffRamp};

use super::bench::{fund, order, rules, setup, until_all_ended, wait_order, wallet_opened};
use super::tools::{end, until_order, until_self_sent, withdrawn};
use crate::anvil::world::{LIMIT, World, request_for, usdc};
use crate::support::approving::approve;
use crate::support::payouts::payout;

fn automatic() -> FundingRules {
    let mut rules = rules();
    rules.limits.auto = true;
    rules.limits.auto_max_per_day = Some(rules.limits.max_per_day);
    rules.limits.allowed_bank_accounts = [BankAccountId::new("bank-ours").unwrap()].into();
    rules
}

fn going_to(bank: &str, amount: Amount) -> NewOffRamp {
    let expires_at = Some(Timestamp::from_secs(4_000_000_000));
    let bank_account = Some(BankAccountId::new(bank).unwrap());
    NewOffRamp { amount, expires_at, bank_account, ..NewOffRamp::default() }
}

async fn has_order(world: &World, off_ramp: &OffRamp) -> bool {
    !world.store().orders_of(&off_ramp.id).await.unwrap().is_empty()
}

async fn placed(world: &World, off_ramp: &OffRamp) {
    let placed = || has_order(world, off_ramp);
    crate::support::eventually(LIMIT, "the automatic mode places an order", placed).await;
    assert_eq!(order(world, off_ramp).await.placed_by, Placer::Auto);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_payments_to_accounts_on_the_list_are_funded_and_a_restart_changes_nothing() {
    let mut world = World::start(setup(automatic())).await;
    wallet_opened(&world).await;
    // Those that must not be touched come first, so that they were looked at when the others are funded.
    let theirs = world.open_as(going_to("bank-theirs", usdc(11))).await;
    let first = world.open_as(going_to("bank-ours", usdc(12))).await;
    placed(&world, &first).await;
    until_all_ended(&world).await;
    world.crash().await;
    world.start_engine().await;
    let second = world.open_as(going_to("bank-ours", usdc(13))).await;
    placed(&world, &second).await;
    until_all_ended(&world).await;
    assert!(!has_order(&world, &theirs).await, "the list holds");
    // Not even a person gets past the list, and what was funded is not funded again.
    let refused = fund(&world, &theirs).await.unwrap_err();
    assert!(refused.contains("bank-theirs") && refused.contains("allowed_bank_accounts"), "{refused}");
    for off_ramp in [&first, &second] {
        assert_eq!(world.store().orders_of(&off_ramp.id).await.unwrap().len(), 1);
    }
    end(world, &[&first, &second], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_empty_lets_nothing_through_by_itself() {
    let mut rules = automatic();
    rules.limits.allowed_bank_accounts.clear();
    let world = World::start(setup(rules)).await;
    wallet_opened(&world).await;
    let off_ramp = world.open_as(going_to("bank-ours", usdc(14))).await;
    world.sweeps(4).await;
    assert!(!has_order(&world, &off_ramp).await);
    // A person may still fund it, and then it is looked at by the automatic mode no more.
    fund(&world, &off_ramp).await.unwrap();
    assert_eq!(order(&world, &off_ramp).await.placed_by, Placer::Person);
    end(world, &[&off_ramp], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typed_address_waits_for_a_person_even_when_its_account_is_on_the_list() {
    let world = World::start(setup(automatic())).await;
    wallet_opened(&world).await;
    // The API says nothing of the address: it has to be typed.
    world.api.behave(|behaviour| behaviour.shape = rampwatch::sandbox::fake_api::Shape::Reference);
    let off_ramp = world.api.open(going_to("bank-ours", usdc(15))).unwrap();
    let typed = AddPayment {
        deposit_address: Some(off_ramp.deposit_address),
        amount: Some("15".to_owned()),
        ..request_for(&off_ramp)
    };
    world.handle().add(typed).await.unwrap();
    placed(&world, &off_ramp).await;
    let waiting = order(&world, &off_ramp).await;
    assert!(matches!(waiting.state, OrderState::AwaitingApproval { .. }), "{waiting:?}");
    world.sweeps(3).await;
    assert!(order(&world, &off_ramp).await.attempts.is_empty());
    approve(world.handle(), &waiting.id.to_string(), "it is our own supplier").await.unwrap();
    end(world, &[&off_ramp], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_reached_holds_the_rest_until_it_is_free_again() {
    let mut rules = automatic();
    rules.limits.max_per_day = usdc(100);
    let mut world = World::start(setup(rules)).await;
    wallet_opened(&world).await;
    let first = world.open_as(going_to("bank-ours", usdc(60))).await;
    placed(&world, &first).await;
    let second = world.open_as(going_to("bank-ours", usdc(50))).await;
    let third = world.open_as(going_to("bank-ours", usdc(40))).await;
    placed(&world, &third).await;
    assert!(!has_order(&world, &second).await, "the limit is used up");
    until_all_ended(&world).await;
    // A restart frees nothing; a day does.
    world.crash().await;
    world.start_engine().await;
    let tiny = world.open_as(going_to("bank-ours", usdc(1))).await;
    world.sweeps(4).await;
    assert!(!has_order(&world, &second).await && !has_order(&world, &tiny).await, "the limit is used up still");
    world.crash().await;
    let store = world.open_store().await;
    let yesterday = |order: Order| {
        let spent_at = order.spent_at.map(|at| at.minus(Span::from_secs(90_000)));
        assert!(spent_at.is_some(), "it counts from its block on: {order:?}");
        Order { spent_at, ..order }
    };
    let orders = store.orders(None, 100).await.unwrap().into_iter().map(yesterday).collect();
    store.commit(Commit { orders, ..Commit::default() }).await.unwrap();
    drop(store);
    world.start_engine().await;
    placed(&world, &second).await;
    placed(&world, &tiny).await;
    end(world, &[&first, &second, &third, &tiny], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_back_frees_the_limit_and_what_a_person_cancelled_is_left_alone() {
    let mut rules = automatic();
    rules.limits.max_per_day = usdc(100);
    rules.pace.rebroadcast_after = Span::from_millis(150);
    rules.pace.bump_after = Span::from_secs(600);
    let world = World::start(setup(rules)).await;
    wallet_opened(&world).await;
    let cancelled = world.open_as(going_to("bank-ours", usdc(60))).await;
    let in_flight = |state: &OrderState| matches!(state, OrderState::Sending { .. });
    placed(&world, &cancelled).await;
    wait_order(&world, &cancelled, "sending", in_flight).await;
    let waits = world.open_as(going_to("bank-ours", usdc(50))).await;
    let id = order(&world, &cancelled).await.id.to_string();
    world.handle().cancel_order(&id, "not this one").await.unwrap();
    let (_, self_send) = withdrawn(&world, &cancelled).await;
    assert!(!has_order(&world, &waits).await, "the outcome is unknown, and the spend counts");
    until_self_sent(&world, &cancelled, self_send.tx_hash).await;
    assert_eq!(order(&world, &cancelled).await.spend, Spend::GivenBack);
    placed(&world, &waits).await;
    until_order(&world, &waits, "ended", OrderState::is_ended).await;
    let orders = world.store().orders_of(&cancelled.id).await.unwrap();
    assert!(matches!(
        orders.as_slice(),
        [only] if matches!(only.state, OrderState::Ended { outcome: OrderOutcome::SelfSent { .. }, .. })
    ));
    end(world, &[&waits], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_of_a_payout_is_left_to_whoever_was_to_pay_it() {
    let world = World::start(setup(automatic())).await;
    wallet_opened(&world).await;
    let by_hand = world.api.open(going_to("bank-ours", usdc(11))).unwrap();
    let of_payout = Payout {
        payment: Some(by_hand.id.clone()),
        state: PayoutState::Created { funding: Funding::Hand },
        ..payout("by-hand")
    };
    let record = Record::new(RecordBody::Payout(Box::new(of_payout)), None);
    world.store().commit(Commit { records: vec![record], ..Commit::default() }).await.unwrap();
    world.add(&by_hand).await;
    let other = world.open_as(going_to("bank-ours", usdc(12))).await;
    placed(&world, &other).await;
    until_all_ended(&world).await;
    assert!(!has_order(&world, &by_hand).await, "a person pays it");
}
