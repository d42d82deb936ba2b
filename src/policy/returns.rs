//! Money that came to the wallet itself: whether it comes back from a payment that the API has refunded.
//!
//! A transfer does not say what it is for, so only amounts tell. A deposit is tied to a payment when it fits no other and
//! no other deposit fits the payment; what is less certain is named and left open. A tie is what is known now, and is not
//! kept: another deposit of the same amount may open it again. Deliberately absent: senders (an API pays back from
//! whatever address it likes), and any effect; nothing is done because of a tie.

use std::collections::BTreeMap;

use crate::domain::amount::Amount;
use crate::domain::chain::{Address, BlockNumber};
use crate::domain::deposit::{BlockStatus, Deposit, DepositKey, NothingReason, Verdict};
use crate::domain::order::{Effect, Order, OrderOutcome, OrderState};
use crate::domain::payment::{ApiStatus, Outcome, Payment, PaymentId, PaymentState};

/// A payment that the wallet funded and the API has refunded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refunded {
    pub payment: PaymentId,
    /// The token that the wallet paid in.
    pub token: Address,
    /// How much it paid, in base units.
    pub amount: Amount,
    /// The block of its transfer; what comes back comes later.
    pub paid_in: BlockNumber,
}

/// Which payment a deposit to the wallet comes back from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whence {
    /// This one: they fit each other, and nothing else.
    From(PaymentId),
    /// One of these perhaps, in the order of their ids.
    MayBe(Vec<PaymentId>),
    /// None that is known.
    Nowhere,
}

/// Which deposit brought a refunded payment's money back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Back {
    /// This one: they fit each other, and nothing else.
    By(DepositKey),
    /// One of these perhaps, by block and log index.
    MayBe(Vec<DepositKey>),
    /// None so far.
    NotYet,
}

/// What is known of the wallet's deposits and of the refunded payments, in the order in which they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Returns {
    /// Where each deposit comes back from.
    pub deposits: Vec<(DepositKey, Whence)>,
    /// By what the money of each payment came back.
    pub payments: Vec<(PaymentId, Back)>,
}

impl Returns {
    /// Where this deposit comes back from; [`Whence::Nowhere`] for one that is not among them.
    #[must_use]
    pub fn whence(&self, key: &DepositKey) -> &Whence {
        self.deposits.iter().find(|(known, _)| known == key).map_or(&Whence::Nowhere, |(_, whence)| whence)
    }

    /// By what this payment's money came back; `None` for one that is not among them.
    #[must_use]
    pub fn back(&self, payment: &PaymentId) -> Option<&Back> {
        self.payments.iter().find(|(known, _)| known == payment).map(|(_, back)| back)
    }
}

/// Whether a deposit is money that came to the wallet and is there.
#[must_use]
pub const fn is_credit(deposit: &Deposit) -> bool {
    matches!(deposit.verdict, Verdict::Nothing { why: NothingReason::WalletCredit })
        && !matches!(deposit.standing, BlockStatus::Gone { .. })
}

/// Whether the API has refunded a payment.
#[must_use]
pub fn is_refunded(payment: &Payment) -> bool {
    let said = payment.api.as_ref().is_some_and(|view| view.status == ApiStatus::Refunded);
    said || matches!(payment.state, PaymentState::Ended { outcome: Outcome::Refunded, .. })
}

/// The block in which the order's transfer paid, if it did.
#[must_use]
pub const fn paid_in(order: &Order) -> Option<BlockNumber> {
    match &order.state {
        OrderState::Mined { block, effect: Effect::Paid { .. }, .. }
        | OrderState::Ended { outcome: OrderOutcome::Paid { block, .. }, .. } => Some(block.number),
        OrderState::AwaitingApproval { .. }
        | OrderState::Ready
        | OrderState::Held { .. }
        | OrderState::Sending { .. }
        | OrderState::Cancelling { .. }
        | OrderState::Mined { .. }
        | OrderState::Ended { .. } => None,
    }
}

/// The refunded payment that this order funded, if it is one.
#[must_use]
pub fn refunded(order: &Order, payment: &Payment) -> Option<Refunded> {
    let paid_in = paid_in(order).filter(|_| order.id.payment == payment.id && is_refunded(payment))?;
    Some(Refunded { payment: payment.id.clone(), token: order.token, amount: order.amount, paid_in })
}

/// Whether the deposit may be the payment's money.
fn fits(deposit: &Deposit, payment: &Refunded) -> bool {
    deposit.token == payment.token && deposit.amount == payment.amount && deposit.block_number > payment.paid_in
}

/// Ties deposits to the wallet to refunded payments. Deposits that are no credit of the wallet are left out.
#[must_use]
pub fn tie(deposits: &[Deposit], payments: &[Refunded]) -> Returns {
    let credits: Vec<&Deposit> = deposits.iter().filter(|deposit| is_credit(deposit)).collect();
    let mut of_payment: BTreeMap<&PaymentId, Vec<&Deposit>> = BTreeMap::new();
    let mut of_deposit: BTreeMap<&DepositKey, Vec<&PaymentId>> = BTreeMap::new();
    let mut by_amount: BTreeMap<(Address, Amount), Vec<&Refunded>> = BTreeMap::new();
    for payment in payments {
        by_amount.entry((payment.token, payment.amount)).or_default().push(payment);
    }
    for deposit in &credits {
        let alike = by_amount.get(&(deposit.token, deposit.amount)).into_iter().flatten();
        for payment in alike.filter(|payment| fits(deposit, payment)) {
            of_payment.entry(&payment.payment).or_default().push(deposit);
            of_deposit.entry(&deposit.key).or_default().push(&payment.payment);
        }
    }
    let whence = |deposit: &Deposit| {
        let mut candidates = of_deposit.get(&deposit.key).cloned().unwrap_or_default();
        match candidates.as_slice() {
            [] => Whence::Nowhere,
            [one] if of_payment.get(one).is_some_and(|deposits| deposits.len() == 1) => Whence::From((*one).clone()),
            _ => {
                candidates.sort();
                Whence::MayBe(candidates.into_iter().cloned().collect())
            }
        }
    };
    let back = |payment: &Refunded| {
        let mut candidates = of_payment.get(&payment.payment).cloned().unwrap_or_default();
        match candidates.as_slice() {
            [] => Back::NotYet,
            [one] if of_deposit.get(&one.key).is_some_and(|payments| payments.len() == 1) => Back::By(one.key),
            _ => {
                candidates.sort_by_key(|deposit| (deposit.block_number, deposit.key.log_index));
                Back::MayBe(candidates.iter().map(|deposit| deposit.key).collect())
            }
        }
    };
    Returns {
        deposits: credits.iter().map(|deposit| (deposit.key, whence(deposit))).collect(),
        payments: payments.iter().map(|payment| (payment.payment.clone(), back(payment))).collect(),
    }
}
