//! What a process that died, or a disk that was full, leaves in the store's folder: the next start puts it aside and goes on, or
//! names the file. It never opens with less than was acknowledged without saying so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, TestRunner};
use rampwatch::adapters::sled::{Settings, SledStore, StoreOpenError, back_up, check, checkup};
use rampwatch::domain::event::{Alarm, EventKind};
use rampwatch::domain::time::Timestamp;
use rampwatch::domain::wallet::{Halt, HaltReason};
use rampwatch::engine;
use rampwatch::ports::store::{Commit, Lost, Store};

use super::child;
use super::crash::{assert_kept, listen};
use crate::funding::stores::copy;
use crate::support::records;

fn open(path: &Path) -> Result<SledStore, StoreOpenError> {
    SledStore::open(path, &Settings::default())
}

/// Every file below a folder, with what is in it, but for the lock that every opening takes.
fn files(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                let name = entry.path().strip_prefix(path).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(entry.path()).unwrap());
            }
        }
    }
    found
}

/// The newest snapshot of the database.
fn snapshot(path: &Path) -> String {
    let names = files(path).into_keys().filter(|name| name.starts_with("snap."));
    names.max().expect("there is a snapshot")
}

/// Adds events until there are so many, some kilobytes each; a tenth of a megabyte a commit.
async fn fill(store: &SledStore, through: u64) {
    let mut number = store.commit(Commit::default()).await.unwrap();
    while number < through {
        let event = |n: u64| {
            let said = format!("{n}-{}", "x".repeat(4_000));
            records::event(None, None, &said)
        };
        let events = (number + 1..=through.min(number + 25)).map(event).collect();
        number = store.commit(Commit { events, ..Commit::default() }).await.unwrap();
    }
}

/// A store with so many events that was used three times, so that it has a snapshot; and the same as a process that was killed
/// left it.
async fn used(folder: &Path, events: u64) -> [PathBuf; 2] {
    let [closed, killed] = ["closed", "killed"].map(|name| folder.join(name));
    for through in [events / 3, events / 2] {
        fill(&open(&closed).unwrap(), through).await;
    }
    let store = open(&closed).unwrap();
    fill(&store, events).await;
    copy(&closed, &killed);
    drop(store);
    [closed, killed]
}

async fn held(store: &SledStore) -> usize {
    store.events(0, usize::MAX).await.unwrap().len()
}

/// What is put in the way, and where.
struct Case {
    name: &'static str,
    put: fn(&Path) -> String,
}

fn write(path: &Path, name: &str, bytes: &[u8]) -> String {
    if let Some(folder) = path.join(name).parent() {
        std::fs::create_dir_all(folder).unwrap();
    }
    std::fs::write(path.join(name), bytes).unwrap();
    name.to_owned()
}

