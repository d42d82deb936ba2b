//! Keeps one subscription connection alive while somebody is watched, and says so when it can't.
//!
//! What it tells are hints. Its care goes into never being silently deaf: a connection that ends, brings no heads,
//! loses messages or can't be understood is reported as a gap, and made anew, on the next endpoint if there is one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep_until};

use crate::ports::chain::{EndpointId, Hint, WatchSet};

use super::abilities::Ability;
use super::endpoint::Endpoint;
use super::hints::HintQueue;
use super::pool::Pool;
use super::settings::CoolDown;
use super::subscription::{Push, Subscription};

/// A connection that lived shorter than this counts as a failure, so that one that is always cut is not made in a
/// tight loop.
const STABLE: Duration = Duration::from_secs(10);
/// Changes of the set are gathered for this long after one was carried out.
const SETTLE: Duration = Duration::from_millis(100);

/// The supervisor's knowledge.
pub(super) struct Supervisor {
    pub(super) pool: Arc<Pool>,
    pub(super) hints: Arc<HintQueue>,
    pub(super) sets: Receiver<WatchSet>,
    pub(super) silence_timeout: Duration,
    pub(super) cool_down: CoolDown,
    /// Whether hints may have been missed since the last working subscription.
    pub(super) remade: bool,
    /// Whether it was said that there is no working subscription.
    pub(super) down: bool,
    /// Why each endpoint's last connection ended, as it was told: the same again is counted, and not told again.
    pub(super) told: BTreeMap<EndpointId, String>,
}

enum End {
    /// Nobody is watched any more.
    Idle,
    /// Nobody listens any more.
    Over,
    /// The connection was not made, or is gone.
    Lost { why: String, was_live: bool, was_stable: bool },
}

/// What is known of one connection.
struct Session {
    since: Instant,
    /// When its last believable head came; `since` before there was one.
    last_head: Instant,
    /// Whether it was said to work.
    is_live: bool,
    /// Why the last message could not be read.
    unread: Option<String>,
    recipients: usize,
}

impl Session {
    fn begun(recipients: usize) -> Self {
        let since = Instant::now();
        Self { since, last_head: since, is_live: false, unread: None, recipients }
    }
}

