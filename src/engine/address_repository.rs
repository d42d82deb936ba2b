//! Reads an address's book, lets a decision be written into it, settles it, and commits it: again and again while
//! somebody else is quicker.

use std::sync::Arc;

use thiserror::Error;

use super::transaction::Tries;
use super::{EngineSettings, follow_ups};
use crate::domain::chain::Address;
use crate::domain::coverage::{Coverage, FinalityMark};
use crate::domain::event::Event;
use crate::domain::payment::{Payment, PaymentId};
use crate::domain::record::{Record, RecordKey};
use crate::domain::shadow::ShadowAct;
use crate::domain::time::Timestamp;
use crate::policy::address::AddressState;
use crate::policy::matching::{MatchParams, Own};
use crate::policy::payment_machine::{Context, Unexpected};
use crate::policy::retry::Jitter;
use crate::policy::strays;
use crate::policy::sweep::{self, SweepParams};
use crate::ports::clock::{Chance, Clock};
use crate::ports::store::{Commit, Holdings, Store, StoreError};

/// An address's book, with its coverage.
#[derive(Debug)]
pub(crate) struct AddressUnit {
    pub(crate) book: AddressState,
    pub(crate) coverage: Option<Coverage>,
    /// Set to store every payment of the address again, so that a decision made meanwhile on the old set of
    /// payments runs into a conflict.
    pub(crate) touch_payments: bool,
    /// Set to say what would be done with a payment, if it were not for shadow mode.
    pub(crate) would: Option<(PaymentId, ShadowAct)>,
    /// The further record that is changed together with the address, where one was asked for and is there.
    pub(crate) record: Option<Record>,
    /// What is to be said of that record.
    pub(crate) said: Vec<Event>,
    /// What is believed of finality from now on, where the change rests on it and nobody has stored it yet.
    pub(crate) mark: Option<FinalityMark>,
}

impl AddressUnit {
    /// Has all of the address read again where something that was only counted could pay a payment that is new.
    fn read_again(&mut self, params: &MatchParams) {
        if strays::reads_again(self.book.payments(), self.book.deposits(), params) {
            self.book.uncount();
            self.coverage = self.coverage.take().map(|known| Coverage { swept: None, ..known });
        }
    }

    /// Adds a payment that is new at this address, and has its deposits looked for from its creation on.
    pub(crate) fn add_payment(&mut self, payment: Payment, sweep: &SweepParams) {
        // The others of the address are stored again: a decision that is being made without this one must fail.
        self.touch_payments = true;
        let (address, created_at) = (payment.terms.deposit_address, payment.terms.created_at);
        self.book.add_payment(payment);
        self.coverage = Some(sweep::cover(self.coverage.as_ref(), address, created_at, sweep));
    }
}

/// Why a change was not made. `E` is what the change itself may object with.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RepositoryError<E> {
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The change was refused; nothing was stored.
    #[error("{0}")]
    Refused(E),
    /// A payment cannot take what follows from the change; nothing was stored.
    #[error("{0}")]
    Unexpected(Unexpected),
    /// The payment is not known.
    #[error("payment {0} is not known here")]
    NoPayment(PaymentId),
}

/// The way to the store for everything that concerns an address.
#[derive(Clone)]
pub(crate) struct AddressRepository {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    settings: Arc<EngineSettings>,
}

