//! A store that stops at the nth commit of a kind (which changes a payment or a deposit, say), just before or just after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use rampwatch::adapters::sled::SledStore;
use rampwatch::domain::chain::{Address, B256, BlockNumber};
use rampwatch::domain::coverage::{Coverage, FinalityMark};
use rampwatch::domain::deposit::{Deposit, DepositKey};
use rampwatch::domain::event::Recorded;
use rampwatch::domain::order::{Order, OrderId};
use rampwatch::domain::payment::{Payment, PaymentId};
use rampwatch::domain::record::{Record, RecordKey, RecordKind};
use rampwatch::domain::time::Timestamp;
use rampwatch::domain::wallet::Wallet;
use rampwatch::ports::store::{Changes, Commit, Lane, Store, StoreError, Subject};
use rampwatch::sandbox::fake_api::OffRamp;

use super::world::{LIMIT, World, is_completed};

/// Mines block after block until the store has stopped or the off-ramp's payment is completed. Tells whether it has stopped.
pub(crate) async fn dead_or_completed(
    world: &World,
    blown: &watch::Receiver<bool>,
    off_ramp: &OffRamp,
    nth: u32,
) -> bool {
    let life = async {
        loop {
            let payment = world.store().payment(&off_ramp.id).await.unwrap();
            if *blown.borrow() || payment.is_some_and(|payment| is_completed(&payment.state)) {
                break;
            }
            world.mine(1).await;
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    tokio::time::timeout(LIMIT, life).await.unwrap_or_else(|_| panic!("neither dead at {nth} nor completed"));
    *blown.borrow()
}

/// On which side of the commit it stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The commit is not made. What was done before it, such as a call, has been done.
    Before,
    /// The commit is made. What was to follow is not done.
    After,
}

/// The store. Once it has stopped, no commit gets through.
pub(crate) struct Fuse {
    inner: SledStore,
    side: Side,
    counts: fn(&Commit) -> bool,
    left: AtomicU32,
    blown: Arc<watch::Sender<bool>>,
}

impl Fuse {
    /// Stops at the `nth` commit that changes a payment or a deposit, from 1. Also gives what tells that it has.
    pub(crate) fn new(inner: SledStore, nth: u32, side: Side) -> (Self, watch::Receiver<bool>) {
        Self::counting(inner, nth, side, |commit| !commit.payments.is_empty() || !commit.deposits.is_empty())
    }

    /// The same for the `nth` commit of those that count.
    pub(crate) fn counting(
        inner: SledStore,
        nth: u32,
        side: Side,
        counts: fn(&Commit) -> bool,
    ) -> (Self, watch::Receiver<bool>) {
        let (blown, tells) = watch::channel(false);
        (Self { inner, side, counts, left: AtomicU32::new(nth), blown: Arc::new(blown) }, tells)
    }
}

#[async_trait]
impl Store for Fuse {
    async fn commit(&self, commit: Commit) -> Result<u64, StoreError> {
        let counts = (self.counts)(&commit);
        let left = self.left.load(Ordering::SeqCst);
        if left == 0 {
            return std::future::pending().await;
        }
        let nth = counts && self.left.fetch_sub(1, Ordering::SeqCst) == 1;
        if nth && self.side == Side::Before {
            self.blown.send_replace(true);
            return std::future::pending().await;
        }
        let result = self.inner.commit(commit).await;
        if nth {
            self.blown.send_replace(true);
            return std::future::pending().await;
        }
        result
    }

    async fn payment(&self, id: &PaymentId) -> Result<Option<Payment>, StoreError> {
        self.inner.payment(id).await
    }

    async fn payments(&self, after: Option<&PaymentId>, limit: usize) -> Result<Vec<Payment>, StoreError> {
        self.inner.payments(after, limit).await
    }

    async fn payments_at(&self, address: Address) -> Result<Vec<Payment>, StoreError> {
        self.inner.payments_at(address).await
    }

    async fn due(&self, lane: Lane, now: Timestamp, limit: usize) -> Result<Vec<Payment>, StoreError> {
        self.inner.due(lane, now, limit).await
    }

    async fn next_due(&self, lane: Lane) -> Result<Option<Timestamp>, StoreError> {
        self.inner.next_due(lane).await
    }

    async fn deposit(&self, key: &DepositKey) -> Result<Option<Deposit>, StoreError> {
        self.inner.deposit(key).await
    }

    async fn deposits(&self, after: Option<&DepositKey>, limit: usize) -> Result<Vec<Deposit>, StoreError> {
        self.inner.deposits(after, limit).await
    }

    async fn deposits_at(&self, address: Address) -> Result<Vec<Deposit>, StoreError> {
        self.inner.deposits_at(address).await
    }

    async fn provisional(&self, through: BlockNumber, limit: usize) -> Result<Vec<Deposit>, StoreError> {
        self.inner.provisional(through, limit).await
    }

    async fn coverage(&self, address: Address) -> Result<Option<Coverage>, StoreError> {
        self.inner.coverage(address).await
    }

    async fn watched(&self, after: Option<Address>, limit: usize) -> Result<Vec<Coverage>, StoreError> {
        self.inner.watched(after, limit).await
    }

    async fn coverage_since(&self, count: u64) -> Result<Option<Vec<(Address, u64)>>, StoreError> {
        self.inner.coverage_since(count).await
    }

    async fn finality(&self) -> Result<Option<FinalityMark>, StoreError> {
        self.inner.finality().await
    }

    async fn waiting(&self, after: Option<&PaymentId>, limit: usize) -> Result<Vec<Payment>, StoreError> {
        self.inner.waiting(after, limit).await
    }

    async fn order(&self, id: &OrderId) -> Result<Option<Order>, StoreError> {
        self.inner.order(id).await
    }

    async fn orders(&self, after: Option<&OrderId>, limit: usize) -> Result<Vec<Order>, StoreError> {
        self.inner.orders(after, limit).await
    }

    async fn orders_of(&self, payment: &PaymentId) -> Result<Vec<Order>, StoreError> {
        self.inner.orders_of(payment).await
    }

    async fn orders_to(&self, address: Address) -> Result<Vec<Order>, StoreError> {
        self.inner.orders_to(address).await
    }

    async fn open_orders(&self) -> Result<Vec<Order>, StoreError> {
        self.inner.open_orders().await
    }

    async fn spent_since(&self, since: Timestamp) -> Result<Vec<Order>, StoreError> {
        self.inner.spent_since(since).await
    }

    async fn order_of_tx(&self, tx_hash: B256) -> Result<Option<Order>, StoreError> {
        self.inner.order_of_tx(tx_hash).await
    }

    async fn wallet(&self) -> Result<Option<Wallet>, StoreError> {
        self.inner.wallet().await
    }

    async fn record(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        self.inner.record(key).await
    }

    async fn record_by_alias(&self, kind: RecordKind, alias: &str) -> Result<Option<Record>, StoreError> {
        self.inner.record_by_alias(kind, alias).await
    }

    async fn records_page(
        &self,
        kind: RecordKind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        self.inner.records_page(kind, after, limit).await
    }

    async fn records_due(&self, kind: RecordKind, now: Timestamp, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.inner.records_due(kind, now, limit).await
    }

    async fn next_record_due(&self, kind: RecordKind) -> Result<Option<Timestamp>, StoreError> {
        self.inner.next_record_due(kind).await
    }

    async fn events(&self, after: u64, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        self.inner.events(after, limit).await
    }

    async fn events_of(&self, subject: &Subject, after: u64, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        self.inner.events_of(subject, after, limit).await
    }

    fn changes(&self) -> watch::Receiver<Changes> {
        self.inner.changes()
    }
}
