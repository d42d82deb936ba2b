//! How the engine is: what `/readyz`, the metrics and the progress bar tell.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::circuit_breaker::CircuitBreaker;
use super::in_vain::InVain;
use crate::domain::chain::BlockNumber;
use crate::domain::payment::PaymentId;
use crate::domain::time::{Span, Timestamp};

/// What is known of the engine's state at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// How many addresses are watched; none: idle.
    pub watched: usize,
    /// The newest block known.
    pub head: Option<BlockNumber>,
    /// When `head` was learnt.
    pub head_at: Option<Timestamp>,
    /// When `head` was made, by the chain.
    #[serde(default)]
    pub head_time: Option<Timestamp>,
    /// The newest block that can be read and since when it has stayed the same although nodes answer, if that is too long.
    #[serde(default)]
    pub head_stalled: Option<(BlockNumber, Timestamp)>,
    /// The newest block taken for final.
    pub last_final: Option<BlockNumber>,
    /// Whether hints come in over a subscription.
    pub hints_live: bool,
    /// When the last sweep to the head was finished.
    pub swept_at: Option<Timestamp>,
    /// How many blocks below the newest one the last sweep ended, because nodes have not come to those above.
    #[serde(default)]
    pub short_by: u64,
    /// Addresses of which some blocks cannot be read, while all else goes on.
    #[serde(default)]
    pub unread: Option<Unread>,
    /// When the next sweep is due.
    #[serde(default)]
    pub sweep_due: Option<Timestamp>,
    /// Deposits in final blocks that could not be settled for long.
    #[serde(default)]
    pub unsettled: Option<Unsettled>,
    /// How many final blocks the furthest-behind address still has to be swept for.
    pub behind_by: u64,
    /// Since when nothing could be read from the chain, and why.
    pub chain_trouble: Option<(Timestamp, String)>,
    /// Since when some of what is in no hurry could not be read, and why: a past, a second reading, a place to begin.
    #[serde(default)]
    pub chain_aside: Option<(Timestamp, String)>,
    /// Since when the final block has not moved although something waits for it.
    pub finality_stalled: Option<Timestamp>,
    /// When the final block last moved back, or else when the engine started: what was final before is looked at again
    /// before it is completed.
    #[serde(default)]
    pub finality_doubted: Option<Timestamp>,
    /// Since when the API could not be used, and why.
    pub api_trouble: Option<(Timestamp, String)>,
    /// Whether the API refused the key, with the HTTP status.
    pub key_refused: Option<u16>,
    pub store_failed: Option<String>,
    /// Why the hot wallet is halted, if it is.
    #[serde(default)]
    pub wallet_halted: Option<String>,
    /// Why a person has paused the hot wallet, if one has.
    #[serde(default)]
    pub wallet_paused: Option<String>,
    /// Whether it runs in shadow mode: nothing is completed, signed, sent or opened.
    #[serde(default)]
    pub shadow: bool,
    /// How many operators must agree, in a line; empty in the sandbox.
    #[serde(default)]
    pub agreement: String,
}

/// Money that cannot be looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// How many addresses it concerns.
    pub addresses: usize,
    pub since: Timestamp,
    /// Why, in words.
    pub why: String,
}

/// Deposits in final blocks that are neither taken for good nor gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsettled {
    pub since: Timestamp,
    /// Why, in words.
    pub why: String,
    /// Whether others were settled meanwhile: then it is these deposits' trouble, and not everybody's.
    pub only_some: bool,
}

/// One part's answer to "is it ready?".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Readiness {
    /// Whether all parts are.
    pub ready: bool,
    /// The chain: `ok`, `idle`, or what is wrong.
    pub chain: String,
    /// The payment API: `ok`, or what is wrong.
    pub api: String,
    /// What of single payments, lists or payouts the payment API does not say although it is asked for, once that has lasted;
    /// everything else goes on.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unanswered: String,
    /// The store: `ok`, or what is wrong.
    pub store: String,
    /// The hot wallet: `ok`, or what keeps it from sending. Watching and completing go on without it.
    #[serde(default)]
    pub wallet: String,
    /// The workers: `ok`, or which one hangs.
    #[serde(default)]
    pub workers: String,
    /// What stands still for some payments only, while all else goes on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<String>,
    /// Whether it runs in shadow mode: nothing is completed, signed, sent or opened. It can be ready all the same.
    #[serde(default)]
    pub shadow: bool,
    /// How many operators must agree before a payment is completed or an order ends.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub agreement: String,
}

