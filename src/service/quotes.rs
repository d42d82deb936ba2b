//! Rates and quotes through the handle: a question to the payment API, and nothing stored.

use std::sync::Arc;

use crate::domain::amount::Amount;
use crate::domain::decimal::Decimal;
use crate::domain::odd::explained;
use crate::domain::payment::{BankAccountId, UserId};
use crate::domain::quote::Exchange;
use crate::engine::EngineSettings;
use crate::policy::quotes::{OtherTerms, same_terms};
use crate::policy::requests::Demand;
use crate::ports::off_ramp_api::OffRampApi;
use crate::ports::payment_api::ApiError;
use crate::service::operator_service::{OperatorError, OperatorService};
use crate::view::quote::{QuoteRequest, QuoteView, RateRequest, RateView};

/// The most characters of a currency or a rail.
const MAX_WORD: usize = 32;

impl OperatorService {
    /// What the API would give now.
    ///
    /// # Errors
    /// A field is wrong, the API cannot be asked or refuses, or it answers about something else.
    pub async fn rate(&self, request: &RateRequest) -> Result<RateView, OperatorError> {
        let (user, exchange) = (user(&request.user)?, exchange(&self.settings, request)?);
        self.count(Demand::Question)?;
        let told = self
            .through_gate(user.as_str(), self.off_ramp_api()?.rate(&user, &exchange))
            .await?
            .map_err(OperatorError::Api)?;
        same_terms(&exchange, &told).map_err(other_terms)?;
        Ok(RateView::new(&exchange, &told, self.names().paid(exchange.source_amount)))
    }

    /// What the API gives to a bank account until the quote runs out. Binds nobody; every call makes another quote.
    ///
    /// # Errors
    /// As [`OperatorService::rate`].
    pub async fn quote(&self, request: &QuoteRequest) -> Result<QuoteView, OperatorError> {
        let (user, exchange) = (user(&request.user)?, exchange(&self.settings, &request.rate())?);
        let to = BankAccountId::new(request.bank_account.as_str())
            .map_err(|error| invalid("bank_account", error.to_string()))?;
        self.count(Demand::Question)?;
        let asked = self.off_ramp_api()?.quote(&user, &exchange, &to);
        let told = self.through_gate(user.as_str(), asked).await?.map_err(OperatorError::Api)?;
        same_terms(&exchange, &told.rate).map_err(other_terms)?;
        let source = self.names().paid(exchange.source_amount);
        Ok(QuoteView::new(&exchange, &to, &told, source, self.clock.now()))
    }

    /// The rest of the payment API.
    ///
    /// # Errors
    /// There is no key for it.
    pub(crate) fn off_ramp_api(&self) -> Result<&Arc<dyn OffRampApi>, OperatorError> {
        self.off_ramp_api.as_ref().ok_or_else(|| {
            let detail = "there is no key for it: set the variable that api.key_env names, or give api.key_file";
            OperatorError::Api(ApiError::NotNow { detail: detail.to_owned(), retry_after: None })
        })
    }
}

/// What is to be exchanged, from what was written.
///
/// # Errors
/// The field that is wrong.
pub(crate) fn exchange(settings: &EngineSettings, request: &RateRequest) -> Result<Exchange, OperatorError> {
    let amount = Amount::from_person(&request.amount, settings.decimals)
        .map_err(|error| invalid("amount", error.to_string()))?;
    if amount.is_zero() {
        return Err(invalid("amount", "it is zero".to_owned()));
    }
    let fee = request.developer_fee.as_deref().map(Decimal::from_person).transpose();
    let country = &request.destination_country;
    if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_uppercase()) {
        let problem = format!("{country:?} is no country: write the two capital letters of ISO 3166-1, such as MX");
        return Err(invalid("destination_country", explained(problem, country)));
    }
    let currency = || settings.payouts.params.currency.clone();
    let rail = || settings.chain_name.to_ascii_uppercase();
    Ok(Exchange {
        source_currency: word("source_currency", &request.source_currency.clone().unwrap_or_else(currency))?,
        source_amount: amount,
        source_rail: word("source_rail", &request.source_rail.clone().unwrap_or_else(rail))?,
        destination_currency: word("destination_currency", &request.destination_currency)?,
        destination_rail: word("destination_rail", &request.destination_rail)?,
        destination_country: country.clone(),
        developer_fee: fee.map_err(|error| invalid("developer_fee", error.to_string()))?,
    })
}

fn user(text: &str) -> Result<UserId, OperatorError> {
    UserId::new(text).map_err(|error| invalid("user", error.to_string()))
}

/// A currency or a rail as the API calls it.
fn word(field: &'static str, text: &str) -> Result<String, OperatorError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.is_empty() || text.len() > MAX_WORD || !text.bytes().all(plain) {
        let problem = format!("{text:?} is none: give 1 to {MAX_WORD} letters, digits, '-', '_' or '.', such as MXN");
        return Err(invalid(field, explained(problem, text)));
    }
    Ok(text.to_owned())
}

fn invalid(field: &'static str, problem: String) -> OperatorError {
    OperatorError::Invalid { field, problem }
}

fn other_terms(why: OtherTerms) -> OperatorError {
    OperatorError::Refused(format!("the payment API's answer is not what was asked for: {why}"))
}
