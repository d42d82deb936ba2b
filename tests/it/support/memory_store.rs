//! The store in memory: the model that the sled store is compared with, and the store of the simulation.
//!
//! Deliberately absent: indexes. Every question is answered by looking at everything, so that the answers are
//! plainly right. A commit has no await point: a future that is dropped has either committed or not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use rampwatch::domain::chain::{Address, B256, BlockNumber};
use rampwatch::domain::coverage::{Coverage, FinalityMark};
use rampwatch::domain::deposit::{BlockStatus, Deposit, DepositKey};
use rampwatch::domain::event::{Event, Recorded};
use rampwatch::domain::order::{Order, OrderId, Spend};
use rampwatch::domain::payment::{Payment, PaymentId, PaymentState};
use rampwatch::domain::record::{Record, RecordKey, RecordKind};
use rampwatch::domain::time::Timestamp;
use rampwatch::domain::wallet::Wallet;
use rampwatch::ports::store::{Changes, Commit, Lane, MAX_RECORD_BYTES, Store, StoreError, Subject};
use serde::Serialize;
use tokio::sync::watch;

use super::points::Points;

/// How many changes of coverage are remembered.
const MOST_REMEMBERED: usize = 24;

/// Everything that is kept, in the open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) payments: BTreeMap<PaymentId, Payment>,
    pub(crate) deposits: BTreeMap<DepositKey, Deposit>,
    /// The coverage of every address, closed or not.
    pub(crate) coverage: BTreeMap<Address, Coverage>,
    /// The finality mark.
    pub(crate) finality: Option<FinalityMark>,
    pub(crate) orders: BTreeMap<OrderId, Order>,
    /// Which orders ever signed a transaction with this hash.
    pub(crate) signed: BTreeMap<B256, BTreeSet<OrderId>>,
    /// The wallet's record.
    pub(crate) wallet: Option<Wallet>,
    /// Further records.
    pub(crate) records: BTreeMap<RecordKey, Record>,
    /// Which further record bears, or bore, another name.
    pub(crate) aliases: BTreeMap<(RecordKind, String), RecordKey>,
    /// The events; number 1 comes first.
    pub(crate) events: Vec<Recorded>,
}

#[derive(Debug, Default)]
struct Disk {
    contents: Contents,
    /// How often it was opened. Only the handles of the last opening may commit.
    opened: u64,
}

/// A handle on a store in memory. Clones belong to the same opening, as threads belong to one process.
#[derive(Clone, Debug)]
pub(crate) struct MemoryStore {
    disk: Arc<Mutex<Disk>>,
    opening: u64,
    changes: watch::Sender<Changes>,
    stored: Arc<Mutex<Vec<(u64, Address, u64)>>>,
    points: Option<Arc<Points>>,
}

impl MemoryStore {
    /// An empty store.
    pub(crate) fn new() -> Self {
        Self {
            disk: Arc::default(),
            opening: 0,
            changes: watch::Sender::default(),
            stored: Arc::default(),
            points: None,
        }
    }

    /// Opens the same contents again, as after a crash. What still holds an older handle can commit no more: a task
    /// that should be dead is found out.
    pub(crate) fn reopen(&self) -> Self {
        let mut disk = self.disk();
        disk.opened = disk.opened.saturating_add(1);
        Self {
            disk: Arc::clone(&self.disk),
            opening: disk.opened,
            changes: watch::Sender::default(),
            stored: Arc::default(),
            points: None,
        }
    }

    /// The same store for a life that may end before or after any commit.
    pub(crate) fn with_points(self, points: Arc<Points>) -> Self {
        Self { points: Some(points), ..self }
    }

    /// A look at everything, without a copy.
    pub(crate) fn look<T>(&self, question: impl FnOnce(&Contents) -> T) -> T {
        question(&self.disk().contents)
    }

    /// A copy of everything, for checks.
    pub(crate) fn contents(&self) -> Contents {
        self.disk().contents.clone()
    }

    /// Puts an older copy in the place of everything.
    pub(crate) fn restore(&self, older: Contents) {
        self.disk().contents = older;
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, question: impl FnOnce(&Contents) -> T) -> Result<T, StoreError> {
        Ok(question(&self.disk().contents))
    }

