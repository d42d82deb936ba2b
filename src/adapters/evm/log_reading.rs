//! Reads an answer to `eth_getLogs`: one log that can't be read, or two that contradict each other, take nothing away from
//! those beside them.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256};
use alloy::rpc::types::Log;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::chain::{BlockNumber, BlockRef, Transfer};
use crate::ports::chain::Flaws;

use super::decode::{Decoded, Owner, Side, Wanted, decode, owner, read_log};
use super::failure::Failure;
use super::rpc;

/// More malformed logs than this are not told one by one.
pub(super) const MAX_MALFORMED: usize = 100;

/// The most of a log that can't be read is shown, in characters.
const SHOWN: usize = 160;

/// What an answer holds.
#[derive(Debug, Default)]
pub(super) struct Logs {
    /// The transfers that were asked for, by block, log index and transaction.
    pub(super) transfers: Vec<Transfer>,
    /// What is wrong with logs that are no transfers.
    pub(super) malformed: Vec<String>,
    /// What can't be read, or contradicts itself.
    pub(super) flaws: Flaws,
    /// What comes of two moments: a block with two hashes. Asked again, it is most likely over.
    pub(super) torn: Flaws,
    /// How many logs were not asked for, or taken back.
    pub(super) foreign: usize,
}

/// Reads the logs that were `wanted`, as the node that gave `anchor` has them.
///
/// # Errors
/// The answer is no list.
pub(super) fn read(answer: &RawValue, wanted: &Wanted<'_>, anchor: BlockRef) -> Result<Logs, Failure> {
    let mut logs = Logs::default();
    // One after the other: all of them at once would take several times the memory of what is kept.
    let all = rpc::read_each(answer, "a list of logs", |log: Log| {
        logs.take(decode(&log, wanted));
        Ok(())
    });
    if all.is_err() {
        logs = Logs::default();
        rpc::read_each(answer, "a list of logs", |log: Box<RawValue>| {
            match read_log(&log) {
                Ok(log) => logs.take(decode(&log, wanted)),
                Err(error) => logs.cannot_read(&log, &error.to_string(), wanted),
            }
            Ok(())
        })?;
    }
    logs.mend(anchor, wanted.side);
    Ok(logs)
}

impl Logs {
    fn take(&mut self, decoded: Decoded) {
        match decoded {
            Decoded::Transfer(transfer) => self.transfers.push(transfer),
            Decoded::Malformed(why) if self.malformed.len() < MAX_MALFORMED => self.malformed.push(why),
            Decoded::Malformed(_) => {}
            Decoded::Foreign => self.foreign = self.foreign.saturating_add(1),
            Decoded::Placeless(account) => {
                let why = format!("a log of a transfer of {account} lacks its block, transaction or index");
                self.flaws.of.entry(account).or_insert(why);
            }
        }
    }

    fn cannot_read(&mut self, log: &RawValue, error: &str, wanted: &Wanted<'_>) {
        let value = serde_json::from_str(log.get()).unwrap_or(Value::Null);
        let shown: String = log.get().chars().take(SHOWN).collect();
        let why = || format!("a log can't be read ({error}): {shown}");
        match owner(&value, wanted) {
            Some(Owner::One(account)) => drop(self.flaws.of.entry(account).or_insert_with(why)),
            Some(Owner::Anybody) => drop(self.flaws.of_all.get_or_insert_with(why)),
            None => self.foreign = self.foreign.saturating_add(1),
        }
    }

    /// Takes out what contradicts itself.
    fn mend(&mut self, anchor: BlockRef, side: Side) {
        let mut hashes = BTreeMap::from([(anchor.number, anchor.hash)]);
        let mut torn: BTreeSet<BlockNumber> = BTreeSet::new();
        for transfer in &self.transfers {
            let BlockRef { number, hash } = transfer.block;
            if *hashes.entry(number).or_insert(hash) != hash {
                torn.insert(number);
            }
        }
        if !torn.is_empty() {
            for transfer in self.transfers.extract_if(.., |transfer| torn.contains(&transfer.block.number)) {
                let why = format!("block {} has two hashes in one answer", transfer.block.number);
                self.torn.of.entry(account_of(&transfer, side)).or_insert(why);
            }
        }
        self.flaws.extend(in_order(&mut self.transfers, side));
    }
}

/// Whose transfer it was asked for as.
const fn account_of(transfer: &Transfer, side: Side) -> Address {
    match side {
        Side::To => transfer.to,
        Side::From => transfer.from,
    }
}

/// Puts transfers in the order of the chain, each once. A transaction whose logs say different things under one index
/// contradicts itself: they are taken out, and it is said whose they were. Two transactions may share an index: nodes number
/// logs by block or, wrongly, by transaction, and the transaction tells them apart.
pub(super) fn in_order(transfers: &mut Vec<Transfer>, side: Side) -> Flaws {
    let place = |it: &Transfer| (it.block.number, it.log_index, it.tx_hash, it.block.hash);
    transfers.sort_by_key(place);
    // One place, one transfer; when the block was made is not what it is.
    let what = |it: &Transfer| (it.token, it.from, it.to, it.amount);
    let mut twice: BTreeSet<(B256, B256, u64)> = BTreeSet::new();
    for (one, other) in transfers.iter().zip(transfers.iter().skip(1)) {
        if place(one) == place(other) && what(one) != what(other) {
            twice.insert((one.block.hash, one.tx_hash, one.log_index));
        }
    }
    let mut flaws = Flaws::default();
    if !twice.is_empty() {
        let is_one = |it: &mut Transfer| twice.contains(&(it.block.hash, it.tx_hash, it.log_index));
        for it in transfers.extract_if(.., is_one) {
            let (index, hash) = (it.log_index, it.tx_hash);
            let why = format!("transaction {hash} has two different logs with the index {index}");
            flaws.of.entry(account_of(&it, side)).or_insert(why);
        }
    }
    transfers.dedup_by_key(|it| place(it));
    flaws
}

#[cfg(test)]
#[path = "log_reading_tests.rs"]
mod tests;
