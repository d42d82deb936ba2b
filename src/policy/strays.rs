//! Strays: deposits that could pay nothing at their address, and what is kept of them.
//!
//! Anybody can send a base unit to an address ten thousand times. So only the first few such deposits are kept one by one; what
//! comes after them is counted, in one of those that are kept ([`Tally`]). What could pay a payment by itself is always kept,
//! whatever came before it.
//!
//! # Why none is counted twice, and none that could pay is lost
//! A transfer is counted in the commit that raises the coverage over its block, and only there: coverage passes each block once,
//! the commit fails if the deposit that bears the tally was changed meanwhile, and a transfer that is kept is never counted. A
//! block is final then, so none is counted that a reorg may take away. What a second reading brings of blocks that nothing was
//! counted in is counted in the commit that raises the second mark over them; what only the last reading brings, before the address
//! is let go, once more only of blocks above all that was counted. Whatever small is read again in blocks that were
//! counted ([`Tally::has`]) is taken for counted: what the first reading missed there stays uncounted, and is too small to
//! pay. Where coverage begins anew below all that was counted, so does the tally. Where a payment is added that something
//! counted could pay, all is read and judged again ([`reads_again`]).
//!
//! Deliberately absent: the verdict on what is kept, which is `matching`'s.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use super::address::AddressState;
use super::matching::MatchParams;
use crate::domain::amount::Amount;
use crate::domain::chain::BlockNumber;
use crate::domain::coverage::{Coverage, Swept};
use crate::domain::deposit::{Deposit, DepositKey, Tally, Verdict};
use crate::domain::event::{EventKind, Reading};
use crate::domain::payment::Payment;
use crate::domain::time::Timestamp;
use crate::planted::{Bug, planted};

/// How many deposits of one token that could pay nothing an address keeps one by one before the smallest are counted. After
/// so many more, deposits of twice the size are: what is kept stays below two hundred, whatever comes.
pub const KEPT: usize = 16;

/// Less than this part of the least amount that is asked for at an address is dust there.
const PART: u128 = 1_000;

/// What is dust at an address without a payment, which is the wallet's own, in base units: less than a cent of a token with
/// six decimals.
const WITHOUT_PAYMENT: Amount = Amount::from_base_units(10_000);

/// The least amount that pays one of these payments by itself; `None` when there are none.
#[must_use]
pub fn least_paying(payments: &[Payment], params: &MatchParams) -> Option<Amount> {
    let least = |payment: &Payment| payment.terms.amount.checked_sub(params.under).unwrap_or(Amount::ZERO);
    payments.iter().map(least).min()
}

/// Less than this is dust at the address of these payments.
fn dust_below(payments: &[Payment], params: &MatchParams) -> Amount {
    let Some(paying) = least_paying(payments, params) else { return WITHOUT_PAYMENT };
    let asked = payments.iter().map(|payment| payment.terms.amount).min().unwrap_or(Amount::ZERO);
    let part = asked.base_units().checked_div(PART).unwrap_or(0).max(1);
    Amount::from_base_units(part).min(paying)
}

/// Whether an amount is dust at the address of these payments: so little that a thousand of it do not pay the least of them.
#[must_use]
pub fn is_dust(amount: Amount, payments: &[Payment], params: &MatchParams) -> bool {
    amount.is_zero() || amount < dust_below(payments, params)
}

/// Whether a deposit could pay nothing by itself; at an address without a payment, whether it is dust.
#[must_use]
pub fn is_small(amount: Amount, payments: &[Payment], params: &MatchParams) -> bool {
    amount.is_zero() || amount < least_paying(payments, params).unwrap_or(WITHOUT_PAYMENT)
}

/// Whether an amount may be counted where so many small ones are kept already.
#[must_use]
pub fn may_be_counted(amount: Amount, kept: usize, payments: &[Payment], params: &MatchParams) -> bool {
    let Some(doublings) = kept.checked_div(KEPT).and_then(|times| times.checked_sub(1)) else { return false };
    if planted(Bug::DustHidesPayment) {
        return true;
    }
    let Some(paying) = least_paying(payments, params) else { return is_small(amount, payments, params) };
    let factor = u32::try_from(doublings).ok().and_then(|by| 1_u128.checked_shl(by)).unwrap_or(u128::MAX);
    let below = dust_below(payments, params).base_units().saturating_mul(factor);
    amount.is_zero() || amount < Amount::from_base_units(below).min(paying)
}

/// Whether something that was counted could pay one of these payments, which was not there then: all must be read again, and
/// nothing of what was counted counts.
#[must_use]
pub fn reads_again(payments: &[Payment], deposits: &[Deposit], params: &MatchParams) -> bool {
    let paying = least_paying(payments, params);
    let mut tallies = deposits.iter().filter_map(|deposit| deposit.tally.as_ref());
    tallies.any(|tally| !tally.most.is_zero() && paying.is_some_and(|paying| tally.most >= paying))
}

