//! Webhooks: what people ask for, and what they are shown. Never a secret: it goes to the API and nowhere else.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::payment::WebhookId;
use crate::domain::webhook::Webhook;
use crate::view::moment;
use crate::view::shapes;

/// A webhook to be registered, with the configured secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    /// Where deliveries are to go: `https`, and nothing but a path after the host.
    #[schemars(length(min = 1, max = 2_048))]
    pub url: String,
    /// Which events are to be delivered; `payment.updated` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub events: Option<Vec<String>>,
    /// Register it although there is, or may be, one for this URL.
    #[serde(default)]
    pub again: bool,
}

/// What of a webhook is to change. What is left out stays as it is; something has to be there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateRequest {
    /// Where deliveries are to go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2_048))]
    pub url: Option<String>,
    /// Which events are to be delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub events: Option<Vec<String>>,
    /// Whether anything is to be delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// Give the API the configured secret, which deliveries are signed with from then on.
    #[serde(default)]
    pub rotate_secret: bool,
}

/// A webhook as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookView {
    /// The API's id.
    #[schemars(with = "shapes::Id")]
    pub id: WebhookId,
    /// Where deliveries go.
    pub url: String,
    /// Which events are delivered.
    pub events: Vec<String>,
    /// Whether anything is delivered; null when the API does not say.
    pub active: Option<bool>,
    /// When it was registered, if the API says: RFC 3339.
    pub created_at: Option<String>,
    /// When it was changed last, if the API says: RFC 3339.
    pub updated_at: Option<String>,
    /// Why this is only what was known before: the API could not be asked, or does not know it any more. Null when the API
    /// has just said it.
    pub stale: Option<String>,
}

impl WebhookView {
    pub(crate) fn new(webhook: &Webhook, stale: Option<String>) -> Self {
        Self {
            id: webhook.id.clone(),
            url: webhook.url.clone(),
            events: webhook.events.clone(),
            active: webhook.is_active,
            created_at: webhook.created_at.map(moment),
            updated_at: webhook.updated_at.map(moment),
            stale,
        }
    }
}
