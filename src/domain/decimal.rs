//! Exact decimals: exchange rates, fees and amounts of fiat money, whose number of decimals nobody fixes in advance.
//!
//! Token amounts are [`Amount`](super::amount::Amount)s. Deliberately absent: arithmetic. These figures are the payment
//! API's; they are kept, compared and shown, and nothing is computed from them.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::odd::explained;

/// The most digits that a decimal has before its point, and after it. Any rate and any sum of money has far fewer.
pub const MAX_DIGITS: usize = 30;

/// A decimal that is not negative, digit by digit as it was written, without needless zeros. In JSON it is a string,
/// because JSON readers round.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// The digits before the point, without leading zeros; empty below one.
    whole: String,
    /// The digits after the point, without trailing zeros.
    fraction: String,
}

/// Why a text is no decimal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecimalError {
    /// Nothing was given.
    #[error("the number is empty; give digits such as 17.25")]
    Empty,
    #[error("the number {0:?} has a sign; give it without one")]
    Signed(String),
    /// Something that is neither a digit nor the one decimal point.
    #[error(
        "{}",
        explained(format_args!("{:?} is not a plain decimal number; write it like 17.25, without separators or exponent", .0), .0)
    )]
    NotDecimal(String),
    /// More digits than any such figure has.
    #[error("the number {0:?} has more than 30 digits before or after its point")]
    TooLong(String),
}

impl Decimal {
    pub const ZERO: Self = Self { whole: String::new(), fraction: String::new() };

    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.whole.is_empty() && self.fraction.is_empty()
    }

    /// Reads what a person wrote, such as `17.25`: digits and at most one point, which needs a digit on both sides.
    ///
    /// # Errors
    /// Signs, separators, exponents and more than [`MAX_DIGITS`] digits on one side are refused.
    pub fn from_person(text: &str) -> Result<Self, DecimalError> {
        Self::from_parts(text, text, 0)
    }

    /// Reads a JSON number as the payment API wrote it. An exponent (`1e3`) is taken.
    ///
    /// # Errors
    /// Negative numbers, what is no number, and more than [`MAX_DIGITS`] digits on one side are refused.
    pub fn from_json_number(text: &str) -> Result<Self, DecimalError> {
        let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return Self::from_person(text) };
        let not_decimal = || DecimalError::NotDecimal(shortened(text));
        let digits = exponent.strip_prefix('+').unwrap_or(exponent);
        if digits.starts_with('+') {
            return Err(not_decimal());
        }
        let exponent: i32 = digits.parse().map_err(|_| not_decimal())?;
        Self::from_parts(text, mantissa, exponent)
    }

    /// `mantissa × 10^exponent`; `text` is for the error.
    fn from_parts(text: &str, mantissa: &str, exponent: i32) -> Result<Self, DecimalError> {
        let not_decimal = || DecimalError::NotDecimal(shortened(text));
        let too_long = || DecimalError::TooLong(shortened(text));
        if text.is_empty() {
            return Err(DecimalError::Empty);
        }
        if text.starts_with(['-', '+']) {
            return Err(DecimalError::Signed(shortened(text)));
        }
        let (whole, fraction) = match mantissa.split_once('.') {
            None => (mantissa, ""),
            Some((_, "")) => return Err(not_decimal()),
            Some(parts) => parts,
        };
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return Err(not_decimal());
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        if whole.is_empty() && fraction.is_empty() {
            return Ok(Self::ZERO);
        }
        // The point moves by less than the digits that may be, or the number has too many in any case.
        let moved = usize::try_from(exponent.unsigned_abs()).unwrap_or(usize::MAX);
        if moved > MAX_DIGITS.saturating_mul(2) || text.len() > MAX_DIGITS.saturating_mul(4) {
            return Err(too_long());
        }
        let zeros = "0".repeat(moved);
        let (before, after) = if exponent >= 0 {
            (whole.to_owned(), format!("{fraction}{zeros}"))
        } else {
            (format!("{zeros}{whole}"), fraction.to_owned())
        };
        let digits = format!("{before}{after}");
        let point = if exponent >= 0 { before.len().saturating_add(moved) } else { before.len().saturating_sub(moved) };
        let (whole, fraction) = digits.split_at_checked(point).ok_or_else(not_decimal)?;
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        if whole.len() > MAX_DIGITS || fraction.len() > MAX_DIGITS {
            return Err(too_long());
        }
        Ok(Self { whole: whole.to_owned(), fraction: fraction.to_owned() })
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let whole = self.whole.len().cmp(&other.whole.len()).then_with(|| self.whole.cmp(&other.whole));
        whole.then_with(|| self.fraction.cmp(&other.fraction))
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Plain decimal text with no more digits than needed: `0`, `17.25`.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = if self.whole.is_empty() { "0" } else { &self.whole };
        if self.fraction.is_empty() { f.write_str(whole) } else { write!(f, "{whole}.{}", self.fraction) }
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_person(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_s_numbers_are_kept_exactly_or_refused() {
        let long = "9".repeat(MAX_DIGITS);
        for (text, shown) in [
            ("0", "0"),
            ("0.10", "0.1"),
            ("007.50", "7.5"),
            ("17.254", "17.254"),
            ("999999999.999999", "999999999.999999"),
            (&long, &long),
        ] {
            assert_eq!(Decimal::from_person(text).map(|number| number.to_string()).as_deref(), Ok(shown), "{text}");
        }
        let too_long = "1".repeat(MAX_DIGITS + 1);
        for text in ["", "-1", "+1", "1e3", "1,000", "1 000", ".5", "5.", "1.2.3", "x", "٣", "NaN", &too_long] {
            assert!(Decimal::from_person(text).is_err(), "{text}");
        }
    }

    #[test]
    fn json_numbers_may_have_an_exponent() {
        for (text, shown) in [
            ("1e3", "1000"),
            ("1.25E+1", "12.5"),
            ("125e-2", "1.25"),
            ("1e-6", "0.000001"),
            ("0e99", "0"),
            ("12.50", "12.5"),
            ("1.5e0", "1.5"),
        ] {
            let number = Decimal::from_json_number(text).map(|number| number.to_string());
            assert_eq!(number.as_deref(), Ok(shown), "{text}");
        }
        for text in ["-1", "1e", "e3", "1e++3", "1e99999999999", "1e40", "1e-40", "1e1.5", "0x10", "null"] {
            assert!(Decimal::from_json_number(text).is_err(), "{text}");
        }
    }

    #[test]
    fn they_sort_by_value_and_read_back() {
        let sorted = ["0", "0.000001", "0.09", "0.1", "1", "1.05", "1.5", "9.99", "10", "100.01", "100.1"];
        let numbers: Vec<Decimal> = sorted.iter().filter_map(|text| Decimal::from_person(text).ok()).collect();
        assert_eq!(numbers.len(), sorted.len());
        assert!(numbers.is_sorted() && numbers.windows(2).all(|pair| pair.first() < pair.last()));
        for number in numbers {
            let json = serde_json::to_string(&number).unwrap_or_default();
            assert_eq!(serde_json::from_str::<Decimal>(&json).ok(), Some(number));
        }
    }
}
