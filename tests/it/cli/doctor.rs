//! `rampwatch doctor`: everything is asked, each fault that is planted is named, and nothing is changed.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use rampwatch::sandbox::USDC;
use rampwatch::sandbox::fake_api::{Call, Fault};
use serde_json::Value;

use super::running::{World, stop};
use super::{KEY, Ran};
use crate::support::node::{Finalized, MethodFault, Node, NodeOptions, Refusal, Rules, ScriptedChain, Token};

/// A world whose chain goes on, a block each second, with two endpoints.
struct Clinic {
    world: World,
    second: Node,
    ticking: tokio::task::JoinHandle<()>,
}

impl Drop for Clinic {
    fn drop(&mut self) {
        self.ticking.abort();
    }
}

impl Clinic {
    async fn new() -> Self {
        let world = World::new().await;
        // The chain of the world is some minutes behind.
        world.chain.append_empty(95);
        world.chain.set_block_time(1);
        let chain: ScriptedChain = world.chain.clone();
        let ticking = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                chain.append_empty(1);
            }
        });
        let second = Node::start(&world.chain, NodeOptions::default());
        let section = format!(
            "[[rpc.endpoints]]\nname = \"second\"\nhttp = \"{}\"\nws = \"{}\"\n\n[api]",
            second.url(),
            second.ws_url()
        );
        world.place.edit("[api]", &section);
        Self { world, second, ticking }
    }

    async fn examine(&self) -> Diagnosis {
        Diagnosis::of(self.world.place.run(&["doctor", "--json"]).await)
    }
}

struct Diagnosis {
    code: i32,
    report: Value,
}

impl Diagnosis {
    fn of(ran: Ran) -> Self {
        let report = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {} {}", ran.out, ran.err));
        Self { code: ran.code, report }
    }

    fn of_grade(&self, grade: &str) -> Vec<String> {
        let findings = self.report["findings"].as_array().unwrap().iter();
        let said = findings.filter(|finding| finding["grade"] == grade).map(|finding| {
            let text = |key: &str| finding[key].as_str().unwrap().to_owned();
            assert!(grade == "ok" || !text("remedy").is_empty(), "{finding}");
            format!("{} {}: {}", text("check"), text("about"), text("found"))
        });
        said.collect()
    }

