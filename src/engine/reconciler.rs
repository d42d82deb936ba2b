//! Asks the API after payments that wait, are followed or are with a person, at a rate that slows down, and records
//! what it says. Deliberately absent: calls that change something there.

use std::sync::Arc;

use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use super::gate::{ApiGate, Asked, Pass};
use super::health::Health;
use super::hearing::{note_failure, record, wait_for};
use super::ledger::Ledger;
use super::{EngineError, EngineSettings, Ports};
use crate::domain::payment::Payment;
use crate::ports::store::{Lane, StoreError};

/// How many due payments are taken up at once.
const BATCH: usize = 256;

/// For how many rounds of questions the number that may be under way is kept to.
const ROUNDS: usize = 4;

pub(crate) struct Reconciler {
    pub(crate) ports: Ports,
    pub(crate) settings: Arc<EngineSettings>,
    pub(crate) ledger: Ledger,
    pub(crate) gate: Arc<ApiGate>,
    pub(crate) health: Arc<Health>,
}

impl Reconciler {
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), EngineError> {
        let mut changes = self.ports.store.changes();
        loop {
            changes.mark_unchanged();
            let mut due = self.ports.store.due(Lane::Follow, self.ports.clock.now(), BATCH).await?;
            let pass = if due.is_empty() { Pass::None } else { self.gate.pass(Asked::Get) };
            match pass {
                Pass::All => {}
                Pass::Probe => due.truncate(1),
                Pass::None => due.clear(),
            }
            if due.is_empty() {
                let wait = wait_for(&*self.ports.store, Lane::Follow, &self.gate, self.ports.clock.now()).await?;
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ok(()),
                    _ = changes.changed() => {}
                    () = self.ports.clock.sleep(wait) => {}
                }
                continue;
            }
            let window = self.gate.window_for_questions();
            due.truncate(window.saturating_mul(ROUNDS));
            let asking = due.into_iter().map(|payment| self.ask(payment, pass));
            let mut asked = futures_util::stream::iter(asking).buffer_unordered(window);
            while let Some(result) = asked.next().await {
                note_failure(&self.health, result)?;
                if stop.is_cancelled() {
                    return Ok(());
                }
            }
        }
    }

    async fn ask(&self, payment: Payment, pass: Pass) -> Result<(), StoreError> {
        // The gate may have shut since the batch was taken up.
        if pass == Pass::All && self.gate.shut_until(Asked::Get).is_some() {
            return Ok(());
        }
        let asked_at = self.ports.clock.now();
        let answer = self.ports.api.payment(&payment.id).await;
        self.gate.learn(Asked::Get, &answer).await?;
        record(&self.ledger, &payment, answer, &self.settings.chain_name, asked_at).await
    }
}
