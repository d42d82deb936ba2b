//! The proxy itself, in front of a node that counts, and of anvil.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::{Json, Router, routing::post};
use rampwatch::sandbox::{Anvil, AnvilOptions, BlockTag, DEV_ACCOUNTS, PAYER};
use serde_json::{Value, json};
use tokio::sync::mpsc::unbounded_channel;

use super::{ANY, Call, Count, Deed, RpcProxy, Stage, Tell, Weather};
use crate::support::eventually;

const LIMIT: Duration = Duration::from_secs(30);

type Heard = Arc<Mutex<Vec<Value>>>;

/// A node that answers each call with the number of calls so far, and refuses `bad`.
struct Stub {
    heard: Heard,
    url: String,
}

impl Stub {
    async fn start() -> Self {
        let heard = Heard::default();
        let app = Router::new().fallback(post(stub)).with_state(Arc::clone(&heard));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { heard, url }
    }

    fn heard(&self) -> usize {
        self.heard.lock().unwrap().len()
    }
}

async fn stub(State(heard): State<Heard>, Json(call): Json<Value>) -> Json<Value> {
    let (id, bad) = (call["id"].clone(), call["method"] == "bad");
    let mut heard = heard.lock().unwrap();
    heard.push(call);
    Json(match bad {
        true => json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -1, "message": "bad", "data": heard.len() } }),
        false => json!({ "jsonrpc": "2.0", "id": id, "result": heard.len() }),
    })
}

fn call(method: &str, id: u64) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": [id] })
}

async fn try_post(proxy: &RpcProxy, body: &Value) -> reqwest::Result<reqwest::Response> {
    let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).build().unwrap();
    client.post(proxy.url()).json(body).send().await
}

async fn ask(proxy: &RpcProxy, body: &Value) -> Value {
    let response = try_post(proxy, body).await.unwrap();
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}

#[tokio::test]
async fn calls_and_batches_pass_with_their_ids_and_errors() {
    let stub = Stub::start().await;
    let proxy = RpcProxy::open(&stub.url);
    assert_eq!(ask(&proxy, &call("a", 7)).await, json!({ "jsonrpc": "2.0", "id": 7, "result": 1 }));
    let batch = ask(&proxy, &json!([call("a", 1), call("bad", 2), call("b", 3)])).await;
    assert_eq!((&batch[0]["result"], &batch[2]["result"], &batch[2]["id"]), (&json!(2), &json!(4), &json!(3)));
    assert_eq!(batch[1]["error"], json!({ "code": -1, "message": "bad", "data": 3 }));
    assert_eq!(stub.heard.lock().unwrap()[0]["params"], json!([7]));
    assert_eq!(proxy.count("a"), Count { received: 2, forwarded: 2, unheard: 0 });
    assert_eq!(proxy.count(ANY).received, 4);
    let last = proxy.seen().pop().unwrap();
    assert_eq!(last.call, Call { method: "b".to_owned(), params: json!([3]), nth: 0, number: 3 });
    assert_eq!((last.answers, last.done), (vec![Ok(json!(4))], true));
    assert_eq!(try_post(&proxy, &json!("no call")).await.unwrap().status(), 200, "a node would say what is wrong");
    let other = Stub::start().await;
    proxy.set_node(&other.url);
    assert_eq!(ask(&proxy, &call("a", 1)).await["result"], json!(1));
}

#[tokio::test]
async fn an_answer_is_lost_when_the_node_has_acted_and_a_request_before_it_has() {
    let stub = Stub::start().await;
    let proxy = RpcProxy::open(&stub.url);
    proxy.next("send", Deed::lose_answer());
    proxy.next("send", Deed::lose_request());
    for heard in [1, 1] {
        let error = try_post(&proxy, &call("send", 1)).await.unwrap_err();
        assert!(!error.is_timeout() && !error.is_connect(), "{error:?}");
        assert_eq!(stub.heard(), heard);
    }
    assert_eq!(proxy.count("send"), Count { received: 2, forwarded: 1, unheard: 1 });
    assert_eq!(ask(&proxy, &call("send", 1)).await["result"], json!(2), "both were for one call each");
    proxy.always("send", Deed::lose_answer());
    let batch = json!([call("send", 1), call("read", 2)]);
    try_post(&proxy, &batch).await.unwrap_err();
    assert_eq!(stub.heard(), 4, "the whole batch is done, and nothing of it heard");
    proxy.clear();
    assert_eq!(ask(&proxy, &call("send", 1)).await["result"], json!(5));
}

