//! How often things are asked and tried again: backoff with jitter, following that slows down.

use crate::domain::time::{Span, Timestamp};
use crate::planted::{Bug, planted};

/// A random share, in thousandths from 0 to 999, drawn by the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Jitter(pub u64);

impl Jitter {
    /// The wait, and up to a quarter more.
    #[must_use]
    pub fn on(self, wait: Span) -> Span {
        let quarter = wait.as_millis().saturating_mul(self.0.min(999)).checked_div(4_000).unwrap_or(0);
        wait.plus(Span::from_millis(quarter))
    }
}

/// The longest that `Retry-After` is obeyed: an hour.
pub const MAX_RETRY_AFTER: Span = Span::from_secs(3_600);

/// The rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The API's own time-out for a call.
    pub api_timeout: Span,
    /// The first wait after a failure; doubled with each further one.
    pub backoff_first: Span,
    /// The longest wait after a failure.
    pub backoff_most: Span,
    /// The first wait before asking after a completed payment; doubled while nothing changes.
    pub follow_first: Span,
    pub follow_most: Span,
    /// Between questions after a payment that waits for its deposit or for a person.
    pub ask_every: Span,
    /// How long after the expiry the API is asked whether it agrees.
    pub ask_after_expiry: Span,
    /// Between probes while the API refuses the key.
    pub key_probe: Span,
    /// How long after the API has first named an end a second answer must name it again for the end to be believed.
    pub end_confirm_after: Span,
}

impl RetryPolicy {
    /// The rates for an API with this time-out.
    #[must_use]
    pub const fn for_timeout(api_timeout: Span) -> Self {
        Self {
            api_timeout,
            backoff_first: Span::from_secs(1),
            backoff_most: Span::from_secs(300),
            follow_first: Span::from_secs(2),
            follow_most: Span::from_secs(600),
            ask_every: Span::from_secs(600),
            ask_after_expiry: Span::from_secs(30),
            key_probe: Span::from_secs(300),
            end_confirm_after: Span::from_secs(180),
        }
    }

    /// The same rates with another wait before a second answer confirms an end.
    #[must_use]
    pub const fn confirming_ends_after(self, end_confirm_after: Span) -> Self {
        Self { end_confirm_after, ..self }
    }

    /// How long after a call began its effect can still come: twice the time-out and a second (see the API's
    /// reference: a timed-out call may still land later).
    #[must_use]
    pub fn unclear_wait(&self) -> Span {
        if planted(Bug::RetryTooEarly) {
            return Span::ZERO;
        }
        self.api_timeout.times(2).plus(Span::from_secs(1))
    }

    /// The wait before try number `failures + 1`. `Retry-After` is obeyed up to [`MAX_RETRY_AFTER`]; jitter adds
    /// up to a quarter.
    #[must_use]
    pub fn backoff(&self, failures: u32, retry_after: Option<Span>, jitter: Jitter) -> Span {
        let base = match retry_after {
            Some(told) => told.min(MAX_RETRY_AFTER).max(self.backoff_first),
            None => self.backoff_first.doubled(failures.saturating_sub(1), self.backoff_most),
        };
        jitter.on(base)
    }

    /// The wait before asking after a completed payment, after so many questions without news.
    #[must_use]
    pub fn follow_wait(&self, quiet_checks: u32) -> Span {
        self.follow_first.doubled(quiet_checks, self.follow_most)
    }

    /// The wait before asking after a payment that waits: the usual one, or until just after its expiry.
    #[must_use]
    pub fn ask_wait(&self, now: Timestamp, expires_at: Option<Timestamp>) -> Span {
        match expires_at {
            Some(expiry) if expiry > now => self.ask_every.min(expiry.since(now).plus(self.ask_after_expiry)),
            Some(_) | None => self.ask_every,
        }
    }
}

/// How many calls may be under way at once. It begins low, doubles with every full round of answers up to the most that is
/// configured, and halves when a call brings no answer, or the answer that this is not the moment for it. So an API is asked for
/// no more at once than it bears, and the number never leaves its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    now: usize,
    /// Answers since it last changed.
    answers: usize,
    most: usize,
}

impl Window {
    /// How many it begins with, if that many are allowed.
    pub const FIRST: usize = 8;

    /// A window that never grows beyond `most`; at least one call is always allowed.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        let most = if most == 0 { 1 } else { most };
        Self { now: if most < Self::FIRST { most } else { Self::FIRST }, answers: 0, most }
    }

    /// How many calls may be under way now.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.now
    }

    /// A call was answered, whatever the answer said of the payment.
    pub fn answered(&mut self) {
        self.answers = self.answers.saturating_add(1);
        if self.answers >= self.now {
            (self.now, self.answers) = (self.now.saturating_mul(2).min(self.most), 0);
        }
    }

    /// A call was not answered, or the API wants to be left alone.
    pub fn strained(&mut self) {
        (self.now, self.answers) = (self.now.checked_div(2).unwrap_or(1).max(1), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_obeys_and_stays_bounded() {
        let pace = RetryPolicy::for_timeout(Span::from_secs(30));
        let cases = [
            (0, None, 0, 1_000),
            (1, None, 0, 1_000),
            (2, None, 0, 2_000),
            (3, None, 0, 4_000),
            (3, None, 500, 4_500),
            (3, None, 99_999, 4_999),
            (40, None, 0, 300_000),
            (u32::MAX, None, 0, 300_000),
            (5, Some(7_000), 0, 7_000),
            (5, Some(0), 0, 1_000),
            (5, Some(u64::MAX), 0, 3_600_000),
        ];
        for (failures, told, jitter, expected) in cases {
            let got = pace.backoff(failures, told.map(Span::from_millis), Jitter(jitter));
            assert_eq!(got.as_millis(), expected, "{failures} {told:?} {jitter}");
        }
    }

    #[test]
    fn the_window_opens_with_answers_and_closes_with_strain() {
        let mut window = Window::new(64);
        let mut sizes = vec![window.size()];
        for step in 0..300 {
            if step == 250 {
                window.strained()
            } else {
                window.answered()
            }
            if sizes.last() != Some(&window.size()) {
                sizes.push(window.size());
            }
        }
        assert_eq!(sizes, [8, 16, 32, 64, 32, 64]);
        (0..20).for_each(|_| window.strained());
        assert_eq!(window.size(), 1, "one call is always allowed");
        window.answered();
        assert_eq!(window.size(), 2);
        assert_eq!([0, 1, 5, 8, 200].map(|most| Window::new(most).size()), [1, 1, 5, 8, 8]);
        let mut narrow = Window::new(5);
        (0..99).for_each(|_| narrow.answered());
        assert_eq!(narrow.size(), 5, "never beyond the most");
    }

    #[test]
    fn following_slows_down() {
        let pace = RetryPolicy::for_timeout(Span::from_secs(30));
        let waits: Vec<u64> = (0..12).map(|quiet| pace.follow_wait(quiet).as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600]);
    }

    #[test]
    fn asks_just_after_the_expiry() {
        let pace = RetryPolicy::for_timeout(Span::from_secs(30));
        let now = Timestamp::from_secs(1_000);
        let wait = |expiry: Option<u64>| pace.ask_wait(now, expiry.map(Timestamp::from_secs)).as_secs();
        assert_eq!([wait(None), wait(Some(1_100)), wait(Some(900)), wait(Some(99_999))], [600, 130, 600, 600]);
    }
}
