//! A process of its own that uses a store, to be killed, traced or starved by a test: this very test binary, started
//! again with a job in its environment.
//!
//! It says `ack <writer> <turn>` on its standard output for every commit that was acknowledged, `stopped <writer> <for
//! good> <why>` when the store failed, and `changes <commits with payments>` at its end.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use rampwatch::adapters::sled::{Settings, SledStore};
use rampwatch::domain::payment::Payment;
use rampwatch::ports::store::{Commit, Store, StoreError};

use crate::support::records;

const STORE: &str = "RAMPWATCH_TEST_CHILD_STORE";
const WRITERS: &str = "RAMPWATCH_TEST_CHILD_WRITERS";
const TURNS: &str = "RAMPWATCH_TEST_CHILD_TURNS";
/// Set when each commit is to have an order too.
pub(super) const ORDERS: &str = "RAMPWATCH_TEST_CHILD_ORDERS";

/// Writers are this far apart in the numbers of their payments.
pub(super) const APART: u64 = 10_000;

/// The command that starts a child on the store in `folder`: `writers` tasks, each making `turns` commits. `before` is
/// put in front of it, such as a tracer.
pub(super) fn command(before: &[String], folder: &Path, writers: u64, turns: u64) -> Command {
    let me = std::env::current_exe().unwrap().into_os_string();
    let mut words = before.iter().map(Into::into).chain([me]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args(["--exact", "store::child::does_its_job", "--nocapture"]);
    command.env(STORE, folder).env(WRITERS, writers.to_string()).env(TURNS, turns.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// What a line of a child says: the writer and the turn.
pub(super) fn acknowledged(line: &str) -> Option<(u64, u64)> {
    let (writer, turn) = line.strip_prefix("ack ")?.split_once(' ')?;
    Some((writer.parse().unwrap(), turn.parse().unwrap()))
}

/// What a payment of a writer's turn is called in the event that comes with it.
pub(super) fn mark(writer: u64, turn: u64) -> String {
    format!("turn-{writer}-{turn}-made")
}

/// The number of the payment that a writer adds in a turn. Turn 0 is its counter.
pub(super) fn payment_of(writer: u64, turn: u64) -> u64 {
    writer.checked_mul(APART).and_then(|first| first.checked_add(turn)).unwrap()
}

/// Does nothing in the ordinary run of the tests: then no job is in the environment.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn does_its_job() {
    let Some(folder) = std::env::var_os(STORE) else { return };
    let number = |name| std::env::var(name).unwrap().parse::<u64>().unwrap();
    let store = Arc::new(SledStore::open(&PathBuf::from(folder), &Settings::default()).unwrap());
    let writers = (1..=number(WRITERS)).map(|writer| tokio::spawn(write(Arc::clone(&store), writer, number(TURNS))));
    for task in writers.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    say(&format!("changes {}\n", store.changes().borrow().payments));
}

async fn write(store: Arc<SledStore>, writer: u64, turns: u64) {
    for _ in 0..turns {
        match take_turn(&store, writer).await {
            Ok(turn) => say(&format!("ack {writer} {turn}\n")),
            Err(error) => return say_failed(&store, writer, &error).await,
        }
    }
}

async fn take_turn(store: &SledStore, writer: u64) -> Result<u64, StoreError> {
    let found = store.payment(&records::payment_id(payment_of(writer, 0))).await?;
    let old = found.unwrap_or_else(|| records::payment(payment_of(writer, 0)));
    let turn = u64::from(old.quiet_checks).checked_add(1).unwrap();
    let raised = Payment { quiet_checks: u32::try_from(turn).unwrap(), ..old };
    let added = records::payment(payment_of(writer, turn));
    let event = records::event(Some(added.id.clone()), None, &mark(writer, turn));
    let orders =
        if std::env::var_os(ORDERS).is_some() { vec![records::order(payment_of(writer, turn))] } else { vec![] };
    store.commit(Commit { payments: vec![raised, added], orders, events: vec![event], ..Commit::default() }).await?;
    Ok(turn)
}

/// The store has failed: it must stay so, for reading too.
async fn say_failed(store: &SledStore, writer: u64, error: &StoreError) {
    let mut failed = matches!(error, StoreError::Failed(_));
    for _ in 0..3 {
        let again = store.commit(Commit { payments: vec![records::payment(999_999)], ..Commit::default() }).await;
        failed &= matches!(again, Err(StoreError::Failed(_)));
        failed &= matches!(store.payment(&records::payment_id(1)).await, Err(StoreError::Failed(_)));
    }
    say(&format!("stopped {writer} {failed} {error}\n"));
}

fn say(line: &str) {
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}
