//! Whether what a commit counts as read is in the store: no deposit is lost at any step, and not only at the end.
//!
//! A block is counted up to three times for an address: when `covered_to` passes it, when `confirmed_to` passes it, and
//! when the address is closed. At each count, every transfer of a known token to the address that is on the true chain
//! in these blocks must be in the store and stand, unless an answer about its block and address left it out: the last one that
//! any endpoint gave, or an earlier one on which the count may still rest. The second count and the closing need more: the
//! answer that left it out must be younger than the first count which it was missing from. So what was withheld once is
//! repaired by the second reading, at the very commit that counts it, as soon as a node tells it.
//!
//! Whether an answer left something out is found by holding it against the true chain, when it is given. Deliberately
//! absent: what is missing after a reorg went beyond finality, when what was final and counted may be replaced; and whether the
//! last reading before a closing is another than the second one (`end_checks` sees to what it has to find).

use std::collections::{BTreeMap, BTreeSet};

use rampwatch::domain::chain::{BlockNumber, Transfer};
use rampwatch::domain::coverage::{Coverage, Swept};
use rampwatch::domain::deposit::{Deposit, DepositKey};
use rampwatch::domain::event::EventKind;
use rampwatch::domain::operator::Operator;
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::ports::chain::{Flaws, TransferQuery};
use rampwatch::ports::clock::Clock;
use rampwatch::ports::store::{Commit, Store};

use super::chain::TrueChain;
use super::end_checks::key_of;
use super::strays;
use super::world::World;
use crate::support::memory_store::MemoryStore;

/// How long an answer may take from an endpoint to a commit.
const JUST_NOW: Span = Span::from_secs(10);

/// How long the first count may stay in memory: where a reading brought news of others, it is stored with one of the next.
const IN_MEMORY: Span = Span::from_secs(120);

/// What the answers said of a transfer that one of them left out.
#[derive(Clone)]
struct LeftOut {
    /// When it was left out last.
    at: Timestamp,
    /// Whether it was told since.
    told: bool,
    /// Who has left it out, of those who were asked by name, since it was told last.
    by: BTreeSet<Operator>,
}

impl LeftOut {
    /// Whether a count that is stored now may rest on the answer which left it out. The transfer may have been told since: the
    /// funder asks for himself.
    fn excuses(&self, count: Count, now: Timestamp) -> bool {
        let lasts = if count == Count::First { IN_MEMORY } else { JUST_NOW };
        !self.told || now <= self.at.plus(lasts)
    }
}

/// What the endpoints' answers left out.
#[derive(Default)]
pub(super) struct Answers {
    /// The transfers that an answer left out.
    left_out: BTreeMap<DepositKey, LeftOut>,
    /// The transfers that were missing when their block was counted for the first time, and when that was.
    missed: BTreeMap<DepositKey, Timestamp>,
    /// The transfers that were left out of both readings, and when the second one was counted. Only the last reading, when
    /// the address is closed, finds them.
    twice: BTreeMap<DepositKey, Timestamp>,
    /// The transfers that were left out of the last reading too. Nobody can find them any more.
    thrice: BTreeSet<DepositKey>,
}

impl Answers {
    /// An answer is given now.
    pub(super) fn note(
        &mut self,
        chain: &TrueChain,
        query: &TransferQuery,
        (told, flaws): (&[Transfer], &Flaws),
        now: Timestamp,
    ) {
        for transfer in chain.between(query.from, query.to) {
            let is_asked = query.recipients.contains(&transfer.to) && query.tokens.contains(&transfer.token);
            // What is said to be unsound is neither told nor left out.
            if !is_asked || flaws.about(&transfer.to).is_some() {
                continue;
            }
            let key = key_of(&transfer);
            if !told.contains(&transfer) {
                let by = self.left_out.remove(&key).map(|before| before.by).unwrap_or_default();
                let by = by.into_iter().chain(query.by.clone()).collect();
                self.left_out.insert(key, LeftOut { at: now, told: false, by });
            } else if let Some(left_out) = self.left_out.get_mut(&key) {
                (left_out.told, left_out.by) = (true, BTreeSet::new());
            }
        }
    }

    /// Whether a transfer was left out of both readings of its block.
    pub(super) fn were_twice_without(&self, key: &DepositKey) -> bool {
        self.twice.contains_key(key)
    }

    /// Whether a transfer was left out of the last reading too, by an answer that is younger than the second count.
    pub(super) fn were_thrice_without(&self, key: &DepositKey) -> bool {
        self.thrice.contains(key)
    }

