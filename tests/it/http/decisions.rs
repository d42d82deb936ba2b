//! Reviews, their ways out, and the decisions that settle them.

use rampwatch::domain::api_field::ApiField;
use rampwatch::domain::deposit::{BlockStatus, Deposit, ReviewReason, Verdict};
use rampwatch::domain::payment::{ApiStatus, Payment, PaymentReview, PaymentState, Refusal};
use rampwatch::ports::store::{Commit, Store as _};
use rampwatch::view::{Page, ReviewView, WhyView};
use serde_json::json;

use super::final_deposit;
use crate::support::desk::Desk;
use crate::support::records::{address, deposit, deposit_key, payment, payment_id};

async fn why(desk: &Desk, subject: &str) -> WhyView {
    let (status, body) = desk.answer(desk.get(&format!("/v1/why/{subject}"))).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_value(body).unwrap()
}

/// The review of this very payment or deposit, if it is in one.
fn review_of(why: &WhyView, id: &str) -> Option<ReviewView> {
    why.reviews.iter().find(|review| review.id == id).cloned()
}

/// The body of the request that a command of a review makes.
fn request_of(command: &str) -> serde_json::Value {
    let words: Vec<&str> = command.split_whitespace().filter(|word| *word != "--").collect();
    assert_eq!(words[..2], ["rampwatch", "resolve"], "{command}");
    assert_eq!(words[3..5], ["--reason", "'…'"], "{command}");
    match (words[2], &words[5..]) {
        ("assign", [deposit, payment]) => {
            json!({ "action": "assign", "deposit": deposit, "payment": payment, "reason": "a test" })
        }
        ("ignore", [deposit]) => json!({ "action": "ignore", "deposit": deposit, "reason": "a test" }),
        (action @ ("retry" | "cancel"), [payment]) => {
            json!({ "action": action, "payment": payment, "reason": "a test" })
        }
        _ => panic!("{command}"),
    }
}

fn commands(review: &ReviewView) -> Vec<String> {
    review.settle.iter().filter_map(|way| way.command.clone()).filter(|text| text.contains(" resolve ")).collect()
}

#[tokio::test]
async fn an_under_payment_is_assigned_by_the_command_that_why_gives() {
    let desk = Desk::open().await;
    desk.keep(vec![final_deposit(1, 1, 4_000_000)]).await;
    desk.add("pay-1", 1, "5").await;
    let hash = deposit(1).key.tx_hash.to_string();
    let review = review_of(&why(&desk, &hash).await, &deposit(1).key.to_string()).expect("it is in review");
    let of_payment = why(&desk, "pay-1").await.reviews;
    assert_eq!(of_payment, std::slice::from_ref(&review), "the payment's why says what its deposit needs");
    assert_eq!(review.reason, "under");
    assert!(review.what.contains("4.00 USDC is 1.00 USDC less"), "{}", review.what);
    let offered = commands(&review);
    assert!(offered[0].contains(" assign ") && offered[0].ends_with(" pay-1"), "{offered:?}");
    let (status, body) = desk.answer(desk.post("/v1/resolve", &request_of(&offered[0]))).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["payment"]["state"]["name"], "due", "the deposit is final already");
    assert_eq!(body["deposit"]["verdict"]["rule"]["rule"], "assigned");
    let after = why(&desk, &hash).await;
    assert_eq!(after.reviews, []);
    assert!(after.rule.contains("a person said so (\"a test\")"), "{}", after.rule);
}

#[tokio::test]
async fn what_the_rules_forbid_is_refused_and_changes_nothing() {
    let desk = Desk::open().await;
    let mut foreign = final_deposit(1, 1, 5_000_000);
    foreign.token = rampwatch::sandbox::USDC_E;
    desk.keep(vec![foreign.clone(), final_deposit(2, 2, 5_000_000)]).await;
    desk.add("pay-1", 1, "5").await;
    desk.add("pay-2", 2, "5").await;
    let before = desk.store.contents();
    let cases = [
        json!({ "action": "assign", "deposit": foreign.key.to_string(), "payment": "pay-1", "reason": "r" }),
        json!({ "action": "assign", "deposit": foreign.key.to_string(), "payment": "pay-2", "reason": "r" }),
        json!({ "action": "ignore", "deposit": deposit_key(2).to_string(), "reason": "r" }),
    ];
    for body in cases {
        let (status, problem) = desk.answer(desk.post("/v1/resolve", &body)).await;
        assert_eq!((status, problem["code"].as_str()), (409, Some("refused")), "{body}: {problem}");
    }
    for reason in ["", "  ", &"x".repeat(501)] {
        let body = json!({ "action": "cancel", "payment": "pay-1", "reason": reason });
        let (status, problem) = desk.answer(desk.post("/v1/resolve", &body)).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some("invalid")), "{problem}");
    }
    assert_eq!(desk.store.contents(), before);
    let review = why(&desk, &foreign.key.to_string()).await.reviews.remove(0);
    assert_eq!(review.reason, "wrong_token");
    assert!(commands(&review).iter().all(|command| command.contains(" ignore ")), "{:?}", review.settle);
}

