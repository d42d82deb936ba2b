//! Rates and quotes. A quote is for one user, one bank account and one amount, lives for a while, and is used once.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Shape;
use super::rates::{FIXED_FEE, NoPrice, Price, price};
use super::server::{Answer, Shared, now};
use super::shapes::{moment, number_of};
use crate::domain::amount::Amount;
use crate::domain::payment::PaymentId;
use crate::domain::time::Timestamp;

/// The most quotes held at once.
const MAX_QUOTES: usize = 100_000;

/// A quote that was given.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) user: String,
    pub(super) bank_account: String,
    pub(super) price: Price,
    pub(super) expires_at: Timestamp,
    /// The payment that was opened on it.
    pub(super) used_by: Option<PaymentId>,
}

/// Quotes given, by id.
#[derive(Debug, Default)]
pub(super) struct Quotes {
    given: BTreeMap<String, Given>,
}

impl Quotes {
    /// Keeps a quote and gives its id; `None` when there is no room.
    fn add(&mut self, given: Given) -> Option<String> {
        if self.given.len() >= MAX_QUOTES {
            return None;
        }
        let id = format!("quote-{}", self.given.len().saturating_add(1));
        self.given.insert(id.clone(), given);
        Some(id)
    }

    pub(super) fn get(&self, id: &str) -> Option<&Given> {
        self.given.get(id)
    }

    /// Notes the payment that was opened on a quote.
    pub(super) fn used(&mut self, id: &str, by: PaymentId) {
        if let Some(given) = self.given.get_mut(id) {
            given.used_by = Some(by);
        }
    }

    /// Lets every quote that was given run out at this moment.
    pub(super) fn expire(&mut self, at: Timestamp) {
        self.given.values_mut().for_each(|given| given.expires_at = given.expires_at.min(at));
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    source: Source,
    destination: Destination,
    developer_variable_fee: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Source {
    currency: String,
    amount: Box<RawValue>,
    rail: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Destination {
    currency: String,
    rail: String,
    country_code: String,
    payment_account_id: Option<String>,
}

/// The answer, in all the fields that either description names.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(flatten)]
    terms: Terms<'a>,
    exchange_rate: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fee: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_fee: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Value>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Terms<'a> {
    #[serde(rename_all = "camelCase")]
    Flat {
        source_currency: &'a str,
        source_amount: Option<Box<RawValue>>,
        source_rail: &'a str,
        destination_currency: &'a str,
        destination_amount: Option<Box<RawValue>>,
        destination_rail: &'a str,
        destination_country_code: &'a str,
    },
    #[serde(rename_all = "camelCase")]
    Nested { source: Side<'a>, destination: Side<'a>, sentra_fee: Fee, developer_fee: Fee, user_id: &'a str },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Side<'a> {
    currency: &'a str,
    amount: Option<Box<RawValue>>,
    rail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    country_code: Option<&'a str>,
}

#[derive(Serialize)]
struct Fee {
    fixed: Option<Box<RawValue>>,
    variable: Option<Box<RawValue>>,
}

fn terms<'a>(shape: Shape, user: &'a str, request: &'a Request, price: &Price) -> Terms<'a> {
    let (source, destination) = (&request.source, &request.destination);
    let (sent, paid_out) = (number_of(price.source, 6), number_of(price.destination, 2));
    match shape {
        Shape::Guide => Terms::Flat {
            source_currency: &source.currency,
            source_amount: sent,
            source_rail: &source.rail,
            destination_currency: &destination.currency,
            destination_amount: paid_out,
            destination_rail: &destination.rail,
            destination_country_code: &destination.country_code,
        },
        Shape::Reference => Terms::Nested {
            source: Side { currency: &source.currency, amount: sent, rail: &source.rail, country_code: None },
            destination: Side {
                currency: &destination.currency,
                amount: paid_out,
                rail: &destination.rail,
                country_code: Some(&destination.country_code),
            },
            sentra_fee: Fee {
                fixed: number_of(Amount::from_base_units(FIXED_FEE), 6),
                variable: number_of(price.variable, 6),
            },
            developer_fee: Fee { fixed: number_of(Amount::ZERO, 6), variable: number_of(price.developer, 6) },
            user_id: user,
        },
    }
}

/// Answers a rate or, when `binding`, a quote.
pub(super) fn quote(shared: &Shared, user: &str, body: &[u8], binding: bool) -> Answer {
    let request: Request = match serde_json::from_slice(body) {
        Ok(request) => request,
        Err(error) => return bad(&error.to_string(), "body"),
    };
    let price = match priced(&request, binding) {
        Ok(price) => price,
        Err(answer) => return answer,
    };
    let mut world = shared.world();
    if !world.people.knows(user) {
        return Answer::error(StatusCode::NOT_FOUND, "User not found", None);
    }
    let (shape, at) = (world.behaviour.shape, now());
    let expires_at = at.plus(world.behaviour.quote_life);
    let bank_account = request.destination.payment_account_id.clone().unwrap_or_default();
    let id = if binding {
        let given = Given { user: user.to_owned(), bank_account, price, expires_at, used_by: None };
        let Some(id) = world.quotes.add(given) else {
            return Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "no room for another quote", None);
        };
        Some(id)
    } else {
        None
    };
    let total = number_of(price.total, 6);
    // The guide's rate calls it `fee`.
    let (fee, total_fee) = if !binding && shape == Shape::Guide { (total, None) } else { (None, total) };
    let body = Body {
        id,
        terms: terms(shape, user, &request, &price),
        exchange_rate: number_of(price.rate, 4),
        fee,
        total_fee,
        created_at: binding.then(|| moment(at)),
        expires_at: binding.then(|| moment(expires_at)),
    };
    Answer::json(StatusCode::CREATED, binding, &body)
}

fn bad(message: &str, field: &str) -> Answer {
    Answer::error(StatusCode::BAD_REQUEST, message, Some(field))
}

/// Checks what is asked, and prices it.
fn priced(request: &Request, binding: bool) -> Result<Price, Answer> {
    let (source, destination) = (&request.source, &request.destination);
    if source.currency != "USDC" {
        return Err(bad("source.currency must be USDC", "source.currency"));
    }
    if !source.rail.eq_ignore_ascii_case("POLYGON") {
        return Err(bad("source.rail must be POLYGON", "source.rail"));
    }
    if destination.rail.is_empty() {
        return Err(bad("destination.rail should not be empty", "destination.rail"));
    }
    let country = &destination.country_code;
    if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(bad("destination.countryCode must be an ISO 3166-1 code", "destination.countryCode"));
    }
    if binding && destination.payment_account_id.as_deref().is_none_or(str::is_empty) {
        return Err(bad("destination.paymentAccountId should not be empty", "destination.paymentAccountId"));
    }
    let Ok(amount) = Amount::from_json_number(source.amount.get(), 6) else {
        return Err(bad("source.amount must be a number with at most 6 decimals", "source.amount"));
    };
    let developer = request.developer_variable_fee.as_ref().map(|fee| Amount::from_json_number(fee.get(), 6));
    let Ok(developer) = developer.unwrap_or(Ok(Amount::ZERO)) else {
        return Err(bad("developerVariableFee must be a number, at least 0", "developerVariableFee"));
    };
    price(amount, &destination.currency, developer).map_err(|why| match why {
        NoPrice::Currency => bad("destination.currency is not supported", "destination.currency"),
        NoPrice::Amount => bad("source.amount is below the minimum, or above the maximum", "source.amount"),
    })
}
