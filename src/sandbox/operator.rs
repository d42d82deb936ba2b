//! The operator API of a rampwatch beside the sandbox, as a rehearsal asks it: the one client, and whole lists.
//!
//! Deliberately absent: the wallet's pause, resume and adopt, which no rehearsal of the sandbox needs.

use std::sync::{Arc, OnceLock};

use super::error::{Result, SandboxError};
use crate::client::{Client, ClientError, Way};
use crate::config::Settings;
use crate::domain::amount::Amount;
use crate::domain::chain::Address;
use crate::domain::order::OrderId;
use crate::domain::payment::{PaymentId, RecipientId};
use crate::service::orders::{ApproveRequest, FundRequest};
use crate::service::queries::DepositFilter;
use crate::service::requests::AddRequest;
use crate::view::order::{FundView, OrderView};
use crate::view::{DepositView, PaymentView, WhyView};

/// How many items are asked for at once.
const PAGE: usize = 500;

/// The operator API of one rampwatch, be it running or not.
#[derive(Clone)]
pub struct Operator {
    settings: Arc<Settings>,
    /// At the socket, where it stays the same from start to start. A token is new each time.
    at_socket: Arc<OnceLock<Arc<Client>>>,
}

/// Reads a list to its end.
macro_rules! all {
    ($client:ident . $list:ident ( $($given:expr),* )) => {{
        let (client, mut items, mut after) = ($client, Vec::new(), None::<String>);
        loop {
            let page = client.$list($($given,)* after.as_deref(), PAGE).await.map_err(failed)?;
            items.extend(page.items);
            match page.next {
                Some(next) => after = Some(next),
                None => break Ok(items),
            }
        }
    }};
}

fn failed(error: ClientError) -> SandboxError {
    SandboxError::Daemon(error.to_string())
}

#[expect(clippy::missing_errors_doc, reason = "each fails when rampwatch does not answer, or refuses")]
impl Operator {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings), at_socket: Arc::default() }
    }

    fn client(&self) -> Result<Arc<Client>> {
        let way = if self.settings.http.token_file.is_some() { Way::Tcp } else { Way::Socket };
        let made = || Client::to_daemon(&self.settings, way).map(Arc::new).map_err(failed);
        match (way, self.at_socket.get()) {
            (Way::Socket, Some(client)) => Ok(Arc::clone(client)),
            (Way::Socket, None) => made().map(|client| Arc::clone(self.at_socket.get_or_init(|| client))),
            (Way::Tcp, _) => made(),
        }
    }

    /// Whether rampwatch runs and says that it is ready.
    pub async fn is_ready(&self) -> bool {
        match self.client() {
            Ok(client) => client.is_ready().await,
            Err(_) => false,
        }
    }

    /// Adds a payment; the rest is taken from the payment API.
    pub async fn add(&self, id: &PaymentId, recipient: &RecipientId) -> Result<PaymentView> {
        let (id, recipient_id) = (id.to_string(), recipient.to_string());
        self.client()?.add(&AddRequest { id, recipient_id, ..AddRequest::default() }).await.map_err(failed)
    }

    pub async fn payment(&self, id: &PaymentId) -> Result<PaymentView> {
        self.client()?.show(id.as_str()).await.map(|detail| detail.payment).map_err(failed)
    }

    pub async fn payments(&self) -> Result<Vec<PaymentView>> {
        let client = self.client()?;
        all!(client.payments(None))
    }

    pub async fn deposits(&self) -> Result<Vec<DepositView>> {
        let (client, any) = (self.client()?, DepositFilter::default());
        all!(client.deposits(&any))
    }

    pub async fn why(&self, subject: &str) -> Result<WhyView> {
        self.client()?.why(subject).await.map_err(failed)
    }

    pub async fn preview_fund(&self, payment: &PaymentId) -> Result<FundView> {
        self.client()?.preview_fund(payment.as_str()).await.map_err(failed)
    }

    /// Places an order to fund a payment, as it was shown.
    pub async fn fund(&self, payment: &PaymentId, to: Address, base_units: Amount) -> Result<OrderView> {
        let request = FundRequest { payment: payment.to_string(), to: to.to_string(), base_units };
        self.client()?.fund(&request).await.map_err(failed)
    }

    pub async fn orders(&self) -> Result<Vec<OrderView>> {
        let client = self.client()?;
        all!(client.orders(None, None))
    }

    /// The orders of one payment, oldest first.
    pub async fn orders_of(&self, payment: &PaymentId) -> Result<Vec<OrderView>> {
        let client = self.client()?;
        all!(client.orders(None, Some(payment.as_str())))
    }

    pub async fn approve(&self, order: &OrderId, reason: &str) -> Result<OrderView> {
        let (client, order) = (self.client()?, order.to_string());
        let shown = client.order(&order).await.map_err(failed)?;
        client.approve(&order, &ApproveRequest::of(&shown, reason)).await.map_err(failed)
    }

    pub async fn cancel(&self, order: &OrderId, reason: &str) -> Result<OrderView> {
        self.client()?.cancel_order(&order.to_string(), reason).await.map_err(failed)
    }
}

impl std::fmt::Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operator").field("socket", &self.settings.http.socket).finish_non_exhaustive()
    }
}
