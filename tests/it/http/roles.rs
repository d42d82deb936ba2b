//! Roles: which one each operation needs, written down here a second time, and what tokens with one role each may do.

use std::collections::BTreeMap;
use std::sync::Arc;

use rampwatch::domain::actor::Role;
use rampwatch::domain::amount::Amount;
use rampwatch::domain::event::{EventKind, WalletChange};
use rampwatch::domain::order::OrderState;
use rampwatch::policy::approval::Approvers;
use rampwatch::ports::store::{Commit, Store as _};
use rampwatch::view::order::OrderView;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::orders::{fundable, wish};
use crate::support::desk::{Desk, handle_with, wallet_settings};
use crate::support::memory_store::MemoryStore;
use crate::support::records::wallet;

/// Every operation and the role that it needs; none: anybody may. A wrong role in the source shows here.
const TABLE: &[(&str, &str, Option<Role>)] = &[
    ("get", "/healthz", None),
    ("get", "/metrics", None),
    ("get", "/readyz", None),
    ("put", "/v1/attachments", Some(Role::Operate)),
    ("get", "/v1/books", Some(Role::Read)),
    ("get", "/v1/deposits", Some(Role::Read)),
    ("get", "/v1/disputes", Some(Role::Read)),
    ("post", "/v1/disputes/{id}/decide", Some(Role::Approve)),
    ("get", "/v1/endpoints", Some(Role::Read)),
    ("post", "/v1/endpoints/{name}/exclude", Some(Role::Approve)),
    ("post", "/v1/endpoints/{name}/include", Some(Role::Approve)),
    ("get", "/v1/events", Some(Role::Read)),
    ("get", "/v1/events/stream", Some(Role::Read)),
    ("get", "/v1/export", Some(Role::Read)),
    ("get", "/v1/notices", Some(Role::Read)),
    ("get", "/v1/openapi.json", Some(Role::Read)),
    ("get", "/v1/orders", Some(Role::Read)),
    ("post", "/v1/orders", Some(Role::Operate)),
    ("get", "/v1/orders/{id}", Some(Role::Read)),
    ("post", "/v1/orders/{id}/approve", Some(Role::Approve)),
    ("post", "/v1/orders/{id}/cancel", Some(Role::Operate)),
    ("post", "/v1/orders/{id}/reject", Some(Role::Approve)),
    ("get", "/v1/payments", Some(Role::Read)),
    ("post", "/v1/payments", Some(Role::Operate)),
    ("get", "/v1/payments/{id}", Some(Role::Read)),
    ("get", "/v1/payments/{id}/fund", Some(Role::Read)),
    ("get", "/v1/payments/{id}/receipt", Some(Role::Read)),
    ("get", "/v1/payouts", Some(Role::Read)),
    ("post", "/v1/payouts", Some(Role::Operate)),
    ("get", "/v1/payouts/{reference}", Some(Role::Read)),
    ("post", "/v1/payouts/{reference}/cancel", Some(Role::Operate)),
    ("post", "/v1/payouts/{reference}/retry", Some(Role::Operate)),
    ("post", "/v1/quote", Some(Role::Operate)),
    ("post", "/v1/rate", Some(Role::Read)),
    ("post", "/v1/repeats", Some(Role::Read)),
    ("post", "/v1/resolve", Some(Role::Operate)),
    ("get", "/v1/reviews", Some(Role::Read)),
    ("get", "/v1/wallet", Some(Role::Read)),
    ("post", "/v1/wallet/adopt", Some(Role::Approve)),
    ("post", "/v1/wallet/resume", Some(Role::Approve)),
    ("get", "/v1/wallet/returns", Some(Role::Read)),
    ("get", "/v1/webhooks", Some(Role::Read)),
    ("post", "/v1/webhooks", Some(Role::Operate)),
    ("post", "/v1/webhooks/{id}", Some(Role::Operate)),
    ("get", "/v1/why/{subject}", Some(Role::Read)),
];

const PEOPLE: &[(&str, &[Role])] = &[
    ("reader", &[Role::Read]),
    ("operator", &[Role::Operate]),
    ("approver", &[Role::Approve]),
    ("alice", Role::ALL),
    ("bob", Role::ALL),
];

/// A wallet, and people with roles.
async fn desk(approvers: Approvers) -> Desk {
    let store = MemoryStore::new();
    store.commit(Commit { wallet: Some(wallet(7)), ..Commit::default() }).await.unwrap();
    let handle = handle_with(Arc::new(store.clone()), wallet_settings()).with_approvers(approvers);
    Desk::serve_to(store, handle, PEOPLE).await
}

