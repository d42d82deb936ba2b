//! Shadow mode in the closed loop: it says what it would do, does nothing, and says whether what people did agrees.

use std::sync::Arc;

use rampwatch::adapters::shadow::ShadowApi;
use rampwatch::domain::chain::B256;
use rampwatch::domain::event::EventKind;
use rampwatch::domain::payment::{ApiStatus, PaymentId, RecipientId};
use rampwatch::domain::record::{RecordBody, RecordKey, RecordKind};
use rampwatch::domain::shadow::{Shadow, ShadowAct, ShadowOutcome, completion_id};
use rampwatch::engine::EngineSettings;
use rampwatch::policy::shadow::Mode;
use rampwatch::ports::off_ramp_api::{OffRampApi, WebhookChange};
use rampwatch::ports::payment_api::{ApiError, PaymentApi};
use rampwatch::ports::store::{Store, Subject};

use super::api::PlainApi;
use super::rig::{LIMIT, Rig, now, pay, quick_settings, urls};
use crate::support::eventually;
use crate::support::memory_store::MemoryStore;
use crate::support::node::{Finalized, Node, NodeOptions, ScriptedChain, tx_hash};

fn shadow_settings() -> EngineSettings {
    EngineSettings { mode: Mode::Shadow, ..quick_settings() }
}

/// A chain on which everything but the newest blocks is final, and a node that tells of it.
fn calm_chain() -> (ScriptedChain, Node) {
    let chain = ScriptedChain::new();
    chain.append_empty(50);
    chain.set_finalized(Finalized::Below(3));
    let node = Node::start(&chain, NodeOptions::default());
    (chain, node)
}

/// What shadow mode keeps of a payment's completion.
async fn kept(rig: &Rig, id: &PaymentId) -> Option<Shadow> {
    let key = RecordKey { kind: RecordKind::Shadow, id: completion_id(id) };
    rig.store.record(&key).await.unwrap().map(|record| match record.body {
        RecordBody::Shadow(shadow) => shadow,
        other => panic!("what would be done, and not {other:?}"),
    })
}

async fn until_kept(rig: &Rig, id: &PaymentId, what: &str, wished: impl Fn(&Shadow) -> bool) -> Shadow {
    let is = || async { kept(rig, id).await.is_some_and(|shadow| wished(&shadow)) };
    eventually(LIMIT, what, is).await;
    kept(rig, id).await.unwrap()
}

/// How often shadow mode has spoken of a payment.
async fn words(rig: &Rig, id: &PaymentId) -> Vec<String> {
    let events = rig.store.events_of(&Subject::Payment(id.clone()), 0, 999).await.unwrap();
    let why = |kind: EventKind| match kind {
        EventKind::RecordChanged { why, .. } => Some(why),
        _ => None,
    };
    events.into_iter().filter_map(|recorded| why(recorded.event.kind)).collect()
}

