//! What a person decides, and what no person's word changes.

use rampwatch::domain::chain::B256;
use rampwatch::domain::deposit::{DepositKey, MatchRule, ReviewReason, Verdict};
use rampwatch::domain::event::EventKind;
use rampwatch::domain::payment::{Outcome, PaymentState};
use rampwatch::policy::resolve::Decision;
use rampwatch::ports::store::Subject;
use rampwatch::sandbox::fake_api::{NewOffRamp, OffRamp};
use rampwatch::sandbox::{DEV_ACCOUNTS, PAYER, USDC, USDC_E};
use rampwatch::service::operator_service::OperatorError;

use super::world::{Setup, World, key_of, usdc};

fn assign(deposit: DepositKey, off_ramp: &OffRamp) -> Decision {
    Decision::Assign { deposit, payment: off_ramp.id.clone() }
}

fn cancel(off_ramp: &OffRamp) -> Decision {
    Decision::Cancel { payment: off_ramp.id.clone() }
}

/// Sends this much to the off-ramp in one block, and gives the deposit's key once it is in the store.
async fn sent(world: &World, off_ramp: &OffRamp, whole: u128) -> (B256, DepositKey) {
    let tx_hash = world.send(PAYER, off_ramp, usdc(whole)).await;
    (tx_hash, stored(world, off_ramp, tx_hash).await)
}

/// Mines the transaction, and gives its deposit's key once it is in the store.
async fn stored(world: &World, off_ramp: &OffRamp, tx_hash: B256) -> DepositKey {
    let key = key_of(&world.mine_for(tx_hash).await, off_ramp);
    let kept = || async { world.store().deposit(&key).await.unwrap().is_some() };
    crate::support::eventually(super::world::LIMIT, "the deposit is kept", kept).await;
    key
}