    fn apply(&self, commit: Commit) -> Result<u64, StoreError> {
        check_sizes(&commit)?;
        let mut disk = self.disk();
        if disk.opened != self.opening {
            return Err(StoreError::Failed("the store was opened again by somebody else".to_owned()));
        }
        disk.contents.check_versions(&commit)?;
        let mut changes = *self.changes.borrow();
        for (count, changed) in [
            (&mut changes.payments, !commit.payments.is_empty()),
            (&mut changes.deposits, !commit.deposits.is_empty()),
            (&mut changes.coverage, !commit.coverage.is_empty()),
            (&mut changes.orders, !commit.orders.is_empty() || commit.wallet.is_some()),
            (&mut changes.records, !commit.records.is_empty()),
            (&mut changes.events, !commit.events.is_empty()),
        ] {
            *count = count.saturating_add(u64::from(changed));
        }
        let silent = commit.is_empty();
        let stored = commit.coverage.iter().map(|it| (changes.coverage, it.address, it.version.saturating_add(1)));
        self.stored.lock().unwrap_or_else(PoisonError::into_inner).extend(stored);
        disk.contents.apply(commit);
        // While nobody else commits: two that count at once would count as one, and whoever follows would miss one of them.
        if !silent {
            self.changes.send_replace(changes);
        }
        Ok(disk.contents.last())
    }
}

impl Contents {
    /// A record that comes twice in one commit bears the wrong version the second time.
    fn check_versions(&self, commit: &Commit) -> Result<(), StoreError> {
        let payments = commit.payments.iter().map(|payment| {
            let stored = self.payments.get(&payment.id).map(|stored| stored.version);
            (format!("payment {}", payment.id), payment.version, stored)
        });
        let deposits = commit.deposits.iter().map(|deposit| {
            let stored = self.deposits.get(&deposit.key).map(|stored| stored.version);
            (format!("deposit {}", deposit.key), deposit.version, stored)
        });
        let coverage = commit.coverage.iter().map(|coverage| {
            let stored = self.coverage.get(&coverage.address).map(|stored| stored.version);
            (format!("the coverage of {}", coverage.address), coverage.version, stored)
        });
        let finality = commit.finality.iter().map(|finality| {
            let stored = self.finality.map(|stored| stored.version);
            ("the finality mark".to_owned(), finality.version, stored)
        });
        let orders = commit.orders.iter().map(|order| {
            let stored = self.orders.get(&order.id).map(|stored| stored.version);
            (format!("order {}", order.id), order.version, stored)
        });
        let wallet = commit.wallet.iter().map(|wallet| {
            let stored = self.wallet.as_ref().map(|stored| stored.version);
            ("the wallet's record".to_owned(), wallet.version, stored)
        });
        let desk = commit.records.iter().map(|record| {
            let stored = self.records.get(&record.body.key()).map(|stored| stored.version);
            (record.body.key().to_string(), record.version, stored)
        });
        let mut seen = BTreeSet::new();
        let all = payments.chain(deposits).chain(coverage).chain(finality).chain(orders).chain(wallet).chain(desk);
        for (name, given, stored) in all {
            if stored.unwrap_or(0) != given || !seen.insert(name.clone()) {
                return Err(StoreError::Conflict(name));
            }
        }
        self.check_aliases(&commit.records)
    }

