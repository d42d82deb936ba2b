//! The one way to the store: what is committed is logged and counted as soon as it stands, and what somebody else was quicker to
//! change is decided again.
//!
//! Nothing else in this room or in `service` calls [`Store::commit`] (`tests/it/layers.rs` sees to it), so a commit without its
//! log lines and counters cannot be written.

use super::event_log::log_events;
use crate::domain::event::{Event, EventKind};
use crate::domain::time::Timestamp;
use crate::planted::{Bug, planted};
use crate::ports::store::{Commit, Store, StoreError};

/// How often something is decided again when others change the same records meanwhile.
const MAX_TRIES: u32 = 200;

/// Stores a commit, then logs and counts its events. Returns the number of the newest event.
pub(crate) async fn commit(store: &dyn Store, commit: Commit) -> Result<u64, StoreError> {
    let events = commit.events.clone();
    let newest = store.commit(commit).await?;
    log_events(&events);
    Ok(newest)
}

/// Stores what happened, where nothing else is stored with it.
pub(crate) async fn tell(
    store: &dyn Store,
    at: Timestamp,
    kinds: impl IntoIterator<Item = EventKind>,
) -> Result<(), StoreError> {
    let events: Vec<Event> = kinds.into_iter().map(|kind| Event::new(at, kind)).collect();
    if events.is_empty() {
        return Ok(());
    }
    commit(store, Commit { events, ..Commit::default() }).await.map(drop)
}

/// How often something was decided, so that it does not go on for ever.
///
/// ```text
/// loop { read; decide; if tries.commit(store, changes).await? { return } }
/// ```
#[derive(Debug, Default)]
pub(crate) struct Tries(u32);

impl Tries {
    /// Stores what was decided. `false`: somebody else was quicker, so everything that it rests on is to be read again and decided
    /// again.
    ///
    /// # Errors
    /// As [`commit`]; [`StoreError::Conflict`] when that has been so too often.
    pub(crate) async fn commit(&mut self, store: &dyn Store, changes: Commit) -> Result<bool, StoreError> {
        self.0 = self.0.saturating_add(1);
        match write(store, changes).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict(_)) if planted(Bug::ConflictIsSuccess) => Ok(true),
            Err(StoreError::Conflict(what)) if self.0 < MAX_TRIES => {
                tracing::debug!(%what, tries = self.0, "version conflict, retrying");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

async fn write(store: &dyn Store, changes: Commit) -> Result<u64, StoreError> {
    #[cfg(feature = "planted-bugs")]
    if planted(Bug::StaleWriteWins) {
        return overwrite(store, changes).await;
    }
    commit(store, changes).await
}

/// The bug [`Bug::StaleWriteWins`]: gives an address's records the versions that the store has, and writes them over those.
#[cfg(feature = "planted-bugs")]
async fn overwrite(store: &dyn Store, mut changes: Commit) -> Result<u64, StoreError> {
    loop {
        match commit(store, changes.clone()).await {
            Err(StoreError::Conflict(_)) if changes.orders.is_empty() && changes.wallet.is_none() => {}
            done => return done,
        }
        for payment in &mut changes.payments {
            payment.version = store.payment(&payment.id).await?.map_or(0, |now| now.version);
        }
        for deposit in &mut changes.deposits {
            deposit.version = store.deposit(&deposit.key).await?.map_or(0, |now| now.version);
        }
        for coverage in &mut changes.coverage {
            coverage.version = store.coverage(coverage.address).await?.map_or(0, |now| now.version);
        }
        for record in &mut changes.records {
            record.version = store.record(&record.body.key()).await?.map_or(0, |now| now.version);
        }
    }
}