/// The status and code that somebody gets.
async fn ask(desk: &Desk, who: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let method: Method = method.to_uppercase().parse().unwrap();
    let mut request = desk.client.request(method.clone(), desk.url(path)).bearer_auth(desk.token_of(who));
    if method == Method::POST {
        request = request.json(body);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    // A stream has no end to wait for.
    if response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream") {
        return (status, Value::Null);
    }
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
}

#[test]
fn the_document_names_every_operation_with_its_role() {
    let document = rampwatch::http::openapi();
    let mut found = BTreeMap::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let roles =
                operation.get("x-roles").map(|roles| serde_json::from_value::<Vec<Role>>(roles.clone()).unwrap());
            assert_eq!(operation["security"] == json!([]), roles.is_none(), "{method} {path}");
            found.insert((path.clone(), method.clone()), roles);
        }
    }
    let written = TABLE
        .iter()
        .map(|(method, path, role)| (((*path).to_owned(), (*method).to_owned()), role.map(|role| vec![role])));
    // F17: whoever has a token may stop the wallet.
    let any = (("/v1/wallet/pause".to_owned(), "post".to_owned()), Some(Role::ALL.to_vec()));
    assert_eq!(found, written.chain([any]).collect());
}

#[tokio::test]
async fn no_role_does_more_than_it_may() {
    let desk = desk(Approvers::Named).await;
    for (method, path, role) in TABLE {
        let path = path.replace("{id}", "pay-1:1").replace("{subject}", "pay-1").replace("{reference}", "ref-1");
        for (who, roles) in PEOPLE {
            let (status, problem) = ask(&desk, who, method, &path, &json!({})).await;
            let may = role.is_none_or(|role| roles.contains(&role));
            assert_eq!(status == 403, !may, "{who}: {method} {path}: {status} {problem}");
            if let (403, Some(role)) = (status, role) {
                assert_eq!(
                    (problem["code"].as_str(), problem["needs"].as_str()),
                    (Some("missing_role"), Some(role.name()))
                );
                assert!(problem["detail"].as_str().unwrap().contains(who), "{problem}");
            }
            assert!(status < 500 || path == "/readyz", "{who}: {method} {path}: {status}");
        }
        let nobody = desk.client.request(method.to_uppercase().parse().unwrap(), desk.url(&path)).send().await.unwrap();
        assert_eq!(nobody.status() == 401, role.is_some(), "nobody: {method} {path}");
    }
}

#[tokio::test]
async fn f17_every_role_stops_the_wallet_and_only_an_approver_lets_it_go_on() {
    let desk = desk(Approvers::Named).await;
    let body = json!({ "reason": "something is wrong" });
    for (who, roles) in PEOPLE {
        let (status, view) = ask(&desk, who, "post", "/v1/wallet/pause", &body).await;
        assert_eq!((status, view["paused"].as_str()), (200, Some("something is wrong")), "{who}: {view}");
        let (status, _) = ask(&desk, who, "post", "/v1/wallet/resume", &body).await;
        assert_eq!(status == 200, roles.contains(&Role::Approve), "{who}");
        let (status, _) = ask(&desk, "approver", "post", "/v1/wallet/resume", &body).await;
        assert_eq!(status, 200);
    }
}

async fn place(desk: &Desk, who: &str, n: u64) -> OrderView {
    let mut large = fundable(n);
    large.terms.amount = Amount::from_base_units(1_500_000_000);
    desk.keep_payments(vec![large.clone()]).await;
    let mut body = wish(n);
    body["base_units"] = json!(large.terms.amount);
    let (status, body) = ask(desk, who, "post", "/v1/orders", &body).await;
    assert_eq!(status, 200, "{body}");
    let view: OrderView = serde_json::from_value(body).unwrap();
    assert_eq!(view.placed_by_name.as_ref().unwrap().as_str(), if who == "operator-token" { "local" } else { who });
    assert_eq!((view.state.as_str(), &view.approved_by), ("awaiting-approval", &None));
    view
}

async fn approve(desk: &Desk, who: &str, order: &OrderView) -> (u16, Value) {
    ask(desk, who, "post", &format!("/v1/orders/{}/approve", order.id), &shown(order)).await
}

/// An approval that says again all that was shown.
fn shown(order: &OrderView) -> Value {
    json!({ "reason": "as agreed", "payment": order.payment, "to": order.to, "base_units": order.amount.base_units })
}

