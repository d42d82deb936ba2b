//! A chain, a payment API, a store and an engine of one test's own, and what the test asks of them.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use rampwatch::adapters::evm::{CoolDown, EndpointSettings, EvmChain, EvmSettings, KnownToken};
use rampwatch::adapters::payment_http::{PaymentHttp, PaymentHttpSettings};
use rampwatch::adapters::sled::SledStore;
use rampwatch::adapters::system::{SystemChance, SystemClock};
use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::{Address, B256};
use rampwatch::domain::deposit::{BlockStatus, Deposit, DepositKey, Verdict};
use rampwatch::domain::event::{Alarm, EventKind};
use rampwatch::domain::operator::Operator;
use rampwatch::domain::payment::{Outcome, Payment, PaymentId, PaymentState};
use rampwatch::domain::plausibility::Plausibility;
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::engine::health::Health;
use rampwatch::engine::{self, EngineError, EngineSettings, IntakeRules, Ports};
use rampwatch::policy::finality::FinalityRule;
use rampwatch::policy::matching::MatchParams;
use rampwatch::policy::retry::RetryPolicy;
use rampwatch::policy::sweep::SweepParams;
use rampwatch::ports::store::{Store, Subject};
use rampwatch::sandbox::fake_api::{Call, FakeApi, FakeApiOptions, NewOffRamp, OffRamp};
use rampwatch::sandbox::{Anvil, AnvilOptions, CHAIN_ID, Node, PAYER, Receipt, USDC, USDC_E};
use rampwatch::service::operator_service::OperatorService;
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::proxy::Proxy;
pub(crate) use super::request::request_for;
use crate::funding::bench::{funding_ports, furnish_wallet};
use crate::support::payouts::payout_rules;
use crate::support::{eventually, store_in, temp_dir};

/// How long a condition may take, on a machine that is busy with other tests.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// How the world is to be.
pub(crate) struct Setup {
    /// Anvil's `finalized` is the head less twice this.
    pub(crate) slots: u64,
    /// Whether the node's websocket is used; else HTTP alone.
    pub(crate) websocket: bool,
    /// Behind how many proxies the engine sees the node, each an endpoint; 0: it sees the node itself.
    pub(crate) proxies: usize,
    /// How the engine reaches the node, where it is by none of these ways.
    pub(crate) endpoints: Option<crate::funding::proxy::Endpoints>,
    /// How long a subscription may be silent, and how long a request may take.
    pub(crate) silence_timeout: Duration,
    pub(crate) request_timeout: Duration,
    /// Blocks in one question for logs.
    pub(crate) max_block_range: u64,
    /// What the engine goes by.
    pub(crate) engine: EngineSettings,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            slots: 1,
            websocket: true,
            proxies: 0,
            endpoints: None,
            silence_timeout: Duration::from_secs(60),
            request_timeout: Duration::from_secs(10),
            max_block_range: 500,
            engine: quick_settings(),
        }
    }
}

/// Everything quick, so that a test need not wait. A block is final when it is two below the head.
pub(crate) fn quick_settings() -> EngineSettings {
    EngineSettings {
        chain_id: CHAIN_ID,
        token: USDC,
        decimals: 6,
        other_tokens: vec![USDC_E],
        docs_url: String::new(),
        chain_name: "polygon".to_owned(),
        finality: FinalityRule::Finalized { depth: 2 },
        endpoints: Vec::new(),
        agreement: 1,
        stall_after: Span::from_secs(120),
        sweep: SweepParams {
            overlap: 32,
            chunk: 500,
            interval: Span::from_millis(150),
            poll_interval: Span::from_millis(150),
            ended_interval: Span::from_millis(150),
            second_after: Span::from_secs(1),
            keep: Span::from_secs(86_400),
            start_margin: Span::from_secs(600),
            kept_at_once: 1_000,
            filter: 1_000,
        },
        matching: MatchParams { under: Amount::ZERO, over: Amount::ZERO, skew: Span::from_secs(120) },
        pace: RetryPolicy {
            api_timeout: Span::from_secs(5),
            backoff_first: Span::from_millis(100),
            backoff_most: Span::from_millis(400),
            follow_first: Span::from_millis(40),
            follow_most: Span::from_millis(400),
            ask_every: Span::from_millis(500),
            ask_after_expiry: Span::from_millis(100),
            key_probe: Span::from_secs(1),
            end_confirm_after: Span::from_millis(200),
        },
        api_concurrency: 8,
        funding: None,
        intake: IntakeRules::default(),
        mode: Default::default(),
        payouts: payout_rules(USDC),
    }
}

