//! `rate`, `quote` and `webhook`, on the store alone and through a daemon, against the fake payment API.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use rampwatch::adapters::payment_http::{PaymentHttp, PaymentHttpSettings};
use rampwatch::adapters::system::SystemClock;
use rampwatch::domain::time::Span;
use rampwatch::outbound::Outbound;
use rampwatch::ports::off_ramp_api::OffRampApi;
use rampwatch::sandbox::fake_api::{Behaviour, Call, FakeApi, FakeApiOptions, Fault, Shape};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{KEY, Place, Ran};
use crate::support::desk::{Desk, handle_on};
use crate::support::memory_store::MemoryStore;

const SECRET: &str = "hook-secret-that-nothing-shows";
const URL: &str = "https://desk.example/webhooks/sentra";
const TERMS: [&str; 8] = ["--user", "user-1", "--to", "MXN", "--rail", "SPEI", "--country", "MX"];

/// A place without a daemon, and the payment API that it is configured for.
struct Ground {
    place: Place,
    api: FakeApi,
}

impl Ground {
    async fn new(shape: Shape) -> Self {
        let behaviour = Behaviour { shape, ..Behaviour::default() };
        let options = FakeApiOptions { api_key: KEY.to_owned(), behaviour, ..FakeApiOptions::default() };
        let api = FakeApi::start(options).await.unwrap();
        let place = Place::offline();
        place.edit("http://127.0.0.1:9/api", &api.base_url());
        place.write("webhook-secret", SECRET);
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(place.path("webhook-secret"), private).unwrap();
        place.edit("# [webhook]\n", "[webhook]\n");
        place.edit("# public_url = \"https://desk.example/webhooks/sentra\"", &format!("public_url = \"{URL}\""));
        place.edit("# secret_file", "secret_file");
        Self { place, api }
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        let ran = self.place.run(arguments).await;
        assert!(!ran.out.contains(SECRET) && !ran.err.contains(SECRET), "{} {}", ran.out, ran.err);
        ran
    }

    async fn rate(&self, amount: &str) -> Ran {
        self.run(&[&["rate", amount], &TERMS[..]].concat()).await
    }
}

