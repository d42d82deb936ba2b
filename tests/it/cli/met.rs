//! What others met in the wild, through the program itself: nodes that say odd things. Each is a public bug report that stopped
//! an earlier version for good while it said that all was well.

use std::time::Duration;

use rampwatch::domain::payment::PaymentId;
use rampwatch::sandbox::USDC;
use serde_json::Value;

use super::running::{LIMIT, World, stop};
use crate::closed_loop::rig::Ticker;
use crate::support::eventually;
use crate::support::node::{LogSpec, Refusal};
use crate::support::records::address;

impl World {
    /// A world that polls.
    async fn polling() -> Self {
        let world = Self::new().await;
        world.place.edit(&format!("ws = \"{}", world.node.ws_url()), "#");
        world.place.edit("stall_after = \"2m\"", "stall_after = \"1s\"");
        world
    }

    /// Opens a payment of so much at the nth address, and adds it.
    async fn add(&self, n: u64, base_units: u128) -> PaymentId {
        let id = self.open(n, base_units);
        let added = self.place.run(&["add", id.as_str(), "recipient-1"]).await;
        assert_eq!(added.code, 0, "{}", added.err);
        id
    }

    fn pay(n: u64, base_units: u128) -> LogSpec {
        LogSpec::transfer(USDC, address(0xf00d), address(n), base_units)
    }

    /// Blocks are made until all of them are completed.
    async fn are_completed(&self, ids: &[&PaymentId]) {
        for id in ids {
            eventually(LIMIT, "the payment is completed", || async {
                self.chain.append_empty(1);
                self.place.run(&["show", id.as_str(), "--json"]).await.json()["state"]["outcome"] == "completed"
            })
            .await;
        }
    }

    async fn readyz(&self) -> (u16, Value) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(format!("http://{}/readyz", self.listen)).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// How often it was told that something stands still.
    async fn standstills(&self) -> String {
        self.metric("rampwatch_alarms_total{alarm=\"standstill\"}").await
    }

    async fn metric(&self, name: &str) -> String {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(format!("http://{}/metrics", self.listen)).send().await.unwrap();
        let text = answer.text().await.unwrap();
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.unwrap_or_default().to_owned()
    }
}

/// erigontech/erigon#17249, #14551, 0xPolygon/erigon#97.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r1_payments_in_one_block_are_completed_though_their_logs_share_an_index() {
    let world = World::polling().await;
    world.node.behave(|it| it.odd.zero_indexes = true);
    let daemon = world.start().await;
    let ids = [world.add(1, 25_000_000).await, world.add(2, 26_000_000).await, world.add(3, 27_000_000).await];
    world.chain.append(vec![World::pay(1, 25_000_000), World::pay(2, 26_000_000)]);
    world.chain.append_empty(2);
    world.chain.append(World::pay(3, 27_000_000));
    world.are_completed(&[&ids[0], &ids[1], &ids[2]]).await;
    assert_eq!(world.standstills().await, "0");
    stop(daemon, "TERM").await;
}

/// blockscout/blockscout#7211: batches of more than so many are refused, with an error whose id is null.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r2_payments_are_completed_where_batches_are_refused_without_an_id() {
    for most in [1, 10] {
        let world = World::polling().await;
        let words = format!("batch limit {most} exceeded. Requested batch of size: 20");
        world.node.behave(|it| {
            it.max_batch = Some((most, Refusal::rpc(-32000, &words)));
            it.odd.refuses_in_list = true;
            it.no_log_times = true;
        });
        let opened: Vec<PaymentId> = (1..=12).map(|n| world.open(n, 25_000_000)).collect();
        for n in 1..=12 {
            world.chain.append(World::pay(n, 25_000_000));
        }
        world.chain.append_empty(6);
        let daemon = world.start().await;
        for id in &opened {
            assert_eq!(world.place.run(&["add", id.as_str(), "recipient-1"]).await.code, 0);
        }
        world.are_completed(&opened.iter().collect::<Vec<_>>()).await;
        stop(daemon, "TERM").await;
    }
}

/// l2beat/l2beat#11842, ethereum/go-ethereum#32334: the block's own header says when it was made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r5_a_wrong_time_in_a_log_decides_nothing() {
    for time in [0, 4_000_000_000] {
        let world = World::polling().await;
        world.node.behave(|it| it.odd.log_time = Some(time));
        let daemon = world.start().await;
        let id = world.add(1, 25_000_000).await;
        world.chain.append(World::pay(1, 25_000_000));
        world.chain.append_empty(6);
        world.are_completed(&[&id]).await;
        let reviews = world.place.run(&["reviews"]).await;
        assert!(reviews.err.contains("nothing needs a decision"), "{}{}", reviews.out, reviews.err);
        let stored = world.place.run(&["deposits", "--json"]).await.out;
        assert!(!stored.contains("1970-") && !stored.contains("2096-"), "{stored}");
        stop(daemon, "TERM").await;
    }
}

