//! A payment API that lists payments, and fails as it is told to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::B256;
use rampwatch::domain::payment::{ApiStatus, BankAccountId, PaymentId, RecipientId, UserId, WebhookId};
use rampwatch::domain::quote::{Exchange, Quote, Rate};
use rampwatch::domain::webhook::Webhook;
use rampwatch::ports::off_ramp_api::{Listing, NewOffRamp, OffRampApi, WebhookChange};
use rampwatch::ports::payment_api::{ApiError, ApiPayment, PaymentApi};

use crate::support::records::{address, at, payment_id};

/// What it holds and has seen.
#[derive(Default)]
pub(super) struct Held {
    /// What a GET says.
    pub(super) payments: BTreeMap<PaymentId, ApiPayment>,
    /// What lists say otherwise than a GET.
    pub(super) listed_as: BTreeMap<PaymentId, ApiPayment>,
    /// Whose lists show which payments.
    pub(super) of_user: BTreeMap<String, BTreeSet<PaymentId>>,
    pub(super) of_recipient: BTreeMap<String, BTreeSet<PaymentId>>,
    /// Entries that cannot be read, in every list.
    pub(super) unreadable: Vec<String>,
    /// How the next lists fail.
    pub(super) lists_fail: VecDeque<ApiError>,
    /// How each GET of a payment fails.
    pub(super) gets_fail: BTreeMap<PaymentId, ApiError>,
    /// How every call fails.
    pub(super) all_fail: Option<ApiError>,
    /// How often a list was read.
    pub(super) lists: u32,
    /// Every GET, in order.
    pub(super) gets: Vec<PaymentId>,
}

#[derive(Clone, Default)]
pub(super) struct Shop(Arc<Mutex<Held>>);

/// An off-ramp of 1000.5 USDC to the `n`th address, of which everything is told.
pub(super) fn off_ramp(n: u64) -> ApiPayment {
    ApiPayment {
        recipient_id: Some(RecipientId::new("rec-1").unwrap()),
        deposit_address: Some(address(n)),
        deposit_amount: Some(Amount::from_base_units(1_000_500_000)),
        deposit_chain: Some("POLYGON".to_owned()),
        source_currency: Some("USDC".to_owned()),
        created_at: Some(at(n)),
        kind: Some("OFF_RAMP".to_owned()),
        idempotency_key: Some(format!("key-{n}")),
        ..ApiPayment::new(payment_id(n), ApiStatus::AwaitingFunds)
    }
}

/// One of which the API tells only what its reference lists.
pub(super) fn bare(n: u64) -> ApiPayment {
    ApiPayment {
        recipient_id: None,
        deposit_address: None,
        deposit_amount: None,
        deposit_chain: None,
        source_currency: None,
        ..off_ramp(n)
    }
}

impl Shop {
    pub(super) fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap()
    }

    /// Opens a payment and shows it in the list of user `u-1`.
    pub(super) fn open(&self, payment: ApiPayment) {
        let mut held = self.held();
        held.of_user.entry("u-1".to_owned()).or_default().insert(payment.id.clone());
        held.payments.insert(payment.id.clone(), payment);
    }

    /// The same in the list of recipient `rec-1`.
    pub(super) fn open_for_recipient(&self, payment: ApiPayment) {
        let mut held = self.held();
        held.of_recipient.entry("rec-1".to_owned()).or_default().insert(payment.id.clone());
        held.payments.insert(payment.id.clone(), payment);
    }

    /// Changes what a GET, and the lists with it, say of a payment.
    pub(super) fn change(&self, n: u64, change: impl FnOnce(&mut ApiPayment)) {
        change(self.held().payments.get_mut(&payment_id(n)).unwrap());
    }

    pub(super) fn gets_of(&self, n: u64) -> usize {
        self.held().gets.iter().filter(|id| **id == payment_id(n)).count()
    }

    fn list(&self, which: impl Fn(&Held) -> Option<BTreeSet<PaymentId>>) -> Result<Listing, ApiError> {
        let mut held = self.held();
        held.lists += 1;
        if let Some(error) = held.all_fail.clone().or_else(|| held.lists_fail.pop_front()) {
            return Err(error);
        }
        let Some(shown) = which(&held) else { return Err(ApiError::NotFound { detail: "nobody".to_owned() }) };
        let said = |id: &PaymentId| held.listed_as.get(id).or_else(|| held.payments.get(id)).cloned();
        Ok(Listing {
            payments: shown.iter().filter_map(said).collect(),
            unreadable: held.unreadable.clone(),
            partial: None,
        })
    }
}

#[async_trait]
impl PaymentApi for Shop {
    async fn payment(&self, id: &PaymentId) -> Result<ApiPayment, ApiError> {
        let mut held = self.held();
        held.gets.push(id.clone());
        if let Some(error) = held.all_fail.clone().or_else(|| held.gets_fail.get(id).cloned()) {
            return Err(error);
        }
        held.payments.get(id).cloned().ok_or_else(|| ApiError::NotFound { detail: "no such payment".to_owned() })
    }

    async fn complete(&self, _: &RecipientId, id: &PaymentId, _: B256) -> Result<ApiPayment, ApiError> {
        panic!("nothing is completed here, and {id} was");
    }
}

#[async_trait]
impl OffRampApi for Shop {
    async fn rate(&self, _: &UserId, _: &Exchange) -> Result<Rate, ApiError> {
        panic!("no rate is asked for here");
    }

    async fn quote(&self, _: &UserId, _: &Exchange, _: &BankAccountId) -> Result<Quote, ApiError> {
        panic!("no quote is asked for here");
    }

    async fn create(&self, _: &RecipientId, _: &NewOffRamp) -> Result<ApiPayment, ApiError> {
        panic!("nothing is created here");
    }

    async fn payments_of_user(&self, user: &UserId) -> Result<Listing, ApiError> {
        self.list(|held| held.of_user.get(user.as_str()).cloned())
    }

    async fn payments_of_recipient(&self, recipient: &RecipientId) -> Result<Listing, ApiError> {
        self.list(|held| held.of_recipient.get(recipient.as_str()).cloned())
    }

    async fn create_webhook(&self, _: &WebhookChange) -> Result<Webhook, ApiError> {
        panic!("no webhook is registered here");
    }

    async fn webhook(&self, _: &WebhookId) -> Result<Webhook, ApiError> {
        panic!("no webhook is asked for here");
    }

    async fn update_webhook(&self, _: &WebhookId, _: &WebhookChange) -> Result<Webhook, ApiError> {
        panic!("no webhook is changed here");
    }
}
