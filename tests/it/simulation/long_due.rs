//! A world drawn for one danger: a payment has been due for long because the API is down, and meanwhile the ground
//! under it moves. When the API is back, what was established long ago must not be acted upon.
//!
//! Deliberately absent: reorgs of other kinds, and people who do anything but pay; every other seed has those.

use rampwatch::domain::time::Span;

use super::plan::Plan;
use super::rng::Rng;
use super::settings::{BLOCK_MILLIS, Settings};
use super::weather::Fault;

/// What happens while the payments are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LongDue {
    /// The finalized tag moves back below their deposits, and comes forward again long after the API is back.
    MarkMovesBack,
    /// A reorg beyond finality takes their deposits for ever. The second reading comes much later, so that only the
    /// last look before the call can find out.
    DepositsGo,
}

/// The money comes in these seconds; no block is older that it is in.
const MONEY: (u64, u64) = (100, 130);
/// The API is down in these seconds.
const API_AWAY: (u64, u64) = (95, 350);
/// The seconds in which the tag is told too low.
const TAG_BACK: (u64, u64) = (290, 600);
/// The second of the reorg.
const REORG_AT: u64 = 300;

impl LongDue {
    /// The world of a seed, but for what this one is about.
    pub(super) fn settings(self, seed: u64) -> Settings {
        let drawn = Settings::draw(seed);
        Settings {
            long_due: Some(self),
            tag: drawn.tag || self == Self::MarkMovesBack,
            calm: false,
            chaos: Span::from_secs(900),
            second_reading_after: Span::from_secs(600),
            long_withholding: false,
            reorgs: 0,
            deaths: drawn.deaths.min(3),
            beyond_finality: self == Self::DepositsGo,
            wallet: None,
            intake: None,
            ..drawn
        }
    }

    /// All that is wrong with the endpoints and the API.
    pub(super) fn faults(self) -> Vec<(Span, Span, Fault)> {
        let during = |(from, to), fault| (Span::from_secs(from), Span::from_secs(to), fault);
        let mut faults = vec![during(API_AWAY, Fault::ApiAway)];
        if self == Self::MarkMovesBack {
            faults.push(during(TAG_BACK, Fault::TagBack(reaching_back(TAG_BACK.1))));
        }
        faults
    }

    /// When a reorg beyond finality comes, and how many blocks it takes.
    pub(super) fn reorg(self) -> Option<(u64, u64)> {
        (self == Self::DepositsGo).then(|| (REORG_AT, reaching_back(REORG_AT)))
    }

    /// Payments that are added early, each with an address of its own and paid exactly once.
    pub(super) fn plan(rng: &mut Rng, settings: &Settings) -> Plan {
        Plan::paid_once(rng, settings, 3, MONEY)
    }
}

/// How many blocks, counted down from the head at this second, reach below all the money.
fn reaching_back(second: u64) -> u64 {
    (second - MONEY.0 + 6) * 1_000 / BLOCK_MILLIS
}
