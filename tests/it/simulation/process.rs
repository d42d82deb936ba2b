//! One life of the process: the engine over the fakes, and the handle that an operator has on it.

use std::sync::Arc;

use rampwatch::domain::amount::Amount;
use rampwatch::domain::time::Span;
use rampwatch::engine::health::Health;
use rampwatch::engine::{EngineError, EngineSettings, Ports, notifier};
use rampwatch::policy::approval::Approvers;
use rampwatch::policy::finality::FinalityRule;
use rampwatch::policy::matching::MatchParams;
use rampwatch::policy::retry::RetryPolicy;
use rampwatch::policy::shadow::Mode;
use rampwatch::policy::sweep::SweepParams;
use rampwatch::service::operator_service::OperatorService;
use tokio_util::sync::CancellationToken;

use super::clock::SimChance;
use super::crash_store::{CrashClock, CrashStore};
use super::fake_api::FakeApi;
use super::fake_chain::FakeChain;
use super::fuse::Life;
use super::intake;
use super::rng::Rng;
use super::settings::{CHAIN_ID, Settings};
use super::world::World;
use super::{squatters, wallet, watchman};
use crate::support::payouts::payout_rules;

/// A process that is about to run.
pub(super) struct Process {
    /// What an operator has.
    pub(super) handle: OperatorService,
    /// Asks it to stop.
    pub(super) stop: CancellationToken,
    ports: Ports,
    settings: Arc<EngineSettings>,
    health: Arc<Health>,
}

impl Process {
    /// Puts a process together for this life.
    pub(super) fn build(world: &Arc<World>, life: &Arc<Life>) -> Self {
        let (world_of, life_of) = (|| Arc::clone(world), || Arc::clone(life));
        let chance = Rng::stream(world.seed, &format!("chance of life {}", life.number));
        let ports = Ports {
            store: Arc::new(CrashStore::new(world_of(), life_of(), &world.store)),
            chain: Arc::new(FakeChain::new(world_of(), life_of())),
            api: Arc::new(FakeApi::new(world_of(), life_of())),
            off_ramp_api: intake::desk(world, life),
            clock: Arc::new(CrashClock::new(world_of(), life_of())),
            chance: Arc::new(SimChance::new(chance)),
            funding: wallet::ports(world, life),
            payouts: None,
        };
        let mut settings = engine_settings(&world.settings);
        if let (Some(rules), Some(wallet)) = (settings.funding.as_mut(), world.settings.wallet.as_ref()) {
            rules.limits = wallet.limits_in(life.number).clone();
        }
        let settings = Arc::new(settings);
        let health = Arc::new(Health::default());
        let handle = OperatorService::new(&ports, Arc::clone(&settings), Arc::clone(&health));
        let handle = handle.with_approvers(Approvers::Named);
        Self { handle, stop: CancellationToken::new(), ports, settings, health }
    }

    /// Runs the engine until it ends.
    pub(super) async fn run(self, world: Arc<World>) -> Result<(), EngineError> {
        let door = squatters::keep_door(&world, &self.handle, &self.stop);
        let watchman = watchman::watch(&world, &self.handle);
        tokio::select! {
            biased;
            ended = notifier::run_beside(self.ports, self.settings, self.health, None, self.stop.clone()) => ended,
            never = door => match never {},
            never = watchman => match never {},
        }
    }
}

/// What the engine goes by in this world.
pub(super) fn engine_settings(world: &Settings) -> EngineSettings {
    let depth = world.depth;
    EngineSettings {
        chain_id: CHAIN_ID,
        token: world.token,
        decimals: 6,
        other_tokens: vec![world.other_token],
        docs_url: "docs".to_owned(),
        chain_name: "simulated".to_owned(),
        finality: if world.tag { FinalityRule::Finalized { depth } } else { FinalityRule::Depth { depth } },
        endpoints: Vec::new(),
        agreement: world.agreement,
        stall_after: Span::from_secs(60),
        sweep: SweepParams {
            overlap: 32,
            chunk: 200,
            interval: Span::from_secs(20),
            poll_interval: Span::from_secs(10),
            ended_interval: Span::from_secs(60),
            second_after: world.second_reading_after,
            keep: world.keep_watching,
            start_margin: Span::from_secs(300),
            // In every other world what a reading adds is written a little at a time.
            // In every third world filters are of no use: everybody's transfers are asked for, and heads are the only hints.
            filter: if world.keep_watching.as_secs().is_multiple_of(3) { 0 } else { 1_000 },
            kept_at_once: if world.keep_watching.as_secs().is_multiple_of(2) { 2 } else { 1_000 },
        },
        matching: MatchParams {
            under: Amount::from_base_units(world.tolerance_under),
            over: Amount::from_base_units(world.tolerance_over),
            skew: world.skew,
        },
        pace: RetryPolicy::for_timeout(world.api_timeout),
        api_concurrency: 4,
        funding: world.wallet.as_ref().map(|wallet| {
            let mut rules = wallet.rules.clone();
            rules.preflight.under = Amount::from_base_units(world.tolerance_under);
            rules
        }),
        intake: world.intake.clone().unwrap_or_default(),
        mode: Mode::Real,
        payouts: payout_rules(world.token),
    }
}
