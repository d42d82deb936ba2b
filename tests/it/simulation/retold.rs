//! The ledger is the sum of its events: told from the first event on, they give the payments, deposits, orders, addresses
//! and further records that are stored. Looked at whenever the process starts again, and at the end.
//!
//! Deliberately absent: what events do not carry, because nobody has to account for it: when a record is looked at again, how
//! often it was tried, how many small deposits were counted (`strays` sees to that), how far an address was read, and when an attempt was last given to the nodes.

use std::collections::BTreeMap;

use rampwatch::domain::chain::Address;
use rampwatch::domain::deposit::{Deposit, DepositKey};
use rampwatch::domain::event::{Event, EventKind};
use rampwatch::domain::order::{Order, OrderId};
use rampwatch::domain::payment::{Payment, PaymentId};
use rampwatch::domain::record::{RecordBody, RecordKey, RecordKind};

use super::world::World;
use crate::support::memory_store::Contents;

/// What the events tell.
#[derive(Default)]
struct Told {
    payments: BTreeMap<PaymentId, Payment>,
    deposits: BTreeMap<DepositKey, Deposit>,
    orders: BTreeMap<OrderId, Order>,
    /// The addresses that are watched no more.
    closed: BTreeMap<Address, ()>,
    desk: BTreeMap<RecordKey, RecordBody>,
}

/// Holds what is stored against what the events tell.
pub(super) fn as_stored(world: &World) {
    let broken = world.store.look(|contents| {
        let mut told = Told::default();
        for (number, recorded) in (1..).zip(&contents.events) {
            if recorded.seq != number {
                return Some(format!("event {number} bears the number {}", recorded.seq));
            }
            if let Some(broken) = told.hear(&recorded.event) {
                return Some(format!("event {number} does not fit what is told before it: {broken}"));
            }
        }
        told.differs(contents)
    });
    if let Some(broken) = broken {
        world.violate(&broken);
    }
    world.count("events: told again");
}

impl Told {
    /// Takes in the next event. Returns why it cannot be, if it cannot.
    fn hear(&mut self, event: &Event) -> Option<String> {
        let fits = match &event.kind {
            EventKind::PaymentAdded { payment } => {
                self.closed.remove(&payment.terms.deposit_address);
                self.payments.insert(payment.id.clone(), payment.as_ref().clone()).is_none()
            }
            EventKind::PaymentMoved { from, to, .. } => self.payment(event).is_some_and(|payment| {
                let fits = payment.state == **from;
                payment.state = to.as_ref().clone();
                fits
            }),
            EventKind::ApiReported { view } => {
                self.payment(event).map(|payment| payment.api = Some(view.clone())).is_some()
            }
            EventKind::DepositSeen { deposit, .. } => {
                self.deposits.insert(deposit.key, deposit.as_ref().clone()).is_none()
            }
            EventKind::DepositJudged { verdict } => {
                self.deposit(event).map(|deposit| deposit.verdict = verdict.clone()).is_some()
            }
            EventKind::DepositStands { standing, made_at, .. } => self
                .deposit(event)
                .map(|deposit| {
                    deposit.standing = *standing;
                    deposit.block_time = made_at.unwrap_or(deposit.block_time);
                })
                .is_some(),
            EventKind::AddressPlaced { address, .. } => {
                self.closed.remove(address);
                true
            }
            // They are about no record.
            EventKind::EndpointBack { .. } | EventKind::ListenerBack { .. } | EventKind::StallOver { .. } => true,
            EventKind::AddressClosed { address, .. } => self.closed.insert(*address, ()).is_none(),
            EventKind::OrderPlaced { order } => self.orders.insert(order.id.clone(), order.as_ref().clone()).is_none(),
            EventKind::OrderMoved { order, from, to, spend, .. } => self.orders.get_mut(order).is_some_and(|order| {
                let fits = order.state == **from;
                (order.state, order.spend) = (to.as_ref().clone(), *spend);
                fits
            }),
            EventKind::AttemptSigned { order, attempt } => {
                self.orders.get_mut(order).is_some_and(|order| order.add_attempt(attempt.as_ref().clone()))
            }
            EventKind::AttemptSent { order, tx_hash, .. } | EventKind::AttemptMined { order, tx_hash, .. } => {
                self.orders.get(order).is_some_and(|order| order.attempt(*tx_hash).is_some())
            }
            EventKind::RecordChanged { body, .. } => {
                self.desk.insert(body.key(), body.as_ref().clone());
                true
            }
            EventKind::PersonDecided { .. }
            | EventKind::DepositsCounted { .. }
            | EventKind::FinalityMoved { .. }
            | EventKind::Alarm { .. }
            | EventKind::WalletChanged { .. } => true,
        };
        (!fits).then(|| format!("{event:?}"))
    }

