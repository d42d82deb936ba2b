//! The end: everything settles, and is held against the chain's own logs and blocks, the fake API's journal and the store.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::Address;
use rampwatch::domain::deposit::{BlockStatus, Verdict};
use rampwatch::domain::order::{ApprovalReason, OrderState};
use rampwatch::domain::payment::{PaymentId, PaymentState};
use rampwatch::sandbox::fake_api::Call;
use rampwatch::sandbox::{Audit, Operator, SandboxError, Sent, WALLET, audit};
use rampwatch::view::order::OrderView;
use tokio::time::Instant;

use super::report::Report;
use super::world::World;
use crate::run::autopsy::Left;
use crate::run::load::Book;
use crate::run::verdict::{Transfer, final_transfers, judge as judge_records, pays, settle as settle_funded};
use crate::send::kills::verdict::{judge as judge_wallet, settle as settle_all};
use crate::{run, send};

/// How often it is looked whether everything has settled.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Who was to be paid.
pub(crate) struct Payments {
    /// All of them.
    pub(crate) all: Book,
    /// Those that the wallet alone was to pay.
    pub(crate) wallets: Book,
}

/// Waits until everything has come to its end.
pub(crate) async fn settle(world: &World, payments: &Payments, until: Instant) -> Result<(), SandboxError> {
    let operator = world.daemon.operator();
    let limit = until.saturating_duration_since(Instant::now());
    settle_all(operator, &payments.wallets, limit).await?;
    settle_funded(&world.sandbox, operator, &payments.all, until.saturating_duration_since(Instant::now())).await?;
    loop {
        let waits = what_waits(world, operator, payments).await?;
        let Some(what) = waits else { return Ok(()) };
        if Instant::now() >= until {
            return Err(SandboxError::TooLate { what, seconds: limit.as_secs() });
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// An order that has not ended, a payment that is neither at its end nor where it may stay, or a final transfer that is not
/// known as such.
async fn what_waits(world: &World, operator: &Operator, payments: &Payments) -> Result<Option<String>, SandboxError> {
    let mut waits = None;
    for order in operator.orders().await?.iter().filter(|order| order.ending().is_none()) {
        waits = Some(format!("order {} to end: {}", order.id, order.text));
        // What a person has to decide because a transfer is said to have failed is nothing to be approved unseen.
        let is_usual = !matches!(order.detail, OrderState::AwaitingApproval { why: ApprovalReason::Reverted { .. } });
        if order.state == "awaiting-approval" && is_usual {
            operator.approve(&order.id, "it is as it should be").await?;
        }
    }
    let rows = operator.payments().await?;
    let may_stay = |name: &str| matches!(name, "ended" | "review" | "waiting");
    if let Some(row) = rows.iter().find(|row| !may_stay(&row.state.name)) {
        waits = Some(format!("payment {} to come to its end: {}", row.id, row.state.text));
    }
    let known: BTreeSet<String> = operator
        .deposits()
        .await?
        .into_iter()
        .filter(|deposit| deposit.standing.name == "final" && deposit.verdict != Verdict::Unjudged)
        .map(|deposit| deposit.key)
        .collect();
    let transfers = final_transfers(&world.sandbox).await?;
    let ours = ours(&transfers, payments);
    let missed = ours.into_iter().find(|transfer| !known.contains(&transfer.key.to_string()));
    Ok(missed.map(|transfer| format!("deposit {} to be final and judged", transfer.key)).or(waits))
}

/// The transfers to the payments' addresses.
fn ours<'a>(transfers: &'a [Transfer], payments: &Payments) -> Vec<&'a Transfer> {
    let addresses: BTreeSet<Address> = payments.all.values().map(|off_ramp| off_ramp.deposit_address).collect();
    transfers.iter().filter(|transfer| addresses.contains(&transfer.to)).collect()
}

/// The orders as rampwatch shows them at the end, while it still runs, against the wallet's transactions.
pub(crate) async fn judge_orders(world: &World, report: &mut Report) -> Result<(), SandboxError> {
    let orders = world.daemon.operator().orders().await?;
    let sent = world.sandbox.anvil().node().sent_by(WALLET, 0).await?;
    match audited(&sent, &orders) {
        Ok(audit) => report.mined = audit.payments,
        Err(wrong) => report.violate("sent_twice", wrong.to_string()),
    }
    Ok(())
}

/// The audit asks who is to be paid: that they are is judged elsewhere, here that nobody is paid twice, and that every
/// transaction is that of an order which says so.
fn audited(sent: &[Sent], orders: &[OrderView]) -> Result<Audit, SandboxError> {
    let moved: BTreeSet<Address> = sent
        .iter()
        .filter(|sent| sent.succeeded)
        .flat_map(|sent| sent.transfers.iter().map(|transfer| transfer.to))
        .collect();
    let due: BTreeSet<&str> =
        orders.iter().filter(|order| moved.contains(&order.to)).map(|order| order.payment.as_str()).collect();
    audit(sent, orders, &due.into_iter().collect::<Vec<_>>())
}

/// Counts what the last line tells. rampwatch has stopped.
pub(crate) async fn judge(
    world: &World,
    payments: &Payments,
    left: &Left,
    had: Amount,
    report: &mut Report,
) -> Result<(), SandboxError> {
    let sandbox = &world.sandbox;
    let mut records = run::Report::default();
    judge_records(sandbox, &payments.all, left, &mut records).await?;
    report.completed = records.completed;
    for what in records.details {
        let kind = ["lost", "wrong", "doubled", "missing"].into_iter().find(|kind| what.starts_with(kind));
        report.violate(kind.unwrap_or("stuck"), what);
    }
    let mut wallet = send::report::Report::default();
    let path = &world.daemon.settings().store.path;
    judge_wallet(sandbox, path, &payments.wallets, had, &mut wallet).await?;
    let counts =
        [("sent_twice", wallet.doubled), ("stuck", wallet.stuck), ("spend", wallet.spend_wrong), ("gaps", wallet.gaps)];
    for (kind, count) in counts {
        for _ in 0..count {
            report.violate(kind, "the wallet: see below");
        }
    }
    report.details.extend(wallet.details);
    let transfers = final_transfers(sandbox).await?;
    judge_times(world, &transfers, payments, report);
    judge_ends(&transfers, payments, left, report);
    report.api_faults = sandbox.fake_api().journal().iter().filter(|entry| entry.fault.is_some()).count();
    // What the judges above have not seen they have not judged.
    let (kept, received) = (sandbox.fake_api().journal().len() as u64, sandbox.fake_api().received());
    if kept < received {
        report.details.push(format!("the journal has {kept} of {received} calls: the run was too long for it"));
    }
    report.opened = payments.all.len();
    report.reorgs = world.life.reorgs();
    Ok(())
}

/// No completion before its block was final. The node, the fake API and this process have one clock.
fn judge_times(world: &World, transfers: &[Transfer], payments: &Payments, report: &mut Report) {
    let blocks: BTreeMap<(String, Address), u64> =
        transfers.iter().map(|transfer| ((transfer.key.tx_hash.to_string(), transfer.to), transfer.block)).collect();
    for entry in world.sandbox.fake_api().journal().iter().filter(|entry| entry.call == Call::Complete && entry.acted) {
        let id = entry.payment.as_deref().and_then(|id| PaymentId::new(id).ok());
        let Some(off_ramp) = id.and_then(|id| payments.all.get(&id)) else { continue };
        let hash = entry.transaction_hash.clone().unwrap_or_default();
        // One without a final transfer is counted as wrong already.
        let Some(block) = blocks.get(&(hash, off_ramp.deposit_address)) else { continue };
        if !world.life.may_be_final(*block, entry.received_at) {
            report.violate("early", format!("{} was completed before block {block} was final", off_ramp.id));
        }
    }
}

/// Nothing is open without a named reason.
fn judge_ends(transfers: &[Transfer], payments: &Payments, left: &Left, report: &mut Report) {
    for (id, off_ramp) in &payments.all {
        let paid = transfers.iter().any(|transfer| pays(transfer, off_ramp));
        match left.payments.get(id).map(|payment| &payment.state) {
            Some(PaymentState::Ended { .. } | PaymentState::Review { .. }) => {}
            // Nobody paid it, or otherwise than was asked: that is said of the deposit.
            Some(PaymentState::Waiting) if !paid => {}
            other => report.violate("stuck", format!("{id} is {other:?} at the end")),
        }
    }
    for deposit in left.deposits.values() {
        match (deposit.standing, &deposit.verdict) {
            (BlockStatus::Gone { after_final: true }, _) => {
                report.violate("early", format!("{} was taken for final, and is gone", deposit.key));
            }
            (BlockStatus::Final { .. }, Verdict::Unjudged) => {
                report.violate("stuck", format!("{} is final, and nobody says what it is", deposit.key));
            }
            _ => {}
        }
    }
}
