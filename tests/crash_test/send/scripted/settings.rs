//! What the child's engine goes by: everything quick, so that a whole send takes about a second.

use rampwatch::domain::amount::Amount;
use rampwatch::domain::time::Span;
use rampwatch::domain::wei::Wei;
use rampwatch::engine::{EngineSettings, FundingRules, IntakeRules, PayoutRules};
use rampwatch::policy::fees::FeeParams;
use rampwatch::policy::finality::FinalityRule;
use rampwatch::policy::matching::MatchParams;
use rampwatch::policy::order_machine::FundingPace;
use rampwatch::policy::payout_machine::{FileLimits, PayoutParams};
use rampwatch::policy::preflight::PreflightParams;
use rampwatch::policy::retry::RetryPolicy;
use rampwatch::policy::rules::SpendLimits;
use rampwatch::policy::shadow::Mode;
use rampwatch::policy::sweep::SweepParams;
use rampwatch::sandbox::{CHAIN_ID, USDC, USDC_E};

const fn usdc(whole: u128) -> Amount {
    Amount::from_base_units(whole * 1_000_000)
}

/// A block is final when it is two below the head.
pub(crate) fn settings() -> EngineSettings {
    EngineSettings {
        chain_id: CHAIN_ID,
        token: USDC,
        decimals: 6,
        other_tokens: vec![USDC_E],
        docs_url: "docs".to_owned(),
        chain_name: "polygon".to_owned(),
        finality: FinalityRule::Finalized { depth: 2 },
        endpoints: Vec::new(),
        agreement: 1,
        stall_after: Span::from_secs(120),
        sweep: SweepParams {
            overlap: 32,
            chunk: 500,
            interval: Span::from_millis(100),
            poll_interval: Span::from_millis(100),
            ended_interval: Span::from_secs(2),
            second_after: Span::from_secs(5),
            keep: Span::from_secs(3),
            start_margin: Span::from_secs(30),
            kept_at_once: 1_000,
            filter: 1_000,
        },
        matching: MatchParams { under: Amount::ZERO, over: Amount::ZERO, skew: Span::from_secs(120) },
        pace: RetryPolicy {
            api_timeout: Span::from_millis(500),
            backoff_first: Span::from_millis(50),
            backoff_most: Span::from_millis(200),
            follow_first: Span::from_millis(40),
            follow_most: Span::from_millis(200),
            ask_every: Span::from_secs(2),
            ask_after_expiry: Span::from_millis(100),
            key_probe: Span::from_secs(1),
            end_confirm_after: Span::from_millis(200),
        },
        api_concurrency: 8,
        funding: Some(rules()),
        intake: IntakeRules::default(),
        mode: Mode::Real,
        payouts: payouts(),
    }
}

/// No payouts are placed here.
fn payouts() -> PayoutRules {
    let (currency, chain_name) = ("USDC".to_owned(), "polygon".to_owned());
    PayoutRules {
        params: PayoutParams { quote_margin: Span::from_secs(60), currency, chain_name, token: USDC },
        files: FileLimits { types: vec![], max_bytes: 0, max_files: 0 },
        max_concurrent: 1,
        repeat_window: Span::ZERO,
    }
}

fn rules() -> FundingRules {
    FundingRules {
        limits: SpendLimits {
            enabled: true,
            auto: false,
            auto_max_per_day: None,
            max_per_payment: usdc(100_000),
            max_per_day: usdc(1_000_000),
            max_per_recipient: usdc(1_000_000),
            approval_above: usdc(50_000),
            approval_above_per_day: usdc(10_000_000),
            allowed_recipients: [].into(),
            allowed_bank_accounts: [].into(),
            allowed_addresses: [].into(),
            min_time_left: Span::from_secs(60),
        },
        preflight: PreflightParams {
            chain_name: "polygon".to_owned(),
            currency: "USDC".to_owned(),
            under: Amount::ZERO,
            min_time_left: Span::from_secs(60),
            reserve_token: Amount::ZERO,
            reserve_native: Wei::ZERO,
            fees: FeeParams { tip_floor: Wei::from_gwei(30), ceiling: Wei::from_gwei(500), gas_limit_max: 150_000 },
        },
        pace: FundingPace {
            hold_check: Span::from_millis(100),
            bump_after: Span::from_millis(300),
            rebroadcast_after: Span::from_millis(500),
            poll_interval: Span::from_millis(50),
            max_in_flight: 16,
            approval_valid_for: Span::from_secs(86_400),
        },
    }
}
