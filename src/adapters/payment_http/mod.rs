//! The payment API over HTTP.
//!
//! A call that changes something (`/complete`, a new off-ramp, a webhook) is one request at the server, ever: redirects are not
//! followed, no variable reroutes it, the HTTP library's retries are off (`outbound`), and it goes out on a connection of its
//! own: on a kept one, a close by the server at the wrong moment could not be told from an answer lost after acting. Questions
//! share connections; a plain one (GET) is put once more on a new connection where a kept one is found to be gone.
//!
//! Deliberately absent: retries, limits on how many calls run at once, and any decision on what an answer means for
//! a payment. Those are the engine's.

mod answer;
mod bodies;
mod checkup;
mod failure;
mod fields;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod off_ramps;
mod quotes;
mod webhooks;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;

use crate::domain::api_field::Unread;
use crate::domain::chain::B256;
use crate::domain::payment::{PaymentId, RecipientId};
use crate::domain::time::Span;
use crate::outbound::{Clients, Outbound, Patience};
use crate::ports::clock::Clock;
use crate::ports::payment_api::{ApiError, ApiPayment, PaymentApi};

use answer::About;
use failure::Failures;

/// The most bytes of an answer that are read where nothing large is to be expected.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The most bytes of one payment that are read. It has about one thousand, and perhaps the files that it was opened with.
pub const MAX_PAYMENT_BYTES: usize = MAX_REQUEST_BYTES + MAX_BODY_BYTES;

/// The most bytes of a list of payments that are read: the API documents no pages.
pub const MAX_LIST_BYTES: usize = 64 * 1024 * 1024;

/// The most bytes of a request's body. A file takes a third more in it than on the disk.
pub const MAX_REQUEST_BYTES: usize = 64 * 1024 * 1024;

/// How many of the questions' connections are kept: as many as questions may be under way at once.
const MOST_IDLE: usize = 256;

/// How long a GET's connection is kept for the next one.
const KEEP_IDLE: Span = Span::from_secs(20);

/// What the adapter needs to know.
#[derive(Clone, Debug)]
pub struct PaymentHttpSettings {
    /// The API's address, such as `https://api.sentra.xyz/api/v1`.
    pub base_url: String,
    /// The key; sent as `X-API-KEY`.
    pub key: SecretString,
    /// To connect, TLS included. Should be shorter than `timeout`: what runs out while connecting was surely not sent.
    pub connect_timeout: Span,
    /// For a whole call, connecting and reading included.
    pub timeout: Span,
    /// The decimals of the token that amounts are in.
    pub decimals: u8,
    /// What webhooks are registered with, where one is configured.
    pub webhook_secret: Option<SecretString>,
    /// How calls get there.
    pub outbound: Outbound,
}

/// Why there is no client.
#[derive(Debug, Error)]
pub enum PaymentHttpError {
    /// The address cannot be one of an API. It is not shown: it may hold a secret.
    #[error("api.base_url is no http or https URL")]
    BaseUrl,
    /// The key has bytes that no HTTP header can carry.
    #[error("the API key holds characters that cannot be sent")]
    Key,
    /// The HTTP library cannot start, for example for want of root certificates.
    #[error("the HTTP client cannot start: {0}")]
    Client(String),
}

/// The payment API over HTTP.
pub struct PaymentHttp {
    base: Url,
    /// For questions; keeps connections.
    asking: Clients,
    /// For what changes something; a connection each.
    acting: Client,
    decimals: u8,
    webhook_secret: Option<SecretString>,
    failures: Failures,
}

impl fmt::Debug for PaymentHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentHttp").field("host", &self.base.host_str()).finish_non_exhaustive()
    }
}

