//! Opening the sled store: what is made, what is refused, and what is found again.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rampwatch::adapters::sled::{SCHEMA_VERSION, Settings, SledStore, StoreOpenError};
use rampwatch::domain::payment::{Payment, PaymentReview, PaymentState};
use rampwatch::domain::time::Timestamp;
use rampwatch::ports::store::{Commit, Lane, MAX_RECORD_BYTES, Store, StoreError, Subject};

use super::raw;
use crate::support::records::{self, at};

fn open(path: &Path) -> Result<SledStore, StoreOpenError> {
    SledStore::open(path, &Settings::default())
}

fn refused(path: &Path) -> StoreOpenError {
    open(path).err().expect("the store should be refused")
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a").join("store");
    (folder, path)
}

async fn filled(path: &Path) {
    let store = open(path).unwrap();
    for n in 1..=50 {
        let commit = Commit {
            payments: vec![Payment { next_at: Some(at(n)), ..records::payment(n) }],
            deposits: vec![records::deposit(n)],
            coverage: vec![records::coverage(n)],
            events: vec![records::event(Some(records::payment_id(n)), None, "add")],
            ..Commit::default()
        };
        store.commit(commit).await.unwrap();
    }
}

#[tokio::test]
async fn everything_is_found_again() {
    let (_folder, path) = folder();
    filled(&path).await;
    for _ in 0..3 {
        let store = open(&path).unwrap();
        assert_eq!(store.payments(None, 99).await.unwrap().len(), 50);
        assert_eq!(store.due(Lane::Follow, at(10), 99).await.unwrap().len(), 10);
        assert_eq!(store.provisional(20, 99).await.unwrap().len(), 20);
        assert_eq!(store.watched(None, usize::MAX).await.unwrap().len(), 50);
        assert_eq!(store.events(0, 99).await.unwrap().len(), 50);
        assert_eq!(store.commit(Commit::default()).await.unwrap(), 50, "numbers go on where they were");
    }
}

#[tokio::test]
async fn f21_a_new_store_is_for_its_owner_only() {
    let (folder, path) = folder();
    drop(open(&path).unwrap());
    for made in [&path, &folder.path().join("a")] {
        assert_eq!(made.metadata().unwrap().permissions().mode() & 0o777, 0o700, "{}", made.display());
    }
    let existing = folder.path().join("existing");
    std::fs::create_dir(&existing).unwrap();
    std::fs::set_permissions(&existing, std::fs::Permissions::from_mode(0o750)).unwrap();
    drop(open(&existing).unwrap());
    assert_eq!(existing.metadata().unwrap().permissions().mode() & 0o777, 0o700, "f21: it is closed to others");
}

