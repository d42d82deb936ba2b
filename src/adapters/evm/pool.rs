//! Which endpoint to ask: those that are well before those that lag, the configured order within.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, sleep_until};

use crate::domain::chain::BlockNumber;
use crate::domain::operator::Operator;
use crate::domain::plausibility::{Heads, Plausibility, Shown};
use crate::domain::time::Timestamp;
use crate::outbound::{Clients, Patience};
use crate::ports::chain::{ChainError, EndpointId};

use super::abilities::Ability;
use super::classify::Class;
use super::endpoint::{Endpoint, Shared};
use super::failure::Failure;
use super::hints::HintQueue;
use super::identity::Identity;
use super::settings::{EvmError, EvmSettings};

/// How often one question waits out rate limits.
const MAX_WAITS: u32 = 5;

pub(super) struct Pool {
    /// As configured, with those that are excluded.
    pub(super) endpoints: Vec<Arc<Endpoint>>,
    /// The names of those that a person has excluded.
    excluded: Mutex<BTreeSet<String>>,
    /// The heads that were believed.
    heads: Mutex<Heads>,
    /// What the endpoints say the chain began with.
    identity: Arc<Identity>,
    rules: Plausibility,
    patience: Duration,
}

impl Pool {
    /// The endpoints of the settings.
    pub(super) fn new(settings: &EvmSettings, rules: Plausibility, hints: &Arc<HintQueue>) -> Result<Self, EvmError> {
        let (connect_within, whole) = (settings.connect_timeout, Patience::Whole(settings.request_timeout));
        let describe =
            || settings.outbound.client(connect_within, whole).pool_max_idle_per_host(settings.max_in_flight);
        let clients =
            Clients::new("rpc", describe).map_err(|error| EvmError::Client(error.without_url().to_string()))?;
        let endpoints = settings.endpoints.iter().enumerate();
        let identity = Arc::new(Identity::default());
        let (stall_after, hints) = (rules.stall_after.as_duration(), Arc::clone(hints));
        let shared = Shared { clients, identity: Arc::clone(&identity), hints, stall_after };
        let endpoints = endpoints.map(|(at, endpoint)| Endpoint::new(at, endpoint, settings, &shared).map(Arc::new));
        Ok(Self {
            endpoints: endpoints.collect::<Result<_, _>>()?,
            excluded: Mutex::default(),
            heads: Mutex::default(),
            identity,
            rules,
            patience: settings.request_timeout,
        })
    }

    /// A question that is to be asked of one endpoint after the other, until one answers.
    pub(super) fn attempt(&self, at: Ability, avoid: Option<EndpointId>) -> Attempt {
        let endpoints = self.included();
        Attempt {
            at,
            since: None,
            all: endpoints.len(),
            endpoints,
            patience: self.patience,
            avoid: avoid.and_then(|avoid| self.operator(avoid)).cloned(),
            tried: Vec::new(),
            limited: Vec::new(),
            log: Vec::new(),
            behind: None,
            elsewhere: false,
            waits: 0,
        }
    }

    /// A question that only this operator's endpoints can answer.
    pub(super) fn attempt_of(&self, at: Ability, operator: &Operator) -> Attempt {
        let mut attempt = self.attempt(at, None);
        attempt.endpoints.retain(|endpoint| endpoint.operator == *operator);
        attempt
    }

    /// The endpoints that are not excluded, in the configured order.
    pub(super) fn included(&self) -> Vec<Arc<Endpoint>> {
        let excluded = self.excluded.lock().unwrap_or_else(PoisonError::into_inner);
        self.endpoints.iter().filter(|endpoint| !excluded.contains(&endpoint.name)).cloned().collect()
    }

    /// Leaves out the endpoints with these names from now on.
    pub(super) fn exclude(&self, names: &BTreeSet<String>) {
        self.excluded.lock().unwrap_or_else(PoisonError::into_inner).clone_from(names);
    }

    /// Whether an endpoint is excluded.
    pub(super) fn is_excluded(&self, endpoint: &Endpoint) -> bool {
        self.excluded.lock().unwrap_or_else(PoisonError::into_inner).contains(&endpoint.name)
    }

