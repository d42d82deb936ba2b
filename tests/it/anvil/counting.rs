//! Too little, too much, in parts, twice, and nearly right.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::deposit::{MatchRule, ReviewReason, Verdict};
use rampwatch::sandbox::token::BatchItem;
use rampwatch::sandbox::{DEV_ACCOUNTS, PAYER, USDC};

use super::world::{Setup, World, usdc};

fn review(why: ReviewReason) -> Verdict {
    Verdict::Review { why }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_little_and_too_much_wait_for_a_person_and_the_right_amount_is_still_taken() {
    let mut world = World::start(Setup::default()).await;
    let (under, over) = (world.open(usdc(50)).await, world.open(usdc(50)).await);
    let one = Amount::from_base_units(1);
    let little = world.send(PAYER, &under, usdc(50).checked_sub(one).unwrap()).await;
    let much = world.send(PAYER, &over, usdc(50).checked_add(one).unwrap()).await;
    world.mine(1).await;
    world.catch_up().await;
    assert_eq!(world.verdict(&under, little).await, review(ReviewReason::Under { missing: one }));
    assert_eq!(world.verdict(&over, much).await, review(ReviewReason::Over { excess: one }));
    world.assert_completions(&[]);
    let right = [(&under, world.pay(&under).await), (&over, world.pay(&over).await)];
    world.until_completed(&[&under, &over]).await;
    // What came before is now money beside the payment.
    let beside = |off_ramp: &rampwatch::sandbox::fake_api::OffRamp| {
        review(ReviewReason::SecondDeposit { payment: off_ramp.id.clone() })
    };
    let found = (world.verdict(&under, little).await, world.verdict(&over, much).await);
    assert!(matches!(found.0, Verdict::Review { .. }) && found.1 == beside(&over), "{found:?}");
    world.end(&right).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_that_only_together_make_the_amount_are_named_as_such() {
    let mut world = World::start(Setup::default()).await;
    let bill = world.open(usdc(60)).await;
    let first = world.send(PAYER, &bill, usdc(20)).await;
    world.mine(1).await;
    world.catch_up().await;
    assert_eq!(world.verdict(&bill, first).await, review(ReviewReason::Under { missing: usdc(40) }));
    let second = world.send(DEV_ACCOUNTS[4], &bill, usdc(25)).await;
    world.mine(1).await;
    let third = world.send(PAYER, &bill, usdc(15)).await;
    world.mine(1).await;
    world.catch_up().await;
    for part in [first, second, third] {
        let split = ReviewReason::Split { payment: bill.id.clone(), parts: 3 };
        assert_eq!(world.verdict(&bill, part).await, review(split));
    }
    assert_eq!(world.state(&bill).await.name(), "waiting");
    world.end(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_payments_of_the_same_bill_the_first_on_the_chain_counts() {
    let mut world = World::start(Setup::default()).await;
    let (apart, at_once, in_one) = (world.open(usdc(70)).await, world.open(usdc(70)).await, world.open(usdc(70)).await);
    let second_of = |off_ramp: &rampwatch::sandbox::fake_api::OffRamp| {
        review(ReviewReason::SecondDeposit { payment: off_ramp.id.clone() })
    };
    let first = world.pay(&apart).await;
    // In one block, from two accounts; and in one transaction.
    let once = world.pay(&at_once).await;
    let twice = world.send(DEV_ACCOUNTS[3], &at_once, usdc(70)).await;
    let item = BatchItem { token: USDC, to: in_one.deposit_address, amount: usdc(70) };
    let both = world.node().batch(DEV_ACCOUNTS[4], &[item, item]).await.unwrap();
    world.mine(1).await;
    world.until_completed(&[&apart, &at_once, &in_one]).await;
    let again = world.pay(&apart).await;
    world.mine(1).await;
    world.catch_up().await;
    assert_eq!(world.verdict(&apart, again).await, second_of(&apart));
    assert_eq!(world.verdict(&at_once, twice).await, second_of(&at_once));
    let deposits = world.deposits(&in_one).await;
    let pays = Verdict::Pays { payment: in_one.id.clone(), rule: MatchRule::Exact };
    assert_eq!(deposits.iter().map(|deposit| &deposit.verdict).collect::<Vec<_>>(), [&pays, &second_of(&in_one)]);
    world.end(&[(&apart, first), (&at_once, once), (&in_one, both)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tolerance_is_taken_to_the_last_unit_and_no_further() {
    let mut setup = Setup::default();
    setup.engine.matching.under = Amount::from_base_units(500);
    setup.engine.matching.over = Amount::from_base_units(2_000);
    let mut world = World::start(setup).await;
    let units = |units: u128| Amount::from_base_units(80_000_000 + units - 10_000);
    let sent = [9_500, 9_499, 12_000, 12_001].map(units);
    let mut bills = Vec::new();
    for amount in sent {
        let bill = world.open(usdc(80)).await;
        let tx_hash = world.send(PAYER, &bill, amount).await;
        bills.push((bill, tx_hash));
    }
    world.mine(1).await;
    world.catch_up().await;
    world.until_completed(&[&bills[0].0, &bills[2].0]).await;
    let near = |at: usize, off_by: u128| Verdict::Pays {
        payment: bills[at].0.id.clone(),
        rule: MatchRule::Tolerance { off_by: Amount::from_base_units(off_by) },
    };
    let expected = [
        near(0, 500),
        review(ReviewReason::Under { missing: Amount::from_base_units(501) }),
        near(2, 2_000),
        review(ReviewReason::Over { excess: Amount::from_base_units(2_001) }),
    ];
    for ((bill, tx_hash), expected) in bills.iter().zip(expected) {
        assert_eq!(world.verdict(bill, *tx_hash).await, expected);
    }
    let completed = [(&bills[0].0, bills[0].1), (&bills[2].0, bills[2].1)];
    world.end(&completed).await;
}
