//! What can be wrong with a configuration, told in one go.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

/// Why there are no settings.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// There is no such file.
    #[error(
        "there is no configuration file {path:?}: copy the documented example (config.toml in rampwatch's source), \
         set an RPC URL in it, and name it with --config", path = .0.display().to_string()
    )]
    Missing(PathBuf),
    /// The file is there and cannot be read.
    #[error("cannot read the configuration file {path:?}: {why}", path = .path.display().to_string())]
    Unreadable { path: PathBuf, why: String },
    /// Others may write the file.
    #[error(
        "the configuration file {path:?} may be written by others (owner {owner}, mode {mode:04o}), and it says where keys and \
         money go: look through it, and run chmod go-w on it", path = .path.display().to_string()
    )]
    Writable {
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
        mode: u32,
    },
    /// The file belongs to somebody else.
    #[error(
        "the configuration file {path:?} belongs to user {owner}, and it says where keys and money go: only one of root's, or of \
         the user who reads it ({reader}), is read; look through it, and chown it", path = .path.display().to_string()
    )]
    Foreign {
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
        /// Who wanted to read it.
        reader: u32,
    },
    /// The file is no TOML. The line itself is not shown: it may hold a secret.
    #[error("{path:?} is not valid TOML at line {line}, column {column}: {why}", path = .path.display().to_string())]
    Syntax {
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        why: String,
    },
    /// Values are missing, unknown, wrong, or contradict each other.
    #[error("the configuration {path:?} has {problems}", path = .path.display().to_string())]
    Invalid {
        path: PathBuf,
        /// Everything that was found.
        problems: Problems,
    },
    /// The API key cannot be had.
    #[error("the API key is missing: {0}")]
    Key(String),
    /// A password, or a raw key, cannot be had.
    #[error("{0}")]
    Secret(String),
    /// The variable of this name holds no password for the keystore.
    #[error(
        "the environment variable {0} (wallet.password_env) is not set: set it, or name a file with \
         wallet.password_file"
    )]
    NoPassword(String),
    /// A rehearsal of the API together with real money.
    #[error(
        "a development key of the payment API (sk_dev_…), a wallet, and a live chain (chain.id = {chain_id}) do not go \
         together: give a live API key (api.key_env or api.key_file), leave [wallet] out, or set \
         wallet.allow_development_api_key_on_live_chain = true; where the chain's money is play money, set chain.live = false"
    )]
    MixedRehearsal { chain_id: u64 },
}

/// Everything that is wrong, one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("a problem:")?,
            many => write!(f, "{many} problems:")?,
        }
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The full key, such as `rpc.endpoints[0].http`.
    pub key: String,
    /// The value as it was given, quoted and shortened; `None` when it is missing or secret.
    pub value: Option<String>,
    /// Where the value came from; `None` when it was not given.
    pub origin: Option<Origin>,
    /// What is wrong and what to do.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        if let Some(origin) = &self.origin {
            write!(f, " ({origin})")?;
        }
        write!(f, ": {}", self.text)
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    File {
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable of this name.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { line } => write!(f, "line {line}"),
            Self::Variable(name) => write!(f, "from {name}"),
        }
    }
}
