//! The fake payment API when nothing goes wrong.

use std::time::Duration;

use rampwatch::domain::amount::Amount;
use rampwatch::domain::payment::RecipientId;
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::sandbox::fake_api::{
    Behaviour, Call, FakeApi, FakeApiOptions, NewOffRamp, OffRamp, Progress, Shape, SharedHash, Verifier,
};
use rampwatch::sandbox::{PAYER, USDC};
use serde_json::{Value, json};

use super::{LIMIT, furnished, mine_for, stranger, usdc};

/// A transaction hash made of one digit.
pub(super) fn hash(digit: char) -> String {
    format!("0x{}", digit.to_string().repeat(64))
}

/// A caller of the fake API.
pub(super) struct Caller {
    pub(super) api: FakeApi,
    pub(super) client: reqwest::Client,
}

impl Caller {
    pub(super) async fn new(behaviour: Behaviour) -> Self {
        let api = FakeApi::start(FakeApiOptions { behaviour, ..FakeApiOptions::default() }).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).build().unwrap();
        Self { api, client }
    }

    pub(super) fn open(&self, whole: u128) -> OffRamp {
        self.api.open(NewOffRamp { amount: usdc(whole), ..NewOffRamp::default() }).unwrap()
    }

    pub(super) async fn try_get(&self, path: &str) -> reqwest::Result<reqwest::Response> {
        let request = self.client.get(format!("{}{path}", self.api.base_url()));
        request.header("X-API-KEY", self.api.api_key()).send().await
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        parts(self.try_get(path).await.unwrap()).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> reqwest::Result<reqwest::Response> {
        let request = self.client.post(format!("{}{path}", self.api.base_url()));
        request.header("X-API-KEY", self.api.api_key()).json(&body).send().await
    }

    pub(super) async fn try_complete(&self, payment: &OffRamp, hash: &str) -> reqwest::Result<reqwest::Response> {
        let path = format!("/payments/recipient/{}/off-ramp/{}/complete", payment.recipient_id, payment.id);
        self.post(&path, json!({ "transactionHash": hash })).await
    }

    pub(super) async fn complete(&self, payment: &OffRamp, hash: &str) -> (u16, Value) {
        parts(self.try_complete(payment, hash).await.unwrap()).await
    }

    pub(super) async fn control(&self, path: &str, body: Value) -> reqwest::Response {
        self.client.post(format!("{}{path}", self.api.control_url())).json(&body).send().await.unwrap()
    }

    /// The payment as the fake API has it.
    pub(super) fn now(&self, payment: &OffRamp) -> OffRamp {
        self.api.off_ramp(&payment.id).unwrap()
    }
}

pub(super) async fn parts(response: reqwest::Response) -> (u16, Value) {
    (response.status().as_u16(), response.json().await.unwrap())
}

fn behaviour(shape: Shape) -> Behaviour {
    Behaviour { shape, ..Behaviour::default() }
}

#[tokio::test]
async fn the_guide_s_shape_tells_where_the_money_goes_and_the_reference_s_does_not() {
    let guide = Caller::new(behaviour(Shape::Guide)).await;
    let new = NewOffRamp {
        amount: Amount::from_base_units(1_000_100_000),
        sender: Some(PAYER),
        created_at: Some(Timestamp::from_secs(1_800_000_000)),
        expires_at: Some(Timestamp::from_secs(4_000_000_000)),
        ..NewOffRamp::default()
    };
    let payment = guide.api.open(new.clone()).unwrap();
    let response = guide.try_get(&format!("/payments/{}", payment.id)).await.unwrap();
    let text = response.text().await.unwrap();
    assert!(text.contains(r#""depositAmount":1000.1,"#), "the digits as they are: {text}");
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["depositAddress"], json!(payment.deposit_address.to_checksum(None)));
    assert_eq!(body["recipientId"], json!("recipient-1"));
    assert_eq!(body["status"], json!("AWAITING_FUNDS"));
    assert_eq!(body["createdAt"], json!("2027-01-15T08:00:00.000Z"));
    assert_eq!(body["transactionHash"], Value::Null);

    let reference = Caller::new(behaviour(Shape::Reference)).await;
    let payment = reference.api.open(new).unwrap();
    let (status, body) = reference.get(&format!("/payments/{}", payment.id)).await;
    assert_eq!((status, &body["type"]), (200, &json!("OFF_RAMP")));
    for absent in ["depositAddress", "depositAmount", "depositChain", "recipientId"] {
        assert!(body.get(absent).is_none(), "{absent}");
    }
    let (_, completed) = reference.complete(&payment, &hash('a')).await;
    assert_eq!(completed["createdAt"], body["createdAt"], "the reference's /complete answers with the whole payment");
}

#[tokio::test]
async fn a_completion_moves_on_with_each_get_and_is_taken_once() {
    let caller = Caller::new(behaviour(Shape::Guide)).await;
    let payment = caller.open(5);
    let (status, body) = caller.complete(&payment, &hash('a')).await;
    assert_eq!((status, &body["status"]), (200, &json!("PROCESSING")));
    assert_eq!(body.as_object().unwrap().len(), 4, "{body}");
    let (status, body) = caller.complete(&payment, &hash('a')).await;
    assert_eq!((status, &body["statusCode"]), (409, &json!(409)));
    let path = format!("/payments/{}", payment.id);
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(caller.get(&path).await.1["status"].as_str().unwrap().to_owned());
    }
    assert_eq!(seen, ["SENT", "COMPLETED", "COMPLETED"]);
    let tally = caller.now(&payment).tally;
    assert_eq!((tally.calls, tally.accepted, tally.calls_after_accepted, tally.gets), (2, 1, 1, 3));
    let acted: Vec<bool> =
        caller.api.journal().iter().filter(|entry| entry.call == Call::Complete).map(|entry| entry.acted).collect();
    assert_eq!(acted, [true, false]);
    assert_eq!(caller.api.journal()[0].transaction_hash, Some(hash('a')));
}

