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
        ("payouts", &["payouts"]),
        ("payouts_json", &["payouts", "--limit", "2", "--json"]),
        ("notices", &["notices"]),
        ("notices_json", &["notices", "--limit", "2", "--json"]),
        ("events", &["events", "--after", "0", "--limit", "1000"]),
        ("events_json", &["events", "--after", "0", "--limit", "2", "--json"]),
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
async fn every_payout_is_shown() {
    let place = full().await;
    let page = place.run(&["payouts", "--json"]).await.json();
    let mut all = String::new();
    for payout in page["items"].as_array().unwrap() {
        all.push_str(&shown(&place, &["payout", "show", payout["reference"].as_str().unwrap()]).await);
        all.push('\n');
    }
    assert!(all.lines().count() > 100, "{all}");
    hold("payout_show", &all);
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

#[tokio::test]
async fn the_ledger_is_exported_and_every_payment_has_a_receipt() {
    let place = full().await;
    let always = ["export", "--to", "2100-01-01"];
    hold("export", &shown(&place, &always).await);
    hold("export_json", &shown(&place, &[&always[..], &["--format", "json"]].concat()).await);
    let mut all = String::new();
    for payment in specimens::payments() {
        all.push_str(&shown(&place, &["receipt", payment.id.as_str()]).await);
        all.push('\n');
    }
    hold("receipt", &all);
}

#[tokio::test]
async fn a_receipt_has_three_forms() {
    let place = Place::offline();
    let store = SledStore::open(&place.path("rampwatch-data"), &Settings::default()).unwrap();
    let told = crate::ledger::story::told().await.contents();
    let commit = rampwatch::ports::store::Commit {
        payments: told
            .payments
            .into_values()
            .map(|payment| rampwatch::domain::payment::Payment { version: 0, ..payment })
            .collect(),
        deposits: told
            .deposits
            .into_values()
            .map(|deposit| rampwatch::domain::deposit::Deposit { version: 0, ..deposit })
            .collect(),
        orders: told
            .orders
            .into_values()
            .map(|order| rampwatch::domain::order::Order { version: 0, ..order })
            .collect(),
        events: told.events.into_iter().map(|recorded| recorded.event).collect(),
        ..rampwatch::ports::store::Commit::default()
    };
    store.commit(commit).await.unwrap();
    drop(store);
    for (name, form) in [("receipt_text", "text"), ("receipt_json", "json"), ("receipt_markdown", "markdown")] {
        hold(name, &shown(&place, &["receipt", "pay-000001", "--format", form]).await);
    }
    place.run(&["receipt", "nobody"]).await.fails(4, &["nobody"]);
}

#[tokio::test]
async fn an_export_is_written_whole_and_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = full().await;
    place.write("books.csv", "what was there before");
    let ran = place.run(&["export", "--to", "2100-01-01", "--out", "books.csv"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    assert!(ran.err.contains("books.csv"), "{}", ran.err);
    let written = std::fs::read_to_string(place.path("books.csv")).unwrap();
    assert_eq!(written, place.run(&["export", "--to", "2100-01-01"]).await.data());
    let mode = std::fs::metadata(place.path("books.csv")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    place.run(&["export", "--from", "nonsense", "--out", "books.csv"]).await.fails(2, &["from", "nonsense"]);
    place.run(&["export", "--out", "no/such/folder.csv"]).await.fails(1, &["folder.csv"]);
    assert_eq!(
        std::fs::read_to_string(place.path("books.csv")).unwrap(),
        written,
        "it is replaced whole or not at all"
    );
    let partial = std::fs::read_dir(place.path("")).unwrap();
    let names: Vec<String> = partial.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().all(|name| !name.contains("partial")), "{names:?}");
}
