//! Everything that runs in a campaign, and how a fault is done to it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use rampwatch::sandbox::fake_api::{FakeApi, FakeApiOptions};
use rampwatch::sandbox::{
    Anvil, AnvilOptions, Daemon, DaemonOptions, Mining, Pid, Sandbox, SandboxError, WalletConfig, wallet_variable,
};
use tokio::sync::broadcast;

use super::chain::{Life, SLOTS};
use super::deck::{Fault, Target};
use super::guard::Guard;
use super::liar::{Liar, Told};
use super::line::{Line, Sight};
use super::{APPROVAL_ABOVE, Plan};
use crate::run::chance::Chance;

/// How long a start may take, and coming back from a fault.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// Who runs the endpoints, in their order.
const OPERATORS: [&str; 3] = ["north", "east", "south"];

/// The most that is waited for a sight to strike at.
const SIGHT_WITHIN: Duration = Duration::from_secs(2);

/// rampwatch's exit code when it cannot reach what it needs.
const UNAVAILABLE: i32 = 6;

/// See the module.
pub(crate) struct World {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) daemon: Daemon,
    pub(crate) life: Life,
    liar: Liar,
    /// Which endpoint it is.
    lies: usize,
    /// The endpoints that are cut off.
    cut_off: Vec<usize>,
    /// The ways to the endpoints, in their order.
    node_lines: [Line; OPERATORS.len()],
    socket_line: Line,
    api_line: Line,
    sights: broadcast::Sender<Sight>,
    chance: Chance,
    /// The rampwatch that stands still.
    frozen: Option<Pid>,
    /// Faults that last.
    lasting: Vec<Fault>,
    /// Whether the chain could not be reached at some moment since rampwatch was started, before it was ready.
    chain_out: bool,
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
        let fake_api = FakeApi::start(FakeApiOptions { seed: plan.seed, ..FakeApiOptions::default() }).await?;
        let node_address = SocketAddr::from(([127, 0, 0, 1], anvil.port()));
        let api_url = url::Url::parse(&fake_api.base_url()).unwrap();
        let api_address = api_url.socket_addrs(|| None).unwrap()[0];
        let (sights, _) = broadcast::channel(256);
        let mut liar = Liar::open(node_address).await?;
        let lies = the_one_that_lies(plan.seed);
        let line = |nth: usize| {
            let to = if nth == lies { liar.address() } else { node_address };
            Line::start(to, 4, plan.seed + 3 + nth as u64, &guard, sights.clone())
        };
        let node_lines = [line(0).await?, line(1).await?, line(2).await?];
        let socket_line = Line::start(node_address, 4, plan.seed + 1, &guard, sights.clone()).await?;
        let api_line = Line::start(api_address, 60, plan.seed + 2, &guard, sights.clone()).await?;
        let wallet = WalletConfig { auto: true, approval_above: APPROVAL_ABOVE.to_string(), ..WalletConfig::default() };
        let sandbox = Arc::new(Sandbox::of_parts_with(anvil, fake_api, folder, Some(wallet))?);
        let mut overrides = overrides(
            &format!("ws://{}", socket_line.address()),
            &format!("http://{}{}", api_line.address(), api_url.path()),
        );
        overrides.extend(endpoints(&node_lines));
        overrides.extend(plan.settings.iter().cloned());
        let daemon = Daemon::new(DaemonOptions {
            program: plan.program.clone(),
            config: sandbox.config_path(),
            log: folder.join("watcher.log"),
            overrides,
        })?;
        let life = Life::start(Arc::clone(&sandbox), plan.seed).await?;
        eprintln!("the endpoint of {} lies", OPERATORS[lies]);
        liar.begin(Arc::clone(&sandbox), plan.seed);
        let chance = Chance::new(plan.seed, "faults");
        Ok(Self {
            sandbox,
            daemon,
            life,
            liar,
            lies,
            cut_off: Vec::new(),
            node_lines,
            socket_line,
            api_line,
            sights,
            chance,
            frozen: None,
            lasting: Vec::new(),
            chain_out: false,
            guard,
        })
    }

    /// Ends the chain, the API and the lines in good order.
    pub(crate) async fn stop(mut self) -> Result<(), SandboxError> {
        self.life.stop().await?;
        self.liar.calm().await;
        let Self { sandbox, life, daemon, liar, node_lines, socket_line, api_line, guard, .. } = self;
        drop((life, daemon));
        for line in node_lines.into_iter().chain([socket_line, api_line]) {
            guard.forget(line.pid());
            line.stop().await?;
        }
        drop(liar);
        guard.forget(sandbox.anvil().pid());
        match Arc::into_inner(sandbox) {
            Some(sandbox) => sandbox.stop().await,
            None => Err(SandboxError::Outcome("somebody still uses the chain".to_owned())),
        }
    }

    /// No more reorgs, spoilt answers and lies from now on.
    pub(crate) async fn calm(&mut self) {
        self.life.calm();
        self.sandbox.fake_api().clear_faults();
        self.liar.calm().await;
    }

    /// The lies so far.
    pub(crate) fn lies(&self) -> Told {
        self.liar.told()
    }

    /// Starts rampwatch. It is not ready yet.
    pub(crate) fn start_daemon(&mut self) -> Result<(), SandboxError> {
        self.daemon.start()?;
        self.chain_out = self.lasting.iter().any(|fault| fault.is_of_the_chain());
        self.guard.watch(self.daemon.pid().expect("it was just started"));
        Ok(())
    }

    /// Waits until rampwatch is ready.
    pub(crate) async fn daemon_ready(&mut self) -> Result<(), SandboxError> {
        self.daemon.ready(LIMIT).await?;
        self.chain_out = false;
        Ok(())
    }

    /// Whether this end of rampwatch is what is documented: it does not start without a chain. A supervisor starts it
    /// again, and that is done here.
    pub(crate) async fn starts_again_after(&mut self, status: ExitStatus) -> Result<bool, SandboxError> {
        if status.code() != Some(UNAVAILABLE) || !self.chain_out {
            return Ok(false);
        }
        if let Some(pid) = self.daemon.pid() {
            self.guard.forget(pid);
        }
        // There is nothing left to kill, and it says so; it only takes notice of the end.
        let _ = self.daemon.kill().await;
        self.start_daemon()?;
        Ok(true)
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
        self.lasting.push(fault);
        self.chain_out |= fault.is_of_the_chain();
        match fault {
            Fault::Kill => self.kill_daemon().await,
            Fault::FreezeDaemon => {
                self.frozen = self.daemon.pid();
                self.pid_of(fault.target()).freeze().await
            }
            Fault::FreezeNode | Fault::FreezeApi | Fault::FreezeSocket => self.pid_of(fault.target()).freeze().await,
            Fault::CutNode => self.cut_nodes().await,
            Fault::CutSocket => self.socket_line.cut().await,
            Fault::CutApi => self.api_line.cut().await,
        }
    }

    /// It is over.
    pub(crate) async fn end(&mut self, fault: Fault) -> Result<(), SandboxError> {
        self.lasting.retain(|lasting| *lasting != fault);
        match fault {
            Fault::Kill => Ok(()),
            Fault::FreezeDaemon => match self.frozen.take() {
                Some(pid) => pid.thaw().await,
                // It was killed meanwhile.
                None => Ok(()),
            },
            Fault::FreezeNode | Fault::FreezeApi | Fault::FreezeSocket => self.pid_of(fault.target()).thaw().await,
            Fault::CutNode => {
                for nth in std::mem::take(&mut self.cut_off) {
                    self.node_lines[nth].mend().await?;
                }
                Ok(())
            }
            Fault::CutSocket => self.socket_line.mend().await,
            Fault::CutApi => self.api_line.mend().await,
        }
    }

    /// Cuts off the first endpoint, or all but the one that lies, so that nobody else says anything.
    async fn cut_nodes(&mut self) -> Result<(), SandboxError> {
        self.cut_off = match self.chance.one_in(2) {
            true => vec![0],
            false => (0..self.node_lines.len()).filter(|nth| *nth != self.lies).collect(),
        };
        for nth in self.cut_off.clone() {
            self.node_lines[nth].cut().await?;
        }
        Ok(())
    }

    fn pid_of(&self, target: Target) -> Pid {
        match target {
            Target::Daemon => self.daemon.pid().expect("it runs whenever it can be stopped"),
            Target::Node => self.sandbox.anvil().pid(),
            Target::NodeLine => self.node_lines[0].pid(),
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

/// Which endpoint lies: the first, which is asked before the others, or the second. The third is asked too seldom.
fn the_one_that_lies(seed: u64) -> usize {
    usize::from(Chance::new(seed, "who lies").one_in(2))
}

/// Where the endpoints are, and who runs them. The first one has the websocket besides.
fn endpoints(lines: &[Line]) -> Vec<(String, String)> {
    let name = |nth: usize, key: &str| format!("RAMPWATCH__RPC__ENDPOINTS__{nth}__{key}");
    let all = lines.iter().zip(OPERATORS).enumerate();
    let pairs = all.flat_map(|(nth, (line, operator))| {
        [
            (name(nth, "NAME"), operator.to_owned()),
            (name(nth, "OPERATOR"), operator.to_owned()),
            (name(nth, "HTTP"), format!("http://{}", line.address())),
        ]
    });
    pairs.collect()
}

/// Small spans, so that much happens between two faults, and that a long stop outlasts them.
fn overrides(ws: &str, api: &str) -> Vec<(String, String)> {
    let pairs = [
        ("RAMPWATCH__RPC__ENDPOINTS__0__WS", ws),
        ("RAMPWATCH__RPC__CONNECT_TIMEOUT", "500ms"),
        ("RAMPWATCH__RPC__REQUEST_TIMEOUT", "1500ms"),
        ("RAMPWATCH__RPC__SILENCE_TIMEOUT", "2s"),
        ("RAMPWATCH__API__BASE_URL", api),
        ("RAMPWATCH__API__TIMEOUT", "1s"),
        ("RAMPWATCH__API__CONNECT_TIMEOUT", "500ms"),
        ("RAMPWATCH__CHAIN__FINALITY__STALL_AFTER", "10s"),
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
