//! The one thread that waits for the disk: makes each applied group durable, and answers.
//!
//! Deliberately absent: a second try. See `writer`.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use tokio::sync::oneshot;

use super::acknowledged::Keeper;
use super::reader::failed;
use super::shared::Shared;
use super::writer::Answer;
use crate::domain::chain::Address;
use crate::ports::store::{Changes, StoreError};

/// A group of commits that the database has taken.
pub(super) struct Applied {
    /// Whether there was anything to take.
    pub(super) has_writes: bool,
    /// The number of the last event, this group's included.
    pub(super) last: u64,
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
        loop {
            let waits = self.shared.acknowledged(|keeper| Ok(keeper.may_wait())).ok().flatten();
            let next = match waits {
                Some(wait) => groups.recv_timeout(wait),
                None => groups.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match next {
                Ok(group) => self.serve(group),
                Err(RecvTimeoutError::Timeout) => self.settle(),
                Err(RecvTimeoutError::Disconnected) => {
                    self.measure();
                    return self.settle();
                }
            }
        }
    }

    /// The database may have given back space after the last group.
    fn measure(&self) {
        let measured = self.shared.acknowledged(|keeper| keeper.measure(self.file.metadata()?.len()));
        if let Err(error) = measured {
            self.shared.fail(&error);
        }
    }

    /// Makes durable how far the store has acknowledged, unless it has failed.
    fn settle(&self) {
        let settled = self.shared.check().and_then(|()| self.shared.acknowledged(Keeper::sync));
        if let Err(error) = settled {
            self.shared.fail(&error);
        }
    }

    fn serve(&self, group: Applied) {
        let Applied { has_writes, last, made, changes, coverage, answers } = group;
        // What failed stays failed: after it, no group is durable for certain.
        let synced = made.and_then(|()| if has_writes { self.make_durable(last, changes.orders > 0) } else { Ok(()) });
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

    /// `may_sign`: what is signed may leave as soon as this is answered.
    fn make_durable(&self, last: u64, may_sign: bool) -> Result<(), StoreError> {
        self.shared.check()?;
        self.shared.tree.flush().map_err(failed)?;
        let not_synced = |error| StoreError::Failed(format!("the data file cannot be made durable: {error}"));
        self.file.sync_data().map_err(not_synced)?;
        self.shared.acknowledged(|keeper| {
            keeper.note(last, self.file.metadata()?.len())?;
            if may_sign { keeper.sync() } else { Ok(()) }
        })
    }
}
