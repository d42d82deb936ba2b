//! Takes a store from an older schema version to this program's.
//!
//! A step may be cut short anywhere. Its work is durable before the version says so, and until the version says so,
//! the next opening does the whole step again.
//!
//! Deliberately absent: the way back. An older program refuses a store that has gone through a step.

use std::fs::File;
use std::io;
use std::path::Path;

use ::sled::{Batch, Db, IVec};

use super::keys;
use super::open::StoreOpenError;
use super::reader::page;
use super::records::{decode, waiting};
use crate::domain::payment::Payment;

/// How many keys are read, and at most as many written, before what was written is made durable. That is far less than a
/// segment: space that is freed is not written over before what freed it is durable.
const BATCH: usize = 1_000;

/// A store that is being taken to a newer schema version. Nobody else uses it meanwhile.
pub(super) struct Migration<'a> {
    /// The store's folder, for errors.
    pub(super) path: &'a Path,
    pub(super) db: &'a Db,
    /// Its data file, through a handle that was opened before anything was written.
    pub(super) file: &'a File,
}

impl Migration<'_> {
    /// From version 1 to 2: builds the index of payments that wait, which version 1 did not have. The caller writes the
    /// version afterwards.
    ///
    /// # Errors
    /// [`StoreOpenError::Unreadable`], which names the record, and [`StoreOpenError::Refused`].
    pub(super) fn index_waiting_payments(&self) -> Result<(), StoreOpenError> {
        // Entries are left over if this was cut short. The older program, which knows nothing of them, may have moved
        // payments on since.
        self.in_batches(keys::WAITING, |writes, key, _| {
            writes.remove(key);
            Ok(())
        })?;
        self.in_batches(keys::PAYMENTS, |writes, key, value| {
            let unreadable = |error| self.unreadable(format!("{}: {error}", key.escape_ascii()));
            let payment: Payment = decode(value).map_err(unreadable)?;
            if let Some(entry) = waiting(&payment) {
                writes.insert(entry, key);
            }
            Ok(())
        })
    }

    /// Makes everything that was written durable.
    ///
    /// # Errors
    /// [`StoreOpenError::Unreadable`] and [`StoreOpenError::Refused`].
    pub(super) fn make_durable(&self) -> Result<(), StoreOpenError> {
        self.db.flush().map_err(|error| self.broken(&error))?;
        self.file.sync_data().map_err(|source| self.refused(source))
    }

    /// Gives every key of the space, with its value, to `each`, which adds what is to be written.
    fn in_batches(
        &self,
        space: &[u8],
        each: impl Fn(&mut Batch, &IVec, &IVec) -> Result<(), StoreOpenError>,
    ) -> Result<(), StoreOpenError> {
        let mut after = None;
        loop {
            let mut writes = Batch::default();
            let mut last = None;
            for entry in self.db.range(page(space, after)).take(BATCH) {
                let (key, value) = entry.map_err(|error| self.broken(&error))?;
                each(&mut writes, &key, &value)?;
                last = Some(key);
            }
            let Some(last) = last else { return Ok(()) };
            self.db.apply_batch(writes).map_err(|error| self.broken(&error))?;
            self.make_durable()?;
            after = Some(last.to_vec());
        }
    }

    fn broken(&self, error: &::sled::Error) -> StoreOpenError {
        self.unreadable(error.to_string())
    }

    fn unreadable(&self, reason: String) -> StoreOpenError {
        StoreOpenError::Unreadable { path: self.path.to_owned(), reason }
    }

    fn refused(&self, source: io::Error) -> StoreOpenError {
        let what = "making the new schema version durable";
        StoreOpenError::Refused { path: self.path.to_owned(), what, source }
    }
}
