//! What the API says it would give: rates and quotes, flat as the guide has them, or nested as the reference has.
//!
//! Where both shapes speak, they must agree. What decides (ids, amounts, currencies, the moment a quote runs out) must be right
//! where it is there; what is only shown (rates, fees) is left out where it cannot be read. Deliberately absent: whether the
//! terms are those that were asked for.

use serde_json::value::RawValue;

use crate::domain::decimal::Decimal;
use crate::domain::payment::{QuoteId, UserId};
use crate::domain::quote::{Fee, Quote, Rate};

use super::fields::{self, Object, amount, decimal, moment, parsed, quoted, text};

/// Reads a rate.
///
/// # Errors
/// Not JSON, or a field that decides and cannot be right; in words that name the field.
pub(super) fn rate(body: &[u8], decimals: u8) -> Result<Rate, String> {
    of_object(&fields::object(body, "a rate")?, decimals)
}

/// Reads a quote of the given user.
///
/// # Errors
/// As [`rate()`]; without an id; another user's.
pub(super) fn quote(body: &[u8], user: &UserId, decimals: u8) -> Result<Quote, String> {
    let object = fields::object(body, "a quote")?;
    let id = parsed("id", fields::id("id", object.get("id")?)?, |text| QuoteId::new(text).ok())?;
    let id = id.ok_or_else(|| format!("its answer has no id; its fields are {}", object.names()))?;
    if let Some(told) = fields::id("userId", object.get("userId")?)?
        && told != user.as_str()
    {
        return Err(format!("its answer is about another user, {}", quoted(&told)));
    }
    Ok(Quote {
        id,
        rate: of_object(&object, decimals)?,
        expires_at: moment("expiresAt", object.get("expiresAt")?)?,
        // It only ever shortens the quote's life, together with the expiry.
        created_at: moment("createdAt", object.first("createdAt")).ok().flatten(),
    })
}

fn of_object<'a>(object: &Object<'a>, decimals: u8) -> Result<Rate, String> {
    let (source, destination) =
        (part("source", object.get("source")?)?, part("destination", object.get("destination")?)?);
    let nested = |side: &Option<Object<'a>>, field: &str| side.as_ref().map_or(Ok(None), |side| side.get(field));
    let shown = |field: &str| decimal(field, object.first(field)).ok().flatten();
    Ok(Rate {
        source_amount: same(
            "sourceAmount",
            amount("sourceAmount", object.get("sourceAmount")?, decimals)?,
            amount("source.amount", nested(&source, "amount")?, decimals)?,
        )?,
        source_currency: same(
            "sourceCurrency",
            text("sourceCurrency", object.get("sourceCurrency")?)?,
            text("source.currency", nested(&source, "currency")?)?,
        )?,
        destination_amount: same(
            "destinationAmount",
            decimal("destinationAmount", object.get("destinationAmount")?)?,
            decimal("destination.amount", nested(&destination, "amount")?)?,
        )?,
        destination_currency: same(
            "destinationCurrency",
            text("destinationCurrency", object.get("destinationCurrency")?)?,
            text("destination.currency", nested(&destination, "currency")?)?,
        )?,
        exchange_rate: shown("exchangeRate"),
        // The guide's rate calls it `fee`, everything else `totalFee`. Where they differ, neither is shown.
        total_fee: same("totalFee", shown("totalFee"), shown("fee")).ok().flatten(),
        sentra_fee: fee(object.first("sentraFee")),
        developer_fee: fee(object.first("developerFee")),
    })
}

/// A fee in its parts, as far as they can be shown.
fn fee(raw: Option<&RawValue>) -> Option<Fee> {
    let parts: Object<'_> = serde_json::from_str(raw?.get()).ok()?;
    let part = |field: &str| -> Option<Decimal> { decimal(field, parts.first(field)).ok().flatten() };
    Some(Fee { fixed: part("fixed"), variable: part("variable") })
}

/// A nested object.
fn part<'a>(field: &str, raw: Option<&'a RawValue>) -> Result<Option<Object<'a>>, String> {
    let Some(raw) = raw else { return Ok(None) };
    let read = serde_json::from_str(raw.get()).map(Some);
    read.map_err(|_| format!("its {field} is no JSON object that can be read"))
}

/// What two fields say that mean the same.
fn same<T: PartialEq>(field: &str, flat: Option<T>, nested: Option<T>) -> Result<Option<T>, String> {
    match (flat, nested) {
        (Some(flat), Some(nested)) if flat != nested => Err(format!("its {field} is there twice, and differs")),
        (flat, nested) => Ok(flat.or(nested)),
    }
}
