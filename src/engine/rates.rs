//! Rates and quotes for whoever asks: nothing is stored, nobody is bound.

use super::handle::{Handle, HandleError};
use super::payout_requests::{bank_account, exchange, user};
use super::payout_views::{FeeView, FeesView, QuoteRequest, QuoteView, RateRequest, RateView};
use super::views::moment;
use crate::domain::decimal::Decimal;
use crate::domain::quote::{Exchange, Fee, Quote, Rate};
use crate::domain::time::Timestamp;
use crate::ports::desk_api::DeskApi;

fn shown(number: Option<&Decimal>) -> Option<String> {
    number.map(ToString::to_string)
}

fn fee(fee: &Fee) -> FeeView {
    FeeView { fixed: shown(fee.fixed.as_ref()), variable: shown(fee.variable.as_ref()) }
}

fn fees(rate: &Rate) -> FeesView {
    FeesView { sentra: rate.sentra_fee.as_ref().map(fee), developer: rate.developer_fee.as_ref().map(fee) }
}

impl RateView {
    fn of(rate: &Rate, asked: &Exchange, decimals: u8) -> Self {
        Self {
            source_amount: rate.source_amount.unwrap_or(asked.source_amount).to_decimal(decimals),
            source_currency: rate.source_currency.clone().unwrap_or_else(|| asked.source_currency.clone()),
            destination_amount: shown(rate.destination_amount.as_ref()),
            destination_currency: rate.destination_currency.clone().unwrap_or_else(|| asked.destination_currency.clone()),
            exchange_rate: shown(rate.exchange_rate.as_ref()),
            total_fee: shown(rate.total_fee.as_ref()),
            fees: fees(rate),
        }
    }
}

impl QuoteView {
    pub(super) fn of(quote: &Quote, asked: &Exchange, decimals: u8, now: Timestamp) -> Self {
        let rate = RateView::of(&quote.rate, asked, decimals);
        Self {
            id: quote.id.to_string(),
            source_amount: rate.source_amount,
            source_currency: rate.source_currency,
            destination_amount: rate.destination_amount,
            destination_currency: rate.destination_currency,
            exchange_rate: rate.exchange_rate,
            total_fee: rate.total_fee,
            fees: rate.fees,
            expires_at: quote.expires_at.map(moment),
            seconds_left: quote.expires_at.map(|at| at.since(now).as_secs()),
        }
    }
}

impl Handle {
    fn asks(&self) -> Result<&dyn DeskApi, HandleError> {
        self.desk_api.as_deref().ok_or_else(|| {
            HandleError::Refused("the payment API cannot be asked without its key: see [api] in the configuration".to_owned())
        })
    }

    /// What the API would give now.
    ///
    /// # Errors
    /// A field is not what it must be, or the API cannot be used or refuses.
    pub async fn rate(&self, request: &RateRequest) -> Result<RateView, HandleError> {
        let (user, exchange) = (user(&request.user)?, exchange(&request.into(), &self.settings)?);
        let rate = self.asks()?.rate(&user, &exchange).await.map_err(HandleError::Api)?;
        Ok(RateView::of(&rate, &exchange, self.settings.decimals))
    }

    /// What the API would give to this bank account, and until when. Nothing is opened on it.
    ///
    /// # Errors
    /// As [`Handle::rate`].
    pub async fn quote(&self, request: &QuoteRequest) -> Result<QuoteView, HandleError> {
        let (user, exchange) = (user(&request.user)?, exchange(&request.into(), &self.settings)?);
        let account = bank_account(&request.bank_account)?;
        let quote = self.asks()?.quote(&user, &exchange, &account).await.map_err(HandleError::Api)?;
        Ok(QuoteView::of(&quote, &exchange, self.settings.decimals, self.clock.now()))
    }
}