/// The API's own number of completions that it was called for.
fn calls(rig: &Rig) -> usize {
    rig.api.completions().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_completed_and_what_would_be_is_said_once() {
    let (chain, node) = calm_chain();
    let rig = Rig::start(&[urls(&node)], shadow_settings(), MemoryStore::new(), PlainApi::default());
    let id = rig.expect(1, now(&chain)).await;
    chain.append(pay(1));
    chain.append_empty(8);
    let would = until_kept(&rig, &id, "it is said", |_| true).await;
    assert_eq!((would.act, would.outcome), (ShadowAct::Complete { tx_hash: tx_hash(1) }, None));
    assert_eq!(rig.payment(&id).await.state.name(), "due");
    // It is looked at again and again, and said once.
    let looks = rig.api.asked();
    eventually(LIMIT, "it is looked at again", || async { rig.api.asked() >= looks + 2 }).await;
    assert_eq!(words(&rig, &id).await.len(), 1);
    assert_eq!(rig.payment(&id).await.state.name(), "due", "it is never recorded as called");
    let why = rig.handle.why(id.as_str()).await.unwrap();
    assert!(
        why.events.iter().any(|event| event.text.contains("Shadow mode: payment p-1 would be completed")),
        "{why:?}"
    );
    assert!(why.payment.unwrap().state.text.contains("shadow mode"));
    assert!(rig.handle.readiness(LIMIT_SPAN).shadow);
    // A restart says nothing new.
    let api = rig.api.clone();
    let store = rig.crash().await;
    let rig = Rig::start(&[urls(&node)], shadow_settings(), store, api);
    let looks = rig.api.asked();
    eventually(LIMIT, "it is looked at again", || async { rig.api.asked() >= looks + 2 }).await;
    assert_eq!((words(&rig, &id).await.len(), calls(&rig)), (1, 0));
    rig.stop().await;
}

const LIMIT_SPAN: rampwatch::domain::time::Span = rampwatch::domain::time::Span::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn what_people_do_is_followed_and_compared() {
    let (chain, node) = calm_chain();
    let rig = Rig::start(&[urls(&node)], shadow_settings(), MemoryStore::new(), PlainApi::default());
    let mut ids = Vec::new();
    for n in 1..=4 {
        ids.push(rig.expect(n, now(&chain)).await);
        chain.append(pay(n));
    }
    chain.append_empty(8);
    for id in &ids {
        until_kept(&rig, id, "it is said", |_| true).await;
    }
    let other = B256::repeat_byte(0x99);
    rig.api.completed_by_hand(&ids[0], Some(tx_hash(1)), ApiStatus::Processing);
    rig.api.completed_by_hand(&ids[1], Some(other), ApiStatus::Processing);
    rig.api.completed_by_hand(&ids[2], None, ApiStatus::Completed);
    rig.api.completed_by_hand(&ids[3], None, ApiStatus::Expired);
    let mut outcomes = Vec::new();
    for id in &ids {
        outcomes.push(until_kept(&rig, id, "it is compared", |shadow| shadow.outcome.is_some()).await.outcome.unwrap());
    }
    let differed = ShadowOutcome::Differed { theirs: other.to_string() };
    let not_done = ShadowOutcome::NotDone { status: ApiStatus::Expired };
    assert_eq!(outcomes, [ShadowOutcome::Agreed, differed, ShadowOutcome::Unnamed, not_done]);
    let states: Vec<_> = [rig.payment(&ids[0]).await, rig.payment(&ids[1]).await, rig.payment(&ids[3]).await]
        .map(|payment| payment.state.name())
        .to_vec();
    assert_eq!(states, ["following", "review", "review"], "followed as ever");
    assert!(words(&rig, &ids[0]).await[1].contains("as rampwatch would have"));
    assert_eq!(calls(&rig), 0);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_are_quicker_are_compared_too() {
    let (chain, node) = calm_chain();
    chain.set_finalized(Finalized::At(40));
    let rig = Rig::start(&[urls(&node)], shadow_settings(), MemoryStore::new(), PlainApi::default());
    let id = rig.expect(1, now(&chain)).await;
    chain.append(pay(1));
    rig.wait_for(&id, "seen").await;
    rig.api.completed_by_hand(&id, Some(tx_hash(1)), ApiStatus::Processing);
    rig.desk().look_now(&id).await;
    rig.wait_for(&id, "following").await;
    let shadow = until_kept(&rig, &id, "it is compared", |_| true).await;
    assert_eq!(shadow.outcome, Some(ShadowOutcome::Agreed));
    assert_eq!((words(&rig, &id).await.len(), calls(&rig)), (1, 0));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_work_goes_on_from_there_once_and_not_for_what_is_done() {
    let (chain, node) = calm_chain();
    let rig = Rig::start(&[urls(&node)], shadow_settings(), MemoryStore::new(), PlainApi::default());
    let (open, done) = (rig.expect(1, now(&chain)).await, rig.expect(2, now(&chain)).await);
    chain.append(pay(1));
    chain.append(pay(2));
    chain.append_empty(8);
    for id in [&open, &done] {
        until_kept(&rig, id, "it is said", |_| true).await;
    }
    let api = rig.api.clone();
    let store = rig.crash().await;
    api.completed_by_hand(&done, Some(tx_hash(2)), ApiStatus::Completed);
    let rig = Rig::start(&[urls(&node)], quick_settings(), store, api);
    for id in [&open, &done] {
        rig.wait_for(id, "ended").await;
    }
    assert_eq!(rig.api.completions(), [(open.clone(), tx_hash(1))], "one is completed, once; the other was");
    assert_eq!(kept(&rig, &open).await.unwrap().outcome, Some(ShadowOutcome::TakenOver));
    assert_eq!(kept(&rig, &done).await.unwrap().outcome, Some(ShadowOutcome::Agreed));
    assert!(!rig.health.snapshot().shadow);
    rig.stop().await;
}

#[tokio::test]
async fn the_wall_lets_no_changing_call_through() {
    let api = Arc::new(PlainApi::default());
    let walled = ShadowApi::new(api.clone(), api.clone());
    let (id, recipient) = (PaymentId::new("p-1").unwrap(), RecipientId::new("recipient").unwrap());
    let refused = walled.complete(&recipient, &id, tx_hash(1)).await.unwrap_err();
    assert!(matches!(&refused, ApiError::NotNow { detail, .. } if detail.contains("shadow mode")), "{refused}");
    let hook = WebhookChange::default();
    assert!(matches!(walled.create_webhook(&hook).await, Err(ApiError::NotNow { .. })));
    let webhook = rampwatch::domain::payment::WebhookId::new("wh-1").unwrap();
    assert!(matches!(walled.update_webhook(&webhook, &hook).await, Err(ApiError::NotNow { .. })));
    assert!(api.completions().is_empty());
    assert!(matches!(walled.payment(&id).await, Err(ApiError::NotFound { .. })), "questions come through");
    assert!(walled.payments_of_recipient(&recipient).await.unwrap().payments.is_empty());
}
