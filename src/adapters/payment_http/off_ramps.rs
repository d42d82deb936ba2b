//! The rest of the API's calls: rates, quotes, new off-ramps, lists, webhooks.

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, Response};
use serde::Serialize;

use crate::domain::payment::{BankAccountId, RecipientId, UserId, WebhookId};
use crate::domain::quote::{Exchange, Quote, Rate};
use crate::domain::webhook::Webhook;
use crate::ports::off_ramp_api::{Listing, NewOffRamp, OffRampApi, WebhookChange};
use crate::ports::payment_api::{ApiError, ApiPayment};

use super::answer::{self, About};
use super::{MAX_BODY_BYTES, MAX_LIST_BYTES, MAX_REQUEST_BYTES};
use super::{PaymentHttp, bodies, counted, failure, quotes, webhooks};

impl PaymentHttp {
    /// The request with this body.
    fn with_body(
        &self,
        request: RequestBuilder,
        body: Result<impl Serialize, ApiError>,
    ) -> Result<RequestBuilder, ApiError> {
        let body = body?;
        let body = serde_json::to_vec(&body)
            .map_err(|error| failure::not_sent(format!("the request's body could not be written: {error}")))?;
        if body.len() > MAX_REQUEST_BYTES {
            let why = format!("it would have {} bytes, and at most {MAX_REQUEST_BYTES} are sent", body.len());
            return Err(failure::unsendable(413, &why));
        }
        Ok(request.header(reqwest::header::CONTENT_TYPE, "application/json").body(body))
    }

    async fn ask_rate(&self, user: &UserId, exchange: &Exchange) -> Result<Rate, ApiError> {
        let request = self.asking.kept().post(self.url(&["payments", user.as_str(), "rate"])?);
        let request =
            self.with_body(request, bodies::Terms::new(exchange, None, self.decimals).map_err(failure::not_sent))?;
        self.call(request.send(), MAX_BODY_BYTES, |body, _| quotes::rate(body, self.decimals)).await
    }

    async fn ask_quote(&self, user: &UserId, exchange: &Exchange, to: &BankAccountId) -> Result<Quote, ApiError> {
        let request = self.asking.kept().post(self.url(&["payments", user.as_str(), "quote"])?);
        let request =
            self.with_body(request, bodies::Terms::new(exchange, Some(to), self.decimals).map_err(failure::not_sent))?;
        self.call(request.send(), MAX_BODY_BYTES, |body, _| quotes::quote(body, user, self.decimals)).await
    }

    async fn open(&self, recipient: &RecipientId, new: &NewOffRamp) -> Result<ApiPayment, ApiError> {
        let request = self.acting.post(self.url(&["payments", "recipient", recipient.as_str(), "off-ramp"])?);
        let request =
            self.with_body(request, bodies::Create::new(new).map_err(|why| failure::unsendable(415, &why)))?;
        self.payment_about(request.send(), About::Opened(recipient, &new.idempotency_key)).await
    }

    async fn list(&self, path: &[&str], about: About<'_>) -> Result<Listing, ApiError> {
        let url = self.url(path)?;
        let read = |body: &[u8], headers: &HeaderMap| {
            let listing = answer::listing(body, about, self.decimals)?;
            let items = listing.payments.len().saturating_add(listing.unreadable.len());
            let partial = listing.partial.clone().or_else(|| answer::pages(headers, items));
            Ok(Listing { partial, ..listing })
        };
        let listing = self.call(self.get(url), MAX_LIST_BYTES, read).await?;
        let clean = |why: String| self.failures.clean(&why);
        Ok(Listing {
            payments: listing.payments.into_iter().map(|payment| self.cleaned(payment)).collect(),
            unreadable: listing.unreadable.into_iter().map(clean).collect(),
            partial: listing.partial.map(clean),
        })
    }

    async fn change_hook(
        &self,
        request: RequestBuilder,
        change: &WebhookChange,
        id: Option<&WebhookId>,
    ) -> Result<Webhook, ApiError> {
        let body = bodies::Hook::new(change, self.webhook_secret.as_ref()).map_err(failure::not_sent);
        self.hook(self.with_body(request, body)?.send(), id).await
    }

    async fn hook(
        &self,
        sent: impl Future<Output = reqwest::Result<Response>> + Send,
        id: Option<&WebhookId>,
    ) -> Result<Webhook, ApiError> {
        self.call(sent, MAX_BODY_BYTES, |body, _| webhooks::webhook(body, id)).await
    }
}

#[async_trait]
impl OffRampApi for PaymentHttp {
    async fn rate(&self, user: &UserId, exchange: &Exchange) -> Result<Rate, ApiError> {
        counted("rate", self.ask_rate(user, exchange).await)
    }

    async fn quote(&self, user: &UserId, exchange: &Exchange, to: &BankAccountId) -> Result<Quote, ApiError> {
        counted("quote", self.ask_quote(user, exchange, to).await)
    }

    async fn create(&self, recipient: &RecipientId, new: &NewOffRamp) -> Result<ApiPayment, ApiError> {
        counted("create", self.open(recipient, new).await)
    }

    async fn payments_of_user(&self, user: &UserId) -> Result<Listing, ApiError> {
        counted("payments_of_user", self.list(&["payments", "user", user.as_str()], About::Anyone).await)
    }

    async fn payments_of_recipient(&self, recipient: &RecipientId) -> Result<Listing, ApiError> {
        let path = ["payments", "recipient", recipient.as_str()];
        counted("payments_of_recipient", self.list(&path, About::Recipient(recipient)).await)
    }

    async fn create_webhook(&self, new: &WebhookChange) -> Result<Webhook, ApiError> {
        if new.url.is_none() {
            return Err(failure::not_sent("a webhook needs a URL".to_owned()));
        }
        let request = self.acting.post(self.url(&["webhooks"])?);
        counted("create_webhook", self.change_hook(request, new, None).await)
    }

    async fn webhook(&self, id: &WebhookId) -> Result<Webhook, ApiError> {
        let url = self.url(&["webhooks", id.as_str()])?;
        counted("webhook", self.hook(self.get(url), Some(id)).await)
    }

    async fn update_webhook(&self, id: &WebhookId, change: &WebhookChange) -> Result<Webhook, ApiError> {
        let request = self.acting.put(self.url(&["webhooks", id.as_str()])?);
        counted("update_webhook", self.change_hook(request, change, Some(id)).await)
    }
}
