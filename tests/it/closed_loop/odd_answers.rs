//! Answers of the payment API with fields in other clothes, over HTTP: the status is followed, what is known holds, and where it
//! may not hold a person is asked.

use std::collections::BTreeMap;

use rampwatch::domain::api_field::ApiField;
use rampwatch::domain::payment::{PaymentId, PaymentReview, PaymentState};
use rampwatch::domain::time::Span;
use rampwatch::policy::resolve::Decision;
use rampwatch::sandbox::fake_api::{Behaviour, Change, Told};
use serde_json::{Value, json};

use super::api_rig::ApiRig;
use super::rig::LIMIT;
use crate::support::eventually;
use crate::support::node::tx_hash;

/// What the API tells of these fields from now on.
fn tell(world: &ApiRig, id: &PaymentId, fields: &[(&str, Value)]) {
    let fields: BTreeMap<String, Value> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let told = Told { fields, ..Told::default() };
    world.fake_api.change(id, Change { told: Some(told), ..Change::default() }).unwrap();
}

fn pay(world: &ApiRig, n: u64) {
    world.chain.append(vec![ApiRig::transfer(n).in_tx(tx_hash(n))]);
}

async fn ends(world: &ApiRig, id: &PaymentId) {
    world.rig.wait_for(id, "ended").await;
    let reviewed = world.way(id).iter().any(|state| state.name() == "review");
    assert!(!reviewed, "nobody is asked: {:?}", world.way(id));
    assert_eq!(world.posts(id).len(), 1, "{id}");
}

/// R3 (1), (2): dates without a zone, and what is only shown in any form, after the payment was added: it is completed.
#[tokio::test(flavor = "multi_thread")]
async fn r3_dates_and_shown_fields_that_turn_unreadable_keep_nothing_from_being_completed() {
    let world = ApiRig::start(Behaviour::default()).await;
    let bare = json!("2026-11-29T20:03:05");
    let cases = [
        vec![("createdAt", bare.clone()), ("expiresAt", bare.clone()), ("updatedAt", bare.clone())],
        vec![("sentAt", bare.clone()), ("completedAt", bare.clone())],
        vec![("sentAt", json!(1_795_946_400_000_u64)), ("completedAt", json!("0001-01-01T00:00:00"))],
        vec![
            ("type", json!(1)),
            ("idempotencyKey", json!({})),
            ("bankAccountId", json!([])),
            ("fee", json!({"fixed": 1})),
        ],
    ];
    let mut ids = Vec::new();
    for (n, case) in (1..).zip(&cases) {
        let id = world.expect(n).await;
        tell(&world, &id, case);
        ids.push(id);
    }
    (1..=4).for_each(|n| pay(&world, n));
    for id in &ids {
        ends(&world, id).await;
    }
    let view = world.payment(&ids[0]).await.api.unwrap();
    let unread: Vec<ApiField> = view.unread.iter().map(|unread| unread.field).collect();
    assert_eq!(unread, [ApiField::CreatedAt, ApiField::ExpiresAt], "they are shown as they came");
    world.stop().await;
}

