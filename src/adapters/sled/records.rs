//! The stored form of a record: the domain's own serde form as JSON, which a person can read with any tool.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::keys;
use crate::domain::chain::Address;
use crate::domain::coverage::{Coverage, FinalityMark};
use crate::domain::deposit::{BlockStatus, Deposit};
use crate::domain::event::Event;
use crate::domain::order::{Order, Spend};
use crate::domain::payment::{Payment, PaymentState};
use crate::domain::record::Record;
use crate::domain::wallet::Wallet;
use crate::ports::store::{Commit, Lane, MAX_RECORD_BYTES, StoreError, Subject};

/// A record that has a version, and indexes that follow from it.
pub(super) trait StoredRecord: Serialize + DeserializeOwned {
    fn key(&self) -> Vec<u8>;
    /// What it is called in an error.
    fn name(&self) -> String;
    /// The version that it bears.
    fn version(&self) -> u64;
    /// The same with another version.
    fn with_version(self, version: u64) -> Self;
    /// The keys under which indexes list it.
    fn index(&self) -> Vec<Vec<u8>>;
    /// The keys under which indexes list it from now on for ever, also once nothing in it tells of them any more.
    fn lasting(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

/// The index entry of a payment that waits; `None` for all others.
pub(super) fn waiting(payment: &Payment) -> Option<Vec<u8>> {
    matches!(payment.state, PaymentState::Waiting).then(|| keys::waiting(&payment.id))
}

impl StoredRecord for Payment {
    fn key(&self) -> Vec<u8> {
        keys::payment(&self.id)
    }

    fn name(&self) -> String {
        format!("payment {}", self.id)
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn with_version(self, version: u64) -> Self {
        Self { version, ..self }
    }

    fn index(&self) -> Vec<Vec<u8>> {
        let here = keys::payment_at(self.terms.deposit_address, &self.id);
        let due = self.next_at.map(|next_at| keys::due(Lane::of(&self.state), next_at, &self.id));
        std::iter::once(here).chain(due).chain(waiting(self)).collect()
    }
}

impl StoredRecord for Order {
    fn key(&self) -> Vec<u8> {
        keys::order(&self.id)
    }

    fn name(&self) -> String {
        format!("order {}", self.id)
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn with_version(self, version: u64) -> Self {
        Self { version, ..self }
    }

    fn index(&self) -> Vec<Vec<u8>> {
        let open = (!self.state.is_ended()).then(|| keys::open_order(&self.id));
        let spent = matches!(self.spend, Spend::Counted).then(|| keys::spent(self));
        std::iter::once(keys::order_to(self)).chain(open).chain(spent).collect()
    }

    /// A signed transaction never expires: whose it is must be known however long ago it was signed.
    fn lasting(&self) -> Vec<Vec<u8>> {
        self.attempts.iter().map(|attempt| keys::order_of_tx(attempt.tx_hash, &self.id)).collect()
    }
}

impl StoredRecord for Wallet {
    fn key(&self) -> Vec<u8> {
        keys::WALLET.to_vec()
    }

    fn name(&self) -> String {
        "the wallet's record".to_owned()
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn with_version(self, version: u64) -> Self {
        Self { version, ..self }
    }

    fn index(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

impl StoredRecord for Record {
    fn key(&self) -> Vec<u8> {
        keys::record(&self.body.key())
    }

    fn name(&self) -> String {
        self.body.key().to_string()
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn with_version(self, version: u64) -> Self {
        Self { version, ..self }
    }

    fn index(&self) -> Vec<Vec<u8>> {
        self.next_at.map(|next_at| keys::records_due(next_at, &self.body.key())).into_iter().collect()
    }

    fn lasting(&self) -> Vec<Vec<u8>> {
        self.body.alias().map(|alias| keys::record_alias(self.body.kind(), alias)).into_iter().collect()
    }
}

impl StoredRecord for Deposit {
    fn key(&self) -> Vec<u8> {
        keys::deposit(&self.key)
    }

    fn name(&self) -> String {
        format!("deposit {}", self.key)
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn with_version(self, version: u64) -> Self {
        Self { version, ..self }
    }

    fn index(&self) -> Vec<Vec<u8>> {
        let here = keys::deposit_at(self);
        let provisional = matches!(self.standing, BlockStatus::Provisional).then(|| keys::provisional(self));
        std::iter::once(here).chain(provisional).collect()
    }
}

impl StoredRecord for Coverage {
    fn key(&self) -> Vec<u8> {
        keys::coverage(self.address)
    }

    fn name(&self) -> String {
        format!("the coverage of {}", self.address)
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn with_version(self, version: u64) -> Self {
        Self { version, ..self }
    }

    fn index(&self) -> Vec<Vec<u8>> {
        if self.closed { Vec::new() } else { vec![keys::watched(self.address)] }
    }
}

impl StoredRecord for FinalityMark {
    fn key(&self) -> Vec<u8> {
        keys::FINALITY.to_vec()
    }

    fn name(&self) -> String {
        "the finality mark".to_owned()
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn with_version(self, version: u64) -> Self {
        Self { version, ..self }
    }

    fn index(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

/// What the writer needs to know of a record that is stored already. By default, there is none.
#[derive(Default)]
pub(super) struct Stored {
    /// Its version; 0 when there is none.
    pub(super) version: u64,
    /// The keys under which indexes list it.
    pub(super) index: Vec<Vec<u8>>,
    /// The keys under which it is listed for ever.
    pub(super) lasting: Vec<Vec<u8>>,
}

/// A record ready to be stored.
pub(super) struct Prepared {
    /// What it is called in an error.
    pub(super) name: String,
    pub(super) key: Vec<u8>,
    /// The version that the store must hold (0: none).
    pub(super) expected: u64,
    /// Its bytes, in which the version is raised by one.
    pub(super) value: Vec<u8>,
    /// The keys under which indexes are to list it.
    pub(super) index: Vec<Vec<u8>>,
    /// The keys under which it is to be listed for ever.
    pub(super) lasting: Vec<Vec<u8>>,
    /// Reads an earlier version of the record.
    pub(super) read_stored: fn(&[u8]) -> Result<Stored, StoreError>,
}

/// An event ready to be numbered and stored.
pub(super) struct PreparedEvent {
    pub(super) value: Vec<u8>,
    /// The beginnings of its index entries; the number of the record that it goes into comes after them.
    pub(super) subjects: Vec<Vec<u8>>,
}

/// A commit ready to be stored, if the versions are as expected.
#[derive(Default)]
pub(super) struct PreparedCommit {
    /// The records, in the order in which versions are checked.
    pub(super) records: Vec<Prepared>,
    /// The events, in their order.
    pub(super) events: Vec<PreparedEvent>,
    /// Whether there are payments among the records.
    pub(super) has_payments: bool,
    /// Whether there are deposits among the records.
    pub(super) has_deposits: bool,
    /// Whose coverage is among the records, and as which version.
    pub(super) coverage: Vec<(Address, u64)>,
    /// Whether there are orders, or the wallet's record, among the records.
    pub(super) has_orders: bool,
    /// Whether there are further records among the records.
    pub(super) has_records: bool,
}

impl PreparedCommit {
    /// Encodes everything. This is the caller's work, so that the one writer has less of it.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], and [`StoreError::Conflict`] for a version that cannot be raised, because the
    /// store never gives it out.
    pub(super) fn new(commit: Commit) -> Result<Self, StoreError> {
        let mut prepared = Self {
            has_payments: !commit.payments.is_empty(),
            has_deposits: !commit.deposits.is_empty(),
            coverage: commit.coverage.iter().map(|it| (it.address, it.version.saturating_add(1))).collect(),
            has_orders: !commit.orders.is_empty() || commit.wallet.is_some(),
            has_records: !commit.records.is_empty(),
            ..Self::default()
        };
        prepared.extend(commit.payments)?;
        prepared.extend(commit.deposits)?;
        prepared.extend(commit.coverage)?;
        prepared.extend(commit.finality)?;
        prepared.extend(commit.orders)?;
        prepared.extend(commit.wallet)?;
        prepared.extend(commit.records)?;
        for event in &commit.events {
            prepared.events.push(prepare_event(event)?);
        }
        Ok(prepared)
    }

    fn extend<R: StoredRecord>(&mut self, records: impl IntoIterator<Item = R>) -> Result<(), StoreError> {
        for record in records {
            self.records.push(prepare(record)?);
        }
        Ok(())
    }

    /// About how many bytes it adds.
    pub(super) fn bytes(&self) -> usize {
        let records = self.records.iter().map(|record| record.value.len());
        records.chain(self.events.iter().map(|event| event.value.len())).fold(0, usize::saturating_add)
    }
}

fn prepare<R: StoredRecord>(record: R) -> Result<Prepared, StoreError> {
    let (name, expected) = (record.name(), record.version());
    let raised = expected.checked_add(1).ok_or_else(|| StoreError::Conflict(name.clone()))?;
    let record = record.with_version(raised);
    let value = encode(&record, || name.clone())?;
    let (index, lasting) = (record.index(), record.lasting());
    Ok(Prepared { name, key: record.key(), expected, value, index, lasting, read_stored: read_stored::<R> })
}

fn read_stored<R: StoredRecord>(bytes: &[u8]) -> Result<Stored, StoreError> {
    let record: R = decode(bytes)?;
    Ok(Stored { version: record.version(), index: record.index(), lasting: record.lasting() })
}

fn prepare_event(event: &Event) -> Result<PreparedEvent, StoreError> {
    let value = encode(event, || match (&event.payment, &event.deposit) {
        (Some(payment), _) => format!("an event of payment {payment}"),
        (None, Some(deposit)) => format!("an event of deposit {deposit}"),
        (None, None) => event.kind.record().map_or("an event".to_owned(), |body| format!("an event of {}", body.key())),
    })?;
    Ok(PreparedEvent { value, subjects: subjects(event) })
}

/// The beginnings of an event's index entries.
pub(super) fn subjects(event: &Event) -> Vec<Vec<u8>> {
    let payment = event.payment.clone().map(Subject::Payment);
    let record = event.kind.record().map(|body| Subject::Record(body.key()));
    let subjects = payment.into_iter().chain(event.deposit.map(Subject::Deposit)).chain(record);
    subjects.map(|subject| keys::events_of(&subject)).collect()
}

/// Whether an event is listed under what `subject` begins the index entries of.
pub(super) fn is_about(event: &Event, subject: &[u8]) -> bool {
    subjects(event).iter().any(|its| its == subject)
}

fn encode<T: Serialize>(record: &T, name: impl Fn() -> String) -> Result<Vec<u8>, StoreError> {
    let value =
        serde_json::to_vec(record).map_err(|error| StoreError::Failed(format!("{} has no JSON: {error}", name())))?;
    if value.len() > MAX_RECORD_BYTES {
        return Err(StoreError::TooLarge { what: name(), bytes: value.len() });
    }
    Ok(value)
}

/// Reads a record's bytes.
///
/// # Errors
/// [`StoreError::Corrupt`], without what was found: it is told to people who need not see it.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::Corrupt(error.to_string()))
}
