//! The fake API's other calls: users, rates, quotes, new off-ramps with files, webhooks and what they are told.

use std::sync::{Arc, Mutex};

use rampwatch::domain::amount::Amount;
use rampwatch::domain::payment::{PaymentId, RecipientId, UserId};
use rampwatch::domain::time::Span;
use rampwatch::sandbox::PAYER;
use rampwatch::sandbox::fake_api::{Behaviour, Call, FakeApi, Fault, NewOffRamp, SIGNATURE_HEADER, Shape, signature};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::fake_api::{Caller, hash, parts};
use super::{LIMIT, usdc};

const CREATE: &str = "/payments/recipient/recipient-9/off-ramp";

fn terms(amount: &Value) -> Value {
    json!({
        "source": { "currency": "USDC", "amount": amount, "rail": "POLYGON" },
        "destination": { "currency": "MXN", "rail": "SPEI", "countryCode": "MX", "paymentAccountId": "bank-1" },
    })
}

async fn quoted(caller: &Caller) -> String {
    let (status, quote) = parts(caller.post("/payments/user-1/quote", terms(&json!(12.5))).await.unwrap()).await;
    assert_eq!(status, 201, "{quote}");
    quote["id"].as_str().unwrap().to_owned()
}

fn order(key: &str, quote: &str) -> Value {
    json!({
        "idempotencyKey": key,
        "quoteId": quote,
        "bankAccountId": "bank-1",
        "fromAddress": PAYER,
        "paymentReason": "RENT",
    })
}

async fn create(caller: &Caller, body: Value) -> (u16, Value) {
    parts(caller.post(CREATE, body).await.unwrap()).await
}

#[tokio::test]
async fn lists_are_by_recipient_and_by_user() {
    let caller = Caller::new(Behaviour::default()).await;
    caller.open(1);
    let recipient_id = RecipientId::new("recipient-2").unwrap();
    let new = NewOffRamp { recipient_id: Some(recipient_id.clone()), amount: usdc(2), ..NewOffRamp::default() };
    caller.api.open(new).unwrap();
    caller.api.give(recipient_id, UserId::new("user-2").unwrap()).unwrap();
    let told = json!({ "recipientId": "recipient-3", "userId": "user-3" });
    assert_eq!(caller.control("/recipients", told).await.status(), 204);
    for (path, expected) in [
        ("/payments/user/user-1", vec![1]),
        ("/payments/user/user-2", vec![2]),
        ("/payments/user/user-3", vec![]),
        ("/payments/recipient/recipient-1", vec![1]),
        ("/payments/recipient/recipient-2", vec![2]),
        ("/payments/recipient/nobody", vec![]),
    ] {
        let (status, listed) = caller.get(path).await;
        let amounts: Vec<u64> =
            listed.as_array().unwrap().iter().map(|one| one["depositAmount"].as_u64().unwrap()).collect();
        assert_eq!((status, amounts), (200, expected), "{path}");
    }
    assert_eq!(caller.get("/payments/user/nobody").await.0, 404);
}

#[tokio::test]
async fn a_price_has_fees_and_is_not_one_to_one() {
    for shape in [Shape::Guide, Shape::Reference] {
        let caller = Caller::new(Behaviour { shape, ..Behaviour::default() }).await;
        let mut asked = terms(&json!(1000));
        asked["developerVariableFee"] = json!(1.5);
        for path in ["/payments/user-1/rate", "/payments/user-1/quote"] {
            let (status, told) = parts(caller.post(path, asked.clone()).await.unwrap()).await;
            assert_eq!(status, 201, "{told}");
            // 0.5 and 0.25 % and 1.5 % of 1000 are 18: what is left, at 17.2041, rounded down to hundredths.
            let (amount, fee) = match shape {
                Shape::Guide => (&told["destinationAmount"], told.get("fee").or(told.get("totalFee")).unwrap()),
                Shape::Reference => (&told["destination"]["amount"], &told["totalFee"]),
            };
            assert_eq!((amount, fee), (&json!(16894.42), &json!(18)), "{told}");
            assert_eq!(told["exchangeRate"], json!(17.2041));
            assert_eq!(told.get("id").is_some(), path.ends_with("quote"));
        }
    }
}

