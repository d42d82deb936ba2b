//! What the lying operator has said so far, so that what it says next fits; and what has really left the process.

use std::collections::{BTreeMap, BTreeSet};

use rampwatch::domain::chain::{B256, BlockRef, Header, Transfer};
use rampwatch::domain::payment::PaymentId;
use rampwatch::domain::time::{Span, Timestamp};

use super::super::chain::View;
use super::super::wallet::bytes::Signed;

/// A transaction of the wallet that was broadcast once.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// What it says.
    pub(crate) signed: Signed,
    /// For which payment it was.
    pub(crate) payment: PaymentId,
    /// It was broadcast before an older copy of the store came back that does not know it.
    pub(crate) is_forgotten: bool,
}

/// A chain of its own, on top of a block of the true one.
#[derive(Clone, Debug)]
pub(crate) struct Fork {
    /// What was true when it began.
    pub(crate) base: View,
    /// The last block that is true.
    pub(crate) root: Header,
    /// When it began.
    pub(crate) began: Timestamp,
    /// In which time it is shown.
    pub(crate) shown: (Span, Span),
    /// The transfers in its own blocks.
    pub(crate) transfers: Vec<Transfer>,
}

/// What was said, and what was sent.
#[derive(Default)]
pub(crate) struct Told {
    /// All that ever left the process, by its hash.
    pub(crate) sent: BTreeMap<B256, Sent>,
    /// In which block a transaction is said to be that is in none, and whether it is said to have succeeded.
    pub(crate) placed: BTreeMap<B256, (BlockRef, bool)>,
    /// The transfers that are said to have failed.
    pub(crate) hidden: BTreeSet<B256>,
    /// The invented blocks.
    pub(crate) fork: Option<Fork>,
    /// The invented deposits that were told, by their transaction.
    pub(crate) invented: BTreeSet<B256>,
    /// Whether the bound after the last lie was looked at.
    pub(crate) looked_after: bool,
}
