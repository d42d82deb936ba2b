//! An operator API over the store in memory, without an engine: what operators see and decide, and nothing moving
//! underneath.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rampwatch::adapters::system::SystemChance;
use rampwatch::domain::actor::{Actor, Role};
use rampwatch::domain::amount::Amount;
use rampwatch::domain::deposit::Deposit;
use rampwatch::domain::order::Order;
use rampwatch::domain::payment::Payment;
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::domain::wei::Wei;
use rampwatch::engine::health::Health;
use rampwatch::engine::{EngineSettings, FundingRules, IntakeRules};
use rampwatch::http::{self, Operator, Socket, Token, Tokens};
use rampwatch::policy::fees::FeeParams;
use rampwatch::policy::finality::FinalityRule;
use rampwatch::policy::matching::MatchParams;
use rampwatch::policy::order_machine::FundingPace;
use rampwatch::policy::preflight::PreflightParams;
use rampwatch::policy::retry::RetryPolicy;
use rampwatch::policy::rules::SpendLimits;
use rampwatch::policy::shadow::Mode;
use rampwatch::policy::sweep::SweepParams;
use rampwatch::ports::clock::Clock;
use rampwatch::ports::store::{Commit, Store};
use rampwatch::service::operator_service::OperatorService;
use rampwatch::view::TokenName;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::memory_store::MemoryStore;
use super::payouts::payout_rules;
use super::records::{CHAIN_ID, USDC, address, at, wallet};
use super::temp_dir;

/// A clock that stands still, some hours after the sample records begin.
#[derive(Debug)]
pub(crate) struct StillClock;

#[async_trait]
impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        at(20_000_000)
    }

    async fn sleep(&self, span: Span) {
        tokio::time::sleep(span.as_duration()).await;
    }
}

