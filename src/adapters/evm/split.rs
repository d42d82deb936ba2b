//! Cuts a question into pieces that a provider takes: fewer blocks, fewer recipients. Pure.

use alloy::primitives::Address;

/// A part of a question: these blocks, these recipients (by position).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) from: u64,
    /// The last block, included.
    pub(super) to: u64,
    /// The first recipient's position.
    pub(super) first: usize,
    /// How many recipients. Never 0, since an empty filter means "any" to a node.
    pub(super) count: usize,
}

impl Piece {
    pub(super) const fn blocks(&self) -> u64 {
        self.to.saturating_sub(self.from).saturating_add(1)
    }

    pub(super) fn recipients<'a>(&self, all: &'a [Address]) -> &'a [Address] {
        all.get(self.first..self.first.saturating_add(self.count)).unwrap_or_default()
    }

    /// Cuts off a first part with at most so many blocks and recipients; what is left over comes as up to two pieces.
    pub(super) fn cut(self, max_blocks: u64, max_recipients: usize) -> (Self, Vec<Self>) {
        let (mut head, mut rest) = (self, Vec::new());
        if head.count > max_recipients.max(1) {
            let count = max_recipients.max(1);
            rest.push(Self {
                first: head.first.saturating_add(count),
                count: head.count.saturating_sub(count),
                ..head
            });
            head.count = count;
        }
        if head.blocks() > max_blocks.max(1) {
            let last = head.from.saturating_add(max_blocks.max(1)).saturating_sub(1);
            rest.push(Self { from: last.saturating_add(1), ..head });
            head.to = last;
        }
        (head, rest)
    }
}

/// How many may be asked for after `asked` were refused: the provider's word when it is smaller, else half.
/// `None` when one was already too many.
pub(super) fn smaller(asked: u64, suggested: Option<u64>) -> Option<u64> {
    if asked <= 1 {
        return None;
    }
    Some(suggested.filter(|&blocks| blocks > 0 && blocks < asked).unwrap_or(asked / 2))
}

/// The recipients of each subscription. A recipient stays in its shard when others come and go, so that a change
/// of the set renews few subscriptions.
pub(super) fn shards(recipients: &[Address], max: usize) -> Vec<Vec<Address>> {
    let max = max.max(1);
    if recipients.is_empty() {
        return Vec::new();
    }
    let buckets = if recipients.len() <= max {
        1
    } else {
        // Half full on average, so that buckets seldom run over.
        recipients.len().div_ceil(max).saturating_mul(2).next_power_of_two()
    };
    let mut shards = vec![Vec::new(); buckets];
    for recipient in recipients {
        let bytes = recipient.as_slice().last_chunk::<8>().copied().unwrap_or_default();
        let index = usize::try_from(u64::from_be_bytes(bytes) & 0xffff_ffff).unwrap_or_default();
        let index = index.checked_rem(buckets).unwrap_or_default();
        if let Some(shard) = shards.get_mut(index) {
            shard.push(*recipient);
        }
    }
    shards.iter().flat_map(|shard| shard.chunks(max)).map(<[Address]>::to_vec).collect()
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "clippy does not see that what stands in a macro is a test"
)]
mod tests {
    use super::*;

    use std::collections::BTreeSet;

    use proptest::prelude::*;

    fn pieces(piece: Piece, blocks: u64, recipients: usize) -> Vec<Piece> {
        let (mut done, mut todo) = (Vec::new(), vec![piece]);
        while let Some(next) = todo.pop() {
            let (head, rest) = next.cut(blocks, recipients);
            assert!(head.blocks() <= blocks.max(1) && head.count <= recipients.max(1) && head.count > 0);
            done.push(head);
            todo.extend(rest);
        }
        done
    }

