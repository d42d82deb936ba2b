//! What may be asked of the daemon, or of the store, about orders and the wallet.

use super::exit::{Exit, Failure};
use super::operator::{Operator, told};
use crate::service::adopt::AdoptRequest;
use crate::service::orders::{ApproveRequest, FundRequest, ReasonRequest};
use crate::view::Page;
use crate::view::order::{FundView, OrderView, WalletView};
use crate::view::returns::ReturnsView;

/// A person's word about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OrderDecision {
    Reject,
    Cancel,
}

impl OrderDecision {
    const fn name(self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::Cancel => "cancel",
        }
    }
}

fn because(reason: &str) -> ReasonRequest {
    ReasonRequest { reason: reason.to_owned() }
}

impl Operator {
    /// Whether no daemon runs. What was ordered waits until one does.
    pub(super) const fn is_offline(&self) -> bool {
        matches!(self, Self::Store(_))
    }

    pub(super) async fn preview_fund(&self, payment: &str) -> Result<FundView, Failure> {
        match self {
            Self::Store(handle) => told(handle.preview_fund(payment).await),
            Self::Daemon(daemon) => daemon.get(&["payments", payment, "fund"], &[]).await,
        }
    }

    pub(super) async fn fund(&self, request: &FundRequest) -> Result<OrderView, Failure> {
        match self {
            Self::Store(handle) => told(handle.fund(request).await),
            Self::Daemon(daemon) => daemon.post(&["orders"], request).await,
        }
    }

    pub(super) async fn orders(
        &self,
        state: Option<&str>,
        payment: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<OrderView>, Failure> {
        match self {
            Self::Store(handle) => told(handle.list_orders(state, payment, after, limit).await),
            Self::Daemon(daemon) => {
                let limit = limit.to_string();
                let query = [("state", state), ("payment", payment), ("after", after), ("limit", Some(limit.as_str()))];
                daemon.get(&["orders"], &query).await
            }
        }
    }

    pub(super) async fn order(&self, id: &str) -> Result<OrderView, Failure> {
        match self {
            Self::Store(handle) => told(handle.show_order(id).await),
            Self::Daemon(daemon) => daemon.get(&["orders", id], &[]).await,
        }
    }

    pub(super) async fn approve(&self, id: &str, request: &ApproveRequest) -> Result<OrderView, Failure> {
        match self {
            Self::Store(handle) => told(handle.approve(id, request).await),
            Self::Daemon(daemon) => daemon.post(&["orders", id, "approve"], request).await,
        }
    }

    pub(super) async fn decide_order(&self, id: &str, word: OrderDecision, reason: &str) -> Result<OrderView, Failure> {
        match (self, word) {
            (Self::Store(handle), OrderDecision::Reject) => told(handle.reject(id, reason).await),
            (Self::Store(handle), OrderDecision::Cancel) => told(handle.cancel_order(id, reason).await),
            (Self::Daemon(daemon), _) => daemon.post(&["orders", id, word.name()], &because(reason)).await,
        }
    }

    pub(super) async fn wallet(&self) -> Result<WalletView, Failure> {
        match self {
            Self::Store(handle) => told(handle.wallet().await),
            Self::Daemon(daemon) => daemon.get(&["wallet"], &[]).await,
        }
    }

    pub(super) async fn pause_wallet(&self, reason: &str) -> Result<WalletView, Failure> {
        match self {
            Self::Store(handle) => told(handle.pause_wallet(reason).await),
            Self::Daemon(daemon) => daemon.post(&["wallet", "pause"], &because(reason)).await,
        }
    }

    pub(super) async fn resume_wallet(&self, reason: &str) -> Result<WalletView, Failure> {
        match self {
            Self::Store(handle) => told(handle.resume_wallet(reason).await),
            Self::Daemon(daemon) => daemon.post(&["wallet", "resume"], &because(reason)).await,
        }
    }

    pub(super) async fn adopt_wallet(&self, request: &AdoptRequest) -> Result<WalletView, Failure> {
        match self {
            Self::Store(_) => {
                let said = "adopting the wallet asks the nodes, which the daemon does, and none runs: start `rampwatch \
                            run` first";
                Err(Failure::new(Exit::Unavailable, said))
            }
            Self::Daemon(daemon) => daemon.post(&["wallet", "adopt"], request).await,
        }
    }

    pub(super) async fn wallet_returns(&self, after: Option<&str>, limit: usize) -> Result<ReturnsView, Failure> {
        match self {
            Self::Store(handle) => told(handle.wallet_returns(after, limit).await),
            Self::Daemon(daemon) => {
                let limit = limit.to_string();
                daemon.get(&["wallet", "returns"], &[("after", after), ("limit", Some(&limit))]).await
            }
        }
    }
}