impl Supervisor {
    /// Runs until the other side of `sets` is dropped.
    pub(super) async fn run(mut self) {
        let endpoints: Vec<Arc<Endpoint>> =
            self.pool.endpoints.iter().filter(|endpoint| endpoint.has_ws()).cloned().collect();
        let mut order = endpoints.iter().cycle();
        let (mut tries, mut failures): (usize, u32) = (0, 0);
        loop {
            if is_empty(&self.sets.borrow_and_update()) {
                (self.remade, self.down, tries, failures) = (false, false, 0, 0);
                if self.sets.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let Some(endpoint) = order.next() else { return };
            if self.pool.is_excluded(endpoint) {
                tries = tries.saturating_add(1);
                let why = "every endpoint with a ws URL is excluded".to_owned();
                if tries.checked_rem(endpoints.len()) == Some(0) && !self.rest(self.cool_down.longest, why).await {
                    return;
                }
                continue;
            }
            let (why, was_live, was_stable) = match self.session(endpoint).await {
                End::Idle => continue,
                End::Over => return,
                End::Lost { why, was_live, was_stable } => (why, was_live, was_stable),
            };
            self.tell_end(endpoint, &why, was_stable);
            let why = format!("{:?}: {why}", endpoint.name);
            if was_live {
                self.remade = true;
                self.hints.push(Hint::Gap { why: why.clone() });
            }
            if was_stable {
                (tries, failures) = (0, 0);
                continue;
            }
            tries = tries.saturating_add(1);
            if tries < endpoints.len() {
                continue;
            }
            (tries, failures) = (0, failures.saturating_add(1));
            if !self.rest(self.cool_down.after(failures), why).await {
                return;
            }
        }
    }

    /// Tells why a connection ended, once for each reason until one has held.
    fn tell_end(&mut self, endpoint: &Endpoint, why: &str, was_stable: bool) {
        metrics::counter!("rampwatch_subscription_ends_total", "endpoint" => endpoint.name.clone()).increment(1);
        if was_stable {
            self.told.remove(&endpoint.id);
        }
        let last = self.told.insert(endpoint.id, why.to_owned());
        if last.as_deref() != Some(why) {
            tracing::warn!(endpoint = %endpoint.name, error = why, "no websocket subscription");
        }
    }

    /// Waits before all endpoints are tried again. False when nobody listens any more.
    async fn rest(&mut self, time: Duration, why: String) -> bool {
        if !std::mem::replace(&mut self.down, true) {
            self.hints.push(Hint::Down { why });
        }
        let now = Instant::now();
        let until = now.checked_add(time).unwrap_or(now);
        loop {
            tokio::select! {
                () = sleep_until(until) => return true,
                changed = self.sets.changed() => {
                    if changed.is_err() {
                        return false;
                    }
                    if is_empty(&self.sets.borrow()) {
                        return true;
                    }
                }
            }
        }
    }

    /// One connection, from its making to its end.
    async fn session(&mut self, endpoint: &Arc<Endpoint>) -> End {
        let set = self.sets.borrow_and_update().clone();
        let mut subscription = match Subscription::open(Arc::clone(endpoint), &set).await {
            Ok(subscription) => subscription,
            Err(failure) => {
                if failure.class.contradicts() {
                    endpoint.conduct.contradicts(&failure.text);
                }
                return End::Lost { why: failure.text, was_live: false, was_stable: false };
            }
        };
        let mut session = Session::begun(set.recipients.len());
        // After connections that came to nothing, one that was taken is not one that works: its first head says so.
        if !self.down {
            self.works(endpoint, &mut session);
        }
        let mut settled = session.since;
        loop {
            let silent = session.last_head.checked_add(self.silence_timeout).unwrap_or(session.last_head);
            let lost = tokio::select! {
                push = subscription.next() => self.heard(push, &subscription, endpoint, &mut session),
                () = sleep_until(silent) => {
                    let unread = session.unread.take().map(|why| format!("; what came could not be read: {why}"));
                    let time = self.silence_timeout.as_millis();
                    Some(format!("no new head for {time} ms{}", unread.unwrap_or_default()))
                }
                changed = changed(&mut self.sets, settled) => {
                    if !changed {
                        return End::Over;
                    }
                    let set = self.sets.borrow_and_update().clone();
                    if is_empty(&set) {
                        return End::Idle;
                    }
                    let applied = subscription.apply(&set).await;
                    if session.is_live && applied.is_ok() {
                        self.hints.push(Hint::Live);
                    }
                    let now = Instant::now();
                    settled = now.checked_add(SETTLE).unwrap_or(now);
                    session.recipients = set.recipients.len();
                    applied.err().map(|failure| format!("the subscription could not be changed: {}", failure.text))
                }
            };
            if let Some(why) = lost {
                let was_stable = session.last_head > session.since && session.since.elapsed() >= STABLE;
                return End::Lost { why, was_live: session.is_live, was_stable };
            }
        }
    }

    /// Tells what was pushed. Returns why the connection is to be given up, if it is.
    fn heard(
        &mut self,
        push: Push,
        subscription: &Subscription,
        endpoint: &Arc<Endpoint>,
        session: &mut Session,
    ) -> Option<String> {
        let hint = match push {
            Push::Closed => return Some(subscription.why_closed()),
            _ if self.pool.is_excluded(endpoint) => return Some("the endpoint is excluded".to_owned()),
            Push::Head(head) => {
                if let Err(failure) = self.pool.believe(endpoint, &head) {
                    endpoint.failed(Ability::Blocks, &failure);
                    return Some(failure.text);
                }
                if endpoint.conduct.is_stalled() {
                    return Some("its heads have lagged behind those of others for long".to_owned());
                }
                session.last_head = Instant::now();
                if !session.is_live {
                    self.works(endpoint, session);
                }
                Hint::Head(head)
            }
            Push::Transfer(block) => Hint::Transfer { block },
            Push::Lost(count) => Hint::Gap { why: format!("{count} pushed messages were lost: they came too fast") },
            Push::Unreadable(why) => {
                session.unread = Some(why.clone());
                Hint::Gap { why }
            }
        };
        self.hints.push(hint);
        None
    }

    /// Says that the subscription works.
    fn works(&mut self, endpoint: &Endpoint, session: &mut Session) {
        if self.remade {
            self.hints.push(Hint::Gap { why: "the subscription was made anew".to_owned() });
        }
        (self.remade, self.down, session.is_live) = (true, false, true);
        self.hints.push(Hint::Live);
        tracing::info!(endpoint = %endpoint.name, recipients = session.recipients, "subscribed");
    }
}

/// Waits for a change of the set, but not before `settled`. False when nobody listens any more. Safe to drop: a change
/// is marked as seen only by reading the set.
async fn changed(sets: &mut Receiver<WatchSet>, settled: Instant) -> bool {
    sleep_until(settled).await;
    sets.changed().await.is_ok()
}

fn is_empty(set: &WatchSet) -> bool {
    set.recipients.is_empty() || set.tokens.is_empty()
}
