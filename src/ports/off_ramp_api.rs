//! The rest of the payment API: what opens off-ramps, lists them and registers webhooks.
//!
//! Deliberately absent: `/complete`, which has a single caller (`ports::payment_api`).

use async_trait::async_trait;

use super::payment_api::{ApiError, ApiPayment};
use crate::domain::chain::Address;
use crate::domain::payment::{BankAccountId, QuoteId, RecipientId, UserId, WebhookId};
use crate::domain::quote::{Exchange, Quote, Rate};
use crate::domain::webhook::Webhook;

/// A file that goes with an off-ramp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedFile {
    /// Its media type, such as `application/pdf`.
    pub media_type: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// An off-ramp that is to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOffRamp {
    /// The same key gives the same payment, however often it is sent. At most 255 characters.
    pub idempotency_key: String,
    /// The quote that it is opened on.
    pub quote_id: QuoteId,
    /// Where the money goes in the end.
    pub bank_account: BankAccountId,
    /// Who will send the USDC.
    pub from_address: Address,
    /// Why the money is paid, as the API calls it.
    pub payment_reason: String,
    /// What the payer calls it. At most 255 characters.
    pub document_reference: Option<String>,
    /// An id of the payer's own, a UUID.
    pub reference_id: Option<String>,
    /// Files that go with it.
    pub files: Vec<AttachedFile>,
}

/// What the API listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The payments that could be read.
    pub payments: Vec<ApiPayment>,
    /// Why others could not, in words that name the payment where it has an id. One that cannot be read hides no other.
    pub unreadable: Vec<String>,
    /// Why this may not be the whole list, in words: it came in an envelope, or in pages. What is not in it may be there.
    pub partial: Option<String>,
}

/// What a webhook is to be. What is `None` stays as it is, or is left to the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookChange {
    /// Where deliveries go.
    pub url: Option<String>,
    /// Whether the configured secret goes along, which deliveries are signed with from then on.
    pub with_secret: bool,
    /// Which events are delivered.
    pub events: Option<Vec<String>>,
    /// Whether anything is delivered.
    pub is_active: Option<bool>,
}

/// Calls the payment API. An implementation makes one request a call, and retries nothing by itself.
#[async_trait]
pub trait OffRampApi: Send + Sync {
    /// `POST /payments/{user}/rate`: what would be given now. Changes nothing.
    async fn rate(&self, user: &UserId, exchange: &Exchange) -> Result<Rate, ApiError>;

    /// `POST /payments/{user}/quote`: what is given to this bank account until the quote runs out. Binds nobody.
    async fn quote(&self, user: &UserId, exchange: &Exchange, to: &BankAccountId) -> Result<Quote, ApiError>;

    /// `POST /payments/recipient/{recipient}/off-ramp`: opens the off-ramp.
    async fn create(&self, recipient: &RecipientId, new: &NewOffRamp) -> Result<ApiPayment, ApiError>;

    /// `GET /payments/user/{user}`.
    async fn payments_of_user(&self, user: &UserId) -> Result<Listing, ApiError>;

    /// `GET /payments/recipient/{recipient}`.
    async fn payments_of_recipient(&self, recipient: &RecipientId) -> Result<Listing, ApiError>;

    /// `POST /webhooks`. The change must name a URL.
    async fn create_webhook(&self, new: &WebhookChange) -> Result<Webhook, ApiError>;

    /// `GET /webhooks/{id}`.
    async fn webhook(&self, id: &WebhookId) -> Result<Webhook, ApiError>;

    /// `PUT /webhooks/{id}`.
    async fn update_webhook(&self, id: &WebhookId, change: &WebhookChange) -> Result<Webhook, ApiError>;
}
