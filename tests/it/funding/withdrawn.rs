//! The payment changes while its transfer waits to be mined, or before it is signed.
//!
//! Mining is on command, so a transfer waits as long as the story wants. Both ends of each withdrawal are forced: the
//! self-send is mined, or the transfer is although it was withdrawn.

use rampwatch::domain::chain::{Address, B256};
use rampwatch::domain::deposit::Verdict;
use rampwatch::domain::hold::Hold;
use rampwatch::domain::order::{CancelReason, Effect, OrderOutcome, Spend, UnsentReason};
use rampwatch::domain::payment::PaymentState;
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::policy::resolve::Decision;
use rampwatch::sandbox::fake_api::{Call, Change, Fault, OffRamp, Told};
use rampwatch::sandbox::{DEV_ACCOUNTS, PAYER, WALLET};

use super::bench::{fund, open, order, rules, setup, wallet_opened};
use super::tools::{
    end, force_mined, fund_in_flight, in_flight, rebroadcasting, until_ended, until_self_sent, wait_hold, wait_mined,
    wait_pooled, withdrawn,
};
use crate::anvil::world::{LIMIT, World, usdc};

async fn world() -> World {
    let world = World::start(setup(rebroadcasting(150))).await;
    wallet_opened(&world).await;
    world
}

fn soon(seconds: u64) -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_secs(since.as_secs()).plus(Span::from_secs(seconds))
}

/// What the fake API changes, and the hold that follows from it.
fn changes() -> Vec<(Change, &'static str)> {
    let hash = Some(B256::repeat_byte(0x99).to_string());
    vec![
        (Change { status: Some("EXPIRED".to_owned()), ..Change::default() }, "payment-ended"),
        (Change { expires_at: Some(soon(40)), ..Change::default() }, "terms-differ"),
        (Change { transaction_hash: hash, ..Change::default() }, "api-has-hash"),
        (Change { sender: Some(Some(DEV_ACCOUNTS[7])), ..Change::default() }, "terms-differ"),
        (told(Told { amount: Some(usdc(9)), ..Told::default() }), "terms-differ"),
        (told(Told { deposit_address: Some(DEV_ACCOUNTS[8]), ..Told::default() }), "terms-differ"),
        (told(Told { deposit_chain: Some("BASE".to_owned()), ..Told::default() }), "terms-differ"),
        (told(Told { source_currency: Some("USDT".to_owned()), ..Told::default() }), "terms-differ"),
    ]
}

fn told(told: Told) -> Change {
    Change { told: Some(told), ..Change::default() }
}

fn hold_in(why: &CancelReason) -> &Hold {
    match why {
        CancelReason::Hold { hold } => hold,
        CancelReason::Person { .. } => panic!("nobody cancelled it"),
    }
}

