//! The index of the watched addresses, and how far the sweep has come for each: made for a million of them.
//!
//! Coverage belongs to an address (decision 4), but most addresses stand at the same place: they were swept together. So
//! the watch index keeps them in groups, and what a reading adds is added to groups. Whoever decides what to read looks at one
//! *lead* for each group, which stands for all its members.
//!
//! The watch index may be ahead of the store: what a reading adds is written afterwards, some addresses at a time
//! ([`Roll::unkept`]). A crash then costs a repeated reading, never a block that was not read. What the store says
//! of an address always comes in through [`Roll::put`].
//!
//! Deliberately absent: the store, and deciding what to read (`sweep`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::sweep::Job;
use crate::domain::chain::{Address, BlockNumber};
use crate::domain::coverage::{Coverage, Swept};
use crate::domain::time::{Span, Timestamp};

mod groups;

use self::groups::{Groups, SweepPosition, fake_api};

/// The part of the keeping time by which the moments at which addresses are let go are rounded up, so that those
/// which go at about the same time share a group. No address is let go too early by it.
const GRAINS: u64 = 512;

/// Up to so many new addresses are put in their places one by one; more are merged in, which costs as much as several.
const ONE_BY_ONE: usize = 4;

/// What is an address's own.
#[derive(Clone, Copy, Debug)]
struct Member {
    /// The version that the store holds.
    version: u64,
    since: Timestamp,
    start: BlockNumber,
    until: Option<Timestamp>,
    /// Covered and confirmed as the store has it.
    kept: (BlockNumber, BlockNumber),
    /// The place of its group.
    group: usize,
}

/// Every watched address, with its coverage.
#[derive(Clone, Debug)]
pub struct WatchIndex {
    /// What the moments of letting go are rounded up to, in milliseconds.
    grain: u64,
    /// Sorted, each once.
    addresses: Arc<Vec<Address>>,
    /// Side by side with the addresses.
    members: Vec<Member>,
    groups: Groups,
    /// Where the next writing goes on, and how many members it has still to look at.
    cursor: (usize, usize),
}

/// What is known of an address's sweep, once the store has said `stored` of it. What the watch index had before goes on being
/// true as long as it is the same sweep: a start block is only ever found anew after the coverage was taken back, which
/// the watch index was told before.
fn further(stored: Option<Swept>, known: Option<Swept>) -> Option<Swept> {
    let (Some(stored), Some(known)) = (stored, known) else { return stored };
    let is_ahead = known.covered_to >= stored.covered_to && known.confirmed_to >= stored.confirmed_to;
    Some(if known.start == stored.start && is_ahead { known } else { stored })
}

fn marks_of(coverage: &Coverage) -> (BlockNumber, BlockNumber) {
    coverage.swept.map_or((0, 0), |swept| (swept.covered_to, swept.confirmed_to))
}

impl Member {
    fn new(stored: &Coverage, group: usize) -> Self {
        let Coverage { version, since, watch_until: until, .. } = *stored;
        let start = stored.swept.map_or(0, |swept| swept.start);
        Self { version, since, start, until, kept: marks_of(stored), group }
    }
}

impl WatchIndex {
    /// Nobody is watched. `keep` is how long an address is watched after its last payment.
    #[must_use]
    pub fn new(keep: Span) -> Self {
        Self {
            grain: keep.as_millis().checked_div(GRAINS).unwrap_or(0).max(1),
            addresses: Arc::default(),
            members: Vec::new(),
            groups: Groups::default(),
            cursor: (0, 0),
        }
    }

    /// How many addresses are watched.
    #[must_use]
    pub fn len(&self) -> usize {
        self.addresses.len()
    }

    /// Whether nobody is watched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// All watched addresses, sorted.
    #[must_use]
    pub const fn addresses(&self) -> &Arc<Vec<Address>> {
        &self.addresses
    }

    /// Whether the address is watched.
    #[must_use]
    pub fn is_watched(&self, address: &Address) -> bool {
        self.addresses.binary_search(address).is_ok()
    }

    /// The version of the address's coverage that was last learnt from the store.
    #[must_use]
    pub fn version(&self, address: &Address) -> Option<u64> {
        let place = self.addresses.binary_search(address).ok()?;
        self.members.get(place).map(|member| member.version)
    }

    /// The address's coverage as far as readings have come, ready to be stored.
    #[must_use]
    pub fn coverage(&self, address: &Address) -> Option<Coverage> {
        self.whole(self.addresses.binary_search(address).ok()?)
    }

