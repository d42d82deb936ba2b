//! Looks through a whole store: whether every record reads, every index candidates where it should and back, the events are
//! numbered without a gap, and the ledger comes to the same states as the records bear.
//!
//! Deliberately absent: repairs. What is found here should never be; a person looks, with a copy of the folder.

use std::collections::BTreeSet;
use std::path::Path;

use ::sled::{IVec, Tree};

mod ledger;
mod links;

use self::ledger::WalletStory;
use super::acknowledged;
use super::keys;
use super::open::{self, SCHEMA_VERSION, StoreOpenError};
use super::packs::unpack;
use super::reader::number_of;
use super::records::{StoredRecord, decode, subjects};
use crate::domain::coverage::{Coverage, FinalityMark};
use crate::domain::deposit::Deposit;
use crate::domain::order::Order;
use crate::domain::payment::Payment;
use crate::domain::record::Record;
use crate::domain::wallet::Wallet;
use crate::ports::store::MAX_RECORD_BYTES;

/// How many findings are kept; of what comes beyond, only the number is told.
pub const MAX_FINDINGS: usize = 1_000;

/// Something that should not be in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreFinding {
    /// The key where it was found, as text.
    pub key: String,
    pub what: String,
}

/// What a look through a store came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreCheck {
    /// The store's schema version.
    pub schema: u64,
    pub payments: u64,
    pub deposits: u64,
    pub orders: u64,
    /// How many addresses that are or were watched.
    pub addresses: u64,
    /// How many further records.
    pub records: u64,
    pub events: u64,
    pub index_entries: u64,
    /// How many bytes all keys and values have.
    pub bytes: u64,
    /// What is wrong, at most [`MAX_FINDINGS`].
    pub findings: Vec<StoreFinding>,
    /// How many findings there are beyond those.
    pub more_findings: u64,
}

/// Looks through the store in the folder, and changes nothing in it. Nobody else can have it open meanwhile. Blocks for as
/// long as it takes to read everything, indexes both ways.
///
/// # Errors
/// The store cannot be opened or read at all, or has an older schema version: its indexes are brought up to date by whatever
/// opens it next.
pub fn check(path: &Path) -> Result<StoreCheck, StoreOpenError> {
    let (opened, schema, lost) = open::open_as_it_is(path)?;
    let unreadable = |reason: String| StoreOpenError::Unreadable { path: path.to_owned(), reason };
    if schema < SCHEMA_VERSION {
        return Err(StoreOpenError::Older { path: path.to_owned(), found: schema, known: SCHEMA_VERSION });
    }
    let mut report =
        look_through(&opened.db, schema, Depth::Everything).map_err(|error| unreadable(error.to_string()))?;
    if let Some(lost) = lost {
        report.findings.insert(0, StoreFinding { key: acknowledged::FILE.to_owned(), what: lost.to_string() });
    }
    Ok(report)
}

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    Everything,
    /// Whether something is missing: that indexes lead both ways, and that events have no gap. What does not read is there.
    Presence,
}

/// Looks through everything in a database.
///
/// # Errors
/// It does not read.
pub(super) fn look_through(tree: &Tree, schema: u64, depth: Depth) -> Result<StoreCheck, ::sled::Error> {
    let mut checker = Checker::new(tree, schema, depth);
    checker.run()?;
    Ok(checker.report)
}

/// A look through a store.
struct Checker<'a> {
    tree: &'a Tree,
    depth: Depth,
    report: StoreCheck,
    /// The number of the last event.
    last_event: u64,
    /// What the events say of the wallet.
    story: WalletStory,
}

type Looked<T = ()> = Result<T, ::sled::Error>;

/// A key as text.
fn text(key: &[u8]) -> String {
    key.escape_ascii().to_string()
}

impl<'a> Checker<'a> {
    fn new(tree: &'a Tree, schema: u64, depth: Depth) -> Self {
        let report = StoreCheck { schema, ..StoreCheck::default() };
        Self { tree, depth, report, last_event: 0, story: WalletStory::default() }
    }

    fn find(&mut self, key: &[u8], what: impl Into<String>) {
        if self.report.findings.len() < MAX_FINDINGS {
            self.report.findings.push(StoreFinding { key: text(key), what: what.into() });
        } else {
            self.report.more_findings = self.report.more_findings.saturating_add(1);
        }
    }

    fn run(&mut self) -> Looked {
        for entry in self.tree {
            let (key, value) = entry?;
            let bytes = u64::try_from(key.len().saturating_add(value.len())).unwrap_or(u64::MAX);
            self.report.bytes = self.report.bytes.saturating_add(bytes);
            self.entry(&key, &value)?;
        }
        if self.depth == Depth::Presence {
            return Ok(());
        }
        // The events come before the wallet's record in the tree, but what is said last is said with all of them known.
        let wallet: Option<Wallet> = self.tree.get(keys::WALLET)?.and_then(|bytes| decode(&bytes).ok());
        let differs = self.story.compare(wallet.as_ref());
        differs.into_iter().for_each(|what| self.find(keys::WALLET, what));
        Ok(())
    }

