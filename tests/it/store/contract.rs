//! What every store must do when it is written to.

use std::sync::Arc;

use rampwatch::domain::deposit::Deposit;
use rampwatch::domain::payment::{Payment, PaymentState};
use rampwatch::ports::store::{Changes, Commit, MAX_RECORD_BYTES, Store, StoreError};

use super::{commit, for_every_store};
use crate::support::records;

for_every_store!(
    raises_versions,
    refuses_a_stale_version,
    refuses_what_exists_already_as_new,
    refuses_what_is_not_there_as_old,
    refuses_a_record_that_comes_twice,
    refuses_every_kind_of_stale_record,
    stores_all_or_nothing,
    numbers_events_without_gaps,
    refuses_what_is_too_large,
    takes_what_is_just_small_enough,
    an_empty_commit_changes_nothing,
    tells_of_changes,
    one_of_many_writers_wins,
    many_writers_lose_nothing,
);

type Dyn = Arc<dyn Store>;

fn one(payment: Payment) -> Commit {
    Commit { payments: vec![payment], ..Commit::default() }
}

async fn raises_versions(store: Dyn) {
    commit(&store, one(records::payment(1))).await;
    for version in 1..5 {
        let payment = store.payment(&records::payment_id(1)).await.unwrap().unwrap();
        assert_eq!(payment, Payment { version, ..records::payment(1) });
        commit(&store, one(payment)).await;
    }
}

async fn refuses_a_stale_version(store: Dyn) {
    commit(&store, one(records::payment(1))).await;
    let read = store.payment(&records::payment_id(1)).await.unwrap().unwrap();
    commit(&store, one(Payment { quiet_checks: 7, ..read.clone() })).await;
    let refused = store.commit(one(read)).await.unwrap_err();
    assert_eq!(refused, StoreError::Conflict("payment pay-000001".to_owned()));
    assert_eq!(store.payment(&records::payment_id(1)).await.unwrap().unwrap().quiet_checks, 7);
}

async fn refuses_what_exists_already_as_new(store: Dyn) {
    commit(&store, one(records::payment(1))).await;
    let refused = store.commit(one(records::payment(1))).await.unwrap_err();
    assert_eq!(refused, StoreError::Conflict("payment pay-000001".to_owned()));
}

async fn refuses_what_is_not_there_as_old(store: Dyn) {
    for version in [1, 2, u64::MAX] {
        let refused = store.commit(one(Payment { version, ..records::payment(1) })).await.unwrap_err();
        assert_eq!(refused, StoreError::Conflict("payment pay-000001".to_owned()));
        assert_eq!(store.payment(&records::payment_id(1)).await.unwrap(), None);
    }
}

async fn refuses_a_record_that_comes_twice(store: Dyn) {
    for second in 0..2 {
        let again = Deposit { version: second, ..records::deposit(1) };
        let twice = Commit { deposits: vec![records::deposit(1), again], ..Commit::default() };
        let refused = store.commit(twice).await.unwrap_err();
        assert_eq!(refused, StoreError::Conflict(format!("deposit {}", records::deposit_key(1))));
    }
    assert_eq!(store.deposits(None, 10).await.unwrap(), []);
}

async fn refuses_every_kind_of_stale_record(store: Dyn) {
    let all = Commit {
        payments: vec![records::payment(1)],
        deposits: vec![records::deposit(1)],
        coverage: vec![records::coverage(1)],
        finality: Some(records::finality(1)),
        orders: vec![records::order(1)],
        wallet: Some(records::wallet(1)),
        ..Commit::default()
    };
    commit(&store, all.clone()).await;
    let parts = [
        (one(records::payment(1)), "payment pay-000001".to_owned()),
        (
            Commit { deposits: all.deposits.clone(), ..Commit::default() },
            format!("deposit {}", records::deposit_key(1)),
        ),
        (
            Commit { coverage: all.coverage.clone(), ..Commit::default() },
            format!("the coverage of {}", records::address(1)),
        ),
        (Commit { finality: all.finality, ..Commit::default() }, "the finality mark".to_owned()),
        (Commit { orders: all.orders.clone(), ..Commit::default() }, "order pay-000001:1".to_owned()),
        (Commit { wallet: all.wallet.clone(), ..Commit::default() }, "the wallet's record".to_owned()),
    ];
    for (part, name) in parts {
        assert_eq!(store.commit(part).await.unwrap_err(), StoreError::Conflict(name));
    }
    let finality = store.finality().await.unwrap().unwrap();
    assert_eq!(finality.version, 1);
    commit(&store, Commit { finality: Some(finality), ..Commit::default() }).await;
    assert_eq!(store.finality().await.unwrap().unwrap().version, 2);
}

