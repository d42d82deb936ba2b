//! Reads the fields of the API's answers, which are of both shapes and of all kinds.
//!
//! Numbers are read digit by digit, never through a float. Where a text or a number is there and cannot be right, the
//! error names the field. Deliberately absent: what the fields mean.

use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeInclusive;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::domain::amount::Amount;
use crate::domain::chain::Address;
use crate::domain::decimal::Decimal;
use crate::domain::text::is_hidden;
use crate::domain::time::{Span, Timestamp};

/// The most characters that a text of the API may have and be kept.
pub(super) const MAX_TEXT: usize = 256;

/// The fields of a JSON object, unread. What is in one of them spoils no other.
pub(super) struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<'a>(PhantomData<&'a RawValue>);

        impl<'de: 'a, 'a> Visitor<'de> for Fields<'a> {
            type Value = Object<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'a>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry::<String, &'de RawValue>()? {
                    fields.push(field);
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Fields(PhantomData))
    }
}

impl<'a> Object<'a> {
    /// What the field says; `null` and a missing field are the same.
    ///
    /// # Errors
    /// It is there twice, and says different things.
    pub(super) fn get(&self, field: &str) -> Result<Option<&'a RawValue>, String> {
        let mut found = self.0.iter().filter(|(name, _)| name == field).map(|(_, raw)| *raw);
        let first = found.next();
        if found.any(|other| first.is_some_and(|first| first.get() != other.get())) {
            return Err(format!("its {field} is there twice, and differs"));
        }
        Ok(first.filter(|raw| raw.get() != "null"))
    }

    /// What the field says first, for what is only shown.
    pub(super) fn first(&self, field: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(name, raw)| name == field && raw.get() != "null").map(|(_, raw)| *raw)
    }

    /// The fields whose values begin so: with `[` the lists, with `{` the objects.
    pub(super) fn of_kind(&self, begins: char) -> impl Iterator<Item = (&str, &'a RawValue)> {
        let fields = self.0.iter().map(|(name, raw)| (name.as_str(), *raw));
        fields.filter(move |(_, raw)| raw.get().starts_with(begins))
    }

    /// The names of its fields, for errors: few, and short.
    pub(super) fn names(&self) -> String {
        let names: Vec<String> = self.0.iter().take(8).map(|(name, _)| quoted(name)).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }
}

/// Reads a JSON object; `of` says what of, in errors. The library's own text quotes the body; its place is enough.
pub(super) fn object<'a>(body: &'a [u8], of: &str) -> Result<Object<'a>, String> {
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

/// An id: a text, or a whole number, whose digits it is then.
pub(super) fn id(field: &str, raw: Option<&RawValue>) -> Result<Option<String>, String> {
    let is_number = |raw: &&RawValue| raw.get().bytes().all(|byte| byte.is_ascii_digit());
    match raw.filter(is_number) {
        Some(raw) if raw.get().len() <= MAX_TEXT => Ok(Some(raw.get().to_owned())),
        Some(_) | None => text(field, raw),
    }
}

/// A text that must mean something, as [`text`] or [`id`] has read it.
pub(super) fn parsed<T>(
    field: &str,
    text: Option<String>,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, String> {
    let Some(text) = text else { return Ok(None) };
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

/// The first and the last second that a moment of the API can have: those of the years 2000 and 2100. What lies outside is a
/// zero that stands for nothing, or was written in another unit.
const SECONDS: RangeInclusive<u64> = 946_684_800..=4_133_980_799;

/// A moment, cut to milliseconds: RFC 3339 with any number of digits after its point, a date as HTTP has it, or the seconds or
/// milliseconds since the Unix epoch. One without a zone is none: which zone it is in would be a guess.
pub(super) fn moment(field: &str, raw: Option<&RawValue>) -> Result<Option<Timestamp>, String> {
    let Some(raw) = raw else { return Ok(None) };
    let (written, moment) = if raw.get().starts_with('"') {
        let Some(text) = text(field, Some(raw))? else { return Ok(None) };
        let moment = since_epoch(&text).or_else(|| written_out(&text));
        (text, moment)
    } else {
        (raw.get().chars().take(MAX_TEXT).collect(), since_epoch(raw.get()))
    };
    parsed(field, Some(written), |_| moment)
}

/// Seconds or milliseconds since the Unix epoch; which of the two, their size says.
fn since_epoch(text: &str) -> Option<Timestamp> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let number = Decimal::from_json_number(text).ok()?.to_string();
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    let whole: u64 = whole.parse().ok()?;
    if SECONDS.contains(&whole) {
        let millis: String = fraction.chars().chain("000".chars()).take(3).collect();
        return Some(Timestamp::from_secs(whole).plus(Span::from_millis(millis.parse().ok()?)));
    }
    Some(Timestamp::from_millis(whole)).filter(|moment| SECONDS.contains(&moment.as_secs()))
}

/// A moment that is written out, with its zone.
fn written_out(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    // Some languages put a blank before the offset.
    let cut = nine_digits(text).replace(" +", "+").replace(" -", "-");
    let named = cut.strip_suffix(" UTC").or_else(|| cut.strip_suffix(" GMT")).map(|moment| format!("{moment}Z"));
    let moment: Option<jiff::Timestamp> = named.unwrap_or(cut).parse().ok();
    let of_mail = || jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok();
    let moment = moment.or_else(|| of_mail().filter(|_| has_plain_zone(text)))?;
    let moment = u64::try_from(moment.as_millisecond()).ok().map(Timestamp::from_millis);
    moment.filter(|moment| SECONDS.contains(&moment.as_secs()) || moment.as_secs() > *SECONDS.end())
}

/// Whether a moment as in mail (RFC 2822) ends with an offset, or a name of UTC. Of all other names the parser makes UTC, or what they
/// mean in America: an hour that nobody said.
fn has_plain_zone(text: &str) -> bool {
    let zone = text.split('(').next().unwrap_or_default().split_whitespace().next_back().unwrap_or_default();
    let digits = zone.strip_prefix(['+', '-']).unwrap_or_default();
    matches!(zone, "GMT" | "UT" | "UTC" | "Z") || (digits.len() == 4 && digits.bytes().all(|it| it.is_ascii_digit()))
}

/// The text with no more than nine digits after a point, which is as many as are read.
fn nine_digits(text: &str) -> String {
    let Some((before, after)) = text.split_once('.') else { return text.to_owned() };
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    let (kept, rest) = (after.get(..digits.min(9)), after.get(digits..));
    format!("{before}.{}{}", kept.unwrap_or_default(), rest.unwrap_or_default())
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