/// What is in the way is left alone and named by whoever only reads, and put aside by the next start, which has everything.
async fn is_put_aside(cases: &[Case]) {
    let folder = tempfile::tempdir().unwrap();
    for template in used(folder.path(), 60).await {
        for Case { name, put } in cases {
            let path = folder.path().join("store");
            copy(&template, &path);
            let file = put(&path);
            let before = files(&path);
            let existing = SledStore::open_existing(&path, &Settings::default()).err();
            let readers = [
                existing.map(|error| error.to_string()),
                check(&path).err().map(|error| error.to_string()),
                back_up(&path, &folder.path().join("backup"), Timestamp::EPOCH).err().map(|error| error.to_string()),
                checkup(&path).schema.and_then(Result::err),
            ];
            for said in readers {
                let said = said.unwrap_or_else(|| panic!("{name}: it is opened"));
                assert!(said.contains(&file) && said.contains("rampwatch run"), "{name}: {said}");
                assert!(!said.to_lowercase().contains("backup"), "{name}: {said}");
            }
            assert_eq!(files(&path), before, "{name}: nothing was changed");
            let store = open(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!((held(&store).await, store.lost()), (60, None), "{name}");
            fill(&store, 61).await;
            drop(store);
            let plain = file.rsplit('/').next().unwrap();
            assert_eq!(files(&path).get(&format!("put-aside/{plain}")), before.get(&file), "{name}");
            assert_eq!(check(&path).unwrap().findings, [], "{name}");
            std::fs::remove_dir_all(&path).unwrap();
        }
    }
}

#[tokio::test]
async fn r4_a_snapshot_that_was_being_written_is_put_aside() {
    is_put_aside(&[
        Case {
            name: "cut",
            put: |path| {
                let bytes = std::fs::read(path.join(snapshot(path))).unwrap();
                write(path, "snap.FFFFFFFFFFFFFFFF.generating", &bytes[..bytes.len().min(100) - 1])
            },
        },
        Case { name: "empty", put: |path| write(path, "snap.FFFFFFFFFFFFFFFF.generating", b"") },
        Case { name: "an empty one of a higher number", put: |path| write(path, "snap.7FFFFFFFFFFFFFFF", b"") },
        Case {
            name: "twice",
            put: |path| {
                let bytes = std::fs::read(path.join(snapshot(path))).unwrap();
                write(path, "snap.7FFFFFFFFFFFFFFF", &bytes)
            },
        },
    ])
    .await;
}

/// Files of the right size that are all zero, as a power cut leaves them (wirenboard/homeui#1236).
#[tokio::test]
async fn r4_a_file_of_zeros_is_put_aside() {
    is_put_aside(&[
        Case {
            name: "the snapshot",
            put: |path| {
                let name = snapshot(path);
                let bytes = vec![0; path.join(&name).metadata().unwrap().len().try_into().unwrap()];
                write(path, &name, &bytes)
            },
        },
        Case { name: "the database's settings", put: |path| write(path, "conf", &[0; 65]) },
    ])
    .await;
}

/// The database's own settings, empty or cut (spacejam/sled#822 has the format; nconf#411 and libsql#2254 are such files).
#[tokio::test]
async fn r4_settings_of_the_database_that_were_being_written_are_put_aside() {
    is_put_aside(&[
        Case { name: "empty", put: |path| write(path, "conf", b"") },
        Case { name: "cut", put: |path| write(path, "conf", b"segment_size: 41943") },
        Case {
            name: "without its end",
            put: |path| write(path, "conf", b"segment_size: 4194304\nuse_compression: false\n"),
        },
    ])
    .await;
}

/// A file of the database for what is too large for its log, or somebody's copy of a snapshot, which the database would remove, or
/// take for its own.
#[tokio::test]
async fn r4_whatever_is_left_by_halves_is_put_aside() {
    is_put_aside(&[
        Case { name: "a blob", put: |path| write(path, "blobs/999999999", b"x") },
        Case { name: "no blob", put: |path| write(path, "blobs/notes", b"x") },
        Case {
            name: "a copy",
            put: |path| {
                let name = snapshot(path);
                let bytes = std::fs::read(path.join(&name)).unwrap();
                write(path, &format!("{name}.bak"), &bytes)
            },
        },
    ])
    .await;
}

/// What the database never looks at keeps nobody from reading: drafts of an attachment, and of the note of how far the store has
/// acknowledged.
#[tokio::test]
async fn r4_drafts_are_put_aside_and_keep_nobody_from_reading() {
    let folder = tempfile::tempdir().unwrap();
    let [path, _] = used(folder.path(), 60).await;
    let drafts = ["attachments/.0f0f.77.0", "acknowledged.new"];
    for draft in drafts {
        write(&path, draft, b"half");
    }
    assert_eq!(held(&SledStore::open_existing(&path, &Settings::default()).unwrap()).await, 60);
    assert_eq!(check(&path).unwrap().findings, []);
    assert!(drafts.iter().all(|draft| path.join(draft).exists()));
    // A trial that was killed leaves copies, which are of no use.
    write(&path, "trial/db", b"a copy");
    assert_eq!(held(&open(&path).unwrap()).await, 60);
    assert!(!path.join("trial").exists());
    for draft in drafts {
        let plain = draft.rsplit('/').next().unwrap();
        assert!(!path.join(draft).exists() && path.join("put-aside").join(plain).exists(), "{draft}");
    }
}

/// A process that dies over and over at the same point does not fill the disk with what it leaves.
#[tokio::test]
async fn r4_what_is_left_over_and_over_is_kept_a_few_times() {
    let folder = tempfile::tempdir().unwrap();
    let [path, _] = used(folder.path(), 30).await;
    for turn in 0..40_u8 {
        write(&path, "snap.FFFFFFFFFFFFFFFF.generating", &[turn]);
        drop(open(&path).unwrap());
    }
    let aside = files(&path.join("put-aside"));
    assert_eq!(aside.len(), 16, "{:?}", aside.keys());
    assert_eq!(aside["snap.FFFFFFFFFFFFFFFF.generating"], [0], "the first is kept");
    assert_eq!(aside["snap.FFFFFFFFFFFFFFFF.generating.16"], [39], "and the last");
}

/// The data file is not what it was: it is not begun anew, and no backup is advised (ulsklyc/yuvomi#1282, rustdesk-api#532).
#[tokio::test]
async fn r4_a_data_file_that_lost_its_content_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for template in used(folder.path(), 60).await {
        for spoil in [
            |db: &Path| std::fs::write(db, "").unwrap(),
            |db: &Path| std::fs::remove_file(db).unwrap(),
            |db: &Path| std::fs::File::options().write(true).open(db).unwrap().set_len(50_000).unwrap(),
        ] {
            let path = folder.path().join("store");
            copy(&template, &path);
            spoil(&path.join("db"));
            let before = files(&path);
            for _ in 0..2 {
                let said = open(&path).err().expect("it is refused").to_string();
                assert!(said.contains("its file db"), "{said}");
                assert!(!said.contains("backup") && !said.contains("restore"), "{said}");
                assert_eq!(files(&path), before, "nothing was changed, so that it can still be put back");
            }
            copy(&template, &path);
            assert_eq!(held(&open(&path).unwrap()).await, 60);
            std::fs::remove_dir_all(&path).unwrap();
        }
    }
}

