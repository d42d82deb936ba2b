//! Changes orders and the wallet's record: reads, lets the policy decide, commits; again while somebody else is quicker.
//!
//! An order and the wallet change in one commit wherever one follows from the other: the nonce with the signed bytes,
//! the window's clock with the placing.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::FundingRules;
use super::health::Health;
use crate::domain::actor::Actor;
use crate::domain::amount::Amount;
use crate::domain::chain::Address;
use crate::domain::event::{Alarm, Event, EventKind, WalletChange};
use crate::domain::hold::Hold;
use crate::domain::order::{Order, OrderId, OrderState, Placer, Spend};
use crate::domain::payment::{Payment, PaymentId};
use crate::domain::time::{Span, Timestamp};
use crate::domain::wallet::{Halt, HaltReason, Pause, Wallet};
use crate::engine::transaction::Tries;
use crate::policy::approval::{Approvers, OwnOrder, may_approve};
use crate::policy::order_decisions::is_approval_over;
use crate::policy::order_machine::{OrderFact, UnexpectedOrder, apply};
use crate::policy::rules::still_allowed;
use crate::policy::spend::{Granted, SpendRefusal, Spending, Wish, authorize};
use crate::policy::window::{window_now, window_start};
use crate::ports::clock::Clock;
use crate::ports::store::{Commit, Store, StoreError};

