//! What no node can tell, for now or for good: a past that is gone, a block that none can read, a log that contradicts itself.
//! It holds up those whose money it may be, and nobody else; they are tried again, and what is new is found for them too.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;

use super::{Scanner, Trouble};
use crate::domain::chain::{Address, BlockNumber};
use crate::domain::event::Reading;
use crate::domain::time::{Span, Timestamp};
use crate::engine::health::Unread as Told;
use crate::policy::sweep::{self, Job};
use crate::ports::chain::{ChainError, Flaws, TransferPage};

/// How long nobody asks again for what could not be read.
const TRY_AGAIN: Span = Span::from_secs(60);

/// The most addresses that are made to wait one by one. Where there are more, their whole reading waits.
const MOST_WAITING: usize = 10_000;

/// Around how many blocks that cannot be read a range is read at once. What is below further ones waits for the next time.
const MOST_AROUND: u32 = 3;

/// Where the next block that can be read is likely to be, above one that could not be read a moment ago: the past that nodes
/// have no more grows with their head.
const NEAR: [u64; 3] = [1, 16, 128];

/// Since when something cannot be read, and why.
type Since = (Timestamp, String);

#[derive(Debug, Default)]
pub(super) struct Unread {
    floor: Option<Floor>,
    /// Blocks that were found not to be readable, until then.
    bad: BTreeMap<BlockNumber, Timestamp>,
    /// By address and reading.
    addresses: BTreeMap<(bool, Address), Since>,
}

/// Blocks near the head that cannot be read.
#[derive(Debug)]
struct Floor {
    /// From this block on the sweep can read.
    from: BlockNumber,
    since: Since,
    /// When all of it is tried again.
    again_at: Timestamp,
}

impl Unread {
    /// Notes an address of which something cannot be read. True when nothing was noted of it before.
    pub(super) fn note(&mut self, reading: Reading, address: Address, why: &str, now: Timestamp) -> bool {
        let key = (reading == Reading::Sweep, address);
        let is_new = !self.addresses.contains_key(&key);
        self.addresses.entry(key).or_insert_with(|| (now, String::new())).1 = why.to_owned();
        is_new
    }

    /// The highest block in these that was not readable a moment ago.
    fn known_bad(&mut self, blocks: RangeInclusive<BlockNumber>, now: Timestamp) -> Option<BlockNumber> {
        self.bad.retain(|_, until| now < *until && until.since(now) <= TRY_AGAIN);
        self.bad.range(blocks).next_back().map(|(number, _)| *number)
    }

    /// A reading of this range has counted for all of its addresses that it is not noted for.
    pub(super) fn worked(&mut self, job: &Job, reading: Reading, flaws: &Flaws, covered: impl Fn(&Address) -> bool) {
        let is_of_job = |address: &Address| job.addresses.binary_search(address).is_ok();
        self.addresses.retain(|(is_sweep, address), _| {
            let is_it = *is_sweep == (reading == Reading::Sweep) && is_of_job(address);
            !is_it || flaws.about(address).is_some() || !covered(address)
        });
    }
}

impl Scanner {
    /// Reads the part of a sweep to the head that can be read: all of it, or from the lowest place on from which it can be.
    pub(super) async fn read_what_can_be(&mut self, job: Job, to_final: bool) -> Result<(Job, TransferPage), Trouble> {
        let now = self.ports.clock.now();
        let lowest = self.readings.unread.floor.as_ref().filter(|floor| now < floor.again_at).map(|floor| floor.from);
        let tried = lowest.map_or_else(|| job.clone(), |lowest| sweep::only_above(job.clone(), lowest));
        let first = if to_final { self.read_to_final(&tried).await } else { self.read(&tried).await };
        let why = match first {
            Ok(page) => {
                if tried.from <= job.from {
                    self.readings.unread.floor = None;
                }
                return Ok((tried, page));
            }
            Err(Trouble::Chain(ChainError::Refused(why))) => why,
            Err(trouble) => return Err(trouble),
        };
        let Some((part, page)) = self.read_around(tried.from, &job).await? else {
            return Err(ChainError::Refused(why).into());
        };
        let since = self.readings.unread.floor.take().map(|floor| floor.since.0);
        if since.is_none() {
            let to = part.from.saturating_sub(1);
            tracing::warn!(from = job.from, to, why, "not all blocks can be read; those around them are");
        }
        let since = (since.unwrap_or(now), why);
        self.readings.unread.floor = Some(Floor { from: part.from, since, again_at: now.plus(TRY_AGAIN) });
        Ok((part, page))
    }

