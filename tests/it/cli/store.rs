//! `rampwatch store`: what a person does with it, from a store that is filled to one that is restored elsewhere.

use std::os::unix::fs::PermissionsExt as _;

use rampwatch::adapters::sled::{Settings, SledStore};

use super::Place;

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
