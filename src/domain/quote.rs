//! Rates and quotes: what the payment API gives for USDC, and for how long it stands by that.

use serde::{Deserialize, Serialize};

use super::amount::Amount;
use super::decimal::Decimal;
use super::payment::QuoteId;
use super::time::Timestamp;

/// What is to be exchanged for what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// What is sent, such as `USDC`.
    pub source_currency: String,
    /// How much is sent, in base units of the configured token.
    pub source_amount: Amount,
    /// How it is sent: the chain, as the API calls it, such as `POLYGON`.
    pub source_rail: String,
    /// What is paid out, such as `MXN`.
    pub destination_currency: String,
    /// How it is paid out, as the API calls it, such as `SPEI`.
    pub destination_rail: String,
    /// To which country, in the two letters of ISO 3166-1.
    pub destination_country: String,
    /// What the developer takes, as the API understands `developerVariableFee`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub developer_fee: Option<Decimal>,
}

/// A fee in its two parts, as the API writes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fee {
    /// What is taken in any case.
    pub fixed: Option<Decimal>,
    /// What is taken for each unit, or in percent: the API does not say which.
    pub variable: Option<Decimal>,
}

/// What the API says it would give. What a shape of the API leaves out is `None`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// What is sent, as the API repeats it, in base units of the configured token.
    pub source_amount: Option<Amount>,
    /// What is sent, as the API repeats it.
    pub source_currency: Option<String>,
    /// How much is paid out.
    pub destination_amount: Option<Decimal>,
    pub destination_currency: Option<String>,
    /// How much is paid out for a unit.
    pub exchange_rate: Option<Decimal>,
    /// What all of it costs.
    pub total_fee: Option<Decimal>,
    /// What the API takes.
    pub sentra_fee: Option<Fee>,
    /// What the developer takes.
    pub developer_fee: Option<Fee>,
}

/// A rate that the API stands by until it runs out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    pub id: QuoteId,
    /// The terms.
    pub rate: Rate,
    /// When it runs out. The API lets a quote live for 10 to 15 minutes.
    pub expires_at: Option<Timestamp>,
    pub created_at: Option<Timestamp>,
}
