//! The daemon itself: started over a scripted node and the fake API, asked, and told to stop.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use rampwatch::domain::amount::Amount;
use rampwatch::domain::payment::PaymentId;
use rampwatch::domain::time::Timestamp;
use rampwatch::sandbox::fake_api::{FakeApi, FakeApiOptions, NewOffRamp};
use rampwatch::sandbox::{USDC, USDC_E};
use tokio::process::Child;

use super::{KEY, Place, Ran};
use crate::support::eventually;
use crate::support::node::{LogSpec, Node, NodeOptions, ScriptedChain, Token};
use crate::support::records::address;

pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// A chain, an API, and a configuration for both.
pub(super) struct World {
    pub(super) chain: ScriptedChain,
    pub(super) node: Node,
    pub(super) api: FakeApi,
    pub(super) place: Place,
    pub(super) listen: SocketAddr,
}

/// A port that is free now.
pub(super) fn free_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl World {
    pub(super) async fn new() -> Self {
        let chain = ScriptedChain::of_the_example();
        let node = Node::start(&chain, NodeOptions::default());
        let options = FakeApiOptions { api_key: KEY.to_owned(), ..FakeApiOptions::default() };
        let api = FakeApi::start(options).await.unwrap();
        let listen = free_port();
        let place = Place::offline();
        place.edit("127.0.0.1:0", &listen.to_string());
        place.edit("http = \"http://127.0.0.1:9/", &format!("http = \"{}/", node.url()));
        place.edit("ws = \"ws://127.0.0.1:9/", &format!("ws = \"{}/", node.ws_url()));
        place.edit("http://127.0.0.1:9/api", &api.base_url());
        place.edit("sweep_interval = \"60s\"", "sweep_interval = \"300ms\"");
        place.edit("poll_interval = \"40s\"", "poll_interval = \"300ms\"");
        Self { chain, node, api, place, listen }
    }

    /// Starts the daemon, and waits until it answers.
    pub(super) async fn start(&self) -> Child {
        let mut child = self.place.command(&["run"]).spawn().unwrap();
        let url = format!("http://{}/readyz", self.listen);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let (client, url) = (&client, &url);
        eventually(LIMIT, "the daemon is ready", || async move {
            client.get(url).send().await.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
        assert!(child.try_wait().unwrap().is_none());
        child
    }

    pub(super) fn open(&self, n: u64, base_units: u128) -> PaymentId {
        let opened = self.api.open(NewOffRamp {
            deposit_address: Some(address(n)),
            amount: Amount::from_base_units(base_units),
            created_at: Some(Timestamp::from_secs(self.chain.head().time - 60)),
            ..NewOffRamp::default()
        });
        opened.unwrap().id
    }

    /// The first payment's deposit comes, and the daemon completes it.
    pub(super) async fn pay_and_complete(&self, id: &PaymentId, base_units: u128) {
        self.chain.append(LogSpec::transfer(USDC, address(0xf00d), address(1), base_units));
        self.chain.append_empty(6);
        eventually(LIMIT, "the payment is completed", || async {
            self.chain.append_empty(1);
            self.place.run(&["show", id.as_str(), "--json"]).await.json()["state"]["outcome"] == "completed"
        })
        .await;
    }
}

pub(super) async fn signal(child: &Child, name: &str) {
    let command = format!("kill -{name} {}", child.id().unwrap());
    let sent = tokio::process::Command::new("sh").args(["-c", &command]).status().await.unwrap();
    assert!(sent.success());
}

/// Stops the daemon, and returns what it said.
pub(super) async fn stop(child: Child, name: &str) -> Ran {
    let begun = Instant::now();
    signal(&child, name).await;
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10), "it took {:?}", begun.elapsed());
    Ran::of(output)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposit_is_completed_and_the_daemon_stops_when_told() {
    let world = World::new().await;
    let checked = world.place.run(&["config", "check"]).await.data();
    assert!(checked.contains("the nodes say chain 137") && checked.contains("USDC.e at"), "{checked}");
    let daemon = world.start().await;
    every_counter_that_alerts_look_at_is_at_zero(&world).await;
    let socket = world.place.path("rampwatch-data/operator.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!world.place.path("rampwatch-data/operator-token").exists(), "no token is made that nobody has named");
    let id = world.open(1, 25_000_000);
    let added = world.place.run(&["add", id.as_str(), "recipient-1"]).await.data();
    assert!(added.contains("25.00 USDC (from the API)"), "{added}");
    world.pay_and_complete(&id, 25_000_000).await;
    let (place, id) = (&world.place, id.as_str());
    let why = place.run(&["why", id]).await.data();
    assert!(why.contains("exactly this amount"), "{why}");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let (client, url) = (&client, &format!("http://{}/metrics", world.listen));
    eventually(LIMIT, "the payment is counted", || async move {
        let text = client.get(url).send().await.unwrap().text().await.unwrap();
        text.contains("rampwatch_payments{state=\"ended\"} 1") && text.contains("rampwatch_reviews 0")
    })
    .await;
    let ran = stop(daemon, "TERM").await;
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    assert!(!socket.exists(), "it goes with the daemon");
    assert!(ran.err.contains("rampwatch is up") && ran.err.contains("rampwatch is down"), "{}", ran.err);
    let after = place.run(&["show", id, "--json"]).await.json();
    assert_eq!(after["state"]["outcome"], "completed", "the store is free again, and has kept it");
    let checked = place.run(&["store", "check"]).await.data();
    assert!(checked.contains("1 payments, 1 deposits") && checked.contains("ok: every record reads"), "{checked}");
}

async fn every_counter_that_alerts_look_at_is_at_zero(world: &World) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let text = client.get(format!("http://{}/metrics", world.listen)).send().await.unwrap().text().await.unwrap();
    let counters: [(&str, &[&str]); 3] = [
        (
            "rampwatch_alarms_total{alarm=",
            &[
                "gone_after_final",
                "missed_by_first_reading",
                "log_withheld",
                "malformed_log",
                "finality_stalled",
                "key_refused",
                "funding_stuck",
                "moved_nothing",
                "wallet_halted",
                "low_token",
                "low_native",
                "operators_disagree",
                "agreement_missing",
                "chain_unread",
                "endpoint_contradicts",
                "endpoint_stalled",
                "coverage_above_head",
                "auto_unlimited",
                "not_listening",
                "record_unreadable",
                "address_pattern",
                "standstill",
                "store_incomplete",
                "api_unanswered",
            ],
        ),
        ("rampwatch_completions_total{result=", &["taken", "not_now", "unclear", "key_refused", "refused"]),
        (
            "rampwatch_rpc_errors_total{endpoint=\"primary\",class=",
            &["timeout", "connection", "server", "rate-limit", "refused"],
        ),
    ];
    for (start, values) in counters {
        for value in values {
            let line = format!("{start}\"{value}\"}} 0\n");
            assert!(text.contains(&line), "no {line} in {text}");
        }
    }
    // Each alarm that is shown is one of those above.
    assert_eq!(text.matches("rampwatch_alarms_total{").count(), 24, "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_one_daemon_has_the_store() {
    let world = World::new().await;
    let daemon = world.start().await;
    world.place.run(&["run"]).await.fails_among_logs(6, "is in use");
    let ran = stop(daemon, "INT").await;
    assert_eq!(ran.code, 0, "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_chain_is_refused_at_start() {
    let world = World::new().await;
    world.chain.set_chain_id(80_002);
    let ran = world.place.run(&["run"]).await;
    ran.fails_among_logs(3, "80002");
    world.place.run(&["config", "check"]).await.fails(3, &["80002"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f19_a_second_endpoint_of_another_chain_is_shut_out_with_an_alarm() {
    let world = World::new().await;
    let wrong = Node::start(&world.chain, NodeOptions::default());
    wrong.behave(|it| it.chain_id = Some(80_002));
    let second = format!("[[rpc.endpoints]]\nname = \"wrong\"\nhttp = \"{}\"\n\n[api]", wrong.url());
    world.place.edit("[api]", &second);
    world.place.run(&["config", "check"]).await.fails(3, &["wrong", "80002"]);
    let daemon = world.start().await;
    let told = || async { world.place.run(&["events"]).await.data().contains("80002") };
    eventually(LIMIT, "the alarm", told).await;
    let ran = stop(daemon, "TERM").await;
    assert_eq!(ran.code, 0, "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn config_check_lists_each_endpoint_and_one_is_enough() {
    let world = World::new().await;
    let second =
        format!("[[rpc.endpoints]]\nname = \"spare\"\nhttp = \"http://127.0.0.1:9/{}\"\n\n[api]", super::RPC_KEY);
    world.place.edit("[api]", &second);
    let checked = world.place.run(&["config", "check"]).await.data();
    for line in ["ok: endpoint primary answers over http\n", "ok: endpoint primary answers over ws\n"] {
        assert!(checked.contains(line), "{checked}");
    }
    assert!(checked.contains("cannot be reached: endpoint spare over http: "), "{checked}");
    assert!(checked.contains("ok: the store can be kept at "), "{checked}");
    let json = world.place.run(&["config", "check", "--json"]).await.json();
    assert_eq!((&json["endpoints"][0]["name"], &json["endpoints"][0]["over"]), (&"primary".into(), &"http".into()));
    assert_eq!((&json["endpoints"][2]["ok"], json["endpoints"][2]["why"].is_string()), (&false.into(), true));
    assert!(!world.place.path("rampwatch-data").exists(), "a check makes no store");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_contradicts_the_configuration_is_told_by_its_key() {
    let world = World::new().await;
    world.chain.set_token(USDC_E, Token::new("USDC.e", 18));
    let other = &["chain.other_tokens[0].decimals is 6", "18", &USDC_E.to_string()];
    world.place.run(&["config", "check"]).await.fails(3, other);
    world.place.run(&["run"]).await.fails_among_logs(3, "chain.other_tokens[0].decimals is 6");
    world.chain.set_token(USDC, Token::new("USDC", 8));
    world.place.run(&["config", "check"]).await.fails(3, &["chain.token.decimals is 6", "8", &USDC.to_string()]);
    world.place.edit(&USDC_E.to_string(), "0x0000000000000000000000000000000000000e0e");
    world.chain.set_token(USDC, Token::new("USDC", 6));
    world.place.run(&["config", "check"]).await.fails(3, &["chain.other_tokens[0].address is", "decimals()"]);
}

impl Ran {
    /// As [`Ran::fails`], for a command that logs to stderr too.
    #[track_caller]
    pub(super) fn fails_among_logs(self, code: i32, words: &str) {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{}", self.err);
        let told: Vec<&str> = self.err.lines().filter(|line| line.starts_with("error: ")).collect();
        assert!(told.len() == 1 && told[0].contains(words), "{}", self.err);
    }
}
