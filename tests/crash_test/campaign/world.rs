//! Everything that runs in a campaign, and how a fault is done to it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rampwatch::sandbox::stand_in::{StandIn, StandInOptions};
use rampwatch::sandbox::{
    Anvil, AnvilOptions, Daemon, DaemonOptions, Mining, Pid, Sandbox, SandboxError, WalletConfig, wallet_variable,
};
use tokio::sync::broadcast;

use super::chain::{Life, SLOTS};
use super::deck::{Fault, Target};
use super::guard::Guard;
use super::line::{Line, Sight};
use super::{APPROVAL_ABOVE, Plan};
use crate::run::chance::Chance;

/// How long a start may take, and coming back from a fault.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// The most that is waited for a sight to strike at.
const SIGHT_WITHIN: Duration = Duration::from_secs(2);

/// See the module.
pub(crate) struct World {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) daemon: Daemon,
    pub(crate) life: Life,
    node_line: Line,
    socket_line: Line,
    api_line: Line,
    sights: broadcast::Sender<Sight>,
    chance: Chance,
    /// The rampwatch that stands still.
    frozen: Option<Pid>,
    /// Last, because it is told of what ends before.
    guard: Guard,
}

impl World {
    /// The chain, the API, the lines between, and the configuration. rampwatch does not run yet.
    pub(crate) async fn start(plan: &Plan, folder: &Path) -> Result<Self, SandboxError> {
        let guard = Guard::start()?;
        let options = AnvilOptions { mining: Mining::OnCommand, slots_in_an_epoch: SLOTS, ..AnvilOptions::default() };
        let anvil = Anvil::start(&options).await?;
        guard.watch(anvil.pid());
        anvil.node().furnish().await?;
        let stand_in = StandIn::start(StandInOptions { seed: plan.seed, ..StandInOptions::default() }).await?;
        let node_address = SocketAddr::from(([127, 0, 0, 1], anvil.port()));
        let api_url = url::Url::parse(&stand_in.base_url()).unwrap();
        let api_address = api_url.socket_addrs(|| None).unwrap()[0];
        let (sights, _) = broadcast::channel(256);
        let node_line = Line::start(node_address, 4, plan.seed, &guard, sights.clone()).await?;
        let socket_line = Line::start(node_address, 4, plan.seed + 1, &guard, sights.clone()).await?;
        let api_line = Line::start(api_address, 60, plan.seed + 2, &guard, sights.clone()).await?;
        let wallet = WalletConfig { auto: true, approval_above: APPROVAL_ABOVE.to_string(), ..WalletConfig::default() };
        let sandbox = Arc::new(Sandbox::of_parts_with(anvil, stand_in, folder, Some(wallet))?);
        let daemon = Daemon::new(DaemonOptions {
            program: plan.program.clone(),
            config: sandbox.config_path(),
            log: folder.join("watcher.log"),
            overrides: overrides(
                &format!("http://{}", node_line.address()),
                &format!("ws://{}", socket_line.address()),
                &format!("http://{}{}", api_line.address(), api_url.path()),
            ),
        })?;
        let life = Life::start(Arc::clone(&sandbox), plan.seed).await?;
        let chance = Chance::new(plan.seed, "faults");
        Ok(Self { sandbox, daemon, life, node_line, socket_line, api_line, sights, chance, frozen: None, guard })
    }

    /// Ends the chain and the API in good order.
    pub(crate) async fn stop(mut self) -> Result<(), SandboxError> {
        self.life.stop().await?;
        let Self { sandbox, life, daemon, .. } = self;
        drop((life, daemon));
        match Arc::into_inner(sandbox) {
            Some(sandbox) => sandbox.stop().await,
            None => Err(SandboxError::Outcome("somebody still uses the chain".to_owned())),
        }
    }

    /// Starts rampwatch. It is not ready yet.
    pub(crate) fn start_daemon(&mut self) -> Result<(), SandboxError> {
        self.daemon.start()?;
        self.guard.watch(self.daemon.pid().expect("it was just started"));
        Ok(())
    }

    /// Kills rampwatch, also one that stands still.
    pub(crate) async fn kill_daemon(&mut self) -> Result<(), SandboxError> {
        let pid = self.daemon.pid();
        self.daemon.kill().await?;
        self.frozen = None;
        if let Some(pid) = pid {
            self.guard.forget(pid);
        }
        Ok(())
    }

