//! The plain payment API's lists. It opens nothing itself, and has neither quotes nor webhooks.

use async_trait::async_trait;

use rampwatch::domain::payment::{BankAccountId, RecipientId, UserId, WebhookId};
use rampwatch::domain::quote::{Exchange, Quote, Rate};
use rampwatch::domain::webhook::Webhook;
use rampwatch::ports::off_ramp_api::{Listing, NewOffRamp, OffRampApi, WebhookChange};
use rampwatch::ports::payment_api::{ApiError, ApiPayment};

use super::api::PlainApi;

fn none<T>() -> Result<T, ApiError> {
    Err(ApiError::NotFound { detail: "there is none".to_owned() })
}

#[async_trait]
impl OffRampApi for PlainApi {
    async fn rate(&self, _: &UserId, _: &Exchange) -> Result<Rate, ApiError> {
        none()
    }

    async fn quote(&self, _: &UserId, _: &Exchange, _: &BankAccountId) -> Result<Quote, ApiError> {
        none()
    }

    async fn create(&self, _: &RecipientId, _: &NewOffRamp) -> Result<ApiPayment, ApiError> {
        none()
    }

    /// Whoever asks is shown everything, without whose it is.
    async fn payments_of_user(&self, _: &UserId) -> Result<Listing, ApiError> {
        let payments = self.all().into_iter().map(|payment| ApiPayment { recipient_id: None, ..payment });
        Ok(Listing { payments: payments.collect(), unreadable: Vec::new(), partial: None })
    }

    async fn payments_of_recipient(&self, recipient: &RecipientId) -> Result<Listing, ApiError> {
        let mut payments = self.all();
        payments.retain(|payment| payment.recipient_id.as_ref() == Some(recipient));
        Ok(Listing { payments, unreadable: Vec::new(), partial: None })
    }

    async fn create_webhook(&self, _: &WebhookChange) -> Result<Webhook, ApiError> {
        none()
    }

    async fn webhook(&self, _: &WebhookId) -> Result<Webhook, ApiError> {
        none()
    }

    async fn update_webhook(&self, _: &WebhookId, _: &WebhookChange) -> Result<Webhook, ApiError> {
        none()
    }
}
