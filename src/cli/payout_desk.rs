//! What may be asked of the daemon, or of the engine that this command runs itself, about payouts.

use super::exit::Failure;
use super::operator::{Operator, told};
use crate::service::orders::ReasonRequest;
use crate::view::Page;
use crate::view::payout::{FileRef, PayoutRequest, PayoutView, RepeatView};

impl Operator {
    /// Places a payout. The same content under the same reference gives the one that is there.
    pub(super) async fn place_payout(&self, request: &PayoutRequest) -> Result<PayoutView, Failure> {
        match self {
            Self::Store(handle) => told(handle.place_payout(request).await),
            Self::Daemon(daemon) => daemon.post(&["payouts"], request).await,
        }
    }

    /// Whether a payout would repeat an earlier one.
    pub(super) async fn repeat_of(&self, request: &PayoutRequest) -> Result<RepeatView, Failure> {
        match self {
            Self::Store(handle) => told(handle.repeat_of(request).await),
            Self::Daemon(daemon) => daemon.post(&["repeats"], request).await,
        }
    }

    pub(super) async fn payout(&self, reference: &str) -> Result<PayoutView, Failure> {
        match self {
            Self::Store(handle) => told(handle.show_payout(reference).await),
            Self::Daemon(daemon) => daemon.get(&["payouts", reference], &[]).await,
        }
    }

    pub(super) async fn payouts(
        &self,
        state: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<PayoutView>, Failure> {
        match self {
            Self::Store(handle) => told(handle.list_payouts(state, after, limit).await),
            Self::Daemon(daemon) => {
                let limit = limit.to_string();
                daemon.get(&["payouts"], &[("state", state), ("after", after), ("limit", Some(&limit))]).await
            }
        }
    }

    pub(super) async fn cancel_payout(&self, reference: &str, reason: &str) -> Result<PayoutView, Failure> {
        match self {
            Self::Store(handle) => told(handle.cancel_payout(reference, reason).await),
            Self::Daemon(daemon) => {
                let request = ReasonRequest { reason: reason.to_owned() };
                daemon.post(&["payouts", reference, "cancel"], &request).await
            }
        }
    }

    pub(super) async fn retry_payout(&self, reference: &str, reason: &str) -> Result<PayoutView, Failure> {
        match self {
            Self::Store(handle) => told(handle.retry_payout(reference, reason).await),
            Self::Daemon(daemon) => {
                let request = ReasonRequest { reason: reason.to_owned() };
                daemon.post(&["payouts", reference, "retry"], &request).await
            }
        }
    }

    /// Keeps a file; the same bytes are kept once.
    pub(super) async fn put_attachment(&self, bytes: Vec<u8>, media_type: &str) -> Result<FileRef, Failure> {
        match self {
            Self::Store(handle) => told(handle.put_attachment(bytes, media_type).await),
            Self::Daemon(daemon) => daemon.put(&["attachments"], bytes, media_type).await,
        }
    }
}
