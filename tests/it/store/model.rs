//! The sled store against the store in memory: the same commits, the same answers, also after opening it again.

use proptest::collection::vec;
use proptest::prelude::*;
use rampwatch::domain::deposit::{BlockStatus, Deposit};
use rampwatch::domain::order::{Order, OrderId, OrderOutcome, OrderState, Spend};
use rampwatch::domain::payment::{Outcome, Payment, PaymentState};
use rampwatch::domain::time::Timestamp;
use rampwatch::ports::store::{Commit, Lane, Store, Subject};

use crate::support::memory_store::MemoryStore;
use crate::support::records::{self, at, hash};

/// A record to be changed: which one, what it becomes, and whether the writer is stale.
type Change = (u64, u64, bool);

#[derive(Clone, Debug)]
struct Step {
    payments: Vec<Change>,
    deposits: Vec<Change>,
    coverage: Vec<Change>,
    finality: Option<Change>,
    orders: Vec<Change>,
    wallet: Option<Change>,
    events: Vec<(u64, u64)>,
    reopen: bool,
}

const RECORDS: u64 = 4;

/// The numbers of the hashes that attempts have, and some more.
const HASHES: u64 = 12;

fn change() -> impl Strategy<Value = Change> {
    (0..RECORDS, 0..48_u64, proptest::bool::weighted(0.06))
}

fn step() -> impl Strategy<Value = Step> {
    let records = (vec(change(), 0..3), vec(change(), 0..3), vec(change(), 0..2), proptest::option::of(change()));
    let funding = (vec(change(), 0..3), proptest::option::weighted(0.3, change()));
    (records, funding, vec((0..RECORDS, 0..RECORDS), 0..4), proptest::bool::weighted(0.08)).prop_map(
        |((payments, deposits, coverage, finality), (orders, wallet), events, reopen)| Step {
            payments,
            deposits,
            coverage,
            finality,
            orders,
            wallet,
            events,
            reopen,
        },
    )
}

fn version(stored: Option<u64>, stale: bool) -> u64 {
    stored.unwrap_or(0).saturating_add(u64::from(stale))
}

async fn payment_for(model: &MemoryStore, (n, what, stale): Change) -> Payment {
    let deposit = records::deposit_key(n);
    let state = match what % 6 {
        0 => PaymentState::Waiting,
        1 => PaymentState::Seen { deposit },
        2 => PaymentState::Due { deposit, attempt: 0 },
        3 => PaymentState::Unclear { deposit, attempt: 1, refusal: None },
        4 => PaymentState::Following { deposit: None },
        _ => PaymentState::Ended { outcome: Outcome::Failed, at: at(what) },
    };
    let mut payment = records::payment(n);
    payment.version = version(model.payment(&payment.id).await.unwrap().map(|stored| stored.version), stale);
    payment.terms.deposit_address = records::address(what % 2);
    payment.next_at = (what % 4 != 0).then(|| at(what));
    Payment { state, ..payment }
}

async fn deposit_for(model: &MemoryStore, (n, what, stale): Change) -> Deposit {
    let standing = match what % 3 {
        0 => BlockStatus::Provisional,
        1 => BlockStatus::Final { at: at(what) },
        _ => BlockStatus::Gone { after_final: what % 2 == 0 },
    };
    let deposit = records::deposit(n);
    let version = version(model.deposit(&deposit.key).await.unwrap().map(|stored| stored.version), stale);
    Deposit { version, standing, to: records::address(n % 2), ..deposit }
}

/// Two payments, two turns each.
fn order_id(n: u64) -> OrderId {
    records::order_id(n / 2, if n.is_multiple_of(2) { 1 } else { 2 })
}

/// Attempts come and go, and some orders share them.
async fn order_for(model: &MemoryStore, (n, what, stale): Change) -> Order {
    let (nonce, id) = (what, order_id(n));
    let state = match what % 4 {
        0 => OrderState::Ready,
        1 => OrderState::Sending { nonce, trouble: None },
        2 => OrderState::Cancelling { nonce, why: super::funding::cancels().remove(0), trouble: None },
        _ => OrderState::Ended { outcome: OrderOutcome::Displaced { nonce }, at: at(what) },
    };
    let version = version(model.order(&id).await.unwrap().map(|stored| stored.version), stale);
    let spend = if what % 3 == 0 { Spend::GivenBack } else { Spend::Counted };
    let attempts = (0..what % 5).map(|more| records::attempt(nonce, what / 4 % HASHES + more)).collect();
    let (to, placed_at) = (records::address(what % 2), at(what % 6));
    let spent_at = (what % 4 == 0).then(|| at(what % 5));
    Order { id, version, state, spend, attempts, to, placed_at, spent_at, ..records::order(n) }
}