async fn refusal(world: &World, decision: Decision) -> String {
    match world.handle().resolve(&decision, "a person's reason").await {
        Err(OperatorError::Refused(text)) => text,
        other => panic!("{decision:?} gave {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposit_that_a_person_assigns_is_completed_once_it_is_final() {
    let world = World::start(Setup::default()).await;
    let bill = world.open(usdc(90)).await;
    let (tx_hash, key) = sent(&world, &bill, 89).await;
    world.handle().resolve(&assign(key, &bill), "the bank kept its fee").await.unwrap();
    world.wait_seen(&bill, key).await;
    world.sweeps(3).await;
    assert_eq!(world.calls(), [], "a person's word makes nothing final");
    world.mine(2).await;
    world.wait_named(&bill, "ended").await;
    let rule = MatchRule::Assigned { reason: "the bank kept its fee".to_owned() };
    assert_eq!(world.verdict(&bill, tx_hash).await, Verdict::Pays { payment: bill.id.clone(), rule });
    let events = world.store().events_of(&Subject::Payment(bill.id.clone()), 0, 1_000).await.unwrap();
    let decided = |kind: &EventKind| match kind {
        EventKind::PersonDecided { action, reason, .. } => Some((action.clone(), reason.clone())),
        _ => None,
    };
    let decided: Vec<_> = events.iter().filter_map(|recorded| decided(&recorded.event.kind)).collect();
    assert_eq!(decided, [("assign".to_owned(), "the bank kept its fee".to_owned())], "the reason is kept");
    world.end(&[(&bill, tx_hash)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_assignment_holds_for_its_deposit_only_and_not_for_what_a_reorg_makes_of_it() {
    let mut world = World::start(Setup { slots: 4, ..Setup::default() }).await;
    let bill = world.open(usdc(91)).await;
    let (tx_hash, key) = sent(&world, &bill, 92).await;
    world.handle().resolve(&assign(key, &bill), "a round sum").await.unwrap();
    world.wait_seen(&bill, key).await;
    let reorg = world.node().reorg_dropping_all(1).await.unwrap();
    world.wait_named(&bill, "waiting").await;
    world.node().send_raw(&reorg.dropped[&tx_hash]).await.unwrap();
    let again = stored(&world, &bill, tx_hash).await;
    world.catch_up().await;
    let why = ReviewReason::Over { excess: usdc(1) };
    assert_eq!(world.verdict(&bill, tx_hash).await, Verdict::Review { why });
    assert!(refusal(&world, assign(key, &bill)).await.contains("not on the chain any more"));
    world.handle().resolve(&assign(again, &bill), "a round sum, again").await.unwrap();
    world.until_completed(&[&bill]).await;
    world.end(&[(&bill, tx_hash)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_person_s_word_makes_a_wrong_deposit_right() {
    let mut world = World::start(Setup::default()).await;
    let (bill, other, paid) = (world.open(usdc(93)).await, world.open(usdc(93)).await, world.open(usdc(94)).await);
    let node = world.node();
    let bridged = node.transfer(USDC_E, PAYER, bill.deposit_address, usdc(93)).await.unwrap();
    let bridged = stored(&world, &bill, bridged).await;
    let nothing = node.transfer_from(USDC, DEV_ACCOUNTS[6], PAYER, bill.deposit_address, usdc(0)).await.unwrap();
    let nothing = stored(&world, &bill, nothing).await;
    let (_, elsewhere) = sent(&world, &other, 1).await;
    let (tx_hash, paying) = sent(&world, &paid, 94).await;
    world.until_completed(&[&paid]).await;
    assert!(refusal(&world, assign(bridged, &bill)).await.contains("token"));
    assert!(refusal(&world, assign(nothing, &bill)).await.contains("moves nothing"));
    assert!(refusal(&world, assign(elsewhere, &bill)).await.contains(bill.id.as_str()));
    assert!(refusal(&world, assign(paying, &paid)).await.contains("already pays"));
    assert!(refusal(&world, Decision::Ignore { deposit: paying }).await.contains("pays payment"));
    assert!(refusal(&world, cancel(&paid)).await.contains("ended"));
    let (_, second) = sent(&world, &paid, 94).await;
    assert!(refusal(&world, assign(second, &paid)).await.contains("ended"));
    let unexplained = world.handle().resolve(&assign(elsewhere, &other), "  ").await;
    assert!(matches!(unexplained, Err(OperatorError::Invalid { field: "reason", .. })), "{unexplained:?}");
    let unknown = DepositKey { log_index: 999, ..paying };
    let unknown = world.handle().resolve(&assign(unknown, &paid), "a guess").await;
    assert!(matches!(unknown, Err(OperatorError::NotFound(_))), "{unknown:?}");
    world.catch_up().await;
    assert_eq!((world.state(&bill).await.name(), world.state(&other).await.name()), ("waiting", "waiting"));
    world.end(&[(&paid, tx_hash)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ignored_deposit_stays_ignored_whatever_comes() {
    let mut world = World::start(Setup::default()).await;
    let bill = world.open(usdc(95)).await;
    let (tx_hash, key) = sent(&world, &bill, 5).await;
    world.handle().resolve(&Decision::Ignore { deposit: key }, "a gift").await.unwrap();
    let ignored = Verdict::Ignored { reason: "a gift".to_owned() };
    // A payment that it would fit to the unit is opened at the same address.
    let at = Some(bill.deposit_address);
    let tempting = NewOffRamp { amount: usdc(5), deposit_address: at, ..NewOffRamp::default() };
    let tempting = world.open_as(tempting).await;
    let (right, _) = sent(&world, &bill, 95).await;
    world.until_completed(&[&bill]).await;
    world.crash().await;
    world.start_engine().await;
    world.catch_up().await;
    assert_eq!(world.verdict(&bill, tx_hash).await, ignored);
    assert_eq!(world.state(&tempting).await.name(), "waiting");
    world.end(&[(&bill, right)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_payment_is_not_completed_and_its_money_is_kept() {
    let mut world = World::start(Setup::default()).await;
    let (waiting, seen) = (world.open(usdc(96)).await, world.open(usdc(97)).await);
    world.handle().resolve(&cancel(&waiting), "called off").await.unwrap();
    let (money, _) = sent(&world, &seen, 97).await;
    world.wait_named(&seen, "seen").await;
    world.handle().resolve(&cancel(&seen), "called off, too").await.unwrap();
    let (late, key) = sent(&world, &waiting, 96).await;
    world.catch_up().await;
    for (off_ramp, tx_hash) in [(&waiting, late), (&seen, money)] {
        let state = world.state(off_ramp).await;
        assert!(matches!(state, PaymentState::Ended { outcome: Outcome::Cancelled, .. }), "{state:?}");
        let why = ReviewReason::PaymentEnded { payment: off_ramp.id.clone() };
        assert_eq!(world.verdict(off_ramp, tx_hash).await, Verdict::Review { why });
    }
    assert!(refusal(&world, assign(key, &waiting)).await.contains("ended"));
    world.end(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_payments_that_fit_a_person_chooses_one_and_the_rest_follows() {
    let mut world = World::start(Setup::default()).await;
    let one = world.open(usdc(98)).await;
    let at = Some(one.deposit_address);
    let other = world.open_as(NewOffRamp { amount: usdc(98), deposit_address: at, ..NewOffRamp::default() }).await;
    let (first, _) = sent(&world, &one, 98).await;
    let (second, key) = sent(&world, &one, 98).await;
    world.catch_up().await;
    world.assert_completions(&[]);
    world.handle().resolve(&assign(key, &other), "their reference says so").await.unwrap();
    world.until_completed(&[&one, &other]).await;
    world.end(&[(&one, first), (&other, second)]).await;
}
