//! The sandbox as a whole: the chain, the fake API, a few off-ramps, and a configuration that uses them.
//!
//! Deliberately absent: rampwatch itself. It is started beside the sandbox, as it would be beside the real thing.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

use super::anvil::{Anvil, AnvilOptions, Mining};
use super::error::{Result, SandboxError};
use super::fake_api::{Behaviour, FakeApi, FakeApiOptions, NewOffRamp, OffRamp, Shape};
use super::wallet::WalletConfig;
use super::{PAYER, config_text};
use crate::domain::amount::Amount;
use crate::private;

/// The file in the sandbox's folder that tells [`super::pay`] where things are.
const WHEREABOUTS: &str = "sandbox.json";

/// How the sandbox is to be started.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Where the configuration, the key and the store go. Made if it is not there.
    pub directory: PathBuf,
    /// A node to fork from; a fresh chain when `None`.
    pub fork_url: Option<String>,
    /// Milliseconds between blocks.
    pub block_millis: u64,
    /// Which description of the API the fake API follows.
    pub shape: Shape,
    /// The chain's port; 0 for any free one.
    pub chain_port: u16,
    /// The fake API's port; 0 for any free one.
    pub api_port: u16,
    /// What the configuration says of the sandbox's wallet; nothing when `None`, and rampwatch sends nothing then.
    pub wallet: Option<WalletConfig>,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("rampwatch-sandbox"),
            fork_url: None,
            block_millis: 1_000,
            shape: Shape::Guide,
            chain_port: 0,
            api_port: 0,
            wallet: None,
        }
    }
}

/// Where a running sandbox's parts are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Whereabouts {
    /// The chain's address for HTTP.
    pub(super) chain: String,
    /// The fake API's control routes.
    pub(super) control: String,
}

impl Whereabouts {
    /// Reads where the sandbox in this folder is.
    pub(super) fn read(directory: &Path) -> Result<Self> {
        let path = directory.join(WHEREABOUTS);
        let text = std::fs::read(&path).map_err(|source| SandboxError::File { path: path.clone(), source })?;
        serde_json::from_slice(&text).map_err(|error| SandboxError::Invalid(format!("{}: {error}", path.display())))
    }
}

/// A running sandbox. It ends with this value.
#[derive(Debug)]
pub struct Sandbox {
    anvil: Anvil,
    fake_api: FakeApi,
    directory: PathBuf,
    wallet: Option<WalletConfig>,
}

impl Sandbox {
    /// Starts the chain and the fake API, furnishes the chain, and writes the configuration.
    ///
    /// # Errors
    /// When anvil is missing or does not come up, a port is taken, or the folder cannot be written.
    pub async fn start(options: &RunOptions) -> Result<Self> {
        // A folder that cannot be made is better known before anything runs.
        prepared(&options.directory)?;
        let anvil = Anvil::start(&AnvilOptions {
            port: options.chain_port,
            mining: Mining::Every { millis: options.block_millis },
            fork_url: options.fork_url.clone(),
            ..AnvilOptions::default()
        })
        .await?;
        match &options.fork_url {
            None => anvil.node().furnish().await?,
            Some(_) => anvil.node().furnish_fork().await?,
        }
        let fake_api = FakeApi::start(FakeApiOptions {
            port: options.api_port,
            behaviour: Behaviour { shape: options.shape, ..Behaviour::default() },
            ..FakeApiOptions::default()
        })
        .await?;
        let directory = prepared(&options.directory)?;
        let sandbox = Self { anvil, fake_api, directory, wallet: options.wallet.clone() };
        sandbox.write_files(options.fork_url.is_some())?;
        Ok(sandbox)
    }