async fn stores_all_or_nothing(store: Dyn) {
    commit(&store, one(records::payment(9))).await;
    let changes = store.changes();
    let mixed = Commit {
        payments: vec![records::payment(1), records::payment(9)],
        deposits: vec![records::deposit(1)],
        coverage: vec![records::coverage(1)],
        finality: Some(records::finality(1)),
        events: vec![records::event(Some(records::payment_id(1)), None, "add")],
        ..Commit::default()
    };
    assert_eq!(store.commit(mixed.clone()).await.unwrap_err(), StoreError::Conflict("payment pay-000009".to_owned()));
    assert_eq!(store.payment(&records::payment_id(1)).await.unwrap(), None);
    assert_eq!(store.payments_at(records::address(1)).await.unwrap(), []);
    assert_eq!(store.deposits(None, 9).await.unwrap(), []);
    assert_eq!(store.deposits_at(records::address(1)).await.unwrap(), []);
    assert_eq!(store.provisional(u64::MAX, 9).await.unwrap(), []);
    assert_eq!(store.coverage(records::address(1)).await.unwrap(), None);
    assert_eq!(store.watched(None, usize::MAX).await.unwrap(), []);
    assert_eq!(store.finality().await.unwrap(), None);
    assert_eq!(store.events(0, 9).await.unwrap(), []);
    assert!(!changes.has_changed().unwrap());

    let good = Commit { payments: vec![records::payment(1)], ..mixed };
    assert_eq!(commit(&store, good).await, 1);
    assert_eq!(store.payments_at(records::address(1)).await.unwrap().len(), 1);
    assert_eq!(store.deposits_at(records::address(1)).await.unwrap().len(), 1);
    assert_eq!(store.coverage(records::address(1)).await.unwrap().unwrap().version, 1);
    assert_eq!(store.finality().await.unwrap().unwrap().version, 1);
    assert_eq!(store.events(0, 9).await.unwrap().len(), 1);
}

async fn numbers_events_without_gaps(store: Dyn) {
    let events = |count: usize| Commit { events: vec![records::event(None, None, "x"); count], ..Commit::default() };
    assert_eq!(commit(&store, one(records::payment(1))).await, 0);
    assert_eq!(commit(&store, events(3)).await, 3);
    let stale = Commit { payments: vec![records::payment(1)], ..events(5) };
    store.commit(stale).await.unwrap_err();
    assert_eq!(commit(&store, one(records::payment(2))).await, 3);
    assert_eq!(commit(&store, events(1)).await, 4);
    let numbers: Vec<u64> = store.events(0, 99).await.unwrap().iter().map(|event| event.seq).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
}

/// A payment whose stored form has `bytes` bytes.
fn payment_of(bytes: usize) -> Payment {
    let why = |theirs: usize| {
        let why = rampwatch::domain::payment::PaymentReview::OtherHash { theirs: "x".repeat(theirs) };
        Payment { state: PaymentState::Review { why, deposit: None }, ..records::payment(1) }
    };
    let bare = serde_json::to_vec(&Payment { version: 1, ..why(0) }).unwrap().len();
    why(bytes.checked_sub(bare).unwrap())
}

async fn refuses_what_is_too_large(store: Dyn) {
    let bytes = MAX_RECORD_BYTES + 1;
    let refused = store.commit(one(payment_of(bytes))).await.unwrap_err();
    assert_eq!(refused, StoreError::TooLarge { what: "payment pay-000001".to_owned(), bytes });
    assert!(refused.to_string().contains("16384"), "{refused}");
    let event = records::event(Some(records::payment_id(3)), None, &"y".repeat(MAX_RECORD_BYTES));
    let with_event = Commit { payments: vec![records::payment(2)], events: vec![event], ..Commit::default() };
    let refused = store.commit(with_event).await.unwrap_err();
    assert!(refused.to_string().contains("an event of payment pay-000003 has 16"), "{refused}");
    assert_eq!(store.payments(None, 9).await.unwrap(), []);
    assert_eq!(store.events(0, 9).await.unwrap(), []);
}

async fn takes_what_is_just_small_enough(store: Dyn) {
    commit(&store, one(payment_of(MAX_RECORD_BYTES))).await;
    let stored = store.payment(&records::payment_id(1)).await.unwrap().unwrap();
    assert_eq!(stored, Payment { version: 1, ..payment_of(MAX_RECORD_BYTES) });
}

