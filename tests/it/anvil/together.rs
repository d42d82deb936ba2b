//! Several payments that one transaction pays, and several that one deposit could pay.

use std::collections::BTreeMap;

use rampwatch::domain::deposit::{MatchRule, ReviewReason, Verdict};
use rampwatch::domain::payment::{PaymentReview, PaymentState};
use rampwatch::sandbox::fake_api::{NewOffRamp, OffRamp, SharedHash};
use rampwatch::sandbox::token::BatchItem;
use rampwatch::sandbox::{DEV_ACCOUNTS, PAYER, USDC};

use super::world::{Setup, World, is_completed, usdc};

/// Opens five off-ramps and pays them in one transaction, in an order of its own.
async fn five_in_one(world: &World) -> (Vec<OffRamp>, rampwatch::domain::chain::B256) {
    let mut bills = Vec::new();
    for amount in [1, 2, 3, 3, 5] {
        bills.push(world.open(usdc(amount)).await);
    }
    let item = |bill: &OffRamp| BatchItem { token: USDC, to: bill.deposit_address, amount: bill.amount };
    let items: Vec<BatchItem> = bills.iter().rev().map(item).collect();
    let tx_hash = world.node().batch(PAYER, &items).await.unwrap();
    let receipt = world.mine_for(tx_hash).await;
    assert_eq!(receipt.transfers.len(), 5);
    (bills, tx_hash)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_transaction_pays_five_where_the_api_takes_a_hash_five_times() {
    let world = World::start(Setup::default()).await;
    let (bills, tx_hash) = five_in_one(&world).await;
    world.until_completed(&bills.iter().collect::<Vec<_>>()).await;
    let completed: Vec<_> = bills.iter().map(|bill| (bill, tx_hash)).collect();
    world.end(&completed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_api_takes_a_hash_once_the_other_four_are_a_person_s_business() {
    let mut world = World::start(Setup::default()).await;
    world.api.behave(|behaviour| behaviour.shared_hash = SharedHash::Refused);
    let (bills, tx_hash) = five_in_one(&world).await;
    world.mine(2).await;
    let done = |state: &PaymentState| is_completed(state) || state.name() == "review";
    for bill in &bills {
        world.wait(bill, "completed or in review", done).await;
    }
    world.catch_up().await;
    world.sweeps(3).await;
    let mut refused = 0;
    for bill in &bills {
        match world.state(bill).await {
            state if is_completed(&state) => {}
            PaymentState::Review { why: PaymentReview::Refused { refusal }, deposit: Some(key) } => {
                assert_eq!((refusal.status, key.tx_hash), (400, tx_hash), "{refusal:?}");
                refused += 1;
            }
            state => panic!("{} is {state:?}", bill.id),
        }
    }
    assert_eq!(refused, 4);
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    for (payment, hash, _) in world.calls().into_iter().filter(|(payment, ..)| is_one_of(payment, &bills)) {
        assert_eq!(hash, format!("{tx_hash:#x}"));
        *calls.entry(payment).or_default() += 1;
    }
    assert_eq!((calls.len(), calls.values().max()), (5, Some(&1)), "each was called for once: {calls:?}");
    let acted = world.calls().into_iter().filter(|(payment, _, acted)| *acted && is_one_of(payment, &bills)).count();
    assert_eq!(acted, 1);
    world.end_whatever_was_completed().await;
}

fn is_one_of(payment: &str, bills: &[OffRamp]) -> bool {
    bills.iter().any(|bill| bill.id.as_str() == payment)
}

/// Two off-ramps of the same amount at the address of a first one.
async fn twins(world: &World, senders: [Option<rampwatch::domain::chain::Address>; 2]) -> [OffRamp; 2] {
    let at = rampwatch::domain::chain::Address::repeat_byte(0x77);
    let twin = |sender| NewOffRamp { amount: usdc(40), deposit_address: Some(at), sender, ..NewOffRamp::default() };
    [world.open_as(twin(senders[0])).await, world.open_as(twin(senders[1])).await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposit_that_two_payments_fit_is_not_guessed_at() {
    let mut world = World::start(Setup::default()).await;
    let [one, other] = twins(&world, [None, None]).await;
    let tx_hash = world.send(PAYER, &one, usdc(40)).await;
    let second = world.send(PAYER, &one, usdc(40)).await;
    world.mine(1).await;
    world.catch_up().await;
    let candidates = vec![one.id.clone(), other.id.clone()];
    let ambiguous = Verdict::Review { why: ReviewReason::Ambiguous { candidates } };
    assert_eq!(world.verdict(&one, tx_hash).await, ambiguous);
    assert_eq!(world.verdict(&one, second).await, ambiguous);
    assert_eq!((world.state(&one).await.name(), world.state(&other).await.name()), ("waiting", "waiting"));
    world.end(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sender_settles_between_two_payments_that_fit() {
    let mut world = World::start(Setup::default()).await;
    let [one, other] = twins(&world, [Some(PAYER), Some(DEV_ACCOUNTS[2])]).await;
    // A third party's money fits both, and says nothing of whose it is.
    let nobodys = world.send(DEV_ACCOUNTS[6], &one, usdc(40)).await;
    world.mine(1).await;
    world.catch_up().await;
    assert_eq!(world.state(&one).await.name(), "waiting");
    let for_other = world.send(DEV_ACCOUNTS[2], &one, usdc(40)).await;
    world.mine(1).await;
    world.wait_named(&other, "seen").await;
    let by_sender = Verdict::Pays { payment: other.id.clone(), rule: MatchRule::Sender };
    assert_eq!(world.verdict(&one, for_other).await, by_sender);
    // With the other paid, one open payment is left. The money that nobody named fits it now, and came first.
    world.until_completed(&[&other]).await;
    world.until_completed(&[&one]).await;
    let by_amount = Verdict::Pays { payment: one.id.clone(), rule: MatchRule::Exact };
    assert_eq!(world.verdict(&one, nobodys).await, by_amount);
    world.end(&[(&other, for_other), (&one, nobodys)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_at_one_address_are_told_apart_by_amount() {
    let world = World::start(Setup::default()).await;
    let first = world.open(usdc(3)).await;
    let at = Some(first.deposit_address);
    let other = NewOffRamp { amount: usdc(4), deposit_address: at, ..NewOffRamp::default() };
    let other = world.open_as(other).await;
    let item = |amount| BatchItem { token: USDC, to: first.deposit_address, amount };
    let tx_hash = world.node().batch(PAYER, &[item(usdc(4)), item(usdc(3)), item(usdc(7))]).await.unwrap();
    world.until_completed(&[&first, &other]).await;
    let deposits = world.deposits(&first).await;
    let pays = |off_ramp: &OffRamp| Verdict::Pays { payment: off_ramp.id.clone(), rule: MatchRule::Exact };
    assert_eq!(deposits[0].verdict, pays(&other));
    assert_eq!(deposits[1].verdict, pays(&first));
    assert!(matches!(deposits[2].verdict, Verdict::Review { .. }), "{:?}", deposits[2].verdict);
    world.end(&[(&first, tx_hash), (&other, tx_hash)]).await;
}
