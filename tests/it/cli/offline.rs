//! Without a daemon: commands open the store themselves.

use std::process::Stdio;

use rampwatch::adapters::sled::{Settings, SledStore};
use rampwatch::domain::amount::Amount;
use rampwatch::domain::deposit::{BlockStatus, Deposit};
use rampwatch::ports::store::{Commit, Store as _};
use rampwatch::view::{DepositView, Page, PaymentView, ReviewView, WhyView};

use super::Place;
use crate::support::records::{address, at, deposit, payment};

/// Puts deposits into the store, as the watcher would have.
async fn keep(place: &Place, deposits: Vec<Deposit>) {
    let store = SledStore::open(&place.path("rampwatch-data"), &Settings::default()).unwrap();
    store.commit(Commit { deposits, ..Commit::default() }).await.unwrap();
}

fn final_deposit(n: u64, place: u64, base_units: u128) -> Deposit {
    Deposit {
        to: address(place),
        amount: Amount::from_base_units(base_units),
        standing: BlockStatus::Final { at: at(n) },
        ..deposit(n)
    }
}

#[tokio::test]
async fn a_payment_is_added_listed_shown_and_explained() {
    let place = Place::offline();
    let added = place.add("pay-1", 1, "1000.5").await.data();
    assert!(added.contains("1000.50 USDC (typed by local)") && added.contains("waiting"), "{added}");
    let again = place.add("pay-1", 1, "1000.50").await.data();
    assert_eq!(again, added, "adding it again changes nothing");
    let list = place.run(&["list"]).await.data();
    assert!(list.lines().nth(1).unwrap().contains("pay-1") && list.lines().count() == 2, "{list}");
    let page: Page<PaymentView> = serde_json::from_value(place.run(&["list", "--json"]).await.json()).unwrap();
    assert_eq!((page.items[0].id.as_str(), page.next), ("pay-1", None));
    assert_eq!(place.run(&["show", "pay-1"]).await.data(), added);
    let view: PaymentView = serde_json::from_value(place.run(&["show", "pay-1", "--json"]).await.json()).unwrap();
    assert_eq!(view, page.items[0]);
    let why = place.run(&["why", "pay-1"]).await.data();
    assert!(why.contains("was seen yet") && why.contains("Payment pay-1 was added"), "{why}");
    let why: WhyView = serde_json::from_value(place.run(&["why", "pay-1", "--json"]).await.json()).unwrap();
    assert_eq!(why.events.len(), 1);
    assert_eq!(place.run(&["reviews"]).await.err, "nothing needs a decision\n");
    assert_eq!(place.run(&["deposits", "--json"]).await.json(), serde_json::json!({ "items": [], "next": null }));
}

#[tokio::test]
async fn a_review_is_listed_explained_and_settled() {
    let place = Place::offline();
    keep(&place, vec![final_deposit(1, 1, 4_000_000), final_deposit(2, 1, 0)]).await;
    place.add("pay-1", 1, "5").await.data();
    let hash = deposit(1).key.tx_hash.to_string();
    let table = place.run(&["deposits", "--review"]).await.data();
    assert!(table.contains(&format!("{hash}:1")) && table.contains("review: under"), "{table}");
    assert_eq!(table.lines().count(), 2, "the zero-value one is no review: {table}");
    let page: Page<DepositView> =
        serde_json::from_value(place.run(&["deposits", "--payment", "pay-1", "--json"]).await.json()).unwrap();
    assert_eq!(page.items.len(), 2);
    let reviews = place.run(&["reviews"]).await.data();
    let expected = format!("rampwatch resolve assign --reason '…' {} pay-1", deposit(1).key);
    assert!(reviews.contains(&expected), "{reviews}");
    let page: Page<ReviewView> = serde_json::from_value(place.run(&["reviews", "--json"]).await.json()).unwrap();
    assert_eq!(page.items[0].settle[0].command.as_deref(), Some(expected.as_str()));
    let why = place.run(&["why", &hash]).await.data();
    assert!(why.contains("1.00 USDC less") && why.contains(&expected), "{why}");
    let settled = place.run(&["resolve", "assign", &hash, "pay-1", "--reason", "the provider takes 4"]).await.data();
    assert!(settled.contains("due") && settled.contains("a person said so (\"the provider takes 4\")"), "{settled}");
    let again = place.run(&["resolve", "assign", &hash, "pay-1", "--reason", "again"]).await;
    again.fails(5, &["already pays payment pay-1"]);
    let ignored = ["resolve", "ignore", &deposit(2).key.to_string(), "--reason", "dust", "--json"].map(str::to_owned);
    let ignored: Vec<&str> = ignored.iter().map(String::as_str).collect();
    assert_eq!(place.run(&ignored).await.json()["deposit"]["verdict"]["is"], "ignored");
    let cancelled = place.run(&["resolve", "cancel", "pay-1", "--reason", "no"]).await.data();
    assert!(cancelled.contains("A person stopped our completion"), "{cancelled}");
    place.run(&["resolve", "cancel", "pay-1", "--reason", "no"]).await.fails(5, &["is ended"]);
}

