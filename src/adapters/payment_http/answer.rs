//! Reads a payment as the API tells it, in both of its documented shapes, and lists of payments.
//!
//! Only what is needed is looked at; the rest may change as it likes. Numbers are read digit by digit. What is there
//! and needed must be right: a wrong address or amount makes the whole answer unreadable, rather than half of it.
//!
//! Deliberately absent: opinions. An unknown status is kept as it came.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::chain::Address;
use crate::domain::decimal::Decimal;
use crate::domain::payment::{ApiStatus, BankAccountId, PaymentId, RecipientId};
use crate::domain::text::short;
use crate::ports::desk_api::Listing;
use crate::ports::payment_api::ApiPayment;

use super::fields::{self, MAX_TEXT, address, amount, moment, quoted, read, text};

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

/// What an answer about a payment has to be about.
#[derive(Clone, Copy, Debug)]
pub(super) enum About<'a> {
    /// The payment with this id.
    Payment(&'a PaymentId),
    /// The payment that was just opened: this recipient's, with this idempotency key.
    Opened(&'a RecipientId, &'a str),
    /// Any payment, as in a user's list.
    Anyone,
    /// A payment of this recipient.
    Recipient(&'a RecipientId),
}

impl About<'_> {
    /// Refuses a payment that is another one. What an answer leaves out contradicts nothing.
    fn check(self, payment: &ApiPayment) -> Result<(), String> {
        let whose = |asked: &RecipientId| match &payment.recipient_id {
            Some(told) if told != asked => {
                Err(format!("its answer is about another recipient, {}", quoted(told.as_str())))
            }
            Some(_) | None => Ok(()),
        };
        match self {
            Self::Payment(asked) if payment.id != *asked => {
                Err(format!("its answer is about another payment, {}", quoted(payment.id.as_str())))
            }
            Self::Payment(_) | Self::Anyone => Ok(()),
            Self::Recipient(asked) => whose(asked),
            Self::Opened(asked, key) => {
                whose(asked)?;
                match &payment.idempotency_key {
                    Some(told) if told != key => {
                        Err(format!("its answer is about another payment: its idempotencyKey is {}", quoted(told)))
                    }
                    Some(_) | None => Ok(()),
                }
            }
        }
    }
}

/// Reads a payment.
///
/// # Errors
/// Not JSON, no payment, another payment than what it has to be about, or a needed field that cannot be right; in words
/// that name the field.
pub(super) fn payment(body: &[u8], about: About<'_>, decimals: u8) -> Result<ApiPayment, String> {
    let wire: Wire<'_> = fields::object(body, "a payment")?;
    let payment = ApiPayment {
        id: id(wire.id)?.ok_or("its answer has no id")?,
        status: ApiStatus::from(text("status", wire.status)?.ok_or("its answer has no status")?),
        tx_hash: text("transactionHash", wire.transaction_hash)?,
        recipient_id: read("recipientId", wire.recipient_id, |text| RecipientId::new(text).ok())?,
        deposit_address: read("depositAddress", wire.deposit_address, address)?,
        deposit_amount: amount("depositAmount", wire.deposit_amount, decimals)?,
        deposit_chain: text("depositChain", wire.deposit_chain)?,
        source_currency: currency(wire.source_currency, wire.source)?,
        bank_account: read("bankAccountId", wire.bank_account_id, |text| BankAccountId::new(text).ok())?,
        sender: sender(wire.from_address, wire.source_account),
        created_at: read("createdAt", wire.created_at, moment)?,
        expires_at: read("expiresAt", wire.expires_at, moment)?,
        kind: text("type", wire.kind)?,
        idempotency_key: text("idempotencyKey", wire.idempotency_key)?,
        fee: wire.fee.and_then(shown_decimal),
        document_reference: shortened(wire.document_reference),
        reason: shortened(wire.reason),
        sent_at: read("sentAt", wire.sent_at, moment)?,
        completed_at: read("completedAt", wire.completed_at, moment)?,
    };
    about.check(&payment)?;
    Ok(payment)
}

/// Reads a list of payments. One that cannot be read hides no other.
///
/// # Errors
/// It is no JSON list.
pub(super) fn listing(body: &[u8], about: About<'_>, decimals: u8) -> Result<Listing, String> {
    let items: Vec<&RawValue> = serde_json::from_slice(body).map_err(|error| {
        format!("its answer is no JSON list of payments (line {}, column {})", error.line(), error.column())
    })?;
    let mut listing = Listing::default();
    for (at, item) in items.into_iter().enumerate() {
        match payment(item.get().as_bytes(), about, decimals) {
            Ok(payment) => listing.payments.push(payment),
            Err(why) => listing.unreadable.push(format!("{}: {why}", named(item, at))),
        }
    }
    Ok(listing)
}

/// What to call a payment of a list that could not be read.
fn named(item: &RawValue, at: usize) -> String {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
    }
    let named = serde_json::from_str::<Named<'_>>(item.get()).ok();
    match named.and_then(|named| text("id", named.id).ok().flatten()) {
        Some(id) => format!("payment {}", quoted(&id)),
        None => format!("the payment at place {}, without an id,", at.saturating_add(1)),
    }
}

fn id(raw: Option<&RawValue>) -> Result<Option<PaymentId>, String> {
    read("id", raw, |text| PaymentId::new(text).ok())
}

/// A text that is only shown: what is none, or too long, makes no answer unreadable.
fn shortened(raw: Option<&RawValue>) -> Option<String> {
    let text: String = serde_json::from_str(raw?.get()).ok()?;
    Some(short(&text)).filter(|text| !text.is_empty())
}

/// A number that is only shown: an object, such as a fee in parts, counts as none.
fn shown_decimal(raw: &RawValue) -> Option<Decimal> {
    Decimal::from_json_number(raw.get()).ok()
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
