//! Reads the fields of the API's answers, which are of both shapes and of all kinds.
//!
//! Numbers are read digit by digit, never through a float. Where a text or a number is there and cannot be right, the
//! error names the field. Deliberately absent: what the fields mean.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::amount::Amount;
use crate::domain::chain::Address;
use crate::domain::decimal::Decimal;
use crate::domain::text::is_hidden;
use crate::domain::time::Timestamp;

/// The most characters that a text of the API may have and be kept.
pub(super) const MAX_TEXT: usize = 256;

/// Reads a JSON object; `of` says what of, in errors. The library's own text quotes the body; its place is enough.
pub(super) fn object<'a, T: Deserialize<'a>>(body: &'a [u8], of: &str) -> Result<T, String> {
    // A derived reader would take a list, too, and give its items to the fields in order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(format!("its answer is no JSON object of {of}"));
    }
    serde_json::from_slice(body).map_err(|error| {
        format!("its answer is no JSON object of {of} (line {}, column {})", error.line(), error.column())
    })
}

/// A text of at most [`MAX_TEXT`] characters; an empty one counts as none.
pub(super) fn text(field: &str, raw: Option<&RawValue>) -> Result<Option<String>, String> {
    text_within(MAX_TEXT, field, raw)
}

/// A text of at most `most` characters; an empty one counts as none. Control characters are replaced: what the API says is
/// shown on terminals and written into logs.
pub(super) fn text_within(most: usize, field: &str, raw: Option<&RawValue>) -> Result<Option<String>, String> {
    let Some(raw) = raw else { return Ok(None) };
    let text: String = serde_json::from_str(raw.get()).map_err(|_| format!("its {field} is no text"))?;
    if text.chars().count() > most {
        return Err(format!("its {field} is longer than {most} characters"));
    }
    let plain = text.replace(is_hidden, &char::REPLACEMENT_CHARACTER.to_string());
    Ok(Some(plain).filter(|text| !text.is_empty()))
}

/// A text that must mean something.
pub(super) fn read<T>(
    field: &str,
    raw: Option<&RawValue>,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, String> {
    let Some(text) = text(field, raw)? else { return Ok(None) };
    parse(&text).map(Some).ok_or_else(|| format!("its {field} {} cannot be right", quoted(&text)))
}

/// A foreign text for an error: short, and in quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(80).collect::<String>())
}

/// An address. Where letters are of both cases, the checksum (EIP-55) must be right.
pub(super) fn address(text: &str) -> Option<Address> {
    let digits = text.strip_prefix("0x")?;
    let address: Address = text.parse().ok()?;
    let mixed =
        digits.bytes().any(|byte| byte.is_ascii_lowercase()) && digits.bytes().any(|byte| byte.is_ascii_uppercase());
    (!mixed || Address::parse_checksummed(text, None).is_ok()).then_some(address)
}

/// A moment in RFC 3339, cut to milliseconds.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    let moment: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(moment.as_millisecond()).ok().map(Timestamp::from_millis)
}

/// An amount of the token: a JSON number as it was written, or a text of plain decimals.
pub(super) fn amount(field: &str, raw: Option<&RawValue>, decimals: u8) -> Result<Option<Amount>, String> {
    let from_text = |text: &str| Amount::from_person(text, decimals).map_err(|error| error.to_string());
    let from_number = |text: &str| Amount::from_json_number(text, decimals).map_err(|error| error.to_string());
    number(field, raw, from_text, from_number)
}

/// Any other figure: a JSON number as it was written, or a text of plain decimals.
pub(super) fn decimal(field: &str, raw: Option<&RawValue>) -> Result<Option<Decimal>, String> {
    let from_text = |text: &str| Decimal::from_person(text).map_err(|error| error.to_string());
    let from_number = |text: &str| Decimal::from_json_number(text).map_err(|error| error.to_string());
    number(field, raw, from_text, from_number)
}

fn number<T>(
    field: &str,
    raw: Option<&RawValue>,
    from_text: impl FnOnce(&str) -> Result<T, String>,
    from_number: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    let Some(raw) = raw else { return Ok(None) };
    let written = raw.get();
    let number = if written.starts_with('"') {
        from_text(&text(field, Some(raw))?.unwrap_or_default())
    } else if written.len() > MAX_TEXT {
        return Err(format!("its {field} is longer than any number that it could be"));
    } else {
        from_number(written)
    };
    number.map(Some).map_err(|error| format!("its {field} cannot be right: {error}"))
}
