//! Asks the API after payments that wait, are followed or are with a person, at a rate that slows down, and records
//! what it says. Deliberately absent: calls that change something there.

use std::sync::Arc;

use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use super::api_facts::{note_failure, record, wait_for};
use super::circuit_breaker::{CallKind, CircuitBreaker, Permit};
use super::health::Health;
use super::ledger::Ledger;
use super::put_aside::PutAside;
use super::{EngineError, EngineSettings, Ports};
use crate::domain::payment::{Payment, PaymentId};
use crate::domain::time::Span;
use crate::ports::store::{Lane, StoreError};

/// How many due payments are taken up at once.
const BATCH: usize = 256;

/// For how many rounds of questions the number that may be under way is kept to.
const ROUNDS: usize = 4;

/// The least wait while a payment that is due was put aside.
const BREATH: Span = Span::from_secs(1);

pub(crate) struct Reconciler {
    pub(crate) ports: Ports,
    pub(crate) settings: Arc<EngineSettings>,
    pub(crate) ledger: Ledger,
    pub(crate) breaker: Arc<CircuitBreaker>,
    pub(crate) health: Arc<Health>,
}

impl Reconciler {
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), EngineError> {
        let mut changes = self.ports.store.changes();
        let mut aside: PutAside<PaymentId> = PutAside::default();
        loop {
            self.health.beat("reconciler", self.ports.clock.now());
            changes.mark_unchanged();
            let limit = BATCH.saturating_add(aside.len());
            let mut due = self.ports.store.due(Lane::Follow, self.ports.clock.now(), limit).await?;
            due.retain(|payment| !aside.contains(&payment.id));
            let permit = if due.is_empty() { Permit::None } else { self.breaker.permit(CallKind::Get) };
            match permit {
                Permit::All => {}
                Permit::Probe => due.truncate(1),
                Permit::None => due.clear(),
            }
            if due.is_empty() {
                let wait = wait_for(&*self.ports.store, Lane::Follow, &self.breaker, self.ports.clock.now()).await?;
                // What was put aside stays due, and would make the wait none at all.
                let wait = if aside.len() == 0 { wait } else { wait.max(BREATH) };
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ok(()),
                    _ = changes.changed() => {}
                    () = self.ports.clock.sleep(wait) => {}
                }
                continue;
            }
            let window = self.breaker.window_for_questions();
            due.truncate(window.saturating_mul(ROUNDS));
            let this = &self;
            let asking =
                due.into_iter().map(|payment| async move { (payment.id.clone(), this.ask(payment, permit).await) });
            let mut asked = futures_util::stream::iter(asking).buffer_unordered(window);
            while let Some((id, result)) = asked.next().await {
                note_failure(&self.health, aside.settle(&id, result))?;
                if stop.is_cancelled() {
                    return Ok(());
                }
            }
        }
    }

    async fn ask(&self, payment: Payment, permit: Permit) -> Result<(), StoreError> {
        // The breaker may have opened since the batch was taken up.
        if permit == Permit::All && self.breaker.open_until(CallKind::Get).is_some() {
            return Ok(());
        }
        let asked_at = self.ports.clock.now();
        let answer = self.ports.api.payment(&payment.id).await;
        let answer = self.breaker.learn(CallKind::Get, payment.id.as_str(), answer).await?;
        record(&self.ledger, &payment, answer, &self.settings.chain_name, asked_at).await
    }
}
