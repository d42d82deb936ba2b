//! What people decide about orders and the wallet, in every state, and how it is refused.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::order::{CancelReason, Order, OrderOutcome, OrderState, Spend, UnsentReason};
use rampwatch::domain::payment::RecipientId;
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::domain::wallet::Wallet;
use rampwatch::policy::resolve::Decision;
use rampwatch::ports::store::Commit;
use rampwatch::sandbox::USDC;
use rampwatch::sandbox::fake_api::{NewOffRamp, OffRamp};
use rampwatch::service::orders::FundRequest;

use super::bench::{assert_laws, fund, open, order, rules, setup, until, until_all_ended, wait_order, wallet_opened};
use super::tools::{
    end, fund_in_flight, in_flight, rebroadcasting, until_ended, until_self_sent, wait_hold, wait_mined, wait_pooled,
    withdrawn,
};
use crate::anvil::world::{World, usdc};
use crate::support::approving::approve;

async fn id_of(world: &World, off_ramp: &OffRamp) -> String {
    order(world, off_ramp).await.id.to_string()
}

/// What each of the three decisions is answered in this state; an empty text: it is taken.
async fn refusals(world: &World, off_ramp: &OffRamp, may_approve: bool, reject: bool, cancel: bool) {
    let (id, before) = (id_of(world, off_ramp).await, order(world, off_ramp).await);
    let name = before.state.name();
    for (asked, what) in [(may_approve, "an approval"), (reject, "a rejection"), (cancel, "a cancellation")] {
        if !asked {
            continue;
        }
        let answer = match what {
            "an approval" => approve(world.handle(), &id, "a person's reason").await,
            "a rejection" => world.handle().reject(&id, "a person's reason").await,
            _ => world.handle().cancel_order(&id, "a person's reason").await,
        };
        let refused = answer.map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains(name) && refused.contains(what), "{name}, {what}: {refused}");
    }
    assert_eq!(order(world, off_ramp).await.state.name(), name, "a refusal changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_decision_is_taken_or_refused_by_the_order_s_state() {
    let world = World::start(setup(rebroadcasting(150))).await;
    wallet_opened(&world).await;
    let off_ramp = open(&world, usdc(60_000)).await;
    // Waiting for an approval: cancelled, and rejected; each gives the spend back and lets the next one come.
    for (turn, reject) in [(1, false), (2, true)] {
        fund(&world, &off_ramp).await.unwrap();
        let waiting = order(&world, &off_ramp).await;
        assert!(waiting.id.turn == turn && matches!(waiting.state, OrderState::AwaitingApproval { .. }), "{waiting:?}");
        assert_eq!(world.handle().wallet().await.unwrap().spent.base_units, usdc(60_000));
        let (id, reason) = (waiting.id.to_string(), "it was a test".to_owned());
        let why = if reject {
            world.handle().reject(&id, &reason).await.unwrap();
            UnsentReason::Rejected { reason }
        } else {
            world.handle().cancel_order(&id, &reason).await.unwrap();
            UnsentReason::Cancelled { reason }
        };
        let ended = order(&world, &off_ramp).await;
        assert!(
            matches!(&ended.state, OrderState::Ended { outcome: OrderOutcome::Unsent { why: is }, .. } if *is == why)
        );
        assert_eq!(ended.spend, Spend::GivenBack);
        assert_eq!(world.handle().wallet().await.unwrap().spent.base_units, Amount::ZERO);
        refusals(&world, &off_ramp, true, true, true).await;
    }
    // Held by the wallet's own pause.
    world.handle().pause_wallet("to look around").await.unwrap();
    fund(&world, &off_ramp).await.unwrap();
    approve(world.handle(), &id_of(&world, &off_ramp).await, "it is right").await.unwrap();
    wait_hold(&world, &off_ramp, "wallet-paused").await;
    refusals(&world, &off_ramp, true, true, false).await;
    // Held by the chain.
    let pause = world.node().set_paused(USDC, true).await.unwrap();
    world.mine_for(pause).await;
    world.handle().resume_wallet("looked around").await.unwrap();
    wait_hold(&world, &off_ramp, "token-paused").await;
    refusals(&world, &off_ramp, true, true, false).await;
    let id = id_of(&world, &off_ramp).await;
    world.handle().cancel_order(&id, "the token is paused").await.unwrap();
    assert!(order(&world, &off_ramp).await.state.is_ended());
    let unpause = world.node().set_paused(USDC, false).await.unwrap();
    world.mine_for(unpause).await;
    // Sending, cancelling, mined by the self-send, ended with it.
    fund(&world, &off_ramp).await.unwrap();
    approve(world.handle(), &id_of(&world, &off_ramp).await, "it is right").await.unwrap();
    in_flight(&world, &off_ramp).await;
    refusals(&world, &off_ramp, true, true, false).await;
    let id = id_of(&world, &off_ramp).await;
    world.handle().cancel_order(&id, "not now").await.unwrap();
    let (why, self_send) = withdrawn(&world, &off_ramp).await;
    assert_eq!(why, CancelReason::Person { reason: "not now".to_owned() });
    refusals(&world, &off_ramp, true, true, true).await;
    let refused = fund(&world, &off_ramp).await.unwrap_err();
    assert!(refused.contains(&id) && refused.contains("is open already (cancelling)"), "{refused}");
    world.mine_for(self_send.tx_hash).await;
    wait_mined(&world, &off_ramp).await;
    refusals(&world, &off_ramp, true, true, true).await;
    let refused = fund(&world, &off_ramp).await.unwrap_err();
    assert!(refused.contains(&id) && refused.contains("is open already (mined)"), "{refused}");
    until_self_sent(&world, &off_ramp, self_send.tx_hash).await;
    // Now, and not before, the next one.
    fund(&world, &off_ramp).await.unwrap();
    approve(world.handle(), &id_of(&world, &off_ramp).await, "it is right").await.unwrap();
    let transfer = in_flight(&world, &off_ramp).await;
    world.mine_for(transfer.tx_hash).await;
    wait_mined(&world, &off_ramp).await;
    refusals(&world, &off_ramp, true, true, true).await;
    until_ended(&world, &off_ramp).await;
    refusals(&world, &off_ramp, true, true, true).await;
    world.until_completed(&[&off_ramp]).await;
    let refused = fund(&world, &off_ramp).await.unwrap_err();
    assert!(refused.contains("has funded this payment already"), "{refused}");
    end(world, &[&off_ramp], &[]).await;
}

