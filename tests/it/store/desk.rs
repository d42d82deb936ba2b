//! Further records: one of every shape, and what every store must do with them.

use std::sync::Arc;

use rampwatch::domain::amount::Amount;
use rampwatch::domain::candidate::{Candidate, CandidateReason, CandidateState, Missing};
use rampwatch::domain::event::{Event, EventKind};
use rampwatch::domain::payment::{ApiStatus, PayoutReference, RecipientId, WebhookId};
use rampwatch::domain::payout::Payout;
use rampwatch::domain::record::{Record, RecordBody, RecordKey, RecordKind};
use rampwatch::domain::shadow::{Shadow, ShadowAct, ShadowOutcome};
use rampwatch::domain::time::Timestamp;
use rampwatch::domain::webhook::{AttemptState, PAYMENT_UPDATED, Webhook, WebhookAttempt};
use rampwatch::ports::store::{Changes, Commit, Store, StoreError, Subject};

use super::{commit, for_every_store, notices, payouts};
use crate::support::payouts::payout;
use crate::support::records::{address, at, hash, order_id, payment_id};

for_every_store!(
    keeps_records_of_the_desk_by_kind_and_id,
    finds_records_of_the_desk_that_are_due,
    keeps_the_events_of_a_record_of_the_desk,
    refuses_a_stale_record_of_the_desk,
    s4_another_name_is_of_one_record_for_ever,
);

type Dyn = Arc<dyn Store>;

/// A webhook.
pub(super) fn webhook(id: &str) -> RecordBody {
    RecordBody::Webhook(Webhook {
        id: WebhookId::new(id).unwrap(),
        url: "https://treasury.example/rampwatch".to_owned(),
        events: vec![PAYMENT_UPDATED.to_owned()],
        is_active: Some(true),
        created_at: Some(at(1)),
        updated_at: None,
    })
}

/// How every attempt to register a webhook can stand.
pub(super) fn attempt_states() -> Vec<AttemptState> {
    let why = "HTTP 503".to_owned();
    vec![
        AttemptState::Calling,
        AttemptState::Registered { webhook: WebhookId::new("wh-1").unwrap() },
        AttemptState::Refused { why: why.clone() },
        AttemptState::Unclear { why },
    ]
}

/// A record of every shape.
pub(crate) fn records() -> Vec<Record> {
    let bare = |id: &str| match webhook(id) {
        RecordBody::Webhook(webhook) => {
            RecordBody::Webhook(Webhook { events: vec![], is_active: None, created_at: None, ..webhook })
        }
        other => other,
    };
    let mut all = vec![Record::new(webhook("wh-1"), None), Record::new(bare("wh-2"), Some(at(7)))];
    all.extend(candidates().into_iter().map(|candidate| Record::new(RecordBody::Candidate(candidate), Some(at(9)))));
    all.extend(shadows().into_iter().map(|shadow| Record::new(RecordBody::Shadow(shadow), None)));
    all.extend(attempt_states().into_iter().enumerate().map(|(n, state)| {
        let url = format!("https://treasury.example/hook-{n}");
        Record::new(RecordBody::WebhookAttempt(WebhookAttempt { url, at: at(4), state }), None)
    }));
    all.extend(payouts::records());
    all.extend(notices::records());
    all.extend(notices::disputes());
    all
}

/// What would have been done, and everything that can come of it.
pub(super) fn shadows() -> Vec<Shadow> {
    let shadow = |n, act, outcome| Shadow { payment: Some(payment_id(n)), act, noted_at: at(4), outcome };
    let complete = |n| ShadowAct::Complete { tx_hash: hash(n) };
    let send = ShadowAct::Send { order: order_id(117, 1), to: address(1), amount: Amount::from_base_units(7) };
    let create = ShadowAct::Create { reference: PayoutReference::new("payroll-1").unwrap() };
    let create = Shadow { payment: None, act: create, noted_at: at(4), outcome: None };
    let outcomes = [
        ShadowOutcome::Agreed,
        ShadowOutcome::Differed { theirs: "0xother".to_owned() },
        ShadowOutcome::Unnamed,
        ShadowOutcome::NotDone { status: ApiStatus::Expired },
        ShadowOutcome::TakenOver,
    ];
    let told = (112..).zip(outcomes).map(|(n, outcome)| shadow(n, complete(n), Some(outcome)));
    [shadow(111, complete(111), None)].into_iter().chain(told).chain([shadow(117, send, None), create]).collect()
}

