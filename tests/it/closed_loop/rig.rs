//! Puts the engine over scripted nodes, and takes it down again.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::sync::CancellationToken;

use rampwatch::adapters::evm::{CoolDown, EndpointSettings, EvmChain, EvmSettings};
use rampwatch::adapters::system::{SystemChance, SystemClock};
use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{Address, B256};
use rampwatch::domain::deposit::Verdict;
use rampwatch::domain::event::{Alarm, EventKind};
use rampwatch::domain::operator::Operator;
use rampwatch::domain::payment::{ApiStatus, Payment, PaymentId, RecipientId};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::engine::add::AddPayment;
use rampwatch::engine::health::Health;
use rampwatch::engine::{self, EngineError, EngineSettings, IntakeRules, Ports};
use rampwatch::outbound::Outbound;
use rampwatch::policy::finality::FinalityRule;
use rampwatch::policy::matching::MatchParams;
use rampwatch::policy::resolve::Decision;
use rampwatch::policy::retry::RetryPolicy;
use rampwatch::policy::shadow::Mode;
use rampwatch::policy::sweep::SweepParams;
use rampwatch::ports::chain::Chain;
use rampwatch::ports::clock::Clock;
use rampwatch::ports::payment_api::{ApiPayment, PaymentApi};
use rampwatch::ports::store::Store;
use rampwatch::service::operator_service::{OperatorError, OperatorService};

use super::api::PlainApi;
use super::laws;
use crate::support::eventually;
use crate::support::memory_store::MemoryStore;
use crate::support::node::{Finalized, LogSpec, Node, NodeOptions, ScriptedChain, tx_hash};
use crate::support::payouts::payout_rules;
use crate::support::records::address;

/// The token that pays, in these tests.
pub(crate) const USDC: Address = rampwatch::sandbox::USDC;
/// A token that is watched and never pays.
pub(crate) const USDC_E: Address = rampwatch::sandbox::USDC_E;
/// The scripted chain's id.
pub(crate) const CHAIN_ID: u64 = 137;
/// How long a condition may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// Settings with everything quick: a block time of about 20 ms takes the place of 1.5 s.
pub(crate) fn quick_settings() -> EngineSettings {
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
        stall_after: Span::from_secs(60),
        sweep: SweepParams {
            overlap: 32,
            chunk: 2_000,
            interval: Span::from_millis(800),
            poll_interval: Span::from_millis(530),
            ended_interval: Span::from_millis(4_000),
            second_after: Span::from_millis(4_000),
            keep: Span::from_secs(86_400),
            start_margin: Span::from_secs(600),
            kept_at_once: 1_000,
            filter: 1_000,
        },
        matching: MatchParams { under: Amount::ZERO, over: Amount::ZERO, skew: Span::from_secs(120) },
        pace: RetryPolicy::for_timeout(Span::from_secs(2)).confirming_ends_after(Span::from_millis(300)),
        api_concurrency: 8,
        funding: None,
        intake: IntakeRules::default(),
        mode: Mode::Real,
        payouts: payout_rules(USDC),
    }
}

/// Settings of the chain adapter with everything quick.
pub(crate) fn quick_evm(endpoints: &[(String, String)]) -> EvmSettings {
    let endpoint = |(n, (http, ws)): (usize, &(String, String))| EndpointSettings {
        name: format!("node-{n}"),
        operator: Operator::named(&format!("node-{n}")),
        http: Some(http.clone()).filter(|url| !url.is_empty()).map(SecretString::from),
        ws: Some(ws.clone()).filter(|url| !url.is_empty()).map(SecretString::from),
    };
    EvmSettings {
        chain_id: CHAIN_ID,
        tokens: Vec::new(),
        endpoints: endpoints.iter().enumerate().map(endpoint).collect(),
        connect_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(2),
        silence_timeout: Duration::from_secs(3),
        max_block_range: 500,
        max_addresses: 1_000,
        max_in_flight: 8,
        cool_down: CoolDown { first: Duration::from_millis(50), longest: Duration::from_secs(1) },
        outbound: Outbound::local(),
    }
}

/// Both URLs of a node.
pub(crate) fn urls(node: &Node) -> (String, String) {
    (node.url(), node.ws_url())
}

/// A chain of a hundred blocks, all but the newest three of them final.
pub(crate) fn world() -> ScriptedChain {
    let chain = ScriptedChain::new();
    chain.append_empty(100);
    chain.set_finalized(Finalized::Below(3));
    chain
}

