//! Webhooks: registered, shown and changed as the API documents, secret and all.

use std::collections::BTreeMap;

use alloy::primitives::keccak256;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::server::{Answer, Shared, now};
use super::shapes::moment;
use crate::domain::time::Timestamp;

/// The most webhooks held at once.
const MAX_WEBHOOKS: usize = 1_000;

pub(super) const EVENT: &str = "payment.updated";

/// A webhook that was registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    pub id: String,
    /// Where deliveries go.
    pub url: String,
    /// What they are signed with.
    pub secret: String,
    /// Which events are delivered.
    pub events: Vec<String>,
    /// Whether anything is.
    pub is_active: bool,
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// All webhooks, by id.
#[derive(Debug, Default)]
pub(super) struct Webhooks {
    by_id: BTreeMap<String, Registered>,
}

impl Webhooks {
    pub(super) fn all(&self) -> Vec<Registered> {
        self.by_id.values().cloned().collect()
    }

    /// Those that are told of an event.
    pub(super) fn listening(&self) -> Vec<Registered> {
        let wanted = |hook: &&Registered| hook.is_active && hook.events.iter().any(|event| event == EVENT);
        self.by_id.values().filter(wanted).cloned().collect()
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Body {
    url: Option<String>,
    secret: Option<String>,
    events: Option<Vec<String>>,
    is_active: Option<bool>,
}

/// Registers a webhook.
pub(super) fn create(shared: &Shared, body: &[u8]) -> Answer {
    let body = match checked(body) {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let Some(url) = body.url else { return bad("url should not be empty", "url") };
    let mut world = shared.world();
    let number = world.webhooks.by_id.len().saturating_add(1);
    if number > MAX_WEBHOOKS {
        return bad("there are too many webhooks already", "url");
    }
    let id = format!("webhook-{number}");
    let at = now();
    let made_up = || format!("whsec_{}", keccak256(format!("{id} of the sandbox")));
    let hook = Registered {
        secret: body.secret.unwrap_or_else(made_up),
        events: body.events.unwrap_or_else(|| vec![EVENT.to_owned()]),
        is_active: true,
        created_at: at,
        updated_at: at,
        url,
        id: id.clone(),
    };
    let answer = Answer::json(StatusCode::CREATED, true, &shown(&hook));
    world.webhooks.by_id.insert(id, hook);
    answer
}

/// Shows a webhook.
pub(super) fn show(shared: &Shared, id: &str) -> Answer {
    match shared.world().webhooks.by_id.get(id) {
        Some(hook) => Answer::json(StatusCode::OK, false, &shown(hook)),
        None => unknown(),
    }
}

/// Changes a webhook.
pub(super) fn update(shared: &Shared, id: &str, body: &[u8]) -> Answer {
    let body = match checked(body) {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let mut world = shared.world();
    let Some(hook) = world.webhooks.by_id.get_mut(id) else { return unknown() };
    hook.url = body.url.unwrap_or_else(|| hook.url.clone());
    hook.secret = body.secret.unwrap_or_else(|| hook.secret.clone());
    hook.events = body.events.unwrap_or_else(|| hook.events.clone());
    hook.is_active = body.is_active.unwrap_or(hook.is_active);
    hook.updated_at = now();
    Answer::json(StatusCode::OK, true, &shown(hook))
}

fn bad(message: &str, field: &str) -> Answer {
    Answer::error(StatusCode::BAD_REQUEST, message, Some(field))
}

fn unknown() -> Answer {
    Answer::error(StatusCode::NOT_FOUND, "Webhook not found", None)
}

fn checked(text: &[u8]) -> Result<Body, Answer> {
    let body: Body = serde_json::from_slice(text).map_err(|error| bad(&error.to_string(), "body"))?;
    if body.url.as_deref().is_some_and(|url| !url.starts_with("https://") && !url.starts_with("http://")) {
        return Err(bad("url must be a URL address", "url"));
    }
    if body.secret.as_deref().is_some_and(|secret| secret.len() < 8 || secret.len() > 255) {
        return Err(bad("secret must have 8 to 255 characters", "secret"));
    }
    if body.events.as_ref().is_some_and(|events| events.iter().any(|event| event != EVENT)) {
        return Err(bad("each value in events must be payment.updated", "events"));
    }
    Ok(body)
}

/// As the API shows it. The secret is in it: that is documented.
fn shown(hook: &Registered) -> Value {
    json!({
        "id": hook.id,
        "url": hook.url,
        "secret": hook.secret,
        "events": hook.events,
        "isActive": hook.is_active,
        "metadata": Value::Null,
        "createdAt": moment(hook.created_at),
        "updatedAt": moment(hook.updated_at),
    })
}
