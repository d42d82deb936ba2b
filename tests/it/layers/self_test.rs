//! The inspection finds what it should, and only that.

use super::{crates, inspect};

/// Asserts that inspecting the source finds exactly these faults, each given by its line and a part of its text.
fn finds(path: &str, source: &str, expected: &[(usize, &str)]) {
    let faults = inspect(path, source, &crates());
    let hit = faults.len() == expected.len()
        && faults
            .iter()
            .zip(expected)
            .all(|(fault, (line, text))| fault.starts_with(&format!("{path}:{line}: ")) && fault.contains(text));
    assert!(hit, "{path}\n{source}\nfound {faults:#?}\nbut expected {expected:#?}");
}

#[test]
fn arrows_between_rooms() {
    finds("src/domain/a.rs", "use crate::domain::b;\nuse super::c;\n", &[]);
    finds("src/domain/a.rs", "\n\nuse crate::policy::b;\n", &[(3, "domain must not import policy")]);
    finds("src/policy/a.rs", "use crate::{domain::b, engine::{c, d}};", &[(1, "engine"), (1, "engine")]);
    finds("src/ports/a.rs", "fn f(_: crate::adapters::sled::S) {}", &[(1, "ports must not import adapters::sled")]);
    finds("src/engine/a.rs", "use crate::ports::a::B;\nuse crate::policy::c;\nuse crate::config::C;", &[(3, "config")]);
    finds("src/http/a.rs", "use crate::policy::a;", &[(1, "policy")]);
    finds("src/http/mod.rs", "use crate::service::Handle;\nuse crate::daemon::W;", &[(2, "daemon")]);
    finds("src/cli/a.rs", "use crate::{daemon, telemetry, config, sandbox, service::Handle, domain};", &[]);
    finds("src/cli/a.rs", "use crate::adapters::evm;", &[(1, "adapters::evm")]);
    finds("src/cli/a.rs", "use crate::engine::a;", &[(1, "cli must not import engine")]);
    finds("src/service/a.rs", "use crate::engine::scanner::Watcher;", &[(1, "reach into the engine")]);
    finds("src/engine/a.rs", "use crate::view::a;\nuse crate::service::b;", &[(1, "view"), (2, "service")]);
    finds("src/sandbox/a.rs", "use crate::engine::Handle;", &[(1, "engine")]);
    finds("src/config.rs", "use crate::domain::a;\nuse crate::engine::b;", &[(2, "config must not import engine")]);
    finds("src/telemetry.rs", "use crate::config::a;", &[(1, "telemetry")]);
    finds("src/daemon.rs", "use crate::{adapters::{evm, sled}, ports, engine::scanner, http};", &[]);
    finds("src/daemon.rs", "use crate::cli::a;", &[(1, "cli")]);
    finds("src/main.rs", "use rampwatch::cli;\nuse rampwatch::engine::a;", &[(2, "main must not import engine")]);
    finds("src/lib.rs", "pub mod domain;\npub use domain::a;", &[(2, "only declares")]);
    finds("src/lib.rs", "pub use crate::domain::a;", &[(1, "lib must not import domain"), (1, "only declares")]);
    finds("src/new_room/a.rs", "", &[(1, "no room of the house")]);
}

#[test]
fn files_that_others_must_not_read_are_made_in_one_place() {
    let source = "use std::os::unix::fs::OpenOptionsExt as _;";
    finds("src/http/a.rs", source, &[(1, "use crate::private")]);
    finds("src/private.rs", source, &[]);
}

#[test]
fn only_the_transaction_commits() {
    let source = "async fn f() { self.store.commit(Commit::default()).await; tries.commit(&*store, changes).await }";
    finds("src/service/a.rs", source, &[(1, "commits past engine::transaction")]);
    finds("src/engine/funder/a.rs", source, &[(1, "commits past engine::transaction")]);
    finds("src/engine/transaction.rs", source, &[]);
}

#[test]
fn adapters_do_not_know_each_other() {
    finds("src/adapters/evm/pool.rs", "use crate::adapters::evm::decode;\nuse super::a;\nuse crate::ports::b;", &[]);
    finds("src/adapters/evm/pool.rs", "use crate::adapters::sled::S;", &[(1, "adapters::sled")]);
    finds("src/adapters/evm/pool.rs", "use super::super::sled::S;", &[(1, "adapters::sled")]);
    finds("src/adapters/system.rs", "use super::{evm, system};", &[(1, "adapters::evm")]);
    finds("src/adapters/sled/mod.rs", "use crate::{config::C, policy::p};", &[(1, "config"), (1, "policy")]);
    finds("src/adapters/sled/mod.rs", "fn f() { sled::open(); std::time::Instant::now(); let x = 1.5f64; }", &[]);
    finds("src/adapters/evm/a.rs", "use anyhow::Result;", &[(1, "anyhow")]);
    finds("src/adapters/other/a.rs", "", &[(1, "adapters::other is no room")]);
}

