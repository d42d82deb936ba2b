//! What was found when everything around rampwatch was asked how it is. Facts only; what they mean is decided elsewhere.
//!
//! Where something could not be asked, the reason stands in place of the answer, in words and without secrets.

use super::amount::Amount;
use super::chain::{Address, B256, BlockNumber, Header};
use super::time::{Span, Timestamp};
use super::wallet::NonceCount;
use super::wei::Wei;

/// An answer, or why there is none.
pub type Told<T> = Result<T, String>;

/// What one RPC endpoint said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointCheckup {
    pub name: String,
    /// How each of its URLs did (`http`, `ws`).
    pub sides: Vec<(&'static str, Result<(), SideTrouble>)>,
    /// The chain that it says it is on, when that is the wrong one.
    pub wrong_chain: Option<u64>,
    /// Its newest block.
    pub head: Told<Header>,
    /// What it has under the `finalized` tag; `None` when it has nothing there.
    pub finalized: Told<Option<Header>>,
    /// Of how many blocks it gives the logs at once.
    pub logs: Told<LogRange>,
    /// What else it can do.
    pub abilities: AbilityCheckup,
    /// Whether a subscription brought a new head; `None` when it has no websocket.
    pub push: Option<Told<()>>,
}

/// Why an endpoint cannot be used over one of its URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideTrouble {
    /// In words, without secrets.
    pub why: String,
    /// Whether something there took the connection and the key, so that neither is to blame.
    pub is_reached: bool,
}

/// What an endpoint can do of what not every one can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbilityCheckup {
    /// How many calls it takes in one batch, of twenty that were tried; 1: none.
    pub batch: Told<usize>,
    /// Whether its logs by recipient have a transfer that its logs without one have; `None` when there was none to try with.
    pub filters: Told<Option<bool>>,
    /// Whether it gives the receipt of that transfer.
    pub receipts: Told<Option<bool>>,
    /// What it says instead of the logs of a day ago; `None` when it has them.
    pub history: Told<Option<String>>,
}

/// Why an endpoint does not give the logs of so many blocks at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogRefusal {
    /// They are too many, or too much is in them.
    Size,
    /// It no longer has the oldest of them.
    History,
    /// What it says is not understood.
    Unknown,
}

/// How many blocks an endpoint takes in one `eth_getLogs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRange {
    /// How many were asked for first.
    pub asked: u64,
    /// The most that worked, of those tried; 0 when none did.
    pub taken: u64,
    /// What it said of the largest that did not work, and what that is about.
    pub said: Option<(LogRefusal, String)>,
}

/// What the endpoints have at one height.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashesAt {
    /// The height.
    pub number: BlockNumber,
    /// Each endpoint's name, with its block's hash; `None` when it has no such block.
    pub hashes: Vec<(String, Told<Option<B256>>)>,
}

/// What a token's contract said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenCheckup {
    /// Whether there is code at the address.
    pub has_code: bool,
    /// Its decimals; `None` when it has no such function.
    pub decimals: Option<String>,
    /// Its symbol; `None` when it has no such function.
    pub symbol: Option<String>,
    /// Whether it is paused. `false` for a token that has no such thing.
    pub paused: bool,
}

/// What the payment API answered to a question for a payment that cannot be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiCheckup {
    /// What it says of the key.
    pub key: KeyWord,
    /// Its clock, to the second, if it tells.
    pub date: Option<Timestamp>,
    /// When it was asked (our clock).
    pub asked_at: Timestamp,
    /// How long its answer took.
    pub took: Span,
}

/// What the payment API says of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyWord {
    /// It took it: it says that it does not know the payment.
    Taken,
    Refused {
        /// With this HTTP status.
        status: u16,
    },
    /// It cannot be told.
    Unclear {
        /// What came instead.
        detail: String,
    },
}

/// What was found of the store's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreCheckup {
    /// Whether a store can be kept there.
    pub place: Told<()>,
    pub exists: bool,
    /// Whether a process has it open.
    pub in_use: bool,
    /// Its schema version, which is not asked for while the store is in use.
    pub schema: Option<Told<u64>>,
    /// The folder's mode; `None` when there is none yet.
    pub mode: Option<u32>,
    /// How many bytes are free on its disk for this user.
    pub free_bytes: Told<u64>,
}

/// What was found of the hot wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletCheckup {
    /// Its address, from its key.
    pub address: Address,
    /// What it has of the token that pays, and of the native coin.
    pub balances: Told<(Amount, Wei)>,
    /// What each endpoint says of its nonces.
    pub nonces: Vec<(String, Told<NonceCount>)>,
}

/// What the daemon said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DaemonCheckup {
    /// Nothing listens.
    Down,
    /// It says that it does its work.
    Ready {
        /// What it says of its parts.
        parts: Vec<(String, String)>,
        /// The newest block that it knows.
        head: Option<BlockNumber>,
    },
    /// It says that it does not.
    NotReady {
        /// What it says of its parts.
        parts: Vec<(String, String)>,
        /// The newest block that it knows.
        head: Option<BlockNumber>,
    },
    /// Something listens that does not answer as rampwatch does.
    Strange {
        /// What came.
        detail: String,
    },
}

/// What is configured of the webhook, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookCheckup {
    /// Where deliveries are to reach this program from outside, if that is configured.
    pub public_url: Option<String>,
    pub secret: Told<bool>,
    pub inlet: InletCheckup,
    /// The webhooks that were registered here, as the payment API tells them now.
    pub registered: Told<Vec<RegisteredWebhook>>,
}

/// The inlet at which deliveries are heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InletCheckup {
    NotConfigured,
    /// No daemon runs, so nothing can listen.
    NotRunning,
    /// Whether something accepts connections at its address while the daemon runs.
    Asked(Told<()>),
}

/// A webhook that was registered here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredWebhook {
    pub id: String,
    /// Where deliveries go.
    pub url: String,
    /// Whether anything is delivered, if the API says.
    pub active: Option<bool>,
    /// Why the API could not say so just now, if it could not.
    pub stale: Option<String>,
}
