//! Calls to the payment API that are made because somebody asks for them: each name may ask only so often, and all of them pass
//! the circuit breaker, where an engine runs. Once an open circuit breaker's time has come, one of them may be its probe.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::actor::Actor;
use crate::engine::circuit_breaker::{CallKind, Permit};
use crate::policy::requests::{Bucket, Demand, take};
use crate::ports::payment_api::{Answer, ApiError};
use crate::service::operator_service::{OperatorError, OperatorService};
use crate::view::moment;

/// What each name has left. There are as many names as tokens.
#[derive(Clone, Debug, Default)]
pub(crate) struct Demands(Arc<Mutex<BTreeMap<(Actor, Demand), Bucket>>>);

impl OperatorService {
    /// Counts one more request of this kind of whoever asks.
    ///
    /// # Errors
    /// [`OperatorError::TooMany`]; nothing was asked for.
    pub(crate) fn count(&self, demand: Demand) -> Result<(), OperatorError> {
        let now = self.clock.now();
        let mut buckets = self.demands.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (self.actor.clone(), demand);
        let bucket = take(buckets.get(&key).copied(), demand, now).map_err(|retry_after| OperatorError::TooMany {
            what: demand.words(),
            who: self.actor.clone(),
            retry_after,
        })?;
        buckets.insert(key, bucket);
        Ok(())
    }

    /// The answer to a call about `about`, through the circuit breaker.
    ///
    /// # Errors
    /// The breaker is open, and nothing was called; or the store fails.
    pub(crate) async fn through_gate<T: Send>(
        &self,
        about: &str,
        call: impl Future<Output = Answer<T>> + Send,
    ) -> Result<Answer<T>, OperatorError> {
        let Some(breaker) = self.health.breaker() else { return Ok(call.await) };
        // Once its time has come, this call is the probe: there may be no payment that is asked about.
        let open_until = breaker.open_until(CallKind::Get).filter(|_| breaker.permit(CallKind::Get) == Permit::None);
        if let Some(until) = open_until {
            let status =
                self.health.snapshot().key_refused.map_or_else(String::new, |status| format!(" (HTTP {status})"));
            let detail = format!(
                "the payment API refused the key{status} and is left alone until {}: see that the key is valid",
                moment(until)
            );
            let retry_after = Some(until.since(self.clock.now()));
            return Ok(Err(ApiError::NotNow { detail, retry_after }));
        }
        // Whether the key is good for questions says whether it is good at all: what else it may not do is this call's own.
        Ok(breaker.learn(CallKind::Get, about, call.await).await?)
    }
}
