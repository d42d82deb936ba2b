//! What one endpoint takes in one question, as far as its errors have taught. Pure.
//!
//! A limit on blocks or recipients is the provider's rule and stays learned. A limit on results depends on what is in
//! the blocks: it is learned too, but tried anew now and then. All is forgotten after a while (by the owner), so that a
//! provider's bad hour does not make small questions for ever.

use super::split::smaller;

/// So many questions in a row must have worked at a limit on results before twice as much is tried.
const GOOD_BEFORE_GROWTH: u32 = 8;

/// The questions that belong together, such as a range and its anchor, make a batch of so many calls.
const SMALL_BATCH: usize = 2;

/// So many batches in a row must have failed where single questions are answered, before no batches are sent.
const BATCHES_TRIED: u32 = 3;

/// The limits of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    configured: (u64, usize),
    blocks: u64,
    recipients: usize,
    dense: Option<Dense>,
    /// The most blocks that were answered for since the last lesson.
    proven: u64,
    batch: usize,
    /// How many batches in a row have failed although their questions were answered one by one.
    batches_failed: u32,
    /// How many batches in a row were not answered.
    unanswered: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Dense {
    blocks: u64,
    good: u32,
}

impl Limits {
    /// Before anything was learned.
    pub(super) const fn new(blocks: u64, recipients: usize) -> Self {
        Self {
            configured: (blocks, recipients),
            blocks,
            recipients,
            dense: None,
            proven: 0,
            batch: usize::MAX,
            batches_failed: 0,
            unanswered: 0,
        }
    }

    /// Whether something was learned.
    pub(super) fn is_learned(&self) -> bool {
        let (blocks, recipients) = self.configured;
        let Self { proven, batches_failed, unanswered, .. } = *self;
        *self != Self { proven, batches_failed, unanswered, ..Self::new(blocks, recipients) }
    }

    /// Back to what is configured.
    pub(super) const fn forget(&mut self) {
        let (blocks, recipients) = self.configured;
        *self = Self::new(blocks, recipients);
    }

    /// Blocks in one question.
    pub(super) fn blocks(&self) -> u64 {
        self.dense.map_or(self.blocks, |dense| dense.blocks.min(self.blocks))
    }

    /// Recipients in one filter.
    pub(super) const fn recipients(&self) -> usize {
        self.recipients
    }

    /// Whether several questions for so many blocks may be under way: until one has worked, each would pay the same error.
    pub(super) const fn proven(&self, blocks: u64) -> bool {
        blocks <= self.proven
    }

    /// How many of so many calls go into one batch; 1: they go alone.
    pub(super) fn batch_of(&self, calls: usize) -> usize {
        self.batch.min(calls).max(1)
    }

    /// A batch of so many calls was refused, perhaps with the number that would do. Where it was a large one, small ones may
    /// work all the same.
    pub(super) fn no_batch(&mut self, calls: usize, suggested: Option<usize>) {
        self.lower_batch(calls, suggested);
        self.batches_failed = 0;
    }

    fn lower_batch(&mut self, calls: usize, suggested: Option<usize>) {
        let usual = if calls > SMALL_BATCH { SMALL_BATCH } else { 1 };
        self.batch = self.batch.min(suggested.filter(|fewer| *fewer < calls).unwrap_or(usual));
    }

    /// A batch failed for no reason that speaks of batches, and its questions were answered one by one. When it happens again
    /// and again, it is the batches.
    pub(super) fn batch_failed(&mut self, calls: usize) {
        self.batches_failed = self.batches_failed.saturating_add(1);
        if self.batches_failed >= BATCHES_TRIED {
            self.lower_batch(calls, None);
        }
    }

    /// A batch of so many calls was not answered: the connection ended, or the time. When the next one is not either, half as many
    /// are put: what is too much at once is often not said in words, only done by nobody.
    pub(super) fn batch_unanswered(&mut self, calls: usize) {
        self.unanswered = self.unanswered.saturating_add(1);
        if self.unanswered > 1 {
            self.batch = self.batch.min((calls / 2).max(1));
        }
    }

    /// A single question failed as the batches did: it was not the batches.
    pub(super) const fn single_failed(&mut self) {
        if self.batches_failed >= BATCHES_TRIED || self.unanswered > 1 {
            (self.batch, self.batches_failed, self.unanswered) = (usize::MAX, 0, 0);
        }
    }

    /// A batch was answered.
    pub(super) const fn batch_worked(&mut self) {
        (self.batches_failed, self.unanswered) = (0, 0);
    }

    /// The next question goes alone.
    pub(super) const fn doubt(&mut self) {
        self.proven = 0;
    }

    /// So many blocks were against the rules. False when it was only one.
    pub(super) fn too_many_blocks(&mut self, asked: u64, suggested: Option<u64>) -> bool {
        let Some(fewer) = smaller(asked, suggested) else { return false };
        self.blocks = self.blocks.min(fewer);
        self.proven = 0;
        true
    }