    fn whole(&self, place: usize) -> Option<Coverage> {
        let (address, member) = self.addresses.get(place).copied().zip(self.members.get(place))?;
        let swept = self.groups.at(member.group)?.swept().map(|swept| Swept { start: member.start, ..swept });
        let Member { version, since, until, .. } = *member;
        Some(Coverage { address, version, since, swept, watch_until: until, closed: false })
    }

    /// The stored coverage, with what readings have added to it since.
    #[must_use]
    pub fn brought_up(&self, stored: &Coverage) -> Coverage {
        let known = self.coverage(&stored.address).and_then(|known| known.swept);
        Coverage { swept: further(stored.swept, known), ..stored.clone() }
    }

    /// One coverage for each group, which stands for all its members.
    #[must_use]
    pub fn leads(&self) -> Vec<Coverage> {
        self.groups.peopled().map(|(place, group)| group.lead(place)).collect()
    }

    /// The same, without those who stand back.
    #[must_use]
    pub fn ready_leads(&self) -> Vec<Coverage> {
        let ready = self.groups.peopled().filter(|(_, group)| !group.stand.rests);
        ready.map(|(place, group)| group.lead(place)).collect()
    }

    /// Those of the leads that stand back.
    #[must_use]
    pub fn resting_leads(&self) -> BTreeSet<Address> {
        let resting = self.groups.peopled().filter(|(_, group)| group.stand.rests);
        resting.map(|(place, _)| fake_api(place)).collect()
    }

    /// Whether a reading that begins at this block joins what is covered for the address. One that is not watched any more has
    /// nothing left to read.
    #[must_use]
    pub fn joins(&self, address: &Address, from: BlockNumber) -> bool {
        let Some(coverage) = self.coverage(address) else { return true };
        coverage.swept.is_some_and(|swept| from <= swept.covered_to.saturating_add(1))
    }

    /// How many members the groups have that are covered to below this block.
    #[must_use]
    pub fn below(&self, block: BlockNumber) -> usize {
        let is_below =
            |stand: &SweepPosition| stand.marks.is_some_and(|(covered_to, ..)| covered_to.saturating_add(1) < block);
        self.groups.peopled().filter(|(_, group)| is_below(&group.stand)).map(|(_, group)| group.members).sum()
    }

    /// The job for all members of the groups whose leads are in `job`.
    #[must_use]
    pub fn for_members(&self, job: Job) -> Job {
        let mut chosen = vec![false; self.groups.end()];
        for (place, is_chosen) in chosen.iter_mut().enumerate() {
            *is_chosen = job.addresses.binary_search(&fake_api(place)).is_ok();
        }
        let is_chosen = |place: usize| chosen.get(place).copied().unwrap_or(false);
        if self.groups.peopled().all(|(place, _)| is_chosen(place)) {
            return Job { addresses: Arc::clone(&self.addresses), ..job };
        }
        let pairs = self.addresses.iter().zip(&self.members);
        let members = pairs.filter(|(_, member)| is_chosen(member.group)).map(|(address, _)| *address);
        Job { addresses: Arc::new(members.collect()), ..job }
    }

    /// The coverage of all addresses whose start block is not known yet.
    #[must_use]
    pub fn unplaced(&self) -> Vec<Coverage> {
        if self.groups.peopled().all(|(_, group)| group.stand.marks.is_some()) {
            return Vec::new();
        }
        let all = (0..self.members.len()).filter_map(|place| self.whole(place));
        all.filter(|coverage| coverage.swept.is_none()).collect()
    }

    /// Takes in what the store says of some addresses, each named once. Returns whether somebody is watched, or not
    /// watched, from now on.
    pub fn put(&mut self, stored: Vec<Coverage>) -> bool {
        let mut fresh = Vec::new();
        let mut gone = BTreeSet::new();
        for coverage in stored {
            match self.addresses.binary_search(&coverage.address) {
                Ok(place) if coverage.closed => drop(gone.insert(place)),
                Ok(place) => self.renew(place, &coverage),
                Err(_) if coverage.closed => {}
                Err(_) => fresh.push(coverage),
            }
        }
        let changed = !(fresh.is_empty() && gone.is_empty());
        self.strike(&gone);
        self.enter(fresh);
        changed
    }

    /// Takes in all that the store has of the addresses above `after`, up to and including `through` (all further ones
    /// when `None`): whoever is not in `stored` is not watched any more. `stored` is sorted.
    pub fn put_page(&mut self, after: Option<Address>, through: Option<Address>, stored: Vec<Coverage>) -> bool {
        let first = self.addresses.partition_point(|address| after.is_some_and(|after| *address <= after));
        let end = self.addresses.partition_point(|address| through.is_none_or(|through| *address <= through));
        let is_there = |address: &Address| stored.binary_search_by_key(address, |it| it.address).is_ok();
        let of_page = self.addresses.iter().enumerate().take(end).skip(first);
        let gone: BTreeSet<usize> = of_page.filter(|(_, address)| !is_there(address)).map(|(place, _)| place).collect();
        self.strike(&gone);
        self.put(stored) || !gone.is_empty()
    }

