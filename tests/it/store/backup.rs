//! Backups of the sled store: everything is in them, nothing but a whole one is restored, and never over anything.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rampwatch::adapters::sled::{
    BackupError, BackupHeader, Settings, SledStore, StoreOpenError, back_up, restore, verify,
};
use rampwatch::ports::store::{Commit, Store};
use tempfile::TempDir;

use super::{desk, funding, raw, specimens};
use crate::support::records::{self, at};

/// A store with one record of every shape, two attachments, and a draft that is none.
async fn filled() -> (TempDir, PathBuf) {
    let folder = crate::support::temp_dir();
    let path = folder.path().join("store");
    let store = SledStore::open(&path, &Settings::default()).unwrap();
    let all = Commit {
        payments: specimens::payments(),
        deposits: specimens::deposits(),
        coverage: specimens::coverage(),
        finality: Some(specimens::finality()),
        orders: funding::orders(),
        wallet: Some(funding::wallet()),
        records: desk::records(),
        events: specimens::events(),
    };
    store.commit(all).await.unwrap();
    // More than are written at a time.
    let many = (100..2_400).map(records::payment).collect();
    store.commit(Commit { payments: many, ..Commit::default() }).await.unwrap();
    drop(store);
    let attachments = path.join("attachments");
    std::fs::create_dir(&attachments).unwrap();
    std::fs::write(attachments.join("00ff"), vec![7; 100_000]).unwrap();
    std::fs::write(attachments.join("aa11"), "").unwrap();
    std::fs::write(attachments.join(".draft"), "half").unwrap();
    (folder, path)
}

fn made(store: &Path, file: &Path) -> BackupHeader {
    back_up(store, file, at(5)).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_restored_store_says_what_the_other_one_said() {
    let (folder, path) = filled().await;
    let before = raw::dump(&path);
    let file = folder.path().join("backup");
    let header = made(&path, &file);
    assert_eq!((header.records, header.attachments), (before.len() as u64, 2));
    assert_eq!((header.made_at, mode(&file)), (at(5), 0o600));
    assert_eq!(verify(&file).unwrap(), header);

    let into = folder.path().join("a").join("new");
    assert_eq!(restore(&file, &into).unwrap(), header);
    assert_eq!(
        (mode(&into), mode(&into.join("attachments")), mode(&into.join("attachments/00ff"))),
        (0o700, 0o700, 0o600)
    );
    assert_eq!(std::fs::read(into.join("attachments/00ff")).unwrap(), vec![7; 100_000]);
    assert_eq!(names(&into.join("attachments")), ["00ff", "aa11"]);
    assert_eq!(names(into.parent().unwrap()), ["new"], "nothing else is left");
    assert!(!names(&into).contains(&"restoring".to_owned()));
    assert_eq!(raw::dump(&into), before);
    assert_eq!(raw::dump(&path), before, "the first is as it was");

    let store = SledStore::open(&into, &Settings::default()).unwrap();
    assert_eq!(store.payments(None, 9_999).await.unwrap().len(), specimens::payments().len() + 2_300);
    let number = store.commit(Commit { events: vec![records::event(None, None, "go on")], ..Commit::default() }).await;
    assert_eq!(number.unwrap(), specimens::events().len() as u64 + 1);
    drop(store);

    // A backup of it differs in nothing but what came since.
    let again = folder.path().join("again");
    made(&path, &again);
    assert_eq!(std::fs::read(&again).unwrap(), std::fs::read(&file).unwrap());
    assert_eq!(names(folder.path()), ["a", "again", "backup", "store"], "no draft is left");
}

#[tokio::test]
async fn nothing_is_ever_overwritten() {
    let (folder, path) = filled().await;
    let file = folder.path().join("backup");
    std::fs::write(&file, "precious").unwrap();
    assert!(matches!(back_up(&path, &file, at(1)), Err(BackupError::Exists(named)) if named == file));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    let inside = path.join("attachments").join("backup");
    assert!(matches!(back_up(&path, &inside, at(1)), Err(BackupError::Inside(named)) if named == inside));
    assert!(matches!(back_up(&path, &folder.path().join("no/where"), at(1)), Err(BackupError::Refused { .. })));

    std::fs::remove_file(&file).unwrap();
    made(&path, &file);
    let before = raw::dump(&path);
    let taken = folder.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    std::fs::write(taken.join("something"), "").unwrap();
    for place in [&path, &taken, &file] {
        assert!(matches!(restore(&file, place), Err(BackupError::Occupied(named)) if named == *place));
    }
    assert_eq!((raw::dump(&path), names(&taken)), (before, vec!["something".to_owned()]));
    // systemd makes the folder, empty.
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    restore(&file, &empty).unwrap();
    assert_eq!(raw::dump(&empty), raw::dump(&path));
}

#[tokio::test]
async fn a_store_in_use_is_not_backed_up_and_one_that_is_missing_is_not_made() {
    let (folder, path) = filled().await;
    let store = SledStore::open(&path, &Settings::default()).unwrap();
    let file = folder.path().join("backup");
    let locked = back_up(&path, &file, at(1));
    assert!(matches!(locked, Err(BackupError::Store(StoreOpenError::Locked { .. }))));
    drop(store);
    let nowhere = folder.path().join("nowhere");
    let missing = back_up(&nowhere, &file, at(1));
    assert!(matches!(missing, Err(BackupError::Store(StoreOpenError::Missing { .. }))));
    assert_eq!(names(folder.path()), ["store"]);
}

/// A small store, which leaves a backup of some kilobytes.
async fn small() -> (TempDir, PathBuf, Vec<u8>) {
    let folder = crate::support::temp_dir();
    let path = folder.path().join("store");
    let store = SledStore::open(&path, &Settings::default()).unwrap();
    let payments = vec![records::payment(1), records::payment(2)];
    store.commit(Commit { payments, ..Commit::default() }).await.unwrap();
    drop(store);
    std::fs::create_dir(path.join("attachments")).unwrap();
    std::fs::write(path.join("attachments/00ff"), "a file").unwrap();
    let file = folder.path().join("backup");
    made(&path, &file);
    let bytes = std::fs::read(&file).unwrap();
    (folder, file, bytes)
}

#[tokio::test]
async fn a_backup_that_is_not_whole_is_refused_and_leaves_nothing() {
    let (folder, file, whole) = small().await;
    let into = folder.path().join("new");
    let refused = |bytes: &[u8], how: &str| {
        std::fs::write(&file, bytes).unwrap();
        for error in [verify(&file).err(), restore(&file, &into).err()] {
            let told = error.unwrap_or_else(|| panic!("{how} is taken")).to_string();
            assert!(told.contains("backup"), "{told}");
        }
        assert_eq!(names(folder.path()), ["backup", "store"], "{how}");
    };
    for end in 0..whole.len() {
        refused(&whole[..end], &format!("the first {end} bytes"));
    }
    for place in 0..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 1;
        refused(&changed, &format!("a change at {place}"));
    }
    refused(&[whole.clone(), vec![0]].concat(), "something behind the end");
    std::fs::write(&file, &whole).unwrap();
    restore(&file, &into).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is in a file, reading it ends with an error and little memory.
    #[test]
    fn what_is_no_backup_is_refused(noise in proptest::collection::vec(any::<u8>(), 0..300), framed in any::<bool>()) {
        let folder = crate::support::temp_dir();
        let file = folder.path().join("file");
        let begin: &[u8] = if framed { b"rampwatch store backup\nH" } else { b"" };
        std::fs::write(&file, [begin, &noise].concat()).unwrap();
        prop_assert!(verify(&file).is_err());
    }
}

