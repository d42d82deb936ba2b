//! What rampwatch would have done, had it not run in shadow mode, and whether what was done instead agrees with it.

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::amount::Amount;
use super::chain::{Address, B256};
use super::order::OrderId;
use super::payment::{ApiStatus, PaymentId, PayoutReference};
use super::time::Timestamp;

/// Something that rampwatch would have done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadow {
    /// The payment that it is about; `None` where there is none yet.
    pub payment: Option<PaymentId>,
    pub act: ShadowAct,
    /// When it was noted (our clock).
    pub noted_at: Timestamp,
    /// What came of it; `None` while nothing is known.
    pub outcome: Option<ShadowOutcome>,
}

/// What would have been done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[strum(const_into_str, serialize_all = "snake_case")]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum ShadowAct {
    /// `/complete` with this transaction.
    Complete { tx_hash: B256 },
    /// A transfer would have been signed and sent.
    Send {
        order: OrderId,
        /// Where the money would have gone.
        to: Address,
        /// How much, in base units of the token.
        amount: Amount,
    },
    /// An off-ramp would have been opened.
    Create { reference: PayoutReference },
}

impl ShadowAct {
    /// One word for metrics, as in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.into_str()
    }
}

/// What was done instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[strum(const_into_str, serialize_all = "snake_case")]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum ShadowOutcome {
    /// Somebody completed it, with the same transaction.
    Agreed,
    /// Somebody completed it, with another transaction.
    Differed {
        /// The API's transaction, as it came, shortened.
        theirs: String,
    },
    /// The API ended it as completed and names no transaction, so that nobody can tell.
    Unnamed,
    /// Nobody completed it: the API ended it otherwise.
    NotDone { status: ApiStatus },
    /// Shadow mode is over, and rampwatch does it itself.
    TakenOver,
}

impl ShadowOutcome {
    /// One word for metrics, as in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.into_str()
    }
}

impl Shadow {
    /// What identifies it among all that would have been done: one completion for each payment, one transfer for each order, one
    /// creation for each payout.
    #[must_use]
    pub fn id(&self) -> String {
        match &self.act {
            ShadowAct::Complete { tx_hash } => {
                self.payment.as_ref().map_or_else(|| format!("complete:{tx_hash}"), completion_id)
            }
            ShadowAct::Send { order, .. } => format!("send:{order}"),
            ShadowAct::Create { reference } => format!("create:{reference}"),
        }
    }
}

/// What identifies the completion of a payment.
#[must_use]
pub fn completion_id(payment: &PaymentId) -> String {
    format!("complete:{payment}")
}
