//! The fake payment API when it is told to fail: each fault does what its name says, and no more.

use std::time::Duration;

use rampwatch::sandbox::fake_api::{Behaviour, Call, FakeApi, Fault, FaultRule, NewOffRamp, OffRamp, RetryAfter, When};
use serde_json::json;

use super::LIMIT;
use super::fake_api::{Caller, hash};

async fn struck(fault: Fault) -> (Caller, OffRamp) {
    let caller = Caller::new(Behaviour::default()).await;
    let payment = caller.open(5);
    caller.api.fail_next(Call::Complete, 1, fault).unwrap();
    (caller, payment)
}

#[tokio::test]
async fn error_statuses_come_as_json_or_html_once() {
    let faults = [
        (Fault::server_error(), 500, "application/json"),
        (Fault::status(401), 401, "application/json"),
        (Fault::status(403), 403, "application/json"),
        (Fault::status(422), 422, "application/json"),
        (Fault::html(502, false), 502, "text/html"),
        (Fault::html(503, false), 503, "text/html"),
        (Fault::html(504, false), 504, "text/html"),
    ];
    for (fault, status, kind) in faults {
        let (caller, payment) = struck(fault).await;
        let response = caller.try_complete(&payment, &hash('a')).await.unwrap();
        assert_eq!((response.status().as_u16(), response.headers()["content-type"].to_str().unwrap()), (status, kind));
        let body = response.text().await.unwrap();
        assert_eq!(body.starts_with("<html>"), kind == "text/html", "{body}");
        assert_eq!(caller.now(&payment).status, "AWAITING_FUNDS");
        assert_eq!(caller.complete(&payment, &hash('a')).await.0, 200, "only the next call was to fail");
    }
}

#[tokio::test]
async fn an_error_can_hide_that_the_work_was_done() {
    let (caller, payment) = struck(Fault::html(504, true)).await;
    assert_eq!(caller.try_complete(&payment, &hash('a')).await.unwrap().status(), 504);
    let now = caller.now(&payment);
    assert_eq!((now.status.as_str(), now.tally.accepted, now.transaction_hash), ("PROCESSING", 1, Some(hash('a'))));
    let entry = caller.api.journal().pop().unwrap();
    assert!(entry.acted && entry.status == Some(504) && entry.fault.unwrap().contains("504"));
}

#[tokio::test]
async fn too_many_requests_says_when_to_come_back_in_both_forms() {
    for (retry_after, form) in
        [(None, None), (Some(RetryAfter::Seconds(3)), Some("3")), (Some(RetryAfter::DateInSeconds(5)), Some("GMT"))]
    {
        let (caller, payment) = struck(Fault::too_many_requests(retry_after)).await;
        let response = caller.try_complete(&payment, &hash('a')).await.unwrap();
        assert_eq!(response.status(), 429);
        let header = response.headers().get("retry-after").map(|value| value.to_str().unwrap());
        assert_eq!(header.is_some(), form.is_some());
        assert!(header.unwrap_or_default().ends_with(form.unwrap_or_default()), "{header:?}");
    }
}

#[tokio::test]
async fn a_cut_connection_brings_no_answer_whether_it_acted_or_not() {
    for acts in [true, false] {
        let (caller, payment) = struck(Fault::Cut { acts }).await;
        let error = caller.try_complete(&payment, &hash('a')).await.unwrap_err();
        assert!(!error.is_timeout() && !error.is_connect(), "{error:?}");
        assert_eq!(caller.now(&payment).tally.accepted, u32::from(acts));
        let entry = caller.api.journal().pop().unwrap();
        assert_eq!((entry.acted, entry.status), (acts, None));
        let expected = if acts { 409 } else { 200 };
        assert_eq!(caller.complete(&payment, &hash('a')).await.0, expected, "the next connection works");
    }
}

#[tokio::test]
async fn a_call_can_hang_until_the_stand_in_ends() {
    for acts in [true, false] {
        let (caller, payment) = struck(Fault::Hang { acts }).await;
        let hanging = tokio::time::timeout(Duration::from_millis(300), caller.try_complete(&payment, &hash('a'))).await;
        assert!(hanging.is_err());
        assert_eq!(caller.now(&payment).tally.accepted, u32::from(acts));
        caller.api.stop().await.unwrap();
    }
}