/// A node that shows this chain.
pub(crate) fn node_of(chain: &ScriptedChain) -> Node {
    Node::start(chain, NodeOptions::default())
}

/// Adds empty blocks at an even rate, until it is dropped.
pub(crate) struct Ticker(JoinHandle<()>);

impl Ticker {
    pub(crate) fn start(chain: &ScriptedChain, every: Duration) -> Self {
        let chain = chain.clone();
        Self(tokio::spawn(async move {
            let mut tick = tokio::time::interval(every);
            loop {
                tick.tick().await;
                chain.append_empty(1);
            }
        }))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The time of the chain's head.
pub(crate) fn now(chain: &ScriptedChain) -> Timestamp {
    Timestamp::from_secs(chain.head().time)
}

/// The deposit address of the payment with this number.
pub(crate) fn place(n: u64) -> Address {
    address(0x00de_0000 + n)
}

/// A payment of `n` base units to the `n`th place, in the `n`th transaction.
pub(crate) fn pay(n: u64) -> LogSpec {
    LogSpec::transfer(USDC, Address::repeat_byte(0x11), place(n), u128::from(n)).in_tx(tx_hash(n))
}

/// Where payments are added.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) api: PlainApi,
    pub(crate) handle: OperatorService,
}

impl Desk {
    /// Opens an off-ramp at the API and adds it.
    pub(crate) async fn add(&self, id: &str, to: Address, base_units: u128, created_at: Timestamp) -> PaymentId {
        let id = PaymentId::new(id).unwrap();
        let recipient = RecipientId::new("recipient").unwrap();
        self.api.open(ApiPayment {
            recipient_id: Some(recipient.clone()),
            deposit_address: Some(to),
            deposit_amount: Some(Amount::from_base_units(base_units)),
            deposit_chain: Some("POLYGON".to_owned()),
            created_at: Some(created_at),
            ..ApiPayment::new(id.clone(), ApiStatus::AwaitingFunds)
        });
        let request = AddPayment {
            id: id.clone(),
            recipient_id: recipient,
            deposit_address: None,
            amount: None,
            sender: None,
            created_at: None,
            expires_at: None,
            deposit_chain: None,
        };
        self.handle.add(request).await.unwrap();
        id
    }

    /// Adds the payment with this number: `n` base units to the `n`th place.
    pub(crate) async fn expect(&self, n: u64, created_at: Timestamp) -> PaymentId {
        self.add(&format!("p-{n}"), place(n), u128::from(n), created_at).await
    }

    /// Has the API asked now. If it has just been asked, and the payment has moved on by that, there is nothing to ask.
    pub(crate) async fn look_now(&self, id: &PaymentId) {
        let look = Decision::Retry { payment: id.clone() };
        let done = self.handle.resolve(&look, "to have the API asked at once").await;
        assert!(matches!(done, Ok(_) | Err(OperatorError::Refused(_))), "{done:?}");
    }
}

/// An engine that runs.
pub(crate) struct Rig {
    pub(crate) api: PlainApi,
    pub(crate) store: MemoryStore,
    pub(crate) handle: OperatorService,
    pub(crate) health: Arc<Health>,
    stop: CancellationToken,
    running: JoinHandle<Result<(), EngineError>>,
}

impl Rig {
    /// Starts an engine that reads these endpoints (HTTP and websocket URL of each, either may be empty).
    pub(crate) fn start(
        endpoints: &[(String, String)],
        settings: EngineSettings,
        store: MemoryStore,
        api: PlainApi,
    ) -> Self {
        Self::start_with(quick_evm(endpoints), settings, store, api)
    }

    /// The same with the chain adapter's own settings.
    pub(crate) fn start_with(evm: EvmSettings, settings: EngineSettings, store: MemoryStore, api: PlainApi) -> Self {
        Self::launch(evm, settings, store, Arc::new(api.clone()), api)
    }

    /// The same with another payment API in the engine's hands than the plain one.
    pub(crate) fn launch(
        evm: EvmSettings,
        settings: EngineSettings,
        store: MemoryStore,
        used: Arc<dyn PaymentApi>,
        api: PlainApi,
    ) -> Self {
        let chain = Arc::new(EvmChain::new(evm).unwrap());
        let (clock, chance) = (Arc::new(SystemClock), Arc::new(SystemChance));
        Self::run(
            Ports {
                store: Arc::new(store.clone()),
                chain,
                api: used,
                off_ramp_api: Some(Arc::new(api.clone())),
                clock,
                chance,
                funding: None,
                payouts: None,
            },
            settings,
            store,
            api,
        )
    }

