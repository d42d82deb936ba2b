//! People's endpoints over HTTP: signed as Standard Webhooks says, or in the form that Slack takes.
//!
//! One delivery is one request: redirects are not followed, and the HTTP library's retries are off (`outbound`). What the endpoint answers is not read beyond its status: whoever runs it could make it repeat
//! the URL, which often is the key. No error, log line or `Debug` has the URL or the secret in it.
//!
//! Deliberately absent: when a delivery is repeated (the engine's), and email: an endpoint of your own can send one.

mod form;
mod sign;

use std::error::Error;
use std::fmt;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;

use crate::domain::notice::{Message, NoticeKind};
use crate::domain::text::is_hidden;
use crate::domain::time::{Span, Timestamp};
use crate::outbound::{Outbound, Patience, retry_after};
use crate::ports::notifier::{Notifier, NotifyError};

pub use sign::{SecretError, SigningKey};

/// The most characters of a reason.
const MAX_DETAIL: usize = 200;

/// The shortest piece of a URL that is taken for a secret.
const MIN_SECRET: usize = 4;

/// What the adapter needs to know of one endpoint.
#[derive(Clone, Debug)]
pub struct NotifyHttpSettings {
    /// Its name: letters, digits, `-` and `_`.
    pub name: String,
    /// Where deliveries go; it may hold a key.
    pub url: SecretString,
    /// What they look like.
    pub form: Form,
    /// Which kinds it takes.
    pub kinds: Vec<NoticeKind>,
    /// To connect, TLS included.
    pub connect_timeout: Span,
    /// For a whole delivery. Standard Webhooks recommends 15 to 30 s.
    pub timeout: Span,
    /// How deliveries get there.
    pub outbound: Outbound,
}

/// What a delivery looks like.
#[derive(Clone, Debug)]
pub enum Form {
    /// Standard Webhooks 1.0.0: JSON with `type`, `timestamp` and `data`, signed with this secret (`whsec_` and base64).
    Standard { secret: SecretString },
    /// An incoming webhook of Slack, or of whatever takes the same: `{"text": …}`.
    Slack,
}

/// Why there is no client. Texts hold no secrets.
#[derive(Debug, Error)]
pub enum NotifyHttpError {
    /// The URL is none.
    #[error("the URL of the endpoint {0:?} is no http or https URL")]
    Url(String),
    /// The secret cannot sign.
    #[error("the secret of the endpoint {name:?} {why}")]
    Secret { name: String, why: SecretError },
    /// The HTTP library cannot start, for example for want of root certificates.
    #[error("the HTTP client cannot start: {0}")]
    Client(String),
}

/// One endpoint over HTTP.
pub struct NotifyHttp {
    name: String,
    kinds: Vec<NoticeKind>,
    url: Url,
    /// Signs; `None` for Slack.
    key: Option<SigningKey>,
    client: Client,
    timeout: Span,
}

impl fmt::Debug for NotifyHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotifyHttp").field("name", &self.name).field("kinds", &self.kinds).finish_non_exhaustive()
    }
}

impl NotifyHttp {
    /// A client. Nothing is sent yet.
    ///
    /// # Errors
    /// The URL or the secret cannot be used, or the HTTP library cannot start.
    pub fn new(settings: NotifyHttpSettings) -> Result<Self, NotifyHttpError> {
        let NotifyHttpSettings { name, url, form, kinds, connect_timeout, timeout, outbound } = settings;
        let url = Url::parse(url.expose_secret()).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.filter(|url| url.host().is_some()).ok_or_else(|| NotifyHttpError::Url(name.clone()))?;
        let key = match form {
            Form::Standard { secret } => {
                Some(SigningKey::read(&secret).map_err(|why| NotifyHttpError::Secret { name: name.clone(), why })?)
            }
            Form::Slack => None,
        };
        let client = outbound
            .client(connect_timeout.as_duration(), Patience::Whole(timeout.as_duration()))
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| NotifyHttpError::Client(chain(&error)))?;
        Ok(Self { name, kinds, url, key, client, timeout })
    }

    /// The headers that say what a delivery is and that it is ours.
    fn headers(&self, id: &str, body: &[u8], now: Timestamp) -> Option<HeaderMap> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let Some(key) = &self.key else { return Some(headers) };
        let seconds = now.as_secs();
        let signature = key.sign(id, seconds, body);
        let values =
            [("webhook-id", id), ("webhook-timestamp", &seconds.to_string()), ("webhook-signature", &signature)];
        for (name, value) in values {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).ok()?);
        }
        Some(headers)
    }

    fn of_sending(&self, error: &reqwest::Error) -> String {
        if error.is_timeout() {
            return format!("no answer within {} s", self.timeout.as_secs());
        }
        let what = if error.is_connect() { "no connection" } else { "the connection was lost" };
        self.clean(&format!("{what}: {}", chain(error)))
    }

    /// The text on one line, without any piece of the URL but its host, and not too long.
    fn clean(&self, text: &str) -> String {
        let mut pieces: Vec<String> = vec![self.url.path().to_owned(), self.url.username().to_owned()];
        pieces.extend(self.url.path_segments().into_iter().flatten().map(str::to_owned));
        pieces.extend(self.url.password().map(str::to_owned));
        pieces.extend(self.url.query().map(str::to_owned));
        pieces.extend(self.url.query_pairs().map(|(_, value)| value.into_owned()));
        pieces.retain(|piece| piece.len() >= MIN_SECRET);
        pieces.sort_by_key(|piece| std::cmp::Reverse(piece.len()));
        let text = pieces.iter().fold(text.to_owned(), |text, piece| text.replace(piece.as_str(), "…"));
        text.chars().map(|letter| if is_hidden(letter) { ' ' } else { letter }).take(MAX_DETAIL).collect()
    }
}

/// The reasons below an error of the HTTP library. Its own text is left out: it names the whole URL.
fn chain(error: &reqwest::Error) -> String {
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

#[async_trait]
impl Notifier for NotifyHttp {
    fn name(&self) -> &str {
        &self.name
    }

    fn takes(&self, kind: NoticeKind) -> bool {
        self.kinds.contains(&kind)
    }

    async fn deliver(&self, id: &str, message: &Message, now: Timestamp) -> Result<(), NotifyError> {
        let later = |detail: String| NotifyError::Later { detail, retry_after: None };
        let body = if self.key.is_some() { form::standard(message) } else { form::slack(message) };
        let headers =
            self.headers(id, &body, now).ok_or_else(|| later("the id cannot be sent in a header".to_owned()))?;
        let request = self.client.post(self.url.clone()).headers(headers).body(body);
        let response = request.send().await.map_err(|error| later(self.of_sending(&error)))?;
        of_status(response.status(), response.headers(), now)
    }
}

/// What a status means (Standard Webhooks, "Delivery success and failure"): 2xx is success, 410 ends it, and everything
/// else is a failure, redirects too.
fn of_status(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Result<(), NotifyError> {
    if status.is_success() {
        return Ok(());
    }
    if status == StatusCode::GONE {
        return Err(NotifyError::Gone);
    }
    let mut detail = format!("HTTP {} {}", status.as_u16(), status.canonical_reason().unwrap_or("without a reason"));
    if status.is_redirection() {
        detail.push_str(", which is not followed: give the endpoint's real URL");
    }
    Err(NotifyError::Later { detail, retry_after: retry_after(headers, Some(now)) })
}
