//! The store in an embedded database (sled 0.34.7): one folder, one process.
//!
//! All records and indexes lie in one tree, so that one batch changes them together. One thread writes
//! (`writer`), and a second one waits for the disk (`syncer`); questions about few records are answered where they are
//! asked, all others on the runtime's blocking threads.
//!
//! Deliberately absent: caches (the database has one), deletion (nothing is ever dropped), and counts (the
//! database would scan for them).

use std::fs::File;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot, watch};

use crate::domain::chain::{Address, B256, BlockNumber};
use crate::domain::coverage::{Coverage, FinalityMark};
use crate::domain::deposit::{Deposit, DepositKey};
use crate::domain::event::Recorded;
use crate::domain::order::{Order, OrderId};
use crate::domain::payment::{Payment, PaymentId};
use crate::domain::record::{Record, RecordKey, RecordKind};
use crate::domain::time::Timestamp;
use crate::domain::wallet::Wallet;
use crate::ports::store::{Changes, Commit, Holdings, Lane, Lost, Store, StoreError, Subject, Unreadable};

mod acknowledged;
mod backup;
mod check;
mod checkup;
mod journal;
mod keys;
mod leftovers;
mod migrate;
mod open;
mod packs;
mod place;
mod put_aside;
mod reader;
mod records;
mod shared;
mod syncer;
mod trial;
mod writer;

pub use self::backup::{BACKUP_FORMAT, BackupError, BackupHeader, FrameError, back_up, restore, verify};
pub use self::check::{MAX_FINDINGS, StoreCheck, StoreFinding, check};
pub use self::checkup::checkup;
pub use self::open::{SCHEMA_VERSION, StoreOpenError};

use self::open::Leftovers;
use self::reader::{Reader, later, page, through};
use self::records::{PreparedCommit, StoredRecord};
use self::shared::{Shared, died};
use self::syncer::Syncer;
use self::writer::{Request, Writer};

/// How many commits may wait for the writer; who comes later waits for a place.
const QUEUE: usize = 256;

/// Up to so many records of each kind are read where they are asked for; more are read on a thread that may be kept.
const FEW: usize = 128;

/// How the database is to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How much of the database is kept in memory, in bytes.
    pub cache_bytes: u64,
}

impl Default for Settings {
    /// 64 MiB: far more than the open payments need; what ended long ago may be read from the disk.
    fn default() -> Self {
        Self { cache_bytes: 64 << 20 }
    }
}

/// The store. Dropping it waits for the commits under way and lets go of the folder.
pub struct SledStore {
    requests: Option<mpsc::Sender<Request>>,
    /// The one that writes, then the one that waits for the disk: the second ends once the first has.
    threads: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
    lock: File,
}

impl SledStore {
    /// Opens the store in the folder `path`, or makes one there. What a process that died has left in the way is put aside.
    /// Blocks while the disk is read.
    ///
    /// # Errors
    /// When another process has it open, a newer program wrote it, it cannot be read, or the system refuses.
    pub fn open(path: &Path, settings: &Settings) -> Result<Self, StoreOpenError> {
        Self::open_with(path, settings, Leftovers::PutAside)
    }

    fn open_with(path: &Path, settings: &Settings, leftovers: Leftovers) -> Result<Self, StoreOpenError> {
        let open::InUse { opened, keeper, lost } = open::open(path, settings, leftovers)?;
        let unreadable = |reason: String| StoreOpenError::Unreadable { path: path.to_owned(), reason };
        let shared = Arc::new(Shared::new(::sled::Tree::clone(&opened.db), keeper, lost));
        // Without room: what the writer hands over, the syncer has taken up.
        let (applied, groups) = std::sync::mpsc::sync_channel(0);
        let writer = Writer::new(Arc::clone(&shared), applied).map_err(|error| unreadable(error.to_string()))?;
        let syncer = Syncer::new(Arc::clone(&shared), opened.file);
        let (requests, waiting) = mpsc::channel(QUEUE);
        let refused = |what| move |source| StoreOpenError::Refused { path: path.to_owned(), what, source };
        let thread = std::thread::Builder::new().name("store-syncer".to_owned());
        let syncing = thread.spawn(move || syncer.run(&groups));
        let syncing = syncing.map_err(refused("starting the thread that waits for the disk"))?;
        let thread = std::thread::Builder::new().name("store-writer".to_owned());
        let writing = thread.spawn(move || writer.run(waiting));
        let writing = writing.map_err(refused("starting the thread that writes"))?;
        Ok(Self { requests: Some(requests), threads: [writing, syncing].into(), shared, lock: opened.lock })
    }

    /// As [`SledStore::open`], but makes nothing and puts nothing aside.
    ///
    /// # Errors
    /// [`StoreOpenError::Missing`] when there is no store in the folder, [`StoreOpenError::Leftover`] when something is in the
    /// way, and those of [`SledStore::open`].
    pub fn open_existing(path: &Path, settings: &Settings) -> Result<Self, StoreOpenError> {
        place::must_be_there(path)?;
        Self::open_with(path, settings, Leftovers::Refuse)
    }