#[tokio::test]
async fn what_makes_no_price_is_refused_by_field() {
    let caller = Caller::new(Behaviour::default()).await;
    let with = |part: &str, field: &str, value: Value| {
        let mut asked = terms(&json!(10));
        asked[part][field] = value;
        asked
    };
    for (asked, field) in [
        (terms(&json!(0.5)), "source.amount"),
        (terms(&json!(-1)), "source.amount"),
        (terms(&json!(0.000_000_1)), "source.amount"),
        (terms(&json!("ten")), "source.amount"),
        (with("source", "currency", json!("EURC")), "source.currency"),
        (with("source", "rail", json!("TRON")), "source.rail"),
        (with("destination", "currency", json!("XXX")), "destination.currency"),
        (with("destination", "countryCode", json!("mx")), "destination.countryCode"),
        (with("destination", "paymentAccountId", json!(null)), "destination.paymentAccountId"),
        (json!({}), "body"),
    ] {
        let (status, told) = parts(caller.post("/payments/user-1/quote", asked.clone()).await.unwrap()).await;
        assert_eq!((status, &told["details"]["field"]), (400, &json!(field)), "{asked}");
    }
    let unknown = caller.post("/payments/nobody/rate", terms(&json!(10))).await.unwrap();
    assert_eq!(unknown.status(), 404);
}

#[tokio::test]
async fn creating_twice_with_one_key_gives_one_payment_for_the_quoted_amount() {
    let caller = Caller::new(Behaviour::default()).await;
    let quote = quoted(&caller).await;
    let (status, first) = create(&caller, order("key-1", &quote)).await;
    assert_eq!((status, &first["depositAmount"], &first["fee"]), (201, &json!(12.5), &json!(0.53125)));
    let (status, second) = create(&caller, order("key-1", &quote)).await;
    assert_eq!((status, &first["id"]), (201, &second["id"]));
    let stored = caller.api.off_ramp(&PaymentId::new(first["id"].as_str().unwrap()).unwrap()).unwrap();
    assert_eq!((stored.sender, stored.amount), (Some(PAYER), Amount::from_base_units(12_500_000)));
    assert_eq!(stored.payment_reason.as_deref(), Some("RENT"));
    let acted: Vec<bool> =
        caller.api.journal().iter().filter(|entry| entry.call == Call::Create).map(|entry| entry.acted).collect();
    assert_eq!(acted, [true, false]);

    // The same key with another request: the same payment, as documented, or 409, as told.
    let other = quoted(&caller).await;
    let (_, third) = create(&caller, order("key-1", &other)).await;
    assert_eq!(first["id"], third["id"]);
    caller.control("/behaviour", json!({ "keyReuse": "refused" })).await;
    assert_eq!(create(&caller, order("key-1", &other)).await.0, 409);
    assert_eq!(
        create(&caller, order("key-1", &quote)).await.0,
        201,
        "the same request is the same payment all the same"
    );
    let elsewhere = caller.post("/payments/recipient/recipient-8/off-ramp", order("key-1", &quote)).await.unwrap();
    assert_eq!(elsewhere.status(), 409);
    assert_eq!(caller.api.off_ramps().len(), 1);
}

