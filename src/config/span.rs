//! Spans of time as people write them: `500ms`, `30s`, `5m`, `2h`, `7d`.
//!
//! Deliberately absent: fractions, sums such as `1h30m`, and units longer than a day.

use thiserror::Error;

use crate::domain::time::Span;

/// Why a text is no span.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("it is no span of time: write a whole number and a unit, such as 500ms, 30s, 5m, 2h or 7d")]
pub struct SpanError;

/// Reads a span such as `500ms`, `30s`, `5m`, `2h` or `7d`.
///
/// # Errors
/// Anything but digits followed by one of the five units, and spans that do not fit.
pub fn parse_span(text: &str) -> Result<Span, SpanError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or(SpanError)?;
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(SpanError),
    };
    let number: u64 = number.parse().map_err(|_| SpanError)?;
    number.checked_mul(millis).map(Span::from_millis).ok_or(SpanError)
}

/// Writes a span so that [`parse_span`] reads it back, in the largest unit that is exact.
#[must_use]
pub fn write_span(span: Span) -> String {
    let millis = span.as_millis();
    let units = [(86_400_000_u64, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let exact = units.into_iter().find(|(size, _)| millis > 0 && millis.is_multiple_of(*size));
    match exact.and_then(|(size, unit)| Some((millis.checked_div(size)?, unit))) {
        Some((count, unit)) => format!("{count}{unit}"),
        None => format!("{millis}ms"),
    }
}
