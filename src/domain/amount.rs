//! Token amounts: integers in base units, never floats.
//!
//! A token with 6 decimals has 1 000 000 base units to the whole unit. Decimal text is turned into base
//! units digit by digit, so nothing is ever rounded.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::odd::explained;

/// An amount of a token in base units. In JSON it is a string of digits, because JSON readers lose
/// integers above 2^53.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u128);

/// Why a decimal text is not an amount.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AmountError {
    /// Nothing was given.
    #[error("the amount is empty; give digits such as 1000.50")]
    Empty,
    /// A sign. Amounts are never negative, and a plus is never needed.
    #[error("the amount {0:?} has a sign; give it without one")]
    Signed(String),
    /// Something that is neither a digit nor the one decimal point.
    #[error(
        "{}",
        explained(
            format_args!("the amount {:?} is not a plain decimal number; write it like 1000.50, without separators or exponent", .0),
            .0
        )
    )]
    NotDecimal(String),
    /// More digits after the point than the token has decimals.
    #[error("the amount {text:?} has more than {decimals} decimals, which is all the token has")]
    TooFine {
        text: String,
        /// The token's decimals.
        decimals: u8,
    },
    /// Larger than can be held.
    #[error("the amount {0:?} is larger than any token amount")]
    TooLarge(String),
}

impl Amount {
    pub const ZERO: Self = Self(0);

    #[must_use]
    pub const fn from_base_units(base_units: u128) -> Self {
        Self(base_units)
    }

