//! Kills rampwatch (`kill -9` of the real binary) again and again while it funds payments, and holds everything against
//! the chain at the end.
//!
//! Blocks come every 250 ms. Off-ramps are opened and added without a pause, and the automatic mode funds them ([`load`]).
//! Meanwhile the base fee jumps above what waits, and the node forgets what waits in its pool. The way to the API takes its
//! time, so that a kill can hit a call on its way. After each kill the store that is left is opened: it must have every
//! transaction of the wallet that the node has, and everything that it had after any kill before. Then it is started again.
//! After the last kill everything must settle.

pub(crate) mod load;
pub(crate) mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rampwatch::domain::chain::B256;
use rampwatch::domain::order::{OrderId, OrderState};
use rampwatch::ports::store::Store;
use rampwatch::sandbox::fake_api::{FakeApi, FakeApiOptions};
use rampwatch::sandbox::{
    Anvil, AnvilOptions, Daemon, DaemonOptions, Mining, Sandbox, SandboxError, USDC, WALLET, WalletConfig,
    wallet_variable,
};
use tokio::time::Instant;

use self::load::{Habits, Load};
use super::aftermath::{close, failed, open, sound, unknown};
use super::report::Report;
use crate::run::chance::{self, Chance};
use crate::run::network::Network;

/// How long a start may take, and the settling at the end.
const LIMIT: Duration = Duration::from_secs(180);

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The binary.
    pub(crate) program: PathBuf,
    /// How often it is killed.
    pub(crate) kills: u32,
    /// Of all that is random here. (What the machine does at which moment is not.)
    pub(crate) seed: u64,
}

impl Plan {
    /// A hundred kills, and a seed of its own.
    pub(crate) fn new(program: PathBuf) -> Self {
        Self { program, kills: 100, seed: chance::fresh_seed() }
    }
}

/// What the stores that were left behind had in them.
#[derive(Default)]
pub(crate) struct Memory {
    attempts: BTreeSet<B256>,
    ended: BTreeSet<OrderId>,
    /// In how many of them an order was in this state.
    pub(crate) states: BTreeMap<String, u32>,
}

/// Runs the plan, and tells how it goes on stdout.
pub(crate) async fn run(plan: &Plan, report: &mut Report) -> Result<(), SandboxError> {
    if plan.kills == 0 {
        return Ok(());
    }
    let began = Instant::now();
    println!("  seed {} (--seed {} to use it again)", plan.seed, plan.seed);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let options = AnvilOptions { mining: Mining::Every { millis: 250 }, ..AnvilOptions::default() };
    let anvil = Anvil::start(&options).await?;
    anvil.node().furnish().await?;
    let had = anvil.node().balance(USDC, WALLET).await?;
    let fake_api = FakeApi::start(FakeApiOptions { seed: plan.seed, ..FakeApiOptions::default() }).await?;
    let network = Network::start(&fake_api.base_url(), plan.seed).await;
    let wallet = WalletConfig { auto: true, ..WalletConfig::default() };
    let sandbox = Arc::new(Sandbox::of_parts_with(anvil, fake_api, folder.path(), Some(wallet))?);
    let mut daemon = Daemon::new(DaemonOptions {
        program: plan.program.clone(),
        config: sandbox.config_path(),
        log: folder.path().join("watcher.log"),
        overrides: overrides(network.base_url()),
    })?;
    let load = Load::start(Arc::clone(&sandbox), daemon.operator().clone(), plan.seed, Habits::default());
    let mut memory = Memory::default();
    let mut chance = Chance::new(plan.seed, "kills");
    while report.kills < plan.kills {
        kill_once(&mut daemon, &mut chance, &sandbox, &mut memory, report).await?;
        if report.kills.is_multiple_of(10) {
            println!("  {} kills, {} payments, {} s", report.kills, load.opened(), began.elapsed().as_secs());
        }
    }
    daemon.start()?;
    daemon.ready(LIMIT).await?;
    let (book, _) = load.finish(LIMIT).await?;
    println!("  no more kills; {} payments have to settle", book.len());
    let settled = verdict::settle(daemon.operator(), &book, LIMIT).await;
    daemon.stop(Duration::from_secs(20)).await?;
    let before = report.details.len();
    if let Err(error) = settled {
        report.failed(error.to_string());
    }
    verdict::judge(&sandbox, &daemon.settings().store.path, &book, had, report).await?;
    println!("  killed while orders were: {}", shown(&memory.states));
    if report.details.len() > before {
        println!("  the configuration, store and log are kept in {}", folder.keep().display());
    }
    if let Some(sandbox) = Arc::into_inner(sandbox) {
        sandbox.stop().await?;
    }
    println!("  {} kills in {} s", report.kills, began.elapsed().as_secs());
    Ok(())
}

