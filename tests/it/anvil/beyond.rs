//! Reorgs deeper than finality: the chain has broken its word. An alarm and a person, never a second completion.

use rampwatch::domain::deposit::{BlockStatus, DepositKey, MatchRule, ReviewReason, Verdict};
use rampwatch::domain::event::Alarm;
use rampwatch::domain::payment::{PaymentReview, PaymentState};
use rampwatch::policy::resolve::Decision;
use rampwatch::sandbox::fake_api::{Call, Fault, FaultRule, OffRamp, Progress, When};
use rampwatch::sandbox::{DEV_ACCOUNTS, Placed};

use super::world::{LIMIT, Setup, World, key_of, usdc};
use crate::support::eventually;

/// Waits until a final deposit is known to be gone, and checks that this is an alarm and a person's business.
async fn is_gone(world: &World, off_ramp: &OffRamp, key: DepositKey) {
    let gone = || async {
        let deposit = world.store().deposit(&key).await.unwrap().unwrap();
        deposit.standing == BlockStatus::Gone { after_final: true }
    };
    eventually(LIMIT, "the final deposit is gone", gone).await;
    assert_eq!(world.alarms(key).await, [Alarm::GoneAfterFinal]);
    let verdict = world.store().deposit(&key).await.unwrap().unwrap().verdict;
    let why = ReviewReason::GoneAfterFinal { payment: Some(off_ramp.id.clone()) };
    assert_eq!(verdict, Verdict::Review { why });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_final_deposit_that_goes_away_before_its_completion_is_never_reported() {
    let mut world = World::start(Setup::default()).await;
    let bill = world.open(usdc(61)).await;
    let payment = Some(bill.id.clone());
    let deaf = FaultRule { call: Call::Get, payment, when: When::PerMille(1_000), fault: Fault::status(503) };
    world.api.add_fault(deaf).unwrap();
    let tx_hash = world.send(DEV_ACCOUNTS[2], &bill, usdc(61)).await;
    let receipt = world.mine_for(tx_hash).await;
    let key = key_of(&receipt, &bill);
    world.mine(2).await;
    world.wait_named(&bill, "due").await;
    let reorg = world.node().reorg_from(receipt.block.number, &[]).await.unwrap();
    is_gone(&world, &bill, key).await;
    let in_review = PaymentState::Review { why: PaymentReview::GoneAfterFinal, deposit: Some(key) };
    world.wait(&bill, "in review", |state| *state == in_review).await;
    world.api.clear_faults();
    world.catch_up().await;
    assert_eq!(world.state(&bill).await, in_review);
    world.assert_completions(&[]);

    // The transaction comes back in a later block: a person says that it is the same money.
    world.node().send_raw(&reorg.dropped[&tx_hash]).await.unwrap();
    let again = key_of(&world.mine_for(tx_hash).await, &bill);
    world.catch_up().await;
    assert_eq!(world.state(&bill).await, in_review, "no machine decides that");
    let deposit = world.store().deposit(&again).await.unwrap().expect("it is kept");
    assert!(matches!(deposit.verdict, Verdict::Review { .. }), "{deposit:#?}");
    let retry = Decision::Retry { payment: bill.id.clone() };
    world.handle().resolve(&retry, "try").await.unwrap();
    world.catch_up().await;
    world.until_completed(&[&bill]).await;
    world.end(&[(&bill, tx_hash)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_final_deposit_that_goes_away_is_assigned_anew_by_a_person_when_it_comes_back() {
    let mut world = World::start(Setup::default()).await;
    let bill = world.open(usdc(62)).await;
    let payment = Some(bill.id.clone());
    let deaf = FaultRule { call: Call::Get, payment, when: When::PerMille(1_000), fault: Fault::status(503) };
    world.api.add_fault(deaf).unwrap();
    let tx_hash = world.pay(&bill).await;
    let receipt = world.mine_for(tx_hash).await;
    world.mine(2).await;
    world.wait_named(&bill, "due").await;
    let reorg = world.node().reorg_from(receipt.block.number, &[]).await.unwrap();
    is_gone(&world, &bill, key_of(&receipt, &bill)).await;
    world.api.clear_faults();
    world.node().send_raw(&reorg.dropped[&tx_hash]).await.unwrap();
    let again = key_of(&world.mine_for(tx_hash).await, &bill);
    world.catch_up().await;
    world.assert_completions(&[]);
    let gone = Decision::Assign { deposit: key_of(&receipt, &bill), payment: bill.id.clone() };
    let refused = world.handle().resolve(&gone, "it was there").await;
    assert!(refused.is_err(), "what is gone cannot be assigned");
    let assign = Decision::Assign { deposit: again, payment: bill.id.clone() };
    world.handle().resolve(&assign, "the same transaction").await.unwrap();
    world.until_completed(&[&bill]).await;
    let rule = MatchRule::Assigned { reason: "the same transaction".to_owned() };
    assert_eq!(world.verdict(&bill, tx_hash).await, Verdict::Pays { payment: bill.id.clone(), rule });
    world.end(&[(&bill, tx_hash)]).await;
}

/// A completed payment, still followed or over, whose deposit's block goes away and whose transaction comes back.
async fn after_the_completion(progress: Progress, state: &str) {
    let mut world = World::start(Setup::default()).await;
    world.api.behave(|behaviour| behaviour.progress = progress);
    let bill = world.open(usdc(63)).await;
    let tx_hash = world.pay(&bill).await;
    let receipt = world.mine_for(tx_hash).await;
    world.mine(2).await;
    world.wait_named(&bill, state).await;
    let reorg = world.node().reorg_from(receipt.block.number, &[]).await.unwrap();
    is_gone(&world, &bill, key_of(&receipt, &bill)).await;
    assert_eq!(world.state(&bill).await.name(), state, "the API has it in hand");
    world.node().send_raw(&reorg.dropped[&tx_hash]).await.unwrap();
    let again = key_of(&world.mine_for(tx_hash).await, &bill);
    world.mine(4).await;
    let back = || async {
        world.store().deposit(&again).await.unwrap().is_some_and(|it| it.standing != BlockStatus::Provisional)
    };
    eventually(LIMIT, "the transaction is found in its new block", back).await;
    world.api.behave(|behaviour| behaviour.progress = Progress::PerGets(1));
    world.catch_up().await;
    world.until_completed(&[&bill]).await;
    assert!(matches!(world.verdict(&bill, tx_hash).await, Verdict::Pays { .. }), "it is the same money");
    world.end(&[(&bill, tx_hash)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposit_that_goes_away_while_its_payment_is_followed_is_an_alarm_and_no_second_completion() {
    after_the_completion(Progress::Held, "following").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposit_that_goes_away_after_its_payment_has_ended_is_an_alarm_and_no_second_completion() {
    after_the_completion(Progress::PerGets(1), "ended").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_comes_back_to_life_elsewhere_beyond_finality_with_another_payer_is_a_new_deposit() {
    let mut world = World::start(Setup::default()).await;
    let bill = world.open(usdc(64)).await;
    let tx_hash = world.pay(&bill).await;
    let receipt = world.mine_for(tx_hash).await;
    world.mine(2).await;
    world.wait_named(&bill, "ended").await;
    world.node().reorg_from(receipt.block.number, &[]).await.unwrap();
    is_gone(&world, &bill, key_of(&receipt, &bill)).await;
    let other = world.send(DEV_ACCOUNTS[4], &bill, usdc(64)).await;
    world.mine(1).await;
    world.catch_up().await;
    let verdict = world.verdict(&bill, other).await;
    assert!(matches!(verdict, Verdict::Review { .. }), "nobody is to guess whose money that is: {verdict:?}");
    world.end(&[(&bill, tx_hash)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_final_deposit_that_moves_to_another_block_before_its_completion_is_a_person_s_business() {
    let mut world = World::start(Setup::default()).await;
    let bill = world.open(usdc(65)).await;
    let payment = Some(bill.id.clone());
    let deaf = FaultRule { call: Call::Get, payment, when: When::PerMille(1_000), fault: Fault::status(503) };
    world.api.add_fault(deaf).unwrap();
    let tx_hash = world.send(DEV_ACCOUNTS[2], &bill, usdc(65)).await;
    let receipt = world.mine_for(tx_hash).await;
    world.mine(2).await;
    world.wait_named(&bill, "due").await;
    world.node().reorg_from(receipt.block.number, &[Placed { tx_hash, block: 1 }]).await.unwrap();
    is_gone(&world, &bill, key_of(&receipt, &bill)).await;
    world.wait_named(&bill, "review").await;
    world.api.clear_faults();
    world.catch_up().await;
    world.assert_completions(&[]);
    let again = key_of(&world.node().mined(tx_hash, LIMIT).await.unwrap(), &bill);
    let assign = Decision::Assign { deposit: again, payment: bill.id.clone() };
    world.handle().resolve(&assign, "it has only moved").await.unwrap();
    world.until_completed(&[&bill]).await;
    world.end(&[(&bill, tx_hash)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_final_deposit_that_moves_to_another_block_after_its_completion_is_an_alarm_and_nothing_more() {
    let mut world = World::start(Setup::default()).await;
    let bill = world.open(usdc(66)).await;
    let tx_hash = world.send(DEV_ACCOUNTS[2], &bill, usdc(66)).await;
    let receipt = world.mine_for(tx_hash).await;
    world.mine(2).await;
    world.wait_named(&bill, "ended").await;
    world.node().reorg_from(receipt.block.number, &[Placed { tx_hash, block: 2 }]).await.unwrap();
    is_gone(&world, &bill, key_of(&receipt, &bill)).await;
    world.catch_up().await;
    assert!(matches!(world.verdict(&bill, tx_hash).await, Verdict::Pays { .. }), "it is the same money");
    world.end(&[(&bill, tx_hash)]).await;
}
