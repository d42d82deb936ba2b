//! What the chain has against a transfer, found before it is signed, named, and mended.

use rampwatch::domain::chain::Address;
use rampwatch::domain::hold::Hold;
use rampwatch::domain::order::{CancelReason, OrderOutcome, OrderState};
use rampwatch::domain::time::Timestamp;
use rampwatch::domain::wallet::Wallet;
use rampwatch::policy::resolve::Decision;
use rampwatch::ports::store::{Commit, Store};
use rampwatch::sandbox::fake_api::{Change, NewOffRamp, OffRamp};
use rampwatch::sandbox::{USDC, WALLET};

use super::bench::{fund, open, order, rules, setup, wallet_opened};
use super::tools::{
    end, fund_in_flight, in_flight, rebroadcasting, until_ended, until_self_sent, wait_hold, withdrawn,
};
use crate::anvil::world::{LIMIT, Setup, World, request_for, usdc};

/// A token that has all the money and answers to nothing: `transfer` goes to byte 31, `balanceOf` to the end, and
/// everything else is zero.
fn stubborn(transfer: &str, end_at: u8) -> alloy::primitives::Bytes {
    let head = format!("5f3560e01c8063a9059cbb14601f576370a082311460{end_at:02x}575f5f5260205ff3");
    format!("0x{head}{transfer}5b64e8d4a510005f5260205ff3").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_paused_or_has_a_blacklist_is_named_before_signing_and_goes_on_when_it_is_mended() {
    let world = World::start(setup(rules())).await;
    wallet_opened(&world).await;
    let node = world.node();
    let mut funded = Vec::new();
    for (place, name) in ["token-paused", "wallet-blacklisted", "recipient-blacklisted"].into_iter().enumerate() {
        let off_ramp = open(&world, usdc(31 + u128::try_from(place).unwrap())).await;
        let to = off_ramp.deposit_address;
        let set = async |on: bool| {
            let tx_hash = match name {
                "token-paused" => node.set_paused(USDC, on).await.unwrap(),
                "wallet-blacklisted" => node.set_blacklisted(USDC, WALLET, on).await.unwrap(),
                _ => node.set_blacklisted(USDC, to, on).await.unwrap(),
            };
            world.mine_for(tx_hash).await;
        };
        set(true).await;
        fund(&world, &off_ramp).await.unwrap();
        wait_hold(&world, &off_ramp, name).await;
        let held = order(&world, &off_ramp).await;
        assert!(held.attempts.is_empty() && matches!(held.state, OrderState::Held { .. }), "{held:?}");
        let shown = world.handle().show_order(&held.id.to_string()).await.unwrap();
        assert!(shown.hold.as_deref() == Some(name) && shown.text.starts_with("held ("), "{shown:?}");
        set(false).await;
        in_flight(&world, &off_ramp).await;
        funded.push(off_ramp);
    }
    end(world, &funded.iter().collect::<Vec<_>>(), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_fails_holds_the_order_and_withdraws_what_is_signed() {
    let world = World::start(setup(rebroadcasting(150))).await;
    wallet_opened(&world).await;
    let code = world.node().code(USDC).await.unwrap();
    let (reverts, lies) = (stubborn("5b5f5ffd", 35), stubborn("5b5f5f5260205ff3", 39));
    let odd = async |stub: Option<&alloy::primitives::Bytes>| {
        world.node().set_code(USDC, stub.unwrap_or(&code)).await.unwrap();
    };
    let mut funded = Vec::new();
    for (stub, whole) in [(&reverts, 50), (&lies, 51)] {
        let off_ramp = open(&world, usdc(whole)).await;
        odd(Some(stub)).await;
        fund(&world, &off_ramp).await.unwrap();
        let Hold::CallFails { reason } = wait_hold(&world, &off_ramp, "call-fails").await else { unreachable!() };
        assert!(!reason.is_empty());
        assert!(order(&world, &off_ramp).await.attempts.is_empty());
        odd(None).await;
        let outcome = until_ended(&world, &off_ramp).await;
        assert!(matches!(outcome, OrderOutcome::Paid { .. }), "{outcome:?}");
        funded.push(off_ramp);
    }
    let flying = open(&world, usdc(52)).await;
    // Signed already: it must not be mined some day, when nobody looks any more.
    fund_in_flight(&world, &flying).await;
    odd(Some(&lies)).await;
    let (why, self_send) = withdrawn(&world, &flying).await;
    assert!(matches!(why, CancelReason::Hold { hold: Hold::CallFails { .. } }), "{why:?}");
    odd(None).await;
    until_self_sent(&world, &flying, self_send.tx_hash).await;
    // The payment waits still, and may be funded anew now that nothing of the first order can be mined.
    fund(&world, &flying).await.unwrap();
    funded.push(flying);
    end(world, &funded.iter().collect::<Vec<_>>(), &[]).await;
}

/// The allow-list was held against the account that the payment had when it was added.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_goes_to_another_bank_account_by_now_is_not_funded() {
    let world = World::start(setup(rebroadcasting(150))).await;
    wallet_opened(&world).await;
    let (ready, flying) = (open(&world, usdc(54)).await, open(&world, usdc(55)).await);
    let move_to = |off_ramp: &OffRamp, name: &str| {
        let bank_account = Some(name.parse().unwrap());
        world.api.change(&off_ramp.id, Change { bank_account, ..Change::default() }).unwrap();
    };
    move_to(&ready, "bank-666");
    fund(&world, &ready).await.unwrap();
    let hold = wait_hold(&world, &ready, "terms-differ").await;
    assert!(hold.to_string().contains("bankAccountId is bank-666"), "{hold}");
    assert!(order(&world, &ready).await.attempts.is_empty(), "nothing is signed");
    move_to(&ready, "bank-1");
    in_flight(&world, &ready).await;
    until_ended(&world, &ready).await;
    fund_in_flight(&world, &flying).await;
    move_to(&flying, "bank-666");
    let (why, self_send) = withdrawn(&world, &flying).await;
    assert!(matches!(why, CancelReason::Hold { hold: Hold::TermsDiffer { .. } }), "{why:?}");
    until_self_sent(&world, &flying, self_send.tx_hash).await;
    end(world, &[&ready], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn zero_the_token_and_the_wallet_itself_are_no_recipients() {
    let world = World::start(setup(rules())).await;
    wallet_opened(&world).await;
    for (place, address) in [Address::ZERO, USDC].into_iter().enumerate() {
        let amount = usdc(60 + u128::try_from(place).unwrap());
        let new = NewOffRamp { amount, deposit_address: Some(address), ..NewOffRamp::default() };
        let off_ramp = world.api.open(new).unwrap();
        let refused = world.handle().add(request_for(&off_ramp)).await.unwrap_err().to_string();
        assert!(refused.contains("cannot be a deposit address"), "{refused}");
        let refused = fund(&world, &off_ramp).await.unwrap_err();
        assert!(refused.contains("not known"), "{refused}");
    }
    let new = NewOffRamp { amount: usdc(63), deposit_address: Some(WALLET), ..NewOffRamp::default() };
    let off_ramp = world.open_as(new).await;
    let refused = fund(&world, &off_ramp).await.unwrap_err();
    assert!(refused.contains(&WALLET.to_string()) && refused.contains("the wallet itself"), "{refused}");
    assert!(world.store().orders(None, 10).await.unwrap().is_empty());
    assert_eq!(world.store().wallet().await.unwrap().unwrap().next_nonce, 0);
    let stop = Decision::Cancel { payment: off_ramp.id.clone() };
    world.handle().resolve(&stop, "it was a slip of the pen").await.unwrap();
    let kept = world.store().coverage(WALLET).await.unwrap().unwrap();
    assert_eq!(kept.watch_until, Some(Timestamp::FAR_FUTURE), "money that comes back is still looked for");
    end(world, &[], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_payments_of_one_address_and_amount_each_get_their_own_transfer() {
    let world = World::start(setup(rules())).await;
    wallet_opened(&world).await;
    let first = open(&world, usdc(70)).await;
    let twin = NewOffRamp {
        amount: usdc(70),
        deposit_address: Some(first.deposit_address),
        expires_at: Some(Timestamp::from_secs(4_000_000_000)),
        ..NewOffRamp::default()
    };
    let second = world.open_as(twin).await;
    fund(&world, &first).await.unwrap();
    fund(&world, &second).await.unwrap();
    end(world, &[&first, &second], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_are_behind_at_the_start_are_named_and_waited_for() {
    let mut world = World::start(setup(rules())).await;
    wallet_opened(&world).await;
    world.crash().await;
    let store = world.open_store().await;
    let wallet = store.wallet().await.unwrap().unwrap();
    let used = Wallet { next_nonce: 3, ..wallet };
    store.commit(Commit { wallet: Some(used), ..Commit::default() }).await.unwrap();
    drop(store);
    world.start_engine().await;
    let off_ramp = open(&world, usdc(71)).await;
    fund(&world, &off_ramp).await.unwrap();
    let id = order(&world, &off_ramp).await.id.to_string();
    let named = || async {
        let shown = world.handle().show_order(&id).await.unwrap();
        shown.hold.is_some() && shown.text.contains("the wallet is halted: ") && shown.text.contains('3')
    };
    crate::support::eventually(LIMIT, "the order says what it waits for", named).await;
    world.sweeps(3).await;
    assert!(named().await && world.health().snapshot().wallet_halted.is_some(), "and goes on saying so");
    assert!(order(&world, &off_ramp).await.attempts.is_empty(), "nothing is signed");
    let begun = std::time::Instant::now();
    world.node().call("anvil_setNonce", serde_json::json!([WALLET, "0x3"])).await.unwrap();
    let transfer = in_flight(&world, &off_ramp).await;
    assert_eq!(transfer.nonce, 3);
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "it does not take a minute");
    until_ended(&world, &off_ramp).await;
    world.until_completed(&[&off_ramp]).await;
    world.end(&[(&off_ramp, transfer.tx_hash)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_says_that_it_waits_for_the_wallet_s_pause_to_end() {
    let world = World::start(setup(rebroadcasting(150))).await;
    wallet_opened(&world).await;
    let (ready, flying) = (open(&world, usdc(72)).await, open(&world, usdc(73)).await);
    fund_in_flight(&world, &flying).await;
    world.handle().pause_wallet("to look around").await.unwrap();
    fund(&world, &ready).await.unwrap();
    for off_ramp in [&ready, &flying] {
        let shown = world.handle().show_order(&order(&world, off_ramp).await.id.to_string()).await.unwrap();
        assert_eq!(shown.hold.as_deref(), Some("wallet-paused"), "{shown:?}");
        assert!(shown.text.contains("paused") && shown.text.contains("to look around"), "{}", shown.text);
    }
    let listed = world.handle().list_orders(None, None, None, 10).await.unwrap();
    assert!(listed.items.iter().all(|order| order.hold.as_deref() == Some("wallet-paused")), "{listed:?}");
    world.handle().resume_wallet("looked around").await.unwrap();
    // Looked at again, it has nothing to say.
    in_flight(&world, &ready).await;
    let shown = world.handle().show_order(&order(&world, &ready).await.id.to_string()).await.unwrap();
    assert_eq!(shown.hold, None, "{shown:?}");
    end(world, &[&ready, &flying], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_cannot_be_asked_hold_the_order_by_that_name() {
    let world = World::start(Setup { proxies: 1, ..setup(rules()) }).await;
    wallet_opened(&world).await;
    let off_ramp = open(&world, usdc(74)).await;
    world.sweeps(2).await;
    world.proxy(0).die().await;
    fund(&world, &off_ramp).await.unwrap();
    wait_hold(&world, &off_ramp, "chain-unavailable").await;
    world.proxy(0).come_back();
    in_flight(&world, &off_ramp).await;
    end(world, &[&off_ramp], &[]).await;
}
