//! Stores of schema version 1, which had no index of the payments that wait: they are taken to this program's version when they are
//! opened, wherever that is cut short.

use std::path::{Path, PathBuf};

use rampwatch::adapters::sled::{Settings, SledStore, StoreOpenError};
use rampwatch::domain::payment::{Payment, PaymentState};
use rampwatch::domain::record::RecordKind;
use rampwatch::ports::store::{Commit, Store, Subject};
use tempfile::TempDir;

use super::trace::strace;
use super::{child, desk, funding, raw, specimens};
use crate::support::records;

/// A store as the program with schema version 1 left it, with one record of every shape that it knew.
const GOLDEN_V1: &str = include_str!("golden_v1.txt");

/// A store as the program with schema version 2 left it, with one record of every shape that it knew.
const GOLDEN_V2: &str = include_str!("golden_v2.txt");

/// The same of schema version 3, in which each event had a record of its own.
const GOLDEN_V3: &str = include_str!("golden_v3.txt");

/// More payments than are taken up at a time.
const MANY: u64 = 2_300;

fn open(path: &Path) -> Result<SledStore, StoreOpenError> {
    SledStore::open(path, &Settings::default())
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    (folder, path)
}

/// Makes the store of [`GOLDEN_V1`].
fn restored() -> (TempDir, PathBuf) {
    let (folder, path) = folder();
    raw::restore(&path, GOLDEN_V1.lines());
    std::fs::write(path.join("lock"), "This folder is a store.\n").unwrap();
    assert!(raw::dump(&path).into_iter().eq(GOLDEN_V1.lines()));
    (folder, path)
}

