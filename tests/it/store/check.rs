//! A look through the whole store: each thing that should not be is planted, and named.

use std::path::{Path, PathBuf};

use rampwatch::adapters::sled::{Settings, SledStore, StoreFinding, StoreOpenError, check};
use rampwatch::domain::coverage::{Coverage, Swept};
use rampwatch::domain::deposit::{Deposit, MatchRule, Verdict};
use rampwatch::domain::event::{Event, EventKind, Reading, WalletChange};
use rampwatch::domain::order::{Order, OrderState, Spend};
use rampwatch::domain::payment::{Payment, PaymentState};
use rampwatch::domain::record::Record;
use rampwatch::ports::store::{Commit, Store};
use tempfile::TempDir;

use super::{desk, raw};
use crate::support::records::{self, at};

fn about(n: u64, kind: EventKind) -> Event {
    Event { at: at(n), payment: Some(records::payment_id(n)), deposit: None, kind }
}

/// A payment with its deposit, its order and its address, all explained by events, and the wallet's record.
fn explained(n: u64) -> Commit {
    let deposit = records::deposit(n);
    let state = PaymentState::Seen { deposit: deposit.key };
    let payment = Payment { state: state.clone(), next_at: Some(at(n)), ..records::payment(n) };
    let verdict = Verdict::Pays { payment: payment.id.clone(), rule: MatchRule::Exact };
    let attempt = records::attempt(0, 70 + n);
    let sending = OrderState::Sending { nonce: 0, trouble: None };
    let order = Order { state: sending.clone(), attempts: vec![attempt.clone()], ..records::order(n) };
    let judged = EventKind::DepositJudged { verdict: verdict.clone() };
    let seen = EventKind::DepositSeen { deposit: Box::new(deposit.clone()), reading: Reading::Sweep };
    let of_deposit = |kind| Event { at: at(n), payment: None, deposit: Some(deposit.key), kind };
    let opened = WalletChange::Opened { next_nonce: 0 };
    let of_wallet = EventKind::WalletChanged { address: records::wallet_address(), change: opened };
    let from = Box::new(PaymentState::Waiting);
    let moved = EventKind::PaymentMoved { from, to: Box::new(state), why: "a test".to_owned() };
    let (before, to) = (Box::new(OrderState::Ready), Box::new(sending));
    let (id, why) = (order.id.clone(), "a test".to_owned());
    let placed = EventKind::OrderPlaced { order: Box::new(records::order(n)) };
    let registered =
        EventKind::RecordChanged { body: Box::new(desk::webhook("wh-1")), why: "was registered".to_owned() };
    let events = vec![
        about(n, EventKind::PaymentAdded { payment: Box::new(records::payment(n)) }),
        of_deposit(seen),
        of_deposit(judged),
        about(n, moved),
        Event { payment: None, ..about(n, of_wallet) },
        about(n, placed),
        Event { payment: None, ..about(n, registered) },
        about(n, EventKind::OrderMoved { order: id.clone(), from: before, to, spend: Spend::Counted, by: None, why }),
        about(n, EventKind::AttemptSigned { order: id, attempt: Box::new(attempt) }),
    ];
    Commit {
        payments: vec![payment],
        deposits: vec![Deposit { verdict, ..deposit }],
        coverage: vec![records::coverage(n)],
        finality: Some(records::finality(5)),
        orders: vec![order],
        wallet: Some(records::wallet(1)),
        records: vec![Record::new(desk::webhook("wh-1"), Some(at(3)))],
        events,
    }
}

/// A store with these commits.
async fn made(commits: impl IntoIterator<Item = Commit>) -> (TempDir, PathBuf) {
    let folder = crate::support::temp_dir();
    let path = folder.path().join("store");
    let store = SledStore::open(&path, &Settings::default()).unwrap();
    for commit in commits {
        store.commit(commit).await.unwrap();
    }
    (folder, path)
}

/// Each event has a record of its own.
async fn sound() -> (TempDir, PathBuf) {
    let mut records = explained(1);
    let events = std::mem::take(&mut records.events);
    let events = events.into_iter().map(|event| Commit { events: vec![event], ..Commit::default() });
    made(std::iter::once(records).chain(events)).await
}

/// The same with all events in as few records as they fit into.
async fn sound_and_shared() -> (TempDir, PathBuf) {
    made([explained(1)]).await
}

fn found(path: &Path) -> Vec<StoreFinding> {
    check(path).unwrap().findings
}

/// Plants something in a sound store, and expects to have these words said of this key, and nothing said of others.
async fn planted(plant: impl FnOnce(&Path), expected: &[(&str, &str)]) {
    let (_folder, path) = sound().await;
    plant_and_look(&path, plant, expected);
}

