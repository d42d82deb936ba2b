//! The chain port and the sender port over JSON-RPC nodes.
//!
//! Readings go over HTTP where an endpoint has it, from endpoint to endpoint until one answers; hints come over one
//! websocket connection that a supervisor keeps. All times, sizes and numbers are bounded.
//!
//! Deliberately absent: alloy's providers with their fillers, pollers, retry and fallback layers and their silent
//! reconnecting; each of them loses logs, sends requests nobody asked for, or hides which node answered. alloy gives
//! the types and the websocket.

mod abilities;
mod account;
mod answer;
mod budget;
mod checkup;
mod classify;
mod conduct;
mod decode;
mod endpoint;
mod failure;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod hints;
mod http;
mod identity;
mod limits;
mod log_reading;
mod logs;
mod named_limits;
mod pool;
mod reads;
mod receipts;
mod redact;
mod reply;
mod rpc;
mod send_answer;
mod sender;
mod settings;
mod split;
mod spread;
mod subscription;
mod supervisor;
mod tx;
mod ws;
mod ws_carrier;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use alloy::primitives::U256;
use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::domain::chain::{B256, BlockNumber, Header, WitnessedHeader};
use crate::domain::operator::Operator;
use crate::domain::plausibility::Plausibility;
use crate::domain::testimony::Testimony;
use crate::domain::time::Timestamp;
use crate::ports::chain::{Chain, ChainError, EndpointId, FinalityReport, Hint, TransferPage, TransferQuery, WatchSet};

pub use answer::read_transfers;
pub use settings::{CoolDown, EndpointSettings, EvmError, EvmSettings, KnownToken, SideReport};

use classify::Class;
use hints::HintQueue;
use pool::Pool;
use reads::Decimals;
use supervisor::Supervisor;

/// An EVM chain behind one or more RPC endpoints.
///
/// Making one connects to nothing. Dropping it ends its connections and its task.
pub struct EvmChain {
    settings: EvmSettings,
    pool: Arc<Pool>,
    hints: Arc<HintQueue>,
    sets: watch::Sender<WatchSet>,
    supervisor: Mutex<Option<Supervision>>,
}

/// Who looks after the subscription.
enum Supervision {
    Task(AbortHandle),
    /// Nobody can, which was said.
    Impossible,
}

impl fmt::Debug for EvmChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvmChain").field("chain_id", &self.settings.chain_id).finish_non_exhaustive()
    }
}

impl EvmChain {
    /// A chain as configured.
    ///
    /// # Errors
    /// No endpoints, an endpoint without URL, a URL that is none, a limit or timeout of zero.
    pub fn new(settings: EvmSettings) -> Result<Self, EvmError> {
        Self::with_rules(settings, Plausibility::default())
    }

    /// The same, with what a head may be.
    ///
    /// # Errors
    /// As [`EvmChain::new`].
    pub fn with_rules(settings: EvmSettings, rules: Plausibility) -> Result<Self, EvmError> {
        settings.check()?;
        let hints = Arc::new(HintQueue::default());
        let pool = Arc::new(Pool::new(&settings, rules, &hints)?);
        let (sets, _) = watch::channel(WatchSet::default());
        Ok(Self { settings, pool, hints, sets, supervisor: Mutex::new(None) })
    }

