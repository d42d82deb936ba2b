//! Asks the API after payments that wait, are followed or are with a person, at a rate that slows down, and records
//! what it says. Deliberately absent: calls that change something there.

use crate::domain::payment::{Payment, PaymentId};
use crate::domain::time::Timestamp;
use crate::engine::Shared;
use crate::engine::api_facts::record;
use crate::engine::circuit_breaker::{CallKind, Permit};
use crate::engine::worker::Queue;
use crate::ports::store::{Lane, StoreError};

pub(crate) struct Reconciler(Shared);

impl Reconciler {
    pub(crate) fn new(shared: &Shared) -> Self {
        Self(shared.clone())
    }
}

impl Queue for Reconciler {
    type Item = Payment;
    type Key = PaymentId;

    const NAME: &'static str = "reconciler";
    const CALLS: CallKind = CallKind::Get;
    const BATCH: usize = 256;

    fn key(payment: &Payment) -> PaymentId {
        payment.id.clone()
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Payment>, StoreError> {
        self.0.ports.store.due(Lane::Follow, now, limit).await
    }

    async fn next_due(&self, _: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.0.breaker.once_closed(CallKind::Get, self.0.ports.store.next_due(Lane::Follow).await?))
    }

    fn at_once(&self) -> usize {
        self.0.breaker.window_for_questions()
    }

    async fn work(&self, payment: Payment, _: Permit) -> Result<(), StoreError> {
        let asked_at = self.0.ports.clock.now();
        let answer = self.0.ports.api.payment(&payment.id).await;
        let answer = self.0.breaker.learn(CallKind::Get, payment.id.as_str(), answer).await?;
        record(&self.0.addresses, &payment, answer, &self.0.settings.chain_name, asked_at).await
    }
}
