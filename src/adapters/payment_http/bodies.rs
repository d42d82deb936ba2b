//! What is sent: the bodies of the calls. Amounts are JSON numbers with exactly the digits that they have.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::domain::amount::Amount;
use crate::domain::chain::{Address, B256};
use crate::domain::payment::{BankAccountId, QuoteId};
use crate::domain::quote::Exchange;
use crate::ports::off_ramp_api::{AttachedFile, NewOffRamp, WebhookChange};

/// The body of `/complete`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Complete {
    pub(super) transaction_hash: B256,
}

/// The body of `/rate`, and with a bank account that of `/quote`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Terms<'a> {
    source: Source<'a>,
    destination: Destination<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    developer_variable_fee: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Source<'a> {
    currency: &'a str,
    amount: Box<RawValue>,
    rail: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Destination<'a> {
    currency: &'a str,
    rail: &'a str,
    country_code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_account_id: Option<&'a BankAccountId>,
}

impl<'a> Terms<'a> {
    /// # Errors
    /// A figure could not be written as a JSON number; which does not happen, because figures are plain decimals.
    pub(super) fn new(exchange: &'a Exchange, to: Option<&'a BankAccountId>, decimals: u8) -> Result<Self, String> {
        let fee = exchange.developer_fee.as_ref();
        Ok(Self {
            source: Source {
                currency: &exchange.source_currency,
                amount: number(&plain(exchange.source_amount, decimals))?,
                rail: &exchange.source_rail,
            },
            destination: Destination {
                currency: &exchange.destination_currency,
                rail: &exchange.destination_rail,
                country_code: &exchange.destination_country,
                payment_account_id: to,
            },
            developer_variable_fee: fee.map(|fee| number(&fee.to_string())).transpose()?,
        })
    }
}

/// An amount in whole units, with no digit more than it needs.
fn plain(amount: Amount, decimals: u8) -> String {
    let text = amount.to_decimal(decimals);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A plain decimal as the JSON number that it is.
fn number(text: &str) -> Result<Box<RawValue>, String> {
    RawValue::from_string(text.to_owned()).map_err(|_| format!("{text:?} cannot be written as a JSON number"))
}

/// The body of the call that opens an off-ramp.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Create<'a> {
    idempotency_key: &'a str,
    quote_id: &'a QuoteId,
    bank_account_id: &'a BankAccountId,
    from_address: Address,
    payment_reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    document_reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<String>,
}

impl<'a> Create<'a> {
    /// # Errors
    /// A file's media type is none.
    pub(super) fn new(new: &'a NewOffRamp) -> Result<Self, String> {
        Ok(Self {
            idempotency_key: &new.idempotency_key,
            quote_id: &new.quote_id,
            bank_account_id: &new.bank_account,
            from_address: new.from_address,
            payment_reason: &new.payment_reason,
            document_reference: new.document_reference.as_deref(),
            reference_id: new.reference_id.as_deref(),
            files: new.files.iter().map(data_url).collect::<Result<_, _>>()?,
        })
    }
}

/// A file as a data URL (RFC 2397). Its media type is `type/subtype` and nothing else, so that the URL cannot be read
/// in two ways.
fn data_url(file: &AttachedFile) -> Result<String, String> {
    let token = |text: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.' | b'_');
        !text.is_empty() && text.bytes().all(plain)
    };
    match file.media_type.split_once('/') {
        Some((kind, subtype)) if token(kind) && token(subtype) => {
            Ok(format!("data:{};base64,{}", file.media_type, STANDARD.encode(&file.bytes)))
        }
        Some(_) | None => Err(format!("{:?} is no media type such as application/pdf", file.media_type)),
    }
}

/// The body of the calls that register or change a webhook.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Hook<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "exposed")]
    secret: Option<&'a SecretString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_active: Option<bool>,
}

impl<'a> Hook<'a> {
    /// # Errors
    /// The secret is to go along, and there is none.
    pub(super) fn new(change: &'a WebhookChange, secret: Option<&'a SecretString>) -> Result<Self, String> {
        let secret = match (change.with_secret, secret) {
            (false, _) => None,
            (true, Some(secret)) => Some(secret),
            (true, None) => {
                let remedy = "name it with webhook.secret_file or webhook.secret_env";
                return Err(format!("no secret for webhooks is configured: {remedy}"));
            }
        };
        let (url, events) = (change.url.as_deref(), change.events.as_deref());
        Ok(Self { url, secret, events, is_active: change.is_active })
    }
}

/// The one place where the webhook's secret leaves: in the body of a call to the API that is to know it.
fn exposed<S: Serializer>(secret: &Option<&SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.map(ExposeSecret::expose_secret).serialize(serializer)
}
