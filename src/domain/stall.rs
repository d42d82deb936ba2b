//! What can stand still although everybody answers.

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

/// Something that should move, and does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr)]
#[strum(const_into_str, serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Stall {
    /// The chain's newest block stays the same.
    Head,
    /// The final block stays the same, and something waits for it.
    Finality,
    /// Deposits are in final blocks, and are not settled.
    Settling,
    /// Blocks of some addresses cannot be read.
    Unread,
}

impl Stall {
    /// One word for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.into_str()
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head => "the chain's newest block",
            Self::Finality => "the final block",
            Self::Settling => "settling deposits in final blocks",
            Self::Unread => "reading some addresses' blocks",
        })
    }
}
