//! Time and chance of one simulation. Tokio's paused time is the clock: when every task waits, it jumps to the next
//! moment at which one does not.

use std::sync::Mutex;

use async_trait::async_trait;
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::ports::clock::{Chance, Clock};

use super::rng::Rng;

/// When every simulation begins.
pub(super) const BEGIN: Timestamp = Timestamp::from_secs(1_790_000_000);

/// Virtual time since [`BEGIN`].
#[derive(Clone, Copy, Debug)]
pub(super) struct SimClock {
    started: tokio::time::Instant,
}

impl SimClock {
    /// Begins now. Must be called inside the simulation's runtime.
    pub(super) fn start() -> Self {
        Self { started: tokio::time::Instant::now() }
    }

    /// How long the simulation has been running.
    pub(super) fn elapsed(&self) -> Span {
        Span::from_millis(u64::try_from(self.started.elapsed().as_millis()).expect("a simulation is short"))
    }

    /// Returns at this moment, or at once when it is past.
    pub(super) async fn until(&self, at: Timestamp) {
        let wait = at.since(self.now());
        if wait > Span::ZERO {
            self.sleep(wait).await;
        }
    }
}

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        BEGIN.plus(self.elapsed())
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
