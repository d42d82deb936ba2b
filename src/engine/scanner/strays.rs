//! Writes what was read of one address into its book: what is kept at once, and what is small once the coverage tells what of it
//! is to be counted ([`policy::strays`](crate::policy::strays) decides).

use std::borrow::Borrow;

use crate::domain::coverage::{Coverage, Swept};
use crate::domain::deposit::{BlockStatus, Deposit};
use crate::domain::event::{Alarm, EventKind, Reading};
use crate::domain::operator::Operator;
use crate::engine::address_repository::AddressUnit;
use crate::planted::{Bug, planted};
use crate::policy::address::AddressState;
use crate::policy::matching::MatchParams;
use crate::policy::payment_machine::Context;
use crate::policy::strays::{Window, may_be_left, take_in};

/// A transfer that was read.
pub(super) struct Arrival<'a> {
    /// As it was read.
    pub(super) seen: Deposit,
    /// Whether the reading proves that its block is final.
    pub(super) proof: Option<ProvenFinal<'a>>,
}

/// A reading proves that a block is final: on whose word, where that counts.
pub(super) struct ProvenFinal<'a>(pub(super) Option<&'a Operator>);

impl Borrow<Deposit> for Arrival<'_> {
    fn borrow(&self) -> &Deposit {
        &self.seen
    }
}

/// What one reading brought of one address and may be too small to be kept.
pub(super) struct Strays<'a> {
    reading: Reading,
    before: Option<Coverage>,
    params: MatchParams,
    left: Vec<Arrival<'a>>,
}

impl<'a> Strays<'a> {
    /// Nothing yet. `before` is how far the coverage was before the reading.
    pub(super) fn new(reading: Reading, before: Option<&Coverage>, params: MatchParams) -> Self {
        Self { reading, before: before.cloned(), params, left: Vec::new() }
    }

    fn swept(&self) -> Option<Swept> {
        self.before.as_ref().and_then(|coverage| coverage.swept)
    }

    /// Writes a transfer into the book, or leaves it until the coverage is raised.
    pub(super) fn keep_or_leave(&mut self, unit: &mut AddressUnit, arrival: Arrival<'a>, context: &Context<'_>) {
        if may_be_left(&unit.book, &arrival.seen, &self.params) {
            self.left.push(arrival);
        } else {
            keep(&mut unit.book, arrival, self.reading, self.swept(), context);
        }
    }

    /// Counts, or keeps, what was left, now that the page has the coverage after the reading.
    pub(super) fn take_in(self, unit: &mut AddressUnit, context: &Context<'_>) {
        let (swept, reading) = (self.swept(), self.reading);
        let window = Window::new(reading, self.before.as_ref(), unit.coverage.as_ref());
        let keep = |book: &mut AddressState, arrival| keep(book, arrival, reading, swept, context);
        take_in(&mut unit.book, self.left, window.as_ref(), &self.params, context.now, keep);
    }
}

/// Writes a transfer into the book: a new deposit, or one whose block came back; and that it is final, if the very reading that
/// brought it proves that. `swept`: what was covered before the reading.
fn keep(book: &mut AddressState, arrival: Arrival<'_>, reading: Reading, swept: Option<Swept>, context: &Context<'_>) {
    let Arrival { seen, proof } = arrival;
    let key = seen.key;
    note_transfer(book, seen, reading, swept, context);
    let is_provisional = |deposit: &Deposit| deposit.standing == BlockStatus::Provisional;
    if let Some(ProvenFinal(said_by)) = proof.filter(|_| book.deposit(&key).is_some_and(is_provisional)) {
        book.set_standing(&key, BlockStatus::Final { at: context.now }, None, context.now);
        book.set_final_by(&key, said_by.cloned());
    }
}

fn note_transfer(
    book: &mut AddressState,
    fresh: Deposit,
    reading: Reading,
    swept: Option<Swept>,
    context: &Context<'_>,
) {
    let is_same = |known: &Deposit| known.key.tx_hash == fresh.key.tx_hash;
    if planted(Bug::KeyedByTransaction) && book.deposits().iter().any(is_same) {
        return;
    }
    match book.deposit(&fresh.key).map(Deposit::stands) {
        Some(true) => {}
        Some(false) => book.set_standing(&fresh.key, BlockStatus::Provisional, None, context.now),
        None => {
            let missed =
                swept.is_some_and(|swept| fresh.block_number <= swept.covered_to && fresh.block_number >= swept.start);
            let key = fresh.key;
            book.add_deposit(fresh, reading);
            // The sweep reads some blocks again too.
            if missed {
                let kind = EventKind::Alarm { alarm: Alarm::MissedByFirstReading };
                book.note_deposit(&key, context.now, kind);
            }
        }
    }
}