    fn renew(&mut self, place: usize, stored: &Coverage) {
        let Some(member) = self.members.get(place).copied() else { return };
        if stored.version < member.version {
            return;
        }
        let rests = self.groups.at(member.group).is_some_and(|group| group.stand.rests);
        // A store that says less than was kept there was told that blocks are to be read again.
        let is_taken_back = marks_of(stored).1 < member.kept.1;
        let coverage = if is_taken_back { stored.clone() } else { self.brought_up(stored) };
        let group = self.join(&coverage, rests);
        self.groups.leave(member.group, 1);
        if let Some(known) = self.members.get_mut(place) {
            *known = Member::new(stored, group);
        }
        self.look_at_all();
    }

    fn join(&mut self, coverage: &Coverage, rests: bool) -> usize {
        let start = coverage.swept.map_or(BlockNumber::MAX, |swept| swept.start);
        self.groups.join(SweepPosition::of(coverage, self.grain, rests), start, 1)
    }

    fn enter(&mut self, mut fresh: Vec<Coverage>) {
        fresh.sort_unstable_by_key(|coverage| coverage.address);
        fresh.dedup_by_key(|coverage| coverage.address);
        if fresh.is_empty() {
            return;
        }
        let is_behind = fresh.first().map(|coverage| &coverage.address) > self.addresses.last();
        let fresh: Vec<(Address, Member)> = fresh
            .into_iter()
            .map(|coverage| (coverage.address, Member::new(&coverage, self.join(&coverage, false))))
            .collect();
        let addresses = Arc::make_mut(&mut self.addresses);
        if is_behind {
            addresses.extend(fresh.iter().map(|(address, _)| *address));
            self.members.extend(fresh.into_iter().map(|(_, member)| member));
        } else if fresh.len() <= ONE_BY_ONE {
            for (address, member) in fresh {
                let place = addresses.partition_point(|known| *known < address);
                addresses.insert(place, address);
                self.members.insert(place, member);
            }
        } else {
            let known = std::mem::take(addresses).into_iter().zip(std::mem::take(&mut self.members));
            (*addresses, self.members) = merged(known, fresh).unzip();
        }
        self.look_at_all();
    }

    fn strike(&mut self, gone: &BTreeSet<usize>) {
        if gone.is_empty() {
            return;
        }
        for member in gone.iter().filter_map(|place| self.members.get(*place)) {
            self.groups.leave(member.group, 1);
        }
        let stays = |place: &mut usize| {
            let stays = !gone.contains(place);
            *place = place.saturating_add(1);
            stays
        };
        let (mut of_address, mut of_member) = (0, 0);
        Arc::make_mut(&mut self.addresses).retain(|_| stays(&mut of_address));
        self.members.retain(|_| stays(&mut of_member));
        self.look_at_all();
    }

    /// Adds what a reading of the job has brought, except for the addresses in `left`. `after` gives the coverage after
    /// the reading; `None` when it stays as it is.
    pub fn raise(&mut self, job: &Job, left: &BTreeSet<Address>, after: impl Fn(&Coverage) -> Option<Coverage>) {
        let read = self.read_by(job, left);
        let mut raised = Vec::new();
        for (place, members) in read.into_iter().enumerate().filter(|(_, members)| *members > 0) {
            let Some(group) = self.groups.at(place) else { continue };
            if let Some(lead) = after(&group.lead(place)) {
                // The lead's moment is rounded already.
                raised.push((place, members, SweepPosition::of(&lead, 1, group.stand.rests), group.start));
            }
        }
        if raised.is_empty() {
            return;
        }
        // All join before any leave, so that no place is taken again while members still point at it.
        let mut targets = BTreeMap::new();
        for (place, members, stand, start) in &raised {
            targets.insert(*place, self.groups.join(*stand, *start, *members));
        }
        self.move_members(job, left, &targets);
        for (place, members, ..) in raised {
            self.groups.leave(place, members);
        }
        self.look_at_all();
    }

    fn is_whole(&self, job: &Job, left: &BTreeSet<Address>) -> bool {
        Arc::ptr_eq(&job.addresses, &self.addresses) && left.is_empty()
    }

