//! What a change of payments means for the further records, and is stored in the same commit: a payment that is added, by
//! whomever, closes its candidate; and what shadow mode has to say of a completion is said with the change that it is about.

use crate::domain::address_pattern::AddressTally;
use crate::domain::candidate::{Candidate, CandidateState};
use crate::domain::event::{Alarm, Event, EventKind};
use crate::domain::payment::{Payment, PaymentId, PaymentState};
use crate::domain::record::{Record, RecordBody, RecordKey, RecordKind};
use crate::domain::shadow::{Shadow, ShadowAct, completion_id};
use crate::domain::time::Timestamp;
use crate::policy::address::AddressChanges;
use crate::policy::address_pattern::{Seen, note};
use crate::policy::shadow::{self, Mode};
use crate::ports::store::{Commit, Store, StoreError};

use super::transaction;

/// What has to be stored with the change.
#[derive(Debug, Default)]
pub(crate) struct FollowUps {
    pub(crate) records: Vec<Record>,
    pub(crate) events: Vec<Event>,
}

/// What follows from these changes. `before`: the payments as they were; `would`: the payment that would be completed at this
/// moment, and with what, if shadow mode keeps it from being completed.
pub(crate) async fn of(
    store: &dyn Store,
    mode: Mode,
    before: &[Payment],
    changes: &AddressChanges,
    would: Option<&(PaymentId, ShadowAct)>,
    now: Timestamp,
) -> Result<FollowUps, StoreError> {
    let mut follow_ups = FollowUps::default();
    for payment in &changes.payments {
        if payment.version == 0 {
            follow_ups.close_candidate(store, payment, now).await?;
            follow_ups.note_address(store, before, payment, now).await?;
        }
        let act = would.filter(|(id, _)| *id == payment.id).map(|(_, act)| act);
        let may_be_told = matches!(
            payment.state,
            PaymentState::Calling { .. }
                | PaymentState::Following { .. }
                | PaymentState::Ended { .. }
                | PaymentState::Review { .. }
        );
        if act.is_some() || may_be_told {
            let was = before.iter().find(|was| was.id == payment.id);
            follow_ups.follow_shadow(store, mode, was, payment, act, now).await?;
        }
    }
    Ok(follow_ups)
}

impl FollowUps {
    /// Counts the address of a new payment in, and tells of it where it breaks the pattern so far. `before`: the other payments
    /// of the address.
    async fn note_address(
        &mut self,
        store: &dyn Store,
        before: &[Payment],
        payment: &Payment,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let recipient = payment.recipient_id.clone();
        let key = RecordKey { kind: RecordKind::Addresses, id: recipient.to_string() };
        let found = match store.record(&key).await {
            // It is told of by itself, and holds no payment.
            Err(StoreError::Corrupt(_)) => return Ok(()),
            found => found?,
        };
        let version = found.as_ref().map_or(0, |record| record.version);
        let tally = match found.map(|record| record.body) {
            Some(RecordBody::Addresses(tally)) => tally,
            _ => AddressTally { recipient: recipient.clone(), fresh: 0, repeated: 0 },
        };
        let seen = match before {
            [] => Seen::Never,
            others if others.iter().any(|other| other.recipient_id == recipient) => Seen::Own,
            _ => Seen::OfOthers,
        };
        let (tally, broken) = note(&tally, seen);
        self.records.push(Record { version, next_at: None, body: RecordBody::Addresses(tally) });
        if let Some(broken) = broken {
            let alarm = Alarm::AddressPattern { recipient, address: payment.terms.deposit_address, broken };
            let kind = EventKind::Alarm { alarm };
            self.events.push(Event { at: now, payment: Some(payment.id.clone()), deposit: None, kind });
        }
        Ok(())
    }

    async fn close_candidate(
        &mut self,
        store: &dyn Store,
        payment: &Payment,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some((record, candidate)) = candidate_of(store, &payment.id).await? else { return Ok(()) };
        if candidate.state == CandidateState::Added {
            return Ok(());
        }
        let body = RecordBody::Candidate(Candidate { state: CandidateState::Added, ..candidate });
        self.events.push(changed(payment.id.clone(), &body, "is settled: the payment was added", now));
        self.records.push(Record { next_at: None, body, ..record });
        Ok(())
    }
}

impl FollowUps {
    /// What shadow mode has to say of a payment: that it would be completed now, or what somebody did instead.
    async fn follow_shadow(
        &mut self,
        store: &dyn Store,
        mode: Mode,
        was: Option<&Payment>,
        payment: &Payment,
        act: Option<&ShadowAct>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let key = RecordKey { kind: RecordKind::Shadow, id: completion_id(&payment.id) };
        let found = store.record(&key).await?;
        let known = found.as_ref().and_then(shadow_in);
        let next = match act {
            Some(act) => shadow::noted(known, Some(&payment.id), act, now),
            None => shadow::follow(mode, was, payment, known, now),
        };
        if let Some(next) = next {
            self.keep_shadow(found.as_ref(), next, now);
        }
        Ok(())
    }

    /// Keeps what shadow mode has to say.
    fn keep_shadow(&mut self, found: Option<&Record>, next: Shadow, now: Timestamp) {
        let why = shadow::words(&next);
        let payment = next.payment.clone();
        let body = RecordBody::Shadow(next);
        let kind = EventKind::RecordChanged { body: Box::new(body.clone()), why };
        self.events.push(Event { at: now, payment, deposit: None, kind });
        let version = found.map_or(0, |record| record.version);
        self.records.push(Record { version, next_at: None, body });
    }
}

/// What shadow mode keeps in a record.
const fn shadow_in(record: &Record) -> Option<&Shadow> {
    match &record.body {
        RecordBody::Shadow(shadow) => Some(shadow),
        _ => None,
    }
}

/// Notes that something would be done now, unless that is known already.
pub(crate) async fn note_would(
    store: &dyn Store,
    payment: Option<&PaymentId>,
    act: &ShadowAct,
    now: Timestamp,
) -> Result<(), StoreError> {
    let id = Shadow { payment: payment.cloned(), act: act.clone(), noted_at: now, outcome: None }.id();
    let found = store.record(&RecordKey { kind: RecordKind::Shadow, id }).await?;
    let known = found.as_ref().and_then(shadow_in);
    let Some(next) = shadow::noted(known, payment, act, now) else { return Ok(()) };
    let mut follow_ups = FollowUps::default();
    follow_ups.keep_shadow(found.as_ref(), next, now);
    let FollowUps { records, events } = follow_ups;
    match transaction::commit(store, Commit { records, events, ..Commit::default() }).await {
        // Somebody else has noted it.
        Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The candidate of a payment, if there is or was one.
pub(crate) async fn candidate_of(
    store: &dyn Store,
    payment: &PaymentId,
) -> Result<Option<(Record, Candidate)>, StoreError> {
    let key = RecordKey { kind: RecordKind::Candidate, id: payment.to_string() };
    let Some(record) = store.record(&key).await? else { return Ok(None) };
    let RecordBody::Candidate(candidate) = record.body.clone() else { return Ok(None) };
    Ok(Some((record, candidate)))
}

/// The event that tells of a change of a further record that is about a payment.
pub(crate) fn changed(payment: PaymentId, body: &RecordBody, why: &str, at: Timestamp) -> Event {
    let kind = EventKind::RecordChanged { body: Box::new(body.clone()), why: why.to_owned() };
    Event { at, payment: Some(payment), deposit: None, kind }
}
