//! What is taken up from lists, and what is left alone.

use std::sync::Arc;

use rampwatch::domain::payment::{ApiStatus, BankAccountId, PaymentState, Provenance};
use rampwatch::domain::time::Span;
use rampwatch::engine::EngineSettings;
use rampwatch::ports::payment_api::{ApiError, ApiPayment};

use super::bench::{Bench, LIMIT, following};
use super::shop::{Shop, bare, off_ramp};
use crate::support::eventually;
use crate::support::memory_store::MemoryStore;
use crate::support::records::{address, at, payment_id};

/// What waits is asked after again only after ten minutes.
fn unhurried(mut settings: EngineSettings) -> EngineSettings {
    settings.pace.ask_every = Span::from_secs(600);
    settings
}

fn no() -> String {
    "no".to_owned()
}

#[tokio::test]
async fn what_waits_for_funds_is_taken_up_and_its_address_swept_from_its_creation_on() {
    let shop = Shop::default();
    shop.open(ApiPayment { bank_account: Some(BankAccountId::new("acc-1").unwrap()), ..off_ramp(1) });
    let bench = Bench::start(&shop);
    let payment = bench.until_taken_up(1).await;
    assert_eq!((payment.terms.address_from, payment.terms.amount_from), (Provenance::Api, Provenance::Api));
    assert_eq!(payment.terms.bank_account.unwrap().as_str(), "acc-1");
    assert_eq!(payment.api.unwrap().status, ApiStatus::AwaitingFunds);
    let coverage = bench.store.coverage(address(1)).await.unwrap().unwrap();
    assert!(coverage.since < at(1), "from before its creation on: {:?}", coverage.since);
    shop.open(off_ramp(2));
    bench.until_taken_up(2).await;
    assert!(bench.told(1).await.is_empty(), "it was no lead");
    bench.stop().await;
}