#[tokio::test]
async fn success_can_be_unreadable() {
    for (fault, acts) in [
        (Fault::Garbage { acts: true }, 1),
        (Fault::Garbage { acts: false }, 0),
        (Fault::Empty { acts: true }, 1),
        (Fault::Empty { acts: false }, 0),
    ] {
        let (caller, payment) = struck(fault).await;
        let response = caller.try_complete(&payment, &hash('a')).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.json::<serde_json::Value>().await.is_err());
        assert_eq!(caller.now(&payment).tally.accepted, acts);
    }
}

#[tokio::test]
async fn a_late_call_lands_even_when_the_caller_has_gone() {
    let (caller, payment) = struck(Fault::Delay { millis: 400, acts_first: false }).await;
    let gone = tokio::time::timeout(Duration::from_millis(100), caller.try_complete(&payment, &hash('a'))).await;
    assert!(gone.is_err());
    assert_eq!(caller.now(&payment).tally.accepted, 0, "not yet");
    let landed = |api: &FakeApi| api.off_ramp(&payment.id).is_some_and(|found| found.tally.accepted == 1);
    caller.api.wait_until(LIMIT, "the late completion", landed).await.unwrap();
}

#[tokio::test]
async fn only_the_answer_can_be_late() {
    let (caller, payment) = struck(Fault::Delay { millis: 100, acts_first: true }).await;
    assert_eq!(caller.complete(&payment, &hash('a')).await.0, 200);
    assert_eq!(caller.now(&payment).tally.accepted, 1);
}

#[tokio::test]
async fn somebody_else_can_meddle_just_before() {
    let by_hand = |transaction_hash| Fault::CompletedByHand { transaction_hash };
    let cases = [
        (Fault::OtherHash, "PROCESSING", true),
        (Fault::Expired, "EXPIRED", false),
        (by_hand(None), "COMPLETED", false),
        (by_hand(Some(hash('b'))), "COMPLETED", true),
        (Fault::UnknownStatus { status: "ON_HOLD".to_owned() }, "ON_HOLD", false),
    ];
    for (fault, status, has_hash) in cases {
        let (caller, payment) = struck(fault.clone()).await;
        assert_eq!(caller.complete(&payment, &hash('a')).await.0, 409, "{fault:?}");
        let now = caller.now(&payment);
        assert_eq!((now.status.as_str(), now.transaction_hash.is_some(), now.tally.accepted), (status, has_hash, 0));
        assert_ne!(now.transaction_hash, Some(hash('a')));

        let seen = caller.open(6);
        caller.api.fail_next(Call::Get, 1, fault).unwrap();
        let (code, body) = caller.get(&format!("/payments/{}", seen.id)).await;
        assert_eq!((code, body["transactionHash"].is_string()), (200, has_hash), "{body}");
        assert_ne!(body["status"], json!("AWAITING_FUNDS"));
    }
}

#[tokio::test]
async fn faults_strike_the_call_the_payment_and_the_number_of_times_asked_for() {
    let caller = Caller::new(Behaviour::default()).await;
    let (first, second) = (caller.open(1), caller.open(2));
    let when = When::Next(2);
    let rule = FaultRule { call: Call::Get, payment: Some(first.id.clone()), when, fault: Fault::server_error() };
    caller.api.add_fault(rule).unwrap();
    let mut statuses = Vec::new();
    for payment in [&second, &first, &second, &first, &first] {
        statuses.push(caller.get(&format!("/payments/{}", payment.id)).await.0);
    }
    assert_eq!(statuses, [200, 500, 200, 500, 200]);
    caller.api.fail_next(Call::List, 5, Fault::server_error()).unwrap();
    assert_eq!(caller.get("/payments/user/user-1").await.0, 500);
    caller.api.clear_faults();
    assert_eq!(caller.get("/payments/user/user-1").await.0, 200);
}

#[tokio::test]
async fn chance_is_the_seed_s_and_about_as_often_as_said() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let caller = Caller::new(Behaviour::default()).await;
        caller.api.open(NewOffRamp::default()).unwrap();
        let rule =
            FaultRule { call: Call::Get, payment: None, when: When::PerMille(300), fault: Fault::server_error() };
        caller.api.add_fault(rule).unwrap();
        let mut statuses = Vec::new();
        for _ in 0..200 {
            statuses.push(caller.try_get("/payments/sandbox-1").await.unwrap().status().as_u16());
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    let failed = runs[0].iter().filter(|status| **status == 500).count();
    assert!((30..=90).contains(&failed), "{failed} of 200");
}
