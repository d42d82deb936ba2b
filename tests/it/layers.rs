//! The rooms of the house, and what may be imported from where; also the length of files, and words that must not come
//! up. A rule that matters is a failing test.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

mod lex;
mod paths;
mod self_test;

use lex::{Lexed, lex, test_only};
use paths::{Named, paths};

/// The most lines a file may have.
const MOST_LINES: usize = 500;

/// Which crates of others a room may use.
enum Crates {
    /// These, or what lies in these modules of them, and nothing else.
    Only(&'static [&'static str]),
    /// All but these (or but what lies in these modules of them).
    Except(&'static [&'static str]),
}

/// A room: a folder or a file below `src/`, and what it may import.
struct Room {
    name: &'static str,
    /// The rooms it may import, besides itself; an adapter is a room of its own.
    rooms: &'static [&'static str],
    crates: Crates,
    /// Neither clocks nor floating-point numbers.
    exact: bool,
    /// No `async`.
    synchronous: bool,
}

const CORE: Crates = Crates::Only(&["std", "core", "serde", "strum", "thiserror", "alloy::primitives"]);
const PORTS: Crates = Crates::Only(&["std", "core", "serde", "thiserror", "async_trait", "tokio::sync::watch"]);
const ENGINE: Crates = Crates::Only(&[
    "std",
    "core",
    "serde",
    // Readiness is shown as it is.
    "schemars",
    "thiserror",
    "async_trait",
    "futures_util",
    "metrics",
    "tokio::sync",
    "tokio::task",
    "tokio::select",
    "tokio::spawn",
    "tokio::join",
    "tokio::try_join",
    "tokio::pin",
    "tokio_util::sync",
    "tokio_util::task",
    "tracing",
]);
/// The same, and what views are made with: their schemas are in the OpenAPI document.
const SERVICE: Crates = Crates::Except(&["anyhow", "clap", "alloy", "sled", "reqwest", "axum"]);
const VIEW: Crates = Crates::Only(&["std", "core", "serde", "serde_json", "schemars", "jiff"]);
/// `anyhow` is for the edges only; everything below has errors that say what to do.
const BELOW: Crates = Crates::Except(&["anyhow", "clap"]);
const ADAPTER: &[&str] = &["domain", "ports"];
/// Adapters that keep files of their own.
const KEEPING: &[&str] = &["domain", "ports", "private"];
/// Adapters that speak to others.
const SPEAKING: &[&str] = &["domain", "ports", "outbound"];

const fn room(name: &'static str, rooms: &'static [&'static str], crates: Crates) -> Room {
    Room { name, rooms, crates, exact: false, synchronous: false }
}

/// The table. `lib` and `adapters` are the files that only declare modules.
const ROOMS: &[Room] = &[
    // Whether a bug is planted, which it never is but in the simulation: whoever decides may ask.
    Room { name: "planted", rooms: &[], crates: Crates::Only(&["std"]), exact: true, synchronous: true },
    Room { name: "domain", rooms: &[], crates: CORE, exact: true, synchronous: true },
    Room { name: "policy", rooms: &["domain", "planted"], crates: CORE, exact: true, synchronous: true },
    Room {
        name: "engine",
        rooms: &["domain", "planted", "policy", "ports"],
        crates: ENGINE,
        exact: true,
        synchronous: false,
    },
    Room {
        name: "service",
        rooms: &["domain", "planted", "policy", "ports", "engine", "view"],
        crates: SERVICE,
        exact: true,
        synchronous: false,
    },
    // The only room with prose for people: it asks nobody and waits for nothing.
    Room { name: "view", rooms: &["domain", "policy"], crates: VIEW, exact: true, synchronous: true },
    room("ports", &["domain"], PORTS),
    room("adapters", &[], BELOW),
    room("adapters::attachments", KEEPING, BELOW),
    room("adapters::evm", SPEAKING, BELOW),
    room("adapters::signer", KEEPING, BELOW),
    room("adapters::sled", KEEPING, BELOW),
    room("adapters::notify_http", SPEAKING, BELOW),
    room("adapters::payment_http", SPEAKING, BELOW),
    room("adapters::shadow", ADAPTER, BELOW),
    room("adapters::system", ADAPTER, BELOW),
    room(
        "http",
        &["domain", "service", "view", "config", "private"],
        Crates::Except(&["anyhow", "clap", "alloy", "sled"]),
    ),
    // To a daemon, or to the same routes in this process.
    room(
        "client",
        &["domain", "service", "view", "http", "config", "outbound"],
        Crates::Except(&["anyhow", "clap", "alloy", "sled", "axum"]),
    ),
    // `http` too: `run` serves the operator API, and every other command is its client and shares its types.
    room(
        "cli",
        &[
            "domain",
            "service",
            "view",
            "client",
            "config",
            "http",
            "daemon",
            "telemetry",
            "sandbox",
            "outbound",
            "private",
        ],
        Crates::Except(&["alloy", "sled"]),
    ),
    // What is asked of a rampwatch beside it goes over the one client.
    room("sandbox", &["domain", "config", "client", "service", "view", "outbound", "private"], BELOW),
    room("config", &["domain", "policy", "outbound", "private"], BELOW),
    // The only room where files are opened and written that others must not read.
    room("private", &["domain"], BELOW),
    // The only room where HTTP clients are made.
    room("outbound", &["domain"], BELOW),
    room("telemetry", &["domain"], BELOW),
    // The composition root: ports, metrics, listeners, tokens, inlet, workers, stop.
    room(
        "daemon",
        &[
            "domain",
            "policy",
            "ports",
            "adapters",
            "engine",
            "service",
            "view",
            "http",
            "config",
            "telemetry",
            "outbound",
            "private",
            // Whether a key may be used on a chain.
            "sandbox",
        ],
        DAEMON,
    ),
    room("main", &["cli"], Crates::Except(&["alloy", "sled"])),
    // Compiled for tests and for the fuzzer only; it lists what each room lets a fuzzer read.
    room("fuzzing", &["domain", "adapters", "http", "config", "cli"], BELOW),
    room("lib", &[], Crates::Only(&[])),
];
const DAEMON: Crates = Crates::Except(&["clap"]);

/// The engine's loops never call each other, and nobody else calls them: they meet at the store. What operators ask is in
/// `service`; `daemon` starts the loops.
const ENGINE_INSIDES: &[&str] = &["scanner", "worker", "workers"];

/// Clocks, chance and the environment: the engine and what is below it have ports for them, or are told.
const OUTSIDE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::time::UNIX_EPOCH",
    "jiff::Zoned",
    "jiff::Timestamp::now",
];

