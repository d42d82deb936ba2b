//! The system calls of a process that uses the store: every acknowledgement follows an fdatasync that began after
//! the commit's data was written.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use rampwatch::adapters::sled::SCHEMA_VERSION;

use super::{child, migration};

/// The words that run a command under strace, with the trace in `output`.
pub(super) fn strace(output: &Path, more: &[&str]) -> Vec<String> {
    let found = Command::new("strace").arg("--version").output();
    assert!(found.is_ok_and(|out| out.status.success()), "strace is needed for this test; install it (.ci/run does)");
    let words = ["strace", "-f", "-y", "-s", "1000000", "-o", output.to_str().unwrap()];
    words.iter().chain(more).map(ToString::to_string).collect()
}

/// One system call. Lines of the trace are the clock.
#[derive(Debug)]
struct Call {
    name: String,
    arguments: String,
    result: String,
    began: usize,
    ended: usize,
}

impl Call {
    fn is_on(&self, file: &Path) -> bool {
        let argument = self.arguments.split_once(['<', '>']).map_or("", |(_, rest)| rest);
        argument.starts_with(&format!("{}>", file.display()))
    }
}

/// Puts the lines together; a call that others interrupt has two.
fn parse(trace: &str) -> Vec<Call> {
    let mut calls = vec![];
    let mut open: BTreeMap<&str, (String, usize)> = BTreeMap::new();
    for (line_number, line) in trace.lines().enumerate() {
        let (pid, rest) = line.split_once(' ').unwrap();
        let rest = rest.trim_start();
        let (text, began) = if let Some(begin) = rest.strip_suffix(" <unfinished ...>") {
            open.insert(pid, (begin.to_owned(), line_number));
            continue;
        } else if rest.starts_with("<... ") {
            let (begin, began) = open.remove(pid).unwrap();
            (begin + rest.split_once(" resumed>").unwrap().1, began)
        } else {
            (rest.to_owned(), line_number)
        };
        if text.starts_with(['+', '-']) {
            continue;
        }
        let (call, result) = text.rsplit_once(" = ").unwrap();
        let (name, arguments) = call.split_once('(').unwrap();
        let (name, arguments, result) = (name.to_owned(), arguments.to_owned(), result.trim().to_owned());
        calls.push(Call { name, arguments, result, began, ended: line_number });
    }
    calls
}

const CALLS: &str = "trace=write,writev,pwrite64,pwritev,pwritev2,fdatasync,fsync,sync_file_range,ftruncate";

/// Runs a child under the tracer; gives its calls, and the path of the store's data file.
fn traced(folder: &Path, writers: u64, turns: u64) -> (Vec<Call>, std::path::PathBuf) {
    traced_with(folder, writers, turns, false)
}

fn traced_with(folder: &Path, writers: u64, turns: u64, orders: bool) -> (Vec<Call>, std::path::PathBuf) {
    let store = folder.join("store");
    let output = folder.join("trace");
    let mut child = child::command(&strace(&output, &["-e", CALLS]), &store, writers, turns);
    if orders {
        child.env(child::ORDERS, "1");
    }
    let out = child.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let calls = parse(&String::from_utf8_lossy(&std::fs::read(&output).unwrap()));
    (calls, store.canonicalize().unwrap().join("db"))
}

/// Writers, turns and the calls that acknowledged them.
fn acknowledgements(calls: &[Call]) -> Vec<(u64, u64, &Call)> {
    let found = calls.iter().filter(|call| call.name == "write").filter_map(|call| {
        let text = call.arguments.split_once('"')?.1.split_once("\\n")?.0;
        child::acknowledged(text).map(|(writer, turn)| (writer, turn, call))
    });
    found.collect()
}