/// 0xPolygon/bor#2207, #1191, #937: nodes answer, and stand still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r6_a_chain_that_stands_still_is_told_though_nothing_is_pending() {
    let world = World::polling().await;
    let daemon = world.start().await;
    let id = world.add(1, 25_000_000).await;
    let head = world.chain.head().number;
    world.node.behave(|it| it.odd.stands_at = Some(head));
    eventually(LIMIT, "it is not ready any more", || async {
        let (status, body) = world.readyz().await;
        status == 503 && body["chain"].as_str().is_some_and(|word| word.contains("stayed the same"))
    })
    .await;
    eventually(LIMIT, "an alarm says so", || async { world.standstills().await == "1" }).await;
    world.chain.append(World::pay(1, 25_000_000));
    world.node.heal();
    world.are_completed(&[&id]).await;
    eventually(LIMIT, "it is ready again", || async {
        world.chain.append_empty(1);
        world.readyz().await.0 == 200
    })
    .await;
    let said = stop(daemon, "TERM").await.err;
    assert!(said.contains("what stood still goes on"), "{said}");
}

/// ethereum/go-ethereum#31939, paradigmxyz/reth#21122, erigontech/erigon#13198: a payment whose past is gone stops no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r7_a_payment_whose_past_no_node_has_stops_no_other() {
    for words in [Refusal::rpc(4444, "pruned history unavailable"), Refusal::rpc(-32603, "state at block #1 is pruned")]
    {
        let world = World::polling().await;
        world.place.edit("start_margin = \"10m\"", "start_margin = \"0s\"");
        world.place.edit("skew = \"2m\"", "skew = \"0s\"");
        world.place.edit("overlap_blocks = 32", "overlap_blocks = 2");
        // It is opened long before the others, and its past is gone.
        let old = world.open(9, 9_000_000);
        world.chain.append_empty(200);
        let from = world.chain.head().number;
        world.node.behave(|it| it.odd.no_logs_below = Some((from, words.clone())));
        world.chain.append_empty(40);
        let daemon = world.start().await;
        let first = world.add(1, 25_000_000).await;
        world.chain.append(World::pay(1, 25_000_000));
        world.are_completed(&[&first]).await;
        assert_eq!(world.place.run(&["add", old.as_str(), "recipient-1"]).await.code, 0);
        let second = world.add(2, 26_000_000).await;
        world.chain.append(World::pay(2, 26_000_000));
        world.are_completed(&[&second]).await;
        eventually(LIMIT, "it is told whose blocks cannot be read", || async {
            let (status, body) = world.readyz().await;
            status == 200 && body["troubles"].to_string().contains("cannot be read")
        })
        .await;
        eventually(LIMIT, "an alarm says so", || async { world.standstills().await == "1" }).await;
        // What comes in from now on is found for that one too.
        world.chain.append(World::pay(9, 9_000_000));
        world.are_completed(&[&old]).await;
        stop(daemon, "TERM").await;
    }
}

/// One block that no node can read (paradigmxyz/reth#27002): what is in all others is found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_cannot_be_read_stops_nobody() {
    let world = World::polling().await;
    let daemon = world.start().await;
    let first = world.add(1, 25_000_000).await;
    // It stays open, so that there is something to look for.
    world.add(2, 26_000_000).await;
    world.chain.append_empty(3);
    let lost = world.chain.head().number;
    world.node.behave(|it| it.odd.lost_blocks = std::collections::BTreeSet::from([lost]));
    world.chain.append_empty(3);
    world.chain.append(World::pay(1, 25_000_000));
    world.are_completed(&[&first]).await;
    eventually(LIMIT, "it is told", || async {
        world.readyz().await.1["troubles"].to_string().contains("cannot be read")
    })
    .await;
    world.node.heal();
    eventually(Duration::from_secs(100), "all of it is read when it can be", || async {
        !world.readyz().await.1["troubles"].to_string().contains("cannot be read")
    })
    .await;
    stop(daemon, "TERM").await;
}

/// alloy-rs/alloy#3948: a websocket that no client can read is named once, is not said to work, and delays nothing beyond a poll.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r16_why_a_websocket_is_not_used_is_said_once() {
    let greeting = Some(r#"{"status":"connected"}"#.to_owned());
    for (binary_pushes, greeting, words) in [(true, None, "sent binary frames"), (false, greeting, "is no JSON-RPC")] {
        let world = World::new().await;
        world.node.behave(|it| (it.ws.binary_pushes, it.ws.greeting) = (binary_pushes, greeting));
        let daemon = world.start().await;
        let id = world.add(1, 25_000_000).await;
        world.chain.append(World::pay(1, 25_000_000));
        world.are_completed(&[&id]).await;
        // Somebody is watched, so that it is tried again.
        world.add(2, 26_000_000).await;
        eventually(LIMIT, "it is tried several times", || async {
            world.chain.append_empty(1);
            let ends = world.metric("rampwatch_subscription_ends_total{endpoint=\"primary\"}").await;
            assert!(ends.parse::<u64>().unwrap_or(0) < 2 || world.metric("rampwatch_subscription_live").await == "0");
            ends.parse::<u64>().unwrap_or(0) > 3
        })
        .await;
        let ticker = Ticker::start(&world.chain, Duration::from_millis(200));
        let doctor = world.place.run(&["doctor"]).await;
        drop(ticker);
        assert!(doctor.out.contains(words), "{}{}", doctor.out, doctor.err);
        assert!(!doctor.out.contains("check the ws URL"), "{}", doctor.out);
        let said = stop(daemon, "TERM").await.err;
        let lines = said.lines().filter(|line| line.contains("no websocket subscription")).count();
        assert!(lines == 1 && said.contains(words), "{said}");
    }
}