    /// Starts an engine over a chain and a clock of the test's own.
    pub(crate) fn over(
        chain: Arc<dyn Chain>,
        clock: Arc<dyn Clock>,
        settings: EngineSettings,
        store: MemoryStore,
        api: PlainApi,
    ) -> Self {
        let (used, chance) = (Arc::new(api.clone()), Arc::new(SystemChance));
        Self::run(
            Ports {
                store: Arc::new(store.clone()),
                chain,
                api: used,
                off_ramp_api: Some(Arc::new(api.clone())),
                clock,
                chance,
                funding: None,
                payouts: None,
            },
            settings,
            store,
            api,
        )
    }

    fn run(ports: Ports, settings: EngineSettings, store: MemoryStore, api: PlainApi) -> Self {
        let settings = Arc::new(settings);
        let health = Arc::new(Health::default());
        let handle = OperatorService::new(&ports, settings.clone(), health.clone());
        let stop = CancellationToken::new();
        let running = tokio::spawn(engine::run(ports, settings, health.clone(), stop.clone()));
        Self { api, store, handle, health, stop, running }
    }

    /// Opens an off-ramp at the API and adds it.
    pub(crate) async fn add(&self, id: &str, to: Address, base_units: u128, created_at: Timestamp) -> PaymentId {
        self.desk().add(id, to, base_units, created_at).await
    }

    /// What adds payments, for hooks.
    pub(crate) fn desk(&self) -> Desk {
        Desk { api: self.api.clone(), handle: self.handle.clone() }
    }

    /// The payment as it stands.
    pub(crate) async fn payment(&self, id: &PaymentId) -> Payment {
        self.store.payment(id).await.unwrap().unwrap()
    }

    /// Waits until the payment's state has this name.
    pub(crate) async fn wait_for(&self, id: &PaymentId, state: &str) {
        let what = format!("payment {id} {state}");
        eventually(LIMIT, &what, || async { self.payment(id).await.state.name() == state }).await;
    }

    /// Adds the payment with this number: `n` base units to the `n`th place.
    pub(crate) async fn expect(&self, n: u64, created_at: Timestamp) -> PaymentId {
        self.desk().expect(n, created_at).await
    }

    /// Waits until all of these payments have ended, and checks that each was completed once, with its transaction.
    pub(crate) async fn all_completed(&self, numbers: impl IntoIterator<Item = u64>) {
        let mut wanted: Vec<(PaymentId, B256)> =
            numbers.into_iter().map(|n| (PaymentId::new(format!("p-{n}")).unwrap(), tx_hash(n))).collect();
        for (id, _) in &wanted {
            self.wait_for(id, "ended").await;
        }
        let mut completed = self.api.completions();
        wanted.sort();
        completed.sort();
        assert_eq!(completed, wanted);
    }

    /// How often this alarm was raised.
    pub(crate) fn alarms(&self, wanted: impl Fn(&Alarm) -> bool) -> usize {
        let contents = self.store.contents();
        let kinds = contents.events.iter().map(|recorded| &recorded.event.kind);
        kinds.filter(|kind| matches!(kind, EventKind::Alarm { alarm } if wanted(alarm))).count()
    }

    /// The verdicts of the address's deposits that stand.
    pub(crate) async fn verdicts(&self, to: Address) -> Vec<Verdict> {
        let deposits = self.store.deposits_at(to).await.unwrap();
        deposits.into_iter().filter(rampwatch::domain::deposit::Deposit::stands).map(|it| it.verdict).collect()
    }

    /// Waits until a sweep that began after this call was finished.
    pub(crate) async fn next_sweep(&self) {
        let before = self.health.snapshot().swept_at;
        eventually(LIMIT, "a sweep", || async { self.health.snapshot().swept_at > before }).await;
        let first = self.health.snapshot().swept_at;
        eventually(LIMIT, "another sweep", || async { self.health.snapshot().swept_at > first }).await;
    }

    /// Lets it die, as a hook would have it.
    pub(crate) fn killer(&self) -> AbortHandle {
        self.running.abort_handle()
    }

    /// Dies in the middle of whatever it does: nothing is finished, the store keeps what was committed.
    pub(crate) async fn crash(self) -> MemoryStore {
        self.running.abort();
        let _ = self.running.await;
        self.store.reopen()
    }

    /// Stops in good order, and checks the ledger.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
        laws::check(&self.store.contents());
        laws::check_completions(&self.store.contents(), &self.api.completions());
    }
}