    /// Who runs an endpoint.
    pub(super) fn operator(&self, id: EndpointId) -> Option<&Operator> {
        self.endpoints.iter().find(|endpoint| endpoint.id == id).map(|endpoint| &endpoint.operator)
    }

    /// Each operator that can be asked, once; those with an endpoint that is well first.
    pub(super) fn operators(&self) -> Vec<Operator> {
        let mut endpoints = self.included();
        endpoints.sort_by_key(|endpoint| (endpoint.rests_until().is_some(), endpoint.is_lagging(), endpoint.id));
        let mut operators: Vec<Operator> = Vec::new();
        for endpoint in endpoints {
            if !operators.contains(&endpoint.operator) {
                operators.push(endpoint.operator.clone());
            }
        }
        operators
    }

    /// A question that only this endpoint can answer.
    pub(super) fn attempt_at(&self, at: Ability, only: EndpointId) -> Attempt {
        let mut attempt = self.attempt(at, None);
        attempt.endpoints.retain(|endpoint| endpoint.id == only);
        attempt
    }

    fn heads(&self) -> MutexGuard<'_, Heads> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The highest head seen so far.
    pub(super) fn highest(&self) -> u64 {
        self.heads().highest()
    }

    /// The one place where a head is believed, or not: whoever showed it, and however it came. What cannot be is a
    /// contradiction of the endpoint's.
    pub(super) fn believe(&self, endpoint: &Endpoint, shown: impl Into<Shown>) -> Result<(), Failure> {
        let shown = shown.into();
        let (judged, highest) = {
            let mut heads = self.heads();
            (heads.judge(shown, now(), &self.rules), heads.highest())
        };
        judged.map_err(|why| Failure::new(Class::Implausible, why.to_string()))?;
        endpoint.showed(shown.number, highest);
        Ok(())
    }

    /// Heads go on from a block that was believed in an earlier life.
    pub(super) fn go_on_from(&self, number: u64, at: Timestamp) {
        self.heads().go_on_from(number, at, now(), &self.rules);
    }

    /// All endpoints agree that the highest head is this one: a deep reorg took the others back.
    pub(super) fn settle_head(&self, number: u64) {
        self.heads().settle(number, now());
    }

    /// Whether the endpoint's chain began with the block that most others know.
    pub(super) fn beginning_of(&self, endpoint: &Endpoint) -> Result<(), Failure> {
        self.identity.contradiction(endpoint.id).map_or(Ok(()), Err)
    }
}

/// Our clock.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// One question on its way from endpoint to endpoint.
pub(super) struct Attempt {
    /// How many endpoints there are; only some of them may be asked.
    all: usize,
    endpoints: Vec<Arc<Endpoint>>,
    /// What they are asked for.
    at: Ability,
    /// The oldest block whose logs are asked for, if logs are.
    since: Option<BlockNumber>,
    patience: Duration,
    /// Whose endpoints should rather not answer.
    avoid: Option<Operator>,
    tried: Vec<EndpointId>,
    limited: Vec<EndpointId>,
    log: Vec<String>,
    behind: Option<String>,
    /// Whether some endpoint could not answer for a reason that has nothing to do with the question.
    elsewhere: bool,
    waits: u32,
}

impl Attempt {
    /// Logs are asked for from this block on: whoever no longer has it is not asked.
    pub(super) fn of_logs_since(&mut self, block: BlockNumber) {
        self.since = Some(block);
    }

    fn has_them(&self, endpoint: &Endpoint) -> bool {
        self.since.is_none_or(|since| !endpoint.lacks_logs_of(since))
    }

