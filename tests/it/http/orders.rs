//! Funding over HTTP: what would be sent, orders and decisions about them, and the wallet.

use std::collections::BTreeMap;
use std::sync::Arc;

use rampwatch::adapters::sled::{Settings, SledStore};
use rampwatch::domain::amount::Amount;
use rampwatch::domain::order::{ApprovalReason, CancelReason, Order, OrderState};
use rampwatch::domain::payment::{Payment, PaymentState, Provenance};
use rampwatch::ports::store::{Commit, Store as _};
use rampwatch::service::operator_service::OperatorError;
use rampwatch::service::orders::FundRequest;
use rampwatch::view::order::{FundView, OrderView, WalletView};
use rampwatch::view::{Page, WhyView};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::desk::{Desk, handle_with, wallet_settings};
use crate::support::records::{address, at, attempt, order, payment, payment_id, wallet, wallet_address};
use crate::support::temp_dir;

/// The `n`th payment, as the API tells it, with time left.
pub(super) fn fundable(n: u64) -> Payment {
    let mut payment = payment(n);
    payment.terms.expires_at = Some(at(90_000_000));
    payment
}

/// The body that orders the `n`th payment as it is.
pub(super) fn wish(n: u64) -> Value {
    let terms = fundable(n).terms;
    json!({ "payment": payment_id(n), "to": terms.deposit_address, "base_units": terms.amount })
}

async fn refused(desk: &Desk, path: &str, body: &Value, status: u16, words: &[&str]) {
    let (got, problem) = desk.answer(desk.post(path, body)).await;
    assert_eq!(got, status, "{path} {body}: {problem}");
    let detail = problem["detail"].as_str().unwrap();
    for word in words {
        assert!(detail.contains(word), "no {word:?} in {detail}");
    }
}

#[tokio::test]
async fn a_preview_tells_everything_before_anybody_agrees() {
    let desk = Desk::with_wallet().await;
    let mut large = fundable(2);
    large.terms.amount = Amount::from_base_units(1_500_000_000);
    let mut typed = fundable(3);
    typed.terms.address_from = Provenance::Typed;
    desk.keep_payments(vec![fundable(1), large, typed]).await;
    let before = desk.store.contents();
    let preview = async |n: u64| {
        let (status, body) = desk.answer(desk.get(&format!("/v1/payments/{}/fund", payment_id(n)))).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_value::<FundView>(body).unwrap()
    };
    let view = preview(1).await;
    assert_eq!((view.wallet, view.to), (wallet_address(), address(1)));
    assert_eq!(view.amount.to_string(), "1000.00 USDC");
    // 150 000 gas at 500 gwei.
    assert_eq!((view.most_fee.as_str(), view.fee_ceiling_gwei.as_str()), ("0.075", "500.00"));
    let left = [&view.left_per_payment, &view.left_per_day, &view.left_per_recipient].map(ToString::to_string);
    assert_eq!(left, ["2000.00 USDC", "5000.00 USDC", "4000.00 USDC"]);
    assert_eq!((view.approval, view.approval_text, view.waits), (None, None, None));
    let view = preview(2).await;
    assert_eq!(view.approval, Some(ApprovalReason::AboveAmount { limit: Amount::from_base_units(1_000_000_000) }));
    assert!(view.approval_text.unwrap().contains("more than 1000.00 USDC"));
    assert!(preview(3).await.approval_text.unwrap().contains("typed the deposit address"));
    assert_eq!(desk.store.contents(), before, "looking orders nothing");
    let (status, problem) = desk.answer(desk.get("/v1/payments/pay-404/fund")).await;
    assert_eq!((status, problem["code"].as_str()), (404, Some("not_found")), "{problem}");
    desk.post("/v1/wallet/pause", &json!({ "reason": "lunch" })).send().await.unwrap();
    assert!(preview(1).await.waits.unwrap().contains("paused: lunch"));
}

