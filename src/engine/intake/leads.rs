//! Makes leads, and asks after those that are open: the API may say more by now, or the payment may be over.

use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use super::take_up::{count, told};
use super::{BREATH, Intake, LEADS_AT_ONCE, Listed, Onward};
use crate::domain::desk::{DeskBody, DeskKind, DeskRecord};
use crate::domain::lead::{Lead, LeadReason, LeadState};
use crate::domain::payment::{ApiStatus, PaymentId};
use crate::engine::follow_ups::{changed, lead_of};
use crate::engine::gate::{Asked, Pass};
use crate::engine::telling::log_events;
use crate::policy::intake::{Judged, Left, Own, ask_at, found, heard, judge, merged, over};
use crate::ports::payment_api::{ApiError, ApiPayment};
use crate::ports::store::{Commit, StoreError};

/// The API's word when it does not know a payment any more.
const UNKNOWN: &str = "NOT_FOUND";

impl Intake {
    /// Notes that a payment cannot be taken up without a person: a new lead, or news of one that is there.
    pub(super) async fn note_lead(
        &mut self,
        entry: &Listed,
        said: &ApiPayment,
        why: LeadReason,
    ) -> Result<(), StoreError> {
        let id = &entry.said.id;
        let both = merged(&told(&entry.said), &told(said));
        let lead = found(id.clone(), &both, entry.whose.as_ref(), why, self.ports.clock.now());
        match lead_of(&*self.ports.store, id).await? {
            None => {
                count("lead");
                let why = "was found at the payment API and waits for a person".to_owned();
                self.keep_lead(DeskRecord::new(DeskBody::Lead(lead.clone()), None), lead, Some(why)).await
            }
            Some((record, known)) => {
                let (lead, news) = heard(&known, lead);
                self.keep_lead(record, lead, news).await
            }
        }
    }

    /// The payment of an open lead is not, or not any more, for rampwatch.
    pub(super) async fn close_lead(&mut self, id: &PaymentId, status: ApiStatus, left: Left) -> Result<(), StoreError> {
        let Some((record, known)) = lead_of(&*self.ports.store, id).await? else { return Ok(()) };
        if known.state != LeadState::Open {
            return Ok(());
        }
        let lead = Lead { status, state: LeadState::Gone, failures: 0, ..known };
        let news = over(&lead, left);
        self.keep_lead(record, lead, Some(news)).await
    }

    async fn keep_lead(&self, record: DeskRecord, lead: Lead, news: Option<String>) -> Result<(), StoreError> {
        self.keep_lead_until(record, lead, news, None).await
    }

    async fn keep_lead_until(
        &self,
        record: DeskRecord,
        lead: Lead,
        news: Option<String>,
        error: Option<&ApiError>,
    ) -> Result<(), StoreError> {
        let context = self.ledger.context();
        let retry_after = match error {
            Some(ApiError::NotNow { retry_after, .. } | ApiError::Unclear { retry_after, .. }) => *retry_after,
            Some(ApiError::KeyRefused { .. } | ApiError::NotFound { .. } | ApiError::Refused { .. }) | None => None,
        };
        let next_at = (lead.state == LeadState::Open)
            .then(|| ask_at(&lead, context.now, context.pace, context.jitter, retry_after));
        let payment = lead.payment.clone();
        let body = DeskBody::Lead(lead);
        let events: Vec<_> = news.map(|why| changed(payment, &body, &why, context.now)).into_iter().collect();
        let desk = vec![DeskRecord { next_at, body, ..record }];
        match self.ports.store.commit(Commit { desk, events: events.clone(), ..Commit::default() }).await {
            Ok(_) => {
                log_events(&events);
                Ok(())
            }
            Err(StoreError::Conflict(what)) => {
                tracing::debug!(what, "somebody was quicker; looked at again");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Asks after the leads that are due.
    pub(super) async fn ask_after_leads(
        &mut self,
        listed: &BTreeMap<PaymentId, Listed>,
        stop: &CancellationToken,
    ) -> Result<Onward, StoreError> {
        let now = self.ports.clock.now();
        let due = self.ports.store.desk_due(DeskKind::Lead, now, LEADS_AT_ONCE).await?;
        if due.is_empty() {
            return Ok(Onward::Yes);
        }
        // Once for all of them: their payments were there before this round, and so were the keys of ours.
        let own = self.own().await?;
        for record in due {
            let DeskBody::Lead(lead) = record.body.clone() else { continue };
            // Somebody took it up between the list and the lead.
            let known = self.ports.store.payment(&lead.payment).await;
            if matches!(known, Err(StoreError::Corrupt(_))) {
                let lead = Lead { failures: lead.failures.saturating_add(1), ..lead };
                self.keep_lead_until(record, lead, None, None).await?;
                continue;
            }
            if known?.is_some() {
                let lead = Lead { state: LeadState::Added, failures: 0, ..lead };
                self.keep_lead(record, lead, Some("was added meanwhile".to_owned())).await?;
                continue;
            }
            let pass = self.pass(stop);
            if pass == Pass::None {
                return Ok(Onward::No);
            }
            let answer = self.ports.api.payment(&lead.payment).await;
            let answer = self.gate.learn(Asked::Get, lead.payment.as_str(), answer).await?;
            self.hear(record, lead, answer, listed, &own).await?;
            if pass == Pass::Probe {
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
        record: DeskRecord,
        lead: Lead,
        answer: Result<ApiPayment, ApiError>,
        listed: &BTreeMap<PaymentId, Listed>,
        own: &Own,
    ) -> Result<(), StoreError> {
        let said = match answer {
            Ok(said) => said,
            Err(ApiError::NotFound { .. }) => {
                let status = ApiStatus::Other(UNKNOWN.to_owned());
                return self.close_lead(&lead.payment, status, Left::MovedOn).await;
            }
            Err(error) => {
                let lead = Lead { failures: lead.failures.saturating_add(1), ..lead };
                return self.keep_lead_until(record, lead, None, Some(&error)).await;
            }
        };
        // Where no list shows it in this round, what was known of it stands in for the list.
        let known = listed_as(&lead);
        let entry = listed.get(&lead.payment).cloned().unwrap_or(known);
        let judged = judge(&told(&entry.said), &told(&said), entry.whose.as_ref(), own, &self.home);
        let only_listed = matches!(lead.why, LeadReason::Disagrees { .. }) && !listed.contains_key(&lead.payment);
        match judged {
            // A contradiction that only a list could take back stays, and so does what is being opened here for now.
            Judged::TakeUp(_) | Judged::Ask(_) if only_listed => self.keep_lead(record, fresh(lead), None).await,
            Judged::Leave(Left::Opening) => self.keep_lead(record, fresh(lead), None).await,
            Judged::TakeUp(_) | Judged::Ask(_) | Judged::Leave(_) => {
                self.look_into(&entry, Ok(said), own).await.map(|_| ())
            }
        }
    }
}

/// The lead, now that the API has answered.
fn fresh(lead: Lead) -> Lead {
    Lead { failures: 0, ..lead }
}

/// What is known of a lead, as if a list said it.
fn listed_as(lead: &Lead) -> Listed {
    let said = ApiPayment {
        deposit_address: lead.deposit_address,
        deposit_amount: lead.amount,
        created_at: lead.created_at,
        expires_at: lead.expires_at,
        ..ApiPayment::new(lead.payment.clone(), lead.status.clone())
    };
    Listed { said, whose: lead.recipient_id.clone() }
}