#[tokio::test]
async fn a_second_opener_is_refused() {
    let (_folder, path) = folder();
    let first = open(&path).unwrap();
    let error = refused(&path);
    assert!(matches!(&error, StoreOpenError::Locked { path: named } if *named == path), "{error}");
    drop(first);
    drop(open(&path).unwrap());
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let (_folder, path) = folder();
    filled(&path).await;
    let before = raw::dump(&path);
    raw::put(&path, b"SCHEMA", br#"{"version":5}"#);
    let error = refused(&path);
    assert!(matches!(error, StoreOpenError::Newer { found: 5, known: SCHEMA_VERSION, .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("schema version 5") && text.contains("up to 4") && text.contains("newer rampwatch"),
        "{text}"
    );
    raw::put(&path, b"SCHEMA", br#"{"version":4}"#);
    assert_eq!(raw::dump(&path), before, "nothing was touched");
    drop(open(&path).unwrap());
}

#[tokio::test]
async fn a_schema_that_never_was_is_refused() {
    for schema in [&br#"{"version":0}"#[..], b"1", b"", b"{\"version\":"] {
        let (_folder, path) = folder();
        filled(&path).await;
        raw::put(&path, b"SCHEMA", schema);
        assert!(matches!(refused(&path), StoreOpenError::Unreadable { .. }));
    }
}

#[tokio::test]
async fn what_is_no_folder_is_refused() {
    let (folder, _) = folder();
    let file = folder.path().join("file");
    std::fs::write(&file, "something").unwrap();
    let error = refused(&file);
    assert!(matches!(error, StoreOpenError::NotAFolder { .. }), "{error}");
    let error = refused(&file.join("below"));
    assert!(matches!(error, StoreOpenError::Refused { .. }), "{error}");
    let in_the_way = folder.path().join("in-the-way");
    std::fs::create_dir_all(in_the_way.join("db")).unwrap();
    let error = refused(&in_the_way);
    assert!(matches!(error, StoreOpenError::Refused { .. }), "{error}");
}

/// A store that has lost its data must not be taken for a new one: it would all be forgotten.
#[tokio::test]
async fn a_store_that_lost_its_data_is_refused() {
    let spoil: [fn(&Path); 4] = [
        |path| std::fs::remove_file(path.join("db")).unwrap(),
        |path| std::fs::write(path.join("db"), "").unwrap(),
        |path| std::fs::write(path.join("db"), vec![0x5a; 100_000]).unwrap(),
        |path| std::fs::write(path.join("db"), vec![0; 9 << 20]).unwrap(),
    ];
    for (case, spoil) in spoil.iter().enumerate() {
        let (_folder, path) = folder();
        filled(&path).await;
        spoil(&path);
        for _ in 0..2 {
            let error = refused(&path);
            assert!(matches!(error, StoreOpenError::Unreadable { .. }), "case {case}: {error}");
        }
    }
}

/// A process may die while it makes the store. What it left is taken up.
#[tokio::test]
async fn a_store_that_was_half_made_is_made() {
    let (_folder, path) = folder();
    std::fs::create_dir_all(&path).unwrap();
    std::fs::write(path.join("lock"), "").unwrap();
    drop(open(&path).unwrap());
    std::fs::write(path.join("lock"), "").unwrap();
    drop(open(&path).unwrap());
    assert_ne!(std::fs::read(path.join("lock")).unwrap(), b"");
}

/// Indexes are there to be used: what a question does not ask for, it does not read.
#[tokio::test]
async fn questions_read_only_what_they_ask_for() {
    let (_folder, path) = folder();
    filled(&path).await;
    for key in [&b"P~"[..], b"D\xff", b"E\xff\xff\xff\xff\xff\xff\xff\xff", b"C\xff"] {
        raw::put(&path, key, b"not a record");
    }
    raw::put(&path, b"E\0\0\0\0\0\0\0\x28", b"neither");
    raw::put(&path, b"Ppay-000040", b"nor this");
    let store = open(&path).unwrap();
    assert_eq!(store.payments_at(records::address(7)).await.unwrap().len(), 1);
    assert_eq!(store.deposits_at(records::address(7)).await.unwrap().len(), 1);
    assert_eq!(store.due(Lane::Follow, at(39), 99).await.unwrap().len(), 39);
    assert_eq!(store.due(Lane::Complete, Timestamp::FAR_FUTURE, 99).await.unwrap().len(), 0);
    assert_eq!(store.next_due(Lane::Follow).await.unwrap(), Some(at(1)));
    assert_eq!(store.provisional(u64::MAX, 99).await.unwrap().len(), 50);
    assert_eq!(store.watched(None, usize::MAX).await.unwrap().len(), 50);
    assert_eq!(store.payments(None, 39).await.unwrap().len(), 39);
    let subject = Subject::Payment(records::payment_id(41));
    assert_eq!(store.events_of(&subject, 0, 99).await.unwrap().len(), 1);
    let error = store.payment(&records::payment_id(40)).await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt(what) if what.contains("pay-000040")), "{error}");
    assert_eq!(store.payments(None, 99).await.unwrap().len(), 49, "the others are listed");
    let stale = Payment { version: 1, ..records::payment(40) };
    let error = store.commit(Commit { payments: vec![stale], ..Commit::default() }).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "an unreadable record is not written over: {error}");
    store.commit(Commit { deposits: vec![records::deposit(77)], ..Commit::default() }).await.unwrap();
}

/// The database puts pages over a certain size into files of their own and never syncs those. Pages of the largest
/// records must stay below it.
#[tokio::test]
async fn the_largest_records_stay_in_the_data_file() {
    let (_folder, path) = folder();
    let store = Arc::new(open(&path).unwrap());
    for round in 0..4_u32 {
        for tens in 0..6_u64 {
            let payments = (1..=10).map(|n| {
                let why = PaymentReview::OtherHash { theirs: "x".repeat(MAX_RECORD_BYTES - 1_000) };
                let state = PaymentState::Review { why, deposit: None };
                let number = tens.checked_mul(10).and_then(|tens| tens.checked_add(n)).unwrap();
                Payment { version: u64::from(round), quiet_checks: round, state, ..records::payment(number) }
            });
            store.commit(Commit { payments: payments.collect(), ..Commit::default() }).await.unwrap();
            assert_eq!(std::fs::read_dir(path.join("blobs")).unwrap().count(), 0, "round {round}, {tens}");
        }
    }
    assert!(path.join("db").metadata().unwrap().len() > 1 << 20);
}
