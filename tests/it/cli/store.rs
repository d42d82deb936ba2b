//! `rampwatch store`: what a person does with it, from a store that is filled to one that is restored elsewhere.

use std::os::unix::fs::PermissionsExt as _;

use rampwatch::adapters::sled::{Settings, SledStore};
use tokio::process::Child;

use super::running::{LIMIT, World, stop};
use super::{Place, Ran};
use crate::funding::stores::copy;
use crate::signer::{FOUNDRY, FOUNDRY_PASSWORD};
use crate::support::eventually;
use crate::support::node::Account;

#[tokio::test]
async fn a_store_is_backed_up_restored_and_checked() {
    let place = Place::offline();
    for n in 1..=3 {
        place.add(&format!("pay-{n}"), n, "5").await.data();
    }
    place.run_without_key(&["resolve", "cancel", "pay-2", "--reason", "a test"]).await.data();
    let before = place.run(&["list", "--json"]).await.json();
    let checked = place.run(&["store", "check"]).await.data();
    assert!(checked.contains("3 payments") && checked.contains("ok: every record reads"), "{checked}");
    let checked = place.run(&["store", "check", "--json"]).await.json();
    assert_eq!((&checked["payments"], &checked["findings"]), (&3.into(), &serde_json::json!([])));

    let folder = place.path("backups");
    std::fs::create_dir(&folder).unwrap();
    let made = place.run(&["store", "backup", "backups", "--json"]).await.json();
    let file = made["file"].as_str().unwrap().to_owned();
    let name = file.strip_prefix("backups/rampwatch-store-").expect("named by the moment");
    assert!(name.ends_with("Z.backup") && made["made_at"].is_string(), "{made}");
    let mode = place.path(&file).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert!(place.run(&["store", "check", "--backup", &file]).await.data().contains("is whole"));
    place.run(&["store", "backup", &file]).await.fails(5, &["is there already", "nothing is ever overwritten"]);
    place.run(&["store", "restore", &file]).await.fails(5, &["rampwatch-data", "holds something already", "--into"]);

    std::fs::rename(place.path("rampwatch-data"), place.path("lost")).unwrap();
    let ran = place.run(&["store", "restore", &file]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("wallet pause") && ran.err.contains("nonces"), "{}", ran.err);
    assert_eq!(place.run(&["list", "--json"]).await.json(), before);
    place.run(&["store", "check"]).await.data();
    let ran = place.run(&["store", "restore", &file, "--into", "elsewhere", "--json"]).await;
    let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&told["store"], &told["records"]), (&"elsewhere".into(), &made["records"]));
}

#[tokio::test]
async fn what_cannot_be_done_is_told() {
    let place = Place::offline();
    for command in [&["store", "check"][..], &["store", "backup", "file"]] {
        place.run(command).await.fails(6, &["there is no store at"]);
    }
    place.add("pay-1", 1, "5").await.data();
    {
        let _held = SledStore::open(&place.path("rampwatch-data"), &Settings::default()).unwrap();
        for command in [&["store", "check"][..], &["store", "backup", "file"]] {
            place.run(command).await.fails(6, &["is in use", "stop the rampwatch", "no deposit is missed"]);
        }
    }
    place.write("noise", "something else");
    for command in [&["store", "restore", "noise", "--into", "x"][..], &["store", "check", "--backup", "noise"]] {
        place.run(command).await.fails(1, &["noise cannot be used as a backup", "does not begin as"]);
    }
    place.run(&["store", "restore", "nowhere", "--into", "x"]).await.fails(6, &["nowhere"]);
    assert!(!place.path("x").exists() && !place.path("file").exists());
}

#[tokio::test]
async fn what_is_found_is_named_and_ends_in_failure() {
    let place = Place::offline();
    place.add("pay-1", 1, "5").await.data();
    {
        let db = sled::Config::new().path(place.path("rampwatch-data")).segment_size(4 << 20).flush_every_ms(None);
        let db = db.open().unwrap();
        db.remove(b"qpay-1").unwrap().unwrap();
        db.flush().unwrap();
    }
    let ran = place.run(&["store", "check"]).await;
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.out.contains("found: Ppay-1: the index entry qpay-1 is missing"), "{}", ran.out);
    assert!(ran.err.contains("1 findings") && ran.err.contains("keep a copy"), "{}", ran.err);
    let ran = place.run(&["store", "check", "--json"]).await;
    let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &told["findings"][0]["key"]), (1, &"Ppay-1".into()));
}