#[tokio::test]
async fn what_was_shown_is_ordered_and_nothing_else() {
    let desk = Desk::with_wallet().await;
    desk.keep_payments(vec![fundable(1)]).await;
    let before = desk.store.contents();
    let mut other = wish(1);
    other["base_units"] = json!("1000000001");
    refused(&desk, "/v1/orders", &other, 409, &["1000.00 USDC", "not what was agreed to"]).await;
    let mut other = wish(1);
    other["to"] = json!(address(2));
    refused(&desk, "/v1/orders", &other, 409, &["not what was agreed to"]).await;
    let mut extra = wish(1);
    extra["nonce"] = json!(7);
    refused(&desk, "/v1/orders", &extra, 400, &["nonce"]).await;
    let mut number = wish(1);
    number["base_units"] = json!(1_000_000_000);
    refused(&desk, "/v1/orders", &number, 400, &["base_units"]).await;
    let mut typing_error = wish(1);
    typing_error["to"] = json!("0x3C499c542cEF5E3811e1192ce70d8cC03d5c3359");
    refused(&desk, "/v1/orders", &typing_error, 422, &["to: ", "checksum"]).await;
    refused(&desk, "/v1/orders", &json!({ "payment": "pay-404", "to": address(1), "base_units": "1" }), 404, &[]).await;
    assert_eq!(desk.store.contents(), before, "nothing was changed");
    let (status, body) = desk.answer(desk.post("/v1/orders", &wish(1))).await;
    assert_eq!(status, 200, "{body}");
    let view: OrderView = serde_json::from_value(body).unwrap();
    assert_eq!((view.id.to_string().as_str(), view.state.as_str()), ("pay-000001:1", "ready"));
    assert_eq!((view.amount.to_string().as_str(), view.to, view.counts_as_spent), ("1000.00 USDC", address(1), true));
    refused(&desk, "/v1/orders", &wish(1), 409, &["order pay-000001:1", "open already (ready)"]).await;
    assert_eq!(desk.store.contents().orders.len(), 1);
}

