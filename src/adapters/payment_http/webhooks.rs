//! Reads a webhook as the API tells it. Its secret, which the API repeats, is not looked at. What is only shown (events, dates,
//! whether it is active) makes no answer unreadable.

use serde_json::value::RawValue;

use crate::domain::payment::WebhookId;
use crate::domain::webhook::{MAX_URL, Webhook};

use super::fields::{self, MAX_TEXT, moment, parsed, quoted, text_within};

/// The most events that a webhook may have: the API documents one.
const MAX_EVENTS: usize = 64;

/// Reads a webhook: the one with the given id, or any that was just registered.
///
/// # Errors
/// Not JSON, another webhook, or an id or URL that is missing or cannot be right; in words that name the field.
pub(super) fn webhook(body: &[u8], asked: Option<&WebhookId>) -> Result<Webhook, String> {
    let object = fields::object(body, "a webhook")?;
    let id = parsed("id", fields::id("id", object.get("id")?)?, |text| WebhookId::new(text).ok())?;
    let id = id.ok_or_else(|| format!("its answer has no id; its fields are {}", object.names()))?;
    if let Some(asked) = asked
        && id != *asked
    {
        return Err(format!("its answer is about another webhook, {}", quoted(id.as_str())));
    }
    let shown = |field: &str| moment(field, object.first(field)).ok().flatten();
    Ok(Webhook {
        id,
        url: text_within(MAX_URL, "url", object.get("url")?)?.ok_or("its answer has no url")?,
        events: events(object.first("events")),
        is_active: object.first("isActive").and_then(|raw| serde_json::from_str(raw.get()).ok()),
        created_at: shown("createdAt"),
        updated_at: shown("updatedAt"),
    })
}

/// The events that can be shown.
fn events(raw: Option<&RawValue>) -> Vec<String> {
    let events: Vec<serde_json::Value> = raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let shown = events.iter().filter_map(|event| event.as_str()).filter(|event| event.chars().count() <= MAX_TEXT);
    shown.take(MAX_EVENTS).map(ToOwned::to_owned).collect()
}
