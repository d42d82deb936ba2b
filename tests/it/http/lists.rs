//! What is shown: payments, deposits, pages of them, and why.

use rampwatch::ports::store::Commit;
use rampwatch::ports::store::Store as _;
use rampwatch::service::queries::DepositFilter;
use rampwatch::service::tally::Tally;
use rampwatch::view::{DepositView, Page, PaymentView, WhyView};
use serde_json::json;

use super::final_deposit;
use crate::support::desk::{Desk, typed};
use crate::support::records::{deposit, payment};

#[tokio::test]
async fn a_payment_is_added_once_and_shown() {
    let desk = Desk::open().await;
    let (status, first) = desk.answer(desk.post("/v1/payments", &typed("pay-1", 1, "1000.5"))).await;
    assert_eq!(status, 200, "{first}");
    assert_eq!(first["amount"], json!({ "base_units": "1000500000", "decimal": "1000.50", "symbol": "USDC" }));
    assert_eq!(first["created_at"], "2026-09-21T14:13:20Z");
    assert_eq!((first["amount_from"].as_str(), first["address_from"].as_str()), (Some("typed"), Some("typed")));
    assert_eq!(first["state"]["name"], "waiting");
    let (status, again) = desk.answer(desk.post("/v1/payments", &typed("pay-1", 1, "1000.50"))).await;
    assert_eq!((status, &again), (200, &first), "the same payment again changes nothing");
    let (_, shown) = desk.answer(desk.get("/v1/payments/pay-1")).await;
    assert_eq!(shown, first);
    let view: PaymentView = serde_json::from_value(shown.clone()).unwrap();
    assert_eq!(serde_json::to_value(&view).unwrap(), shown, "programs can read it back");
    for other in [typed("pay-1", 1, "1000.51"), typed("pay-1", 2, "1000.5")] {
        let (status, problem) = desk.answer(desk.post("/v1/payments", &other)).await;
        assert_eq!((status, problem["code"].as_str()), (409, Some("exists")));
    }
}

#[tokio::test]
async fn lists_come_in_parts() {
    let desk = Desk::open().await;
    let payments = (0..25).map(payment).collect();
    desk.store.commit(Commit { payments, ..Commit::default() }).await.unwrap();
    let (mut seen, mut after) = (Vec::new(), String::new());
    for part in 0..4 {
        let (_, body) = desk.answer(desk.get(&format!("/v1/payments?limit=10{after}"))).await;
        let page: Page<PaymentView> = serde_json::from_value(body).unwrap();
        assert_eq!(page.items.len(), [10, 10, 5, 0][part], "part {part}");
        seen.extend(page.items.into_iter().map(|view| view.id.to_string()));
        match page.next {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let expected: Vec<String> = (0..25).map(|n| format!("pay-{n:06}")).collect();
    assert_eq!(seen, expected);
    let (_, body) = desk.answer(desk.get("/v1/payments?state=ended")).await;
    assert_eq!(body, json!({ "items": [], "next": null }));
    let (_, body) = desk.answer(desk.get("/v1/payments?state=waiting&limit=1000")).await;
    assert_eq!(body["items"].as_array().unwrap().len(), 25);
    for limit in ["0", "1001", "1000000"] {
        let (status, problem) = desk.answer(desk.get(&format!("/v1/payments?limit={limit}"))).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some("invalid")), "{limit}");
        assert!(problem["detail"].as_str().unwrap().contains("between 1 and 1000"), "{problem}");
    }
}

#[tokio::test]
async fn a_search_for_what_is_rare_looks_at_a_bounded_number_of_records() {
    let desk = Desk::open().await;
    let payments = (0..12_000).map(payment).collect();
    desk.store.commit(Commit { payments, ..Commit::default() }).await.unwrap();
    let first = desk.handle.list_payments(Some("review"), None, 10).await.unwrap();
    assert!(first.items.is_empty());
    let next = first.next.expect("it stopped early and says where");
    let second = desk.handle.list_payments(Some("review"), Some(&next), 10).await.unwrap();
    assert_eq!((second.items.len(), second.next), (0, None));
}

#[tokio::test]
async fn deposits_are_found_by_address_payment_and_verdict() {
    let desk = Desk::open().await;
    desk.keep(vec![final_deposit(1, 1, 5_000_000), final_deposit(2, 1, 0), final_deposit(3, 2, 1)]).await;
    desk.keep(vec![final_deposit(4, 1, 5_000_000)]).await;
    desk.add("pay-1", 1, "5").await;
    desk.add("pay-2", 2, "5").await;
    let blocks = async |query: &str| {
        let (status, body) = desk.answer(desk.get(&format!("/v1/deposits{query}"))).await;
        assert_eq!(status, 200, "{query}: {body}");
        let page: Page<DepositView> = serde_json::from_value(body).unwrap();
        assert_eq!(page.next, None);
        page.items.into_iter().map(|view| view.block_number).collect::<Vec<_>>()
    };
    let (one, two) = (crate::support::records::address(1), crate::support::records::address(2));
    assert_eq!(blocks("").await, [1, 2, 3, 4]);
    assert_eq!(blocks(&format!("?address={one}")).await, [1, 2, 4]);
    assert_eq!(blocks("?payment=pay-2").await, [3]);
    assert_eq!(blocks(&format!("?payment=pay-2&address={one}")).await, [0_u64; 0]);
    assert_eq!(blocks("?verdict=pays").await, [1]);
    assert_eq!(blocks("?verdict=nothing").await, [2]);
    assert_eq!(blocks("?verdict=review").await, [3, 4]);
    assert_eq!(blocks(&format!("?verdict=review&address={two}")).await, [3]);
    let filter = DepositFilter { address: Some(one.to_string()), ..DepositFilter::default() };
    let first = desk.handle.list_deposits(&filter, None, 2).await.unwrap();
    let rest = desk.handle.list_deposits(&filter, first.next.as_deref(), 2).await.unwrap();
    assert_eq!((first.items.len(), rest.items.len(), rest.next), (2, 1, None));
}