#[tokio::test]
async fn a_quote_is_for_one_user_one_account_one_payment_and_a_while() {
    let caller = Caller::new(Behaviour::default()).await;
    let quote = quoted(&caller).await;
    assert_eq!(create(&caller, order("key-1", "quote-77")).await.0, 404);
    let mut elsewhere = order("key-1", &quote);
    elsewhere["bankAccountId"] = json!("bank-2");
    assert_eq!(create(&caller, elsewhere).await.0, 400);
    caller.api.give(RecipientId::new("recipient-8").unwrap(), UserId::new("user-8").unwrap()).unwrap();
    let theirs = caller.post("/payments/recipient/recipient-8/off-ramp", order("key-1", &quote)).await.unwrap();
    assert_eq!(theirs.status(), 404, "another user's quote");
    assert_eq!(create(&caller, order("key-1", &quote)).await.0, 201);
    assert_eq!(create(&caller, order("key-2", &quote)).await.0, 409, "it was used");

    let late = quoted(&caller).await;
    caller.api.expire_quotes();
    let (status, told) = create(&caller, order("key-3", &late)).await;
    assert_eq!((status, &told["details"]["field"]), (400, &json!("quoteId")));
    caller.api.behave(|behaviour| behaviour.quote_life = Span::ZERO);
    let dead = quoted(&caller).await;
    assert_eq!(create(&caller, order("key-4", &dead)).await.0, 400);
    assert_eq!(caller.api.off_ramps().len(), 1);
}

#[tokio::test]
async fn what_is_sent_along_is_checked() {
    let caller = Caller::new(Behaviour::default()).await;
    let quote = quoted(&caller).await;
    let cases = [
        ("idempotencyKey", json!("")),
        ("idempotencyKey", json!("k".repeat(256))),
        ("paymentReason", json!("BECAUSE")),
        ("fromAddress", json!("0x12")),
        ("documentReference", json!("d".repeat(256))),
        ("referenceId", json!("no-uuid")),
        ("files", json!(["https://example.com/a.pdf"])),
        ("files", json!(["data:text/html;base64,PGI+"])),
        ("files", json!(["data:application/pdf;base64,%%%"])),
        ("files", json!(["data:application/pdf;base64,"])),
        ("files", json!(vec!["data:image/png;base64,AAAA"; 6])),
    ];
    for (field, value) in cases {
        let mut body = order("key-1", &quote);
        body[field] = value;
        let (status, told) = create(&caller, body).await;
        assert_eq!((status, &told["details"]["field"]), (400, &json!(field)), "{told}");
    }
    let mut body = order("key-1", &quote);
    body["files"] = json!(["data:application/pdf;base64,aGVsbG8="]);
    body["documentReference"] = json!("INV-7");
    body["referenceId"] = json!("123e4567-e89b-12d3-a456-426614174000");
    let (status, told) = create(&caller, body).await;
    assert_eq!((status, &told["documentReference"]), (201, &json!("INV-7")));
    let file = caller.api.off_ramps()[0].files[0].clone();
    let hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!((file.bytes, file.sha256.as_str(), file.media_type.as_str()), (5, hello, "application/pdf"));
}

#[tokio::test]
async fn webhooks_are_registered_shown_and_changed_with_their_secret() {
    let caller = Caller::new(Behaviour::default()).await;
    let asked = json!({ "url": "https://desk.example/hook", "secret": "rehearsal-secret" });
    let (status, hook) = parts(caller.post("/webhooks", asked.clone()).await.unwrap()).await;
    assert_eq!((status, &hook["secret"], &hook["isActive"]), (201, &json!("rehearsal-secret"), &json!(true)));
    assert_eq!(hook["events"], json!(["payment.updated"]));
    let (_, other) = parts(caller.post("/webhooks", asked).await.unwrap()).await;
    assert_ne!(hook["id"], other["id"], "there is no idempotency here");
    let path = format!("/webhooks/{}", hook["id"].as_str().unwrap());
    let put = |body: Value| {
        let request = caller.client.put(format!("{}{path}", caller.api.base_url()));
        request.header("X-API-KEY", caller.api.api_key()).json(&body).send()
    };
    let changed = put(json!({ "isActive": false, "secret": "another-secret" })).await.unwrap();
    assert_eq!(changed.status(), 200);
    let (_, shown) = caller.get(&path).await;
    assert_eq!((&shown["isActive"], &shown["secret"]), (&json!(false), &json!("another-secret")));
    assert_eq!(shown["url"], json!("https://desk.example/hook"));
    for bad in [json!({ "url": "desk" }), json!({ "secret": "short" }), json!({ "events": ["payment.created"] })] {
        assert_eq!(put(bad).await.unwrap().status(), 400);
    }
    assert_eq!(caller.get("/webhooks/nobody").await.0, 404);
    assert_eq!(caller.post("/webhooks", json!({})).await.unwrap().status(), 400);
    assert_eq!(caller.api.webhooks().len(), 2);
}

