//! What several tests share: fake APIs for the ports, sample records, waiting for a condition, folders of one's own,
//! and a scripted chain node.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use rampwatch::adapters::sled::{Settings, SledStore, StoreOpenError};
use rampwatch::domain::operator::{KnownEndpoint, Operator};
use tempfile::TempDir;
use tokio::time::Instant;

pub(crate) mod approving;
pub(crate) mod cutting;
pub(crate) mod desk;
pub(crate) mod key;
pub(crate) mod line;
pub(crate) mod memory_store;
pub(crate) mod no_chain;
pub(crate) mod node;
pub(crate) mod pages;
pub(crate) mod payouts;
pub(crate) mod points;
pub(crate) mod records;
pub(crate) mod rpc_proxy;

/// How long [`eventually`] sleeps between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Waits until `condition` holds, and fails the test, naming `what`, when it does not within `limit`.
pub(crate) async fn eventually<F, Fut>(limit: Duration, what: &str, mut condition: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if let Ok(true) = tokio::time::timeout(left.max(LOOK_EVERY), condition()).await {
            return;
        }
        assert!(Instant::now() < end, "waited {limit:?} in vain for this: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Opens the store in a folder. One that was just let go of may still be on its way out.
pub(crate) async fn store_in(folder: &Path) -> SledStore {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        match SledStore::open(folder, &Settings { cache_bytes: 8 << 20 }) {
            Err(StoreOpenError::Locked { .. }) if Instant::now() < end => tokio::time::sleep(LOOK_EVERY).await,
            opened => return opened.unwrap(),
        }
    }
}

/// An endpoint that is an operator of its own.
pub(crate) fn of_its_own(name: &str) -> KnownEndpoint {
    KnownEndpoint { name: name.to_owned(), operator: Operator::named(name) }
}

/// A folder of this test's own, removed when it is dropped.
pub(crate) fn temp_dir() -> TempDir {
    tempfile::Builder::new().prefix("rampwatch-test-").tempdir().expect("a temporary folder can be made")
}
