//! A payout that is another one over again is placed only by somebody who means it: whoever asks, and however many at once.

use std::time::Duration;

use rampwatch::domain::time::Span;
use rampwatch::ports::store::{Store as _, Subject};
use rampwatch::service::operator_service::{OperatorError, OperatorService};
use rampwatch::view::payout::{Fund, PayoutRequest};
use tokio::task::JoinSet;

use super::bench::{Bench, request};

const DAY: Duration = Duration::from_secs(86_400);

/// A bench where payouts are remembered for ten days.
async fn bench() -> Bench {
    let mut bench = Bench::new().await;
    bench.settings.payouts.repeat_window = Span::from_secs(10 * 86_400);
    bench
}

/// What is said of a payout that is not placed because it repeats another one.
async fn refused(handle: &OperatorService, request: &PayoutRequest) -> String {
    match handle.place_payout(request).await {
        Err(OperatorError::Repeat(said)) => said,
        other => panic!("{other:?}"),
    }
}

/// dimagi/commcare-connect#1449: the same payment within one upload and after it.
#[tokio::test(start_paused = true)]
async fn a_repeat_is_named_with_the_earlier_one_and_goes_only_if_it_is_meant() {
    let mut bench = bench().await;
    let life = bench.start(0);
    let first = life.place(&request("A-1", Fund::ByHand)).await;
    let again = request("B-1", Fund::ByHand);
    let said = refused(&life.handle, &again).await;
    for words in ["payout B-1 equals payout A-1", &first.placed_at, "--allow-repeat B-1", "allow_repeat"] {
        assert!(said.contains(words), "no {words:?} in {said}");
    }
    let view = life.handle.repeat_of(&again).await.unwrap();
    assert_eq!(view.earlier.unwrap().reference.as_str(), "A-1");
    assert!(matches!(life.handle.show_payout("B-1").await, Err(OperatorError::NotFound(_))), "it was not placed");

    // The same reference is the same payout, and other content is another.
    assert_eq!(life.place(&request("A-1", Fund::ByHand)).await.idempotency_key, first.idempotency_key);
    assert_eq!(life.handle.repeat_of(&request("A-1", Fund::ByHand)).await.unwrap().earlier, None);
    life.place(&PayoutRequest { amount: "1000.01".to_owned(), ..request("C-1", Fund::ByHand) }).await;

    let meant = PayoutRequest { allow_repeat: true, ..again };
    let placed = life.place(&meant).await;
    assert!(!placed.request.allow_repeat, "what was asked for is shown, and not how");
    let key = rampwatch::domain::record::RecordKey {
        kind: rampwatch::domain::record::RecordKind::Payout,
        id: "B-1".to_owned(),
    };
    let events = bench.store.events_of(&Subject::Record(key), 0, 1).await.unwrap();
    assert!(format!("{events:?}").contains("who allowed it to repeat A-1"), "{events:?}");
    life.until_state("B-1", "created").await;
    assert_eq!(bench.shop.held().creates.len(), 3);
    life.stop().await;
}

/// pagermon/pagermon#440: a spreadsheet dropped the zeros of the key, and everything was imported a second time;
/// molgenis/molgenis-emx2#136: ids that come back as 1.0.
#[tokio::test(start_paused = true)]
async fn a_reference_that_a_spreadsheet_has_rewritten_is_the_earlier_one() {
    let mut bench = bench().await;
    let life = bench.start(0);
    life.place(&request("0012", Fund::ByHand)).await;
    for rewritten in ["12", "12.0", "1.2E1"] {
        let other = PayoutRequest { amount: "7".to_owned(), ..request(rewritten, Fund::ByHand) };
        let said = refused(&life.handle, &other).await;
        assert!(said.contains("has the reference of payout 0012") && said.contains("spreadsheet"), "{said}");
    }
    life.stop().await;
}

#[tokio::test(start_paused = true)]
async fn of_fifty_at_once_one_is_placed() {
    let mut bench = bench().await;
    let life = bench.start(0);
    let mut placing = JoinSet::new();
    for n in 0..50 {
        let handle = life.handle.clone();
        let wanted = request(&format!("at-once-{}", ["a", "b", "c", "d", "e"][n % 5].repeat(n / 5 + 1)), Fund::ByHand);
        placing.spawn(async move { handle.place_payout(&wanted).await });
    }
    let outcomes = placing.join_all().await;
    let placed = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let repeats = outcomes.iter().filter(|outcome| matches!(outcome, Err(OperatorError::Repeat(_)))).count();
    assert_eq!((placed, repeats), (1, 49));
    life.stop().await;
}

/// One whose request was given up when it was half placed holds its place, for good only if it was stored.
#[tokio::test(start_paused = true)]
async fn a_placing_that_nobody_waits_for_is_no_gap() {
    let mut bench = bench().await;
    let life = bench.start(0);
    let (handle, wanted) = (life.handle.clone(), request("A-1", Fund::ByHand));
    let given_up = tokio::spawn(async move { handle.place_payout(&wanted).await });
    let is_claimed = async || life.handle.repeat_of(&request("B-1", Fund::ByHand)).await.unwrap().earlier.is_some();
    while !is_claimed().await {
        tokio::task::yield_now().await;
    }
    given_up.abort();
    drop(given_up.await);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let is_there = life.handle.show_payout("A-1").await.is_ok();
    refused(&life.handle, &request("B-1", Fund::ByHand)).await;
    tokio::time::sleep(Duration::from_secs(601)).await;
    let later = life.handle.place_payout(&request("B-1", Fund::ByHand)).await;
    assert_eq!(later.is_err(), is_there, "{later:?}");
    life.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_an_older_store_holds_is_remembered_and_what_is_old_is_not() {
    let mut bench = bench().await;
    let window = std::mem::replace(&mut bench.settings.payouts.repeat_window, Span::ZERO);
    // As an older version placed them, which knew of no repeats.
    let life = bench.start(0);
    life.place(&request("A-1", Fund::ByHand)).await;
    life.place(&request("A-2", Fund::ByHand)).await;
    life.stop().await;
    bench.settings.payouts.repeat_window = window;
    tokio::time::sleep(DAY * 9).await;
    let life = bench.start(0);
    let said = refused(&life.handle, &request("B-1", Fund::ByHand)).await;
    assert!(said.contains("equals payout A-2"), "{said}");
    tokio::time::sleep(DAY + DAY / 2).await;
    life.place(&request("B-1", Fund::ByHand)).await;
    life.stop().await;
    let life = bench.start(0);
    assert!(refused(&life.handle, &request("C-1", Fund::ByHand)).await.contains("equals payout B-1"));
    life.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_was_cancelled_before_anything_was_opened_is_repeated_by_nobody() {
    let mut bench = bench().await;
    // No engine runs, so nothing is opened meanwhile.
    let life = bench.start(0);
    let handle = life.handle.clone();
    life.kill().await;
    handle.place_payout(&request("A-1", Fund::ByHand)).await.unwrap();
    refused(&handle, &request("B-1", Fund::ByHand)).await;
    handle.cancel_payout("A-1", "typed twice").await.unwrap();
    assert_eq!(handle.repeat_of(&request("B-1", Fund::ByHand)).await.unwrap().earlier, None);
    handle.place_payout(&request("B-1", Fund::ByHand)).await.unwrap();
    assert!(refused(&handle, &request("C-1", Fund::ByHand)).await.contains("equals payout B-1"));
}
