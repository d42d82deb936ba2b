//! The keys of the one tree: a letter for the space, then parts whose bytes sort as their values do.
//!
//! Capital letters hold records, small ones hold indexes; the letters `o` and `k` are followed by a second one, which tells
//! the indexes of orders, and those of further records, apart. The value of an index entry is the key of its record, so
//! that index keys are never taken apart again.

use crate::domain::chain::{Address, B256, BlockNumber};
use crate::domain::deposit::{Deposit, DepositKey};
use crate::domain::order::{Order, OrderId};
use crate::domain::payment::PaymentId;
use crate::domain::record::{RecordKey, RecordKind};
use crate::domain::time::Timestamp;
use crate::ports::store::{Lane, Subject};

/// What the store knows of itself.
pub(super) const SCHEMA: &[u8] = b"SCHEMA";
/// The finality mark, of which there is one.
pub(super) const FINALITY: &[u8] = b"F";
/// The space of payments, by id.
pub(super) const PAYMENTS: &[u8] = b"P";
/// The space of deposits, by their key.
pub(super) const DEPOSITS: &[u8] = b"D";
/// The space of events, by the number of the last one of each record.
pub(super) const EVENTS: &[u8] = b"E";
/// The space of orders, by payment and turn.
pub(super) const ORDERS: &[u8] = b"O";
/// The wallet's record, of which there is one.
pub(super) const WALLET: &[u8] = b"W";
/// The index of payments that wait, by id.
pub(super) const WAITING: &[u8] = b"q";
/// The index of orders that have not ended, by payment and turn.
pub(super) const OPEN_ORDERS: &[u8] = b"oo";
/// The index of orders that count as spent, by the moment that they count from.
pub(super) const SPENT: &[u8] = b"os";
/// The index of the coverage that is not closed, by address.
pub(super) const WATCHED: &[u8] = b"w";
/// The index of provisional deposits, by block number, log index and key.
pub(super) const PROVISIONAL: &[u8] = b"v";

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// The record of a payment.
pub(super) fn payment(id: &PaymentId) -> Vec<u8> {
    join(&[PAYMENTS, id.as_str().as_bytes()])
}

/// The record of a deposit.
pub(super) fn deposit(key: &DepositKey) -> Vec<u8> {
    join(&[DEPOSITS, &deposit_part(key)])
}

fn deposit_part(key: &DepositKey) -> Vec<u8> {
    let (chain_id, log_index) = (key.chain_id.to_be_bytes(), key.log_index.to_be_bytes());
    join(&[&chain_id, key.block_hash.as_slice(), key.tx_hash.as_slice(), &log_index])
}

/// The record of an order. A zero byte, which no id has, ends the payment's id.
pub(super) fn order(id: &OrderId) -> Vec<u8> {
    join(&[ORDERS, &order_part(id)])
}

/// All records of a payment's orders begin with this.
pub(super) fn orders_of(payment: &PaymentId) -> Vec<u8> {
    join(&[ORDERS, payment.as_str().as_bytes(), &[0]])
}

fn order_part(id: &OrderId) -> Vec<u8> {
    join(&[id.payment.as_str().as_bytes(), &[0], &id.turn.to_be_bytes()])
}

/// The index entry of an order that has not ended.
pub(super) fn open_order(id: &OrderId) -> Vec<u8> {
    join(&[OPEN_ORDERS, &order_part(id)])
}

/// The index entry of an order that counts as spent.
pub(super) fn spent(order: &Order) -> Vec<u8> {
    join(&[SPENT, &order.counts_from().as_millis().to_be_bytes(), &order_part(&order.id)])
}

/// All index entries of the orders that pay to an address begin with this.
pub(super) fn orders_to(address: Address) -> Vec<u8> {
    join(&[b"oa", address.as_slice()])
}

/// The index entry of an order under the address that it pays to.
pub(super) fn order_to(order: &Order) -> Vec<u8> {
    join(&[&orders_to(order.to), &order_part(&order.id)])
}

/// All index entries of the orders that signed a transaction with this hash begin with this.
pub(super) fn orders_of_tx(tx_hash: B256) -> Vec<u8> {
    join(&[b"ot", tx_hash.as_slice()])
}

/// The index entry of an order under the hash of a transaction that it signed. Each order has an entry of its own, so
/// that no order can take another's away.
pub(super) fn order_of_tx(tx_hash: B256, id: &OrderId) -> Vec<u8> {
    join(&[&orders_of_tx(tx_hash), &order_part(id)])
}

/// The index entry of a payment that waits.
pub(super) fn waiting(id: &PaymentId) -> Vec<u8> {
    join(&[WAITING, id.as_str().as_bytes()])
}

