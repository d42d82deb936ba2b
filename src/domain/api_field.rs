//! The fields of the payment API's answers, and what is kept of one that cannot be read.
//!
//! A field that cannot be read is a field that says nothing: it never makes the rest of its answer unreadable. What may
//! follow from an answer with such a field is the policy's (`policy::api_answer`).

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use super::text::is_hidden;

/// The most characters that are kept of what a field says.
const MAX_SAID: usize = 80;

/// A field of a payment, as the API calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr, VariantArray)]
#[strum(const_into_str, serialize_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub enum ApiField {
    /// The transaction that pays it.
    TransactionHash,
    RecipientId,
    /// Where the money goes.
    DepositAddress,
    DepositAmount,
    DepositChain,
    SourceCurrency,
    /// The bank account that it goes to.
    BankAccountId,
    CreatedAt,
    /// When it runs out.
    ExpiresAt,
    /// The key that it was created with.
    IdempotencyKey,
    /// Whether it is an off-ramp.
    Type,
    /// When the funds went out to the bank. Only shown.
    SentAt,
    /// When it was completed. Only shown.
    CompletedAt,
}

impl ApiField {
    pub const ALL: &'static [Self] = <Self as VariantArray>::VARIANTS;

    /// As the API calls it, and as in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.into_str()
    }

    /// What it would have to be.
    const fn wanted(self) -> &'static str {
        match self {
            Self::TransactionHash => "a transaction hash",
            Self::RecipientId | Self::BankAccountId | Self::IdempotencyKey => "an id",
            Self::DepositAddress => "an address",
            Self::DepositAmount => "an amount of the token",
            Self::DepositChain => "the name of a chain",
            Self::SourceCurrency => "the name of a currency",
            Self::CreatedAt | Self::ExpiresAt | Self::SentAt | Self::CompletedAt => "a moment with its zone",
            Self::Type => "a kind of payment",
        }
    }
}

impl fmt::Display for ApiField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A field that is there and cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    pub field: ApiField,
    /// What it says, as it came in JSON; shortened, and without hidden characters.
    pub said: String,
}

impl Unread {
    /// Notes what a field says, given as it came in JSON.
    #[must_use]
    pub fn new(field: ApiField, said: &str) -> Self {
        let plain = said.chars().map(|letter| if is_hidden(letter) { ' ' } else { letter });
        let mut said: String = plain.take(MAX_SAID.saturating_add(1)).collect();
        if let Some((end, _)) = said.char_indices().nth(MAX_SAID) {
            said.truncate(end);
            said.push('…');
        }
        Self { field, said }
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, which is not {}", self.field, self.said, self.field.wanted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_in_json_and_what_is_kept_is_short() {
        for field in ApiField::ALL.iter().copied() {
            assert_eq!(serde_json::to_value(field).unwrap(), field.name());
        }
        let unread = Unread::new(ApiField::CreatedAt, "\"2026-11-29T20:03:05\"");
        assert_eq!(unread.to_string(), "createdAt \"2026-11-29T20:03:05\", which is not a moment with its zone");
        let long = Unread::new(ApiField::Type, &"é\u{202e}".repeat(500));
        assert_eq!(long.said.chars().count(), 81, "{}", long.said);
        assert_eq!(Unread::new(ApiField::Type, &long.said), long, "cutting again changes nothing");
    }
}
