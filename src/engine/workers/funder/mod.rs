//! The one sender of the hot wallet (decision 8).
//!
//! It reads the open orders, asks for receipts of what is on its way, sends again or raises what is not mined, and
//! takes up orders that are ready: checks, signs, stores the nonce with the signed bytes, and only then broadcasts.
//! A crash between any two lines leaves either no nonce taken, or signed bytes that the next start checks anew and sends
//! again. Deliberately absent: completing (the scanner sees the transfer, and the one completer completes it), and any
//! counter of nonces but the one in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::Discriminant;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use crate::domain::chain::B256;
use crate::domain::event::EventKind;
use crate::domain::hold::Hold;
use crate::domain::order::{Order, OrderId, OrderState};
use crate::domain::payment::PaymentId;
use crate::domain::time::{Span, Timestamp};
use crate::domain::wallet::{HaltReason, Market, Wallet};
use crate::engine::address_repository::AddressRepository;
use crate::engine::agreement::Agreements;
use crate::engine::circuit_breaker::CircuitBreaker;
use crate::engine::event_log::count_open;
use crate::engine::health::Health;
use crate::engine::order_repository::{Blocked, OrderError, OrderRepository};
use crate::engine::put_aside::unreadable;
use crate::engine::transaction;
use crate::engine::worker::{LONGEST_WAIT, Rest, Worker};
use crate::engine::{EngineError, EngineSettings, FundingPorts, FundingRules, Ports, Shared};
use crate::policy::order_machine::{Act, FundingPace, OrderFact, next_act};
use crate::policy::spend::SpendRefusal;
use crate::ports::chain::ChainError;
use crate::ports::store::{Changes, Commit, StoreError};

mod auto;
mod nonce_ownership;
mod preflight;
mod send;
mod settle;
mod sign;
mod take_up;

/// How many orders are checked at once.
const CHECKS_AT_ONCE: usize = 16;

/// How many transactions are given to the nodes at once.
const SENDS_AT_ONCE: usize = 8;

/// Why a round ended early.
#[derive(Debug)]
enum Trouble {
    /// The nodes could not be asked: try again soon.
    Chain(ChainError),
    /// The store failed: stop.
    Store(StoreError),
    /// A fact came too late for the order that it is about: the next round reads anew.
    Late(OrderError),
}