    /// Makes a sandbox of a fresh, furnished chain and a fake API that run already, and writes the configuration.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn of_parts(anvil: Anvil, fake_api: FakeApi, directory: &Path) -> Result<Self> {
        Self::of_parts_with(anvil, fake_api, directory, None)
    }

    /// The same with a wallet: [`super::wallet_variable`] has to be given to rampwatch.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn of_parts_with(
        anvil: Anvil,
        fake_api: FakeApi,
        directory: &Path,
        wallet: Option<WalletConfig>,
    ) -> Result<Self> {
        let sandbox = Self { anvil, fake_api, directory: prepared(directory)?, wallet };
        sandbox.write_files(false)?;
        Ok(sandbox)
    }

    /// The chain's process.
    #[must_use]
    pub const fn anvil(&self) -> &Anvil {
        &self.anvil
    }

    /// The fake payment API.
    #[must_use]
    pub const fn fake_api(&self) -> &FakeApi {
        &self.fake_api
    }

    /// What the configuration says of the wallet, if anything.
    #[must_use]
    pub const fn wallet(&self) -> Option<&WalletConfig> {
        self.wallet.as_ref()
    }

    /// The configuration to run rampwatch with.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.directory.join("config.toml")
    }

    /// Opens the off-ramps to try things with.
    ///
    /// # Errors
    /// When they are open already.
    pub fn open_examples(&self) -> Result<Vec<OffRamp>> {
        let examples = [(25_000_000, None), (1_000_100_000, None), (7_500_000, Some(PAYER))];
        let open = |(units, sender)| {
            self.fake_api.open(NewOffRamp { amount: Amount::from_base_units(units), sender, ..NewOffRamp::default() })
        };
        examples.into_iter().map(open).collect()
    }

    /// The folder with the configuration.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Ends both, in order. Anvil may have got the terminal's Ctrl-C too, and be gone already.
    ///
    /// # Errors
    /// When one did not end by itself.
    pub async fn stop(self) -> Result<()> {
        self.fake_api.stop().await?;
        remove(&self.directory.join(WHEREABOUTS))?;
        self.anvil.stop().await
    }

    fn write_files(&self, forked: bool) -> Result<()> {
        let key_path = self.directory.join("api-key");
        write(&key_path, self.fake_api.api_key())?;
        let text = config_text::config_text(&config_text::Parts {
            chain_http: self.anvil.node().http_url().as_str(),
            chain_ws: &self.anvil.node().ws_url(),
            api_base: &self.fake_api.base_url(),
            key_path: &key_path,
            store_path: &self.directory.join("data"),
            listen_port: free_port()?,
            forked,
            wallet: self.wallet.as_ref(),
        });
        write(&self.config_path(), &text)?;
        let whereabouts =
            Whereabouts { chain: self.anvil.node().http_url().to_string(), control: self.fake_api.control_url() };
        let text = serde_json::to_string_pretty(&whereabouts)
            .map_err(|error| SandboxError::Invalid(format!("{WHEREABOUTS}: {error}")))?;
        write(&self.directory.join(WHEREABOUTS), &text)
    }
}

/// Runs a sandbox until Ctrl-C: starts it, opens a few off-ramps, and tells on `out` what there is and what to try.
///
/// # Errors
/// As [`Sandbox::start`]; also when anvil ends by itself, or `out` cannot be written.
pub async fn run(options: &RunOptions, out: &mut (impl Write + Send)) -> Result<()> {
    let mut sandbox = Sandbox::start(options).await?;
    let off_ramps = sandbox.open_examples()?;
    let unwritable = |source| SandboxError::File { path: PathBuf::from("the output"), source };
    let text = config_text::welcome(&sandbox, &off_ramps)?;
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(unwritable)?;
    let no_signal = |source| SandboxError::Process { what: "wait for a signal".to_owned(), source };
    let mut terminated = signal(SignalKind::terminate()).map_err(no_signal)?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(no_signal)?,
        _ = terminated.recv() => {}
        ended = sandbox.anvil.ended() => {
            ended?;
            return Err(SandboxError::NotUp("it ended by itself".to_owned()));
        }
    }
    sandbox.stop().await
}

/// The sandbox's folder, made, with its full path.
fn prepared(directory: &Path) -> Result<PathBuf> {
    let failed = |source| SandboxError::File { path: directory.to_owned(), source };
    std::fs::create_dir_all(directory).map_err(failed)?;
    directory.canonicalize().map_err(failed)
}

/// Writes a file that only its owner can read. The key in it opens nothing but the fake API, but rampwatch rightly
/// wants key files to be private.
fn write(path: &Path, text: &str) -> Result<()> {
    private::replace(path, text.as_bytes()).map_err(|source| SandboxError::File { path: path.to_owned(), source })
}

fn remove(path: &Path) -> Result<()> {
    std::fs::remove_file(path).map_err(|source| SandboxError::File { path: path.to_owned(), source })
}

/// A port that is free now. rampwatch takes it when it is started.
fn free_port() -> Result<u16> {
    let failed = |source| SandboxError::Process { what: "find a free port".to_owned(), source };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    listener.local_addr().map(|address| address.port()).map_err(failed)
}
