//! What every store must answer.

use std::sync::Arc;

use rampwatch::domain::coverage::{Coverage, Swept};
use rampwatch::domain::deposit::{BlockStatus, Deposit, DepositKey};
use rampwatch::domain::payment::{Outcome, Payment, PaymentId, PaymentState, Terms};
use rampwatch::domain::time::Timestamp;
use rampwatch::ports::store::{Commit, Lane, Store, Subject};

use super::{commit, for_every_store};
use crate::support::records::{self, at};

for_every_store!(
    pages_payments,
    finds_payments_by_address,
    finds_what_is_due,
    finds_what_is_due_later,
    follows_a_payment_through_its_lanes,
    ids_that_begin_alike_are_kept_apart,
    pages_deposits,
    orders_the_deposits_of_an_address,
    follows_a_deposit_through_its_standings,
    provisional_deposits_come_by_block,
    watches_until_closed,
    tells_whose_coverage_changed,
    counts_every_commit_though_threads_commit_at_once,
    pages_watched_addresses,
    pages_events,
    tells_the_events_of_a_subject,
    sees_whole_commits_only,
);

type Dyn = Arc<dyn Store>;

async fn add(store: &Dyn, payments: Vec<Payment>) {
    commit(store, Commit { payments, ..Commit::default() }).await;
}

async fn add_deposits(store: &Dyn, deposits: Vec<Deposit>) {
    commit(store, Commit { deposits, ..Commit::default() }).await;
}

fn ids(payments: &[Payment]) -> Vec<&str> {
    payments.iter().map(|payment| payment.id.as_str()).collect()
}

fn log_indexes(deposits: &[Deposit]) -> Vec<u64> {
    deposits.iter().map(|deposit| deposit.key.log_index).collect()
}

fn named(id: &str) -> Payment {
    Payment { id: PaymentId::new(id).unwrap(), ..records::payment(1) }
}

async fn pages_payments(store: Dyn) {
    assert_eq!(store.payments(None, 5).await.unwrap(), []);
    add(&store, ["b", "a", "a-1", "B", "a.1", "c"].map(named).to_vec()).await;
    add_deposits(&store, vec![records::deposit(1)]).await;
    assert_eq!(ids(&store.payments(None, 99).await.unwrap()), ["B", "a", "a-1", "a.1", "b", "c"]);
    assert_eq!(ids(&store.payments(None, 2).await.unwrap()), ["B", "a"]);
    let after = PaymentId::new("a").unwrap();
    assert_eq!(ids(&store.payments(Some(&after), 2).await.unwrap()), ["a-1", "a.1"]);
    let between = PaymentId::new("a5").unwrap();
    assert_eq!(ids(&store.payments(Some(&between), 9).await.unwrap()), ["b", "c"], "the key need not exist");
    let last = PaymentId::new("c").unwrap();
    assert_eq!(store.payments(Some(&last), 9).await.unwrap(), []);
    assert_eq!(store.payments(None, 0).await.unwrap(), []);
}

async fn finds_payments_by_address(store: Dyn) {
    let here = |n| Payment { terms: Terms { deposit_address: records::address(7), ..named("x").terms }, ..named(n) };
    add(&store, vec![here("b"), here("a"), records::payment(8), records::payment(6)]).await;
    assert_eq!(ids(&store.payments_at(records::address(7)).await.unwrap()), ["a", "b"]);
    assert_eq!(ids(&store.payments_at(records::address(8)).await.unwrap()), ["pay-000008"]);
    assert_eq!(store.payments_at(records::address(9)).await.unwrap(), []);
    let mut ended = store.payment(&PaymentId::new("a").unwrap()).await.unwrap().unwrap();
    ended.state = PaymentState::Ended { outcome: Outcome::Completed, at: at(1) };
    add(&store, vec![ended.clone()]).await;
    let found = store.payments_at(records::address(7)).await.unwrap();
    assert_eq!(ids(&found), ["a", "b"]);
    assert!(found[0].state.is_ended(), "the newest version is found");
    let mut moved = store.payment(&ended.id).await.unwrap().unwrap();
    moved.terms.deposit_address = records::address(9);
    add(&store, vec![moved]).await;
    assert_eq!(ids(&store.payments_at(records::address(7)).await.unwrap()), ["b"]);
    assert_eq!(ids(&store.payments_at(records::address(9)).await.unwrap()), ["a"]);
}

fn due_at(id: &str, next_at: Option<Timestamp>) -> Payment {
    let state = PaymentState::Due { deposit: records::deposit_key(1), attempt: 0 };
    Payment { state, next_at, ..named(id) }
}