/// The transaction is nobody's but the fake API's idea: it is not a payment of ours that the API has accepted.
async fn never_completed(world: &World, off_ramp: &OffRamp) {
    world.sweeps(2).await;
    assert!(world.calls().iter().all(|(payment, ..)| *payment != off_ramp.id.to_string()), "{:?}", world.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_api_takes_back_in_flight_is_withdrawn_and_given_back_when_the_self_send_is_final() {
    let world = world().await;
    for (place, (change, expected)) in changes().into_iter().enumerate() {
        let off_ramp = open(&world, usdc(400 + u128::try_from(place).unwrap())).await;
        fund_in_flight(&world, &off_ramp).await;
        world.api.change(&off_ramp.id, change.clone()).unwrap();
        let (why, self_send) = withdrawn(&world, &off_ramp).await;
        let name = hold_in(&why).name();
        assert!(name == expected || name == "payment-ended" || name == "payment-state", "{change:?}: {why:?}");
        world.mine_for(self_send.tx_hash).await;
        assert_eq!(wait_mined(&world, &off_ramp).await, (self_send.tx_hash, Effect::SelfSent));
        assert_eq!(until_self_sent(&world, &off_ramp, self_send.tx_hash).await, why);
        assert_eq!(world.node().balance(rampwatch::sandbox::USDC, off_ramp.deposit_address).await.unwrap(), usdc(0));
        never_completed(&world, &off_ramp).await;
    }
    end(world, &[], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_transfer_that_is_mined_all_the_same_is_told_as_paid_and_stays_spent() {
    let world = world().await;
    for (place, (change, _)) in changes().into_iter().enumerate() {
        let off_ramp = open(&world, usdc(500 + u128::try_from(place).unwrap())).await;
        let transfer = fund_in_flight(&world, &off_ramp).await;
        world.api.change(&off_ramp.id, change.clone()).unwrap();
        withdrawn(&world, &off_ramp).await;
        world.handle().pause_wallet("to see what the chain does").await.unwrap();
        force_mined(&world, &transfer).await;
        assert!(
            matches!(wait_mined(&world, &off_ramp).await, (tx_hash, Effect::Paid { .. }) if tx_hash == transfer.tx_hash)
        );
        world.handle().resume_wallet("it was enough").await.unwrap();
        let outcome = until_ended(&world, &off_ramp).await;
        assert!(matches!(outcome, OrderOutcome::Paid { tx_hash, .. } if tx_hash == transfer.tx_hash), "{outcome:?}");
        assert_eq!(order(&world, &off_ramp).await.spend, Spend::Counted);
        // Money is there and the API does not want it as it is: a person decides. Where the API only names another sender,
        // will let it run out soon, or speaks of another currency, it still waits for its money.
        let speaks = change.told.as_ref().is_some_and(|told| told.source_currency.is_some());
        if change.sender.is_some() || change.expires_at.is_some() || speaks {
            world.until_completed(&[&off_ramp]).await;
            assert_eq!(world.calls().last().unwrap().1, format!("{:#x}", transfer.tx_hash));
        } else {
            let reviewed = || async {
                let verdict = world.verdict(&off_ramp, transfer.tx_hash).await;
                matches!(world.state(&off_ramp).await, PaymentState::Review { .. })
                    || matches!(verdict, Verdict::Review { .. })
            };
            crate::support::eventually(LIMIT, "a person has the money to decide about", reviewed).await;
            never_completed(&world, &off_ramp).await;
        }
    }
    super::bench::assert_laws(&world, &[]).await;
    let mut world = world;
    world.end_whatever_was_completed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_takes_back_before_signing_ends_the_order_or_holds_it_for_a_person() {
    let world = world().await;
    for (place, (change, expected)) in changes().into_iter().enumerate() {
        let off_ramp = open(&world, usdc(600 + u128::try_from(place).unwrap())).await;
        world.handle().pause_wallet("until the API has changed its mind").await.unwrap();
        fund(&world, &off_ramp).await.unwrap();
        world.api.change(&off_ramp.id, change.clone()).unwrap();
        world.handle().resume_wallet("it has").await.unwrap();
        if expected != "payment-ended" {
            if let Hold::TermsDiffer { field, ours, theirs } = wait_hold(&world, &off_ramp, expected).await {
                assert!(!field.is_empty() && ours != theirs, "{field}: {ours}, {theirs}");
            }
            assert_eq!(order(&world, &off_ramp).await.spend, Spend::Counted, "one answer gives nothing back");
            let id = order(&world, &off_ramp).await.id.to_string();
            world.handle().cancel_order(&id, "the API is not to be trusted").await.unwrap();
        }
        let outcome = until_ended(&world, &off_ramp).await;
        let OrderOutcome::Unsent { why } = outcome else { panic!("nothing was signed: {outcome:?}") };
        if let UnsentReason::NotPayable { hold } = why {
            assert!(hold.name() == expected || hold.name() == "payment-ended", "{change:?}: {hold:?}");
        }
        let ended = order(&world, &off_ramp).await;
        assert!(ended.spend == Spend::GivenBack && ended.attempts.is_empty(), "{ended:?}");
        never_completed(&world, &off_ramp).await;
    }
    assert_eq!(world.store().wallet().await.unwrap().unwrap().next_nonce, 0, "no nonce was taken");
    end(world, &[], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_is_honest_again_lets_the_held_order_go_on_once_a_person_has_looked() {
    let world = world().await;
    let off_ramp = open(&world, usdc(700)).await;
    world.handle().pause_wallet("until the API lies").await.unwrap();
    fund(&world, &off_ramp).await.unwrap();
    world.api.change(&off_ramp.id, told(Told { amount: Some(usdc(9)), ..Told::default() })).unwrap();
    world.handle().resume_wallet("it does").await.unwrap();
    wait_hold(&world, &off_ramp, "terms-differ").await;
    world.wait_named(&off_ramp, "review").await;
    world.api.change(&off_ramp.id, told(Told::default())).unwrap();
    let state = wait_hold(&world, &off_ramp, "payment-state").await;
    assert_eq!(state, Hold::PaymentState { state: "review".to_owned() });
    let retry = Decision::Retry { payment: off_ramp.id.clone() };
    world.handle().resolve(&retry, "they have corrected it").await.unwrap();
    in_flight(&world, &off_ramp).await;
    end(world, &[&off_ramp], &[]).await;
}

/// One answer neither ends the order nor withdraws it, and nothing is sent while it stands.
#[tokio::test(flavor = "multi_thread")]
async fn f11_an_end_that_is_named_once_neither_sends_nor_ends_an_order() {
    let mut setup = setup(rebroadcasting(150));
    setup.engine.pace.end_confirm_after = Span::from_secs(3_600);
    let world = World::start(setup).await;
    wallet_opened(&world).await;
    for (place, status) in ["EXPIRED", "FAILED", "REFUNDED"].into_iter().enumerate() {
        let amount = 720 + 2 * u128::try_from(place).unwrap();
        let says = |status: &str| Change { status: Some(status.to_owned()), ..Change::default() };
        let (waiting, flying) = (open(&world, usdc(amount)).await, open(&world, usdc(amount + 1)).await);
        let transfer = fund_in_flight(&world, &flying).await;
        world.handle().pause_wallet("until the API flaps").await.unwrap();
        fund(&world, &waiting).await.unwrap();
        for off_ramp in [&waiting, &flying] {
            world.api.change(&off_ramp.id, says(status)).unwrap();
        }
        world.node().drop_all_transactions().await.unwrap();
        world.handle().resume_wallet("it does").await.unwrap();
        for off_ramp in [&waiting, &flying] {
            wait_hold(&world, off_ramp, "end-unconfirmed").await;
        }
        let sends = order(&world, &flying).await.attempts[0].sends;
        world.sweeps(3).await;
        assert_eq!(world.node().pool().await.unwrap(), [], "{status}: nothing goes out");
        let (held, sending) = (order(&world, &waiting).await, order(&world, &flying).await);
        assert!(held.attempts.is_empty() && held.spend == Spend::Counted, "{held:?}");
        assert!(sending.attempts.len() == 1 && sending.attempts[0].sends == sends, "{sending:?}");
        assert_eq!(sending.spend, Spend::Counted);
        for off_ramp in [&waiting, &flying] {
            world.api.change(&off_ramp.id, says("AWAITING_FUNDS")).unwrap();
        }
        wait_pooled(&world, transfer.tx_hash).await;
        let second = in_flight(&world, &waiting).await;
        world.mine_for(transfer.tx_hash).await;
        world.mine_for(second.tx_hash).await;
        world.until_completed(&[&waiting, &flying]).await;
    }
    let mut world = world;
    world.end_whatever_was_completed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_api_does_not_keep_a_transfer_alive_that_a_person_has_stopped() {
    let world = world().await;
    let off_ramp = open(&world, usdc(703)).await;
    fund_in_flight(&world, &off_ramp).await;
    world.api.fail_next(Call::Get, 1_000_000, Fault::server_error()).unwrap();
    wait_hold(&world, &off_ramp, "api-unavailable").await;
    let cancel = Decision::Cancel { payment: off_ramp.id.clone() };
    world.handle().resolve(&cancel, "it must not be paid").await.unwrap();
    let (why, self_send) = withdrawn(&world, &off_ramp).await;
    assert_eq!(hold_in(&why), &Hold::PaymentEnded);
    until_self_sent(&world, &off_ramp, self_send.tx_hash).await;
    world.api.clear_faults();
    end(world, &[], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_is_down_stops_signing_and_broadcasting_and_both_go_on_after_it() {
    let world = world().await;
    let (waiting, flying) = (open(&world, usdc(701)).await, open(&world, usdc(702)).await);
    let transfer = fund_in_flight(&world, &flying).await;
    world.api.fail_next(Call::Get, 1_000_000, Fault::server_error()).unwrap();
    world.node().drop_all_transactions().await.unwrap();
    fund(&world, &waiting).await.unwrap();
    wait_hold(&world, &waiting, "api-unavailable").await;
    wait_hold(&world, &flying, "api-unavailable").await;
    let sends = order(&world, &flying).await.attempts[0].sends;
    world.sweeps(4).await;
    assert_eq!(world.node().pool().await.unwrap(), [], "nothing goes out unasked");
    let (held, sending) = (order(&world, &waiting).await, order(&world, &flying).await);
    assert!(held.attempts.is_empty() && sending.attempts[0].sends == sends, "{held:?} {sending:?}");
    world.api.clear_faults();
    wait_pooled(&world, transfer.tx_hash).await;
    in_flight(&world, &waiting).await;
    end(world, &[&waiting, &flying], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paid_by_hand_in_flight_is_withdrawn_and_the_hand_s_transfer_completes() {
    let world = world().await;
    let (back, twice) = (open(&world, usdc(800)).await, open(&world, usdc(801)).await);
    let mut by_hand = Vec::new();
    for off_ramp in [&back, &twice] {
        let transfer = fund_in_flight(&world, off_ramp).await;
        world.handle().pause_wallet("while somebody pays by hand").await.unwrap();
        world.node().drop_transactions_of(WALLET).await.unwrap();
        let hand = world.pay(off_ramp).await;
        world.mine_for(hand).await;
        by_hand.push((off_ramp, hand));
        world.handle().resume_wallet("somebody has").await.unwrap();
        let (why, self_send) = withdrawn(&world, off_ramp).await;
        let CancelReason::Hold { hold: Hold::MoneyThere { tx_hash, amount } } = why else { panic!("{why:?}") };
        assert_eq!((tx_hash, amount), (hand, off_ramp.amount));
        if off_ramp.id == back.id {
            world.mine_for(self_send.tx_hash).await;
            until_self_sent(&world, off_ramp, self_send.tx_hash).await;
        } else {
            world.handle().pause_wallet("to see what the chain does").await.unwrap();
            force_mined(&world, &transfer).await;
            wait_mined(&world, off_ramp).await;
            world.handle().resume_wallet("it was enough").await.unwrap();
            let outcome = until_ended(&world, off_ramp).await;
            assert!(
                matches!(outcome, OrderOutcome::Paid { tx_hash, .. } if tx_hash == transfer.tx_hash),
                "{outcome:?}"
            );
            assert_eq!(order(&world, off_ramp).await.spend, Spend::Counted);
            let second = world.verdict(off_ramp, transfer.tx_hash).await;
            assert!(matches!(second, Verdict::Review { .. }), "{second:?}");
        }
        let refused = fund(&world, off_ramp).await.unwrap_err();
        assert!(!refused.is_empty());
    }
    end(world, &[], &by_hand).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paid_by_hand_before_signing_is_held_and_ends_when_the_hand_s_transfer_completes() {
    let world = world().await;
    let (kept, gone) = (open(&world, usdc(810)).await, open(&world, usdc(811)).await);
    world.handle().pause_wallet("while somebody pays by hand").await.unwrap();
    for off_ramp in [&kept, &gone] {
        fund(&world, off_ramp).await.unwrap();
    }
    let hand = world.pay(&kept).await;
    world.mine_for(hand).await;
    let undone = world.pay(&gone).await;
    world.mine_for(undone).await;
    world.handle().resume_wallet("somebody has").await.unwrap();
    for (off_ramp, tx_hash) in [(&kept, hand), (&gone, undone)] {
        let there = Hold::MoneyThere { tx_hash, amount: off_ramp.amount };
        assert_eq!(wait_hold(&world, off_ramp, "money-there").await, there);
    }
    // The younger one is reorged away, and the order goes on.
    world.node().reorg_dropping(1, PAYER).await.unwrap();
    in_flight(&world, &gone).await;
    let outcome = until_ended(&world, &kept).await;
    let OrderOutcome::Unsent { why: UnsentReason::NotPayable { hold } } = outcome else { panic!("{outcome:?}") };
    assert!(matches!(hold, Hold::ApiStatus { .. } | Hold::ApiHasHash { .. } | Hold::PaymentEnded), "{hold:?}");
    let ended = order(&world, &kept).await;
    assert!(ended.spend == Spend::GivenBack && ended.attempts.is_empty(), "{ended:?}");
    end(world, &[&gone], &[(&kept, hand)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_off_ramp_that_names_another_sender_is_refused_and_one_that_names_the_wallet_is_funded() {
    let world = World::start(setup(rules())).await;
    wallet_opened(&world).await;
    let named = |sender: Address, whole: u128| rampwatch::sandbox::fake_api::NewOffRamp {
        amount: usdc(whole),
        sender: Some(sender),
        expires_at: Some(Timestamp::from_secs(4_000_000_000)),
        ..Default::default()
    };
    let theirs = world.open_as(named(PAYER, 820)).await;
    let ours = world.open_as(named(WALLET, 821)).await;
    let refused = fund(&world, &theirs).await.unwrap_err();
    assert!(refused.contains(&PAYER.to_string()) && refused.contains(&WALLET.to_string()), "{refused}");
    assert!(world.store().orders_of(&theirs.id).await.unwrap().is_empty());
    fund(&world, &ours).await.unwrap();
    end(world, &[&ours], &[]).await;
}