#[tokio::test]
async fn why_names_the_rule_the_record_and_the_events() {
    let desk = Desk::open().await;
    desk.keep(vec![final_deposit(1, 1, 5_000_000)]).await;
    desk.add("pay-1", 1, "5").await;
    let key = deposit(1).key;
    let hash = key.tx_hash;
    for subject in [key.to_string(), hash.to_string(), format!("{hash}:1")] {
        let (status, body) = desk.answer(desk.get(&format!("/v1/why/{subject}"))).await;
        assert_eq!(status, 200, "{body}");
        let why: WhyView = serde_json::from_value(body).unwrap();
        assert_eq!((why.subject.as_str(), why.deposits.len(), why.reviews.len()), ("deposit", 1, 0));
        assert!(why.rule.contains("pays payment pay-1") && why.rule.contains("exactly this amount"), "{}", why.rule);
        assert_eq!(why.payment.unwrap().id.as_str(), "pay-1");
        assert!(why.events.iter().any(|event| event.event == "deposit_judged"), "{:?}", why.events);
    }
    let (_, body) = desk.answer(desk.get("/v1/why/pay-1")).await;
    let why: WhyView = serde_json::from_value(body).unwrap();
    assert_eq!(why.subject, "payment");
    assert_eq!(why.deposits[0].key, key.to_string());
    let names: Vec<&str> = why.events.iter().map(|event| event.event.as_str()).collect();
    assert_eq!(names[0], "payment_added");
    assert!(names.contains(&"payment_moved"), "{names:?}");
    assert!(why.events.windows(2).all(|pair| pair[0].seq < pair[1].seq));
}

#[tokio::test]
async fn a_transaction_with_several_deposits_has_to_be_named_exactly() {
    let desk = Desk::open().await;
    let mut second = final_deposit(2, 2, 7_000_000);
    second.key.tx_hash = deposit(1).key.tx_hash;
    second.key.block_hash = deposit(1).key.block_hash;
    desk.keep(vec![final_deposit(1, 1, 5_000_000), second.clone()]).await;
    let hash = second.key.tx_hash;
    let (status, problem) = desk.answer(desk.get(&format!("/v1/why/{hash}"))).await;
    assert_eq!((status, problem["code"].as_str()), (422, Some("invalid")));
    assert!(problem["detail"].as_str().unwrap().contains(&second.key.to_string()), "{problem}");
    let (status, body) = desk.answer(desk.get(&format!("/v1/why/{hash}:2"))).await;
    assert_eq!((status, body["deposits"][0]["amount"]["decimal"].as_str()), (200, Some("7.00")));
}

#[tokio::test]
async fn of_a_reorged_transaction_the_one_that_stands_is_meant() {
    let desk = Desk::open().await;
    let mut gone = deposit(1);
    gone.standing = rampwatch::domain::deposit::BlockStatus::Gone { after_final: false };
    let mut stands = final_deposit(2, 1, 1_000_000_000);
    stands.key.tx_hash = gone.key.tx_hash;
    desk.keep(vec![gone.clone(), stands.clone()]).await;
    assert_eq!(desk.handle.find_deposit(&gone.key.tx_hash.to_string()).await.unwrap(), stands.key);
}

#[tokio::test]
async fn the_tally_of_the_events_is_what_the_records_say() {
    let desk = Desk::open().await;
    for n in 1..=20_u64 {
        let amount = if n.is_multiple_of(3) { 1 } else { 5_000_000 };
        desk.keep(vec![final_deposit(n, n, amount)]).await;
        desk.add(&format!("pay-{n}"), n, "5").await;
    }
    for n in [3_u64, 6] {
        let body = json!({ "action": "ignore", "deposit": deposit(n).key.to_string(), "reason": "dust" });
        assert_eq!(desk.answer(desk.post("/v1/resolve", &body)).await.0, 200);
    }
    let body = json!({ "action": "cancel", "payment": "pay-9", "reason": "not ours" });
    assert_eq!(desk.answer(desk.post("/v1/resolve", &body)).await.0, 200);
    let mut tally = Tally::default();
    while !desk.handle.tally(&mut tally, 7).await.unwrap() {}
    let contents = desk.store.contents();
    for (name, count) in tally.payments() {
        let there = contents.payments.values().filter(|payment| payment.state.name() == name).count();
        assert_eq!(count, there as u64, "{name}");
    }
    let in_review = |deposit: &&rampwatch::domain::deposit::Deposit| {
        matches!(deposit.verdict, rampwatch::domain::deposit::Verdict::Review { .. })
    };
    assert_eq!(tally.reviews(), contents.deposits.values().filter(in_review).count() as u64);
    assert!(tally.reviews() > 0);
}