/// How far an address's coverage was before a reading, and how far it is in the commit that stores what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub reading: Reading,
    pub before: Swept,
    pub after: Swept,
}

impl Window {
    /// Of the coverage before and after; `None` where the address is not swept.
    #[must_use]
    pub fn new(reading: Reading, before: Option<&Coverage>, after: Option<&Coverage>) -> Option<Self> {
        let swept = |coverage: Option<&Coverage>| coverage.filter(|coverage| !coverage.closed)?.swept;
        Some(Self { reading, before: swept(before)?, after: swept(after)? })
    }

    /// Whether this commit is the one that counts a transfer, where so much was counted before.
    fn counts(&self, fresh: &Deposit, tally: Option<&Tally>) -> bool {
        let block = fresh.block_number;
        let (through, second_to) = tally.map_or((0, 0), |tally| (tally.through, tally.second_to));
        let (from, to) = match self.reading {
            Reading::Sweep => (self.before.covered_to.max(through).max(second_to), self.after.covered_to),
            // Both readings left it out, and a later one shows it: it is counted where nothing was.
            Reading::Second if block <= self.before.confirmed_to => (through.max(second_to), self.before.confirmed_to),
            Reading::Second => (self.before.confirmed_to.max(second_to), self.after.confirmed_to),
        };
        if planted(Bug::StrayCountedTwice) {
            return block <= to;
        }
        // What is larger than all that was counted was not counted, wherever it came.
        let is_new = tally.is_some_and(|tally| tally.most < fresh.amount);
        (is_new || from < block) && block <= to
    }
}

/// What is to be done with a transfer that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is kept.
    Keep,
    /// It is counted, in the deposit with this key.
    Count(DepositKey),
    /// It was counted, or its block is not covered yet: a later reading brings it again.
    Leave,
}

/// Whether so many small deposits of this one's token are kept that it may be left to be counted, if nothing is known of it.
#[must_use]
pub fn may_be_left(book: &AddressState, fresh: &Deposit, params: &MatchParams) -> bool {
    if book.deposit(&fresh.key).is_some() || book.is_own(fresh) {
        return false;
    }
    let payments = book.payments();
    let of_token = || book.deposits().iter().filter(|deposit| deposit.token == fresh.token);
    let small = of_token().filter(|deposit| is_small(deposit.amount, payments, params));
    let kept = small.filter(|deposit| !matches!(deposit.verdict, Verdict::Pays { .. })).count();
    may_be_counted(fresh.amount, kept, payments, params)
        || of_token().filter_map(|it| it.tally.as_ref()).any(|tally| tally.has(fresh.block_number, fresh.amount))
}

/// What becomes of a transfer that [`may_be_left`], in the commit of this reading.
#[must_use]
pub fn fate(book: &AddressState, fresh: &Deposit, window: Option<&Window>, params: &MatchParams) -> Fate {
    if !may_be_left(book, fresh, params) {
        return Fate::Keep;
    }
    let of_token = || book.deposits().iter().filter(|deposit| deposit.token == fresh.token);
    let bearer = of_token().find(|deposit| deposit.tally.is_some());
    let tally = bearer.and_then(|deposit| deposit.tally.as_deref());
    let is_counted = tally.is_some_and(|tally| tally.has(fresh.block_number, fresh.amount));
    if is_counted && !planted(Bug::StrayCountedTwice) {
        return Fate::Leave;
    }
    let Some(window) = window.filter(|window| window.counts(fresh, tally)) else { return Fate::Leave };
    let payments = book.payments();
    let small = || of_token().filter(|deposit| deposit.stands() && is_small(deposit.amount, payments, params));
    // Only what stands in a block that is covered bears a tally: no reorg takes it away.
    let is_covered = |deposit: &&Deposit| deposit.block_number <= window.after.covered_to && !pays(deposit);
    let Some(bearer) = bearer.or_else(|| small().find(is_covered)) else { return Fate::Keep };
    // What together could pay is a person's business: there must be one that nobody has decided about.
    let undecided = small().filter(|deposit| is_undecided(deposit));
    let sum = undecided.clone().fold(tally.map_or(Amount::ZERO, Tally::undecided), |sum, it| plus(sum, it.amount));
    let reaches = least_paying(payments, params).is_some_and(|paying| plus(sum, fresh.amount) >= paying);
    if reaches && undecided.count() == 0 { Fate::Keep } else { Fate::Count(bearer.key) }
}

