//! How well an endpoint is: what makes it rest, what makes others go first, and what is told of it.

use tokio::time::Instant;

use crate::domain::chain::BlockNumber;

use super::super::abilities::Ability;
use super::super::classify::Class;
use super::super::failure::Failure;
use super::Endpoint;

impl Endpoint {
    /// Until when it rests, if it does.
    pub(in super::super) fn rests_until(&self) -> Option<Instant> {
        self.state().cool_until.filter(|&until| until > Instant::now())
    }

    /// Whether it lately had not got a block that it was asked about.
    pub(in super::super) fn is_lagging(&self) -> bool {
        self.state().lagging_until.is_some_and(|until| until > Instant::now())
    }

    /// Whether it failed lately in what it is to be asked for.
    pub(in super::super) fn is_failing(&self, at: Ability) -> bool {
        self.state().abilities.is_failing(at)
    }

    /// Whether it has said lately that it no longer has the logs of this block.
    pub(in super::super) fn lacks_logs_of(&self, block: BlockNumber) -> bool {
        self.state().abilities.lacks_logs_of(block)
    }

    /// It has said so.
    pub(in super::super) fn has_no_logs_of(&self, block: BlockNumber) {
        self.state().abilities.has_no_logs_of(block);
        metrics::gauge!("rampwatch_rpc_no_logs_before", "endpoint" => self.name.clone())
            .set(u32::try_from(block.saturating_add(1)).unwrap_or(u32::MAX));
    }

    /// Whether its head has lagged for so long that it has no say.
    pub(in super::super) fn is_stalled(&self) -> bool {
        self.conduct.is_stalled()
    }

    /// It shows this head, which was believed.
    pub(in super::super) fn showed(&self, number: u64, highest: u64) {
        self.conduct.showed(number, highest);
    }

    /// Whether it is on another chain: no rest changes that.
    pub(in super::super) fn is_shut_out(&self) -> bool {
        self.contradiction().is_some() || self.identity.contradiction(self.id).is_some()
    }

    /// The chain it says it is on, when that is the wrong one.
    pub(in super::super) fn contradiction(&self) -> Option<u64> {
        self.state().contradiction
    }

    /// Its last failure, in words.
    pub(in super::super) fn last_failure(&self) -> Option<String> {
        self.state().last_failure.clone()
    }

    /// It answered well when it was asked for this.
    pub(in super::super) fn worked(&self, at: Ability) {
        let mut state = self.state();
        state.failures = 0;
        state.cool_until = None;
        state.last_failure = None;
        state.abilities.worked(at);
        drop(state);
        self.conduct.worked();
    }

    /// It did not. What a node answered is about what it was asked for: others go first in that for a while. What kept it from
    /// answering makes it rest. A node that is behind, or no longer has what is so old, has done nothing wrong.
    pub(in super::super) fn failed(&self, at: Ability, failure: &Failure) {
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
        if failure.is_about_the_question() {
            if failure.class != Class::NoHistory {
                state.abilities.failed(at, &self.cool_down);
            }
            // Another node may stand behind the address now.
            state.doubted |= failure.class == Class::Garbage;
            let tells = state.abilities.tells(Some(at), failure.class);
            drop(state);
            let (endpoint, at, class, error) = (&self.name, at.name(), failure.class.name(), &failure.text);
            match tells {
                Some(repeated) => {
                    tracing::warn!(%endpoint, at, class, %error, repeated, "an RPC endpoint does not answer this; it is used for the rest");
                }
                None => tracing::debug!(%endpoint, at, class, %error, "an RPC endpoint still does not answer this"),
            }
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
        let tells = state.abilities.tells(None, failure.class);
        drop(state);
        let (endpoint, class, error, rest_ms) = (&self.name, failure.class.name(), &failure.text, rest.as_millis());
        match tells {
            Some(repeated) => tracing::warn!(%endpoint, class, %error, rest_ms, repeated, "an RPC endpoint failed"),
            None => tracing::debug!(%endpoint, class, %error, rest_ms, "an RPC endpoint failed again"),
        }
    }

    /// Notes how it did. What a node answered says nothing against the endpoint.
    pub(in super::super) fn note<T>(&self, at: Ability, result: &Result<T, Failure>) {
        match result {
            Ok(_) => self.worked(at),
            Err(failure) if failure.is_an_answer() => {}
            Err(failure) => self.failed(at, failure),
        }
    }
}
