//! A small client of rampwatch's operator API, with no more of its answers than a rehearsal looks at.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::error::{Result, SandboxError};
use super::rpc::words;
use crate::config::HttpSettings;
use crate::domain::amount::Amount;
use crate::domain::chain::B256;
use crate::domain::deposit::Verdict;
use crate::domain::payment::{Outcome, PaymentId, RecipientId};
use crate::outbound::{Outbound, Patience};

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How many items are asked for at once.
const PAGE: usize = 500;

/// The operator API of one rampwatch, be it running or not.
#[derive(Clone, Debug)]
pub struct Operator {
    client: reqwest::Client,
    base: String,
    /// Where the configuration names one; at the socket nobody needs one.
    token_file: Option<PathBuf>,
}

/// A payment as rampwatch shows it.
#[derive(Clone, Debug, Deserialize)]
pub struct PaymentRow {
    pub id: PaymentId,
    /// How far rampwatch is with it.
    pub state: StateRow,
}

/// How far rampwatch is with a payment.
#[derive(Clone, Debug, Deserialize)]
pub struct StateRow {
    pub name: String,
    /// The same as a sentence.
    pub text: String,
    /// How it ended, once it has.
    pub outcome: Option<Outcome>,
}

/// A deposit as rampwatch shows it.
#[derive(Clone, Debug, Deserialize)]
pub struct DepositRow {
    pub key: String,
    pub tx_hash: B256,
    pub block_hash: B256,
    pub amount: AmountRow,
    /// Where its block stands.
    pub standing: StandingRow,
    /// What it is taken for.
    pub verdict: Verdict,
    /// The same in words.
    pub verdict_text: String,
}

/// An amount of a token.
#[derive(Clone, Debug, Deserialize)]
pub struct AmountRow {
    pub base_units: Amount,
}

/// Where a deposit's block stands.
#[derive(Clone, Debug, Deserialize)]
pub struct StandingRow {
    /// `provisional`, `final`, `gone` or `gone_after_final`.
    pub name: String,
}

/// Why something stands where it stands.
#[derive(Clone, Debug, Deserialize)]
pub struct WhyRow {
    /// The rule that decided, in words.
    pub rule: String,
    /// The deposits that concern it.
    pub deposits: Vec<DepositRow>,
    /// What happened to it, the oldest first.
    pub events: Vec<EventRow>,
}

/// Something that happened.
#[derive(Clone, Debug, Deserialize)]
pub struct EventRow {
    /// What, in one word.
    pub event: String,
    /// The same as a sentence.
    pub text: String,
}

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    next: Option<String>,
}

impl Operator {
    /// The API at the socket of these settings; where they name a token file, over TCP with the token. Asks nothing yet.
    ///
    /// # Errors
    /// When the HTTP client cannot be made.
    pub(super) fn new(http: &HttpSettings) -> Result<Self> {
        let builder = Outbound::local().client(REQUEST_TIMEOUT, Patience::Whole(REQUEST_TIMEOUT));
        let (builder, base) = match http.token_file {
            Some(_) => (builder, format!("http://{}", http.listen)),
            None => (builder.unix_socket(http.socket.as_path()), "http://localhost".to_owned()),
        };
        let client = builder.build().map_err(|error| SandboxError::Daemon(words(error)))?;
        Ok(Self { client, base, token_file: http.token_file.clone() })
    }

    /// Whether rampwatch runs and says that it is ready.
    pub async fn is_ready(&self) -> bool {
        let answer = self.client.get(format!("{}/readyz", self.base)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// Adds a payment; the rest is taken from the payment API.
    ///
    /// # Errors
    /// When rampwatch does not answer, or refuses.
    pub async fn add(&self, id: &PaymentId, recipient: &RecipientId) -> Result<PaymentRow> {
        self.ask(Some(json!({ "id": id, "recipient_id": recipient })), "/v1/payments").await
    }

    /// One payment.
    ///
    /// # Errors
    /// When rampwatch does not answer, or does not know it.
    pub async fn payment(&self, id: &PaymentId) -> Result<PaymentRow> {
        self.ask(None, &format!("/v1/payments/{id}")).await
    }

    /// All payments.
    ///
    /// # Errors
    /// When rampwatch does not answer.
    pub async fn payments(&self) -> Result<Vec<PaymentRow>> {
        self.all("/v1/payments").await
    }

    /// All deposits.
    ///
    /// # Errors
    /// When rampwatch does not answer.
    pub async fn deposits(&self) -> Result<Vec<DepositRow>> {
        self.all("/v1/deposits").await
    }

    /// Why a payment or deposit stands where it stands.
    ///
    /// # Errors
    /// When rampwatch does not answer, or does not know it.
    pub async fn why(&self, subject: &str) -> Result<WhyRow> {
        self.ask(None, &format!("/v1/why/{subject}")).await
    }

    pub(super) async fn all<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>> {
        self.all_where(path, "").await
    }

    /// All items that fulfil a condition, which is written as in a URL (`&payment=…`).
    pub(super) async fn all_where<T: DeserializeOwned>(&self, path: &str, condition: &str) -> Result<Vec<T>> {
        let mut items = Vec::new();
        let mut after = String::new();
        loop {
            let page: Page<T> = self.ask(None, &format!("{path}?limit={PAGE}{condition}{after}")).await?;
            items.extend(page.items);
            let Some(next) = page.next else { return Ok(items) };
            after = format!("&after={next}");
        }
    }

    /// A GET, or a POST when there is a body.
    pub(super) async fn ask<T: DeserializeOwned>(&self, body: Option<Value>, path: &str) -> Result<T> {
        let url = format!("{}{path}", self.base);
        let request = match body {
            Some(body) => self.client.post(url).json(&body),
            None => self.client.get(url),
        };
        let request = match &self.token_file {
            Some(file) => {
                let unreadable = |source| SandboxError::File { path: file.clone(), source };
                request.bearer_auth(std::fs::read_to_string(file).map_err(unreadable)?.trim())
            }
            None => request,
        };
        let failed = |error: reqwest::Error| SandboxError::Daemon(format!("{path}: {}", words(error)));
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(failed)?;
        if !status.is_success() {
            let said = String::from_utf8_lossy(&bytes);
            return Err(SandboxError::Daemon(format!("{path}: HTTP {}: {said}", status.as_u16())));
        }
        serde_json::from_slice(&bytes).map_err(|error| SandboxError::Daemon(format!("{path}: {error}")))
    }
}
