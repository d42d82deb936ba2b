//! The store: the one place where state is kept, and where the loops meet.

use std::fmt;

use async_trait::async_trait;
use thiserror::Error;
use tokio::sync::watch;

use crate::domain::chain::{Address, B256, BlockNumber};
use crate::domain::coverage::{Coverage, FinalityMark};
use crate::domain::deposit::{Deposit, DepositKey};
use crate::domain::event::{Event, Recorded};
use crate::domain::order::{Order, OrderId};
use crate::domain::payment::{Payment, PaymentId, PaymentState};
use crate::domain::record::{Record, RecordKey, RecordKind};
use crate::domain::time::Timestamp;
use crate::domain::wallet::Wallet;

/// The most bytes a stored record may have (design decision 2).
pub const MAX_RECORD_BYTES: usize = 16 * 1024;

/// Everything that is to change together. Each record bears the version it was read with (0 when it is new);
/// the store keeps it with the version raised by one.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// Payments to store.
    pub payments: Vec<Payment>,
    /// Deposits to store.
    pub deposits: Vec<Deposit>,
    /// Coverage to store.
    pub coverage: Vec<Coverage>,
    /// The finality mark to store.
    pub finality: Option<FinalityMark>,
    /// Orders to store.
    pub orders: Vec<Order>,
    /// The wallet's record to store.
    pub wallet: Option<Wallet>,
    /// Further records to store.
    pub records: Vec<Record>,
    /// What explains it. Numbered by the store, in this order.
    pub events: Vec<Event>,
}

impl Commit {
    /// Whether it changes nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.payments.is_empty()
            && self.deposits.is_empty()
            && self.coverage.is_empty()
            && self.finality.is_none()
            && self.orders.is_empty()
            && self.wallet.is_none()
            && self.records.is_empty()
            && self.events.is_empty()
    }
}

/// Who has to look at a payment whose `next_at` has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// The completer: `Due`, `Calling`, `Unclear`.
    Complete,
    /// The reconciler: all other states.
    Follow,
}

impl Lane {
    /// The lane of a payment in this state.
    #[must_use]
    pub const fn of(state: &PaymentState) -> Self {
        match state {
            PaymentState::Due { .. } | PaymentState::Calling { .. } | PaymentState::Unclear { .. } => Self::Complete,
            PaymentState::Waiting
            | PaymentState::Seen { .. }
            | PaymentState::Following { .. }
            | PaymentState::Ended { .. }
            | PaymentState::Review { .. } => Self::Follow,
        }
    }
}

/// How often each part has changed since the store was opened. Waking up on it loses nothing: a value that has
/// changed stays changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Commits with payments in them.
    pub payments: u64,
    /// Commits with deposits in them.
    pub deposits: u64,
    /// Commits with coverage in them.
    pub coverage: u64,
    /// Commits with orders, or with the wallet's record, in them.
    pub orders: u64,
    /// Commits with further records in them.
    pub records: u64,
    /// Commits with events in them.
    pub events: u64,
    /// Records that were found not to read, each once.
    pub unreadable: u64,
}

/// A record that does not read. It is kept as it is, byte for byte, and never written over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Which record it is, by its key.
    pub what: String,
    /// Its key, where it is a [`Record`].
    pub record: Option<RecordKey>,
    /// Why it does not read.
    pub why: String,
}

/// That the store holds less than it had acknowledged: it is an older copy, or has lost something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The number of the last event that it holds.
    pub held: u64,
    /// The number of the last event that was acknowledged; `None` when that is not known any more.
    pub acknowledged: Option<u64>,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { held, acknowledged } = self;
        match acknowledged {
            Some(acknowledged) => {
                write!(f, "it holds events up to {held}, and had acknowledged them up to {acknowledged}")
            }
            None => write!(
                f,
                "it holds events up to {held}, and its file `acknowledged`, which says how many there were, is lost"
            ),
        }
    }
}

/// What the store holds of one address, as of one moment, and the wallet's record, which may be of that address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// As [`Store::payments_at`].
    pub payments: Vec<Payment>,
    /// As [`Store::deposits_at`].
    pub deposits: Vec<Deposit>,
    /// As [`Store::coverage`].
    pub coverage: Option<Coverage>,
    /// As [`Store::orders_to`].
    pub orders: Vec<Order>,
    /// As [`Store::wallet`].
    pub wallet: Option<Wallet>,
}

/// Whose events are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A payment's.
    Payment(PaymentId),
    /// A deposit's.
    Deposit(DepositKey),
    /// Those of a further record.
    Record(RecordKey),
}