/// Why an order was not changed. Nothing was stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OrderError {
    #[error("{0}")]
    Store(#[from] StoreError),
    /// There is no such payment.
    #[error("payment {0} is not known here")]
    NoPayment(PaymentId),
    /// There is no such order.
    #[error("order {0} is not known here")]
    NoOrder(OrderId),
    /// The store has no record of a wallet yet.
    #[error("no wallet has been opened here yet: start `rampwatch run` with a wallet configured")]
    NoWallet,
    /// The spend policy refuses.
    #[error("{0}")]
    Spend(#[from] SpendRefusal),
    /// The order's state does not allow it.
    #[error("{0}")]
    Unexpected(#[from] UnexpectedOrder),
    /// Whoever made it cannot approve it.
    #[error("{0}")]
    OwnOrder(#[from] OwnOrder),
    /// It has waited for its approval for too long.
    #[error(
        "order {id} has waited for its approval for more than {valid_for_s} s (funding.approval_valid_for), and ends unsent: \
         if it is still to be paid, place another order"
    )]
    ApprovalOver {
        id: OrderId,
        /// How long it may wait, in seconds.
        valid_for_s: u64,
    },
}

/// Why an order is not sent now.
#[derive(Debug)]
pub(crate) enum Blocked {
    /// Something stands in its way, and is told of it.
    Hold(Hold),
    Store(StoreError),
}

impl From<Hold> for Blocked {
    fn from(hold: Hold) -> Self {
        Self::Hold(hold)
    }
}

impl From<StoreError> for Blocked {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The way to the store for everything that concerns orders.
#[derive(Clone)]
pub(crate) struct OrderRepository {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rules: FundingRules,
    /// Knows the newest block.
    pub(crate) health: Arc<Health>,
    /// How far the chain's clock and ours may be apart.
    pub(crate) skew: Span,
    /// The person who asks; `None` for the automatic mode.
    pub(crate) actor: Option<Actor>,
}

/// What a wish came to, or would come to.
#[derive(Clone, Debug)]
pub(crate) struct Considered {
    pub(crate) granted: Granted,
    pub(crate) order: Order,
    /// The wallet's record, with the window's clock as of now.
    pub(crate) wallet: Wallet,
}

/// An event about an order.
pub(crate) fn event(order: &Order, at: Timestamp, kind: EventKind) -> Event {
    Event { at, payment: Some(order.id.payment.clone()), deposit: None, kind }
}

fn wallet_event(wallet: &Wallet, at: Timestamp, change: WalletChange) -> Event {
    Event { at, payment: None, deposit: None, kind: EventKind::WalletChanged { address: wallet.address, change } }
}

impl OrderRepository {
    /// What the spend policy says of a wish, without placing anything.
    pub(crate) async fn consider(
        &self,
        id: &PaymentId,
        by: Placer,
        shown: Option<(Address, Amount)>,
    ) -> Result<Considered, OrderError> {
        let payment = self.store.payment(id).await?.ok_or_else(|| OrderError::NoPayment(id.clone()))?;
        let orders = self.store.orders_of(id).await?;
        let wallet = self.store.wallet().await?.ok_or(OrderError::NoWallet)?;
        let now = self.clock.now();
        let at = self.window_now(&wallet, now);
        let counted = self.counted(at).await?;
        let spending = Spending { orders: &counted, booked: &wallet.booked, at };
        let placer = self.actor.as_ref().filter(|_| by == Placer::Person);
        let wish = Wish { payment: &payment, orders: &orders, spending, wallet: Some(&wallet), by, placer, shown, now };
        let granted = authorize(&wish, &self.rules.limits)?;
        let state = match granted.approval {
            Some(why) => OrderState::AwaitingApproval { why },
            None => OrderState::Ready,
        };
        let order = Order {
            id: granted.id.clone(),
            version: 0,
            recipient_id: payment.recipient_id.clone(),
            recipient_from: payment.terms.recipient_from,
            bank_account: payment.terms.bank_account.clone(),
            wallet: wallet.address,
            chain_id: payment.terms.chain_id,
            token: payment.terms.token,
            to: payment.terms.deposit_address,
            amount: payment.terms.amount,
            placed_by: by,
            placed_by_name: placer.cloned(),
            approved_by: None,
            placed_at: now,
            spent_at: None,
            next_at: (state == OrderState::Ready).then_some(now),
            state,
            spend: Spend::Counted,
            attempts: Vec::new(),
            reverts: 0,
        };
        // Without a block to go by, the stored moment stays what it is.
        let clock = if self.newest_block().is_some() { at } else { wallet.clock };
        Ok(Considered { granted, order, wallet: Wallet { clock, ..wallet } })
    }

    /// The time of the newest block, as it was last read.
    fn newest_block(&self) -> Option<Timestamp> {
        self.health.snapshot().head_time
    }

    /// The moment of the window of the limits per day.
    pub(crate) fn window_now(&self, wallet: &Wallet, now: Timestamp) -> Timestamp {
        window_now(Some(wallet), self.newest_block(), now, self.skew)
    }

    /// Whether the rules in force still allow an order that was placed before.
    pub(crate) async fn still_allowed(&self, order: &Order, payment: &Payment) -> Result<(), Blocked> {
        let Some(wallet) = self.store.wallet().await? else { return Ok(()) };
        let at = self.window_now(&wallet, self.clock.now());
        let counted = self.counted(at).await?;
        let spending = Spending { orders: &counted, booked: &wallet.booked, at };
        Ok(still_allowed(order, payment, &spending, &self.rules.limits)?)
    }

    /// All orders that may count towards the limits per day, each once. The wallet's record must have been read before: who
    /// places an order meanwhile changes it.
    pub(crate) async fn counted(&self, at: Timestamp) -> Result<Vec<Order>, StoreError> {
        // Open ones first: one that ends between the two readings is in both, and in neither it cannot be.
        let mut orders = self.store.open_orders().await?;
        let open: BTreeSet<OrderId> = orders.iter().map(|order| order.id.clone()).collect();
        let ended = self.store.spent_since(window_start(at)).await?;
        orders.extend(ended.into_iter().filter(|order| !open.contains(&order.id)));
        Ok(orders)
    }

    /// The order that a wish comes to, and the commit that places it: [`StoreError::Conflict`] means that somebody was
    /// quicker, and the wish is to be considered anew.
    pub(crate) async fn propose(
        &self,
        id: &PaymentId,
        by: Placer,
        shown: Option<(Address, Amount)>,
    ) -> Result<(Order, Commit), OrderError> {
        let Considered { order, wallet, .. } = self.consider(id, by, shown).await?;
        let kind = EventKind::OrderPlaced { order: Box::new(order.clone()) };
        let commit = Commit {
            orders: vec![order.clone()],
            wallet: Some(wallet),
            events: vec![event(&order, self.clock.now(), kind)],
            ..Commit::default()
        };
        Ok((order, commit))
    }

    /// Places an order. However many ask at once, the store lets one of them through: an order's key is its payment and its
    /// turn, and the wallet's version makes each placing see the spend of all before it.
    pub(crate) async fn place(
        &self,
        id: &PaymentId,
        by: Placer,
        shown: Option<(Address, Amount)>,
    ) -> Result<Order, OrderError> {
        let mut tries = Tries::default();
        loop {
            let (order, changes) = self.propose(id, by, shown).await?;
            if tries.commit(&*self.store, changes).await? {
                return Ok(Order { version: order.version.saturating_add(1), ..order });
            }
        }
    }

    /// Takes a fact into the order as it stands in the store, in one commit with `more` to say of it. `still` tells whether
    /// the fact still applies to it; `None` when it does not.
    pub(crate) async fn tell(
        &self,
        id: &OrderId,
        fact: &OrderFact,
        more: Vec<EventKind>,
        still: impl Fn(&Order) -> bool,
    ) -> Result<Option<Order>, OrderError> {
        let mut tries = Tries::default();
        loop {
            let mut order = self.store.order(id).await?.ok_or_else(|| OrderError::NoOrder(id.clone()))?;
            if !still(&order) {
                return Ok(None);
            }
            let before = order.clone();
            let now = self.clock.now();
            let mut kinds = more.clone();
            kinds.extend(apply(&mut order, fact, now, &self.rules.pace)?);
            if order == before && kinds.is_empty() {
                return Ok(Some(order));
            }
            let events = kinds.into_iter().map(|kind| event(&order, now, kind)).collect();
            let changes = Commit { orders: vec![order.clone()], events, ..Commit::default() };
            if tries.commit(&*self.store, changes).await? {
                return Ok(Some(Order { version: order.version.saturating_add(1), ..order }));
            }
        }
    }

    /// Whether somebody may approve the order, which is as it was `shown`. Who made it never changes, so this holds until it is
    /// approved. Whether it has waited for too long is looked at again with the approval.
    pub(crate) async fn check_eyes(
        &self,
        id: &OrderId,
        shown: (Address, Amount),
        by: &Actor,
        approvers: Approvers,
    ) -> Result<(), OrderError> {
        let order = self.store.order(id).await?.ok_or_else(|| OrderError::NoOrder(id.clone()))?;
        if is_approval_over(&order, self.clock.now(), &self.rules.pace) {
            let valid_for_s = self.rules.pace.approval_valid_for.as_secs();
            return Err(OrderError::ApprovalOver { id: order.id, valid_for_s });
        }
        if shown != (order.to, order.amount) {
            return Err(SpendRefusal::NotAsShown { to: order.to, amount: order.amount }.into());
        }
        let payment = self.store.payment(&id.payment).await?;
        Ok(may_approve(&order, payment.as_ref().map(|payment| &payment.terms), by, approvers)?)
    }

    /// A person's word about an order: the fact, and that a person said so.
    pub(crate) async fn decide(
        &self,
        id: &OrderId,
        fact: &OrderFact,
        action: &str,
        reason: &str,
    ) -> Result<Order, OrderError> {
        let (action, reason, by) = (action.to_owned(), reason.to_owned(), self.actor.clone());
        let said = EventKind::PersonDecided { action, reason, by };
        let told = self.tell(id, fact, vec![said], |_| true).await?;
        told.ok_or_else(|| OrderError::NoOrder(id.clone()))
    }

    /// Changes the wallet's record. `change` returns what to say of it; `None` when there is nothing to change.
    pub(crate) async fn change_wallet(
        &self,
        change: impl Fn(&mut Wallet, Timestamp) -> Option<WalletChange>,
    ) -> Result<Wallet, OrderError> {
        let mut tries = Tries::default();
        loop {
            let mut wallet = self.store.wallet().await?.ok_or(OrderError::NoWallet)?;
            let now = self.clock.now();
            let Some(said) = change(&mut wallet, now) else { return Ok(wallet) };
            let mut events = Vec::new();
            if let WalletChange::Halted { why } = &said {
                let kind = EventKind::Alarm { alarm: Alarm::WalletHalted { why: why.clone() } };
                events.push(Event::new(now, kind));
            }
            events.push(wallet_event(&wallet, now, said));
            let changes = Commit { wallet: Some(wallet.clone()), events, ..Commit::default() };
            if tries.commit(&*self.store, changes).await? {
                return Ok(wallet);
            }
        }
    }

    /// Halts the wallet, unless it is halted already.
    pub(crate) async fn halt(&self, why: &HaltReason) -> Result<Wallet, OrderError> {
        self.change_wallet(|wallet, now| {
            if wallet.halted.is_some() {
                return None;
            }
            wallet.halted = Some(Halt { at: now, why: why.clone() });
            Some(WalletChange::Halted { why: why.clone() })
        })
        .await
    }

    /// The right key is there again: ends the halt that its absence was.
    pub(crate) async fn clear_other_wallet(&self) -> Result<Wallet, OrderError> {
        self.change_wallet(|wallet, _| {
            if !matches!(&wallet.halted, Some(Halt { why: HaltReason::OtherWallet { .. }, .. })) {
                return None;
            }
            wallet.halted = None;
            let reason = "the wallet's own key is configured again".to_owned();
            let next_nonce = wallet.next_nonce;
            Some(WalletChange::Adopted { reason, next_nonce, by: None, booked: None, typed: false })
        })
        .await
    }

    /// Pauses the wallet, or ends the pause.
    pub(crate) async fn pause(&self, on: bool, reason: &str) -> Result<Wallet, OrderError> {
        let (reason, by) = (reason.to_owned(), self.actor.clone());
        self.change_wallet(move |wallet, now| {
            if wallet.paused.is_some() == on {
                return None;
            }
            wallet.paused = on.then(|| Pause { at: now, reason: reason.clone() });
            let (reason, by) = (reason.clone(), by.clone());
            Some(if on { WalletChange::Paused { reason, by } } else { WalletChange::Resumed { reason, by } })
        })
        .await
    }
}