    /// Finds the highest block that cannot be read of a range that was refused from `refused` on. Takes in what is below it, as far as
    /// that can be read, around further such blocks too, and returns what is above it. `whole` is the range with all that was asked
    /// for.
    async fn read_around(&mut self, refused: BlockNumber, whole: &Job) -> Result<Option<(Job, TransferPage)>, Trouble> {
        let (mut bad, above) = self.above_unreadable(refused, whole).await?;
        for _ in 0..MOST_AROUND {
            if bad <= whole.from {
                break;
            }
            let below = Job { to: bad.saturating_sub(1), ..whole.clone() };
            // Where a whole past is gone, there is nothing to look for.
            let newest = Job { from: below.to, ..below.clone() };
            if self.try_to_read(&newest).await?.is_none() {
                bad = below.to;
                continue;
            }
            if let Some(page) = self.try_to_read(&below).await? {
                self.absorb(&below, page, Reading::Sweep).await?;
                break;
            }
            let between;
            (bad, between) = self.above_unreadable(below.from, &below).await?;
            if let Some((part, page)) = between {
                self.absorb(&part, page, Reading::Sweep).await?;
            }
        }
        Ok(above)
    }

    /// A reading, if anybody can tell it.
    async fn try_to_read(&mut self, job: &Job) -> Result<Option<TransferPage>, Trouble> {
        match self.read(job).await {
            Ok(page) => Ok(Some(page)),
            Err(Trouble::Chain(ChainError::Refused(_))) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// Finds the highest block that cannot be read of a range that was refused from `refused` on. Returns it, and what is above it.
    async fn above_unreadable(
        &mut self,
        refused: BlockNumber,
        whole: &Job,
    ) -> Result<(BlockNumber, Option<(Job, TransferPage)>), Trouble> {
        let starts = sweep::first_blocks(&self.index.leads(), self.view.last_final, &self.settings.sweep);
        let now = self.ports.clock.now();
        let known = self.readings.unread.known_bad(refused..=whole.to, now);
        let near = known.into_iter().flat_map(|known| NEAR.map(|step| known.saturating_add(step)));
        let mut near: VecDeque<BlockNumber> = near.filter(|from| *from <= whole.to).collect();
        let (mut bad, mut read): (BlockNumber, Option<(Job, TransferPage)>) = (known.unwrap_or(refused), None);
        loop {
            let between = || sweep::next_start(&starts, whole.to, bad, read.as_ref().map(|(job, _)| job.from));
            let Some(from) = near.pop_front().or_else(between) else { break };
            let part = Job { from, ..whole.clone() };
            match self.try_to_read(&part).await? {
                Some(page) => {
                    near.clear();
                    read = Some((part, page));
                }
                None => bad = from,
            }
        }
        self.readings.unread.bad.insert(bad, now.plus(TRY_AGAIN));
        Ok((bad, read))
    }

    /// A range that some are to be caught up with cannot be read: what is around the block that cannot be is taken in, and they
    /// wait.
    pub(super) async fn pass_over(&mut self, job: &Job, why: &str) -> Result<(), Trouble> {
        if let Some((part, page)) = self.read_around(job.from, job).await? {
            self.absorb(&part, page, Reading::Sweep).await?;
        }
        self.let_wait(job, Reading::Sweep, why)
    }

    /// What a reading was for cannot be read: its addresses wait, and let others go on. An error when they are too many.
    pub(super) fn let_wait(&mut self, job: &Job, reading: Reading, why: &str) -> Result<(), Trouble> {
        if job.addresses.len() > MOST_WAITING {
            return Err(ChainError::Refused(why.to_owned()).into());
        }
        let now = self.ports.clock.now();
        tracing::debug!(from = job.from, to = job.to, addresses = job.addresses.len(), why, "blocks cannot be read");
        for address in job.addresses.iter() {
            self.readings.unread.note(reading, *address, why, now);
            self.rest_until(*address, now.plus(TRY_AGAIN));
        }
        Ok(())
    }

    /// Notes whose part of a reading is not sound.
    pub(super) fn note_flaws(&mut self, job: &Job, reading: Reading, flaws: &Flaws) {
        let now = self.ports.clock.now();
        for (address, why) in &flaws.of {
            self.readings.unread.note(reading, *address, why, now);
        }
        if let Some(why) = &flaws.of_all {
            let some = job.addresses.iter().take(MOST_WAITING);
            for address in some {
                self.readings.unread.note(reading, *address, why, now);
            }
        }
    }

    /// How many addresses have blocks that cannot be read, since when and why.
    pub(super) fn not_read(&self) -> Option<Told> {
        let below = self.readings.unread.floor.as_ref().map(|floor| (self.index.below(floor.from), &floor.since));
        let mut addresses: Vec<&Address> = self.readings.unread.addresses.keys().map(|(_, address)| address).collect();
        addresses.sort_unstable();
        addresses.dedup();
        let count = addresses.len().saturating_add(below.map_or(0, |(below, _)| below));
        let oldest = self.readings.unread.addresses.values().chain(below.map(|(_, since)| since)).min();
        oldest.map(|(since, why)| Told {
            addresses: count.min(self.index.len()).max(1),
            since: *since,
            why: why.clone(),
        })
    }
}