/// Keeps payments, deposits, coverage, orders, the wallet's record, the further records and events.
///
/// Pages are in the order of their keys and start after the key given; a page shorter than `limit` is the last.
///
/// A record that does not read stops only what it belongs to. Pages, and lists of what is due, leave it out, and
/// [`Store::unreadable`] tells of it. Whoever asks for that record, or for all that a decision goes by and it is among
/// (what is held of an address, a payment's orders, what is open or counts as spent), gets [`StoreError::Corrupt`]: nothing is
/// decided without it.
#[async_trait]
pub trait Store: Send + Sync {
    /// Stores everything in the commit, or nothing. Durable when it returns. Returns the number of the last event.
    async fn commit(&self, commit: Commit) -> Result<u64, StoreError>;

    /// One payment.
    async fn payment(&self, id: &PaymentId) -> Result<Option<Payment>, StoreError>;

    /// Payments in the order of their ids.
    async fn payments(&self, after: Option<&PaymentId>, limit: usize) -> Result<Vec<Payment>, StoreError>;

    /// All payments of a deposit address, in the order of their ids.
    async fn payments_at(&self, address: Address) -> Result<Vec<Payment>, StoreError>;

    /// Payments of the lane with `next_at` at or before `now`, the earliest first.
    async fn due(&self, lane: Lane, now: Timestamp, limit: usize) -> Result<Vec<Payment>, StoreError>;

    /// The earliest `next_at` of the lane.
    async fn next_due(&self, lane: Lane) -> Result<Option<Timestamp>, StoreError>;

    /// Payments of the lane with `next_at` after this moment, the earliest first; none with [`Timestamp::FAR_FUTURE`]. A store
    /// that is ordered by time gives them without looking at the others.
    async fn due_after(&self, lane: Lane, after: Timestamp, limit: usize) -> Result<Vec<Payment>, StoreError> {
        let mut found = self.due(lane, Timestamp::FAR_FUTURE, usize::MAX).await?;
        found.retain(|payment| payment.next_at.is_some_and(|at| at > after && at < Timestamp::FAR_FUTURE));
        found.truncate(limit);
        Ok(found)
    }

    /// One deposit.
    async fn deposit(&self, key: &DepositKey) -> Result<Option<Deposit>, StoreError>;

    /// Deposits in the order of their keys.
    async fn deposits(&self, after: Option<&DepositKey>, limit: usize) -> Result<Vec<Deposit>, StoreError>;

    /// All deposits to an address, by block number and log index.
    async fn deposits_at(&self, address: Address) -> Result<Vec<Deposit>, StoreError>;

    /// All deposits to each of these addresses, in their order; each as [`Store::deposits_at`] gives them, but without those
    /// that do not read: this is for comparing, not for deciding.
    async fn deposits_of(&self, addresses: &[Address]) -> Result<Vec<Vec<Deposit>>, StoreError> {
        let mut found = Vec::with_capacity(addresses.len());
        for address in addresses {
            found.push(self.deposits_at(*address).await?);
        }
        Ok(found)
    }

    /// All that a decision about an address goes by. A store that cannot give it as of one moment may read one part
    /// after the other: what has changed meanwhile is found out by the versions when the decision is stored.
    async fn holdings(&self, address: Address) -> Result<Holdings, StoreError> {
        Ok(Holdings {
            payments: self.payments_at(address).await?,
            deposits: self.deposits_at(address).await?,
            coverage: self.coverage(address).await?,
            orders: self.orders_to(address).await?,
            wallet: self.wallet().await?,
        })
    }

    /// Deposits whose standing is provisional, in blocks up to and including `through`, by block number.
    async fn provisional(&self, through: BlockNumber, limit: usize) -> Result<Vec<Deposit>, StoreError>;

    /// The coverage of one address.
    async fn coverage(&self, address: Address) -> Result<Option<Coverage>, StoreError>;

    /// The coverage of addresses that are not closed, in the order of the addresses.
    async fn watched(&self, after: Option<Address>, limit: usize) -> Result<Vec<Coverage>, StoreError>;

    /// Whose coverage was stored, and as which version, by commits after the one that [`Changes::coverage`] had
    /// counted to `count`; an address may come several times. `None` when that is not remembered any more: then all
    /// of it must be read again.
    async fn coverage_since(&self, count: u64) -> Result<Option<Vec<(Address, u64)>>, StoreError>;

    /// What is believed of finality.
    async fn finality(&self) -> Result<Option<FinalityMark>, StoreError>;

    /// Payments that are `Waiting`, in the order of their ids: those that may have to be funded.
    async fn waiting(&self, after: Option<&PaymentId>, limit: usize) -> Result<Vec<Payment>, StoreError>;