/// The data file lost its end for good, and a person moves the note away: the store opens with what it has, and says that it
/// cannot know how much it lacks.
#[tokio::test]
async fn r4_without_its_note_a_store_says_that_it_may_lack_something() {
    let folder = tempfile::tempdir().unwrap();
    for (spoil, said) in [
        (None, None),
        (Some(""), Some("")),
        (Some("event 00000000000000000060 data"), Some("event 00000000000000000060 data")),
    ] {
        let path = folder.path().join("store");
        let [closed, _] = used(folder.path(), 60).await;
        copy(&closed, &path);
        let note = path.join("acknowledged");
        match spoil {
            None => std::fs::remove_file(&note).unwrap(),
            Some(text) => std::fs::write(&note, text).unwrap(),
        }
        let error = SledStore::open_existing(&path, &Settings::default()).err().unwrap().to_string();
        assert!(error.contains("its file acknowledged"), "{error}");
        let unknown = Some(Lost { held: 60, acknowledged: None });
        {
            let store = open(&path).unwrap();
            assert_eq!((held(&store).await, store.lost()), (60, unknown));
        }
        let store = open(&path).unwrap();
        assert_eq!(store.lost(), unknown, "until it is told");
        fill(&store, 61).await;
        store.loss_is_told().await.unwrap();
        drop(store);
        assert_eq!(open(&path).unwrap().lost(), None);
        let aside = std::fs::read_to_string(path.join("put-aside/acknowledged")).ok();
        assert_eq!(aside.as_deref(), said);
        for place in [path, closed, folder.path().join("killed")] {
            std::fs::remove_dir_all(place).unwrap();
        }
    }
}

