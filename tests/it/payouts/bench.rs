//! An engine over the store in memory and the shop, in time that jumps to the next moment at which somebody acts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rampwatch::adapters::system::{SystemChance, SystemEntropy};
use rampwatch::domain::chain::B256;
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::engine::health::Health;
use rampwatch::engine::{self, EngineError, EngineSettings, PayoutPorts, Ports};
use rampwatch::policy::retry::RetryPolicy;
use rampwatch::ports::attachments::{AttachmentError, Attachments};
use rampwatch::ports::clock::Clock;
use rampwatch::ports::store::{Commit, Store as _};
use rampwatch::service::operator_service::OperatorService;
use rampwatch::view::payout::{Fund, PayoutRequest, PayoutView};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::shop::Shop;
use crate::support::desk::{token_names, wallet_settings};
use crate::support::memory_store::MemoryStore;
use crate::support::no_chain::NoChain;
use crate::support::points::Points;
use crate::support::records::{at, wallet, wallet_address};

/// Time since the bench was made. It goes on from life to life.
#[derive(Clone, Copy, Debug)]
pub(super) struct TestClock(tokio::time::Instant);

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        at(1_000_000).plus(Span::from_millis(u64::try_from(self.0.elapsed().as_millis()).unwrap()))
    }

    async fn sleep(&self, span: Span) {
        tokio::time::sleep(span.as_duration()).await;
    }
}

/// Files in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Drawer(Arc<Mutex<BTreeMap<B256, Vec<u8>>>>);

impl Drawer {
    pub(super) fn empty(&self) {
        self.0.lock().unwrap().clear();
    }
}

#[async_trait]
impl Attachments for Drawer {
    async fn put(&self, bytes: Vec<u8>) -> Result<B256, AttachmentError> {
        let digest = B256::left_padding_from(&bytes[..bytes.len().min(32)]);
        self.0.lock().unwrap().insert(digest, bytes);
        Ok(digest)
    }

    async fn get(&self, digest: B256) -> Result<Vec<u8>, AttachmentError> {
        self.0.lock().unwrap().get(&digest).cloned().ok_or(AttachmentError::Missing(digest))
    }
}

/// One store, one shop, and one engine after another.
pub(super) struct Bench {
    pub(super) store: MemoryStore,
    pub(super) shop: Shop,
    pub(super) clock: TestClock,
    pub(super) drawer: Drawer,
    pub(super) settings: EngineSettings,
}

/// One life of an engine.
pub(super) struct Life {
    pub(super) handle: OperatorService,
    pub(super) health: Arc<Health>,
    points: Arc<Points>,
    stop: CancellationToken,
    running: JoinHandle<Result<(), EngineError>>,
}

impl Bench {
    /// An empty store with a wallet, and a shop. The API's time-out is 2 s.
    pub(super) async fn new() -> Self {
        let clock = TestClock(tokio::time::Instant::now());
        let store = MemoryStore::new();
        store.commit(Commit { wallet: Some(wallet(7)), ..Commit::default() }).await.unwrap();
        let pace = RetryPolicy::for_timeout(Span::from_secs(2)).confirming_ends_after(Span::from_millis(300));
        let settings = EngineSettings { pace, ..EngineSettings::clone(&wallet_settings()) };
        Self { store, shop: Shop::open(clock), clock, drawer: Drawer::default(), settings }
    }

    /// Starts an engine that dies at the `nth` point; with 0 it lives.
    pub(super) fn start(&mut self, nth: u32) -> Life {
        let points = Arc::new(Points::until(nth));
        self.store = self.store.reopen();
        let shop = Arc::new(self.shop.for_life(&points));
        let entropy = Arc::new(SystemEntropy);
        let ports = Ports {
            store: Arc::new(self.store.clone().with_points(points.clone())),
            chain: Arc::new(NoChain),
            api: shop.clone(),
            off_ramp_api: Some(shop),
            clock: Arc::new(self.clock),
            chance: Arc::new(SystemChance),
            funding: None,
            payouts: Some(PayoutPorts { attachments: Arc::new(self.drawer.clone()), entropy }),
        };
        let (settings, health) = (Arc::new(self.settings.clone()), Arc::new(Health::default()));
        let handle = OperatorService::new(&ports, settings.clone(), health.clone()).with_tokens(token_names());
        let stop = CancellationToken::new();
        let running = tokio::spawn(engine::run(ports, settings, health.clone(), stop.clone()));
        Life { handle, health, points, stop, running }
    }
}

impl Life {
    pub(super) async fn place(&self, request: &PayoutRequest) -> PayoutView {
        self.handle.place_payout(request).await.unwrap()
    }

    pub(super) async fn show(&self, reference: &str) -> PayoutView {
        self.handle.show_payout(reference).await.unwrap()
    }

    /// Waits until the payout is as asked, for at most a day of the bench's time.
    pub(super) async fn until(&self, reference: &str, what: &str, is: impl Fn(&PayoutView) -> bool) -> PayoutView {
        let day = Duration::from_secs(86_400);
        let end = tokio::time::Instant::now() + day;
        loop {
            let view = self.show(reference).await;
            if is(&view) {
                return view;
            }
            assert!(tokio::time::Instant::now() < end, "never {what}: {view:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(super) async fn until_state(&self, reference: &str, state: &str) -> PayoutView {
        self.until(reference, state, |view| view.state == state).await
    }

    /// Waits until this life has ended at its point. Tells whether it did before `done`.
    pub(super) async fn dies_before(&self, done: impl Future<Output = ()>) -> bool {
        let mut dead = self.points.dead();
        tokio::select! {
            biased;
            _ = dead.wait_for(|dead| *dead) => true,
            () = done => false,
        }
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(60), self.running).await.unwrap().unwrap().unwrap();
    }

    /// Dies where it stands.
    pub(super) async fn kill(self) {
        self.running.abort();
        drop(self.running.await);
    }
}

/// 1000 USDC to Mexico, from the wallet's address.
pub(super) fn request(reference: &str, fund: Fund) -> PayoutRequest {
    PayoutRequest {
        reference: Some(reference.to_owned()),
        user: "user-1".to_owned(),
        recipient: "rec-1".to_owned(),
        bank_account: "bank-1".to_owned(),
        amount: "1000".to_owned(),
        destination_currency: "MXN".to_owned(),
        destination_rail: "SPEI".to_owned(),
        destination_country: "MX".to_owned(),
        from_address: Some(wallet_address().to_string()),
        reason: "RENT".to_owned(),
        fund,
        ..PayoutRequest::default()
    }
}
