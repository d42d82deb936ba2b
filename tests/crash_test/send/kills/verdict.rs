//! The end: everything settles, and is held against the chain's own blocks and the fake API's tally.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::Address;
use rampwatch::domain::order::{Order, OrderOutcome, OrderState, Spend};
use rampwatch::domain::payment::{Outcome, PaymentId, PaymentState};
use rampwatch::domain::time::Timestamp;
use rampwatch::ports::store::Store;
use rampwatch::sandbox::{BlockTag, Operator, Sandbox, SandboxError, Sent, USDC, WALLET};
use tokio::time::Instant;

use super::super::aftermath::{close, failed, open, sound};
use super::super::report::Report;
use super::load::Book;

/// How often it is looked whether everything has settled.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Waits until every payment has ended.
pub(crate) async fn settle(operator: &Operator, book: &Book, limit: Duration) -> Result<(), SandboxError> {
    let until = Instant::now() + limit;
    loop {
        let rows = operator.payments().await?;
        let ended: BTreeSet<_> = rows.iter().filter(|row| row.state.name == "ended").map(|row| &row.id).collect();
        let waits: Vec<&PaymentId> = book.keys().filter(|id| !ended.contains(id)).collect();
        if waits.is_empty() {
            return Ok(());
        }
        if Instant::now() >= until {
            let what = format!("{} payments funded and completed, {} for example", waits.len(), waits[0]);
            return Err(SandboxError::TooLate { what, seconds: limit.as_secs() });
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Counts what the last line tells.
pub(crate) async fn judge(
    sandbox: &Sandbox,
    path: &Path,
    book: &Book,
    had: Amount,
    report: &mut Report,
) -> Result<(), SandboxError> {
    let node = sandbox.anvil().node();
    let sent = node.sent_by(WALLET, 0).await?;
    let store = open(path).await?;
    judge_payments(sandbox, &store, book, &sent, report).await?;
    let nonces: Vec<u64> = sent.iter().map(|sent| sent.nonce).collect();
    let wallet = store.wallet().await.map_err(failed)?;
    let mined = node.transaction_count(WALLET, BlockTag::Latest).await?;
    let next = wallet.as_ref().map(|wallet| wallet.next_nonce);
    if nonces != (0..mined).collect::<Vec<u64>>() || next != Some(mined) {
        report.gaps += 1;
        report.failed(format!("{mined} nonces are consumed, the store's next is {next:?}; mined: {nonces:?}"));
    }
    if let Some(halt) = wallet.and_then(|wallet| wallet.halted) {
        report.stuck += 1;
        report.failed(format!("the wallet is halted: {}", halt.why));
    }
    let counted: u128 =
        store.spent_since(Timestamp::EPOCH).await.map_err(failed)?.iter().map(|order| order.amount.base_units()).sum();
    let gone = had.base_units() - node.balance(USDC, WALLET).await?.base_units();
    if counted != gone {
        report.spend_wrong += 1;
        report.failed(format!("{counted} base units count as spent, and {gone} have left the wallet"));
    }
    close(store).await;
    sound(path).await
}

async fn judge_payments(
    sandbox: &Sandbox,
    store: &dyn Store,
    book: &Book,
    sent: &[Sent],
    report: &mut Report,
) -> Result<(), SandboxError> {
    let mut transfers: BTreeMap<Address, usize> = BTreeMap::new();
    for transfer in sent.iter().filter(|sent| sent.succeeded).flat_map(|sent| &sent.transfers) {
        *transfers.entry(transfer.to).or_default() += 1;
    }
    let mut orders: BTreeMap<PaymentId, Vec<Order>> = BTreeMap::new();
    for order in store.orders(None, 100_000).await.map_err(failed)? {
        orders.entry(order.id.payment.clone()).or_default().push(order);
    }
    for (id, off_ramp) in book {
        report.payments += 1;
        let got = sandbox.anvil().node().balance(USDC, off_ramp.deposit_address).await?;
        let mined = transfers.get(&off_ramp.deposit_address).copied().unwrap_or(0);
        let tally = sandbox.fake_api().off_ramp(id).map(|off_ramp| off_ramp.tally).unwrap_or_default();
        if mined > 1 || got > off_ramp.amount || tally.accepted > 1 || tally.calls_after_accepted > 0 {
            report.doubled += 1;
            report.failed(format!("{id}: {mined} transfers, {got} base units; {tally:?}"));
        }
        report.paid += usize::from(mined == 1 && got == off_ramp.amount);
        let its = orders.remove(id).unwrap_or_default();
        let paid = its.iter().filter(|order| is_paid(order)).count();
        let open = its.iter().filter(|order| !order.state.is_ended()).count();
        let payment = store.payment(id).await.map_err(failed)?;
        let completed = payment
            .is_some_and(|payment| matches!(payment.state, PaymentState::Ended { outcome: Outcome::Completed, .. }));
        if paid != 1 || open != 0 || mined != 1 || !completed {
            report.stuck += 1;
            report.failed(format!("{id}: {mined} transfers; completed: {completed}; its orders: {its:#?}"));
        }
    }
    Ok(())
}

fn is_paid(order: &Order) -> bool {
    order.spend == Spend::Counted && matches!(order.state, OrderState::Ended { outcome: OrderOutcome::Paid { .. }, .. })
}
