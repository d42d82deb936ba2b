//! What people and programs are shown of leads.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::explain::Names;
use super::shapes;
use super::views::{AmountView, moment};
use crate::domain::lead::{Lead, LeadReason, LeadState};
use crate::domain::payment::{PaymentId, RecipientId};

/// An off-ramp that was found at the payment API and is not taken up without a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeadView {
    /// The API's id of the payment.
    #[schemars(with = "shapes::Id")]
    pub payment: PaymentId,
    /// Whose it is, if that is known.
    #[schemars(with = "Option<shapes::Id>")]
    pub recipient_id: Option<RecipientId>,
    /// Where the money goes, if the API says.
    pub deposit_address: Option<String>,
    /// How much, if the API says.
    pub amount: Option<AmountView>,
    /// Why it is not taken up.
    #[schemars(with = "shapes::LeadReason")]
    pub why: LeadReason,
    /// The API's status, as it came last.
    pub status: String,
    /// When the API created the payment, if it says.
    pub created_at: Option<String>,
    /// When it runs out, if the API says.
    pub expires_at: Option<String>,
    /// When it was found.
    pub found_at: String,
    /// What became of it.
    #[schemars(with = "shapes::LeadState")]
    pub state: LeadState,
}

impl LeadView {
    pub(super) fn of(lead: &Lead, names: &Names<'_>) -> Self {
        Self {
            payment: lead.payment.clone(),
            recipient_id: lead.recipient_id.clone(),
            deposit_address: lead.deposit_address.map(|address| address.to_string()),
            amount: lead.amount.map(|amount| names.paid(amount)),
            why: lead.why.clone(),
            status: lead.status.to_string(),
            created_at: lead.created_at.map(moment),
            expires_at: lead.expires_at.map(moment),
            found_at: moment(lead.found_at),
            state: lead.state.clone(),
        }
    }
}
