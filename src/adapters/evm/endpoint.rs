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
use tokio::time::{Instant, timeout};

use crate::domain::operator::Operator;
use crate::outbound::Outbound;
use crate::ports::chain::EndpointId;

use super::classify::Class;
use super::conduct::Conduct;
use super::failure::{Failure, Reach};
use super::hints::HintQueue;
use super::http::{Answers, HttpLink};
use super::identity::{Identity, OLD_BLOCK};
use super::limits::Limits;
use super::redact::Redactor;
use super::rpc::{self, Ask};
use super::settings::{CoolDown, EndpointSettings, EvmError, EvmSettings, parse_url};
use super::ws::WsLink;

/// What was learned of an endpoint's limits is forgotten after this long.
const LESSONS_LAST: Duration = Duration::from_secs(3_600);

/// What all endpoints share.
pub(super) struct Shared {
    pub(super) client: reqwest::Client,
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
        for class in Class::ALL {
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
            http: http.map(|url| HttpLink::new(shared.client.clone(), url, redactor.clone())),
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

    /// Until when it rests, if it does.
    pub(super) fn rests_until(&self) -> Option<Instant> {
        self.state().cool_until.filter(|&until| until > Instant::now())
    }

    /// Whether it lately had not got a block that it was asked about.
    pub(super) fn is_lagging(&self) -> bool {
        self.state().lagging_until.is_some_and(|until| until > Instant::now())
    }

    /// Whether its head has lagged for so long that it has no say.
    pub(super) fn is_stalled(&self) -> bool {
        self.conduct.is_stalled()
    }

    /// It shows this head, which was believed.
    pub(super) fn showed(&self, number: u64, highest: u64) {
        self.conduct.showed(number, highest);
    }

    /// Whether it is on another chain: no rest changes that.
    pub(super) fn is_shut_out(&self) -> bool {
        self.contradiction().is_some() || self.identity.contradiction(self.id).is_some()
    }

    /// The chain it says it is on, when that is the wrong one.
    pub(super) fn contradiction(&self) -> Option<u64> {
        self.state().contradiction
    }

    /// Its last failure, in words.
    pub(super) fn last_failure(&self) -> Option<String> {
        self.state().last_failure.clone()
    }

    /// It answered well.
    pub(super) fn worked(&self) {
        let mut state = self.state();
        state.failures = 0;
        state.cool_until = None;
        state.last_failure = None;
        drop(state);
        self.conduct.worked();
    }

    /// It did not. Most failures make it rest; a node that is behind is only asked after the others for a while.
    pub(super) fn failed(&self, failure: &Failure) {
        metrics::counter!("rampwatch_rpc_errors_total", "endpoint" => self.name.clone(), "class" => failure.class.name())
            .increment(1);
        if failure.class.contradicts() {
            self.conduct.contradicts(&failure.text);
        }
        let now = Instant::now();
        let mut state = self.state();
        state.last_failure = Some(failure.text.clone());
        if failure.class.is_behind() || failure.class == Class::Inconsistent {
            state.lagging_until = now.checked_add(self.cool_down.first);
            return;
        }
        if !matches!(failure.class, Class::RateLimit | Class::Quota) {
            state.doubted = true;
        }
        // Several questions that were under way when it failed are one failure.
        if state.cool_until.is_none_or(|until| until <= now) {
            state.failures = state.failures.saturating_add(1);
        }
        let rest = match failure.class {
            Class::Quota | Class::Denied | Class::Contradiction | Class::Implausible => self.cool_down.longest,
            _ => self.cool_down.after(state.failures).max(failure.retry_after.unwrap_or_default()),
        };
        state.cool_until = now.checked_add(rest).max(state.cool_until);
        tracing::warn!(
            endpoint = %self.name, class = failure.class.name(), error = %failure.text, rest_ms = rest.as_millis(),
            "an RPC endpoint failed"
        );
    }

    /// Notes how it did. What a node answered says nothing against the endpoint.
    pub(super) fn note<T>(&self, result: &Result<T, Failure>) {
        match result {
            Ok(_) => self.worked(),
            Err(failure) if failure.is_an_answer() => {}
            Err(failure) => self.failed(failure),
        }
    }

    /// Asks questions, on one node as far as that can be arranged, in the order given: as one HTTP batch, else one
    /// after the other, ending at the first that fails (for one that may fail: without an answer of a node).
    pub(super) async fn ask(&self, asks: &[Ask]) -> Result<Answers, Failure> {
        let Ok(_permit) = self.permits.acquire().await else {
            return Err(Failure::new(Class::Connection, "the endpoint is closed"));
        };
        match &self.http {
            Some(http) => self.ask_http(http, asks).await,
            None => self.ask_ws(asks).await,
        }
    }

    async fn ask_http(&self, http: &HttpLink, asks: &[Ask]) -> Result<Answers, Failure> {
        self.verify_http(http, false).await?;
        if asks.len() > 1 && self.limits().takes_batch(asks.len()) {
            self.count(asks);
            let answers = self.in_time(http.batch(asks)).await;
            let refused = |failure: &Failure| failure.class == Class::Batch;
            let why = match &answers {
                Ok(answers) => answers.iter().find_map(|answer| answer.as_ref().err().filter(|f| refused(f))),
                Err(failure) => Some(failure).filter(|f| refused(f)),
            };
            let Some(why) = why else { return answers };
            tracing::info!(
                endpoint = %self.name, calls = asks.len(), error = %why.text, "the endpoint takes no such batches"
            );
            self.learn(|limits: &mut Limits| limits.no_batch(asks.len()));
        }
        let mut answers = Answers::new();
        for ask in asks {
            self.count(std::slice::from_ref(ask));
            let answer = self.in_time(http.one(ask)).await;
            let goes_on = goes_on(ask, &answer);
            answers.push(answer);
            if !goes_on {
                break;
            }
        }
        Ok(answers)
    }

    async fn ask_ws(&self, asks: &[Ask]) -> Result<Answers, Failure> {
        let (link, kept) = self.ws_link().await?;
        let answers = self.ask_link(&link, asks).await;
        let gone = |failure: &Failure| failure.class == Class::Connection;
        if !(kept && matches!(answers.first(), Some(Err(failure)) if gone(failure))) {
            return Ok(answers);
        }
        // The connection ended while nobody asked, as providers do to idle ones: that is no failure yet.
        let (link, _) = self.ws_link().await?;
        Ok(self.ask_link(&link, asks).await)
    }

    async fn ask_link(&self, link: &Arc<WsLink>, asks: &[Ask]) -> Answers {
        let mut answers = Answers::new();
        for ask in asks {
            self.count(std::slice::from_ref(ask));
            let answer = link.one(ask).await;
            let failed = answer.as_ref().err().map(|failure| failure.class);
            let goes_on = goes_on(ask, &answer);
            answers.push(answer);
            if matches!(failed, Some(Class::Timeout | Class::Connection | Class::Garbage)) {
                let mut slot = self.ws_slot.lock().await;
                if slot.as_ref().is_some_and(|open| Arc::ptr_eq(open, link)) {
                    *slot = None;
                }
            }
            if !goes_on {
                break;
            }
        }
        answers
    }

    /// Gives it something to keep, such as a transaction. After a failure that is not [`Reach::Unsent`], it may have
    /// it. The chain is asked for first where that is due.
    pub(super) async fn deliver(&self, ask: &Ask) -> Result<Box<RawValue>, Failure> {
        let limit = self.times.1.saturating_add(self.times.0);
        let late = || Failure::new(Class::Timeout, "it was not ready in time").unsent();
        let Ok(Ok(_permit)) = timeout(limit, self.permits.acquire()).await else { return Err(late()) };
        let Some(http) = &self.http else { return self.deliver_ws(ask, limit).await };
        timeout(limit, self.verify_http(http, false)).await.map_err(|_| late())?.map_err(Failure::unsent)?;
        self.count(std::slice::from_ref(ask));
        self.in_time(http.one(ask)).await
    }

    async fn deliver_ws(&self, ask: &Ask, limit: Duration) -> Result<Box<RawValue>, Failure> {
        let late = |_| Failure::new(Class::Timeout, "no websocket connection in time").unsent();
        let ask = std::slice::from_ref(ask);
        let only = |answers: Answers| answers.into_iter().next().unwrap_or_else(|| Err(Failure::garbage("no answer")));
        let (link, kept) = timeout(limit, self.ws_link()).await.map_err(late)?.map_err(Failure::unsent)?;
        let answer = only(self.ask_link(&link, ask).await);
        if !(kept && matches!(&answer, Err(failure) if failure.class == Class::Connection)) {
            return answer;
        }
        // The connection had most likely ended before. If not, the same thing is given twice, which does no harm; but
        // from here on nobody can say that it was not sent.
        let unknown = |failure| Failure { reach: Reach::Unknown, ..failure };
        let (link, _) = timeout(limit, self.ws_link()).await.map_err(late).and_then(|made| made).map_err(unknown)?;
        only(self.ask_link(&link, ask).await)
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
        let asks = identity_asks();
        if self.limits().takes_batch(asks.len()) {
            self.count(&asks);
            let answers = self.in_time(http.batch(&asks)).await;
            let refused = |failure: &Failure| failure.class == Class::Batch;
            let is_refused = match &answers {
                Ok(answers) => answers.iter().any(|answer| answer.as_ref().is_err_and(refused)),
                Err(failure) => refused(failure),
            };
            if !is_refused {
                let mut answers = answers?.into_iter();
                let mut next = || answers.next().unwrap_or_else(|| Err(Failure::garbage("an answer is missing")));
                return Ok([next(), next()]);
            }
            self.learn(|limits: &mut Limits| limits.no_batch(asks.len()));
        }
        let [chain, old] = asks;
        self.count(std::slice::from_ref(&chain));
        let chain = self.in_time(http.one(&chain)).await;
        if chain.is_err() {
            return Ok([chain, Err(Failure::garbage("it was not asked"))]);
        }
        self.count(std::slice::from_ref(&old));
        Ok([chain, self.in_time(http.one(&old)).await])
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

    /// A second limit on time, around all that HTTP does.
    async fn in_time<T>(&self, asking: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let limit = self.times.1.saturating_add(self.times.0);
        timeout(limit, asking).await.unwrap_or_else(|_| Err(Failure::new(Class::Timeout, "no answer in time")))
    }

    /// Counts requests that are sent.
    pub(super) fn count(&self, asks: &[Ask]) {
        for ask in asks {
            metrics::counter!("rampwatch_rpc_requests_total", "endpoint" => self.name.clone(), "method" => ask.method)
                .increment(1);
        }
    }
}

/// Which chain it is on, and what that began with.
fn identity_asks() -> [Ask; 2] {
    [rpc::chain_id(), rpc::header_of(OLD_BLOCK).that_may_fail()]
}

/// Whether the questions after this one are still worth asking.
fn goes_on(ask: &Ask, answer: &Result<Box<RawValue>, Failure>) -> bool {
    answer.as_ref().err().is_none_or(|failure| ask.may_fail && failure.was_answered())
}
