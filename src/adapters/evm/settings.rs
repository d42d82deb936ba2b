//! What the adapter has to be told, and what can be wrong with it.

use std::time::Duration;

use alloy::primitives::Address;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use url::Url;

use crate::domain::operator::Operator;
use crate::outbound::Outbound;

/// A token that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownToken {
    /// What errors call it: the place in the configuration that it comes from, such as `chain.token`.
    pub setting: String,
    pub address: Address,
    /// What its `decimals()` must say.
    pub decimals: u8,
}

/// One provider: `http`, `ws` or both. The URLs are secrets, since many hold an API key.
#[derive(Clone, Debug)]
pub struct EndpointSettings {
    /// How it is called in logs, errors and metrics.
    pub name: String,
    /// Who runs it.
    pub operator: Operator,
    /// `http://` or `https://`; asked when it is there.
    pub http: Option<SecretString>,
    /// `ws://` or `wss://`; for the subscription, and for questions when there is no `http`.
    pub ws: Option<SecretString>,
}

/// For how long an endpoint is left alone after a failure. The time doubles with each further failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoolDown {
    /// After the first failure.
    pub first: Duration,
    /// At most.
    pub longest: Duration,
}

impl Default for CoolDown {
    fn default() -> Self {
        Self { first: Duration::from_millis(500), longest: Duration::from_secs(60) }
    }
}

impl CoolDown {
    /// How long to wait after this many failures in a row: nothing after none.
    pub(super) fn after(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
        self.first.saturating_mul(2_u32.saturating_pow(doublings.min(20))).min(self.longest)
    }
}

/// All that [`EvmChain`](super::EvmChain) needs.
#[derive(Clone, Debug)]
pub struct EvmSettings {
    /// The chain's id, which every node must confirm.
    pub chain_id: u64,
    /// The tokens, for [`EvmChain::check`](super::EvmChain::check).
    pub tokens: Vec<KnownToken>,
    /// The endpoints, the preferred one first.
    pub endpoints: Vec<EndpointSettings>,
    /// For TCP, TLS and the websocket handshake together.
    pub connect_timeout: Duration,
    /// For one request and its answer.
    pub request_timeout: Duration,
    /// A subscription without a new head for this long is given up and made anew.
    pub silence_timeout: Duration,
    /// Blocks in one `eth_getLogs`, until a provider wants fewer. At least 1.
    pub max_block_range: u64,
    /// Recipients in one filter, until a provider wants fewer. At least 1.
    pub max_addresses: usize,
    /// Requests under way at once, for each endpoint. At least 1.
    pub max_in_flight: usize,
    /// How long failing endpoints rest.
    pub cool_down: CoolDown,
    /// How requests and websockets get there.
    pub outbound: Outbound,
}

/// How one URL of an endpoint did when it was asked for its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideReport {
    pub endpoint: String,
    /// `http` or `ws`.
    pub side: &'static str,
    /// Why it cannot be used, without secrets; `None` when it answered well.
    pub problem: Option<String>,
    /// Whether it is on another chain.
    pub contradicts: bool,
    /// The id of that chain, where it is another one.
    pub chain: Option<u64>,
}

/// Why the adapter can't work with its settings, or why the chain doesn't fit them.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EvmError {
    /// There is nothing to ask.
    #[error("rpc.endpoints: there is none; name at least one with http or ws")]
    NoEndpoints,
    /// An endpoint without a URL.
    #[error("rpc.endpoints: {endpoint:?} has neither http nor ws")]
    NoUrl { endpoint: String },
    /// A URL that is none, or of the wrong kind.
    #[error("rpc.endpoints: the {field} URL of {endpoint:?} {why}")]
    BadUrl {
        endpoint: String,
        /// `http` or `ws`.
        field: &'static str,
        /// What is wrong, without the URL.
        why: String,
    },
    /// A figure that makes no sense.
    #[error("rpc.{field} must be at least {least}")]
    TooSmall {
        field: &'static str,
        /// The least value that works.
        least: &'static str,
    },
    /// The HTTP client could not be made.
    #[error("the HTTP client can't be made: {0}")]
    Client(String),
    /// A node is on another chain.
    #[error("endpoint {endpoint:?} is on chain {said}, but chain.id is {expected}")]
    ChainId { endpoint: String, expected: u64, said: u64 },
    /// A node is on another chain with the same id.
    #[error("endpoint {endpoint:?} is on another chain than the other endpoints: {why}")]
    OtherChain { endpoint: String, why: String },
    /// A token's contract contradicts the configuration.
    #[error("{setting}.decimals is {expected}, but the token {token} itself says that it has {said}")]
    Decimals {
        /// [`KnownToken::setting`].
        setting: String,
        /// The token's contract.
        token: Address,
        expected: u8,
        /// What the contract said.
        said: String,
    },
    /// No such contract.
    #[error("{setting}.address is {token}, which does not answer decimals() on chain {chain_id}: {why}")]
    NotAToken {
        /// [`KnownToken::setting`].
        setting: String,
        /// The address that was asked.
        token: Address,
        chain_id: u64,
        /// What came instead.
        why: String,
    },
    /// Nobody answered.
    #[error("no RPC endpoint can be reached: {0}")]
    Unreachable(String),
}

impl EvmSettings {
    /// The first figure that makes no sense, if any.
    pub(super) fn check(&self) -> Result<(), EvmError> {
        let too_small = |field, least| Err(EvmError::TooSmall { field, least });
        if self.endpoints.is_empty() {
            return Err(EvmError::NoEndpoints);
        }
        let times = [
            ("connect_timeout", self.connect_timeout),
            ("request_timeout", self.request_timeout),
            ("silence_timeout", self.silence_timeout),
        ];
        for (field, time) in times {
            if time < Duration::from_millis(1) {
                return too_small(field, "1ms");
            }
        }
        let counts = [
            ("max_block_range", self.max_block_range == 0),
            ("max_addresses", self.max_addresses == 0),
            ("max_in_flight", self.max_in_flight == 0),
        ];
        for (field, is_zero) in counts {
            if is_zero {
                return too_small(field, "1");
            }
        }
        Ok(())
    }
}

/// Reads one of an endpoint's URLs; `field` is `http` or `ws`.
pub(super) fn parse_url(
    endpoint: &str,
    field: &'static str,
    schemes: [&str; 2],
    url: &SecretString,
) -> Result<Url, EvmError> {
    let bad = |why: String| EvmError::BadUrl { endpoint: endpoint.to_owned(), field, why };
    let url = Url::parse(url.expose_secret()).map_err(|error| bad(format!("is no URL: {error}")))?;
    if !schemes.contains(&url.scheme()) {
        let [plain, secure] = schemes;
        return Err(bad(format!("must begin with {plain}:// or {secure}://")));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(bad("names no host".to_owned()));
    }
    Ok(url)
}
