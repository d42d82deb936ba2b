//! What is tried over and over in vain: since when, and why. Nothing is tried for ever without anybody hearing of it: what lasts is
//! in `/readyz`. Of the payment API's answers the first of its kind is logged too, as is the end of it, and what lasts is in a
//! gauge and in a notice.
//!
//! Kept in memory: a restart asks once more, and finds the same trouble again if it is still there.

use std::collections::BTreeMap;

use crate::domain::text::short;
use crate::domain::time::{Span, Timestamp};

/// The most subjects that are remembered.
const MOST: usize = 4_096;

/// What was not tried again within this time is not tried any more: a person has cancelled it, it has ended, it is in no
/// list. What is tried seldom has so many times the last gap.
const FORGOTTEN_AFTER: Span = Span::from_secs(600);
const GAPS: u64 = 3;

/// One subject that is tried in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) since: Timestamp,
    /// When it was tried last.
    last: Timestamp,
    /// How long before that it was tried in vain too; `None` when it was not.
    gap: Option<Span>,
    /// What came of it.
    pub(crate) why: String,
}

impl Trouble {
    /// Whether it is still tried.
    fn is_tried(&self, now: Timestamp) -> bool {
        now.since(self.last) < self.gap.unwrap_or(Span::ZERO).times(GAPS).max(FORGOTTEN_AFTER)
    }
}

/// All of them, by what is tried: a payment's id, or `the list of user u-1`.
#[derive(Debug, Default)]
pub(crate) struct InVain(BTreeMap<String, Trouble>);

impl InVain {
    /// No use came of it. Returns how many there were before, if it is a new one.
    pub(crate) fn note(&mut self, about: &str, now: Timestamp, why: &str) -> Option<usize> {
        self.0.retain(|_, trouble| trouble.is_tried(now));
        let count = self.0.len();
        if let Some(known) = self.0.get_mut(about) {
            (known.gap, known.last, known.why) = (Some(now.since(known.last)), now, short(why));
            return None;
        }
        if count >= MOST {
            return None;
        }
        self.0.insert(about.to_owned(), Trouble { since: now, last: now, gap: None, why: short(why) });
        Some(count)
    }

    /// It got on. Returns how long it had not.
    pub(crate) fn over(&mut self, about: &str, now: Timestamp) -> Option<Span> {
        self.0.remove(about).map(|trouble| now.since(trouble.since))
    }

    /// The trouble with this subject.
    pub(crate) fn of(&self, about: &str, now: Timestamp) -> Option<&Trouble> {
        self.0.get(about).filter(|trouble| trouble.is_tried(now))
    }

    /// How many were tried in vain more than once, and the oldest.
    pub(crate) fn oldest(&self, now: Timestamp) -> Option<(usize, &str, &Trouble)> {
        let lasts = |trouble: &Trouble| trouble.gap.is_some() && trouble.is_tried(now);
        let lasting = || self.0.iter().filter(|(_, trouble)| lasts(trouble));
        let oldest = lasting().min_by_key(|(_, trouble)| trouble.since);
        oldest.map(|(about, trouble)| (lasting().count(), about.as_str(), trouble))
    }

    /// The clock was set back: no moment is later than now.
    pub(crate) fn clock_set_back(&mut self, now: Timestamp) {
        for trouble in self.0.values_mut() {
            (trouble.since, trouble.last) = (trouble.since.min(now), trouble.last.min(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn the_oldest_is_told_until_it_is_answered_or_not_asked_for_any_more() {
        let mut troubles = InVain::default();
        let told = |troubles: &InVain, now: u64| {
            let oldest = troubles.oldest(at(now));
            oldest.map(|(count, about, trouble)| (count, about.to_owned(), trouble.since, trouble.why.clone()))
        };
        troubles.note("p-1", at(10), "garbage");
        troubles.note("p-2", at(20), "garbage");
        assert_eq!(told(&troubles, 29), None, "each was asked for once");
        troubles.note("p-1", at(30), "more garbage");
        troubles.note("p-2", at(320), "garbage");
        assert_eq!(told(&troubles, 320), Some((2, "p-1".to_owned(), at(10), "more garbage".to_owned())));
        troubles.over("p-1", at(330));
        assert_eq!(told(&troubles, 1_219), Some((1, "p-2".to_owned(), at(20), "garbage".to_owned())));
        assert!(troubles.of("p-2", at(1_219)).is_some());
        // It was asked for every 300 s, and is not any more: a person has cancelled it.
        assert_eq!(told(&troubles, 1_220), None);
        assert!(troubles.of("p-2", at(1_220)).is_none());
        troubles.note("p-3", at(1_220), "garbage");
        assert_eq!(troubles.0.len(), 1, "what is not asked for any more takes no room");
    }

    #[test]
    fn their_number_is_bounded() {
        let mut troubles = InVain::default();
        for n in (0..2 * MOST).chain(0..2 * MOST) {
            troubles.note(&n.to_string(), at(1), "garbage");
        }
        assert_eq!(troubles.oldest(at(1)).map(|(count, ..)| count), Some(MOST));
    }
}
