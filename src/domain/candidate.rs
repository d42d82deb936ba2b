//! Candidates: off-ramps that were found at the payment API, wait for funds there, and cannot be taken up without a person.

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::amount::Amount;
use super::chain::Address;
use super::payment::{ApiStatus, PaymentId, RecipientId};
use super::time::Timestamp;

/// An off-ramp that intake has found and does not take up by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The API's id of the payment.
    pub payment: PaymentId,
    /// Whose payment it is, if that is known.
    pub recipient_id: Option<RecipientId>,
    /// Where the money goes, if the API says.
    pub deposit_address: Option<Address>,
    /// How much, in base units of the configured token, if the API says.
    pub amount: Option<Amount>,
    /// Why it is not taken up.
    pub why: CandidateReason,
    /// The API's status of the payment, as it was last heard.
    pub status: ApiStatus,
    /// When the API created the payment, if it says.
    pub created_at: Option<Timestamp>,
    /// When the payment runs out, if the API says.
    pub expires_at: Option<Timestamp>,
    /// When it was found (our clock).
    pub found_at: Timestamp,
    /// How often the API was asked after it without an answer since it last answered.
    pub failures: u32,
    pub state: CandidateState,
}

/// Why an off-ramp is not taken up without a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[strum(const_into_str, serialize_all = "snake_case")]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum CandidateReason {
    /// The API leaves something out.
    Incomplete {
        /// What; never empty.
        missing: Vec<Missing>,
    },
    /// It comes in on our chain, in a currency that is not called as our token is.
    OtherCurrency {
        /// The currency, as it came, shortened.
        currency: String,
    },
    /// The API says one thing in its list and another when it is asked for the payment, or lists it for a recipient whose
    /// it is not.
    Disagrees {
        field: String,
        /// What the list says.
        listed: String,
        /// What the payment itself says.
        told: String,
    },
    /// The terms are such that no payment may have them.
    Unusable {
        /// What is wrong with which of them.
        problem: String,
    },
}

impl CandidateReason {
    /// One word for filters and tables, as in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.into_str()
    }
}

/// Something that a payment needs and the API leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// Whose payment it is.
    Recipient,
    /// Where the money goes.
    DepositAddress,
    Amount,
    /// When it was created, from when on its address has to be swept.
    CreatedAt,
}

/// What became of a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[strum(const_into_str, serialize_all = "snake_case")]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum CandidateState {
    /// A person has to say what is missing.
    Open,
    /// The payment was added.
    Added,
    /// The API says that the payment does not wait for funds any more, or that it is not for us, or does not know it.
    Gone,
    /// A person has said that it is not to be added.
    Dismissed { reason: String },
}

impl CandidateState {
    /// One word for filters and tables, as in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.into_str()
    }
}