    /// Whether a transfer may be missing at this count. `was_seen`: it was, and nobody may have shown it any more since.
    /// `operators`: how many there are.
    fn excuse(&mut self, key: &DepositKey, count: Count, was_seen: bool, operators: usize, now: Timestamp) -> bool {
        let left_out = self.left_out.get(key).filter(|left_out| left_out.excuses(count, now));
        let Some(LeftOut { at: left_out_at, by, .. }) = left_out else { return false };
        let was_disowned = was_seen && by.len() >= operators;
        match count {
            Count::First => {
                self.missed.insert(*key, now);
                true
            }
            Count::Second | Count::Closing => {
                let excused = was_disowned || self.missed.get(key).is_some_and(|missed_at| missed_at < left_out_at);
                match count {
                    Count::Closing if self.twice.get(key).is_some_and(|second_at| second_at < left_out_at) => {
                        self.thrice.insert(*key);
                    }
                    Count::First | Count::Closing => {}
                    Count::Second if excused => {
                        self.twice.insert(*key, now);
                    }
                    Count::Second => {}
                }
                excused
            }
        }
    }
}

/// Whether a transfer's block came back so lately that a first count may have been kept in memory from before.
fn has_come_back(world: &World, transfer: &Transfer) -> bool {
    world.chain().came_back_since(transfer.block.number, world.clock.now().minus(IN_MEMORY))
}

/// Which count of a block this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    First,
    Second,
    Closing,
}

/// The coverage of an address has been stored.
pub(super) async fn on_coverage(
    world: &World,
    store: &MemoryStore,
    old: Option<&Coverage>,
    new: &Coverage,
    commit: &Commit,
) {
    let Some(swept) = new.swept else { return };
    // An address that begins anew is counted anew.
    let before = old.and_then(|old| old.swept).filter(|before| before.start == swept.start);
    let above = |mark: fn(&Swept) -> BlockNumber| before.as_ref().map_or(swept.start, |before| mark(before) + 1);
    let closed = commit.events.iter().find_map(|event| match event.kind {
        EventKind::AddressClosed { address, through } if address == new.address => Some(through),
        _ => None,
    });
    let counts = [
        (Count::First, above(|swept| swept.covered_to), Some(swept.covered_to)),
        (Count::Second, above(|swept| swept.confirmed_to), Some(swept.confirmed_to)),
        (Count::Closing, swept.start, closed),
    ];
    let operators = world.settings.operators.iter().collect::<BTreeSet<_>>().len();
    let known = [world.settings.token, world.settings.other_token];
    for (count, from, to) in counts {
        let Some(to) = to.filter(|to| from <= *to) else { continue };
        let mut transfers = world.chain().between(from, to);
        transfers.retain(|transfer| transfer.to == new.address && known.contains(&transfer.token));
        for transfer in transfers {
            let key = key_of(&transfer);
            // What lies above the head was not read, and another law sees to it that it is taken back.
            if count == Count::First && to > world.chain().head_number() {
                world.count("counted: above the head");
                continue;
            }
            let stored = store.deposit(&key).await.expect("memory");
            if stored.as_ref().is_some_and(Deposit::stands) {
                world.count(&format!("counted: {count:?}, there"));
            } else if strays::is_counted(world, &store.contents(), &transfer) {
                world.count(&format!("counted: {count:?}, as dust"));
            } else if world.answers().excuse(&key, count, stored.is_some(), operators, world.clock.now()) {
                world.count(&format!("counted: {count:?}, withheld"));
                world.note(&format!("counted ({count:?}) up to {to} without {key}, which an answer left out"));
            } else if count == Count::First && has_come_back(world, &transfer) {
                // It was on another branch when this was read, and what was counted in memory is stored later. That it is
                // read again is the business of what must hold at the end.
                world.count("counted: on a branch that has come back since");
            } else if count == Count::First && world.settings.lies() && transfer.block.number > world.chain().final_to()
            {
                // That a block is final is one operator's word for this count, and the second reading asks others.
                world.count("counted: not final, by one operator's word");
            } else if world.settings.one_word() {
                // The only operator there is has shown another block in its place.
                world.count("counted: missing by the only operator's word");
            } else if !world.finality_is_broken() {
                let place = transfer.block.number;
                world.violate(&format!("{count:?} count of {from} to {to}, and {key} in {place} is {stored:?}"));
            }
        }
    }
}