    fn apply(&mut self, commit: Commit) {
        for mut payment in commit.payments {
            payment.version = payment.version.saturating_add(1);
            self.payments.insert(payment.id.clone(), payment);
        }
        for mut deposit in commit.deposits {
            deposit.version = deposit.version.saturating_add(1);
            self.deposits.insert(deposit.key, deposit);
        }
        for mut coverage in commit.coverage {
            coverage.version = coverage.version.saturating_add(1);
            self.coverage.insert(coverage.address, coverage);
        }
        if let Some(mut finality) = commit.finality {
            finality.version = finality.version.saturating_add(1);
            self.finality = Some(finality);
        }
        for mut order in commit.orders {
            order.version = order.version.saturating_add(1);
            for attempt in &order.attempts {
                self.signed.entry(attempt.tx_hash).or_default().insert(order.id.clone());
            }
            self.orders.insert(order.id.clone(), order);
        }
        if let Some(mut wallet) = commit.wallet {
            wallet.version = wallet.version.saturating_add(1);
            self.wallet = Some(wallet);
        }
        for mut record in commit.records {
            record.version = record.version.saturating_add(1);
            let key = record.body.key();
            if let Some(alias) = record.body.alias() {
                self.aliases.entry((key.kind, alias.to_owned())).or_insert_with(|| key.clone());
            }
            self.records.insert(key, record);
        }
        for event in commit.events {
            let seq = self.last().saturating_add(1);
            self.events.push(Recorded { seq, event });
        }
    }

    /// Another name is of one record for ever.
    fn check_aliases(&self, desk: &[Record]) -> Result<(), StoreError> {
        let mut own = BTreeMap::new();
        for (key, alias) in desk.iter().filter_map(|record| Some((record.body.key(), record.body.alias()?))) {
            let name = (key.kind, alias.to_owned());
            let bearers = [self.aliases.get(&name).cloned(), own.insert(name, key.clone())];
            if bearers.into_iter().flatten().any(|bearer| bearer != key) {
                return Err(StoreError::Conflict(format!("the other name of {key}")));
            }
        }
        Ok(())
    }

    fn last(&self) -> u64 {
        self.events.last().map_or(0, |recorded| recorded.seq)
    }

    fn events(&self, after: u64, limit: usize, wanted: impl Fn(&Event) -> bool) -> Vec<Recorded> {
        let later = self.events.iter().filter(|recorded| recorded.seq > after && wanted(&recorded.event));
        later.take(limit).cloned().collect()
    }
}

/// Coverage and finality marks have a fixed size.
fn check_sizes(commit: &Commit) -> Result<(), StoreError> {
    for payment in &commit.payments {
        let stored = Payment { version: payment.version.saturating_add(1), ..payment.clone() };
        check_size(&stored, || format!("payment {}", payment.id))?;
    }
    for deposit in &commit.deposits {
        let stored = Deposit { version: deposit.version.saturating_add(1), ..deposit.clone() };
        check_size(&stored, || format!("deposit {}", deposit.key))?;
    }
    for order in &commit.orders {
        let stored = Order { version: order.version.saturating_add(1), ..order.clone() };
        check_size(&stored, || format!("order {}", order.id))?;
    }
    if let Some(wallet) = &commit.wallet {
        let stored = Wallet { version: wallet.version.saturating_add(1), ..wallet.clone() };
        check_size(&stored, || "the wallet's record".to_owned())?;
    }
    for record in &commit.records {
        let stored = Record { version: record.version.saturating_add(1), ..record.clone() };
        check_size(&stored, || record.body.key().to_string())?;
    }
    for event in &commit.events {
        check_size(event, || event_name(event))?;
    }
    Ok(())
}

fn event_name(event: &Event) -> String {
    match (&event.payment, &event.deposit) {
        (Some(payment), _) => format!("an event of payment {payment}"),
        (None, Some(deposit)) => format!("an event of deposit {deposit}"),
        (None, None) => event.kind.record().map_or("an event".to_owned(), |body| format!("an event of {}", body.key())),
    }
}

fn check_size<T: Serialize>(record: &T, name: impl Fn() -> String) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(record).map_err(|error| StoreError::Failed(error.to_string()))?.len();
    if bytes > MAX_RECORD_BYTES {
        return Err(StoreError::TooLarge { what: name(), bytes });
    }
    Ok(())
}

