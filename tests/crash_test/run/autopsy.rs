//! What a killed process left behind: the store is opened as the next start would, read, and closed again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rampwatch::adapters::sled::{Settings, SledStore, check};
use rampwatch::domain::deposit::{Deposit, DepositKey};
use rampwatch::domain::payment::{Payment, PaymentId, PaymentState};
use rampwatch::ports::store::{Store, StoreError};
use rampwatch::sandbox::SandboxError;
use rampwatch::sandbox::fake_api::{Call, Entry};

use super::{Outcome, Report};

/// Every kind of step that a process can be killed in, as far as the store and the API's journal tell. Several at once
/// are the rule: each payment is in a step of its own.
pub(crate) const KINDS: [&str; 10] = [
    "starting",
    "adding",
    "waiting",
    "seen",
    "due",
    "calling, not arrived",
    "calling, arrived, not acted upon",
    "calling, acted upon, not recorded",
    "unclear",
    "following",
];

/// How many records are read at once.
const PAGE: usize = 500;

/// What is in a store.
#[derive(Default)]
pub(crate) struct Left {
    pub(crate) payments: BTreeMap<PaymentId, Payment>,
    pub(crate) deposits: BTreeMap<DepositKey, Deposit>,
}

fn failed(error: &StoreError) -> SandboxError {
    SandboxError::Outcome(format!("the store that was left behind: {error}"))
}

/// Looks through the whole store in this folder: no kill may leave anything in it that should not be there.
pub(crate) async fn sound(path: &Path) -> Outcome<()> {
    let folder = path.to_owned();
    let checked = tokio::task::spawn_blocking(move || check(&folder)).await.unwrap();
    let checked = checked.map_err(|error| SandboxError::Outcome(format!("the store that was left behind: {error}")))?;
    match checked.findings.first() {
        None => Ok(()),
        Some(first) => Err(SandboxError::Outcome(format!(
            "the store that was left behind has {} findings: {}: {}",
            checked.findings.len(),
            first.key,
            first.what
        ))),
    }
}

/// Reads the store in this folder. One that was never made is empty.
pub(crate) async fn open(path: &Path) -> Outcome<Left> {
    if !path.exists() {
        return Ok(Left::default());
    }
    let folder = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || SledStore::open(&folder, &Settings::default())).await.unwrap();
    let store =
        opened.map_err(|error| SandboxError::Outcome(format!("the store cannot be opened after a kill: {error}")))?;
    let left = read(&store).await?;
    // Closing waits for the disk.
    tokio::task::spawn_blocking(move || drop(store)).await.unwrap();
    sound(path).await?;
    Ok(left)
}

/// Reads all payments and deposits of a store.
pub(crate) async fn read(store: &dyn Store) -> Outcome<Left> {
    let mut left = Left::default();
    let mut after = None;
    loop {
        let page = store.payments(after.as_ref(), PAGE).await.map_err(|error| failed(&error))?;
        after = page.last().map(|payment| payment.id.clone());
        let last = page.len() < PAGE;
        left.payments.extend(page.into_iter().map(|payment| (payment.id.clone(), payment)));
        if last {
            break;
        }
    }
    let mut after = None;
    loop {
        let page = store.deposits(after.as_ref(), PAGE).await.map_err(|error| failed(&error))?;
        after = page.last().map(|deposit| deposit.key);
        let last = page.len() < PAGE;
        left.deposits.extend(page.into_iter().map(|deposit| (deposit.key, deposit)));
        if last {
            break;
        }
    }
    Ok(left)
}

/// The kinds of step that the payments in the store were in.
pub(crate) fn kinds(left: &Left, journal: &[Entry]) -> BTreeSet<&'static str> {
    let mut calls: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in journal.iter().filter(|entry| entry.call == Call::Complete) {
        calls.entry(entry.payment.as_deref().unwrap_or_default()).or_default().push(entry);
    }
    let kind = |payment: &Payment| match &payment.state {
        PaymentState::Waiting => Some("waiting"),
        PaymentState::Seen { .. } => Some("seen"),
        PaymentState::Due { .. } => Some("due"),
        PaymentState::Calling { started_at, .. } => {
            // Both clocks are this computer's.
            let its = calls.get(payment.id.as_str()).and_then(|calls| calls.last());
            match its.filter(|call| call.received_at >= *started_at) {
                None => Some("calling, not arrived"),
                Some(call) if call.acted => Some("calling, acted upon, not recorded"),
                Some(_) => Some("calling, arrived, not acted upon"),
            }
        }
        PaymentState::Unclear { .. } => Some("unclear"),
        PaymentState::Following { .. } => Some("following"),
        PaymentState::Ended { .. } | PaymentState::Review { .. } => None,
    };
    left.payments.values().filter_map(kind).collect()
}

/// What was in the store after earlier kills.
#[derive(Default)]
pub(crate) struct Memory {
    payments: BTreeSet<PaymentId>,
    deposits: BTreeSet<DepositKey>,
    ended: BTreeSet<PaymentId>,
}

impl Memory {
    /// Whatever was there must still be there, and what had ended must stay ended.
    pub(crate) fn compare(&mut self, left: &Left, report: &mut Report) {
        let mut gone = Vec::new();
        gone.extend(
            self.payments.iter().filter(|id| !left.payments.contains_key(*id)).map(|id| format!("payment {id}")),
        );
        gone.extend(
            self.deposits.iter().filter(|key| !left.deposits.contains_key(*key)).map(|key| format!("deposit {key}")),
        );
        report.lost += gone.len();
        report
            .details
            .extend(gone.into_iter().map(|what| format!("lost: {what} was in the store, and is not any more")));
        let has_ended = |id: &&PaymentId| left.payments.get(*id).is_some_and(|payment| payment.state.is_ended());
        let undone = self.ended.iter().filter(|id| !has_ended(id));
        report.details.extend(undone.map(|id| format!("payment {id} had ended, and has not any more")));
        self.payments = left.payments.keys().cloned().collect();
        self.deposits = left.deposits.keys().copied().collect();
        self.ended = left
            .payments
            .values()
            .filter(|payment| payment.state.is_ended())
            .map(|payment| payment.id.clone())
            .collect();
    }

    /// Whatever was acknowledged must be there.
    pub(crate) fn acknowledged(&self, acknowledged: &BTreeSet<PaymentId>, left: &Left, report: &mut Report) {
        for id in acknowledged.iter().filter(|id| !left.payments.contains_key(*id)) {
            report.lost += 1;
            report.details.push(format!("lost: payment {id} was acknowledged, and is not in the store"));
        }
    }
}
