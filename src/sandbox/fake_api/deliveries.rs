//! Telling webhooks of payments that have changed: one POST for each change and webhook, signed with its secret.
//!
//! How the real API signs, and what it sends, no source says: this is the form that rampwatch expects unless configured
//! otherwise. Deliberately absent: trying again. A delivery that is lost is lost, which is what a hint may be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::Sha256;

use super::Behaviour;
use super::book::OffRamp;
use super::server::{Shared, now};
use super::shapes;
use super::webhooks::{EVENT, Registered};
use crate::domain::payment::PaymentId;
use crate::domain::time::Timestamp;
use crate::outbound::{Outbound, Patience};

/// The header that bears the signature: `sha256=` and the HMAC-SHA256 of the body in hexadecimal.
pub const SIGNATURE_HEADER: &str = "x-webhook-signature";

/// How long a webhook may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time moves payments too, without a call: looked at this often.
const LOOK: Duration = Duration::from_millis(100);

/// The most deliveries that are kept to be looked at.
const MAX_KEPT: usize = 10_000;

/// A delivery that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    pub webhook: String,
    pub payment: PaymentId,
    /// The status that was told.
    pub status: String,
    /// What the webhook answered; `None` when it did not.
    pub answered: Option<u16>,
}

/// What was told of each payment: its status, and when it had changed.
type LastTold = BTreeMap<PaymentId, (String, Timestamp)>;

/// Tells of changes until the fake API ends.
pub(super) async fn keep_telling(shared: Arc<Shared>) {
    let made = Outbound::new(None, None).map_err(|error| error.to_string()).and_then(|outbound| {
        let client = outbound.client(PATIENCE, Patience::Whole(PATIENCE)).build();
        client.map_err(|error| error.to_string())
    });
    let client = match made {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(%error, "the fake API cannot tell webhooks anything");
            return;
        }
    };
    let mut changes = shared.changes.subscribe();
    let mut last_told = LastTold::new();
    loop {
        for (hook, off_ramp, body) in due(&shared, &mut last_told) {
            let answered = tokio::select! {
                () = shared.stopped.cancelled() => return,
                answered = deliver(&client, &hook, body) => answered,
            };
            let delivery = Delivery { webhook: hook.id, payment: off_ramp.id, status: off_ramp.status, answered };
            shared.world().keep_delivery(delivery, MAX_KEPT);
        }
        tokio::select! {
            () = shared.stopped.cancelled() => return,
            _ = tokio::time::timeout(LOOK, changes.changed()) => {}
        }
    }
}

/// What is to be told now, and to whom. A payment that is only just open is no news.
fn due(shared: &Shared, last_told: &mut LastTold) -> Vec<(Registered, OffRamp, String)> {
    let mut world = shared.world();
    let Behaviour { progress, shape, deliver, .. } = world.behaviour.clone();
    if !deliver {
        // Whoever switches it on later is told of what changes from then on.
        last_told.clear();
        return Vec::new();
    }
    let hooks = world.webhooks.listening();
    let fresh = last_told.is_empty();
    let mut due = Vec::new();
    for off_ramp in world.book.all(progress, now()) {
        let state = (off_ramp.status.clone(), off_ramp.updated_at);
        let before = last_told.insert(off_ramp.id.clone(), state.clone());
        let news = match before {
            Some(before) => before != state,
            None => !fresh && off_ramp.status != "AWAITING_FUNDS",
        };
        if !news {
            continue;
        }
        let told = shapes::payment(&off_ramp, shape).ok();
        let told: Value = told.and_then(|told| serde_json::from_str(told.get()).ok()).unwrap_or_default();
        let body = json!({ "event": EVENT, "createdAt": shapes::moment(now()), "data": told }).to_string();
        due.extend(hooks.iter().map(|hook| (hook.clone(), off_ramp.clone(), body.clone())));
    }
    due
}

async fn deliver(client: &reqwest::Client, hook: &Registered, body: String) -> Option<u16> {
    let signature = signature(&hook.secret, body.as_bytes())?;
    let request = client.post(&hook.url).header(SIGNATURE_HEADER, signature);
    let answer = request.header("content-type", "application/json").body(body).send().await;
    answer.ok().map(|answer| answer.status().as_u16())
}

/// The signature of a body: `sha256=` and the HMAC-SHA256 in hexadecimal.
#[must_use]
pub fn signature(secret: &str, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(body);
    Some(format!("sha256={}", alloy::primitives::hex::encode(mac.finalize().into_bytes())))
}
