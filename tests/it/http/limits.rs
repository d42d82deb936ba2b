//! What one token may ask for, how often; what is told of addresses that are unlike those before them; and who made what.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use rampwatch::domain::actor::Role;
use rampwatch::domain::address_pattern::PatternBreak;
use rampwatch::domain::chain::B256;
use rampwatch::domain::event::{Alarm, EventKind};
use rampwatch::domain::payment::{PaymentId, RecipientId};
use rampwatch::engine::add::AddPayment;
use rampwatch::ports::payment_api::{ApiError, ApiPayment, PaymentApi};
use rampwatch::ports::store::Store as _;
use rampwatch::service::operator_service::OperatorError;
use serde_json::json;

use crate::closed_loop::api::PlainApi;
use crate::closed_loop::rig::{LIMIT, Rig, node_of, quick_evm, quick_settings, urls, world};
use crate::support::desk::{Desk, handle_on, typed};
use crate::support::eventually;
use crate::support::memory_store::MemoryStore;

/// S7: the API key's quota is everybody's; no token uses it up.
#[tokio::test]
async fn s7_a_token_that_asks_too_often_is_told_when_to_come_again() {
    let store = MemoryStore::new();
    let handle = handle_on(&store);
    let desk = Desk::serve_to(store, handle, &[("reader", &[Role::Read]), ("other", &[Role::Read])]).await;
    let rate = json!({
        "user": "user-1", "amount": "10", "destination_currency": "MXN", "destination_rail": "SPEI",
        "destination_country": "MX",
    });
    let ask = |who: &str| desk.client.post(desk.url("/v1/rate")).bearer_auth(desk.token_of(who)).json(&rate).send();
    for n in 0..60 {
        let status = ask("reader").await.unwrap().status().as_u16();
        assert_eq!(status, 502, "{n}: it is let through, and there is no payment API here");
    }
    let refused = ask("reader").await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (429, "1"));
    let problem: serde_json::Value = serde_json::from_slice(&refused.bytes().await.unwrap()).unwrap();
    assert_eq!(problem["code"], "busy", "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("reader") && detail.contains("60 rates"), "{detail}");
    assert_eq!(ask("other").await.unwrap().status().as_u16(), 502, "another token has its own");
}

/// S7: what the API tells of goes to our own host, which only the configuration names.
#[tokio::test]
async fn s7_a_webhook_is_registered_at_our_own_host_only() {
    for (public_url, url, why) in [
        (None, "https://desk.example/hook", "webhook.public_url is not set"),
        (Some("https://desk.example/hook"), "https://evil.example/hook", "desk.example only"),
    ] {
        let store = MemoryStore::new();
        let handle = handle_on(&store).with_public_url(public_url.map(str::to_owned));
        let desk = Desk::serve(store, handle).await;
        for path in ["/v1/webhooks", "/v1/webhooks/wh-1"] {
            let (status, problem) = desk.answer(desk.post(path, &json!({ "url": url }))).await;
            assert_eq!((status, &problem["code"]), (409, &json!("refused")), "{path} {problem}");
            assert!(problem["detail"].as_str().unwrap().contains(why), "{problem}");
        }
    }
}

/// F5: one notice when an address is unlike those before it, and none for each payment after that.
#[tokio::test]
async fn f5_an_address_that_breaks_the_pattern_is_told_of_once() {
    let desk = Desk::open().await;
    for n in 1..=6 {
        desk.add(&format!("p-{n}"), n, "1").await;
    }
    let told = || {
        let contents = desk.store.contents();
        let alarms = contents.events.iter().filter_map(|recorded| match &recorded.event.kind {
            EventKind::Alarm { alarm: Alarm::AddressPattern { address, broken, .. } } => {
                Some((recorded.event.payment.clone().unwrap().to_string(), *address, *broken))
            }
            _ => None,
        });
        alarms.collect::<Vec<_>>()
    };
    assert_eq!(told(), [], "each has an address of its own");
    let one = crate::support::records::address(1);
    desk.add("p-7", 1, "1").await;
    let expected = [("p-7".to_owned(), one, PatternBreak::RepeatedAmongFresh)];
    assert_eq!(told(), expected);
    for n in 8..=13 {
        desk.add(&format!("p-{n}"), 1, "1").await;
    }
    assert_eq!(told(), expected, "the address is known now");
    desk.add("p-14", 99, "1").await;
    let last = told().pop().unwrap();
    assert_eq!((last.0.as_str(), last.2), ("p-14", PatternBreak::NewAmongFixed));
    assert_eq!(told().len(), 2);
    assert_eq!(desk.store.payments(None, 99).await.unwrap().len(), 14, "nothing is held for it");
}