    #[test]
    fn pieces_cover_the_question_once() {
        for (from, to, count, max_blocks, max_recipients) in
            [(0, 0, 1, 1, 1), (5, 14, 7, 3, 2), (5, 14, 7, 100, 100), (0, 9, 3, 1, 1), (7, 8, 2, 0, 0)]
        {
            let all = pieces(Piece { from, to, first: 0, count }, max_blocks, max_recipients);
            let mut seen = BTreeSet::new();
            for piece in all {
                for block in piece.from..=piece.to {
                    for who in piece.first..piece.first + piece.count {
                        assert!(seen.insert((block, who)), "({block}, {who}) twice");
                    }
                }
            }
            assert_eq!(seen.len() as u64, (to - from + 1) * count as u64);
        }
        let (head, rest) = Piece { from: u64::MAX - 1, to: u64::MAX, first: 0, count: 1 }.cut(1, 1);
        assert_eq!((head.to, rest.len()), (u64::MAX - 1, 1));
    }

    proptest! {
        #[test]
        fn pieces_cover_any_question_once_while_the_limits_shrink(
            from in 0..=u64::MAX - 40,
            blocks in 1..40_u64,
            count in 1..12_usize,
            limits in prop::collection::vec((0..50_u64, 0..15_usize), 1..60),
        ) {
            let mut limits = limits.into_iter().chain(std::iter::repeat((1, 1)));
            let (mut seen, mut todo) = (BTreeSet::new(), vec![Piece { from, to: from + blocks - 1, first: 0, count }]);
            while let Some(next) = todo.pop() {
                let (max_blocks, max_recipients) = limits.next().unwrap();
                let (head, rest) = next.cut(max_blocks, max_recipients);
                prop_assert!(head.blocks() <= max_blocks.max(1) && (1..=max_recipients.max(1)).contains(&head.count));
                for block in head.from..=head.to {
                    for who in head.first..head.first + head.count {
                        prop_assert!(seen.insert((block, who)), "({}, {}) twice", block, who);
                    }
                }
                todo.extend(rest);
            }
            prop_assert_eq!(seen.len() as u64, blocks * count as u64);
        }

        #[test]
        fn a_refused_question_ends_at_one(asked in 1..=u64::MAX, suggested in prop::collection::vec(any::<Option<u64>>(), 0..9)) {
            let mut suggested = suggested.into_iter();
            let (mut asked, mut steps) = (asked, 0);
            while let Some(fewer) = smaller(asked, suggested.next().flatten()) {
                prop_assert!(fewer >= 1 && fewer < asked);
                asked = fewer;
                steps += 1;
                prop_assert!(steps <= 80);
            }
            prop_assert_eq!(asked, 1);
        }
    }

    #[test]
    fn suggestions_only_when_smaller() {
        assert_eq!(smaller(2_000, Some(1_000)), Some(1_000));
        assert_eq!(smaller(2_000, Some(2_000)), Some(1_000));
        assert_eq!(smaller(2_000, Some(5_000_000)), Some(1_000));
        assert_eq!(smaller(2_000, Some(0)), Some(1_000));
        assert_eq!(smaller(3, None), Some(1));
        assert_eq!(smaller(2, None), Some(1));
        assert_eq!(smaller(1, Some(1)), None);
    }

    #[test]
    fn shards_hold_everybody_once_and_stay_put() {
        let address = |i: u64| Address::from_word(alloy::primitives::keccak256(i.to_be_bytes()));
        let some: Vec<Address> = (0..300).map(address).collect();
        for (count, max) in [(0, 10), (1, 10), (10, 10), (11, 10), (300, 7), (300, 1), (5, 0)] {
            let shards = shards(&some[..count], max);
            assert!(shards.iter().all(|shard| !shard.is_empty() && shard.len() <= max.max(1)));
            let all: BTreeSet<_> = shards.iter().flatten().collect();
            assert_eq!((all.len(), shards.iter().map(Vec::len).sum::<usize>()), (count, count));
        }
        let before: BTreeSet<_> = shards(&some[..180], 50).into_iter().collect();
        let after: BTreeSet<_> = shards(&some[..181], 50).into_iter().collect();
        assert_eq!(after.difference(&before).count(), 1, "one more recipient renews one shard");
    }
}
