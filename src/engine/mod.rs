//! The workers: loops that read the state, act through the ports, and write the state back.
//!
//! The state is the queue (decision 1). Workers never call each other: they meet at the store, and wake when it changes. Whatever
//! line the process dies at, the next start finds in the store what is to be done. Deliberately absent: decisions (they are in
//! `policy`), prose for people (`view`), what operators ask (`service`), and any way out but the ports.

use std::sync::Arc;

use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::domain::chain::Address;
use crate::domain::operator::KnownEndpoint;
use crate::domain::payment::{RecipientId, UserId};
use crate::domain::time::Span;
use crate::policy::finality::FinalityRule;
use crate::policy::matching::MatchParams;
use crate::policy::order_machine::FundingPace;
use crate::policy::payout_machine::{FileLimits, PayoutParams};
use crate::policy::preflight::PreflightParams;
use crate::policy::retry::RetryPolicy;
use crate::policy::rules::SpendLimits;
use crate::policy::shadow::Mode;
use crate::policy::sweep::SweepParams;
use crate::policy::wrong_clock::Known;
use crate::ports::attachments::{Attachments, Entropy};
use crate::ports::chain::{Chain, ChainError};
use crate::ports::clock::{Chance, Clock};
use crate::ports::off_ramp_api::OffRampApi;
use crate::ports::payment_api::PaymentApi;
use crate::ports::sender::Sender;
use crate::ports::signer::Signer;
use crate::ports::store::{Store, StoreError};

pub mod add;
pub(crate) mod address_repository;
pub(crate) mod agreement;
pub(crate) mod api_facts;
pub(crate) mod circuit_breaker;
pub(crate) mod clock_watch;
pub(crate) mod event_log;
pub(crate) mod exclusions;
pub(crate) mod first_block;
pub(crate) mod follow_ups;
pub mod health;
pub(crate) mod in_vain;
pub mod lost;
pub(crate) mod order_repository;
pub(crate) mod payout_repository;
pub(crate) mod put_aside;
pub(crate) mod scanner;
pub(crate) mod transaction;
pub(crate) mod worker;
pub(crate) mod workers;

pub use address_repository::RepositoryError;
pub use workers::notifier;

/// The engine's ways out.
#[derive(Clone)]
pub struct Ports {
    /// Keeps the state.
    pub store: Arc<dyn Store>,
    pub chain: Arc<dyn Chain>,
    /// Calls the payment API.
    pub api: Arc<dyn PaymentApi>,
    /// Calls the rest of the payment API: what opens off-ramps, lists them and registers webhooks. `None` where only
    /// completing is tested.
    pub off_ramp_api: Option<Arc<dyn OffRampApi>>,
    pub clock: Arc<dyn Clock>,
    /// Gives jitter.
    pub chance: Arc<dyn Chance>,
    /// Signs and sends, where there is a wallet.
    pub funding: Option<FundingPorts>,
    /// What payouts need besides.
    pub payouts: Option<PayoutPorts>,
}

impl Ports {
    /// How many operators must say the same, of those that can be asked now.
    pub(crate) fn operators_needed(&self, settings: &EngineSettings) -> usize {
        settings.operators_needed(self.chain.operators().len())
    }
}

/// The ways out that payouts need, besides the payment API.
#[derive(Clone)]
pub struct PayoutPorts {
    /// Keeps the files that go with them.
    pub attachments: Arc<dyn Attachments>,
    /// What idempotency keys are made of.
    pub entropy: Arc<dyn Entropy>,
}

/// The ways out of the part that sends money.
#[derive(Clone)]
pub struct FundingPorts {
    /// Puts transactions on the chain.
    pub sender: Arc<dyn Sender>,
    /// Holds the wallet's key.
    pub signer: Arc<dyn Signer>,
}

/// What funding goes by.
#[derive(Clone, Debug)]
pub struct FundingRules {
    /// What the wallet may spend.
    pub limits: SpendLimits,
    /// What is checked before money is sent.
    pub preflight: PreflightParams,
    /// How often the funder looks and acts.
    pub pace: FundingPace,
}

#[derive(Clone, Debug)]
pub struct PayoutRules {
    /// What quotes and payments must be.
    pub params: PayoutParams,
    /// Which files may go with them.
    pub files: FileLimits,
    /// How many are worked upon at once.
    pub max_concurrent: usize,
    /// For how long a payout is remembered as one that another may repeat; zero: nobody is asked about repeats.
    pub repeat_window: Span,
}

/// What the engine goes by.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    pub chain_id: u64,
    /// The token that pays.
    pub token: Address,
    /// The paying token's decimals.
    pub decimals: u8,
    /// The other tokens that are watched.
    pub other_tokens: Vec<Address>,
    /// What the API calls the chain.
    pub chain_name: String,
    /// When a block is final.
    pub finality: FinalityRule,
    /// The configured endpoints.
    pub endpoints: Vec<KnownEndpoint>,
    /// How many operators must say the same before a fact is acted upon that frees something.
    pub agreement: usize,
    /// After how long without a new final block, while something waits for one, it is said.
    pub stall_after: Span,
    /// How the chain is swept.
    pub sweep: SweepParams,
    /// What counts as the right amount and time.
    pub matching: MatchParams,
    /// How often the API is asked and called.
    pub pace: RetryPolicy,
    /// How many API calls may be under way at once at most, in the completer and in the reconciler each.
    pub api_concurrency: usize,
    /// What funding goes by; `None` without a wallet.
    pub funding: Option<FundingRules>,
    pub payouts: PayoutRules,
    /// Whose off-ramps are taken up by themselves.
    pub intake: IntakeRules,
    /// Whether it acts, or only says what it would do.
    pub mode: Mode,
    /// Where the documentation is served, for the links in what people are told; ends without a slash.
    pub docs_url: String,
}

