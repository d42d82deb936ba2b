//! The wallet's fakes and checks on their own.

use std::sync::Arc;

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{Address, B256};
use rampwatch::domain::order::Fees;
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::domain::wei::Wei;
use rampwatch::ports::sender::{SendAnswer, Sender, SenderError, SignedTx, TransferSpec, TxAction, TxSpec};
use rampwatch::ports::signer::{DigestSignature, Signer};

use super::super::chain::{Fate, TrueChain};
use super::super::clock::BEGIN;
use super::super::fuse::{Ending, Life};
use super::super::selftest::in_virtual_time;
use super::super::settings::{CHAIN_ID, HISTORY, Settings};
use super::super::world::World;
use super::bytes::{self, Signed};
use super::fake_sender::FakeSender;
use super::fake_signer::FakeSigner;
use super::fortune::GWEI;
use super::pools::Pools;

/// A calm world with a wallet that has plenty of everything and has sent nothing yet.
fn calm(seed: u64) -> Settings {
    let with_wallet = (seed..).map(Settings::draw).find(|settings| settings.wallet.is_some());
    let settings = with_wallet.expect("most have one");
    let wallet = settings.wallet.clone().map(|wallet| super::rules::WalletSettings {
        nonce: 0,
        balance: 5_000_000_000,
        native: 1_000_000_000 * GWEI,
        ..wallet
    });
    Settings { calm: true, wallet, ..settings }
}

fn wallet_of(settings: &Settings) -> Address {
    settings.wallet.as_ref().expect("it has one").address
}

fn transfer(settings: &Settings, nonce: u64, gwei: u128, units: u128) -> Signed {
    let (wallet, token) = (wallet_of(settings), settings.token);
    let to = Address::repeat_byte(7);
    let action = TxAction::Transfer(TransferSpec { wallet, token, to, amount: Amount::from_base_units(units) });
    sign(settings, nonce, gwei, action)
}

fn sign(settings: &Settings, nonce: u64, gwei: u128, action: TxAction) -> Signed {
    let fees = Fees { cap: Wei::new(gwei * 4 * GWEI), tip: Wei::new(gwei * GWEI) };
    let tx = TxSpec { chain_id: CHAIN_ID, nonce, fees, gas_limit: 80_000, action };
    let (hash, _) = bytes::write(&tx, bytes::seal(wallet_of(settings), bytes::digest(&tx), 1));
    Signed { hash, tx }
}

#[test]
fn bytes_are_read_back_and_nobody_else_can_make_them() {
    let settings = calm(1);
    let signed = transfer(&settings, 3, 30, 55);
    let seal = bytes::seal(wallet_of(&settings), bytes::digest(&signed.tx), 1);
    let (hash, raw) = bytes::write(&signed.tx, seal);
    assert_eq!((bytes::read(&raw), hash), (Some(signed.clone()), signed.hash));
    let (other, _) = bytes::write(&signed.tx, bytes::seal(wallet_of(&settings), bytes::digest(&signed.tx), 2));
    assert_ne!(other, hash, "another signature is another transaction");
    for place in 0..raw.0.len() {
        let mut changed = raw.0.to_vec();
        changed[place] ^= 1;
        let raw = rampwatch::domain::order::RawTransaction(changed.into());
        assert_eq!(bytes::read(&raw), None, "byte {place}");
    }
}

#[test]
fn a_signature_is_taken_only_from_the_wallets_key() {
    in_virtual_time(async {
        let settings = calm(2);
        let world = Arc::new(World::new(2, settings.clone(), false));
        let life = Arc::new(Life::new(Arc::clone(&world), 1, Ending::Never));
        let sender = FakeSender::new(Arc::clone(&world), Arc::clone(&life));
        let signer = FakeSigner::new(world, life, wallet_of(&settings));
        let tx = transfer(&settings, 0, 30, 1).tx;
        let signature = signer.sign(sender.digest(&tx)).await.expect("calm");
        let signed = sender.assemble(&tx, &signature).expect("its own");
        assert_eq!(bytes::read(&signed.raw).map(|signed| signed.tx), Some(tx));
        let forged = DigestSignature { r: B256::repeat_byte(1), ..signature };
        assert!(matches!(sender.assemble(&tx, &forged), Err(SenderError::WrongSigner { .. })));
    });
}

/// A chain that has just taken these transactions in one block, and the moment.
fn chain_with(settings: &Settings, ours: Vec<Signed>) -> (TrueChain, Timestamp) {
    let now = BEGIN.plus(Span::from_secs(2));
    let mut chain = TrueChain::new(9, settings, BEGIN);
    chain.produce_with(now, ours);
    chain.finish_view(now, Some(0));
    (chain, now)
}