#[tokio::test]
async fn without_a_wallet_everything_says_so() {
    let desk = Desk::open().await;
    desk.keep_payments(vec![fundable(1)]).await;
    refused(&desk, "/v1/orders", &wish(1), 409, &["there is no wallet", "[wallet]"]).await;
    refused(&desk, "/v1/wallet/pause", &json!({ "reason": "r" }), 409, &["there is no wallet"]).await;
    let store = crate::support::memory_store::MemoryStore::new();
    let handle = handle_with(Arc::new(store.clone()), wallet_settings());
    let desk = Desk::serve(store, handle).await;
    desk.keep_payments(vec![fundable(1)]).await;
    refused(&desk, "/v1/orders", &wish(1), 409, &["no wallet has been opened here yet", "`rampwatch run`"]).await;
    for path in ["/v1/wallet", "/v1/wallet/returns"] {
        let (status, problem) = desk.answer(desk.get(path)).await;
        assert_eq!((status, problem["code"].as_str()), (409, Some("refused")), "{path}: {problem}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_at_once_place_one_order_and_the_others_are_told() {
    let desk = Desk::with_wallet().await;
    desk.keep_payments(vec![fundable(1)]).await;
    let mut asked = JoinSet::new();
    for _ in 0..50 {
        let request = desk.post("/v1/orders", &wish(1));
        asked.spawn(async move {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
        });
    }
    let mut answers: BTreeMap<u16, Vec<Value>> = BTreeMap::new();
    for (status, body) in asked.join_all().await {
        answers.entry(status).or_default().push(body);
    }
    let counts: Vec<(u16, usize)> = answers.iter().map(|(status, bodies)| (*status, bodies.len())).collect();
    assert_eq!(counts, [(200, 1), (409, 49)]);
    for problem in &answers[&409] {
        let clear = "order pay-000001:1 for this payment is open already (ready)";
        assert_eq!((problem["code"].as_str(), problem["detail"].as_str()), (Some("refused"), Some(clear)));
    }
    let contents = desk.store.contents();
    assert_eq!(contents.orders.len(), 1);
    let placed = contents.events.iter().filter(|it| format!("{:?}", it.event.kind).starts_with("OrderPlaced"));
    assert_eq!(placed.count(), 1, "the ledger says the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_at_once_place_one_order_in_the_real_store_too() {
    let folder = temp_dir();
    let store = Arc::new(SledStore::open(&folder.path().join("store"), &Settings::default()).unwrap());
    let commit = Commit { payments: vec![fundable(1)], wallet: Some(wallet(7)), ..Commit::default() };
    store.commit(commit).await.unwrap();
    let handle = handle_with(store.clone(), wallet_settings());
    let request = FundRequest {
        payment: payment_id(1).to_string(),
        to: address(1).to_string(),
        base_units: fundable(1).terms.amount,
    };
    let mut asked = JoinSet::new();
    for _ in 0..50 {
        let (handle, request) = (handle.clone(), request.clone());
        asked.spawn(async move { handle.fund(&request).await });
    }
    let (placed, told): (Vec<_>, Vec<_>) = asked.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!((placed.len(), told.len()), (1, 49));
    for answer in told {
        let Err(OperatorError::Refused(text)) = answer else { panic!("{answer:?}") };
        assert!(text.contains("open already"), "{text}");
    }
    assert_eq!(store.orders(None, 10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_payments_at_once_never_pass_the_limit_of_a_day() {
    let desk = Desk::with_wallet().await;
    let others = |n: u64| Payment {
        recipient_id: rampwatch::domain::payment::RecipientId::new(format!("rec-{n}")).unwrap(),
        ..fundable(n)
    };
    desk.keep_payments((1..=20).map(others).collect()).await;
    let mut asked = JoinSet::new();
    for n in 1..=20 {
        let request = desk.post("/v1/orders", &wish(n));
        asked.spawn(async move {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        });
    }
    let answers = asked.join_all().await;
    assert_eq!(answers.iter().filter(|(status, _)| *status == 200).count(), 5, "{answers:?}");
    for (_, text) in answers.iter().filter(|(status, _)| *status != 200) {
        assert!(text.contains("5000.00 USDC of 5000.00 USDC are spent (funding.max_per_day)"), "{text}");
    }
    assert_eq!(desk.store.contents().orders.len(), 5);
}

/// The `n`th payment's order in this state.
fn ordered(n: u64, state: OrderState) -> Order {
    let attempts = if state.nonce().is_some() { vec![attempt(7, n)] } else { vec![] };
    Order { state, attempts, ..order(n) }
}

fn waiting(n: u64) -> Order {
    ordered(n, OrderState::AwaitingApproval { why: ApprovalReason::TypedAmount })
}

fn sending(n: u64) -> Order {
    ordered(n, OrderState::Sending { nonce: 7, trouble: None })
}

#[tokio::test]
async fn orders_are_listed_in_parts_and_by_state_and_payment() {
    let desk = Desk::with_wallet().await;
    let second = Order { id: crate::support::records::order_id(1, 2), ..waiting(1) };
    desk.keep_orders(vec![sending(1), second, waiting(2), sending(3), ordered(4, OrderState::Ready)]).await;
    let ids = async |query: &str| {
        let (status, body) = desk.answer(desk.get(&format!("/v1/orders{query}"))).await;
        assert_eq!(status, 200, "{query}: {body}");
        let page: Page<OrderView> = serde_json::from_value(body).unwrap();
        let ids: Vec<String> = page.items.iter().map(|view| view.id.to_string()).collect();
        (ids.join(" ").replace("pay-00000", ""), page.next)
    };
    assert_eq!(ids("").await, ("1:1 1:2 2:1 3:1 4:1".to_owned(), None));
    assert_eq!(ids("?state=sending").await, ("1:1 3:1".to_owned(), None));
    assert_eq!(ids("?payment=pay-000001").await, ("1:1 1:2".to_owned(), None));
    assert_eq!(ids("?payment=pay-000001&state=awaiting-approval").await.0, "1:2");
    let (first, next) = ids("?limit=2").await;
    assert_eq!((first.as_str(), next.as_deref()), ("1:1 1:2", Some("pay-000001:2")));
    assert_eq!(ids("?after=pay-000001:2").await.0, "2:1 3:1 4:1", "the colon as it is");
    assert_eq!(ids("?after=pay-000001%3A2&limit=1").await.0, "2:1", "and encoded");
    for query in ["?state=lost", "?payment=a/b", "?after=pay-1", "?after=pay-1:0"] {
        let (status, problem) = desk.answer(desk.get(&format!("/v1/orders{query}"))).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some("invalid")), "{query}: {problem}");
    }
    for query in ["?colour=red", "?limit=many", "?limit=-1"] {
        let (status, problem) = desk.answer(desk.get(&format!("/v1/orders{query}"))).await;
        assert_eq!((status, problem["code"].as_str()), (400, Some("malformed")), "{query}: {problem}");
    }
}

#[tokio::test]
async fn an_order_is_shown_with_its_transactions_and_without_their_bytes() {
    let desk = Desk::with_wallet().await;
    desk.keep_orders(vec![sending(1)]).await;
    let (_, plain) = desk.answer(desk.get("/v1/orders/pay-000001:1")).await;
    let (status, encoded) = desk.answer(desk.get("/v1/orders/pay-000001%3A1")).await;
    assert_eq!((status, &encoded), (200, &plain));
    let view: OrderView = serde_json::from_value(plain.clone()).unwrap();
    assert_eq!(serde_json::to_value(&view).unwrap(), plain, "programs can read it back");
    let tried = &view.attempts[0];
    assert_eq!((tried.nonce, tried.tx_hash, view.nonce), (7, attempt(7, 1).tx_hash, Some(7)));
    assert_eq!((tried.cap_gwei.as_str(), tried.tip_gwei.as_str()), ("90.00", "30.00"));
    let bytes = serde_json::to_value(&attempt(7, 1).raw).unwrap();
    assert!(!plain.to_string().contains(bytes.as_str().unwrap()), "{plain}");
    for (id, status) in [("pay-000001:2", 404), ("pay-404:1", 404), ("pay-000001", 422), ("pay-000001:1:1", 422)] {
        let (got, problem) = desk.answer(desk.get(&format!("/v1/orders/{id}"))).await;
        assert_eq!(got, status, "{id}: {problem}");
    }
}

/// What is said with a decision about an order: an approval says again what was shown.
fn said(n: u64, word: &str, reason: &str) -> Value {
    let Order { id, to, amount, .. } = waiting(n);
    match word {
        "approve" => json!({ "reason": reason, "payment": id.payment, "to": to, "base_units": amount }),
        _ => json!({ "reason": reason }),
    }
}

#[tokio::test]
async fn people_approve_reject_and_cancel() {
    let desk = Desk::with_wallet().await;
    desk.keep_orders(vec![waiting(1), waiting(2), waiting(3), sending(4)]).await;
    let say = async |n: u64, word: &str| {
        let path = format!("/v1/orders/pay-00000{n}:1/{word}");
        let (status, body) = desk.answer(desk.post(&path, &said(n, word, "  as agreed "))).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_value::<OrderView>(body).unwrap()
    };
    let approved = say(1, "approve").await;
    assert_eq!((approved.state.as_str(), approved.counts_as_spent), ("ready", true));
    let rejected = say(2, "reject").await;
    assert_eq!((rejected.state.as_str(), rejected.counts_as_spent), ("ended", false));
    assert_eq!(rejected.outcome.as_deref(), Some("unsent"));
    assert!(rejected.text.contains("a person rejected it: \"as agreed\""), "{}", rejected.text);
    let unsent = say(3, "cancel").await;
    assert_eq!((unsent.state.as_str(), unsent.counts_as_spent), ("ended", false), "nothing was signed");
    let unknown = say(4, "cancel").await;
    assert_eq!((unknown.state.as_str(), unknown.outcome, unknown.counts_as_spent), ("cancelling", None, true));
    assert!(unknown.text.contains("outcome unknown: a self-send is to consume nonce 7"), "{}", unknown.text);
    let why = CancelReason::Person { reason: "as agreed".to_owned() };
    assert_eq!(unknown.detail, OrderState::Cancelling { nonce: 7, why, trouble: None });
    let events = desk.store.contents().events;
    let decided = events.iter().filter_map(|it| match &it.event.kind {
        rampwatch::domain::event::EventKind::PersonDecided { action, reason, by } => {
            assert_eq!(by.as_ref().map(|by| by.as_str()), Some("local"));
            Some(format!("{action}: {reason}"))
        }
        _ => None,
    });
    let decided: Vec<String> = decided.collect();
    assert_eq!(decided[0], "approve order pay-000001:1: as agreed");
    assert_eq!(decided[3], "cancel order pay-000004:1: as agreed");
}

#[tokio::test]
async fn what_cannot_be_decided_changes_nothing() {
    let desk = Desk::with_wallet().await;
    desk.keep_orders(vec![waiting(1), sending(2)]).await;
    let before = desk.store.contents();
    for (n, path, word, status) in [
        (2, "pay-000002:1", "approve", 409),
        (2, "pay-000002:1", "reject", 409),
        (9, "pay-000009:1", "approve", 404),
        (9, "pay-000009:1", "cancel", 404),
        (1, "pay-000001", "cancel", 422),
        (1, "a%2Fb:1", "cancel", 422),
    ] {
        refused(&desk, &format!("/v1/orders/{path}/{word}"), &said(n, word, "r"), status, &[]).await;
    }
    for word in ["approve", "reject", "cancel"] {
        let path = format!("/v1/orders/pay-000001:1/{word}");
        for reason in ["", "  ", &"x".repeat(501)] {
            refused(&desk, &path, &said(1, word, reason), 422, &["reason: give a reason of 1 to 500 characters"]).await;
        }
        let turned = said(1, word, "to 0x12\u{202e}34");
        refused(&desk, &path, &turned, 422, &["reason: ", "U+202E", "cannot be seen"]).await;
        refused(&desk, &path, &json!({}), 400, &["reason"]).await;
        let mut more = said(1, word, "r");
        more["yes"] = json!(true);
        refused(&desk, &path, &more, 400, &["yes"]).await;
        let (status, problem) = desk.answer(desk.get(&path)).await;
        assert_eq!((status, problem["code"].as_str()), (405, Some("method")));
        let long = json!({ "reason": "x".repeat(rampwatch::http::MAX_BODY_BYTES) });
        refused(&desk, &path, &long, 413, &[]).await;
    }
    assert_eq!(desk.store.contents(), before);
}

#[tokio::test]
async fn without_the_token_nobody_funds() {
    let desk = Desk::with_wallet().await;
    desk.keep_payments(vec![fundable(1)]).await;
    desk.keep_orders(vec![waiting(2)]).await;
    let before = desk.store.contents();
    for path in
        ["/v1/payments/pay-000001/fund", "/v1/orders", "/v1/orders/pay-000002:1", "/v1/wallet", "/v1/wallet/returns"]
    {
        assert_eq!(desk.client.get(desk.url(path)).send().await.unwrap().status(), 401, "{path}");
    }
    let reason = json!({ "reason": "r" });
    let order = "/v1/orders/pay-000002:1";
    let posts = [
        ("/v1/orders".to_owned(), wish(1)),
        (format!("{order}/approve"), reason.clone()),
        (format!("{order}/reject"), reason.clone()),
        (format!("{order}/cancel"), reason.clone()),
        ("/v1/wallet/pause".to_owned(), reason.clone()),
        ("/v1/wallet/resume".to_owned(), reason.clone()),
        ("/v1/wallet/adopt".to_owned(), reason),
    ];
    for (path, body) in posts {
        assert_eq!(desk.client.post(desk.url(&path)).json(&body).send().await.unwrap().status(), 401, "{path}");
    }
    assert_eq!(desk.store.contents(), before);
}

#[tokio::test]
async fn the_wallet_is_shown_paused_and_resumed() {
    let desk = Desk::with_wallet().await;
    let (status, body) = desk.answer(desk.client.get(desk.url("/readyz"))).await;
    assert_eq!((status, body["wallet"].as_str()), (200, Some("ok")), "{body}");
    let see = async |request| {
        let (status, body) = desk.answer(request).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_value::<WalletView>(body).unwrap()
    };
    desk.keep_orders(vec![Order { placed_at: at(19_000_000), ..sending(1) }]).await;
    let view = see(desk.get("/v1/wallet")).await;
    assert_eq!((view.address, view.next_nonce, view.open_orders), (wallet_address(), 7, 1));
    assert_eq!((view.spent.to_string().as_str(), view.limit.to_string().as_str()), ("1000.00 USDC", "5000.00 USDC"));
    assert_eq!((view.paused, view.halted), (None, None));
    refused(&desk, "/v1/wallet/pause", &json!({ "reason": " " }), 422, &["reason: "]).await;
    let paused = see(desk.post("/v1/wallet/pause", &json!({ "reason": "an audit" }))).await;
    assert_eq!(paused.paused.as_deref(), Some("an audit"));
    let again = see(desk.post("/v1/wallet/pause", &json!({ "reason": "lunch" }))).await;
    assert_eq!(again, paused, "it is paused already");
    assert_eq!(see(desk.get("/v1/wallet")).await, paused, "it is kept");
    assert_eq!(see(desk.post("/v1/wallet/resume", &json!({ "reason": "done" }))).await.paused, None);
    refused(&desk, "/v1/wallet/adopt", &json!({ "reason": "r" }), 409, &["`rampwatch run`"]).await;
}

#[tokio::test]
async fn a_payment_is_shown_with_its_orders() {
    let desk = Desk::with_wallet().await;
    desk.keep_payments(vec![fundable(1), fundable(2)]).await;
    desk.keep_orders(vec![sending(1)]).await;
    let (_, shown) = desk.answer(desk.get("/v1/payments/pay-000001")).await;
    assert_eq!((shown["id"].as_str(), shown["orders"][0]["id"].as_str()), (Some("pay-000001"), Some("pay-000001:1")));
    let (_, without) = desk.answer(desk.get("/v1/payments/pay-000002")).await;
    assert_eq!((without.get("orders"), without.get("money_back")), (None, None));
    let hash = attempt(7, 1).tx_hash.to_string();
    // A transaction that is on its way, and no deposit yet, is known too.
    for subject in ["pay-000001", "pay-000001:1", &hash] {
        let (status, body) = desk.answer(desk.get(&format!("/v1/why/{subject}"))).await;
        assert_eq!(status, 200, "{subject}: {body}");
        let why: WhyView = serde_json::from_value(body).unwrap();
        assert_eq!((why.subject.as_str(), why.orders.len()), ("payment", 1), "{subject}");
        assert_eq!(why.orders[0].attempts[0].tx_hash.to_string(), hash);
        assert_eq!(why.payment.unwrap().state.name, PaymentState::Waiting.name());
    }
    for subject in ["pay-000002:1", &crate::support::records::hash(99).to_string()] {
        let (status, problem) = desk.answer(desk.get(&format!("/v1/why/{subject}"))).await;
        assert_eq!((status, problem["code"].as_str()), (404, Some("not_found")), "{subject}");
    }
}
