//! What the writing thread and the readers share.

use std::sync::{Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ::sled::Tree;
use tokio::sync::watch;

use super::acknowledged::Keeper;
use super::journal::Journal;
use super::put_aside::PutAside;
use crate::domain::chain::Address;
use crate::ports::store::{Changes, Lost, StoreError, Unreadable};

/// The tree, who may touch it now, and whether it can still be trusted.
pub(super) struct Shared {
    /// All records and indexes.
    pub(super) tree: Tree,
    /// Held for reading while a question is answered, for writing while a group is applied.
    gate: RwLock<()>,
    /// Why the store failed. Never taken back: what the disk holds is not known any more.
    failure: OnceLock<String>,
    /// Tells of commits that are durable.
    changes: watch::Sender<Changes>,
    /// Whose coverage they changed.
    journal: Mutex<Journal>,
    /// What does not read.
    put_aside: PutAside,
    /// How far it has acknowledged.
    acknowledged: Mutex<Acknowledged>,
}

/// How far the store has acknowledged, and what it lacks of what it had acknowledged before it was opened.
struct Acknowledged {
    keeper: Keeper,
    lost: Option<Lost>,
}

impl Shared {
    /// With nothing failed, and no change yet.
    pub(super) fn new(tree: Tree, keeper: Keeper, lost: Option<Lost>) -> Self {
        let (changes, journal, put_aside) = (watch::Sender::default(), Mutex::default(), PutAside::default());
        let acknowledged = Mutex::new(Acknowledged { keeper, lost });
        Self { tree, gate: RwLock::default(), failure: OnceLock::new(), changes, journal, put_aside, acknowledged }
    }

    /// Does something with the file that says how far the store has acknowledged. Blocks while the disk is waited for.
    pub(super) fn acknowledged<T>(&self, act: impl FnOnce(&mut Keeper) -> std::io::Result<T>) -> Result<T, StoreError> {
        let mut acknowledged = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut acknowledged.keeper)
            .map_err(|error| StoreError::Failed(format!("how far it has acknowledged cannot be written: {error}")))
    }

    /// What the store lacks of what it had acknowledged, until that is told.
    pub(super) fn lost(&self) -> Option<Lost> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).lost
    }

    /// What the store lacks is told, durably.
    pub(super) fn settle_loss(&self) -> Result<(), StoreError> {
        self.check()?;
        self.acknowledged(Keeper::settle)?;
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).lost = None;
        Ok(())
    }

    /// Notes that what lies under the key does not read, and gives which record it is, and why.
    pub(super) fn put_aside(&self, key: &[u8], why: &str) -> String {
        let (what, is_news) = self.put_aside.note(key, why);
        if is_news {
            tracing::error!(
                record = what,
                why,
                "a record does not read: it is left as it is, and what it belongs to stands still"
            );
            self.changes.send_modify(|changes| changes.unreadable = changes.unreadable.saturating_add(1));
        }
        format!("{what}: {why}")
    }

    /// What does not read, as far as anybody has asked for it.
    pub(super) fn unreadable(&self) -> Vec<Unreadable> {
        self.put_aside.all()
    }

    /// Whether the store can still be trusted.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.failure.get().map_or(Ok(()), |why| Err(StoreError::Failed(why.clone())))
    }

    /// Nothing can be trusted from now on. The first reason is kept.
    pub(super) fn fail(&self, error: &StoreError) {
        let _first = self.failure.get_or_init(|| match error {
            StoreError::Failed(why) => why.clone(),
            other => other.to_string(),
        });
    }

    /// Nobody writes while this is held. It waits while a group is applied, some milliseconds at most, and blocks its thread
    /// meanwhile: a lock that a task could wait for would also be given to tasks that nobody goes on with, and then to nobody else.
    pub(super) fn steady(&self) -> Result<RwLockReadGuard<'_, ()>, StoreError> {
        self.check()?;
        self.gate.read().map_err(|_| died())
    }

    /// Nobody reads while this is held.
    pub(super) fn alone(&self) -> Result<RwLockWriteGuard<'_, ()>, StoreError> {
        self.gate.write().map_err(|_| died())
    }

    /// Adds to the changes, and notes whose coverage they stored; says nothing if there are none.
    pub(super) fn raise(&self, by: Changes, coverage: Vec<(Address, u64)>) {
        if by == Changes::default() {
            return;
        }
        self.changes.send_modify(|changes| {
            changes.payments = changes.payments.saturating_add(by.payments);
            changes.deposits = changes.deposits.saturating_add(by.deposits);
            changes.coverage = changes.coverage.saturating_add(by.coverage);
            changes.orders = changes.orders.saturating_add(by.orders);
            changes.records = changes.records.saturating_add(by.records);
            changes.events = changes.events.saturating_add(by.events);
            // Before anybody sees the new count.
            self.journal.lock().unwrap_or_else(PoisonError::into_inner).note(changes.coverage, coverage);
        });
    }

    /// Whose coverage was stored after the count was this; `None` when that is forgotten.
    pub(super) fn coverage_since(&self, count: u64) -> Option<Vec<(Address, u64)>> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).since(count)
    }

    /// A new listener to the changes.
    pub(super) fn subscribe(&self) -> watch::Receiver<Changes> {
        self.changes.subscribe()
    }
}

/// The answer when the writing thread is no more.
pub(super) fn died() -> StoreError {
    StoreError::Failed("the thread that writes has died; look for a panic in the log".to_owned())
}