#[tokio::test]
async fn what_is_not_ours_is_left_alone_and_not_asked_after_again_and_again() {
    let shop = Shop::default();
    let theirs = [
        ApiPayment { kind: Some("ON_RAMP".to_owned()), ..off_ramp(1) },
        ApiPayment { deposit_chain: Some("base".to_owned()), ..off_ramp(2) },
        ApiPayment { status: ApiStatus::Processing, ..off_ramp(3) },
        ApiPayment { status: ApiStatus::Completed, tx_hash: Some("0x1".to_owned()), ..off_ramp(4) },
    ];
    theirs.into_iter().for_each(|payment| shop.open(payment));
    // Only the GET says what this one is.
    shop.open(ApiPayment { kind: Some("ON_RAMP".to_owned()), ..off_ramp(5) });
    shop.held().listed_as.insert(payment_id(5), ApiPayment { kind: None, ..off_ramp(5) });
    shop.open(off_ramp(6));
    let bench = Bench::over(Arc::new(MemoryStore::new()), &shop, unhurried(following(&["u-1"], &[])));
    bench.until_taken_up(6).await;
    bench.rounds(3).await;
    for n in 1..=5 {
        assert_eq!((bench.payment(n).await, bench.candidate(n).await), (None, None), "{n}");
    }
    assert_eq!((1..=4).map(|n| shop.gets_of(n)).sum::<usize>(), 0, "the list says enough");
    assert_eq!(shop.gets_of(5), 1, "in so short a time");
    bench.stop().await;
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_hides_no_other() {
    let shop = Shop::default();
    shop.held().unreadable = vec!["payment p-9: amount: 0.1234567 has more than 6 decimals".to_owned()];
    shop.open(off_ramp(1));
    let bench = Bench::start(&shop);
    bench.until_taken_up(1).await;
    bench.stop().await;
}

#[tokio::test]
async fn a_recipients_list_says_whose_it_is() {
    let shop = Shop::default();
    shop.open_for_recipient(ApiPayment { recipient_id: None, ..off_ramp(1) });
    let bench = Bench::over(Arc::new(MemoryStore::new()), &shop, following(&[], &["rec-1"]));
    assert_eq!(bench.until_taken_up(1).await.recipient_id.as_str(), "rec-1");
    bench.stop().await;
}

#[tokio::test]
async fn lists_that_are_not_shown_hold_up_no_other_and_shut_no_gate() {
    let shop = Shop::default();
    shop.open(off_ramp(1));
    shop.held().of_user.remove("nobody");
    shop.held().lists_fail.push_back(ApiError::KeyRefused { status: 403, detail: no() });
    let bench = Bench::over(Arc::new(MemoryStore::new()), &shop, following(&["foreign", "nobody", "u-1"], &[]));
    bench.until_taken_up(1).await;
    assert_eq!(bench.health.snapshot().key_refused, None, "a 403 to a list is about that list");
    bench.stop().await;
}

#[tokio::test]
async fn a_refused_key_stops_the_questions() {
    let shop = Shop::default();
    shop.open(off_ramp(1));
    shop.held().all_fail = Some(ApiError::KeyRefused { status: 401, detail: no() });
    let bench = Bench::start(&shop);
    let refused = || async { bench.health.snapshot().key_refused == Some(401) };
    eventually(LIMIT, "the key is refused", refused).await;
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert_eq!(shop.held().lists, 1, "nobody hammers an API that refuses the key");
    bench.stop().await;
}

#[tokio::test]
async fn trouble_passes_and_nothing_is_lost() {
    let shop = Shop::default();
    shop.open(off_ramp(1));
    shop.open(off_ramp(2));
    let not_now = ApiError::NotNow { detail: no(), retry_after: Some(Span::from_millis(60)) };
    shop.held().lists_fail.extend([not_now, ApiError::Unclear { detail: no(), retry_after: None }]);
    shop.held().gets_fail.insert(payment_id(1), ApiError::NotFound { detail: no() });
    let bench = Bench::start(&shop);
    bench.until_taken_up(2).await;
    assert_eq!(bench.payment(1).await, None, "listed, and not shown");
    shop.held().gets_fail.clear();
    bench.until_taken_up(1).await;
    bench.stop().await;
}

#[tokio::test]
async fn a_known_payment_is_not_touched_and_its_news_wakes_the_reconciler() {
    let shop = Shop::default();
    shop.open(off_ramp(1));
    let bench = Bench::over(Arc::new(MemoryStore::new()), &shop, unhurried(following(&["u-1"], &[])));
    let taken = bench.until_taken_up(1).await;
    bench.rounds(3).await;
    let before = bench.payment(1).await.unwrap();
    assert_eq!((before.terms, before.state), (taken.terms, PaymentState::Waiting));
    shop.change(1, |payment| payment.status = ApiStatus::Expired);
    let ended = || async { bench.payment(1).await.unwrap().state.is_ended() };
    eventually(LIMIT, "the reconciler has asked", ended).await;
    bench.stop().await;
}

#[tokio::test]
async fn long_lists_are_worked_through() {
    let shop = Shop::default();
    (1..=30).for_each(|n| shop.open(off_ramp(n)));
    (1_000..4_000).for_each(|n| shop.open(ApiPayment { status: ApiStatus::Completed, ..off_ramp(n) }));
    let bench = Bench::start(&shop);
    for n in 1..=30 {
        bench.until_taken_up(n).await;
    }
    assert_eq!(bench.store.payments(None, 9_999).await.unwrap().len(), 30);
    bench.stop().await;
}

#[tokio::test]
async fn without_users_and_recipients_nothing_is_asked() {
    let shop = Shop::default();
    shop.open(off_ramp(1));
    shop.open(bare(2));
    let bench = Bench::over(Arc::new(MemoryStore::new()), &shop, following(&[], &[]));
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    let asked = {
        let held = shop.held();
        (held.lists, held.gets.len())
    };
    assert_eq!(asked, (0, 0));
    bench.stop().await;
}
