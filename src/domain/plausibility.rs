//! Whether a head can be true: its number and time against our clock and the heads before it.
//!
//! Nothing here says that a head *is* true. It keeps one wrong number from counting: what cannot be is refused, and whoever
//! said it is not asked for a while. Lower heads are always possible (a reorganisation, a node that lags, a test chain that
//! was reset). Two things heal by themselves, since our own clock may be the one that is wrong, and a test chain may jump: time
//! that passes makes a higher number possible, and what everybody who answers says for long enough is taken for the new truth,
//! until somebody shows again where the old chain has gone on.
//!
//! Deliberately absent: clocks, endpoints, and what is done about a refusal.

use super::chain::{BlockNumber, Header};
use super::time::{Span, Timestamp};

/// What is possible on a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plausibility {
    /// How far ahead of our clock a block's time may be. Our clock may be wrong by some minutes as well.
    pub skew: Span,
    /// No chain makes blocks faster than this for long. At least a millisecond.
    pub least_block_time: Span,
    /// How many blocks more than that may come at once: test chains make many in a moment, and a slow start hides some.
    pub slack: u64,
    /// How long a head may stand still or lag while others move, and how long heads that do not fit must go on before they are
    /// taken for the truth because nobody shows others.
    pub stall_after: Span,
}

impl Default for Plausibility {
    fn default() -> Self {
        Self {
            skew: Span::from_secs(15 * 60),
            least_block_time: Span::from_millis(250),
            slack: 10_000,
            stall_after: Span::from_secs(120),
        }
    }
}

impl Plausibility {
    /// For a rehearsal: whoever tries things out on a test chain moves its clock by hours.
    #[must_use]
    pub fn for_rehearsal() -> Self {
        Self { skew: Span::from_secs(12 * 3_600), ..Self::default() }
    }

    /// How many blocks can have been made in this time: twice what the least block time allows.
    fn blocks_in(&self, elapsed: Span) -> u64 {
        let made = elapsed.as_millis().checked_div(self.least_block_time.as_millis().max(1)).unwrap_or(0);
        made.saturating_mul(2)
    }
}

/// Why a head cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Implausible {
    /// Its time lies in the future.
    Future {
        /// The block's number.
        number: BlockNumber,
        /// The block's time.
        time: Timestamp,
        /// How far ahead of our clock it is.
        ahead: Span,
    },
    /// No chain can have come so far since the last head.
    TooHigh {
        /// The head's number.
        number: BlockNumber,
        /// The highest number that was possible.
        most: BlockNumber,
    },
}

impl std::fmt::Display for Implausible {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Future { number, ahead, .. } => {
                write!(f, "its block {number} is dated {} s after our clock", ahead.as_secs())
            }
            Self::TooHigh { number, most } => {
                write!(f, "it shows block {number}, but no block above {most} can exist yet")
            }
        }
    }
}

/// A head as an endpoint shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    pub number: BlockNumber,
    /// Its time, where the endpoint says it.
    pub time: Option<Timestamp>,
}

impl From<&Header> for Shown {
    fn from(header: &Header) -> Self {
        Self { number: header.block.number, time: Some(header.time) }
    }
}

/// A row of heads that fit each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    /// The highest head.
    number: BlockNumber,
    /// When it was shown (our clock).
    at: Timestamp,
    /// How many blocks more than the pace allows may still come at once.
    slack: u64,
    /// How far this row's times are ahead of our clock, beyond the skew.
    ahead: Span,
}

impl Line {
    fn begin(shown: Shown, now: Timestamp, rules: &Plausibility) -> Self {
        let ahead = shown.time.map_or(Span::ZERO, |time| time.since(now.plus(rules.skew)));
        Self { number: shown.number, at: now, slack: rules.slack, ahead }
    }

    /// The highest number that is possible now.
    fn most(&self, now: Timestamp, rules: &Plausibility) -> BlockNumber {
        self.number.saturating_add(self.slack).saturating_add(rules.blocks_in(now.since(self.at)))
    }

    fn check(&self, shown: Shown, now: Timestamp, rules: &Plausibility) -> Result<(), Implausible> {
        in_time(shown, now, rules.skew.plus(self.ahead))?;
        let (number, most) = (shown.number, self.most(now, rules));
        if number > most { Err(Implausible::TooHigh { number, most }) } else { Ok(()) }
    }