async fn finds_what_is_due(store: Dyn) {
    assert_eq!(store.next_due(Lane::Complete).await.unwrap(), None);
    let waiting = Payment { next_at: Some(at(1)), ..named("waiting") };
    let payments = vec![
        due_at("c", Some(at(30))),
        due_at("b", Some(at(10))),
        due_at("a", Some(at(30))),
        due_at("never", None),
        due_at("first", Some(Timestamp::EPOCH)),
        due_at("last", Some(Timestamp::FAR_FUTURE)),
        waiting,
    ];
    add(&store, payments).await;
    let due = async |now, limit| -> Vec<String> {
        let found = store.due(Lane::Complete, now, limit).await.unwrap();
        found.into_iter().map(|payment| payment.id.to_string()).collect()
    };
    assert_eq!(due(Timestamp::EPOCH, 9).await, ["first"]);
    assert_eq!(due(at(9), 9).await, ["first"]);
    assert_eq!(due(at(10), 9).await, ["first", "b"], "at the moment itself it is due");
    assert_eq!(due(at(31), 9).await, ["first", "b", "a", "c"], "the earliest first, then by id");
    assert_eq!(due(at(31), 3).await, ["first", "b", "a"]);
    assert_eq!(due(at(31), 0).await, Vec::<String>::new());
    assert_eq!(due(Timestamp::FAR_FUTURE, 9).await, ["first", "b", "a", "c", "last"]);
    assert_eq!(store.next_due(Lane::Complete).await.unwrap(), Some(Timestamp::EPOCH));
    assert_eq!(ids(&store.due(Lane::Follow, at(31), 9).await.unwrap()), ["waiting"]);
    assert_eq!(store.next_due(Lane::Follow).await.unwrap(), Some(at(1)));
}

async fn finds_what_is_due_later(store: Dyn) {
    let waiting = Payment { next_at: Some(at(40)), ..named("waiting") };
    let mut payments = vec![due_at("c", Some(at(30))), due_at("b", Some(at(10))), due_at("a", Some(at(30))), waiting];
    payments.extend([due_at("never", None), due_at("last", Some(Timestamp::FAR_FUTURE))]);
    add(&store, payments).await;
    let later = async |after, limit| ids(&store.due_after(Lane::Complete, after, limit).await.unwrap()).join(" ");
    assert_eq!(later(Timestamp::EPOCH, 9).await, "b a c", "the earliest first, then by id; none in the far future");
    assert_eq!(later(at(9), 2).await, "b a");
    assert_eq!(later(at(10), 9).await, "a c", "at the moment itself it is not later");
    for after in [at(30), Timestamp::from_millis(u64::MAX - 1), Timestamp::FAR_FUTURE] {
        assert_eq!(later(after, 9).await, "", "{after:?}");
    }
    assert_eq!(ids(&store.due_after(Lane::Follow, at(39), 9).await.unwrap()), ["waiting"]);
}

async fn follows_a_payment_through_its_lanes(store: Dyn) {
    let deposit = records::deposit_key(1);
    let steps = [
        (PaymentState::Waiting, Some(at(5)), Some(Lane::Follow)),
        (PaymentState::Waiting, Some(at(3)), Some(Lane::Follow)),
        (PaymentState::Seen { deposit }, None, None),
        (PaymentState::Due { deposit, attempt: 0 }, Some(at(9)), Some(Lane::Complete)),
        (PaymentState::Calling { deposit, attempt: 1, started_at: at(9) }, Some(at(70)), Some(Lane::Complete)),
        (PaymentState::Unclear { deposit, attempt: 1, refusal: None }, Some(at(70)), Some(Lane::Complete)),
        (PaymentState::Following { deposit: Some(deposit) }, Some(at(70)), Some(Lane::Follow)),
        (PaymentState::Ended { outcome: Outcome::Completed, at: at(80) }, None, None),
    ];
    let mut payment = named("a");
    for (state, next_at, lane) in steps {
        payment = Payment { state, next_at, ..payment };
        add(&store, vec![payment.clone()]).await;
        payment = store.payment(&payment.id).await.unwrap().unwrap();
        for asked in [Lane::Complete, Lane::Follow] {
            let found = store.due(asked, Timestamp::FAR_FUTURE, 9).await.unwrap();
            let expected = if lane == Some(asked) { vec![payment.clone()] } else { vec![] };
            assert_eq!(found, expected, "{asked:?}");
            let next = store.next_due(asked).await.unwrap();
            assert_eq!(next, if lane == Some(asked) { next_at } else { None }, "{asked:?}");
        }
    }
}