    /// Exactly one is of this grade and has these words, and there is nothing worse.
    #[track_caller]
    fn has(&self, grade: &str, words: &str) {
        let found = self.of_grade(grade);
        let having = found.iter().filter(|said| said.contains(words)).count();
        assert!(having == 1, "{words:?} as {grade} is there {having} times: {:#}", self.report);
        assert_eq!(self.code, i32::from(self.report["failures"] != 0), "{:#}", self.report);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_world_has_no_failures() {
    let clinic = Clinic::new().await;
    let found = clinic.examine().await;
    assert_eq!((found.code, found.of_grade("failure")), (0, vec![]), "{:#}", found.report);
    assert_eq!(found.of_grade("warning").len(), 1, "{:#}", found.report);
    found.has("warning", "daemon : none answers at http.socket");
    for words in [
        "endpoint primary: it answers over http, on chain 137",
        "endpoint second: it answers over ws",
        "endpoint primary: its newest block is 1000",
        "endpoint primary: its finalized block is 1000",
        "endpoint second: it gives the logs of 2000 blocks at once",
        "endpoint second: a subscription over its websocket brought a new head",
        "agreement : 2 endpoints have the same final block",
        "this machine's clock agrees with the payment API's",
        "this machine's clock agrees with the newest block's",
        "token USDC: 0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359 has 6 decimals",
        "api : it takes the key",
        "store : there is none yet, and one can be made",
        "wallet : none is configured",
        "webhook : none is configured",
        "files http.socket: nobody listens at ",
    ] {
        found.has("ok", words);
    }
    assert!(!clinic.world.place.path("rampwatch-data").exists(), "nothing was made");

    let daemon = clinic.world.start().await;
    let found = clinic.examine().await;
    found.has("ok", "daemon : it is ready (chain: idle, api: ok, store: ok, wallet: ok, workers: ok)");
    found.has("ok", "store : it is in use by a process that runs");
    assert_eq!(found.code, 0, "{:#}", found.report);
    let text = clinic.world.place.run(&["doctor"]).await.data();
    assert!(
        text.starts_with("ok       endpoint primary: ") && text.ends_with(" ok, 0 warnings, 0 failures\n"),
        "{text}"
    );
    assert_eq!(stop(daemon, "TERM").await.code, 0);
    clinic.examine().await.has("ok", "store : it has schema version 4");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_an_endpoint_is_named() {
    let clinic = Clinic::new().await;
    let Clinic { world, second, .. } = &clinic;
    second.behave(|it| it.max_range = Some((100, Refusal::rpc(-32005, "query exceeds max block range 100"))));
    second.behave(|it| it.ws.drop_pushes = true);
    second.behave(|it| it.finalized = Some(Finalized::Absent));
    let begun = Instant::now();
    let found = clinic.examine().await;
    assert!(begun.elapsed() < Duration::from_secs(50), "{:?}", begun.elapsed());
    found.has("warning", "endpoint second: it gives the logs of 100 blocks at once, and not of 2000");
    found
        .has("warning", "endpoint second: a subscription over its websocket brought no head: nothing came within 15 s");
    found.has("warning", "endpoint second: it has no block under the tag `finalized`");
    assert_eq!(found.code, 0, "the other one does all that: {:#}", found.report);

    second.heal();
    second.behave(|it| it.chain_id = Some(80_002));
    let found = clinic.examine().await;
    found.has("failure", "endpoint second: it is on chain 80002, and chain.id is 137");
    assert_eq!(found.code, 1);

    second.heal();
    second.set_mute(true);
    world.place.edit(
        "connect_timeout = \"5s\"\nrequest_timeout = \"10s\"",
        "connect_timeout = \"300ms\"\nrequest_timeout = \"500ms\"",
    );
    let found = clinic.examine().await;
    found.has("warning", "endpoint second: it cannot be used over http: ");
    world.node.set_mute(true);
    let found = clinic.examine().await;
    found.has("failure", "endpoint second: it cannot be used over http: ");
    found.has("failure", "endpoint primary: it cannot be used over ws: ");
    found.has("ok", "api : it takes the key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_on_two_chains_of_blocks_are_named() {
    let clinic = Clinic::new().await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    // Its times are never those of the first chain, however long that one took to begin.
    let fork = ScriptedChain::starting_at(1_000_000, now - 640);
    fork.append_empty(295);
    fork.set_finalized(Finalized::Below(2));
    let other = Node::start(&fork, NodeOptions::default());
    clinic.world.place.edit(&clinic.second.url(), &other.url());
    clinic.examine().await.has("failure", "agreement : the endpoints disagree on the final block 1000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_token_is_named() {
    let clinic = Clinic::new().await;
    let chain = &clinic.world.chain;
    chain.set_token(USDC, Token::new("USDC", 18));
    clinic.examine().await.has("failure", "has 18 decimals, and 6 are configured");
    let paused = Rules { paused: true, ..Rules::default() };
    chain.set_token(USDC, Token { rules: Some(paused), ..Token::new("FUSD", 6) });
    let found = clinic.examine().await;
    found.has("warning", "is paused");
    found.has("warning", "calls itself \"FUSD\"");
    clinic.world.place.edit(&USDC.to_string(), "0x0000000000000000000000000000000000000e0e");
    clinic.examine().await.has("failure", "token USDC: there is no contract at 0x");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_api_is_named() {
    let clinic = Clinic::new().await;
    let Clinic { world, .. } = &clinic;
    let with_key = world.place.command(&["doctor", "--json"]).env("RAMPWATCH_API_KEY", "sk_dev_another").output().await;
    Diagnosis::of(Ran::of(with_key.unwrap())).has("failure", "api : it refuses the key with HTTP 401");
    Diagnosis::of(world.place.run_without_key(&["doctor", "--json"]).await).has("failure", "RAMPWATCH_API_KEY");
    let down = Fault::Status { status: 502, html: true, retry_after: None, acts: false };
    world.api.fail_next(Call::Get, 1, down).unwrap();
    clinic.examine().await.has("failure", "api : it gives no clear answer: HTTP 502");
    world.place.edit(&world.api.base_url(), "http://127.0.0.1:9/api");
    clinic.examine().await.has("failure", "api : it gives no clear answer: no connection");
    // With a key in a file that others can read.
    world.place.edit("key_env = \"RAMPWATCH_API_KEY\"", "key_file = \"api-key\"");
    world.place.write("api-key", KEY);
    std::fs::set_permissions(world.place.path("api-key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let found = clinic.examine().await;
    found.has("failure", "files api.key_file: ");
    assert!(found.of_grade("failure").iter().any(|said| said.contains("mode 0644")), "{:#}", found.report);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_around_it_is_named() {
    let clinic = Clinic::new().await;
    let Clinic { world, .. } = &clinic;
    // A store whose folder is open, and that somebody has.
    let data = world.place.path("rampwatch-data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    clinic.examine().await.has("warning", "store : its folder can be reached by others (mode 0755)");
    std::fs::remove_dir(&data).unwrap();
    std::fs::write(&data, "a file").unwrap();
    clinic.examine().await.has("failure", "which is not a folder");
    // Something else at http.listen.
    let strange = tokio::net::TcpListener::bind(world.listen).await.unwrap();
    let served = tokio::spawn(async move { axum::serve(strange, axum::Router::new()).await });
    clinic.examine().await.has("failure", "daemon : what listens at http.listen does not answer as rampwatch does");
    served.abort();
    // A wallet whose key does not open.
    world
        .place
        .edit("[funding]\n", "[wallet]\nkeystore = \"wallet.json\"\npassword_env = \"RAMPWATCH_NO_SUCH\"\n[funding]\n");
    let found = clinic.examine().await;
    found.has("failure", "wallet : its key does not open: ");
    found.has("failure", "files wallet.keystore: ");
    clinic.world.node.fail_method("eth_getLogs", MethodFault::Hang);
    clinic.second.fail_method("eth_getLogs", MethodFault::Refuse(Refusal::rpc(-32601, "no logs here")));
    world.place.edit("request_timeout = \"10s\"", "request_timeout = \"1s\"");
    world.place.edit("connect_timeout = \"5s\"\nrequest", "connect_timeout = \"1s\"\nrequest");
    let found = clinic.examine().await;
    found.has("failure", "endpoint primary: it does not give logs: ");
    found.has("failure", "endpoint second: it gives no logs, not even of few blocks (no logs here");
}
