//! Where the newest deposit of each address is.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::chain::{Address, BlockNumber};

/// The block of the newest deposit of each address that has any.
#[derive(Debug, Default)]
pub(super) struct NewestDeposits {
    newest: BTreeMap<Address, BlockNumber>,
    by_block: BTreeSet<(BlockNumber, Address)>,
}

impl NewestDeposits {
    /// There is a deposit to the address in this block.
    pub(super) fn note(&mut self, address: Address, block: BlockNumber) {
        let known = self.newest.get(&address).copied();
        if known.is_some_and(|known| known >= block) {
            return;
        }
        if let Some(known) = known {
            self.by_block.remove(&(known, address));
        }
        self.newest.insert(address, block);
        self.by_block.insert((block, address));
    }

    /// The addresses with a deposit in this block or above it.
    pub(super) fn from(&self, block: BlockNumber) -> impl Iterator<Item = Address> + '_ {
        self.by_block.range((block, Address::ZERO)..).map(|(_, address)| *address)
    }
}
