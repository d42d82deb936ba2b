//! The two shapes of the API's answers: the guide's and the reference's.
//!
//! `sourceCurrency` is a field of the guide's quotes; its payments show it here too, so that it can be checked.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::book::{OffRamp, Refusal};
use crate::domain::amount::Amount;
use crate::domain::time::Timestamp;

/// Which of the API's two descriptions the fake API follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// The off-ramp guide: payments tell their deposit address, amount, chain and recipient; `/complete` answers with
    /// four fields.
    Guide,
    /// The API reference: payments tell none of these; `/complete` answers with the whole payment.
    Reference,
}

/// A moment as the API writes it; `null` if it cannot be written.
pub(super) fn moment(time: Timestamp) -> Value {
    let millis = i64::try_from(time.as_millis()).ok();
    let moment = millis.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    moment.map_or(Value::Null, |moment| Value::String(format!("{moment:.3}")))
}

/// An amount as a JSON number with its digits as they are, in whole units of something with so many decimals.
pub(super) fn number_of(amount: Amount, decimals: u8) -> Option<Box<RawValue>> {
    let text = amount.to_decimal(decimals);
    let trimmed = text.trim_end_matches('0').trim_end_matches('.');
    RawValue::from_string(trimmed.to_owned()).ok()
}

/// A payment, in all the fields that either description names.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    id: &'a str,
    idempotency_key: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    status: &'a str,
    quote_id: String,
    bank_account_id: &'a str,
    wallet_id: Option<&'a str>,
    transaction_hash: Option<&'a str>,
    fee: Option<Box<RawValue>>,
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document_reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<&'a str>,
    created_at: Value,
    sent_at: Option<Value>,
    completed_at: Option<Value>,
    updated_at: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Value>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    guide: Option<GuideFields<'a>>,
}

/// What only the guide's payments have.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GuideFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient_id: Option<&'a str>,
    deposit_address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    deposit_amount: Option<Box<RawValue>>,
    deposit_chain: &'a str,
    source_currency: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_address: Option<String>,
}

/// A payment as JSON text.
pub(super) fn payment(off_ramp: &OffRamp, shape: Shape) -> Result<Box<RawValue>, serde_json::Error> {
    let told = &off_ramp.told;
    let guide = (shape == Shape::Guide).then(|| GuideFields {
        recipient_id: (!told.no_recipient).then(|| off_ramp.recipient_id.as_str()),
        deposit_address: told.deposit_address.unwrap_or(off_ramp.deposit_address).to_checksum(None),
        deposit_amount: number_of(told.amount.unwrap_or(off_ramp.amount), 6),
        deposit_chain: told.deposit_chain.as_deref().unwrap_or("POLYGON"),
        source_currency: told.source_currency.as_deref().unwrap_or("USDC"),
        from_address: off_ramp.sender.map(|sender| sender.to_checksum(None)),
    });
    let body = Body {
        id: off_ramp.id.as_str(),
        idempotency_key: &off_ramp.idempotency_key,
        kind: "OFF_RAMP",
        status: &off_ramp.status,
        quote_id: off_ramp.quote_id.clone().unwrap_or_else(|| format!("quote-of-{}", off_ramp.id)),
        bank_account_id: off_ramp.bank_account.as_str(),
        wallet_id: None,
        transaction_hash: off_ramp.transaction_hash.as_deref(),
        fee: number_of(off_ramp.fee, 6),
        reason: None,
        document_reference: off_ramp.document_reference.as_deref(),
        // By their digests: what the real API shows of them is not documented.
        files: off_ramp.files.iter().map(|file| file.sha256.as_str()).collect(),
        created_at: moment(off_ramp.created_at),
        sent_at: off_ramp.sent_at.map(moment),
        completed_at: off_ramp.completed_at.map(moment),
        updated_at: moment(off_ramp.updated_at),
        expires_at: (!told.no_expiry).then(|| moment(off_ramp.expires_at)),
        guide,
    };
    with_fields(serde_json::value::to_raw_value(&body)?, off_ramp)
}

/// The same with the fields that are told otherwise.
fn with_fields(body: Box<RawValue>, off_ramp: &OffRamp) -> Result<Box<RawValue>, serde_json::Error> {
    let fields = &off_ramp.told.fields;
    if fields.is_empty() {
        return Ok(body);
    }
    // Raw, so that amounts keep their digits.
    let mut told: BTreeMap<String, Box<RawValue>> = serde_json::from_str(body.get())?;
    for (name, value) in fields {
        told.insert(name.clone(), serde_json::value::to_raw_value(value)?);
    }
    serde_json::value::to_raw_value(&told)
}

/// The answer to `/complete`.
pub(super) fn completed(off_ramp: &OffRamp, shape: Shape) -> Result<Box<RawValue>, serde_json::Error> {
    match shape {
        Shape::Reference => payment(off_ramp, shape),
        Shape::Guide => {
            let body = json!({
                "id": off_ramp.id,
                "status": off_ramp.status,
                "transactionHash": off_ramp.transaction_hash,
                "sentAt": off_ramp.sent_at.map(moment),
            });
            with_fields(serde_json::value::to_raw_value(&body)?, off_ramp)
        }
    }
}

/// An error as the API documents it.
pub(super) fn error(status: StatusCode, message: &str, field: Option<&str>) -> Value {
    let mut body = json!({ "message": message, "statusCode": status.as_u16() });
    if let (Some(field), Some(body)) = (field, body.as_object_mut()) {
        body.insert("details".to_owned(), json!({ "field": field, "message": message }));
    }
    body
}

/// Status, message and field of a refusal.
pub(super) fn refusal(refusal: &Refusal) -> (StatusCode, String, Option<&'static str>) {
    match refusal {
        Refusal::Unknown => (StatusCode::NOT_FOUND, "Payment not found".to_owned(), None),
        Refusal::Moved(status) => {
            (StatusCode::CONFLICT, format!("Payment cannot be completed: its status is {status}"), None)
        }
        Refusal::SharedHash => {
            let message = "transactionHash is already used by another payment".to_owned();
            (StatusCode::BAD_REQUEST, message, Some("transactionHash"))
        }
        Refusal::NotOpened(why) => (StatusCode::BAD_REQUEST, why.clone(), None),
    }
}

/// A proxy's error page.
pub(super) fn html_page(status: StatusCode) -> String {
    let reason = status.canonical_reason().unwrap_or("Error");
    let code = status.as_u16();
    format!(
        "<html>\r\n<head><title>{code} {reason}</title></head>\r\n<body>\r\n<center><h1>{code} {reason}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
}
