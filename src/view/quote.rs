//! Rates and quotes: what people and programs ask, and what they are shown.
//!
//! Amounts of the token come in base units and in whole units; figures of fiat money as the payment API wrote them, digit
//! by digit. Nothing of this is stored: a payout keeps the quote that it was opened on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::decimal::Decimal;
use crate::domain::payment::{BankAccountId, QuoteId};
use crate::domain::quote::{Exchange, Fee, Quote, Rate};
use crate::domain::time::Timestamp;
use crate::view::shapes;
use crate::view::{AmountView, moment};

/// What is to be exchanged for what. What is left out is the token that pays, on the chain that is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateRequest {
    /// The API's id of the user.
    #[schemars(with = "shapes::Id")]
    pub user: String,
    /// How much is sent, in whole units of the token, such as `1000.50`.
    #[schemars(with = "shapes::DecimalAmount")]
    pub amount: String,
    /// What is sent, such as `USDC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<shapes::Word>")]
    pub source_currency: Option<String>,
    /// How it is sent, such as `POLYGON`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<shapes::Word>")]
    pub source_rail: Option<String>,
    /// What is paid out, such as `MXN`.
    #[schemars(with = "shapes::Word")]
    pub destination_currency: String,
    /// How it is paid out, such as `SPEI`.
    #[schemars(with = "shapes::Word")]
    pub destination_rail: String,
    /// To which country, in the two letters of ISO 3166-1, such as `MX`.
    #[schemars(with = "shapes::Country")]
    pub destination_country: String,
    /// What the developer takes: `developerVariableFee` as the API understands it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<shapes::Figure>")]
    pub developer_fee: Option<String>,
}

/// As [`RateRequest`], for one bank account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuoteRequest {
    /// The API's id of the user.
    #[schemars(with = "shapes::Id")]
    pub user: String,
    /// The API's id of the bank account that is paid.
    #[schemars(with = "shapes::Id")]
    pub bank_account: String,
    /// How much is sent, in whole units of the token, such as `1000.50`.
    #[schemars(with = "shapes::DecimalAmount")]
    pub amount: String,
    /// What is sent, such as `USDC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<shapes::Word>")]
    pub source_currency: Option<String>,
    /// How it is sent, such as `POLYGON`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<shapes::Word>")]
    pub source_rail: Option<String>,
    /// What is paid out, such as `MXN`.
    #[schemars(with = "shapes::Word")]
    pub destination_currency: String,
    /// How it is paid out, such as `SPEI`.
    #[schemars(with = "shapes::Word")]
    pub destination_rail: String,
    /// To which country, in the two letters of ISO 3166-1, such as `MX`.
    #[schemars(with = "shapes::Country")]
    pub destination_country: String,
    /// What the developer takes: `developerVariableFee` as the API understands it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<shapes::Figure>")]
    pub developer_fee: Option<String>,
}

impl QuoteRequest {
    /// The same without the bank account.
    #[must_use]
    pub fn rate(&self) -> RateRequest {
        RateRequest {
            user: self.user.clone(),
            amount: self.amount.clone(),
            source_currency: self.source_currency.clone(),
            source_rail: self.source_rail.clone(),
            destination_currency: self.destination_currency.clone(),
            destination_rail: self.destination_rail.clone(),
            destination_country: self.destination_country.clone(),
            developer_fee: self.developer_fee.clone(),
        }
    }
}

/// A fee in its two parts, as the API tells them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FeeView {
    /// What is taken in any case.
    #[schemars(with = "Option<shapes::Figure>")]
    pub fixed: Option<Decimal>,
    /// What is taken for each unit, or in percent: the API does not say which.
    #[schemars(with = "Option<shapes::Figure>")]
    pub variable: Option<Decimal>,
}

/// What the API would give now. It is not bound by it. What it leaves out is null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RateView {
    /// What is sent.
    pub source_amount: AmountView,
    /// In which currency.
    pub source_currency: String,
    /// How it is sent.
    pub source_rail: String,
    /// How much is paid out, in whole units of the destination currency.
    #[schemars(with = "Option<shapes::Figure>")]
    pub destination_amount: Option<Decimal>,
    /// In which currency.
    pub destination_currency: String,
    /// How it is paid out.
    pub destination_rail: String,
    /// To which country.
    pub destination_country: String,
    /// How much is paid out for a unit.
    #[schemars(with = "Option<shapes::Figure>")]
    pub exchange_rate: Option<Decimal>,
    /// What all of it costs.
    #[schemars(with = "Option<shapes::Figure>")]
    pub total_fee: Option<Decimal>,
    /// What the API takes.
    pub sentra_fee: Option<FeeView>,
    /// What the developer takes.
    pub developer_fee: Option<FeeView>,
}

/// What the API stands by until it runs out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuoteView {
    /// The API's id.
    #[schemars(with = "shapes::Id")]
    pub id: QuoteId,
    /// The bank account that it is for.
    #[schemars(with = "shapes::Id")]
    pub bank_account: BankAccountId,
    /// The terms.
    pub rate: RateView,
    /// When it was given, if the API says: RFC 3339.
    pub created_at: Option<String>,
    /// When it runs out, if the API says: RFC 3339.
    pub expires_at: Option<String>,
    /// How many whole seconds it has left by the clock of this machine; 0 once it has run out.
    pub seconds_left: Option<u64>,
}

impl RateView {
    /// `source` is the amount of the exchange, as it is shown.
    pub(crate) fn new(asked: &Exchange, told: &Rate, source: AmountView) -> Self {
        let fee = |fee: &Fee| FeeView { fixed: fee.fixed.clone(), variable: fee.variable.clone() };
        Self {
            source_amount: source,
            source_currency: asked.source_currency.clone(),
            source_rail: asked.source_rail.clone(),
            destination_amount: told.destination_amount.clone(),
            destination_currency: asked.destination_currency.clone(),
            destination_rail: asked.destination_rail.clone(),
            destination_country: asked.destination_country.clone(),
            exchange_rate: told.exchange_rate.clone(),
            total_fee: told.total_fee.clone(),
            sentra_fee: told.sentra_fee.as_ref().map(fee),
            developer_fee: told.developer_fee.as_ref().map(fee),
        }
    }
}

impl QuoteView {
    /// As it is at the moment `now`; `source` is the amount of the exchange, as it is shown.
    pub(crate) fn new(asked: &Exchange, to: &BankAccountId, told: &Quote, source: AmountView, now: Timestamp) -> Self {
        Self {
            id: told.id.clone(),
            bank_account: to.clone(),
            rate: RateView::new(asked, &told.rate, source),
            created_at: told.created_at.map(moment),
            expires_at: told.expires_at.map(moment),
            seconds_left: told.expires_at.map(|expires_at| expires_at.since(now).as_secs()),
        }
    }
}
