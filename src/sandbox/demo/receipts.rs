//! What the wallet did, from order to API answer: told for one payment, and held against the chain for all.
//!
//! What rampwatch says comes from its operator API; what is so comes from the node's blocks and from the stand-in's
//! journal. Where they differ, the demo fails.

use std::collections::BTreeMap;

use super::report::short;
use super::stage::{Stage, id};
use crate::domain::amount::Amount;
use crate::domain::chain::{B256, BlockRef};
use crate::domain::order::{AttemptKind, OrderOutcome, Placer};
use crate::domain::payment::PaymentId;
use crate::sandbox::account::Sent;
use crate::sandbox::error::{Result, SandboxError};
use crate::sandbox::orders::OrderRow;
use crate::sandbox::stand_in::Call;
use crate::sandbox::{USDC, WALLET, WALLET_FUNDS};

/// Fails with a sentence, unless it is so.
fn must(is_so: bool, otherwise: impl FnOnce() -> String) -> Result<()> {
    if is_so { Ok(()) } else { Err(SandboxError::Outcome(otherwise())) }
}

/// Prints the receipts of a payment that the wallet paid: payment, order, nonce, all transactions, block and log, and
/// the payment API's answer. Each is compared with the chain and with what the API received.
pub(super) async fn show(stage: &mut Stage<'_>, name: &str) -> Result<()> {
    let id = id(name)?;
    let operator = stage.watcher.operator().clone();
    let off_ramp = stage.stand_in().off_ramp(&id);
    let off_ramp = off_ramp.ok_or_else(|| SandboxError::StandIn(format!("there is no payment {id}")))?;
    let orders = operator.orders_of(&id).await?;
    must(orders.len() == 1, || format!("{id} has {} orders, not one", orders.len()))?;
    let Some(order) = orders.first() else { return Ok(()) };
    let Some((tx_hash, block, log_index)) = paid(order) else {
        return Err(SandboxError::Outcome(format!("order {} is not paid: {}", order.id, order.text)));
    };
    let nonce = order.nonce.unwrap_or_default();
    let placer = match order.placed_by {
        Placer::Person => "a person",
        Placer::Auto => "the automatic mode",
    };
    let mut lines = vec![
        format!("payment      {id}: {} USDC to {}", off_ramp.amount.to_decimal(6), off_ramp.deposit_address),
        format!("order        {}: placed by {placer} at {}", order.id, order.placed_at),
        format!("nonce        {nonce} of {WALLET}"),
    ];
    for attempt in &order.attempts {
        must(attempt.nonce == nonce, || format!("{} has nonce {}, not {nonce}", attempt.tx_hash, attempt.nonce))?;
        let receipt = stage.node().receipt(attempt.tx_hash).await?;
        let is_paid = attempt.tx_hash == tx_hash;
        must(receipt.is_some() == is_paid, || format!("{}: the chain and the order differ", attempt.tx_hash))?;
        let became = if is_paid { "mined" } else { "never mined, and never can be" };
        let (cap, tip) = (&attempt.cap_gwei, &attempt.tip_gwei);
        lines.push(format!("transaction  {} at most {cap} gwei, tip {tip}: {became}", attempt.tx_hash));
    }
    let receipt = stage.node().receipt(tx_hash).await?;
    let transfer = receipt.iter().flat_map(|receipt| &receipt.transfers).find(|log| log.log_index == log_index);
    let fits = transfer.is_some_and(|log| {
        (log.block, log.token, log.from) == (block, USDC, WALLET)
            && (log.to, log.amount) == (off_ramp.deposit_address, off_ramp.amount)
    });
    must(fits, || format!("log {log_index} of {tx_hash} in block {} is not the transfer: {transfer:?}", block.number))?;
    lines.push(format!("block        {} ({}), log index {log_index}", block.number, block.hash));
    let why = operator.why(id.as_str()).await?;
    let deposit = why.deposits.iter().find(|row| row.tx_hash == tx_hash && row.block_hash == block.hash);
    let deposit = deposit.ok_or_else(|| SandboxError::Outcome(format!("the watcher has no deposit of {tx_hash}")))?;
    lines.push(format!("deposit      {}", short(&deposit.verdict_text)));
    lines.push(format!("API answer   {}", answered(stage, &id, tx_hash)?));
    stage.print("The receipts of one payment:\n")?;
    for line in lines {
        stage.print(&format!("  {line}\n"))?;
    }
    Ok(())
}

