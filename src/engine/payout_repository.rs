//! Changes payouts: reads, lets the policy decide, commits; again while somebody else is quicker.

use std::sync::Arc;

use super::{EngineSettings, Ports};
use crate::domain::event::{Event, EventKind};
use crate::domain::payment::{PaymentId, PayoutReference};
use crate::domain::payout::{Payout, PayoutState};
use crate::domain::record::{Record, RecordBody, RecordKey, RecordKind};
use crate::domain::time::Timestamp;
use crate::engine::transaction::Tries;
use crate::policy::payment_machine::Unexpected;
use crate::policy::payout_machine::{PayoutContext, PayoutFact, PayoutStep, UnexpectedPayout, step};
use crate::policy::retry::Jitter;
use crate::ports::clock::{Chance, Clock};
use crate::ports::store::{Commit, Store, StoreError};

/// A payout and the record that it is kept in.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) payout: Payout,
    pub(crate) version: u64,
    pub(crate) next_at: Option<Timestamp>,
}

impl Kept {
    /// The payout in this record; `None` when it is another kind of record.
    pub(crate) fn of(record: Record) -> Option<Self> {
        let RecordBody::Payout(payout) = record.body else { return None };
        Some(Self { payout: *payout, version: record.version, next_at: record.next_at })
    }

    /// The record as it is stored.
    pub(crate) fn record(&self) -> Record {
        let body = RecordBody::Payout(Box::new(self.payout.clone()));
        Record { version: self.version, next_at: self.next_at, body }
    }
}

/// Where the store keeps a payout.
pub(crate) fn key_of(reference: &PayoutReference) -> RecordKey {
    RecordKey { kind: RecordKind::Payout, id: reference.as_str().to_owned() }
}

/// Why a payout was not changed. Nothing was stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PayoutError {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("payout {0} is not known here")]
    Unknown(PayoutReference),
    /// Its state does not allow it.
    #[error("{0}")]
    Unexpected(#[from] UnexpectedPayout),
    /// A payment cannot take what follows from the change.
    #[error("{0}")]
    Payment(#[from] Unexpected),
}

/// The event that explains a change of a payout.
pub(crate) fn event(payout: &Payout, at: Timestamp, why: &str) -> Event {
    let body = Box::new(RecordBody::Payout(Box::new(payout.clone())));
    let kind = EventKind::RecordChanged { body, why: why.to_owned() };
    Event { at, payment: payout.payment.clone(), deposit: None, kind }
}

/// The way to the store for everything that concerns payouts.
#[derive(Clone)]
pub(crate) struct PayoutRepository {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) chance: Arc<dyn Chance>,
    pub(crate) settings: Arc<EngineSettings>,
}

impl PayoutRepository {
    /// The book over these ports.
    pub(crate) fn new(ports: &Ports, settings: Arc<EngineSettings>) -> Self {
        let Ports { store, clock, chance, .. } = ports.clone();
        Self { store, clock, chance, settings }
    }

    /// What is decided with, at this moment.
    pub(crate) fn context(&self) -> PayoutContext<'_> {
        PayoutContext {
            now: self.clock.now(),
            pace: &self.settings.pace,
            jitter: Jitter(self.chance.below(1_000)),
            params: &self.settings.payouts.params,
        }
    }

    pub(crate) async fn read(&self, reference: &PayoutReference) -> Result<Option<Kept>, StoreError> {
        Ok(self.store.record(&key_of(reference)).await?.and_then(Kept::of))
    }

    /// The payout that a payment came of.
    pub(crate) async fn of_payment(&self, payment: &PaymentId) -> Result<Option<Kept>, StoreError> {
        Ok(self.store.record_by_alias(RecordKind::Payout, payment.as_str()).await?.and_then(Kept::of))
    }

    /// The record and the event that a fact makes of a payout.
    pub(crate) fn decide(&self, kept: &Kept, fact: &PayoutFact) -> Result<(Kept, Event), UnexpectedPayout> {
        let context = self.context();
        let PayoutStep { payout, next_at, why } = step(&kept.payout, fact, &context)?;
        let said = event(&payout, context.now, &why);
        Ok((Kept { payout, version: kept.version, next_at }, said))
    }

    /// Takes a fact into the payout as it stands in the store. `still` tells whether the fact applies to it yet; `None`
    /// when it does not. `by` is what a person said about it, if one did.
    pub(crate) async fn tell(
        &self,
        reference: &PayoutReference,
        fact: &PayoutFact,
        by: Option<&str>,
        still: impl Fn(&Kept) -> bool + Send + Sync,
    ) -> Result<Option<Kept>, PayoutError> {
        let mut tries = Tries::default();
        loop {
            let kept = self.read(reference).await?.ok_or_else(|| PayoutError::Unknown(reference.clone()))?;
            if !still(&kept) {
                return Ok(None);
            }
            let (mut next, mut said) = self.decide(&kept, fact)?;
            if let (Some(by), EventKind::RecordChanged { why, .. }) = (by, &mut said.kind) {
                *why = format!("{why} ({by})");
            }
            let changes = Commit { records: vec![next.record()], events: vec![said], ..Commit::default() };
            next.version = next.version.saturating_add(1);
            if tries.commit(&*self.store, changes).await? {
                return Ok(Some(next));
            }
        }
    }
}

/// Whether a payout is still what it was when something was begun for it. A wish of a person that came meanwhile does not
/// make an answer less true.
pub(crate) fn unmoved(before: &Payout) -> impl Fn(&Kept) -> bool + Send + Sync + use<> {
    let (state, attempts): (PayoutState, u32) = (before.state.clone(), before.attempts);
    move |kept| kept.payout.state == state && kept.payout.attempts == attempts
}