#[tokio::test]
async fn every_kind_of_call_can_go_wrong() {
    let caller = Caller::new(Behaviour::default()).await;
    let paths = [
        (Call::Quote, "/payments/user-1/quote"),
        (Call::Rate, "/payments/user-1/rate"),
        (Call::Create, CREATE),
        (Call::CreateWebhook, "/webhooks"),
    ];
    for (call, path) in paths {
        caller.api.fail_next(call, 1, Fault::html(502, false)).unwrap();
        assert_eq!(caller.post(path, json!({})).await.unwrap().status(), 502, "{path}");
    }
    caller.api.fail_next(Call::CreateWebhook, 1, Fault::answer_lost()).unwrap();
    assert!(caller.post("/webhooks", json!({ "url": "https://desk.example/hook" })).await.is_err());
    assert_eq!(caller.api.webhooks().len(), 1, "it acted before the answer was lost");
    caller.api.fail_next(Call::GetWebhook, 1, Fault::status(500)).unwrap();
    assert_eq!(caller.get("/webhooks/webhook-1").await.0, 500);
    caller.api.fail_next(Call::List, 1, Fault::Garbage { acts: false }).unwrap();
    let garbage = caller.try_get("/payments/user/user-1").await.unwrap().text().await.unwrap();
    assert!(serde_json::from_str::<Value>(&garbage).is_err());
}

/// A server that takes deliveries and keeps what it was sent.
async fn inlet() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let taken: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = vec![0; 65_536];
            let mut length = 0;
            loop {
                let read = stream.read(&mut bytes[length..]).await.unwrap();
                length += read;
                let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                if read == 0 || text.contains("\r\n\r\n{") && text.ends_with('}') {
                    kept.lock().unwrap().push(text);
                    break;
                }
            }
            stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await.unwrap();
        }
    });
    (url, taken)
}

#[tokio::test]
async fn webhooks_are_told_of_changes_with_a_signature() {
    let (url, taken) = inlet().await;
    let caller = Caller::new(Behaviour::default()).await;
    let asked = json!({ "url": url, "secret": "rehearsal-secret" });
    assert_eq!(caller.post("/webhooks", asked).await.unwrap().status(), 201);
    let before = caller.open(4);
    caller.complete(&before, &hash('b')).await;
    caller.control("/behaviour", json!({ "deliver": true })).await;
    let payment = caller.open(5);
    let seen = |api: &FakeApi| api.off_ramp(&payment.id).is_some();
    caller.api.wait_until(LIMIT, "it is open", seen).await.unwrap();
    caller.complete(&payment, &hash('a')).await;
    let told = |api: &FakeApi| {
        let deliveries = api.deliveries();
        deliveries.iter().any(|one| one.payment == payment.id && one.status == "PROCESSING")
    };
    caller.api.wait_until(LIMIT, "the change is told", told).await.unwrap();
    let delivery = caller.api.deliveries().into_iter().find(|one| one.payment == payment.id).unwrap();
    assert_eq!((delivery.answered, delivery.webhook.as_str()), (Some(204), "webhook-1"));
    let text = taken.lock().unwrap().iter().find(|text| text.contains(payment.id.as_str())).unwrap().clone();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let line = format!("{SIGNATURE_HEADER}: {}", signature("rehearsal-secret", body.as_bytes()).unwrap());
    assert!(head.to_lowercase().contains(&line), "{head}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&body["event"], &body["data"]["id"]), (&json!("payment.updated"), &json!(payment.id)));
}

#[test]
fn the_signature_is_the_one_of_the_textbook() {
    // RFC 4231, test case 2.
    let expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(signature("Jefe", b"what do ya want for nothing?").as_deref(), Some(expected));
}