#[tokio::test]
async fn a_rate_and_a_quote_tell_every_digit() {
    for shape in [Shape::Guide, Shape::Reference] {
        let ground = Ground::new(shape).await;
        // 0.5 and 0.25 % of the amount, rounded up, are 3.000001; the rest at 17.2041 is 17152.498…
        let rate = [&["rate", "1000.000001", "--json"], &TERMS[..]].concat();
        let rate = ground.run(&rate).await.json();
        assert_eq!(
            rate["source_amount"],
            json!({ "base_units": "1000000001", "decimal": "1000.000001", "symbol": "USDC" })
        );
        assert_eq!((&rate["destination_amount"], &rate["total_fee"]), (&json!("17152.48"), &json!("3.000001")));
        assert_eq!((&rate["exchange_rate"], &rate["source_rail"]), (&json!("17.2041"), &json!("POLYGON")));
        let quote = [&["quote", "1000.000001", "--bank-account", "bank-1", "--json"], &TERMS[..]].concat();
        let quote = ground.run(&quote).await.json();
        assert_eq!(quote["rate"], rate);
        assert_eq!((&quote["id"], &quote["bank_account"]), (&json!("quote-1"), &json!("bank-1")));
        let left = quote["seconds_left"].as_u64().unwrap();
        assert!((500..=600).contains(&left), "{quote}");
        let text = ground.run(&[&["quote", "1000", "--bank-account", "bank-1"], &TERMS[..]].concat()).await.data();
        for part in
            ["quote-2", "1000.00 USDC over POLYGON", "17152.48 MXN", "over SPEI in MX", "17.2041 MXN for 1 USDC", "min"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(text.contains("API's fee"), shape == Shape::Reference, "{text}");
    }
}

#[tokio::test]
async fn what_a_person_writes_wrongly_is_named() {
    let ground = Ground::new(Shape::Guide).await;
    for amount in ["1000.0000001", "-1", "1e3", "1,000", "", " 1", "0", "١"] {
        ground.rate(amount).await.fails(2, &["amount"]);
    }
    let with = async |changed: &[&str]| ground.run(&[&["rate", "10"], changed].concat()).await;
    let cases: [(&[&str], &str); 5] = [
        (&["--user", "a/b", "--to", "MXN", "--rail", "SPEI", "--country", "MX"], "user"),
        (&["--user", "u", "--to", "M XN", "--rail", "SPEI", "--country", "MX"], "destination_currency"),
        (&["--user", "u", "--to", "MXN", "--rail", "", "--country", "MX"], "destination_rail"),
        (&["--user", "u", "--to", "MXN", "--rail", "SPEI", "--country", "mx"], "destination_country"),
        (
            &["--user", "u", "--to", "MXN", "--rail", "SPEI", "--country", "MX", "--developer-fee", "-1"],
            "developer_fee",
        ),
    ];
    for (arguments, field) in cases {
        with(arguments).await.fails(2, &[field]);
    }
    assert_eq!(ground.api.received(), 0, "none of it was sent");
    ground
        .run(&["rate", "10", "--user", "nobody", "--to", "MXN", "--rail", "SPEI", "--country", "MX"])
        .await
        .fails(6, &["User not found"]);
    ground.place.run_without_key(&[&["rate", "10"], &TERMS[..]].concat()).await.fails(6, &["api.key_env"]);
}

#[tokio::test]
async fn an_api_that_fails_is_named() {
    let ground = Ground::new(Shape::Guide).await;
    for (fault, words) in [
        (Fault::html(502, false), "HTTP 502"),
        (Fault::too_many_requests(None), "HTTP 429"),
        (Fault::answer_lost(), "connection was lost"),
        (Fault::Garbage { acts: true }, "HTTP 201"),
    ] {
        let words = if matches!(fault, Fault::Garbage { .. }) { "no JSON object of a rate" } else { words };
        ground.api.fail_next(Call::Rate, 1, fault).unwrap();
        ground.rate("10").await.fails(6, &[words]);
    }
}

#[tokio::test]
async fn a_webhook_is_registered_once_shown_and_changed() {
    let ground = Ground::new(Shape::Guide).await;
    let made = ground.run(&["webhook", "register", "--json"]).await.json();
    assert_eq!((&made["url"], &made["active"], &made["stale"]), (&json!(URL), &json!(true), &Value::Null));
    assert_eq!(ground.api.webhooks()[0].secret, SECRET);
    ground.run(&["webhook", "register"]).await.fails(5, &["webhook-1", "--again", "twice"]);
    let text = ground.run(&["webhook", "register", "--again"]).await.data();
    assert!(text.contains("webhook-2") && text.contains(URL), "{text}");
    let changed = ground.run(&["webhook", "update", "webhook-2", "--active", "false", "--json"]).await.json();
    assert_eq!(changed["active"], json!(false));
    let elsewhere = ["webhook", "update", "webhook-1", "--url", "https://desk.example/x", "--rotate-secret"];
    ground.place.write("webhook-secret", "a-new-secret-for-tomorrow");
    ground.run(&elsewhere).await.data();
    assert_eq!(ground.api.webhooks()[0].secret, "a-new-secret-for-tomorrow");
    let listed = ground.run(&["webhook", "list"]).await.data();
    for part in ["webhook-1", "https://desk.example/x", "webhook-2", "no"] {
        assert!(listed.contains(part), "{part} in {listed}");
    }
    ground.run(&["webhook", "update", "webhook-1"]).await.fails(2, &["nothing is to change"]);
    ground.run(&["webhook", "update", "webhook-9", "--active", "true"]).await.fails(4, &["webhook-9"]);
    ground.run(&["webhook", "register", "--url", "http://desk.example"]).await.fails(2, &["https://"]);
    ground.run(&["webhook", "register", "--url", "https://u:p@desk.example"]).await.fails(2, &["no user"]);
    ground.run(&["webhook", "register", "--event", "a b"]).await.fails(2, &["payment.updated"]);
    ground.api.fail_next(Call::GetWebhook, 1, Fault::status(500)).unwrap();
    let stale = ground.run(&["webhook", "list"]).await;
    assert!(
        stale.code == 0 && stale.err.contains("as known before") && stale.out.contains("webhook-2"),
        "{}",
        stale.err
    );
    assert_eq!(ground.api.webhooks().len(), 2);
}

#[tokio::test]
async fn a_lost_answer_is_said_and_not_repeated_unasked() {
    let ground = Ground::new(Shape::Guide).await;
    ground.api.fail_next(Call::CreateWebhook, 1, Fault::answer_lost()).unwrap();
    let lost = ["may be registered all the same", "no call that would tell", "--again"];
    ground.run(&["webhook", "register"]).await.fails(6, &lost);
    assert_eq!(ground.api.webhooks().len(), 1, "it was");
    ground.run(&["webhook", "register"]).await.fails(5, &["never came", "--again"]);
    assert_eq!(ground.api.webhooks().len(), 1);
    ground.run(&["webhook", "register", "--again"]).await.data();
    assert_eq!(ground.api.webhooks().len(), 2);
    // A plain refusal leaves no doubt, so the next attempt needs no insisting.
    ground.api.fail_next(Call::CreateWebhook, 1, Fault::status(422)).unwrap();
    let other = ["webhook", "register", "--url", "https://desk.example/x"];
    ground.run(&other).await.fails(6, &["HTTP 422"]);
    ground.run(&other).await.data();
}

#[tokio::test]
async fn without_a_secret_nothing_is_registered() {
    let ground = Ground::new(Shape::Guide).await;
    ground.place.edit("secret_file", "# secret_file");
    ground.run(&["webhook", "register"]).await.fails(6, &["webhook.secret_file"]);
    assert_eq!(ground.api.received(), 0);
}

#[tokio::test]
async fn a_daemon_does_the_same() {
    let api = FakeApi::start(FakeApiOptions::default()).await.unwrap();
    let settings = PaymentHttpSettings {
        base_url: api.base_url(),
        key: SecretString::from(api.api_key()),
        connect_timeout: Span::from_secs(30),
        timeout: Span::from_secs(60),
        decimals: 6,
        webhook_secret: Some(SecretString::from(SECRET)),
        outbound: Outbound::local(),
    };
    let off_ramp_api: Arc<dyn OffRampApi> = Arc::new(PaymentHttp::new(settings, Arc::new(SystemClock)).unwrap());
    let store = MemoryStore::new();
    let handle = handle_on(&store).with_off_ramp_api(Some(off_ramp_api)).with_public_url(Some(URL.to_owned()));
    let desk = Desk::serve(store, handle).await;
    let place = Place::for_daemon(desk.listen, &desk.token_file());
    let rate = place.run(&[&["rate", "10", "--json"], &TERMS[..]].concat()).await.json();
    // 0.5 and 0.25 % are 0.525; 9.475 at 17.2041.
    assert_eq!((&rate["destination_amount"], &rate["total_fee"]), (&json!("163"), &json!("0.525")));
    let quote = place.run(&[&["quote", "10", "--bank-account", "b", "--json"], &TERMS[..]].concat()).await.json();
    assert_eq!(quote["rate"], rate);
    let made = place.run(&["webhook", "register", "--url", URL, "--json"]).await.json();
    place.run(&["webhook", "register", "--url", URL]).await.fails(5, &["--again"]);
    let id = made["id"].as_str().unwrap();
    place.run(&["webhook", "update", id, "--active", "false"]).await.data();
    let listed = place.run(&["webhook", "list", "--json"]).await.json();
    assert_eq!((&listed["items"][0]["id"], &listed["items"][0]["active"]), (&json!(id), &json!(false)));
    place
        .run(&["rate", "1e3", "--user", "u", "--to", "MXN", "--rail", "SPEI", "--country", "MX"])
        .await
        .fails(2, &["amount"]);
    let why = desk.handle.why(id).await;
    assert!(why.is_err(), "a webhook is no payment: {why:?}");
}
