//! An engine with an inlet, over a payment API that says what the test wants.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use rampwatch::adapters::system::{SystemChance, SystemClock};
use rampwatch::config::{Algorithm, Encoding, InletSettings};
use rampwatch::domain::chain::B256;
use rampwatch::domain::payment::{ApiStatus, Payment, PaymentId, PaymentState, RecipientId};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::engine::health::Health;
use rampwatch::engine::{self, Ports};
use rampwatch::http::inlet;
use rampwatch::ports::clock::Clock as _;
use rampwatch::ports::payment_api::{ApiError, ApiPayment, PaymentApi};
use rampwatch::ports::store::{Commit, Store as _};
use rampwatch::service::operator_service::OperatorService;
use reqwest::{Client, RequestBuilder, StatusCode};
use secrecy::SecretString;
use sha2::{Sha256, Sha512};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::support::desk::engine_settings;
use crate::support::memory_store::{Contents, MemoryStore};
use crate::support::no_chain::NoChain;
use crate::support::records::{deposit_key, payment, payment_id};

pub(super) const SECRET: &str = "theSharedSecret_90210";

/// The payment API: what it says of each payment, and how often it was asked.
#[derive(Default)]
struct Api {
    said: Mutex<BTreeMap<PaymentId, ApiStatus>>,
    asked: Mutex<Vec<PaymentId>>,
}

#[async_trait]
impl PaymentApi for Api {
    async fn payment(&self, id: &PaymentId) -> Result<ApiPayment, ApiError> {
        self.asked.lock().unwrap().push(id.clone());
        let status = self.said.lock().unwrap().get(id).cloned().unwrap_or(ApiStatus::Processing);
        Ok(ApiPayment::new(id.clone(), status))
    }

    async fn complete(&self, _: &RecipientId, _: &PaymentId, _: B256) -> Result<ApiPayment, ApiError> {
        panic!("nobody completes on a delivery's word")
    }
}

/// How the inlet is set up unless a test says otherwise.
pub(super) fn settings() -> InletSettings {
    InletSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        header: "x-sentra-signature".to_owned(),
        algorithm: Algorithm::HmacSha256,
        encoding: Encoding::Hex,
        prefix: "sha256=".to_owned(),
        timestamp_header: None,
        tolerance: Span::from_secs(300),
        max_body: 65_536,
        rate: 20,
    }
}

pub(super) fn now() -> Timestamp {
    SystemClock.now()
}

/// The HMAC of a text.
pub(super) fn sha256(secret: &str, text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

pub(super) fn sha512_base64(secret: &str, text: &[u8]) -> String {
    let mut mac = Hmac::<Sha512>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text);
    STANDARD.encode(mac.finalize().into_bytes())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) struct Rig {
    pub(super) store: MemoryStore,
    pub(super) address: SocketAddr,
    pub(super) client: Client,
    api: Arc<Api>,
    metrics: PrometheusHandle,
    _recording: metrics::LocalRecorderGuard<'static>,
    stop: CancellationToken,
}

impl Rig {
    pub(super) async fn start() -> Self {
        Self::with(settings()).await
    }

    /// Starts it all on this test's one thread, so that what it counts is this test's own.
    pub(super) async fn with(settings: InletSettings) -> Self {
        Self::with_secrets(settings, &[SECRET]).await
    }

    /// The same with these secrets, the present one first.
    pub(super) async fn with_secrets(settings: InletSettings, secrets: &[&str]) -> Self {
        let secrets: Vec<SecretString> = secrets.iter().map(|secret| SecretString::from(*secret)).collect();
        let recorder: &'static _ = Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
        let (metrics, recording) = (recorder.handle(), metrics::set_default_local_recorder(recorder));
        let (store, api) = (MemoryStore::new(), Arc::new(Api::default()));
        let ports = Ports {
            store: Arc::new(store.clone()),
            chain: Arc::new(NoChain),
            api: api.clone(),
            off_ramp_api: None,
            payouts: None,
            clock: Arc::new(SystemClock),
            chance: Arc::new(SystemChance),
            funding: None,
        };
        let (health, stop) = (Arc::new(Health::default()), CancellationToken::new());
        let handle = OperatorService::new(&ports, engine_settings(), health.clone());
        tokio::spawn(engine::run(ports, engine_settings(), health, stop.clone()));
        let listener = TcpListener::bind(settings.listen).await.unwrap();
        let address = listener.local_addr().unwrap();
        let end = stop.clone();
        tokio::spawn(async move {
            inlet::serve(listener, &settings, &secrets, handle, end).await.unwrap();
        });
        let client = Client::builder().no_proxy().build().unwrap();
        Self { store, address, client, api, metrics, _recording: recording, stop }
    }

    /// The nth payment, in this state, to be looked at again in an hour.
    pub(super) async fn keep(&self, n: u64, state: PaymentState) {
        let next_at = Some(now().plus(Span::from_secs(3_600)));
        let taken = Some(matches!(state, PaymentState::Following { .. }));
        let payments = vec![Payment { state, next_at, taken, ..payment(n) }];
        self.store.commit(Commit { payments, ..Commit::default() }).await.unwrap();
    }

    /// The nth payment, which the API has in hand.
    pub(super) async fn follow(&self, n: u64) {
        self.keep(n, PaymentState::Following { deposit: Some(deposit_key(n)) }).await;
    }

    /// What the API says of the nth payment from now on.
    pub(super) fn says(&self, n: u64, status: ApiStatus) {
        self.api.said.lock().unwrap().insert(payment_id(n), status);
    }

    /// After which payments the API was asked.
    pub(super) fn asked(&self) -> Vec<PaymentId> {
        self.api.asked.lock().unwrap().clone()
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A delivery without a signature.
    pub(super) fn bare(&self, body: &str) -> RequestBuilder {
        self.client.post(self.url(inlet::PATH)).body(body.to_owned())
    }

    /// A delivery with the right one.
    pub(super) fn signed(&self, body: &str) -> RequestBuilder {
        self.bare(body).header("x-sentra-signature", format!("sha256={}", hex(&sha256(SECRET, body.as_bytes()))))
    }

    pub(super) async fn status(request: RequestBuilder) -> StatusCode {
        request.send().await.unwrap().status()
    }

    /// How many deliveries came to this.
    pub(super) fn counted(&self, result: &str) -> u64 {
        self.count(&format!("rampwatch_deliveries_total{{result=\"{result}\"}} "))
    }

    /// How many hints came to this.
    pub(super) fn hinted(&self, result: &str) -> u64 {
        self.count(&format!("rampwatch_hints_total{{result=\"{result}\"}} "))
    }

    fn count(&self, series: &str) -> u64 {
        let text = self.metrics.render();
        text.lines().find_map(|line| line.strip_prefix(series)).map_or(0, |count| count.parse().unwrap())
    }

    pub(super) fn contents(&self) -> Contents {
        self.store.contents()
    }

    pub(super) async fn state(&self, n: u64) -> PaymentState {
        self.store.payment(&payment_id(n)).await.unwrap().unwrap().state
    }

    /// Lets whatever wants to happen happen.
    pub(super) async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A delivery that says that the nth payment is completed, with a hash and an amount of its own.
pub(super) fn claims(n: u64) -> String {
    let id = payment_id(n);
    format!(
        "{{\"event\":\"payment.updated\",\"data\":{{\"id\":\"{id}\",\"status\":\"COMPLETED\",\"transactionHash\":\"0xbad\",\
         \"depositAmount\":1}}}}"
    )
}