/// Every reason for which a deposit can be with a person, with the payments of its address.
fn deposit_reviews() -> Vec<(ReviewReason, Vec<Payment>)> {
    let waiting = || vec![Payment { id: payment_id(1), ..payment(1) }];
    let ended = || {
        let state = PaymentState::Ended {
            outcome: rampwatch::domain::payment::Outcome::Completed,
            at: crate::support::records::at(5),
        };
        vec![Payment { state, next_at: None, ..payment(1) }]
    };
    let id = || payment_id(1);
    vec![
        (ReviewReason::WrongToken, waiting()),
        (ReviewReason::Under { missing: rampwatch::domain::amount::Amount::from_base_units(1) }, waiting()),
        (ReviewReason::Over { excess: rampwatch::domain::amount::Amount::from_base_units(1) }, waiting()),
        (ReviewReason::Split { payment: id(), parts: 2 }, waiting()),
        (ReviewReason::Ambiguous { candidates: vec![id(), payment_id(2)] }, waiting()),
        (ReviewReason::NoFit, waiting()),
        (ReviewReason::SecondDeposit { payment: id() }, ended()),
        (ReviewReason::Replaced { payment: id() }, ended()),
        (ReviewReason::Early { payment: id() }, waiting()),
        (ReviewReason::Late { payment: id() }, waiting()),
        (ReviewReason::PaymentEnded { payment: id() }, ended()),
        (ReviewReason::NoPayment, Vec::new()),
        (ReviewReason::GoneAfterFinal { payment: Some(id()) }, waiting()),
        (ReviewReason::GoneAfterFinal { payment: None }, waiting()),
    ]
}

#[tokio::test]
async fn every_deposit_review_says_what_happened_and_offers_only_what_the_rules_take() {
    for (reason, payments) in deposit_reviews() {
        let gone = matches!(reason, ReviewReason::GoneAfterFinal { .. });
        let standing = if gone { BlockStatus::Gone { after_final: true } } else { final_deposit(1, 1, 1).standing };
        let token = if reason == ReviewReason::WrongToken { rampwatch::sandbox::USDC_E } else { deposit(1).token };
        let record = Deposit { standing, token, verdict: Verdict::Review { why: reason.clone() }, ..deposit(1) };
        let offered = {
            let desk = Desk::open().await;
            let commit = Commit { payments: payments.clone(), deposits: vec![record.clone()], ..Commit::default() };
            desk.store.commit(commit).await.unwrap();
            let why = why(&desk, &record.key.to_string()).await;
            let review = review_of(&why, &record.key.to_string()).expect("it is in review");
            let name = serde_json::to_value(&reason).unwrap()["reason"].as_str().unwrap().to_owned();
            assert_eq!(review.reason, name, "the name is the one of the JSON");
            assert_eq!(why.rule, review.what);
            assert!(review.what.len() > 40 && review.what.ends_with('.'), "{}", review.what);
            assert!(!review.settle.is_empty());
            let page: Page<ReviewView> = serde_json::from_value(desk.answer(desk.get("/v1/reviews")).await.1).unwrap();
            assert_eq!(page.items.as_slice(), std::slice::from_ref(&review), "the list of reviews says the same");
            commands(&review)
        };
        assert!(offered.iter().any(|command| command.contains(" ignore ")), "{reason:?}");
        for command in offered {
            let desk = Desk::open().await;
            let commit = Commit { payments: payments.clone(), deposits: vec![record.clone()], ..Commit::default() };
            desk.store.commit(commit).await.unwrap();
            let (status, body) = desk.answer(desk.post("/v1/resolve", &request_of(&command))).await;
            assert_eq!(status, 200, "{reason:?}: {command}: {body}");
            assert_eq!(why(&desk, &record.key.to_string()).await.reviews, [], "{command} settles it");
        }
    }
}