    /// Whether a store could be opened or made in the folder `path`, as far as the rights of this process go. Opens,
    /// makes and changes nothing, and does not mind a process that has the store open.
    ///
    /// # Errors
    /// When the path is no folder, or it or its files cannot be written or made.
    pub fn check_place(path: &Path) -> Result<(), StoreOpenError> {
        place::must_be_usable(path)
    }

    /// Answers where it is asked, which is for little: nearly always that lies in memory, and the way to another thread and
    /// back takes longer than the answer.
    fn here<T>(&self, question: impl FnOnce(&Reader<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let _steady = self.shared.steady()?;
        question(&Reader::new(&self.shared))
    }

    fn one<T: StoredRecord>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        self.here(|reader| reader.get(key))
    }

    async fn ask<T, Q>(&self, question: Q) -> Result<T, StoreError>
    where
        T: Send + 'static,
        Q: FnOnce(&Reader<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let asked = tokio::task::spawn_blocking(move || {
            let _steady = shared.steady()?;
            question(&Reader::new(&shared))
        });
        asked.await.map_err(|error| StoreError::Failed(format!("a question was not answered: {error}")))?
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        drop(self.requests.take());
        for thread in self.threads.drain(..) {
            // A panic was told to everyone who waited for it.
            drop(thread.join());
        }
        // Closing the file would do, but not while a program that was started meanwhile still holds a copy of it. The
        // database holds a lock of its own until it is closed, just after this.
        drop(self.lock.unlock());
    }
}

#[async_trait]
impl Store for SledStore {
    async fn commit(&self, commit: Commit) -> Result<u64, StoreError> {
        let commit = PreparedCommit::new(commit)?;
        let requests = self.requests.as_ref().ok_or_else(died)?;
        let (answer, answered) = oneshot::channel();
        requests.send(Request { commit, answer }).await.map_err(|_| died())?;
        answered.await.map_err(|_| died())?
    }

    async fn payment(&self, id: &PaymentId) -> Result<Option<Payment>, StoreError> {
        self.one(&keys::payment(id))
    }

    async fn payments(&self, after: Option<&PaymentId>, limit: usize) -> Result<Vec<Payment>, StoreError> {
        let range = page(keys::PAYMENTS, after.map(keys::payment));
        self.ask(move |reader| reader.records(range, limit)).await
    }

    async fn payments_at(&self, address: Address) -> Result<Vec<Payment>, StoreError> {
        self.ask(move |reader| reader.listed_under(&keys::payments_at(address))).await
    }

    async fn due(&self, lane: Lane, now: Timestamp, limit: usize) -> Result<Vec<Payment>, StoreError> {
        let range = through(keys::lane(lane), now.as_millis());
        self.ask(move |reader| reader.listed(range, limit)).await
    }

    async fn next_due(&self, lane: Lane) -> Result<Option<Timestamp>, StoreError> {
        let range = page(keys::lane(lane), None);
        let first: Vec<Payment> = self.here(|reader| reader.listed(range, 1))?;
        Ok(first.first().and_then(|payment| payment.next_at))
    }

    async fn due_after(&self, lane: Lane, after: Timestamp, limit: usize) -> Result<Vec<Payment>, StoreError> {
        let range = later(keys::lane(lane), after.as_millis());
        self.ask(move |reader| reader.listed(range, limit)).await
    }

    async fn deposit(&self, key: &DepositKey) -> Result<Option<Deposit>, StoreError> {
        self.one(&keys::deposit(key))
    }

    async fn deposits(&self, after: Option<&DepositKey>, limit: usize) -> Result<Vec<Deposit>, StoreError> {
        let range = page(keys::DEPOSITS, after.map(keys::deposit));
        self.ask(move |reader| reader.records(range, limit)).await
    }

    async fn deposits_at(&self, address: Address) -> Result<Vec<Deposit>, StoreError> {
        self.ask(move |reader| reader.listed_under(&keys::deposits_at(address))).await
    }

    async fn deposits_of(&self, addresses: &[Address]) -> Result<Vec<Vec<Deposit>>, StoreError> {
        let prefixes: Vec<Vec<u8>> = addresses.iter().map(|address| keys::deposits_at(*address)).collect();
        self.ask(move |reader| prefixes.iter().map(|prefix| reader.readable_under(prefix)).collect()).await
    }

    async fn holdings(&self, address: Address) -> Result<Holdings, StoreError> {
        if let Some(few) = self.here(|reader| reader.holdings(address, FEW))? {
            return Ok(few);
        }
        let all = self.ask(move |reader| reader.holdings(address, usize::MAX)).await?;
        all.ok_or_else(|| StoreError::Failed(format!("the holdings of {address} have no end")))
    }

    async fn provisional(&self, through_block: BlockNumber, limit: usize) -> Result<Vec<Deposit>, StoreError> {
        let range = through(keys::PROVISIONAL, through_block);
        self.ask(move |reader| reader.listed(range, limit)).await
    }

