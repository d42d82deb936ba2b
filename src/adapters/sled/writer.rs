//! The one thread that writes: takes all commits that wait, applies them together, makes them durable, answers.
//!
//! One flush and one fdatasync serve the whole group, so that the disk's latency bounds how long a commit takes,
//! not how many are made. Decisions are taken before the database is touched: a group is one batch
//! of plain writes, which the database applies wholly or not at all. While the disk is waited for, which is the business of a
//! second thread (`syncer`), the next group is applied; nobody gets an answer before his group is durable.
//!
//! Deliberately absent: a second try. A page that failed to reach the disk may be marked clean, and a second fsync
//! would then report success for data that is gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use ::sled::{Batch, IVec, Tree};
use tokio::sync::{mpsc, oneshot};

use super::packs;
use super::reader::{Reader, failed};
use super::records::{Prepared, PreparedCommit, PreparedEvent};
use super::shared::{Shared, died};
use super::syncer::Applied;
use crate::domain::chain::Address;
use crate::ports::store::{Changes, StoreError};

/// A group takes no further commit once it has this many bytes, so that two of them stay far smaller than a segment: space
/// that a group frees is not written over before the group itself is durable, and no more than two are under way.
const GROUP_BYTES: usize = 512 << 10;

/// The number of the last event, or why nothing was stored.
pub(super) type Answer = Result<u64, StoreError>;

/// A commit, and who waits for it.
pub(super) struct Request {
    /// What is to be stored.
    pub(super) commit: PreparedCommit,
    /// Gets the answer once everything is durable.
    pub(super) answer: oneshot::Sender<Answer>,
}

/// Keys with their new values; `None` removes.
type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// The state of the writing thread.
pub(super) struct Writer {
    shared: Arc<Shared>,
    /// Where groups go once they are applied. It takes one at a time.
    applied: SyncSender<Applied>,
    /// The number of the last event.
    last: u64,
}

/// What a group of commits comes to.
#[derive(Default)]
struct Group {
    writes: Writes,
    /// What happened, in the order in which it is numbered.
    events: Vec<PreparedEvent>,
    changes: Changes,
    coverage: Vec<(Address, u64)>,
    last: u64,
    bytes: usize,
    answers: Vec<(oneshot::Sender<Answer>, Answer)>,
}

impl Writer {
    /// Begins after the last event of the tree.
    ///
    /// # Errors
    /// If the last event cannot be found.
    pub(super) fn new(shared: Arc<Shared>, applied: SyncSender<Applied>) -> Result<Self, StoreError> {
        let last = Reader::new(&shared).last_event()?;
        Ok(Self { shared, applied, last })
    }

    /// Serves requests until nobody is left who could send one.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            self.serve(first, &mut requests);
        }
    }

    fn serve(&mut self, first: Request, requests: &mut mpsc::Receiver<Request>) {
        let mut group = Group { last: self.last, ..Group::default() };
        let mut next = Some(first);
        let mut room = requests.max_capacity();
        while let Some(request) = next {
            let result = self.shared.check().and_then(|()| group.stage(&self.shared.tree, request.commit));
            group.answers.push((request.answer, result));
            room = room.saturating_sub(1);
            next = if room > 0 && group.bytes < GROUP_BYTES { requests.try_recv().ok() } else { None };
        }
        group.put_events(self.last);
        let made = if group.writes.is_empty() { Ok(()) } else { self.apply(&group.writes) };
        if let Err(error) = &made {
            self.shared.fail(error);
        } else {
            self.last = group.last;
        }
        let Group { writes, changes, coverage, answers, .. } = group;
        let has_writes = !writes.is_empty();
        let applied = Applied { has_writes, last: self.last, made, changes, coverage, answers };
        if self.applied.send(applied).is_err() {
            self.shared.fail(&died());
        }
    }

    fn apply(&self, writes: &Writes) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(key.as_slice(), value.as_slice()),
                None => batch.remove(key.as_slice()),
            }
        }
        let _alone = self.shared.alone()?;
        self.shared.tree.apply_batch(batch).map_err(failed)
    }
}

impl Group {
    /// Adds a commit, if the versions are as it expects; else the group stays as it is.
    fn stage(&mut self, tree: &Tree, commit: PreparedCommit) -> Result<u64, StoreError> {
        let mut own = Writes::new();
        for record in &commit.records {
            self.stage_record(tree, record, &mut own)?;
        }
        let last = u64::try_from(commit.events.len()).ok().and_then(|count| self.last.checked_add(count));
        let last = last.ok_or_else(|| StoreError::Failed("there are no event numbers left".into()))?;
        // One by one: to append a map to another builds all of both anew, for every commit of the group.
        self.writes.extend(own);
        self.last = last;
        self.bytes = self.bytes.saturating_add(commit.bytes());
        self.changes = added(self.changes, &commit);
        self.coverage.extend(commit.coverage);
        self.events.extend(commit.events);
        Ok(last)
    }

    /// Puts what happened beside what it explains, numbered from above `before` on.
    fn put_events(&mut self, before: u64) {
        for pack in packs::pack(before, &self.events) {
            self.writes.extend(pack.entries.into_iter().map(|entry| (entry, Some(pack.key.clone()))));
            self.writes.insert(pack.key, Some(pack.value));
        }
    }

    fn stage_record(&self, tree: &Tree, record: &Prepared, own: &mut Writes) -> Result<(), StoreError> {
        let stored = self.current(tree, &record.key)?.map(|bytes| (record.read_stored)(&bytes)).transpose()?;
        let stored = stored.unwrap_or_default();
        // A record that comes twice in one commit was meant to be stored once: which of the two is not known.
        if stored.version != record.expected || own.contains_key(&record.key) {
            return Err(StoreError::Conflict(record.name.clone()));
        }
        for gone in stored.index.iter().filter(|key| !record.index.contains(key)) {
            own.insert(gone.clone(), None);
        }
        for new in record.index.iter().filter(|key| !stored.index.contains(key)) {
            own.insert(new.clone(), Some(record.key.clone()));
        }
        for new in record.lasting.iter().filter(|key| !stored.lasting.contains(key)) {
            let bearer = match own.get(new) {
                Some(staged) => staged.as_deref().map(IVec::from),
                None => self.current(tree, new)?,
            };
            if bearer.is_some_and(|bearer| *bearer != *record.key) {
                return Err(StoreError::Conflict(format!("the other name of {}", record.name)));
            }
            own.insert(new.clone(), Some(record.key.clone()));
        }
        own.insert(record.key.clone(), Some(record.value.clone()));
        Ok(())
    }

    /// The value as the commits before it in the group, and the tree, leave it.
    fn current(&self, tree: &Tree, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        match self.writes.get(key) {
            Some(staged) => Ok(staged.as_deref().map(IVec::from)),
            None => tree.get(key).map_err(failed),
        }
    }
}

fn added(changes: Changes, commit: &PreparedCommit) -> Changes {
    let raise = |count: u64, changed: bool| count.saturating_add(u64::from(changed));
    Changes {
        payments: raise(changes.payments, commit.has_payments),
        deposits: raise(changes.deposits, commit.has_deposits),
        coverage: raise(changes.coverage, !commit.coverage.is_empty()),
        orders: raise(changes.orders, commit.has_orders),
        records: raise(changes.records, commit.has_records),
        events: raise(changes.events, !commit.events.is_empty()),
        unreadable: changes.unreadable,
    }
}
