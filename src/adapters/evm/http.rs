//! JSON-RPC over HTTP: one POST, its time and size bounded, its errors classified.
//!
//! alloy's own HTTP transport is deliberately not used: it has no limit on the body, and writes the URL, with the
//! key in it, into its tracing spans and errors.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use alloy::primitives::Bytes;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use url::Url;

use super::classify::{Class, classify};
use super::failure::{Failure, Reach};
use super::redact::Redactor;
use super::rpc::Ask;

/// No answer may be longer than this, in bytes. 20 000 logs are about 15 MB.
const MAX_BODY: usize = 32 * 1_024 * 1_024;
/// Longer error bodies, and those with markup, are pages for people: nothing in them is taken for a node's words.
const MAX_ERROR_TEXT: usize = 2_000;
/// Longer data with an error, in hexadecimal digits, are no revert's reason that a person could read.
const MAX_RETURNED: usize = 2_048;
/// No server can make us wait longer than this.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// What became of each question, in the order of asking.
pub(super) type Answers = Vec<Result<Box<RawValue>, Failure>>;

/// One HTTP endpoint.
pub(super) struct HttpLink {
    client: reqwest::Client,
    url: Url,
    redactor: Redactor,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    id: Value,
    #[serde(default, deserialize_with = "present")]
    result: Option<Box<RawValue>>,
    #[serde(default)]
    error: Option<Value>,
}

/// Keeps `null` apart from a missing field.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

impl HttpLink {
    /// Over a client that has its timeouts.
    pub(super) const fn new(client: reqwest::Client, url: Url, redactor: Redactor) -> Self {
        Self { client, url, redactor }
    }

    /// Asks one question.
    pub(super) async fn one(&self, ask: &Ask) -> Result<Box<RawValue>, Failure> {
        let body = self.post(question(0, ask).to_string(), false).await?;
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| self.no_json(&body))?;
        self.result(answer)
    }

    /// Asks several questions in one batch, which one node answers, in the order given.
    pub(super) async fn batch(&self, asks: &[Ask]) -> Result<Answers, Failure> {
        let questions: Vec<Value> = asks.iter().enumerate().map(|(id, ask)| question(id, ask)).collect();
        let body = self.post(Value::Array(questions).to_string(), true).await?;
        if body.trim_ascii_start().first() != Some(&b'[') {
            // One answer for all: an error, or a server that does not know batches.
            let answer: Answer = serde_json::from_slice(&body).map_err(|_| self.no_json(&body))?;
            return Err(self.result(answer).err().map_or_else(
                || Failure::new(Class::Batch, "a batch got one answer"),
                |failure| {
                    if failure.class == Class::Refused { Failure { class: Class::Batch, ..failure } } else { failure }
                },
            ));
        }
        let answers: Vec<Answer> = serde_json::from_slice(&body).map_err(|_| self.no_json(&body))?;
        let mut found: Answers = asks
            .iter()
            .map(|ask| Err(Failure::garbage(format!("the batch's answer has none to {}", ask.method))))
            .collect();
        for answer in answers {
            let at = answer.id.as_u64().and_then(|id| usize::try_from(id).ok());
            if let Some(slot) = at.and_then(|at| found.get_mut(at)) {
                *slot = self.result(answer);
            }
        }
        Ok(found)
    }

    async fn post(&self, body: String, is_batch: bool) -> Result<Vec<u8>, Failure> {
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json").body(body);
        let response = request.send().await.map_err(|error| self.no_answer(error))?;
        let status = response.status();
        let wait = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let retry_after = wait.map(|secs| Duration::from_secs(secs).min(MAX_RETRY_AFTER));
        let body = self.body(response).await?;
        if status.is_success() {
            return Ok(body);
        }
        let mut failure = self.http_error(status.as_u16(), &body);
        if is_batch && failure.class == Class::Refused {
            failure.class = Class::Batch;
        }
        Err(Failure { retry_after, ..failure })
    }

    async fn body(&self, mut response: reqwest::Response) -> Result<Vec<u8>, Failure> {
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
        if let Some(error) = serde_json::from_slice::<Answer>(body).ok().and_then(|answer| answer.error) {
            let mut failure = self.rpc_error(&error);
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

    fn result(&self, answer: Answer) -> Result<Box<RawValue>, Failure> {
        if let Some(error) = answer.error.filter(|error| !error.is_null()) {
            return Err(self.rpc_error(&error));
        }
        answer.result.ok_or_else(|| Failure::garbage("an answer with neither result nor error"))
    }

    /// A JSON-RPC error, which some servers write with the code as text, or as text altogether.
    fn rpc_error(&self, error: &Value) -> Failure {
        let code = error.get("code").and_then(|code| code.as_i64().or_else(|| code.as_str()?.parse().ok()));
        let message = error.get("message").or(Some(error)).and_then(Value::as_str).unwrap_or("an error without words");
        rpc_failure(code, message, error.get("data").and_then(Value::as_str), &self.redactor)
    }

    fn no_json(&self, body: &[u8]) -> Failure {
        let start = String::from_utf8_lossy(body.get(..body.len().min(80)).unwrap_or_default());
        Failure::garbage(format!("the answer is no JSON-RPC: {:?}", self.redactor.clean(&start)))
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

/// A JSON-RPC error as a failure. Its data are words, or what a contract returned.
pub(super) fn rpc_failure(code: Option<i64>, message: &str, data: Option<&str>, redactor: &Redactor) -> Failure {
    let detail = data.filter(|data| !data.starts_with("0x"));
    let returned = data.filter(|data| data.starts_with("0x") && data.len() <= MAX_RETURNED);
    let returned = returned.and_then(|data| data.parse::<Bytes>().ok());
    let words = detail.map_or_else(|| message.to_owned(), |detail| format!("{message}: {detail}"));
    let class = classify(code, &words);
    let words = redactor.clean(&words);
    let text = code.map_or_else(|| words.clone(), |code| format!("{words} (code {code})"));
    Failure { words, reach: Reach::Answered, returned, ..Failure::new(class, text) }
}

fn question(id: usize, ask: &Ask) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": ask.method, "params": ask.params })
}