/// Whole USDC.
pub(crate) const fn usdc(whole: u128) -> Amount {
    Amount::from_base_units(whole * 1_000_000)
}

/// An engine that runs.
struct Engine {
    handle: OperatorService,
    health: Arc<Health>,
    store: Arc<dyn Store>,
    stop: CancellationToken,
    running: JoinHandle<Result<(), EngineError>>,
}

/// The world of one test.
pub(crate) struct World {
    anvil: Anvil,
    proxies: Vec<Proxy>,
    pub(crate) api: FakeApi,
    folder: TempDir,
    pub(crate) setup: Setup,
    engine: Option<Engine>,
    /// What [`World::catch_up`] paid.
    controls: Vec<(OffRamp, B256)>,
}

impl World {
    /// A fresh chain with tokens, a fake API, an empty store and an engine that runs.
    pub(crate) async fn start(setup: Setup) -> Self {
        let options = AnvilOptions { slots_in_an_epoch: setup.slots, ..AnvilOptions::default() };
        let anvil = Anvil::start(&options).await.unwrap_or_else(|error| panic!("{error}"));
        anvil.node().furnish().await.unwrap();
        furnish_wallet(&setup.engine, anvil.node()).await;
        let api = FakeApi::start(FakeApiOptions::default()).await.unwrap();
        let proxies = (0..setup.proxies).map(|_| Proxy::open(anvil.node(), setup.websocket)).collect();
        let mut world = Self { anvil, proxies, api, folder: temp_dir(), setup, engine: None, controls: Vec::new() };
        world.start_engine().await;
        world
    }

    /// The chain.
    pub(crate) fn node(&self) -> &Node {
        self.anvil.node()
    }

    /// What stands between the engine and the chain.
    pub(crate) fn proxy(&self, nth: usize) -> &Proxy {
        &self.proxies[nth]
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("the engine runs")
    }

    /// The operator's handle.
    pub(crate) fn handle(&self) -> &OperatorService {
        &self.engine().handle
    }

