//! What bears a payout's key: looked for in the recipient's list, taken with its terms, stored with the payout.

use std::collections::BTreeMap;

use super::Opener;
use crate::domain::payment::{Payment, PaymentId, PaymentState, Provenance, Terms};
use crate::domain::payout::{Payout, PayoutState};
use crate::engine::address_repository::RepositoryError;
use crate::engine::api_facts::view_of;
use crate::engine::circuit_breaker::CallKind;
use crate::engine::payout_repository::{Kept, PayoutError, key_of, unmoved};
use crate::policy::payout_machine::{PayoutFact, Said, UnexpectedPayout};
use crate::ports::payment_api::{ApiError, ApiPayment};

impl Opener {
    /// Looks through the recipient's list for the key.
    pub(super) async fn look(&self, kept: &Kept) -> Result<(), PayoutError> {
        let payout = &kept.payout;
        let answer = self.api.payments_of_recipient(&payout.wish.recipient).await;
        let whose = format!("the list of recipient {}", payout.wish.recipient);
        let fact = match self.breaker.learn(CallKind::Get, &whose, answer).await? {
            Ok(listing) => {
                let ours = |said: &ApiPayment| said.idempotency_key.as_deref() == Some(payout.key.as_str());
                let partial = listing.partial;
                let found = listing.payments.into_iter().filter(ours).map(|said| (said.id.clone(), said));
                let mut found: BTreeMap<PaymentId, ApiPayment> = found.collect();
                match (found.len(), found.pop_first()) {
                    (1, Some((_, said))) => return self.take(payout, said).await,
                    (_, None) => match partial {
                        // What is on another page may bear the key.
                        Some(detail) => PayoutFact::AskFailed { retry_after: None, detail },
                        None => PayoutFact::NotListed,
                    },
                    (_, Some((first, _))) => {
                        PayoutFact::SeveralListed([first].into_iter().chain(found.into_keys()).collect())
                    }
                }
            }
            Err(error) => match error.into_refusal() {
                Ok(refusal) => PayoutFact::ListRefused(refusal),
                Err(error) => ask_failed(&error),
            },
        };
        self.book().tell(&payout.reference, &fact, None, unmoved(payout)).await?;
        Ok(())
    }

    /// Takes the payment that bears the key. What the answer leaves out is asked for.
    pub(super) async fn take(&self, payout: &Payout, mut said: ApiPayment) -> Result<(), PayoutError> {
        if said.deposit_address.is_none() || said.deposit_amount.is_none() {
            let answer = self.ports.api.payment(&said.id).await;
            match self.breaker.learn(CallKind::Get, said.id.as_str(), answer).await? {
                Ok(more) => said = said.filled(more),
                // It is known by its key all the same; there is nothing more to learn of it.
                Err(error) if !error.is_about_the_api() => {}
                Err(error) => {
                    self.book().tell(&payout.reference, &ask_failed(&error), None, unmoved(payout)).await?;
                    return Ok(());
                }
            }
        }
        // Two answers may name one payment: the second one is judged once the first is stored.
        let _one_at_a_time = self.taking.lock().await;
        let other = self.book().of_payment(&said.id).await?.map(|kept| kept.payout.reference);
        let other = other.filter(|other| *other != payout.reference);
        let known = self.ports.store.payment(&said.id).await?;
        let known = known.map(|payment| (payment.terms.deposit_address, payment.terms.amount));
        let facts = Said {
            payment: said.id.clone(),
            kind: said.kind.clone(),
            key: said.idempotency_key.clone(),
            recipient: said.recipient_id.clone(),
            bank_account: said.bank_account.clone(),
            address: said.deposit_address,
            amount: said.deposit_amount,
            chain: said.deposit_chain.clone(),
            currency: said.source_currency.clone(),
            sender: said.sender,
            known,
            other,
        };
        match self.compose(payout, &said) {
            Some(payment) => self.keep(payout, &facts, &payment).await,
            None => {
                let fact = PayoutFact::Opened(Box::new(facts));
                self.book().tell(&payout.reference, &fact, None, unmoved(payout)).await.map(|_| ())
            }
        }
    }

    /// The payment as it is stored, where the API has told what it takes.
    fn compose(&self, payout: &Payout, said: &ApiPayment) -> Option<Payment> {
        let now = self.ports.clock.now();
        Some(Payment {
            id: said.id.clone(),
            version: 0,
            recipient_id: payout.wish.recipient.clone(),
            terms: Terms {
                chain_id: self.settings.chain_id,
                token: self.settings.token,
                deposit_address: said.deposit_address?,
                address_from: Provenance::Created,
                amount: said.deposit_amount?,
                amount_from: Provenance::Created,
                sender: Some(payout.wish.from_address),
                // Nothing was created before it was asked for.
                created_at: said.created_at.unwrap_or(payout.placed_at),
                expires_at: said.expires_at,
                bank_account: said.bank_account.clone(),
                recipient_from: Some(Provenance::Created),
                expiry_from: said.expires_at.map(|_| Provenance::Created),
                sender_from: Some(Provenance::Created),
                typed_by: None,
            },
            state: PaymentState::Waiting,
            api: Some(view_of(said.clone(), now)),
            // The reconciler looks at once: a payment that was opened by a call of long ago may have moved on.
            next_at: Some(now),
            quiet_checks: 0,
            added_at: now,
            ending: None,
            taken: Some(false),
            vouched: Vec::new(),
        })
    }

    /// Stores the payout together with its payment, from which commit on deposits are looked for. Where the terms are not
    /// what was asked for, the policy says so, and no payment is stored.
    async fn keep(&self, before: &Payout, facts: &Said, payment: &Payment) -> Result<(), PayoutError> {
        let (book, still, key) = (self.book(), unmoved(before), key_of(&before.reference));
        let changed = self
            .addresses
            .change_with(payment.terms.deposit_address, Some(&key), |unit, _| {
                let Some(kept) = unit.record.clone().and_then(Kept::of).filter(|kept| still(kept)) else {
                    return Ok(());
                };
                // Somebody may have been quicker to take it up: his terms are held against ours like any others.
                let here = unit.book.payments().iter().find(|known| known.id == payment.id);
                let here = here.map(|known| (known.terms.deposit_address, known.terms.amount));
                let facts = Said { known: here.or(facts.known), ..facts.clone() };
                let (next, said) = book.decide(&kept, &PayoutFact::Opened(Box::new(facts)))?;
                if matches!(next.payout.state, PayoutState::Created { .. }) {
                    match here.is_some() {
                        true => unit.book.claim(&payment.id, &payment.recipient_id, payment.terms.sender),
                        false => unit.add_payment(payment.clone(), &self.settings.sweep),
                    }
                }
                unit.record = Some(next.record());
                unit.said.push(said);
                Ok::<(), UnexpectedPayout>(())
            })
            .await;
        match changed {
            Ok(_) => Ok(()),
            Err(RepositoryError::Store(error)) => Err(error.into()),
            Err(RepositoryError::Refused(error)) => Err(error.into()),
            Err(RepositoryError::Unexpected(error)) => Err(error.into()),
            Err(RepositoryError::NoPayment(_)) => Err(PayoutError::Unknown(before.reference.clone())),
        }
    }
}

fn ask_failed(error: &ApiError) -> PayoutFact {
    PayoutFact::AskFailed { retry_after: error.retry_after(), detail: error.to_string() }
}
