//! What people read, held word for word: the help of every command, and what the main commands print about a store with
//! one record of every shape. A change of words shows here: `INSTA_UPDATE=always cargo test --test it snapshots` writes
//! what is new, and the difference is read before it is committed.

use std::collections::BTreeSet;
use std::path::Path;

use rampwatch::adapters::sled::{Settings, SledStore};
use rampwatch::ports::store::Store as _;

use super::Place;
use crate::store::specimens;

/// Holds a text against the file of this name in `snapshots/`.
fn hold(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// The names in the list of commands that a help has.
fn commands(help: &str) -> Vec<String> {
    let listed = help.split_once("Commands:\n").map_or("", |(_, rest)| rest);
    let lines = listed.lines().take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')));
    let names = names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned);
    names.filter(|name| name != "help").collect()
}

#[tokio::test]
async fn help() {
    let place = Place::offline();
    let mut open: Vec<Vec<String>> = vec![vec![]];
    let mut held = BTreeSet::new();
    while let Some(command) = open.pop() {
        let arguments: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
        let help = place.run(&arguments).await.data();
        open.extend(commands(&help).into_iter().map(|name| command.iter().cloned().chain([name]).collect()));
        let name: String = command.iter().flat_map(|word| ["_", word]).collect();
        hold(&format!("help{name}"), &help);
        held.insert(format!("help{name}.snap"));
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cli/snapshots");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let of_help: BTreeSet<String> = files.filter(|name| name.starts_with("help")).collect();
    assert_eq!(held, of_help, "each command has its file, and each file its command");
}

/// A store with one record of every shape.
async fn full() -> Place {
    let place = Place::offline().with_wallet();
    let store = SledStore::open(&place.path("rampwatch-data"), &Settings::default()).unwrap();
    store.commit(specimens::everything()).await.unwrap();
    place
}

/// The data, and what was remarked beside it.
async fn shown(place: &Place, arguments: &[&str]) -> String {
    let ran = place.run(arguments).await;
    assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.err);
    let beside = if ran.err.is_empty() { String::new() } else { format!("\n(stderr)\n{}", ran.err) };
    format!("$ rampwatch {}\n{}{beside}", arguments.join(" "), ran.out)
}

#[tokio::test]
async fn lists() {
    let place = full().await;
    for (name, arguments) in [
        ("list", &["list"][..]),
        ("list_json", &["list", "--limit", "2", "--json"]),
        ("deposits", &["deposits"]),
        ("deposits_json", &["deposits", "--limit", "2", "--json"]),
        ("reviews", &["reviews"]),
        ("reviews_json", &["reviews", "--limit", "2", "--json"]),
        ("orders", &["orders"]),
        ("orders_json", &["orders", "--limit", "2", "--json"]),
        ("wallet_status", &["wallet", "status"]),
        ("wallet_returns", &["wallet", "returns"]),
    ] {
        hold(name, &shown(&place, arguments).await);
    }
}

#[tokio::test]
async fn every_payment_is_shown_and_explained() {
    let place = full().await;
    for (command, name) in [("show", "show"), ("why", "why")] {
        let mut all = String::new();
        for payment in specimens::payments() {
            all.push_str(&shown(&place, &[command, payment.id.as_str()]).await);
            all.push('\n');
        }
        hold(name, &all);
    }
    let first = specimens::payments()[0].id.to_string();
    hold("show_json", &shown(&place, &["show", &first, "--json"]).await);
    hold("why_json", &shown(&place, &["why", &first, "--json"]).await);
}

#[tokio::test]
async fn every_deposit_is_explained() {
    let place = full().await;
    let mut all = String::new();
    for deposit in specimens::deposits() {
        all.push_str(&shown(&place, &["why", &deposit.key.to_string()]).await);
        all.push('\n');
    }
    hold("why_deposits", &all);
}