    /// Asks every endpoint that can be reached which chain it is on, over each of its URLs, and each known token for its
    /// decimals. Returns how each URL did; at least one is right. One that is on another chain is shut out, and told of.
    ///
    /// # Errors
    /// [`EvmError::ChainId`] when every URL is on another chain, [`EvmError::Unreachable`] when none is right and some
    /// cannot be reached; a token that contradicts the configuration.
    pub async fn check(&self) -> Result<Vec<SideReport>, EvmError> {
        let sides = join_all(self.pool.endpoints.iter().map(|endpoint| endpoint.verify())).await;
        let mut reports: Vec<SideReport> = Vec::new();
        for (endpoint, (side, result)) in self
            .pool
            .endpoints
            .iter()
            .zip(sides)
            .flat_map(|(endpoint, sides)| sides.into_iter().map(move |side| (endpoint, side)))
        {
            let name = endpoint.name.clone();
            // Once all have spoken it is known who is on another chain than most.
            let failure = match result {
                Err(failure) if failure.class != Class::Contradiction || failure.chain.is_some() => Some(failure),
                Ok(()) | Err(_) => self.pool.beginning_of(endpoint).err(),
            };
            if let Some(failure) = &failure {
                if failure.class.contradicts() {
                    endpoint.conduct.contradicts(&failure.text);
                }
                tracing::warn!(endpoint = %name, side, error = %failure.text, "an RPC endpoint can't be used");
            }
            let contradicts = failure.as_ref().is_some_and(|failure| failure.class.contradicts());
            let chain = failure.as_ref().and_then(|failure| failure.chain);
            let problem = failure.map(|failure| failure.text);
            reports.push(SideReport { endpoint: name, side, problem, contradicts, chain });
        }
        if let Some(error) = self.other_chain(&reports).filter(|_| reports.iter().all(|report| report.contradicts)) {
            return Err(error);
        }
        if reports.iter().all(|report| report.problem.is_some()) {
            let said = |report: &SideReport| {
                Some(format!("{:?} over {}: {}", report.endpoint, report.side, report.problem.as_ref()?))
            };
            return Err(EvmError::Unreachable(reports.iter().filter_map(said).collect::<Vec<_>>().join("; ")));
        }
        for token in &self.settings.tokens {
            self.check_token(token).await?;
        }
        Ok(reports)
    }

    /// What speaks against the first endpoint that is on another chain, if one is.
    #[must_use]
    pub fn other_chain(&self, reports: &[SideReport]) -> Option<EvmError> {
        let report = reports.iter().find(|report| report.contradicts)?;
        let endpoint = report.endpoint.clone();
        Some(match report.chain {
            Some(said) => EvmError::ChainId { endpoint, expected: self.settings.chain_id, said },
            None => EvmError::OtherChain { endpoint, why: report.problem.clone().unwrap_or_default() },
        })
    }

    async fn check_token(&self, token: &KnownToken) -> Result<(), EvmError> {
        let KnownToken { setting, address, decimals } = token.clone();
        let expected = |said: &Decimals| matches!(said, Decimals::Are(said) if *said == U256::from(decimals));
        let asked = reads::decimals(&self.pool, address, None).await;
        let said = asked.map_err(|error| EvmError::Unreachable(error.to_string()))?;
        // One endpoint's word does not end the start: another may know better, now or when it answers again.
        let mut silent: Option<ChainError> = None;
        for endpoint in self.pool.endpoints.iter().filter(|_| !expected(&said) && self.pool.endpoints.len() > 1) {
            match reads::decimals(&self.pool, address, Some(endpoint.id)).await {
                Ok(other) if expected(&other) => {
                    tracing::warn!(%address, %said, "endpoints differ about a token's decimals; one confirms the configuration");
                    return Ok(());
                }
                Ok(_) => {}
                Err(_) if endpoint.is_shut_out() => {}
                Err(error) => silent = Some(error),
            }
        }
        if let Some(silent) = silent {
            let text = format!("one says of {setting}.decimals {said}, where {decimals} is configured, and {silent}");
            return Err(EvmError::Unreachable(text));
        }
        match said {
            Decimals::Are(said) if said == U256::from(decimals) => Ok(()),
            Decimals::Are(said) => {
                Err(EvmError::Decimals { setting, token: address, expected: decimals, said: said.to_string() })
            }
            Decimals::Untold(why) => {
                Err(EvmError::NotAToken { setting, token: address, chain_id: self.settings.chain_id, why })
            }
        }
    }

