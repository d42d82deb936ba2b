//! Looking after the store while no daemon has it: a backup, the way back, and a look through everything in it.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::adapters::sled::{self, StoreOpenError};
use crate::adapters::system::SystemClock;
use crate::config::Settings;
use crate::ports::clock::Clock as _;

pub use crate::adapters::sled::{BackupError, BackupHeader, StoreCheck, StoreFinding};

/// Writes everything in the configured store into a new file, which must not be there yet.
///
/// # Errors
/// The store is in use or cannot be read, or the file is there or cannot be written; nothing is left behind then.
pub async fn back_up_store(settings: &Settings, file: PathBuf) -> anyhow::Result<BackupHeader> {
    let store = settings.store.path.clone();
    let made = blocking(move || sled::back_up(&store, &file, SystemClock.now())).await?;
    made.map_err(|error| match error {
        BackupError::Store(StoreOpenError::Locked { path }) => in_use(&path),
        other => other.into(),
    })
}

/// Makes the store that a backup was made of, in a folder where nothing is.
///
/// # Errors
/// The file is no backup that can be used, or the folder holds something; nothing is changed then.
pub async fn restore_store(file: PathBuf, into: PathBuf) -> anyhow::Result<BackupHeader> {
    Ok(blocking(move || sled::restore(&file, &into)).await??)
}

/// Reads a backup to its end, and tells what it says of itself.
///
/// # Errors
/// It is no backup that can be used.
pub async fn verify_backup(file: PathBuf) -> anyhow::Result<BackupHeader> {
    Ok(blocking(move || sled::verify(&file)).await??)
}

/// Looks through everything in the configured store, and changes nothing.
///
/// # Errors
/// The store is in use, or cannot be read at all. What is wrong in it is no error, but in what is returned.
pub async fn check_store(settings: &Settings) -> anyhow::Result<StoreCheck> {
    let store = settings.store.path.clone();
    let checked = blocking(move || sled::check(&store)).await?;
    checked.map_err(|error| match error {
        StoreOpenError::Locked { path } => in_use(&path),
        other => other.into(),
    })
}

fn in_use(path: &std::path::Path) -> anyhow::Error {
    anyhow::anyhow!(
        "the store {} is in use: stop the rampwatch that runs on it, do this, and start it again; it goes on where it was, \
         and no deposit is missed",
        path.display()
    )
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await.context("the work on the store was broken off")
}
