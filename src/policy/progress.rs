//! What should move and does not (decision 16): progress is measured, not answers.
//!
//! Deliberately absent: who is to blame, and what is asked of whom.

use crate::domain::stall::Stall;
use crate::domain::time::{Span, Timestamp};

/// What is known of how the chain's side gets on.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Now (our clock).
    pub now: Timestamp,
    /// How long each may stand still.
    pub stall_after: Span,
    /// Whether any address is watched. If none is, nothing need move.
    pub watched: bool,
    /// When the newest block last was a newer one than before, and when it was last heard of: whether it stands is judged when an
    /// answer comes, never between two questions.
    pub head: Option<(Timestamp, Timestamp)>,
    /// Since when the final block has stayed the same while something waits for it.
    pub finality: Option<Timestamp>,
    /// Since when a deposit that pays has been in a final block without being settled.
    pub settling: Option<Timestamp>,
    /// Since when blocks of some addresses cannot be read.
    pub unread: Option<Timestamp>,
}

/// What stands still, and since when.
#[must_use]
pub fn stalls(facts: &Facts) -> Vec<(Stall, Timestamp)> {
    if !facts.watched {
        return Vec::new();
    }
    let head = facts.head.filter(|(moved_at, heard_at)| heard_at.since(*moved_at) >= facts.stall_after);
    let long = |since: Option<Timestamp>| since.filter(|since| facts.now.since(*since) >= facts.stall_after);
    let all = [
        (Stall::Head, head.map(|(moved_at, _)| moved_at)),
        (Stall::Finality, long(facts.finality)),
        (Stall::Settling, long(facts.settling)),
        (Stall::Unread, long(facts.unread)),
    ];
    all.into_iter().filter_map(|(stall, since)| Some((stall, since?))).collect()
}

/// How far the newest block may be below the highest one that was seen and still be the same chain's, in blocks.
const DEEPEST_STEP_BACK: u64 = 256;

/// Whether a newest block is news, after the highest one so far: a node that hangs and one that does not, in turns, are none. A
/// chain that begins anew far below is.
#[must_use]
pub const fn moves(head: u64, highest: u64) -> bool {
    head > highest || head.saturating_add(DEEPEST_STEP_BACK) < highest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r6_what_stands_still_is_found_whatever_else_is_well() {
        let at = |secs: u64| Timestamp::from_secs(1_000_000 + secs);
        let facts = Facts {
            now: at(500),
            stall_after: Span::from_secs(120),
            watched: true,
            head: Some((at(490), at(498))),
            finality: None,
            settling: None,
            unread: None,
        };
        let table = [
            (facts, vec![]),
            (Facts { head: None, ..facts }, vec![]),
            (Facts { head: Some((at(370), at(490))), ..facts }, vec![(Stall::Head, at(370))]),
            // It was fresh when it was heard of last; nobody has asked since.
            (Facts { head: Some((at(300), at(310))), ..facts }, vec![]),
            (Facts { finality: Some(at(380)), ..facts }, vec![(Stall::Finality, at(380))]),
            (Facts { finality: Some(at(381)), ..facts }, vec![]),
            (
                Facts { settling: Some(at(1)), unread: Some(at(2)), ..facts },
                vec![(Stall::Settling, at(1)), (Stall::Unread, at(2))],
            ),
            (Facts { watched: false, settling: Some(at(1)), head: Some((at(0), at(500))), ..facts }, vec![]),
        ];
        for (facts, expected) in table {
            assert_eq!(stalls(&facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_head_that_goes_to_and_fro_does_not_move() {
        for (head, highest, expected) in
            [(101, 100, true), (100, 100, false), (99, 100, false), (1, 1_000, true), (800, 1_000, false)]
        {
            assert_eq!(moves(head, highest), expected, "{head} after {highest}");
        }
    }
}
