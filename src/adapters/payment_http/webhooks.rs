//! Reads a webhook as the API tells it. Its secret, which the API repeats, is not looked at.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::payment::WebhookId;
use crate::domain::webhook::{MAX_URL, Webhook};

use super::fields::{self, MAX_TEXT, moment, quoted, read, text_within};

/// The most events that a webhook may have: the API documents one.
const MAX_EVENTS: usize = 64;

/// The webhook's fields, unread. `null` and a missing field are the same.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    url: Option<&'a RawValue>,
    #[serde(borrow)]
    events: Option<&'a RawValue>,
    #[serde(borrow)]
    is_active: Option<&'a RawValue>,
    #[serde(borrow)]
    created_at: Option<&'a RawValue>,
    #[serde(borrow)]
    updated_at: Option<&'a RawValue>,
}

/// Reads a webhook: the one with the given id, or any that was just registered.
///
/// # Errors
/// Not JSON, another webhook, or a field that is missing or cannot be right; in words that name the field.
pub(super) fn webhook(body: &[u8], asked: Option<&WebhookId>) -> Result<Webhook, String> {
    let wire: Wire<'_> = fields::object(body, "a webhook")?;
    let id = read("id", wire.id, |text| WebhookId::new(text).ok())?.ok_or("its answer has no id")?;
    if let Some(asked) = asked
        && id != *asked
    {
        return Err(format!("its answer is about another webhook, {}", quoted(id.as_str())));
    }
    Ok(Webhook {
        id,
        url: text_within(MAX_URL, "url", wire.url)?.ok_or("its answer has no url")?,
        events: events(wire.events)?,
        is_active: flag("isActive", wire.is_active)?,
        created_at: read("createdAt", wire.created_at, moment)?,
        updated_at: read("updatedAt", wire.updated_at, moment)?,
    })
}

fn events(raw: Option<&RawValue>) -> Result<Vec<String>, String> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    let events: Vec<String> =
        serde_json::from_str(raw.get()).map_err(|_| "its events are no list of texts".to_owned())?;
    if events.len() > MAX_EVENTS || events.iter().any(|event| event.chars().count() > MAX_TEXT) {
        return Err(format!("its events are more than {MAX_EVENTS}, or longer than {MAX_TEXT} characters"));
    }
    Ok(events)
}

fn flag(field: &str, raw: Option<&RawValue>) -> Result<Option<bool>, String> {
    let Some(raw) = raw else { return Ok(None) };
    serde_json::from_str(raw.get()).map(Some).map_err(|_| format!("its {field} is neither true nor false"))
}
