//! The store: one contract suite for every store, and what only the sled store has to show.

#[cfg(test)]
mod backup;
#[cfg(test)]
mod check;
#[cfg(test)]
mod child;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod crash;
#[cfg(test)]
pub(crate) mod desk;
#[cfg(test)]
pub(crate) mod funding;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod leftovers;
#[cfg(test)]
mod migration;
#[cfg(test)]
mod model;
mod notices;
#[cfg(test)]
mod opening;
#[cfg(test)]
mod orders;
mod payouts;
#[cfg(test)]
mod queries;
#[cfg(test)]
pub(crate) mod raw;
#[cfg(test)]
mod shapes;
#[cfg(test)]
mod sizes;
#[cfg(test)]
pub(crate) mod specimens;
#[cfg(test)]
mod trace;
#[cfg(test)]
mod unreadable;

#[cfg(test)]
use std::sync::Arc;

#[cfg(test)]
use rampwatch::adapters::sled::{Settings, SledStore};
#[cfg(test)]
use rampwatch::ports::store::{Commit, Store};

/// Runs each of the functions, which take an `Arc<dyn Store>`, against an empty store of every kind.
#[cfg(test)]
macro_rules! for_every_store {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(std::sync::Arc::new(crate::support::memory_store::MemoryStore::new())).await;
            })*
        }

        mod sled {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let folder = tempfile::tempdir().unwrap();
                super::$name(std::sync::Arc::new(crate::store::open(&folder))).await;
            })*
        }
    };
}
#[cfg(test)]
use for_every_store;

/// Opens the sled store in the folder.
#[cfg(test)]
fn open(folder: &tempfile::TempDir) -> SledStore {
    SledStore::open(&folder.path().join("store"), &Settings::default()).unwrap()
}

/// Commits what must go through.
#[cfg(test)]
async fn commit(store: &Arc<dyn Store>, commit: Commit) -> u64 {
    store.commit(commit).await.unwrap()
}
