//! The hot wallet's books held against the chain: what its orders say, and what is in the blocks.
//!
//! A synchronous function of both, so that it can be shown to find what it is there to find. Deliberately absent:
//! asking for them (see [`super::Node::sent_by`] and [`super::Operator::orders`]).

use std::collections::BTreeMap;

use super::account::Sent;
use super::error::{Result, SandboxError};
use super::{USDC, WALLET};
use crate::domain::amount::Amount;
use crate::domain::chain::{B256, Transfer};
use crate::domain::order::{AttemptKind, OrderOutcome};
use crate::domain::payment::PaymentId;
use crate::view::order::OrderView;

/// What the sandbox's wallet did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    /// How many nonces it used.
    pub nonces: u64,
    /// How many payments it paid, each with one transfer.
    pub payments: usize,
    /// How much it moved, in base units of USDC.
    pub moved: Amount,
    /// How many transactions consumed a nonce and moved nothing.
    pub idle: usize,
}

/// Fails with a sentence, unless it is so.
pub(super) fn must(is_so: bool, otherwise: impl FnOnce() -> String) -> Result<()> {
    if is_so { Ok(()) } else { Err(SandboxError::Outcome(otherwise())) }
}

/// Holds every transaction of the sandbox's wallet, in the blocks' order, against its orders, all of which have ended:
/// nonces without a gap; each transaction that of an order, and doing what that says; one mined transfer for each
/// payment that is `due`, whose order says so, and none for any other.
///
/// # Errors
/// The first thing that is not so, as a sentence.
pub fn audit(sent: &[Sent], orders: &[OrderView], due: &[&str]) -> Result<Audit> {
    let mut transfers: BTreeMap<&PaymentId, Vec<B256>> = BTreeMap::new();
    let (mut moved, mut nonces) = (Amount::ZERO, 0_u64);
    for transaction in sent {
        let found = transaction.nonce;
        must(found == nonces, || format!("the wallet used nonce {found} where {nonces} follows"))?;
        nonces = nonces.saturating_add(1);
        let (order, kind) = order_of(orders, transaction.tx_hash)?;
        let paid = moved_by(order, kind, transaction)?;
        moved = moved.checked_add(paid).ok_or_else(|| SandboxError::Outcome("too much was moved".to_owned()))?;
        if !paid.is_zero() {
            transfers.entry(&order.payment).or_default().push(transaction.tx_hash);
        }
    }
    for (payment, hashes) in &transfers {
        must(due.contains(&payment.as_str()), || format!("{payment} was paid and must not be: {hashes:?}"))?;
        must(hashes.len() == 1, || format!("{payment} was paid {} times: {hashes:?}", hashes.len()))?;
    }
    for order in orders {
        must(order.ending().is_some(), || format!("order {} has not ended: {}", order.id, order.text))?;
        let mined = transfers.get(&order.payment).into_iter().flatten();
        let mined = mined.copied().find(|hash| order.attempts.iter().any(|attempt| attempt.tx_hash == *hash));
        let says = match order.ending() {
            Some(OrderOutcome::Paid { tx_hash, .. }) => Some(*tx_hash),
            _ => None,
        };
        must(says == mined, || format!("order {} says {}, and the chain has {mined:?}", order.id, order.text))?;
        let counts = order.counts_as_spent;
        must(counts == says.is_some(), || format!("order {} ({}) counts as spent: {counts}", order.id, order.text))?;
    }
    let unpaid: Vec<&&str> = due.iter().filter(|name| !transfers.keys().any(|id| id.as_str() == **name)).collect();
    must(unpaid.is_empty(), || format!("{unpaid:?} were to be paid and were not"))?;
    let payments = transfers.len();
    Ok(Audit { nonces, payments, moved, idle: sent.len().saturating_sub(payments) })
}

/// The order that a mined transaction is of, and what it is meant to do.
fn order_of(orders: &[OrderView], tx_hash: B256) -> Result<(&OrderView, AttemptKind)> {
    let attempts = orders.iter().flat_map(|order| order.attempts.iter().map(move |attempt| (order, attempt)));
    let mut found = attempts.filter(|(_, attempt)| attempt.tx_hash == tx_hash);
    let stray = || SandboxError::Outcome(format!("the wallet sent {tx_hash}, which is of no order"));
    let (order, attempt) = found.next().ok_or_else(stray)?;
    Ok((order, attempt.kind))
}

/// What a mined transaction moved, which must be what its order says.
fn moved_by(order: &OrderView, kind: AttemptKind, sent: &Sent) -> Result<Amount> {
    let tx_hash = sent.tx_hash;
    match kind {
        AttemptKind::SelfSend => {
            let quiet = sent.is_self_send(WALLET) && sent.transfers.is_empty();
            must(quiet, || format!("{tx_hash} of order {} is no self-send", order.id)).map(|()| Amount::ZERO)
        }
        AttemptKind::Transfer if !sent.succeeded => Ok(Amount::ZERO),
        AttemptKind::Transfer => {
            let right = |log: &Transfer| {
                (log.token, log.from, log.to, log.amount) == (USDC, WALLET, order.to, order.amount.base_units)
            };
            let one = sent.transfers.len() == 1 && sent.transfers.iter().all(right);
            must(one, || format!("{tx_hash} moved something else than order {} says: {:?}", order.id, sent.transfers))?;
            Ok(order.amount.base_units)
        }
    }
}
