//! What a failed call means: the one file that classes the payment API's errors.
//!
//! Money hangs on one line being drawn right: was the request surely not acted upon, or maybe? Sure are only a
//! connection that never came to be, and the two statuses by which a server says so itself (429, 425). Everything else
//! that is no plain refusal is unclear.
//!
//! | what happened | class |
//! |---|---|
//! | no connection: DNS, refused, TLS, time to connect ran out | `NotNow` |
//! | 429 Too Many Requests, 425 Too Early | `NotNow` |
//! | time ran out later, cut, 5xx, 408, a body that cannot be read | `Unclear` |
//! | 404 without a JSON object: a proxy's, not the API's | `Unclear` |
//! | 401, 403 | `KeyRefused` |
//! | 404 | `NotFound` |
//! | 3xx, any other 4xx; a request that is too large to be sent | `Refused` |

use std::error::Error;
use std::sync::Arc;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;

use crate::domain::text::is_hidden;
use crate::domain::time::Span;
use crate::outbound::retry_after;
use crate::ports::clock::Clock;
use crate::ports::payment_api::ApiError;

/// The most characters of a message that are kept.
pub(super) const MAX_DETAIL: usize = 300;

/// The longest `Retry-After` that is believed.
const MAX_RETRY_AFTER: Span = Span::from_secs(3_600);

/// Classes failures, and keeps secrets out of their texts.
pub(super) struct Failures {
    secrets: Vec<SecretString>,
    timeout: Span,
    clock: Arc<dyn Clock>,
}

/// A call that was never sent.
pub(super) const fn not_sent(detail: String) -> ApiError {
    ApiError::NotNow { detail, retry_after: None }
}

/// A call that was not sent, and would be refused if it were, with this status: another try changes nothing.
pub(super) fn unsendable(status: u16, why: &str) -> ApiError {
    ApiError::Refused { status, detail: format!("not sent: {why}") }
}

/// The reasons below an error of the HTTP library. Its own text is left out: it names the whole URL.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let mut reasons: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(reason) = next {
        let text = reason.to_string();
        if reasons.last() != Some(&text) {
            reasons.push(text);
        }
        next = reason.source();
    }
    if reasons.is_empty() { "no reason is known".to_owned() } else { reasons.join(": ") }
}

impl Failures {
    pub(super) const fn new(secrets: Vec<SecretString>, timeout: Span, clock: Arc<dyn Clock>) -> Self {
        Self { secrets, timeout, clock }
    }

    /// No answer came.
    pub(super) fn of_sending(&self, error: &reqwest::Error) -> ApiError {
        if error.is_builder() {
            return not_sent("the request could not be made".to_owned());
        }
        if error.is_connect() {
            let what = if error.is_timeout() { "connecting took too long" } else { "no connection" };
            return not_sent(self.clean(&format!("{what}: {}", chain(error))));
        }
        ApiError::Unclear { detail: self.of_reading(error), retry_after: None }
    }

    /// Why an answer could not be read to its end.
    pub(super) fn of_reading(&self, error: &reqwest::Error) -> String {
        if error.is_timeout() {
            return format!("no full answer within {} ms", self.timeout.as_millis());
        }
        self.clean(&format!("the connection was lost: {}", chain(error)))
    }

    /// An answer came, and its status is no success. The body may be cut.
    pub(super) fn of_status(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ApiError {
        let code = status.as_u16();
        let told = self.told(body);
        let named = match &told {
            Some(message) => format!("HTTP {code}: {message}"),
            None => format!("HTTP {code} {}", status.canonical_reason().unwrap_or("without a reason")),
        };
        let detail = told.clone().unwrap_or_else(|| "it gives no reason".to_owned());
        let retry_after = self.retry_after(headers);
        match code {
            401 | 403 => ApiError::KeyRefused { status: code, detail },
            404 if told.is_some() => ApiError::NotFound { detail },
            404 => ApiError::Unclear {
                detail: "HTTP 404 without the API's JSON: is api.base_url right, and is the API up?".to_owned(),
                retry_after,
            },
            425 | 429 => ApiError::NotNow { detail: named, retry_after },
            408 | 500.. => ApiError::Unclear { detail: named, retry_after },
            300..=399 => ApiError::Refused { status: code, detail: redirected(headers) },
            400..=499 => ApiError::Refused { status: code, detail },
            // Below 200 nothing final comes, and 200 to 299 does not come here.
            0..=299 => ApiError::Unclear { detail: named, retry_after },
        }
    }

    /// The API's own message, if the body holds a JSON object: `message` (one text or a list of them), then `details`.
    fn told(&self, body: &[u8]) -> Option<String> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Details {
            field: Value,
            message: Value,
        }
        // A byte order mark, or a name in another encoding, takes nothing away from what it says.
        let body = String::from_utf8_lossy(body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body));
        let Value::Object(mut object) = serde_json::from_str(&body).ok()? else { return None };
        let mut text = match object.remove("message") {
            Some(Value::String(message)) => message,
            Some(Value::Array(messages)) => messages.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; "),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => String::new(),
        };
        if text.trim().is_empty() {
            "it gives no reason".clone_into(&mut text);
        }
        let details = object.remove("details").and_then(|details| serde_json::from_value::<Details>(details).ok());
        if let Some(details) = details
            && let (Some(field), Some(message)) = (details.field.as_str(), details.message.as_str())
        {
            text = format!("{text} ({field}: {message})");
        }
        Some(self.clean(&text))
    }

    /// A foreign text made fit for logs: without a secret of ours or anything that looks like one, in one line, short.
    pub(super) fn clean(&self, text: &str) -> String {
        let secrets = self.secrets.iter().map(ExposeSecret::expose_secret).filter(|secret| !secret.is_empty());
        let text = secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "[key]"));
        let blank = |letter: char| if is_hidden(letter) || letter.is_whitespace() { ' ' } else { letter };
        let text: String = text.chars().map(blank).collect();
        let words = text.split(' ').filter(|word| !word.is_empty()).map(|word| match word.find("sk_") {
            Some(start) => format!("{}[key]", word.get(..start).unwrap_or_default()),
            None => word.to_owned(),
        });
        let text = words.collect::<Vec<_>>().join(" ");
        if text.chars().count() <= MAX_DETAIL {
            return text;
        }
        text.chars().take(MAX_DETAIL.saturating_sub(1)).chain(std::iter::once('…')).collect()
    }

    /// What `Retry-After` says, at most an hour.
    fn retry_after(&self, headers: &HeaderMap) -> Option<Span> {
        Some(retry_after(headers, Some(self.clock.now()))?.min(MAX_RETRY_AFTER))
    }
}

/// Where a redirect candidates, without path and query, which may hold secrets.
fn redirected(headers: &HeaderMap) -> String {
    let target = headers.get(LOCATION).and_then(|location| location.to_str().ok());
    let target = match target.map(reqwest::Url::parse) {
        Some(Ok(url)) => match url.host_str() {
            Some(host) => format!("{}://{host}", url.scheme()),
            None => "an unknown place".to_owned(),
        },
        Some(Err(_)) => "another path".to_owned(),
        None => "an unknown place".to_owned(),
    };
    let target: String = target.chars().take(100).collect();
    format!("it redirects to {target}, which is not followed: set api.base_url to the API's real address")
}
