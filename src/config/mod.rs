//! The configuration: a TOML file and the environment, read once into validated [`Settings`].
//!
//! `config.toml` at the top of the source is the documented example. Any key can be given by a variable
//! `RAMPWATCH__SECTION__KEY` instead (a list's items by number: `RAMPWATCH__RPC__ENDPOINTS__0__HTTP`). A variable
//! counts as a TOML value where it reads as one, else as text; an empty one takes an optional value away.
//! Everything that is wrong is told at once: key, value unless it is secret, line or variable, and remedy.
//! Relative paths start at the folder that the configuration file is in, wherever the command is run.
//!
//! The API key is not read by [`Settings::load`] but by [`ApiSettings::key`]: commands that only look at the store
//! work without it, while `run` and `config check` ask for it and fail without. The same goes for what opens the
//! wallet: [`WalletSettings::secret`].
//!
//! Deliberately absent: what only a node can contradict (chain id, decimals), and the adapters' own settings
//! types, which `daemon` fills from these.

mod environment;
mod error;
mod file;
mod funding;
mod http;
mod intake;
mod key;
mod network;
mod notify;
mod parse;
mod payouts;
mod reader;
mod sections;
mod span;
mod tree;
mod webhook;

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::domain::amount::Amount;
use crate::domain::chain::Address;
use crate::domain::operator::Operator;
use crate::domain::time::Span;

use environment::Variables;

pub use environment::Environment;
pub use error::{ConfigError, Origin, Problem, Problems};
pub use funding::{FundingSettings, PASSWORD_VARIABLE, WalletKey, WalletSettings};
pub use http::{HttpSettings, MAX_SOCKET_PATH, TokenSettings};
pub use intake::IntakeSettings;
pub use key::{KeySource, secret_file, secret_line};
pub use network::NetworkSettings;
pub use notify::{NotifyEndpoint, NotifyForm, NotifySettings};
pub use payouts::PayoutSettings;
pub use span::{SpanError, parse_span, write_span};
pub use webhook::{Algorithm, Encoding, InletSettings, WebhookSettings};

/// The documented example, as it stands at the top of the source.
pub const EXAMPLE: &str = include_str!("../../config.toml");

/// Polygon's chain id. Money there is real, whatever the configuration says.
pub(super) const POLYGON_CHAIN_ID: u64 = 137;

/// The chain id that development nodes begin with (anvil's and Hardhat's). Money there is play money.
pub(super) const DEVELOPMENT_CHAIN_ID: u64 = 31_337;

/// The sandbox's own chain id. Money there is play money (design decision 13), so the depth rule may ask for no depth.
pub const SANDBOX_CHAIN_ID: u64 = 1_337_137;

/// Everything that can be configured, validated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file that was read.
    pub file: PathBuf,
    /// Whether it runs in shadow mode: nothing is completed, signed, sent or opened; it is said what would be done.
    pub shadow: bool,
    /// Where the documentation is served, for links in reviews and notices; ends without a slash.
    pub docs_url: String,
    /// The chain and its tokens.
    pub chain: ChainSettings,
    /// How nodes are reached.
    pub rpc: RpcSettings,
    /// How everything leaves this machine.
    pub network: NetworkSettings,
    /// How the payment API is reached.
    pub api: ApiSettings,
    /// Where state is kept.
    pub store: StoreSettings,
    /// How the chain is watched.
    pub watch: WatchSettings,
    /// When a deposit counts as a payment's.
    pub matching: MatchingSettings,
    /// The operator API.
    pub http: HttpSettings,
    /// What is logged.
    pub log: LogSettings,
    /// The hot wallet, if there is one.
    pub wallet: Option<WalletSettings>,
    /// What the wallet may send; off unless configured.
    pub funding: FundingSettings,
    /// Whose off-ramps are taken up by themselves; nobody's unless configured.
    pub intake: IntakeSettings,
    /// Where the payment API tells of changes.
    pub webhook: WebhookSettings,
    /// How off-ramps are opened.
    pub payouts: PayoutSettings,
    /// Who is told what, if anybody is.
    pub notify: Option<NotifySettings>,
}

/// `[chain]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainSettings {
    /// The chain's id; every node must say the same.
    pub id: u64,
    /// What the payment API calls the chain; compared without regard to case.
    pub name: String,
    /// Whether money there is real: then a rehearsal's keys are refused (design decision 13). Every chain is live but the
    /// sandbox's, 31337, and one that the configuration says otherwise of.
    pub live: bool,
    /// The token that pays.
    pub token: Token,
    /// Tokens that are watched too and never pay.
    pub other_tokens: Vec<Token>,
    /// When a block is final.
    pub finality: FinalitySettings,
}

