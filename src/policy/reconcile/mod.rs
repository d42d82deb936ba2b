//! What the ledger says against what the chain and the payment API say: each difference, by name.
//!
//! Plain functions from facts to differences. Each looks at one kind of disagreement; where two would name the same one,
//! the more telling speaks. Deliberately absent: how facts are come by, and any mending; a difference says what it means,
//! and what a person can do.

mod api;
mod chain;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::amount::Amount;
use crate::domain::chain::{Address, BlockNumber, Transfer};
use crate::domain::coverage::Coverage;
use crate::domain::deposit::{Deposit, DepositKey};
use crate::domain::order::{Order, OrderId};
use crate::domain::payment::{ApiStatus, Payment, PaymentId, RecipientId};
use crate::domain::time::{Span, Timestamp};
use crate::domain::wallet::Wallet;

pub use words::Kind;

/// How long after its deposit was final a payment may wait for its completion before it counts as forgotten. A call whose
/// answer is lost is looked into after twice the API's time-out, which is minutes at most.
pub const COMPLETION_GRACE: Span = Span::from_secs(600);

/// The ledger, as it was read. Coverage must have been read before deposits, so that every deposit in covered blocks is
/// among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    pub payments: BTreeMap<PaymentId, Payment>,
    pub deposits: BTreeMap<DepositKey, Deposit>,
    pub orders: BTreeMap<OrderId, Order>,
    /// Which blocks were swept for which address.
    pub coverage: BTreeMap<Address, Coverage>,
    pub wallet: Option<Wallet>,
}

/// A range of blocks, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    pub from: BlockNumber,
    pub to: BlockNumber,
}

impl Blocks {
    /// Whether a block is in it.
    #[must_use]
    pub const fn has(&self, number: BlockNumber) -> bool {
        self.from <= number && number <= self.to
    }

    /// What both have; `None` when that is nothing.
    #[must_use]
    pub fn both(&self, other: &Self) -> Option<Self> {
        let (from, to) = (self.from.max(other.from), self.to.min(other.to));
        (from <= to).then_some(Self { from, to })
    }
}

/// What the chain says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainFacts {
    /// Which final blocks were read for which address.
    pub read: BTreeMap<Address, Blocks>,
    /// The transfers to these addresses.
    pub incoming: Vec<Transfer>,
    /// The hot wallet, where there is one.
    pub wallet: Option<WalletFacts>,
}

/// What the chain says of the hot wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletFacts {
    pub address: Address,
    /// The transfers that left it, in the blocks that were read for it.
    pub outgoing: Vec<Transfer>,
    /// Its balance of the paying token before the first of these blocks and after the last, where a node still knows.
    pub balances: Option<(Amount, Amount)>,
    /// How many of its transactions are mined.
    pub mined: Option<u64>,
}

/// A payment as the API lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub id: PaymentId,
    pub status: ApiStatus,
    /// Its transaction hash, as it came.
    pub tx_hash: Option<String>,
    /// How much, in base units.
    pub amount: Option<Amount>,
    /// Where the money goes.
    pub address: Option<Address>,
    pub created_at: Option<Timestamp>,
    /// Whether it is one that rampwatch could take up: an off-ramp on this chain.
    pub is_ours: bool,
}

/// What the payment API says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiFacts {
    /// Whose payments were asked for.
    pub recipients: BTreeSet<RecipientId>,
    /// What it lists, and what it says of payments that it does not list and was asked after one by one.
    pub listed: BTreeMap<PaymentId, Listed>,
    /// Payments that it was asked after one by one and does not know.
    pub absent: BTreeSet<PaymentId>,
}

/// What the comparison goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The moment it is.
    pub now: Timestamp,
    /// Only what was created, or was in a block, at this moment or later.
    pub from: Timestamp,
    /// Only what was before this moment.
    pub to: Timestamp,
    /// The token that pays.
    pub token: Address,
}

impl Scope {
    fn has(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

/// What one side says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Nothing,
    /// An amount of a token.
    Amount(Amount, Address),
    Words(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub kind: Kind,
    /// The payment, if it is about one.
    pub payment: Option<PaymentId>,
    /// The order, if it is about one.
    pub order: Option<OrderId>,
    /// The deposit, if it is about one.
    pub deposit: Option<DepositKey>,
    /// The transaction, as whoever names it wrote it.
    pub tx_hash: Option<String>,
    /// The address, if it is about one.
    pub address: Option<Address>,
    /// What the ledger says.
    pub here: Said,
    /// What the chain or the API says.
    pub there: Said,
}

impl Difference {
    const fn new(kind: Kind, here: Said, there: Said) -> Self {
        Self { kind, payment: None, order: None, deposit: None, tx_hash: None, address: None, here, there }
    }

    fn of_payment(self, id: &PaymentId) -> Self {
        Self { payment: Some(id.clone()), ..self }
    }
}

fn words(text: impl Into<String>) -> Said {
    Said::Words(text.into())
}

/// Every difference, by kind, and in each kind by what it is about. What was not asked is `None` and not compared.
#[must_use]
pub fn compare(books: &Books, chain: Option<&ChainFacts>, api: Option<&ApiFacts>, scope: &Scope) -> Vec<Difference> {
    let mut all = Vec::new();
    if let Some(facts) = chain {
        all.extend(chain::deposits(books, facts));
        all.extend(chain::orders(books, facts));
        all.extend(chain::wallet(books, facts, scope));
    }
    all.extend(chain::unassigned(books, scope));
    if let Some(facts) = api {
        all.extend(api::payments(books, facts, scope));
    }
    all.sort_by(|a, b| {
        let place = |it: &Difference| (it.kind, it.payment.clone(), it.order.clone(), it.deposit, it.tx_hash.clone());
        place(a).cmp(&place(b))
    });
    all
}
