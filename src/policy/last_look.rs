//! The last look before a completion is called.

use thiserror::Error;

use crate::domain::deposit::{BlockStatus, Deposit, Verdict};
use crate::domain::payment::{Payment, PaymentState as State};

/// Why a completion must not be called now.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Objection {
    /// The payment is not due.
    #[error("the payment is {0}, not due")]
    NotDue(&'static str),
    /// The deposit is not the one that the payment is due for.
    #[error("the deposit is not the payment's")]
    OtherDeposit,
    /// The deposit is not final.
    #[error("the deposit is not final")]
    NotFinal,
    /// The deposit had been final and is gone.
    #[error("the deposit's block is not on the chain any more")]
    Gone,
    /// The deposit's verdict does not say that it pays this payment.
    #[error("the deposit's verdict is not that it pays this payment")]
    OtherVerdict,
    /// Token, chain or recipient are not the payment's.
    #[error("the deposit's {0} is not the payment's")]
    OtherTerms(&'static str),
    #[error("the deposit moves nothing")]
    MovesNothing,
}

/// The last look before a completion is called: do payment and deposit still belong together?
///
/// # Errors
/// The first [`Objection`].
pub fn may_call(payment: &Payment, deposit: &Deposit) -> Result<(), Objection> {
    let State::Due { deposit: key, .. } = &payment.state else {
        return Err(Objection::NotDue(payment.state.name()));
    };
    if *key != deposit.key {
        return Err(Objection::OtherDeposit);
    }
    match deposit.standing {
        BlockStatus::Final { .. } => {}
        BlockStatus::Provisional => return Err(Objection::NotFinal),
        BlockStatus::Gone { .. } => return Err(Objection::Gone),
    }
    match &deposit.verdict {
        Verdict::Pays { payment: id, .. } if *id == payment.id => {}
        _ => return Err(Objection::OtherVerdict),
    }
    if deposit.key.chain_id != payment.terms.chain_id {
        return Err(Objection::OtherTerms("chain"));
    }
    if deposit.token != payment.terms.token {
        return Err(Objection::OtherTerms("token"));
    }
    if deposit.to != payment.terms.deposit_address {
        return Err(Objection::OtherTerms("recipient"));
    }
    if deposit.amount.is_zero() || deposit.from == deposit.to {
        return Err(Objection::MovesNothing);
    }
    Ok(())
}