#[tokio::test]
async fn a_request_is_given_to_the_node_twice_and_either_answer_told() {
    let stub = Stub::start().await;
    let proxy = RpcProxy::open(&stub.url);
    proxy.next("send", Deed::twice(0));
    proxy.next("send", Deed::twice(1));
    assert_eq!(ask(&proxy, &call("send", 1)).await["result"], json!(1));
    assert_eq!(ask(&proxy, &call("send", 1)).await["result"], json!(4));
    assert_eq!(proxy.count("send"), Count { received: 2, forwarded: 4, unheard: 0 });
    proxy.next("send", Deed { tell: Tell::Cut, ..Deed::twice(0) });
    try_post(&proxy, &call("send", 1)).await.unwrap_err();
    assert_eq!(stub.heard(), 6);
}

#[tokio::test]
async fn calls_are_refused_and_answered_from_a_script() {
    let stub = Stub::start().await;
    let proxy = RpcProxy::open(&stub.url);
    proxy.next("a", Deed::refuse(-32005, "slow down"));
    proxy.next("a", Deed::status(429));
    proxy.next("a", Deed::answer(json!("0x5")));
    proxy.rule("a", 1, 1, Deed::pass().telling(Tell::Status(502)));
    assert_eq!(ask(&proxy, &call("a", 1)).await["error"], json!({ "code": -32005, "message": "slow down" }));
    assert_eq!(try_post(&proxy, &call("a", 1)).await.unwrap().status(), 429);
    assert_eq!(ask(&proxy, &call("a", 1)).await["result"], json!("0x5"));
    assert_eq!(stub.heard(), 0);
    assert_eq!(ask(&proxy, &call("a", 1)).await["result"], json!(1), "skipped by the last rule");
    assert_eq!(try_post(&proxy, &call("a", 1)).await.unwrap().status(), 502);
    assert_eq!(stub.heard(), 2, "masked, and done all the same");
    proxy.plan(|call| (call.params == json!([9])).then(|| Deed::answer(json!("nine"))));
    assert_eq!(ask(&proxy, &call("b", 9)).await["result"], json!("nine"));
    assert_eq!(ask(&proxy, &call("b", 8)).await["result"], json!(3));
    proxy.next("b", Deed::pass().telling_error(-1, "another"));
    assert_eq!(ask(&proxy, &call("b", 9)).await["error"]["message"], json!("another"), "a rule goes before the plan");
    proxy.next("b", Deed::status(503));
    assert_eq!(try_post(&proxy, &json!([call("a", 1), call("b", 2)])).await.unwrap().status(), 503);
}

#[tokio::test]
async fn a_late_call_lands_when_the_caller_has_gone_and_a_silent_one_never_answers() {
    let stub = Stub::start().await;
    let proxy = RpcProxy::open(&stub.url);
    let question = call("a", 1);
    proxy.next("a", Deed::delay(Duration::from_secs(1), Duration::ZERO));
    tokio::select! {
        _ = try_post(&proxy, &question) => panic!("it is answered late"),
        () = eventually(LIMIT, "the call has come", async || !proxy.is_idle()) => {}
    }
    assert_eq!(stub.heard(), 0);
    eventually(LIMIT, "the late call", async || stub.heard() == 1).await;
    proxy.next("a", Deed::delay(Duration::ZERO, Duration::from_millis(100)));
    let began = Instant::now();
    assert_eq!(ask(&proxy, &question).await["result"], json!(2));
    assert!(began.elapsed() >= Duration::from_millis(100));
    proxy.next("a", Deed::swallow_answer());
    tokio::select! {
        _ = try_post(&proxy, &question) => panic!("it is never answered"),
        () = eventually(LIMIT, "the node has heard it", async || stub.heard() == 3) => {}
    }
    eventually(LIMIT, "all done", async || proxy.is_idle()).await;
    assert_eq!(proxy.count("a").unheard, 1);
}

