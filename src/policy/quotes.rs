//! Whether a rate or a quote is for what was asked.
//!
//! Deliberately absent: whether its terms are good ones, and whether it has time left.

use thiserror::Error;

use crate::domain::amount::Amount;
use crate::domain::decimal::Decimal;
use crate::domain::quote::{Exchange, Rate};

/// In what a rate or quote is not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OtherTerms {
    /// It is for another amount.
    #[error("it is for {told} of the source currency, and {asked} were asked about")]
    SourceAmount {
        /// In base units.
        asked: Amount,
        /// In base units.
        told: Amount,
    },
    /// It is for another currency that is sent.
    #[error("it is for sending {told:?}, and {asked:?} was asked about")]
    SourceCurrency { asked: String, told: String },
    /// It pays out another currency.
    #[error("it is for receiving {told:?}, and {asked:?} was asked about")]
    DestinationCurrency { asked: String, told: String },
    /// It pays out nothing.
    #[error("it would pay out nothing: its destination amount is zero")]
    Nothing,
}

/// Compares what the API says with what it was asked. What it leaves out contradicts nothing; currencies are compared
/// without regard to case.
///
/// # Errors
/// The first thing that differs.
pub fn same_terms(asked: &Exchange, told: &Rate) -> Result<(), OtherTerms> {
    if let Some(amount) = told.source_amount
        && amount != asked.source_amount
    {
        return Err(OtherTerms::SourceAmount { asked: asked.source_amount, told: amount });
    }
    if let Some(told) = differs(&asked.source_currency, told.source_currency.as_deref()) {
        return Err(OtherTerms::SourceCurrency { asked: asked.source_currency.clone(), told });
    }
    if let Some(told) = differs(&asked.destination_currency, told.destination_currency.as_deref()) {
        return Err(OtherTerms::DestinationCurrency { asked: asked.destination_currency.clone(), told });
    }
    if told.destination_amount.as_ref().is_some_and(Decimal::is_zero) {
        return Err(OtherTerms::Nothing);
    }
    Ok(())
}

fn differs(asked: &str, told: Option<&str>) -> Option<String> {
    told.filter(|told| !told.eq_ignore_ascii_case(asked)).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Exchange {
        Exchange {
            source_currency: "USDC".to_owned(),
            source_amount: Amount::from_base_units(1_000_000_001),
            source_rail: "POLYGON".to_owned(),
            destination_currency: "MXN".to_owned(),
            destination_rail: "SPEI".to_owned(),
            destination_country: "MX".to_owned(),
            developer_fee: None,
        }
    }

    fn told() -> Rate {
        Rate {
            source_amount: Some(Amount::from_base_units(1_000_000_001)),
            source_currency: Some("usdc".to_owned()),
            destination_amount: Decimal::from_person("17101.25").ok(),
            destination_currency: Some("MXN".to_owned()),
            exchange_rate: None,
            total_fee: None,
            sentra_fee: None,
            developer_fee: None,
        }
    }

    #[test]
    fn only_what_was_asked_for_is_taken() {
        let nothing = Rate {
            source_amount: None,
            source_currency: None,
            destination_amount: None,
            destination_currency: None,
            ..told()
        };
        let amount = Amount::from_base_units(1_000_000_000);
        let cases = [
            (told(), None),
            (nothing, None),
            (Rate { source_amount: Some(amount), ..told() }, Some("1000000000 base units")),
            (Rate { source_currency: Some("EURC".to_owned()), ..told() }, Some("sending \"EURC\"")),
            (Rate { destination_currency: Some("EUR".to_owned()), ..told() }, Some("receiving \"EUR\"")),
            (Rate { destination_amount: Some(Decimal::ZERO), ..told() }, Some("pay out nothing")),
        ];
        for (rate, expected) in cases {
            let refusal = same_terms(&asked(), &rate).err().map(|why| why.to_string());
            match (&refusal, expected) {
                (None, None) => {}
                (Some(text), Some(part)) => assert!(text.contains(part), "{text}"),
                _ => panic!("{rate:?}: {refusal:?}"),
            }
        }
    }
}
