//! One payment, one deposit: who may send it, and what is none.

use rampwatch::domain::chain::{Address, B256};
use rampwatch::domain::deposit::{BlockStatus, MatchRule, NothingReason, ReviewReason, Verdict};
use rampwatch::domain::payment::Provenance;
use rampwatch::engine::add::AddPayment;
use rampwatch::policy::finality::FinalityRule;
use rampwatch::sandbox::fake_api::{NewOffRamp, Shape};
use rampwatch::sandbox::token::{Authorization, BatchItem, TokenSpec};
use rampwatch::sandbox::{DEV_ACCOUNTS, FAKE_USDC, PAYER, RELAYER, USDC, USDC_E};

use super::world::{LIMIT, Setup, World, key_of, request_for, usdc};
use crate::support::{eventually, temp_dir};

/// An exact payment, where a block is final once it has six above it.
async fn exact(slots: u64, finality: FinalityRule) {
    let mut setup = Setup { slots, ..Setup::default() };
    setup.engine.finality = finality;
    let world = World::start(setup).await;
    let bill = world.open(usdc(25)).await;
    let tx_hash = world.pay(&bill).await;
    let receipt = world.mine_for(tx_hash).await;
    world.wait_seen(&bill, key_of(&receipt, &bill)).await;
    for above in 1..=5 {
        world.mine(1).await;
        world.sweeps(2).await;
        assert_eq!(world.calls(), [], "{above} blocks above it are not enough");
    }
    world.mine(1).await;
    world.wait_named(&bill, "ended").await;
    let pays = Verdict::Pays { payment: bill.id.clone(), rule: MatchRule::Exact };
    assert_eq!(world.verdict(&bill, tx_hash).await, pays);
    // The address is watched on, and what goes on above does not complete it again.
    world.mine(40).await;
    world.sweeps(3).await;
    world.end(&[(&bill, tx_hash)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exact_payment_is_completed_once_and_not_before_the_node_says_that_it_is_final() {
    exact(3, FinalityRule::Finalized { depth: 2 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exact_payment_is_completed_once_and_not_before_it_is_deep_enough() {
    exact(1, FinalityRule::Finalized { depth: 6 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exact_payment_is_completed_once_by_the_depth_rule_whatever_the_node_says() {
    exact(32, FinalityRule::Depth { depth: 6 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_api_does_not_say_can_be_typed() {
    let world = World::start(Setup::default()).await;
    world.api.behave(|behaviour| behaviour.shape = Shape::Reference);
    let bill = world.api.open(NewOffRamp { amount: usdc(1), ..NewOffRamp::default() }).unwrap();
    let refused = world.handle().add(request_for(&bill)).await;
    assert!(refused.is_err(), "the reference's shape names no address: {refused:?}");
    let typed =
        AddPayment { deposit_address: Some(bill.deposit_address), amount: Some("1".to_owned()), ..request_for(&bill) };
    let payment = world.handle().add(typed).await.unwrap();
    assert_eq!(payment.terms.address_from, Provenance::Typed);
    let tx_hash = world.pay(&bill).await;
    world.until_completed(&[&bill]).await;
    world.end(&[(&bill, tx_hash)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_counts_whoever_sends_the_transaction() {
    let world = World::start(Setup::default()).await;
    let (by_relayer, minted, by_contract) =
        (world.open(usdc(11)).await, world.open(usdc(12)).await, world.open(usdc(13)).await);
    let node = world.node();
    let allowed =
        Authorization::any_time(USDC, PAYER, by_relayer.deposit_address, by_relayer.amount, B256::repeat_byte(0x42));
    let signed = node.authorize(&TokenSpec::usdc(), allowed).await.unwrap();
    let relayed = node.transfer_with_authorization(RELAYER, &signed).await.unwrap();
    let mint = node.mint(USDC, minted.deposit_address, minted.amount).await.unwrap();
    let item = BatchItem { token: USDC, to: by_contract.deposit_address, amount: by_contract.amount };
    let batch = node.batch(DEV_ACCOUNTS[3], &[item]).await.unwrap();
    world.until_completed(&[&by_relayer, &minted, &by_contract]).await;
    let from = |deposits: Vec<rampwatch::domain::deposit::Deposit>| deposits[0].from;
    assert_eq!(from(world.deposits(&by_relayer).await), PAYER, "whose money it was, not who sent it");
    assert_eq!(from(world.deposits(&minted).await), Address::ZERO);
    world.end(&[(&by_relayer, relayed), (&minted, mint), (&by_contract, batch)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_moves_no_usdc_pays_nothing_and_does_not_stand_in_the_way() {
    let mut world = World::start(Setup::default()).await;
    let amount = usdc(20);
    // Its deposit address is one that anvil can send from.
    let itself = NewOffRamp { amount, deposit_address: Some(DEV_ACCOUNTS[5]), ..NewOffRamp::default() };
    let (poisoned, faked, bridged, itself) =
        (world.open(amount).await, world.open(amount).await, world.open(amount).await, world.open_as(itself).await);
    let (paused, empty) = (world.open(amount).await, world.open(amount).await);
    let node = world.node();
    // Poisoning: anybody, from anybody.
    let stranger = DEV_ACCOUNTS[7];
    let zero = node.transfer_from(USDC, stranger, PAYER, poisoned.deposit_address, usdc(0)).await.unwrap();
    node.transfer(FAKE_USDC, PAYER, faked.deposit_address, amount).await.unwrap();
    let wrong_token = node.transfer(USDC_E, PAYER, bridged.deposit_address, amount).await.unwrap();
    let to_itself = node.transfer(USDC, DEV_ACCOUNTS[5], DEV_ACCOUNTS[5], amount).await.unwrap();
    // A batch that works and moves nothing, because the recipient is on the token's blacklist.
    node.set_blacklisted(USDC, empty.deposit_address, true).await.unwrap();
    let item = BatchItem { token: USDC, to: empty.deposit_address, amount };
    let hollow = node.batch_of_what_works(PAYER, &[item]).await.unwrap();
    node.set_blacklisted(USDC, empty.deposit_address, false).await.unwrap();
    node.set_paused(USDC, true).await.unwrap();
    let reverted = node.transfer(USDC, PAYER, paused.deposit_address, amount).await.unwrap();
    node.set_paused(USDC, false).await.unwrap();
    world.mine(1).await;
    assert!(node.succeeded(hollow, LIMIT).await.unwrap().transfers.is_empty());
    assert!(!node.mined(reverted, LIMIT).await.unwrap().succeeded);
    world.catch_up().await;
    for off_ramp in [&poisoned, &faked, &bridged, &itself, &paused, &empty] {
        world.wait_named(off_ramp, "waiting").await;
    }
    assert_eq!(world.verdict(&poisoned, zero).await, Verdict::Nothing { why: NothingReason::ZeroValue });
    assert_eq!(world.verdict(&bridged, wrong_token).await, Verdict::Review { why: ReviewReason::WrongToken });
    assert_eq!(world.verdict(&itself, to_itself).await, Verdict::Nothing { why: NothingReason::SelfTransfer });
    for off_ramp in [&faked, &paused, &empty] {
        assert_eq!(world.deposits(off_ramp).await, [], "nothing of ours has come to {}", off_ramp.id);
    }
    // The real money is taken all the same.
    let mut paid = Vec::new();
    for off_ramp in [&poisoned, &faked, &bridged, &itself, &paused, &empty] {
        paid.push((off_ramp, world.pay(off_ramp).await));
    }
    world.until_completed(&[&poisoned, &faked, &bridged, &itself, &paused, &empty]).await;
    assert_eq!(world.verdict(&bridged, wrong_token).await, Verdict::Review { why: ReviewReason::WrongToken });
    world.end(&paid).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_and_fake_money_in_one_transaction_are_told_apart() {
    let mut world = World::start(Setup::default()).await;
    let (real, fake) = (world.open(usdc(30)).await, world.open(usdc(30)).await);
    let item = |token, off_ramp: &rampwatch::sandbox::fake_api::OffRamp, amount| BatchItem {
        token,
        to: off_ramp.deposit_address,
        amount,
    };
    let items = [
        item(FAKE_USDC, &real, usdc(30)),
        item(USDC_E, &fake, usdc(30)),
        item(USDC, &fake, usdc(0)),
        item(FAKE_USDC, &fake, usdc(30)),
        item(USDC, &real, usdc(30)),
    ];
    let tx_hash = world.node().batch(PAYER, &items).await.unwrap();
    let receipt = world.mine_for(tx_hash).await;
    world.catch_up().await;
    world.until_completed(&[&real]).await;
    let deposits = world.deposits(&real).await;
    let right = receipt.transfers.iter().filter(|transfer| transfer.token == USDC && transfer.amount == usdc(30));
    let right: Vec<u64> = right.map(|transfer| transfer.log_index).collect();
    assert_eq!(deposits.iter().map(|deposit| deposit.key.log_index).collect::<Vec<_>>(), right);
    assert!(matches!(deposits[0].standing, BlockStatus::Final { .. }));
    let verdicts: Vec<Verdict> = world.deposits(&fake).await.into_iter().map(|deposit| deposit.verdict).collect();
    let wrong = Verdict::Review { why: ReviewReason::WrongToken };
    assert_eq!(verdicts, [wrong, Verdict::Nothing { why: NothingReason::ZeroValue }]);
    assert_eq!(world.state(&fake).await.name(), "waiting");
    world.end(&[(&real, tx_hash)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_alone_is_enough() {
    let world = World::start(Setup { websocket: false, ..Setup::default() }).await;
    let bill = world.open(usdc(9)).await;
    let tx_hash = world.pay(&bill).await;
    world.mine(1).await;
    world.wait_named(&bill, "seen").await;
    assert!(!world.health().snapshot().hints_live, "there is no subscription");
    world.mine(2).await;
    eventually(LIMIT, "completed without a further block", || async { world.state(&bill).await.name() == "ended" })
        .await;
    world.end(&[(&bill, tx_hash)]).await;
}

#[tokio::test]
async fn without_anvil_the_tests_fail_and_say_what_to_do() {
    let elsewhere = temp_dir();
    let output = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "anvil::plain::http_alone_is_enough"])
        .current_dir(elsewhere.path())
        .env("PATH", elsewhere.path())
        .env_remove("RAMPWATCH_ANVIL")
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("run `make tools`"), "{said}");
}
