//! The settings as the engine's own rules.

use super::known_endpoints;
use crate::config::{self, Settings};
use crate::engine::{EngineSettings, FundingRules, IntakeRules, PayoutRules};
use crate::policy::fees::FeeParams;
use crate::policy::finality::FinalityRule;
use crate::policy::matching::MatchParams;
use crate::policy::order_machine::FundingPace;
use crate::policy::payout_machine::{FileLimits, PayoutParams};
use crate::policy::preflight::PreflightParams;
use crate::policy::retry::RetryPolicy;
use crate::policy::shadow::Mode;
use crate::policy::sweep::SweepParams;

/// How many addresses' coverage is written after one reading. With more addresses than that, what a crash makes the next
/// start read again grows with their number; what is written each second does not.
const KEPT_AT_ONCE: usize = 2_048;

fn payout_rules(settings: &Settings) -> PayoutRules {
    let (chain, payouts) = (&settings.chain, &settings.payouts);
    PayoutRules {
        params: PayoutParams {
            quote_margin: payouts.quote_margin,
            currency: chain.token.symbol.clone(),
            chain_name: chain.name.clone(),
            token: chain.token.address,
        },
        files: FileLimits {
            types: payouts.file_types.clone(),
            max_bytes: payouts.max_file_bytes,
            max_files: payouts.max_files,
        },
        max_concurrent: payouts.max_concurrent,
        repeat_window: payouts.repeat_window,
    }
}

pub(super) fn funding_rules(settings: &Settings) -> FundingRules {
    let funding = &settings.funding;
    FundingRules {
        limits: funding.limits.clone(),
        preflight: PreflightParams {
            chain_name: settings.chain.name.clone(),
            currency: settings.chain.token.symbol.clone(),
            under: settings.matching.tolerance_under,
            min_time_left: funding.limits.min_time_left,
            reserve_token: funding.reserve_token,
            reserve_native: funding.reserve_native,
            fees: FeeParams {
                tip_floor: funding.tip_floor,
                ceiling: funding.max_fee,
                gas_limit_max: funding.gas_limit_max,
            },
        },
        pace: FundingPace {
            hold_check: funding.hold_check,
            bump_after: funding.bump_after,
            rebroadcast_after: funding.rebroadcast_after,
            poll_interval: funding.poll_interval,
            max_in_flight: funding.max_in_flight,
            approval_valid_for: funding.approval_valid_for,
        },
    }
}

/// The settings as the engine's rules.
#[must_use]
pub fn engine_settings(settings: &Settings) -> EngineSettings {
    let (chain, watch, rpc) = (&settings.chain, &settings.watch, &settings.rpc);
    let depth = chain.finality.depth;
    let in_flight = u64::try_from(rpc.max_in_flight).unwrap_or(u64::MAX);
    EngineSettings {
        chain_id: chain.id,
        token: chain.token.address,
        decimals: chain.token.decimals,
        other_tokens: chain.other_tokens.iter().map(|token| token.address).collect(),
        docs_url: settings.docs_url.clone(),
        chain_name: chain.name.clone(),
        finality: match chain.finality.rule {
            config::FinalityRule::Finalized => FinalityRule::Finalized { depth },
            config::FinalityRule::Depth => FinalityRule::Depth { depth },
        },
        endpoints: known_endpoints(settings),
        agreement: rpc.agreement,
        stall_after: chain.finality.stall_after,
        sweep: SweepParams {
            overlap: watch.overlap_blocks,
            // One job of catching up keeps all allowed requests in flight.
            chunk: rpc.max_block_range.saturating_mul(in_flight),
            interval: watch.sweep_interval,
            poll_interval: watch.poll_interval,
            ended_interval: watch.ended_interval,
            second_after: watch.second_reading_after,
            keep: watch.keep_watching,
            start_margin: watch.start_margin,
            kept_at_once: KEPT_AT_ONCE,
            filter: rpc.max_addresses,
        },
        matching: MatchParams {
            under: settings.matching.tolerance_under,
            over: settings.matching.tolerance_over,
            skew: settings.matching.skew,
        },
        pace: RetryPolicy::for_timeout(settings.api.timeout).confirming_ends_after(settings.api.end_confirm_after),
        api_concurrency: settings.api.max_concurrent,
        funding: settings.wallet.as_ref().map(|_| funding_rules(settings)),
        intake: IntakeRules {
            users: settings.intake.users.clone(),
            recipients: settings.intake.recipients.clone(),
            interval: settings.intake.interval,
            currency: chain.token.symbol.clone(),
        },
        mode: if settings.shadow { Mode::Shadow } else { Mode::Real },
        payouts: payout_rules(settings),
    }
}
