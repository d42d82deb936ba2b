//! Makes candidates, and asks after those that are open: the API may say more by now, or the payment may be over.

use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use super::take_up::{count, told};
use super::{BREATH, CANDIDATES_AT_ONCE, Intake, Listed, Onward};
use crate::domain::candidate::{Candidate, CandidateReason, CandidateState};
use crate::domain::payment::{ApiStatus, PaymentId};
use crate::domain::record::{Record, RecordBody, RecordKind};
use crate::engine::circuit_breaker::{CallKind, Permit};
use crate::engine::follow_ups::{candidate_of, changed};
use crate::engine::transaction;
use crate::policy::intake::{Judged, Left, Own, ask_at, found, heard, judge, merged, over};
use crate::ports::payment_api::{ApiError, ApiPayment};
use crate::ports::store::{Commit, StoreError};

/// The API's word when it does not know a payment any more.
const UNKNOWN: &str = "NOT_FOUND";

impl Intake {
    /// Notes that a payment cannot be taken up without a person: a new candidate, or news of one that is there.
    pub(super) async fn note_candidate(
        &mut self,
        entry: &Listed,
        said: &ApiPayment,
        why: CandidateReason,
    ) -> Result<(), StoreError> {
        let id = &entry.said.id;
        let both = merged(&told(&entry.said), &told(said));
        let candidate = found(id.clone(), &both, entry.whose.as_ref(), why, self.ports.clock.now());
        match candidate_of(&*self.ports.store, id).await? {
            None => {
                count("lead");
                let why = "was found at the payment API and waits for a person".to_owned();
                self.keep_candidate(Record::new(RecordBody::Candidate(candidate.clone()), None), candidate, Some(why))
                    .await
            }
            Some((record, known)) => {
                let (candidate, news) = heard(&known, candidate);
                self.keep_candidate(record, candidate, news).await
            }
        }
    }

    /// The payment of an open candidate is not, or not any more, for rampwatch.
    pub(super) async fn close_candidate(
        &mut self,
        id: &PaymentId,
        status: ApiStatus,
        left: Left,
    ) -> Result<(), StoreError> {
        let Some((record, known)) = candidate_of(&*self.ports.store, id).await? else { return Ok(()) };
        if known.state != CandidateState::Open {
            return Ok(());
        }
        let candidate = Candidate { status, state: CandidateState::Gone, failures: 0, ..known };
        let news = over(&candidate, left);
        self.keep_candidate(record, candidate, Some(news)).await
    }

    async fn keep_candidate(
        &self,
        record: Record,
        candidate: Candidate,
        news: Option<String>,
    ) -> Result<(), StoreError> {
        self.keep_candidate_until(record, candidate, news, None).await
    }

    async fn keep_candidate_until(
        &self,
        record: Record,
        candidate: Candidate,
        news: Option<String>,
        error: Option<&ApiError>,
    ) -> Result<(), StoreError> {
        let context = self.addresses.context();
        let retry_after = error.and_then(ApiError::retry_after);
        let next_at = (candidate.state == CandidateState::Open)
            .then(|| ask_at(&candidate, context.now, context.pace, context.jitter, retry_after));
        let payment = candidate.payment.clone();
        let body = RecordBody::Candidate(candidate);
        let events = news.map(|why| changed(payment, &body, &why, context.now)).into_iter().collect();
        let records = vec![Record { next_at, body, ..record }];
        match transaction::commit(&*self.ports.store, Commit { records, events, ..Commit::default() }).await {
            Ok(_) => Ok(()),
            Err(StoreError::Conflict(what)) => {
                tracing::debug!(what, "version conflict, retrying");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Asks after the candidates that are due.
    pub(super) async fn ask_after_candidates(
        &mut self,
        listed: &BTreeMap<PaymentId, Listed>,
        stop: &CancellationToken,
    ) -> Result<Onward, StoreError> {
        let now = self.ports.clock.now();
        let due = self.ports.store.records_due(RecordKind::Candidate, now, CANDIDATES_AT_ONCE).await?;
        if due.is_empty() {
            return Ok(Onward::Yes);
        }
        // Once for all of them: their payments were there before this round, and so were the keys of ours.
        let own = self.own().await?;
        for record in due {
            let RecordBody::Candidate(candidate) = record.body.clone() else { continue };
            // Somebody took it up between the list and the candidate.
            let known = self.ports.store.payment(&candidate.payment).await;
            if matches!(known, Err(StoreError::Corrupt(_))) {
                let candidate = Candidate { failures: candidate.failures.saturating_add(1), ..candidate };
                self.keep_candidate_until(record, candidate, None, None).await?;
                continue;
            }
            if known?.is_some() {
                let candidate = Candidate { state: CandidateState::Added, failures: 0, ..candidate };
                self.keep_candidate(record, candidate, Some("was added meanwhile".to_owned())).await?;
                continue;
            }
            let permit = self.permit(stop);
            if permit == Permit::None {
                return Ok(Onward::No);
            }
            let answer = self.ports.api.payment(&candidate.payment).await;
            let answer = self.breaker.learn(CallKind::Get, candidate.payment.as_str(), answer).await?;
            self.hear(record, candidate, answer, listed, &own).await?;
            if permit == Permit::Probe {
                return Ok(Onward::No);
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(Onward::No),
                () = self.ports.clock.sleep(BREATH) => {}
            }
        }
        Ok(Onward::Yes)
    }

    async fn hear(
        &mut self,
        record: Record,
        candidate: Candidate,
        answer: Result<ApiPayment, ApiError>,
        listed: &BTreeMap<PaymentId, Listed>,
        own: &Own,
    ) -> Result<(), StoreError> {
        let said = match answer {
            Ok(said) => said,
            Err(ApiError::NotFound { .. }) => {
                let status = ApiStatus::Other(UNKNOWN.to_owned());
                return self.close_candidate(&candidate.payment, status, Left::MovedOn).await;
            }
            Err(error) => {
                let candidate = Candidate { failures: candidate.failures.saturating_add(1), ..candidate };
                return self.keep_candidate_until(record, candidate, None, Some(&error)).await;
            }
        };
        // Where no list shows it in this round, what was known of it stands in for the list.
        let known = listed_as(&candidate);
        let entry = listed.get(&candidate.payment).cloned().unwrap_or(known);
        let judged = judge(&told(&entry.said), &told(&said), entry.whose.as_ref(), own, &self.home);
        let only_listed =
            matches!(candidate.why, CandidateReason::Disagrees { .. }) && !listed.contains_key(&candidate.payment);
        match judged {
            // A contradiction that only a list could take back stays, and so does what is being opened here for now.
            Judged::TakeUp(_) | Judged::Ask(_) if only_listed => {
                self.keep_candidate(record, fresh(candidate), None).await
            }
            Judged::Leave(Left::Opening) => self.keep_candidate(record, fresh(candidate), None).await,
            Judged::TakeUp(_) | Judged::Ask(_) | Judged::Leave(_) => {
                self.look_into(&entry, Ok(said), own).await.map(|_| ())
            }
        }
    }
}

/// The candidate, now that the API has answered.
fn fresh(candidate: Candidate) -> Candidate {
    Candidate { failures: 0, ..candidate }
}

/// What is known of a candidate, as if a list said it.
fn listed_as(candidate: &Candidate) -> Listed {
    let said = ApiPayment {
        deposit_address: candidate.deposit_address,
        deposit_amount: candidate.amount,
        created_at: candidate.created_at,
        expires_at: candidate.expires_at,
        ..ApiPayment::new(candidate.payment.clone(), candidate.status.clone())
    };
    Listed { said, whose: candidate.recipient_id.clone() }
}
