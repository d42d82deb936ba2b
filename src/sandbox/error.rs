//! What can go wrong in a rehearsal.

use std::path::PathBuf;

use thiserror::Error;

use crate::domain::chain::{Address, B256};

/// What went wrong in the sandbox, with what to do about it.
#[derive(Debug, Error)]
pub enum SandboxError {
    #[error("anvil was not found: run `make tools`, or put it on PATH, or set RAMPWATCH_ANVIL to its path")]
    NoAnvil,
    /// `RAMPWATCH_ANVIL` names something that is not there.
    #[error("RAMPWATCH_ANVIL is {0}, which is no file")]
    AnvilNotThere(PathBuf),
    /// A process did not start, or a signal could not be sent.
    #[error("{what}: {source}")]
    Process { what: String, source: std::io::Error },
    /// A file or folder could not be read or written.
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    /// Anvil ended or kept silent at the start.
    #[error("anvil did not come up: {0}")]
    NotUp(String),
    /// The node did not answer.
    #[error("{method}: the node did not answer: {detail}")]
    NoAnswer {
        method: String,
        /// Why, without the address.
        detail: String,
    },
    /// The node refused.
    #[error("{method}: the node refused: {message} (code {code})")]
    Refused {
        method: String,
        /// The JSON-RPC error code.
        code: i64,
        /// The node's message. A revert's reason is in it.
        message: String,
    },
    /// The node answered with something that cannot be read.
    #[error("{method}: the node's answer cannot be read: {detail}")]
    Unreadable { method: String, detail: String },
    /// The node serves another chain.
    #[error("the node at {node} has chain id {chain_id}; the sandbox touches nothing but its own chain, 1337137")]
    ForeignChain {
        /// The node, redacted.
        node: String,
        /// What it serves.
        chain_id: u64,
    },
    /// An account that is not one of anvil's.
    #[error("{0} is not one of the sandbox's accounts; it uses anvil's own and no other")]
    NotOurAccount(Address),
    /// A wallet that is not the sandbox's, on the sandbox's chain.
    #[error(
        "the wallet {0} is not the sandbox's: a rehearsal takes no key but its own; unset the key that is given, and set \
         RAMPWATCH_SANDBOX_WALLET_KEY as `rampwatch sandbox` prints it"
    )]
    ForeignKey(Address),
    /// The sandbox's wallet on another chain.
    #[error(
        "the wallet {wallet} is the sandbox's, whose key everybody knows: it must not be used on chain {chain_id}; give \
         a key of your own, and send nothing to that address"
    )]
    PublicKey {
        /// The sandbox's wallet.
        wallet: Address,
        /// Where it was to be used.
        chain_id: u64,
    },
    /// A transaction is not where it should be.
    #[error("transaction {tx_hash}: {why}")]
    Transaction { tx_hash: B256, why: String },
    /// Something did not happen in time.
    #[error("waited {seconds} s in vain: {what}")]
    TooLate { what: String, seconds: u64 },
    /// The fake payment API refused, or could not be reached.
    #[error("the fake payment API: {0}")]
    FakeApi(String),
    /// rampwatch itself, run as a child process, did not do what it was asked.
    #[error("rampwatch: {0}")]
    Daemon(String),
    /// A rehearsal ended otherwise than it must.
    #[error("{0}")]
    Outcome(String),
    /// Something given makes no sense.
    #[error("{0}")]
    Invalid(String),
}

/// The sandbox's result.
pub(super) type Result<T> = std::result::Result<T, SandboxError>;
