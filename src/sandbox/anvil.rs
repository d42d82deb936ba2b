//! Anvil as a child process: found, started on a free port, frozen, ended.
//!
//! Deliberately absent: what to do with the chain (see [`Node`]).

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use url::Url;

use super::CHAIN_ID;
use super::chain::Node;
use super::error::{Result, SandboxError};
use super::process::Pid;
use crate::domain::time::Timestamp;
use crate::outbound::PROXY_VARIABLES;

/// How long anvil may take until it listens. A fork asks its source first.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How long anvil may take to end when asked; after that it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// How many of anvil's last lines are kept, to explain why it did not come up.
const KEPT_LINES: usize = 30;

/// When blocks are mined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mining {
    /// One block for each transaction, at once.
    Instant,
    /// A block whenever this many milliseconds have passed.
    Every {
        /// Milliseconds.
        millis: u64,
    },
    /// Only when [`Node::mine`] is called.
    OnCommand,
}

/// How anvil is to be started.
#[derive(Clone, Debug)]
pub struct AnvilOptions {
    /// The binary; found with [`find_anvil`] when `None`.
    pub binary: Option<PathBuf>,
    /// The port; 0 for any free one.
    pub port: u16,
    /// When blocks are mined.
    pub mining: Mining,
    /// `finalized` is the head less twice this (anvil's own rule).
    pub slots_in_an_epoch: u64,
    /// A node to fork from. The chain id is the sandbox's all the same.
    pub fork_url: Option<String>,
    /// The block to fork at; the newest when `None`.
    pub fork_block: Option<u64>,
    /// How many states are kept. Without a bound, a deep reorg late in a long run loses all contract code, and
    /// states are written to the home folder. State older than this can't be read; blocks and logs can.
    pub kept_states: u32,
    /// A file that the chain is read from at the start, and written to at [`Anvil::stop`].
    pub state: Option<PathBuf>,
    /// The time of a fresh chain's first block; now when `None`. The chain's clock goes on from there.
    pub genesis_time: Option<Timestamp>,
}

impl Default for AnvilOptions {
    fn default() -> Self {
        Self {
            binary: None,
            port: 0,
            mining: Mining::OnCommand,
            slots_in_an_epoch: 1,
            fork_url: None,
            fork_block: None,
            kept_states: 300,
            state: None,
            genesis_time: None,
        }
    }
}

impl AnvilOptions {
    fn arguments(&self, scratch: &Path) -> Vec<String> {
        let mut arguments: Vec<String> =
            ["--host", "127.0.0.1", "--color", "never", "--order", "fifo"].into_iter().map(str::to_owned).collect();
        let mut flag = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        flag("--port", self.port.to_string());
        flag("--chain-id", CHAIN_ID.to_string());
        flag("--slots-in-an-epoch", self.slots_in_an_epoch.to_string());
        flag("--prune-history", self.kept_states.to_string());
        flag("--cache-path", scratch.display().to_string());
        if let Some(path) = &self.state {
            flag("--state", path.display().to_string());
        }
        if let Some(time) = self.genesis_time {
            flag("--timestamp", time.as_secs().to_string());
        }
        if let Some(url) = &self.fork_url {
            flag("--fork-url", url.clone());
        }
        if let Some(block) = self.fork_block {
            flag("--fork-block-number", block.to_string());
        }
        if let Mining::Every { millis } = self.mining {
            flag("--block-time", format!("{}.{:03}", millis / 1_000, millis % 1_000));
        }
        if self.fork_url.is_some() {
            arguments.push("--no-storage-caching".to_owned());
        }
        if self.mining == Mining::OnCommand {
            arguments.push("--no-mining".to_owned());
        }
        arguments.push("--no-request-size-limit".to_owned());
        arguments
    }
}

/// A running anvil. It ends with this value.
#[derive(Debug)]
pub struct Anvil {
    child: Child,
    pid: Pid,
    node: Node,
    /// Removed after the process was killed: fields are dropped in this order.
    _scratch: Scratch,
}

/// A folder for what anvil writes while it runs; by itself it would leave it in the home folder.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("rampwatch-anvil-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|source| SandboxError::File { path: path.clone(), source })?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::debug!(%error, path = %self.0.display(), "a folder of the sandbox was not removed");
        }
    }
}

