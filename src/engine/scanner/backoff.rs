//! A pause after something failed, longer each time, so that it does not hold up the rest of the work.

use super::{FIRST_TROUBLE_WAIT, LONGEST_SLEEP};
use crate::domain::time::{Span, Timestamp};

/// Whether some work rests, until when, and since when and why.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    until: Timestamp,
    why: Option<(Timestamp, String)>,
}

impl Backoff {
    /// Whether the work may be tried.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        now >= self.until
    }

    /// When the work is to be tried again, if it failed.
    pub(super) fn until(&self) -> Option<Timestamp> {
        self.why.as_ref().map(|_| self.until)
    }

    /// Since when it does not work, and why.
    pub(super) const fn why(&self) -> Option<&(Timestamp, String)> {
        self.why.as_ref()
    }

    /// It failed. Returns how long it rests.
    pub(super) fn failed(&mut self, now: Timestamp, why: &str) -> Span {
        let wait = FIRST_TROUBLE_WAIT.doubled(self.failures, LONGEST_SLEEP);
        self.failures = self.failures.saturating_add(1);
        self.until = now.plus(wait);
        let since = self.why.as_ref().map_or(now, |(since, _)| *since);
        self.why = Some((since, why.to_owned()));
        wait
    }

    pub(super) fn worked(&mut self) {
        *self = Self::default();
    }

    /// It rests no longer than until this moment.
    pub(super) fn end_at(&mut self, now: Timestamp) {
        self.until = self.until.min(now);
    }
}
