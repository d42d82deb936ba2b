//! The way to rates, quotes and webhooks: through the daemon that runs, or with the store opened here.

use super::exit::Failure;
use super::operator::{Operator, told};
use crate::view::Page;
use crate::view::quote::{QuoteRequest, QuoteView, RateRequest, RateView};
use crate::view::webhook::{RegisterRequest, UpdateRequest, WebhookView};

impl Operator {
    pub(super) async fn rate(&self, request: &RateRequest) -> Result<RateView, Failure> {
        match self {
            Self::Store(handle) => told(handle.rate(request).await),
            Self::Daemon(daemon) => daemon.post(&["rate"], request).await,
        }
    }

    pub(super) async fn quote(&self, request: &QuoteRequest) -> Result<QuoteView, Failure> {
        match self {
            Self::Store(handle) => told(handle.quote(request).await),
            Self::Daemon(daemon) => daemon.post(&["quote"], request).await,
        }
    }

    pub(super) async fn webhooks(&self) -> Result<Page<WebhookView>, Failure> {
        match self {
            Self::Store(handle) => told(handle.list_webhooks().await),
            Self::Daemon(daemon) => daemon.get(&["webhooks"], &[]).await,
        }
    }

    pub(super) async fn register_webhook(&self, request: &RegisterRequest) -> Result<WebhookView, Failure> {
        match self {
            Self::Store(handle) => told(handle.register_webhook(request).await),
            Self::Daemon(daemon) => daemon.post(&["webhooks"], request).await,
        }
    }

    pub(super) async fn update_webhook(&self, id: &str, request: &UpdateRequest) -> Result<WebhookView, Failure> {
        match self {
            Self::Store(handle) => told(handle.update_webhook(id, request).await),
            Self::Daemon(daemon) => daemon.post(&["webhooks", id], request).await,
        }
    }
}
