//! `rampwatch events`: what happened, and what happens.

use std::process::Stdio;
use std::time::Duration;

use rampwatch::adapters::sled::{Settings, SledStore};
use rampwatch::ports::store::{Commit, Store as _};
use rampwatch::view::EventView;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::time::timeout;

use super::Place;
use crate::support::desk::Desk;
use crate::support::records::{event, payment_id};

const LIMIT: Duration = Duration::from_secs(30);

fn happened(numbers: std::ops::RangeInclusive<u64>) -> Commit {
    let events = numbers.map(|n| event(Some(payment_id(n % 3)), None, &format!("number {n}"))).collect();
    Commit { events, ..Commit::default() }
}

#[tokio::test]
async fn the_newest_are_shown_unless_asked_otherwise() {
    let place = Place::offline();
    let store = SledStore::open(&place.path("rampwatch-data"), &Settings::default()).unwrap();
    store.commit(happened(1..=30)).await.unwrap();
    drop(store);
    let newest = place.run(&["events"]).await.data();
    let lines: Vec<&str> = newest.lines().collect();
    assert_eq!(lines.len(), 20, "{newest}");
    assert_eq!(lines[0], "    11  2026-09-21T14:13:20Z [pay-000002] A person decided: number 11, because \"a test\".");
    let some = place.run(&["events", "--after", "3", "--limit", "2", "--json"]).await;
    assert_eq!((some.code, some.err.as_str()), (0, ""));
    let page: serde_json::Value = serde_json::from_str(&some.out).unwrap();
    assert_eq!((page["items"][0]["seq"].as_u64(), page["next"].as_str()), (Some(4), Some("5")));
    let more = place.run(&["events", "--after", "0", "--limit", "2"]).await;
    assert!(more.err.contains("--after 2") && more.out.lines().count() == 2, "{}{}", more.out, more.err);
    place.run(&["events", "--follow"]).await.fails(6, &["no daemon runs", "`rampwatch run`"]);
    place.run(&["events", "--limit", "0"]).await.fails(2, &["--limit"]);
}

#[tokio::test]
async fn what_happens_is_followed_until_the_daemon_stops() {
    let desk = Desk::open().await;
    let place = Place::for_daemon(desk.listen, &desk.token_file());
    desk.store.commit(happened(1..=5)).await.unwrap();
    assert_eq!(place.run(&["events"]).await.data().lines().count(), 5);
    let mut command = place.command(&["events", "--follow", "--json", "--limit", "2"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for expected in 4..=8 {
        if expected == 6 {
            desk.store.commit(happened(6..=8)).await.unwrap();
        }
        let line = timeout(LIMIT, lines.next_line()).await.expect("an event comes").unwrap().expect("it goes on");
        let event: EventView = serde_json::from_str(&line).unwrap();
        assert_eq!(event.seq, expected);
    }
    desk.stop();
    let ended = timeout(LIMIT, child.wait()).await.expect("it ends with the daemon").unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
    assert_eq!(ended.code(), Some(6), "{said}");
    assert!(said.contains("the daemon has stopped") && said.contains("rampwatch events --follow --after 8"), "{said}");
}