/// R3 (3): an amount, an address, a chain or a hash that turns unreadable asks a person, and goes on by itself once it can be read;
/// also by the person's word, but for the hash.
#[tokio::test(flavor = "multi_thread")]
async fn r3_terms_that_turn_unreadable_ask_a_person_and_go_on_once_they_can_be_read() {
    let world = ApiRig::start(Behaviour::default()).await;
    let cases = [
        ("depositAmount", json!(1000.1000000000001)),
        ("depositAddress", json!("So11111111111111111111111111111111111111112")),
        ("depositChain", json!({"id": 137})),
        ("recipientId", json!("a/b")),
        ("transactionHash", json!({})),
        ("transactionHash", json!(0)),
    ];
    let mut ids = Vec::new();
    for (n, (field, value)) in (1..).zip(&cases) {
        let id = world.expect(n).await;
        tell(&world, &id, &[(field, value.clone())]);
        pay(&world, n);
        ids.push(id);
    }
    for (id, (field, value)) in ids.iter().zip(&cases) {
        world.rig.wait_for(id, "review").await;
        let PaymentState::Review { why, .. } = world.payment(id).await.state else { panic!("{id} is in review") };
        let PaymentReview::Unreadable { field: found, said } = why else { panic!("{id}: {why:?}") };
        assert_eq!((found.name(), said), (*field, value.to_string()));
        let why = world.rig.handle.why(id.as_str()).await.unwrap();
        let review = &why.reviews[0];
        assert!(review.reason == "unreadable" && review.what.contains(field), "{review:?}");
        assert_eq!(world.posts(id).len(), 0, "nothing is called");
    }
    // A person vouches for the first, and for the hash in vain; the others heal by themselves.
    for id in [&ids[0], &ids[4]] {
        world.rig.handle.resolve(&Decision::Retry { payment: id.clone() }, "the provider says so").await.unwrap();
    }
    world.rig.wait_for(&ids[0], "ended").await;
    assert_eq!(world.payment(&ids[0]).await.vouched, [ApiField::DepositAmount]);
    let again = || async { world.way(&ids[4]).iter().filter(|state| state.name() == "review").count() == 2 };
    eventually(LIMIT, "the hash is asked after again, and not believed to be none", again).await;
    for id in &ids[1..] {
        assert_eq!(world.posts(id).len(), 0, "{id}");
        tell(&world, id, &[]);
    }
    for id in &ids {
        world.rig.wait_for(id, "ended").await;
        assert_eq!(world.posts(id).len(), 1, "{id}");
    }
    world.stop().await;
}

/// A status that nobody knows is kept while the money comes, and once the API waits for funds again the payment is completed; nobody is
/// told that it was paid twice. Meanwhile it is heard of.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_nobody_knows_is_acted_on_by_nobody() {
    let world = ApiRig::start(Behaviour::default()).await;
    let statuses = [json!("ON_HOLD"), json!(7), json!({"code": "ON_HOLD"})];
    let mut ids = Vec::new();
    for (n, status) in (1..).zip(&statuses) {
        let id = world.expect(n).await;
        tell(&world, &id, &[("status", status.clone())]);
        pay(&world, n);
        ids.push(id);
    }
    for id in &ids {
        world.rig.wait_for(id, "due").await;
        let shown = || async { world.rig.handle.show(id.as_str()).await.unwrap().payment.unanswered };
        eventually(LIMIT, "it is shown why it waits", || async {
            shown().await.is_some_and(|why| why.contains("nobody here knows"))
        })
        .await;
    }
    let heard = || async { world.rig.handle.readiness(Span::ZERO).unanswered.contains("3 question(s)") };
    eventually(LIMIT, "it is heard of", heard).await;
    for id in &ids {
        assert_eq!(world.posts(id).len(), 0);
        tell(&world, id, &[]);
    }
    for id in &ids {
        ends(&world, id).await;
    }
    let over = || async { world.rig.handle.readiness(Span::ZERO).unanswered.is_empty() };
    eventually(LIMIT, "the end of it is noticed too", over).await;
    world.stop().await;
}

/// An answer that is about nothing is asked for again, and heard of: in what is shown of the payment, and in `/readyz`. The others go
/// on.
#[tokio::test(flavor = "multi_thread")]
async fn r3_nothing_that_cannot_be_read_is_asked_for_without_anybody_hearing_of_it() {
    let world = ApiRig::start(Behaviour::default()).await;
    let (odd, other) = (world.expect(1).await, world.expect(2).await);
    tell(&world, &odd, &[("id", json!("somebody-else"))]);
    pay(&world, 1);
    pay(&world, 2);
    ends(&world, &other).await;
    let shown = || async { world.rig.handle.show(odd.as_str()).await.unwrap().payment.unanswered };
    let is_told = || async { shown().await.is_some_and(|why| why.contains("about another payment")) };
    eventually(LIMIT, "it is shown", is_told).await;
    let heard = || async {
        let said = world.rig.handle.readiness(Span::ZERO).unanswered;
        said.contains("1 question(s)") && said.contains("another payment")
    };
    eventually(LIMIT, "it is heard of", heard).await;
    assert_eq!(world.posts(&odd).len(), 0);
    tell(&world, &odd, &[]);
    ends(&world, &odd).await;
    assert_eq!(shown().await, None);
    world.stop().await;
}
