//! The fake payment API told to change an off-ramp, or to lie about it.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::payment::{BankAccountId, PaymentId};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::sandbox::PAYER;
use rampwatch::sandbox::fake_api::{Behaviour, Change, NewOffRamp, OffRamp, Shape, Told};
use serde_json::{Value, json};

use super::fake_api::{Caller, hash};
use super::{stranger, usdc};

async fn shown(caller: &Caller, payment: &OffRamp) -> Value {
    let (status, body) = caller.get(&format!("/payments/{}", payment.id)).await;
    assert_eq!(status, 200);
    body
}

#[tokio::test]
async fn the_bank_account_is_shown_in_both_shapes_and_comes_from_the_creation() {
    for shape in [Shape::Guide, Shape::Reference] {
        let caller = Caller::new(Behaviour { shape, ..Behaviour::default() }).await;
        assert_eq!(shown(&caller, &caller.open(5)).await["bankAccountId"], json!("bank-1"));
        let bank_account = BankAccountId::new("bank-7").ok();
        let other = NewOffRamp { bank_account, amount: usdc(1), ..NewOffRamp::default() };
        let other = caller.api.open(other).unwrap();
        let body = shown(&caller, &other).await;
        assert_eq!(body["bankAccountId"], json!("bank-7"));
        let currency = (shape == Shape::Guide).then(|| json!("USDC"));
        assert_eq!(body.get("sourceCurrency").cloned(), currency);
        let told = caller.control("/off-ramps", json!({ "amount": "1", "bankAccount": "bank-8" })).await;
        assert_eq!(told.json::<OffRamp>().await.unwrap().bank_account.as_str(), "bank-8");
    }
    let caller = Caller::new(Behaviour::default()).await;
    let source = json!({ "currency": "USDC", "amount": 2, "rail": "POLYGON" });
    let destination = json!({ "currency": "EUR", "rail": "SEPA", "countryCode": "DE", "paymentAccountId": "bank-9" });
    let quote = json!({ "source": source, "destination": destination });
    let quote: Value = caller.post("/payments/user-1/quote", quote).await.unwrap().json().await.unwrap();
    let order = json!({
        "idempotencyKey": "key-1",
        "quoteId": quote["id"],
        "bankAccountId": "bank-9",
        "fromAddress": PAYER,
        "paymentReason": "OTHER",
    });
    let path = "/payments/recipient/recipient-1/off-ramp";
    let created: Value = caller.post(path, order).await.unwrap().json().await.unwrap();
    assert_eq!(created["bankAccountId"], json!("bank-9"));
}

#[tokio::test]
async fn a_status_a_sender_and_an_expiry_can_be_forced() {
    let caller = Caller::new(Behaviour::default()).await;
    for status in ["EXPIRED", "FAILED", "REFUNDED", "COMPLETED", "ON_HOLD"] {
        let payment = caller.open(5);
        let change = Change { status: Some(status.to_owned()), ..Change::default() };
        assert_eq!(caller.api.change(&payment.id, change).unwrap().status, status);
        assert_eq!(shown(&caller, &payment).await["status"], json!(status));
        assert_eq!(caller.complete(&payment, &hash('a')).await.0, 409);
    }
    let payment = caller.open(5);
    assert!(shown(&caller, &payment).await.get("fromAddress").is_none());
    let change = Change { sender: Some(Some(PAYER)), ..Change::default() };
    caller.api.change(&payment.id, change).unwrap();
    assert_eq!(shown(&caller, &payment).await["fromAddress"], json!(PAYER.to_checksum(None)));
    caller.api.change(&payment.id, Change { sender: Some(None), ..Change::default() }).unwrap();
    assert!(shown(&caller, &payment).await.get("fromAddress").is_none());

    let later = payment.expires_at.plus(Span::from_secs(1_000));
    let changed = caller.api.change(&payment.id, Change { expires_at: Some(later), ..Change::default() }).unwrap();
    assert_eq!((changed.expires_at, changed.status.as_str()), (later, "AWAITING_FUNDS"));
    let past = Change { expires_at: Some(Timestamp::from_secs(1)), ..Change::default() };
    caller.api.change(&payment.id, past).unwrap();
    assert_eq!(shown(&caller, &payment).await["status"], json!("EXPIRED"));
    let revived = Change { status: Some("AWAITING_FUNDS".to_owned()), expires_at: Some(later), ..Change::default() };
    caller.api.change(&payment.id, revived).unwrap();
    assert_eq!(shown(&caller, &payment).await["status"], json!("AWAITING_FUNDS"));
    let nobody = PaymentId::new("nobody").unwrap();
    assert!(caller.api.change(&nobody, Change::default()).unwrap_err().to_string().contains("nobody"));
}