#[tokio::test]
async fn newer_forms_are_refused_by_name() {
    let (folder, file, _) = small().await;
    let path = folder.path().join("store");
    raw::put(&path, b"SCHEMA", br#"{"version":99}"#);
    let newer = folder.path().join("newer");
    let error = back_up(&path, &newer, at(1)).err().unwrap();
    assert!(matches!(error, BackupError::Store(StoreOpenError::Newer { found: 99, .. })), "{error}");
    assert!(!newer.exists());
    let text = b"rampwatch store backup\nH";
    let header = br#"{"format":2,"more":[]}"#;
    let bytes = [&text[..], &(header.len() as u32).to_be_bytes(), &[0; 4], header].concat();
    std::fs::write(&file, bytes).unwrap();
    let told = verify(&file).err().unwrap().to_string();
    assert!(told.contains("format 2") && told.contains("newer rampwatch"), "{told}");
}

#[tokio::test]
async fn what_a_killed_restore_left_is_cleared_away_and_nothing_else() {
    let (folder, file, _) = small().await;
    let into = folder.path().join("new");
    let building = folder.path().join("new.restoring");
    // Killed before it was marked; and with half a store in it.
    std::fs::create_dir(&building).unwrap();
    restore(&file, &into).unwrap();
    std::fs::remove_dir_all(&into).unwrap();
    std::fs::create_dir_all(building.join("attachments")).unwrap();
    std::fs::write(building.join("restoring"), "").unwrap();
    std::fs::write(building.join("db"), "half").unwrap();
    restore(&file, &into).unwrap();
    assert_eq!(raw::dump(&into), raw::dump(&folder.path().join("store")));
    assert_eq!(names(folder.path()), ["backup", "new", "store"]);
    // A folder that only has the name.
    let other = folder.path().join("other");
    let mine = folder.path().join("other.restoring");
    std::fs::create_dir(&mine).unwrap();
    std::fs::write(mine.join("mine"), "").unwrap();
    assert!(matches!(restore(&file, &other), Err(BackupError::InTheWay(named)) if named == mine));
    assert!(mine.join("mine").exists() && !other.exists());
    // One that is under way.
    std::fs::write(mine.join("restoring"), "").unwrap();
    let held = std::fs::File::open(mine.join("restoring")).unwrap();
    held.lock().unwrap();
    assert!(matches!(restore(&file, &other), Err(BackupError::InTheWay(named)) if named == mine));
    assert!(mine.join("mine").exists());
}
