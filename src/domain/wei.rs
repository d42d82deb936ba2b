//! Amounts of the chain's native coin (POL on Polygon) and gas prices: integers in wei, never floats.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::amount::{Amount, AmountError};

/// How many decimals the native coin has.
pub const NATIVE_DECIMALS: u8 = 18;
/// How many decimals a gwei has, in wei.
pub const GWEI_DECIMALS: u8 = 9;

/// An amount of the native coin, or a price of one unit of gas, in wei. In JSON it is a string of digits, because JSON
/// readers lose integers above 2^53. A type of its own, so that it never mixes with the token's base units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wei(u128);

impl Wei {
    pub const ZERO: Self = Self(0);

    /// From wei.
    #[must_use]
    pub const fn new(wei: u128) -> Self {
        Self(wei)
    }

    /// From whole gwei; saturates.
    #[must_use]
    pub const fn from_gwei(gwei: u64) -> Self {
        Self((gwei as u128).saturating_mul(1_000_000_000))
    }

    /// In wei.
    #[must_use]
    pub const fn get(self) -> u128 {
        self.0
    }

    /// The sum, saturating: a price or a cost that does not fit is more than anybody has.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference; zero if `other` is larger.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// So many times as much; saturates.
    #[must_use]
    pub const fn times(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor as u128))
    }

    /// Reads what a person wrote in gwei, such as `30` or `0.5`.
    ///
    /// # Errors
    /// As [`Amount::from_person`].
    pub fn from_person_gwei(text: &str) -> Result<Self, AmountError> {
        Amount::from_person(text, GWEI_DECIMALS).map(|amount| Self(amount.base_units()))
    }

    /// Reads what a person wrote in whole units of the native coin, such as `1.5`.
    ///
    /// # Errors
    /// As [`Amount::from_person`].
    pub fn from_person_native(text: &str) -> Result<Self, AmountError> {
        Amount::from_person(text, NATIVE_DECIMALS).map(|amount| Self(amount.base_units()))
    }

    /// As decimal text in gwei.
    #[must_use]
    pub fn to_gwei(self) -> String {
        Amount::from_base_units(self.0).to_decimal(GWEI_DECIMALS)
    }

    /// As decimal text in whole units of the native coin.
    #[must_use]
    pub fn to_native(self) -> String {
        Amount::from_base_units(self.0).to_decimal(NATIVE_DECIMALS)
    }
}

impl fmt::Display for Wei {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} wei", self.0)
    }
}

impl Serialize for Wei {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Amount::from_base_units(self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Wei {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Amount::deserialize(deserializer).map(|amount| Self(amount.base_units()))
    }
}