    /// The next endpoint to ask; `None` when none is left.
    ///
    /// When all rest and none was asked yet, or when a rate limit is all that is in the way, it waits for the end of
    /// the rest, within the request timeout.
    pub(super) async fn next(&mut self) -> Option<Arc<Endpoint>> {
        let fresh = self.endpoints.iter().filter(|it| !self.tried.contains(&it.id) && self.has_them(it));
        let avoided = |it: &Endpoint| self.avoid.as_ref() == Some(&it.operator);
        let ready = fresh
            .filter(|endpoint| endpoint.rests_until().is_none())
            .min_by_key(|it| (it.is_stalled(), it.is_failing(self.at), it.is_lagging(), avoided(it), it.id));
        if let Some(endpoint) = ready.cloned() {
            self.tried.push(endpoint.id);
            return Some(endpoint);
        }
        if self.waits >= MAX_WAITS {
            return None;
        }
        let now = Instant::now();
        let untouched = self.log.is_empty();
        let (until, endpoint) = self
            .endpoints
            .iter()
            .filter(|endpoint| !endpoint.is_shut_out() && self.has_them(endpoint))
            .filter(|endpoint| untouched || self.limited.contains(&endpoint.id))
            .map(|endpoint| (endpoint.rests_until().unwrap_or(now), endpoint))
            .min_by_key(|(until, endpoint)| (*until, endpoint.id))?;
        if until.saturating_duration_since(now) > self.patience {
            return None;
        }
        let endpoint = Arc::clone(endpoint);
        self.waits = self.waits.saturating_add(1);
        sleep_until(until).await;
        self.tried.push(endpoint.id);
        Some(endpoint)
    }

    /// The endpoint gave no good answer.
    pub(super) fn failed(&mut self, endpoint: &Endpoint, failure: &Failure) {
        endpoint.failed(self.at, failure);
        self.elsewhere |= !failure.is_about_the_question();
        let text = format!("{:?}: {}", endpoint.name, failure.text);
        self.limited.retain(|id| *id != endpoint.id);
        if failure.class == Class::RateLimit {
            self.limited.push(endpoint.id);
        }
        if failure.class.is_behind() || failure.class == Class::Inconsistent {
            self.behind = Some(text.clone());
        }
        if !self.log.contains(&text) {
            self.log.push(text);
        }
    }

    /// Whether each endpoint that is well was asked.
    pub(super) fn all_tried(&self) -> bool {
        let is_out = |it: &Endpoint| it.rests_until().is_some() || !self.has_them(it);
        self.endpoints.iter().all(|endpoint| self.tried.contains(&endpoint.id) || is_out(endpoint))
    }

    /// The endpoint may be asked again: it has taught what it takes.
    pub(super) fn again(&mut self, endpoint: &Endpoint) {
        self.tried.retain(|id| *id != endpoint.id);
    }

    /// What to say when no endpoint is left. A node that is only behind is worth asking again soon.
    pub(super) fn into_error(self) -> ChainError {
        if let Some(behind) = self.behind {
            return ChainError::Behind(behind);
        }
        let all = &self.endpoints;
        let contradictions: Vec<String> = all
            .iter()
            .filter_map(|endpoint| {
                Some(format!("endpoint {:?} is on chain {}", endpoint.name, endpoint.contradiction()?))
            })
            .collect();
        // That some of them are on another chain, and no others could answer, stops nothing.
        if !contradictions.is_empty() && contradictions.len() == self.all {
            return ChainError::Contradiction(format!("{}; chain.id is another", contradictions.join(", ")));
        }
        if all.is_empty() {
            return ChainError::Unavailable("there is no such endpoint".to_owned());
        }
        let now = Instant::now();
        let mut parts = self.log.clone();
        let mut is_the_question = !self.elsewhere;
        for endpoint in all.iter().filter(|endpoint| !self.tried.contains(&endpoint.id)) {
            if let Some(since) = self.since.filter(|_| !self.has_them(endpoint)) {
                parts.push(format!("{:?}: it no longer has the logs of block {since}", endpoint.name));
                continue;
            }
            is_the_question = false;
            let rest = endpoint.rests_until().map(|until| until.saturating_duration_since(now).as_millis());
            let last = endpoint.last_failure().unwrap_or_default();
            parts.push(format!("{:?}: rests {} ms more after: {last}", endpoint.name, rest.unwrap_or_default()));
        }
        let said = parts.join("; ");
        if is_the_question { ChainError::Refused(said) } else { ChainError::Unavailable(said) }
    }
}
