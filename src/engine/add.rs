//! Adding a payment: what was typed and what the API says of it become one record. Where both speak they must agree.

use thiserror::Error;

use super::EngineSettings;
use super::address_repository::{AddressRepository, RepositoryError};
use super::api_facts::view_of;
use super::payout_repository::{Kept, PayoutRepository, key_of};
use crate::domain::actor::Actor;
use crate::domain::amount::{Amount, AmountError};
use crate::domain::api_field::ApiField;
use crate::domain::chain::Address;
use crate::domain::payment::{Payment, PaymentId, PaymentState, Provenance, RecipientId, Terms};
use crate::domain::time::{Span, Timestamp};
use crate::policy::api_answer::flag;
use crate::policy::payment_machine::Unexpected;
use crate::policy::payout_machine::PayoutFact;
use crate::ports::payment_api::ApiPayment;
use crate::ports::store::StoreError;

/// A payment to be added. What is `None` is taken from the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddPayment {
    /// The API's id of the payment.
    pub id: PaymentId,
    pub recipient_id: RecipientId,
    /// The deposit address, if typed.
    pub deposit_address: Option<Address>,
    /// The amount in whole units of the token, if typed, such as `1000.50`.
    pub amount: Option<String>,
    /// Who will send, if typed.
    pub sender: Option<Address>,
    /// When it was created, if typed.
    pub created_at: Option<Timestamp>,
    /// When it runs out, if typed.
    pub expires_at: Option<Timestamp>,
    /// The chain that the money comes in on, if typed.
    pub deposit_chain: Option<String>,
}

/// Who adds a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Adder {
    /// A person, who named the recipient.
    Person {
        /// Whether the API confirms the recipient.
        recipient_from: Provenance,
        name: Actor,
    },
    /// Intake, from the API's lists.
    Intake,
}

