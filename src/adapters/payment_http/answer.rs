//! Reads a payment as the API tells it, in both of its documented shapes.
//!
//! Only what is needed is looked at; the rest may change as it likes. Numbers are read digit by digit. What is there
//! and needed must be right: a wrong address or amount makes the whole answer unreadable, rather than half of it.
//!
//! Deliberately absent: opinions. An unknown status is kept as it came.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::amount::Amount;
use crate::domain::chain::Address;
use crate::domain::decimal::Decimal;
use crate::domain::payment::{ApiStatus, BankAccountId, PaymentId, RecipientId};
use crate::domain::text::short;
use crate::domain::time::Timestamp;
use crate::ports::payment_api::ApiPayment;

/// The most characters that a text of the API may have and be kept.
const MAX_TEXT: usize = 256;

/// The payment's fields, unread. `null` and a missing field are the same.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    transaction_hash: Option<&'a RawValue>,
    #[serde(borrow)]
    recipient_id: Option<&'a RawValue>,
    #[serde(borrow)]
    deposit_address: Option<&'a RawValue>,
    #[serde(borrow)]
    deposit_amount: Option<&'a RawValue>,
    #[serde(borrow)]
    deposit_chain: Option<&'a RawValue>,
    #[serde(borrow)]
    from_address: Option<&'a RawValue>,
    #[serde(borrow)]
    source_account: Option<&'a RawValue>,
    #[serde(borrow)]
    source_currency: Option<&'a RawValue>,
    #[serde(borrow)]
    source: Option<&'a RawValue>,
    #[serde(borrow)]
    bank_account_id: Option<&'a RawValue>,
    #[serde(borrow)]
    created_at: Option<&'a RawValue>,
    #[serde(borrow)]
    expires_at: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    idempotency_key: Option<&'a RawValue>,
    #[serde(borrow)]
    fee: Option<&'a RawValue>,
    #[serde(borrow)]
    document_reference: Option<&'a RawValue>,
    #[serde(borrow)]
    reason: Option<&'a RawValue>,
    #[serde(borrow)]
    sent_at: Option<&'a RawValue>,
    #[serde(borrow)]
    completed_at: Option<&'a RawValue>,
}

/// Reads the payment with the given id.
///
/// # Errors
/// Not JSON, no payment, another payment, or a needed field that cannot be right; in words that name the field.
pub(super) fn payment(body: &[u8], asked: &PaymentId, decimals: u8) -> Result<ApiPayment, String> {
    // A derived reader would take a list, too, and give its items to the fields in order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err("its answer is no JSON object of a payment".to_owned());
    }
    let wire: Wire<'_> = serde_json::from_slice(body).map_err(|error| {
        // The library's own text quotes the body; its place is enough.
        format!("its answer is no JSON object of a payment (line {}, column {})", error.line(), error.column())
    })?;
    let id = text("id", wire.id)?.ok_or("its answer has no id")?;
    if id != asked.as_str() {
        return Err(format!("its answer is about another payment, {}", quoted(&id)));
    }
    let status = text("status", wire.status)?.ok_or("its answer has no status")?;
    Ok(ApiPayment {
        id: asked.clone(),
        status: ApiStatus::from(status),
        tx_hash: text("transactionHash", wire.transaction_hash)?,
        recipient_id: read("recipientId", wire.recipient_id, |text| RecipientId::new(text).ok())?,
        deposit_address: read("depositAddress", wire.deposit_address, address)?,
        deposit_amount: wire.deposit_amount.map(|raw| amount(raw, decimals)).transpose()?,
        deposit_chain: text("depositChain", wire.deposit_chain)?,
        source_currency: currency(wire.source_currency, wire.source)?,
        bank_account: read("bankAccountId", wire.bank_account_id, |text| BankAccountId::new(text).ok())?,
        sender: sender(wire.from_address, wire.source_account),
        created_at: read("createdAt", wire.created_at, moment)?,
        expires_at: read("expiresAt", wire.expires_at, moment)?,
        kind: text("type", wire.kind)?,
        idempotency_key: text("idempotencyKey", wire.idempotency_key)?,
        fee: wire.fee.and_then(decimal),
        document_reference: shortened(wire.document_reference),
        reason: shortened(wire.reason),
        sent_at: read("sentAt", wire.sent_at, moment)?,
        completed_at: read("completedAt", wire.completed_at, moment)?,
    })
}

