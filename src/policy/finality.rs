//! When a block counts as final, and what to make of a final number that moves back.
//!
//! The `safe` tag is deliberately absent: Bor has none.

use crate::domain::chain::{BlockNumber, BlockRef, Header, WitnessedHeader};
use crate::domain::coverage::FinalityMark;
use crate::domain::deposit::{BlockStatus, Deposit};
use crate::domain::operator::Operator;
use crate::domain::time::{Span, Timestamp};
use crate::planted::{Bug, planted};

/// When a block is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinalityRule {
    /// At or below the node's `finalized` block, and at least `depth` blocks below its head.
    Finalized {
        /// In blocks.
        depth: u64,
    },
    /// At least `depth` blocks below the head.
    Depth {
        /// In blocks.
        depth: u64,
    },
}

impl FinalityRule {
    /// Whether the `finalized` tag has to be asked for.
    #[must_use]
    pub const fn uses_tag(self) -> bool {
        matches!(self, Self::Finalized { .. })
    }

    /// How many blocks a final block is below the head, at least.
    #[must_use]
    pub const fn depth(self) -> u64 {
        match self {
            Self::Finalized { depth } | Self::Depth { depth } => depth,
        }
    }
}

/// The number of the highest block that is final by the rule, from one endpoint's own head and tag. `None` when
/// nothing is: no tag, a chain that is too short, or a tag above the endpoint's own head, which is not believed.
#[must_use]
pub fn final_number(rule: FinalityRule, head: &Header, finalized: Option<&Header>) -> Option<BlockNumber> {
    if planted(Bug::HeadIsFinal) {
        return Some(head.block.number);
    }
    let deep = head.block.number.checked_sub(rule.depth());
    match rule {
        FinalityRule::Depth { .. } => deep,
        FinalityRule::Finalized { .. } => {
            let tag = finalized?;
            if tag.block.number > head.block.number {
                return None;
            }
            deep.map(|deep| deep.min(tag.block.number))
        }
    }
}

/// The block of a header, if the node that gave it calls it final by the rule. Another node's word counts for nothing here: one
/// that hangs still has blocks that were replaced since, and knows of no finality above them.
#[must_use]
pub fn final_block(rule: FinalityRule, witnessed: &WitnessedHeader) -> Option<BlockRef> {
    let block = witnessed.header?.block;
    let number = final_number(rule, &witnessed.head, witnessed.finalized.as_ref())?;
    (block.number <= number).then_some(block)
}

/// Whether a block is final by the very reading that brought its logs, so that the chain need not be asked again. `anchor`
/// is the header that the endpoint gave, before the logs and in the same request, for the last block of the range (each, where several answered);
/// `is_tagged`: it gave that header as its `finalized` block.
///
/// It is, where the rule asks for no depth, and only the anchor itself: then one endpoint has just given header and log under
/// one hash, so its head is the anchor or above. Of a lower block the reading gives no header.
#[must_use]
pub fn is_final_as_read(rule: FinalityRule, anchor: &Header, is_tagged: bool, block: &BlockRef) -> bool {
    let number = final_number(rule, anchor, is_tagged.then_some(anchor));
    *block == anchor.block && number.is_some_and(|number| number >= block.number)
}

/// How long an endpoint's word on the final block counts when others have spoken since.
const WORD_COUNTS_FOR: Span = Span::from_secs(60);

/// The final block that readings may count on, by the last word of each endpoint and when it came: the lowest of those who
/// spoke lately, else the latest. It is no promise that never shrinks: it comes down when an endpoint says less, so that one
/// wrong number is forgotten.
#[must_use]
pub fn counted_final(words: impl IntoIterator<Item = (BlockNumber, Timestamp)>, now: Timestamp) -> Option<BlockNumber> {
    let mut lately: Option<BlockNumber> = None;
    let mut latest: Option<(Timestamp, BlockNumber)> = None;
    for (number, at) in words {
        if now.since(at) <= WORD_COUNTS_FOR {
            lately = Some(lately.map_or(number, |lowest| lowest.min(number)));
        }
        latest = latest.max(Some((at, number)));
    }
    lately.or(latest.map(|(_, number)| number))
}

/// Who says that another block is at a deposit's height.
#[derive(Clone, Copy, Debug)]
pub enum GoneBy<'a> {
    /// The only operator there is to ask, or the one whose word is enough.
    Only,
    /// One, where several have to agree.
    One,
    /// As many as have to agree: these.
    Several(&'a [Operator]),
}

/// Where a deposit stands whose height has another block by somebody's word; `None` when that changes nothing yet. What is not
/// final is given up on any word, since it is read again; what is final only where its one witness takes it back before
/// others, or where enough say so that it never was one operator's alone: then a person looks.
#[must_use]
pub fn gone(deposit: &Deposit, by: GoneBy<'_>) -> Option<BlockStatus> {
    match (deposit.standing, by) {
        (BlockStatus::Gone { .. }, _) | (BlockStatus::Final { .. }, GoneBy::One) => None,
        (BlockStatus::Provisional, _) => Some(BlockStatus::Gone { after_final: false }),
        (BlockStatus::Final { .. }, GoneBy::Only) => Some(BlockStatus::Gone { after_final: true }),
        (BlockStatus::Final { .. }, GoneBy::Several(readers)) => match deposit.said_by() {
            Some(said_by) => readers.contains(said_by).then_some(BlockStatus::Gone { after_final: false }),
            None => Some(BlockStatus::Gone { after_final: true }),
        },
    }
}

