//! Asks after the payments that are new, and takes up those that say everything.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::{AT_ONCE, BREATH, Intake, Listed, Onward};
use crate::domain::candidate::{Candidate, CandidateReason};
use crate::domain::payment::{Payment, PaymentId, RecipientId};
use crate::domain::payout::PayoutState;
use crate::domain::record::{Record, RecordBody, RecordKind};
use crate::domain::text::short;
use crate::domain::time::Timestamp;
use crate::engine::add::{AddError, AddPayment, Adder};
use crate::engine::circuit_breaker::{CallKind, Permit};
use crate::engine::follow_ups::candidate_of;
use crate::policy::ending::may_open_again;
use crate::policy::intake::{Judged, Known, Left, Own, Sorted, Told, judge, sort};
use crate::policy::payment_machine::Unexpected;
use crate::ports::payment_api::{ApiError, ApiPayment};
use crate::ports::store::{StoreError, Unreadable};

/// How many payouts are read at once.
const PAGE: usize = 500;

/// What becomes of payments that are found, for the metric.
const RESULTS: [&str; 4] = ["taken_up", "lead", "left", "unreadable"];

/// Shows every result at 0: an alert looks for a rise, and a series that begins with 1 has never risen.
pub(super) fn show_results() {
    for result in RESULTS {
        metrics::counter!("rampwatch_intake_payments_total", "result" => result).increment(0);
    }
}

pub(super) fn count(result: &'static str) {
    metrics::counter!("rampwatch_intake_payments_total", "result" => result).increment(1);
}

/// What the API said, as far as it matters to the policy.
pub(super) fn told(said: &ApiPayment) -> Told {
    Told {
        kind: said.kind.clone(),
        status: said.status.clone(),
        tx_hash: said.tx_hash.clone(),
        idempotency_key: said.idempotency_key.clone(),
        recipient_id: said.recipient_id.clone(),
        deposit_address: said.deposit_address,
        amount: said.deposit_amount,
        chain: said.deposit_chain.clone(),
        currency: said.source_currency.clone(),
        created_at: said.created_at,
        expires_at: said.expires_at,
        unread: said.unread.iter().map(|unread| unread.field).collect(),
    }
}

