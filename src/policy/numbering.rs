//! Which of the transfers that a node tells is which of those that are known. Nodes number a block's logs by block or, wrongly,
//! by transaction (erigontech/erigon#17249, 0xPolygon/erigon#97), and two endpoints may do it differently: a transfer is told from
//! others by its block, its transaction and what it moves, and its number counts only among those that are alike in all of that.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::amount::Amount;
use crate::domain::chain::{Address, B256, Transfer};
use crate::domain::deposit::Deposit;

type Alike = (B256, B256, Address, Address, Address, Amount);

fn alike(it: &Transfer) -> Alike {
    (it.block.hash, it.tx_hash, it.token, it.from, it.to, it.amount)
}

/// The number under which each of these is known; `None` where none is left. Of those that are alike, as many as are known have one,
/// their own where it is among them.
fn known_numbers(told: &[Transfer], known: impl Iterator<Item = (Alike, u64)>) -> Vec<Option<u64>> {
    let told_alike: Vec<Alike> = told.iter().map(alike).collect();
    // Only what is told can be renumbered, and it is little beside what is known.
    let mut free: BTreeMap<Alike, BTreeSet<u64>> = told_alike.iter().map(|alike| (*alike, BTreeSet::new())).collect();
    for (alike, number) in known {
        if let Some(numbers) = free.get_mut(&alike) {
            numbers.insert(number);
        }
    }
    let own = |(it, alike): (&Transfer, &Alike)| {
        let has_it = free.get_mut(alike).is_some_and(|numbers| numbers.remove(&it.log_index));
        has_it.then_some(it.log_index)
    };
    let own: Vec<Option<u64>> = told.iter().zip(&told_alike).map(own).collect();
    let or_other = |(own, alike): (Option<u64>, &Alike)| own.or_else(|| free.get_mut(alike)?.pop_first());
    own.into_iter().zip(&told_alike).map(or_other).collect()
}

/// Gives transfers the numbers under which they are known, so that one that is known is not taken for another one. Those that are
/// not keep what they have.
pub fn as_known<'a>(told: &mut [Transfer], known: impl IntoIterator<Item = &'a Deposit>) {
    let known = known.into_iter().map(|it| {
        let alike = (it.key.block_hash, it.key.tx_hash, it.token, it.from, it.to, it.amount);
        (alike, it.key.log_index)
    });
    let numbers = known_numbers(told, known);
    for (transfer, number) in told.iter_mut().zip(numbers) {
        transfer.log_index = number.unwrap_or(transfer.log_index);
    }
}

/// Those of one reading that another one of the same range has not.
#[must_use]
pub fn missing_from(one: &[Transfer], other: &[Transfer]) -> Vec<Transfer> {
    let numbers = known_numbers(one, other.iter().map(|it| (alike(it), it.log_index)));
    one.iter().zip(numbers).filter(|(_, number)| number.is_none()).map(|(it, _)| *it).collect()
}

/// What two readings of one range show together: every transfer that either has.
#[must_use]
pub fn together(mut one: Vec<Transfer>, other: &[Transfer]) -> Vec<Transfer> {
    one.extend(missing_from(other, &one));
    one.sort_by_key(|it| (it.block.number, it.log_index));
    one
}
