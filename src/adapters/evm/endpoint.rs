//! One endpoint: its links, what it takes, and how well it is.
//!
//! The chain id and the chain's first block are asked for before the first question, on each new websocket connection, and
//! again after a failure that may have put another node behind the URL.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy::primitives::U64;
use secrecy::{ExposeSecret, SecretString};
use serde_json::value::RawValue;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard, Semaphore};
use tokio::time::Instant;

use crate::domain::operator::Operator;
use crate::outbound::{Clients, Outbound};
use crate::ports::chain::EndpointId;

use super::abilities::Abilities;
use super::classify::Class;
use super::conduct::Conduct;
use super::failure::Failure;
use super::hints::HintQueue;
use super::http::HttpLink;
use super::identity::{Identity, OLD_BLOCK};
use super::limits::Limits;
use super::redact::Redactor;
use super::rpc::{self, Ask};
use super::settings::{CoolDown, EndpointSettings, EvmError, EvmSettings, parse_url};
use super::ws::WsLink;

mod asking;
mod standing;

/// What was learned of an endpoint's limits is forgotten after this long.
const LESSONS_LAST: Duration = Duration::from_secs(3_600);

/// What all endpoints share.
pub(super) struct Shared {
    pub(super) clients: Clients,
    pub(super) identity: Arc<Identity>,
    pub(super) hints: Arc<HintQueue>,
    pub(super) stall_after: Duration,
}

/// One provider.
pub(super) struct Endpoint {
    pub(super) id: EndpointId,
    pub(super) name: String,
    pub(super) operator: Operator,
    chain_id: u64,
    http: Option<HttpLink>,
    ws_url: Option<SecretString>,
    outbound: Outbound,
    redactor: Redactor,
    /// To connect, and for one request.
    times: (Duration, Duration),
    cool_down: CoolDown,
    permits: Semaphore,
    /// Held while a question is under way that may be larger than the endpoint takes.
    trial: AsyncMutex<()>,
    http_gate: AsyncMutex<bool>,
    ws_slot: AsyncMutex<Option<Arc<WsLink>>>,
    identity: Arc<Identity>,
    pub(super) conduct: Conduct,
    state: Mutex<State>,
}

#[derive(Clone, Debug)]
struct State {
    failures: u32,
    cool_until: Option<Instant>,
    lagging_until: Option<Instant>,
    last_failure: Option<String>,
    contradiction: Option<u64>,
    doubted: bool,
    shared: bool,
    abilities: Abilities,
    limits: Limits,
    learned_at: Option<Instant>,
}

impl Endpoint {
    /// An endpoint as configured; nothing is connected yet.
    pub(super) fn new(
        at: usize,
        settings: &EndpointSettings,
        all: &EvmSettings,
        shared: &Shared,
    ) -> Result<Self, EvmError> {
        let endpoint = settings.name.clone();
        if settings.http.is_none() && settings.ws.is_none() {
            return Err(EvmError::NoUrl { endpoint });
        }
        let parse = |url: &Option<SecretString>, field, schemes| {
            url.as_ref().map(|url| parse_url(&endpoint, field, schemes, url)).transpose()
        };
        let http = parse(&settings.http, "http", ["http", "https"])?;
        let ws = parse(&settings.ws, "ws", ["ws", "wss"])?;
        let mut redactor = Redactor::default();
        http.iter().chain(ws.iter()).for_each(|url| redactor.learn(url));
        // An alert looks for a rise, and a series that begins with 1 has never risen.
        for class in Class::ALL.iter().copied() {
            metrics::counter!("rampwatch_rpc_errors_total", "endpoint" => endpoint.clone(), "class" => class.name())
                .increment(0);
        }
        Ok(Self {
            id: EndpointId(at),
            identity: Arc::clone(&shared.identity),
            conduct: Conduct::new(&endpoint, &shared.hints, shared.stall_after),
            name: endpoint,
            operator: settings.operator.clone(),
            chain_id: all.chain_id,
            http: http.map(|url| HttpLink::new(shared.clients.clone(), url, redactor.clone())),
            ws_url: settings.ws.clone(),
            outbound: all.outbound.clone(),
            redactor,
            times: (all.connect_timeout, all.request_timeout),
            cool_down: all.cool_down,
            permits: Semaphore::new(all.max_in_flight),
            trial: AsyncMutex::new(()),
            http_gate: AsyncMutex::new(false),
            ws_slot: AsyncMutex::new(None),
            state: Mutex::new(State {
                failures: 0,
                cool_until: None,
                lagging_until: None,
                last_failure: None,
                contradiction: None,
                doubted: false,
                shared: false,
                abilities: Abilities::default(),
                limits: Limits::new(all.max_block_range, all.max_addresses),
                learned_at: None,
            }),
        })
    }

    /// Whether several nodes have shown up behind it, to which the calls of one request are dealt out.
    pub(super) fn is_shared(&self) -> bool {
        self.state().shared
    }

    /// Several nodes have answered one request. Remembered until the end.
    pub(super) fn found_shared(&self) {
        if !std::mem::replace(&mut self.state().shared, true) {
            tracing::warn!(endpoint = %self.name, "several nodes answer one request: the lowest of their words on finality counts");
        }
    }

