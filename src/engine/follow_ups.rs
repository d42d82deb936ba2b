//! What a change of payments means for the desk's records, and is stored in the same commit: a payment that is added, by
//! whomever, closes its lead.

use crate::domain::desk::{DeskBody, DeskKey, DeskKind, DeskRecord};
use crate::domain::event::{Event, EventKind};
use crate::domain::lead::{Lead, LeadState};
use crate::domain::payment::{Payment, PaymentId};
use crate::domain::time::Timestamp;
use crate::policy::address::BookChanges;
use crate::ports::store::{Store, StoreError};

/// What has to be stored with the change.
#[derive(Debug, Default)]
pub(crate) struct FollowUps {
    pub(crate) records: Vec<DeskRecord>,
    pub(crate) events: Vec<Event>,
}

/// What follows from these changes.
pub(crate) async fn of(store: &dyn Store, changes: &BookChanges, now: Timestamp) -> Result<FollowUps, StoreError> {
    let mut follow_ups = FollowUps::default();
    for payment in changes.payments.iter().filter(|payment| payment.version == 0) {
        follow_ups.close_lead(store, payment, now).await?;
    }
    Ok(follow_ups)
}

impl FollowUps {
    async fn close_lead(&mut self, store: &dyn Store, payment: &Payment, now: Timestamp) -> Result<(), StoreError> {
        let Some((record, lead)) = lead_of(store, &payment.id).await? else { return Ok(()) };
        if lead.state == LeadState::Added {
            return Ok(());
        }
        let body = DeskBody::Lead(Lead { state: LeadState::Added, ..lead });
        self.events.push(changed(payment.id.clone(), &body, "is settled: the payment was added", now));
        self.records.push(DeskRecord { next_at: None, body, ..record });
        Ok(())
    }
}

/// The lead of a payment, if there is or was one.
pub(crate) async fn lead_of(store: &dyn Store, payment: &PaymentId) -> Result<Option<(DeskRecord, Lead)>, StoreError> {
    let key = DeskKey { kind: DeskKind::Lead, id: payment.to_string() };
    let Some(record) = store.desk(&key).await? else { return Ok(None) };
    let DeskBody::Lead(lead) = record.body.clone() else { return Ok(None) };
    Ok(Some((record, lead)))
}

/// The event that tells of a change of a record of the desk that is about a payment.
pub(crate) fn changed(payment: PaymentId, body: &DeskBody, why: &str, at: Timestamp) -> Event {
    let kind = EventKind::DeskChanged { body: Box::new(body.clone()), why: why.to_owned() };
    Event { at, payment: Some(payment), deposit: None, kind }
}