    /// A freeze or a cut begins. (A kill has no length.)
    pub(crate) async fn begin(&mut self, fault: Fault) -> Result<(), SandboxError> {
        match fault {
            Fault::Kill => self.kill_daemon().await,
            Fault::FreezeDaemon => {
                self.frozen = self.daemon.pid();
                self.pid_of(fault.target()).freeze().await
            }
            Fault::FreezeNode | Fault::FreezeApi | Fault::FreezeSocket => self.pid_of(fault.target()).freeze().await,
            Fault::CutNode => self.node_line.cut().await,
            Fault::CutSocket => self.socket_line.cut().await,
            Fault::CutApi => self.api_line.cut().await,
        }
    }

    /// It is over.
    pub(crate) async fn end(&mut self, fault: Fault) -> Result<(), SandboxError> {
        match fault {
            Fault::Kill => Ok(()),
            Fault::FreezeDaemon => match self.frozen.take() {
                Some(pid) => pid.thaw().await,
                // It was killed meanwhile.
                None => Ok(()),
            },
            Fault::FreezeNode | Fault::FreezeApi | Fault::FreezeSocket => self.pid_of(fault.target()).thaw().await,
            Fault::CutNode => self.node_line.mend().await,
            Fault::CutSocket => self.socket_line.mend().await,
            Fault::CutApi => self.api_line.mend().await,
        }
    }

    fn pid_of(&self, target: Target) -> Pid {
        match target {
            Target::Daemon => self.daemon.pid().expect("it runs whenever it can be stopped"),
            Target::Node => self.sandbox.anvil().pid(),
            Target::NodeLine => self.node_line.pid(),
            Target::SocketLine => self.socket_line.pid(),
            Target::ApiLine => self.api_line.pid(),
        }
    }

    /// Waits for the moment at which a fault strikes: half of them right after something was seen to be done.
    pub(crate) async fn moment(&mut self) {
        if self.chance.one_in(2) {
            tokio::time::sleep(self.chance.millis(20, 1_000)).await;
            return;
        }
        let (wanted, ..) = Sight::ALL[usize::try_from(self.chance.between(0, Sight::ALL.len() as u64)).unwrap()];
        let mut sights = self.sights.subscribe();
        // One that does not come in time is not waited for; one that was missed comes again.
        let _ = tokio::time::timeout(SIGHT_WITHIN, async { while sights.recv().await != Ok(wanted) {} }).await;
        tokio::time::sleep(Duration::from_micros(self.chance.between(0, 15_000))).await;
    }

    /// How long a freeze or a cut lasts: mostly shorter than what rampwatch waits for, now and then much longer.
    pub(crate) fn span(&mut self) -> Duration {
        if self.chance.one_in(6) { self.chance.millis(2_500, 5_000) } else { self.chance.millis(50, 1_000) }
    }

    /// The numbers that decide over faults.
    pub(crate) const fn chance(&mut self) -> &mut Chance {
        &mut self.chance
    }
}

/// Small spans, so that much happens between two faults, and that a long stop outlasts them.
fn overrides(http: &str, ws: &str, api: &str) -> Vec<(String, String)> {
    let pairs = [
        ("RAMPWATCH__RPC__ENDPOINTS__0__HTTP", http),
        ("RAMPWATCH__RPC__ENDPOINTS__0__WS", ws),
        ("RAMPWATCH__RPC__CONNECT_TIMEOUT", "500ms"),
        ("RAMPWATCH__RPC__REQUEST_TIMEOUT", "1500ms"),
        ("RAMPWATCH__RPC__SILENCE_TIMEOUT", "2s"),
        ("RAMPWATCH__API__BASE_URL", api),
        ("RAMPWATCH__API__TIMEOUT", "1s"),
        ("RAMPWATCH__API__CONNECT_TIMEOUT", "500ms"),
        ("RAMPWATCH__WATCH__SWEEP_INTERVAL", "1s"),
        ("RAMPWATCH__WATCH__POLL_INTERVAL", "500ms"),
        ("RAMPWATCH__WATCH__ENDED_INTERVAL", "2s"),
        ("RAMPWATCH__WATCH__SECOND_READING_AFTER", "5s"),
        ("RAMPWATCH__FUNDING__HOLD_CHECK", "300ms"),
        ("RAMPWATCH__FUNDING__BUMP_AFTER", "1s"),
        ("RAMPWATCH__FUNDING__REBROADCAST_AFTER", "1s"),
        ("RAMPWATCH__FUNDING__POLL_INTERVAL", "100ms"),
    ];
    let pairs = pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    pairs.chain([wallet_variable()]).collect()
}
