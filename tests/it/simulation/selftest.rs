//! The fakes on their own.

use std::sync::Arc;

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{Address, LogFilter};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::ports::chain::{Chain, Hint, TransferQuery, WatchSet};
use rampwatch::ports::clock::Clock;
use rampwatch::ports::payment_api::{ApiError, PaymentApi};

use super::chain::{Fate, Move, TrueChain, Tx};
use super::clock::BEGIN;
use super::fake_api::FakeApi;
use super::fake_chain::FakeChain;
use super::fuse::{Ending, Life};
use super::rng::Rng;
use super::settings::{HISTORY, Settings};
use super::world::World;

fn a_transfer(rng: &mut Rng, settings: &Settings, to: Address) -> Tx {
    let step = Move { token: settings.token, from: rng.address(), to, amount: Amount::from_base_units(5) };
    Tx { hash: rng.hash(), moves: vec![step] }
}

fn calm(seed: u64) -> Settings {
    Settings { calm: true, ..Settings::draw(seed) }
}

pub(super) fn in_virtual_time<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(work)
}

#[test]
fn the_chain_stays_consistent_through_reorgs() {
    for (seed, fate) in [(1, Fate::Drop), (2, Fate::Keep), (3, Fate::Move)] {
        let settings = Settings::draw(seed);
        let mut rng = Rng::stream(seed, "test");
        let mut now = BEGIN;
        let mut chain = TrueChain::new(seed, &settings, now);
        let to = rng.address();
        let tx = a_transfer(&mut rng, &settings, to);
        chain.submit(tx.clone());
        for _ in 0..5 {
            now = now.plus(Span::from_secs(2));
            chain.produce(now);
            chain.finish_view(now, Some(0));
        }
        let before = chain.view(now);
        let first = chain.to(to);
        assert_eq!((first.len(), first[0].block.number), (1, HISTORY));
        now = now.plus(Span::from_secs(2));
        chain.reorg(5, fate);
        chain.produce(now);
        chain.finish_view(now, Some(0));
        let after = chain.view(now);
        assert_eq!(chain.transfers_in(before, HISTORY, HISTORY), first, "a node that lags shows the old fork");
        assert!(!chain.is_canonical(first[0].block));
        let found: Vec<u64> = chain.to(to).iter().map(|transfer| transfer.block.number).collect();
        let expected = match fate {
            Fate::Drop => vec![],
            Fate::Keep => vec![HISTORY],
            Fate::Move => vec![HISTORY + 1],
        };
        assert_eq!(found, expected, "{fate:?}");
        for number in 1..=chain.head_number() {
            let header = chain.header_in(after, number).expect("on the chain");
            let parent = chain.header_in(after, number - 1).expect("on the chain");
            assert_eq!((header.parent, header.block.number), (parent.block.hash, number));
            assert!(header.time >= parent.time);
        }
    }
}

#[test]
fn a_calm_chain_tells_of_a_transfer_and_finds_it() {
    in_virtual_time(async {
        let world = Arc::new(World::new(7, calm(7), false));
        let life = Arc::new(Life::new(Arc::clone(&world), 1, Ending::Never));
        let chain = FakeChain::new(Arc::clone(&world), life);
        let producer = tokio::spawn({
            let world = Arc::clone(&world);
            async move { world.produce_blocks().await }
        });
        let mut rng = Rng::stream(7, "test");
        let to = rng.address();
        let tokens = Arc::new(vec![world.settings.token]);
        let recipients = Arc::new(vec![to]);
        chain.watch(WatchSet { tokens: Arc::clone(&tokens), recipients: Arc::clone(&recipients), heads_only: false });
        assert_eq!(chain.hint().await, Hint::Live);
        let tx = a_transfer(&mut rng, &world.settings, to);
        world.chain().submit(tx);
        let block = loop {
            if let Hint::Transfer { block } = chain.hint().await {
                break block;
            }
        };
        let query = TransferQuery {
            tokens,
            recipients,
            from: 1,
            to: block,
            filter: LogFilter::Recipients,
            avoid: None,
            by: None,
        };
        let page = chain.transfers(&query).await.expect("an answer");
        assert_eq!(page.transfers.len(), 1);
        assert_eq!(page.anchor.block, page.transfers[0].block);
        let beyond = TransferQuery { to: block + 1_000, ..query };
        assert!(chain.transfers(&beyond).await.is_err(), "a block that is not there");
        producer.abort();
    });
}

#[test]
fn a_call_that_is_under_way_when_the_process_dies_still_acts() {
    in_virtual_time(async {
        let world = Arc::new(World::new(11, calm(11), false));
        let planned = world.plan.payments[0].clone();
        world.clock.until(BEGIN.plus(planned.create_at)).await;
        world.api().open(&planned, &world.clock);
        let life = Arc::new(Life::new(Arc::clone(&world), 1, Ending::Never));
        let api = FakeApi::new(Arc::clone(&world), Arc::clone(&life));
        let hash = Rng::stream(11, "test").hash();
        {
            let call = api.complete(&planned.recipient, &planned.id, hash);
            let soon = tokio::time::timeout(std::time::Duration::from_millis(1), call).await;
            assert!(soon.is_err(), "dropped on its way");
        }
        world.clock.sleep(Span::from_secs(30)).await;
        assert_eq!(world.api().accepted.len(), 1);
        assert!(world.log().is_violated(), "nobody paid, and the checks say so");
        let again = api.complete(&planned.recipient, &planned.id, Rng::stream(12, "test").hash()).await;
        assert!(matches!(again, Err(ApiError::Refused { status: 409, .. })), "{again:?}");
    });
}

#[test]
fn a_dead_process_gets_no_answers() {
    in_virtual_time(async {
        let world = Arc::new(World::new(13, calm(13), false));
        let life = Arc::new(Life::new(Arc::clone(&world), 1, Ending::Never));
        let chain = FakeChain::new(Arc::clone(&world), Arc::clone(&life));
        assert!(chain.head().await.is_ok());
        life.end();
        life.death().await;
        let answer = tokio::time::timeout(std::time::Duration::from_secs(3_600), chain.head()).await;
        assert!(answer.is_err());
    });
}

#[test]
fn the_same_seed_draws_the_same_world() {
    let draw = || {
        let settings = Settings::draw(5);
        let chain = TrueChain::new(5, &settings, Timestamp::from_secs(1_000_000));
        (format!("{settings:?}"), chain.head_of(chain.view(Timestamp::FAR_FUTURE)))
    };
    assert_eq!(draw(), draw());
}
