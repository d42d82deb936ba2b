//! The daemon is told to stop while everything hangs: it ends within ten seconds, and its store is sound. And its log, as JSON,
//! is one object a line.

use std::time::{Duration, Instant};

use rampwatch::domain::payment::PaymentId;
use rampwatch::sandbox::USDC;
use rampwatch::sandbox::fake_api::{Call, Fault};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::running::{LIMIT, World, stop};
use crate::support::eventually;
use crate::support::node::LogSpec;
use crate::support::records::address;

/// How many payments are under way.
const MANY: u64 = 12;

/// Opens payments at the API, adds them, and pays each.
async fn paid(world: &World) -> Vec<PaymentId> {
    let mut ids = Vec::new();
    for n in 1..=MANY {
        let id = world.open(n, 25_000_000);
        world.place.run(&["add", id.as_str(), "recipient-1"]).await.data();
        world.chain.append(LogSpec::transfer(USDC, address(0xf00d), address(n), 25_000_000));
        ids.push(id);
    }
    world.chain.append_empty(6);
    ids
}

/// Waits until so many completions hang at the API.
async fn hanging(world: &World, most: usize) {
    eventually(LIMIT, "completions are under way", || async {
        world.chain.append_empty(1);
        let journal = world.api.journal();
        journal.iter().filter(|entry| entry.call == Call::Complete && entry.fault.is_some()).count() >= most
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_within_ten_seconds_while_everything_hangs() {
    let world = World::new().await;
    world.place.edit("max_concurrent = 128 ", "max_concurrent = 8 ");
    let daemon = world.start().await;
    world.api.fail_next(Call::Complete, 1_000, Fault::Hang { acts: true }).unwrap();
    let ids = paid(&world).await;
    // As many as are called at once.
    hanging(&world, 8).await;
    // The nodes say nothing any more either, and somebody holds a request to the operator API open.
    world.node.set_mute(true);
    let mut half = TcpStream::connect(world.listen).await.unwrap();
    half.write_all(b"POST /v1/payments HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{").await.unwrap();
    let begun = Instant::now();
    let ran = stop(daemon, "TERM").await;
    let took = begun.elapsed();
    assert!(took > Duration::from_secs(5), "calls under way are given time to end: {took:?}");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("calls were still under way"), "{}", ran.err);
    let mut rest = Vec::new();
    drop(tokio::time::timeout(LIMIT, half.read_to_end(&mut rest)).await.unwrap());

    let checked = world.place.run(&["store", "check"]).await.data();
    assert!(checked.contains("12 payments, ") && checked.contains("ok: every record reads"), "{checked}");
    // The calls took effect at the API. The next start asks before it calls anything.
    world.node.set_mute(false);
    world.api.clear_faults();
    let calls = |id: &PaymentId| {
        let journal = world.api.journal();
        let id = Some(id.to_string());
        journal.iter().filter(|entry| entry.call == Call::Complete && entry.payment == id && entry.acted).count()
    };
    let before: Vec<usize> = ids.iter().map(calls).collect();
    assert_eq!(before.iter().sum::<usize>(), 8, "{before:?}");
    let daemon = world.start().await;
    let called_again = |n: usize| calls(&ids[n]) > before[n];
    world.chain.append_empty(2);
    eventually(LIMIT, "the others are completed", || async {
        world.chain.append_empty(1);
        (0..ids.len()).all(|n| before[n] > 0 || called_again(n))
    })
    .await;
    assert!((0..ids.len()).all(|n| before[n] == 0 || !called_again(n)), "none was called twice");
    assert_eq!(stop(daemon, "TERM").await.code, 0);
    world.place.run(&["store", "check"]).await.data();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_at_once_when_nothing_answers_at_the_start() {
    let world = World::new().await;
    world.node.set_mute(true);
    let daemon = world.place.command(&["run"]).spawn().unwrap();
    let lock = world.place.path("rampwatch-data/lock");
    eventually(LIMIT, "the store is open", || async { lock.exists() }).await;
    let begun = Instant::now();
    let ran = stop(daemon, "TERM").await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(ran.code, 0, "{}", ran.err);
}

/// Every line as an object that has what every line must have.
fn objects(log: &str) -> Vec<Value> {
    let read = |line: &str| {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for key in ["timestamp", "level", "target"] {
            assert!(object[key].is_string(), "no {key}: {line}");
        }
        assert!(object["message"].is_string() && !line.contains('\u{1b}'), "{line}");
        object
    };
    log.lines().map(read).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_one_json_object_a_line() {
    let world = World::new().await;
    world.place.edit("format = \"text\"", "format = \"json\"");
    let daemon = world.start().await;
    let id = world.open(1, 25_000_000);
    world.place.run(&["add", id.as_str(), "recipient-1"]).await.data();
    world.chain.append(LogSpec::transfer(USDC, address(0xf00d), address(1), 25_000_000));
    world.node.fail_next_http(3, crate::support::node::HttpFault::Html(502));
    let (place, chain, text) = (&world.place, &world.chain, id.as_str());
    eventually(LIMIT, "the payment is completed", || async move {
        chain.append_empty(1);
        place.run(&["show", text, "--json"]).await.json()["state"]["outcome"] == "completed"
    })
    .await;
    let ran = stop(daemon, "TERM").await;
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    let lines = objects(&ran.err);
    let with = |message: &str, fields: &[&str]| {
        let line =
            lines.iter().find(|line| line["message"] == message && fields.iter().all(|field| !line[field].is_null()));
        assert!(line.is_some(), "no {message:?} with {fields:?} in {}", ran.err);
    };
    with("rampwatch is up", &["listen", "socket", "chain", "store"]);
    with("deposit seen", &["tx_hash", "log_index", "block", "base_units", "to"]);
    with("deposit judged", &["payment_id", "tx_hash", "log_index", "verdict", "rule"]);
    with("payment moved", &["payment_id", "tx_hash", "from", "to", "why"]);
    with("an RPC endpoint failed", &["endpoint", "class", "error"]);
    with("rampwatch is down", &[]);

    // Also when it cannot start.
    world.node.set_mute(false);
    world.chain.set_chain_id(80_002);
    let ran = world.place.run(&["run"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{}", ran.err);
    let last = objects(&ran.err).pop().unwrap();
    assert_eq!((&last["message"], &last["level"]), (&"rampwatch ends".into(), &"ERROR".into()));
    assert!(last["error"].as_str().unwrap().contains("80002"), "{last}");
    // Commands that a person waits for speak to the person.
    world.place.run(&["show", "pay-unknown"]).await.fails(4, &["pay-unknown"]);
}
