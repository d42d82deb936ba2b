//! Plain JSON-RPC over HTTP, as little as the sandbox needs.
//!
//! Deliberately absent: retries, batches, subscriptions. A rehearsal wants to see each failure.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use super::error::{Result, SandboxError};
use crate::outbound::{Outbound, Patience};

/// How long one request may take. Deep reorgs and large batches of a debug anvil need seconds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A JSON-RPC client for one address.
#[derive(Clone)]
pub(super) struct Rpc {
    url: Url,
    client: reqwest::Client,
    next_id: Arc<AtomicU64>,
}

impl fmt::Debug for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rpc").field("node", &self.redacted()).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    result: Value,
    error: Option<ReplyError>,
}

#[derive(Deserialize)]
struct ReplyError {
    code: i64,
    message: String,
    #[serde(default)]
    data: Value,
}

impl Rpc {
    /// For the node at `url`. Nothing is sent yet.
    pub(super) fn new(url: &str) -> Result<Self> {
        let url = Url::parse(url).map_err(|error| SandboxError::Invalid(format!("the node's address: {error}")))?;
        let client = Outbound::local()
            .client(REQUEST_TIMEOUT, Patience::Whole(REQUEST_TIMEOUT))
            .build()
            .map_err(|error| SandboxError::Invalid(format!("the HTTP client: {}", error.without_url())))?;
        Ok(Self { url, client, next_id: Arc::new(AtomicU64::new(1)) })
    }

    /// The address as it was given.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// The address without path, query and user, which may hold a key.
    pub(super) fn redacted(&self) -> String {
        format!("{}://{}", self.url.scheme(), self.url.host_str().unwrap_or_default())
    }

    /// Calls `method` and reads its result.
    pub(super) async fn call<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<T> {
        let no_answer =
            |error: reqwest::Error| SandboxError::NoAnswer { method: method.to_owned(), detail: words(error) };
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let response = self.client.post(self.url.clone()).json(&request).send().await.map_err(no_answer)?;
        let body = response.bytes().await.map_err(no_answer)?;
        let unreadable = |error: serde_json::Error| SandboxError::Unreadable {
            method: method.to_owned(),
            detail: error.to_string(),
        };
        let reply: Reply = serde_json::from_slice(&body).map_err(unreadable)?;
        if let Some(error) = reply.error {
            let message = match error.data {
                Value::Null => error.message,
                data => format!("{} {data}", error.message),
            };
            return Err(SandboxError::Refused { method: method.to_owned(), code: error.code, message });
        }
        serde_json::from_value(reply.result).map_err(unreadable)
    }

    /// Calls `method` and looks at nothing but whether it worked.
    pub(super) async fn command(&self, method: &str, params: Value) -> Result<()> {
        self.call::<Value>(method, params).await.map(drop)
    }
}

/// What a client error says, with its causes and without the address.
pub(super) fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// A number as JSON-RPC writes it.
pub(super) fn quantity(number: u64) -> String {
    format!("{number:#x}")
}