#[test]
fn a_reorg_takes_nonces_and_receipts_with_it() {
    let settings = calm(3);
    let ours = vec![transfer(&settings, 0, 30, 100), transfer(&settings, 1, 30, 9_000_000_000)];
    for fate in [Fate::Drop, Fate::Keep, Fate::Move] {
        let (mut chain, now) = chain_with(&settings, ours.clone());
        let before = chain.view(now);
        let (paid, failed) = (chain.receipt_in(before, ours[0].hash), chain.receipt_in(before, ours[1].hash));
        let (paid, failed) = (paid.expect("mined"), failed.expect("mined"));
        assert!(paid.succeeded && paid.transfers.len() == 1, "{paid:?}");
        assert!(!failed.succeeded && failed.transfers.is_empty(), "more than it has: {failed:?}");
        assert_eq!(chain.account_of(before).nonce, 2);
        assert_eq!(chain.account_of(before).balance, 5_000_000_000 - 100);
        let later = now.plus(Span::from_secs(2));
        chain.reorg(1, fate);
        let loose = chain.take_loose();
        chain.produce_with(later, loose.clone());
        chain.finish_view(later, Some(0));
        let after = chain.view(later);
        assert_eq!(loose.len(), if fate == Fate::Keep { 0 } else { 2 }, "{fate:?}");
        let moved = chain.receipt_in(after, ours[0].hash).expect("it is there again");
        assert_ne!(moved.block.hash, paid.block.hash);
        assert_eq!(moved.block.number, if fate == Fate::Keep { HISTORY } else { HISTORY + 1 });
        assert_eq!(chain.receipt_in(before, ours[0].hash), Some(paid), "a node that lags shows the old fork");
        assert_eq!(chain.account_of(after).nonce, 2, "no nonce is mined twice");
        assert_eq!(chain.account_at(after, HISTORY - 1).expect("a block").nonce, 0);
    }
}

#[test]
fn a_block_takes_each_nonce_once_and_none_that_pays_too_little() {
    let settings = calm(4);
    let (mut chain, now) = chain_with(&settings, vec![transfer(&settings, 0, 30, 1), transfer(&settings, 0, 40, 2)]);
    assert_eq!(chain.take_loose().len(), 1, "the second with this nonce");
    chain.produce_with(now, vec![transfer(&settings, 2, 30, 1), transfer(&settings, 1, 3, 1)]);
    assert_eq!(chain.next_account().nonce, 1, "one is ahead, the other offers too little");
}

#[test]
fn a_pool_answers_as_a_node_does() {
    let settings = calm(5);
    let chain = TrueChain::new(5, &settings, BEGIN);
    let account = chain.next_account();
    let mut pools = Pools::new(5, 1).with_usual_prices();
    let mut offer = |signed: &Signed, nonce: u64| {
        let account = super::account::State { nonce, ..account };
        pools.offer(0, signed, &account, BEGIN, false)
    };
    let first = transfer(&settings, 1, 30, 1);
    assert_eq!(offer(&first, 0), SendAnswer::Accepted);
    assert_eq!(offer(&first, 0), SendAnswer::AlreadyKnown);
    assert_eq!(offer(&transfer(&settings, 1, 32, 1), 0), SendAnswer::Underpriced);
    assert_eq!(offer(&transfer(&settings, 1, 33, 1), 0), SendAnswer::Accepted);
    assert_eq!(offer(&transfer(&settings, 0, 30, 1), 1), SendAnswer::NonceTooLow);
    assert_eq!(offer(&transfer(&settings, 70, 30, 1), 0), SendAnswer::NonceTooHigh);
    assert!(matches!(offer(&transfer(&settings, 0, 20, 1), 0), SendAnswer::FeeTooLow(_)));
    assert_eq!(offer(&transfer(&settings, 0, 100_000_000, 1), 0), SendAnswer::InsufficientFunds);
    assert_eq!(pools.pending(0, 1, BEGIN), 2);
    assert_eq!(pools.pending(0, 0, BEGIN), 0, "a gap");
    pools.forget(0);
    assert_eq!(pools.pending(0, 1, BEGIN), 1);
}

#[test]
fn bytes_that_were_never_committed_are_told_when_they_are_broadcast() {
    in_virtual_time(async {
        let settings = calm(6);
        let world = Arc::new(World::new(6, settings.clone(), false));
        let life = Arc::new(Life::new(Arc::clone(&world), 1, Ending::Never));
        let sender = FakeSender::new(Arc::clone(&world), life);
        let signed = transfer(&settings, 0, 30, 1);
        let seal = bytes::seal(wallet_of(&settings), bytes::digest(&signed.tx), 1);
        let (hash, raw) = bytes::write(&signed.tx, seal);
        let answers = sender.send(&SignedTx { hash, raw }).await;
        assert_eq!(answers.len(), settings.endpoints);
        assert!(world.log().is_violated());
    });
}
