//! Things that go wrong in one place, and must not spread to another.

mod ahead;
pub(super) mod chain;
mod clock;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use rampwatch::adapters::system::SystemClock;
use rampwatch::domain::chain::Address;
use rampwatch::domain::deposit::BlockStatus;
use rampwatch::domain::event::{Alarm, Event, EventKind};
use rampwatch::domain::payment::{ApiStatus, PaymentId};
use rampwatch::domain::stall::Stall;
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::engine::EngineSettings;
use rampwatch::ports::chain::Hint;
use rampwatch::ports::clock::Clock;
use rampwatch::ports::store::{Commit, Store};

use self::chain::PlainChain;
use self::clock::SetClock;
use super::api::PlainApi;
use super::rig::{LIMIT, Rig, quick_settings};
use crate::support::eventually;
use crate::support::memory_store::MemoryStore;

const HEAD: u64 = 20_000;

fn world(settings: EngineSettings) -> (PlainChain, Rig) {
    let chain = PlainChain::new(HEAD, SystemClock.now());
    let rig = start(&chain, Arc::new(SystemClock), settings);
    (chain, rig)
}

fn start(chain: &PlainChain, clock: Arc<dyn Clock>, settings: EngineSettings) -> Rig {
    Rig::over(Arc::new(chain.clone()), clock, settings, MemoryStore::new(), PlainApi::default())
}

fn short_margin() -> EngineSettings {
    let mut settings = quick_settings();
    settings.sweep.start_margin = Span::from_secs(5);
    settings.sweep.second_after = Span::from_secs(3_600);
    settings
}

/// Moves the head up, with everything but the last four blocks final.
fn grow(chain: &PlainChain, by: u64) {
    chain.told(|told| {
        told.head += by;
        told.finalized = Some(told.head - 4);
    });
}