#[tokio::test]
async fn a_call_is_held_on_either_side_and_may_be_given_another_fate() {
    let stub = Stub::start().await;
    let proxy = Arc::new(RpcProxy::open(&stub.url));
    let start = |id: u64| {
        let proxy = Arc::clone(&proxy);
        tokio::spawn(async move { try_post(&proxy, &call("send", id)).await })
    };
    let mut held = proxy.hold("send", Stage::Before, 1);
    assert!(start(1).await.unwrap().is_ok(), "one is skipped");
    let waiting = start(2);
    assert_eq!(held.reached().await.params, json!([2]));
    assert_eq!(stub.heard(), 1);
    drop(held);
    assert!(waiting.await.unwrap().is_ok() && stub.heard() == 2);

    let mut held = proxy.hold(ANY, Stage::Before, 0);
    let waiting = start(3);
    held.reached().await;
    held.go_with(Deed::lose_request());
    assert!(waiting.await.unwrap().is_err() && stub.heard() == 2);

    let mut held = proxy.hold("send", Stage::After, 0);
    let waiting = start(4);
    held.reached().await;
    assert!(stub.heard() == 3 && !proxy.is_idle());
    held.go_with(Deed::lose_answer());
    assert!(waiting.await.unwrap().is_err() && stub.heard() == 3);
    assert!(proxy.is_idle() && start(5).await.unwrap().is_ok());
}

#[tokio::test]
async fn a_hook_is_told_before_and_after_and_may_decide() {
    let stub = Stub::start().await;
    let proxy = RpcProxy::open(&stub.url);
    let (sender, mut told) = unbounded_channel();
    let heard = Arc::clone(&stub.heard);
    proxy.hook(move |call, stage| {
        sender.send((call.params[0].clone(), stage, heard.lock().unwrap().len())).unwrap();
        let kills = call.params == json!([2]) && stage == Stage::After;
        async move { kills.then(Deed::lose_answer) }
    });
    ask(&proxy, &call("a", 1)).await;
    try_post(&proxy, &call("a", 2)).await.unwrap_err();
    let mut all = Vec::new();
    while let Ok((id, stage, heard)) = told.try_recv() {
        all.push((id.as_u64().unwrap(), stage, heard));
    }
    assert_eq!(all, [(1, Stage::Before, 0), (1, Stage::After, 1), (2, Stage::Before, 1), (2, Stage::After, 2)]);
}

#[tokio::test]
async fn all_of_it_can_be_paused_cut_and_made_deaf() {
    let stub = Stub::start().await;
    let proxy = Arc::new(RpcProxy::open(&stub.url));
    proxy.set_paused(true);
    let start = || {
        let proxy = Arc::clone(&proxy);
        tokio::spawn(async move { try_post(&proxy, &call("a", 1)).await })
    };
    let waiting = start();
    eventually(LIMIT, "the call", async || proxy.count("a").received == 1).await;
    assert_eq!(stub.heard(), 0);
    proxy.set_paused(false);
    assert!(waiting.await.unwrap().is_ok());

    proxy.set_paused(true);
    let waiting = start();
    eventually(LIMIT, "the call", async || proxy.count("a").received == 2).await;
    proxy.cut();
    assert!(waiting.await.unwrap().is_err());
    proxy.set_paused(false);
    eventually(LIMIT, "what was under way lands", async || stub.heard() == 2).await;
    assert!(start().await.unwrap().is_ok(), "new connections work");
    proxy.set_deaf(true);
    assert!(start().await.unwrap().is_err());
    proxy.set_deaf(false);
    assert!(start().await.unwrap().is_ok());
    drop(stub);
    proxy.set_node("http://127.0.0.1:1");
    assert!(start().await.unwrap().is_err(), "a node that cannot be reached is a cut");
}

#[test]
fn chance_is_the_seed_s_whatever_the_order_and_about_as_often_as_said() {
    let deeds = |seed: u64, method: &str| -> Vec<Deed> {
        let weather = Weather::storm(seed, &["send", "read"]);
        let call = |nth| Call { method: method.to_owned(), params: Value::Null, nth, number: 0 };
        (0..5_000).map(|nth| weather.deed(&call(nth))).collect()
    };
    assert_eq!(deeds(1, "send"), deeds(1, "send"));
    assert_ne!(deeds(1, "send"), deeds(2, "send"));
    assert_ne!(deeds(1, "send"), deeds(1, "read"));
    assert!(deeds(1, "other").iter().all(|deed| *deed == Deed::pass()));
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for deed in deeds(3, "send") {
        let kind = match deed {
            Deed { forwards: 0, tell: Tell::Cut, .. } => "request lost",
            Deed { tell: Tell::Cut, .. } => "answer lost",
            Deed { forwards: 2, .. } => "twice",
            Deed { tell: Tell::Status(502), forwards: 1, .. } => "masked",
            Deed { tell: Tell::Status(_), .. } => "refused",
            Deed { before, after, .. } if !(before + after).is_zero() => "late",
            _ => "passed",
        };
        *kinds.entry(kind).or_default() += 1;
    }
    let expected = BTreeMap::from([
        ("request lost", 200),
        ("answer lost", 400),
        ("twice", 350),
        ("masked", 200),
        ("refused", 200),
        ("late", 350),
        ("passed", 3_300),
    ]);
    for (kind, expected) in &expected {
        let found = kinds.get(kind).copied().unwrap_or_default();
        assert!(found.abs_diff(*expected) < 90, "{kind}: {found} instead of about {expected}");
    }
}

