//! An API that flaps: it says of a payment that it is over, for seconds or for minutes, and then that it is open after
//! all. What it says so for a moment must let go of nothing; what it says for long may be believed, and must be open
//! again once the API says so.

use rampwatch::domain::payment::ApiStatus;
use rampwatch::domain::time::{Span, Timestamp};

use super::super::clock::SimClock;
use super::super::plan::Planned;
use super::super::rng::Rng;

/// How often the API flaps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flaps {
    /// Payments of which it says such a thing, out of a thousand.
    pub(crate) permille: u64,
    /// No flap lasts longer than this moment of the simulation.
    pub(crate) until: Span,
}

/// The API says that a payment is over, and it is not.
#[derive(Clone, Debug)]
pub(crate) struct Flap {
    /// From when on.
    pub(crate) from: Timestamp,
    /// Until when.
    pub(crate) to: Timestamp,
    /// What it says.
    pub(crate) status: ApiStatus,
}

/// What the API calls over.
const ENDS: [ApiStatus; 3] = [ApiStatus::Expired, ApiStatus::Failed, ApiStatus::Refunded];

impl Flaps {
    /// The flaps of a payment.
    pub(crate) fn of(self, rng: &mut Rng, planned: &Planned, clock: &SimClock) -> Vec<Flap> {
        let mut flaps = Vec::new();
        let mut at = planned.create_at;
        let often = if rng.permille(self.permille) { rng.range(1, 4) } else { 0 };
        for _ in 0..often {
            let from = at.plus(Span::from_secs(rng.range(3, 200)));
            let is_long = rng.permille(300);
            let lasts = if is_long { rng.range(190, 420) } else { rng.range(1, 100) };
            let to = from.plus(Span::from_secs(lasts)).min(self.until);
            let status = rng.pick(&ENDS).clone();
            if from < to {
                flaps.push(Flap { from: clock.moment(from), to: clock.moment(to), status });
            }
            at = to;
        }
        flaps
    }
}
