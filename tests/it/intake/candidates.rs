//! What needs a person: a candidate, which is told once and settled once.

use std::sync::Arc;

use rampwatch::domain::candidate::{CandidateReason, Missing};
use rampwatch::domain::payment::{ApiStatus, PaymentId, RecipientId};
use rampwatch::engine::add::AddPayment;
use rampwatch::ports::payment_api::ApiPayment;
use rampwatch::service::operator_service::OperatorError;
use rampwatch::service::requests::ResolveRequest;
use rampwatch::service::tally::Tally;

use super::bench::{Bench, following};
use super::shop::{Shop, bare, off_ramp};
use crate::support::memory_store::MemoryStore;
use crate::support::records::{address, at, payment_id};

const FOUND: &str = "was found at the payment API and waits for a person";

async fn reviews(bench: &Bench) -> Vec<(String, String, Vec<String>)> {
    let page = bench.handle.reviews(None, 100).await.unwrap();
    let commands = |view: &rampwatch::view::ReviewView| {
        view.settle.iter().filter_map(|way| way.command.clone()).collect::<Vec<_>>()
    };
    page.items.iter().map(|view| (view.subject.clone(), view.id.clone(), commands(view))).collect()
}

async fn open_reviews(bench: &Bench) -> u64 {
    let mut tally = Tally::default();
    assert!(bench.handle.tally(&mut tally, 99_999).await.unwrap());
    tally.reviews()
}

fn typed(n: u64) -> AddPayment {
    AddPayment {
        id: payment_id(n),
        recipient_id: RecipientId::new("rec-1").unwrap(),
        deposit_address: Some(address(n)),
        amount: Some("1000.50".to_owned()),
        sender: None,
        created_at: None,
        expires_at: None,
        deposit_chain: None,
    }
}

#[tokio::test]
async fn what_the_api_leaves_out_is_asked_of_a_person_once_and_adding_it_closes_the_candidate() {
    let shop = Shop::default();
    shop.open(bare(1));
    let bench = Bench::start(&shop);
    let candidate = bench.until_candidate(1, "open").await;
    let missing = vec![Missing::Recipient, Missing::DepositAddress, Missing::Amount];
    assert_eq!(candidate.why, CandidateReason::Incomplete { missing });
    let found = reviews(&bench).await;
    let add = "rampwatch add --deposit-address <address> --amount <amount> pay-000001 <recipient>".to_owned();
    let dismiss = "rampwatch resolve dismiss --reason '…' pay-000001".to_owned();
    assert_eq!(found, [("lead".to_owned(), "pay-000001".to_owned(), vec![add, dismiss])]);
    assert_eq!(open_reviews(&bench).await, 1);
    // It is asked after again, and told no more.
    let asked = shop.gets_of(1);
    crate::support::eventually(super::bench::LIMIT, "it is asked after", || async { shop.gets_of(1) > asked + 1 })
        .await;
    assert_eq!(bench.told(1).await, [FOUND]);
    let why = bench.handle.why("pay-000001").await.unwrap();
    assert_eq!((why.subject.as_str(), why.events.len(), why.reviews.len()), ("lead", 1, 1));
    assert!(why.rule.contains("does not say whose it is, where the money goes and how much"), "{}", why.rule);

    bench.handle.add(typed(1)).await.unwrap();
    assert_eq!(bench.candidate(1).await.unwrap().state.name(), "added");
    assert_eq!(bench.told(1).await, [FOUND, "is settled: the payment was added"]);
    assert_eq!((reviews(&bench).await.len(), open_reviews(&bench).await), (0, 0));
    assert_eq!(bench.handle.why("pay-000001").await.unwrap().subject, "payment");
    bench.rounds(2).await;
    assert_eq!(bench.told(1).await.len(), 2, "and stays so");
    bench.stop().await;
}

#[tokio::test]
async fn a_lead_is_taken_up_as_soon_as_the_api_says_everything() {
    let shop = Shop::default();
    shop.open(bare(1));
    let bench = Bench::start(&shop);
    bench.until_candidate(1, "open").await;
    shop.change(1, |payment| *payment = off_ramp(1));
    bench.until_taken_up(1).await;
    assert_eq!(bench.candidate(1).await.unwrap().state.name(), "added");
    bench.stop().await;
}

