//! What was acknowledged is there after a kill, a full disk and a failing disk; and nothing is there in part.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Child;

use rampwatch::adapters::sled::{Settings, SledStore, StoreOpenError};
use rampwatch::domain::payment::Payment;
use rampwatch::ports::store::Store;

use super::child;
use super::trace::strace;

const WRITERS: u64 = 12;

/// What a child said.
#[derive(Default)]
pub(super) struct Said {
    pub(super) acknowledged: BTreeSet<(u64, u64)>,
    stopped: Vec<String>,
    changes: Option<usize>,
}

/// Reads what the child says until it ends; after `until` acknowledgements it is killed.
pub(super) fn listen(mut child: Child, until: usize) -> Said {
    let mut said = Said::default();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(ack) = child::acknowledged(&line) {
            said.acknowledged.insert(ack);
        } else if line.starts_with("stopped ") {
            said.stopped.push(line);
        } else if let Some(changes) = line.strip_prefix("changes ") {
            said.changes = Some(changes.parse().unwrap());
        }
        if said.acknowledged.len() == until {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    said
}

/// Opens the store and checks that it holds whole commits only. Returns how many turns each writer made.
async fn check(folder: &Path) -> BTreeMap<u64, u64> {
    let store = SledStore::open(folder, &Settings::default()).unwrap();
    let payments = store.payments(None, usize::MAX).await.unwrap();
    let mut turns = BTreeMap::new();
    let mut added = BTreeSet::new();
    for Payment { id, quiet_checks, version, .. } in &payments {
        let number: u64 = id.as_str().strip_prefix("pay-").unwrap().parse().unwrap();
        let (writer, turn) = (number / child::APART, number % child::APART);
        if turn == 0 {
            assert_eq!(*version, u64::from(*quiet_checks));
            turns.insert(writer, u64::from(*quiet_checks));
        } else {
            added.insert(child::mark(writer, turn));
        }
    }
    let expected = turns.iter().flat_map(|(writer, turns)| (1..=*turns).map(|turn| child::mark(*writer, turn)));
    assert_eq!(added, expected.collect(), "a counter and the payments counted were stored together");
    let events = store.events(0, usize::MAX).await.unwrap();
    assert!((1..).zip(&events).all(|(expected, event)| event.seq == expected), "the numbers have no gap");
    let told = events.into_iter().map(|recorded| match recorded.event.kind {
        rampwatch::domain::event::EventKind::PersonDecided { action, .. } => action,
        other => panic!("{other:?} was never stored"),
    });
    assert_eq!(told.collect::<BTreeSet<_>>(), added, "and so were the events");
    turns
}

pub(super) fn assert_kept(acknowledged: &BTreeSet<(u64, u64)>, turns: &BTreeMap<u64, u64>) {
    for (writer, turn) in acknowledged {
        assert!(turns.get(writer) >= Some(turn), "turn {turn} of writer {writer} was acknowledged, and is lost");
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    for acks in [1, 40, 97, 150, 263] {
        let child = child::command(&[], &path, WRITERS, 5_000).spawn().unwrap();
        let said = listen(child, acks);
        assert!(said.acknowledged.len() >= acks, "it was killed after {} of {acks}", said.acknowledged.len());
        assert_eq!((said.stopped.len(), said.changes), (0, None), "it was killed");
        assert_kept(&said.acknowledged, &check(&path).await);
    }
}

#[tokio::test]
async fn another_process_is_refused_while_one_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut running = child::command(&[], &path, 1, 5_000).spawn().unwrap();
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| child::acknowledged(&line.unwrap()).is_some()));
    let refused = SledStore::open(&path, &Settings::default()).err().unwrap();
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(matches!(refused, StoreOpenError::Locked { .. }), "{refused}");
    assert!(refused.to_string().contains("another rampwatch runs on it"), "{refused}");
    check(&path).await;
}

/// The limit on the size of files stands for a full disk: the write fails.
#[tokio::test]
async fn a_full_disk_stops_the_store_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let limited = ["sh", "-c", "trap '' XFSZ; ulimit -f 256; exec \"$0\" \"$@\""].map(str::to_owned);
    let child = child::command(&limited, &path, WRITERS, 200).spawn().unwrap();
    let said = listen(child, usize::MAX);
    assert_stopped(&said);
    assert_kept(&said.acknowledged, &check(&path).await);
}

/// The disk fails once, at one fdatasync, and says that all is well ever after. The store must not believe it.
#[tokio::test]
async fn a_disk_that_failed_once_is_not_believed_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let inject = ["-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=7"];
    let child = child::command(&strace(&folder.path().join("trace"), &inject), &path, WRITERS, 200).spawn().unwrap();
    let said = listen(child, usize::MAX);
    assert_stopped(&said);
    let why = "the data file cannot be made durable";
    assert!(said.stopped.iter().all(|line| line.contains(why)), "{:?}", said.stopped);
    assert_kept(&said.acknowledged, &check(&path).await);
}

fn assert_stopped(said: &Said) {
    let Said { acknowledged, stopped, changes } = said;
    assert!(!acknowledged.is_empty(), "some commits went well before");
    assert_eq!(u64::try_from(stopped.len()).unwrap(), WRITERS, "every writer was stopped: {stopped:?}");
    assert!(stopped.iter().all(|line| line.contains(" true the store failed: ")), "and stayed so: {stopped:?}");
    assert_eq!(*changes, Some(acknowledged.len()), "changes are told of durable commits only");
}
