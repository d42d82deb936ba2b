//! Which coverage was stored lately, so that whoever knows all of it learns what has changed without reading all again.
//!
//! It lies in memory only and is bounded: it is a short way, never the truth. Deliberately absent: the records.

use std::collections::VecDeque;

use crate::domain::chain::Address;

/// How many changes are remembered. An address that changes often is remembered as often.
const MOST: usize = 65_536;

/// One change: which commit with coverage it was, counted from the opening; whose coverage; the version stored.
type Change = (u64, Address, u64);

/// The latest changes of coverage.
#[derive(Debug, Default)]
pub(super) struct Journal {
    changes: VecDeque<Change>,
    /// Changes of commits up to and including this one are not all remembered.
    forgotten: u64,
}

impl Journal {
    /// Notes what was stored up to the `count`th commit with coverage. Counts never fall.
    pub(super) fn note(&mut self, count: u64, stored: impl IntoIterator<Item = (Address, u64)>) {
        for (address, version) in stored {
            if self.changes.len() >= MOST
                && let Some((oldest, ..)) = self.changes.pop_front()
            {
                self.forgotten = oldest;
            }
            self.changes.push_back((count, address, version));
        }
    }

    /// All changes of commits after the `count`th, the oldest first; `None` when some are forgotten.
    pub(super) fn since(&self, count: u64) -> Option<Vec<(Address, u64)>> {
        if count < self.forgotten {
            return None;
        }
        let first = self.changes.partition_point(|(number, ..)| *number <= count);
        Some(self.changes.range(first..).map(|(_, address, version)| (*address, *version)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u64) -> Address {
        Address::left_padding_from(&n.to_be_bytes())
    }

    #[test]
    fn what_is_forgotten_is_said_to_be() {
        let mut journal = Journal::default();
        assert_eq!(journal.since(0), Some(vec![]));
        journal.note(3, [(address(1), 1), (address(2), 1)]);
        journal.note(4, [(address(1), 2)]);
        assert_eq!(journal.since(0), Some(vec![(address(1), 1), (address(2), 1), (address(1), 2)]));
        assert_eq!(journal.since(3), Some(vec![(address(1), 2)]));
        assert_eq!(journal.since(4), Some(vec![]));
        journal.note(5, (0..MOST as u64 - 3).map(|n| (address(n), 7)));
        assert_eq!(journal.since(2).map(|all| all.len()), Some(MOST), "just as many as are remembered");
        journal.note(6, [(address(9), 9)]);
        assert_eq!(journal.since(2), None, "one of the third commit's is gone");
        assert_eq!(journal.since(3).map(|all| all.len()), Some(MOST - 1), "all after it are there");
        journal.note(7, (0..MOST as u64).map(|n| (address(n), 8)));
        assert_eq!(journal.since(5), None, "the sixth commit's is gone");
        assert_eq!(journal.since(6).map(|all| all.len()), Some(MOST), "all of the seventh's are there, and no others");
        journal.note(7, [(address(9), 10)]);
        assert_eq!(journal.since(6), None, "the seventh's last pushed out its first");
        assert_eq!(journal.since(7), Some(vec![]));
    }
}