#[tokio::test]
async fn a_lead_that_waits_for_funds_no_more_closes_by_itself() {
    let shop = Shop::default();
    (1..=3).for_each(|n| shop.open(bare(n)));
    let bench = Bench::start(&shop);
    for n in 1..=3 {
        bench.until_candidate(n, "open").await;
    }
    shop.change(1, |payment| payment.status = ApiStatus::Expired);
    shop.held().payments.remove(&payment_id(2));
    // No list shows the third any more, and it is asked after all the same.
    shop.held().of_user.get_mut("u-1").unwrap().remove(&payment_id(3));
    shop.change(3, |payment| payment.status = ApiStatus::Processing);
    for n in 1..=3 {
        bench.until_candidate(n, "gone").await;
    }
    assert_eq!(bench.told(1).await, [FOUND, "is over: the API says \"EXPIRED\""]);
    assert_eq!(open_reviews(&bench).await, 0);
    bench.stop().await;
}

#[tokio::test]
async fn leads_are_followed_without_any_list() {
    let store = Arc::new(MemoryStore::new());
    let shop = Shop::default();
    shop.open(bare(1));
    let bench = Bench::over(store.clone(), &shop, following(&["u-1"], &[]));
    bench.until_candidate(1, "open").await;
    bench.kill().await;
    let bench = Bench::over(Arc::new(store.reopen()), &shop, following(&[], &[]));
    shop.change(1, |payment| payment.status = ApiStatus::Expired);
    bench.until_candidate(1, "gone").await;
    bench.stop().await;
}

#[tokio::test]
async fn a_person_dismisses_a_lead_and_can_add_it_all_the_same() {
    let shop = Shop::default();
    shop.open(bare(1));
    let bench = Bench::start(&shop);
    bench.until_candidate(1, "open").await;
    let dismiss = |payment: &str, reason: &str| ResolveRequest::Dismiss {
        payment: payment.to_owned(),
        reason: reason.to_owned(),
    };
    let refused = bench.handle.resolve_request(&dismiss("pay-000001", " ")).await.unwrap_err();
    assert!(matches!(refused, OperatorError::Invalid { field: "reason", .. }), "{refused}");
    let refused = bench.handle.resolve_request(&dismiss("pay-404", "no")).await.unwrap_err();
    assert!(matches!(refused, OperatorError::NotFound(_)), "{refused}");
    let view = bench.handle.resolve_request(&dismiss("pay-000001", "another team's")).await.unwrap();
    assert_eq!(view.candidate.unwrap().state.name(), "dismissed");
    let refused = bench.handle.resolve_request(&dismiss("pay-000001", "again")).await.unwrap_err();
    assert!(matches!(refused, OperatorError::Refused(_)), "{refused}");
    shop.change(1, |payment| *payment = off_ramp(1));
    bench.rounds(3).await;
    assert_eq!((reviews(&bench).await.len(), bench.payment(1).await), (0, None), "a person's word holds");
    bench.handle.add(typed(1)).await.unwrap();
    assert_eq!(bench.candidate(1).await.unwrap().state.name(), "added");
    bench.stop().await;
}

#[tokio::test]
async fn contradictions_other_currencies_and_impossible_terms_are_candidates() {
    let shop = Shop::default();
    shop.open(off_ramp(1));
    let listed = ApiPayment { deposit_address: Some(address(9)), ..off_ramp(1) };
    shop.held().listed_as.insert(payment_id(1), listed);
    shop.open(ApiPayment { source_currency: Some("USDT".to_owned()), ..off_ramp(2) });
    shop.open(ApiPayment { created_at: Some(at(999_999_999_999)), ..off_ramp(3) });
    let bench = Bench::start(&shop);
    let mut names = Vec::new();
    for n in 1..=3 {
        names.push(bench.until_candidate(n, "open").await.why.name());
        assert_eq!(bench.payment(n).await, None);
    }
    assert_eq!(names, ["disagrees", "other_currency", "unusable"]);
    let found = reviews(&bench).await;
    assert_eq!(found[0].2[0], "rampwatch add pay-000001 rec-1", "what the API says need not be typed");
    shop.held().listed_as.clear();
    bench.until_taken_up(1).await;
    bench.stop().await;
}

#[tokio::test]
async fn reviews_of_leads_come_in_parts() {
    let shop = Shop::default();
    (1..=5).for_each(|n| shop.open(bare(n)));
    let bench = Bench::start(&shop);
    for n in 1..=5 {
        bench.until_candidate(n, "open").await;
    }
    let (mut after, mut ids) = (None, Vec::new());
    loop {
        let page = bench.handle.reviews(after.as_deref(), 2).await.unwrap();
        assert!(page.items.len() <= 2);
        ids.extend(page.items.into_iter().map(|view| PaymentId::new(view.id).unwrap()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(ids, (1..=5).map(payment_id).collect::<Vec<_>>());
    bench.stop().await;
}