    /// The places of the job's addresses that are watched, without those in `left`.
    fn places_of<'a>(&'a self, job: &'a Job, left: &'a BTreeSet<Address>) -> impl Iterator<Item = usize> + 'a {
        let read = job.addresses.iter().filter(|address| !left.contains(*address));
        read.filter_map(|address| self.addresses.binary_search(address).ok())
    }

    /// How many members of each group were read.
    fn read_by(&self, job: &Job, left: &BTreeSet<Address>) -> Vec<usize> {
        let mut read = vec![0_usize; self.groups.end()];
        if self.is_whole(job, left) {
            for (place, group) in self.groups.peopled() {
                read.get_mut(place).into_iter().for_each(|count| *count = group.members);
            }
            return read;
        }
        for member in self.places_of(job, left).filter_map(|place| self.members.get(place)) {
            if let Some(count) = read.get_mut(member.group) {
                *count = count.saturating_add(1);
            }
        }
        read
    }

    fn move_members(&mut self, job: &Job, left: &BTreeSet<Address>, targets: &BTreeMap<usize, usize>) {
        let shift = |member: &mut Member| {
            if let Some(target) = targets.get(&member.group) {
                member.group = *target;
            }
        };
        if self.is_whole(job, left) {
            return self.members.iter_mut().for_each(shift);
        }
        let places: Vec<usize> = self.places_of(job, left).collect();
        for place in places {
            self.members.get_mut(place).into_iter().for_each(shift);
        }
    }

    /// Has the address stand back behind others, or not any more.
    pub fn rest(&mut self, address: &Address, rests: bool) {
        let Ok(place) = self.addresses.binary_search(address) else { return };
        let Some(member) = self.members.get_mut(place) else { return };
        let Some(stand) = self.groups.at(member.group).map(|group| group.stand) else { return };
        if stand.rests != rests {
            let target = self.groups.join(SweepPosition { rests, ..stand }, member.start, 1);
            self.groups.leave(member.group, 1);
            member.group = target;
        }
    }

    fn look_at_all(&mut self) {
        self.cursor.1 = self.members.len();
    }

    /// The coverage of at most `most` addresses for which the watch index is ahead of the store, to be stored. Each call goes on
    /// where the last one ended.
    pub fn unkept(&mut self, most: usize) -> Vec<Coverage> {
        let mut found = Vec::new();
        while self.cursor.1 > 0 && found.len() < most {
            let (place, left) = self.cursor;
            let place = if place < self.members.len() { place } else { 0 };
            self.cursor = (place.saturating_add(1), left.saturating_sub(1));
            let Some(member) = self.members.get(place) else { continue };
            let marks = self.groups.at(member.group).and_then(|group| group.stand.marks);
            if marks.is_some_and(|(covered, confirmed, _)| (covered, confirmed) != member.kept) {
                found.extend(self.whole(place));
            }
        }
        found
    }

    /// These were taken back in the store, each with its version raised by one. What readings had added is forgotten.
    pub fn taken_back(&mut self, stored: &[Coverage]) {
        for coverage in stored {
            let Ok(place) = self.addresses.binary_search(&coverage.address) else { continue };
            let Some(member) = self.members.get(place).copied() else { continue };
            if member.version != coverage.version {
                continue;
            }
            let stored = Coverage { version: coverage.version.saturating_add(1), ..coverage.clone() };
            let rests = self.groups.at(member.group).is_some_and(|group| group.stand.rests);
            let group = self.join(&stored, rests);
            self.groups.leave(member.group, 1);
            if let Some(known) = self.members.get_mut(place) {
                *known = Member::new(&stored, group);
            }
        }
        self.look_at_all();
    }

    /// These were stored, each with its version raised by one.
    pub fn kept(&mut self, stored: &[Coverage]) {
        for coverage in stored {
            let place = self.addresses.binary_search(&coverage.address);
            if let Some(member) = place.ok().and_then(|place| self.members.get_mut(place))
                && member.version == coverage.version
            {
                member.version = coverage.version.saturating_add(1);
                member.kept = marks_of(coverage);
            }
        }
    }
}

/// Two sorted rows of addresses, as one.
fn merged(
    known: impl Iterator<Item = (Address, Member)>,
    fresh: Vec<(Address, Member)>,
) -> impl Iterator<Item = (Address, Member)> {
    let (mut known, mut fresh) = (known.peekable(), fresh.into_iter().peekable());
    std::iter::from_fn(move || match (known.peek(), fresh.peek()) {
        (Some((known_address, _)), Some((fresh_address, _))) if fresh_address < known_address => fresh.next(),
        (Some(_), _) => known.next(),
        (None, _) => fresh.next(),
    })
}
