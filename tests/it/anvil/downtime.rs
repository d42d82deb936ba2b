//! The engine dies and comes back: what happened meanwhile is made good from the store and the chain.

use rampwatch::domain::deposit::{BlockStatus, MatchRule, ReviewReason, Verdict};
use rampwatch::domain::time::Span;
use rampwatch::sandbox::fake_api::{Call, Fault};
use rampwatch::sandbox::{PAYER, Placed};

use super::world::{LIMIT, Setup, World, key_of, usdc};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_came_while_nothing_ran_is_completed() {
    let mut world = World::start(Setup::default()).await;
    let (first, second, wrong) = (world.open(usdc(51)).await, world.open(usdc(52)).await, world.open(usdc(53)).await);
    world.sweeps(1).await;
    world.crash().await;
    let paid_first = world.pay(&first).await;
    // More than a job of catching up, so that it takes several.
    world.mine(1_200).await;
    let paid_second = world.pay(&second).await;
    let too_much = world.send(PAYER, &wrong, usdc(54)).await;
    world.mine(400).await;
    world.start_engine().await;
    world.until_completed(&[&first, &second]).await;
    world.catch_up().await;
    let why = ReviewReason::Over { excess: usdc(1) };
    assert_eq!(world.verdict(&wrong, too_much).await, Verdict::Review { why });
    world.end(&[(&first, paid_first), (&second, paid_second)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reorg_while_nothing_ran_is_noticed_at_the_start() {
    let mut world = World::start(Setup { slots: 12, ..Setup::default() }).await;
    let (dropped, moved) = (world.open(usdc(55)).await, world.open(usdc(56)).await);
    let gone = world.pay(&dropped).await;
    let moves = world.node().mint(rampwatch::sandbox::USDC, moved.deposit_address, moved.amount).await.unwrap();
    world.mine(1).await;
    world.wait_named(&dropped, "seen").await;
    world.wait_named(&moved, "seen").await;
    world.crash().await;
    world.mine(4).await;
    world.node().reorg(5, &[Placed { tx_hash: moves, block: 3 }]).await.unwrap();
    // By the time that it starts, the new blocks are final.
    world.mine(30).await;
    world.start_engine().await;
    world.until_completed(&[&moved]).await;
    world.wait_named(&dropped, "waiting").await;
    for off_ramp in [&dropped, &moved] {
        assert_eq!(world.deposits(off_ramp).await[0].standing, BlockStatus::Gone { after_final: false });
    }
    let pays = Verdict::Pays { payment: moved.id.clone(), rule: MatchRule::Exact };
    assert_eq!(world.verdict(&moved, moves).await, pays);
    assert!(world.node().receipt(gone).await.unwrap().is_none());
    world.end(&[(&moved, moves)]).await;
}

/// Dies while `/complete` hangs, and comes back.
async fn dies_in_the_call(acts: bool) {
    let mut setup = Setup::default();
    setup.engine.pace.api_timeout = Span::from_secs(2);
    let mut world = World::start(setup).await;
    let bill = world.open(usdc(57)).await;
    world.api.fail_next(Call::Complete, 1, Fault::Hang { acts }).unwrap();
    let tx_hash = world.pay(&bill).await;
    world.mine(3).await;
    world.wait_named(&bill, "calling").await;
    let called = |api: &rampwatch::sandbox::fake_api::FakeApi| {
        api.journal().iter().any(|entry| entry.call == Call::Complete && entry.acted == acts)
    };
    world.api.wait_until(LIMIT, "the call to come", called).await.unwrap();
    world.crash().await;
    world.start_engine().await;
    world.until_completed(&[&bill]).await;
    let once = (bill.id.to_string(), format!("{tx_hash:#x}"), true);
    if acts {
        assert_eq!(world.calls(), [once], "what was done is found, and not done again");
    } else {
        let lost = (once.0.clone(), once.1.clone(), false);
        assert_eq!(world.calls(), [lost, once], "what was not done is done");
    }
    world.end_whatever_was_completed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_acted_and_whose_answer_nobody_was_there_to_hear_is_not_made_again() {
    dies_in_the_call(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_did_not_act_before_the_death_is_made_again() {
    dies_in_the_call(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposit_that_was_seen_before_the_death_is_completed_after_it() {
    let mut world = World::start(Setup::default()).await;
    let bill = world.open(usdc(58)).await;
    let tx_hash = world.pay(&bill).await;
    let receipt = world.mine_for(tx_hash).await;
    world.wait_seen(&bill, key_of(&receipt, &bill)).await;
    world.crash().await;
    world.mine(3).await;
    world.start_engine().await;
    world.wait_named(&bill, "ended").await;
    world.end(&[(&bill, tx_hash)]).await;
}
