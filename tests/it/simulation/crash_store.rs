//! The store as the process sees it: the store in memory, behind the fuse, with checks at every commit.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rampwatch::domain::chain::{Address, B256, BlockNumber};
use rampwatch::domain::coverage::{Coverage, FinalityMark};
use rampwatch::domain::deposit::{Deposit, DepositKey};
use rampwatch::domain::event::Recorded;
use rampwatch::domain::order::{Order, OrderId};
use rampwatch::domain::payment::{Payment, PaymentId};
use rampwatch::domain::record::{Record, RecordKey, RecordKind};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::domain::wallet::Wallet;
use rampwatch::ports::clock::{Chance, Clock};
use rampwatch::ports::store::{Changes, Commit, Lane, Store, StoreError, Subject};
use tokio::sync::watch;

use super::checks;
use super::clock::SimChance;
use super::fuse::{Life, Point};
use super::rng::Rng;
use super::world::World;
use crate::support::memory_store::MemoryStore;

/// The store port of one life of the process.
pub(super) struct CrashStore {
    world: Arc<World>,
    life: Arc<Life>,
    inner: MemoryStore,
    chance: SimChance,
    /// One channel for each listener: tokio wakes the listeners of one channel in an order drawn by chance, and not by
    /// ours.
    listeners: Mutex<Vec<watch::Sender<Changes>>>,
}

impl CrashStore {
    /// The port of this life, on what earlier lives left behind.
    pub(super) fn new(world: Arc<World>, life: Arc<Life>, left_behind: &MemoryStore) -> Self {
        let chance = SimChance::new(Rng::stream(world.seed, &format!("store of life {}", life.number)));
        Self { world, life, inner: left_behind.reopen(), chance, listeners: Mutex::default() }
    }

    fn tell_listeners(&self) {
        let changes = *self.inner.changes().borrow();
        for listener in self.listeners.lock().expect("one thread").iter() {
            listener.send_if_modified(|told| std::mem::replace(told, changes) != changes);
        }
    }

    async fn read<T: Send>(&self, question: impl Future<Output = T> + Send) -> T {
        self.life.before(Point::StoreRead).await;
        let answer = question.await;
        self.life.after(Point::StoreRead).await;
        answer
    }
}

#[async_trait]
impl Store for CrashStore {
    async fn commit(&self, commit: Commit) -> Result<u64, StoreError> {
        self.life.before(Point::StoreCommit).await;
        self.world.clock.sleep(Span::from_millis(self.chance.below(self.world.settings.store_millis))).await;
        if self.life.is_dead() {
            std::future::pending::<()>().await;
        }
        let before = checks::before(&self.inner, &commit).await;
        let done = self.inner.commit(commit.clone()).await;
        self.tell_listeners();
        match &done {
            Ok(_) => checks::on_commit(&self.world, &self.inner, &before, &commit).await,
            Err(StoreError::Conflict(_)) => self.world.count("store: conflict"),
            Err(error) => self.world.violate(&format!("the store refused a commit: {error}")),
        }
        self.world.clock.sleep(Span::from_millis(self.chance.below(4))).await;
        self.life.after(Point::StoreCommit).await;
        done
    }

    async fn payment(&self, id: &PaymentId) -> Result<Option<Payment>, StoreError> {
        self.read(self.inner.payment(id)).await
    }

    async fn payments(&self, after: Option<&PaymentId>, limit: usize) -> Result<Vec<Payment>, StoreError> {
        self.read(self.inner.payments(after, limit)).await
    }

    async fn payments_at(&self, address: Address) -> Result<Vec<Payment>, StoreError> {
        self.read(self.inner.payments_at(address)).await
    }

    async fn due(&self, lane: Lane, now: Timestamp, limit: usize) -> Result<Vec<Payment>, StoreError> {
        self.read(self.inner.due(lane, now, limit)).await
    }

    async fn next_due(&self, lane: Lane) -> Result<Option<Timestamp>, StoreError> {
        self.read(self.inner.next_due(lane)).await
    }

    async fn deposit(&self, key: &DepositKey) -> Result<Option<Deposit>, StoreError> {
        self.read(self.inner.deposit(key)).await
    }

    async fn deposits(&self, after: Option<&DepositKey>, limit: usize) -> Result<Vec<Deposit>, StoreError> {
        self.read(self.inner.deposits(after, limit)).await
    }

