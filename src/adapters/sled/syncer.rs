//! The one thread that waits for the disk: makes each applied group durable, and answers.
//!
//! Deliberately absent: a second try. See `writer`.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use tokio::sync::oneshot;

use super::reader::failed;
use super::shared::Shared;
use super::writer::Answer;
use crate::domain::chain::Address;
use crate::ports::store::{Changes, StoreError};

/// A group of commits that the database has taken.
pub(super) struct Applied {
    /// Whether there was anything to take.
    pub(super) has_writes: bool,
    /// Whether it has taken it.
    pub(super) made: Result<(), StoreError>,
    /// What the group changed.
    pub(super) changes: Changes,
    /// Whose coverage it changed, and as which version.
    pub(super) coverage: Vec<(Address, u64)>,
    /// Who waits, and the answer if all goes well.
    pub(super) answers: Vec<(oneshot::Sender<Answer>, Answer)>,
}

/// The state of the thread that waits for the disk.
pub(super) struct Syncer {
    shared: Arc<Shared>,
    /// The database's data file, through a handle that was opened before anything was written: an error of the disk
    /// is told once to each handle, and this one's cannot be used up by somebody else.
    file: File,
}

impl Syncer {
    pub(super) const fn new(shared: Arc<Shared>, file: File) -> Self {
        Self { shared, file }
    }

    /// Serves groups until nobody is left who could send one.
    pub(super) fn run(self, groups: &Receiver<Applied>) {
        while let Ok(group) = groups.recv() {
            self.serve(group);
        }
    }

    fn serve(&self, group: Applied) {
        let Applied { has_writes, made, changes, coverage, answers } = group;
        // What failed stays failed: after it, no group is durable for certain.
        let synced = made.and_then(|()| if has_writes { self.make_durable() } else { Ok(()) });
        if let Err(error) = &synced {
            self.shared.fail(error);
        } else {
            self.shared.raise(changes, coverage);
        }
        for (answer, result) in answers {
            // Whoever has stopped waiting reads what became of his commit when he reads again.
            drop(answer.send(synced.clone().and(result)));
        }
    }

    fn make_durable(&self) -> Result<(), StoreError> {
        self.shared.check()?;
        self.shared.tree.flush().map_err(failed)?;
        let not_synced = |error| StoreError::Failed(format!("the data file cannot be made durable: {error}"));
        self.file.sync_data().map_err(not_synced)
    }
}