impl AddressRepository {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
        settings: Arc<EngineSettings>,
    ) -> Self {
        Self { store, clock, chance, settings }
    }

    /// The moment, the pace and some jitter.
    pub(crate) fn context(&self) -> Context<'_> {
        Context { now: self.clock.now(), pace: &self.settings.pace, jitter: Jitter(self.chance.below(1_000)) }
    }

    /// Changes an address's book. `change` may be called several times, each time with a fresh book. Returns whether anything was
    /// stored.
    pub(crate) async fn change<E, F>(&self, address: Address, change: F) -> Result<bool, RepositoryError<E>>
    where
        F: FnMut(&mut AddressUnit, &Context<'_>) -> Result<(), E> + Send,
        E: Send,
    {
        self.change_with(address, None, change).await
    }

    /// The same, together with a further record.
    pub(crate) async fn change_with<E, F>(
        &self,
        address: Address,
        record: Option<&RecordKey>,
        mut change: F,
    ) -> Result<bool, RepositoryError<E>>
    where
        F: FnMut(&mut AddressUnit, &Context<'_>) -> Result<(), E> + Send,
        E: Send,
    {
        let mut tries = Tries::default();
        loop {
            let changes = self.prepare(address, record, &mut change).await?;
            if changes.is_empty() {
                return Ok(false);
            }
            if tries.commit(&*self.store, changes).await? {
                return Ok(true);
            }
        }
    }

    async fn prepare<E, F>(
        &self,
        address: Address,
        record: Option<&RecordKey>,
        change: &mut F,
    ) -> Result<Commit, RepositoryError<E>>
    where
        F: FnMut(&mut AddressUnit, &Context<'_>) -> Result<(), E> + Send,
        E: Send,
    {
        let Holdings { payments, deposits, coverage, orders, wallet } = self.store.holdings(address).await?;
        let context = self.context();
        let of_wallet = wallet.is_some_and(|wallet| wallet.address == address);
        let is_wallet = payments.is_empty() && of_wallet;
        let before = payments.clone();
        let book = AddressState::open(payments, deposits).with_own(Own::from_orders(is_wallet, &orders));
        let record_was = match record {
            Some(key) => self.store.record(key).await?,
            None => None,
        };
        let coverage_was = coverage.clone();
        let mut unit = AddressUnit {
            book,
            coverage,
            touch_payments: false,
            would: None,
            record: record_was.clone(),
            said: Vec::new(),
            mark: None,
        };
        change(&mut unit, &context).map_err(RepositoryError::Refused)?;
        unit.read_again(&self.settings.matching);
        unit.book.settle(&self.settings.matching, &context).map_err(RepositoryError::Unexpected)?;
        let AddressUnit { book, coverage: mut new_coverage, touch_payments, would, record: new_record, said, mark } =
            unit;
        let payments = book.payments().to_vec();
        let until = sweep::watch_until(&payments, self.settings.sweep.keep);
        // The API has opened a payment again whose address was let go.
        if let (None, Some(closed)) = (until, new_coverage.as_ref().filter(|known| known.closed)) {
            let created = payments.iter().filter(|payment| !payment.state.is_ended());
            if let Some(created_at) = created.map(|payment| payment.terms.created_at).min() {
                new_coverage = Some(sweep::cover(Some(closed), address, created_at, &self.settings.sweep));
            }
        }
        if let Some(new) = new_coverage.as_mut().filter(|new| !new.closed) {
            // The wallet's own address is never let go, whatever payments somebody has added to it.
            new.watch_until = until.map(|until| if of_wallet { Timestamp::FAR_FUTURE } else { until });
        }
        let mut changes = book.changes();
        if touch_payments {
            changes.payments.clone_from(&payments);
        }
        let mode = self.settings.mode;
        let follow_ups = follow_ups::of(&*self.store, mode, &before, &changes, would.as_ref(), context.now).await?;
        changes.events.extend(follow_ups.events);
        changes.events.extend(said);
        let coverage_changed = new_coverage != coverage_was;
        Ok(Commit {
            payments: changes.payments,
            deposits: changes.deposits,
            coverage: new_coverage.filter(|_| coverage_changed).into_iter().collect(),
            finality: mark,
            records: follow_ups
                .records
                .into_iter()
                .chain(new_record.filter(|new| record_was.as_ref() != Some(new)))
                .collect(),
            events: changes.events,
            ..Commit::default()
        })
    }

    /// Changes the book of a payment's address. `change` gets the payment as it stands.
    pub(crate) async fn change_payment<E, F>(&self, id: &PaymentId, mut change: F) -> Result<bool, RepositoryError<E>>
    where
        F: FnMut(&mut AddressUnit, &Payment, &Context<'_>) -> Result<(), E> + Send,
        E: Send,
    {
        let payment = self.store.payment(id).await?;
        let payment = payment.ok_or_else(|| RepositoryError::NoPayment(id.clone()))?;
        self.change_known(&payment, |unit, payment, context| change(unit, payment, context)).await
    }

    /// The same for a payment that was read before. A payment never leaves its address, so it is there still.
    pub(crate) async fn change_known<E, F>(&self, known: &Payment, mut change: F) -> Result<bool, RepositoryError<E>>
    where
        F: FnMut(&mut AddressUnit, &Payment, &Context<'_>) -> Result<(), E> + Send,
        E: Send,
    {
        self.change(known.terms.deposit_address, |unit, context| {
            let payment = unit.book.payments().iter().find(|payment| payment.id == known.id).cloned();
            payment.map_or(Ok(()), |payment| change(unit, &payment, context))
        })
        .await
    }
}
