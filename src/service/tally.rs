//! How many payments are in each state and how many reviews are open, kept up from the ledger's events.
//!
//! Events explain every change (decision 2), so counting them once and then only the new ones gives the same numbers as
//! looking at every record, for the price of what has changed.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::candidate::CandidateState;
use crate::domain::deposit::{DepositKey, Verdict};
use crate::domain::event::EventKind;
use crate::domain::payment::{PaymentId, PayoutReference};
use crate::domain::payout::PayoutState;
use crate::domain::record::RecordBody;
use crate::service::operator_service::{OperatorError, OperatorService};
use tokio::sync::watch;

use crate::ports::store::Changes;
use crate::service::queries::STATES;

/// How many events are read at once.
const CHUNK: usize = 500;

/// The count so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    seen: u64,
    payments: BTreeMap<&'static str, u64>,
    deposits_in_review: BTreeSet<DepositKey>,
    open_candidates: BTreeSet<PaymentId>,
    payouts_in_review: BTreeSet<PayoutReference>,
}

/// Keeps a subject in the set while it waits for a person.
fn note<T: Ord + Clone>(waiting: &mut BTreeSet<T>, subject: &T, waits: bool) {
    if waits {
        waiting.insert(subject.clone());
    } else {
        waiting.remove(subject);
    }
}

impl Tally {
    /// Payments by the name of their state; every state is there.
    pub fn payments(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        STATES.into_iter().map(|name| (name, self.payments.get(name).copied().unwrap_or(0)))
    }

    /// Payments, deposits, candidates and payouts that wait for a person.
    #[must_use]
    pub fn reviews(&self) -> u64 {
        let others = self.deposits_in_review.len().saturating_add(self.open_candidates.len());
        let others = others.saturating_add(self.payouts_in_review.len());
        let others = u64::try_from(others).unwrap_or(u64::MAX);
        self.payments.get("review").copied().unwrap_or(0).saturating_add(others)
    }

    fn add(&mut self, event: &crate::domain::event::Event) {
        match &event.kind {
            EventKind::PaymentAdded { payment } => self.enter(payment.state.name()),
            EventKind::PaymentMoved { from, to, .. } => {
                if let Some(count) = self.payments.get_mut(from.name()) {
                    *count = count.saturating_sub(1);
                }
                self.enter(to.name());
            }
            EventKind::DepositJudged { verdict } => {
                let Some(key) = event.deposit else { return };
                if matches!(verdict, Verdict::Review { .. }) {
                    self.deposits_in_review.insert(key);
                } else {
                    self.deposits_in_review.remove(&key);
                }
            }
            EventKind::ApiReported { .. }
            | EventKind::DepositSeen { .. }
            | EventKind::DepositStands { .. }
            | EventKind::DepositsCounted { .. }
            | EventKind::PersonDecided { .. }
            | EventKind::FinalityMoved { .. }
            | EventKind::Alarm { .. }
            | EventKind::AddressPlaced { .. }
            | EventKind::AddressClosed { .. }
            | EventKind::EndpointBack { .. }
            | EventKind::ListenerBack { .. }
            | EventKind::StallOver { .. }
            | EventKind::OrderPlaced { .. }
            | EventKind::OrderMoved { .. }
            | EventKind::AttemptSigned { .. }
            | EventKind::AttemptSent { .. }
            | EventKind::AttemptMined { .. }
            | EventKind::WalletChanged { .. } => {}
            EventKind::RecordChanged { body, .. } => self.add_record(body),
        }
    }

    fn add_record(&mut self, body: &RecordBody) {
        match body {
            RecordBody::Candidate(candidate) => {
                note(&mut self.open_candidates, &candidate.payment, candidate.state == CandidateState::Open)
            }
            RecordBody::Payout(payout) => {
                let waits = matches!(payout.state, PayoutState::Review { .. });
                note(&mut self.payouts_in_review, &payout.reference, waits);
            }
            _ => {}
        }
    }

    fn enter(&mut self, name: &'static str) {
        let count = self.payments.entry(name).or_default();
        *count = count.saturating_add(1);
    }
}

impl OperatorService {
    /// Takes up to `most` new events into the count. Returns whether there are none left.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn tally(&self, tally: &mut Tally, most: usize) -> Result<bool, OperatorError> {
        let mut taken = 0_usize;
        while taken < most {
            let chunk = self.store.events(tally.seen, CHUNK).await?;
            taken = taken.saturating_add(chunk.len());
            for recorded in &chunk {
                tally.add(&recorded.event);
                tally.seen = recorded.seq;
            }
            if chunk.len() < CHUNK {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Tells of changes, so that a count is only renewed when there is something new.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Changes> {
        self.store.changes()
    }
}