/// Whose off-ramps intake follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntakeRules {
    /// These users'.
    pub users: Vec<UserId>,
    /// These recipients'.
    pub recipients: Vec<RecipientId>,
    /// From one look at the lists to the next.
    pub interval: Span,
    /// What the API calls the token that pays.
    pub currency: String,
}

impl EngineSettings {
    /// All tokens that are watched, the one that pays first.
    pub(crate) fn tokens(&self) -> Vec<Address> {
        std::iter::once(self.token).chain(self.other_tokens.iter().copied()).collect()
    }

    /// How many operators must say the same, where there are so many: no more than there are.
    pub(crate) fn operators_needed(&self, there: usize) -> usize {
        self.agreement.min(there)
    }
}

/// Why the engine stopped by itself.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EngineError {
    /// The store cannot be relied upon any more.
    #[error("stopped, because {0}")]
    Store(#[from] StoreError),
    /// The chain is not the configured one.
    #[error("stopped, because {0}")]
    Chain(ChainError),
    /// A worker ended unasked: a defect.
    #[error("the {0} ended unasked")]
    Ended(&'static str),
    /// A worker panicked: a defect.
    #[error("the {0} panicked")]
    Panicked(&'static str),
}

/// What several workers have in common.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) ports: Ports,
    pub(crate) settings: Arc<EngineSettings>,
    pub(crate) addresses: address_repository::AddressRepository,
    pub(crate) breaker: Arc<circuit_breaker::CircuitBreaker>,
    pub(crate) health: Arc<health::Health>,
    pub(crate) agreements: Arc<agreement::Agreements>,
}

/// Runs the loops until `stop` is cancelled, then lets calls under way finish. When this machine's clock is set back, the
/// loops start anew.
///
/// # Errors
/// When the store fails or the chain is not the configured one; nothing is left half-done.
pub async fn run(
    ports: Ports,
    settings: Arc<EngineSettings>,
    health: Arc<health::Health>,
    stop: CancellationToken,
) -> Result<(), EngineError> {
    lost::tell(&*ports.store, ports.clock.now()).await?;
    agreement::show_open(&*ports.store).await?;
    ports.chain.exclude(&exclusions::excluded(&*ports.store).await?);
    event_log::show_alarms();
    event_log::show_shadow(settings.mode);
    health.update(|health| health.shadow = !settings.mode.acts());
    workers::completer::show_results();
    workers::opener::show_results();
    let clock_watch = clock_watch::ClockWatch::new(&ports, &settings, &health);
    let ports = Ports { clock: clock_watch.clock(), ..ports };
    let mut known = Known::Nothing;
    loop {
        clock_watch.bring_near(known).await?;
        // When one loop fails the others are told to stop too.
        let halt = stop.child_token();
        run_loops(ports.clone(), settings.clone(), health.clone(), clock_watch.clone(), halt).await?;
        known = clock_watch.take_set_back();
        if stop.is_cancelled() || known == Known::Nothing {
            return Ok(());
        }
    }
}

/// Runs the loops until `halt` is cancelled, by whomever, then lets calls under way finish.
async fn run_loops(
    ports: Ports,
    settings: Arc<EngineSettings>,
    health: Arc<health::Health>,
    clock_watch: clock_watch::ClockWatch,
    halt: CancellationToken,
) -> Result<(), EngineError> {
    let breaker = circuit_breaker::CircuitBreaker::new(&ports, health.clone(), settings.pace, settings.api_concurrency);
    let breaker = Arc::new(breaker);
    health.set_breaker(&breaker);
    let addresses = address_repository::AddressRepository::new(
        ports.store.clone(),
        ports.clock.clone(),
        ports.chance.clone(),
        settings.clone(),
    );
    let agreements = Arc::new(agreement::Agreements::new(ports.clone(), settings.clone()));
    let shared = Shared { ports, settings, addresses, breaker, health, agreements };
    let Shared { ports, settings, health, .. } = shared.clone();
    let now = ports.clock.now();
    health.update(|health| health.finality_doubted = health.finality_doubted.or(Some(now)));
    let mut crew = worker::Crew::new(halt.clone());
    crew.spawn("clock watch", clock_watch.run(halt.clone()));
    crew.spawn("alarm for records", put_aside::tell(ports.clone(), halt.clone()));
    let scanner = scanner::Scanner::new(&shared);
    crew.spawn("watcher", scanner.run(halt.clone()));
    crew.spawn_pool(workers::completer::Completer::new(&shared), &shared);
    crew.spawn_pool(workers::reconciler::Reconciler::new(&shared), &shared);
    if let (Some(api), Some(payouts)) = (ports.off_ramp_api.clone(), ports.payouts.clone()) {
        crew.spawn_pool(workers::opener::Opener::new(&shared, api, payouts), &shared);
    }
    if let (Some(funding), Some(rules)) = (ports.funding.clone(), settings.funding.clone()) {
        crew.spawn_worker("funder", workers::funder::Funder::new(&shared, funding, rules), &ports, &health);
    }
    crew.spawn_worker("intake", workers::intake::Intake::new(&shared), &ports, &health);
    crew.join().await.inspect_err(|error| tracing::error!(%error, "the engine stops"))
}