/// Why a payment was not added. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum AddError {
    /// It was there and is gone.
    #[error("payment {0} is not known here")]
    NotFound(PaymentId),
    /// It is known already, with other terms.
    #[error("{0}")]
    Exists(String),
    /// What was given, or what the API says, is wrong or missing.
    #[error("{field}: {problem}")]
    Invalid {
        field: &'static str,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// The rules forbid it.
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl From<RepositoryError<Unexpected>> for AddError {
    fn from(error: RepositoryError<Unexpected>) -> Self {
        match error {
            RepositoryError::Store(error) => Self::Store(error),
            RepositoryError::Refused(error) | RepositoryError::Unexpected(error) => Self::Refused(error.to_string()),
            RepositoryError::NoPayment(id) => Self::NotFound(id),
        }
    }
}

/// Adds payments to the store.
#[derive(Clone)]
pub(crate) struct Adding {
    pub(crate) addresses: AddressRepository,
    pub(crate) payouts: PayoutRepository,
}

impl Adding {
    /// Adds a payment, with what the API has just said of it. Adding the same payment again changes nothing and returns it as it
    /// stands. A payout that waits for a person's word on its payment goes on waiting when intake adds it: that is nobody's word.
    ///
    /// # Errors
    /// When what the API leaves out was not given, or the payment is known with other terms.
    pub(crate) async fn add(
        &self,
        request: &AddPayment,
        said: Option<ApiPayment>,
        by: &Adder,
    ) -> Result<Payment, AddError> {
        let payment = self.compose(request, said, by)?;
        // A payout may wait for just this: what the API does not tell of its payment.
        let (payouts, store) = (&self.payouts, &self.payouts.store);
        let waiting = payouts.of_payment(&payment.id).await?.filter(|_| *by != Adder::Intake);
        let waiting = waiting.map(|kept| key_of(&kept.payout.reference));
        let known = store.payment(&payment.id).await?;
        if let Some(known) = &known {
            same_or_refused(known.clone(), &payment)?;
        }
        if let (Some(known), None) = (known, &waiting) {
            return Ok(known);
        }
        let address = payment.terms.deposit_address;
        self.addresses
            .change_with(address, waiting.as_ref(), |unit, _| {
                // Somebody may have added it in the meantime.
                if !unit.book.payments().iter().any(|known| known.id == payment.id) {
                    unit.add_payment(payment.clone(), &payouts.settings.sweep);
                }
                if let Some(kept) = unit.record.clone().and_then(Kept::of)
                    && let Ok((next, said)) = payouts.decide(&kept, &PayoutFact::Added)
                {
                    unit.record = Some(next.record());
                    unit.said.push(said);
                }
                Ok::<(), Unexpected>(())
            })
            .await?;
        let stored = store.payment(&payment.id).await?;
        let stored = stored.ok_or_else(|| AddError::NotFound(payment.id.clone()))?;
        same_or_refused(stored, &payment)
    }

    /// The payment from what was typed and what the API said. Where both speak they must agree.
    fn compose(&self, request: &AddPayment, said: Option<ApiPayment>, by: &Adder) -> Result<Payment, AddError> {
        let settings = &*self.payouts.settings;
        let now = self.payouts.clock.now();
        let typed_amount = typed_amount(request, settings.decimals)?;
        let vouched = vouched(request, said.as_ref())?;
        let (address, address_from) =
            one_of("deposit-address", request.deposit_address, said.as_ref().and_then(|said| said.deposit_address))?;
        let (amount, amount_from) = one_of("amount", typed_amount, said.as_ref().and_then(|said| said.deposit_amount))?;
        let created = said.as_ref().and_then(|said| said.created_at);
        let (created_at, _) = one_of("created-at", request.created_at, created)?;
        let (expires_at, expiry_from) = either(said.as_ref().and_then(|said| said.expires_at), request.expires_at);
        let (sender, sender_from) = either(said.as_ref().and_then(|said| said.sender), request.sender);
        let (recipient_from, typed_by) = match by {
            Adder::Person { recipient_from, name } => (*recipient_from, Some(name)),
            Adder::Intake => (Provenance::Api, None),
        };
        check_terms(address, amount, created_at, now, settings)?;
        check_chain(request, settings)?;
        if let Some(said) = &said {
            check_said(request, said, settings)?;
        }
        let mut terms = Terms {
            chain_id: settings.chain_id,
            token: settings.token,
            deposit_address: address,
            address_from,
            amount,
            amount_from,
            sender,
            created_at,
            expires_at,
            bank_account: said.as_ref().and_then(|said| said.bank_account.clone()),
            recipient_from: Some(recipient_from),
            expiry_from,
            sender_from,
            typed_by: None,
        };
        terms.typed_by = typed_by.filter(|_| terms.any_typed()).cloned();
        Ok(Payment {
            id: request.id.clone(),
            version: 0,
            recipient_id: request.recipient_id.clone(),
            terms,
            state: PaymentState::Waiting,
            api: said.map(|said| view_of(said, now)),
            // The reconciler looks at once: the payment may have moved on before it was added.
            next_at: Some(now),
            quiet_checks: 0,
            added_at: now,
            ending: None,
            taken: Some(false),
            vouched,
        })
    }
}

fn typed_amount(request: &AddPayment, decimals: u8) -> Result<Option<Amount>, AddError> {
    let parse = |text: &String| Amount::from_person(text, decimals);
    let invalid = |error: AmountError| AddError::Invalid { field: "amount", problem: error.to_string() };
    request.amount.as_ref().map(parse).transpose().map_err(invalid)
}

/// The API's value, or what was typed in its place.
fn either<T>(said: Option<T>, typed: Option<T>) -> (Option<T>, Option<Provenance>) {
    match (said, typed) {
        (Some(said), _) => (Some(said), Some(Provenance::Api)),
        (None, Some(typed)) => (Some(typed), Some(Provenance::Typed)),
        (None, None) => (None, None),
    }
}

/// The value that is there; where both are, they must be the same.
fn one_of<T: PartialEq>(field: &'static str, typed: Option<T>, said: Option<T>) -> Result<(T, Provenance), AddError> {
    match (typed, said) {
        (Some(typed), Some(said)) if typed != said => Err(AddError::Invalid {
            field,
            problem: "what was given is not what the payment API says; leave it out to take the API's".to_owned(),
        }),
        (_, Some(said)) => Ok((said, Provenance::Api)),
        (Some(typed), None) => Ok((typed, Provenance::Typed)),
        (None, None) => Err(AddError::Invalid {
            field,
            problem: "the payment API does not say it, or was not asked for want of a key; give it with this flag"
                .to_owned(),
        }),
    }
}

fn check_terms(
    address: Address,
    amount: Amount,
    created_at: Timestamp,
    now: Timestamp,
    settings: &EngineSettings,
) -> Result<(), AddError> {
    let invalid = |field, problem: &str| Err(AddError::Invalid { field, problem: problem.to_owned() });
    if address.is_zero() || address == settings.token || settings.other_tokens.contains(&address) {
        return invalid("deposit-address", "the zero address or a token's own contract cannot be a deposit address");
    }
    if amount.is_zero() {
        return invalid("amount", "it is zero");
    }
    if created_at > now.plus(Span::from_secs(86_400)) {
        return invalid("created-at", "it is more than a day in the future");
    }
    Ok(())
}

/// What the API says must be about this payment, on this chain.
fn check_said(request: &AddPayment, said: &ApiPayment, settings: &EngineSettings) -> Result<(), AddError> {
    if let Some(theirs) = said.recipient_id.as_ref().filter(|theirs| **theirs != request.recipient_id) {
        let problem = format!("the payment API says that the recipient is {theirs}, not {}", request.recipient_id);
        return Err(AddError::Invalid { field: "recipient", problem });
    }
    let other_chain = said.deposit_chain.as_ref().filter(|name| !name.eq_ignore_ascii_case(&settings.chain_name));
    if let Some(theirs) = other_chain {
        let problem = format!("the payment API wants it on {theirs:?}; chain.name here is {:?}", settings.chain_name);
        return Err(AddError::Invalid { field: "payment", problem });
    }
    Ok(())
}

fn same_or_refused(known: Payment, wanted: &Payment) -> Result<Payment, AddError> {
    let same = known.recipient_id == wanted.recipient_id
        && known.terms.deposit_address == wanted.terms.deposit_address
        && known.terms.amount == wanted.terms.amount;
    if same {
        return Ok(known);
    }
    Err(AddError::Exists(format!("payment {} is known already, with another recipient, address or amount", known.id)))
}

/// The fields of the API's answer that cannot be read, and that a person has given instead: the recipient, who is always given,
/// and whatever has a flag. One that is needed and was not given is asked for.
fn vouched(request: &AddPayment, said: Option<&ApiPayment>) -> Result<Vec<ApiField>, AddError> {
    let mut vouched = Vec::new();
    for unread in said.into_iter().flat_map(|said| &said.unread) {
        let Some(flag) = flag(unread.field) else {
            vouched.extend((unread.field == ApiField::RecipientId).then_some(unread.field));
            continue;
        };
        let is_typed = match unread.field {
            ApiField::DepositAddress => request.deposit_address.is_some(),
            ApiField::DepositAmount => request.amount.is_some(),
            ApiField::DepositChain => request.deposit_chain.is_some(),
            ApiField::CreatedAt => request.created_at.is_some(),
            _ => request.expires_at.is_some(),
        };
        if !is_typed {
            let problem = format!("the payment API says {unread}; give what is right with --{flag}");
            return Err(AddError::Invalid { field: flag, problem });
        }
        vouched.push(unread.field);
    }
    Ok(vouched)
}

/// A chain that was typed must be ours.
fn check_chain(request: &AddPayment, settings: &EngineSettings) -> Result<(), AddError> {
    let Some(typed) = request.deposit_chain.as_ref().filter(|typed| !typed.eq_ignore_ascii_case(&settings.chain_name))
    else {
        return Ok(());
    };
    let problem = format!("{typed:?} is not the chain that is watched here; chain.name is {:?}", settings.chain_name);
    Err(AddError::Invalid { field: "deposit-chain", problem })
}