    /// Whether it can subscribe.
    pub(super) const fn has_ws(&self) -> bool {
        self.ws_url.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it takes in one question.
    pub(super) fn limits(&self) -> Limits {
        let mut state = self.state();
        if state.learned_at.is_some_and(|since| since.elapsed() >= LESSONS_LAST) {
            state.limits.forget();
            state.learned_at = None;
        }
        state.limits
    }

    /// Learns something about what it takes.
    pub(super) fn learn<T>(&self, lesson: impl FnOnce(&mut Limits) -> T) -> T {
        let mut state = self.state();
        let result = lesson(&mut state.limits);
        if !state.limits.is_learned() {
            state.learned_at = None;
        } else if state.learned_at.is_none() {
            state.learned_at = Some(Instant::now());
        }
        result
    }

    /// Waits until nobody else tries out what it takes.
    pub(super) async fn trial(&self) -> AsyncMutexGuard<'_, ()> {
        self.trial.lock().await
    }

    /// The connection for questions, made when there is none, and whether it was there already.
    async fn ws_link(&self) -> Result<(Arc<WsLink>, bool), Failure> {
        let mut slot = self.ws_slot.lock().await;
        if let Some(link) = slot.as_ref().filter(|_| self.identity.contradiction(self.id).is_none()) {
            return Ok((Arc::clone(link), true));
        }
        let connected = self.connect_ws().await;
        self.note_chain(&connected);
        let link = Arc::new(connected?);
        *slot = Some(Arc::clone(&link));
        Ok((link, false))
    }

    /// Makes a new websocket connection and asks it for its chain.
    pub(super) async fn connect_ws(&self) -> Result<WsLink, Failure> {
        let Some(url) = &self.ws_url else {
            return Err(Failure::new(Class::Connection, "the endpoint has no ws URL"));
        };
        let link = WsLink::connect(url.expose_secret(), &self.outbound, self.times, self.redactor.clone()).await?;
        let [chain, old] = identity_asks();
        self.count(std::slice::from_ref(&chain));
        self.same_chain(link.one(&chain).await)?;
        self.count(std::slice::from_ref(&old));
        self.same_beginning(link.one(&old).await)?;
        Ok(link)
    }

    /// Asks the HTTP side for its chain, unless that is known; `anew` asks in any case.
    async fn verify_http(&self, http: &HttpLink, anew: bool) -> Result<(), Failure> {
        let mut verified = self.http_gate.lock().await;
        let is_doubted = std::mem::take(&mut self.state().doubted) || self.identity.contradiction(self.id).is_some();
        if is_doubted || anew {
            *verified = false;
        }
        if !*verified {
            let [chain, old] = self.ask_identity(http).await?;
            let checked = self.same_chain(chain);
            self.note_chain(&checked);
            checked?;
            self.same_beginning(old)?;
            *verified = true;
        }
        Ok(())
    }

    /// What the HTTP side says of its chain's id and first block: in one batch where it takes batches.
    async fn ask_identity(&self, http: &HttpLink) -> Result<[Result<Box<RawValue>, Failure>; 2], Failure> {
        let mut answers = self.ask_in_parts(http, &identity_asks()).await?.into_iter();
        let mut next = || answers.next().unwrap_or_else(|| Err(Failure::garbage("it was not asked")));
        Ok([next(), next()])
    }

    /// Asks each of its sides, anew, which chain it is on.
    pub(super) async fn verify(&self) -> Vec<(&'static str, Result<(), Failure>)> {
        let mut sides = Vec::new();
        if let Some(http) = &self.http {
            sides.push(("http", self.verify_http(http, true).await));
        }
        if self.has_ws() {
            sides.push(("ws", self.connect_ws().await.map(drop)));
        }
        sides
    }

    fn same_chain(&self, answer: Result<Box<RawValue>, Failure>) -> Result<(), Failure> {
        let said = rpc::read::<U64>(&answer?, "a chain id")?.to::<u64>();
        if said == self.chain_id {
            return Ok(());
        }
        let text = format!("it is on chain {said}, but chain.id is {}", self.chain_id);
        Err(Failure { chain: Some(said), ..Failure::new(Class::Contradiction, text) })
    }

    /// Whether the chain began with the block that the others know. Who no longer has that block is not shut out for it.
    fn same_beginning(&self, answer: Result<Box<RawValue>, Failure>) -> Result<(), Failure> {
        let header = answer.ok().and_then(|answer| rpc::read_header(&answer).ok()).flatten();
        match header.filter(|header| header.block.number == OLD_BLOCK) {
            Some(header) => self.identity.note(self.id, header.block.hash),
            None => Ok(()),
        }
    }

    /// Remembers whether the side that answers questions is on the right chain.
    fn note_chain<T>(&self, checked: &Result<T, Failure>) {
        self.state().contradiction = checked.as_ref().err().and_then(|failure| failure.chain);
    }
}

/// Which chain it is on, and what that began with.
fn identity_asks() -> [Ask; 2] {
    [rpc::chain_id(), rpc::header_of(OLD_BLOCK).that_may_fail()]
}
