//! Money that comes too early, too late, or before anybody told of the payment.

use rampwatch::domain::deposit::{ReviewReason, Verdict};
use rampwatch::domain::event::EventKind;
use rampwatch::domain::payment::{ApiStatus, Outcome, PaymentReview, PaymentState};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::policy::resolve::Decision;
use rampwatch::sandbox::fake_api::NewOffRamp;
use rampwatch::sandbox::{BlockTag, Node, PAYER};

use super::world::{Setup, World, usdc};

/// As in the engine's settings.
const SKEW: Span = Span::from_secs(120);
const SECOND: Span = Span::from_secs(1);

/// The time of the newest block.
async fn chain_time(node: &Node) -> Timestamp {
    node.existing_block(BlockTag::Latest).await.unwrap().header.time
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_older_than_its_payment_waits_for_a_person() {
    let mut world = World::start(Setup::default()).await;
    let created = chain_time(world.node()).await.plus(Span::from_secs(300));
    let new = || NewOffRamp { amount: usdc(15), created_at: Some(created), ..NewOffRamp::default() };
    let (early, in_time) = (world.open_as(new()).await, world.open_as(new()).await);
    let too_soon = world.pay(&early).await;
    world.node().set_next_block_time(created.minus(SKEW).minus(SECOND)).await.unwrap();
    world.mine(1).await;
    let paid = world.pay(&in_time).await;
    world.node().set_next_block_time(created.minus(SKEW)).await.unwrap();
    world.mine(1).await;
    world.catch_up().await;
    world.until_completed(&[&in_time]).await;
    let why = ReviewReason::Early { payment: early.id.clone() };
    assert_eq!(world.verdict(&early, too_soon).await, Verdict::Review { why });
    let right = world.pay(&early).await;
    world.until_completed(&[&early]).await;
    let why = ReviewReason::SecondDeposit { payment: early.id.clone() };
    assert_eq!(world.verdict(&early, too_soon).await, Verdict::Review { why });
    world.end(&[(&in_time, paid), (&early, right)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_younger_than_the_expiry_waits_for_a_person() {
    let mut world = World::start(Setup::default()).await;
    // The API's own clock does not get there within the test: it is the block's time that counts.
    let expires = chain_time(world.node()).await.plus(Span::from_secs(900));
    let new = || NewOffRamp { amount: usdc(16), expires_at: Some(expires), ..NewOffRamp::default() };
    let (late, in_time) = (world.open_as(new()).await, world.open_as(new()).await);
    let paid = world.pay(&in_time).await;
    world.node().set_next_block_time(expires.plus(SKEW)).await.unwrap();
    world.mine(1).await;
    let too_late = world.pay(&late).await;
    world.node().set_next_block_time(expires.plus(SKEW).plus(SECOND)).await.unwrap();
    world.mine(1).await;
    world.catch_up().await;
    world.until_completed(&[&in_time]).await;
    let why = ReviewReason::Late { payment: late.id.clone() };
    assert_eq!(world.verdict(&late, too_late).await, Verdict::Review { why });
    assert_eq!(world.state(&late).await.name(), "waiting");
    world.end(&[(&in_time, paid)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_for_a_payment_that_the_api_let_run_out_is_kept_and_not_reported() {
    let mut world = World::start(Setup::default()).await;
    let before = world.open(usdc(17)).await;
    let between = world.open(usdc(18)).await;
    let paid = world.pay(&between).await;
    world.mine(1).await;
    world.wait_named(&between, "seen").await;
    world.api.set(&before.id, "EXPIRED", None).unwrap();
    world.api.set(&between.id, "EXPIRED", None).unwrap();
    let expired = |state: &PaymentState| matches!(state, PaymentState::Ended { outcome: Outcome::Expired, .. });
    world.wait(&before, "expired", expired).await;
    let with_money = |state: &PaymentState| {
        let expired = PaymentReview::EndedWithMoney { status: ApiStatus::Expired };
        matches!(state, PaymentState::Review { why, deposit: Some(key) } if *why == expired && key.tx_hash == paid)
    };
    world.wait(&between, "in review, with its money", with_money).await;
    let after = world.pay(&before).await;
    world.mine(1).await;
    world.catch_up().await;
    let why = ReviewReason::PaymentEnded { payment: before.id.clone() };
    assert_eq!(world.verdict(&before, after).await, Verdict::Review { why });
    assert!(with_money(&world.state(&between).await));
    world.end(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_came_before_anybody_told_of_the_payment_is_found_from_its_creation_on() {
    let mut world = World::start(Setup::default()).await;
    // An hour of blocks before, an hour after.
    world.node().mine_spaced(1_800, 2).await.unwrap();
    let created = chain_time(world.node()).await;
    let bill = world.api.open(NewOffRamp { amount: usdc(19), created_at: Some(created), ..NewOffRamp::default() });
    let bill = bill.unwrap();
    let earlier = world.node().head().await.unwrap();
    let tx_hash = world.pay(&bill).await;
    world.node().mine_spaced(1_800, 2).await.unwrap();
    world.catch_up().await;
    assert_eq!(world.deposits(&bill).await, [], "nobody has asked for it yet");
    world.add(&bill).await;
    world.until_completed(&[&bill]).await;
    let events = world.store().events(0, 10_000).await.unwrap();
    let start = events.iter().find_map(|recorded| match recorded.event.kind {
        EventKind::AddressPlaced { address, start } if address == bill.deposit_address => Some(start),
        _ => None,
    });
    let start = start.expect("the address was placed");
    // Ten minutes of margin are 300 blocks; some more are read because the search need not be exact.
    assert!((earlier - 400..=earlier - 295).contains(&start), "{start} for a payment at {earlier}");
    world.end(&[(&bill, tx_hash)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_a_stranger_sends_to_an_address_with_nothing_open_is_kept() {
    let mut world = World::start(Setup::default()).await;
    let bill = world.open(usdc(21)).await;
    let paid = world.pay(&bill).await;
    world.until_completed(&[&bill]).await;
    let more = world.send(PAYER, &bill, usdc(3)).await;
    world.mine(1).await;
    world.catch_up().await;
    let why = ReviewReason::SecondDeposit { payment: bill.id.clone() };
    assert_eq!(world.verdict(&bill, more).await, Verdict::Review { why });
    world.end(&[(&bill, paid)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_came_in_time_for_a_payment_that_has_run_out_since_does_not_pay_its_neighbour_unasked() {
    let mut world = World::start(Setup::default()).await;
    let ran_out = world.open(usdc(22)).await;
    let at = Some(ran_out.deposit_address);
    let open = world.open_as(NewOffRamp { amount: usdc(22), deposit_address: at, ..NewOffRamp::default() }).await;
    world.crash().await;
    let tx_hash = world.pay(&ran_out).await;
    world.mine(1).await;
    world.api.set(&ran_out.id, "EXPIRED", None).unwrap();
    world.start_engine().await;
    world.wait_named(&ran_out, "ended").await;
    world.catch_up().await;
    world.sweeps(2).await;
    let candidates = vec![ran_out.id.clone(), open.id.clone()];
    let why = ReviewReason::Ambiguous { candidates };
    assert_eq!(world.verdict(&open, tx_hash).await, Verdict::Review { why });
    assert_eq!(world.state(&open).await.name(), "waiting");
    world.assert_completions(&[]);
    let deposit = world.deposits(&open).await[0].key;
    let assign = Decision::Assign { deposit, payment: open.id.clone() };
    world.handle().resolve(&assign, "they opened a new one").await.unwrap();
    world.until_completed(&[&open]).await;
    world.end(&[(&open, tx_hash)]).await;
}
