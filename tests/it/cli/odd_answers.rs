//! The payment API in other clothes, through the binary: what `add` asks for, and what becomes of payments that are known.

use std::collections::BTreeMap;

use rampwatch::domain::payment::PaymentId;
use rampwatch::sandbox::USDC;
use rampwatch::sandbox::fake_api::{Change, Told};
use serde_json::{Value, json};

use super::running::{LIMIT, World, stop};
use crate::support::eventually;
use crate::support::node::LogSpec;
use crate::support::records::address;

/// What the API tells of these fields from now on.
fn tell(world: &World, id: &PaymentId, fields: &[(&str, Value)]) {
    let fields: BTreeMap<String, Value> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let told = Told { fields, ..Told::default() };
    world.api.change(id, Change { told: Some(told), ..Change::default() }).unwrap();
}

fn recipient(world: &World, id: &PaymentId) -> String {
    world.api.off_ramps().into_iter().find(|known| known.id == *id).unwrap().recipient_id.to_string()
}

/// R3 (4), (5): what is needed and cannot be read is asked for by field, value and flag, and the flag counts; what is only shown keeps
/// nothing from being added, and ids may be numbers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r3_add_names_field_value_and_flag_and_the_flag_counts() {
    let world = World::new().await;
    let bare = "2026-11-29T20:03:05";
    let (created, expires) = ("2026-11-29T20:03:05Z", "2036-11-29T21:03:05Z");
    let home = address(1).to_string();
    let needed: [(&str, Value, &str, &str); 6] = [
        ("createdAt", json!(bare), "--created-at", "2026-01-29T20:03:05Z"),
        ("expiresAt", json!(bare), "--expires-at", expires),
        ("expiresAt", json!({"seconds": 1}), "--expires-at", expires),
        ("depositAmount", json!(5.0000001), "--amount", "5"),
        ("depositAddress", json!("So11111111111111111111111111111111111111112"), "--deposit-address", &home),
        ("depositChain", json!({"id": 137}), "--deposit-chain", "polygon"),
    ];
    for (field, value, flag, given) in &needed {
        let id = world.open(1, 5_000_000);
        let recipient = recipient(&world, &id);
        tell(&world, &id, &[(field, value.clone())]);
        let said = value.to_string();
        world.place.run(&["add", id.as_str(), &recipient]).await.fails(2, &[field, &said, flag]);
        let added = world.place.run(&["add", id.as_str(), &recipient, flag, given, "--json"]).await.json();
        assert_eq!((&added["id"], &added["state"]["name"]), (&json!(id), &json!("waiting")), "{field}");
        let shown = world.place.run(&["show", id.as_str()]).await.data();
        assert!(shown.contains("unread ") && shown.contains(field), "{shown}");
    }
    let id = world.open(1, 5_000_000);
    tell(&world, &id, &[("depositChain", json!(true))]);
    let wrong = ["add", id.as_str(), &recipient(&world, &id), "--deposit-chain", "ethereum"];
    world.place.run(&wrong).await.fails(2, &["deposit-chain", "ethereum", "chain.name is \"polygon\""]);

    let both = world.open(1, 5_000_000);
    tell(&world, &both, &[("createdAt", json!(bare)), ("expiresAt", json!(bare))]);
    let to = recipient(&world, &both);
    let added = world
        .place
        .run(&["add", both.as_str(), &to, "--created-at", "2026-01-29T20:03:05Z", "--expires-at", created])
        .await;
    assert!(added.data().contains(created.trim_end_matches('Z')));

    for (field, value) in [
        ("type", json!(1)),
        ("type", json!({"code": "x"})),
        ("idempotencyKey", json!(7)),
        ("bankAccountId", json!(12)),
        ("bankAccountId", json!({})),
        ("completedAt", json!("0001-01-01T00:00:00")),
        ("sentAt", json!(bare)),
        ("createdAt", json!(1_769_716_985)),
        ("createdAt", json!(1_769_716_985_000_u64)),
    ] {
        let id = world.open(1, 5_000_000);
        let recipient = recipient(&world, &id);
        tell(&world, &id, &[(field, value.clone())]);
        world.place.run(&["add", id.as_str(), &recipient]).await.data();
    }
    let id = world.open(1, 5_000_000);
    tell(&world, &id, &[("recipientId", json!(12))]);
    world.place.run(&["add", id.as_str(), "13"]).await.fails(2, &["recipient", "12"]);
    world.place.run(&["add", id.as_str(), "12"]).await.data();
}

/// R3 (1) to (3), with a daemon: payments that are known are completed, or a person is asked; the status is followed all the while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r3_payments_that_are_known_are_completed_or_a_person_is_asked() {
    let world = World::new().await;
    let daemon = world.start().await;
    let bare = json!("2026-11-29T20:03:05");
    let cases = [
        (1, vec![("createdAt", bare.clone()), ("expiresAt", bare.clone()), ("updatedAt", bare.clone())]),
        (2, vec![("sentAt", bare.clone()), ("completedAt", json!(1_795_946_400_000_u64))]),
        (3, vec![("depositAmount", json!(5.000000000001))]),
    ];
    let mut ids = Vec::new();
    for (n, fields) in &cases {
        let id = world.open(*n, 5_000_000);
        let recipient = recipient(&world, &id);
        world.place.run(&["add", id.as_str(), &recipient]).await.data();
        tell(&world, &id, fields);
        ids.push(id);
    }
    for (n, _) in &cases {
        world.chain.append(LogSpec::transfer(USDC, address(0xf00d), address(*n), 5_000_000));
    }
    let shown = async |id: &PaymentId| {
        world.chain.append_empty(1);
        world.place.run(&["show", id.as_str(), "--json"]).await.json()
    };
    for id in &ids[..2] {
        eventually(LIMIT, "it is completed", || async { shown(id).await["state"]["outcome"] == "completed" }).await;
    }
    let odd = &ids[2];
    eventually(LIMIT, "a person is asked", || async { shown(odd).await["state"]["review"]["reason"] == "unreadable" })
        .await;
    let reviews = world.place.run(&["reviews"]).await.data();
    assert!(reviews.contains("depositAmount") && reviews.contains("5.000000000001"), "{reviews}");
    world.place.run(&["resolve", "retry", odd.as_str(), "--reason", "the provider says so"]).await.data();
    eventually(LIMIT, "it is completed", || async { shown(odd).await["state"]["outcome"] == "completed" }).await;
    stop(daemon, "TERM").await;
}