/// Cuts any file of a store anywhere: it opens with every acknowledged event, or the file is named.
#[tokio::test(flavor = "multi_thread")]
async fn r4_any_prefix_of_any_file_opens_with_everything_or_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    // More than two segments of the database.
    let templates = Arc::new(used(folder.path(), 2_400).await);
    let runtime = tokio::runtime::Handle::current();
    let place = folder.path().to_owned();
    let strategy = (
        0..2_usize,
        any::<prop::sample::Index>(),
        prop_oneof![
            2 => (0.0..1.0).prop_map(|part: f64| part),
            1 => Just(0.0),
            1 => (0.9995..1.0).prop_map(|part: f64| part),
        ],
    );
    let property = move |(which, file, part): (usize, prop::sample::Index, f64)| {
        let path = place.join("store");
        if path.exists() {
            std::fs::remove_dir_all(&path).unwrap();
        }
        copy(&templates[which], &path);
        let all: Vec<(String, usize)> = files(&path).into_iter().map(|(name, bytes)| (name, bytes.len())).collect();
        // The data file as often as all others together.
        let data = all.iter().find(|(name, _)| name == "db").unwrap();
        let picked = file.index(all.len() * 2);
        let (name, length) = all.get(picked).unwrap_or(data);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let cut = (*length as f64 * part) as u64;
        std::fs::File::options().write(true).open(path.join(name)).unwrap().set_len(cut).unwrap();
        let what = format!("{name} cut to {cut} of {length}, {}", if which == 0 { "closed" } else { "killed" });
        match open(&path) {
            Ok(store) => {
                let held = runtime.block_on(held(&store));
                prop_assert_eq!(held, 2_400, "{}", &what);
                prop_assert!(store.lost().is_none() || name == "acknowledged", "{}", &what);
                drop(store);
                let check = check(&path);
                prop_assert!(check.as_ref().is_ok_and(|check| check.events == 2_400), "{}: {:?}", what, check);
            }
            Err(error) => prop_assert!(error.to_string().contains(name.as_str()), "{}: {}", what, error),
        }
        Ok(())
    };
    let run = tokio::task::spawn_blocking(move || {
        TestRunner::new(Runs { cases: 96, failure_persistence: None, ..Runs::default() }).run(&strategy, property)
    });
    run.await.unwrap().unwrap();
}

/// An older copy of the store's files is put back beside the note: the store says what it lacks until that is told, and the engine
/// halts the wallet before it does anything else (Mithril-mine/libmdbx#240 is such a copy).
#[tokio::test(flavor = "multi_thread")]
async fn r4_a_store_that_holds_less_than_it_acknowledged_halts_the_wallet() {
    for sessions in [&[20, 40][..], &[40]] {
        an_older_copy_halts_the_wallet(sessions).await;
    }
}

/// `sessions`: up to which event the store had been filled each time it was opened, before the copy was made.
async fn an_older_copy_halts_the_wallet(sessions: &[u64]) {
    let folder = tempfile::tempdir().unwrap();
    let (path, older) = (folder.path().join("store"), folder.path().join("older"));
    for through in sessions {
        let store = open(&path).unwrap();
        if store.wallet().await.unwrap().is_none() {
            store.commit(Commit { wallet: Some(records::wallet(1)), ..Commit::default() }).await.unwrap();
        }
        fill(&store, *through).await;
    }
    copy(&path, &older);
    for through in [50, 60] {
        fill(&open(&path).unwrap(), through).await;
    }
    let note = std::fs::read(path.join("acknowledged")).unwrap();
    std::fs::remove_dir_all(&path).unwrap();
    copy(&older, &path);
    std::fs::write(path.join("acknowledged"), note).unwrap();
    let found = check(&path).err().map(|error| error.to_string());
    assert!(found.is_none_or(|said| said.contains("its file db")));
    let lost = Some(Lost { held: 40, acknowledged: Some(60) });
    {
        let store = open(&path).unwrap();
        assert_eq!(store.lost(), lost);
        // Somebody else writes before it is told.
        fill(&store, 45).await;
    }
    let store = Arc::new(open(&path).unwrap());
    assert_eq!(store.lost(), Some(Lost { held: 45, acknowledged: Some(60) }));
    engine::lost::tell(&*store, Timestamp::from_secs(9)).await.unwrap();
    let halted = store.wallet().await.unwrap().unwrap().halted;
    let why = HaltReason::StoreIncomplete { held: 45, acknowledged: Some(60) };
    assert_eq!(halted, Some(Halt { at: Timestamp::from_secs(9), why: why.clone() }));
    let events = store.events(45, 99).await.unwrap();
    let is_told = |alarm: &Alarm| events.iter().any(|it| it.event.kind == EventKind::Alarm { alarm: alarm.clone() });
    assert!(is_told(&Alarm::StoreIncomplete { held: 45, acknowledged: Some(60) }));
    assert!(is_told(&Alarm::WalletHalted { why }));
    assert_eq!(store.lost(), None);
    drop(store);
    let store = open(&path).unwrap();
    assert_eq!(store.lost(), None, "it is told once");
    engine::lost::tell(&store, Timestamp::from_secs(10)).await.unwrap();
    assert_eq!(store.events(45, 99).await.unwrap().len(), 3);
}