    /// One order.
    async fn order(&self, id: &OrderId) -> Result<Option<Order>, StoreError>;

    /// Orders by payment id and turn.
    async fn orders(&self, after: Option<&OrderId>, limit: usize) -> Result<Vec<Order>, StoreError>;

    /// All orders of a payment, by turn.
    async fn orders_of(&self, payment: &PaymentId) -> Result<Vec<Order>, StoreError>;

    /// All orders that pay to an address, by payment id and turn.
    async fn orders_to(&self, address: Address) -> Result<Vec<Order>, StoreError>;

    /// All orders that have not ended, by payment id and turn.
    async fn open_orders(&self) -> Result<Vec<Order>, StoreError>;

    /// All orders that count as spent and have [`Order::counts_from`] at or after `since`, the earliest first. What is open
    /// counts whatever its age: see [`Store::open_orders`].
    async fn spent_since(&self, since: Timestamp) -> Result<Vec<Order>, StoreError>;

    /// The order that ever signed a transaction with this hash, also when its record does not hold that attempt any
    /// more. Should there be several, as when a chain was wiped and nonces were given out anew, the one placed last.
    async fn order_of_tx(&self, tx_hash: B256) -> Result<Option<Order>, StoreError>;

    /// The wallet's record.
    async fn wallet(&self) -> Result<Option<Wallet>, StoreError>;

    /// One further record.
    async fn record(&self, key: &RecordKey) -> Result<Option<Record>, StoreError>;

    /// The record of this kind that bears, or ever bore, the other name.
    async fn record_by_alias(&self, kind: RecordKind, alias: &str) -> Result<Option<Record>, StoreError>;

    /// Further records of a kind, in the order of their ids.
    async fn records_page(
        &self,
        kind: RecordKind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError>;

    /// Further records of a kind with `next_at` at or before `now`, the earliest first.
    async fn records_due(&self, kind: RecordKind, now: Timestamp, limit: usize) -> Result<Vec<Record>, StoreError>;

    /// The earliest `next_at` of the further records of a kind.
    async fn next_record_due(&self, kind: RecordKind) -> Result<Option<Timestamp>, StoreError>;

    /// Further records of a kind with `next_at` after this moment, as [`Store::due_after`] gives payments.
    async fn records_due_after(
        &self,
        kind: RecordKind,
        after: Timestamp,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        let mut found = self.records_due(kind, Timestamp::FAR_FUTURE, usize::MAX).await?;
        found.retain(|record| record.next_at.is_some_and(|at| at > after && at < Timestamp::FAR_FUTURE));
        found.truncate(limit);
        Ok(found)
    }

    /// Events with a number above `after`.
    async fn events(&self, after: u64, limit: usize) -> Result<Vec<Recorded>, StoreError>;

    /// The events of one payment, deposit or further record with a number above `after`.
    async fn events_of(&self, subject: &Subject, after: u64, limit: usize) -> Result<Vec<Recorded>, StoreError>;

    /// The records that were found not to read since the store was opened, by their keys.
    fn unreadable(&self) -> Vec<Unreadable> {
        Vec::new()
    }

    /// What it lacks of what it had acknowledged before it was opened, until [`Store::loss_is_told`].
    fn lost(&self) -> Option<Lost> {
        None
    }

    /// A commit tells of what is lost, and has stopped what must not go on: it need not be told again.
    async fn loss_is_told(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Tells of changes. The value is raised only after the commit is durable.
    fn changes(&self) -> watch::Receiver<Changes>;
}

/// What went wrong with the store.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// Somebody else changed a record meanwhile: read again and decide again.
    #[error("{0} was changed by somebody else meanwhile")]
    Conflict(String),
    /// A record is larger than [`MAX_RECORD_BYTES`]: give up.
    #[error("{what} has {bytes} bytes; a record may have at most 16384")]
    TooLarge {
        /// Which record.
        what: String,
        /// Its size.
        bytes: usize,
    },
    /// The disk or the database failed: stop, nothing can be trusted to be kept.
    #[error("the store failed: {0}")]
    Failed(String),
    /// A record does not read: what it belongs to stands still, everything else goes on, and a person must look.
    #[error("the store holds a record that does not read: {0}")]
    Corrupt(String),
}

/// What was found, for a list that shows what there is: a record that does not read is left out, as pages leave it out.
///
/// # Errors
/// All others.
pub fn if_readable<T: Default>(found: Result<T, StoreError>) -> Result<T, StoreError> {
    match found {
        Err(StoreError::Corrupt(_)) => Ok(T::default()),
        other => other,
    }
}
