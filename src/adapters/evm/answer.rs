//! The answer to `eth_getLogs`, read as the sweep reads it, without a node: what `make bench` measures.

use alloy::rpc::types::Log;
use serde_json::value::RawValue;

use super::decode::{Decoded, Side, Wanted, decode};
use super::rpc;
use crate::domain::chain::Transfer;
use crate::ports::chain::TransferQuery;

/// The transfers that answer the query, among the logs of `answer`, in their order. The query's recipients are sorted.
///
/// # Errors
/// The answer is no list of logs, or a log does not say where it stands; in words.
pub fn read_transfers(answer: &RawValue, query: &TransferQuery) -> Result<Vec<Transfer>, String> {
    let logs: Vec<Log> = rpc::read(answer, "a list of logs").map_err(|failure| failure.text)?;
    let wanted =
        Wanted { from: query.from, to: query.to, tokens: &query.tokens, accounts: &query.recipients, side: Side::To };
    let mut transfers = Vec::new();
    for log in &logs {
        match decode(log, &wanted) {
            Decoded::Transfer(transfer) => transfers.push(transfer),
            Decoded::Foreign | Decoded::Malformed(_) => {}
            Decoded::Placeless(account) => return Err(format!("a transfer to {account} does not say where it stands")),
        }
    }
    Ok(transfers)
}
