//! Somebody else uses the wallet's key.

use rampwatch::domain::hold::Hold;
use rampwatch::domain::order::{OrderOutcome, OrderState, Spend};
use rampwatch::domain::time::Span;
use rampwatch::domain::wallet::HaltReason;
use rampwatch::sandbox::{BlockTag, PAYER, WALLET};
use rampwatch::service::adopt::AdoptRequest;

use super::bench::{
    assert_laws, end, fund, mined_nonces, open, order, pooled, rules, send, setup, spent, until, until_all_ended,
    wait_order, wallet_opened,
};
use crate::anvil::world::{Setup, World, usdc};
use crate::sandbox::rogue::{Deed, Rogue};

pub(super) fn quick() -> Setup {
    let mut rules = rules();
    rules.pace.bump_after = Span::from_secs(60);
    rules.pace.rebroadcast_after = Span::from_millis(500);
    setup(rules)
}

/// Waits until the wallet is halted, and everybody who asks is told why.
pub(super) async fn halted(world: &World, words: &str) -> HaltReason {
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

/// Adopts the wallet, and waits until it is told to be well.
pub(super) async fn adopt(world: &World) {
    adopt_at_once(world).await;
    until("it is told to be well", || async { world.handle().readiness(Span::from_secs(60)).wallet == "ok" }).await;
}

/// Adopts the wallet as a person who has looked up elsewhere which nonce is next: there is one endpoint.
pub(super) async fn adopt_at_once(world: &World) {
    let open = world.store().open_orders().await.unwrap();
    let held = open.iter().filter_map(|order| order.state.nonce()).max().map_or(0, |nonce| nonce + 1);
    let next_nonce = Some(world.node().transaction_count(WALLET, BlockTag::Pending).await.unwrap().max(held));
    world.handle().adopt(&AdoptRequest { reason: "I have looked".to_owned(), next_nonce }).await.unwrap();
    assert_eq!(world.store().wallet().await.unwrap().unwrap().halted, None);
}

/// Whether an order is held because the wallet is halted.
pub(super) fn stopped(state: &OrderState) -> bool {
    *state == OrderState::Held { why: Hold::WalletHalted }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nonce_that_somebody_else_takes_halts_the_wallet_until_it_is_adopted() {
    let world = World::start(Setup { proxies: 1, ..quick() }).await;
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
    assert_eq!(world.state(&displaced).await.name(), "waiting", "a person decides what becomes of it");
    fund(&world, &displaced).await.unwrap();
    until_all_ended(&world).await;
    assert_eq!(mined_nonces(&world).await, [0, 1, 2, 3]);
    assert_eq!(order(&world, &displaced).await.id.turn, 2);
    end(world, &[&displaced, &second, &later]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replacement_that_only_waits_is_outbid() {
    let mut setup = quick();
    setup.engine.funding.as_mut().unwrap().pace.bump_after = Span::from_millis(500);
    let world = World::start(setup).await;
    wallet_opened(&world).await;
    let (off_ramp, first) = send(&world, usdc(705)).await;
    let foreign = Deed::transfer(0, PAYER, usdc(705)).at(60, 31);
    let foreign = Rogue::of_wallet().send(world.node(), &foreign).await.unwrap();
    assert!(pooled(&world).await.iter().all(|(_, waits, _)| *waits == foreign));
    let ours_again = || async {
        let attempts = order(&world, &off_ramp).await.attempts;
        pooled(&world).await.iter().any(|(_, waits, _)| attempts.iter().any(|ours| ours.tx_hash == *waits))
    };
    until("a dearer transfer of ours waits instead", ours_again).await;
    until_all_ended(&world).await;
    assert!(order(&world, &off_ramp).await.attempts.len() > first.attempts.len());
    assert_eq!(world.store().wallet().await.unwrap().unwrap().halted, None);
    assert_eq!(world.node().sent_by(WALLET, 0).await.unwrap()[0].transfers[0].to, off_ramp.deposit_address);
    end(world, &[&off_ramp]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s12_a_key_that_was_used_elsewhere_halts_and_one_endpoint_s_count_alone_does_not_end_that() {
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
    let alone = adopt_refused(&world).await;
    assert!(alone.contains("alone says that 2") && alone.contains("--next-nonce"), "{alone}");
    let wrong = AdoptRequest { reason: "I have looked".to_owned(), next_nonce: Some(1_000) };
    let refused = world.handle().adopt(&wrong).await.unwrap_err().to_string();
    assert!(refused.contains("no endpoint says that 1000"), "{refused}");
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
