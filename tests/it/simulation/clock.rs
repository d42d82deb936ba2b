//! Time and chance of one simulation. Tokio's paused time is the clock: when every task waits, it jumps to the next
//! moment at which one does not.

use std::sync::Mutex;

use async_trait::async_trait;
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::ports::clock::{Chance, Clock};

use super::rng::Rng;

/// When every simulation begins.
pub(super) const BEGIN: Timestamp = Timestamp::from_secs(1_790_000_000);

/// How many times the time may leap in one simulation.
pub(super) const MOST_LEAPS: usize = 3;

/// The moments at which days pass at once, counted without the leaps before, and how long each is.
pub(super) type Leaps = [Option<(Span, Span)>; MOST_LEAPS];

/// Virtual time since [`BEGIN`].
#[derive(Clone, Copy, Debug)]
pub(super) struct SimClock {
    started: tokio::time::Instant,
    leaps: Leaps,
}

impl SimClock {
    /// Begins now. Must be called inside the simulation's runtime.
    pub(super) fn start(leaps: Leaps) -> Self {
        Self { started: tokio::time::Instant::now(), leaps }
    }

    /// The time at a moment of the simulation.
    pub(super) fn moment(&self, elapsed: Span) -> Timestamp {
        let leapt = self.leaps.iter().flatten().filter(|(at, _)| *at <= elapsed);
        leapt.fold(BEGIN.plus(elapsed), |now, (_, by)| now.plus(*by))
    }

    /// Returns at this moment, or at once when it is past.
    pub(super) async fn until(&self, at: Timestamp) {
        let wait = at.since(self.now());
        if wait > Span::ZERO {
            self.sleep(wait).await;
        }
    }

    /// Returns at this moment of the simulation, or at once when it is past.
    pub(super) async fn until_elapsed(&self, at: Span) {
        let wait = at.as_millis().saturating_sub(self.elapsed().as_millis());
        if wait > 0 {
            self.sleep(Span::from_millis(wait)).await;
        }
    }

    /// How long the simulation has been running, without the leaps.
    pub(super) fn elapsed(&self) -> Span {
        Span::from_millis(u64::try_from(self.started.elapsed().as_millis()).expect("a simulation is short"))
    }
}

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        self.moment(self.elapsed())
    }

    async fn sleep(&self, span: Span) {
        tokio::time::sleep(span.as_duration()).await;
    }
}

/// The engine's jitter.
pub(super) struct SimChance(Mutex<Rng>);

impl SimChance {
    /// The jitter of one life of the process.
    pub(super) fn new(rng: Rng) -> Self {
        Self(Mutex::new(rng))
    }
}

impl Chance for SimChance {
    fn below(&self, bound: u64) -> u64 {
        self.0.lock().expect("one thread").below(bound)
    }
}
