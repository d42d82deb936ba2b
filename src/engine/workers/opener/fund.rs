//! The order that funds a payment which was opened: placed once, in the commit that says so in the payout.

use super::Opener;
use crate::domain::order::{OrderId, Placer};
use crate::domain::payment::{Payment, PaymentState};
use crate::domain::payout::Payout;
use crate::engine::order_repository::OrderError;
use crate::engine::payout_repository::{Kept, PayoutError, unmoved};
use crate::engine::transaction::Tries;
use crate::policy::payout_machine::PayoutFact;
use crate::policy::rules::RuleBroken;
use crate::policy::spend::SpendRefusal;

/// What became of a wish to fund.
enum Outcome {
    /// The order stands, with the payout's word of it in the same commit.
    Placed,
    /// An order funds it already.
    Already(OrderId),
    /// None was placed.
    Refused { why: String, again: bool },
}

impl Opener {
    /// Places the order, unless the payment has one.
    pub(super) async fn fund(&self, kept: &Kept) -> Result<(), PayoutError> {
        let payout = &kept.payout;
        let fact = match self.place(payout).await? {
            Outcome::Placed => return Ok(()),
            Outcome::Already(order) => PayoutFact::OrderPlaced(order),
            Outcome::Refused { why, again } => {
                tracing::warn!(reference = %payout.reference, why, again, "the wallet does not fund it");
                PayoutFact::OrderRefused { why, again }
            }
        };
        self.book().tell(&payout.reference, &fact, None, unmoved(payout)).await?;
        Ok(())
    }

    async fn place(&self, payout: &Payout) -> Result<Outcome, PayoutError> {
        let (Some(orders), Some(id)) = (self.orders(payout), &payout.payment) else {
            let why = "there is no wallet: give the section [wallet] in the configuration".to_owned();
            return Ok(Outcome::Refused { why, again: true });
        };
        let (book, still) = (self.book(), unmoved(payout));
        let mut tries = Tries::default();
        loop {
            let Some(kept) = book.read(&payout.reference).await?.filter(|kept| still(kept)) else {
                return Ok(Outcome::Placed);
            };
            let payment = self.ports.store.payment(id).await?;
            // What is funded is what was asked for, wherever it is to be sent.
            let may_wait = payment.as_ref().is_some_and(may_wait_again);
            let shown = payment.map(|payment| (payment.terms.deposit_address, payout.wish.exchange.source_amount));
            let (order, mut commit) = match orders.propose(id, Placer::Person, shown).await {
                Ok(proposed) => proposed,
                Err(OrderError::Store(error)) => return Err(error.into()),
                Err(OrderError::Spend(SpendRefusal::Open { id, .. } | SpendRefusal::Funded { id })) => {
                    return Ok(Outcome::Already(id));
                }
                Err(OrderError::Spend(refusal)) => {
                    let decimals = self.settings.decimals;
                    let why = refusal.text(|amount| amount.to_decimal(decimals));
                    let again = may_pass(&refusal) || (may_wait && matches!(refusal, SpendRefusal::NotWaiting { .. }));
                    return Ok(Outcome::Refused { why, again });
                }
                Err(error) => return Ok(Outcome::Refused { why: error.to_string(), again: true }),
            };
            let (next, said) = book.decide(&kept, &PayoutFact::OrderPlaced(order.id.clone()))?;
            commit.records.push(next.record());
            commit.events.push(said);
            if tries.commit(&*self.ports.store, commit).await? {
                return Ok(Outcome::Placed);
            }
        }
    }
}

/// Whether a payment may wait for funds again by itself: one answer of the API said otherwise, and nothing has paid it.
const fn may_wait_again(payment: &Payment) -> bool {
    match &payment.state {
        PaymentState::Waiting | PaymentState::Following { deposit: None } => true,
        PaymentState::Seen { .. }
        | PaymentState::Due { .. }
        | PaymentState::Calling { .. }
        | PaymentState::Unclear { .. }
        | PaymentState::Following { deposit: Some(_) }
        | PaymentState::Ended { .. }
        | PaymentState::Review { .. } => false,
    }
}

/// Whether a refusal can pass by itself: limits come free with time, and what is switched off can be switched on.
const fn may_pass(refusal: &SpendRefusal) -> bool {
    match refusal {
        SpendRefusal::Off => true,
        SpendRefusal::Rule(rule) => !matches!(rule, RuleBroken::NotForAuto { .. }),
        SpendRefusal::Open { .. }
        | SpendRefusal::Funded { .. }
        | SpendRefusal::NotAgainByItself { .. }
        | SpendRefusal::NotWaiting { .. }
        | SpendRefusal::NotAsShown { .. }
        | SpendRefusal::OtherChain { .. }
        | SpendRefusal::OtherSender { .. }
        | SpendRefusal::ForbiddenAddress { .. }
        | SpendRefusal::TimeShort { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::payment::Outcome;
    use crate::domain::time::Timestamp;

    #[test]
    fn f11_a_payment_that_one_answer_called_over_is_funded_later() {
        let of = |state| {
            let text = serde_json::json!({
                "id": "p", "version": 1, "recipient_id": "r", "api": null, "next_at": null, "quiet_checks": 0,
                "added_at": 1, "state": state,
                "terms": {
                    "chain_id": 137, "token": "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359",
                    "deposit_address": "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359", "address_from": "api", "amount": "1",
                    "amount_from": "api", "sender": null, "created_at": 1, "expires_at": null,
                },
            });
            may_wait_again(&serde_json::from_value(text).expect("a payment as it is stored"))
        };
        let at = Timestamp::from_secs(1);
        assert!(of(PaymentState::Waiting), "an end that is not confirmed leaves it waiting");
        assert!(of(PaymentState::Following { deposit: None }));
        assert!(!of(PaymentState::Ended { outcome: Outcome::Expired, at }), "a confirmed one does not");
    }
}