/// What the payment API does not say although it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unanswered {
    /// Of how many subjects.
    pub(crate) count: usize,
    /// Since when the oldest is asked for.
    pub(crate) since: Timestamp,
    /// What the oldest is about: a payment's id, or `the list of user u-1`.
    pub(crate) about: String,
    /// What came instead of an answer.
    pub(crate) why: String,
}

/// What the completion of a payment is called among what the API does not say: that it may be called.
pub(crate) fn completion_of(id: &PaymentId) -> String {
    format!("the completion of {id}")
}

/// What the workers that send notices are called, with the endpoint's name behind it.
pub(crate) const NOTIFIER: &str = "notifier";

/// A worker that has not come round for this long hangs: none sleeps for longer than a minute, and every call has a time limit.
const HANGS_AFTER: Span = Span::from_secs(600);

/// Shared by the loops, which write it, and by whoever tells of it.
#[derive(Debug, Default)]
pub struct Health {
    snapshot: Mutex<Snapshot>,
    breaker: Mutex<Weak<CircuitBreaker>>,
    /// When each worker came round last.
    beats: Mutex<BTreeMap<String, Timestamp>>,
    /// What the payment API does not say.
    unanswered: Mutex<InVain>,
    /// The payments whose completion is due and has to wait.
    put_off: Mutex<InVain>,
}

impl Health {
    /// What is known now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut self.snapshot.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A worker has come round.
    pub(crate) fn beat(&self, worker: &str, now: Timestamp) {
        metrics::gauge!("rampwatch_worker_heartbeat_timestamp_seconds", "worker" => worker.to_owned())
            .set(u32::try_from(now.as_secs()).unwrap_or(u32::MAX));
        self.beats.lock().unwrap_or_else(PoisonError::into_inner).insert(worker.to_owned(), now);
    }

    /// The worker that has not come round for longest, if that is too long; one that moves money before one that tells of it.
    fn hung(&self, now: Timestamp) -> Option<(String, Span)> {
        let beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        let hung = beats.iter().filter(|(_, at)| now.since(**at) >= HANGS_AFTER);
        let (worker, at) = hung.min_by_key(|(worker, at)| (worker.starts_with(NOTIFIER), **at))?;
        Some((worker.clone(), now.since(*at)))
    }

    /// Whether the engine does its work, as [`Snapshot::readiness`] says, and whether all of its workers come round.
    #[must_use]
    pub fn readiness(&self, now: Timestamp, lag: Span) -> Readiness {
        let mut readiness = self.snapshot().readiness(now, lag);
        readiness.unanswered = match self.unanswered(now) {
            Some(told) if now.since(told.since) > lag => {
                let (count, lasts_s) = (told.count, now.since(told.since).as_secs());
                format!(
                    "{count} question(s) to the payment API without an answer that can be used, for up to {lasts_s} s: {}",
                    told.why
                )
            }
            Some(_) | None => String::new(),
        };
        let waiting = self.waiting();
        if let Some((count, _, trouble)) = waiting.oldest(now).filter(|(.., oldest)| now.since(oldest.since) > lag) {
            let (lasts_s, why) = (now.since(trouble.since).as_secs(), &trouble.why);
            readiness.troubles.push(format!("{count} due completion(s) have to wait, for up to {lasts_s} s: {why}"));
        }
        drop(waiting);
        if let Some((worker, silent)) = self.hung(now) {
            // Money moves on without notices.
            readiness.ready &= worker.starts_with(NOTIFIER);
            readiness.workers = format!("the {worker} has not come round for {} s", silent.as_secs());
        }
        readiness
    }

    /// The engine that runs calls the API through this gate.
    pub(crate) fn set_breaker(&self, breaker: &Arc<CircuitBreaker>) {
        *self.breaker.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(breaker);
    }

    /// The circuit breaker to the API of the engine that runs, if one does.
    pub(crate) fn breaker(&self) -> Option<Arc<CircuitBreaker>> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    /// The API answered. `key_is_good`: for all kinds of calls, as far as is known.
    pub(crate) fn api_worked(&self, key_is_good: bool) {
        self.update(|health| {
            health.api_trouble = None;
            if key_is_good {
                health.key_refused = None;
            }
        });
    }

    fn troubles(&self) -> MutexGuard<'_, InVain> {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, InVain> {
        self.put_off.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A completion is due, and has to wait.
    pub(crate) fn completion_waits(&self, id: &PaymentId, now: Timestamp, why: &str) {
        self.waiting().note(id.as_str(), now, why);
    }

    /// A completion does not wait any more.
    pub(crate) fn completion_goes_on(&self, id: &PaymentId, now: Timestamp) {
        self.waiting().over(id.as_str(), now);
    }

