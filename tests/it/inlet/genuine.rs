//! What a right delivery does: the API is asked at once, and its word counts.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
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

/// R13: whoever tests an endpoint, or tells of something else, is answered that all is well: an endpoint that refuses what is
/// genuine is switched off by many senders (influxdata/telegraf#2473, phayes/hookserve#4, dust-tt/dust#26240,
/// liveblocks/liveblocks#1409).
#[tokio::test]
async fn r13_a_genuine_delivery_is_answered_2xx_whatever_it_names() {
    let rig = Rig::start().await;
    rig.follow(1).await;
    let before = rig.contents();
    let test = r#"{"event":"webhook.test","createdAt":"2026-11-29T10:00:00Z","data":{}}"#;
    let others = ["", "null", "[]", "\"p\"", "{\"data\":{}}", "{\"id\":\"../x\"}", test, test];
    for body in others {
        assert_eq!(Rig::status(rig.signed(body)).await, 204, "{body:?}");
    }
    assert_eq!(rig.counted("names_none"), u64::try_from(others.len()).unwrap());
    rig.settle().await;
    assert_eq!((rig.contents(), rig.asked().len()), (before, 0), "not a byte, and not a question");
    for forged in ["", test] {
        assert_eq!(Rig::status(rig.bare(forged)).await, 401, "{forged:?}");
    }
    assert_eq!((rig.counted("malformed"), rig.counted("bad_signature")), (0, 2));
}

/// R13: events that come in a list, or payments in one.
#[tokio::test]
async fn r13_lists_are_looked_into() {
    let rig = Rig::start().await;
    for n in 1..=4 {
        rig.follow(n).await;
    }
    let id = payment_id;
    let bodies = [
        format!(
            r#"[{{"event":"payment.updated","data":{{"id":"{}"}}}},{{"data":{{"paymentId":"{}"}}}}]"#,
            id(1),
            id(2)
        ),
        format!(r#"{{"event":"payments.updated","data":[{{"id":"{}"}}]}}"#, id(3)),
        format!(r#"{{"payments":["{}"]}}"#, id(4)),
    ];
    for body in bodies {
        assert_eq!(Rig::status(rig.signed(&body)).await, 204, "{body}");
    }
    eventually(LIMIT, "all four are asked after", || async { rig.asked().len() == 4 }).await;
    assert_eq!((rig.counted("taken"), rig.counted("names_none")), (3, 0));
}

/// While a secret is replaced, the sender signs with both and one header has two signatures: adnanh/webhook#355 (commas),
/// PostHog/posthog#61131 (only the first was looked at), sandbaseai/sandbase-harness#256 (blanks, as Standard Webhooks has it).
#[tokio::test]
async fn several_signatures_are_understood() {
    let rig = Rig::start().await;
    let body = claims(1);
    let right = hex(&sha256(SECRET, body.as_bytes()));
    let wrong = hex(&sha256("the next one", body.as_bytes()));
    let header = "x-sentra-signature";
    for signatures in [
        format!("sha256={wrong},sha256={right}"),
        format!("sha256={right}, sha256={wrong}"),
        format!("v1,{wrong} v1,{right}"),
        format!("t=1795946400,{wrong},{right}"),
        format!("{wrong};{right}"),
    ] {
        assert_eq!(Rig::status(rig.bare(&body).header(header, &signatures)).await, 204, "{signatures}");
    }
    assert_eq!(Rig::status(rig.bare(&body).header(header, &wrong).header(header, &right)).await, 204, "two headers");
    let many = vec![wrong.as_str(); 200].join(",");
    for forged in [format!("{wrong},{wrong}"), many.clone(), format!("{many},{right}"), ",, ,".to_owned()] {
        assert_eq!(Rig::status(rig.bare(&body).header(header, &forged)).await, 401, "{forged}");
    }
}

/// Both secrets are taken while one is replaced by the other, and nothing else is (mollie/laravel-mollie#265: with two, every
/// delivery was refused). A delivery that comes again with the other signature is still the same one.
#[tokio::test]
async fn several_secrets_are_understood() {
    let moment = "x-sentra-timestamp";
    let settings = InletSettings { timestamp_header: Some(moment.to_owned()), ..settings() };
    let rig = Rig::with_secrets(settings, &["the_next_secret", SECRET]).await;
    let (body, at) = (claims(1), super::rig::now().as_secs().to_string());
    let signed = |secret: &str| {
        let signature = hex(&sha256(secret, format!("{at}.{body}").as_bytes()));
        rig.bare(&body).header(moment, &at).header("x-sentra-signature", format!("sha256={signature}"))
    };
    assert_eq!(Rig::status(signed(SECRET)).await, 204);
    assert_eq!(Rig::status(signed("the_next_secret")).await, 204);
    assert_eq!((rig.counted("taken"), rig.counted("replayed")), (1, 1));
    for other in ["", "the_next_secret,theSharedSecret_90210", "a third one"] {
        assert_eq!(Rig::status(signed(other)).await, 401, "{other:?}");
    }
}

/// Senders write moments and signatures in their own ways; what is right is right by its bytes.
#[tokio::test]
async fn a_moment_and_a_signature_may_be_written_in_every_usual_way() {
    let moment = "x-sentra-timestamp";
    let rig = Rig::with(InletSettings {
        timestamp_header: Some(moment.to_owned()),
        encoding: Encoding::Base64,
        prefix: "sha256=".to_owned(),
        ..settings()
    })
    .await;
    let at = super::rig::now().as_secs();
    let rfc3339 = jiff::Timestamp::from_second(i64::try_from(at).unwrap()).unwrap().to_string();
    let body = claims(1);
    let alphabets = [STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD];
    for (nth, text) in [at.to_string(), format!("{at}123"), rfc3339].into_iter().enumerate() {
        let signature = sha256(SECRET, format!("{text}.{body}").as_bytes());
        for (alphabet, prefix) in alphabets.iter().zip(["sha256=", "SHA256=", ""]) {
            let value = format!("{prefix}{}", alphabet.encode(&signature));
            let request = rig.bare(&body).header(moment, &text).header("x-sentra-signature", &value);
            assert_eq!(Rig::status(request).await, 204, "{text}, {value}");
        }
        let again = 2 * (u64::try_from(nth).unwrap() + 1);
        assert_eq!(rig.counted("replayed"), again, "each moment is one delivery");
    }
    for text in [format!("{}", (at - 400) * 1_000), format!("{at}.5"), "-1".to_owned(), "2026-01-01".to_owned()] {
        let signature = STANDARD.encode(sha256(SECRET, format!("{text}.{body}").as_bytes()));
        let request = rig.bare(&body).header(moment, &text).header("x-sentra-signature", signature);
        assert_eq!(Rig::status(request).await, 401, "{text}");
    }
}
