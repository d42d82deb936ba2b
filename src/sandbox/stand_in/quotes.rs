//! Quotes: what an off-ramp's amount is taken from when it is created through the API.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::server::{Answer, Shared, now};
use super::shapes::{Shape, moment};
use crate::domain::amount::Amount;
use crate::domain::time::Span;

/// The most quotes held at once.
const MAX_QUOTES: usize = 100_000;

/// How long a quote lives: the lower of the documented 10 to 15 minutes.
const QUOTE_LIFE: Span = Span::from_secs(600);

/// Quotes given, by id.
#[derive(Debug, Default)]
pub(super) struct Quotes {
    amounts: BTreeMap<String, Amount>,
}

impl Quotes {
    /// Keeps an amount and gives its quote's id; `None` when there is no room.
    pub(super) fn add(&mut self, amount: Amount) -> Option<String> {
        if self.amounts.len() >= MAX_QUOTES {
            return None;
        }
        let id = format!("quote-{}", self.amounts.len().saturating_add(1));
        self.amounts.insert(id.clone(), amount);
        Some(id)
    }

    pub(super) fn amount(&self, id: &str) -> Option<Amount> {
        self.amounts.get(id).copied()
    }
}

#[derive(Deserialize)]
struct Request {
    source: Source,
    destination: Destination,
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
    country_code: Option<String>,
}

/// Answers a rate or, when `binding`, a quote. The stand-in changes one to one and takes no fee.
pub(super) fn quote(shared: &Shared, body: &[u8], binding: bool) -> Answer {
    let bad = |message: &str, field: &str| Answer::error(StatusCode::BAD_REQUEST, message, Some(field));
    let request: Request = match serde_json::from_slice(body) {
        Ok(request) => request,
        Err(error) => return bad(&error.to_string(), "source"),
    };
    let Ok(amount) = Amount::from_json_number(request.source.amount.get(), 6) else {
        return bad("source.amount must be a number with at most 6 decimals", "source.amount");
    };
    let mut world = shared.world();
    let shape = world.behaviour.shape;
    let (source, destination) = (request.source, request.destination);
    let mut answer = match shape {
        Shape::Guide => json!({
            "sourceCurrency": source.currency,
            "sourceAmount": source.amount,
            "sourceRail": source.rail,
            "destinationCurrency": destination.currency,
            "destinationAmount": source.amount,
            "destinationRail": destination.rail,
            "destinationCountryCode": destination.country_code,
            "exchangeRate": 1,
            "fee": 0,
        }),
        Shape::Reference => json!({
            "source": { "currency": source.currency, "amount": source.amount, "rail": source.rail },
            "destination": {
                "currency": destination.currency,
                "amount": source.amount,
                "rail": destination.rail,
                "countryCode": destination.country_code,
            },
            "exchangeRate": 1,
            "sentraFee": { "fixed": 0, "variable": 0 },
            "developerFee": { "fixed": 0, "variable": 0 },
        }),
    };
    if let (true, Some(fields)) = (binding, answer.as_object_mut()) {
        let Some(id) = world.quotes.add(amount) else {
            return Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "no room for another quote", None);
        };
        fields.insert("id".to_owned(), json!(id));
        fields.insert("totalFee".to_owned(), json!(0));
        fields.insert("createdAt".to_owned(), moment(now()));
        fields.insert("expiresAt".to_owned(), moment(now().plus(QUOTE_LIFE)));
    }
    Answer::json(StatusCode::CREATED, binding, &answer)
}
