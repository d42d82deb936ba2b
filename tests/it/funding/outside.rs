//! Somebody else uses the wallet's key, or the store is not the one that knows what it did.

use std::path::Path;
use std::sync::Arc;

use rampwatch::adapters::sled::{Settings as SledSettings, SledStore, StoreOpenError};
use rampwatch::domain::hold::Hold;
use rampwatch::domain::order::{OrderOutcome, OrderState, Spend, UnsentReason};
use rampwatch::domain::time::Span;
use rampwatch::domain::wallet::HaltReason;
use rampwatch::sandbox::{BlockTag, WALLET};
use tempfile::TempDir;
use tokio::time::Instant;

use super::bench::{
    assert_laws, end, fund, mined_nonces, open, order, paid_by, rules, send, setup, spent, until, until_all_ended,
    wait_order, wallet_opened,
};
use crate::anvil::world::{LIMIT, Setup, World, usdc};
use crate::sandbox::rogue::{Deed, Rogue};
use crate::support::temp_dir;

fn quick() -> Setup {
    let mut rules = rules();
    rules.pace.bump_after = Span::from_secs(60);
    rules.pace.rebroadcast_after = Span::from_millis(500);
    setup(rules)
}

/// Waits until the wallet is halted, and everybody who asks is told why.
async fn halted(world: &World, words: &str) -> HaltReason {
    until("the wallet is halted", || async {
        world.store().wallet().await.unwrap().is_some_and(|w| w.halted.is_some())
    })
    .await;
    until("the health tells of it", || async {
        let said = world.handle().readiness(Span::from_secs(60)).wallet;
        said.starts_with("halted: ") && said.contains(words) && said.contains("rampwatch wallet adopt")
    })
    .await;
    world.store().wallet().await.unwrap().unwrap().halted.unwrap().why
}

/// Why adopting is refused now.
async fn adopt_refused(world: &World) -> String {
    world.handle().adopt_wallet("I have looked").await.unwrap_err().to_string()
}

async fn adopt(world: &World) {
    world.handle().adopt_wallet("I have looked").await.unwrap();
    assert_eq!(world.store().wallet().await.unwrap().unwrap().halted, None);
    until("it is told to be well", || async { world.handle().readiness(Span::from_secs(60)).wallet == "ok" }).await;
}

