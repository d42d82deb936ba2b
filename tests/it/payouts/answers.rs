//! Every answer of the API to a payout: one payment under one key, or a person is asked and told why.

use rampwatch::domain::payment::Provenance;
use rampwatch::domain::record::{Record, RecordKey, RecordKind};
use rampwatch::domain::time::Span;
use rampwatch::ports::clock::Clock as _;
use rampwatch::ports::store::{Commit, Store as _};
use rampwatch::view::payout::{Fund, PayoutRequest};

use super::bench::{Bench, request};
use super::shop::{Mishap, Told};
use crate::support::records::{address, payment_id};

#[tokio::test(start_paused = true)]
async fn a_payout_becomes_a_payment_whose_deposit_is_looked_for() {
    let mut bench = Bench::new().await;
    let life = bench.start(0);
    let placed = life.place(&request("rent-1", Fund::ByHand)).await;
    assert_eq!((placed.state.as_str(), placed.idempotency_key.len(), placed.version), ("placed", 36, 1));
    let view = life.until_state("rent-1", "created").await;
    assert_eq!(view.idempotency_key, placed.idempotency_key);
    let payment = bench.store.payment(&payment_id(1)).await.unwrap().unwrap();
    assert_eq!((payment.terms.address_from, payment.terms.amount_from), (Provenance::Created, Provenance::Created));
    assert_eq!(payment.terms.deposit_address, address(1));
    assert!(bench.store.coverage(address(1)).await.unwrap().is_some_and(|coverage| !coverage.closed));
    let pay = view.pay.unwrap();
    let uri = format!(
        "ethereum:0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359@137/transfer?address={}&uint256=1000000000",
        address(1)
    );
    assert_eq!((pay.amount.as_str(), pay.eip681, pay.symbol.as_str()), ("1000.00", uri, "USDC"));
    assert!(view.next.contains("Send 1000.00 USDC"), "{}", view.next);
    let why = life.handle.why("rent-1").await.unwrap();
    let told: Vec<&str> = why.events.iter().map(|event| event.text.as_str()).collect();
    for words in ["was placed by local", "has a quote", "is being opened", "has its payment pay-000001"] {
        assert!(told.iter().any(|text| text.contains(words)), "no {words:?} in {told:?}");
    }
    assert_eq!(bench.shop.held().creates, [placed.idempotency_key]);
    life.stop().await;
}