/// Makes a store of version 1 with many payments, of which every fifth does not wait. Gives the entries of the index that
/// it has to get.
pub(super) async fn large(path: &Path) -> Vec<String> {
    let store = open(path).unwrap();
    let seen = PaymentState::Seen { deposit: records::deposit_key(1) };
    let state = |n| if n % 5 == 0 { seen.clone() } else { PaymentState::Waiting };
    let all: Vec<Payment> = (1..=MANY).map(|n| Payment { state: state(n), ..records::payment(n) }).collect();
    for payments in all.chunks(500) {
        store.commit(Commit { payments: payments.to_vec(), ..Commit::default() }).await.unwrap();
    }
    drop(store);
    let waiting: Vec<String> = waiting_entries(path);
    assert_eq!(raw::remove(path, b"q"), waiting.len());
    raw::put(path, b"SCHEMA", br#"{"version":1}"#);
    let expected = all.iter().filter(|payment| payment.state == PaymentState::Waiting);
    assert!(waiting.iter().eq(&expected.map(|payment| format!("q{0} => P{0}", payment.id)).collect::<Vec<_>>()));
    waiting
}

fn waiting_entries(path: &Path) -> Vec<String> {
    raw::dump(path).into_iter().filter(|line| line.starts_with('q')).collect()
}

fn is_of_version(path: &Path, version: u64) -> bool {
    raw::dump(path).contains(&format!("SCHEMA => {{\"version\":{version}}}"))
}

#[tokio::test]
async fn the_form_of_version_1_is_still_read() {
    let (_folder, path) = restored();
    let store = open(&path).unwrap();
    let raised = |payment: Payment| Payment { version: 1, ..payment };
    let payments: Vec<Payment> = specimens::payments().into_iter().take(20).map(raised).collect();
    assert_eq!(store.payments(None, 99).await.unwrap(), payments);
    assert!(payments.iter().all(|payment| payment.terms.bank_account.is_none()), "which version 1 did not know");
    let deposits = specimens::deposits().into_iter().take(22).map(|mut deposit| {
        deposit.version = 1;
        deposit
    });
    assert_eq!(store.deposits(None, 99).await.unwrap(), deposits.collect::<Vec<_>>());
    let events = specimens::events().into_iter().take(18).collect::<Vec<_>>();
    let read = store.events(0, 99).await.unwrap();
    assert_eq!(read.into_iter().map(|recorded| recorded.event).collect::<Vec<_>>(), events);
    assert_eq!(store.watched(None, usize::MAX).await.unwrap().len(), 3);
    assert_eq!(store.finality().await.unwrap().unwrap().highest, specimens::finality().highest);
    assert_eq!(store.orders(None, 9).await.unwrap(), []);
    assert_eq!(store.wallet().await.unwrap(), None);
}

#[tokio::test]
async fn a_store_of_version_1_gets_its_index_and_nothing_else_changes() {
    let (_folder, path) = restored();
    let store = open(&path).unwrap();
    let found = store.waiting(None, 9).await.unwrap();
    assert_eq!(found.iter().map(|payment| payment.id.as_str()).collect::<Vec<_>>(), ["pay-000001"]);
    drop(store);
    let mut expected: Vec<String> = GOLDEN_V1.lines().map(str::to_owned).collect();
    let schema = expected.iter().position(|line| line == "SCHEMA => {\"version\":1}").unwrap();
    expected[schema] = "SCHEMA => {\"version\":4}".to_owned();
    expected.push("qpay-000001 => Ppay-000001".to_owned());
    let mut dump = raw::dump(&path);
    expected.sort_unstable();
    dump.sort_unstable();
    for (stored, expected) in dump.iter().zip(&expected) {
        assert_eq!(stored, expected);
    }
    assert_eq!(dump.len(), expected.len());

    let store = open(&path).unwrap();
    let mut payment = store.waiting(None, 9).await.unwrap().remove(0);
    payment.state = PaymentState::Seen { deposit: records::deposit_key(1) };
    store.commit(Commit { payments: vec![payment], ..Commit::default() }).await.unwrap();
    assert_eq!(store.waiting(None, 9).await.unwrap(), [], "the entry goes as any other");
    drop(store);
    assert_eq!(waiting_entries(&path), Vec::<String>::new());
}

#[tokio::test]
async fn a_store_with_many_payments_is_taken_over_wholly() {
    let (_folder, path) = folder();
    let waiting = large(&path).await;
    let store = open(&path).unwrap();
    assert_eq!(store.waiting(None, usize::MAX).await.unwrap().len(), waiting.len());
    drop(store);
    assert_eq!(waiting_entries(&path), waiting);
    assert!(is_of_version(&path, 4));
}

/// The older program takes up a store that was left half-way: the version is still its own. It moves payments on without
/// a look at the index that it does not know.
#[tokio::test]
async fn what_an_older_program_did_meanwhile_is_minded() {
    let (_folder, path) = folder();
    let waiting = large(&path).await;
    raw::put(&path, b"qpay-000005", b"Ppay-000005");
    raw::put(&path, b"qpay-000006", b"Ppay-000006");
    raw::put(&path, b"qgone", b"Pgone");
    drop(open(&path).unwrap());
    assert_eq!(waiting_entries(&path), waiting);
}

#[tokio::test]
async fn stores_of_versions_2_and_3_get_the_new_version_and_nothing_else_changes() {
    let later = funding::named_kinds().len() + desk::kinds().len();
    for (version, golden, later) in [(2, GOLDEN_V2, later), (3, GOLDEN_V3, 0)] {
        let (_folder, path) = folder();
        raw::restore(&path, golden.lines());
        std::fs::write(path.join("lock"), "This folder is a store.\n").unwrap();
        let store = open(&path).unwrap();
        let orders = golden.lines().filter(|line| line.starts_with("4f")).count();
        assert_eq!(store.orders(None, 99).await.unwrap().len(), orders);
        let webhooks = golden.lines().filter(|line| line.starts_with("4b776562686f6f6b00")).count();
        assert_eq!(store.records_page(RecordKind::Webhook, None, 9).await.unwrap().len(), webhooks);
        let known = specimens::events().len().checked_sub(later).unwrap();
        let told: Vec<_> = store.events(0, 999).await.unwrap().into_iter().map(|recorded| recorded.event).collect();
        assert_eq!(told, specimens::events().into_iter().take(known).collect::<Vec<_>>());
        drop(store);
        let raised = |line: &str| line.replace(&format!("{{\"version\":{version}}}"), "{\"version\":4}");
        assert_eq!(raw::dump(&path), golden.lines().map(raised).collect::<Vec<_>>());
    }
}

/// Events that each have a record of their own, and those that share one, are one ledger.
#[tokio::test]
async fn what_version_3_wrote_is_gone_on_with() {
    let (_folder, path) = folder();
    raw::restore(&path, GOLDEN_V3.lines());
    std::fs::write(path.join("lock"), "This folder is a store.\n").unwrap();
    let store = open(&path).unwrap();
    let events = specimens::events();
    let last = store.commit(Commit { events: events.clone(), ..Commit::default() }).await.unwrap();
    let count = u64::try_from(events.len()).unwrap();
    assert_eq!(last, 2 * count);
    let all: Vec<_> = events.iter().chain(&events).cloned().collect();
    for after in 0..last {
        for limit in [1, 3, 999] {
            let read = store.events(after, limit).await.unwrap();
            let expected = (after + 1..=last).take(limit).zip(all.iter().skip(usize::try_from(after).unwrap()));
            assert!(read.iter().map(|it| (it.seq, &it.event)).eq(expected), "{limit} after {after}");
        }
    }
    let payment = events.iter().find_map(|event| event.payment.clone()).expect("a payment's event");
    let about: Vec<_> = (1..).zip(&all).filter(|(_, event)| event.payment.as_ref() == Some(&payment)).collect();
    let subject = Subject::Payment(payment);
    assert!(about.len() > 2);
    for (nth, (seq, _)) in about.iter().enumerate() {
        let read = store.events_of(&subject, *seq, 2).await.unwrap();
        let read: Vec<_> = read.iter().map(|it| (it.seq, &it.event)).collect();
        assert_eq!(read, about.iter().copied().skip(nth + 1).take(2).collect::<Vec<_>>(), "after {seq}");
    }
}

#[tokio::test]
async fn a_store_of_this_version_is_not_touched() {
    let (_folder, path) = folder();
    large(&path).await;
    drop(open(&path).unwrap());
    assert_eq!(raw::remove(&path, b"qpay-000001"), 1);
    let before = raw::dump(&path);
    drop(open(&path).unwrap());
    assert_eq!(raw::dump(&path), before);
}

#[tokio::test]
async fn an_unreadable_payment_is_named_and_the_version_stays() {
    let (_folder, path) = folder();
    large(&path).await;
    raw::put(&path, b"Ppay-001777", b"{\"id\":7}");
    for _ in 0..2 {
        let error = open(&path).err().unwrap();
        assert!(matches!(error, StoreOpenError::Unreadable { .. }), "{error}");
        assert!(error.to_string().contains("pay-001777"), "{error}");
        assert!(is_of_version(&path, 1), "the older program can still open it");
    }
}

/// Opens a copy of the store in a child that dies at the `turn`th call of a kind; tells whether it got through.
fn killed_at(call: &str, turn: usize, original: &Path, folder: &Path) -> (bool, PathBuf) {
    let copy = folder.join(format!("{call}-{turn}"));
    std::fs::create_dir_all(copy.join("blobs")).unwrap();
    for file in ["db", "conf", "lock"] {
        std::fs::copy(original.join(file), copy.join(file)).unwrap();
    }
    let inject = format!("inject={call}:signal=KILL:when={turn}");
    let words = strace(&folder.join("trace"), &["-e", &format!("trace={call}"), "-e", &inject]);
    let out = child::command(&words, &copy, 0, 0).output().unwrap();
    let through = String::from_utf8_lossy(&out.stdout).contains("changes 0");
    assert_eq!(through, out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    (through, copy)
}

/// Killed at every fdatasync of the data file, and at writes to it (which are counted for each thread of the database by
/// itself, so that how many there are is not known).
#[tokio::test]
async fn a_step_that_is_cut_short_is_done_again() {
    let (folder, path) = folder();
    let waiting = large(&path).await;
    for (call, deaths, parts) in [("fdatasync", 4, 3), ("pwrite64", 1, 0)] {
        let mut half_way = 0;
        let mut turn = 1;
        loop {
            let (through, copy) = killed_at(call, turn, &path, folder.path());
            let found = waiting_entries(&copy);
            if is_of_version(&copy, 4) {
                assert!(found == waiting, "{call} {turn}: the version was written before the index");
            } else {
                assert!(!through, "{call} {turn}");
                half_way += usize::from(!found.is_empty());
            }
            drop(open(&copy).unwrap());
            assert!(waiting_entries(&copy) == waiting && is_of_version(&copy, 4), "{call} {turn}");
            std::fs::remove_dir_all(copy).unwrap();
            if through {
                break;
            }
            turn += 1;
        }
        assert!(turn > deaths, "{call}: it died {} times only", turn - 1);
        assert!(half_way >= parts, "{call}: {half_way} times with a part of the index");
    }
}
