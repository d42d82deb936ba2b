//! What a right delivery does: the API is asked at once, and its word counts.

use std::time::Duration;

use rampwatch::config::{Algorithm, Encoding, InletSettings};
use rampwatch::domain::payment::{ApiStatus, Outcome, PaymentState};
use rampwatch::ports::store::Store as _;

use super::rig::{Rig, SECRET, claims, hex, settings, sha256, sha512_base64};
use crate::support::eventually;
use crate::support::records::{deposit_key, payment_id};

const LIMIT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_delivery_makes_the_status_follow_at_once_instead_of_at_the_poll() {
    let rig = Rig::start().await;
    rig.follow(1).await;
    rig.settle().await;
    assert_eq!(rig.asked(), [], "it would be asked after in an hour");
    rig.says(1, ApiStatus::Completed);
    assert_eq!(Rig::status(rig.signed(&claims(1))).await, 204);
    eventually(LIMIT, "the payment ends", || async {
        matches!(rig.state(1).await, PaymentState::Ended { outcome: Outcome::Completed, .. })
    })
    .await;
    assert_eq!(rig.asked(), [payment_id(1)]);
    assert_eq!((rig.counted("taken"), rig.hinted("asked")), (1, 1));
}

#[tokio::test]
async fn it_is_the_apis_word_that_counts_and_not_the_bodys() {
    let rig = Rig::start().await;
    let deposit = deposit_key(2);
    rig.follow(1).await;
    rig.keep(2, PaymentState::Unclear { deposit, attempt: 1, refusal: None }).await;
    rig.keep(3, PaymentState::Calling { deposit, attempt: 1, started_at: super::rig::now() }).await;
    rig.keep(4, PaymentState::Ended { outcome: Outcome::Cancelled, at: super::rig::now() }).await;
    rig.keep(5, PaymentState::Waiting).await;
    rig.says(5, ApiStatus::AwaitingFunds);
    let before = rig.contents();
    for n in 1..=6 {
        assert_eq!(Rig::status(rig.signed(&claims(n))).await, 204, "payment {n}");
    }
    eventually(LIMIT, "two are asked after", || async { rig.asked().len() == 2 }).await;
    rig.settle().await;
    let mut asked = rig.asked();
    asked.sort();
    assert_eq!(asked, [payment_id(1), payment_id(5)], "what is being completed is asked after in its own time");
    let after = rig.contents();
    for n in 1..=5 {
        let (before, after) = (&before.payments[&payment_id(n)], &after.payments[&payment_id(n)]);
        assert_eq!((&before.state, &before.terms), (&after.state, &after.terms), "payment {n}");
    }
    for n in 2..=4 {
        let id = payment_id(n);
        assert_eq!(before.payments[&id], after.payments[&id], "not a byte of payment {n}");
    }
    assert_eq!(after.payments.len(), 5, "an unknown payment is not made");
    assert_eq!(rig.store.payment(&payment_id(6)).await.unwrap(), None);
    assert_eq!((rig.hinted("not_now"), rig.hinted("unknown"), rig.hinted("asked")), (3, 1, 2));
}

#[tokio::test]
async fn other_algorithms_encodings_and_headers_are_a_matter_of_configuration() {
    let settings = InletSettings {
        header: "x-hub".to_owned(),
        algorithm: Algorithm::HmacSha512,
        encoding: Encoding::Base64,
        prefix: String::new(),
        ..settings()
    };
    let rig = Rig::with(settings).await;
    let body = claims(1);
    let right = sha512_base64(SECRET, body.as_bytes());
    assert_eq!(Rig::status(rig.bare(&body).header("X-Hub", &right)).await, 204);
    assert_eq!(Rig::status(rig.bare(&body).header("x-hub", format!("sha256={right}"))).await, 401);
    let other = hex(&sha256(SECRET, body.as_bytes()));
    assert_eq!(Rig::status(rig.bare(&body).header("x-hub", other)).await, 401);
}

#[tokio::test]
async fn it_serves_nothing_else() {
    let rig = Rig::start().await;
    for path in ["/", "/healthz", "/metrics", "/v1/payments", "/webhooks", "/webhooks/sentra/x", "/webhooks/../metrics"]
    {
        let response = rig.client.get(rig.url(path)).send().await.unwrap();
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(response.text().await.unwrap(), "", "{path}");
    }
    let response = rig.client.get(rig.url(rampwatch::http::inlet::PATH)).send().await.unwrap();
    assert_eq!(response.status(), 405);
    let response = rig.signed(&claims(1)).send().await.unwrap();
    assert_eq!(response.headers()["connection"], "close", "one delivery, one connection");
}