    #[must_use]
    pub const fn base_units(self) -> u128 {
        self.0
    }

    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, or `None` if it does not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` if `other` is larger.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// How far apart two amounts are.
    #[must_use]
    pub const fn distance(self, other: Self) -> Self {
        Self(self.0.abs_diff(other.0))
    }

    /// Reads what a person wrote, such as `1000.50`: digits and at most one point, which needs a digit on both sides.
    ///
    /// # Errors
    /// Signs, separators, exponents, more than `decimals` decimals and overflow are refused.
    pub fn from_person(text: &str, decimals: u8) -> Result<Self, AmountError> {
        if text.is_empty() {
            return Err(AmountError::Empty);
        }
        if text.starts_with(['-', '+']) {
            return Err(AmountError::Signed(text.to_owned()));
        }
        Self::from_parts(text, text, 0, decimals)
    }

    /// Reads a JSON number as the payment API wrote it. An exponent (`1e3`) is taken when the value is exact.
    ///
    /// # Errors
    /// Negative numbers, more than `decimals` significant decimals, overflow, and what is no number are refused.
    pub fn from_json_number(text: &str, decimals: u8) -> Result<Self, AmountError> {
        if text.is_empty() {
            return Err(AmountError::Empty);
        }
        if text.starts_with(['-', '+']) {
            return Err(AmountError::Signed(text.to_owned()));
        }
        match text.split_once(['e', 'E']) {
            None => Self::from_parts(text, text, 0, decimals),
            Some((mantissa, exponent)) => {
                let not_decimal = || AmountError::NotDecimal(text.to_owned());
                let digits = exponent.strip_prefix('+').unwrap_or(exponent);
                if digits.starts_with('+') || digits.is_empty() {
                    return Err(not_decimal());
                }
                let exponent: i32 = digits.parse().map_err(|_| not_decimal())?;
                Self::from_parts(text, mantissa, exponent, decimals)
            }
        }
    }

    /// `mantissa × 10^exponent` in base units of a token with `decimals` decimals; `text` is for the error.
    fn from_parts(text: &str, mantissa: &str, exponent: i32, decimals: u8) -> Result<Self, AmountError> {
        let not_decimal = || AmountError::NotDecimal(text.to_owned());
        let too_large = || AmountError::TooLarge(text.to_owned());
        let (whole, fraction) = match mantissa.split_once('.') {
            None => (mantissa, ""),
            Some((_, "")) => return Err(not_decimal()),
            Some(parts) => parts,
        };
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return Err(not_decimal());
        }
        let fraction = fraction.trim_end_matches('0');
        let mut digits: u128 = 0;
        for byte in whole.bytes().chain(fraction.bytes()) {
            let digit = u128::from(byte.wrapping_sub(b'0'));
            digits = digits.checked_mul(10).and_then(|value| value.checked_add(digit)).ok_or_else(too_large)?;
        }
        if digits == 0 {
            return Ok(Self::ZERO);
        }
        let places = i64::try_from(fraction.len()).map_err(|_| too_large())?;
        let shift = i64::from(decimals).saturating_add(i64::from(exponent)).saturating_sub(places);
        let power = u32::try_from(shift.unsigned_abs()).map_err(|_| too_large())?;
        if shift >= 0 {
            let scale = 10_u128.checked_pow(power).ok_or_else(too_large)?;
            return digits.checked_mul(scale).map(Self).ok_or_else(too_large);
        }
        let too_fine = || AmountError::TooFine { text: text.to_owned(), decimals };
        let scale = 10_u128.checked_pow(power).ok_or_else(too_fine)?;
        match (digits.checked_rem(scale), digits.checked_div(scale)) {
            (Some(0), Some(units)) => Ok(Self(units)),
            _ => Err(too_fine()),
        }
    }

    /// As plain decimal text in whole units, with no more digits than needed and at least two decimals:
    /// 1 000 100 000 base units with 6 decimals is `1000.10`.
    #[must_use]
    pub fn to_decimal(self, decimals: u8) -> String {
        let width = usize::from(decimals);
        let digits = format!("{:0>width$}", self.0, width = width.saturating_add(1));
        let (whole, fraction) = digits.split_at(digits.len().saturating_sub(width));
        let mut fraction = fraction.trim_end_matches('0').to_owned();
        while fraction.len() < width.min(2) {
            fraction.push('0');
        }
        if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} base units", self.0)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits_only = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let value = text.parse().ok().filter(|_| digits_only);
        value.map(Self).ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not an amount in base units")))
    }
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "clippy does not see that what stands in a macro is a test"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_people_write() {
        let cases = [
            ("0", Some(0)),
            ("0.1", Some(100_000)),
            ("1000", Some(1_000_000_000)),
            ("1000.000001", Some(1_000_000_001)),
            ("999999999.999999", Some(999_999_999_999_999)),
            ("1000.10", Some(1_000_100_000)),
            ("1000.1000000", Some(1_000_100_000)),
            ("1000.0000001", None),
            ("-1", None),
            ("+1", None),
            ("1e3", None),
            ("1,000", None),
            ("1_000", None),
            (" 1", None),
            ("", None),
            (".", None),
            (".5", None),
            ("5.", None),
            ("1.2.3", None),
            ("٣", None),
            ("340282366920938463463374607431768211456", None),
        ];
        for (text, expected) in cases {
            let got = Amount::from_person(text, 6).ok().map(Amount::base_units);
            assert_eq!(got, expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_amount_is_written_and_read_exactly(units in any::<u128>(), decimals in 0..=18_u8) {
            let amount = Amount::from_base_units(units);
            let written = amount.to_decimal(decimals);
            prop_assert_eq!(Amount::from_person(&written, decimals), Ok(amount));
            prop_assert_eq!(Amount::from_json_number(&written, decimals), Ok(amount));
        }

        #[test]
        fn an_exponent_moves_the_point_and_nothing_else(units in 0..10_u128.pow(30), shift in 0..7_usize) {
            let exact = Amount::from_base_units(units);
            let text = format!("{units}e-{shift}");
            let whole = format!("{units}");
            let (before, after) = whole.split_at(whole.len().saturating_sub(shift));
            let plain = format!("{}.{after:0>shift$}", if before.is_empty() { "0" } else { before });
            let read = Amount::from_json_number(&text, 6);
            prop_assert_eq!(&read, &Amount::from_person(plain.trim_end_matches('.'), 6), "{} and {}", text, plain);
            if shift == 6 {
                prop_assert_eq!(read, Ok(exact));
            }
        }

        #[test]
        fn what_has_more_decimals_than_the_token_is_never_rounded(units in 1..10_u128.pow(20), more in 1..6_u32) {
            let digits = usize::try_from(6 + more).unwrap();
            prop_assume!(units % 10_u128.pow(more) != 0);
            let padded = format!("{units:0>width$}", width = digits + 1);
            let (whole, fraction) = padded.split_at(padded.len() - digits);
            let text = format!("{whole}.{fraction}");
            prop_assert!(Amount::from_person(&text, 6).is_err(), "{}", text);
            prop_assert!(Amount::from_json_number(&text, 6).is_err(), "{}", text);
        }

        #[test]
        fn sums_are_exact_or_refused(one in any::<u128>(), other in any::<u128>()) {
            let (left, right) = (Amount::from_base_units(one), Amount::from_base_units(other));
            prop_assert_eq!(left.checked_add(right).map(Amount::base_units), one.checked_add(other));
            prop_assert_eq!(left.checked_sub(right).map(Amount::base_units), one.checked_sub(other));
        }
    }

    #[test]
    fn reads_json_numbers_exactly() {
        let cases = [
            ("1e3", Some(1_000_000_000)),
            ("1E+3", Some(1_000_000_000)),
            ("1.5e-1", Some(150_000)),
            ("1e-6", Some(1)),
            ("10e-7", Some(1)),
            ("1e-7", None),
            ("1e99", None),
            ("0e99999", Some(0)),
            ("1e99999999999", None),
            ("1e", None),
            ("1e+", None),
            ("1e++3", None),
            ("-0.1", None),
            ("\"5\"", None),
            ("null", None),
            ("1000.1", Some(1_000_100_000)),
        ];
        for (text, expected) in cases {
            let got = Amount::from_json_number(text, 6).ok().map(Amount::base_units);
            assert_eq!(got, expected, "{text:?}");
        }
    }

    #[test]
    fn writes_decimals() {
        let cases = [
            (0, 6, "0.00"),
            (1, 6, "0.000001"),
            (1_000_100_000, 6, "1000.10"),
            (5, 0, "5"),
            (15, 1, "1.5"),
            (10, 1, "1.0"),
        ];
        for (units, decimals, expected) in cases {
            assert_eq!(Amount::from_base_units(units).to_decimal(decimals), expected);
        }
    }

    #[test]
    fn json_is_a_string_of_digits() {
        let amount = Amount::from_base_units(u128::MAX);
        let json = serde_json::to_string(&amount).expect("an amount serialises");
        assert_eq!(json, format!("\"{}\"", u128::MAX));
        assert_eq!(serde_json::from_str::<Amount>(&json).expect("and comes back"), amount);
        for bad in ["1", "\"-1\"", "\"\"", "\"1.0\"", "\"+1\""] {
            assert!(serde_json::from_str::<Amount>(bad).is_err(), "{bad}");
        }
    }
}