impl Intake {
    /// Goes through what the lists show, and asks after what is new.
    pub(super) async fn take_up_listed(
        &mut self,
        listed: &BTreeMap<PaymentId, Listed>,
        stop: &CancellationToken,
    ) -> Result<Onward, StoreError> {
        let mut new: Vec<&Listed> = Vec::new();
        for (id, entry) in listed {
            let (payment, candidate) = match self.known(id).await {
                // It is known, and stands still.
                Ok(None) | Err(StoreError::Corrupt(_)) => continue,
                known => known?.unwrap_or_default(),
            };
            let known = match (&payment, &candidate) {
                (Some(payment), _) => Known::Payment(payment),
                (None, Some((_, candidate))) => Known::Candidate(candidate),
                (None, None) => Known::Nothing,
            };
            match sort(&told(&entry.said), known, &self.home) {
                Sorted::Ask if !self.memory.is_left(id, self.ports.clock.now()) => new.push(entry),
                Sorted::Ask | Sorted::Leave(_) => {}
                Sorted::Wake => self.wake(entry).await?,
            }
        }
        if new.is_empty() {
            return Ok(Onward::Yes);
        }
        // Read after the lists: a key is stored before it is sent, so whatever a list shows of ours is among them.
        let own = self.own().await?;
        for handful in new.chunks(AT_ONCE) {
            let permit = self.permit(stop);
            let handful = match permit {
                Permit::All => handful,
                Permit::Probe => handful.get(..1).unwrap_or_default(),
                Permit::None => return Ok(Onward::No),
            };
            let ids: Vec<PaymentId> = handful.iter().map(|entry| entry.said.id.clone()).collect();
            let answers = join_all(ids.iter().map(|id| self.ports.api.payment(id))).await;
            for (entry, answer) in handful.iter().zip(answers) {
                let answer = self.breaker.learn(CallKind::Get, entry.said.id.as_str(), answer).await?;
                if self.look_into(entry, answer, &own).await? == Onward::No {
                    return Ok(Onward::No);
                }
            }
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

    /// What is stored of an off-ramp, with the candidate's record if it is one; `None` for a payout's.
    async fn known(
        &self,
        id: &PaymentId,
    ) -> Result<Option<(Option<Payment>, Option<(Record, Candidate)>)>, StoreError> {
        let payment = self.ports.store.payment(id).await?;
        // What came of a payout that a person must decide about is not stored, and is no foreign off-ramp all the same.
        if payment.is_none() && self.is_of_payout(id).await? {
            return Ok(None);
        }
        let candidate = if payment.is_some() { None } else { candidate_of(&*self.ports.store, id).await? };
        Ok(Some((payment, candidate)))
    }

    /// Whether the payment came of a payout, whatever the list tells of its key.
    async fn is_of_payout(&self, id: &PaymentId) -> Result<bool, StoreError> {
        Ok(self.ports.store.record_by_alias(RecordKind::Payout, id.as_str()).await?.is_some())
    }

    /// The off-ramps that are, or were, opened here: those are the opener's business, and its reviews'.
    pub(super) async fn own(&self) -> Result<Own, StoreError> {
        let mut own = Own::default();
        let mut after: Option<String> = None;
        loop {
            let page = self.ports.store.records_page(RecordKind::Payout, after.as_deref(), PAGE).await?;
            let is_last = page.len() < PAGE;
            for record in page {
                let RecordBody::Payout(payout) = record.body else { continue };
                own.keys.insert(payout.key.to_string());
                let is_called = matches!(payout.state, PayoutState::Creating { .. });
                if payout.payment.is_none() && (payout.may_be_open || is_called) {
                    own.opening_for.insert(payout.wish.recipient.clone());
                }
                after = Some(payout.reference.to_string());
            }
            if is_last {
                let unreadable = self.ports.store.unreadable().into_iter();
                let is_payout =
                    |found: &Unreadable| found.record.as_ref().is_some_and(|key| key.kind == RecordKind::Payout);
                return match unreadable.into_iter().find(is_payout) {
                    Some(found) => Err(StoreError::Corrupt(found.what)),
                    None => Ok(own),
                };
            }
        }
    }

    /// Has the reconciler look at a payment that seems to have moved on: a list is only a hint.
    async fn wake(&mut self, entry: &Listed) -> Result<(), StoreError> {
        let ApiPayment { id, status, tx_hash, .. } = &entry.said;
        if !self.memory.is_news(id, status, tx_hash.as_ref()) {
            return Ok(());
        }
        let result = self
            .addresses
            .change_payment(id, |unit, payment, context| {
                let rests = payment.next_at.is_none() && may_open_again(&payment.state);
                if rests || payment.next_at.is_some_and(|at| at > context.now) {
                    unit.book.postpone(&payment.id, context.now);
                }
                Ok::<(), Unexpected>(())
            })
            .await;
        crate::engine::api_facts::settle_result(id, result)
    }

    /// What the API's own word on a payment comes to.
    pub(super) async fn look_into(
        &mut self,
        entry: &Listed,
        answer: Result<ApiPayment, ApiError>,
        own: &Own,
    ) -> Result<Onward, StoreError> {
        let id = &entry.said.id;
        let said = match answer {
            Ok(said) => said,
            Err(error) if error.is_about_the_api() => {
                self.back_off(&error);
                return Ok(Onward::No);
            }
            Err(error) => {
                tracing::warn!(payment_id = %id, %error, "the API lists a payment and does not show it");
                self.leave_for_a_while(id);
                return Ok(Onward::Yes);
            }
        };
        self.failures = 0;
        match judge(&told(&entry.said), &told(&said), entry.whose.as_ref(), own, &self.home) {
            Judged::TakeUp(recipient) => self.take_up(entry, said.filled(entry.said.clone()), recipient).await?,
            Judged::Ask(why) => self.note_candidate(entry, &said, why).await?,
            Judged::Leave(left) => self.leave(entry, &said, left).await?,
        }
        Ok(Onward::Yes)
    }

    async fn take_up(&mut self, entry: &Listed, said: ApiPayment, recipient: RecipientId) -> Result<(), StoreError> {
        let request = AddPayment {
            id: said.id.clone(),
            recipient_id: recipient,
            deposit_address: None,
            amount: None,
            sender: None,
            created_at: None,
            expires_at: None,
            deposit_chain: None,
        };
        match self.adding.add(&request, Some(said.clone()), &Adder::Intake).await {
            Ok(payment) => {
                count("taken_up");
                let (to, base_units) = (payment.terms.deposit_address, payment.terms.amount.base_units());
                tracing::info!(payment_id = %payment.id, %to, base_units, "taken up from the API's list");
                Ok(())
            }
            Err(AddError::Store(StoreError::Conflict(what))) => {
                tracing::debug!(what, payment_id = %request.id, "version conflict, retrying");
                Ok(())
            }
            Err(AddError::Store(error)) => Err(error),
            Err(error @ AddError::Invalid { .. }) => {
                let problem = short(&error.to_string());
                self.note_candidate(entry, &said, CandidateReason::Unusable { problem }).await
            }
            // It was added meanwhile, by a person, with other terms: theirs hold.
            Err(error) => {
                tracing::warn!(payment_id = %request.id, %error, "not taken up");
                self.leave_for_a_while(&request.id);
                Ok(())
            }
        }
    }

    async fn leave(&mut self, entry: &Listed, said: &ApiPayment, left: Left) -> Result<(), StoreError> {
        // What is being opened here is known as soon as the answer is in: it is looked at again in the next round.
        if left == Left::Opening {
            return Ok(());
        }
        count("left");
        tracing::debug!(payment_id = %entry.said.id, why = ?left, "left alone");
        self.leave_for_a_while(&entry.said.id);
        self.close_candidate(&entry.said.id, said.status.clone(), left).await
    }

    /// Leaves a payment alone for as long as one that waits is.
    pub(super) fn leave_for_a_while(&mut self, id: &PaymentId) {
        let until: Timestamp = self.ports.clock.now().plus(self.settings.pace.ask_every);
        self.memory.leave(id, until);
    }
}