#[tokio::test]
async fn progress_can_be_held_or_follow_the_time() {
    let caller = Caller::new(Behaviour { progress: Progress::Held, ..Behaviour::default() }).await;
    let payment = caller.open(5);
    caller.complete(&payment, &hash('a')).await;
    let path = format!("/payments/{}", payment.id);
    assert_eq!(caller.get(&path).await.1["status"], json!("PROCESSING"));
    assert_eq!(caller.get(&path).await.1["status"], json!("PROCESSING"));
    caller.api.behave(|behaviour| behaviour.progress = Progress::Every(Span::from_millis(1)));
    let done = |api: &FakeApi| api.off_ramp(&payment.id).is_some_and(|found| found.status == "COMPLETED");
    caller.api.wait_until(LIMIT, "COMPLETED", done).await.unwrap();
    let never = caller.api.wait_until(Duration::from_millis(20), "what never comes", |_| false).await;
    assert!(never.unwrap_err().to_string().contains("what never comes"));
}

#[tokio::test]
async fn errors_are_those_of_the_api() {
    let caller = Caller::new(Behaviour::default()).await;
    let payment = caller.open(5);
    assert_eq!(caller.get("/payments/nobody").await.0, 404);
    let (status, body) = caller.complete(&payment, "0x12").await;
    assert_eq!((status, &body["details"]["field"]), (400, &json!("transactionHash")));
    let elsewhere = OffRamp { recipient_id: RecipientId::new("somebody-else").unwrap(), ..payment.clone() };
    assert_eq!(caller.complete(&elsewhere, &hash('a')).await.0, 404);
    let bare = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/payments/{}", caller.api.base_url(), payment.id);
    assert_eq!(bare.get(&url).send().await.unwrap().status(), 401);
    assert_eq!(bare.get(&url).header("X-API-KEY", "wrong").send().await.unwrap().status(), 401);
    let old = NewOffRamp { expires_at: Some(Timestamp::from_secs(1)), amount: usdc(1), ..NewOffRamp::default() };
    let old = caller.api.open(old).unwrap();
    assert_eq!(caller.get(&format!("/payments/{}", old.id)).await.1["status"], json!("EXPIRED"));
    assert_eq!(caller.complete(&old, &hash('a')).await.0, 409);
    assert_eq!(caller.now(&old).tally.accepted, 0);
    assert!(caller.api.open(NewOffRamp { id: Some(old.id), ..NewOffRamp::default() }).is_err());
}

#[tokio::test]
async fn a_shared_hash_is_accepted_or_refused_as_told() {
    for (rule, expected) in [(SharedHash::Accepted, 200), (SharedHash::Refused, 400)] {
        let caller = Caller::new(Behaviour { shared_hash: rule, ..Behaviour::default() }).await;
        let (first, second) = (caller.open(1), caller.open(2));
        assert_eq!(caller.complete(&first, &hash('a')).await.0, 200);
        assert_eq!(caller.complete(&second, &hash('a')).await.0, expected);
    }
}

#[tokio::test]
async fn a_hash_can_be_checked_on_the_chain() {
    let anvil = furnished().await;
    let verifier = Some(Verifier { node: anvil.node().clone(), token: USDC });
    let caller = Caller::new(Behaviour { verifier, ..Behaviour::default() }).await;
    let payment = caller.open(5);
    let astray = anvil.node().transfer(USDC, PAYER, stranger(1), usdc(5)).await.unwrap();
    let short = anvil.node().transfer(USDC, PAYER, payment.deposit_address, usdc(4)).await.unwrap();
    let right = anvil.node().transfer(USDC, PAYER, payment.deposit_address, usdc(5)).await.unwrap();
    assert_eq!(caller.complete(&payment, &right.to_string()).await.0, 400, "it is in no block yet");
    mine_for(anvil.node(), right).await;
    for wrong in [hash('a'), astray.to_string(), short.to_string()] {
        assert_eq!(caller.complete(&payment, &wrong).await.0, 400);
    }
    assert_eq!(caller.complete(&payment, &right.to_string()).await.0, 200);
}

#[tokio::test]
async fn everything_can_be_told_over_http_too() {
    let caller = Caller::new(Behaviour::default()).await;
    let opened: OffRamp =
        caller.control("/off-ramps", json!({ "amount": "7.25", "id": "p-1" })).await.json().await.unwrap();
    assert_eq!(opened.amount, Amount::from_base_units(7_250_000));
    let rule =
        json!({ "call": "get", "when": { "next": 1 }, "fault": { "kind": "status", "status": 503, "html": true } });
    assert_eq!(caller.control("/faults", rule).await.status(), 204);
    assert_eq!(caller.try_get("/payments/p-1").await.unwrap().status(), 503);
    assert_eq!(caller.get("/payments/p-1").await.0, 200);
    caller.control("/behaviour", json!({ "shape": "reference" })).await;
    assert!(caller.get("/payments/p-1").await.1.get("depositAddress").is_none());
    let url = format!("{}/journal?after=1", caller.api.control_url());
    let page: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    assert_eq!((&page["received"], page["entries"].as_array().unwrap().len()), (&json!(3), 2));
    assert_eq!(caller.control("/faults", json!({ "call": "get" })).await.status().as_u16() / 100, 4);
}