#[tokio::test]
async fn every_payment_review_says_what_happened_and_offers_only_what_the_rules_take() {
    let refusal = Refusal { status: 422, message: "no\u{1b}[2J\nsuch account".to_owned() };
    let reasons = [
        PaymentReview::OtherHash { theirs: "0xfeed\r\nforged: line".to_owned() },
        PaymentReview::Refused { refusal },
        PaymentReview::StillAwaiting,
        PaymentReview::EndedWithMoney { status: ApiStatus::Expired },
        PaymentReview::TermsDiffer {
            field: "depositAmount".to_owned(),
            ours: "1000000000 base units".to_owned(),
            theirs: "5000000 base units".to_owned(),
        },
        PaymentReview::GoneAfterFinal,
        PaymentReview::NotFound,
        PaymentReview::Unreadable { field: ApiField::DepositChain, said: "\"POLY\u{1b}[2JGON\"".to_owned() },
    ];
    for reason in reasons {
        let paid = Deposit {
            verdict: Verdict::Pays { payment: payment_id(1), rule: rampwatch::domain::deposit::MatchRule::Exact },
            ..final_deposit(1, 1, 1_000_000_000)
        };
        let second = final_deposit(2, 1, 1_000_000_000);
        let state = PaymentState::Review { why: reason.clone(), deposit: Some(paid.key) };
        let record = Payment { state, ..payment(1) };
        let commit = Commit { payments: vec![record], deposits: vec![paid, second], ..Commit::default() };
        let desk = Desk::open().await;
        desk.store.commit(commit.clone()).await.unwrap();
        let id = payment_id(1);
        let review = review_of(&why(&desk, id.as_str()).await, id.as_str()).expect("it is in review");
        let name = serde_json::to_value(&reason).unwrap()["reason"].as_str().unwrap().to_owned();
        assert_eq!(review.reason, name, "the name is the one of the JSON");
        assert!(review.what.len() > 40 && !review.what.chars().any(char::is_control), "{:?}", review.what);
        let offered = commands(&review);
        for verb in [" retry ", " cancel ", " assign "] {
            assert!(offered.iter().any(|command| command.contains(verb)), "{reason:?}: {offered:?}");
        }
        for command in offered {
            let desk = Desk::open().await;
            desk.store.commit(commit.clone()).await.unwrap();
            let (status, body) = desk.answer(desk.post("/v1/resolve", &request_of(&command))).await;
            assert_eq!(status, 200, "{reason:?}: {command}: {body}");
            let left = review_of(&why(&desk, id.as_str()).await, id.as_str());
            assert_eq!(left, None, "{command} settles it");
        }
    }
}

#[tokio::test]
async fn the_amount_in_differing_terms_is_readable() {
    let desk = Desk::open().await;
    let why_differ = PaymentReview::TermsDiffer {
        field: "depositAmount".to_owned(),
        ours: "1000000000 base units".to_owned(),
        theirs: "5000000 base units".to_owned(),
    };
    let record = Payment { state: PaymentState::Review { why: why_differ, deposit: None }, ..payment(1) };
    desk.store.commit(Commit { payments: vec![record], ..Commit::default() }).await.unwrap();
    let what = why(&desk, payment_id(1).as_str()).await.reviews.remove(0).what;
    assert!(what.contains("5.00 USDC") && what.contains("1000.00 USDC"), "{what}");
}

#[tokio::test]
async fn reviews_of_payments_and_deposits_make_one_list() {
    let desk = Desk::open().await;
    let in_review = |n: u64| {
        let state = PaymentState::Review { why: PaymentReview::NotFound, deposit: None };
        Payment { state, ..payment(n) }
    };
    let stray =
        |n: u64| Deposit { to: address(500), verdict: Verdict::Review { why: ReviewReason::NoPayment }, ..deposit(n) };
    let payments = vec![in_review(1), payment(2), in_review(3)];
    let deposits = vec![stray(1), stray(2), stray(3)];
    desk.store.commit(Commit { payments, deposits, ..Commit::default() }).await.unwrap();
    for limit in [1, 2, 3, 4, 100] {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = desk.handle.reviews(after.as_deref(), limit).await.unwrap();
            assert!(page.items.len() <= limit);
            all.extend(page.items.into_iter().map(|review| review.subject));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(all, ["payment", "payment", "deposit", "deposit", "deposit"], "in parts of {limit}");
    }
}
