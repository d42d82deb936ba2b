//! Keeps one subscription connection alive while somebody is watched, and says so when it can't.
//!
//! What it tells are hints. Its care goes into never being silently deaf: a connection that ends, brings no heads,
//! loses messages or can't be understood is reported as a gap, and made anew, on the next endpoint if there is one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep_until};

use crate::ports::chain::{Hint, WatchSet};

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
}

enum End {
    /// Nobody is watched any more.
    Idle,
    /// Nobody listens any more.
    Over,
    /// The connection was not made, or is gone.
    Lost { why: String, was_live: bool, was_stable: bool },
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
            tracing::warn!(endpoint = %endpoint.name, error = %why, was_live, "no websocket subscription");
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
        if self.remade {
            self.hints.push(Hint::Gap { why: "the subscription was made anew".to_owned() });
        }
        (self.remade, self.down) = (true, false);
        self.hints.push(Hint::Live);
        tracing::info!(endpoint = %endpoint.name, recipients = set.recipients.len(), "subscribed");
        let since = Instant::now();
        let mut last_head = since;
        let mut settled = since;
        loop {
            let lost = |why: String| {
                let was_stable = last_head > since && since.elapsed() >= STABLE;
                End::Lost { why, was_live: true, was_stable }
            };
            let silent = last_head.checked_add(self.silence_timeout).unwrap_or(last_head);
            tokio::select! {
                push = subscription.next() => match push {
                    Push::Closed => return lost("the websocket connection ended".to_owned()),
                    _ if self.pool.is_excluded(endpoint) => return lost("the endpoint is excluded".to_owned()),
                    Push::Head(head) => {
                        if let Err(failure) = self.pool.believe(endpoint, &head) {
                            endpoint.failed(&failure);
                            return lost(failure.text);
                        }
                        if endpoint.conduct.is_stalled() {
                            return lost("its heads have lagged behind those of others for long".to_owned());
                        }
                        last_head = Instant::now();
                        self.hints.push(Hint::Head(head));
                    }
                    other => self.tell(other),
                },
                () = sleep_until(silent) => {
                    return lost(format!("no new head for {} ms", self.silence_timeout.as_millis()));
                }
                changed = changed(&mut self.sets, settled) => {
                    if !changed {
                        return End::Over;
                    }
                    let set = self.sets.borrow_and_update().clone();
                    if is_empty(&set) {
                        return End::Idle;
                    }
                    if let Err(failure) = subscription.apply(&set).await {
                        return lost(format!("the subscription could not be changed: {}", failure.text));
                    }
                    self.hints.push(Hint::Live);
                    let now = Instant::now();
                    settled = now.checked_add(SETTLE).unwrap_or(now);
                }
            }
        }
    }

    fn tell(&self, push: Push) {
        let hint = match push {
            Push::Head(head) => Hint::Head(head),
            Push::Transfer(block) => Hint::Transfer { block },
            Push::Lost(count) => Hint::Gap { why: format!("{count} pushed messages were lost: they came too fast") },
            Push::Unreadable(why) => Hint::Gap { why },
            Push::Closed => Hint::Gap { why: "the websocket connection ended".to_owned() },
        };
        self.hints.push(hint);
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
