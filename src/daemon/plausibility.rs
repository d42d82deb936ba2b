//! What a head may be, put together from the settings.

use crate::config::{SANDBOX_CHAIN_ID, Settings};
use crate::domain::plausibility::Plausibility;
use crate::domain::time::Span;

/// How many blocks may come at once on a real chain, beyond its pace.
const LIVE_SLACK: u64 = 2_000;

/// What lasts for less than this says nothing of an endpoint.
const LEAST_STALL: Span = Span::from_secs(60);

/// What a head may be: on the sandbox's chain people move the clock, and make many blocks at once.
pub(super) fn rules(settings: &Settings) -> Plausibility {
    let is_sandbox = settings.chain.id == SANDBOX_CHAIN_ID;
    let rules = if is_sandbox {
        Plausibility::for_rehearsal()
    } else {
        Plausibility { slack: LIVE_SLACK, ..Plausibility::default() }
    };
    Plausibility {
        stall_after: settings.chain.finality.stall_after.max(LEAST_STALL),
        skew: rules.skew.max(settings.matching.skew),
        ..rules
    }
}