#[test]
fn ways_around_are_seen() {
    finds("src/domain/a.rs", "use crate as c;", &[(1, "whole crate")]);
    finds("src/domain/a.rs", "use crate::*;", &[(1, "whole crate")]);
    finds("src/domain/a.rs", "use super::super::engine::B;", &[(1, "engine")]);
    finds("src/domain/mod.rs", "use super::engine::B;", &[(1, "engine")]);
    finds("src/domain/a.rs", "mod inner { use super::super::super::http::B; }\nuse super::b;", &[(1, "http")]);
    finds("src/domain/a.rs", "mod inner { use super::super::b; }", &[]);
    finds("src/domain/a.rs", "use self::super::super::http;", &[(1, "http")]);
    finds("src/domain/a.rs", "use {crate::http::a, tokio::spawn};", &[(1, "http"), (1, "tokio")]);
    finds("src/domain/a.rs", "macro_rules! m { () => { $crate::http::f() } }", &[(1, "http")]);
    finds(
        "src/domain/a.rs",
        "use ::tokio::spawn;\nfn f() { ::tokio::spawn(x); return ::tokio::f(); }",
        &[(1, "tokio"), (2, "tokio"), (2, "tokio")],
    );
    finds("src/domain/a.rs", "use tokio;\nuse tokio as t;", &[(1, "tokio"), (2, "tokio")]);
    finds("src/domain/a.rs", "extern crate tokio;", &[(1, "extern crate")]);
    finds("src/domain/a.rs", "#[path = \"../http/a.rs\"]\nmod a;", &[(1, "#[path]")]);
    finds(
        "src/domain/a.rs",
        "fn f() -> Vec<tokio::sync::Mutex<u8>> { Vec::<tracing::Span>::new() }",
        &[(1, "tokio"), (1, "tracing")],
    );
}

#[test]
fn crates_of_others() {
    finds("src/domain/a.rs", "pub use alloy::primitives::{Address, B256};\nuse serde::Serialize;", &[]);
    finds("src/domain/a.rs", "use alloy::{primitives::Address, sol};", &[(1, "alloy::sol")]);
    finds("src/policy/a.rs", "fn f() { tracing::info!(\"a\"); }", &[(1, "tracing::info")]);
    finds("src/policy/a.rs", "async fn f() { g().await }", &[(1, "async"), (1, "await")]);
    finds(
        "src/ports/a.rs",
        "use tokio::sync::watch;\nuse tokio::sync::{mpsc, watch::Receiver};",
        &[(2, "tokio::sync::mpsc")],
    );
    finds("src/engine/a.rs", "use tokio::sync::Notify;\nuse tracing::info;\nasync fn f() { tokio::select! {} }", &[]);
    for path in
        ["alloy::primitives::B256", "sled::Db", "reqwest::Client", "axum::Router", "clap::Parser", "tokio::time"]
    {
        finds("src/engine/a.rs", &format!("use {path};"), &[(1, path)]);
    }
    finds("src/http/a.rs", "use axum::Router;\nuse alloy::providers::Provider;", &[(2, "alloy")]);
    finds("src/engine/a.rs", "use crate::ports::{sled::X};\nuse super::reqwest::Y;", &[]);
}

#[test]
fn f20_an_http_client_is_made_in_one_place_only() {
    for path in ["src/adapters/evm/pool.rs", "src/cli/client.rs", "src/sandbox/rpc.rs", "src/daemon/doctor.rs"] {
        finds(path, "use reqwest::Client;\nfn f() { Client::builder(); }", &[(2, "leaves by a way of its own")]);
        finds(path, "fn f() { reqwest::Client::new(); }", &[(1, "leaves by a way of its own")]);
        finds(path, "fn f() { reqwest::ClientBuilder::new(); }", &[(1, "leaves by a way of its own")]);
        finds(path, "use reqwest::Client as C;", &[(1, "leaves by a way of its own")]);
        finds(path, "fn f() { reqwest::get(x); }", &[(1, "leaves by a way of its own")]);
        finds(path, "fn f() { tokio_tungstenite::connect_async(x); }", &[(1, "leaves by a way of its own")]);
        finds(path, "fn f(client: &reqwest::Client) { Outbound::local().client(a, b); }", &[]);
        finds(path, "#[test]\nfn f() { reqwest::Client::new(); }", &[]);
    }
    finds("src/outbound.rs", "fn f() { reqwest::Client::builder(); }", &[]);
}