fn page<K: Ord, V: Clone>(all: &BTreeMap<K, V>, after: Option<&K>, limit: usize) -> Vec<V> {
    let later = all.iter().filter(|(key, _)| after.is_none_or(|after| *key > after));
    later.take(limit).map(|(_, value)| value.clone()).collect()
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, commit: Commit) -> Result<u64, StoreError> {
        let Some(points) = &self.points else { return self.apply(commit) };
        points.pass().await;
        let last = self.apply(commit);
        points.pass().await;
        last
    }

    async fn payment(&self, id: &PaymentId) -> Result<Option<Payment>, StoreError> {
        self.read(|all| all.payments.get(id).cloned())
    }

    async fn payments(&self, after: Option<&PaymentId>, limit: usize) -> Result<Vec<Payment>, StoreError> {
        self.read(|all| page(&all.payments, after, limit))
    }

    async fn payments_at(&self, address: Address) -> Result<Vec<Payment>, StoreError> {
        let here = |payment: &&Payment| payment.terms.deposit_address == address;
        self.read(|all| all.payments.values().filter(here).cloned().collect())
    }

    async fn due(&self, lane: Lane, now: Timestamp, limit: usize) -> Result<Vec<Payment>, StoreError> {
        self.read(|all| {
            let due = |payment: &&Payment| {
                Lane::of(&payment.state) == lane && payment.next_at.is_some_and(|next_at| next_at <= now)
            };
            let mut found: Vec<Payment> = all.payments.values().filter(due).cloned().collect();
            found.sort_by(|a, b| (a.next_at, &a.id).cmp(&(b.next_at, &b.id)));
            found.truncate(limit);
            found
        })
    }

    async fn next_due(&self, lane: Lane) -> Result<Option<Timestamp>, StoreError> {
        let mine = |payment: &&Payment| Lane::of(&payment.state) == lane;
        self.read(|all| all.payments.values().filter(mine).filter_map(|payment| payment.next_at).min())
    }

    async fn deposit(&self, key: &DepositKey) -> Result<Option<Deposit>, StoreError> {
        self.read(|all| all.deposits.get(key).cloned())
    }

    async fn deposits(&self, after: Option<&DepositKey>, limit: usize) -> Result<Vec<Deposit>, StoreError> {
        self.read(|all| page(&all.deposits, after, limit))
    }

    async fn deposits_at(&self, address: Address) -> Result<Vec<Deposit>, StoreError> {
        self.read(|all| {
            let here = all.deposits.values().filter(|deposit| deposit.to == address);
            let mut found: Vec<Deposit> = here.cloned().collect();
            found.sort_by_key(|deposit| (deposit.block_number, deposit.key.log_index, deposit.key));
            found
        })
    }

    async fn provisional(&self, through: BlockNumber, limit: usize) -> Result<Vec<Deposit>, StoreError> {
        self.read(|all| {
            let open = all.deposits.values().filter(|deposit| deposit.standing == BlockStatus::Provisional);
            let mut found: Vec<Deposit> = open.filter(|deposit| deposit.block_number <= through).cloned().collect();
            found.sort_by_key(|deposit| (deposit.block_number, deposit.key.log_index, deposit.key));
            found.truncate(limit);
            found
        })
    }

    async fn coverage(&self, address: Address) -> Result<Option<Coverage>, StoreError> {
        self.read(|all| all.coverage.get(&address).cloned())
    }

    async fn watched(&self, after: Option<Address>, limit: usize) -> Result<Vec<Coverage>, StoreError> {
        self.read(|all| {
            let open = all.coverage.values().filter(|coverage| !coverage.closed);
            open.filter(|coverage| after.is_none_or(|after| coverage.address > after)).take(limit).cloned().collect()
        })
    }

    /// Only the last few are remembered, so that whoever asks has to do without them now and then.
    async fn coverage_since(&self, count: u64) -> Result<Option<Vec<(Address, u64)>>, StoreError> {
        let stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        let forgotten = stored.iter().rev().nth(MOST_REMEMBERED).map_or(0, |(number, ..)| *number);
        let later = stored.iter().filter(|(number, ..)| *number > count);
        Ok((count >= forgotten).then(|| later.map(|(_, address, version)| (*address, *version)).collect()))
    }

    async fn finality(&self) -> Result<Option<FinalityMark>, StoreError> {
        self.read(|all| all.finality)
    }

    async fn waiting(&self, after: Option<&PaymentId>, limit: usize) -> Result<Vec<Payment>, StoreError> {
        self.read(|all| {
            let waits = all.payments.values().filter(|payment| payment.state == PaymentState::Waiting);
            waits.filter(|payment| after.is_none_or(|after| payment.id > *after)).take(limit).cloned().collect()
        })
    }

    async fn order(&self, id: &OrderId) -> Result<Option<Order>, StoreError> {
        self.read(|all| all.orders.get(id).cloned())
    }

    async fn orders(&self, after: Option<&OrderId>, limit: usize) -> Result<Vec<Order>, StoreError> {
        self.read(|all| page(&all.orders, after, limit))
    }

    async fn orders_of(&self, payment: &PaymentId) -> Result<Vec<Order>, StoreError> {
        self.read(|all| all.orders.values().filter(|order| order.id.payment == *payment).cloned().collect())
    }

    async fn orders_to(&self, address: Address) -> Result<Vec<Order>, StoreError> {
        self.read(|all| all.orders.values().filter(|order| order.to == address).cloned().collect())
    }

    async fn open_orders(&self) -> Result<Vec<Order>, StoreError> {
        self.read(|all| all.orders.values().filter(|order| !order.state.is_ended()).cloned().collect())
    }

    async fn spent_since(&self, since: Timestamp) -> Result<Vec<Order>, StoreError> {
        self.read(|all| {
            let counts = |order: &&Order| order.spend == Spend::Counted && order.counts_from() >= since;
            let mut found: Vec<Order> = all.orders.values().filter(counts).cloned().collect();
            found.sort_by(|one, other| (one.counts_from(), &one.id).cmp(&(other.counts_from(), &other.id)));
            found
        })
    }

    async fn order_of_tx(&self, tx_hash: B256) -> Result<Option<Order>, StoreError> {
        self.read(|all| {
            let signers = all.signed.get(&tx_hash).into_iter().flatten().filter_map(|id| all.orders.get(id));
            signers.max_by_key(|order| (order.placed_at, order.id.clone())).cloned()
        })
    }

    async fn wallet(&self) -> Result<Option<Wallet>, StoreError> {
        self.read(|all| all.wallet.clone())
    }

    async fn record(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        self.read(|all| all.records.get(key).cloned())
    }

    async fn record_by_alias(&self, kind: RecordKind, alias: &str) -> Result<Option<Record>, StoreError> {
        self.read(|all| {
            let key = all.aliases.get(&(kind, alias.to_owned()))?;
            all.records.get(key).cloned()
        })
    }

    async fn records_page(
        &self,
        kind: RecordKind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        self.read(|all| {
            let later = |key: &&RecordKey| key.kind == kind && after.is_none_or(|after| key.id.as_str() > after);
            let found = all.records.iter().filter(|(key, _)| later(key));
            found.take(limit).map(|(_, record)| record.clone()).collect()
        })
    }

    async fn records_due(&self, kind: RecordKind, now: Timestamp, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.read(|all| {
            let mine = all.records.iter().filter(|(key, _)| key.kind == kind).map(|(_, record)| record);
            let mut due: Vec<Record> =
                mine.filter(|record| record.next_at.is_some_and(|next_at| next_at <= now)).cloned().collect();
            due.sort_by_key(|record| (record.next_at, record.body.key()));
            due.truncate(limit);
            due
        })
    }

    async fn next_record_due(&self, kind: RecordKind) -> Result<Option<Timestamp>, StoreError> {
        let mine = |key: &RecordKey| key.kind == kind;
        self.read(|all| all.records.iter().filter(|(key, _)| mine(key)).filter_map(|(_, record)| record.next_at).min())
    }

    async fn events(&self, after: u64, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        self.read(|all| all.events(after, limit, |_| true))
    }

    async fn events_of(&self, subject: &Subject, after: u64, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        self.read(|all| {
            all.events(after, limit, |event| match subject {
                Subject::Payment(id) => event.payment.as_ref() == Some(id),
                Subject::Deposit(key) => event.deposit.as_ref() == Some(key),
                Subject::Record(key) => event.kind.record().is_some_and(|body| body.key() == *key),
            })
        })
    }

    fn changes(&self) -> watch::Receiver<Changes> {
        self.changes.subscribe()
    }
}
