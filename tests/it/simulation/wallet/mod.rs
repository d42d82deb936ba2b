//! The hot wallet: its account on the true chain, the pools where its transactions wait, a sender and a signer with all
//! that goes wrong on the way to them, the people who have to do with it, and the checks of it.
//!
//! `rules` and `fortune` are drawn before anything happens. `account` and `pools` are the world's; `bytes` is what both
//! sides can read. `fake_sender` and `fake_signer` are the process's ways out. `operator` places, approves, cancels,
//! pauses and adopts. `books` is an account of the checks' own, kept from what was committed (`commits`), asked
//! (`heard`), broadcast (`broadcasts`) and mined (`blocks`); `at_end` looks at what is left. Deliberately absent: any
//! function of the policy; the checks know the true chain, the API's server and rules of their own.

pub(crate) mod account;
pub(crate) mod at_end;
mod blocks;
mod books;
mod broadcasts;
pub(crate) mod bytes;
pub(crate) mod commits;
mod fake_sender;
mod fake_signer;
mod fortune;
pub(crate) mod heard;
pub(crate) mod hits;
pub(crate) mod operator;
mod pools;
pub(crate) mod rules;
#[allow(dead_code, unused_imports, reason = "without a harness, as in `make simulate`, its tests are left out")]
mod selftest;

use std::collections::VecDeque;
use std::sync::Arc;

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{Address, Header, Transfer};
use rampwatch::domain::order::Fees;
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::domain::wei::Wei;
use rampwatch::engine::FundingPorts;
use rampwatch::ports::clock::Clock;
use rampwatch::ports::sender::{TransferSpec, TxAction, TxSpec};

use self::books::Books;
use self::bytes::Signed;
use self::fake_sender::FakeSender;
use self::fake_signer::FakeSigner;
use self::fortune::{Fortune, GWEI, Turn};
use self::pools::Pools;
use super::chain::{Move, Tx};
use super::fuse::Life;
use super::only::Chaos;
use super::rng::Rng;
use super::settings::{CHAIN_ID, Settings, WHOLE};
use super::world::World;
use crate::support::memory_store::Contents;

/// What surrounds the wallet.
pub(super) struct WalletWorld {
    pools: Pools,
    books: Books,
    turns: VecDeque<(Span, Turn)>,
    rng: Rng,
    /// Whether the pools' memory was given back after the chaos.
    is_calm: bool,
}

impl WalletWorld {
    /// The surroundings of a seed's wallet; nothing happens in them when there is none.
    pub(super) fn new(seed: u64, settings: &Settings) -> Self {
        let turns = settings.wallet.as_ref().map(|wallet| wallet.fortunes.turns.clone()).unwrap_or_default();
        Self {
            pools: Pools::new(seed, settings.endpoints),
            books: Books::default(),
            turns: turns.into(),
            rng: Rng::stream(seed, "what befalls the wallet"),
            is_calm: false,
        }
    }
}

/// The ways out of the part that sends money, where there is a wallet.
pub(super) fn ports(world: &Arc<World>, life: &Arc<Life>) -> Option<FundingPorts> {
    let address = world.settings.wallet.as_ref()?.address;
    Some(FundingPorts {
        sender: Arc::new(FakeSender::new(Arc::clone(world), Arc::clone(life))),
        signer: Arc::new(FakeSigner::new(Arc::clone(world), Arc::clone(life), address)),
    })
}

/// Makes the next block of the chain, with what the wallet has in the producers' pools.
pub(super) fn make_block(world: &World) -> (Header, Vec<Transfer>) {
    make_block_at(world, world.chain_now())
}

/// The same, with a block of this time.
pub(super) fn make_block_at(world: &World, time: Timestamp) -> (Header, Vec<Transfer>) {
    let Some(settings) = &world.settings.wallet else { return world.chain().produce(time) };
    let (now, elapsed) = (world.clock.now(), world.clock.elapsed());
    let chaos = world.is_chaos();
    let native_in = take_turns(world, elapsed);
    let addresses: Vec<Address> = world.plan.payments.iter().map(|planned| planned.address).collect();
    let mut wallet = world.wallet();
    let mut conditions = settings.fortunes.conditions(elapsed, &mut wallet.rng, &addresses);
    conditions.native_in = native_in;
    if !chaos && !wallet.is_calm {
        wallet.is_calm = true;
        wallet.pools.remember(now);
    }
    if chaos && wallet.rng.permille(settings.forgets) {
        let endpoints = world.settings.endpoints as u64;
        match usize::try_from(wallet.rng.below(endpoints + 1)).expect("few") {
            all if all == world.settings.endpoints => {
                world.count("wallet: producers forget");
                wallet.pools.producers_forget(now);
            }
            one => {
                world.count("wallet: an endpoint's pool forgets");
                wallet.pools.forget(one);
            }
        }
    }
    let full = if chaos { settings.full } else { 250 };
    let ignored = settings.fortunes.is(elapsed, Fortune::Ignored) || wallet.rng.permille(full);
    let block = {
        let mut chain = world.chain();
        chain.set_conditions(conditions);
        let ours = if ignored { Vec::new() } else { wallet.pools.pick(chain.next_account(), now) };
        let block = chain.produce_with(time, ours);
        chain.set_conditions(account::Conditions { native_in: 0, ..conditions });
        block
    };
    drop(wallet);
    after_reorg(world);
    block
}