    fn payment(&mut self, event: &Event) -> Option<&mut Payment> {
        self.payments.get_mut(event.payment.as_ref()?)
    }

    fn deposit(&mut self, event: &Event) -> Option<&mut Deposit> {
        self.deposits.get_mut(event.deposit.as_ref()?)
    }

    /// The first thing that is stored otherwise than it is told.
    fn differs(&self, stored: &Contents) -> Option<String> {
        let word = |payment: &Payment| {
            let Payment { id, recipient_id, terms, state, added_at, .. } = payment.clone();
            let api = payment.api.as_ref().map(|view| (view.status.clone(), view.tx_hash.clone()));
            (id, recipient_id, terms, state, api, added_at)
        };
        let plain = |deposit: &Deposit| Deposit { version: 0, final_by: None, tally: None, ..deposit.clone() };
        let signed = |order: &Order| {
            let hashes: Vec<_> = order.attempts.iter().map(|attempt| (attempt.nonce, attempt.tx_hash)).collect();
            (order.id.clone(), order.to, order.amount, order.state.clone(), order.spend, hashes)
        };
        let closed = stored.coverage.values().filter(|coverage| coverage.closed);
        let closed = closed.map(|coverage| (coverage.address, ())).collect();
        // A tally of payments' addresses only sums up what the payments tell.
        let told = stored.records.iter().filter(|(key, _)| key.kind != RecordKind::Addresses);
        let desk = told.map(|(key, record)| (key.clone(), record.body.clone())).collect();
        first_difference("payment", &self.payments, &stored.payments, word)
            .or_else(|| first_difference("deposit", &self.deposits, &stored.deposits, plain))
            .or_else(|| first_difference("order", &self.orders, &stored.orders, signed))
            .or_else(|| first_difference("closed address", &self.closed, &closed, |()| ()))
            .or_else(|| first_difference("further record", &self.desk, &desk, essence))
    }
}

/// What of a further record is told: how often a question went unanswered is nobody's business.
fn essence(body: &RecordBody) -> String {
    match body {
        RecordBody::Candidate(candidate) => format!("{:?}, {:?}", candidate.state, candidate.why),
        RecordBody::Payout(payout) => format!("{:?}, {:?}, {:?}", payout.state, payout.key, payout.payment),
        RecordBody::NoticeCursor(_) => String::new(),
        other => format!("{other:?}"),
    }
}

fn first_difference<K: Ord + std::fmt::Debug, V, W: PartialEq + std::fmt::Debug>(
    what: &str,
    told: &BTreeMap<K, V>,
    stored: &BTreeMap<K, V>,
    word: impl Fn(&V) -> W,
) -> Option<String> {
    let keys = told.keys().chain(stored.keys());
    keys.into_iter().find_map(|key| {
        let (told, stored) = (told.get(key).map(&word), stored.get(key).map(&word));
        (told != stored).then(|| {
            format!(
                "the events tell another {what} than is stored: {key:?} is told to be {told:?}, stored is {stored:?}"
            )
        })
    })
}