impl ChainSettings {
    /// All watched tokens, the one that pays first.
    pub fn tokens(&self) -> impl Iterator<Item = &Token> {
        std::iter::once(&self.token).chain(&self.other_tokens)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub address: Address,
    /// What people call it; for display only.
    pub symbol: String,
    /// How many decimals a whole unit has; checked against the contract's `decimals()` at start.
    pub decimals: u8,
}

/// `[chain.finality]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinalitySettings {
    pub rule: FinalityRule,
    /// How many blocks must be on top, at the least.
    pub depth: u64,
    /// The final block not moving for this long is an alarm.
    pub stall_after: Span,
}

/// What makes a block final (design decision 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinalityRule {
    /// The node's `finalized` tag, and the depth as a floor.
    Finalized,
    /// The depth alone.
    Depth,
}

/// `[rpc]`.
#[derive(Clone, Debug)]
pub struct RpcSettings {
    /// To connect, handshakes included.
    pub connect_timeout: Span,
    /// For one request, connecting included.
    pub request_timeout: Span,
    /// A websocket that brings no head for this long is dropped.
    pub silence_timeout: Span,
    /// Blocks in one `eth_getLogs`.
    pub max_block_range: u64,
    /// Recipients in one filter.
    pub max_addresses: usize,
    /// Requests at once, for each endpoint.
    pub max_in_flight: usize,
    /// How many operators must say the same before a fact is acted upon that frees something; from 1 to as many as there are.
    pub agreement: usize,
    /// The endpoints, in the order they are preferred; at least one.
    pub endpoints: Vec<EndpointSettings>,
}

/// `[[rpc.endpoints]]`. At least one of the URLs is there. They hold the provider's key, so they are secrets.
#[derive(Clone, Debug)]
pub struct EndpointSettings {
    /// A name for logs and metrics, unique.
    pub name: String,
    /// Who runs it: as configured, or as the URL's host tells.
    pub operator: Operator,
    /// An `http` or `https` URL.
    pub http: Option<SecretString>,
    /// A `ws` or `wss` URL.
    pub ws: Option<SecretString>,
}

/// `[api]`.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// The base URL, without user, query, fragment and trailing slash. `https`, or `http` on loopback.
    pub base_url: String,
    /// Where the key comes from. [`ApiSettings::key`] reads it.
    pub key_source: KeySource,
    /// To connect; shorter than `timeout`.
    pub connect_timeout: Span,
    /// For a whole call, connecting included.
    pub timeout: Span,
    /// Calls under way at once.
    pub max_concurrent: usize,
    /// How long after the API has first named an end a second answer must name it again.
    pub end_confirm_after: Span,
}

/// `[store]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    pub path: PathBuf,
}

/// `[watch]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchSettings {
    /// Between sweeps while the subscription works and something is open.
    pub sweep_interval: Span,
    /// The same without a subscription.
    pub poll_interval: Span,
    /// The same while only ended payments are watched.
    pub ended_interval: Span,
    /// Blocks read again below what was swept.
    pub overlap_blocks: u64,
    /// How long before a payment's creation its address is swept from.
    pub start_margin: Span,
    /// How much later every range is read once more.
    pub second_reading_after: Span,
    /// How long an address stays watched after its payment has ended.
    pub keep_watching: Span,
}

/// `[matching]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatchingSettings {
    /// How much too little still pays, in base units of the token.
    pub tolerance_under: Amount,
    /// How much too much still pays, in base units of the token.
    pub tolerance_over: Amount,
    /// How far the chain's clock and the API's may be apart.
    pub skew: Span,
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Filter directives as in `RUST_LOG`.
    pub filter: String,
    /// How lines look.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Settings {
    /// Reads the file (`config.toml` in the working directory when `path` is `None`) and lays the environment over it.
    /// [`Environment::of_process`] is the environment to give outside of tests.
    ///
    /// # Errors
    /// The file is missing, unreadable or no TOML, may be written by others, or belongs neither to root nor to us; or any
    /// number of keys are missing, unknown, wrong or contradict each other: then all that can be found at once are in the
    /// error.
    pub fn load(path: Option<&Path>, environment: impl Into<Environment>) -> Result<Self, ConfigError> {
        let named = file::is_named(path);
        let path = path.unwrap_or(Path::new(file::DEFAULT_FILE));
        let text = file::read(path)?;
        Self::read_as(path, &text, &environment.into(), named)
    }

    /// As [`Self::load`], with the text of a file that somebody named. `path` is for errors and as the start of relative
    /// paths.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn read(path: &Path, text: &str, environment: impl Into<Environment>) -> Result<Self, ConfigError> {
        Self::read_as(path, text, &environment.into(), true)
    }

    fn read_as(path: &Path, text: &str, environment: &Environment, named: bool) -> Result<Self, ConfigError> {
        let mut tree = tree::parse_file(path, text)?;
        let mut problems = tree::overlay(&mut tree, environment.overrides.clone());
        let notes = reader::Notes::default();
        let settings = sections::read(tree, &notes, path, &Variables::new(environment, named));
        problems.extend(notes.into_problems());
        match settings {
            Some(settings) if problems.is_empty() => Ok(settings),
            _ => Err(ConfigError::Invalid { path: path.to_path_buf(), problems: Problems(problems) }),
        }
    }
}