    async fn coverage(&self, address: Address) -> Result<Option<Coverage>, StoreError> {
        self.one(&keys::coverage(address))
    }

    async fn watched(&self, after: Option<Address>, limit: usize) -> Result<Vec<Coverage>, StoreError> {
        let range = page(keys::WATCHED, after.map(keys::watched));
        self.ask(move |reader| reader.listed(range, limit)).await
    }

    async fn coverage_since(&self, count: u64) -> Result<Option<Vec<(Address, u64)>>, StoreError> {
        self.shared.check().map(|()| self.shared.coverage_since(count))
    }

    async fn finality(&self) -> Result<Option<FinalityMark>, StoreError> {
        self.one(keys::FINALITY)
    }

    async fn waiting(&self, after: Option<&PaymentId>, limit: usize) -> Result<Vec<Payment>, StoreError> {
        let range = page(keys::WAITING, after.map(keys::waiting));
        self.ask(move |reader| reader.listed(range, limit)).await
    }

    async fn order(&self, id: &OrderId) -> Result<Option<Order>, StoreError> {
        self.one(&keys::order(id))
    }

    async fn orders(&self, after: Option<&OrderId>, limit: usize) -> Result<Vec<Order>, StoreError> {
        let range = page(keys::ORDERS, after.map(keys::order));
        self.ask(move |reader| reader.records(range, limit)).await
    }

    async fn orders_of(&self, payment: &PaymentId) -> Result<Vec<Order>, StoreError> {
        let range = page(&keys::orders_of(payment), None);
        self.ask(move |reader| reader.all_records(range)).await
    }

    async fn orders_to(&self, address: Address) -> Result<Vec<Order>, StoreError> {
        self.ask(move |reader| reader.listed_under(&keys::orders_to(address))).await
    }

    async fn open_orders(&self) -> Result<Vec<Order>, StoreError> {
        self.ask(|reader| reader.listed_under(keys::OPEN_ORDERS)).await
    }

    async fn spent_since(&self, since: Timestamp) -> Result<Vec<Order>, StoreError> {
        let (_, end) = page(keys::SPENT, None);
        let from = Bound::Included(keys::numbered(keys::SPENT, since.as_millis()));
        self.ask(move |reader| reader.all_listed((from, end))).await
    }

    async fn order_of_tx(&self, tx_hash: B256) -> Result<Option<Order>, StoreError> {
        let found: Vec<Order> = self.ask(move |reader| reader.listed_under(&keys::orders_of_tx(tx_hash))).await?;
        Ok(found.into_iter().max_by(|one, other| (one.placed_at, &one.id).cmp(&(other.placed_at, &other.id))))
    }

    async fn wallet(&self) -> Result<Option<Wallet>, StoreError> {
        self.one(keys::WALLET)
    }

    async fn record(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        self.one(&keys::record(key))
    }

    async fn record_by_alias(&self, kind: RecordKind, alias: &str) -> Result<Option<Record>, StoreError> {
        let entry = keys::record_alias(kind, alias);
        self.ask(move |reader| reader.at(&entry)).await
    }

    async fn records_page(
        &self,
        kind: RecordKind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        let after = after.map(|id| keys::record(&RecordKey { kind, id: id.to_owned() }));
        let range = page(&keys::record_kind(kind), after);
        self.ask(move |reader| reader.records(range, limit)).await
    }

    async fn records_due(&self, kind: RecordKind, now: Timestamp, limit: usize) -> Result<Vec<Record>, StoreError> {
        let range = through(&keys::record_lane(kind), now.as_millis());
        self.ask(move |reader| reader.listed(range, limit)).await
    }

    async fn next_record_due(&self, kind: RecordKind) -> Result<Option<Timestamp>, StoreError> {
        let range = page(&keys::record_lane(kind), None);
        let first: Vec<Record> = self.here(|reader| reader.listed(range, 1))?;
        Ok(first.first().and_then(|record| record.next_at))
    }

    async fn records_due_after(
        &self,
        kind: RecordKind,
        after: Timestamp,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        let range = later(&keys::record_lane(kind), after.as_millis());
        self.ask(move |reader| reader.listed(range, limit)).await
    }

    async fn events(&self, after: u64, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        self.ask(move |reader| reader.events(after, limit)).await
    }

    async fn events_of(&self, subject: &Subject, after: u64, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        let subject = keys::events_of(subject);
        self.ask(move |reader| reader.events_of(&subject, after, limit)).await
    }

    fn unreadable(&self) -> Vec<Unreadable> {
        self.shared.unreadable()
    }

    fn lost(&self) -> Option<Lost> {
        self.shared.lost()
    }

    async fn loss_is_told(&self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let settled = tokio::task::spawn_blocking(move || shared.settle_loss());
        settled.await.map_err(|error| StoreError::Failed(format!("that a loss is told was not noted: {error}")))?
    }

    fn changes(&self) -> watch::Receiver<Changes> {
        self.shared.subscribe()
    }
}
