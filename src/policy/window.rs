//! What counts towards the limits per day, and until when.
//!
//! Spend is a reservation for as long as its order is open, however old that is, and then an entry dated by the block that
//! mined it. So what is approved, resumed or mined late was counted all the while, and in no 24 hours of block time more
//! than the limit leaves the wallet. The window's clock is the chain's: the system's clock may jump as it likes.

use std::collections::BTreeMap;

use crate::domain::actor::Actor;
use crate::domain::amount::Amount;
use crate::domain::order::{Order, OrderState, Placer, Spend};
use crate::domain::payment::{Provenance, RecipientId};
use crate::domain::time::{Span, Timestamp};
use crate::domain::wallet::{BookedSpend, Wallet};
use crate::planted::{Bug, planted};

/// How long an entry counts, from its block time on.
pub const WINDOW: Span = Span::from_secs(86_400);

/// Transfers that no order accounts for are added up by so much of block time.
const BUCKET: Span = Span::from_secs(3_600);

/// The most sums that are kept by recipient: the wallet's record has a bound.
const MOST_BOOKED: usize = 32;

/// The moment of the window: that of the newest block, as far as the system's clock does not contradict it. `newest`: the
/// newest block's time as last read; without one the stored moment is all there is, and it does not move on.
///
/// A moment that is too early only counts more. So the stored one, which has counted before, is gone back behind only
/// where it is ahead of the chain by more than `skew`: then the system's clock was ahead when it was stored.
#[must_use]
pub fn window_now(wallet: Option<&Wallet>, newest: Option<Timestamp>, now: Timestamp, skew: Span) -> Timestamp {
    let stored = wallet.map(|wallet| wallet.clock);
    let Some(newest) = newest else { return stored.map_or(now, |stored| stored.min(now)) };
    let read = newest.min(now.plus(skew));
    stored.filter(|stored| *stored <= newest.plus(skew)).map_or(read, |stored| stored.max(read))
}

/// From when on entries count at this moment.
#[must_use]
pub const fn window_start(at: Timestamp) -> Timestamp {
    // What is exactly 24 hours old does not count any more.
    match at.as_millis().checked_sub(WINDOW.as_millis()) {
        Some(a_day_ago) => Timestamp::from_millis(a_day_ago.saturating_add(1)),
        None => Timestamp::EPOCH,
    }
}

/// From which moment on an order's transfer counts, once it is final: its block's time by one node's word, and never before it
/// was signed. `newest`: the newest block's time, which bounds a clock that was ahead then.
#[must_use]
pub fn spent_at(order: &Order, made_at: Timestamp, newest: Timestamp) -> Timestamp {
    let signed_at = order.live_attempts().map(|attempt| attempt.signed_at).min();
    let made_at = made_at.min(newest);
    signed_at.map_or(made_at, |signed_at| made_at.max(signed_at.min(newest)))
}

/// What counts, or may count, towards the limits per day.
#[derive(Clone, Copy, Debug)]
pub struct Spending<'a> {
    /// All open orders, and those that have ended and may count; each once.
    pub orders: &'a [Order],
    /// What no order accounts for.
    pub booked: &'a [BookedSpend],
    /// The moment, as [`window_now`] gives it.
    pub at: Timestamp,
}

impl Spending<'_> {
    /// How much counts as spent.
    #[must_use]
    pub fn all(&self) -> Amount {
        self.sum(|_| true, |_| true)
    }

    /// How much counts as spent for a recipient. What nobody can tell whose it was counts too.
    #[must_use]
    pub fn to(&self, recipient: &RecipientId) -> Amount {
        self.sum(|order| order.recipient_id == *recipient, |whose| whose.is_none_or(|whose| whose == recipient))
    }

    /// How much counts as spent for all recipients that a person has typed.
    #[must_use]
    pub fn to_typed(&self) -> Amount {
        self.sum(|order| order.recipient_from == Some(Provenance::Typed), |whose| whose.is_none())
    }

    /// How much counts as spent by the automatic mode.
    #[must_use]
    pub fn by_auto(&self) -> Amount {
        self.sum(|order| order.placed_by == Placer::Auto, |_| false)
    }

    /// How much counts as spent of what this person has placed and nobody had to approve.
    #[must_use]
    pub fn unapproved_by(&self, placer: &Actor) -> Amount {
        let is_his = |order: &Order| order.placed_by_name.as_ref() == Some(placer);
        let needs_none =
            |order: &Order| order.approved_by.is_none() && !matches!(order.state, OrderState::AwaitingApproval { .. });
        self.sum(|order| is_his(order) && needs_none(order), |_| false)
    }

    /// The sum of the orders and of the booked entries that are meant. An entry tells whose it was, or that nobody knows.
    fn sum(&self, order: impl Fn(&Order) -> bool, entry: impl Fn(Option<&RecipientId>) -> bool) -> Amount {
        let start = window_start(self.at);
        let orders = self.orders.iter().filter(|of_window| {
            let is_open = !of_window.state.is_ended() && !planted(Bug::WindowForgetsOpenOrders);
            let is_in = is_open || of_window.counts_from() >= start;
            of_window.spend == Spend::Counted && is_in && order(of_window)
        });
        let booked = self.booked.iter().filter(|booked| booked.at >= start && entry(booked.recipient.as_ref()));
        let mut amounts = orders.map(|order| order.amount).chain(booked.map(|entry| entry.amount));
        // A sum that does not fit is more than any limit.
        let sum = amounts.try_fold(Amount::ZERO, Amount::checked_add);
        sum.unwrap_or(Amount::from_base_units(u128::MAX))
    }
}

/// What is booked once these transfers were `found` that no order accounts for: one entry each, at its own block time. Finding
/// the same transfers again changes nothing, and finding fewer of them takes nothing back.
#[must_use]
pub fn book(booked: &[BookedSpend], found: &[BookedSpend], at: Timestamp) -> Vec<BookedSpend> {
    let start = window_start(at);
    let by = |whose: fn(&BookedSpend) -> Option<RecipientId>| {
        let (old, new) = (added_up(booked, whose), added_up(found, whose));
        let mut all = old;
        for (key, entry) in new {
            let kept = all.entry(key).or_insert_with(|| entry.clone());
            (kept.at, kept.amount) = (kept.at.max(entry.at), kept.amount.max(entry.amount));
        }
        all.into_values().filter(|entry| entry.at >= start).collect::<Vec<_>>()
    };
    let by_recipient = by(|entry| entry.recipient.clone());
    if by_recipient.len() > MOST_BOOKED { by(|_| None) } else { by_recipient }
}

/// Sums by recipient and hour.
fn added_up(
    entries: &[BookedSpend],
    whose: fn(&BookedSpend) -> Option<RecipientId>,
) -> BTreeMap<(Option<RecipientId>, u64), BookedSpend> {
    let mut sums: BTreeMap<_, BookedSpend> = BTreeMap::new();
    for entry in entries {
        let (recipient, hour) = (whose(entry), entry.at.as_secs().checked_div(BUCKET.as_secs()).unwrap_or_default());
        let nothing = BookedSpend { at: entry.at, recipient: recipient.clone(), amount: Amount::ZERO };
        let sum = sums.entry((recipient, hour)).or_insert(nothing);
        sum.at = sum.at.max(entry.at);
        sum.amount = sum.amount.checked_add(entry.amount).unwrap_or(Amount::from_base_units(u128::MAX));
    }
    sums
}