    fn entry(&mut self, key: &IVec, value: &IVec) -> Looked {
        let raise = |count: &mut u64| *count = count.saturating_add(1);
        match key.first() {
            _ if key == keys::SCHEMA => {}
            Some(b'P') => {
                raise(&mut self.report.payments);
                if let Some(payment) = self.record::<Payment>(key, value)? {
                    self.payment(key, &payment)?;
                }
            }
            Some(b'D') => {
                raise(&mut self.report.deposits);
                if let Some(deposit) = self.record::<Deposit>(key, value)? {
                    self.deposit(key, &deposit)?;
                }
            }
            Some(b'O') => {
                raise(&mut self.report.orders);
                if let Some(order) = self.record::<Order>(key, value)? {
                    self.order(key, &order)?;
                }
            }
            Some(b'C') => {
                raise(&mut self.report.addresses);
                if let Some(coverage) = self.record::<Coverage>(key, value)? {
                    self.coverage(key, &coverage);
                }
            }
            Some(b'K') => {
                raise(&mut self.report.records);
                if let Some(record) = self.record::<Record>(key, value)? {
                    self.replay_record(key, &record)?;
                }
            }
            Some(b'F') => drop(self.record::<FinalityMark>(key, value)?),
            Some(b'W') => drop(self.record::<Wallet>(key, value)?),
            Some(b'E') => self.events(key, value)?,
            Some(letter) if letter.is_ascii_lowercase() => {
                raise(&mut self.report.index_entries);
                self.index_entry(key, value)?;
            }
            _ => self.find(key, "this rampwatch knows nothing of such a key"),
        }
        Ok(())
    }

    /// Whether a record reads, bears a version, lies under its own key, and is listed by every index that should list it.
    fn record<R: StoredRecord>(&mut self, key: &IVec, value: &IVec) -> Looked<Option<R>> {
        self.size(key, value);
        let record: R = match decode(value) {
            Ok(record) => record,
            Err(_) if self.depth == Depth::Presence => return Ok(None),
            Err(error) => {
                self.find(key, format!("it cannot be read: {error}"));
                return Ok(None);
            }
        };
        if *key != record.key() {
            self.find(key, format!("what is stored there is {}, which belongs elsewhere", record.name()));
            return Ok(None);
        }
        if record.version() == 0 {
            self.find(key, "it has version 0, which is that of a record that is not stored yet");
        }
        for entry in record.index().into_iter().chain(record.lasting()) {
            self.must_candidate(&entry, key)?;
        }
        Ok((self.depth == Depth::Everything).then_some(record))
    }

    fn size(&mut self, key: &IVec, value: &IVec) {
        if value.len() > MAX_RECORD_BYTES {
            self.find(key, format!("it has {} bytes; a record may have at most {MAX_RECORD_BYTES}", value.len()));
        }
    }

    /// Whether an index entry is there and leads to the record.
    fn must_candidate(&mut self, entry: &[u8], key: &IVec) -> Looked {
        match self.tree.get(entry)? {
            Some(to) if to == key => {}
            Some(to) => self.find(key, format!("the index entry {} leads to {} instead", text(entry), text(&to))),
            None => self.find(key, format!("the index entry {} is missing", text(entry))),
        }
        Ok(())
    }

    /// Whether an event record reads, its events have the numbers that come next, and it is listed under what they are about.
    fn events(&mut self, key: &IVec, value: &IVec) -> Looked {
        self.size(key, value);
        let number = number_of(key).ok().filter(|number| *key == keys::event(*number));
        let Some(number) = number else {
            self.find(key, "it has no event number");
            return Ok(());
        };
        let expected = self.last_event.saturating_add(1);
        self.last_event = number;
        let recorded = match unpack(key, value) {
            Ok(recorded) => recorded,
            Err(error) => {
                self.report.events = self.report.events.saturating_add(1);
                if self.depth == Depth::Everything {
                    self.find(key, format!("it cannot be read: {error}"));
                }
                return Ok(());
            }
        };
        let count = u64::try_from(recorded.len()).unwrap_or(u64::MAX);
        self.report.events = self.report.events.saturating_add(count);
        if let Some(first) = recorded.first().filter(|first| first.seq != expected) {
            self.find(key, format!("event {} comes where event {expected} should", first.seq));
        }
        let about: BTreeSet<Vec<u8>> = recorded.iter().flat_map(|recorded| subjects(&recorded.event)).collect();
        for subject in about {
            self.must_candidate(&keys::numbered(&subject, number), key)?;
        }
        recorded.iter().for_each(|recorded| self.story.hear(&recorded.event.kind));
        Ok(())
    }
}
