//! What counts as read, or as final, above the head: one endpoint reported blocks that do not exist, or the chain was taken
//! back. It is taken back, and read again, which costs only requests.
//!
//! A head that is lower for a moment proves nothing: behind a balancer a slow node answers now and then, and after a failure
//! another endpoint may lag. So it must last.

use crate::domain::chain::BlockNumber;
use crate::domain::coverage::{Coverage, Swept};
use crate::domain::time::{Span, Timestamp};

/// No node that is of any use lags by so many blocks.
const FAR_BLOCKS: u64 = 512;

/// How long all heads must have been that far below before it is certain.
const CERTAIN_AFTER: Span = Span::from_secs(10);

/// How many heads must have said so.
const LEAST_HEADS: u32 = 3;

/// More counts than the head allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    since: Timestamp,
    heads: u32,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    Fits,
    /// To look again.
    Waits(Excess),
    /// To take back what is above the head.
    TakeBack(Excess),
}

/// Judges the highest block that counts as read or final against a head. `before` is what was found at the last head.
#[must_use]
pub fn judge(
    before: Option<Excess>,
    counted: BlockNumber,
    head: BlockNumber,
    now: Timestamp,
    stall_after: Span,
) -> Judgement {
    let above = counted.saturating_sub(head);
    if above == 0 {
        return Judgement::Fits;
    }
    // A clock that was set back begins the wait anew.
    let before = before.filter(|before| before.since <= now).unwrap_or(Excess { since: now, heads: 0 });
    let excess = Excess { heads: before.heads.saturating_add(1), ..before };
    let certain_after = if above > FAR_BLOCKS { CERTAIN_AFTER.min(stall_after) } else { stall_after };
    if excess.heads >= LEAST_HEADS && now.since(excess.since) >= certain_after {
        Judgement::TakeBack(excess)
    } else {
        Judgement::Waits(excess)
    }
}

/// The highest block that counts as read for any of these.
#[must_use]
pub fn highest_read(watched: &[Coverage]) -> Option<BlockNumber> {
    watched.iter().filter_map(|coverage| coverage.swept).map(|swept| swept.covered_to).max()
}

/// The coverage when what is above the head is taken back; `None` when it stays. What was read a second time stays as long as
/// it is below the head; otherwise all is read again from the address's start, and a start above the head is looked for again.
#[must_use]
pub fn taken_back(coverage: &Coverage, head: BlockNumber) -> Option<Coverage> {
    let swept = coverage.swept.filter(|swept| swept.covered_to > head)?;
    let below_start = swept.start.saturating_sub(1);
    let kept = if swept.confirmed_to <= head { swept.confirmed_to } else { below_start };
    let back = Swept { covered_to: kept, confirmed_to: kept, second_reading: None, ..swept };
    Some(Coverage { swept: (below_start <= head).then_some(back), ..coverage.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::chain::Address;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_000_u64.saturating_add(seconds))
    }

    #[test]
    fn f3_what_lasts_is_certain_and_the_far_sooner() {
        // How far above the head, the seconds at which it is looked, and whether it is taken back at the last of them.
        let cases: [(u64, &[u64], bool); 9] = [
            (10_000, &[0], false),
            (10_000, &[0, 5], false),
            (10_000, &[0, 5, 9], false),
            (10_000, &[0, 5, 10], true),
            (10_000, &[0, 100], false),
            (513, &[0, 5, 10], true),
            (512, &[0, 5, 10], false),
            (1, &[0, 60, 119], false),
            (1, &[0, 60, 120], true),
        ];
        for (above, looks, expected) in cases {
            let (mut excess, mut taken) = (None, false);
            for second in looks {
                let judged = judge(excess, 5_000 + above, 5_000, at(*second), Span::from_secs(120));
                taken = matches!(judged, Judgement::TakeBack(_));
                excess = match judged {
                    Judgement::Fits => None,
                    Judgement::Waits(excess) | Judgement::TakeBack(excess) => Some(excess),
                };
            }
            assert_eq!(taken, expected, "{above} above, looked at {looks:?}");
        }
    }

    #[test]
    fn f3_a_node_that_is_slow_now_and_then_takes_nothing_back() {
        let mut excess = None;
        for second in 0..1_000 {
            let head = if second % 7 == 0 { 5_000 } else { 4_000 };
            excess = match judge(excess, 5_000, head, at(second), Span::from_secs(120)) {
                Judgement::Fits => None,
                Judgement::Waits(excess) => Some(excess),
                Judgement::TakeBack(_) => panic!("taken back after {second} s"),
            };
        }
    }

    #[test]
    fn a_clock_that_is_set_back_begins_the_wait_anew() {
        let late = Excess { since: at(500), heads: 9 };
        let judged = judge(Some(late), 9_000, 1, at(0), Span::from_secs(120));
        assert_eq!(judged, Judgement::Waits(Excess { since: at(0), heads: 1 }));
    }

    #[test]
    fn f3_what_was_read_twice_below_the_head_stays() {
        // Start, covered, confirmed, head; covered and confirmed afterwards, `None` when the start is looked for again.
        let cases = [
            (100, 900, 500, 900, None),
            (100, 900, 500, 899, Some(Some(500))),
            (100, 900, 500, 500, Some(Some(500))),
            (100, 900, 500, 499, Some(Some(99))),
            (100, 900, 99, 99, Some(Some(99))),
            (100, 900, 99, 98, Some(None)),
            (100, 99, 99, 98, Some(None)),
        ];
        for (start, covered_to, confirmed_to, head, expected) in cases {
            let second_reading = Some((covered_to, at(0)));
            let swept = Swept { start, covered_to, confirmed_to, second_reading };
            let coverage = Coverage {
                address: Address::ZERO,
                version: 7,
                since: at(0),
                swept: Some(swept),
                watch_until: Some(at(9)),
                closed: false,
            };
            let expected = expected.map(|kept| {
                let back = |kept| Swept { start, covered_to: kept, confirmed_to: kept, second_reading: None };
                Coverage { swept: kept.map(back), ..coverage.clone() }
            });
            assert_eq!(taken_back(&coverage, head), expected, "{swept:?} and head {head}");
        }
    }
}