/// Whether the acknowledgement was due: the commit's event was written to the data file, then an fdatasync of
/// the file began, and it had ended well before the acknowledgement began.
fn is_covered(calls: &[Call], data: &Path, writer: u64, turn: u64, ack: &Call) -> Result<(), String> {
    let mark = child::mark(writer, turn);
    let mut writes = calls.iter().filter(|call| call.name.contains("write") && call.is_on(data));
    let written = writes.find(|call| call.arguments.contains(&mark)).ok_or(format!("{mark} was never written"))?;
    let mut syncs = calls.iter().filter(|call| call.name == "fdatasync" && call.is_on(data) && call.result == "0");
    let covered = syncs.any(|sync| written.ended < sync.began && sync.ended < ack.began);
    if covered { Ok(()) } else { Err(format!("{mark} was acknowledged without an fdatasync after its data")) }
}

#[test]
fn every_acknowledgement_follows_an_fdatasync() {
    const WRITERS: u64 = 8;
    const TURNS: u64 = 12;
    let folder = tempfile::tempdir().unwrap();
    let (calls, data) = traced(folder.path(), WRITERS, TURNS);
    let acknowledgements = acknowledgements(&calls);
    assert_eq!(u64::try_from(acknowledgements.len()).unwrap(), WRITERS.checked_mul(TURNS).unwrap());
    for (writer, turn, ack) in acknowledgements {
        assert_eq!(is_covered(&calls, &data, writer, turn, ack), Ok(()));
    }
    let syncs = calls.iter().filter(|call| call.name == "fdatasync").count();
    assert!(u64::try_from(syncs).unwrap() < WRITERS.checked_mul(TURNS).unwrap(), "{syncs}: commits go in groups");
}

/// With one writer, nothing may be written between the fdatasync and the acknowledgement either.
#[test]
fn nothing_is_written_between_an_fdatasync_and_its_acknowledgement() {
    const TURNS: u64 = 20;
    let folder = tempfile::tempdir().unwrap();
    let (calls, data) = traced(folder.path(), 1, TURNS);
    let acknowledgements = acknowledgements(&calls);
    assert_eq!(u64::try_from(acknowledgements.len()).unwrap(), TURNS);
    for (writer, turn, ack) in acknowledgements {
        assert_eq!(is_covered(&calls, &data, writer, turn, ack), Ok(()));
        let before = calls.iter().filter(|call| call.ended < ack.began && call.is_on(&data));
        let last = before.filter(|call| call.name != "sync_file_range").max_by_key(|call| call.ended).unwrap();
        assert_eq!((last.name.as_str(), last.result.as_str()), ("fdatasync", "0"), "turn {turn}: {last:?}");
    }
}

/// Before a commit with an order is answered, so before anything that it signed can leave, the note of how far the store has
/// acknowledged is on the disk, and after the data that it speaks of. A commit without one waits for no second fdatasync.
#[test]
fn r4_what_may_sign_is_noted_durably_before_it_is_answered() {
    const TURNS: u64 = 12;
    for orders in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let (calls, data) = traced_with(folder.path(), 1, TURNS, orders);
        let note = data.with_file_name("acknowledged");
        let acknowledgements = acknowledgements(&calls);
        assert_eq!(u64::try_from(acknowledgements.len()).unwrap(), TURNS);
        let synced = |file: &Path, before: &Call| {
            let of_file =
                calls.iter().filter(|call| call.name == "fdatasync" && call.is_on(file) && call.result == "0");
            of_file.filter(|call| call.ended < before.began).max_by_key(|call| call.ended)
        };
        let mut durable = 0;
        for (_, turn, ack) in &acknowledgements {
            let mut noted = calls.iter().filter(|call| call.name == "pwrite64" && call.is_on(&note));
            let said = format!("event {turn:020} ");
            let noted = noted.rfind(|call| call.ended < ack.began && call.arguments.contains(&said));
            let noted = noted.unwrap_or_else(|| panic!("turn {turn} was not noted before it was answered"));
            assert!(synced(&data, noted).is_some(), "the data come first");
            durable += u64::from(synced(&note, ack).is_some_and(|sync| noted.ended < sync.began));
        }
        if orders {
            assert_eq!(durable, TURNS, "each note is durable before its answer");
        } else {
            assert!(durable < TURNS, "{durable}: once a second is enough");
        }
    }
}