/// Whether an order is held because the wallet is halted.
fn stopped(state: &OrderState) -> bool {
    *state == OrderState::Held { why: Hold::WalletHalted }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nonce_that_somebody_else_takes_halts_the_wallet_until_it_is_adopted() {
    let mut world = World::start(Setup { proxies: 1, ..quick() }).await;
    wallet_opened(&world).await;
    let (displaced, first) = send(&world, usdc(700)).await;
    let (second, _) = send(&world, usdc(701)).await;
    let foreign = Deed::self_send(0, WALLET).at(300, 60);
    let foreign = Rogue::of_wallet().send(world.node(), &foreign).await.unwrap();
    let before = world.proxy(0).requests();
    assert!(world.mine_for(foreign).await.succeeded);
    assert_eq!(halted(&world, "nonce 0 was consumed").await, HaltReason::NonceTaken { nonce: 0 });
    let asked = world.proxy(0).requests() - before;
    assert!(asked < 400, "looking into it cost {asked} requests");

    let later = open(&world, usdc(702)).await;
    fund(&world, &later).await.unwrap();
    wait_order(&world, &later, "held", stopped).await;
    let halted_too =
        |state: &OrderState| matches!(state, OrderState::Sending { nonce: 0, trouble: Some(Hold::WalletHalted) });
    wait_order(&world, &displaced, "sending, and stopped", halted_too).await;
    let refused = adopt_refused(&world).await;
    assert!(refused.contains("nonce 0") && refused.contains("not final yet"), "{refused}");
    world.sweeps(10).await;
    assert!(world.node().transaction_count(WALLET, BlockTag::Pending).await.unwrap() <= 2, "nothing more is sent");
    assert_eq!(world.store().wallet().await.unwrap().unwrap().next_nonce, 2);

    world.mine(3).await;
    adopt(&world).await;
    until_all_ended(&world).await;
    let ended = order(&world, &displaced).await;
    assert!(
        matches!(ended.state, OrderState::Ended { outcome: OrderOutcome::Displaced { nonce: 0 }, .. }),
        "{:?}",
        ended.state
    );
    assert_eq!((ended.spend, ended.attempts.len()), (Spend::Counted, 1));
    assert!(world.node().receipt(first.attempts[0].tx_hash).await.unwrap().is_none());
    assert_eq!(mined_nonces(&world).await, [0, 1, 2]);
    assert_eq!(spent(&world).await, usdc(700 + 701 + 702), "what was displaced counts");
    world.until_completed(&[&second, &later]).await;
    assert_laws(&world, &[&displaced, &second, &later]).await;
    let completed = [(&second, paid_by(&world, &second).await), (&later, paid_by(&world, &later).await)];
    world.assert_completions(&completed);
    assert_eq!(world.state(&displaced).await.name(), "waiting", "a person decides what becomes of it");
    world.end_whatever_was_completed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_used_elsewhere_while_nothing_was_sent_halts_the_next_funding() {
    let world = World::start(quick()).await;
    wallet_opened(&world).await;
    let (early, _) = send(&world, usdc(710)).await;
    until_all_ended(&world).await;
    let foreign = Rogue::of_wallet().send(world.node(), &Deed::self_send(1, WALLET)).await.unwrap();
    world.mine_for(foreign).await;
    let late = open(&world, usdc(711)).await;
    fund(&world, &late).await.unwrap();
    assert_eq!(halted(&world, "the key is used").await, HaltReason::UsedElsewhere { ours: 1, theirs: 2 });
    let kept = wait_order(&world, &late, "held", stopped).await;
    assert!(kept.attempts.is_empty(), "nothing was signed");
    adopt(&world).await;
    until_all_ended(&world).await;
    assert_eq!(order(&world, &late).await.attempts[0].nonce, 2);
    end(world, &[&early, &late]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wallet_is_not_adopted_while_somebody_else_s_transaction_waits() {
    let world = World::start(quick()).await;
    wallet_opened(&world).await;
    let foreign = Rogue::of_wallet().send(world.node(), &Deed::self_send(0, WALLET)).await.unwrap();
    let off_ramp = open(&world, usdc(720)).await;
    fund(&world, &off_ramp).await.unwrap();
    assert_eq!(halted(&world, "the key is used").await, HaltReason::UsedElsewhere { ours: 0, theirs: 1 });
    wait_order(&world, &off_ramp, "held", stopped).await;
    let refused = adopt_refused(&world).await;
    assert!(refused.contains("nonce 0 waits in the nodes' pools"), "{refused}");
    world.mine_for(foreign).await;
    adopt(&world).await;
    until_all_ended(&world).await;
    assert_eq!(order(&world, &off_ramp).await.attempts[0].nonce, 1);
    end(world, &[&off_ramp]).await;
}

/// Opens the store in a folder. One that was just let go of may still be on its way out.
async fn store_in(folder: &Path) -> Arc<SledStore> {
    let end = Instant::now() + LIMIT;
    loop {
        match SledStore::open(folder, &SledSettings { cache_bytes: 8 << 20 }) {
            Err(StoreOpenError::Locked { .. }) if Instant::now() < end => {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            opened => return Arc::new(opened.unwrap()),
        }
    }
}

fn copy(from: &Path, to: &Path) {
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
    world.start_engine_on(store_in(folder.path()).await).await;
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
async fn an_old_copy_of_the_store_begins_halted_and_pays_nothing_again() {
    let mut world = World::start(quick()).await;
    wallet_opened(&world).await;
    world.crash().await;
    let (folder, old) = (temp_dir(), temp_dir());
    world.start_engine_on(store_in(folder.path()).await).await;
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

    world.start_engine_on(store_in(folder.path()).await).await;
    world.handle().resume_wallet("the copy is made").await.unwrap();
    until_all_ended(&world).await;
    world.until_completed(&[&between]).await;
    let paid = [(&early, paid_by(&world, &early).await), (&between, paid_by(&world, &between).await)];
    world.crash().await;

    world.start_engine_on(store_in(old.path()).await).await;
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
    world.handle().adopt_wallet("the copy is all that is left").await.unwrap();
    world.handle().resume_wallet("all is well").await.unwrap();
}