    /// Goes on with a head that fits.
    fn go_on(&mut self, shown: Shown, now: Timestamp, rules: &Plausibility) {
        if shown.number > self.number {
            let left = self.most(now, rules).saturating_sub(shown.number);
            *self = Self { number: shown.number, at: now, slack: left.min(rules.slack), ..*self };
        } else if now < self.at {
            // Our clock was set back: what passes from here on counts again.
            self.at = now;
        }
    }
}

fn in_time(shown: Shown, now: Timestamp, skew: Span) -> Result<(), Implausible> {
    let Some(time) = shown.time.filter(|time| *time > now.plus(skew)) else { return Ok(()) };
    Err(Implausible::Future { number: shown.number, time, ahead: time.since(now) })
}

/// The heads of one chain, whoever showed them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heads {
    line: Option<Line>,
    /// Heads that do not fit, and since when nobody has shown any that do.
    doubted: Option<(Line, Timestamp)>,
    /// What was believed before heads that did not fit were taken for the truth; before the first head, in an earlier life.
    before: Option<Line>,
}

impl Heads {
    /// The highest head that was believed; 0 before the first.
    #[must_use]
    pub fn highest(&self) -> BlockNumber {
        self.line.map_or(0, |line| line.number)
    }

    /// Whether no head was shown yet.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.line.is_none() && self.doubted.is_none()
    }

    /// Goes on from a block that was believed in an earlier life, at a moment of our clock. What was shown since and cannot
    /// have come after it is doubted.
    pub fn go_on_from(&mut self, number: BlockNumber, at: Timestamp, now: Timestamp, rules: &Plausibility) {
        let before = Line { number, at: at.min(now), slack: rules.slack, ahead: Span::ZERO };
        let fits = |line: &Line| before.check(Shown { number: line.number, time: None }, now, rules).is_ok();
        if self.line.is_some_and(|line| fits(&line)) {
            return;
        }
        self.doubted = self.line.take().map(|line| (line, now));
        self.before = Some(before);
    }

    /// Judges a head, and keeps what follows from it. The first one is judged by what was believed in an earlier life, and
    /// by its time alone where nothing was.
    ///
    /// # Errors
    /// It cannot be.
    pub fn judge(&mut self, shown: Shown, now: Timestamp, rules: &Plausibility) -> Result<(), Implausible> {
        let checked = match (&self.line, &self.before) {
            (None, None) => in_time(shown, now, rules.skew),
            (None, Some(before)) => before.check(shown, now, rules),
            (Some(line), _) => {
                if self.is_of_before(shown, line.number, now, rules) {
                    self.line = self.before.take();
                    self.doubted = None;
                }
                self.line.as_ref().map_or(Ok(()), |line| line.check(shown, now, rules))
            }
        };
        let Err(why) = checked else {
            if self.line.is_none() {
                self.before = None;
            }
            self.line.get_or_insert_with(|| Line::begin(shown, now, rules)).go_on(shown, now, rules);
            self.doubted = None;
            return Ok(());
        };
        match &mut self.doubted {
            Some((line, since)) if line.check(shown, now, rules).is_ok() => {
                // A clock that was set back begins the wait anew.
                *since = (*since).min(now);
                line.go_on(shown, now, rules);
                if now.since(*since) < rules.stall_after {
                    return Err(why);
                }
                self.before = self.line.replace(*line).or(self.before);
                self.doubted = None;
                Ok(())
            }
            _ => {
                self.doubted = Some((Line::begin(shown, now, rules), now));
                Err(why)
            }
        }
    }

    /// Whether somebody shows where the chain has gone on that was believed before.
    fn is_of_before(&self, shown: Shown, believed: BlockNumber, now: Timestamp, rules: &Plausibility) -> bool {
        let is_near = shown.number.abs_diff(believed) <= rules.slack;
        !is_near && self.before.is_some_and(|before| before.check(shown, now, rules).is_ok())
    }

    /// Nobody who answers has come further than this: a deep reorganisation took the others back.
    pub fn settle(&mut self, number: BlockNumber, now: Timestamp) {
        if let Some(line) = self.line.as_mut().filter(|line| number < line.number) {
            (line.number, line.at) = (number, now);
        }
    }
}

#[cfg(test)]
#[path = "plausibility_tests.rs"]
mod tests;
