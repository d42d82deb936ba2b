//! A sandbox with a hot wallet, the daemon beside it, and commands that are run, interrupted and killed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::Address;
use rampwatch::sandbox::fake_api::{Call, FakeApi, FakeApiOptions, OffRamp};
use rampwatch::sandbox::{
    Anvil, AnvilOptions, Daemon, DaemonOptions, Mining, Sandbox, USDC, WALLET, WalletConfig, wallet_variable,
};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::support::temp_dir;

/// Longer than anything here takes on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(240);

/// The binary under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_rampwatch");

/// What a payout says besides its reference and its amount.
pub(crate) const CONTENT: [&str; 14] = [
    "--user",
    "user-1",
    "--recipient",
    "rec-1",
    "--bank-account",
    "bank-1",
    "--destination-currency",
    "MXN",
    "--destination-rail",
    "SPEI",
    "--destination-country",
    "MX",
    "--reason",
    "RENT",
];

/// The sandbox, and the daemon that can be run beside it.
pub(crate) struct Bench {
    pub(crate) sandbox: Sandbox,
    pub(crate) daemon: Daemon,
    overrides: Vec<(String, String)>,
    folder: TempDir,
}

/// A command that has ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Bench {
    /// Starts a sandbox with a block every so many milliseconds. The daemon does not run yet.
    pub(crate) async fn start(block_millis: u64) -> Self {
        let folder = temp_dir();
        let mining = Mining::Every { millis: block_millis };
        let anvil = Anvil::start(&AnvilOptions { mining, ..AnvilOptions::default() }).await.unwrap();
        anvil.node().furnish().await.unwrap();
        let fake_api = FakeApi::start(FakeApiOptions::default()).await.unwrap();
        let wallet = WalletConfig { max_in_flight: 64, ..WalletConfig::default() };
        let sandbox = Sandbox::of_parts_with(anvil, fake_api, &folder.path().join("sandbox"), Some(wallet)).unwrap();
        let mut overrides = vec![
            ("RAMPWATCH__API__TIMEOUT".to_owned(), "1s".to_owned()),
            ("RAMPWATCH__API__CONNECT_TIMEOUT".to_owned(), "500ms".to_owned()),
            ("RAMPWATCH__FUNDING__POLL_INTERVAL".to_owned(), "100ms".to_owned()),
        ];
        overrides.push(wallet_variable());
        let options = DaemonOptions {
            program: PROGRAM.into(),
            config: sandbox.config_path(),
            log: folder.path().join("daemon.log"),
            overrides: overrides.clone(),
        };
        Self { sandbox, daemon: Daemon::new(options).unwrap(), overrides, folder }
    }

    /// Starts the daemon, and waits until it is ready.
    pub(crate) async fn daemon_up(&mut self) {
        self.daemon.start().unwrap();
        self.daemon.ready(LIMIT).await.unwrap();
    }

    /// A file in the test's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the test's folder.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    /// A command of rampwatch, not started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command_of(PROGRAM, &[]);
        command.arg("--config").arg(self.sandbox.config_path()).args(arguments);
        command
    }

    /// Any command, not started, in the test's folder and with nothing of the test's own environment.
    pub(crate) fn command_of(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.overrides.iter().cloned()).current_dir(self.folder.path()).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Starts a command.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        finish(self.spawn(arguments)).await
    }

    /// The off-ramps at the fake API, by amount: the tests give every payout an amount of its own.
    pub(crate) fn by_amount(&self) -> BTreeMap<Amount, OffRamp> {
        let all = self.sandbox.fake_api().off_ramps();
        let count = all.len();
        let by_amount: BTreeMap<Amount, OffRamp> =
            all.into_iter().map(|off_ramp| (off_ramp.amount, off_ramp)).collect();
        assert_eq!(by_amount.len(), count, "a payout was created more than once");
        by_amount
    }

    /// Each of these amounts was created once, paid once from the wallet and completed once: at the fake API, and in the
    /// chain's blocks. Nothing else was.
    pub(crate) async fn assert_each_once(&self, amounts: &[Amount]) {
        let by_amount = self.by_amount();
        assert_eq!(by_amount.keys().copied().collect::<Vec<_>>(), sorted(amounts), "created, and nothing else");
        let journal = self.sandbox.fake_api().journal();
        let acted = |call: Call| journal.iter().filter(|entry| entry.call == call && entry.acted).count();
        assert_eq!((acted(Call::Create), acted(Call::Complete)), (amounts.len(), amounts.len()));
        for off_ramp in by_amount.values() {
            let tally = &off_ramp.tally;
            assert_eq!(off_ramp.status, "COMPLETED", "{}", off_ramp.id);
            assert_eq!((tally.accepted, tally.calls_after_accepted), (1, 0), "{}: {tally:?}", off_ramp.id);
        }
        let mut paid: BTreeMap<Address, Vec<Amount>> = BTreeMap::new();
        for sent in self.sandbox.anvil().node().sent_by(WALLET, 0).await.unwrap() {
            for transfer in sent.transfers.iter().filter(|transfer| sent.succeeded && transfer.token == USDC) {
                paid.entry(transfer.to).or_default().push(transfer.amount);
            }
        }
        let due: BTreeMap<Address, Vec<Amount>> =
            by_amount.values().map(|off_ramp| (off_ramp.deposit_address, vec![off_ramp.amount])).collect();
        assert_eq!(paid, due, "each was paid once, and nothing else was");
    }
}

fn sorted(amounts: &[Amount]) -> Vec<Amount> {
    let mut amounts = amounts.to_vec();
    amounts.sort_unstable();
    amounts
}

/// Presses Ctrl-C, as it were.
pub(crate) fn interrupt(child: &Child) {
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::INT).unwrap();
}

/// Waits for a command's end.
pub(crate) async fn finish(child: Child) -> Ended {
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await.expect("it ends in time").unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let ended = Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
    ended
}

impl Ended {
    /// It ended with this code; stderr has these words.
    #[track_caller]
    pub(crate) fn ends(&self, code: i32, words: &[&str]) -> &Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in {}", self.err);
        }
        self
    }

    /// Its data as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }
}