/// Polygon's settings.
pub(crate) fn engine_settings() -> Arc<EngineSettings> {
    Arc::new(EngineSettings {
        chain_id: CHAIN_ID,
        token: USDC,
        decimals: 6,
        other_tokens: vec![rampwatch::sandbox::USDC_E],
        docs_url: "docs".to_owned(),
        chain_name: "polygon".to_owned(),
        finality: FinalityRule::Finalized { depth: 2 },
        endpoints: Vec::new(),
        agreement: 1,
        stall_after: Span::from_secs(60),
        sweep: SweepParams {
            overlap: 32,
            chunk: 2_000,
            interval: Span::from_secs(1),
            poll_interval: Span::from_secs(1),
            ended_interval: Span::from_secs(4),
            second_after: Span::from_secs(4),
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
    })
}

/// Whole USDC.
const fn usdc(whole: u128) -> Amount {
    Amount::from_base_units(whole * 1_000_000)
}

/// A wallet that may spend 2000 USDC for one payment, 5000 a day and 4000 for one recipient; more than 1000 needs an
/// approval.
pub(crate) fn funding_rules() -> FundingRules {
    FundingRules {
        limits: SpendLimits {
            enabled: true,
            auto: false,
            auto_max_per_day: None,
            max_per_payment: usdc(2_000),
            max_per_day: usdc(5_000),
            max_per_recipient: usdc(4_000),
            approval_above: usdc(1_000),
            approval_above_per_day: usdc(10_000_000),
            allowed_recipients: BTreeSet::new(),
            allowed_bank_accounts: BTreeSet::new(),
            allowed_addresses: [].into(),
            min_time_left: Span::from_secs(900),
        },
        preflight: PreflightParams {
            chain_name: "polygon".to_owned(),
            currency: "USDC".to_owned(),
            under: Amount::ZERO,
            min_time_left: Span::from_secs(900),
            reserve_token: Amount::ZERO,
            reserve_native: Wei::ZERO,
            fees: FeeParams { tip_floor: Wei::from_gwei(30), ceiling: Wei::from_gwei(500), gas_limit_max: 150_000 },
        },
        pace: FundingPace {
            hold_check: Span::from_secs(15),
            bump_after: Span::from_secs(20),
            rebroadcast_after: Span::from_secs(30),
            poll_interval: Span::from_secs(2),
            max_in_flight: 16,
            approval_valid_for: Span::from_secs(86_400),
        },
    }
}

/// The same settings, with a wallet.
pub(crate) fn wallet_settings() -> Arc<EngineSettings> {
    let settings = EngineSettings::clone(&engine_settings());
    Arc::new(EngineSettings { funding: Some(funding_rules()), ..settings })
}

/// What the tokens are called.
pub(crate) fn token_names() -> Vec<TokenName> {
    let named = |address, symbol: &str| TokenName { address, symbol: symbol.to_owned(), decimals: 6 };
    vec![named(USDC, "USDC"), named(rampwatch::sandbox::USDC_E, "USDC.e")]
}

/// A handle on a store that no engine runs over, without a payment API.
pub(crate) fn handle_on(store: &MemoryStore) -> OperatorService {
    handle_with(Arc::new(store.clone()), engine_settings())
}

/// The same with these settings.
pub(crate) fn handle_with(store: Arc<dyn Store>, settings: Arc<EngineSettings>) -> OperatorService {
    let (clock, chance) = (Arc::new(StillClock), Arc::new(SystemChance));
    OperatorService::offline(store, None, clock, chance, settings, Arc::new(Health::default()))
        .with_tokens(token_names())
}

/// The operator API, served. It ends with this value.
pub(crate) struct Desk {
    pub(crate) store: MemoryStore,
    pub(crate) handle: OperatorService,
    pub(crate) listen: SocketAddr,
    pub(crate) client: Client,
    /// At the socket, where nobody needs a token.
    pub(crate) local: Client,
    folder: TempDir,
    stop: CancellationToken,
    served: Mutex<Option<JoinHandle<std::io::Result<()>>>>,
}

impl Desk {
    /// Serves a new, empty store.
    pub(crate) async fn open() -> Self {
        let store = MemoryStore::new();
        let handle = handle_on(&store);
        Self::serve(store, handle).await
    }

    /// Serves a new store that knows a wallet and nothing else.
    pub(crate) async fn with_wallet() -> Self {
        let store = MemoryStore::new();
        store.commit(Commit { wallet: Some(wallet(7)), ..Commit::default() }).await.unwrap();
        let handle = handle_with(Arc::new(store.clone()), wallet_settings());
        Self::serve(store, handle).await
    }

    /// Serves this handle.
    pub(crate) async fn serve(store: MemoryStore, handle: OperatorService) -> Self {
        Self::serve_to(store, handle, &[]).await
    }

    /// Serves this handle to the machine's own token and to those of these people, with their roles.
    pub(crate) async fn serve_to(store: MemoryStore, handle: OperatorService, people: &[(&str, &[Role])]) -> Self {
        let folder = temp_dir();
        let mut tokens = Tokens::new(Token::load_or_create(&folder.path().join("operator-token")).unwrap());
        for (name, roles) in people {
            let file = folder.path().join(name);
            let token = Token::load_or_create(&file).unwrap();
            tokens = tokens.with(Actor::new(*name).unwrap(), roles.to_vec(), token, &file).unwrap();
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listen = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let operator = Operator {
            handle: handle.clone(),
            tokens: Arc::new(tokens),
            hosts: Arc::new([]),
            metrics: Arc::new(|| "rampwatch_test 1\n".to_owned()),
            lag: Span::from_secs(60),
            timeout: Span::from_secs(20),
        };
        let socket = folder.path().join("operator.sock");
        let bound = Socket::bind(&socket).await.unwrap();
        tokio::spawn(http::serve_local(bound, operator.clone(), stop.clone()));
        let served = Mutex::new(Some(tokio::spawn(http::serve(listener, operator, stop.clone()))));
        let client = Client::builder().no_proxy().build().unwrap();
        let local = Client::builder().no_proxy().unix_socket(socket.as_path()).build().unwrap();
        Self { store, handle, listen, client, local, folder, stop, served }
    }

    pub(crate) fn token_file(&self) -> PathBuf {
        self.folder.path().join("operator-token")
    }

    pub(crate) fn token(&self) -> String {
        std::fs::read_to_string(self.token_file()).unwrap().trim().to_owned()
    }

    /// Tells the API to stop.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until it has.
    pub(crate) async fn ended(&self) {
        let served = self.served.lock().unwrap().take().expect("it is waited for once");
        served.await.unwrap().unwrap();
    }

    /// The token of one of the people.
    pub(crate) fn token_of(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap().trim().to_owned()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.listen)
    }

    /// A URL for `local`.
    pub(crate) fn at_socket(path: &str) -> String {
        format!("http://localhost{path}")
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path)).bearer_auth(self.token())
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.client.post(self.url(path)).bearer_auth(self.token()).json(body)
    }

    /// The status and the JSON of an answer.
    pub(crate) async fn answer(&self, request: RequestBuilder) -> (u16, Value) {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
    }

    /// Adds the `n`th payment, typed: so many whole units at the `place`th address.
    pub(crate) async fn add(&self, id: &str, place: u64, amount: &str) {
        let (status, body) = self.answer(self.post("/v1/payments", &typed(id, place, amount))).await;
        assert_eq!(status, 200, "{body}");
    }

    /// Puts orders into the store, as the funder would have.
    pub(crate) async fn keep_orders(&self, orders: Vec<Order>) {
        self.store.commit(Commit { orders, ..Commit::default() }).await.unwrap();
    }

    /// Puts payments into the store, as `add` would have with an API that tells everything.
    pub(crate) async fn keep_payments(&self, payments: Vec<Payment>) {
        self.store.commit(Commit { payments, ..Commit::default() }).await.unwrap();
    }

    /// Puts deposits into the store, as the watcher would have.
    pub(crate) async fn keep(&self, deposits: Vec<Deposit>) {
        self.store.commit(Commit { deposits, ..Commit::default() }).await.unwrap();
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The body that adds a payment with everything typed.
pub(crate) fn typed(id: &str, place: u64, amount: &str) -> Value {
    json!({
        "id": id,
        "recipient_id": "rec-1",
        "deposit_address": address(place).to_string(),
        "amount": amount,
        "created_at": "2026-09-21T14:13:20Z",
    })
}
