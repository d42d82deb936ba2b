//! The end: everything settles, and is compared with the chain's own logs and the fake API's journal.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alloy::primitives::{Address, B256, U64, U256, keccak256};
use rampwatch::domain::deposit::DepositKey;
use rampwatch::domain::payment::{Outcome as Ending, PaymentState};
use rampwatch::sandbox::fake_api::{Call, OffRamp};
use rampwatch::sandbox::{BlockTag, CHAIN_ID, Operator, Sandbox, SandboxError, USDC, USDC_E};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::autopsy::Left;
use super::load::Book;
use super::{Outcome, Report};

/// How often it is looked whether everything has settled.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// A transfer as the chain itself has it.
pub(crate) struct Transfer {
    pub(crate) key: DepositKey,
    pub(crate) block: u64,
    pub(crate) token: Address,
    pub(crate) to: Address,
    pub(crate) amount: U256,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    address: Address,
    topics: Vec<B256>,
    data: B256,
    block_hash: B256,
    block_number: U64,
    transaction_hash: B256,
    log_index: U64,
}

/// All final transfers of the watched tokens since the chain's beginning.
pub(crate) async fn final_transfers(sandbox: &Sandbox) -> Outcome<Vec<Transfer>> {
    let node = sandbox.anvil().node();
    let last = node.existing_block(BlockTag::Finalized).await?.header.block.number;
    let filter = json!([{
        "fromBlock": "0x0",
        "toBlock": format!("{last:#x}"),
        "address": [USDC, USDC_E],
        "topics": [keccak256("Transfer(address,address,uint256)")],
    }]);
    let logs = node.call("eth_getLogs", filter).await?;
    let logs: Vec<Log> = serde_json::from_value(logs).unwrap();
    let transfer = |log: Log| Transfer {
        key: DepositKey {
            chain_id: CHAIN_ID,
            block_hash: log.block_hash,
            tx_hash: log.transaction_hash,
            log_index: log.log_index.to(),
        },
        block: log.block_number.to(),
        token: log.address,
        to: Address::from_word(log.topics[2]),
        amount: log.data.into(),
    };
    Ok(logs.into_iter().map(transfer).collect())
}

/// Whether a transfer is what an off-ramp asks for.
pub(crate) fn pays(transfer: &Transfer, off_ramp: &OffRamp) -> bool {
    transfer.token == USDC
        && transfer.to == off_ramp.deposit_address
        && transfer.amount == U256::from(off_ramp.amount.base_units())
}

/// Waits until every payment that has its money is completed at the API, and ended at rampwatch.
pub(crate) async fn settle(sandbox: &Sandbox, operator: &Operator, book: &Book, limit: Duration) -> Outcome<()> {
    let until = Instant::now() + limit;
    // What was sent last has to become final first.
    let head = sandbox.anvil().node().head().await?;
    sandbox.anvil().node().final_at(head + 1, limit).await?;
    let transfers = final_transfers(sandbox).await?;
    let funded: Vec<&OffRamp> =
        book.values().filter(|off_ramp| transfers.iter().any(|transfer| pays(transfer, off_ramp))).collect();
    loop {
        let rows = operator.payments().await?;
        let ended: BTreeSet<_> = rows.iter().filter(|row| row.state.name == "ended").map(|row| &row.id).collect();
        let waits: Vec<&str> = funded
            .iter()
            .filter(|off_ramp| !ended.contains(&off_ramp.id))
            .map(|off_ramp| off_ramp.id.as_str())
            .collect();
        if waits.is_empty() {
            return Ok(());
        }
        if Instant::now() >= until {
            let what = format!("{} payments completed, {} for example", waits.len(), waits[0]);
            return Err(SandboxError::TooLate { what, seconds: limit.as_secs() });
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Counts what the last line tells.
pub(crate) async fn judge(sandbox: &Sandbox, book: &Book, left: &Left, report: &mut Report) -> Outcome<()> {
    let transfers = final_transfers(sandbox).await?;
    let addresses: BTreeSet<Address> = book.values().map(|off_ramp| off_ramp.deposit_address).collect();
    for transfer in transfers.iter().filter(|transfer| addresses.contains(&transfer.to)) {
        let kept = left.deposits.get(&transfer.key);
        if !kept.is_some_and(|deposit| deposit.stands() && deposit.block_number == transfer.block) {
            report.lost += 1;
            report
                .details
                .push(format!("lost: {} is final on the chain, and does not stand in the store", transfer.key));
        }
    }
    let mut by_transaction: BTreeMap<String, Vec<&Transfer>> = BTreeMap::new();
    for transfer in &transfers {
        by_transaction.entry(transfer.key.tx_hash.to_string()).or_default().push(transfer);
    }
    for entry in sandbox.fake_api().journal().iter().filter(|entry| entry.call == Call::Complete && entry.acted) {
        let off_ramp = book.values().find(|off_ramp| Some(off_ramp.id.as_str()) == entry.payment.as_deref());
        let hash = entry.transaction_hash.clone().unwrap_or_default();
        let its = by_transaction.get(&hash).map(Vec::as_slice).unwrap_or_default();
        if !off_ramp.is_some_and(|off_ramp| its.iter().any(|transfer| pays(transfer, off_ramp))) {
            report.wrong += 1;
            report.details.push(format!("wrong: {:?} was completed with {hash}", entry.payment));
        }
    }
    for off_ramp in sandbox.fake_api().off_ramps() {
        let tally = off_ramp.tally;
        let once = tally.accepted <= 1 && tally.calls_after_accepted == 0;
        if !once {
            report.doubled += 1;
            report.details.push(format!("doubled: {} ({tally:?})", off_ramp.id));
        }
        let ended = left
            .payments
            .get(&off_ramp.id)
            .is_some_and(|payment| matches!(payment.state, PaymentState::Ended { outcome: Ending::Completed, .. }));
        let completed = off_ramp.status == "COMPLETED" && ended;
        if completed && once && tally.accepted == 1 {
            report.completed += 1;
        }
        let funded = transfers.iter().any(|transfer| pays(transfer, &off_ramp));
        if funded && !completed {
            report.missing += 1;
            let state = left.payments.get(&off_ramp.id).map(|payment| payment.state.name());
            report.details.push(format!("missing: {} is {} and {state:?}", off_ramp.id, off_ramp.status));
        }
    }
    Ok(())
}
