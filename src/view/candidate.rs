//! What people and programs are shown of candidates.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::candidate::{Candidate, CandidateReason, CandidateState};
use crate::domain::payment::{PaymentId, RecipientId};
use crate::view::explain::Names;
use crate::view::shapes;
use crate::view::{AmountView, moment};

/// An off-ramp that was found at the payment API and is not taken up without a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CandidateView {
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
    #[schemars(with = "shapes::CandidateReason")]
    pub why: CandidateReason,
    /// The API's status, as it came last.
    pub status: String,
    /// When the API created the payment, if it says.
    pub created_at: Option<String>,
    /// When it runs out, if the API says.
    pub expires_at: Option<String>,
    /// When it was found.
    pub found_at: String,
    /// What became of it.
    #[schemars(with = "shapes::CandidateState")]
    pub state: CandidateState,
}

impl CandidateView {
    pub(crate) fn of(candidate: &Candidate, names: &Names<'_>) -> Self {
        Self {
            payment: candidate.payment.clone(),
            recipient_id: candidate.recipient_id.clone(),
            deposit_address: candidate.deposit_address.map(|address| address.to_string()),
            amount: candidate.amount.map(|amount| names.paid(amount)),
            why: candidate.why.clone(),
            status: candidate.status.to_string(),
            created_at: candidate.created_at.map(moment),
            expires_at: candidate.expires_at.map(moment),
            found_at: moment(candidate.found_at),
            state: candidate.state.clone(),
        }
    }
}
