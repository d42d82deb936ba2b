//! Webhooks: where the payment API tells of payments that have moved on.

use serde::{Deserialize, Serialize};

use super::payment::WebhookId;
use super::time::Timestamp;

/// The only event that the API documents.
pub const PAYMENT_UPDATED: &str = "payment.updated";

/// A webhook as the API tells it, and as it is kept here: the API has no call that lists them. Its secret is kept nowhere but
/// with the API and in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// The API's id.
    pub id: WebhookId,
    /// Where deliveries go.
    pub url: String,
    /// Which events are delivered, as the API calls them.
    pub events: Vec<String>,
    /// Whether anything is delivered at all; `None` when the API does not say.
    pub is_active: Option<bool>,
    /// When it was registered, if the API says.
    pub created_at: Option<Timestamp>,
    /// When it was changed last, if the API says.
    pub updated_at: Option<Timestamp>,
}
