//! A payment API in the process, behind the engine's port.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use rampwatch::domain::chain::B256;
use rampwatch::domain::payment::{ApiStatus, PaymentId, RecipientId};
use rampwatch::ports::payment_api::{ApiError, ApiPayment, PaymentApi};

/// What the API holds and has seen.
#[derive(Default)]
struct Held {
    payments: BTreeMap<PaymentId, ApiPayment>,
    completions: Vec<(PaymentId, B256)>,
    asked: u64,
    held: bool,
    /// Completions are taken and never answered.
    never_answers: bool,
}

/// A payment API that does what it is told, at once.
#[derive(Clone, Default)]
pub(crate) struct PlainApi(Arc<Mutex<Held>>);

impl PlainApi {
    /// Opens a payment.
    pub(crate) fn open(&self, payment: ApiPayment) {
        self.0.lock().unwrap().payments.insert(payment.id.clone(), payment);
    }

    /// Sets a payment's status.
    pub(crate) fn set_status(&self, id: &PaymentId, status: ApiStatus) {
        self.0.lock().unwrap().payments.get_mut(id).unwrap().status = status;
    }

    /// Somebody completes a payment by hand.
    pub(crate) fn completed_by_hand(&self, id: &PaymentId, tx_hash: Option<B256>, status: ApiStatus) {
        let mut held = self.0.lock().unwrap();
        let payment = held.payments.get_mut(id).unwrap();
        payment.tx_hash = tx_hash.map(|hash| hash.to_string());
        payment.status = status;
    }

    /// From now on nothing is answered but "not now", or everything again.
    pub(crate) fn hold(&self, held: bool) {
        self.0.lock().unwrap().held = held;
    }

    /// From now on a completion is never answered and, so far, not acted upon.
    pub(crate) fn never_answers(&self) {
        self.0.lock().unwrap().never_answers = true;
    }

    /// All payments that it holds.
    pub(crate) fn all(&self) -> Vec<ApiPayment> {
        self.0.lock().unwrap().payments.values().cloned().collect()
    }

    /// How often it was asked for a payment.
    pub(crate) fn asked(&self) -> u64 {
        self.0.lock().unwrap().asked
    }

    /// Every accepted completion, in order.
    pub(crate) fn completions(&self) -> Vec<(PaymentId, B256)> {
        self.0.lock().unwrap().completions.clone()
    }
}

#[async_trait]
impl PaymentApi for PlainApi {
    async fn payment(&self, id: &PaymentId) -> Result<ApiPayment, ApiError> {
        let mut held = self.0.lock().unwrap();
        held.asked += 1;
        if held.held {
            return Err(ApiError::NotNow { detail: "held".to_owned(), retry_after: None });
        }
        held.payments.get(id).cloned().ok_or_else(|| ApiError::NotFound { detail: "no such payment".to_owned() })
    }

    async fn complete(&self, _: &RecipientId, id: &PaymentId, tx_hash: B256) -> Result<ApiPayment, ApiError> {
        if self.0.lock().unwrap().never_answers {
            std::future::pending::<()>().await;
        }
        let mut held = self.0.lock().unwrap();
        let payment = held.payments.get_mut(id).unwrap();
        if payment.status != ApiStatus::AwaitingFunds {
            return Err(ApiError::Refused { status: 409, detail: "already completed".to_owned() });
        }
        payment.status = ApiStatus::Completed;
        payment.tx_hash = Some(tx_hash.to_string());
        let answer = payment.clone();
        held.completions.push((id.clone(), tx_hash));
        Ok(answer)
    }
}