    /// So many blocks had too much in them. False when it was only one.
    pub(super) fn too_much(&mut self, asked: u64, suggested: Option<u64>) -> bool {
        let Some(fewer) = smaller(asked, suggested) else { return false };
        self.dense = Some(Dense { blocks: self.blocks().min(fewer), good: 0 });
        self.proven = 0;
        true
    }

    /// So many recipients were too many. False when it was only one.
    pub(super) fn too_many_recipients(&mut self, asked: usize, suggested: Option<u64>) -> bool {
        let asked = u64::try_from(asked).unwrap_or(u64::MAX);
        let Some(fewer) = smaller(asked, suggested) else { return false };
        self.recipients = self.recipients.min(usize::try_from(fewer).unwrap_or(usize::MAX));
        self.proven = 0;
        true
    }

    /// A question for so many blocks was answered.
    pub(super) fn worked(&mut self, blocks: u64) {
        self.proven = self.proven.max(blocks);
        let Some(dense) = &mut self.dense else { return };
        if blocks < dense.blocks {
            return;
        }
        dense.good = dense.good.saturating_add(1);
        if dense.good >= GOOD_BEFORE_GROWTH {
            *dense = Dense { blocks: dense.blocks.saturating_mul(2), good: 0 };
            if dense.blocks >= self.blocks {
                self.dense = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_stay_learned() {
        let mut limits = Limits::new(2_000, 1_000);
        assert!(!limits.proven(1));
        limits.worked(2_000);
        assert!(limits.proven(2_000));
        assert!(limits.too_many_blocks(2_000, Some(500)));
        assert!(!limits.proven(1));
        // Another question of the old size fails later: nothing more is learned from it.
        assert!(limits.too_many_blocks(2_000, None));
        assert_eq!(limits.blocks(), 500);
        for _ in 0..100 {
            limits.worked(500);
        }
        assert_eq!(limits.blocks(), 500);
        while limits.too_many_blocks(limits.blocks(), None) {}
        assert_eq!(limits.blocks(), 1);
        assert!(limits.too_many_recipients(1_000, Some(5_000)));
        assert_eq!(limits.recipients(), 500);
        assert!(!limits.too_many_recipients(1, None));
        assert!(limits.is_learned());
        limits.forget();
        assert!(!limits.is_learned());
        assert_eq!((limits.blocks(), limits.recipients()), (2_000, 1_000));
        limits.worked(1);
        assert!(!limits.is_learned(), "a good answer is no lesson");
        limits.no_batch(20, Some(10));
        assert!(limits.is_learned());
        assert_eq!((limits.batch_of(20), limits.batch_of(7)), (10, 7));
        limits.no_batch(10, Some(99));
        assert_eq!((limits.batch_of(20), limits.batch_of(1)), (2, 1));
        limits.no_batch(2, None);
        assert_eq!((limits.batch_of(20), limits.batch_of(0)), (1, 1));
        limits.forget();
        for _ in 0..2 {
            limits.batch_failed(20);
        }
        limits.batch_worked();
        limits.batch_failed(20);
        limits.batch_failed(20);
        assert_eq!(limits.batch_of(20), 20);
        limits.batch_failed(20);
        assert_eq!(limits.batch_of(20), 2, "three in a row are no accident");
        limits.batch_failed(2);
        assert_eq!(limits.batch_of(20), 1);
        limits.single_failed();
        assert_eq!(limits.batch_of(20), 20, "unless single questions fail in the same way");
        limits.batch_unanswered(20);
        assert_eq!(limits.batch_of(20), 20, "one lost connection says nothing");
        for (calls, then) in [(20, 10), (10, 5), (5, 2), (2, 1)] {
            limits.batch_unanswered(calls);
            assert_eq!(limits.batch_of(20), then);
        }
        limits.single_failed();
        assert_eq!(limits.batch_of(20), 20, "nobody answers anything");
        limits.batch_unanswered(20);
        limits.batch_worked();
        limits.batch_unanswered(20);
        assert_eq!(limits.batch_of(20), 20);
    }

    #[test]
    fn result_limits_grow_back() {
        let mut limits = Limits::new(1_000, 10);
        assert!(limits.too_much(1_000, None));
        assert!(limits.too_much(500, Some(100)));
        assert_eq!(limits.blocks(), 100);
        for _ in 0..100 {
            limits.worked(7);
        }
        assert_eq!(limits.blocks(), 100, "smaller questions prove nothing");
        for _ in 0..8 {
            limits.worked(100);
        }
        assert_eq!(limits.blocks(), 200);
        assert!(limits.proven(100) && !limits.proven(200), "a larger question goes ahead of the others again");
        for _ in 0..24 {
            limits.worked(limits.blocks());
        }
        assert_eq!(limits.blocks(), 1_000);
        assert!(!limits.too_much(1, None));
    }
}
