//! A world drawn for one danger: the head comes from one node and the logs from another, which is always some blocks
//! behind. So a block counts as read, final as it is, before its logs can be seen. What the overlap of the sweeps is for:
//! they are found by the next sweep, and not minutes later by the second reading.
//!
//! Deliberately absent: any other fault, which every other seed has.

use rampwatch::domain::deposit::Deposit;
use rampwatch::domain::time::Span;

use super::plan::Plan;
use super::rng::Rng;
use super::settings::Settings;
use super::weather::Fault;
use super::world::World;

/// How far the logs are behind the head, in seconds.
const BEHIND: (u64, u64) = (5, 9);
/// How many payments there are.
const PAYMENTS: u64 = 12;
/// The seconds in which all their money comes: while one waits to become final, the coverage follows the head closely.
const MONEY: (u64, u64) = (100, 160);
/// How long after its block a deposit is seen at the latest: the slowest sweep, and a little.
const SEEN_WITHIN: Span = Span::from_secs(60);

/// The world of a seed, but for what this one is about.
pub(crate) fn settings(seed: u64) -> Settings {
    Settings {
        late_logs: true,
        tag: true,
        depth: 0,
        tag_lag: (1, 2),
        chaos: Span::from_secs(900),
        endpoints: 1,
        operators: vec![0],
        agreement: 1,
        second_reading_after: Span::from_secs(600),
        ..Settings::without_mishaps(seed)
    }
}

/// All that is wrong with the endpoint.
pub(super) fn faults(rng: &mut Rng, settings: &Settings) -> Vec<(Span, Span, Fault)> {
    let behind = Span::from_secs(rng.range(BEHIND.0, BEHIND.1));
    vec![(Span::ZERO, settings.chaos, Fault::TwoFaced(0, behind))]
}

/// Payments that are watched from early on, each with an address of its own and paid exactly once.
pub(super) fn plan(rng: &mut Rng, settings: &Settings) -> Plan {
    Plan::paid_once(rng, settings, PAYMENTS, MONEY)
}

/// A deposit has been stored for the first time.
pub(super) fn on_first_sight(world: &World, deposit: &Deposit) {
    let after = deposit.first_seen_at.since(deposit.block_time);
    if world.settings.late_logs && after > SEEN_WITHIN {
        world.violate(&format!("deposit {} was seen {} s after its block", deposit.key, after.as_secs()));
    }
}
