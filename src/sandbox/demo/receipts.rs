//! What the wallet did, from order to API answer: told for one payment, and held against the chain for all.
//!
//! What rampwatch says comes from its operator API; what is so comes from the node's blocks and from the fake API's
//! journal. Where they differ, the demo fails.

use super::report::short;
use super::stage::{Stage, id};
use crate::domain::chain::{B256, BlockRef};
use crate::domain::order::{OrderOutcome, Placer};
use crate::domain::payment::PaymentId;
use crate::sandbox::audit::{Audit, audit, must};
use crate::sandbox::error::{Result, SandboxError};
use crate::sandbox::fake_api::Call;
use crate::sandbox::{USDC, WALLET, WALLET_FUNDS};
use crate::view::order::OrderView;

/// Prints the receipts of a payment that the wallet paid: payment, order, nonce, all transactions, block and log, and
/// the payment API's answer. Each is compared with the chain and with what the API received.
pub(super) async fn show(stage: &mut Stage<'_>, name: &str) -> Result<()> {
    let id = id(name)?;
    let operator = stage.watcher.operator().clone();
    let off_ramp = stage.fake_api().off_ramp(&id);
    let off_ramp = off_ramp.ok_or_else(|| SandboxError::FakeApi(format!("there is no payment {id}")))?;
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
    let journal = stage.fake_api().journal();
    let calls =
        journal.iter().filter(|entry| entry.call == Call::Complete && entry.payment.as_deref() == Some(id.as_str()));
    let calls: Vec<_> = calls.collect();
    let hash = tx_hash.to_string();
    let once = calls.len() == 1 && calls.iter().all(|call| call.acted && call.transaction_hash.as_ref() == Some(&hash));
    must(once, || format!("/complete of {id} was not called once with {hash}: {calls:?}"))?;
    let status = calls.first().and_then(|call| call.status).unwrap_or_default();
    let off_ramp = stage.fake_api().off_ramp(id);
    let (word, theirs) = off_ramp.map(|off_ramp| (off_ramp.status, off_ramp.transaction_hash)).unwrap_or_default();
    must(theirs.as_ref() == Some(&hash), || format!("the API has {theirs:?} for {id}, not {hash}"))?;
    Ok(format!("/complete with {}: HTTP {status}; now {word}", short(&hash)))
}

/// The transaction, block and log index of an order that is paid.
const fn paid(order: &OrderView) -> Option<(B256, BlockRef, u64)> {
    match order.ending() {
        Some(OrderOutcome::Paid { tx_hash, block, log_index }) => Some((*tx_hash, *block, *log_index)),
        _ => None,
    }
}

/// Reads every transaction of the wallet from the blocks and holds them against its orders (see [`audit`]), and the
/// balance too. Says so in a sentence.
pub(super) async fn laws(stage: &Stage<'_>, due: &[&str]) -> Result<String> {
    let sent = stage.node().sent_by(WALLET, 0).await?;
    let Audit { nonces, payments, moved, idle } = audit(&sent, &stage.watcher.operator().orders().await?, due)?;
    let left = stage.node().balance(USDC, WALLET).await?;
    must(left.checked_add(moved) == Some(WALLET_FUNDS), || format!("the wallet has {left} left, and sent {moved}"))?;
    Ok(format!(
        "The wallet used {nonces} nonces without a gap: {payments} transfers for {payments} payments, {} USDC in all; \
         and {idle} to itself, for what was cancelled.",
        moved.to_decimal(6)
    ))
}