/// A text; an empty one counts as none.
fn text(field: &str, raw: Option<&RawValue>) -> Result<Option<String>, String> {
    let Some(raw) = raw else { return Ok(None) };
    let text: String = serde_json::from_str(raw.get()).map_err(|_| format!("its {field} is no text"))?;
    if text.chars().count() > MAX_TEXT {
        return Err(format!("its {field} is longer than {MAX_TEXT} characters"));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// A text that must mean something.
fn read<T>(field: &str, raw: Option<&RawValue>, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, String> {
    let Some(text) = text(field, raw)? else { return Ok(None) };
    parse(&text).map(Some).ok_or_else(|| format!("its {field} {} cannot be right", quoted(&text)))
}

/// A text that is only shown: what is none, or too long, makes no answer unreadable.
fn shortened(raw: Option<&RawValue>) -> Option<String> {
    let text: String = serde_json::from_str(raw?.get()).ok()?;
    Some(short(&text)).filter(|text| !text.is_empty())
}

/// A number that is only shown: an object, such as a fee in parts, counts as none.
fn decimal(raw: &RawValue) -> Option<Decimal> {
    Decimal::from_json_number(raw.get()).ok()
}

fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(80).collect::<String>())
}

/// An address. Where letters are of both cases, the checksum (EIP-55) must be right.
fn address(text: &str) -> Option<Address> {
    let digits = text.strip_prefix("0x")?;
    let address: Address = text.parse().ok()?;
    let mixed =
        digits.bytes().any(|byte| byte.is_ascii_lowercase()) && digits.bytes().any(|byte| byte.is_ascii_uppercase());
    (!mixed || Address::parse_checksummed(text, None).is_ok()).then_some(address)
}

/// An amount: a JSON number as it was written, or a text of plain decimals.
fn amount(raw: &RawValue, decimals: u8) -> Result<Amount, String> {
    let written = raw.get();
    let amount = if written.starts_with('"') {
        let text = text("depositAmount", Some(raw))?.unwrap_or_default();
        Amount::from_person(&text, decimals)
    } else {
        let short: String = written.chars().take(MAX_TEXT).collect();
        if short.len() < written.len() {
            return Err("its depositAmount is longer than any amount".to_owned());
        }
        Amount::from_json_number(&short, decimals)
    };
    amount.map_err(|error| format!("its depositAmount cannot be right: {error}"))
}

/// A moment in RFC 3339, cut to milliseconds.
fn moment(text: &str) -> Option<Timestamp> {
    let moment: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(moment.as_millisecond()).ok().map(Timestamp::from_millis)
}

/// What is to be sent: `sourceCurrency`, or the `currency` of a nested `source`, as the quotes of both shapes have it.
fn currency(flat: Option<&RawValue>, source: Option<&RawValue>) -> Result<Option<String>, String> {
    if let Some(flat) = text("sourceCurrency", flat)? {
        return Ok(Some(flat));
    }
    let source: Option<Value> = source.and_then(|raw| serde_json::from_str(raw.get()).ok());
    let nested = source.as_ref().and_then(|source| source.get("currency")).and_then(Value::as_str);
    Ok(nested.map(|text| text.chars().take(MAX_TEXT).collect()))
}

/// Who will send: `fromAddress`, or a `sourceAccount` that is an address or has one. The sender only ever settles
/// between payments that fit, so one that is no address, or two that differ, count as none.
fn sender(from: Option<&RawValue>, account: Option<&RawValue>) -> Option<Address> {
    let value = |raw: Option<&RawValue>| raw.and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
    let found = |value: Option<Value>| match value? {
        Value::String(text) => address(&text),
        Value::Object(object) => object.get("address").and_then(Value::as_str).and_then(address),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    };
    match (found(value(from)), found(value(account))) {
        (Some(from), Some(account)) if from != account => None,
        (from, account) => from.or(account),
    }
}
