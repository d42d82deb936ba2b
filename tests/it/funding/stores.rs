//! The store is not the one that knows what the wallet did: new, an old copy, or ahead of the nodes.

use std::path::Path;
use std::sync::Arc;

use rampwatch::domain::event::{EventKind, WalletChange};
use rampwatch::domain::hold::Hold;
use rampwatch::domain::order::{OrderOutcome, OrderState, Spend, UnsentReason};
use rampwatch::domain::time::Span;
use rampwatch::domain::wallet::{Halt, HaltReason, Wallet};
use rampwatch::domain::wei::Wei;
use rampwatch::ports::store::Commit;
use rampwatch::sandbox::WALLET;
use serde_json::json;
use tempfile::TempDir;

use super::bench::{
    assert_laws, end, events, fund, mined_nonces, open, order, paid_by, send, spent, until, until_all_ended,
    wait_order, wallet_opened,
};
use super::outside::{adopt, adopt_at_once, halted, quick, stopped};
use crate::anvil::world::{World, is_completed, usdc};
use crate::support::{store_in, temp_dir};

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let there = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &there);
        } else {
            std::fs::copy(entry.path(), there).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_used_wallet_on_a_new_store_begins_halted_and_goes_on_when_it_is_adopted() {
    let mut world = World::start(quick()).await;
    wallet_opened(&world).await;
    let (early, _) = send(&world, usdc(730)).await;
    until_all_ended(&world).await;
    world.until_completed(&[&early]).await;
    let first = paid_by(&world, &early).await;
    world.crash().await;

    let folder: TempDir = temp_dir();
    world.start_engine_on(Arc::new(store_in(folder.path()).await)).await;
    assert_eq!(halted(&world, "has sent 1 transactions before").await, HaltReason::UsedBefore { transactions: 1 });
    let late = open(&world, usdc(731)).await;
    fund(&world, &late).await.unwrap();
    let kept = wait_order(&world, &late, "held", stopped).await;
    assert!(kept.attempts.is_empty());
    adopt(&world).await;
    until_all_ended(&world).await;
    world.until_completed(&[&late]).await;
    assert_eq!(order(&world, &late).await.attempts[0].nonce, 1);
    assert_laws(&world, &[&early, &late]).await;
    world.assert_completions(&[(&early, first), (&late, paid_by(&world, &late).await)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f8_a_new_store_that_adopts_the_wallet_begins_no_new_day() {
    let mut setup = quick();
    let limits = &mut setup.engine.funding.as_mut().unwrap().limits;
    (limits.max_per_payment, limits.max_per_day) = (usdc(100), usdc(100));
    let mut world = World::start(setup).await;
    wallet_opened(&world).await;
    let (early, _) = send(&world, usdc(90)).await;
    until_all_ended(&world).await;
    world.until_completed(&[&early]).await;
    assert_eq!(spent(&world).await, usdc(90));
    world.crash().await;

    let folder: TempDir = temp_dir();
    world.start_engine_on(Arc::new(store_in(folder.path()).await)).await;
    halted(&world, "has sent 1 transactions before").await;
    assert_eq!(spent(&world).await, usdc(0), "this store knows of nothing yet");
    adopt(&world).await;
    assert_eq!(spent(&world).await, usdc(90), "what the wallet sent is read from the chain");
    let told = events(&world).await.into_iter().any(|event| match event {
        EventKind::WalletChanged { change: WalletChange::Adopted { booked: Some(sum), typed, .. }, .. } => {
            typed && sum == usdc(90)
        }
        _ => false,
    });
    assert!(told, "the ledger says what was booked");
    let late = open(&world, usdc(90)).await;
    let refused = fund(&world, &late).await.unwrap_err();
    assert!(refused.contains("max_per_day") && refused.contains("90"), "{refused}");
    // Halted and adopted once more, the same transfer is not counted twice; neither are our own, by orders of this store.
    let small = open(&world, usdc(10)).await;
    fund(&world, &small).await.unwrap();
    until_all_ended(&world).await;
    let wallet = world.store().wallet().await.unwrap().unwrap();
    let halt = Halt { at: wallet.clock, why: HaltReason::NonceTaken { nonce: 0 } };
    let again = Wallet { halted: Some(halt), ..wallet };
    world.store().commit(Commit { wallet: Some(again), ..Commit::default() }).await.unwrap();
    adopt(&world).await;
    assert_eq!(spent(&world).await, usdc(100));
    assert_laws(&world, &[&early, &small]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_copy_of_the_store_begins_halted_and_pays_nothing_again() {
    let mut world = World::start(quick()).await;
    wallet_opened(&world).await;
    world.crash().await;
    let (folder, old) = (temp_dir(), temp_dir());
    world.start_engine_on(Arc::new(store_in(folder.path()).await)).await;
    wallet_opened(&world).await;
    let (early, _) = send(&world, usdc(740)).await;
    until_all_ended(&world).await;
    world.until_completed(&[&early]).await;
    // An order that the copy knows, and that is paid after it was made.
    world.handle().pause_wallet("a copy is made").await.unwrap();
    let between = open(&world, usdc(741)).await;
    fund(&world, &between).await.unwrap();
    world.crash().await;
    copy(folder.path(), old.path());

    world.start_engine_on(Arc::new(store_in(folder.path()).await)).await;
    world.handle().resume_wallet("the copy is made").await.unwrap();
    until_all_ended(&world).await;
    world.until_completed(&[&between]).await;
    let paid = [(&early, paid_by(&world, &early).await), (&between, paid_by(&world, &between).await)];
    world.crash().await;

    world.start_engine_on(Arc::new(store_in(old.path()).await)).await;
    assert_eq!(halted(&world, "this store is an old copy").await, HaltReason::UsedElsewhere { ours: 1, theirs: 2 });
    adopt_and_resume(&world).await;
    let ended = wait_order(&world, &between, "ended", OrderState::is_ended).await;
    let OrderState::Ended { outcome: OrderOutcome::Unsent { why: UnsentReason::NotPayable { .. } }, .. } = ended.state
    else {
        panic!("it is not paid again: {:?}", ended.state);
    };
    assert_eq!(ended.spend, Spend::GivenBack);
    let late = open(&world, usdc(742)).await;
    fund(&world, &late).await.unwrap();
    until_all_ended(&world).await;
    world.until_completed(&[&late]).await;
    assert_eq!(mined_nonces(&world).await, [0, 1, 2]);
    world.assert_completions(&[paid[0], paid[1], (&late, paid_by(&world, &late).await)]);
    let to_between = world.node().sent_by(WALLET, 0).await.unwrap();
    let to_between = to_between.iter().flat_map(|sent| &sent.transfers);
    assert_eq!(to_between.filter(|transfer| transfer.to == between.deposit_address).count(), 1);
}

async fn adopt_and_resume(world: &World) {
    adopt_at_once(world).await;
    world.handle().resume_wallet("all is well").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_copy_that_does_not_know_the_raised_transfer_halts_and_pays_nothing_again() {
    let mut setup = quick();
    setup.engine.funding.as_mut().unwrap().pace.bump_after = Span::from_millis(500);
    let mut world = World::start(setup).await;
    wallet_opened(&world).await;
    world.crash().await;
    let (folder, old) = (temp_dir(), temp_dir());
    world.start_engine_on(Arc::new(store_in(folder.path()).await)).await;
    wallet_opened(&world).await;
    let (off_ramp, first) = send(&world, usdc(750)).await;
    world.crash().await;
    copy(folder.path(), old.path());

    world.node().mine_at(Wei::from_gwei(150), 1).await.unwrap();
    world.start_engine_on(Arc::new(store_in(folder.path()).await)).await;
    let raised = |state: &OrderState| matches!(state, OrderState::Sending { .. });
    wait_order(&world, &off_ramp, "sending", raised).await;
    until("it is raised", || async { order(&world, &off_ramp).await.attempts.len() > 1 }).await;
    until_all_ended(&world).await;
    world.until_completed(&[&off_ramp]).await;
    let paid = paid_by(&world, &off_ramp).await;
    assert!(paid != first.attempts[0].tx_hash, "the raised one was mined");
    world.crash().await;

    world.start_engine_on(Arc::new(store_in(old.path()).await)).await;
    assert_eq!(halted(&world, "nonce 0 was consumed").await, HaltReason::NonceTaken { nonce: 0 });
    adopt(&world).await;
    let ended = wait_order(&world, &off_ramp, "ended", OrderState::is_ended).await;
    assert!(
        matches!(ended.state, OrderState::Ended { outcome: OrderOutcome::Displaced { nonce: 0 }, .. }),
        "{:?}",
        ended.state
    );
    assert_eq!((ended.spend, spent(&world).await), (Spend::Counted, usdc(750)));
    world.wait(&off_ramp, "completed, by the API's word", is_completed).await;
    assert_eq!(fund(&world, &off_ramp).await.map_err(|error| error.contains("waits for its funds")), Err(true));
    assert_eq!(mined_nonces(&world).await, [0]);
    world.assert_completions(&[(&off_ramp, paid)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_nodes_are_behind_the_store_nothing_is_sent_and_everybody_is_told_why() {
    let mut world = World::start(quick()).await;
    wallet_opened(&world).await;
    let (early, _) = send(&world, usdc(760)).await;
    until_all_ended(&world).await;
    world.until_completed(&[&early]).await;
    world.crash().await;

    let behind = world.node().call("anvil_setNonce", json!([WALLET, "0x0"])).await;
    behind.unwrap();
    world.start_engine().await;
    let told = || async {
        let said = world.handle().readiness(Span::from_secs(60)).wallet;
        said.contains("nodes") && said != "ok"
    };
    until("the health tells of it", told).await;
    let late = open(&world, usdc(761)).await;
    fund(&world, &late).await.unwrap();
    let held = |state: &OrderState| matches!(state, OrderState::Held { why: Hold::ChainUnavailable { .. } });
    wait_order(&world, &late, "held", held).await;
    world.sweeps(5).await;
    assert!(told().await, "it stays told");
    assert!(held(&order(&world, &late).await.state));
    world.node().call("anvil_setNonce", json!([WALLET, "0x1"])).await.unwrap();
    until("it is told to be well", || async { world.handle().readiness(Span::from_secs(60)).wallet == "ok" }).await;
    until_all_ended(&world).await;
    end(world, &[&early, &late]).await;
}