#[tokio::test]
async fn anvil_takes_a_transaction_once_however_often_the_proxy_gives_it() {
    let anvil = Anvil::start(&AnvilOptions::default()).await.unwrap();
    let proxy = RpcProxy::open(anvil.node().http_url().as_str());
    let request = json!({
        "from": PAYER, "to": DEV_ACCOUNTS[5], "value": "0x1", "nonce": "0x0", "gas": "0x5208",
        "maxFeePerGas": "0x174876e800", "maxPriorityFeePerGas": "0x6fc23ac00",
    });
    let raw = anvil.node().call("eth_signTransaction", json!([request])).await.unwrap();
    let send = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransaction", "params": [raw] });
    proxy.next("eth_sendRawTransaction", Deed::twice(1));
    let told = ask(&proxy, &send).await;
    assert_eq!(told["error"]["message"], json!("transaction already imported"), "{told}");
    proxy.next("eth_sendRawTransaction", Deed::lose_answer());
    try_post(&proxy, &send).await.unwrap_err();
    let [twice, lost] = &proxy.seen()[..] else { panic!("two calls") };
    assert!(twice.answers[0].is_ok() && twice.answers[1].is_err() && lost.answers[0].is_err());
    anvil.node().mine(1).await.unwrap();
    assert_eq!(anvil.node().transaction_count(PAYER, BlockTag::Latest).await.unwrap(), 1);
    assert_eq!(anvil.node().sent_by(PAYER, 1).await.unwrap().len(), 1);
}

/// Sends the same bytes until the node is known to have them.
async fn send_for_sure(proxy: &RpcProxy, raw: &Value) {
    let send = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransaction", "params": [raw] });
    let until = Instant::now() + LIMIT;
    while Instant::now() < until {
        let Ok(response) = try_post(proxy, &send).await else { continue };
        let Ok(told) = response.json::<Value>().await else { continue };
        if told["result"].is_string() || told["error"]["message"] == "transaction already imported" {
            return;
        }
    }
    panic!("{raw} was not taken in time");
}

#[tokio::test]
async fn in_a_storm_every_fault_strikes_and_the_same_bytes_are_mined_once() {
    let anvil = Anvil::start(&AnvilOptions::default()).await.unwrap();
    let proxy = RpcProxy::open(anvil.node().http_url().as_str());
    let storm = Weather { most_delay: Duration::from_millis(5), ..Weather::storm(7, &["eth_sendRawTransaction"]) };
    proxy.weather(storm);
    for nonce in 0..150 {
        let request = json!({
            "from": PAYER, "to": DEV_ACCOUNTS[5], "value": "0x1", "nonce": format!("{nonce:#x}"), "gas": "0x5208",
            "maxFeePerGas": "0x174876e800", "maxPriorityFeePerGas": "0x6fc23ac00",
        });
        let raw = anvil.node().call("eth_signTransaction", json!([request])).await.unwrap();
        send_for_sure(&proxy, &raw).await;
    }
    let seen = proxy.seen();
    let struck = |what: fn(&Deed) -> bool| seen.iter().filter(|seen| what(&seen.deed)).count();
    assert!(struck(|deed| deed.forwards == 0 && deed.tell == Tell::Cut) > 0);
    assert!(struck(|deed| deed.forwards == 1 && deed.tell == Tell::Cut) > 0);
    assert!(struck(|deed| deed.forwards == 2) > 0);
    assert!(struck(|deed| deed.tell == Tell::Status(502)) > 0 && struck(|deed| deed.tell == Tell::Status(503)) > 0);
    let count = proxy.count(ANY);
    assert!(count.unheard > 5 && count.forwarded > 155, "{count:?}");
    anvil.node().mine(1).await.unwrap();
    let nonces: Vec<u64> = anvil.node().sent_by(PAYER, 1).await.unwrap().iter().map(|sent| sent.nonce).collect();
    assert_eq!(nonces, (0..150).collect::<Vec<_>>());
}