async fn ids_that_begin_alike_are_kept_apart(store: Dyn) {
    let events = ["p", "p.", "p-1", "pp"].map(|id| records::event(Some(PaymentId::new(id).unwrap()), None, id));
    commit(&store, Commit { events: events.to_vec(), ..Commit::default() }).await;
    for (id, seq) in [("p", 1), ("p.", 2), ("p-1", 3), ("pp", 4)] {
        let found = store.events_of(&Subject::Payment(PaymentId::new(id).unwrap()), 0, 9).await.unwrap();
        assert_eq!(found.iter().map(|event| event.seq).collect::<Vec<_>>(), [seq], "{id}");
    }
}

async fn pages_deposits(store: Dyn) {
    add_deposits(&store, [3, 1, 2, 256].map(records::deposit).to_vec()).await;
    assert_eq!(log_indexes(&store.deposits(None, 99).await.unwrap()), [1, 2, 3, 256]);
    assert_eq!(log_indexes(&store.deposits(Some(&records::deposit_key(1)), 2).await.unwrap()), [2, 3]);
    assert_eq!(log_indexes(&store.deposits(Some(&records::deposit_key(4)), 2).await.unwrap()), [256]);
    assert_eq!(store.deposits(Some(&records::deposit_key(256)), 2).await.unwrap(), []);
    let one = store.deposit(&records::deposit_key(2)).await.unwrap().unwrap();
    assert_eq!(one, Deposit { version: 1, ..records::deposit(2) });
    assert_eq!(store.deposit(&records::deposit_key(4)).await.unwrap(), None);
}

/// A deposit to the first address: its block is told by the number, its place in the key's order by the hash.
fn placed(block_number: u64, log_index: u64, hash: u64) -> Deposit {
    let key = DepositKey { block_hash: records::hash(hash), log_index, ..records::deposit_key(0) };
    Deposit { key, block_number, to: records::address(1), ..records::deposit(0) }
}

async fn orders_the_deposits_of_an_address(store: Dyn) {
    let elsewhere = Deposit { to: records::address(2), ..placed(5, 99, 9) };
    let deposits = vec![placed(300, 1, 1), placed(7, 256, 2), placed(7, 9, 3), placed(7, 10, 4), elsewhere];
    add_deposits(&store, deposits).await;
    let found = store.deposits_at(records::address(1)).await.unwrap();
    assert_eq!(log_indexes(&found), [9, 10, 256, 1]);
    assert_eq!(log_indexes(&store.deposits_at(records::address(2)).await.unwrap()), [99]);
    assert_eq!(store.deposits_at(records::address(3)).await.unwrap(), []);
}

async fn follows_a_deposit_through_its_standings(store: Dyn) {
    let standings = [
        (BlockStatus::Provisional, true),
        (BlockStatus::Final { at: at(1) }, false),
        (BlockStatus::Gone { after_final: true }, false),
        (BlockStatus::Provisional, true),
        (BlockStatus::Gone { after_final: false }, false),
    ];
    let mut deposit = placed(7, 1, 1);
    for (standing, open) in standings {
        deposit = Deposit { standing, ..deposit };
        add_deposits(&store, vec![deposit.clone()]).await;
        deposit = store.deposit(&deposit.key).await.unwrap().unwrap();
        let expected = if open { vec![deposit.clone()] } else { vec![] };
        assert_eq!(store.provisional(7, 9).await.unwrap(), expected, "{standing:?}");
        assert_eq!(store.deposits_at(records::address(1)).await.unwrap(), vec![deposit.clone()], "{standing:?}");
    }
}

async fn provisional_deposits_come_by_block(store: Dyn) {
    let last = Deposit { block_number: u64::MAX, ..placed(0, 5, 5) };
    let settled = Deposit { standing: BlockStatus::Final { at: at(1) }, ..placed(8, 6, 6) };
    add_deposits(&store, vec![placed(300, 1, 1), placed(7, 4, 2), placed(7, 3, 3), placed(9, 2, 4), last, settled])
        .await;
    let found = async |through, limit| log_indexes(&store.provisional(through, limit).await.unwrap());
    assert_eq!(found(6, 9).await, Vec::<u64>::new());
    assert_eq!(found(7, 9).await, [3, 4]);
    assert_eq!(found(299, 9).await, [3, 4, 2]);
    assert_eq!(found(300, 9).await, [3, 4, 2, 1]);
    assert_eq!(found(300, 2).await, [3, 4]);
    assert_eq!(found(u64::MAX, 9).await, [3, 4, 2, 1, 5]);
}

