//! What the writing thread and the readers share.

use std::sync::{OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use ::sled::Tree;
use tokio::sync::watch;

use crate::ports::store::{Changes, StoreError};

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
}

impl Shared {
    /// With nothing failed, and no change yet.
    pub(super) fn new(tree: Tree) -> Self {
        Self { tree, gate: RwLock::default(), failure: OnceLock::new(), changes: watch::Sender::default() }
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

    /// Nobody writes while this is held.
    pub(super) fn steady(&self) -> Result<RwLockReadGuard<'_, ()>, StoreError> {
        self.check()?;
        self.gate.read().map_err(|_| died())
    }

    /// The same, if nobody writes at this moment; `None` where one would have to wait.
    pub(super) fn steady_now(&self) -> Result<Option<RwLockReadGuard<'_, ()>>, StoreError> {
        self.check()?;
        match self.gate.try_read() {
            Ok(steady) => Ok(Some(steady)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Poisoned(_)) => Err(died()),
        }
    }

    /// Nobody reads while this is held.
    pub(super) fn alone(&self) -> Result<RwLockWriteGuard<'_, ()>, StoreError> {
        self.gate.write().map_err(|_| died())
    }

    /// Adds to the changes; says nothing if there are none.
    pub(super) fn raise(&self, by: Changes) {
        if by == Changes::default() {
            return;
        }
        self.changes.send_modify(|changes| {
            changes.payments = changes.payments.saturating_add(by.payments);
            changes.deposits = changes.deposits.saturating_add(by.deposits);
            changes.coverage = changes.coverage.saturating_add(by.coverage);
            changes.orders = changes.orders.saturating_add(by.orders);
            changes.desk = changes.desk.saturating_add(by.desk);
            changes.events = changes.events.saturating_add(by.events);
        });
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