/// A candidate for every reason and in every state.
pub(super) fn candidates() -> Vec<Candidate> {
    let text = str::to_owned;
    let missing = vec![Missing::Recipient, Missing::DepositAddress, Missing::Amount, Missing::CreatedAt];
    let open = |n: u64, why: CandidateReason| Candidate {
        payment: payment_id(n),
        recipient_id: None,
        deposit_address: None,
        amount: None,
        why,
        status: ApiStatus::AwaitingFunds,
        created_at: None,
        expires_at: None,
        found_at: at(3),
        failures: 0,
        state: CandidateState::Open,
    };
    let whole = |candidate: Candidate, state: CandidateState| Candidate {
        recipient_id: Some(RecipientId::new("rec-1").unwrap()),
        deposit_address: Some(address(1)),
        amount: Some(Amount::from_base_units(1_000_500_000)),
        created_at: Some(at(1)),
        expires_at: Some(at(2)),
        failures: 2,
        state,
        ..candidate
    };
    let (field, listed, told) = (text("depositAmount"), text("1"), text("2"));
    vec![
        open(101, CandidateReason::Incomplete { missing }),
        whole(open(102, CandidateReason::OtherCurrency { currency: text("USDT") }), CandidateState::Added),
        whole(open(103, CandidateReason::Disagrees { field, listed, told }), CandidateState::Gone),
        whole(
            open(104, CandidateReason::Unusable { problem: text("amount: it is zero") }),
            CandidateState::Dismissed { reason: text("not ours") },
        ),
    ]
}

/// Events about the desk.
pub(super) fn kinds() -> Vec<EventKind> {
    let (candidate, shadow) = (candidates().remove(0), shadows().remove(0));
    let mut all = vec![
        EventKind::RecordChanged { body: Box::new(webhook("wh-1")), why: "was registered".to_owned() },
        EventKind::RecordChanged { body: Box::new(RecordBody::Candidate(candidate)), why: "was found".to_owned() },
        EventKind::RecordChanged { body: Box::new(RecordBody::Shadow(shadow)), why: "payment p would be".to_owned() },
    ];
    all.extend(notices::kinds());
    all
}

fn desk(records: Vec<Record>) -> Commit {
    Commit { records, ..Commit::default() }
}

fn key(id: &str) -> RecordKey {
    RecordKey { kind: RecordKind::Webhook, id: id.to_owned() }
}

async fn keeps_records_of_the_desk_by_kind_and_id(store: Dyn) {
    let ids = ["b", "a", "c.1", "c"];
    commit(&store, desk(ids.iter().map(|id| Record::new(webhook(id), None)).collect())).await;
    assert_eq!(*store.changes().borrow(), Changes { records: 1, ..Changes::default() });
    let stored = Record { version: 1, ..Record::new(webhook("b"), None) };
    assert_eq!(store.record(&key("b")).await.unwrap(), Some(stored));
    assert_eq!(store.record(&key("d")).await.unwrap(), None);
    let page = |after: Option<&'static str>, limit| {
        let store = Arc::clone(&store);
        async move {
            let page = store.records_page(RecordKind::Webhook, after, limit).await.unwrap();
            page.into_iter().map(|record| record.body.key().id).collect::<Vec<_>>()
        }
    };
    assert_eq!(page(None, 9).await, ["a", "b", "c", "c.1"]);
    assert_eq!(page(None, 2).await, ["a", "b"]);
    assert_eq!(page(Some("b"), 9).await, ["c", "c.1"]);
    assert_eq!(page(Some("c.1"), 9).await, [""; 0]);
    assert_eq!(store.record_by_alias(RecordKind::Webhook, "b").await.unwrap(), None, "an id is no other name");
}