impl PaymentHttp {
    /// A client. Nothing is sent yet. The clock is for `Retry-After` dates only.
    ///
    /// # Errors
    /// The address or the key cannot be used, or the HTTP library cannot start.
    pub fn new(settings: PaymentHttpSettings, clock: Arc<dyn Clock>) -> Result<Self, PaymentHttpError> {
        let base = Url::parse(&settings.base_url).map_err(|_| PaymentHttpError::BaseUrl)?;
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(PaymentHttpError::BaseUrl);
        }
        let mut key = HeaderValue::from_str(settings.key.expose_secret()).map_err(|_| PaymentHttpError::Key)?;
        key.set_sensitive(true);
        let accepts = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(HeaderName::from_static("x-api-key"), key), (ACCEPT, accepts)]);
        let describe = |connections: usize| {
            let patience = Patience::Whole(settings.timeout.as_duration());
            settings
                .outbound
                .client(settings.connect_timeout.as_duration(), patience)
                .default_headers(headers.clone())
                .pool_max_idle_per_host(connections)
                .pool_idle_timeout(KEEP_IDLE.as_duration())
        };
        let no_client = |error: reqwest::Error| PaymentHttpError::Client(failure::chain(&error));
        Ok(Self {
            base,
            asking: Clients::new("api", || describe(MOST_IDLE)).map_err(no_client)?,
            acting: describe(0).build().map_err(no_client)?,
            decimals: settings.decimals,
            failures: Failures::new(
                std::iter::once(settings.key.clone()).chain(settings.webhook_secret.clone()).collect(),
                settings.timeout,
                clock,
            ),
            webhook_secret: settings.webhook_secret,
        })
    }

    /// The address of a call. Ids hold no characters that a path would have to escape, and the URL type would.
    fn url(&self, path: &[&str]) -> Result<Url, ApiError> {
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => segments.pop_if_empty().extend(path),
            Err(()) => return Err(failure::not_sent("api.base_url cannot have a path".to_owned())),
        };
        Ok(url)
    }

    /// Puts a plain question.
    async fn get(&self, url: Url) -> reqwest::Result<Response> {
        self.asking.read(|client| client.get(url.clone())).await
    }

    /// Reads the answer to what was sent, of at most `most` bytes.
    async fn call<T>(
        &self,
        sent: impl Future<Output = reqwest::Result<Response>> + Send,
        most: usize,
        read: impl FnOnce(&[u8], &HeaderMap) -> Result<T, String> + Send,
    ) -> Result<T, ApiError> {
        let mut response = sent.await.map_err(|error| self.failures.of_sending(&error))?;
        let status = response.status();
        let headers = response.headers().clone();
        let mut body = Vec::new();
        let whole = loop {
            match response.chunk().await {
                Ok(None) => break Ok(()),
                Ok(Some(chunk)) if body.len().saturating_add(chunk.len()) > most => {
                    break Err(format!("its answer is larger than {most} bytes"));
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Err(error) => break Err(self.failures.of_reading(&error)),
            }
        };
        if !status.is_success() {
            // What could be read of the body may still hold the API's reason.
            return Err(self.failures.of_status(status, &headers, &body));
        }
        whole.map_err(|why| self.unclear(status, &why))?;
        // A mark before the text, or a letter in another encoding, spoils nothing but the field that it is in.
        let text = String::from_utf8_lossy(&body);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        read(text.as_bytes(), &headers).map_err(|why| self.unclear(status, &why))
    }

    /// A call that is answered with the payment that it is about.
    async fn payment_about(
        &self,
        sent: impl Future<Output = reqwest::Result<Response>> + Send,
        about: About<'_>,
    ) -> Result<ApiPayment, ApiError> {
        let read = |body: &[u8], _: &HeaderMap| answer::payment(body, about, self.decimals);
        Ok(self.cleaned(self.call(sent, MAX_PAYMENT_BYTES, read).await?))
    }

    /// The payment without a secret in what is kept of fields that could not be read.
    fn cleaned(&self, payment: ApiPayment) -> ApiPayment {
        let clean = |unread: Unread| Unread::new(unread.field, &self.failures.clean(&unread.said));
        ApiPayment { unread: payment.unread.into_iter().map(clean).collect(), ..payment }
    }

    /// Reads an answer to the question after a payment as a call would, for whoever has one without a call: a simulation.
    ///
    /// # Errors
    /// Why it cannot be read, in words.
    pub fn read_payment(body: &[u8], id: &PaymentId, decimals: u8) -> Result<ApiPayment, String> {
        answer::payment(body, About::Payment(id), decimals)
    }

    fn unclear(&self, status: StatusCode, why: &str) -> ApiError {
        ApiError::Unclear {
            detail: self.failures.clean(&format!("HTTP {}: {why}", status.as_u16())),
            retry_after: None,
        }
    }
}

#[async_trait]
impl PaymentApi for PaymentHttp {
    async fn payment(&self, id: &PaymentId) -> Result<ApiPayment, ApiError> {
        let url = self.url(&["payments", id.as_str()])?;
        counted("payment", self.payment_about(self.get(url), About::Payment(id)).await)
    }

    async fn complete(&self, recipient: &RecipientId, id: &PaymentId, tx_hash: B256) -> Result<ApiPayment, ApiError> {
        let path = ["payments", "recipient", recipient.as_str(), "off-ramp", id.as_str(), "complete"];
        let request = self.acting.post(self.url(&path)?).json(&bodies::Complete { transaction_hash: tx_hash });
        counted("complete", self.payment_about(request.send(), About::Payment(id)).await)
    }
}

/// Counts a call by how it ended.
fn counted<T>(call: &'static str, result: Result<T, ApiError>) -> Result<T, ApiError> {
    let name = match &result {
        Ok(_) => "ok",
        Err(ApiError::NotNow { .. }) => "not_now",
        Err(ApiError::Unclear { .. }) => "unclear",
        Err(ApiError::KeyRefused { .. }) => "key_refused",
        Err(ApiError::NotFound { .. }) => "not_found",
        Err(ApiError::Refused { .. }) => "refused",
    };
    metrics::counter!("rampwatch_api_requests_total", "call" => call, "result" => name).increment(1);
    result
}