#[tokio::test]
async fn exit_codes_tell_failures_apart() {
    let place = Place::offline();
    place.add("pay-1", 1, "5").await.data();
    place.add("pay-1", 1, "6").await.fails(5, &["pay-1 is known already"]);
    place.add("pay-2", 1, "1e3").await.fails(2, &["amount: "]);
    place.run(&["show", "pay-404"]).await.fails(4, &["pay-404 is not known here"]);
    place.run(&["why", "pay-404"]).await.fails(4, &["pay-404"]);
    place.run(&["why", &format!("0x{}", "ab".repeat(32))]).await.fails(4, &["not known"]);
    place.run(&["deposits", "--payment", "pay-404"]).await.fails(4, &["pay-404"]);
    place.run(&["resolve", "retry", "pay-404", "--reason", "r"]).await.fails(4, &["pay-404"]);
    place.run(&["resolve", "retry", "pay-1", "--reason", " "]).await.fails(2, &["reason: "]);
    place.run(&["resolve", "ignore", "pay-1", "--reason", "r"]).await.fails(2, &["neither a deposit's key"]);
    let untyped = place.run_without_key(&["add", "pay-3", "rec-1"]).await;
    untyped.fails(2, &["deposit-address: "]);
    // With a key the API is asked, and nobody is there.
    place.run(&["add", "pay-3", "rec-1"]).await.fails(6, &["payment API"]);
}

#[tokio::test]
async fn a_store_that_is_not_there_is_told_and_not_made() {
    let place = Place::offline();
    let hash = deposit(1).key.to_string();
    let commands = [
        &["list"][..],
        &["list", "--json"],
        &["show", "pay-1"],
        &["deposits"],
        &["reviews"],
        &["why", "pay-1"],
        &["resolve", "ignore", &hash, "--reason", "r"],
        &["fund", "pay-1", "--yes"],
        &["orders"],
        &["approve", "pay-1:1", "--reason", "r"],
        &["reject", "pay-1:1", "--reason", "r"],
        &["cancel", "pay-1:1", "--reason", "r"],
        &["wallet", "status"],
        &["wallet", "pause", "--reason", "r"],
        &["wallet", "resume", "--reason", "r"],
        &["wallet", "adopt", "--reason", "r"],
        &["wallet", "returns"],
    ];
    let words = &["there is no store at", "rampwatch-data (store.path)", "`rampwatch run`", "`rampwatch add`"];
    for command in commands {
        place.run(command).await.fails(6, words);
    }
    assert!(!place.path("rampwatch-data").exists(), "nothing was made");
    // A folder without a store in it stays as it is too.
    std::fs::create_dir(place.path("rampwatch-data")).unwrap();
    place.run(&["list"]).await.fails(6, words);
    assert_eq!(std::fs::read_dir(place.path("rampwatch-data")).unwrap().count(), 0);
    let added = place.add("pay-1", 1, "5").await;
    assert_eq!(added.code, 0, "{}", added.err);
    assert!(added.err.contains("closed to them"), "f21: others could enter the folder: {}", added.err);
    assert!(place.run(&["list"]).await.data().contains("pay-1"));
}

#[tokio::test]
async fn a_store_that_another_process_has_is_told() {
    let place = Place::offline();
    let store = SledStore::open(&place.path("rampwatch-data"), &Settings::default()).unwrap();
    for command in [&["list"][..], &["why", "pay-1"], &["resolve", "retry", "pay-1", "--reason", "r"]] {
        place
            .run(command)
            .await
            .fails(6, &["no daemon answers at ", "operator.sock (http.socket)", "is in use", "rampwatch-data"]);
    }
    drop(store);
    place.run(&["list"]).await.data();
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_the_command_quietly() {
    let place = Place::offline();
    {
        let store = SledStore::open(&place.path("rampwatch-data"), &Settings::default()).unwrap();
        let payments = (0..2_000).map(payment).collect();
        store.commit(Commit { payments, ..Commit::default() }).await.unwrap();
    }
    for arguments in [&["list", "--limit", "2000"][..], &["list", "--limit", "2000", "--json"], &["--help"]] {
        let mut child = place.command(arguments).stdout(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().await.unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
    }
}

#[tokio::test]
async fn long_lists_say_where_they_go_on() {
    let place = Place::offline();
    {
        let store = SledStore::open(&place.path("rampwatch-data"), &Settings::default()).unwrap();
        let payments = (0..1_500).map(payment).collect();
        store.commit(Commit { payments, ..Commit::default() }).await.unwrap();
    }
    let first = place.run(&["list", "--limit", "1200"]).await;
    assert_eq!((first.code, first.out.lines().count()), (0, 1_201));
    let next = first.err.trim().strip_prefix("there may be more: --after ").expect("it says where").to_owned();
    let rest = place.run(&["list", "--after", &next, "--limit", "1200"]).await.data();
    assert_eq!(rest.lines().count(), 301);
    assert!(rest.lines().nth(1).unwrap().contains("pay-001200"), "{}", rest.lines().nth(1).unwrap());
}

#[tokio::test]
async fn the_configuration_is_found_by_flag_variable_and_folder() {
    let place = Place::offline();
    place.add("pay-1", 1, "5").await.data();
    let elsewhere = crate::support::temp_dir();
    let config = place.path("config.toml").display().to_string();
    let by_flag = place.command(&["--config", &config, "list"]).current_dir(elsewhere.path()).output().await.unwrap();
    assert!(super::Ran::of(by_flag).data().contains("pay-1"));
    let by_flag = place.command(&["list", "--config", &config]).current_dir(elsewhere.path()).output().await.unwrap();
    assert!(super::Ran::of(by_flag).data().contains("pay-1"), "after the command too");
    let mut by_variable = place.command(&["list"]);
    let by_variable = by_variable.current_dir(elsewhere.path()).env("RAMPWATCH_CONFIG", &config).output();
    assert!(super::Ran::of(by_variable.await.unwrap()).data().contains("pay-1"));
    let nowhere = place.command(&["list"]).current_dir(elsewhere.path()).output().await.unwrap();
    super::Ran::of(nowhere).fails(3, &["there is no configuration file"]);
}
