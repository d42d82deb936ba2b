//! The chain's own life: a block every 250 ms, and reorgs below finality.
//!
//! Blocks are mined from here and not by anvil's clock, so that a reorg never races with a block, and so that it is known
//! from when on each block was final.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rampwatch::domain::time::Timestamp;
use rampwatch::sandbox::{DEV_ACCOUNTS, Node, Reorg, Sandbox, SandboxError, WALLET};
use tokio::task::JoinSet;

use crate::run::chance::Chance;

/// Anvil's `finalized` is the head less twice this.
pub(crate) const SLOTS: u64 = 3;

/// Between two blocks.
const BLOCK: Duration = Duration::from_millis(250);

/// The chain's life. It ends with [`Life::stop`].
pub(crate) struct Life {
    shared: Arc<Shared>,
    tasks: JoinSet<Result<(), SandboxError>>,
}

struct Shared {
    sandbox: Arc<Sandbox>,
    /// Whoever holds it is alone with the blocks.
    blocks: tokio::sync::Mutex<()>,
    /// For each block number, a moment before which no block of this number was final.
    final_after: Mutex<BTreeMap<u64, Timestamp>>,
    /// Blocks up to this one were there before anybody watched.
    first: u64,
    reorgs: AtomicU32,
    calm: AtomicBool,
    stopped: AtomicBool,
}

impl Life {
    /// Begins.
    pub(crate) async fn start(sandbox: Arc<Sandbox>, seed: u64) -> Result<Self, SandboxError> {
        let first = sandbox.anvil().node().head().await?;
        let shared = Arc::new(Shared {
            sandbox,
            blocks: tokio::sync::Mutex::default(),
            final_after: Mutex::default(),
            first,
            reorgs: AtomicU32::new(0),
            calm: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(mine(Arc::clone(&shared)));
        tasks.spawn(reorgs(Arc::clone(&shared), Chance::new(seed, "reorgs")));
        Ok(Self { shared, tasks })
    }

    /// Keeps the blocks as they are while the guard is held.
    pub(crate) async fn still(&self) -> impl Drop + '_ {
        self.shared.blocks.lock().await
    }

    /// How many reorgs there were.
    pub(crate) fn reorgs(&self) -> u32 {
        self.shared.reorgs.load(Ordering::Relaxed)
    }

    /// No more reorgs from now on; blocks go on.
    pub(crate) fn calm(&self) {
        self.shared.calm.store(true, Ordering::Relaxed);
    }

    /// Whether a block of this number may have been final at a moment.
    pub(crate) fn may_be_final(&self, block: u64, at: Timestamp) -> bool {
        let known = self.shared.final_after.lock().unwrap().get(&block).copied();
        block <= self.shared.first || known.is_some_and(|after| after <= at)
    }

    /// Ends it, and says what went wrong in it.
    pub(crate) async fn stop(&mut self) -> Result<(), SandboxError> {
        self.shared.stopped.store(true, Ordering::Relaxed);
        self.calm();
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("the chain's life does not panic")?;
        }
        Ok(())
    }

    /// What went wrong in it so far.
    pub(crate) fn trouble(&mut self) -> Result<(), SandboxError> {
        self.tasks.try_join_next().map_or(Ok(()), |ended| ended.expect("the chain's life does not panic"))
    }
}

impl Shared {
    fn node(&self) -> &Node {
        self.sandbox.anvil().node()
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Sleeps in small steps; false when there is nothing more to come.
    async fn calm_for(&self, span: Duration) -> bool {
        let end = tokio::time::Instant::now() + span;
        while tokio::time::Instant::now() < end && !self.calm.load(Ordering::Relaxed) {
            tokio::time::sleep(BLOCK).await;
        }
        !self.calm.load(Ordering::Relaxed)
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap())
}

async fn mine(shared: Arc<Shared>) -> Result<(), SandboxError> {
    while !shared.is_stopped() {
        {
            let _alone = shared.blocks.lock().await;
            let before = now();
            shared.node().mine(1).await?;
            let head = shared.node().head().await?;
            shared.final_after.lock().unwrap().entry(head.saturating_sub(2 * SLOTS)).or_insert(before);
        }
        tokio::time::sleep(BLOCK).await;
    }
    Ok(())
}

async fn reorgs(shared: Arc<Shared>, mut chance: Chance) -> Result<(), SandboxError> {
    while shared.calm_for(chance.millis(1_500, 5_000)).await {
        // Never as deep as what was final at any moment.
        let depth = chance.between(1, 2 * SLOTS);
        let _alone = shared.blocks.lock().await;
        match reorg(shared.node(), depth, &mut chance).await {
            Ok(()) => {}
            // The blocks are new, and a transaction that was to stay is not in them: the base fee has left it behind.
            Err(SandboxError::Transaction { .. }) => {}
            Err(other) => return Err(other),
        }
        shared.reorgs.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// One reorg: blocks of the same content, or with the wallet's or somebody's transactions later, back in the pool, or gone.
async fn reorg(node: &Node, depth: u64, chance: &mut Chance) -> Result<(), SandboxError> {
    let somebody = DEV_ACCOUNTS[usize::try_from(chance.between(0, 10)).unwrap()];
    let account = if chance.one_in(2) { WALLET } else { somebody };
    match chance.between(0, 5) {
        0 => node.reorg_keeping_all(depth).await.map(drop),
        1 => node.reorg_delaying(depth, account, chance.between(1, 4)).await.map(drop),
        2 => node.reorg_dropping(depth, account).await.map(drop),
        3 => {
            let reorg = node.reorg_dropping(depth, account).await?;
            send_again(node, &reorg).await
        }
        _ => {
            let reorg = node.reorg_dropping_all(depth).await?;
            send_again(node, &reorg).await
        }
    }
}

/// What was dropped goes back into the pool, as with real nodes, where the pool still takes it.
async fn send_again(node: &Node, reorg: &Reorg) -> Result<(), SandboxError> {
    for raw in reorg.dropped.values() {
        match node.send_raw(raw).await {
            Ok(_) | Err(SandboxError::Refused { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(())
}
