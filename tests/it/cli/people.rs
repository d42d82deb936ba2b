//! Tokens of people, configured: with the daemon itself, and for commands that open the store.

use std::os::unix::fs::PermissionsExt as _;

use rampwatch::adapters::sled::{Settings, SledStore};
use rampwatch::domain::actor::Actor;
use rampwatch::domain::order::{ApprovalReason, Order, OrderState};
use rampwatch::ports::store::{Commit, Store as _};
use serde_json::{Value, json};

use super::Place;
use super::running::{LIMIT, World, stop};
use crate::support::records::{order, payment, wallet};

const TOKENS: &str = "[[http.tokens]]\nname = \"alice\"\nfile = \"tokens/alice\"\nroles = [\"read\"]\n\
                      [[http.tokens]]\nname = \"bob\"\nfile = \"tokens/bob\"\nroles = [\"approve\"]\n";

#[tokio::test]
async fn the_daemon_takes_the_tokens_that_are_configured() {
    let world = World::new().await;
    let place = &world.place;
    let everywhere = format!("0.0.0.0:{}", world.listen.port());
    place.edit(&world.listen.to_string(), &everywhere);
    place.run(&["list"]).await.fails(3, &["http.listen", "http.allow_remote = true"]);
    place.edit("allow_remote = false", "allow_remote = true");
    place.edit("hosts = []", "hosts = [\"rampwatch.test\"]");
    place.edit("[log]", &format!("{TOKENS}[log]"));
    let mut daemon = world.start().await;
    let token = |name: &str| {
        let file = place.path(&format!("tokens/{name}"));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::read_to_string(file).unwrap().trim().to_owned()
    };
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = |path: &str| format!("http://{}{path}", world.listen);
    let ask = async |name: &str, host: &str| {
        let request = client.get(url("/v1/payments")).bearer_auth(token(name)).header("host", host);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask("alice", "rampwatch.test").await, 200);
    assert_eq!(ask("alice", "Rampwatch.Test:443").await, 200);
    assert_eq!(ask("alice", "other.test").await, 403, "another name");
    assert_eq!(ask("bob", "localhost").await, 403, "another role");
    let body = json!({ "reason": "r" });
    let refused = client.post(url("/v1/wallet/resume")).bearer_auth(token("alice")).json(&body).send().await.unwrap();
    let problem: Value = refused.json().await.unwrap();
    assert_eq!((problem["code"].as_str(), problem["needs"].as_str()), (Some("missing_role"), Some("approve")));
    // F17: every role may stop the wallet.
    let paused = client.post(url("/v1/wallet/pause")).bearer_auth(token("alice")).json(&body).send().await.unwrap();
    assert_ne!(paused.status().as_u16(), 403, "{:?}", paused.text().await);
    // Commands find the daemon over loopback, with the machine's own token.
    assert_eq!(place.run(&["list"]).await.data().lines().count(), 1, "only the header");
    daemon.start_kill().unwrap();
    tokio::time::timeout(LIMIT, daemon.wait()).await.unwrap().unwrap();
}

/// S8: whoever guesses at tokens, or at what one may do, is counted and stands in the log; the guess does not.
#[tokio::test]
async fn s8_refused_tokens_are_logged_and_counted() {
    let world = World::new().await;
    world.place.edit("[log]", &format!("{TOKENS}[log]"));
    let daemon = world.start().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = |path: &str| format!("http://{}{path}", world.listen);
    let alice = std::fs::read_to_string(world.place.path("tokens/alice")).unwrap();
    for (token, path, status) in [
        ("guessed-by-nobody", "/v1/payments", 401),
        (alice.trim(), "/v1/wallet/resume", 403),
        (alice.trim(), "/v1/payments", 200),
    ] {
        let request = if status == 403 { client.post(url(path)) } else { client.get(url(path)) };
        assert_eq!(request.bearer_auth(token).send().await.unwrap().status().as_u16(), status, "{path}");
    }
    let counted = client.get(url("/metrics")).send().await.unwrap().text().await.unwrap();
    for (why, times) in [("token", 1), ("role", 1), ("limit", 0)] {
        let line = format!("rampwatch_api_refused_total{{why=\"{why}\"}} {times}\n");
        assert!(counted.contains(&line), "no {line:?} in {counted}");
    }
    let log = stop(daemon, "TERM").await.err;
    let said: Vec<_> = log.lines().filter(|line| line.contains("the operator API refused a token")).collect();
    assert!(matches!(said[..], [line] if line.contains("somebody") && line.contains("listPayments")), "{said:?}");
    assert!(!log.contains("guessed-by-nobody") && !log.contains(alice.trim()), "{log}");
}

/// A store with an order that waits, placed by the machine's own token, and one that bob has placed.
async fn offline() -> Place {
    let place = Place::offline().with_wallet();
    let store = SledStore::open(&place.path("rampwatch-data"), &Settings::default()).unwrap();
    let placed = |n, name: &str| Order {
        state: OrderState::AwaitingApproval { why: ApprovalReason::TypedAddress },
        placed_by_name: Some(Actor::new(name).unwrap()),
        placed_at: rampwatch::ports::clock::Clock::now(&rampwatch::adapters::system::SystemClock),
        ..order(n)
    };
    let orders = vec![placed(1, "local"), placed(2, "bob"), placed(3, "local")];
    let payments = (1..=3).map(payment).collect();
    store.commit(Commit { orders, payments, wallet: Some(wallet(7)), ..Commit::default() }).await.unwrap();
    place
}

#[tokio::test]
async fn four_eyes_hold_for_commands_too_once_others_can_approve() {
    let place = offline().await;
    let approve = async |order: &str| place.run(&["approve", order, "--reason", "fine", "--json"]).await;
    assert_eq!(approve("pay-000003:1").await.code, 0, "a single operator approves what it has placed");
    place.edit("[log]", &format!("{TOKENS}[log]"));
    approve("pay-000001:1").await.fails(5, &["placed by local", "somebody else with the role approve"]);
    let approved = approve("pay-000002:1").await;
    assert_eq!(approved.code, 0, "{}", approved.err);
    let show = place.run(&["orders", "--json"]).await.data();
    let page: Value = serde_json::from_str(&show).unwrap();
    let names = |at: usize| (page["items"][at]["placed_by_name"].clone(), page["items"][at]["approved_by"].clone());
    assert_eq!(names(0), (json!("local"), Value::Null));
    assert_eq!(names(1), (json!("bob"), json!("local")));
    let show = place.run(&["show", "pay-000002"]).await.data();
    assert!(show.contains("by bob") && show.contains("by local"), "{show}");
}
