//! `rampwatch reconcile`, as a person runs it: against a node and a payment API, over the store and over the daemon.

use rampwatch::adapters::sled::{Settings, SledStore};
use rampwatch::domain::deposit::BlockStatus;
use rampwatch::domain::time::Timestamp;
use rampwatch::ports::store::{Commit, Store as _};

use super::{Place, RPC_KEY};
use crate::ledger::planted::{PLANTS, World};
use crate::support::desk::{Desk, handle_on};
use crate::support::memory_store::MemoryStore;

/// A world that agrees, whatever the clock says.
async fn agreeing() -> World {
    let mut world = World::agreeing().await;
    world.deposits[3].standing = BlockStatus::Final { at: Timestamp::from_secs(4_000_000_000) };
    world
}

/// Configures the world's node and API.
fn point_at(place: &Place, world: &World) {
    let (http, ws) = (world.node.url(), world.node.ws_url());
    place.edit(&format!("http://127.0.0.1:9/{RPC_KEY}"), &http);
    place.edit(&format!("ws://127.0.0.1:9/{RPC_KEY}"), &ws);
    place.edit("http://127.0.0.1:9/api", &world.api.base_url());
}

async fn offline(world: &World) -> Place {
    let place = Place::offline();
    point_at(&place, world);
    let store = SledStore::open(&place.path("rampwatch-data"), &Settings::default()).unwrap();
    store.commit(world.ledger()).await.unwrap();
    place
}

#[tokio::test]
async fn what_agrees_ends_well_and_differences_do_not() {
    let world = agreeing().await;
    world.settle();
    let place = offline(&world).await;
    let text = place.run(&["reconcile"]).await.data();
    insta::assert_snapshot!("reconcile_agrees", text);
    let chain_only = place.run(&["reconcile", "--chain-only", "--json"]).await.json();
    assert_eq!(chain_only["payments_there"], 0);
    assert!(chain_only["not_compared"][0].as_str().unwrap().contains("payment API"), "{chain_only}");
    place.run(&["reconcile", "--from", "nonsense"]).await.fails(2, &["from", "nonsense"]);
}

#[tokio::test]
async fn each_difference_is_told_with_what_it_means_and_what_to_do() {
    let mut world = agreeing().await;
    for name in ["deposit_missing_here", "deposit_not_on_chain", "outflow_unexplained", "nonce_ahead", "unknown_here"] {
        let (_, plant) = PLANTS.iter().find(|(planted, _)| *planted == name).unwrap();
        plant(&mut world);
    }
    world.settle();
    let place = offline(&world).await;
    let ran = place.run(&["reconcile"]).await;
    assert_eq!((ran.code, ran.err.as_str()), (1, "error: there are 5 differences\n"), "{}", ran.out);
    insta::assert_snapshot!("reconcile_differs", ran.out);
    let ran = place.run(&["reconcile", "--json"]).await;
    let view: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, view["differences"].as_array().unwrap().len()), (1, 5));
}

#[tokio::test]
async fn a_running_daemon_gives_its_books_and_keeps_its_store() {
    let world = agreeing().await;
    world.settle();
    let store = MemoryStore::new();
    store.commit(Commit { events: Vec::new(), ..world.ledger() }).await.unwrap();
    let before = store.contents();
    let desk = Desk::serve(store.clone(), handle_on(&store)).await;
    let place = Place::for_daemon(desk.listen, &desk.token_file());
    point_at(&place, &world);
    let text = place.run(&["reconcile"]).await.data();
    assert!(text.contains("No differences."), "{text}");
    assert_eq!(store.contents(), before, "nothing was changed");
    let (status, body) = desk.answer(desk.get("/v1/books?part=orders")).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["items"][0]["record"]["attempts"][0]["raw"], "0x", "signed bytes are not given out");
}