    /// The API was asked for something, and what came is no use.
    pub(crate) fn api_unanswered(&self, about: &str, now: Timestamp, why: &str) {
        match self.troubles().note(about, now, why) {
            Some(0..MOST_LOGGED) => tracing::warn!(about, why, "the payment API's answer is no use; asked again"),
            Some(MOST_LOGGED) => {
                tracing::warn!(about, why, "the payment API's answers are no use; no further one is named here");
            }
            Some(_) | None => {}
        }
    }

    /// The API has said what it was asked for.
    pub(crate) fn api_answered(&self, about: &str, now: Timestamp) {
        if let Some(lasted) = self.troubles().over(about, now) {
            tracing::info!(about, lasted_s = lasted.as_secs(), "the payment API's answer can be used again");
        }
    }

    /// What the API does not say although it is asked for more than once.
    pub(crate) fn unanswered(&self, now: Timestamp) -> Option<Unanswered> {
        let troubles = self.troubles();
        let found = troubles.oldest(now);
        let count = found.as_ref().map_or(0, |(count, ..)| *count);
        metrics::gauge!("rampwatch_api_unanswered").set(u32::try_from(count).unwrap_or(u32::MAX));
        let (count, about, trouble) = found?;
        Some(Unanswered { count, since: trouble.since, about: about.to_owned(), why: trouble.why.clone() })
    }

    /// Since when the API does not say what it is asked for of this payment, and why.
    pub(crate) fn unanswered_of(&self, id: &PaymentId, now: Timestamp) -> Option<(Timestamp, String)> {
        let troubles = self.troubles();
        let found = troubles.of(id.as_str(), now).or_else(|| troubles.of(&completion_of(id), now));
        found.map(|trouble| (trouble.since, trouble.why.clone()))
    }

    /// The clock was set back: no moment is later than now.
    pub(crate) fn clock_set_back(&self, now: Timestamp) {
        self.troubles().clock_set_back(now);
        self.waiting().clock_set_back(now);
        let capped = |at: Option<Timestamp>| at.map(|at| at.min(now));
        self.update(|health| {
            health.head_at = capped(health.head_at);
            health.head_stalled = health.head_stalled.map(|(head, since)| (head, since.min(now)));
            health.swept_at = capped(health.swept_at);
            health.finality_stalled = capped(health.finality_stalled);
            health.finality_doubted = capped(health.finality_doubted);
            health.sweep_due = capped(health.sweep_due);
            let told = health.chain_trouble.iter_mut().chain(&mut health.api_trouble);
            for (since, _) in told.chain(&mut health.chain_aside) {
                *since = (*since).min(now);
            }
            if let Some(unsettled) = &mut health.unsettled {
                unsettled.since = unsettled.since.min(now);
            }
        });
    }

    pub(crate) fn api_failed(&self, now: Timestamp, why: &str) {
        self.update(|health| {
            let since = health.api_trouble.as_ref().map_or(now, |(since, _)| *since);
            health.api_trouble = Some((since, why.to_owned()));
        });
    }
}

/// The most answers of no use that are logged one by one while they last.
const MOST_LOGGED: usize = 8;

/// A newest block that is older than this is worth a word.
const OLD_HEAD: Span = Span::from_secs(300);

impl Snapshot {
    /// Whether the engine does its work. The chain may lag by `lag` before it counts as not ready.
    #[must_use]
    pub fn readiness(&self, now: Timestamp, lag: Span) -> Readiness {
        let for_secs = |since: Timestamp| now.since(since).as_secs();
        // Between two sweeps that are due nothing is stale.
        let fresh_until = self.swept_at.map(|at| at.max(self.sweep_due.unwrap_or(at)).plus(lag));
        let stale = fresh_until.is_none_or(|until| now > until);
        let failing = self.chain_trouble.as_ref().filter(|(since, _)| stale || now.since(*since) > lag);
        let unsettled = self.unsettled.as_ref().filter(|unsettled| !unsettled.only_some);
        let chain = match (failing, self.head_stalled, self.finality_stalled, unsettled) {
            _ if self.watched == 0 => "idle".to_owned(),
            (Some((since, why)), ..) => format!("not read for {} s: {why}", for_secs(*since)),
            (_, Some((head, since)), ..) => {
                format!("the newest block that can be read, {head}, has stayed the same for {} s", for_secs(since))
            }
            (.., Some(since), _) => format!("the final block has not moved for {} s", for_secs(since)),
            (.., Some(Unsettled { since, why, .. })) => {
                format!("deposits in final blocks have not been settled for {} s: {why}", for_secs(*since))
            }
            _ if stale && self.short_by > 0 => format!("the newest {} blocks cannot be read", self.short_by),
            _ if stale => "not swept yet, or not for too long".to_owned(),
            _ => "ok".to_owned(),
        };
        let api = match (self.key_refused, &self.api_trouble) {
            (Some(status), _) => format!("the key was refused with HTTP {status}"),
            (None, Some((since, why))) if now.since(*since) > lag => {
                format!("not usable for {} s: {why}", now.since(*since).as_secs())
            }
            (None, _) => "ok".to_owned(),
        };
        let store = self.store_failed.clone().unwrap_or_else(|| "ok".to_owned());
        let chain_ready = chain == "ok" || chain == "idle";
        let wallet = match (&self.wallet_halted, &self.wallet_paused) {
            (Some(why), _) => format!("halted: {why}"),
            (None, Some(reason)) => format!("paused: {reason}"),
            (None, None) => "ok".to_owned(),
        };
        let (shadow, agreement) = (self.shadow, self.agreement.clone());
        let ready = chain_ready && api == "ok" && store == "ok";
        let (workers, troubles, unanswered) = ("ok".to_owned(), self.troubles(now, lag), String::new());
        Readiness { ready, chain, api, unanswered, store, wallet, workers, troubles, shadow, agreement }
    }

