//! What the fake API received and what it made of it.

use serde::{Deserialize, Serialize};

use super::fault::Call;
use crate::domain::time::Timestamp;

/// The most calls that are kept one by one. The tallies in the book go on counting.
const MAX_ENTRIES: usize = 200_000;

/// One call received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Counted from 1.
    pub number: u64,
    /// When it was received, by this computer's clock.
    pub received_at: Timestamp,
    pub call: Call,
    /// The HTTP method.
    pub method: String,
    pub path: String,
    /// The payment it names.
    pub payment: Option<String>,
    /// The transaction hash it bears, as it came.
    pub transaction_hash: Option<String>,
    /// The fault that struck it.
    pub fault: Option<String>,
    /// Whether it changed anything: a payment completed or created, a quote given, a webhook registered or changed.
    pub acted: bool,
    /// The status answered; `None` when no answer was sent (yet).
    pub status: Option<u16>,
}

/// All calls, in the order received.
#[derive(Debug, Default)]
pub(super) struct Journal {
    entries: Vec<Entry>,
    received: u64,
}

impl Journal {
    /// Notes a call, and gives it its number.
    pub(super) fn note(&mut self, mut entry: Entry) -> u64 {
        self.received = self.received.saturating_add(1);
        entry.number = self.received;
        if self.entries.len() < MAX_ENTRIES {
            self.entries.push(entry);
        }
        self.received
    }

    /// Changes the entry with this number, if it is kept.
    pub(super) fn amend(&mut self, number: u64, change: impl FnOnce(&mut Entry)) {
        let index = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        if let Some(entry) = self.entries.get_mut(index) {
            change(entry);
        }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many calls were received in all.
    pub(super) const fn received(&self) -> u64 {
        self.received
    }
}