async fn commit_for(model: &MemoryStore, step: &Step) -> Commit {
    let mut commit = Commit::default();
    for change in &step.payments {
        commit.payments.push(payment_for(model, *change).await);
    }
    for change in &step.deposits {
        commit.deposits.push(deposit_for(model, *change).await);
    }
    for (n, what, stale) in &step.coverage {
        let mut coverage = records::coverage(*n);
        let stored = model.coverage(coverage.address).await.unwrap();
        coverage.version = version(stored.map(|stored| stored.version), *stale);
        coverage.closed = what % 3 == 0;
        commit.coverage.push(coverage);
    }
    if let Some((_, what, stale)) = step.finality {
        let mut finality = records::finality(what);
        finality.version = version(model.finality().await.unwrap().map(|stored| stored.version), stale);
        commit.finality = Some(finality);
    }
    for change in &step.orders {
        commit.orders.push(order_for(model, *change).await);
    }
    if let Some((_, what, stale)) = step.wallet {
        let mut wallet = records::wallet(what);
        wallet.version = version(model.wallet().await.unwrap().map(|stored| stored.version), stale);
        commit.wallet = Some(wallet);
    }
    for (payment, deposit) in &step.events {
        let payment = (*payment > 0).then(|| records::payment_id(*payment));
        let deposit = (*deposit > 0).then(|| records::deposit_key(*deposit));
        commit.events.push(records::event(payment, deposit, "step"));
    }
    commit
}

macro_rules! same {
    ($model:expr, $store:expr, $($question:tt)+) => {
        let (expected, got) = ($model.$($question)+.await, $store.$($question)+.await);
        assert_eq!(got, expected, stringify!($($question)+));
    };
}

async fn compare(model: &MemoryStore, store: &dyn Store) {
    same!(model, store, payments(None, 99));
    same!(model, store, payments(Some(&records::payment_id(1)), 2));
    same!(model, store, deposits(None, 99));
    same!(model, store, deposits(Some(&records::deposit_key(1)), 2));
    same!(model, store, watched(None, usize::MAX));
    same!(model, store, watched(None, 2));
    same!(model, store, watched(Some(records::address(1)), 2));
    let changes = store.changes().borrow().coverage;
    assert_eq!(model.changes().borrow().coverage, changes);
    // The model remembers less.
    if model.coverage_since(changes / 2).await.unwrap().is_some() {
        same!(model, store, coverage_since(changes / 2));
    }
    same!(model, store, finality());
    same!(model, store, events(0, 999));
    same!(model, store, events(3, 4));
    for lane in [Lane::Complete, Lane::Follow] {
        same!(model, store, due(lane, at(20), 2));
        same!(model, store, due(lane, Timestamp::FAR_FUTURE, 99));
        same!(model, store, due_after(lane, at(20), 2));
        same!(model, store, next_due(lane));
    }
    same!(model, store, provisional(1, 99));
    same!(model, store, provisional(u64::MAX, 99));
    let addresses: Vec<_> = (0..RECORDS).rev().map(records::address).collect();
    same!(model, store, deposits_of(&addresses));
    for n in 0..RECORDS {
        same!(model, store, payment(&records::payment_id(n)));
        same!(model, store, deposit(&records::deposit_key(n)));
        same!(model, store, payments_at(records::address(n)));
        same!(model, store, deposits_at(records::address(n)));
        same!(model, store, holdings(records::address(n)));
        same!(model, store, coverage(records::address(n)));
        same!(model, store, events_of(&Subject::Payment(records::payment_id(n)), 0, 99));
        same!(model, store, events_of(&Subject::Deposit(records::deposit_key(n)), 2, 2));
    }
}

async fn compare_funding(model: &MemoryStore, store: &dyn Store) {
    same!(model, store, waiting(None, 99));
    same!(model, store, waiting(Some(&records::payment_id(1)), 2));
    same!(model, store, orders(None, 99));
    same!(model, store, orders(Some(&order_id(1)), 2));
    same!(model, store, open_orders());
    same!(model, store, wallet());
    for since in [Timestamp::EPOCH, at(2), at(5), Timestamp::FAR_FUTURE] {
        same!(model, store, spent_since(since));
    }
    for n in 0..RECORDS {
        same!(model, store, order(&order_id(n)));
        same!(model, store, orders_of(&records::payment_id(n)));
        same!(model, store, orders_to(records::address(n)));
    }
    for n in 0..HASHES.saturating_add(5) {
        same!(model, store, order_of_tx(hash(n)));
    }
}

async fn run(steps: Vec<Step>) {
    let folder = tempfile::tempdir().unwrap();
    let (mut model, mut store) = (MemoryStore::new(), super::open(&folder));
    for step in steps {
        let commit = commit_for(&model, &step).await;
        assert_eq!(store.commit(commit.clone()).await, model.commit(commit).await);
        assert_eq!(*store.changes().borrow(), *model.changes().borrow());
        if step.reopen {
            drop(store);
            store = super::open(&folder);
            model = model.reopen();
        }
        compare(&model, &store).await;
        compare_funding(&model, &store).await;
    }
    let before = model.contents();
    assert_eq!(u64::try_from(before.events.len()).unwrap(), before.events.last().map_or(0, |event| event.seq));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_as_the_model_does(steps in vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        runtime.block_on(run(steps));
    }
}