/// R4 as it was seen: commands that only read name the file and change nothing, and the daemon's next start puts it aside.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r4_the_next_start_puts_a_half_written_snapshot_aside() {
    let world = World::new().await;
    for n in [1, 2] {
        let daemon = world.start().await;
        let id = world.open(n, 25_000_000);
        world.place.run(&["add", id.as_str(), "recipient-1"]).await.data();
        assert_eq!(stop(daemon, "TERM").await.code, 0);
    }
    let store = world.place.path("rampwatch-data");
    let names = std::fs::read_dir(&store).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let newest = names.filter(|name| name.starts_with("snap.")).max().expect("there is a snapshot");
    let half = std::fs::read(store.join(newest)).unwrap();
    for (name, bytes) in
        [("snap.FFFFFFFFFFFFFFFF.generating", &half[..100.min(half.len() - 1)]), ("snap.7FFFFFFFFFFFFFFF", b"")]
    {
        std::fs::write(store.join(name), bytes).unwrap();
        let told = |ran: Ran, code: i32| {
            let said = format!("{}{}", ran.out, ran.err);
            assert_eq!(ran.code, code, "{said}");
            assert!(said.contains(name) && !said.contains("restore"), "{said}");
        };
        for command in [&["list"][..], &["store", "check"], &["store", "backup", "file"]] {
            told(world.place.run(command).await, 6);
        }
        told(world.place.run(&["doctor"]).await, 1);
        assert_eq!(std::fs::read(store.join(name)).unwrap(), bytes, "nothing was changed");
        assert!(!store.join("put-aside").join(name).exists());
        let ran = stop(world.start().await, "TERM").await;
        assert!(ran.code == 0 && ran.err.contains(name) && ran.err.contains("put aside"), "{}", ran.err);
        assert_eq!(std::fs::read(store.join("put-aside").join(name)).unwrap(), bytes, "it is kept");
        let checked = world.place.run(&["store", "check"]).await.data();
        assert!(checked.contains("2 payments") && checked.contains("ok: every record reads"), "{checked}");
    }
}

/// A daemon that answers, ready or not: before that, commands would open the store themselves.
async fn running(world: &World) -> Child {
    let child = world.place.command(&["run"]).spawn().unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/readyz", world.listen);
    eventually(LIMIT, "the daemon answers", || async { client.get(&url).send().await.is_ok() }).await;
    child
}

/// An older copy of the store's files, beside the note of what had been acknowledged since: the daemon runs, and its wallet is
/// halted until a person has looked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r4_an_older_store_halts_the_wallet_and_is_told() {
    let mut world = World::new().await;
    world.place = world.place.with_wallet();
    world.place.edit(
        "# password_file = \"wallet-password\"",
        "password_file = \"password\"\nallow_development_api_key_on_live_chain = true",
    );
    for (name, text) in [("wallet.json", FOUNDRY), ("password", FOUNDRY_PASSWORD)] {
        world.place.write(name, text);
        std::fs::set_permissions(world.place.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let wallet = world.place.run(&["wallet", "address"]).await.data().trim().to_owned();
    world.chain.set_account(wallet.parse().unwrap(), Account::default());
    let (store, older) = (world.place.path("rampwatch-data"), world.place.path("older"));
    for n in [1, 2] {
        let daemon = running(&world).await;
        eventually(LIMIT, "the wallet is opened", || async {
            world.place.run(&["wallet", "status", "--json"]).await.code == 0
        })
        .await;
        let id = world.open(n, 25_000_000);
        world.place.run(&["add", id.as_str(), "recipient-1"]).await.data();
        assert_eq!(stop(daemon, "TERM").await.code, 0);
        if n == 1 {
            copy(&store, &older);
        }
    }
    let note = std::fs::read(store.join("acknowledged")).unwrap();
    std::fs::rename(&store, world.place.path("newer")).unwrap();
    copy(&older, &store);
    std::fs::write(store.join("acknowledged"), note).unwrap();
    let daemon = running(&world).await;
    eventually(LIMIT, "the wallet is halted", || async {
        let said = world.place.run(&["wallet", "status"]).await.out;
        said.contains("may have forgotten what was sent")
    })
    .await;
    let events = world.place.run(&["events", "--json"]).await.out;
    assert!(events.contains("had acknowledged them up to"), "{events}");
    let ran = stop(daemon, "TERM").await;
    assert!(ran.err.contains("holds less than it acknowledged"), "{}", ran.err);
    // It is told once, and stays halted.
    let daemon = running(&world).await;
    eventually(LIMIT, "the wallet is still halted", || async {
        world.place.run(&["wallet", "status"]).await.out.contains("may have forgotten what was sent")
    })
    .await;
    let ran = stop(daemon, "TERM").await;
    assert!(!ran.err.contains("holds less than it acknowledged"), "{}", ran.err);
}
