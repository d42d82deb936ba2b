//! Questions to the tree. Each is answered as of one moment: the writer applies a group of commits while no question
//! is being answered.
//!
//! A question may see what has been applied but is not durable yet. Nobody can act on it too early: to act,
//! he must commit his intent first, and that lies behind what he saw.

use std::ops::Bound;

use super::keys;
use super::packs::unpack;
use super::records::{StoredRecord, decode, is_about};
use super::shared::Shared;
use crate::domain::chain::Address;
use crate::domain::event::Recorded;
use crate::ports::store::{Holdings, StoreError};
use ::sled::{IVec, Tree};

/// The beginning and the end of a range of keys.
pub(super) type Range = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// From the first key after `after`, or the first of the space, to the last of the space.
pub(super) fn page(space: &[u8], after: Option<Vec<u8>>) -> Range {
    let from = after.map_or_else(|| Bound::Included(space.to_vec()), Bound::Excluded);
    (from, Bound::Excluded(keys::end_of(space)))
}

/// All keys of the space with a number up to and including `through`.
pub(super) fn through(space: &[u8], through: u64) -> Range {
    (Bound::Included(space.to_vec()), Bound::Excluded(keys::end_through(space, through)))
}

/// All keys of the space with a number above `after` and below the highest, whatever follows the number.
pub(super) fn later(space: &[u8], after: u64) -> Range {
    let from = keys::numbered(space, after.saturating_add(1));
    (Bound::Included(from), Bound::Excluded(keys::numbered(space, u64::MAX)))
}

/// All keys that are `prefix` and a number above `after`.
pub(super) fn above(prefix: &[u8], after: u64) -> Range {
    (Bound::Excluded(keys::numbered(prefix, after)), Bound::Included(keys::numbered(prefix, u64::MAX)))
}

/// The tree, for as long as one question takes.
pub(super) struct Reader<'a> {
    tree: &'a Tree,
    shared: &'a Shared,
}

impl<'a> Reader<'a> {
    /// The caller sees to it that nobody writes meanwhile.
    pub(super) const fn new(shared: &'a Shared) -> Self {
        Self { tree: &shared.tree, shared }
    }