/// The store is what it was once. What was signed since then is out in the world all the same.
pub(super) fn comes_back_older(world: &World, older: &Contents) {
    if world.settings.wallet.is_some() {
        world.wallet().books.come_back(older, world.clock.now());
    }
}

/// Whether a reorg comes because the wallet has something to lose by it.
pub(super) fn stirs_up(world: &World) -> bool {
    let Some(settings) = world.settings.wallet.as_ref().filter(|_| world.fails(Chaos::Reorgs)) else { return false };
    let head = world.chain().head_number();
    let mut wallet = world.wallet();
    let is_young = wallet.books.mined.values().any(|block| block.number + 4 > head);
    is_young && wallet.rng.permille(settings.reorgs)
}

/// The chain has changed: what it let go is in the pools again, and everything on it is looked at.
pub(super) fn after_reorg(world: &World) {
    if world.settings.wallet.is_none() {
        return;
    }
    let (now, certainly) = (world.clock.now(), !world.is_chaos() || world.finality_is_broken());
    let loose = world.chain().take_loose();
    for signed in loose {
        world.count("wallet: a transaction is in no block any more");
        world.wallet().pools.comes_loose(signed, now, certainly);
    }
    blocks::look(world);
}

/// What happens to the wallet once, now. Returns what it is given of the native coin, in wei.
fn take_turns(world: &World, elapsed: Span) -> u128 {
    let mut native = 0;
    loop {
        let turn = {
            let mut wallet = world.wallet();
            let is_due = wallet.turns.front().is_some_and(|(at, _)| *at <= elapsed);
            if !is_due {
                return native;
            }
            wallet.turns.pop_front()
        };
        match turn {
            Some((_, Turn::Theft)) => {
                let has = world.chain().next_account().balance;
                transfer(world, true, has / 10 * 9);
            }
            Some((_, Turn::Gift(amount))) => transfer(world, false, amount),
            Some((_, Turn::Fuel(wei))) => native += wei,
            Some((_, Turn::Outsider)) => outsider(world),
            None => {}
        }
    }
}

/// Somebody moves the token out of the wallet, or into it.
fn transfer(world: &World, out: bool, amount: u128) {
    let Some(settings) = &world.settings.wallet else { return };
    let mut wallet = world.wallet();
    let other = wallet.rng.address();
    let (from, to) = if out { (settings.address, other) } else { (other, settings.address) };
    let step = Move { token: world.settings.token, from, to, amount: Amount::from_base_units(amount) };
    let hash = wallet.rng.hash();
    drop(wallet);
    world.count(if out { "wallet: robbed" } else { "wallet: filled up" });
    world.note(&format!("{amount} {} the wallet", if out { "leave" } else { "come to" }));
    world.chain().submit(Tx { hash, moves: vec![step] });
}

/// Somebody who has the key signs with it.
fn outsider(world: &World) {
    let Some(settings) = &world.settings.wallet else { return };
    let (mined, now) = (world.chain().next_account().nonce, world.clock.now());
    let mut wallet = world.wallet();
    let nonce = if wallet.rng.permille(500) { wallet.pools.free_nonce(mined) } else { mined };
    let amount = Amount::from_base_units(u128::from(wallet.rng.range(1, 50)) * WHOLE);
    let to = wallet.rng.address();
    let transfer = TransferSpec { wallet: settings.address, token: world.settings.token, to, amount };
    let itself = wallet.rng.permille(300);
    let action = if itself { TxAction::SelfSend { wallet: settings.address } } else { TxAction::Transfer(transfer) };
    let fees = Fees { cap: Wei::new(900 * GWEI), tip: Wei::new(90 * GWEI) };
    let tx = TxSpec { chain_id: CHAIN_ID, nonce, fees, gas_limit: 100_000, action };
    let (hash, _) = bytes::write(&tx, bytes::seal(settings.address, bytes::digest(&tx), 0));
    let signed = Signed { hash, tx };
    wallet.books.outsiders.insert(hash);
    wallet.pools.spread(&signed, now);
    drop(wallet);
    world.count("wallet: its key is used elsewhere");
    world.note(&format!("somebody signs with the wallet's key at nonce {nonce}"));
}
