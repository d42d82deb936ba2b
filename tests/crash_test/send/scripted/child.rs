//! The process that dies: the engine of the library over a real store in a folder, a real node and the fake API,
//! with a point at every commit and every call. It does what its parent writes to its standard input, line by line, and
//! answers each line with one; when the input ends, it ends in order.

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rampwatch::adapters::evm::{CoolDown, EndpointSettings, EvmChain, EvmSettings, KnownToken};
use rampwatch::adapters::payment_http::{PaymentHttp, PaymentHttpSettings};
use rampwatch::adapters::signer::{KeyOrigin, LocalSigner, SignerSettings};
use rampwatch::adapters::system::{SystemChance, SystemClock};
use rampwatch::domain::operator::Operator;
use rampwatch::domain::order::Order;
use rampwatch::domain::payment::PaymentId;
use rampwatch::domain::time::Span;
use rampwatch::domain::wallet::Wallet;
use rampwatch::engine::add::AddPayment;
use rampwatch::engine::health::Health;
use rampwatch::engine::{self, FundingPorts, Ports};
use rampwatch::outbound::Outbound;
use rampwatch::ports::store::Store;
use rampwatch::sandbox::fake_api::OffRamp;
use rampwatch::sandbox::{CHAIN_ID, USDC, USDC_E, WALLET, WALLET_KEY_ENV, wallet_key};
use rampwatch::service::operator_service::OperatorService;
use rampwatch::service::orders::{ApproveRequest, FundRequest};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::points::{Death, Points};
use super::settings::settings;
use super::store::MortalStore;
use super::ways::Mortal;
use crate::send::aftermath::open;

/// What a child is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) node: String,
    pub(crate) api: String,
    pub(crate) api_key: String,
    pub(crate) store: PathBuf,
    pub(crate) trace: PathBuf,
    pub(crate) death: Option<Death>,
}

/// A line from the parent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    /// Adds a payment.
    Add(Box<OffRamp>),
    /// Funds it; passes count from now on.
    Fund(Box<OffRamp>),
    /// Cancels an order.
    Cancel(String),
    /// Approves an order.
    Approve(String),
    /// Tells how a payment is.
    Look(PaymentId),
}

/// How a payment is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Look {
    /// The state's name, and the outcome's, once it is added.
    pub(crate) payment: Option<String>,
    /// Whether its address has been read.
    pub(crate) swept: bool,
    pub(crate) orders: Vec<Order>,
    pub(crate) wallet: Option<Wallet>,
}

/// Runs the child.
pub(crate) async fn child(orders: &str) -> ExitCode {
    let orders: Orders = serde_json::from_str(orders).unwrap();
    let points = Arc::new(Points::new(&orders.trace, orders.death.clone()));
    let (ports, store) = ports(&orders, &points).await;
    let settings = Arc::new(settings());
    let health = Arc::new(Health::default());
    let handle = OperatorService::new(&ports, Arc::clone(&settings), Arc::clone(&health));
    let stop = CancellationToken::new();
    let mut engine = tokio::spawn(engine::run(ports, settings, health, stop.clone()));
    let (lines, mut asked) = tokio::sync::mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    loop {
        let line = tokio::select! {
            line = asked.recv() => line,
            ended = &mut engine => {
                eprintln!("the engine ended by itself: {ended:?}");
                return ExitCode::from(3);
            }
        };
        let Some(line) = line else { break };
        let answer: Result<Look, String> =
            answer(&handle, &*store, &points, serde_json::from_str(&line).unwrap()).await;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", serde_json::to_string(&answer).unwrap()).unwrap();
        out.flush().unwrap();
    }
    stop.cancel();
    match engine.await {
        Ok(Ok(())) => ExitCode::SUCCESS,
        other => {
            eprintln!("the engine did not end well: {other:?}");
            ExitCode::from(4)
        }
    }
}

