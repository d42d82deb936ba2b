//! A world that lies. The endpoints belong to operators, and all endpoints of one operator lie together: its receipts,
//! its heads and what it calls final, blocks that it has invented, the blocks of another chain. The API flaps between
//! an end and open (`flaps`). Days pass while orders are open, the process's clock jumps, and an older copy of the
//! store comes back (`times`).
//! What the adapters do before they believe a node is done before the process hears of it (`gate`).
//!
//! What is false is drawn with the weather, so it ends with the chaos, and a world that fails is made smaller by it
//! like by any other fault. `shown` is what an endpoint shows; all answers of one operator fit together, and `told` is
//! what it has said so far. `laws` is what must hold all the same, against the true chain.

pub(crate) mod flaps;
pub(crate) mod gate;
pub(crate) mod hits;
pub(crate) mod laws;
pub(crate) mod settings;
pub(crate) mod shown;
pub(crate) mod times;
pub(crate) mod told;

use rampwatch::domain::time::Span;

/// What the nodes of one operator say that is not so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// A transfer that has succeeded is said to have failed, and there is no log of it.
    Failed,
    /// A transfer that is in no block is said to have succeeded, with its log.
    Paid,
    /// A transfer that is in no block is said to have failed, a self-send that is in none to be mined.
    Consumed,
    /// The head is so many blocks further on.
    FarHead(u64),
    /// The head is from so far in the future.
    FutureHead(Span),
    /// The finalized block is so many blocks further on, and the head with it.
    FarFinal(u64),
    /// The blocks from now on are invented, deposits in them included.
    Invented,
    /// The blocks are those of another chain.
    OtherChain,
}

impl Lie {
    /// What it is called.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Failed => "a transfer that succeeded has failed",
            Self::Paid => "a transfer in no block has succeeded",
            Self::Consumed => "a nonce is consumed that is not",
            Self::FarHead(_) => "the head is far",
            Self::FutureHead(_) => "the head is from the future",
            Self::FarFinal(_) => "the finalized block is far",
            Self::Invented => "blocks are invented",
            Self::OtherChain => "another chain",
        }
    }
}

/// The lies that one operator tells at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lies {
    /// Of the wallet's transactions.
    pub(crate) receipts: Option<Lie>,
    /// Of the head.
    pub(crate) head: Option<Lie>,
    /// It shows blocks of its own, from then on until then.
    pub(crate) invents: Option<(Span, Span)>,
    /// It shows another chain.
    pub(crate) other_chain: bool,
}

impl Lies {
    /// The same, with this one that is told in this time.
    pub(crate) fn with(mut self, lie: Lie, from: Span, to: Span) -> Self {
        match lie {
            Lie::Failed | Lie::Paid | Lie::Consumed => self.receipts = Some(lie),
            Lie::FarHead(_) | Lie::FutureHead(_) | Lie::FarFinal(_) => self.head = Some(lie),
            Lie::Invented => self.invents = Some((from, to)),
            Lie::OtherChain => self.other_chain = true,
        }
        self
    }

    /// Whether there is any.
    pub(crate) const fn is_honest(&self) -> bool {
        self.receipts.is_none() && self.head.is_none() && self.invents.is_none() && !self.other_chain
    }
}