    /// Starts the task that keeps the subscription, if there can be one.
    fn supervise(&self) -> Supervision {
        let cannot = |why: &str| {
            self.hints.push(Hint::Down { why: why.to_owned() });
            Supervision::Impossible
        };
        if !self.pool.endpoints.iter().any(|endpoint| endpoint.has_ws()) {
            return cannot("no endpoint has a ws URL");
        }
        let Ok(runtime) = Handle::try_current() else {
            return cannot("there is no async runtime");
        };
        let supervisor = Supervisor {
            pool: Arc::clone(&self.pool),
            hints: Arc::clone(&self.hints),
            sets: self.sets.subscribe(),
            silence_timeout: self.settings.silence_timeout,
            cool_down: self.settings.cool_down,
            remade: false,
            down: false,
            told: BTreeMap::new(),
        };
        Supervision::Task(runtime.spawn(supervisor.run()).abort_handle())
    }
}

impl Drop for EvmChain {
    fn drop(&mut self) {
        let supervisor = self.supervisor.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(Supervision::Task(task)) = supervisor {
            task.abort();
        }
    }
}

#[async_trait]
impl Chain for EvmChain {
    fn chain_id(&self) -> u64 {
        self.settings.chain_id
    }

    fn endpoints(&self) -> usize {
        self.pool.endpoints.len()
    }

    fn go_on_from(&self, number: BlockNumber, at: Timestamp) {
        self.pool.go_on_from(number, at);
    }

    async fn head(&self) -> Result<Header, ChainError> {
        reads::head(&self.pool).await
    }

    async fn finality(&self, tag: bool) -> Result<FinalityReport, ChainError> {
        reads::finality(&self.pool, tag).await
    }

    async fn header(&self, number: BlockNumber, at: Option<EndpointId>) -> Result<Option<Header>, ChainError> {
        reads::header(&self.pool, number, at).await
    }

    async fn headers(
        &self,
        numbers: &[BlockNumber],
        at: Option<EndpointId>,
    ) -> Result<Vec<Option<Header>>, ChainError> {
        reads::headers(&self.pool, self.settings.max_in_flight, numbers, at).await
    }

    async fn witnessed_headers(
        &self,
        numbers: &[BlockNumber],
        tag: bool,
        at: EndpointId,
    ) -> Result<Vec<WitnessedHeader>, ChainError> {
        reads::witnessed(&self.pool, self.settings.max_in_flight, numbers, tag, at).await
    }

    async fn transfers(&self, query: &TransferQuery) -> Result<TransferPage, ChainError> {
        logs::transfers(&self.pool, self.settings.max_in_flight, query, decode::Side::To, false).await
    }

    async fn transfers_to_final(&self, query: &TransferQuery) -> Result<TransferPage, ChainError> {
        logs::transfers(&self.pool, self.settings.max_in_flight, query, decode::Side::To, true).await
    }

    fn operator(&self, endpoint: EndpointId) -> Operator {
        self.pool.operator(endpoint).cloned().unwrap_or_else(|| Operator::named("unknown"))
    }

    fn operators(&self) -> Vec<Operator> {
        self.pool.operators()
    }

    async fn testify(&self, operator: &Operator, tx_hash: B256, tag: bool) -> Testimony {
        reads::testify(&self.pool, operator, tx_hash, tag).await
    }

    fn exclude(&self, endpoints: &BTreeSet<String>) {
        self.pool.exclude(endpoints);
    }

    fn doubt(&self, endpoint: EndpointId, said: &str) {
        if let Some(endpoint) = self.pool.endpoints.iter().find(|known| known.id == endpoint) {
            endpoint.conduct.contradicts(said);
        }
    }

    fn watch(&self, set: WatchSet) {
        self.sets.send_if_modified(|current| {
            let changed = *current != set;
            *current = set;
            changed
        });
        let mut supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner);
        if supervisor.is_none() {
            *supervisor = Some(self.supervise());
        }
    }

    async fn hint(&self) -> Hint {
        self.hints.next().await
    }
}