#[test]
fn clocks_and_floats() {
    finds("src/domain/a.rs", "fn f(x: f64) -> f32 { 1.5 }", &[(1, "f64"), (1, "f32"), (1, "1.5")]);
    finds("src/domain/a.rs", "fn f() { let a = 1f64; let b = 0x1f32; let c = 0..5; let d = t.0.1; }", &[(1, "1f64")]);
    finds(
        "src/policy/a.rs",
        "use std::time::Duration;\nuse std::time::{Instant, SystemTime};",
        &[(2, "Instant"), (2, "SystemTime")],
    );
    finds("src/engine/a.rs", "fn f() { std::time::SystemTime::now(); }", &[(1, "outside"), (1, "no clock")]);
    finds("src/engine/a.rs", "use std::time::*;", &[(1, "std::time::*")]);
    finds("src/service/a.rs", "use jiff::Timestamp;\nfn f() { Timestamp::now(); }", &[(2, "no clock")]);
    finds("src/policy/a.rs", "fn f() { std::env::var(\"A\"); }", &[(1, "std::env")]);
}

#[test]
fn tests_in_a_file_may_use_clocks_and_crates_but_no_other_rooms() {
    let inside =
        "#[cfg(test)]\nmod tests {\n    use proptest::prelude::*;\n    use super::*;\n    fn f() -> f64 { 1.5 }\n}\n";
    finds("src/domain/a.rs", inside, &[]);
    finds("src/domain/a.rs", &format!("{inside}fn g() -> f64 {{ h() }}"), &[(7, "f64")]);
    finds("src/domain/a/tests.rs", "use tokio::spawn;\n", &[]);
    finds("src/domain/a.rs", "#[cfg(test)]\n#[path = \"a_tests.rs\"]\nmod tests;\nuse tokio::a;", &[(4, "tokio")]);
    finds("src/domain/a_tests.rs", "use tokio::spawn;\nuse crate::http::a;", &[(2, "http")]);
    finds("src/domain/a.rs", "#[cfg(test)]\nmod tests { use crate::http::a; }", &[(2, "http")]);
    finds("src/domain/a.rs", "#[test]\nfn f() { tokio::spawn(x); }\nfn g() { tokio::spawn(x); }", &[(3, "tokio")]);
}

#[test]
fn comments_and_texts_are_no_code() {
    finds(
        "src/domain/a.rs",
        "// use crate::http::a;\n/* tokio::spawn /* f64 */ */\n/// [`crate::engine`]\nstruct A;",
        &[],
    );
    finds("src/domain/a.rs", "const A: &str = \"crate::http::a \\\" todo!()\";", &[]);
    finds("src/domain/a.rs", "const A: &str = r#\"a \" tokio::spawn\"#;\nuse tokio::a;", &[(2, "tokio")]);
    finds("src/domain/a.rs", "fn f<'a>(x: &'a str) { let q = '\"'; let r = '\\''; crate::http::g(); }", &[(1, "http")]);
    finds("src/domain/a.rs", "const A: &[u8] = b\"tokio::a\";\nconst B: u8 = b'\"';\nuse tokio::a;", &[(3, "tokio")]);
    finds("src/domain/a.rs", "const A: &str = \"two\nlines\";\nuse tokio::a;", &[(3, "tokio")]);
    finds("src/domain/a.rs", "pub(crate) fn r#type() {}\nuse tokio::a;", &[(2, "tokio")]);
}

#[test]
fn words_and_lengths() {
    finds("tests/it/a.rs", "fn f() {\n    todo!()\n}", &[(2, "todo!")]);
    finds("src/cli/a.rs", "fn f() { dbg!(1); unimplemented!() }", &[(1, "dbg!"), (1, "unimplemented!")]);
    finds("tests/it/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}", &[(2, "ignored")]);
    finds("src/cli/a.rs", "// fine\n/* first\n FIXME: later */\n// TODO", &[(3, "FIXME"), (4, "TODO")]);
    finds("src/cli/a.rs", "// A todo list is fine.\nconst A: &str = \"FIXME\";", &[]);
    finds("tests/it/a.rs", &"\n".repeat(500), &[]);
    finds("tests/it/a.rs", &"\n".repeat(501), &[(501, "501 lines")]);
    finds("tests/it/a.rs", "use rampwatch::adapters::sled::S;\nuse tokio::a;", &[]);
}
