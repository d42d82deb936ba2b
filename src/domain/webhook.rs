//! Webhooks: where the payment API tells of payments that have moved on.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::payment::WebhookId;
use super::time::Timestamp;

/// The only event that the API documents.
pub const PAYMENT_UPDATED: &str = "payment.updated";

/// The most characters that the URL of a webhook may have.
pub const MAX_URL: usize = 2_048;

/// Why a text is no URL that deliveries can be sent to. The text is not repeated: it may hold a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UrlError {
    /// Not `https://` and a host.
    #[error(
        "it must be a URL that starts with https:// and names a host (http:// is taken for loopback addresses only)"
    )]
    NotHttps,
    /// Blanks, control characters, letters beyond ASCII.
    #[error("it must be a URL of plain characters, without blanks")]
    NotPlain,
    /// A user, a password, a query or a fragment, which end up in other people's logs.
    #[error("it must have no user, password, query or fragment: deliveries are told by their signature")]
    Extras,
    /// Longer than [`MAX_URL`].
    #[error("it must have at most 2048 characters")]
    TooLong,
}

/// Whether deliveries can be sent there: `https://`, or `http://` at a loopback address for rehearsals; a host, and
/// nothing but a path after it.
///
/// # Errors
/// What is wrong with it.
pub fn checked_url(text: &str) -> Result<(), UrlError> {
    if text.len() > MAX_URL {
        return Err(UrlError::TooLong);
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(UrlError::NotPlain);
    }
    if text.contains(['@', '?', '#']) {
        return Err(UrlError::Extras);
    }
    let secure = text.starts_with("https://");
    let host = host(text).ok_or(UrlError::NotHttps)?;
    let named = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(v6) => v6.contains(':') && v6.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')),
        None => {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            !host.is_empty() && host.bytes().all(plain)
        }
    };
    let numbers: Vec<&str> = host.split('.').collect();
    let loopback = matches!(host, "localhost" | "[::1]")
        || matches!(&numbers[..], ["127", rest @ ..] if rest.len() == 3 && rest.iter().all(|n| n.parse::<u8>().is_ok()));
    if named && (secure || loopback) { Ok(()) } else { Err(UrlError::NotHttps) }
}

/// The host of a URL that deliveries can be sent to, without its port; `None` when there is none.
#[must_use]
pub fn host(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        Some(_) | None => authority,
    };
    (!host.is_empty()).then_some(host)
}

/// A webhook as the API tells it, and as it is kept here: the API has no call that lists them. Its secret is kept nowhere but
/// with the API and in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
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

/// That a webhook is to be registered at a URL: written down before the API is called. The API has no call that lists
/// webhooks, and no idempotency where they are registered, so an answer that is lost leaves nothing to ask after. There is
/// one for each URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookAttempt {
    /// Where deliveries are to go.
    pub url: String,
    /// When the last attempt began.
    pub at: Timestamp,
    pub state: AttemptState,
}

/// What became of an attempt to register a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum AttemptState {
    /// The API is being called, or was when the process died.
    Calling,
    Registered {
        webhook: WebhookId,
    },
    /// It certainly was not registered.
    Refused {
        /// What the API said, or why it could not be asked.
        why: String,
    },
    /// The API's answer did not say whether it was registered.
    Unclear {
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_go_to_a_host_over_tls() {
        for good in [
            "https://desk.example/webhooks/sentra",
            "https://desk.example:8443",
            "https://10.0.0.1/",
            "https://[2001:db8::1]:443/x",
            "http://127.0.0.1:8787/webhooks/sentra",
            "http://localhost/x",
            "http://[::1]:80/x",
        ] {
            assert_eq!(checked_url(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", UrlError::NotHttps),
            ("desk.example", UrlError::NotHttps),
            ("ftp://desk.example", UrlError::NotHttps),
            ("https://", UrlError::NotHttps),
            ("https:///x", UrlError::NotHttps),
            ("https://a:b:1/", UrlError::NotHttps),
            ("https://[::1/", UrlError::NotHttps),
            ("http://desk.example/x", UrlError::NotHttps),
            ("http://127.0.0.1.evil.example/x", UrlError::NotHttps),
            ("https://user:secret@desk.example/", UrlError::Extras),
            ("https://desk.example/?key=secret", UrlError::Extras),
            ("https://desk.example/#x", UrlError::Extras),
            ("https://desk.example/a b", UrlError::NotPlain),
            ("https://désk.example/", UrlError::NotPlain),
        ] {
            assert_eq!(checked_url(bad), Err(why), "{bad}");
        }
        assert_eq!(checked_url(&format!("https://a/{}", "x".repeat(MAX_URL))), Err(UrlError::TooLong));
    }
}
