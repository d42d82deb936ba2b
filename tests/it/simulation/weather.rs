//! The faults of the day: which endpoint lags, lies or is away, when hints stop, when the finalized tag is absent or
//! moves back, when the API refuses the key. Drawn before anything happens; all of it ends with the chaos.

use rampwatch::domain::time::Span;

use super::late_logs;
use super::lies::{Lie, Lies};
use super::odd_nodes::{self, Oddity};
use super::only::{Only, Part};
use super::rng::Rng;
use super::settings::Settings;
use super::squatters;

/// One fault of an endpoint, of the hints, of the tag or of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The endpoint answers nothing.
    Away(usize),
    /// The endpoint shows the chain as it was this long ago.
    Lags(usize, Span),
    /// The endpoint shows an up-to-date head, and logs as they were this long ago (two nodes behind a balancer).
    TwoFaced(usize, Span),
    /// The endpoint leaves out half of all transactions' logs.
    Withholds(usize),
    /// All endpoints do the same, until after the second reading.
    WithholdsForLong,
    /// The endpoint answers every question for logs with none.
    Empty(usize),
    /// The endpoint refuses questions for more blocks than these.
    Limits(usize, u64),
    /// The endpoint's finalized tag is above its own head.
    TagAhead(usize),
    /// The subscription is down, and says so.
    HintsDown,
    /// The subscription brings nothing, and does not say so.
    HintsSilent,
    /// There is no finalized tag.
    TagAbsent,
    /// The tag is this many blocks further back.
    TagBack(u64),
    /// The API refuses the key.
    KeyRefused,
    /// The API cannot be reached.
    ApiAway,
    /// All endpoints of this operator tell this lie.
    Lies(usize, Lie),
    /// No endpoint of this operator answers anything.
    Silent(usize),
    /// Somebody else stands where the process listens.
    PlaceTaken,
    /// Nodes do something that none should.
    Odd(Oddity),
    /// The process's clock is ahead by this much.
    ClockAhead(Span),
    /// The process's clock is behind by this much.
    ClockBack(Span),
}

/// All faults, with the time of each.
pub(super) struct Weather(Vec<(Span, Span, Fault)>);

impl Weather {
    /// Draws the faults of a seed.
    pub(super) fn draw(seed: u64, settings: &Settings) -> Self {
        let mut rng = Rng::stream(seed, "weather");
        if let Some(long_due) = settings.long_due {
            return Self(long_due.faults());
        }
        if settings.late_logs {
            return Self(late_logs::faults(&mut rng, settings));
        }
        if settings.odd_nodes {
            return Self(odd_nodes::faults(seed, settings));
        }
        let mut faults = match settings.danger {
            Some(danger) => danger.faults(&mut rng, settings),
            None => Self::drawn(&mut rng, settings),
        };
        faults.extend(squatters::faults(seed, settings));
        faults.extend(odd_nodes::faults(seed, settings));
        Self(faults)
    }

    fn drawn(rng: &mut Rng, settings: &Settings) -> Vec<(Span, Span, Fault)> {
        let mut faults = Vec::new();
        if settings.calm {
            return faults;
        }
        for _ in 0..rng.below(25) {
            let fault = Self::draw_fault(rng, settings);
            let from = Span::from_millis(rng.below(settings.chaos.as_millis()));
            let to = from.plus(Span::from_millis(rng.range(2_000, 110_000)));
            faults.push((from, to.min(settings.chaos), fault));
        }
        if settings.long_withholding {
            // Far enough apart that the last reading of an address finds what both others missed.
            for begin in (rng.below(200)..settings.chaos.as_secs()).step_by(420) {
                let to = Span::from_secs(begin + rng.range(200, 260)).min(settings.chaos);
                faults.push((Span::from_secs(begin), to, Fault::WithholdsForLong));
            }
        }
        faults
    }

    /// But for [`Fault::WithholdsForLong`], no window is longer than the second reading is away, so that a log which is
    /// missing at the first reading of a block is there at the second.
    fn draw_fault(rng: &mut Rng, settings: &Settings) -> Fault {
        let endpoint = usize::try_from(rng.below(settings.endpoints as u64)).expect("few");
        let lag = Span::from_millis(rng.range(1_000, 60_000));
        match rng.below(16) {
            0 => Fault::Away(endpoint),
            1 | 2 => Fault::Lags(endpoint, lag),
            3..=6 | 13 if settings.long_withholding => Fault::HintsSilent,
            3 | 4 => Fault::TwoFaced(endpoint, lag),
            5 | 6 => Fault::Withholds(endpoint),
            7 => Fault::HintsDown,
            8 => Fault::HintsSilent,
            9 => Fault::TagAbsent,
            10 => Fault::TagBack(rng.range(1, 60)),
            11 => Fault::KeyRefused,
            12 => Fault::ApiAway,
            13 => Fault::Empty(endpoint),
            14 => Fault::Limits(endpoint, rng.range(1, 60)),
            _ => Fault::TagAhead(endpoint),
        }
    }

    /// Those that are left in the world.
    pub(super) fn only(self, only: &Only) -> Self {
        let numbered = (0..).zip(self.0);
        Self(numbered.filter(|(number, _)| only.has(Part::Fault(*number))).map(|(_, fault)| fault).collect())
    }

    /// The faults at a time since the beginning.
    pub(super) fn at(&self, elapsed: Span) -> impl Iterator<Item = Fault> + '_ {
        self.0.iter().filter(move |(from, to, _)| *from <= elapsed && elapsed < *to).map(|(_, _, fault)| *fault)
    }

    /// Whether this very fault is on.
    pub(super) fn is(&self, elapsed: Span, fault: Fault) -> bool {
        self.at(elapsed).any(|on| on == fault)
    }

    /// How many blocks too low the tag is told; `None` when it is absent.
    pub(super) fn tag_at(&self, elapsed: Span) -> Option<u64> {
        let mut told = Some(0);
        for fault in self.at(elapsed) {
            told = match fault {
                Fault::TagAbsent => None,
                Fault::TagBack(by) => told.map(|_| by),
                _ => told,
            };
        }
        told
    }

    /// The lies that this operator tells at a time since the beginning.
    pub(super) fn lies(&self, elapsed: Span, operator: usize) -> Lies {
        let told = self.0.iter().filter(|(from, to, _)| *from <= elapsed && elapsed < *to);
        told.fold(Lies::default(), |lies, (from, to, fault)| match fault {
            Fault::Lies(of, lie) if *of == operator => lies.with(*lie, *from, *to),
            _ => lies,
        })
    }

    /// All faults with their times, in the order they were drawn.
    pub(super) fn all(&self) -> &[(Span, Span, Fault)] {
        &self.0
    }
}
