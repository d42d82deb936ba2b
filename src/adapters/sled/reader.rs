//! Questions to the tree. Each is answered as of one moment: the writer applies a group of commits while no question
//! is being answered.
//!
//! A question may see what has been applied but is not durable yet. Nobody can act on it too early: to act,
//! he must commit his intent first, and that lies behind what he saw.

use std::ops::Bound;

use ::sled::{IVec, Tree};
use serde::de::DeserializeOwned;

use super::keys;
use super::packs::unpack;
use super::records::{decode, is_about};
use crate::domain::chain::Address;
use crate::domain::event::Recorded;
use crate::ports::store::{Holdings, StoreError};

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
}

impl<'a> Reader<'a> {
    /// The caller sees to it that nobody writes meanwhile.
    pub(super) const fn new(tree: &'a Tree) -> Self {
        Self { tree }
    }

    /// One record.
    pub(super) fn get<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        self.tree.get(key).map_err(failed)?.map(|bytes| decode(&bytes)).transpose()
    }

    /// The record that an entry of an index leads to, if the entry is there.
    pub(super) fn at<T: DeserializeOwned>(&self, entry: &[u8]) -> Result<Option<T>, StoreError> {
        self.tree.get(entry).map_err(failed)?.map(|key| self.follow(&key)).transpose()
    }

    /// The records of a range, at most `limit`.
    pub(super) fn records<T: DeserializeOwned>(&self, range: Range, limit: usize) -> Result<Vec<T>, StoreError> {
        self.tree.range(range).take(limit).map(|entry| decode(&entry.map_err(failed)?.1)).collect()
    }

    /// The records that a range of an index lists, at most `limit`.
    pub(super) fn listed<T: DeserializeOwned>(&self, range: Range, limit: usize) -> Result<Vec<T>, StoreError> {
        let entries = self.tree.range(range).take(limit);
        entries.map(|entry| self.follow(&entry.map_err(failed)?.1)).collect()
    }

    /// The records that the index lists under `prefix`.
    pub(super) fn listed_under<T: DeserializeOwned>(&self, prefix: &[u8]) -> Result<Vec<T>, StoreError> {
        self.tree.scan_prefix(prefix).map(|entry| self.follow(&entry.map_err(failed)?.1)).collect()
    }

    /// The same, unless there are more than `most` of them.
    fn few_under<T: DeserializeOwned>(&self, prefix: &[u8], most: usize) -> Result<Option<Vec<T>>, StoreError> {
        let entries = self.tree.scan_prefix(prefix).take(most.saturating_add(1));
        let some = entries.map(|entry| self.follow(&entry.map_err(failed)?.1)).collect::<Result<Vec<T>, _>>()?;
        Ok((some.len() <= most).then_some(some))
    }

    /// What is held of an address; `None` if that is more than `most` payments, deposits or orders.
    pub(super) fn holdings(&self, address: Address, most: usize) -> Result<Option<Holdings>, StoreError> {
        let Some(payments) = self.few_under(&keys::payments_at(address), most)? else { return Ok(None) };
        let Some(deposits) = self.few_under(&keys::deposits_at(address), most)? else { return Ok(None) };
        let Some(orders) = self.few_under(&keys::orders_to(address), most)? else { return Ok(None) };
        let (coverage, wallet) = (self.get(&keys::coverage(address))?, self.get(keys::WALLET)?);
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
            // A record may begin with events that are not asked for.
            found.extend(unpack(&key, &value)?.into_iter().filter(|recorded| recorded.seq > after));
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
            let value = self.tree.get(&key).map_err(failed)?.ok_or_else(|| missing(&key))?;
            let is_meant = |recorded: &Recorded| recorded.seq > after && is_about(&recorded.event, subject);
            found.extend(unpack(&key, &value)?.into_iter().filter(is_meant));
        }
        found.truncate(limit);
        Ok(found)
    }

    /// The number of the last event; 0 when there is none.
    pub(super) fn last_event(&self) -> Result<u64, StoreError> {
        let last = self.tree.range(page(keys::EVENTS, None)).next_back().transpose().map_err(failed)?;
        last.map_or(Ok(0), |(key, _)| number_of(&key))
    }

    fn follow<T: DeserializeOwned>(&self, key: &IVec) -> Result<T, StoreError> {
        self.get(key)?.ok_or_else(|| missing(key))
    }
}

fn missing(key: &IVec) -> StoreError {
    StoreError::Corrupt(format!("an index lists {:?}, which is missing", key.escape_ascii()))
}

/// The number at the end of an event's key.
///
/// # Errors
/// [`StoreError::Corrupt`] when there is none.
pub(super) fn number_of(key: &[u8]) -> Result<u64, StoreError> {
    let missing = || StoreError::Corrupt(format!("the event key {:?} has no number", key.escape_ascii()));
    key.last_chunk().map(|bytes| u64::from_be_bytes(*bytes)).ok_or_else(missing)
}

/// What an error of the database means to the store's callers.
pub(super) fn failed(error: ::sled::Error) -> StoreError {
    match error {
        ::sled::Error::Corruption { .. } => StoreError::Corrupt(error.to_string()),
        other => StoreError::Failed(other.to_string()),
    }
}