impl Anvil {
    /// Starts anvil and waits until it answers.
    ///
    /// # Errors
    /// When there is no anvil, or it does not come up within a minute; its own words are in the error.
    pub async fn start(options: &AnvilOptions) -> Result<Self> {
        let binary = match &options.binary {
            Some(path) => path.clone(),
            None => find_anvil()?,
        };
        let scratch = Scratch::new()?;
        let mut child = Command::new(&binary)
            .args(options.arguments(&scratch.0))
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| !PROXY_VARIABLES.iter().any(|proxy| name == proxy)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| SandboxError::Process { what: format!("start {}", binary.display()), source })?;
        let pid = child.id().map(Pid).ok_or_else(|| SandboxError::NotUp("it ended at once".to_owned()))?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(SandboxError::NotUp("its output cannot be read".to_owned()));
        };
        let secret = options.fork_url.clone();
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let errors = tokio::spawn(drain(BufReader::new(stderr).lines(), Arc::clone(&tail)));
        let mut lines = BufReader::new(stdout).lines();
        let listening = tokio::time::timeout(START_LIMIT, listening_port(&mut lines, &tail)).await;
        let Ok(Some(port)) = listening else {
            child.start_kill().ok();
            // What it said on the way out is the reason; it comes to an end with the process.
            tokio::time::timeout(STOP_LIMIT, errors).await.ok();
            return Err(SandboxError::NotUp(last_words(&tail, secret.as_deref())));
        };
        tokio::spawn(drain(lines, tail));
        let node = Node::connect(&format!("http://127.0.0.1:{port}")).await?;
        Ok(Self { child, pid, node, _scratch: scratch })
    }

    /// The chain in it.
    #[must_use]
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// Its process, to freeze or kill it.
    #[must_use]
    pub const fn pid(&self) -> Pid {
        self.pid
    }

    /// Its port on the loopback interface.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.node.http_url().port().unwrap_or_default()
    }

    /// Waits until the process ends by itself.
    ///
    /// # Errors
    /// When the system does not say.
    pub async fn ended(&mut self) -> Result<()> {
        let waited = self.child.wait().await;
        waited.map(drop).map_err(|source| SandboxError::Process { what: "wait for anvil".to_owned(), source })
    }

    /// Ends it in good order, so that it writes its state, and kills it if it does not end. Fine if it is gone.
    ///
    /// # Errors
    /// When it had to be killed: the state is then not written.
    pub async fn stop(mut self) -> Result<()> {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return Ok(());
        }
        if self.pid.terminate().await.is_err() {
            // It has ended in between; a zombie still takes signals, so only a process that is gone comes here.
            return self.ended().await;
        }
        if tokio::time::timeout(STOP_LIMIT, self.child.wait()).await.is_ok() {
            return Ok(());
        }
        self.kill().await?;
        Err(SandboxError::TooLate { what: "anvil did not end when asked".to_owned(), seconds: STOP_LIMIT.as_secs() })
    }

    /// Kills it and waits until it is gone.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn kill(mut self) -> Result<()> {
        let killed = self.child.kill().await;
        killed.map_err(|source| SandboxError::Process { what: "kill anvil".to_owned(), source })
    }
}

type Tail = Arc<Mutex<VecDeque<String>>>;

fn keep(tail: &Tail, line: String) {
    let mut lines = tail.lock().unwrap_or_else(PoisonError::into_inner);
    if lines.len() >= KEPT_LINES {
        lines.pop_front();
    }
    lines.push_back(line);
}

/// Reads until the line that names the port. `None` when the output ends before.
async fn listening_port(lines: &mut Lines<BufReader<ChildStdout>>, tail: &Tail) -> Option<u16> {
    while let Ok(Some(line)) = lines.next_line().await {
        let port = line.trim().strip_prefix("Listening on ").and_then(|at| at.rsplit(':').next()?.parse().ok());
        keep(tail, line);
        if port.is_some() {
            return port;
        }
    }
    None
}

/// Reads to the end, so that anvil never waits for a full pipe.
async fn drain<R: AsyncRead + Unpin>(mut lines: Lines<BufReader<R>>, tail: Tail) {
    while let Ok(Some(line)) = lines.next_line().await {
        keep(&tail, line);
    }
}

/// Anvil's last lines, without the fork's address, which may hold a key.
fn last_words(tail: &Tail, secret: Option<&str>) -> String {
    let lines = tail.lock().unwrap_or_else(PoisonError::into_inner);
    let text = lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" / ");
    let text = if text.is_empty() { "it said nothing".to_owned() } else { text };
    let Some(secret) = secret else { return text };
    let host = Url::parse(secret).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    text.replace(secret.trim_end_matches('/'), &format!("(the fork's source at {host})"))
}

/// Finds anvil: `RAMPWATCH_ANVIL`, then `PATH`, then `node_modules` here or in a folder above.
///
/// npm puts a small Node script called `anvil` on the path, which starts the real binary as its own child; killing
/// the script would leave the node running. So a script is passed over for the binary beside it.
///
/// # Errors
/// When there is none.
pub fn find_anvil() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("RAMPWATCH_ANVIL").filter(|value| !value.is_empty()) {
        let path = PathBuf::from(path);
        return if path.is_file() { Ok(path) } else { Err(SandboxError::AnvilNotThere(path)) };
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&paths).map(|folder| folder.join("anvil")).find(|path| is_binary(path));
    if let Some(path) = on_path {
        return Ok(path);
    }
    let here = std::env::current_dir()
        .map_err(|source| SandboxError::File { path: PathBuf::from("the current folder"), source })?;
    here.ancestors().find_map(in_node_modules).ok_or(SandboxError::NoAnvil)
}

/// The binary of npm's platform package under `folder`. npm installs only the one of this platform.
fn in_node_modules(folder: &Path) -> Option<PathBuf> {
    let packages = std::fs::read_dir(folder.join("node_modules").join("@foundry-rs")).ok()?;
    let named = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("anvil-");
    let package = packages.filter_map(std::result::Result::ok).find(named)?;
    let binary = package.path().join("bin").join("anvil");
    is_binary(&binary).then_some(binary)
}

/// Whether it is a file, and not a script.
fn is_binary(path: &Path) -> bool {
    use std::io::Read;
    let mut start = [0_u8; 2];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && path.is_file() && start != *b"#!"
}