    async fn deposits_at(&self, address: Address) -> Result<Vec<Deposit>, StoreError> {
        self.read(self.inner.deposits_at(address)).await
    }

    async fn provisional(&self, through: BlockNumber, limit: usize) -> Result<Vec<Deposit>, StoreError> {
        self.read(self.inner.provisional(through, limit)).await
    }

    async fn coverage(&self, address: Address) -> Result<Option<Coverage>, StoreError> {
        self.read(self.inner.coverage(address)).await
    }

    async fn watched(&self, after: Option<Address>, limit: usize) -> Result<Vec<Coverage>, StoreError> {
        self.read(self.inner.watched(after, limit)).await
    }

    async fn coverage_since(&self, count: u64) -> Result<Option<Vec<(Address, u64)>>, StoreError> {
        self.read(self.inner.coverage_since(count)).await
    }

    async fn finality(&self) -> Result<Option<FinalityMark>, StoreError> {
        self.read(self.inner.finality()).await
    }

    async fn waiting(&self, after: Option<&PaymentId>, limit: usize) -> Result<Vec<Payment>, StoreError> {
        self.read(self.inner.waiting(after, limit)).await
    }

    async fn order(&self, id: &OrderId) -> Result<Option<Order>, StoreError> {
        self.read(self.inner.order(id)).await
    }

    async fn orders(&self, after: Option<&OrderId>, limit: usize) -> Result<Vec<Order>, StoreError> {
        self.read(self.inner.orders(after, limit)).await
    }

    async fn orders_of(&self, payment: &PaymentId) -> Result<Vec<Order>, StoreError> {
        self.read(self.inner.orders_of(payment)).await
    }

    async fn orders_to(&self, address: Address) -> Result<Vec<Order>, StoreError> {
        self.read(self.inner.orders_to(address)).await
    }

    async fn open_orders(&self) -> Result<Vec<Order>, StoreError> {
        self.read(self.inner.open_orders()).await
    }

    async fn spent_since(&self, since: Timestamp) -> Result<Vec<Order>, StoreError> {
        self.read(self.inner.spent_since(since)).await
    }

    async fn order_of_tx(&self, tx_hash: B256) -> Result<Option<Order>, StoreError> {
        self.read(self.inner.order_of_tx(tx_hash)).await
    }

    async fn wallet(&self) -> Result<Option<Wallet>, StoreError> {
        self.read(self.inner.wallet()).await
    }

    async fn record(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        self.read(self.inner.record(key)).await
    }

    async fn record_by_alias(&self, kind: RecordKind, alias: &str) -> Result<Option<Record>, StoreError> {
        self.read(self.inner.record_by_alias(kind, alias)).await
    }

    async fn records_page(
        &self,
        kind: RecordKind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        self.read(self.inner.records_page(kind, after, limit)).await
    }

    async fn records_due(&self, kind: RecordKind, now: Timestamp, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.read(self.inner.records_due(kind, now, limit)).await
    }

    async fn next_record_due(&self, kind: RecordKind) -> Result<Option<Timestamp>, StoreError> {
        self.read(self.inner.next_record_due(kind)).await
    }

    async fn events(&self, after: u64, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        self.read(self.inner.events(after, limit)).await
    }

    async fn events_of(&self, subject: &Subject, after: u64, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        self.read(self.inner.events_of(subject, after, limit)).await
    }

    fn changes(&self) -> watch::Receiver<Changes> {
        let (listener, receiver) = watch::channel(*self.inner.changes().borrow());
        self.listeners.lock().expect("one thread").push(listener);
        receiver
    }
}

/// The clock as the process sees it.
pub(super) struct CrashClock {
    world: Arc<World>,
    life: Arc<Life>,
}

impl CrashClock {
    /// The clock of this life.
    pub(super) fn new(world: Arc<World>, life: Arc<Life>) -> Self {
        Self { world, life }
    }
}

#[async_trait]
impl Clock for CrashClock {
    fn now(&self) -> Timestamp {
        self.world.process_now()
    }

    async fn sleep(&self, span: Span) {
        self.life.before(Point::ClockSleep).await;
        self.world.clock.sleep(span).await;
        self.life.after(Point::ClockSleep).await;
    }
}
