//! What a dead process left behind: its store, opened as the next start would, held against what the nodes have.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rampwatch::adapters::sled::{Settings, SledStore, StoreOpenError, check};
use rampwatch::domain::chain::B256;
use rampwatch::ports::store::Store;
use rampwatch::sandbox::{Node, SandboxError, WALLET};
use tokio::time::Instant;

/// How long the store may still be in use by a process that is on its way out.
const UNLOCKED_WITHIN: Duration = Duration::from_secs(60);

/// How many blocks back is looked.
const BLOCKS: u64 = 30;

/// Says what is wrong with a store.
pub(crate) fn failed(error: impl std::fmt::Display) -> SandboxError {
    SandboxError::Outcome(format!("the store that was left behind: {error}"))
}

/// Opens the store in a folder.
pub(crate) async fn open(folder: &Path) -> Result<SledStore, SandboxError> {
    let end = Instant::now() + UNLOCKED_WITHIN;
    loop {
        let place = folder.to_owned();
        let opening = tokio::task::spawn_blocking(move || SledStore::open(&place, &Settings { cache_bytes: 8 << 20 }));
        match opening.await.expect("opening does not panic") {
            Err(StoreOpenError::Locked { .. }) if Instant::now() < end => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            opened => return opened.map_err(failed),
        }
    }
}

/// Closes it, which waits for the disk.
pub(crate) async fn close(store: SledStore) {
    tokio::task::spawn_blocking(move || drop(store)).await.expect("closing does not panic");
}

/// Looks through the whole store in a folder: no kill may leave anything in it that should not be there.
pub(crate) async fn sound(folder: &Path) -> Result<(), SandboxError> {
    let place = folder.to_owned();
    let checked = tokio::task::spawn_blocking(move || check(&place)).await.expect("looking does not panic");
    let checked = checked.map_err(failed)?;
    let first = checked.findings.first();
    first.map_or(Ok(()), |first| Err(failed(format!("{} findings: {first:?}", checked.findings.len()))))
}

/// Every transaction of the wallet that the node has in its newest blocks or in its pool.
async fn at_node(node: &Node) -> Result<BTreeSet<B256>, SandboxError> {
    let first = node.head().await?.saturating_sub(BLOCKS);
    let mut all: BTreeSet<B256> = node.sent_by(WALLET, first).await?.into_iter().map(|sent| sent.tx_hash).collect();
    all.extend(node.pool().await?.into_iter().filter(|waiting| waiting.from == WALLET).map(|waiting| waiting.tx_hash));
    Ok(all)
}

/// The wallet's transactions that the node has and the store has not, or whose nonce the store has not given out: what
/// is signed is on the disk before anybody else hears of it.
pub(crate) async fn unknown(node: &Node, store: &SledStore) -> Result<Vec<String>, SandboxError> {
    let mut unknown = Vec::new();
    let hashes = at_node(node).await?;
    let wallet = store.wallet().await.map_err(failed)?;
    for hash in hashes {
        match store.order_of_tx(hash).await.map_err(failed)? {
            None => unknown.push(format!("{hash} is with the node, and not in the store")),
            Some(order) => {
                let nonce = order.attempt(hash).map_or(0, |attempt| attempt.nonce);
                if wallet.as_ref().is_none_or(|wallet| wallet.next_nonce <= nonce) {
                    unknown.push(format!("{hash} has nonce {nonce}, which the store has not given out"));
                }
            }
        }
    }
    Ok(unknown)
}
