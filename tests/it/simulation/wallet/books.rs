//! The checks' own account of the wallet's orders, kept from what was committed, asked, broadcast and mined.

use std::collections::{BTreeMap, BTreeSet};

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{Address, B256, BlockNumber, BlockRef};
use rampwatch::domain::deposit::DepositKey;
use rampwatch::domain::order::{Order, OrderId, RawTransaction, Spend};
use rampwatch::domain::payment::PaymentId;
use rampwatch::domain::time::Timestamp;

use super::bytes::Signed;
use crate::support::memory_store::Contents;

/// Signed bytes that are on the disk.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// What they say.
    pub(super) signed: Signed,
    /// As they are on the disk.
    pub(super) raw: RawTransaction,
    /// Since when.
    pub(super) since: Timestamp,
}

/// One order.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// As it was committed last.
    pub(super) order: Order,
    /// When its state's kind changed last.
    pub(super) changed_at: Timestamp,
    /// Whether its amount counts as spent, by the checks' own rules.
    pub(super) counted: bool,
    /// All that was ever signed for it, oldest first.
    pub(super) kept: Vec<Kept>,
}

/// An answer to a question for an address's transfers.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// When it was asked.
    pub(super) at: Timestamp,
    /// Up to which block.
    pub(super) to: BlockNumber,
    /// Money of other people that it told of.
    pub(super) money: Vec<DepositKey>,
}

/// The account.
#[derive(Default)]
pub(super) struct Books {
    /// All orders.
    pub(super) lines: BTreeMap<OrderId, Line>,
    /// Which order a nonce was signed for.
    pub(super) nonces: BTreeMap<u64, OrderId>,
    /// Which order a transaction was signed for.
    pub(super) hashes: BTreeMap<B256, OrderId>,
    /// The orders that somebody who may has approved.
    pub(super) approved: BTreeSet<OrderId>,
    /// The orders that a person wants cancelled.
    pub(super) cancelled: BTreeSet<OrderId>,
    /// What was signed with the key elsewhere.
    pub(super) outsiders: BTreeSet<B256>,
    /// Which life is on.
    pub(super) life: u64,
    /// When the life that is on has begun.
    pub(super) life_began: Timestamp,
    /// When this life last asked the API after a payment and heard that it may be paid.
    pub(super) asked: BTreeMap<PaymentId, Timestamp>,
    /// When this life last looked at the chain before a transfer, and the head that it saw.
    pub(super) viewed: BTreeMap<(Address, Amount), Vec<(Timestamp, BlockNumber)>>,
    /// What this life was told of an address's transfers lately.
    pub(super) read: BTreeMap<Address, Vec<Reading>>,
    /// The block in which a transaction was last seen on the chain.
    pub(super) mined: BTreeMap<B256, BlockRef>,
    /// When a transaction was last broadcast.
    pub(super) sent: BTreeMap<B256, Timestamp>,
    /// When a deposit's record last changed.
    pub(super) deposits: BTreeMap<DepositKey, Timestamp>,
    /// When a payment's state last changed.
    pub(super) payments: BTreeMap<PaymentId, Timestamp>,
    /// Since when the wallet is paused or halted, by the store.
    pub(super) stopped_since: Option<Timestamp>,
}

impl Books {
    /// The store is what it was once: so are the orders in it.
    pub(super) fn come_back(&mut self, older: &Contents, now: Timestamp) {
        self.lines = older
            .orders
            .iter()
            .map(|(id, order)| {
                let kept = self.lines.get(id).map(|line| line.kept.clone()).unwrap_or_default();
                let kept = kept.into_iter().filter(|kept| order.attempt(kept.signed.hash).is_some()).collect();
                let counted = order.spend == Spend::Counted;
                (id.clone(), Line { order: order.clone(), changed_at: now, counted, kept })
            })
            .collect();
        let known = &self.lines;
        self.hashes.retain(|hash, id| known.get(id).is_some_and(|line| line.order.attempt(*hash).is_some()));
        self.nonces = known
            .values()
            .flat_map(|line| line.kept.iter().map(|kept| (kept.signed.tx.nonce, line.order.id.clone())))
            .collect();
        self.approved.retain(|id| known.contains_key(id));
        self.cancelled.retain(|id| known.contains_key(id));
        let stopped = older.wallet.as_ref().is_some_and(|it| it.paused.is_some() || it.halted.is_some());
        self.stopped_since = stopped.then_some(now);
    }

    /// What counts as spent.
    pub(super) fn spent(&self) -> u128 {
        let counted = self.lines.values().filter(|line| line.counted);
        counted.map(|line| line.order.amount.base_units()).sum()
    }
}
