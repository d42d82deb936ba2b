//! Payments, as they are shown.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{AmountView, moment};
use super::explain::{self, Names};
use super::shapes;
use crate::domain::actor::Actor;
use crate::domain::deposit::DepositKey;
use crate::domain::payment::{Outcome, Payment, PaymentId, PaymentReview, PaymentState, Provenance, RecipientId};

/// How far rampwatch is with a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StateView {
    /// One word: `waiting`, `seen`, `due`, `calling`, `unclear`, `following`, `ended`, `review`.
    pub name: String,
    /// The same as a sentence.
    pub text: String,
    /// The deposit that it speaks of, if any.
    #[schemars(with = "Option<shapes::DepositKey>")]
    pub deposit: Option<DepositKey>,
    /// How many completions were called, in states that count them.
    pub calls: Option<u32>,
    /// How it ended, once it has.
    #[schemars(with = "Option<shapes::Outcome>")]
    pub outcome: Option<Outcome>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// What a person must decide, if anything.
    #[schemars(with = "Option<shapes::PaymentReview>")]
    pub review: Option<PaymentReview>,
}

/// The API's word on a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiWordView {
    /// Its status, as it came.
    pub status: String,
    /// Its transaction hash, as it came.
    pub tx_hash: Option<String>,
    /// When it said so.
    pub as_of: String,
    /// What it said that cannot be read, field by field, with what it is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
}

/// A payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentView {
    /// The API's id.
    #[schemars(with = "shapes::Id")]
    pub id: PaymentId,
    /// Whose it is.
    #[schemars(with = "shapes::Id")]
    pub recipient_id: RecipientId,
    /// How far rampwatch is.
    pub state: StateView,
    /// The API's word, if it was ever asked.
    pub api: Option<ApiWordView>,
    /// Since when the API is asked after it in vain, and why; in lists always null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<String>,
    /// How much is to be paid.
    pub amount: AmountView,
    /// Where the amount is known from.
    #[schemars(with = "shapes::Provenance")]
    pub amount_from: Provenance,
    /// The chain.
    pub chain_id: u64,
    /// The token that is asked for.
    pub token: String,
    /// Where the money goes.
    pub deposit_address: String,
    /// Where the address is known from.
    #[schemars(with = "shapes::Provenance")]
    pub address_from: Provenance,
    /// The sender named at creation, if any.
    pub sender: Option<String>,
    /// When the API created it.
    pub created_at: String,
    /// When it runs out, if the API says.
    pub expires_at: Option<String>,
    /// Where the recipient is known from; `None` in records from before it was kept.
    #[serde(default)]
    #[schemars(with = "Option<shapes::Provenance>")]
    pub recipient_from: Option<Provenance>,
    /// Where the expiry is known from, if there is one; `None` in records from before it was kept.
    #[serde(default)]
    #[schemars(with = "Option<shapes::Provenance>")]
    pub expiry_from: Option<Provenance>,
    /// Where the sender is known from, if one is named; `None` in records from before it was kept.
    #[serde(default)]
    #[schemars(with = "Option<shapes::Provenance>")]
    pub sender_from: Option<Provenance>,
    /// Who typed what was typed; `None` where nothing was, and in records from before names were kept.
    #[serde(default)]
    #[schemars(with = "Option<shapes::Actor>")]
    pub typed_by: Option<Actor>,
    /// When it was added here.
    pub added_at: String,
    /// When it is looked at next by itself; `None`: not any more.
    pub next_look_at: Option<String>,
}

impl StateView {
    fn of(state: &PaymentState, names: &Names<'_>) -> Self {
        let (mut calls, mut outcome, mut ended_at, mut review) = (None, None, None, None);
        match state {
            PaymentState::Waiting | PaymentState::Seen { .. } | PaymentState::Following { .. } => {}
            PaymentState::Due { attempt, .. }
            | PaymentState::Calling { attempt, .. }
            | PaymentState::Unclear { attempt, .. } => calls = Some(*attempt),
            PaymentState::Ended { outcome: how, at } => {
                outcome = Some(*how);
                ended_at = Some(moment(*at));
            }
            PaymentState::Review { why, .. } => review = Some(why.clone()),
        }
        Self {
            name: state.name().to_owned(),
            text: explain::state(state, names),
            deposit: state.deposit().copied(),
            calls,
            outcome,
            ended_at,
            review,
        }
    }

    /// The same, with the end that the API names and that is not confirmed.
    fn with_end(self, payment: &Payment) -> Self {
        match payment.ending {
            Some(ending) if self.review.is_none() => {
                let text = format!("{} {}", self.text, explain::ending(ending, payment.next_at));
                Self { text, ..self }
            }
            Some(_) | None => self,
        }
    }
}

impl PaymentView {
    pub(crate) fn of(payment: &Payment, names: &Names<'_>) -> Self {
        let terms = &payment.terms;
        Self {
            id: payment.id.clone(),
            recipient_id: payment.recipient_id.clone(),
            state: StateView::of(&payment.state, names).with_end(payment),
            api: payment.api.as_ref().map(|word| ApiWordView {
                status: word.status.to_string(),
                tx_hash: word.tx_hash.clone(),
                as_of: moment(word.as_of),
                unread: word.unread.iter().map(ToString::to_string).collect(),
            }),
            unanswered: None,
            amount: names.amount(terms.amount, terms.token),
            amount_from: terms.amount_from,
            chain_id: terms.chain_id,
            token: terms.token.to_string(),
            deposit_address: terms.deposit_address.to_string(),
            address_from: terms.address_from,
            sender: terms.sender.map(|sender| sender.to_string()),
            created_at: moment(terms.created_at),
            expires_at: terms.expires_at.map(moment),
            recipient_from: terms.recipient_from,
            expiry_from: terms.expiry_from,
            sender_from: terms.sender_from,
            typed_by: terms.typed_by.clone().filter(|_| terms.any_typed()),
            added_at: moment(payment.added_at),
            next_look_at: payment.next_at.map(moment),
        }
    }
}
