//! What a person types of a payment because the API's own word on it cannot be read.

use super::EngineSettings;
use super::operator_service::{AddPayment, OperatorError};
use crate::domain::api_field::ApiField;
use crate::policy::api_answer::flag;
use crate::ports::payment_api::ApiPayment;

/// The fields of the API's answer that cannot be read, and that a person has given instead: the recipient, who is always given,
/// and whatever has a flag. One that is needed and was not given is asked for.
pub(super) fn vouched(request: &AddPayment, said: Option<&ApiPayment>) -> Result<Vec<ApiField>, OperatorError> {
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
            return Err(OperatorError::Invalid { field: flag, problem });
        }
        vouched.push(unread.field);
    }
    Ok(vouched)
}

/// A chain that was typed must be ours.
pub(super) fn check_chain(request: &AddPayment, settings: &EngineSettings) -> Result<(), OperatorError> {
    let Some(typed) = request.deposit_chain.as_ref().filter(|typed| !typed.eq_ignore_ascii_case(&settings.chain_name))
    else {
        return Ok(());
    };
    let problem = format!("{typed:?} is not the chain that is watched here; chain.name is {:?}", settings.chain_name);
    Err(OperatorError::Invalid { field: "deposit-chain", problem })
}