/// Counts, or has kept, what of a reading was left until the coverage after it is known.
pub fn take_in<A: Borrow<Deposit>>(
    book: &mut AddressState,
    mut left: Vec<A>,
    window: Option<&Window>,
    params: &MatchParams,
    now: Timestamp,
    mut keep: impl FnMut(&mut AddressState, A),
) {
    fn key<A: Borrow<Deposit>>(it: &A) -> DepositKey {
        it.borrow().key
    }
    left.sort_by_key(|it| (it.borrow().block_number, key(it).log_index, key(it)));
    left.dedup_by_key(|it| key(it));
    if let Some(window) = window.filter(|_| !left.is_empty()) {
        book.count_anew(window);
    }
    let mut bearers: BTreeMap<DepositKey, (BlockNumber, BlockNumber)> = BTreeMap::new();
    for arrival in left {
        match fate(book, arrival.borrow(), window, params) {
            Fate::Keep => keep(book, arrival),
            Fate::Count(bearer) => {
                book.count(&bearer, arrival.borrow(), now);
                // They come in the order of their blocks.
                let block = arrival.borrow().block_number;
                bearers.entry(bearer).or_insert((block, block)).1 = block;
            }
            Fate::Leave => {}
        }
    }
    if let Some(window) = window {
        bearers.iter().for_each(|(bearer, blocks)| book.counted(bearer, window, *blocks));
    }
}

fn pays(deposit: &Deposit) -> bool {
    matches!(deposit.verdict, Verdict::Pays { .. })
}

/// Whether nobody has decided about a deposit that could pay together with others: neither the rules nor a person.
#[must_use]
pub fn is_undecided(deposit: &Deposit) -> bool {
    use crate::domain::deposit::NothingReason::Dust;
    match deposit.verdict {
        Verdict::Unjudged | Verdict::Review { .. } | Verdict::Nothing { why: Dust } => true,
        Verdict::Pays { .. } | Verdict::Nothing { .. } | Verdict::Ignored { .. } => false,
    }
}

/// The sum; the most there is where it has no place.
#[must_use]
pub fn plus(sum: Amount, amount: Amount) -> Amount {
    sum.checked_add(amount).unwrap_or(Amount::from_base_units(u128::MAX))
}

impl AddressState {
    /// Where the coverage begins anew below all that was counted, so does the count: all of it is read again.
    fn count_anew(&mut self, window: &Window) {
        let is_below = |tally: &Tally| window.before.covered_to < tally.from;
        for deposit in self.deposits_mut() {
            if deposit.tally.as_deref().is_some_and(is_below) {
                deposit.tally = None;
            }
        }
    }

    /// Nothing of what was counted counts any more.
    pub fn uncount(&mut self) {
        self.deposits_mut().iter_mut().for_each(|deposit| deposit.tally = None);
    }

    /// All that is counted in the deposit with this key is ignored from now on. Returns how many that are, if some were not.
    pub fn ignore_counted(&mut self, bearer: &DepositKey) -> u64 {
        let tally = self.deposit_mut(bearer).and_then(|deposit| deposit.tally.as_mut());
        tally.map_or(0, |tally| {
            let was_ignored = std::mem::replace(&mut tally.ignored, tally.sum) == tally.sum;
            if was_ignored { 0 } else { tally.count }
        })
    }

    /// Counts a transfer in the deposit with this key. Until [`AddressState::counted`], no block counts as counted by it.
    fn count(&mut self, bearer: &DepositKey, fresh: &Deposit, now: Timestamp) {
        let Some(deposit) = self.deposit_mut(bearer) else { return };
        let mut tally = deposit.tally.take().unwrap_or_else(|| Box::new(first(fresh)));
        tally.count = tally.count.saturating_add(1);
        tally.sum = plus(tally.sum, fresh.amount);
        tally.most = tally.most.max(fresh.amount);
        if tally.last_at <= fresh.block_time {
            (tally.last_tx, tally.last_at) = (fresh.key.tx_hash, fresh.block_time);
        }
        deposit.tally = Some(tally.clone());
        if tally.count.is_power_of_two() {
            self.note_deposit(bearer, now, EventKind::DepositsCounted { tally });
        }
    }

    /// All blocks of the window are counted in the deposit with this key; `lowest`, `last`: those that something was counted of.
    fn counted(&mut self, bearer: &DepositKey, window: &Window, (lowest, last): (BlockNumber, BlockNumber)) {
        let Some(tally) = self.deposit_mut(bearer).and_then(|deposit| deposit.tally.as_mut()) else { return };
        if window.reading == Reading::Sweep && tally.through.max(tally.second_to) == 0 {
            tally.from = window.before.covered_to.saturating_add(1);
        }
        tally.from = tally.from.min(lowest);
        match window.reading {
            Reading::Sweep => {
                tally.through = window.after.covered_to;
            }
            Reading::Second if window.before.confirmed_to < window.after.confirmed_to => {
                tally.second_to = window.after.confirmed_to;
            }
            // The last reading raises no mark, and comes piece by piece.
            Reading::Second => tally.second_to = tally.second_to.max(last),
        }
    }
}

/// A tally in which nothing is counted yet.
const fn first(fresh: &Deposit) -> Tally {
    Tally {
        count: 0,
        sum: Amount::ZERO,
        most: Amount::ZERO,
        ignored: Amount::ZERO,
        from: fresh.block_number,
        through: 0,
        second_to: 0,
        last_tx: fresh.key.tx_hash,
        last_at: fresh.block_time,
    }
}
