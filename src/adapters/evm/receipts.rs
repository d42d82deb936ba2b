//! What became of transactions: their receipts, each with the head that the node had before it looked.
//!
//! Deliberately absent: judging them. A receipt says what one node holds for the truth now; whether the block is final
//! is asked elsewhere.

use std::sync::Arc;

use alloy::primitives::{B256, U64, U128};
use alloy::rpc::types::Log;
use futures_util::FutureExt as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::domain::chain::{BlockRef, Transfer};
use crate::domain::plausibility::Shown;
use crate::domain::time::Timestamp;
use crate::domain::wallet::Receipt;
use crate::domain::wei::Wei;
use crate::ports::chain::ChainError;
use crate::ports::sender::{EndpointAnswer, Receipts};

use super::abilities::Ability;
use super::decode::{TRANSFER, is_of_another_event, parts, read_log};
use super::endpoint::Endpoint;
use super::failure::Failure;
use super::pool::Pool;
use super::reads::next;
use super::rpc::{self, Ask};
use super::spread;

/// So many receipts are asked for in one batch. A larger batch would be refused by some providers, and then no batch at
/// all would be tried there for a while.
const AT_ONCE: usize = 20;

/// What one endpoint says of these transactions.
pub(super) async fn first(pool: &Pool, hashes: &[B256]) -> Result<Receipts, ChainError> {
    let hashes: Arc<[B256]> = hashes.into();
    let ask = |endpoint: Arc<Endpoint>| {
        let hashes = Arc::clone(&hashes);
        async move { receipts_at(pool, &endpoint, &hashes).await }.boxed()
    };
    spread::first(pool, Ability::Receipts, ask, |receipts: &Receipts| Some(receipts.head)).await
}

/// What every endpoint says of these transactions.
pub(super) async fn everywhere(pool: &Pool, hashes: &[B256]) -> Vec<EndpointAnswer<Result<Receipts, ChainError>>> {
    let hashes: Arc<[B256]> = hashes.into();
    let ask = |endpoint: Arc<Endpoint>| {
        let hashes = Arc::clone(&hashes);
        async move { receipts_at(pool, &endpoint, &hashes).await }.boxed()
    };
    spread::everywhere(pool, Ability::Receipts, ask).await
}

/// The head is asked for first in each batch, and the lowest counts: behind a balancer each batch may come from another
/// node. One receipt that it cannot give takes nothing away from the others; if it gives none, it has failed.
async fn receipts_at(pool: &Pool, endpoint: &Endpoint, hashes: &[B256]) -> Result<Receipts, Failure> {
    let mut head: Option<u64> = None;
    let (mut receipts, mut failed) = (Vec::new(), None);
    let empty: &[B256] = &[];
    let batches = hashes.chunks(AT_ONCE).chain(hashes.is_empty().then_some(empty));
    for batch in batches {
        let asks: Vec<Ask> = std::iter::once(Ask::new("eth_blockNumber", json!([])))
            .chain(batch.iter().map(|hash| ask_for(*hash).that_may_fail()))
            .collect();
        let mut answers = endpoint.ask(&asks).await?.into_iter();
        let number = rpc::read::<U64>(&next(&mut answers)?, "a block number")?.to();
        pool.believe(endpoint, Shown { number, time: None })?;
        head = Some(head.map_or(number, |lowest| lowest.min(number)));
        for hash in batch {
            let receipt = match next(&mut answers).and_then(|answer| read(&answer, *hash)) {
                Err(failure) if !failure.is_about_the_question() => return Err(failure),
                Err(failure) => Err(failed.insert(failure).text.clone()),
                Ok(receipt) => Ok(receipt),
            };
            receipts.push(receipt);
        }
    }
    if let Some(failure) = failed {
        if receipts.iter().all(Result::is_err) {
            return Err(failure);
        }
        endpoint.failed(Ability::Receipts, &failure);
    }
    Ok(Receipts { endpoint: endpoint.id, head: head.unwrap_or_default(), receipts })
}

/// The question for a transaction's receipt.
pub(super) fn ask_for(tx_hash: B256) -> Ask {
    Ask::new("eth_getTransactionReceipt", json!([tx_hash]))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawReceipt {
    transaction_hash: B256,
    block_hash: Option<B256>,
    block_number: Option<U64>,
    status: Option<U64>,
    // Some nodes leave these out, or write them in their own way; what it cost is no part of what happened.
    gas_used: Option<Value>,
    effective_gas_price: Option<Value>,
    logs: Vec<Box<RawValue>>,
}

/// Reads a receipt; `None` when there is none, or the transaction is in no block.
pub(super) fn read(answer: &RawValue, hash: B256) -> Result<Option<Receipt>, Failure> {
    let Some(raw) = rpc::read::<Option<RawReceipt>>(answer, "a receipt")? else { return Ok(None) };
    if raw.transaction_hash != hash {
        let said = raw.transaction_hash;
        return Err(Failure::unreadable(format!("the receipt of {said} came, where that of {hash} was asked for")));
    }
    let block = match (raw.block_number, raw.block_hash) {
        (Some(number), Some(hash)) => BlockRef { number: number.to(), hash },
        _ => return Ok(None),
    };
    let succeeded = match raw.status.map(|status| status.to::<u64>()) {
        Some(0) => false,
        Some(1) => true,
        other => return Err(Failure::unreadable(format!("the receipt of {hash} has the status {other:?}"))),
    };
    let mut transfers = Vec::new();
    for log in &raw.logs {
        match read_log(log) {
            Ok(log) => transfers.extend(transfer(&log, hash, block)?),
            // What another contract's log looks like is nothing to us.
            Err(_) if is_of_another_event(log) => {}
            Err(error) => {
                return Err(Failure::unreadable(format!("a log in the receipt of {hash} cannot be read ({error})")));
            }
        }
    }
    let quantity = |value: Option<Value>| value.and_then(|value| serde_json::from_value::<U128>(value).ok());
    let gas_used = quantity(raw.gas_used).and_then(|gas| u64::try_from(gas).ok());
    let gas_price = quantity(raw.effective_gas_price).map(|price| Wei::new(price.to()));
    Ok(Some(Receipt { tx_hash: hash, block, succeeded, transfers, gas_used, gas_price }))
}

/// The transfer that a log tells of; `None` for all other logs. Where it stands is the receipt's to say; a log that
/// says otherwise makes the whole receipt worth nothing.
fn transfer(log: &Log, tx_hash: B256, block: BlockRef) -> Result<Option<Transfer>, Failure> {
    if log.topics().first() != Some(&TRANSFER) {
        return Ok(None);
    }
    let elsewhere = log.removed
        || log.transaction_hash.is_some_and(|hash| hash != tx_hash)
        || log.block_hash.is_some_and(|hash| hash != block.hash)
        || log.block_number.is_some_and(|number| number != block.number);
    let (Some(log_index), false) = (log.log_index, elsewhere) else {
        return Err(Failure::unreadable(format!("a log in the receipt of {tx_hash} is not that transaction's")));
    };
    let Ok((from, to, amount)) = parts(log) else { return Ok(None) };
    Ok(Some(Transfer {
        block,
        block_time: log.block_timestamp.map(Timestamp::from_secs),
        tx_hash,
        log_index,
        token: log.address(),
        from,
        to,
        amount,
    }))
}

#[cfg(test)]
#[path = "receipts_tests.rs"]
mod tests;
