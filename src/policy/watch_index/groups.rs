//! The groups of the watch index: addresses for which the sweep stands at the same place.

use std::collections::BTreeMap;

use crate::domain::chain::{Address, BlockNumber};
use crate::domain::coverage::{Coverage, Swept};
use crate::domain::time::Timestamp;

/// Covered to, confirmed to, and the second reading that is owed: up to which block, and when.
pub(super) type Marks = (BlockNumber, BlockNumber, Option<(BlockNumber, Timestamp)>);

/// Where the sweep stands for all members of a group. The first block, which differs, is left out: what is read next
/// does not depend on it, but for the lowest of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SweepPosition {
    /// `None` while no start block is known.
    pub(super) marks: Option<Marks>,
    /// When they are let go, rounded up.
    pub(super) until: Option<Timestamp>,
    /// Whether they stand back behind others.
    pub(super) rests: bool,
}

impl SweepPosition {
    /// Where this coverage stands. The moment of letting go is rounded up to a multiple of `grain` milliseconds.
    pub(super) fn of(coverage: &Coverage, grain: u64, rests: bool) -> Self {
        let marks = coverage.swept.map(|swept| (swept.covered_to, swept.confirmed_to, swept.second_reading));
        let up = |until: Timestamp| {
            let rounded = until.as_millis().checked_next_multiple_of(grain);
            rounded.map_or(Timestamp::FAR_FUTURE, Timestamp::from_millis)
        };
        Self { marks, until: coverage.watch_until.map(up), rests }
    }
}

/// Addresses that stand at the same place.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) stand: SweepPosition,
    /// The lowest first block of all that were ever in it.
    pub(super) start: BlockNumber,
    pub(super) members: usize,
}

impl Group {
    /// What the group's members are swept to, with the lowest first block of all.
    pub(super) fn swept(&self) -> Option<Swept> {
        let swept = |(covered_to, confirmed_to, second_reading)| Swept {
            start: self.start,
            covered_to,
            confirmed_to,
            second_reading,
        };
        self.stand.marks.map(swept)
    }

    /// A coverage that stands for that of every member.
    pub(super) fn lead(&self, place: usize) -> Coverage {
        let (address, since) = (fake_api(place), Timestamp::EPOCH);
        let (swept, watch_until) = (self.swept(), self.stand.until);
        Coverage { address, version: 0, since, swept, watch_until, closed: false }
    }
}

/// The address by which a lead is told from other leads. It is never asked for.
pub(super) fn fake_api(place: usize) -> Address {
    Address::left_padding_from(&place.to_be_bytes())
}

/// All groups, each at a place of its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    /// Some may be empty; their places are taken again.
    all: Vec<Group>,
    places: BTreeMap<SweepPosition, usize>,
    free: Vec<usize>,
}

impl Groups {
    /// The group at this place.
    pub(super) fn at(&self, place: usize) -> Option<&Group> {
        self.all.get(place)
    }

    /// One past the highest place.
    pub(super) const fn end(&self) -> usize {
        self.all.len()
    }

    /// The groups that have members, with their places.
    pub(super) fn peopled(&self) -> impl Iterator<Item = (usize, &Group)> {
        self.all.iter().enumerate().filter(|(_, group)| group.members > 0)
    }

    /// More members for the group that stands here, the lowest of whose first blocks is `start`. Returns its place.
    pub(super) fn join(&mut self, stand: SweepPosition, start: BlockNumber, members: usize) -> usize {
        if let Some(place) = self.places.get(&stand).copied()
            && let Some(group) = self.all.get_mut(place)
        {
            group.members = group.members.saturating_add(members);
            group.start = group.start.min(start);
            return place;
        }
        let group = Group { stand, start, members };
        let place = self.free.pop().unwrap_or(self.all.len());
        match self.all.get_mut(place) {
            Some(free) => *free = group,
            None => self.all.push(group),
        }
        self.places.insert(stand, place);
        place
    }

    /// Fewer members for the group at this place.
    pub(super) fn leave(&mut self, place: usize, members: usize) {
        let Some(group) = self.all.get_mut(place).filter(|group| group.members > 0) else { return };
        group.members = group.members.saturating_sub(members);
        if group.members == 0 {
            self.places.remove(&group.stand);
            self.free.push(place);
        }
    }
}