fn plant_and_look(path: &Path, plant: impl FnOnce(&Path), expected: &[(&str, &str)]) {
    plant(path);
    let before = raw::dump(path);
    let found = found(path);
    assert_eq!(raw::dump(path), before, "a check changes nothing");
    for (key, words) in expected {
        let named = found.iter().any(|finding| finding.key.starts_with(key) && finding.what.contains(words));
        assert!(named, "nothing says {words:?} of {key}: {found:#?}");
    }
    let unexpected: Vec<_> =
        found.iter().filter(|finding| !expected.iter().any(|(key, _)| finding.key.starts_with(key))).collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
}

/// Changes the text of a record.
fn edit(path: &Path, key: &[u8], from: &str, to: &str) {
    let text = raw::get(path, key).expect("the record is there");
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains(from), "{text}");
    raw::put(path, key, text.replace(from, to).as_bytes());
}

const PAYMENT: &[u8] = b"Ppay-000001";

fn event_key(number: u64) -> Vec<u8> {
    [b"E".as_slice(), &number.to_be_bytes()].concat()
}

#[tokio::test]
async fn a_sound_store_has_no_findings() {
    let (_folder, path) = sound().await;
    let report = check(&path).unwrap();
    assert_eq!(report.findings, []);
    let counts =
        (report.payments, report.deposits, report.orders, report.addresses + report.records - 1, report.events);
    assert_eq!(counts, (1, 1, 1, 1, 9));
    let lower = |line: &&String| {
        let first = line.chars().next().unwrap();
        first.is_ascii_lowercase() || line.starts_with('6') || line.starts_with('7')
    };
    let entries = raw::dump(&path).iter().filter(lower).count() as u64;
    assert_eq!(report.index_entries, entries, "{:#?}", raw::dump(&path));
}

#[tokio::test]
async fn records_that_are_not_as_they_should_be_are_named() {
    planted(|path| raw::put(path, PAYMENT, b"{}"), &[("Ppay", "cannot be read: ")]).await;
    planted(|path| edit(path, b"W", "\"next_nonce\":1", "\"next_nonce\":7"), &[("W", "next nonce is 7")]).await;
    planted(|path| edit(path, b"F", "\"version\":1", "\"version\":0"), &[("F", "version 0")]).await;
    planted(|path| raw::put(path, b"Zsomething", b"?"), &[("Zsomething", "knows nothing of such a key")]).await;
    planted(|path| assert!(raw::remove(path, b"W") > 0), &[("W", "record is missing")]).await;
    let long = format!("\"reason\":\"{}\"", "x".repeat(17_000));
    planted(
        |path| edit(path, b"W", "\"paused\":null", &format!("\"paused\":{{\"at\":1,{long}}}")),
        &[("W", "may have at most")],
    )
    .await;
    let other = |path: &Path| {
        let stored = raw::get(path, PAYMENT).unwrap();
        raw::put(path, b"Ppay-9", &stored);
    };
    planted(other, &[("Ppay-9", "payment pay-000001, which belongs elsewhere")]).await;
    let coverage = |path: &Path| {
        let swept = Swept { start: 10, covered_to: 20, confirmed_to: 30, second_reading: None };
        let wrong = Coverage { swept: Some(swept), version: 1, ..records::coverage(1) };
        let key = [b"C".as_slice(), records::address(1).as_slice()].concat();
        raw::put(path, &key, &serde_json::to_vec(&wrong).unwrap());
    };
    planted(coverage, &[("C", "read from 10 through 20, and a second time through 30")]).await;
}

#[tokio::test]
async fn indexes_that_lead_nowhere_are_named_on_both_sides() {
    let missing: [(&[u8], &str, &str); 7] = [
        (b"nf", "Ppay", "index entry nf"),
        (b"v", "D", "index entry v"),
        (b"w", "C", "index entry w"),
        (b"oo", "Opay", "index entry oo"),
        (b"ot", "Opay", "index entry ot"),
        (b"ed", "E", "index entry ed"),
        (b"kn", "Kwebhook", "index entry kn"),
    ];
    for (prefix, key, words) in missing {
        let mut key_findings = vec![(key, words)];
        // Without its own index the ledger of a deposit cannot be read either.
        if prefix == b"ed" {
            key_findings.push(("D", "no event tells of its verdict"));
        }
        planted(|path| assert!(raw::remove(path, prefix) > 0), &key_findings).await;
    }
    planted(|path| raw::put(path, b"qpay-000001", PAYMENT), &[("qpay-000001", "does not belong there")]).await;
    planted(|path| raw::put(path, b"qpay-7", b"Ppay-7"), &[("qpay-7", "which is missing")]).await;
    planted(|path| raw::put(path, b"eppay-000001", &event_key(1)), &[("eppay-000001", "does not belong there")]).await;
    planted(
        |path| assert!(raw::remove(path, b"D") > 0),
        &[("t", "which is missing"), ("v", "which is missing"), ("Ppay", "a deposit, which is missing")],
    )
    .await;
    planted(
        |path| assert!(raw::remove(path, b"C") > 0),
        &[("w", "which is missing"), ("Ppay", "an address, which is missing")],
    )
    .await;
}

