//! JSON-RPC over HTTP: one POST, its time and size bounded, its errors classified.
//!
//! alloy's own HTTP transport is deliberately not used: it has no limit on the body, and writes the URL, with the
//! key in it, into its tracing spans and errors.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use url::Url;

use crate::outbound::{self, Clients};

use super::classify::{Class, classify};
use super::failure::{Failure, Reach};
use super::redact::Redactor;
use super::reply::{self, Answers};
use super::rpc::Ask;

/// No answer may be longer than this, in bytes. 20 000 logs are about 15 MB.
const MAX_BODY: usize = 32 * 1_024 * 1_024;
/// Longer error bodies, and those with markup, are pages for people: nothing in them is taken for a node's words.
const MAX_ERROR_TEXT: usize = 2_000;
/// No server can make us wait longer than this.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// One HTTP endpoint.
pub(super) struct HttpLink {
    clients: Clients,
    url: Url,
    redactor: Redactor,
}

impl HttpLink {
    /// Over clients that have their timeouts.
    pub(super) const fn new(clients: Clients, url: Url, redactor: Redactor) -> Self {
        Self { clients, url, redactor }
    }

    pub(super) async fn one(&self, ask: &Ask) -> Result<Box<RawValue>, Failure> {
        let response = self.clients.read(self.request(question(0, ask))).await;
        reply::one(&self.answer(response).await?, &self.redactor)
    }

    /// Says something that must not be said twice, such as a transaction.
    pub(super) async fn once(&self, ask: &Ask) -> Result<Box<RawValue>, Failure> {
        let response = self.request(question(0, ask))(self.clients.kept()).send().await;
        reply::one(&self.answer(response).await?, &self.redactor)
    }

    /// Asks several questions in one batch, which one node answers, in the order given.
    pub(super) async fn batch(&self, asks: &[Ask]) -> Result<Answers, Failure> {
        let questions: Vec<Value> = asks.iter().enumerate().map(|(id, ask)| question(id, ask)).collect();
        let methods: Vec<&'static str> = asks.iter().map(|ask| ask.method).collect();
        let response = self.clients.read(self.request(Value::Array(questions))).await;
        reply::batch(&self.answer(response).await?, &methods, &self.redactor)
    }

    fn request(&self, question: Value) -> impl Fn(&Client) -> RequestBuilder {
        let (url, body) = (self.url.clone(), question.to_string());
        move |client| client.post(url.clone()).header(CONTENT_TYPE, "application/json").body(body.clone())
    }

    async fn answer(&self, response: reqwest::Result<Response>) -> Result<Vec<u8>, Failure> {
        let response = response.map_err(|error| self.no_answer(error))?;
        let status = response.status();
        let wait = outbound::retry_after(response.headers(), None);
        let retry_after = wait.map(|wait| wait.as_duration().min(MAX_RETRY_AFTER));
        let body = self.body(response).await?;
        if status.is_success() {
            return Ok(body);
        }
        let failure = self.http_error(status.as_u16(), &body);
        Err(Failure { retry_after: retry_after.or(failure.retry_after), ..failure })
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        let too_long = || Failure::new(Class::Results, format!("the answer is longer than {MAX_BODY} bytes"));
        let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
        if announced.is_some_and(|length| length > MAX_BODY) {
            return Err(too_long());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.no_answer(error))? {
            if body.len().saturating_add(chunk.len()) > MAX_BODY {
                return Err(too_long());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// An HTTP status that is no success: what the JSON-RPC error in the body says, else the status.
    fn http_error(&self, status: u16, body: &[u8]) -> Failure {
        let by_status = |text: &str| classify(Some(i64::from(status)), text);
        if let Some(mut failure) = reply::error_in(body, &self.redactor) {
            if matches!(failure.class, Class::Refused | Class::Server) {
                failure.class = by_status("");
            }
            failure.text = format!("HTTP {status}: {}", failure.text);
            return failure;
        }
        let text = String::from_utf8_lossy(body);
        let words = text.trim();
        if words.is_empty() || words.starts_with('<') || words.len() > MAX_ERROR_TEXT || status >= 500 {
            return Failure::new(by_status(""), format!("HTTP {status}"));
        }
        let class = by_status(words);
        let words = self.redactor.clean(words);
        Failure { words: words.clone(), ..Failure::new(class, format!("HTTP {status}: {words}")) }
    }

    fn no_answer(&self, error: reqwest::Error) -> Failure {
        let class = if error.is_timeout() { Class::Timeout } else { Class::Connection };
        let reach = if error.is_connect() { Reach::Unsent } else { Reach::Unknown };
        let error = error.without_url();
        let mut cause = error.source();
        let mut text = if error.is_timeout() { "no answer in time".to_owned() } else { error.to_string() };
        while let Some(inner) = cause {
            if let Some(io) = inner.downcast_ref::<io::Error>() {
                text = io.to_string();
            }
            cause = inner.source();
        }
        Failure { reach, ..Failure::new(class, self.redactor.clean(&text)) }
    }
}

fn question(id: usize, ask: &Ask) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": ask.method, "params": ask.params })
}