    /// What stands still for some only.
    fn troubles(&self, now: Timestamp, lag: Span) -> Vec<String> {
        let unread = self.unread.as_ref().map(|unread| {
            let Unread { addresses, since, why } = unread;
            format!("blocks of {addresses} addresses cannot be read for {} s: {why}", now.since(*since).as_secs())
        });
        let aside = self.chain_aside.as_ref().filter(|(since, _)| now.since(*since) > lag);
        let aside = aside
            .map(|(since, why)| format!("some blocks wait to be read for {} s: {why}", now.since(*since).as_secs()));
        let old = self.head_time.filter(|made_at| self.watched > 0 && now.since(*made_at) > OLD_HEAD);
        let old = old.map(|made_at| {
            format!(
                "the newest block is {} s old: the nodes lag, or this machine's clock is ahead",
                now.since(made_at).as_secs()
            )
        });
        let unsettled = self.unsettled.as_ref().filter(|unsettled| unsettled.only_some).map(|unsettled| {
            let Unsettled { since, why, .. } = unsettled;
            format!("some deposits in final blocks have not been settled for {} s: {why}", now.since(*since).as_secs())
        });
        unread.into_iter().chain(unsettled).chain(aside).chain(old).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is ready, and what is said of the workers, so many seconds after the epoch.
    fn told(health: &Health, secs: u64) -> (bool, String) {
        let readiness = health.readiness(Timestamp::from_secs(secs), Span::from_secs(60));
        (readiness.ready, readiness.workers)
    }

    /// groundsada/rucio-sense-dmm#18, Zipstack/unstract#2051: a process that answers, and a worker in it that has died or hangs.
    #[test]
    fn a_worker_that_does_not_come_round_is_named() {
        let health = Health::default();
        let (start, hangs) = (Timestamp::from_secs(1_000), 1_000 + HANGS_AFTER.as_secs());
        health.beat("completer", start);
        health.beat("notifier chat", start);
        assert_eq!(told(&health, hangs - 1), (true, "ok".to_owned()));
        // What moves money is named before what tells of it.
        assert_eq!(told(&health, hangs), (false, "the completer has not come round for 600 s".to_owned()));
        health.beat("completer", Timestamp::from_secs(hangs));
        assert_eq!(told(&health, hangs), (true, "the notifier chat has not come round for 600 s".to_owned()));
        health.beat("notifier chat", Timestamp::from_secs(hangs));
        assert_eq!(told(&health, hangs), (true, "ok".to_owned()));
    }

    /// One deposit that cannot be settled is that deposit's trouble: what routes to others by readiness goes on.
    #[test]
    fn deposits_that_are_not_settled_are_everybodys_trouble_only_while_none_is() {
        let at = Timestamp::from_secs;
        let healthy = Snapshot { watched: 1, swept_at: Some(at(1_000)), ..Snapshot::default() };
        for (only_some, ready) in [(false, false), (true, true)] {
            let unsettled = Some(Unsettled { since: at(900), why: "block 7: it is gone".to_owned(), only_some });
            let told = Snapshot { unsettled, ..healthy.clone() }.readiness(at(1_001), Span::from_secs(60));
            let said = if ready { told.troubles.join("") } else { told.chain.clone() };
            assert!(said.contains("not been settled for 101 s: block 7: it is gone"), "{told:?}");
            assert_eq!((told.ready, told.chain == "ok"), (ready, ready));
        }
    }
}