async fn finds_records_of_the_desk_that_are_due(store: Dyn) {
    let at_ids = [("a", Some(at(5))), ("b", None), ("c", Some(at(3))), ("d", Some(at(5)))];
    commit(&store, desk(at_ids.iter().map(|(id, next_at)| Record::new(webhook(id), *next_at)).collect())).await;
    let due = |now: Timestamp, limit| {
        let store = Arc::clone(&store);
        async move {
            let due = store.records_due(RecordKind::Webhook, now, limit).await.unwrap();
            due.into_iter().map(|record| record.body.key().id).collect::<Vec<_>>()
        }
    };
    assert_eq!(due(at(2), 9).await, [""; 0]);
    assert_eq!(due(at(3), 9).await, ["c"]);
    assert_eq!(due(at(5), 9).await, ["c", "a", "d"]);
    assert_eq!(due(at(5), 2).await, ["c", "a"]);
    assert_eq!(store.next_record_due(RecordKind::Webhook).await.unwrap(), Some(at(3)));
    let later = store.records_due_after(RecordKind::Webhook, at(3), 9).await.unwrap();
    assert_eq!(later.into_iter().map(|record| record.body.key().id).collect::<Vec<_>>(), ["a", "d"]);
    let first = store.record(&key("c")).await.unwrap().unwrap();
    commit(&store, desk(vec![Record { next_at: None, ..first }])).await;
    assert_eq!(due(at(9), 9).await, ["a", "d"]);
    assert_eq!(store.next_record_due(RecordKind::Webhook).await.unwrap(), Some(at(5)));
}

async fn keeps_the_events_of_a_record_of_the_desk(store: Dyn) {
    let event = |id: &str, why: &str| {
        let kind = EventKind::RecordChanged { body: Box::new(webhook(id)), why: why.to_owned() };
        Event { at: at(1), payment: None, deposit: None, kind }
    };
    let events = vec![event("a", "was made"), event("ab", "was made"), event("a", "was changed")];
    commit(&store, Commit { events, ..Commit::default() }).await;
    let seqs = |id: &'static str, after| {
        let store = Arc::clone(&store);
        async move {
            let found = store.events_of(&Subject::Record(key(id)), after, 9).await.unwrap();
            found.into_iter().map(|recorded| recorded.seq).collect::<Vec<_>>()
        }
    };
    assert_eq!(seqs("a", 0).await, [1, 3]);
    assert_eq!(seqs("a", 1).await, [3]);
    assert_eq!(seqs("ab", 0).await, [2]);
    assert_eq!(seqs("b", 0).await, [0; 0]);
}

async fn refuses_a_stale_record_of_the_desk(store: Dyn) {
    commit(&store, desk(vec![Record::new(webhook("a"), None)])).await;
    let refused = store.commit(desk(vec![Record::new(webhook("a"), Some(at(1)))])).await.unwrap_err();
    assert_eq!(refused, StoreError::Conflict("webhook a".to_owned()));
    let twice = vec![Record::new(webhook("b"), None), Record::new(webhook("b"), None)];
    assert_eq!(store.commit(desk(twice)).await.unwrap_err(), StoreError::Conflict("webhook b".to_owned()));
    assert_eq!(store.next_record_due(RecordKind::Webhook).await.unwrap(), None);
    let read = store.record(&key("a")).await.unwrap().unwrap();
    commit(&store, desk(vec![read])).await;
    assert_eq!(store.record(&key("a")).await.unwrap().unwrap().version, 2);
}

async fn s4_another_name_is_of_one_record_for_ever(store: Dyn) {
    let record = |reference: &str, payment: Option<u64>| {
        let payout = Payout { payment: payment.map(payment_id), ..payout(reference) };
        Record::new(RecordBody::Payout(Box::new(payout)), None)
    };
    let bearer = |n| {
        let store = Arc::clone(&store);
        async move {
            let found = store.record_by_alias(RecordKind::Payout, payment_id(n).as_str()).await.unwrap();
            found.map(|record| record.body.key().id)
        }
    };
    commit(&store, desk(vec![record("first", Some(1))])).await;
    let taken = StoreError::Conflict("the other name of payout second".to_owned());
    assert_eq!(store.commit(desk(vec![record("second", Some(1))])).await.unwrap_err(), taken);
    let both = vec![record("third", Some(2)), record("second", Some(2))];
    assert_eq!(store.commit(desk(both)).await.unwrap_err(), taken, "two that come together");
    assert_eq!((bearer(1).await.as_deref(), bearer(2).await), (Some("first"), None));
    // It keeps what it bore also once it bears another, and may bear it again.
    for payment in [3, 1] {
        commit(&store, desk(vec![Record { version: 1 + (3 - payment) / 2, ..record("first", Some(payment)) }])).await;
    }
    assert_eq!(bearer(3).await.as_deref(), Some("first"));
    assert_eq!(store.commit(desk(vec![record("second", Some(3))])).await.unwrap_err(), taken);
}