/// What the API answered to the completion of a payment, from what it received itself.
fn answered(stage: &Stage<'_>, id: &PaymentId, tx_hash: B256) -> Result<String> {
    let journal = stage.stand_in().journal();
    let calls =
        journal.iter().filter(|entry| entry.call == Call::Complete && entry.payment.as_deref() == Some(id.as_str()));
    let calls: Vec<_> = calls.collect();
    let hash = tx_hash.to_string();
    let once = calls.len() == 1 && calls.iter().all(|call| call.acted && call.transaction_hash.as_ref() == Some(&hash));
    must(once, || format!("/complete of {id} was not called once with {hash}: {calls:?}"))?;
    let status = calls.first().and_then(|call| call.status).unwrap_or_default();
    let off_ramp = stage.stand_in().off_ramp(id);
    let (word, theirs) = off_ramp.map(|off_ramp| (off_ramp.status, off_ramp.transaction_hash)).unwrap_or_default();
    must(theirs.as_ref() == Some(&hash), || format!("the API has {theirs:?} for {id}, not {hash}"))?;
    Ok(format!("/complete with {}: HTTP {status}; now {word}", short(&hash)))
}

/// The transaction, block and log index of an order that is paid.
const fn paid(order: &OrderRow) -> Option<(B256, BlockRef, u64)> {
    match order.outcome() {
        Some(OrderOutcome::Paid { tx_hash, block, log_index }) => Some((*tx_hash, *block, *log_index)),
        _ => None,
    }
}

/// Reads every transaction of the wallet from the blocks and holds them against its orders: nonces without a gap, each
/// transaction that of an order, one mined transfer for each of the payments that were to be paid and none for any
/// other, and the balance right to the unit. Says so in a sentence.
pub(super) async fn laws(stage: &Stage<'_>, due: &[&str]) -> Result<String> {
    let sent = stage.node().sent_by(WALLET, 0).await?;
    let orders = stage.watcher.operator().orders().await?;
    let mut transfers: BTreeMap<PaymentId, u32> = BTreeMap::new();
    let (mut moved, mut nonce) = (Amount::ZERO, 0_u64);
    for transaction in &sent {
        must(transaction.nonce == nonce, || format!("nonce {} follows, not {nonce}", transaction.nonce))?;
        nonce = nonce.saturating_add(1);
        let (order, kind) = order_of(&orders, transaction.tx_hash)?;
        let paid = check_sent(order, kind, transaction)?;
        moved = moved.checked_add(paid).ok_or_else(|| SandboxError::Outcome("too much was moved".to_owned()))?;
        let count = transfers.entry(order.payment.clone()).or_default();
        *count = count.saturating_add(u32::from(!paid.is_zero()));
    }
    for order in &orders {
        let (is_due, count) = (due.contains(&order.payment.as_str()), transfers.get(&order.payment).copied());
        let count = count.unwrap_or_default();
        must(order.outcome().is_some(), || format!("order {} has not ended: {}", order.id, order.text))?;
        must(count == u32::from(is_due), || format!("{} has {count} mined transfers", order.payment))?;
        let says = paid(order).is_some() && order.counts_as_spent;
        must(says == is_due, || format!("order {} is {}", order.id, order.text))?;
    }
    let found = transfers.values().filter(|count| **count > 0).count();
    must(found == due.len(), || format!("{found} payments were paid, and {} were to be", due.len()))?;
    let left = stage.node().balance(USDC, WALLET).await?;
    must(left.checked_add(moved) == Some(WALLET_FUNDS), || format!("the wallet has {left} left, and sent {moved}"))?;
    let self_sends = sent.len().saturating_sub(found);
    Ok(format!(
        "The wallet used the nonces 0 to {}, each once: {found} transfers for {found} payments, {} USDC; and {self_sends} \
         to itself, for what was cancelled.",
        nonce.saturating_sub(1),
        moved.to_decimal(6)
    ))
}

/// The order that a mined transaction is of, and what it is meant to do.
fn order_of(orders: &[OrderRow], tx_hash: B256) -> Result<(&OrderRow, AttemptKind)> {
    let attempts = orders.iter().flat_map(|order| order.attempts.iter().map(move |attempt| (order, attempt)));
    let mut found = attempts.filter(|(_, attempt)| attempt.tx_hash == tx_hash);
    let stray = || SandboxError::Outcome(format!("the wallet sent {tx_hash}, which is of no order"));
    let (order, attempt) = found.next().ok_or_else(stray)?;
    Ok((order, attempt.kind))
}

/// What a mined transaction moved, which must be what its order says.
fn check_sent(order: &OrderRow, kind: AttemptKind, sent: &Sent) -> Result<Amount> {
    let tx_hash = sent.tx_hash;
    if kind == AttemptKind::SelfSend {
        let quiet = sent.is_self_send(WALLET) && sent.transfers.is_empty();
        return must(quiet, || format!("{tx_hash} is no self-send")).map(|()| Amount::ZERO);
    }
    let right = |log: &crate::domain::chain::Transfer| {
        (log.token, log.from, log.to, log.amount) == (USDC, WALLET, order.to, order.amount.base_units)
    };
    let one = sent.succeeded && sent.transfers.len() == 1 && sent.transfers.iter().all(right);
    must(one, || format!("{tx_hash} did not do what order {} says: {sent:?}", order.id))?;
    Ok(order.amount.base_units)
}
