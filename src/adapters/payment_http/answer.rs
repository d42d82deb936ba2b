//! Reads a payment as the API tells it, in both of its documented shapes, and lists of payments.
//!
//! Only what is needed is looked at; the rest may change as it likes. Numbers are read digit by digit. Each field stands for
//! itself: one that cannot be read is noted, says nothing, and makes no other unreadable. Without its id and its status an
//! answer is about nothing.
//!
//! Deliberately absent: opinions. An unknown status is kept as it came, and what follows from a field that cannot be read is
//! the policy's.

use reqwest::header::HeaderMap;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::api_field::{ApiField, Unread};
use crate::domain::chain::Address;
use crate::domain::decimal::Decimal;
use crate::domain::payment::{ApiStatus, BankAccountId, PaymentId, RecipientId};
use crate::domain::text::short;
use crate::ports::off_ramp_api::Listing;
use crate::ports::payment_api::ApiPayment;

use super::fields::{self, MAX_TEXT, Object, address, amount, moment, parsed, quoted, text};

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

/// The fields of a payment, each read for itself.
struct Fields<'a> {
    object: &'a Object<'a>,
    unread: Vec<Unread>,
}

impl Fields<'_> {
    /// What the field says; `None` also where it cannot be read, which is noted then.
    fn read<T>(
        &mut self,
        field: ApiField,
        read: impl FnOnce(&str, Option<&RawValue>) -> Result<Option<T>, String>,
    ) -> Option<T> {
        let name = field.name();
        let found = self.object.get(name).and_then(|raw| read(name, raw));
        found.unwrap_or_else(|_| {
            let said = self.object.first(name).map_or("null", RawValue::get);
            self.unread.push(Unread::new(field, said));
            None
        })
    }
}

/// Reads a payment.
///
/// # Errors
/// Not JSON, no payment, another payment than what it has to be about, or one without an id or a status; in words that name
/// the field.
pub(super) fn payment(body: &[u8], about: About<'_>, decimals: u8) -> Result<ApiPayment, String> {
    let object = fields::object(body, "a payment")?;
    let id = id(&object)?.ok_or_else(|| without_id(&object))?;
    let status = status(&object)?.ok_or("its answer has no status")?;
    let mut fields = Fields { object: &object, unread: Vec::new() };
    let payment = ApiPayment {
        tx_hash: fields.read(ApiField::TransactionHash, text),
        recipient_id: fields.read(ApiField::RecipientId, |name, raw| {
            parsed(name, fields::id(name, raw)?, |text| RecipientId::new(text).ok())
        }),
        deposit_address: fields.read(ApiField::DepositAddress, |name, raw| parsed(name, text(name, raw)?, address)),
        deposit_amount: fields.read(ApiField::DepositAmount, |name, raw| amount(name, raw, decimals)),
        deposit_chain: fields.read(ApiField::DepositChain, text),
        source_currency: fields.read(ApiField::SourceCurrency, |name, raw| currency(name, raw, object.first("source"))),
        bank_account: fields.read(ApiField::BankAccountId, |name, raw| {
            parsed(name, fields::id(name, raw)?, |text| BankAccountId::new(text).ok())
        }),
        sender: sender(object.first("fromAddress"), object.first("sourceAccount")),
        created_at: fields.read(ApiField::CreatedAt, moment),
        expires_at: fields.read(ApiField::ExpiresAt, moment),
        kind: fields.read(ApiField::Type, text),
        idempotency_key: fields.read(ApiField::IdempotencyKey, fields::id),
        fee: object.first("fee").and_then(shown_decimal),
        document_reference: shortened(object.first("documentReference")),
        reason: shortened(object.first("reason")),
        sent_at: fields.read(ApiField::SentAt, moment),
        completed_at: fields.read(ApiField::CompletedAt, moment),
        ..ApiPayment::new(id, status)
    };
    let payment = ApiPayment { unread: fields.unread, ..payment };
    about.check(&payment)?;
    Ok(payment)
}

/// What to say of an answer without an id: most likely the payment is in an envelope.
fn without_id(object: &Object<'_>) -> String {
    match object.of_kind('{').next() {
        Some((name, _)) => format!("its answer has no id: it is an envelope with {}, and no payment", quoted(name)),
        None => format!("its answer has no id; its fields are {}", object.names()),
    }
}

/// Reads a list of payments. One that cannot be read hides no other. A list that comes in an envelope may be one page of many,
/// so it is told to be partial: what is not in it is not known to be missing.
///
/// # Errors
/// There is no JSON list in it.
pub(super) fn listing(body: &[u8], about: About<'_>, decimals: u8) -> Result<Listing, String> {
    let (items, partial) = match fields::object(body, "payments") {
        Ok(envelope) => enveloped(&envelope)?,
        Err(_) => (list(body)?, None),
    };
    let mut listing = Listing { partial, ..Listing::default() };
    for (at, item) in items.into_iter().enumerate() {
        match payment(item.get().as_bytes(), about, decimals) {
            Ok(payment) => listing.payments.push(payment),
            Err(why) => listing.unreadable.push(format!("{}: {why}", named(item, at))),
        }
    }
    Ok(listing)
}

