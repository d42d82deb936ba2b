//! What the other views have in common: amounts, moments, pages, reviews and their ways out.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::candidate::CandidateView;
use super::deposit::DepositView;
use super::event::EventView;
use super::order::OrderView;
use super::payment::PaymentView;
use super::returns::BackView;
use super::shapes;
use crate::domain::amount::Amount;
use crate::domain::chain::Address;
use crate::domain::time::Timestamp;

/// What people call a token, and its decimals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenName {
    pub address: Address,
    /// What people call it.
    pub symbol: String,
    /// How many decimals a whole unit has.
    pub decimals: u8,
}

/// An amount of some token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AmountView {
    /// In base units.
    #[schemars(with = "shapes::BaseUnits")]
    pub base_units: Amount,
    /// In whole units, such as `1000.50`, where the decimals are known.
    pub decimal: Option<String>,
    /// What people call the token, where it is known.
    pub symbol: Option<String>,
}

impl fmt::Display for AmountView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.decimal {
            Some(decimal) => f.write_str(decimal)?,
            None => write!(f, "{}", self.base_units)?,
        }
        self.symbol.as_ref().map_or(Ok(()), |symbol| write!(f, " {symbol}"))
    }
}

/// Something that a person must decide, and what would settle it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReviewView {
    /// `payment`, `deposit` or `lead`.
    pub subject: String,
    /// The payment's id or the deposit's key.
    pub id: String,
    /// The reason's name, such as `second_deposit`.
    pub reason: String,
    /// What happened, and why it is not decided without a person.
    pub what: String,
    /// What would settle it; each is one way.
    pub settle: Vec<WayOut>,
    /// Where the runbook says more.
    #[serde(default)]
    pub runbook: String,
}

/// One way to settle a review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WayOut {
    /// When this is the way to go, and what it does.
    pub when: String,
    /// The command, complete but for the reason; `None` where the way leads elsewhere.
    pub command: Option<String>,
}

/// Why a payment or a deposit stands where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WhyView {
    /// `payment`, `deposit` or `lead`.
    pub subject: String,
    /// The rule that decided, in words.
    pub rule: String,
    /// The payment: the subject itself, or the one that the deposit pays.
    pub payment: Option<PaymentView>,
    /// The deposits: the subject itself, or those that concern the payment.
    pub deposits: Vec<DepositView>,
    /// What a person must decide: about the subject, and about the deposits that concern it.
    pub reviews: Vec<ReviewView>,
    /// The orders that fund the payment; for a deposit the one whose transfer it is.
    #[serde(default)]
    pub orders: Vec<OrderView>,
    /// Whether the payment's money came back, where the wallet funded it and the API has refunded it.
    #[serde(default)]
    pub money_back: Option<BackView>,
    /// What happened to the subject, the oldest first.
    pub events: Vec<EventView>,
    /// Whether there are more events than these.
    pub more_events: bool,
}

/// What a decision left behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResolvedView {
    /// The decision's name.
    pub decision: String,
    /// The payment as it stands now, if it was about one.
    pub payment: Option<PaymentView>,
    /// The deposit as it stands now, if it was about one.
    pub deposit: Option<DepositView>,
    /// The candidate as it stands now, if it was about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "lead")]
    pub candidate: Option<CandidateView>,
    /// How many deposits are ignored now that were not, counted ones included, if it was about all of an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignored: Option<u64>,
}

impl ResolvedView {
    /// Only the decision's name yet.
    pub(crate) fn of(decision: &str) -> Self {
        Self { decision: decision.to_owned(), payment: None, deposit: None, candidate: None, ignored: None }
    }
}

/// A part of a longer list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PageOf{T}")]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next part begins (give it as `after`); `None`: this was the last. A part may be short, even
    /// empty, and still have a next: not more than a bounded number of records is looked at in one go.
    pub next: Option<String>,
}

/// A moment as RFC 3339 in UTC.
#[must_use]
pub fn moment(at: Timestamp) -> String {
    let millis = i64::try_from(at.as_millis()).ok();
    let known = millis.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    known.map_or_else(|| "never".to_owned(), |known| known.to_string())
}