/// Starts the daemon, kills it at a random moment, and looks at what it left.
async fn kill_once(
    daemon: &mut Daemon,
    chance: &mut Chance,
    sandbox: &Sandbox,
    memory: &mut Memory,
    report: &mut Report,
) -> Result<(), SandboxError> {
    daemon.start()?;
    if chance.one_in(10) {
        tokio::time::sleep(chance.millis(0, 100)).await;
    } else {
        daemon.ready(LIMIT).await?;
        tokio::time::sleep(chance.millis(10, 1_200)).await;
    }
    if let Some(status) = daemon.ended()? {
        return Err(SandboxError::Outcome(format!("rampwatch ended by itself: {status}")));
    }
    daemon.kill().await?;
    report.kills += 1;
    let path = &daemon.settings().store.path;
    if !path.exists() {
        return Ok(());
    }
    let store = open(path).await?;
    let unknown = unknown(sandbox.anvil().node(), &store).await?;
    report.unknown += unknown.len();
    report.details.extend(unknown);
    memory.compare(&store).await?.into_iter().for_each(|what| report.failed(what));
    close(store).await;
    sound(path).await
}

impl Memory {
    /// What was signed must still be known, and what had ended must stay ended. Says what is not so.
    pub(crate) async fn compare(&mut self, store: &dyn Store) -> Result<Vec<String>, SandboxError> {
        let mut wrong = Vec::new();
        for hash in &self.attempts {
            if store.order_of_tx(*hash).await.map_err(failed)?.is_none() {
                wrong.push(format!("{hash} was in the store, and is not any more"));
            }
        }
        let mut states = BTreeSet::new();
        for order in store.orders(None, 100_000).await.map_err(failed)? {
            self.attempts.extend(order.attempts.iter().map(|attempt| attempt.tx_hash));
            let sent = order.attempts.last().is_some_and(|attempt| attempt.sends > 0);
            match order.state {
                OrderState::Ended { .. } => drop(self.ended.insert(order.id.clone())),
                _ if self.ended.contains(&order.id) => wrong.push(format!("{} had ended, and is open", order.id)),
                OrderState::Sending { .. } if !sent => drop(states.insert("signed, not known to be sent".to_owned())),
                state => drop(states.insert(state.name().to_owned())),
            }
        }
        for state in states {
            *self.states.entry(state).or_default() += 1;
        }
        Ok(wrong)
    }
}

/// Small spans, so that much happens between two kills.
fn overrides(api: &str) -> Vec<(String, String)> {
    let pairs = [
        ("RAMPWATCH__API__BASE_URL", api),
        ("RAMPWATCH__API__TIMEOUT", "1s"),
        ("RAMPWATCH__API__CONNECT_TIMEOUT", "500ms"),
        ("RAMPWATCH__WATCH__SWEEP_INTERVAL", "1s"),
        ("RAMPWATCH__WATCH__SECOND_READING_AFTER", "5s"),
        ("RAMPWATCH__FUNDING__HOLD_CHECK", "300ms"),
        ("RAMPWATCH__FUNDING__BUMP_AFTER", "1s"),
        ("RAMPWATCH__FUNDING__REBROADCAST_AFTER", "1s"),
        ("RAMPWATCH__FUNDING__POLL_INTERVAL", "100ms"),
    ];
    let mut all: Vec<(String, String)> =
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    all.push(wallet_variable());
    all
}

pub(crate) fn shown(states: &BTreeMap<String, u32>) -> String {
    states.iter().map(|(state, count)| format!("{state} ({count})")).collect::<Vec<_>>().join(", ")
}