/// What a newly reported final block does to the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkMove {
    /// Nothing to tell.
    Keeps,
    /// It rose, as it should.
    Rises(FinalityMark),
    /// It moved back below what was believed: no completion starts above it.
    MovesBack(FinalityMark),
}

/// The mark after `reported` was learnt at `now`.
#[must_use]
pub fn advance(mark: Option<&FinalityMark>, reported: BlockRef, now: Timestamp) -> MarkMove {
    let Some(mark) = mark else {
        return MarkMove::Rises(FinalityMark { version: 0, highest: reported, current: reported, at: now });
    };
    let next = FinalityMark { current: reported, at: now, ..*mark };
    match reported.number.cmp(&mark.current.number) {
        std::cmp::Ordering::Less => MarkMove::MovesBack(next),
        std::cmp::Ordering::Equal => MarkMove::Keeps,
        std::cmp::Ordering::Greater if reported.number > mark.highest.number => {
            MarkMove::Rises(FinalityMark { highest: reported, ..next })
        }
        std::cmp::Ordering::Greater => MarkMove::Rises(next),
    }
}

/// Whether a completion of a deposit in this block may start: not above the final block as last believed.
#[must_use]
pub const fn allows(mark: &FinalityMark, block: BlockNumber) -> bool {
    block <= mark.current.number
}

/// How long what pays nothing may wait to be settled while addresses catch up.
const SETTLED_EVERY: Span = Span::from_secs(15);

/// What there is to be settled, and what else there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Whether addresses are being caught up with.
    pub catches_up: bool,
    /// Whether a payment is known to wait for a block to become final.
    pub pays: bool,
    /// Whether the last settling left some of what is final: among that there may be what pays.
    pub unsettled: bool,
    /// When what is final was settled to its end last.
    pub settled_at: Timestamp,
}

/// Whether settling what is final may wait. While addresses catch up, deposits that pay nothing may come in by the thousand, and
/// each of their blocks costs a header: one settling then serves those of a while.
#[must_use]
pub fn settles_later(backlog: &Backlog, now: Timestamp) -> bool {
    let idle = backlog.catches_up && !backlog.pays && !backlog.unsettled;
    // A moment in the future means that the clock was set back.
    idle && backlog.settled_at <= now && now.since(backlog.settled_at) < SETTLED_EVERY
}

