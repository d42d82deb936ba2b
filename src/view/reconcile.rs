//! What a reconciliation found, as it is shown.

use serde::{Deserialize, Serialize};

use crate::domain::deposit::DepositKey;
use crate::domain::order::OrderId;
use crate::domain::payment::PaymentId;
use crate::policy::reconcile::Blocks;
use crate::view::AmountView;

/// What was compared, and each difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileView {
    /// When: RFC 3339 in UTC.
    pub at: String,
    /// From when on, where that was asked for.
    pub from: Option<String>,
    /// Until when, where that was asked for.
    pub to: Option<String>,
    /// The blocks that were read on the chain; `None` when there were none to read.
    pub blocks: Option<BlocksView>,
    /// How many addresses were read.
    pub addresses: usize,
    /// What came to the deposit addresses in these blocks, for each token.
    pub deposits: Vec<TotalView>,
    /// The hot wallet, where there is one.
    pub wallet: Option<WalletTotals>,
    /// How many payments the ledger has.
    pub payments_here: usize,
    /// How many of them were held against the API.
    pub payments_there: usize,
    pub differences: Vec<DifferenceView>,
    /// What could not be compared, and why.
    pub not_compared: Vec<String>,
}

/// A range of blocks, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlocksView {
    pub from: u64,
    pub to: u64,
}

impl From<Blocks> for BlocksView {
    fn from(blocks: Blocks) -> Self {
        Self { from: blocks.from, to: blocks.to }
    }
}

/// What both sides add up to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotalView {
    pub ledger: AmountView,
    pub chain: AmountView,
}

/// The hot wallet in the blocks that were read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletTotals {
    pub address: String,
    /// What came in of the paying token.
    pub came: TotalView,
    /// What went out of it: by orders that are paid, and by the chain.
    pub went: TotalView,
    /// Its balance before the first of these blocks, where a node still knows.
    pub before: Option<AmountView>,
    /// Its balance after the last.
    pub after: Option<AmountView>,
    /// The nonce that is next by the ledger.
    pub next_nonce: Option<u64>,
    /// How many of its transactions are mined.
    pub mined: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DifferenceView {
    /// Its name, for programs.
    pub name: String,
    /// The payment, if it is about one.
    pub payment: Option<PaymentId>,
    /// The order, if it is about one.
    pub order: Option<OrderId>,
    /// The deposit, if it is about one.
    pub deposit: Option<DepositKey>,
    /// The transaction, as whoever names it wrote it.
    pub tx_hash: Option<String>,
    /// The address, if it is about one.
    pub address: Option<String>,
    /// What the ledger says.
    pub ledger: String,
    /// What the chain or the API says.
    pub outside: String,
    pub meaning: String,
    /// What a person can do.
    pub remedy: String,
}
