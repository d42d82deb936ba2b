//! What the API says it would give: rates and quotes, flat as the guide has them, or nested as the reference has.
//!
//! Where both shapes speak, they must agree. What decides (amounts, the moment a quote runs out) and what is shown
//! (rates, fees) must be right where it is there. Deliberately absent: whether the terms are those that were asked for.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::payment::{QuoteId, UserId};
use crate::domain::quote::{Fee, Quote, Rate};

use super::fields::{self, amount, decimal, moment, quoted, read, text};

/// The fields of both shapes, unread. `null` and a missing field are the same.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    user_id: Option<&'a RawValue>,
    #[serde(borrow)]
    source_currency: Option<&'a RawValue>,
    #[serde(borrow)]
    source_amount: Option<&'a RawValue>,
    #[serde(borrow)]
    destination_currency: Option<&'a RawValue>,
    #[serde(borrow)]
    destination_amount: Option<&'a RawValue>,
    #[serde(borrow)]
    source: Option<&'a RawValue>,
    #[serde(borrow)]
    destination: Option<&'a RawValue>,
    #[serde(borrow)]
    exchange_rate: Option<&'a RawValue>,
    #[serde(borrow)]
    fee: Option<&'a RawValue>,
    #[serde(borrow)]
    total_fee: Option<&'a RawValue>,
    #[serde(borrow)]
    sentra_fee: Option<&'a RawValue>,
    #[serde(borrow)]
    developer_fee: Option<&'a RawValue>,
    #[serde(borrow)]
    expires_at: Option<&'a RawValue>,
    #[serde(borrow)]
    created_at: Option<&'a RawValue>,
}

/// The nested `source` or `destination`.
#[derive(Default, Deserialize)]
struct Side<'a> {
    #[serde(borrow)]
    currency: Option<&'a RawValue>,
    #[serde(borrow)]
    amount: Option<&'a RawValue>,
}

/// The nested `sentraFee` or `developerFee`.
#[derive(Deserialize)]
struct Parts<'a> {
    #[serde(borrow)]
    fixed: Option<&'a RawValue>,
    #[serde(borrow)]
    variable: Option<&'a RawValue>,
}

/// Reads a rate.
///
/// # Errors
/// Not JSON, or a field that cannot be right; in words that name the field.
pub(super) fn rate(body: &[u8], decimals: u8) -> Result<Rate, String> {
    of_wire(&fields::object(body, "a rate")?, decimals)
}

/// Reads a quote of the given user.
///
/// # Errors
/// As [`rate()`]; without an id; another user's.
pub(super) fn quote(body: &[u8], user: &UserId, decimals: u8) -> Result<Quote, String> {
    let wire: Wire<'_> = fields::object(body, "a quote")?;
    let id = read("id", wire.id, |text| QuoteId::new(text).ok())?.ok_or("its answer has no id")?;
    if let Some(told) = text("userId", wire.user_id)?
        && told != user.as_str()
    {
        return Err(format!("its answer is about another user, {}", quoted(&told)));
    }
    Ok(Quote {
        id,
        rate: of_wire(&wire, decimals)?,
        expires_at: read("expiresAt", wire.expires_at, moment)?,
        created_at: read("createdAt", wire.created_at, moment)?,
    })
}

fn of_wire(wire: &Wire<'_>, decimals: u8) -> Result<Rate, String> {
    let source: Side<'_> = part("source", wire.source)?.unwrap_or_default();
    let destination: Side<'_> = part("destination", wire.destination)?.unwrap_or_default();
    let fee = |field: &'static str, raw: Option<&RawValue>| -> Result<Option<Fee>, String> {
        let Some(parts) = part::<Parts<'_>>(field, raw)? else { return Ok(None) };
        let fixed = decimal(&format!("{field}.fixed"), parts.fixed)?;
        let variable = decimal(&format!("{field}.variable"), parts.variable)?;
        Ok(Some(Fee { fixed, variable }))
    };
    Ok(Rate {
        source_amount: same(
            "sourceAmount",
            amount("sourceAmount", wire.source_amount, decimals)?,
            amount("source.amount", source.amount, decimals)?,
        )?,
        source_currency: same(
            "sourceCurrency",
            text("sourceCurrency", wire.source_currency)?,
            text("source.currency", source.currency)?,
        )?,
        destination_amount: same(
            "destinationAmount",
            decimal("destinationAmount", wire.destination_amount)?,
            decimal("destination.amount", destination.amount)?,
        )?,
        destination_currency: same(
            "destinationCurrency",
            text("destinationCurrency", wire.destination_currency)?,
            text("destination.currency", destination.currency)?,
        )?,
        exchange_rate: decimal("exchangeRate", wire.exchange_rate)?,
        // The guide's rate calls it `fee`, everything else `totalFee`.
        total_fee: same("totalFee", decimal("totalFee", wire.total_fee)?, decimal("fee", wire.fee)?)?,
        sentra_fee: fee("sentraFee", wire.sentra_fee)?,
        developer_fee: fee("developerFee", wire.developer_fee)?,
    })
}

/// A nested object.
fn part<'a, T: Deserialize<'a>>(field: &str, raw: Option<&'a RawValue>) -> Result<Option<T>, String> {
    let Some(raw) = raw else { return Ok(None) };
    let wrong = || format!("its {field} is no JSON object that can be read");
    if !raw.get().starts_with('{') {
        return Err(wrong());
    }
    serde_json::from_str(raw.get()).map(Some).map_err(|_| wrong())
}

/// What two fields say that mean the same.
fn same<T: PartialEq>(field: &str, flat: Option<T>, nested: Option<T>) -> Result<Option<T>, String> {
    match (flat, nested) {
        (Some(flat), Some(nested)) if flat != nested => Err(format!("its {field} is there twice, and differs")),
        (flat, nested) => Ok(flat.or(nested)),
    }
}