impl From<ChainError> for Trouble {
    fn from(error: ChainError) -> Self {
        Self::Chain(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<OrderError> for Trouble {
    fn from(error: OrderError) -> Self {
        match error {
            OrderError::Store(error) => Self::Store(error),
            late => Self::Late(late),
        }
    }
}

pub(crate) struct Funder {
    ports: Ports,
    funding: FundingPorts,
    settings: Arc<EngineSettings>,
    book: OrderRepository,
    addresses: AddressRepository,
    breaker: Arc<CircuitBreaker>,
    health: Arc<Health>,
    agreements: Arc<Agreements>,
    /// Orders whose nonce the nodes call consumed, without a receipt of ours so far: how often that was looked into, and
    /// when it is again.
    too_low: Mutex<BTreeMap<OrderId, (u32, Timestamp)>>,
    /// Orders of which no node can say for now whether their transactions are mined.
    unread: BTreeSet<OrderId>,
    /// When orders that are ready are taken up again, after the nodes could not be asked whose nonce is next.
    take_up_at: Timestamp,
    /// When orders that wait for an approval are looked through again.
    retire_at: Timestamp,
    /// Whether the nodes' counts were held against the store since the start.
    checked_start: bool,
    /// Why they do not fit yet, if so.
    behind: Option<String>,
    /// What the automatic mode said no to, so that it says so once.
    auto_refused: BTreeMap<PaymentId, Discriminant<SpendRefusal>>,
    auto_at: Timestamp,
    auto_seen: u64,
}

impl Worker for Funder {
    fn name(&self) -> &str {
        "funder"
    }

    async fn turn(&mut self, seen: &Changes, _: &CancellationToken) -> Result<Rest, EngineError> {
        let wakes = if self.book.rules.limits.auto { orders_or_payments } else { orders };
        let poll = self.pace().poll_interval;
        let ended = match self.round(seen).await {
            Err(Trouble::Chain(error)) if !matches!(error, ChainError::Contradiction(_)) => {
                tracing::warn!(%error, "the wallet's transactions cannot be looked after right now");
                self.note_unavailable(&error).await.map(|()| poll)
            }
            ended => ended,
        };
        let wait = match ended {
            Ok(wait) => wait,
            Err(Trouble::Store(StoreError::Conflict(what))) => {
                tracing::debug!(what, "version conflict, retrying");
                poll
            }
            Err(Trouble::Store(StoreError::Corrupt(what))) => self.stands_still(what),
            Err(Trouble::Store(error)) => return Err(error.into()),
            Err(Trouble::Chain(error)) => return Err(EngineError::Chain(error)),
            Err(Trouble::Late(error)) => {
                tracing::warn!(%error, "a fact came too late for its order");
                poll
            }
        };
        Ok(Rest::until(wait, wakes))
    }
}

/// Orders, or the wallet.
fn orders(seen: &Changes, now: &Changes) -> Option<Span> {
    (now.orders != seen.orders).then_some(Span::ZERO)
}

/// In automatic mode, a payment that waits is news too.
fn orders_or_payments(seen: &Changes, now: &Changes) -> Option<Span> {
    orders(seen, now).or_else(|| (now.payments != seen.payments).then_some(auto::BREATH))
}

impl Funder {
    pub(crate) fn new(shared: &Shared, funding: FundingPorts, rules: FundingRules) -> Self {
        let Shared { ports, settings, addresses, breaker, health, agreements } = shared.clone();
        let (store, clock, skew) = (ports.store.clone(), ports.clock.clone(), settings.matching.skew);
        let book = OrderRepository { store, clock, rules, health: health.clone(), skew, actor: None };
        Self {
            ports,
            funding,
            settings,
            book,
            addresses,
            breaker,
            health,
            agreements,
            too_low: Mutex::default(),
            unread: BTreeSet::new(),
            take_up_at: Timestamp::EPOCH,
            retire_at: Timestamp::EPOCH,
            checked_start: false,
            behind: None,
            auto_refused: BTreeMap::new(),
            auto_at: Timestamp::EPOCH,
            auto_seen: 0,
        }
    }

    /// What the wallet has spent, or has under way, cannot be known: it signs nothing until the record reads again.
    fn stands_still(&self, what: String) -> Span {
        tracing::error!(what, "the wallet stands still: a record does not read");
        metrics::gauge!("rampwatch_wallet_stopped", "why" => "halted").set(1);
        self.health.update(|health| health.wallet_halted = Some(unreadable(&what)));
        LONGEST_WAIT
    }

    fn pace(&self) -> FundingPace {
        self.book.rules.pace
    }

    /// Everything that is due. Returns how long nothing will be.
    async fn round(&mut self, seen: &Changes) -> Result<Span, Trouble> {
        let Some(wallet) = self.wallet().await? else { return Ok(self.pace().hold_check) };
        let stopped = self.stopped(&wallet);
        let mut open = self.ports.store.open_orders().await?;
        if open.iter().any(|order| order.state.nonce().is_some()) {
            self.settle(&open).await?;
        }
        self.retire_unapproved(&open).await?;
        if let Some(why) = &stopped {
            open = self.ports.store.open_orders().await?;
            self.name_stop(&open, why).await?;
        } else {
            self.place_auto(seen).await?;
            open = self.ports.store.open_orders().await?;
            self.take_up(&open).await?;
            // What was signed before shadow mode is only looked after.
            if self.settings.mode.acts() {
                open = self.ports.store.open_orders().await?;
                self.send_due(&open).await?;
            }
        }
        self.tell_health(&wallet, &open);
        let open = self.ports.store.open_orders().await?;
        Ok(self.wait_for(&open, stopped.is_some()))
    }

    fn tell_health(&self, wallet: &Wallet, open: &[Order]) {
        let halted = wallet.halted.as_ref().map(|halt| halt.why.to_string()).or_else(|| self.behind.clone());
        let paused = wallet.paused.as_ref().map(|pause| pause.reason.clone());
        metrics::gauge!("rampwatch_wallet_stopped", "why" => "halted").set(u32::from(halted.is_some()));
        metrics::gauge!("rampwatch_wallet_stopped", "why" => "paused").set(u32::from(paused.is_some()));
        self.health.update(|health| {
            // Until the nodes' counts fit for the first time, it says why they do not.
            if self.checked_start || halted.is_some() {
                health.wallet_halted = halted;
            }
            health.wallet_paused = paused;
        });
        count_open(open);
    }

    /// What keeps the whole wallet from sending, if anything does.
    fn stopped(&self, wallet: &Wallet) -> Option<Hold> {
        match (&wallet.halted, &wallet.paused) {
            (Some(_), _) => Some(Hold::WalletHalted),
            (None, Some(_)) => Some(Hold::WalletPaused),
            // Shadow mode gives out no nonce, so it need not fit.
            (None, None) => (!self.checked_start && self.settings.mode.acts()).then(no_word_of_nonces),
        }
    }

    /// Orders that nothing else keeps say what keeps the whole wallet: none is open without a reason.
    async fn name_stop(&self, open: &[Order], why: &Hold) -> Result<(), Trouble> {
        let is_unnamed = |order: &&Order| match &order.state {
            OrderState::Ready => true,
            OrderState::Sending { trouble, .. } | OrderState::Cancelling { trouble, .. } => trouble.is_none(),
            OrderState::AwaitingApproval { .. }
            | OrderState::Held { .. }
            | OrderState::Mined { .. }
            | OrderState::Ended { .. } => false,
        };
        for order in open.iter().filter(is_unnamed) {
            self.note_hold(order, why.clone()).await?;
        }
        Ok(())
    }

    /// How long until the next order is due.
    fn wait_for(&self, open: &[Order], is_stopped: bool) -> Span {
        let now = self.ports.clock.now();
        let in_flight = open.iter().any(|order| order.state.nonce().is_some());
        let unapproved = open.iter().any(|order| matches!(order.state, OrderState::AwaitingApproval { .. }));
        let idle = if unapproved { self.retire_at.since(now) } else { LONGEST_WAIT };
        let poll = if in_flight { self.pace().poll_interval } else { idle.max(Span::from_millis(1)) };
        if is_stopped {
            return if self.checked_start { poll } else { poll.min(self.pace().hold_check) };
        }
        let takes_up = self.book.rules.limits.enabled && self.free_places(open) > 0;
        let too_low = self.too_low.lock().unwrap_or_else(PoisonError::into_inner);
        let looked_at = |order: &Order| {
            // What is mined is asked after at each poll; nothing of it is ever due by itself.
            let next_at = due_at(order).filter(|_| !matches!(order.state, OrderState::Mined { .. }))?;
            match order.state.nonce() {
                None => takes_up.then(|| next_at.max(self.take_up_at)),
                Some(_) if !self.settings.mode.acts() => None,
                Some(_) => Some(too_low.get(&order.id).map_or(next_at, |(_, again_at)| next_at.max(*again_at))),
            }
        };
        let next = open.iter().filter_map(looked_at).min();
        let until = next.map_or(LONGEST_WAIT, |next| next.since(now));
        until.min(poll).max(Span::from_millis(1))
    }

    /// How many more orders may take a nonce.
    fn free_places(&self, open: &[Order]) -> usize {
        let waits = |order: &&Order| matches!(order.state, OrderState::Sending { .. } | OrderState::Cancelling { .. });
        self.pace().max_in_flight.saturating_sub(open.iter().filter(waits).count())
    }

    /// Sends, and raises, what has a nonce and is due; the lowest nonce first.
    async fn send_due(&mut self, open: &[Order]) -> Result<(), Trouble> {
        let now = self.ports.clock.now();
        let mut waiting: Vec<&Order> = open
            .iter()
            .filter(|order| matches!(order.state, OrderState::Sending { .. } | OrderState::Cancelling { .. }))
            .collect();
        waiting.sort_by_key(|order| order.state.nonce());
        let lowest = waiting.first().and_then(|order| order.state.nonce());
        let is_due = |order: &&&Order| order.next_at.is_some_and(|at| at <= now) && !self.unread.contains(&order.id);
        let due: Vec<Order> = waiting.iter().filter(is_due).map(|order| (**order).clone()).collect();
        if due.is_empty() {
            return Ok(());
        }
        let market = self.funding.sender.market().await?;
        // The checks take most of the time and go together; what is sent goes in the order of the nonces.
        let this = &*self;
        let checking = due.into_iter().map(|order| async move {
            let is_lowest = order.state.nonce() == lowest;
            this.prepare(order, &market, is_lowest).await
        });
        let mut checked: Vec<(Order, Act)> = Vec::new();
        let mut under_way = futures_util::stream::iter(checking).buffered(CHECKS_AT_ONCE);
        while let Some(result) = under_way.next().await {
            checked.extend(its_own(result)?.flatten());
        }
        drop(under_way);
        // Signed one after the other, the lowest nonce first, and broadcast in that order; but a node that is slow to answer
        // must not hold up those behind.
        let mut signed = Vec::new();
        for (order, act) in checked {
            match act {
                Act::Sign(kind, fees) => {
                    let new = its_own(this.sign_again(&order, kind, fees).await)?.flatten();
                    signed.extend(new.map(|new| (new, true)));
                }
                Act::Broadcast(tx_hash) => signed.push(((order, tx_hash), false)),
                Act::Wait(until) => this.put_off(&order, until).await?,
                Act::Hold(_) => {}
            }
        }
        let acting = signed
            .into_iter()
            .map(|((order, tx_hash), is_new)| async move { this.check_and_broadcast(&order, tx_hash, is_new).await });
        let mut under_way = futures_util::stream::iter(acting).buffered(SENDS_AT_ONCE);
        while let Some(result) = under_way.next().await {
            its_own(result)?;
        }
        Ok(())
    }

    /// What is to be done with an order that has a nonce, after the checks. `None` when there is nothing to do now.
    async fn prepare(&self, order: Order, market: &Market, is_lowest: bool) -> Result<Option<(Order, Act)>, Trouble> {
        let now = self.ports.clock.now();
        if self.looks(&order.id).is_some_and(|(_, again_at)| again_at > now) {
            return Ok(None);
        }
        let act = next_act(&order, market, is_lowest, now, &self.pace(), &self.book.rules.preflight.fees);
        let checked = self.check_signed(&order, &act).await;
        Ok(self.unless_blocked(&order, checked).await?.map(|()| (order, act)))
    }

    /// Broadcasts. What was only just signed is checked once more, because signing and storing lie in between.
    async fn check_and_broadcast(&self, order: &Order, tx_hash: B256, is_new: bool) -> Result<(), Trouble> {
        let checked = if is_new { self.check_signed(order, &Act::Broadcast(tx_hash)).await } else { Ok(()) };
        match self.unless_blocked(order, checked).await? {
            Some(()) => self.broadcast(order, tx_hash).await,
            None => Ok(()),
        }
    }

    /// Sets when an order is looked at next, unless it has changed meanwhile.
    async fn put_off(&self, order: &Order, until: Timestamp) -> Result<(), Trouble> {
        if order.next_at == Some(until) {
            return Ok(());
        }
        let commit = Commit { orders: vec![Order { next_at: Some(until), ..order.clone() }], ..Commit::default() };
        match transaction::commit(&*self.ports.store, commit).await {
            Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Notes of every order that is due that no node could be asked: none waits without a reason. A node that is only behind
    /// is no reason yet; it is asked again at once.
    async fn note_unavailable(&self, error: &ChainError) -> Result<(), Trouble> {
        if !matches!(error, ChainError::Unavailable(_) | ChainError::Refused(_)) {
            return Ok(());
        }
        let now = self.ports.clock.now();
        let open = self.ports.store.open_orders().await?;
        for order in open.iter().filter(|order| order.next_at.is_some_and(|at| at <= now)) {
            self.note_hold(order, preflight::unavailable(error)).await?;
        }
        Ok(())
    }

    /// What passed the checks. What did not is noted of the order.
    async fn unless_blocked<T>(&self, order: &Order, checked: Result<T, Blocked>) -> Result<Option<T>, Trouble> {
        match checked {
            Ok(passed) => Ok(Some(passed)),
            Err(Blocked::Hold(hold)) => self.note_hold(order, hold).await.map(|()| None),
            Err(Blocked::Store(error)) => Err(error.into()),
        }
    }

    /// Notes what stands in an order's way, unless the order has changed meanwhile.
    async fn note_hold(&self, order: &Order, hold: Hold) -> Result<(), Trouble> {
        self.tell_unchanged(order, OrderFact::Held(hold)).await
    }

    /// Takes a fact into an order, unless the order has changed meanwhile.
    async fn tell_unchanged(&self, order: &Order, fact: OrderFact) -> Result<(), Trouble> {
        self.tell(order, fact, Vec::new(), |now| now.state == order.state).await
    }

    /// Takes a fact into an order while it `still` applies, with `more` to say of it. One that comes too late for the order's
    /// state is dropped: the next round reads anew.
    async fn tell(
        &self,
        order: &Order,
        fact: OrderFact,
        more: Vec<EventKind>,
        still: impl Fn(&Order) -> bool,
    ) -> Result<(), Trouble> {
        match self.book.tell(&order.id, &fact, more, still).await {
            Ok(_) | Err(OrderError::Unexpected(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// How often it was looked into that the nodes call an order's nonce consumed, and when it is again.
    fn looks(&self, id: &OrderId) -> Option<(u32, Timestamp)> {
        self.too_low.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied()
    }

    fn set_looks(&self, id: &OrderId, looks: Option<(u32, Timestamp)>) {
        let mut too_low = self.too_low.lock().unwrap_or_else(PoisonError::into_inner);
        match looks {
            Some(looks) => too_low.insert(id.clone(), looks),
            None => too_low.remove(id),
        };
    }

    /// Halts the wallet, and says why.
    async fn halt(&self, why: &HaltReason) -> Result<(), Trouble> {
        self.book.halt(why).await.map(|_| ()).map_err(Trouble::from)
    }
}

/// What became of work on one order. A record that does not read, or that no node can tell of, keeps it where it is, and no
/// other: nothing is signed or sent without what it goes by.
fn its_own<T>(result: Result<T, Trouble>) -> Result<Option<T>, Trouble> {
    match result {
        Err(Trouble::Store(StoreError::Corrupt(what))) => {
            tracing::warn!(what, "an order stands still: what it goes by holds a record that does not read");
            Ok(None)
        }
        Err(Trouble::Chain(ChainError::Refused(why))) => {
            tracing::warn!(why, "an order waits: no node can tell what it goes by");
            Ok(None)
        }
        other => other.map(Some),
    }
}

/// When an order has to be looked at. One that only the whole wallet kept is due as soon as the wallet goes on.
const fn due_at(order: &Order) -> Option<Timestamp> {
    match &order.state {
        OrderState::Held { why: Hold::WalletPaused | Hold::WalletHalted } => Some(Timestamp::EPOCH),
        _ => order.next_at,
    }
}

fn no_word_of_nonces() -> Hold {
    Hold::ChainUnavailable {
        detail: "no endpoint tells of the wallet's nonces, or those that do are behind".to_owned(),
    }
}