fn list(text: &[u8]) -> Result<Vec<&RawValue>, String> {
    serde_json::from_slice(text).map_err(|error| {
        format!("its answer is no JSON list of payments (line {}, column {})", error.line(), error.column())
    })
}

/// What a list in an envelope is usually called.
const LISTS: [&str; 6] = ["data", "payments", "items", "results", "records", "content"];

/// The list in an envelope, and what to say of it.
fn enveloped<'a>(envelope: &Object<'a>) -> Result<(Vec<&'a RawValue>, Option<String>), String> {
    let usual = envelope.of_kind('[').find(|(name, _)| LISTS.contains(name));
    let mut all = envelope.of_kind('[');
    let only = all.next().filter(|_| all.next().is_none());
    let Some((name, raw)) = usual.or(only) else {
        return Err(format!("its answer is an envelope without one list of payments: it has {}", envelope.names()));
    };
    let items = list(raw.get().as_bytes())?;
    let why = format!(
        "its list comes in an envelope (as {} of {}), perhaps in pages: what is not in it may be there all the same",
        quoted(name),
        envelope.names()
    );
    Ok((items, Some(why)))
}

/// What the headers say of further pages, if they do. `items`: how many the list has.
pub(super) fn pages(headers: &HeaderMap, items: usize) -> Option<String> {
    let values = |name: &str| headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).map(str::trim);
    let is_next =
        |link: &str| link.split([';', ',']).map(str::trim).any(|part| matches!(part, "rel=\"next\"" | "rel=next"));
    if values("link").any(is_next) {
        return Some("its list is one page of several: it links to the next one".to_owned());
    }
    for name in ["x-next-page", "x-next-cursor", "x-pagination-next-cursor"] {
        if values(name).any(|value| !value.is_empty()) {
            return Some(format!("its list is one page of several: it has the header {name}"));
        }
    }
    let more = |value: &str| value.parse::<usize>().is_ok_and(|total| total > items);
    let several = |value: &str| value.parse::<usize>().is_ok_and(|pages| pages > 1);
    let says_more = |name: &str, value: &str| match name {
        "x-total-count" | "x-total" => more(value),
        "x-total-pages" | "x-page-count" => several(value),
        // `items 0-24/319`, and `*` where nobody has counted.
        "content-range" => value.rsplit_once('/').is_some_and(|(_, total)| total == "*" || more(total)),
        _ => serde_json::from_str(value).is_ok_and(|said| is_page(&said, items)),
    };
    let name = ["x-total-count", "x-total", "x-total-pages", "x-page-count", "content-range", "x-pagination"]
        .into_iter()
        .find(|name| values(name).any(|value| says_more(name, value)))?;
    Some(format!("its list is one page of several: it has {items} payments, and the header {name} says more"))
}

/// Whether an object about pages, whatever its words are, tells of more than these.
fn is_page(said: &Value, items: usize) -> bool {
    let Value::Object(said) = said else { return false };
    let plain = |name: &String| name.to_ascii_lowercase().replace(['_', '-'], "");
    let number = |value: &Value| value.as_u64().and_then(|number| usize::try_from(number).ok());
    said.iter().any(|(name, value)| match plain(name).as_str() {
        "total" | "totalcount" | "totalitems" | "totalrecords" => number(value).is_some_and(|total| total > items),
        "pages" | "totalpages" | "pagecount" => number(value).is_some_and(|pages| pages > 1),
        "hasnext" | "hasnextpage" | "hasmore" => value.as_bool() == Some(true),
        "next" | "nextpage" | "nextcursor" => !value.is_null() && value.as_str() != Some(""),
        _ => false,
    })
}

/// What to call a payment of a list that could not be read.
fn named(item: &RawValue, at: usize) -> String {
    let object = fields::object(item.get().as_bytes(), "a payment").ok();
    match object.and_then(|object| fields::id("id", object.first("id")).ok().flatten()) {
        Some(id) => format!("payment {}", quoted(&id)),
        None => format!("the payment at place {}, without an id,", at.saturating_add(1)),
    }
}

fn id(object: &Object<'_>) -> Result<Option<PaymentId>, String> {
    parsed("id", fields::id("id", object.get("id")?)?, |text| PaymentId::new(text).ok())
}

/// The status, as it came: one that is no text, too, is only one that nobody knows.
fn status(object: &Object<'_>) -> Result<Option<ApiStatus>, String> {
    let Some(raw) = object.get("status")? else { return Ok(None) };
    Ok(match serde_json::from_str::<String>(raw.get()) {
        Ok(text) if text.is_empty() => None,
        Ok(text) => Some(ApiStatus::from(text)),
        Err(_) => Some(ApiStatus::Other(short(raw.get()))),
    })
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
fn currency(field: &str, flat: Option<&RawValue>, source: Option<&RawValue>) -> Result<Option<String>, String> {
    if let Some(flat) = text(field, flat)? {
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