async fn swept(rig: &Rig, to: Address) {
    eventually(LIMIT, "the first sweep", || async {
        let coverage = rig.store.coverage(to).await.unwrap();
        coverage.and_then(|coverage| coverage.swept).is_some_and(|swept| swept.covered_to >= HEAD - 4)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_gets_a_payment_during_its_last_reading_stays_watched() {
    let mut settings = short_margin();
    settings.sweep.keep = Span::from_millis(200);
    settings.sweep.ended_interval = Span::from_millis(100);
    settings.sweep.second_after = Span::from_millis(200);
    let (chain, rig) = world(settings);
    let to = Address::repeat_byte(1);
    let first = rig.add("first", to, 5, chain.time_of(HEAD)).await;
    let read_twice = || async {
        let swept = rig.store.coverage(to).await.unwrap().and_then(|coverage| coverage.swept);
        swept.is_some_and(|swept| swept.confirmed_to >= HEAD - 4)
    };
    eventually(LIMIT, "the second reading", read_twice).await;
    let seconds = chain.told(|told| told.queries.len());
    let turnstile = Arc::new(Semaphore::new(0));
    chain.told(|told| told.second_waits = Some(turnstile.clone()));
    rig.api.set_status(&first, ApiStatus::Expired);
    rig.desk().look_now(&first).await;
    rig.wait_for(&first, "ended").await;
    let asked = || async { chain.told(|told| told.queries.iter().skip(seconds).any(|query| query.avoid.is_some())) };
    eventually(LIMIT, "the last reading", asked).await;
    let second = rig.add("second", to, 6, chain.time_of(HEAD)).await;
    turnstile.add_permits(1_000);
    grow(&chain, 20);
    chain.pay(HEAD + 12, 0, to, 6);
    rig.wait_for(&second, "ended").await;
    assert_eq!(rig.api.completions().len(), 1);
    rig.stop().await;
}

/// Logs without their block's time, and one block of which nobody gives the header (paradigmxyz/reth#27002).
#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_nobody_has_is_told_and_holds_up_its_own_deposit_only() {
    let mut settings = short_margin();
    settings.stall_after = Span::from_millis(500);
    let (chain, rig) = world(settings);
    let (lost, other) = (Address::repeat_byte(1), Address::repeat_byte(2));
    chain.pay(HEAD - 8, 0, lost, 5);
    chain.told(|told| (told.hidden, told.transfers[0].block_time) = (Some(HEAD - 8), None));
    chain.pay(HEAD - 7, 0, other, 6);
    let waits = rig.add("lost", lost, 5, chain.time_of(HEAD - 10)).await;
    let goes_on = rig.add("other", other, 6, chain.time_of(HEAD - 10)).await;
    rig.wait_for(&goes_on, "ended").await;
    let is_told = |alarm: &Alarm| matches!(alarm, Alarm::Standstill { what: Stall::Unread, .. });
    eventually(LIMIT, "that it is told", || async { rig.alarms(is_told) == 1 }).await;
    assert_eq!(rig.payment(&waits).await.state.name(), "waiting");
    chain.told(|told| told.hidden = None);
    rig.wait_for(&waits, "ended").await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_cannot_be_placed_keeps_no_other_from_being_swept() {
    let (chain, rig) = world(short_margin());
    chain.told(|told| told.pruned_below = HEAD - 2_000);
    let stuck = rig.add("old", Address::repeat_byte(1), 5, chain.time_of(10)).await;
    let to = Address::repeat_byte(2);
    let id = rig.add("new", to, 6, chain.time_of(HEAD)).await;
    chain.pay(HEAD - 4, 0, to, 6);
    rig.wait_for(&id, "ended").await;
    assert_eq!(rig.payment(&stuck).await.state.name(), "waiting");
    let before = chain.told(|told| told.queries.len());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let more = chain.told(|told| told.queries.len()) - before;
    assert!(more <= 8, "{more} readings in two seconds");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_nobody_can_read_does_not_slow_the_sweep_to_the_head() {
    let mut settings = short_margin();
    settings.sweep.interval = Span::from_secs(60);
    let (chain, rig) = world(settings);
    chain.told(|told| told.unread_below = HEAD - 5_000);
    chain.push(Hint::Live);
    rig.add("old", Address::repeat_byte(1), 5, chain.time_of(10)).await;
    let to = Address::repeat_byte(2);
    let id = rig.add("new", to, 6, chain.time_of(HEAD)).await;
    let deep = || chain.told(|told| told.queries.iter().filter(|query| query.from < HEAD - 5_000).count());
    eventually(LIMIT, "the old range asked for several times", || async { deep() >= 5 }).await;
    chain.pay(HEAD, 0, to, 6);
    let hinted = Instant::now();
    chain.push(Hint::Transfer { block: HEAD });
    rig.wait_for(&id, "seen").await;
    assert!(hinted.elapsed() < Duration::from_secs(1), "seen after {:?}", hinted.elapsed());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_reading_that_gets_nowhere_is_not_repeated_at_once() {
    let mut settings = short_margin();
    settings.sweep.second_after = Span::from_millis(300);
    let (chain, rig) = world(settings);
    chain.told(|told| told.second_withholds = true);
    let to = Address::repeat_byte(1);
    let id = rig.add("paid", to, 6, chain.time_of(HEAD)).await;
    chain.pay(HEAD - 4, 0, to, 6);
    rig.wait_for(&id, "ended").await;
    let second = || chain.told(|told| told.queries.iter().filter(|query| query.avoid.is_some()).count());
    eventually(LIMIT, "the second reading", || async { second() > 0 }).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(second() <= 10, "{} second readings in two seconds", second());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_are_seen_while_nobody_tells_of_finality() {
    let (chain, rig) = world(short_margin());
    chain.told(|told| told.finality_fails = true);
    let to = Address::repeat_byte(1);
    let id = rig.add("unfinal", to, 6, chain.time_of(HEAD)).await;
    chain.pay(HEAD - 4, 0, to, 6);
    rig.wait_for(&id, "seen").await;
    chain.told(|told| told.finality_fails = false);
    rig.wait_for(&id, "ended").await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_finality_the_whole_past_is_not_read_again_and_again() {
    let settings = short_margin();
    let most = settings.sweep.chunk + settings.sweep.overlap + 1;
    let (chain, rig) = world(settings);
    chain.told(|told| told.finalized = None);
    let to = Address::repeat_byte(1);
    let id = rig.add("old", to, 6, chain.time_of(10)).await;
    chain.pay(HEAD - 4, 0, to, 6);
    rig.wait_for(&id, "seen").await;
    let longest = chain.told(|told| told.queries.iter().map(|query| query.to - query.from + 1).max());
    assert!(longest <= Some(most), "{longest:?} blocks in one sweep");
    chain.told(|told| told.finalized = Some(HEAD - 4));
    rig.wait_for(&id, "ended").await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn worthless_transfers_in_great_number_do_not_hide_the_one_that_pays() {
    let (chain, rig) = world(short_margin());
    let to = Address::repeat_byte(1);
    let id = rig.add("spammed", to, 6, chain.time_of(HEAD)).await;
    swept(&rig, to).await;
    for log_index in 0..2_100 {
        chain.pay(HEAD + 1, log_index, to, 0);
    }
    chain.pay(HEAD + 2, 0, to, 6);
    chain.told(|told| told.head += 3);
    rig.wait_for(&id, "seen").await;
    grow(&chain, 5);
    rig.wait_for(&id, "ended").await;
    rig.stop().await;
}

/// More than one settling takes up: it is gone on with at once, up to the end, where the one that pays is.
#[tokio::test(flavor = "multi_thread")]
async fn a_settling_that_did_not_come_to_its_end_is_gone_on_with() {
    let (chain, rig) = world(short_margin());
    let others: Vec<Address> = (2..22).map(Address::repeat_byte).collect();
    for (nth, other) in others.iter().enumerate() {
        rig.add(&format!("spammed-{nth}"), *other, 6, chain.time_of(HEAD)).await;
    }
    let to = Address::repeat_byte(1);
    let id = rig.add("behind", to, 6, chain.time_of(HEAD)).await;
    swept(&rig, to).await;
    for log_index in 0..8_300 {
        chain.pay(HEAD + 1, log_index, others[usize::try_from(log_index).unwrap() % others.len()], 0);
    }
    chain.pay(HEAD + 2, 0, to, 6);
    chain.told(|told| told.head += 3);
    rig.wait_for(&id, "seen").await;
    grow(&chain, 5);
    rig.wait_for(&id, "ended").await;
    let all = async || rig.store.provisional(u64::MAX, 1).await.unwrap().is_empty();
    eventually(LIMIT, "the others are settled with it", all).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_does_not_stop_the_sweep() {
    let clock = SetClock::new();
    let chain = PlainChain::new(HEAD, clock.now());
    let rig = start(&chain, Arc::new(clock.clone()), short_margin());
    let to = Address::repeat_byte(1);
    let id = rig.add("back", to, 6, chain.time_of(HEAD)).await;
    swept(&rig, to).await;
    clock.set_back(Span::from_secs(3_600));
    chain.pay(HEAD + 1, 0, to, 6);
    grow(&chain, 5);
    rig.wait_for(&id, "ended").await;
    rig.stop().await;
}

/// Payments whose deposits were taken for final long ago, and which are due.
async fn long_due(chain: &PlainChain, rig: &Rig, count: u8) -> Vec<PaymentId> {
    let mut ids = Vec::new();
    for n in 1..=count {
        let to = Address::repeat_byte(n);
        ids.push(rig.add(&format!("due-{n}"), to, 6, chain.time_of(HEAD)).await);
    }
    rig.api.hold(true);
    for n in 1..=count {
        chain.pay(HEAD - 4, u64::from(n), Address::repeat_byte(n), 6);
    }
    for id in &ids {
        rig.wait_for(id, "due").await;
    }
    for mut deposit in rig.store.deposits(None, 1_000).await.unwrap() {
        let standing = BlockStatus::Final { at: Timestamp::EPOCH };
        deposit.standing = standing;
        let kind = EventKind::DepositStands { standing, block: deposit.block(), canonical: None, made_at: None };
        let events = vec![Event { at: SystemClock.now(), payment: None, deposit: Some(deposit.key), kind }];
        rig.store.commit(Commit { deposits: vec![deposit], events, ..Commit::default() }).await.unwrap();
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn many_due_payments_ask_for_finality_together() {
    let (chain, rig) = world(short_margin());
    let ids = long_due(&chain, &rig, 40).await;
    chain.told(|told| told.finalized = Some(HEAD - 50));
    rig.api.hold(false);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = chain.told(|told| told.finality_asked);
    tokio::time::sleep(Duration::from_secs(4)).await;
    let asked = chain.told(|told| told.finality_asked) - before;
    assert!(asked <= 12, "finality was asked for {asked} times in four seconds");
    assert!(rig.api.completions().is_empty());
    chain.told(|told| told.finalized = Some(HEAD - 4));
    for id in &ids {
        rig.wait_for(id, "ended").await;
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_found_at_the_start_may_have_been_made_just_before() {
    let clock = SetClock::new();
    let chain = PlainChain::new(HEAD, clock.now());
    let rig = start(&chain, Arc::new(clock.clone()), short_margin());
    let to = Address::repeat_byte(1);
    rig.api.never_answers();
    let id = rig.add("frozen", to, 6, chain.time_of(HEAD)).await;
    chain.pay(HEAD - 4, 0, to, 6);
    rig.wait_for(&id, "calling").await;
    // Frozen for minutes after "calling" was committed, and killed just after the call went out.
    clock.set_forward(Span::from_secs(600));
    let api = rig.api.clone();
    let store = rig.crash().await;
    let asked = api.asked();
    let rig = Rig::over(Arc::new(chain.clone()), Arc::new(clock), short_margin(), store, api.clone());
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((api.asked(), rig.payment(&id).await.state.name()), (asked, "calling"));
    rig.wait_for(&id, "due").await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_deposit_is_completed_although_the_final_block_was_not_shown() {
    let (chain, rig) = world(short_margin());
    chain.told(|told| (told.finalized, told.hidden) = (Some(HEAD - 1), Some(HEAD - 2)));
    let to = Address::repeat_byte(1);
    let id = rig.add("first", to, 6, chain.time_of(HEAD)).await;
    chain.pay(HEAD - 4, 0, to, 6);
    rig.wait_for(&id, "ended").await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_the_subscription_worked_is_swept_once_it_does() {
    let mut settings = short_margin();
    settings.sweep.interval = Span::from_secs(60);
    settings.sweep.poll_interval = Span::from_secs(60);
    let (chain, rig) = world(settings);
    chain.push(Hint::Live);
    let to = Address::repeat_byte(1);
    let id = rig.add("new", to, 6, chain.time_of(HEAD)).await;
    swept(&rig, to).await;
    // Mined after the sweep of the new address, and before its filter worked: no hint tells of it.
    chain.pay(HEAD, 0, to, 6);
    chain.push(Hint::Live);
    rig.wait_for(&id, "seen").await;
    rig.stop().await;
}
