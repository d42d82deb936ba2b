//! The part of the operator API that funds: orders, as a rehearsal places them and looks at them.
//!
//! Deliberately absent: the wallet's pause, resume and adopt, which no rehearsal of the sandbox needs.

use serde::Deserialize;
use serde_json::json;

use super::error::Result;
use super::operator::{AmountRow, Operator};
use crate::domain::amount::Amount;
use crate::domain::chain::{Address, B256};
use crate::domain::order::{AttemptKind, OrderId, OrderOutcome, OrderState, Placer};
use crate::domain::payment::PaymentId;
use crate::domain::wei::Wei;

/// What funding a payment would mean.
#[derive(Clone, Debug, Deserialize)]
pub struct FundRow {
    /// Where the money would go.
    pub to: Address,
    pub amount: AmountRow,
    /// The most that the gas may cost, in whole units of the native coin.
    pub most_fee: String,
}

/// An order as rampwatch shows it.
#[derive(Clone, Debug, Deserialize)]
pub struct OrderRow {
    pub id: OrderId,
    pub payment: PaymentId,
    pub to: Address,
    pub amount: AmountRow,
    pub placed_by: Placer,
    /// When, in RFC 3339.
    pub placed_at: String,
    pub state: String,
    /// The same as a sentence.
    pub text: String,
    /// What stands in its way, by name, if anything does.
    pub hold: Option<String>,
    pub counts_as_spent: bool,
    /// The nonce that it holds, or held.
    pub nonce: Option<u64>,
    /// Its transactions, oldest first.
    pub attempts: Vec<AttemptRow>,
    /// Its whole state.
    pub detail: OrderState,
}

/// One transaction of an order.
#[derive(Clone, Debug, Deserialize)]
pub struct AttemptRow {
    /// What it is meant to do.
    pub kind: AttemptKind,
    pub nonce: u64,
    pub tx_hash: B256,
    /// The most that it pays for a unit of gas, in gwei.
    pub cap_gwei: String,
    pub tip_gwei: String,
    /// When it was last given to the nodes; `None` when that is not known to have happened.
    pub sent_at: Option<String>,
}

impl OrderRow {
    /// How it ended, once it has.
    #[must_use]
    pub const fn outcome(&self) -> Option<&OrderOutcome> {
        match &self.detail {
            OrderState::Ended { outcome, .. } => Some(outcome),
            _ => None,
        }
    }

    /// What its last transaction pays at most for a unit of gas; `None` when there is no transaction, or no figure.
    #[must_use]
    pub fn offers(&self) -> Option<Wei> {
        self.attempts.last().and_then(|last| Wei::from_person_gwei(&last.cap_gwei).ok())
    }

    /// Whether its last transaction was given to the nodes, and is of this kind.
    #[must_use]
    pub fn has_sent(&self, kind: AttemptKind) -> bool {
        self.attempts.last().is_some_and(|last| last.kind == kind && last.sent_at.is_some())
    }
}

impl Operator {
    /// What funding a payment would mean.
    ///
    /// # Errors
    /// When rampwatch does not answer, or refuses.
    pub async fn preview_fund(&self, payment: &PaymentId) -> Result<FundRow> {
        self.ask(None, &format!("/v1/payments/{payment}/fund")).await
    }

    /// Places an order to fund a payment, as it was shown.
    ///
    /// # Errors
    /// When rampwatch does not answer, or refuses.
    pub async fn fund(&self, payment: &PaymentId, to: Address, amount: Amount) -> Result<OrderRow> {
        let order = json!({ "payment": payment, "to": to, "base_units": amount });
        self.ask(Some(order), "/v1/orders").await
    }

    /// All orders.
    ///
    /// # Errors
    /// When rampwatch does not answer.
    pub async fn orders(&self) -> Result<Vec<OrderRow>> {
        self.all("/v1/orders").await
    }

    /// The orders of one payment, oldest first.
    ///
    /// # Errors
    /// When rampwatch does not answer.
    pub async fn orders_of(&self, payment: &PaymentId) -> Result<Vec<OrderRow>> {
        self.all_where("/v1/orders", &format!("&payment={payment}")).await
    }

    /// Approves an order that waits for it.
    ///
    /// # Errors
    /// When rampwatch does not answer, or refuses.
    pub async fn approve(&self, order: &OrderId, reason: &str) -> Result<OrderRow> {
        self.ask(Some(json!({ "reason": reason })), &format!("/v1/orders/{order}/approve")).await
    }

    /// Cancels an order.
    ///
    /// # Errors
    /// When rampwatch does not answer, or refuses.
    pub async fn cancel(&self, order: &OrderId, reason: &str) -> Result<OrderRow> {
        self.ask(Some(json!({ "reason": reason })), &format!("/v1/orders/{order}/cancel")).await
    }
}