/// The clock was ahead in the life before.
#[tokio::test(start_paused = true)]
async fn a_payout_that_was_put_off_for_months_is_opened_after_a_start() {
    let mut bench = Bench::new().await;
    let life = bench.start(0);
    life.place(&request("rent-1", Fund::ByHand)).await;
    life.kill().await;
    let key = RecordKey { kind: RecordKind::Payout, id: "rent-1".to_owned() };
    let record = bench.store.record(&key).await.unwrap().unwrap();
    let next_at = Some(bench.clock.now().plus(Span::from_secs(90 * 86_400)));
    let desk = vec![Record { next_at, ..record }];
    bench.store.commit(Commit { records: desk, ..Commit::default() }).await.unwrap();
    let life = bench.start(0);
    life.until_state("rent-1", "created").await;
    assert_eq!(bench.shop.held().creates.len(), 1);
    life.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_found_by_its_key_or_called_again_with_it() {
    // How many create calls there are in the end. What is late lands before the list is looked through.
    let cases = [
        (vec![Mishap::LostBefore], 2),
        (vec![Mishap::LostAfter], 1),
        (vec![Mishap::Late(Span::from_millis(3_900))], 1),
        (vec![Mishap::NotNow, Mishap::LostBefore, Mishap::NotNow, Mishap::LostAfter], 4),
        (vec![Mishap::LostBefore, Mishap::Refused(409, "the key is in use"), Mishap::LostAfter], 2),
        // Refused although it was opened: its key is looked for all the same.
        (vec![Mishap::Late(Span::from_millis(5_500)), Mishap::Refused(409, "the key is in use")], 2),
    ];
    for (mishaps, calls) in cases {
        let mut bench = Bench::new().await;
        bench.shop.mishaps(&mishaps);
        let life = bench.start(0);
        let placed = life.place(&request("rent-1", Fund::ByHand)).await;
        let view = life.until("rent-1", "settled", |view| matches!(view.state.as_str(), "created" | "review")).await;
        if view.state == "review" {
            assert_eq!(view.review.as_deref(), Some("refused"), "{mishaps:?}");
            life.handle.retry_payout("rent-1", "mended").await.unwrap();
            life.until_state("rent-1", "created").await;
        }
        {
            let held = bench.shop.held();
            assert_eq!(held.payments.len(), 1, "{mishaps:?}");
            assert!(held.creates.iter().all(|key| *key == placed.idempotency_key), "{mishaps:?}: {:?}", held.creates);
            assert!(held.creates.len() >= calls, "{mishaps:?}: {} calls", held.creates.len());
        }
        life.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_called_again_while_the_call_may_take_effect() {
    let mut bench = Bench::new().await;
    bench.shop.mishaps(&[Mishap::LostBefore]);
    let life = bench.start(0);
    life.place(&request("rent-1", Fund::ByHand)).await;
    let began = tokio::time::Instant::now();
    life.until_state("rent-1", "unclear").await;
    assert!(life.handle.cancel_payout("rent-1", "no").await.is_err(), "it may be open");
    assert!(life.handle.retry_payout("rent-1", "now").await.is_err(), "it may still be opened");
    life.until_state("rent-1", "created").await;
    // Twice the time-out and a second.
    assert!(began.elapsed().as_millis() >= 5_000, "{:?}", began.elapsed());
    life.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_list_the_same_key_is_called_again() {
    let mut bench = Bench::new().await;
    bench.shop.held().list_refused = true;
    bench.shop.mishaps(&[Mishap::LostAfter]);
    let life = bench.start(0);
    life.place(&request("rent-1", Fund::ByHand)).await;
    life.until_state("rent-1", "created").await;
    assert_eq!(bench.shop.held().payments.len(), 1);
    assert_eq!(bench.shop.held().creates.len(), 2);
    life.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_quote_that_is_about_to_run_out_is_not_used() {
    let mut bench = Bench::new().await;
    bench.shop.held().quote_life = Span::from_secs(75);
    bench.shop.mishaps(&vec![Mishap::NotNow; 9]);
    let life = bench.start(0);
    life.place(&request("rent-1", Fund::ByHand)).await;
    life.until_state("rent-1", "created").await;
    assert!(bench.shop.held().used_late.is_empty());
    assert!(bench.shop.held().creates.len() == 10);
    bench.shop.held().quote_life = Span::from_secs(59);
    life.place(&request("rent-2", Fund::ByHand)).await;
    let view = life.until_state("rent-2", "review").await;
    assert_eq!(view.review.as_deref(), Some("no_usable_quote"));
    assert!(view.next.contains("payouts.quote_margin"), "{}", view.next);
    life.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_quote_that_is_refused_is_replaced_a_few_times() {
    let mut bench = Bench::new().await;
    bench.shop.mishaps(&[Mishap::Refused(400, "Quote has expired"), Mishap::Refused(404, "quote not found")]);
    let life = bench.start(0);
    life.place(&request("rent-1", Fund::ByHand)).await;
    life.until_state("rent-1", "created").await;
    bench.shop.mishaps(&[Mishap::Refused(400, "Quote has expired"); 5]);
    life.place(&request("rent-2", Fund::ByHand)).await;
    assert_eq!(life.until_state("rent-2", "review").await.review.as_deref(), Some("no_usable_quote"));
    life.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_comes_before_a_person_and_can_be_tried_again() {
    for status in [400, 404, 409, 422] {
        let mut bench = Bench::new().await;
        bench.shop.mishaps(&[Mishap::Refused(status, "no such bank account")]);
        let life = bench.start(0);
        let placed = life.place(&request("rent-1", Fund::ByHand)).await;
        let view = life.until_state("rent-1", "review").await;
        let words = ["no such bank account".to_owned(), format!("HTTP {status}"), "rampwatch payout retry".to_owned()];
        assert!(words.iter().all(|words| view.next.contains(words)), "{}", view.next);
        let reviews = life.handle.reviews(None, 9).await.unwrap().items;
        assert_eq!((reviews.len(), reviews[0].subject.as_str(), reviews[0].id.as_str()), (1, "payout", "rent-1"));
        life.handle.retry_payout("rent-1", "the account is there now").await.unwrap();
        let view = life.until_state("rent-1", "created").await;
        assert_eq!(view.idempotency_key, placed.idempotency_key);
        assert_eq!(life.handle.reviews(None, 9).await.unwrap().items, []);
        life.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_may_not_open_shuts_the_gate_and_heals() {
    let mut bench = Bench::new().await;
    bench.shop.mishaps(&[Mishap::KeyRefused, Mishap::KeyRefused, Mishap::KeyRefused]);
    let life = bench.start(0);
    life.place(&request("rent-1", Fund::ByHand)).await;
    life.until("rent-1", "tried", |view| view.trouble.is_some()).await;
    assert_eq!(life.health.snapshot().key_refused, None, "one payout refused says nothing of the key");
    life.place(&request("rent-2", Fund::ByHand)).await;
    life.until("rent-2", "tried", |view| view.trouble.is_some()).await;
    assert_eq!(life.health.snapshot().key_refused, Some(403));
    let began = tokio::time::Instant::now();
    life.until_state("rent-1", "created").await;
    life.until_state("rent-2", "created").await;
    // Two probes, five minutes apart.
    assert!(began.elapsed().as_secs() >= 550, "{:?}", began.elapsed());
    assert_eq!((life.health.snapshot().key_refused, bench.shop.held().creates.len()), (None, 5));
    life.stop().await;
}

#[tokio::test(start_paused = true)]
async fn f10_an_opening_that_is_refused_twice_is_its_payout_s_review_and_shuts_nothing() {
    let mut bench = Bench::new().await;
    bench.shop.mishaps(&[Mishap::KeyRefused, Mishap::KeyRefused]);
    let life = bench.start(0);
    life.place(&request("rent-1", Fund::ByHand)).await;
    let view = life.until_state("rent-1", "review").await;
    assert_eq!(view.review.as_deref(), Some("refused"));
    life.place(&request("rent-2", Fund::ByHand)).await;
    life.until_state("rent-2", "created").await;
    assert_eq!(life.health.snapshot().key_refused, None);
    life.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_quote_for_too_little_opens_nothing_and_names_both_figures() {
    let mut bench = Bench::new().await;
    let life = bench.start(0);
    let wish = request("rent-1", Fund::ByHand);
    let wish = rampwatch::view::payout::PayoutRequest { min_destination_amount: Some("17000.01".to_owned()), ..wish };
    life.place(&wish).await;
    let view = life.until_state("rent-1", "review").await;
    assert_eq!(view.review.as_deref(), Some("pays_too_little"));
    assert!(view.next.contains("17000 MXN") && view.next.contains("17000.01 MXN"), "{}", view.next);
    assert!(bench.shop.held().creates.is_empty());
    bench.shop.held().pays = "17000.01";
    life.handle.retry_payout("rent-1", "the rate is better now").await.unwrap();
    life.until_state("rent-1", "created").await;
    life.stop().await;
}

#[tokio::test(start_paused = true)]
async fn several_payments_under_the_key_are_never_funded() {
    let mut bench = Bench::new().await;
    bench.shop.mishaps(&[Mishap::Twice]);
    let life = bench.start(0);
    life.place(&request("rent-1", Fund::Wallet)).await;
    let view = life.until_state("rent-1", "review").await;
    assert_eq!(view.review.as_deref(), Some("several"));
    assert!(view.next.contains("pay-000001") && view.next.contains("pay-000002"), "{}", view.next);
    let contents = bench.store.contents();
    assert!(contents.payments.is_empty() && contents.orders.is_empty());
    bench.shop.held().payments.pop();
    life.handle.retry_payout("rent-1", "the provider has taken one back").await.unwrap();
    life.until("rent-1", "funded", |view| view.order.is_some()).await;
    life.stop().await;
}

#[tokio::test(start_paused = true)]
async fn s4_a_retry_does_not_take_another_payouts_payment_either() {
    let mut bench = Bench::new().await;
    let life = bench.start(0);
    life.place(&request("rent-1", Fund::Wallet)).await;
    life.until("rent-1", "funded", |view| view.order.is_some()).await;
    bench.shop.mishaps(&[Mishap::AnswersWithTheFirst, Mishap::AnswersWithTheFirst]);
    life.place(&PayoutRequest { allow_repeat: true, ..request("rent-2", Fund::Wallet) }).await;
    for tried in 0..2 {
        let view = life.until_state("rent-2", "review").await;
        assert_eq!((view.review.as_deref(), view.payment_id), (Some("terms_differ"), None), "after {tried} retries");
        assert!(view.next.contains("pay-000001, which payout rent-1 has"), "{}", view.next);
        let owner = bench.store.record_by_alias(RecordKind::Payout, "pay-000001").await.unwrap().unwrap();
        assert_eq!(owner.body.key().id, "rent-1", "its receipt shows the payout that it came of");
        life.handle.retry_payout("rent-2", "the provider looks into it").await.unwrap();
    }
    let view = life.until("rent-2", "funded", |view| view.order.is_some()).await;
    assert_eq!(view.payment_id.as_deref(), Some("pay-000002"));
    assert_eq!(bench.store.contents().orders.len(), 2, "an order of its own");
    life.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_address_that_the_answer_leaves_out_is_asked_for() {
    let mut bench = Bench::new().await;
    bench.shop.held().told = Told::ByGet;
    bench.shop.mishaps(&[Mishap::LostAfter]);
    let life = bench.start(0);
    life.place(&request("rent-1", Fund::ByHand)).await;
    let view = life.until_state("rent-1", "created").await;
    assert_eq!(view.pay.unwrap().address, address(1).to_string());
    life.stop().await;
}

#[tokio::test(start_paused = true)]
async fn two_hundred_payouts_are_each_opened_once() {
    let mut bench = Bench::new().await;
    bench.shop.mishaps(&[Mishap::LostAfter, Mishap::LostBefore, Mishap::NotNow].repeat(20));
    let life = bench.start(0);
    let references: Vec<String> = (0..200).map(|n| format!("batch-{n:03}")).collect();
    for reference in &references {
        life.place(&request(reference, Fund::ByHand)).await;
    }
    for reference in &references {
        life.until_state(reference, "created").await;
    }
    {
        let held = bench.shop.held();
        assert_eq!((held.payments.len(), bench.store.contents().payments.len()), (200, 200));
        assert_eq!(held.most_at_once, 8);
    }
    life.stop().await;
}