    pub(super) fn get<T: StoredRecord>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        self.tree.get(key).map_err(failed)?.map(|bytes| self.read(key, &bytes)).transpose()
    }

    /// The record that an entry of an index leads to, if the entry is there.
    pub(super) fn at<T: StoredRecord>(&self, entry: &[u8]) -> Result<Option<T>, StoreError> {
        self.tree.get(entry).map_err(failed)?.map(|key| self.follow(&key)).transpose()
    }

    /// The records of a range that read, at most `limit`.
    pub(super) fn records<T: StoredRecord>(&self, range: Range, limit: usize) -> Result<Vec<T>, StoreError> {
        self.of_range(range).filter_map(if_it_reads).take(limit).collect()
    }

    /// All records of a range: each has to read.
    pub(super) fn all_records<T: StoredRecord>(&self, range: Range) -> Result<Vec<T>, StoreError> {
        self.of_range(range).collect()
    }

    /// The records that a range of an index lists and that read, at most `limit`.
    pub(super) fn listed<T: StoredRecord>(&self, range: Range, limit: usize) -> Result<Vec<T>, StoreError> {
        self.tree
            .range(range)
            .map(|entry| self.follow(&entry.map_err(failed)?.1))
            .filter_map(if_it_reads)
            .take(limit)
            .collect()
    }

    /// All records that a range of an index lists: each has to read.
    pub(super) fn all_listed<T: StoredRecord>(&self, range: Range) -> Result<Vec<T>, StoreError> {
        self.tree.range(range).map(|entry| self.follow(&entry.map_err(failed)?.1)).collect()
    }

    /// All records that the index lists under `prefix`: each has to read.
    pub(super) fn listed_under<T: StoredRecord>(&self, prefix: &[u8]) -> Result<Vec<T>, StoreError> {
        self.tree.scan_prefix(prefix).map(|entry| self.follow(&entry.map_err(failed)?.1)).collect()
    }

    /// Those of them that read.
    pub(super) fn readable_under<T: StoredRecord>(&self, prefix: &[u8]) -> Result<Vec<T>, StoreError> {
        let all = self.tree.scan_prefix(prefix).map(|entry| self.follow(&entry.map_err(failed)?.1));
        all.filter_map(if_it_reads).collect()
    }

    /// All records that the index lists under `prefix`, unless there are more than `most` of them.
    fn few_under<T: StoredRecord>(&self, prefix: &[u8], most: usize) -> Result<Option<Vec<T>>, StoreError> {
        let entries = self.tree.scan_prefix(prefix).take(most.saturating_add(1));
        let some = entries.map(|entry| self.follow(&entry.map_err(failed)?.1)).collect::<Result<Vec<T>, _>>()?;
        Ok((some.len() <= most).then_some(some))
    }

    /// What is held of an address; `None` if that is more than `most` payments, deposits or orders.
    pub(super) fn holdings(&self, address: Address, most: usize) -> Result<Option<Holdings>, StoreError> {
        let Some(payments) = self.few_under(&keys::payments_at(address), most)? else { return Ok(None) };
        let Some(deposits) = self.few_under(&keys::deposits_at(address), most)? else { return Ok(None) };
        let Some(orders) = self.few_under(&keys::orders_to(address), most)? else { return Ok(None) };
        let coverage = self.get(&keys::coverage(address))?;
        // An address that is watched and has no payments may be the wallet's own, which only the wallet's record tells.
        let wallet = match self.get(keys::WALLET) {
            Err(StoreError::Corrupt(_)) if !payments.is_empty() || coverage.is_none() => None,
            found => found?,
        };
        Ok(Some(Holdings { payments, deposits, coverage, orders, wallet }))
    }

    /// The events numbered above `after`, at most `limit`.
    pub(super) fn events(&self, after: u64, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        let mut found = Vec::new();
        for entry in self.tree.range(above(keys::EVENTS, after)) {
            if found.len() >= limit {
                break;
            }
            let (key, value) = entry.map_err(failed)?;
            let Some(events) = if_it_reads(self.unpacked(&key, &value)) else { continue };
            // A record may begin with events that are not asked for.
            found.extend(events?.into_iter().filter(|recorded| recorded.seq > after));
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Those of them that are listed under `subject`.
    pub(super) fn events_of(&self, subject: &[u8], after: u64, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        let mut found = Vec::new();
        for entry in self.tree.range(above(subject, after)) {
            if found.len() >= limit {
                break;
            }
            let (_, key) = entry.map_err(failed)?;
            let value = self.tree.get(&key).map_err(failed)?.ok_or_else(|| self.missing(&key))?;
            let is_meant = |recorded: &Recorded| recorded.seq > after && is_about(&recorded.event, subject);
            found.extend(self.unpacked(&key, &value)?.into_iter().filter(is_meant));
        }
        found.truncate(limit);
        Ok(found)
    }

    /// The number of the last event; 0 when there is none.
    pub(super) fn last_event(&self) -> Result<u64, StoreError> {
        let last = self.tree.range(page(keys::EVENTS, None)).next_back().transpose().map_err(failed)?;
        last.map_or(Ok(0), |(key, _)| number_of(&key))
    }

    fn follow<T: StoredRecord>(&self, key: &IVec) -> Result<T, StoreError> {
        self.get(key)?.ok_or_else(|| self.missing(key))
    }

    fn of_range<T: StoredRecord>(&self, range: Range) -> impl Iterator<Item = Result<T, StoreError>> {
        self.tree.range(range).map(|entry| {
            let (key, value) = entry.map_err(failed)?;
            self.read(&key, &value)
        })
    }

    /// The record that these bytes are. What belongs under another key is none.
    fn read<T: StoredRecord>(&self, key: &[u8], bytes: &[u8]) -> Result<T, StoreError> {
        let record: T = decode(bytes).map_err(|error| self.put_aside(key, error))?;
        if record.key() != key {
            let error = StoreError::Corrupt(format!("what is stored there is {}", record.name()));
            return Err(self.put_aside(key, error));
        }
        Ok(record)
    }

    fn unpacked(&self, key: &IVec, value: &[u8]) -> Result<Vec<Recorded>, StoreError> {
        unpack(key, value).map_err(|error| self.put_aside(key, error))
    }

    fn missing(&self, key: &[u8]) -> StoreError {
        self.put_aside(key, StoreError::Corrupt("an index lists it, and it is missing".to_owned()))
    }

    /// Notes a record that does not read, and says which one it is.
    fn put_aside(&self, key: &[u8], error: StoreError) -> StoreError {
        match error {
            StoreError::Corrupt(why) => StoreError::Corrupt(self.shared.put_aside(key, &why)),
            other => other,
        }
    }
}

/// Leaves out what does not read; any other error stays one.
fn if_it_reads<T>(read: Result<T, StoreError>) -> Option<Result<T, StoreError>> {
    (!matches!(read, Err(StoreError::Corrupt(_)))).then_some(read)
}

/// The number at the end of an event's key.
///
/// # Errors
/// [`StoreError::Corrupt`] when there is none.
pub(super) fn number_of(key: &[u8]) -> Result<u64, StoreError> {
    let missing = || StoreError::Corrupt(format!("the event key {:?} has no number", key.escape_ascii()));
    key.last_chunk().map(|bytes| u64::from_be_bytes(*bytes)).ok_or_else(missing)
}

/// What an error of the database means to the store's callers: it, or the disk, has failed, and not one record alone.
pub(super) fn failed(error: ::sled::Error) -> StoreError {
    StoreError::Failed(error.to_string())
}
