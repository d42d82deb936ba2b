//! Whether a recipient's payments come with a deposit address each, or with the same ones again.

use serde::{Deserialize, Serialize};

use super::payment::RecipientId;

/// What a recipient's payments came with so far. At most one of the counts is above zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressTally {
    /// Whose payments they are.
    pub recipient: RecipientId,
    /// How many of them in a row, up to the last, came with an address that no payment had before.
    pub fresh: u32,
    /// How many of them in a row, up to the last, came with an address that the recipient had before.
    pub repeated: u32,
}

/// How an address breaks the pattern of the payments before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PatternBreak {
    /// Every payment had an address of its own, and this address was there before.
    RepeatedAmongFresh,
    /// The same addresses came again and again, and this one is new.
    NewAmongFixed,
}