async fn answer(handle: &OperatorService, store: &dyn Store, points: &Points, ask: Ask) -> Result<Look, String> {
    match ask {
        Ask::Add(off_ramp) => {
            let request = AddPayment {
                id: off_ramp.id.clone(),
                recipient_id: off_ramp.recipient_id.clone(),
                deposit_address: None,
                amount: None,
                sender: None,
                created_at: None,
                expires_at: None,
                deposit_chain: None,
            };
            handle.add(request).await.map_err(|error| error.to_string())?;
            Ok(Look::default())
        }
        Ask::Fund(off_ramp) => {
            points.arm();
            let request = FundRequest {
                payment: off_ramp.id.to_string(),
                to: off_ramp.deposit_address.to_checksum(None),
                base_units: off_ramp.amount,
            };
            handle.fund(&request).await.map_err(|error| error.to_string())?;
            Ok(Look::default())
        }
        Ask::Cancel(order) => {
            handle.cancel_order(&order, "the story wants it").await.map_err(|error| error.to_string())?;
            Ok(Look::default())
        }
        Ask::Approve(order) => {
            let shown = handle.show_order(&order).await.map_err(|error| error.to_string())?;
            let request = ApproveRequest::of(&shown, "the story wants it paid");
            handle.approve(&order, &request).await.map_err(|error| error.to_string())?;
            Ok(Look::default())
        }
        Ask::Look(id) => look(store, &id).await.map_err(|error| error.to_string()),
    }
}

/// Reads how a payment is.
pub(crate) async fn look(store: &dyn Store, id: &PaymentId) -> Result<Look, rampwatch::ports::store::StoreError> {
    let payment = store.payment(id).await?;
    let coverage = match &payment {
        Some(payment) => store.coverage(payment.terms.deposit_address).await?,
        None => None,
    };
    let named = |payment: rampwatch::domain::payment::Payment| match payment.state {
        rampwatch::domain::payment::PaymentState::Ended { outcome, .. } => format!("ended {outcome:?}"),
        state => state.name().to_owned(),
    };
    Ok(Look {
        payment: payment.map(named),
        swept: coverage.is_some_and(|coverage| coverage.swept.is_some()),
        orders: store.orders_of(id).await?,
        wallet: store.wallet().await?,
    })
}

async fn ports(orders: &Orders, points: &Arc<Points>) -> (Ports, Arc<MortalStore>) {
    let store = open(&orders.store).await.unwrap();
    let store = Arc::new(MortalStore { inner: store, points: Arc::clone(points) });
    let clock = Arc::new(SystemClock);
    let chain = Arc::new(EvmChain::new(evm_settings(&orders.node)).unwrap());
    chain.check().await.unwrap();
    let origin = KeyOrigin::Raw { variable: WALLET_KEY_ENV.to_owned(), key: SecretString::from(wallet_key()) };
    let signer = LocalSigner::open(SignerSettings { origin, address: Some(WALLET) }).await.unwrap();
    let api = PaymentHttpSettings {
        base_url: orders.api.clone(),
        key: SecretString::from(orders.api_key.clone()),
        connect_timeout: Span::from_secs(2),
        timeout: settings().pace.api_timeout,
        decimals: 6,
        webhook_secret: None,
        outbound: Outbound::local(),
    };
    let api = PaymentHttp::new(api, clock.clone()).unwrap();
    let sender = Arc::new(Mortal { inner: Arc::clone(&chain), points: Arc::clone(points) });
    let ports = Ports {
        store: store.clone(),
        chain: sender.clone(),
        api: Arc::new(Mortal { inner: api, points: Arc::clone(points) }),
        off_ramp_api: None,
        clock,
        chance: Arc::new(SystemChance),
        funding: Some(FundingPorts { sender, signer: Arc::new(Mortal { inner: signer, points: Arc::clone(points) }) }),
        payouts: None,
    };
    (ports, store)
}

fn evm_settings(node: &str) -> EvmSettings {
    EvmSettings {
        chain_id: CHAIN_ID,
        tokens: [("chain.token", USDC), ("chain.other_tokens[0]", USDC_E)]
            .map(|(setting, address)| KnownToken { setting: setting.to_owned(), address, decimals: 6 })
            .to_vec(),
        endpoints: vec![EndpointSettings {
            name: "anvil".to_owned(),
            operator: Operator::named("anvil"),
            http: Some(SecretString::from(node.to_owned())),
            ws: None,
        }],
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(10),
        silence_timeout: Duration::from_secs(60),
        max_block_range: 500,
        max_addresses: 1_000,
        max_in_flight: 8,
        cool_down: CoolDown { first: Duration::from_millis(50), longest: Duration::from_secs(1) },
        outbound: Outbound::local(),
    }
}