/// Whether a deposit's finality, established at `at`, is fresh enough to be relied upon without another look.
#[must_use]
pub fn is_fresh(at: Timestamp, now: Timestamp) -> bool {
    // A moment in the future means that the clock was set back: then nobody knows how long ago it was.
    at <= now && now.since(at) <= Span::from_secs(15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::chain::B256;
    use crate::domain::time::Timestamp as Moment;

    #[test]
    fn only_what_pays_nothing_is_settled_later_and_only_for_a_while() {
        let at = Moment::from_secs(1_000);
        let idle = Backlog { catches_up: true, pays: false, unsettled: false, settled_at: at };
        let cases = [
            (idle, 0, true),
            (idle, 14, true),
            (idle, 15, false),
            (Backlog { catches_up: false, ..idle }, 1, false),
            (Backlog { pays: true, ..idle }, 1, false),
            (Backlog { unsettled: true, ..idle }, 1, false),
            (Backlog { settled_at: Moment::EPOCH, ..idle }, 0, false),
            (Backlog { settled_at: Moment::from_secs(5_000), ..idle }, 0, false),
        ];
        for (backlog, seconds, expected) in cases {
            let now = at.plus(Span::from_secs(seconds));
            assert_eq!(settles_later(&backlog, now), expected, "{backlog:?} after {seconds} s");
        }
    }

    #[test]
    fn f3_the_final_block_that_counts_comes_down_again() {
        let at = |second| Moment::from_secs(1_000 + second);
        let now = at(100);
        type Case = (&'static [(u64, u64)], Option<u64>);
        let cases: [Case; 7] = [
            (&[], None),
            (&[(50, 100)], Some(50)),
            (&[(50, 0)], Some(50)),
            (&[(401_000_007, 39), (50, 100)], Some(50)),
            (&[(401_000_007, 99), (50, 100)], Some(50)),
            (&[(60, 30), (50, 10)], Some(60)),
            // Our clock was set back: such a word counts.
            (&[(60, 100), (50, 200)], Some(50)),
        ];
        for (words, expected) in cases {
            let said = words.iter().map(|(number, second)| (*number, at(*second)));
            assert_eq!(counted_final(said, now), expected, "{words:?}");
        }
    }

    #[test]
    fn a_header_is_believed_as_far_as_its_own_node_calls_it_final() {
        let header = |number| Header { block: block(number), parent: B256::ZERO, time: Moment::EPOCH };
        let (tag, depth) = (FinalityRule::Finalized { depth: 4 }, FinalityRule::Depth { depth: 4 });
        // The rule, the block asked for, the node's head and its tag; whether the block is final.
        let cases = [
            (tag, Some(10), 20, Some(15), true),
            (tag, Some(15), 20, Some(15), true),
            (tag, Some(16), 20, Some(15), false),
            (tag, Some(10), 13, Some(12), false),
            (tag, Some(10), 14, Some(12), true),
            (tag, Some(10), 14, Some(15), false),
            (tag, Some(10), 20, None, false),
            (tag, None, 20, Some(15), false),
            (depth, Some(16), 20, None, true),
            (depth, Some(17), 20, None, false),
        ];
        for (rule, number, head, finalized, expected) in cases {
            let (asked, finalized) = (number.map(header), finalized.map(header));
            let found = final_block(rule, &WitnessedHeader { header: asked, finalized, head: header(head) });
            assert_eq!(found, number.filter(|_| expected).map(block), "{rule:?} {number:?} {head} {finalized:?}");
        }
    }

    fn block(number: u64) -> BlockRef {
        BlockRef { number, hash: B256::repeat_byte(u8::try_from(number % 251).expect("below 251")) }
    }

    fn header(number: u64) -> Header {
        Header { block: block(number), parent: B256::ZERO, time: Timestamp::from_secs(number) }
    }

    #[test]
    fn the_rule_decides_what_is_final() {
        use FinalityRule::{Depth, Finalized};
        let cases = [
            (Depth { depth: 10 }, 100, None, Some(90)),
            (Depth { depth: 0 }, 100, None, Some(100)),
            (Depth { depth: 101 }, 100, None, None),
            (Finalized { depth: 4 }, 100, Some(98), Some(96)),
            (Finalized { depth: 4 }, 100, Some(90), Some(90)),
            (Finalized { depth: 0 }, 100, Some(100), Some(100)),
            (Finalized { depth: 0 }, 100, Some(101), None),
            (Finalized { depth: 0 }, 100, None, None),
            (Finalized { depth: 200 }, 100, Some(98), None),
        ];
        for (rule, head, tag, expected) in cases {
            let got = final_number(rule, &header(head), tag.map(header).as_ref());
            assert_eq!(got, expected, "{rule:?} {head} {tag:?}");
        }
    }

    #[test]
    fn a_reading_proves_its_anchor_only() {
        use FinalityRule::{Depth, Finalized};
        let other_hash = BlockRef { hash: B256::repeat_byte(255), ..block(100) };
        let cases = [
            (Depth { depth: 0 }, false, block(100), true),
            (Depth { depth: 0 }, true, block(100), true),
            (Depth { depth: 0 }, false, other_hash, false),
            (Depth { depth: 0 }, false, block(99), false),
            (Depth { depth: 0 }, false, block(101), false),
            (Depth { depth: 1 }, false, block(100), false),
            (Depth { depth: 1 }, true, block(99), false),
            (Depth { depth: 101 }, true, block(100), false),
            (Finalized { depth: 0 }, false, block(100), false),
            (Finalized { depth: 0 }, true, block(100), true),
            (Finalized { depth: 0 }, true, other_hash, false),
            (Finalized { depth: 0 }, true, block(99), false),
            (Finalized { depth: 1 }, true, block(100), false),
        ];
        for (rule, is_tagged, read, expected) in cases {
            let got = is_final_as_read(rule, &header(100), is_tagged, &read);
            assert_eq!(got, expected, "{rule:?} {is_tagged} {read:?}");
        }
    }

    #[test]
    fn a_number_that_moves_back_holds_completions() {
        let now = Timestamp::from_secs(5);
        let MarkMove::Rises(mark) = advance(None, block(100), now) else { panic!("the first report rises") };
        assert!(allows(&mark, 100) && !allows(&mark, 101));
        assert_eq!(advance(Some(&mark), block(100), now), MarkMove::Keeps);
        let MarkMove::MovesBack(back) = advance(Some(&mark), block(90), now) else { panic!("90 is back") };
        assert!(allows(&back, 90) && !allows(&back, 95));
        assert_eq!(back.highest.number, 100);
        let MarkMove::Rises(part) = advance(Some(&back), block(95), now) else { panic!("95 rises") };
        assert!(allows(&part, 95) && !allows(&part, 100));
        assert_eq!(part.highest.number, 100);
        let MarkMove::Rises(past) = advance(Some(&part), block(120), now) else { panic!("120 rises") };
        assert!(allows(&past, 100) && past.highest.number == 120);
    }

    #[test]
    fn a_moment_in_the_future_is_not_fresh() {
        let now = Timestamp::from_secs(1_000);
        let fresh = |at: u64| is_fresh(Timestamp::from_secs(at), now);
        assert_eq!([fresh(1_000), fresh(985), fresh(984), fresh(1_001)], [true, true, false, false]);
    }
}