/// A store that says nothing is lost by a killed process: what was acknowledged was noted.
#[tokio::test]
async fn r4_a_killed_process_has_noted_what_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let child = child::command(&[], &path, 4, 5_000).spawn().unwrap();
    let said = listen(child, 60);
    let text = std::fs::read_to_string(path.join("acknowledged")).unwrap();
    let noted: usize = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(noted >= said.acknowledged.len(), "{text}, and {} were acknowledged", said.acknowledged.len());
    assert_eq!(open(&path).unwrap().lost(), None);
}

/// The limit on the size of files stands for a full disk, at each byte that may be the last to fit: whatever the start leaves, the
/// next one with room has everything (openethereum/openethereum#381, MonetDB/MonetDB#3988).
#[tokio::test]
async fn r4_starts_with_a_full_disk_leave_nothing_that_the_next_start_minds() {
    let folder = tempfile::tempdir().unwrap();
    let [closed, killed] = used(folder.path(), 60).await;
    let conf = closed.join("conf").metadata().unwrap().len();
    let shot = closed.join(snapshot(&closed)).metadata().unwrap().len();
    let data = closed.join("db").metadata().unwrap().len();
    let limits = [
        0,
        1,
        9,
        conf - 4,
        conf - 1,
        conf,
        93,
        130,
        131,
        140,
        150,
        200,
        shot - 1,
        shot,
        5_000,
        200_000,
        data - 1,
        data + 1,
    ];
    for base in [None, Some(closed), Some(killed)] {
        for limit in limits {
            let path = folder.path().join("store");
            if let Some(base) = &base {
                copy(base, &path);
            }
            let script = "trap '' XFSZ; exec prlimit --fsize=\"$0\" \"$@\"";
            let full = ["sh", "-c", script, &limit.to_string()].map(str::to_owned);
            let mut child = child::command(&full, &path, 2, 8);
            let said = listen(child.stderr(std::process::Stdio::null()).spawn().unwrap(), usize::MAX);
            let what = format!("{limit} bytes, {base:?}");
            let store = open(&path).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(store.lost(), None, "{what}");
            let before = if base.is_some() { 60 } else { 0 };
            let events = held(&store).await;
            assert!(events >= before + said.acknowledged.len(), "{what}: {events}");
            let mut turns = BTreeMap::new();
            for payment in store.payments(None, usize::MAX).await.unwrap() {
                let number: u64 = payment.id.as_str().strip_prefix("pay-").unwrap().parse().unwrap();
                if number >= child::APART && number.is_multiple_of(child::APART) {
                    turns.insert(number / child::APART, u64::from(payment.quiet_checks));
                }
            }
            assert_kept(&said.acknowledged, &turns);
            drop(store);
            assert_eq!(check(&path).unwrap().events, u64::try_from(events).unwrap(), "{what}");
            let drafts = files(&path).into_keys().filter(|name| name.ends_with(".generating") && !name.contains('/'));
            assert_eq!(drafts.count(), 0, "{what}");
            std::fs::remove_dir_all(&path).unwrap();
        }
    }
}