/// The record of an address's coverage.
pub(super) fn coverage(address: Address) -> Vec<u8> {
    join(&[b"C", address.as_slice()])
}

/// The record of some events that follow each other, of which the last has this number.
pub(super) fn event(seq: u64) -> Vec<u8> {
    join(&[EVENTS, &seq.to_be_bytes()])
}

/// The index entry of an address that is watched.
pub(super) fn watched(address: Address) -> Vec<u8> {
    join(&[WATCHED, address.as_slice()])
}

/// All index entries of the payments of an address begin with this.
pub(super) fn payments_at(address: Address) -> Vec<u8> {
    join(&[b"a", address.as_slice()])
}

/// The index entry of a payment under its address.
pub(super) fn payment_at(address: Address, id: &PaymentId) -> Vec<u8> {
    join(&[&payments_at(address), id.as_str().as_bytes()])
}

/// All index entries of a lane begin with this.
pub(super) const fn lane(lane: Lane) -> &'static [u8] {
    match lane {
        Lane::Complete => b"nc",
        Lane::Follow => b"nf",
    }
}

/// The index entry of a payment that somebody must look at.
pub(super) fn due(of: Lane, next_at: Timestamp, id: &PaymentId) -> Vec<u8> {
    join(&[lane(of), &next_at.as_millis().to_be_bytes(), id.as_str().as_bytes()])
}

/// All index entries of the deposits to an address begin with this.
pub(super) fn deposits_at(address: Address) -> Vec<u8> {
    join(&[b"t", address.as_slice()])
}

/// The index entry of a deposit under its address, by block number, log index and key.
pub(super) fn deposit_at(deposit: &Deposit) -> Vec<u8> {
    join(&[&deposits_at(deposit.to), &place(deposit)])
}

/// The index entry of a provisional deposit.
pub(super) fn provisional(deposit: &Deposit) -> Vec<u8> {
    join(&[PROVISIONAL, &place(deposit)])
}

fn place(deposit: &Deposit) -> Vec<u8> {
    let block: BlockNumber = deposit.block_number;
    let log_index = deposit.key.log_index.to_be_bytes();
    join(&[&block.to_be_bytes(), &log_index, &deposit_part(&deposit.key)])
}

/// All index entries of a subject's events begin with this; the number of the event record follows. An id is ended by a zero
/// byte, which no id has, so that no subject's entries lie among another's.
pub(super) fn events_of(subject: &Subject) -> Vec<u8> {
    match subject {
        Subject::Payment(id) => join(&[b"ep", id.as_str().as_bytes(), &[0]]),
        Subject::Deposit(key) => join(&[b"ed", &deposit_part(key)]),
        Subject::Record(key) => join(&[b"ek", key.kind.name().as_bytes(), &[0], key.id.as_bytes(), &[0]]),
    }
}

/// All further records of one kind begin with this. A zero byte, which no kind's name has, ends the name.
pub(super) fn record_kind(kind: RecordKind) -> Vec<u8> {
    join(&[b"K", kind.name().as_bytes(), &[0]])
}

/// A further record.
pub(super) fn record(key: &RecordKey) -> Vec<u8> {
    join(&[&record_kind(key.kind), key.id.as_bytes()])
}

/// The index entry of a further record under its other name.
pub(super) fn record_alias(kind: RecordKind, alias: &str) -> Vec<u8> {
    join(&[b"ka", kind.name().as_bytes(), &[0], alias.as_bytes()])
}

/// All index entries of the further records of a kind that somebody must look at begin with this.
pub(super) fn record_lane(kind: RecordKind) -> Vec<u8> {
    join(&[b"kn", kind.name().as_bytes(), &[0]])
}

/// The index entry of a further record that somebody must look at.
pub(super) fn records_due(next_at: Timestamp, key: &RecordKey) -> Vec<u8> {
    join(&[&record_lane(key.kind), &next_at.as_millis().to_be_bytes(), key.id.as_bytes()])
}

/// `prefix`, then a number.
pub(super) fn numbered(prefix: &[u8], number: u64) -> Vec<u8> {
    join(&[prefix, &number.to_be_bytes()])
}

/// The first key after all that begin with `space`, which is one of the letters above.
pub(super) fn end_of(space: &[u8]) -> Vec<u8> {
    let mut end = space.to_vec();
    if let Some(last) = end.last_mut() {
        *last = last.saturating_add(1);
    }
    end
}

/// The first key after all that begin with `space` and a number up to and including `through`.
pub(super) fn end_through(space: &[u8], through: u64) -> Vec<u8> {
    through.checked_add(1).map_or_else(|| end_of(space), |next| numbered(space, next))
}