    /// The store.
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.engine().store
    }

    /// How the engine is.
    pub(crate) fn health(&self) -> &Health {
        &self.engine().health
    }

    /// Starts an engine on the store in the folder.
    pub(crate) async fn start_engine(&mut self) {
        self.start_engine_on(Arc::new(self.open_store().await)).await;
    }

    /// Starts an engine on this store.
    pub(crate) async fn start_engine_on(&mut self, store: Arc<dyn Store>) {
        assert!(self.engine.is_none(), "only one engine runs");
        let clock = Arc::new(SystemClock);
        let api = PaymentHttpSettings {
            base_url: self.api.base_url(),
            key: SecretString::from(self.api.api_key()),
            connect_timeout: Span::from_secs(2),
            timeout: self.setup.engine.pace.api_timeout,
            decimals: 6,
            webhook_secret: None,
            outbound: rampwatch::outbound::Outbound::local(),
        };
        let chain = Arc::new(EvmChain::with_rules(self.evm_settings(), Plausibility::for_rehearsal()).unwrap());
        chain.check().await.unwrap();
        let funding = funding_ports(&self.setup.engine, &chain).await;
        let ports = Ports {
            store: Arc::clone(&store),
            chain,
            api: Arc::new(PaymentHttp::new(api, clock.clone()).unwrap()),
            off_ramp_api: None,
            clock,
            chance: Arc::new(SystemChance),
            funding,
            payouts: None,
        };
        let settings = Arc::new(self.setup.engine.clone());
        let health = Arc::new(Health::default());
        let handle = OperatorService::new(&ports, Arc::clone(&settings), Arc::clone(&health));
        let stop = CancellationToken::new();
        let running = tokio::spawn(engine::run(ports, settings, Arc::clone(&health), stop.clone()));
        self.engine = Some(Engine { handle, health, store, stop, running });
    }

    /// Opens the store in the folder. One that was just let go of may still be on its way out.
    pub(crate) async fn open_store(&self) -> SledStore {
        store_in(self.folder.path()).await
    }

    pub(crate) fn evm_settings(&self) -> EvmSettings {
        let node = self.node();
        let itself = EndpointSettings {
            name: "anvil".to_owned(),
            operator: Operator::named("anvil"),
            http: Some(SecretString::from(node.http_url().as_str())),
            ws: self.setup.websocket.then(|| SecretString::from(node.ws_url())),
        };
        let proxies = self.proxies.iter().enumerate().map(|(nth, proxy)| proxy.endpoint(format!("proxy {nth}")));
        let endpoints = if self.proxies.is_empty() { vec![itself] } else { proxies.collect() };
        EvmSettings {
            chain_id: CHAIN_ID,
            tokens: [("chain.token", USDC), ("chain.other_tokens[0]", USDC_E)]
                .map(|(setting, address)| KnownToken { setting: setting.to_owned(), address, decimals: 6 })
                .to_vec(),
            endpoints: self.setup.endpoints.as_ref().map_or(endpoints, |endpoints| endpoints(node)),
            connect_timeout: Duration::from_secs(5),
            request_timeout: self.setup.request_timeout,
            silence_timeout: self.setup.silence_timeout,
            max_block_range: self.setup.max_block_range,
            max_addresses: 1_000,
            max_in_flight: 8,
            cool_down: CoolDown { first: Duration::from_millis(50), longest: Duration::from_secs(1) },
            outbound: rampwatch::outbound::Outbound::local(),
        }
    }

    /// The engine dies in the middle of whatever it does. The store keeps what was committed.
    pub(crate) async fn crash(&mut self) {
        let Engine { handle, health, store, stop, running } = self.engine.take().expect("the engine runs");
        running.abort();
        let ended = running.await;
        assert!(ended.is_err_and(|error| error.is_cancelled()), "the engine ran until it was ended");
        let held = Arc::downgrade(&store);
        drop((handle, health, store, stop));
        eventually(LIMIT, "the dead engine lets go of its store", || ready(held.strong_count() == 0)).await;
    }

    /// Opens an off-ramp, and tells the engine of it.
    pub(crate) async fn open(&self, amount: Amount) -> OffRamp {
        self.open_as(NewOffRamp { amount, ..NewOffRamp::default() }).await
    }

    /// The same with all that can be said of it.
    pub(crate) async fn open_as(&self, new: NewOffRamp) -> OffRamp {
        let off_ramp = self.api.open(new).unwrap();
        self.add(&off_ramp).await;
        off_ramp
    }

    /// Tells the engine of an off-ramp.
    pub(crate) async fn add(&self, off_ramp: &OffRamp) {
        self.handle().add(request_for(off_ramp)).await.unwrap();
    }

    /// Pays an off-ramp exactly, in the next block.
    pub(crate) async fn pay(&self, off_ramp: &OffRamp) -> B256 {
        self.send(PAYER, off_ramp, off_ramp.amount).await
    }

    /// Sends USDC to an off-ramp's address, in the next block.
    pub(crate) async fn send(&self, from: Address, off_ramp: &OffRamp, amount: Amount) -> B256 {
        self.node().transfer(USDC, from, off_ramp.deposit_address, amount).await.unwrap()
    }

    /// Mines some blocks.
    pub(crate) async fn mine(&self, blocks: u64) {
        self.node().mine(blocks).await.unwrap();
    }

    /// Mines a block that must hold this transaction, and gives its receipt.
    pub(crate) async fn mine_for(&self, tx_hash: B256) -> Receipt {
        self.mine(1).await;
        self.node().mined(tx_hash, LIMIT).await.unwrap()
    }

    /// A payment as it stands.
    pub(crate) async fn payment(&self, id: &PaymentId) -> Payment {
        self.store().payment(id).await.unwrap().unwrap_or_else(|| panic!("{id} is in the store"))
    }

    /// The state of an off-ramp's payment.
    pub(crate) async fn state(&self, off_ramp: &OffRamp) -> PaymentState {
        self.payment(&off_ramp.id).await.state
    }

    /// Waits, without mining, until a payment's state is as wished.
    pub(crate) async fn wait(&self, off_ramp: &OffRamp, what: &str, wished: impl Fn(&PaymentState) -> bool) {
        let end = Instant::now() + LIMIT;
        loop {
            let state = self.state(off_ramp).await;
            if wished(&state) {
                return;
            }
            assert!(Instant::now() < end, "waited in vain until {} is {what}; it is {state:?}", off_ramp.id);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits, without mining, until a payment's state has this name.
    pub(crate) async fn wait_named(&self, off_ramp: &OffRamp, name: &str) {
        self.wait(off_ramp, name, |state| state.name() == name).await;
    }

    /// Waits until a payment has seen this very deposit.
    pub(crate) async fn wait_seen(&self, off_ramp: &OffRamp, key: DepositKey) {
        let what = format!("seen with {key}");
        self.wait(off_ramp, &what, |state| *state == PaymentState::Seen { deposit: key }).await;
    }

    /// Mines block after block until the payments are completed.
    pub(crate) async fn until_completed(&self, off_ramps: &[&OffRamp]) {
        for off_ramp in off_ramps {
            let end = Instant::now() + LIMIT;
            loop {
                let state = self.state(off_ramp).await;
                if is_completed(&state) {
                    break;
                }
                assert!(Instant::now() < end, "{} is not completed, but {state:?}", off_ramp.id);
                self.mine(1).await;
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        }
    }

    /// Pays one more off-ramp and waits for its completion. All that was mined before is then read, judged and final.
    pub(crate) async fn catch_up(&mut self) {
        // The chain's clock may be hours ahead: blocks are mined faster than the seconds between them.
        let expires_at = Some(Timestamp::from_secs(4_000_000_000));
        let control = self.open_as(NewOffRamp { amount: usdc(7_777), expires_at, ..NewOffRamp::default() }).await;
        let tx_hash = self.pay(&control).await;
        self.until_completed(&[&control]).await;
        self.controls.push((control, tx_hash));
        let nothing_left = || async { self.store().provisional(self.final_head().await, 10).await.unwrap().is_empty() };
        eventually(LIMIT, "every deposit in a final block is settled", nothing_left).await;
    }

    async fn final_head(&self) -> u64 {
        let depth = self.setup.engine.finality.depth().max(2 * self.setup.slots);
        self.node().head().await.unwrap().saturating_sub(depth)
    }

    /// Waits until the chain was swept to its head so many times more.
    pub(crate) async fn sweeps(&self, times: u32) {
        for _ in 0..times {
            let before = self.health().snapshot().swept_at;
            eventually(LIMIT, "one more sweep", || ready(self.health().snapshot().swept_at != before)).await;
        }
    }

    /// The deposits to an address, in the order of the chain.
    pub(crate) async fn deposits(&self, off_ramp: &OffRamp) -> Vec<Deposit> {
        self.store().deposits_at(off_ramp.deposit_address).await.unwrap()
    }

    /// The verdict on the one standing deposit that a transaction made at an off-ramp's address.
    pub(crate) async fn verdict(&self, off_ramp: &OffRamp, tx_hash: B256) -> Verdict {
        let deposits = self.deposits(off_ramp).await;
        let found: Vec<&Deposit> =
            deposits.iter().filter(|deposit| deposit.key.tx_hash == tx_hash && deposit.stands()).collect();
        assert_eq!(found.len(), 1, "{tx_hash} made one deposit that stands: {deposits:#?}");
        found[0].verdict.clone()
    }

    /// The alarms that were raised about a deposit.
    pub(crate) async fn alarms(&self, key: DepositKey) -> Vec<Alarm> {
        let events = self.store().events_of(&Subject::Deposit(key), 0, 1_000).await.unwrap();
        let alarm = |kind| match kind {
            EventKind::Alarm { alarm } => Some(alarm),
            _ => None,
        };
        events.into_iter().filter_map(|recorded| alarm(recorded.event.kind)).collect()
    }

    /// The `/complete` calls that the API received, in order: payment, transaction hash, whether it acted.
    pub(crate) fn calls(&self) -> Vec<(String, String, bool)> {
        let calls = self.api.journal().into_iter().filter(|entry| entry.call == Call::Complete);
        let text = |text: Option<String>| text.unwrap_or_default().to_lowercase();
        calls.map(|entry| (entry.payment.unwrap_or_default(), text(entry.transaction_hash), entry.acted)).collect()
    }

    /// Fails unless the API received exactly these completions, each once, and acted upon each.
    pub(crate) fn assert_completions(&self, expected: &[(&OffRamp, B256)]) {
        let all = expected.iter().copied().chain(self.controls.iter().map(|(off_ramp, tx_hash)| (off_ramp, *tx_hash)));
        let mut wanted: Vec<(String, String, bool)> =
            all.map(|(off_ramp, tx_hash)| (off_ramp.id.to_string(), format!("{tx_hash:#x}"), true)).collect();
        wanted.sort();
        let mut got = self.calls();
        got.sort();
        assert_eq!(got, wanted, "the completions are exactly the right ones");
    }

    /// Fails unless each completion has a final deposit of the right token and address, and each that stands a verdict.
    async fn audit(&self) {
        let deposits = self.store().deposits(None, 10_000).await.unwrap();
        for deposit in &deposits {
            let unjudged = deposit.stands() && deposit.verdict == Verdict::Unjudged;
            assert!(!unjudged, "a deposit was left without a verdict: {deposit:#?}");
        }
        let ours: BTreeMap<String, OffRamp> =
            self.api.off_ramps().into_iter().map(|off_ramp| (off_ramp.id.to_string(), off_ramp)).collect();
        for (payment, tx_hash, _) in self.calls().into_iter().filter(|(.., acted)| *acted) {
            let off_ramp = &ours[&payment];
            assert_eq!(off_ramp.tally.accepted, 1, "{payment} was completed once");
            let pays = |deposit: &&Deposit| {
                format!("{:#x}", deposit.key.tx_hash) == tx_hash
                    && deposit.to == off_ramp.deposit_address
                    && deposit.token == USDC
                    && matches!(deposit.standing, BlockStatus::Final { .. } | BlockStatus::Gone { after_final: true })
            };
            assert!(deposits.iter().any(|deposit| pays(&deposit)), "{payment} was completed with a final deposit");
        }
        self.audit_questions();
    }

    /// Fails unless the API was asked after a payment before each call to complete it, and after the call before.
    fn audit_questions(&self) {
        let mut asked: BTreeMap<String, bool> = BTreeMap::new();
        for entry in self.api.journal() {
            let payment = entry.payment.unwrap_or_default();
            match entry.call {
                Call::Get => drop(asked.insert(payment, true)),
                Call::Complete => {
                    let fresh = asked.insert(payment.clone(), false);
                    assert_eq!(fresh, Some(true), "{payment} was asked after just before it was completed");
                }
                Call::List
                | Call::Create
                | Call::Quote
                | Call::Rate
                | Call::CreateWebhook
                | Call::GetWebhook
                | Call::UpdateWebhook => {}
            }
        }
    }

    /// Checks that the completions are exactly these, holds the store against them, and ends everything in order.
    pub(crate) async fn end(mut self, expected: &[(&OffRamp, B256)]) {
        self.assert_completions(expected);
        self.end_whatever_was_completed().await;
    }

    /// Holds the store against the completions, and ends everything in order.
    pub(crate) async fn end_whatever_was_completed(&mut self) {
        self.audit().await;
        let Engine { stop, running, .. } = self.engine.take().expect("the engine runs");
        stop.cancel();
        running.await.unwrap().unwrap();
    }
}

/// Whether the API completed it, and we know.
pub(crate) fn is_completed(state: &PaymentState) -> bool {
    matches!(state, PaymentState::Ended { outcome: Outcome::Completed, .. })
}

/// The key of the first deposit that a transaction made at an off-ramp's address.
pub(crate) fn key_of(receipt: &Receipt, off_ramp: &OffRamp) -> DepositKey {
    let found = receipt.transfers.iter().find(|transfer| transfer.to == off_ramp.deposit_address);
    let log_index = found.expect("the transaction has a transfer to the address").log_index;
    DepositKey { chain_id: CHAIN_ID, block_hash: receipt.block.hash, tx_hash: receipt.tx_hash, log_index }
}