/// F4: where one operator does everything, the receipt says that nobody else looked; and what was typed is shown with who did.
#[tokio::test]
async fn f4_the_receipt_says_who_approved_what_he_had_made() {
    let desk = Desk::with_wallet().await;
    let mut body = typed("p-1", 1, "10");
    body["expires_at"] = json!("2099-01-01T00:00:00Z");
    let (status, payment) = desk.answer(desk.post("/v1/payments", &body)).await;
    assert_eq!(status, 200, "{payment}");
    for field in ["recipient_from", "expiry_from", "address_from", "amount_from"] {
        assert_eq!(payment[field], "typed", "{field}: {payment}");
    }
    assert_eq!((&payment["typed_by"], &payment["sender_from"]), (&json!("local"), &json!(null)), "{payment}");
    let to = crate::support::records::address(1).to_string();
    let wish = json!({ "payment": "p-1", "to": to, "base_units": "10000000" });
    let (status, order) = desk.answer(desk.post("/v1/orders", &wish)).await;
    assert_eq!(status, 200, "{order}");
    let receipt = || async { desk.answer(desk.get("/v1/payments/p-1/receipt")).await.1 };
    assert_eq!(receipt().await["orders"][0]["own_approval"], json!(null), "nobody has approved it yet");
    let approval = json!({ "reason": "it is right", "payment": "p-1", "to": to, "base_units": "10000000" });
    let (status, approved) = desk.answer(desk.post("/v1/orders/p-1:1/approve", &approval)).await;
    assert_eq!(status, 200, "{approved}");
    let said = receipt().await["orders"][0]["own_approval"].as_str().unwrap().to_owned();
    assert_eq!(
        said,
        "no: local approved it and also placed the order and typed what it pays; no other token had the role approve"
    );
}

/// S7: a payment API that refuses the key is left alone, also by whoever asks for something.
#[tokio::test(flavor = "multi_thread")]
async fn s7_nobody_calls_past_the_gate() {
    let (chain, refusing) = (world(), Refusing::default());
    let node = node_of(&chain);
    let (evm, api) = (quick_evm(&[urls(&node)]), PlainApi::default());
    let rig = Rig::launch(evm, quick_settings(), MemoryStore::new(), Arc::new(refusing.clone()), api);
    let add = || async {
        let (id, recipient_id) = (PaymentId::new("p-1").unwrap(), RecipientId::new("rec-1").unwrap());
        let (deposit_address, amount, sender, created_at, expires_at) = (None, None, None, None, None);
        let request = AddPayment {
            id,
            recipient_id,
            deposit_address,
            amount,
            sender,
            created_at,
            expires_at,
            deposit_chain: None,
        };
        rig.handle.add(request).await.unwrap_err()
    };
    // The engine may not have begun when the first ones ask.
    eventually(LIMIT, "the gate shuts", || async {
        matches!(add().await, OperatorError::Api(ApiError::NotNow { retry_after: Some(_), .. }))
    })
    .await;
    let calls = refusing.0.load(Ordering::Relaxed);
    let error = add().await;
    assert!(error.retry_after().is_some() && error.to_string().contains("HTTP 401"), "{error}");
    assert_eq!(refusing.0.load(Ordering::Relaxed), calls, "nothing is called while the gate is shut");
    rig.stop().await;
}

/// A payment API that refuses the key, and counts how often it was called.
#[derive(Clone, Default)]
struct Refusing(Arc<AtomicU64>);

#[async_trait]
impl PaymentApi for Refusing {
    async fn payment(&self, _: &PaymentId) -> Result<ApiPayment, ApiError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Err(ApiError::KeyRefused { status: 401, detail: "no".to_owned() })
    }

    async fn complete(&self, _: &RecipientId, _: &PaymentId, _: B256) -> Result<ApiPayment, ApiError> {
        Err(ApiError::KeyRefused { status: 401, detail: "no".to_owned() })
    }
}
