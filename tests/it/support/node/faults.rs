//! What a scripted node can be made to do wrong. Everything can be switched while it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alloy::primitives::B256;
use serde_json::{Value, json};

use super::chain::Finalized;

/// A refused call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A JSON-RPC error.
    Rpc {
        /// Its code.
        code: i64,
        /// Its text.
        message: String,
    },
    /// An HTTP answer without JSON-RPC, such as 413 with some text. In a batch it is the answer to the whole batch;
    /// over a websocket it becomes a JSON-RPC error.
    Http {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: String,
    },
}

impl Refusal {
    /// A JSON-RPC error.
    pub(crate) fn rpc(code: i64, message: &str) -> Self {
        Self::Rpc { code, message: message.to_owned() }
    }

    /// An HTTP answer.
    pub(crate) fn http(status: u16, body: &str) -> Self {
        Self::Http { status, body: body.to_owned() }
    }

    /// The `error` member of a JSON-RPC answer.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Rpc { code, message } => json!({ "code": code, "message": message }),
            Self::Http { status, body } => json!({ "code": status, "message": body }),
        }
    }
}

/// What is wrong with every HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HttpFault {
    /// 429 with a JSON-RPC error -32005, and `Retry-After` in seconds.
    RateLimited {
        /// The header's value.
        retry_after: Option<u64>,
    },
    /// 402 with a JSON-RPC error 402 "Payment Required".
    QuotaGone,
    /// This status with an HTML page, as a proxy makes it.
    Html(u16),
    /// 200, and this in place of JSON.
    Garbage(String),
    /// The answer never comes.
    Hang,
    /// The connection is cut in the middle of the answer.
    Cut,
    /// 200, and each call is answered with this.
    EveryCall(Refusal),
}

/// What is wrong with one method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MethodFault {
    /// It is refused.
    Refuse(Refusal),
    /// It answers this.
    Answer(Value),
    /// It never answers; over HTTP neither does its batch.
    Hang,
}

/// What is wrong with the websocket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WsFaults {
    /// The upgrade is answered with this HTTP status.
    pub(crate) refuse_upgrade: Option<u16>,
    /// The upgrade is never answered.
    pub(crate) hang_upgrade: bool,
    /// `eth_subscribe` is refused.
    pub(crate) refuse_subscribe: Option<Refusal>,
    /// Nothing is read or written, and connections stay open.
    pub(crate) frozen: bool,
    /// Pushes are left out; calls are answered.
    pub(crate) drop_pushes: bool,
    /// Each push comes twice.
    pub(crate) duplicate_pushes: bool,
    /// The pushes of each change of the chain come in reverse order.
    pub(crate) reverse_pushes: bool,
    /// A reorg pushes no `removed: true` logs (anvil is like that).
    pub(crate) quiet_reorgs: bool,
    /// Pushes come as binary frames.
    pub(crate) binary_pushes: bool,
    /// Sent first on each connection, before anything is asked.
    pub(crate) greeting: Option<String>,
}

/// How the items of a batch's answer say what they answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BatchIds {
    /// By the number that was asked with.
    #[default]
    Numbers,
    /// By that number as text.
    Text,
    /// Errors by nothing (null).
    NullInErrors,
}

/// Odd things that public bug reports tell of nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Odd {
    /// Logs are numbered by transaction: every `logIndex` is 0.
    pub(crate) zero_indexes: bool,
    /// Logs say this of when their block was made, in seconds of Unix time.
    pub(crate) log_time: Option<u64>,
    /// The ids in the answers of a batch.
    pub(crate) batch_ids: BatchIds,
    /// A batch that is refused is answered with a list of one error without an id.
    pub(crate) refuses_in_list: bool,
    /// It has no logs below this block, and what it says then.
    pub(crate) no_logs_below: Option<(u64, Refusal)>,
    /// It shows no block above this one.
    pub(crate) stands_at: Option<u64>,
    /// It cannot give the receipts of these transactions.
    pub(crate) lost_receipts: BTreeSet<B256>,
    /// It cannot give these blocks.
    pub(crate) lost_blocks: BTreeSet<u64>,
}

/// How a node behaves. The default is an honest node at the head of the chain, without limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Behaviour {
    /// It has not seen the newest blocks, so many of them.
    pub(crate) lag: u64,
    /// It does not say that it was asked for blocks it has not got: `eth_getLogs` leaves them out. Otherwise it
    /// answers "invalid block range params", as Bor does.
    pub(crate) clamps: bool,
    /// It claims another finality than the chain's.
    pub(crate) finalized: Option<Finalized>,
    /// It names final blocks above its own head.
    pub(crate) finalized_ignores_lag: bool,
    /// It claims another chain id.
    pub(crate) chain_id: Option<u64>,
    /// It claims that the chain began with another block.
    pub(crate) other_beginning: bool,
    /// It has forgotten the blocks below this one.
    pub(crate) pruned_below: u64,
    /// Orphaned blocks can be asked for by hash, as geth and Bor allow.
    pub(crate) serves_orphans: bool,
    /// It claims that these blocks have no logs.
    pub(crate) empty_blocks: BTreeSet<u64>,
    /// Logs come without `blockTimestamp`, as older nodes send them.
    pub(crate) no_log_times: bool,
    /// Every answer over HTTP takes this long.
    pub(crate) latency: Duration,
    /// The answers of a batch come in reverse order.
    pub(crate) reverse_batches: bool,
    /// The most blocks in one `eth_getLogs`, and what is said to more.
    pub(crate) max_range: Option<(u64, Refusal)>,
    /// The most logs in one answer, and what is said instead of more.
    pub(crate) max_results: Option<(usize, Refusal)>,
    /// The most addresses, or topics in one position, and what is said to more.
    pub(crate) max_addresses: Option<(usize, Refusal)>,
    /// The most calls in one batch, and what is said to more.
    pub(crate) max_batch: Option<(usize, Refusal)>,
    /// What public bug reports tell of.
    pub(crate) odd: Odd,
    /// What is wrong with HTTP, and for how many requests.
    pub(crate) http: Option<(HttpFault, u32)>,
    /// What is wrong with single methods, over HTTP and websocket.
    pub(crate) methods: BTreeMap<String, MethodFault>,
    /// What is wrong with the websocket.
    pub(crate) ws: WsFaults,
}