async fn an_empty_commit_changes_nothing(store: Dyn) {
    let changes = store.changes();
    assert_eq!(commit(&store, Commit::default()).await, 0);
    assert!(!changes.has_changed().unwrap());
    commit(&store, Commit { events: vec![records::event(None, None, "x")], ..Commit::default() }).await;
    assert_eq!(commit(&store, Commit::default()).await, 1);
    assert_eq!(*store.changes().borrow(), Changes { events: 1, ..Changes::default() });
}

async fn tells_of_changes(store: Dyn) {
    let mut changes = store.changes();
    assert_eq!(*changes.borrow(), Changes::default());
    let waiting = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            changes.changed().await.unwrap();
            let seen = *changes.borrow();
            (seen, store.payment(&records::payment_id(1)).await.unwrap().is_some())
        }
    });
    let first = Commit {
        payments: vec![records::payment(1), records::payment(2)],
        events: vec![records::event(None, None, "x"); 3],
        ..Commit::default()
    };
    commit(&store, first).await;
    let expected = Changes { payments: 1, events: 1, ..Changes::default() };
    assert_eq!(*store.changes().borrow(), expected, "raised when the commit returns");
    assert_eq!(waiting.await.unwrap(), (expected, true), "what changed can be read");
    let second = Commit {
        deposits: vec![records::deposit(1)],
        coverage: vec![records::coverage(1)],
        finality: Some(records::finality(1)),
        ..Commit::default()
    };
    commit(&store, second).await;
    assert_eq!(
        *store.changes().borrow(),
        Changes { payments: 1, deposits: 1, coverage: 1, orders: 0, records: 0, events: 1, unreadable: 0 }
    );
}

async fn one_of_many_writers_wins(store: Dyn) {
    const WRITERS: u32 = 16;
    commit(&store, one(records::payment(1))).await;
    for round in 1..=8 {
        let read = store.payment(&records::payment_id(1)).await.unwrap().unwrap();
        let writers = (0..WRITERS).map(|writer| {
            let (store, read) = (Arc::clone(&store), read.clone());
            tokio::spawn(async move {
                let event = records::event(Some(read.id.clone()), None, &format!("writer {writer}"));
                let change = Payment { quiet_checks: writer, ..read };
                store.commit(Commit { payments: vec![change], events: vec![event], ..Commit::default() }).await
            })
        });
        let mut winners = vec![];
        for (writer, task) in (0..WRITERS).zip(writers.collect::<Vec<_>>()) {
            match task.await.unwrap() {
                Ok(last) => winners.push((writer, last)),
                Err(error) => assert_eq!(error, StoreError::Conflict("payment pay-000001".to_owned())),
            }
        }
        let stored = store.payment(&records::payment_id(1)).await.unwrap().unwrap();
        assert_eq!(winners, [(stored.quiet_checks, round)]);
        assert_eq!(Some(stored.version), read.version.checked_add(1));
        assert_eq!(store.events(0, 99).await.unwrap().last().unwrap().seq, round);
    }
}

/// Each task raises the one counter once for each of its own payments, which it adds in the same commits.
async fn many_writers_lose_nothing(store: Dyn) {
    const WRITERS: u64 = 8;
    const ALL: u64 = 48;
    commit(&store, one(records::payment(0))).await;
    let writers = (1..=WRITERS).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for own in (writer..=ALL).step_by(WRITERS as usize) {
                while !raise(&store, own).await {}
            }
        })
    });
    for task in writers.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let counter = store.payment(&records::payment_id(0)).await.unwrap().unwrap();
    assert_eq!(u64::from(counter.quiet_checks), ALL);
    assert_eq!(Some(counter.version), ALL.checked_add(1));
    let ids = store.payments(None, 999).await.unwrap().into_iter().map(|payment| payment.id);
    assert_eq!(ids.collect::<Vec<_>>(), (0..=ALL).map(records::payment_id).collect::<Vec<_>>());
    let numbers: Vec<u64> = store.events(0, 999).await.unwrap().iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (1..=ALL).collect::<Vec<_>>());
}

async fn raise(store: &Dyn, own: u64) -> bool {
    let mut counter = store.payment(&records::payment_id(0)).await.unwrap().unwrap();
    counter.quiet_checks = counter.quiet_checks.checked_add(1).unwrap();
    let event = records::event(Some(records::payment_id(own)), None, "add");
    let both = Commit { payments: vec![counter, records::payment(own)], events: vec![event], ..Commit::default() };
    match store.commit(both).await {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error, StoreError::Conflict("payment pay-000000".to_owned()));
            false
        }
    }
}