/// A new store is on the disk before it is used: its files, and the names of its files.
#[test]
fn a_new_store_is_durable_before_its_first_commit() {
    let folder = tempfile::tempdir().unwrap();
    let (calls, data) = traced(folder.path(), 1, 1);
    let first = acknowledgements(&calls).first().map(|(_, _, ack)| ack.began).unwrap();
    let store = data.parent().unwrap();
    for path in [store, store.parent().unwrap(), &data, &store.join("conf"), &store.join("lock")] {
        let synced = calls.iter().any(|call| call.name == "fsync" && call.is_on(path) && call.ended < first);
        assert!(synced, "{} was not synced", path.display());
    }
}

/// A store of an older version has its index on the disk before its version says so.
#[tokio::test]
async fn a_new_schema_version_is_written_after_its_index_is_durable() {
    let folder = tempfile::tempdir().unwrap();
    let waiting = migration::large(&folder.path().join("store")).await;
    let (calls, data) = traced(folder.path(), 0, 0);
    let writes = || calls.iter().filter(|call| call.name.contains("write") && call.is_on(&data));
    let raised = format!(r#"{{\"version\":{SCHEMA_VERSION}}}"#);
    let version = writes().find(|call| call.arguments.contains(&raised));
    let told = || writes().map(|call| (call.began, call.ended, call.arguments.len())).collect::<Vec<_>>();
    let version = version.unwrap_or_else(|| panic!("the version was never written: {:?}", told()));
    let synced = |call: &Call| {
        let syncs = calls.iter().filter(|sync| sync.name == "fdatasync" && sync.is_on(&data) && sync.result == "0");
        syncs.clone().any(|sync| call.ended < sync.began && sync.ended < version.began)
    };
    // The database may write a page again later, for reasons of its own.
    let entries: Vec<&Call> = writes().filter(|call| call.arguments.contains("Ppay-") && synced(call)).collect();
    for entry in &waiting {
        let (_, record) = entry.split_once(" => ").unwrap();
        assert!(
            entries.iter().any(|call| call.arguments.contains(record)),
            "the version came before the entry {entry}"
        );
    }
    let after = calls.iter().any(|call| call.name == "fdatasync" && call.is_on(&data) && call.began > version.ended);
    assert!(after, "the version was not synced");
}

/// The proof itself must be able to fail.
#[test]
fn a_missing_or_early_fdatasync_is_found_out() {
    let data = Path::new("/s/db");
    let line = |text: &str| text.replace("DB", "7</s/db>");
    let write = line(r#"10 pwrite64(DB, "x turn-1-1-made y", 17, 0) = 17"#);
    let sync = line("11 fdatasync(DB) = 0");
    let ack = r#"12 write(1<pipe:[5]>, "ack 1 1\n", 8) = 8"#.to_owned();
    let verdict = |lines: &[&String]| {
        let calls = parse(&lines.iter().map(|line| line.as_str()).collect::<Vec<_>>().join("\n"));
        let (writer, turn, ack) = acknowledgements(&calls)[0];
        is_covered(&calls, data, writer, turn, ack)
    };
    assert_eq!(verdict(&[&write, &sync, &ack]), Ok(()));
    verdict(&[&sync, &write, &ack]).unwrap_err();
    verdict(&[&write, &ack, &sync]).unwrap_err();
    verdict(&[&write, &ack]).unwrap_err();
    verdict(&[&sync, &ack]).unwrap_err();
    verdict(&[&write, &line("11 fdatasync(DB) = -1 EIO (Input/output error)"), &ack]).unwrap_err();
    verdict(&[&write, &"11 fdatasync(8</s/other>) = 0".to_owned(), &ack]).unwrap_err();
    let begun = line("11 fdatasync(DB <unfinished ...>");
    let ended = "11 <... fdatasync resumed>) = 0".to_owned();
    assert_eq!(verdict(&[&write, &begun, &ended, &ack]), Ok(()));
    verdict(&[&begun, &write, &ended, &ack]).unwrap_err();
    verdict(&[&write, &begun, &ack, &ended]).unwrap_err();
}