/// A file under inspection.
struct File<'a> {
    /// Its path from the project's root, with `/`.
    path: &'a str,
    lexed: Lexed<'a>,
    /// For each token whether it is compiled for tests only.
    tests: Vec<bool>,
    faults: Vec<String>,
}

impl File<'_> {
    fn fault(&mut self, line: usize, text: &str) {
        self.faults.push(format!("{}:{line}: {text}", self.path));
    }
}

/// Everything that is wrong with a file, as `path:line: what`.
fn inspect(path: &str, source: &str, crates: &[String]) -> Vec<String> {
    let lexed = lex(source);
    let mut tests = test_only(&lexed.tokens);
    if path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.contains("/tests/") {
        tests.fill(true);
    }
    let mut file = File { path, lexed, tests, faults: Vec::new() };
    let lines = source.lines().count();
    if lines > MOST_LINES {
        file.fault(lines, &format!("{lines} lines; a file may have {MOST_LINES}"));
    }
    words(&mut file);
    if let Some(module) = path.strip_prefix("src/").map(module_of) {
        rooms(&mut file, &module, crates);
    }
    file.faults
}

/// The module that a file below `src/` makes: `engine/mod.rs` is `engine`, `adapters/evm/pool.rs` `adapters::evm::pool`.
fn module_of(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if parts.len() > 1 && parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// The room that a module belongs to: its first part, or the first two for an adapter.
fn room_of(module: &[String]) -> String {
    let parts = if module.first().is_some_and(|first| first == "adapters") { 2 } else { 1 };
    module.iter().take(parts).cloned().collect::<Vec<_>>().join("::")
}

/// Words that stand for something unfinished.
fn words(file: &mut File<'_>) {
    let texts: Vec<(&str, usize)> = file.lexed.tokens.iter().map(|token| (token.text, token.line)).collect();
    for (at, (text, line)) in texts.iter().enumerate() {
        let ahead: Vec<&str> = texts[at..].iter().take(3).map(|(text, _)| *text).collect();
        if ["todo", "unimplemented", "dbg"].contains(text) && ahead.get(1) == Some(&"!") {
            file.fault(*line, &format!("{text}! stands for something unfinished"));
        }
        if ahead.starts_with(&["#", "[", "ignore"]) {
            file.fault(*line, "an ignored test proves nothing");
        }
        if ahead.starts_with(&["#", "[", "path"]) && !file.tests[at] {
            file.fault(*line, "#[path] hides which room a module is in");
        }
    }
    for (comment, first_line) in file.lexed.comments.clone() {
        for (nth, line) in comment.lines().enumerate() {
            for word in ["FIXME", "TODO", "XXX"] {
                if line.split(|char: char| !char.is_alphanumeric()).any(|found| found == word) {
                    file.fault(first_line + nth, &format!("{word} stands for something unfinished"));
                }
            }
        }
    }
}

/// Whether the file keeps to its room's rules.
fn rooms(file: &mut File<'_>, module: &[String], crates: &[String]) {
    let name = room_of(module);
    let Some(room) = ROOMS.iter().find(|room| room.name == name) else {
        file.fault(1, &format!("{name} is no room of the house; give it its rules in tests/it/layers.rs"));
        return;
    };
    // The two roots are not modules of their own; `super` and `self` there mean the crate.
    let here = if matches!(room.name, "lib" | "main") { &[] } else { module };
    for mut named in paths(&file.lexed.tokens, here, crates) {
        if named.parts.first().is_some_and(|first| first == "rampwatch") {
            named.parts[0] = "crate".to_owned();
        }
        let fault = if named.parts.first().is_some_and(|first| first == "crate") {
            own_path(room, &named)
        } else if file.tests[named.token] {
            None
        } else {
            foreign_path(room, &named)
        };
        if let Some(fault) = fault {
            file.fault(named.line, &fault);
        }
    }
    if room.name == "lib" {
        declares_only(file);
    }
    if room.name != "outbound" {
        leaves_elsewhere(file);
    }
    if matches!(room.name, "engine" | "service") && file.path != "src/engine/transaction.rs" {
        commits_elsewhere(file);
    }
    if !["src/private.rs", "src/adapters/sled/open.rs"].contains(&file.path) {
        closes_files_elsewhere(file);
    }
    exactness(file, room);
}

/// HTTP clients are made, and websockets opened, in `outbound` only: one that is made elsewhere could forget that variables
/// name no proxies, that redirects are not followed, whom TLS trusts, or its time limits.
fn leaves_elsewhere(file: &mut File<'_>) {
    let tokens = &file.lexed.tokens;
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    let mut faults = Vec::new();
    for (at, token) in tokens.iter().enumerate().filter(|(at, _)| !file.tests[*at]) {
        let called = (text(at + 1) == "::").then(|| text(at + 2));
        let makes = match token.text {
            "Client" => matches!(called, Some("builder" | "new" | "default")),
            "ClientBuilder" => matches!(called, Some("new" | "default")),
            "reqwest" => matches!(called, Some("get" | "blocking")),
            name => name.starts_with("connect_async"),
        };
        // Under another name it would not be recognised.
        let renamed = matches!(token.text, "Client" | "ClientBuilder") && text(at + 1) == "as";
        if makes || renamed {
            faults.push((token.line, format!("{} leaves by a way of its own; use crate::outbound", token.text)));
        }
    }
    for (line, text) in faults {
        file.fault(line, &text);
    }
}

/// What is committed is logged and counted: `engine::transaction` sees to it, so nobody else commits.
fn commits_elsewhere(file: &mut File<'_>) {
    let texts: Vec<(&str, usize)> = file.lexed.tokens.iter().map(|token| (token.text, token.line)).collect();
    let commits = |at: usize| matches!(texts.get(at..), Some([(".", _), ("commit", _), ("(", _), ..]));
    let by_others = (1..texts.len()).filter(|at| commits(*at) && texts[at - 1].0 != "tries" && !file.tests[*at]);
    for line in by_others.map(|at| texts[at].1).collect::<Vec<_>>() {
        file.fault(line, "commits past engine::transaction, so that nothing is logged or counted");
    }
}

/// A file that others must not read is opened with its mode in `private` only (and the store's lock, in `open`): one that is made
/// elsewhere could be open to others for a moment, or be half there.
fn closes_files_elsewhere(file: &mut File<'_>) {
    let named = file.lexed.tokens.iter().enumerate().filter(|(at, _)| !file.tests[*at]);
    let lines: Vec<usize> =
        named.filter(|(_, token)| token.text == "OpenOptionsExt").map(|(_, token)| token.line).collect();
    for line in lines {
        file.fault(line, "gives a file its mode by a way of its own; use crate::private");
    }
}

/// What is wrong with a path into this crate.
fn own_path(room: &Room, named: &Named) -> Option<String> {
    let inside = named.parts.get(1..).unwrap_or_default();
    let written = named.parts.join("::");
    let target = room_of(inside);
    if inside.is_empty() || target == "*" {
        return Some(format!("{written} names the whole crate; name the room that is meant"));
    }
    // `adapters` in the table stands for all of them.
    let allowed =
        |wanted: &str| target == wanted || target.strip_prefix(wanted).is_some_and(|rest| rest.starts_with("::"));
    let known = ROOMS.iter().any(|room| allowed(room.name));
    if !known && matches!(room.name, "lib" | "main") {
        return None;
    }
    if !allowed(room.name) && !room.rooms.iter().any(|wanted| allowed(wanted)) {
        let list = if room.rooms.is_empty() { "no other room".to_owned() } else { room.rooms.join(", ") };
        return Some(format!("{} must not import {target} ({written}); it may import {list}", room.name));
    }
    let insides = inside.get(1).is_some_and(|part| ENGINE_INSIDES.contains(&part.as_str()));
    if target == "engine" && insides && !matches!(room.name, "engine" | "daemon") {
        return Some(format!("{} must not reach into the engine ({written}); the loops meet at the store", room.name));
    }
    None
}

/// What is wrong with a path into another crate.
fn foreign_path(room: &Room, named: &Named) -> Option<String> {
    let written = named.parts.join("::");
    let in_any = |list: &[&str]| list.iter().any(|prefix| named.is_in(prefix));
    let right = match &room.crates {
        Crates::Only(list) => in_any(list),
        Crates::Except(list) => !in_any(list),
    };
    if !right {
        return Some(format!("{} must not use {written}", room.name));
    }
    let globbed = ["std::time", "std", "jiff"].iter().any(|module| written == format!("{module}::*"));
    if room.exact && (in_any(OUTSIDE) || globbed) {
        return Some(format!("{} must not use {written}: clocks and the outside belong to a port", room.name));
    }
    None
}

/// The library's root only says which rooms there are.
fn declares_only(file: &mut File<'_>) {
    let uses = file.lexed.tokens.iter().filter(|token| ["use", "fn", "extern"].contains(&token.text));
    for line in uses.map(|token| token.line).collect::<Vec<_>>() {
        file.fault(line, "lib.rs only declares the rooms");
    }
}

/// No floating-point numbers, clocks and `async` where a room is without them.
fn exactness(file: &mut File<'_>, room: &Room) {
    let mut faults = Vec::new();
    let tokens = &file.lexed.tokens;
    for (at, token) in tokens.iter().enumerate().filter(|(at, _)| !file.tests[*at]) {
        let before = at.checked_sub(1).and_then(|at| tokens.get(at)).map_or("", |token| token.text);
        let after = |ahead: usize| tokens.get(at + ahead).map_or("", |token| token.text);
        let digits = token.text.starts_with(|char: char| char.is_ascii_digit());
        let suffixed =
            digits && !token.text.starts_with("0x") && (token.text.ends_with("f32") || token.text.ends_with("f64"));
        let float = ["f32", "f64"].contains(&token.text) || suffixed || (token.text.contains('.') && before != ".");
        if room.exact && float && (digits || !token.text.contains('.')) {
            faults.push((token.line, format!("{} has no floating-point numbers ({})", room.name, token.text)));
        }
        let clock = ["SystemTime", "Instant", "Timestamp", "Zoned"].contains(&token.text);
        if room.exact && clock && after(1) == "::" && after(2) == "now" {
            faults.push((token.line, format!("{} has no clock ({}::now)", room.name, token.text)));
        }
        if room.synchronous && ["async", "await"].contains(&token.text) {
            faults.push((token.line, format!("{} is synchronous ({})", room.name, token.text)));
        }
        if token.text == "extern" && after(1) == "crate" {
            faults.push((token.line, "extern crate hides what is imported".to_owned()));
        }
    }
    for (line, text) in faults {
        file.fault(line, &text);
    }
}

/// The crates that the project depends on, as source names them.
fn crates() -> Vec<String> {
    let manifest: toml::Table = toml::from_str(&fs::read_to_string(root().join("Cargo.toml")).unwrap()).unwrap();
    let sections = ["dependencies", "dev-dependencies"].iter().filter_map(|name| manifest[*name].as_table());
    let mut names: BTreeSet<String> =
        sections.flat_map(|table| table.keys()).map(|name| name.replace('-', "_")).collect();
    names.extend(["std", "core", "alloc", "rampwatch"].map(str::to_owned));
    names.into_iter().collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below a folder.
fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn the_house_keeps_its_rules() {
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files);
    rust_files(&root().join("tests"), &mut files);
    files.sort();
    assert!(files.len() > 40, "only {} files were found", files.len());
    let crates = crates();
    let mut faults = Vec::new();
    for file in &files {
        let path = file.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
        faults.extend(inspect(&path, &fs::read_to_string(file).unwrap(), &crates));
    }
    assert!(faults.is_empty(), "the house's rules are broken:\n{}", faults.join("\n"));
}

#[test]
fn every_room_of_the_table_is_there() {
    for room in ROOMS {
        let path = root().join("src").join(room.name.replace("::", "/"));
        assert!(path.is_dir() || path.with_extension("rs").is_file(), "there is no room {}", room.name);
    }
}