#[tokio::test]
async fn lies_are_told_and_the_truth_is_kept() {
    let caller = Caller::new(Behaviour::default()).await;
    let payment = caller.open(5);
    let told = Told {
        deposit_address: Some(stranger(1)),
        amount: Some(Amount::from_base_units(5_000_001)),
        deposit_chain: Some("ETHEREUM".to_owned()),
        source_currency: Some("EURC".to_owned()),
        no_expiry: true,
        no_recipient: true,
        ..Told::default()
    };
    let honest = shown(&caller, &payment).await;
    let changed = caller.api.change(&payment.id, Change { told: Some(told), ..Change::default() }).unwrap();
    assert_eq!((changed.deposit_address, changed.amount), (payment.deposit_address, payment.amount));
    let body = shown(&caller, &payment).await;
    assert_eq!(body["depositAddress"], json!(stranger(1).to_checksum(None)));
    assert_eq!(body["depositAmount"].to_string(), "5.000001");
    assert_eq!((&body["depositChain"], &body["sourceCurrency"]), (&json!("ETHEREUM"), &json!("EURC")));
    assert!(body.get("expiresAt").is_none() && honest.get("expiresAt").is_some());
    caller.api.change(&payment.id, Change { told: Some(Told::default()), ..Change::default() }).unwrap();
    let again = shown(&caller, &payment).await;
    for field in ["depositAddress", "depositAmount", "depositChain", "sourceCurrency", "expiresAt"] {
        assert_eq!(again[field], honest[field], "{field}");
    }
}

#[tokio::test]
async fn it_can_all_be_told_over_http() {
    let caller = Caller::new(Behaviour::default()).await;
    let payment = caller.open(5);
    let url = format!("{}/off-ramps/{}", caller.api.control_url(), payment.id);
    let patch = async |body: Value| reqwest::Client::new().patch(&url).json(&body).send().await.unwrap();
    let lie = json!({ "sender": PAYER, "told": { "depositAddress": stranger(2), "amount": "7000000" } });
    let changed: OffRamp = patch(lie).await.json().await.unwrap();
    assert_eq!((changed.sender, changed.told.deposit_address), (Some(PAYER), Some(stranger(2))));
    assert_eq!(shown(&caller, &payment).await["depositAmount"], json!(7));
    let changed: OffRamp = patch(json!({ "status": "FAILED", "sender": null })).await.json().await.unwrap();
    assert_eq!((changed.status.as_str(), changed.sender), ("FAILED", None));
    assert_eq!(changed.told.deposit_address, Some(stranger(2)), "what is not named stays");
    let changed: OffRamp = patch(json!({ "transactionHash": hash('b') })).await.json().await.unwrap();
    assert_eq!((changed.status.as_str(), changed.transaction_hash), ("FAILED", Some(hash('b'))));
    assert_eq!(patch(json!({ "stauts": "FAILED" })).await.status().as_u16() / 100, 4);
    let nobody = format!("{}/off-ramps/nobody", caller.api.control_url());
    assert_eq!(reqwest::Client::new().patch(nobody).json(&json!({})).send().await.unwrap().status(), 404);
}