#[tokio::test]
async fn who_placed_an_order_does_not_approve_it() {
    let desk = desk(Approvers::Named).await;
    // Whoever placed it may take it back.
    let order = place(&desk, "bob", 3).await;
    let path = format!("/v1/orders/{}/reject", order.id);
    assert_eq!(ask(&desk, "bob", "post", &path, &json!({ "reason": "a slip" })).await.0, 200);

    let order = place(&desk, "alice", 1).await;
    let before = desk.store.contents();
    let (status, problem) = approve(&desk, "alice", &order).await;
    assert_eq!((status, problem["code"].as_str()), (403, Some("own_order")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("placed by alice"), "{problem}");
    assert_eq!(desk.store.contents(), before, "nothing was changed");
    let (status, body) = approve(&desk, "bob", &order).await;
    assert_eq!((status, body["approved_by"].as_str()), (200, Some("bob")), "{body}");
    let kept = desk.store.order(&order.id).await.unwrap().unwrap();
    assert_eq!((kept.placed_by_name.unwrap().as_str(), kept.approved_by.unwrap().as_str()), ("alice", "bob"));
    assert_eq!(kept.state, OrderState::Ready);

    // The machine's own token is nobody's exception once others can approve.
    let order = place(&desk, "operator-token", 2).await;
    assert_eq!(approve(&desk, "operator-token", &order).await.0, 403);
    assert_eq!(approve(&desk, "approver", &order).await.0, 200);
}

/// S6: whoever approves says what was seen; where the order is another one, nothing is approved.
#[tokio::test]
async fn s6_what_is_approved_is_what_was_shown() {
    let desk = desk(Approvers::Named).await;
    let order = place(&desk, "alice", 1).await;
    let path = format!("/v1/orders/{}/approve", order.id);
    let shown = shown(&order);
    let before = desk.store.contents();
    let others = [
        ("payment", json!("pay-000002"), "invalid"),
        ("to", json!(crate::support::records::address(77).to_string()), "refused"),
        ("base_units", json!("1500000001"), "refused"),
    ];
    for (field, other, code) in others {
        let mut body = shown.clone();
        body.as_object_mut().unwrap().remove(field);
        let (status, problem) = ask(&desk, "bob", "post", &path, &body).await;
        let told = problem["detail"].as_str().unwrap();
        assert!(status == 400 && told.contains(field), "{field} is not said: {problem}");
        body[field] = other;
        let (status, problem) = ask(&desk, "bob", "post", &path, &body).await;
        assert!(status >= 400 && problem["code"] == code, "{field}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains("look at it again"), "{problem}");
    }
    assert_eq!(desk.store.contents(), before, "nothing was approved");
    let (status, view) = ask(&desk, "bob", "post", &path, &shown).await;
    assert_eq!((status, view["approved_by"].as_str()), (200, Some("bob")), "{view}");
    assert_eq!((&view["to"], &view["payment"]), (&shown["to"], &shown["payment"]), "it is said back: {view}");
    assert_eq!(view["amount"]["base_units"], shown["base_units"], "{view}");
}

#[tokio::test]
async fn a_single_operator_approves_what_it_placed() {
    let desk = desk(Approvers::LocalOnly).await;
    let order = place(&desk, "operator-token", 1).await;
    let (status, body) = approve(&desk, "operator-token", &order).await;
    assert_eq!((status, body["approved_by"].as_str()), (200, Some("local")), "{body}");
}

#[tokio::test]
async fn what_is_decided_is_kept_with_a_name() {
    let desk = desk(Approvers::Named).await;
    let order = place(&desk, "alice", 1).await;
    approve(&desk, "bob", &order).await;
    let because = json!({ "reason": "lunch" });
    ask(&desk, "operator", "post", "/v1/wallet/pause", &because).await;
    ask(&desk, "alice", "post", "/v1/wallet/resume", &because).await;
    let retry = json!({ "action": "cancel", "payment": order.payment, "reason": "a test" });
    let (status, body) = ask(&desk, "operator", "post", "/v1/resolve", &retry).await;
    assert_eq!(status, 200, "{body}");
    let name = |by: &Option<rampwatch::domain::actor::Actor>| by.as_ref().map_or("-", |by| by.as_str()).to_owned();
    let events = desk.store.contents().events;
    let named = events.iter().filter_map(|recorded| match &recorded.event.kind {
        EventKind::OrderPlaced { order } => Some(format!("placed by {}", name(&order.placed_by_name))),
        EventKind::PersonDecided { action, by, .. } => Some(format!("{action} by {}", name(by))),
        EventKind::OrderMoved { to, by, .. } => Some(format!("{} by {}", to.name(), name(by))),
        EventKind::WalletChanged { change: WalletChange::Paused { by, .. }, .. } => {
            Some(format!("paused by {}", name(by)))
        }
        EventKind::WalletChanged { change: WalletChange::Resumed { by, .. }, .. } => {
            Some(format!("resumed by {}", name(by)))
        }
        _ => None,
    });
    let named: Vec<String> = named.collect();
    let expected = [
        "placed by alice",
        "approve order pay-000001:1 by bob",
        "ready by bob",
        "paused by operator",
        "resumed by alice",
        "cancel by operator",
    ];
    assert_eq!(named, expected);
}