async fn watches_until_closed(store: Dyn) {
    let all = [3, 1, 2].map(records::coverage).to_vec();
    commit(&store, Commit { coverage: all, ..Commit::default() }).await;
    let watched = async || -> Vec<_> {
        let all = store.watched(None, usize::MAX).await.unwrap();
        all.into_iter().map(|coverage| (coverage.address, coverage.version)).collect()
    };
    assert_eq!(watched().await, [1, 2, 3].map(|n| (records::address(n), 1)));
    let mut second: Coverage = store.coverage(records::address(2)).await.unwrap().unwrap();
    second.swept = Some(Swept { start: 5, covered_to: 9, confirmed_to: 4, second_reading: Some((9, at(1))) });
    commit(&store, Commit { coverage: vec![second.clone()], ..Commit::default() }).await;
    assert_eq!(store.coverage(records::address(2)).await.unwrap().unwrap(), Coverage { version: 2, ..second.clone() });
    let closed = Coverage { closed: true, version: 2, ..second };
    commit(&store, Commit { coverage: vec![closed.clone()], ..Commit::default() }).await;
    assert_eq!(watched().await, [(records::address(1), 1), (records::address(3), 1)]);
    assert!(store.coverage(records::address(2)).await.unwrap().unwrap().closed);
    let again = Coverage { closed: false, version: 3, ..closed };
    commit(&store, Commit { coverage: vec![again], ..Commit::default() }).await;
    assert_eq!(watched().await, [(records::address(1), 1), (records::address(2), 4), (records::address(3), 1)]);
}

async fn tells_whose_coverage_changed(store: Dyn) {
    let count = || store.changes().borrow().coverage;
    assert_eq!(store.coverage_since(0).await.unwrap(), Some(vec![]));
    let before = count();
    let all = [3, 1, 2].map(records::coverage).to_vec();
    commit(&store, Commit { coverage: all, ..Commit::default() }).await;
    let first = count();
    let changed = |all: &[(u64, u64)]| Some(all.iter().map(|(n, version)| (records::address(*n), *version)).collect());
    assert_eq!(store.coverage_since(before).await.unwrap(), changed(&[(3, 1), (1, 1), (2, 1)]));
    assert_eq!(store.coverage_since(first).await.unwrap(), changed(&[]));
    let stale = Commit { coverage: vec![records::coverage(2)], ..Commit::default() };
    assert!(store.commit(stale).await.is_err());
    assert_eq!(store.coverage_since(first).await.unwrap(), changed(&[]), "what was not stored is no change");
    commit(&store, Commit { events: vec![records::event(None, None, "other")], ..Commit::default() }).await;
    let closed = Coverage { version: 1, closed: true, ..records::coverage(2) };
    commit(&store, Commit { coverage: vec![closed], ..Commit::default() }).await;
    assert_eq!(store.coverage_since(first).await.unwrap(), changed(&[(2, 2)]), "one that was closed has changed too");
    assert_eq!(store.coverage_since(count()).await.unwrap(), changed(&[]));
    // Whoever asks for the changes after a count that he was told of misses none, though many commit at once.
    let from = count();
    let many = (10..74).map(|n| {
        let store = store.clone();
        async move {
            commit(&store, Commit { coverage: vec![records::coverage(n)], ..Commit::default() }).await;
            let told = store.changes().borrow().coverage;
            let changed = store.coverage_since(from).await.unwrap();
            assert!(told > from);
            assert!(changed.is_none_or(|all| all.contains(&(records::address(n), 1))), "the {n}th is told of");
        }
    });
    futures_util::future::join_all(many).await;
}

async fn counts_every_commit_though_threads_commit_at_once(store: Dyn) {
    let threads = (0..4_u64).map(|thread| {
        let store = store.clone();
        tokio::spawn(async move {
            for n in 0..500 {
                let coverage = vec![records::coverage(thread * 500 + n)];
                commit(&store, Commit { coverage, ..Commit::default() }).await;
            }
        })
    });
    // Whoever follows the changes in the meantime.
    let (mut changes, mut learnt) = (store.changes(), 0);
    let mut known = std::collections::BTreeSet::new();
    let mut all = futures_util::future::join_all(threads.collect::<Vec<_>>());
    let mut is_over = false;
    while !is_over {
        tokio::select! {
            results = &mut all => {
                assert!(results.into_iter().all(|result| result.is_ok()));
                is_over = true;
            }
            changed = changes.changed() => changed.unwrap(),
        }
        let count = changes.borrow_and_update().coverage;
        match store.coverage_since(learnt).await.unwrap() {
            Some(changed) => known.extend(changed.into_iter().map(|(address, _)| address)),
            None => known.extend(store.watched(None, 3_000).await.unwrap().into_iter().map(|it| it.address)),
        }
        learnt = count;
    }
    assert_eq!((learnt, known.len()), (2_000, 2_000));
}

