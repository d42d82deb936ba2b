//! Whether what the store holds candidates somewhere: index entries to the records that they list, and records to each other.

use ::sled::IVec;

use super::{Checker, Looked, text};
use crate::adapters::sled::keys;
use crate::adapters::sled::packs::unpack;
use crate::adapters::sled::records::{StoredRecord, decode, is_about};
use crate::domain::coverage::Coverage;
use crate::domain::deposit::{Deposit, Verdict};
use crate::domain::event::Recorded;
use crate::domain::order::Order;
use crate::domain::payment::Payment;
use crate::domain::record::Record;

/// Whether the record lists itself under the entry; `None` when it cannot be read, which is found elsewhere.
fn lists<R: StoredRecord>(bytes: &[u8], entry: &[u8]) -> Option<bool> {
    let record: R = decode(bytes).ok()?;
    Some(record.index().iter().chain(&record.lasting()).any(|listed| listed == entry))
}

impl Checker<'_> {
    /// Whether an index entry leads to a record, and that record says that it is listed there.
    pub(super) fn index_entry(&mut self, entry: &IVec, record: &IVec) -> Looked {
        let Some(bytes) = self.tree.get(record)? else {
            self.find(entry, format!("it lists {}, which is missing", text(record)));
            return Ok(());
        };
        let listed = match record.first() {
            Some(b'P') => lists::<Payment>(&bytes, entry),
            Some(b'D') => lists::<Deposit>(&bytes, entry),
            Some(b'C') => lists::<Coverage>(&bytes, entry),
            // An order is found by the hash of everything that it ever signed, also when its record has let go of it.
            Some(b'O') if is_of_tx(entry) => Some(record.get(1..).is_some_and(|order| entry.ends_with(order))),
            Some(b'O') => lists::<Order>(&bytes, entry),
            // A further record is found by every other name that it ever bore.
            Some(b'K') if entry.starts_with(b"ka") => {
                let of_its_kind = |record: Record| entry.starts_with(&keys::record_alias(record.body.kind(), ""));
                decode(&bytes).ok().map(of_its_kind)
            }
            Some(b'K') => lists::<Record>(&bytes, entry),
            Some(b'E') => {
                let number = record.get(1..).unwrap_or_default();
                let subject = entry.strip_suffix(number);
                let about = |recorded: &Recorded| subject.is_some_and(|subject| is_about(&recorded.event, subject));
                unpack(record, &bytes).ok().map(|all| all.iter().any(about))
            }
            _ => Some(false),
        };
        if listed == Some(false) {
            self.find(entry, format!("it lists {}, which does not belong there", text(record)));
        }
        Ok(())
    }

    fn must_be_there(&mut self, key: &IVec, other: &[u8], what: &str) -> Looked {
        if !self.tree.contains_key(other)? {
            self.find(key, format!("it speaks of {what}, which is missing ({})", text(other)));
        }
        Ok(())
    }

    /// Whether a payment's address is covered, its deposit is there, and the ledger comes to its state.
    pub(super) fn payment(&mut self, key: &IVec, payment: &Payment) -> Looked {
        self.must_be_there(key, &keys::coverage(payment.terms.deposit_address), "an address")?;
        if let Some(deposit) = payment.state.deposit() {
            self.must_be_there(key, &keys::deposit(deposit), "a deposit")?;
        }
        self.replay_payment(key, payment)
    }

    /// Whether the payment that a deposit pays is there, and the ledger comes to where it stands.
    pub(super) fn deposit(&mut self, key: &IVec, deposit: &Deposit) -> Looked {
        if let Verdict::Pays { payment, .. } = &deposit.verdict {
            self.must_be_there(key, &keys::payment(payment), "a payment")?;
        }
        self.replay_deposit(key, deposit)
    }

    /// Whether the payment that an order funds is there, and the ledger comes to its state.
    pub(super) fn order(&mut self, key: &IVec, order: &Order) -> Looked {
        self.must_be_there(key, &keys::payment(&order.id.payment), "a payment")?;
        self.replay_order(key, order)
    }

    /// Whether the marks of an address are in their order.
    pub(super) fn coverage(&mut self, key: &IVec, coverage: &Coverage) {
        let Some(swept) = coverage.swept else { return };
        let begin = swept.start.saturating_sub(1);
        if swept.confirmed_to > swept.covered_to || swept.confirmed_to < begin {
            let (start, covered, confirmed) = (swept.start, swept.covered_to, swept.confirmed_to);
            self.find(key, format!("read from {start} through {covered}, and a second time through {confirmed}"));
        }
    }
}

fn is_of_tx(entry: &[u8]) -> bool {
    entry.starts_with(b"ot")
}