/// What people do while the funder is in the middle of a round is not slept over. Each turn is a chance to hit that moment.
#[tokio::test(flavor = "multi_thread")]
async fn what_people_change_while_the_funder_looks_is_not_slept_over() {
    let mut rules = rules();
    rules.limits.approval_above = Amount::ZERO;
    let world = World::start(setup(rules)).await;
    wallet_opened(&world).await;
    let off_ramp = open(&world, usdc(90)).await;
    for _ in 0..200 {
        world.handle().pause_wallet("to look around").await.unwrap();
        fund(&world, &off_ramp).await.unwrap();
        let id = id_of(&world, &off_ramp).await;
        approve(world.handle(), &id, "it is right").await.unwrap();
        // A change that is slept over is found a minute later.
        let told = wait_hold(&world, &off_ramp, "wallet-paused");
        tokio::time::timeout(std::time::Duration::from_secs(30), told).await.expect("it is told at once");
        world.handle().cancel_order(&id, "not now").await.unwrap();
        world.handle().resume_wallet("looked around").await.unwrap();
    }
    end(world, &[], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_stops_everything_at_once_and_a_resume_goes_on_where_it_was() {
    let mut world = World::start(setup(rebroadcasting(100))).await;
    wallet_opened(&world).await;
    let (flying, ready) = (open(&world, usdc(71)).await, open(&world, usdc(72)).await);
    fund_in_flight(&world, &flying).await;
    world.handle().pause_wallet("something is odd").await.unwrap();
    world.node().drop_all_transactions().await.unwrap();
    fund(&world, &ready).await.unwrap();
    let sends = order(&world, &flying).await.attempts[0].sends;
    // Through a restart as well: the pause is in the store.
    for _ in 0..2 {
        world.sweeps(3).await;
        assert_eq!(world.node().pool().await.unwrap(), [], "nothing is broadcast");
        let (held, sent) = (order(&world, &ready).await, order(&world, &flying).await);
        assert!(held.attempts.is_empty() && sent.attempts.len() == 1, "nothing is signed: {held:?} {sent:?}");
        assert!(sent.attempts[0].sends <= sends + 1, "what was under way is the last: {sent:?}");
        let wallet = world.handle().wallet().await.unwrap();
        assert_eq!(wallet.paused.as_deref(), Some("something is odd"));
        world.crash().await;
        world.start_engine().await;
    }
    world.handle().resume_wallet("it was nothing").await.unwrap();
    wait_pooled(&world, order(&world, &flying).await.attempts[0].tx_hash).await;
    in_flight(&world, &ready).await;
    end(world, &[&flying, &ready], &[]).await;
}

async fn open_for(world: &World, recipient: &str, amount: Amount) -> OffRamp {
    let expires_at = Some(Timestamp::from_secs(4_000_000_000));
    let recipient_id = Some(RecipientId::new(recipient).unwrap());
    world.open_as(NewOffRamp { amount, expires_at, recipient_id, ..NewOffRamp::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_limit_is_named_with_its_figures_and_frees_what_is_given_back() {
    let mut rules = rules();
    (rules.limits.max_per_payment, rules.limits.max_per_day) = (usdc(100), usdc(250));
    rules.limits.max_per_recipient = usdc(150);
    let world = World::start(setup(rules)).await;
    wallet_opened(&world).await;
    let above = open_for(&world, "anna", Amount::from_base_units(100_000_001)).await;
    let refused = fund(&world, &above).await.unwrap_err();
    assert!(refused.contains("100.000001") && refused.contains("max_per_payment"), "{refused}");
    let first = open_for(&world, "anna", usdc(100)).await;
    fund(&world, &first).await.unwrap();
    let second = open_for(&world, "anna", Amount::from_base_units(50_000_001)).await;
    let refused = fund(&world, &second).await.unwrap_err();
    let figures = ["anna", "50.000001", "100", "150", "max_per_recipient"];
    assert!(figures.iter().all(|figure| refused.contains(figure)), "{refused}");
    let exactly = open_for(&world, "anna", usdc(50)).await;
    fund(&world, &exactly).await.unwrap();
    let third = open_for(&world, "bert", usdc(100)).await;
    fund(&world, &third).await.unwrap();
    let fourth = open_for(&world, "carl", Amount::from_base_units(1)).await;
    let refused = fund(&world, &fourth).await.unwrap_err();
    assert!(["0.000001", "250", "max_per_day"].iter().all(|figure| refused.contains(figure)), "{refused}");
    until_all_ended(&world).await;
    assert_eq!(world.handle().wallet().await.unwrap().spent.base_units, usdc(250), "what is paid counts on");
    assert!(fund(&world, &fourth).await.is_err());
    for off_ramp in [&above, &second, &fourth] {
        assert!(world.store().orders_of(&off_ramp.id).await.unwrap().is_empty(), "a refusal leaves nothing");
    }
    end(world, &[&first, &exactly, &third], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_who_ask_at_once_one_places_the_order_and_the_others_are_told_so() {
    let world = World::start(setup(rules())).await;
    wallet_opened(&world).await;
    let off_ramp = open(&world, usdc(73)).await;
    let request = FundRequest {
        payment: off_ramp.id.to_string(),
        to: off_ramp.deposit_address.to_checksum(None),
        base_units: off_ramp.amount,
    };
    let asking = (0..50).map(|_| {
        let (handle, request) = (world.handle().clone(), request.clone());
        tokio::spawn(async move { handle.fund(&request).await.map_err(|error| error.to_string()) })
    });
    let mut answers = Vec::new();
    for asked in asking.collect::<Vec<_>>() {
        answers.push(asked.await.unwrap());
    }
    let (placed, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((placed.len(), refused.len()), (1, 49));
    let id = placed[0].as_ref().unwrap().id.to_string();
    for refused in refused {
        let text = refused.unwrap_err();
        assert!(text.contains(&id) && (text.contains("is open already") || text.contains("has funded")), "{text}");
    }
    assert_eq!(world.store().orders_of(&off_ramp.id).await.unwrap().len(), 1);
    assert_eq!(world.handle().wallet().await.unwrap().spent.base_units, usdc(73));
    end(world, &[&off_ramp], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f8_a_clock_that_was_ahead_frees_nothing_and_locks_nothing_up() {
    let mut rules = rules();
    rules.limits.max_per_day = usdc(100);
    let mut world = World::start(setup(rules)).await;
    wallet_opened(&world).await;
    // The clock was three days ahead when the last order was placed, and was set right since.
    let wallet = world.store().wallet().await.unwrap().unwrap();
    let right = wallet.clock;
    let moved = Wallet { clock: right.plus(Span::from_secs(3 * 86_400)), ..wallet };
    world.store().commit(Commit { wallet: Some(moved), ..Commit::default() }).await.unwrap();
    until("the newest block is known", || async { world.health().snapshot().head_time.is_some() }).await;
    let (first, second) = (open(&world, usdc(60)).await, open(&world, usdc(41)).await);
    fund(&world, &first).await.unwrap();
    let clock = world.store().wallet().await.unwrap().unwrap().clock;
    assert!(clock <= right.plus(Span::from_secs(86_400)), "the window's clock is the chain's again: {clock:?}");
    for ends in [false, true] {
        if ends {
            until_all_ended(&world).await;
        }
        let refused = fund(&world, &second).await.unwrap_err();
        assert!(refused.contains("60") && refused.contains("max_per_day"), "{refused}");
        assert_eq!(world.handle().wallet().await.unwrap().spent.base_units, usdc(60));
        world.crash().await;
        world.start_engine().await;
    }
    let third = open(&world, usdc(40)).await;
    fund(&world, &third).await.unwrap();
    until_all_ended(&world).await;
    assert_laws(&world, &[&first, &third]).await;
    end(world, &[&first, &third], &[]).await;
}

/// An order that was placed five days ago and waits for its approval still.
async fn five_days_old(world: &World, off_ramp: &OffRamp) {
    fund(world, off_ramp).await.unwrap();
    let waiting = order(world, off_ramp).await;
    assert!(matches!(waiting.state, OrderState::AwaitingApproval { .. }), "{waiting:?}");
    let placed_at = waiting.placed_at.minus(Span::from_secs(5 * 86_400));
    let orders = vec![Order { placed_at, ..waiting }];
    world.store().commit(Commit { orders, ..Commit::default() }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn f2_what_waits_for_its_approval_for_days_counts_all_the_while_and_a_day_from_its_block_on() {
    let mut rules = rules();
    (rules.limits.approval_above, rules.limits.max_per_day) = (Amount::ZERO, usdc(100));
    rules.pace.approval_valid_for = Span::from_secs(30 * 86_400);
    let mut world = World::start(setup(rules)).await;
    wallet_opened(&world).await;
    let first = open(&world, usdc(100)).await;
    five_days_old(&world, &first).await;
    let others = [open(&world, usdc(100)).await, open(&world, usdc(1)).await];
    let all_refused = async |world: &World| {
        assert_eq!(world.handle().wallet().await.unwrap().spent.base_units, usdc(100));
        for other in &others {
            let refused = fund(world, other).await.unwrap_err();
            assert!(refused.contains("max_per_day"), "{refused}");
        }
    };
    all_refused(&world).await;
    approve(world.handle(), &id_of(&world, &first).await, "at last").await.unwrap();
    all_refused(&world).await;
    until_all_ended(&world).await;
    let paid = order(&world, &first).await;
    assert!(paid.spent_at > Some(paid.placed_at.plus(Span::from_secs(4 * 86_400))), "by the block: {paid:?}");
    all_refused(&world).await;
    world.crash().await;
    world.start_engine().await;
    all_refused(&world).await;
    end(world, &[&first], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f2_what_nobody_approves_in_time_ends_unsent_and_gives_its_spend_back() {
    let mut rules = rules();
    rules.limits.approval_above = Amount::ZERO;
    rules.pace.approval_valid_for = Span::from_secs(4 * 86_400);
    let world = World::start(setup(rules)).await;
    wallet_opened(&world).await;
    let (old, fresh) = (open(&world, usdc(60)).await, open(&world, usdc(61)).await);
    fund(&world, &fresh).await.unwrap();
    // The funder ends it as soon as it looks; whoever is quicker with an approval is refused.
    world.handle().pause_wallet("to look around").await.unwrap();
    five_days_old(&world, &old).await;
    let id = id_of(&world, &old).await;
    let refused = approve(world.handle(), &id, "better late than never").await.unwrap_err().to_string();
    assert!(refused.contains("approval"), "{refused}");
    let ended = wait_order(&world, &old, "ended", OrderState::is_ended).await;
    let why = UnsentReason::ApprovalExpired { valid_for_s: 4 * 86_400 };
    assert!(
        matches!(&ended.state, OrderState::Ended { outcome: OrderOutcome::Unsent { why: is }, .. } if *is == why),
        "{ended:?}"
    );
    assert_eq!((ended.spend, ended.attempts.len()), (Spend::GivenBack, 0));
    assert_eq!(world.handle().wallet().await.unwrap().spent.base_units, usdc(61));
    world.handle().resume_wallet("looked around").await.unwrap();
    approve(world.handle(), &id_of(&world, &fresh).await, "in time").await.unwrap();
    until_all_ended(&world).await;
    end(world, &[&fresh], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_waits_for_its_approval_ends_when_its_payment_does() {
    let world = World::start(setup(rules())).await;
    wallet_opened(&world).await;
    let off_ramp = open(&world, usdc(60_001)).await;
    fund(&world, &off_ramp).await.unwrap();
    world.api.set(&off_ramp.id, "EXPIRED", None).unwrap();
    world.wait_named(&off_ramp, "ended").await;
    let ended = wait_order(&world, &off_ramp, "ended", OrderState::is_ended).await;
    assert!(matches!(
        ended.state,
        OrderState::Ended { outcome: OrderOutcome::Unsent { why: UnsentReason::NotPayable { .. } }, .. }
    ));
    assert_eq!(ended.spend, Spend::GivenBack);
    end(world, &[], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_a_person_stops_takes_its_order_along() {
    let world = World::start(setup(rebroadcasting(150))).await;
    wallet_opened(&world).await;
    let (ready, flying) = (open(&world, usdc(74)).await, open(&world, usdc(75)).await);
    fund_in_flight(&world, &flying).await;
    world.handle().pause_wallet("until the payments are stopped").await.unwrap();
    fund(&world, &ready).await.unwrap();
    for off_ramp in [&ready, &flying] {
        let stop = Decision::Cancel { payment: off_ramp.id.clone() };
        world.handle().resolve(&stop, "the customer has changed his mind").await.unwrap();
    }
    world.handle().resume_wallet("they are").await.unwrap();
    let ended = wait_order(&world, &ready, "ended", OrderState::is_ended).await;
    assert!(ended.attempts.is_empty() && ended.spend == Spend::GivenBack, "{ended:?}");
    let (_, self_send) = withdrawn(&world, &flying).await;
    world.mine_for(self_send.tx_hash).await;
    until_self_sent(&world, &flying, self_send.tx_hash).await;
    end(world, &[], &[]).await;
}