async fn pages_watched_addresses(store: Dyn) {
    let all = (1..=5).map(records::coverage).collect();
    commit(&store, Commit { coverage: all, ..Commit::default() }).await;
    let page = async |after: Option<u64>, limit| -> Vec<_> {
        let page = store.watched(after.map(records::address), limit).await.unwrap();
        page.into_iter().map(|coverage| coverage.address).collect()
    };
    let of = |range: std::ops::RangeInclusive<u64>| range.map(records::address).collect::<Vec<_>>();
    assert_eq!(page(None, 2).await, of(1..=2));
    assert_eq!(page(Some(2), 2).await, of(3..=4));
    assert_eq!(page(Some(4), 2).await, of(5..=5));
    assert!(page(Some(5), 2).await.is_empty());
}

async fn pages_events(store: Dyn) {
    let events: Vec<_> = (1..=5).map(|n: u64| records::event(None, None, &n.to_string())).collect();
    commit(&store, Commit { events: events.clone(), ..Commit::default() }).await;
    let found = store.events(2, 2).await.unwrap();
    assert_eq!(found.iter().map(|event| event.seq).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(found[0].event, events[2]);
    assert_eq!(store.events(5, 2).await.unwrap(), []);
    assert_eq!(store.events(u64::MAX, 2).await.unwrap(), []);
    assert_eq!(store.events(0, 0).await.unwrap(), []);
}

async fn tells_the_events_of_a_subject(store: Dyn) {
    let (payment, deposit) = (records::payment_id(1), records::deposit_key(1));
    let events = vec![
        records::event(Some(payment.clone()), None, "1"),
        records::event(None, Some(deposit), "2"),
        records::event(Some(payment.clone()), Some(deposit), "3"),
        records::event(None, None, "4"),
        records::event(Some(records::payment_id(2)), Some(records::deposit_key(2)), "5"),
        records::event(Some(payment.clone()), None, "6"),
    ];
    commit(&store, Commit { events, ..Commit::default() }).await;
    let of = async |subject: Subject, after, limit| -> Vec<u64> {
        let found = store.events_of(&subject, after, limit).await.unwrap();
        found.into_iter().map(|event| event.seq).collect()
    };
    assert_eq!(of(Subject::Payment(payment.clone()), 0, 9).await, [1, 3, 6]);
    assert_eq!(of(Subject::Payment(payment.clone()), 1, 1).await, [3]);
    assert_eq!(of(Subject::Payment(payment.clone()), u64::MAX, 9).await, Vec::<u64>::new());
    assert_eq!(of(Subject::Deposit(deposit), 0, 9).await, [2, 3]);
    assert_eq!(of(Subject::Deposit(records::deposit_key(2)), 0, 9).await, [5]);
    assert_eq!(of(Subject::Deposit(records::deposit_key(3)), 0, 9).await, Vec::<u64>::new());
}

/// One task moves all payments of an address from one moment to another, in single commits; others must never see some of
/// them moved and some not.
async fn sees_whole_commits_only(store: Dyn) {
    let all = ["a", "b", "c", "d", "e", "f", "g", "h"];
    add(&store, all.map(|id| due_at(id, Some(at(0)))).to_vec()).await;
    let mover = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for round in 1..=30 {
                let mut payments = store.payments_at(records::address(1)).await.unwrap();
                payments.iter_mut().for_each(|payment| payment.next_at = Some(at(round)));
                add(&store, payments).await;
            }
        }
    });
    while !mover.is_finished() {
        let due = store.due(Lane::Complete, Timestamp::FAR_FUTURE, 99).await.unwrap();
        assert_eq!(ids(&due), all);
        assert!(due.iter().all(|payment| payment.next_at == due[0].next_at), "{due:?}");
        assert_eq!(store.payments_at(records::address(1)).await.unwrap().len(), all.len());
    }
    mover.await.unwrap();
}