#[tokio::test]
async fn a_ledger_that_comes_to_something_else_is_named() {
    // The wallet's opening: no subject lists it, and the nonce is told by the signature too.
    let gap = |path: &Path| assert_eq!(raw::remove(path, &event_key(5)), 1);
    planted(gap, &[("E", "event 6 comes where event 5 should"), ("W", "its address")]).await;
    let waiting = r#""state":{"is":"waiting"}"#;
    let seen = |path: &Path| String::from_utf8(raw::get(path, PAYMENT).unwrap()).unwrap();
    let moved = |path: &Path| {
        let text = seen(path);
        let state = text.split_once("\"state\":").unwrap().1.split_once(",\"api\"").unwrap().0.to_owned();
        edit(path, PAYMENT, &format!("\"state\":{state}"), waiting);
        raw::put(path, b"qpay-000001", PAYMENT);
    };
    planted(moved, &[("Ppay", "its state is Waiting, and the ledger comes to Seen")]).await;
    let given_back = |path: &Path| {
        let key = [b"Opay-000001\0".as_slice(), &1_u32.to_be_bytes()].concat();
        edit(path, &key, r#""spend":"counted""#, r#""spend":"given_back""#);
        raw::remove(path, b"os");
    };
    planted(given_back, &[("Opay", "its spend is GivenBack, and the ledger comes to Counted")]).await;
    let unread = |path: &Path| raw::put(path, &event_key(3), b"?");
    planted(unread, &[("E", "cannot be read"), ("D", "its verdict is Pays")]).await;
    let desk = |path: &Path| edit(path, b"Kwebhook\0wh-1", "treasury.example", "elsewhere.example");
    planted(desk, &[("Kwebhook", "something else than the ledger comes to")]).await;
    let paused = |path: &Path| edit(path, b"W", r#""paused":null"#, r#""paused":{"at":1,"reason":"x"}"#);
    planted(paused, &[("W", "its being paused is true, and the ledger comes to false")]).await;
}

#[tokio::test]
async fn events_that_share_a_record_are_looked_through_too() {
    let (_folder, path) = sound_and_shared().await;
    let report = check(&path).unwrap();
    assert_eq!((report.findings, report.events), (vec![], 9));
    let first = event_records(&path).remove(0);
    let text = String::from_utf8(raw::get(&path, &first).unwrap()).unwrap();
    let events: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert!(events.len() > 3, "they share: {text}");

    type Plant = Box<dyn Fn(&Path)>;
    let put = |bytes: Vec<u8>| -> Plant {
        let key = first.clone();
        Box::new(move |path| raw::put(path, &key, &bytes))
    };
    let without = |nth: usize| {
        let left = events.iter().enumerate().filter(|(at, _)| *at != nth).map(|(_, event)| event);
        put(serde_json::to_vec(&left.collect::<Vec<_>>()).unwrap())
    };
    let entry = |subject: &[u8]| [subject, &first[1..]].concat();
    let payment_entry = entry(b"eppay-000001\0");
    let foreign = entry(b"eppay-000009\0");
    let (removed, led) = (payment_entry.clone(), first.clone());
    let cases: Vec<(Plant, Vec<(&str, &str)>)> = vec![
        // The first event: the payment was added; the later ones tell of its state all the same.
        (without(0), vec![("E", "event 2 comes where event 1 should")]),
        // The third: what the deposit was taken for.
        (without(2), vec![("E", "event 2 comes where event 1 should"), ("D", "its verdict is Pays")]),
        (
            put(text.trim_end_matches(']').into()),
            vec![
                ("E", "cannot be read"),
                ("D", "no event tells of its verdict"),
                ("Ppay", "no event tells of its state"),
                ("W", ""),
                ("Opay", ""),
                ("Kwebhook", ""),
            ],
        ),
        (
            Box::new(move |path| assert_eq!(raw::remove(path, &removed), 1)),
            vec![("E", "index entry eppay-000001"), ("Ppay", "no event tells of its state"), ("Opay", "")],
        ),
        (Box::new(move |path| raw::put(path, &foreign, &led)), vec![("eppay-000009", "does not belong there")]),
    ];
    for (plant, expected) in cases {
        let (_folder, path) = sound_and_shared().await;
        plant_and_look(&path, plant, &expected);
    }
}

/// The keys of the event records, in their order.
fn event_records(path: &Path) -> Vec<Vec<u8>> {
    (1..=9).map(event_key).filter(|key| raw::get(path, key).is_some()).collect()
}

#[tokio::test]
async fn an_older_store_is_left_as_it_is() {
    let (_folder, path) = sound().await;
    raw::put(&path, b"SCHEMA", br#"{"version":1}"#);
    let before = raw::dump(&path);
    let error = check(&path).err().unwrap();
    assert!(matches!(error, StoreOpenError::Older { found: 1, .. }), "{error}");
    assert_eq!(raw::dump(&path), before);
}
