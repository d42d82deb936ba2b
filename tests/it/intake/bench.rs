//! An engine that reads no chain, over a store of the test's own and the shop.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use rampwatch::adapters::system::{SystemChance, SystemClock};
use rampwatch::domain::candidate::Candidate;
use rampwatch::domain::event::{Event, EventKind};
use rampwatch::domain::payment::{Payment, PaymentId, RecipientId, UserId};
use rampwatch::domain::record::{RecordBody, RecordKey, RecordKind};
use rampwatch::domain::time::Span;
use rampwatch::engine::health::Health;
use rampwatch::engine::{self, EngineError, EngineSettings, IntakeRules, Ports};
use rampwatch::policy::retry::RetryPolicy;
use rampwatch::ports::store::{Store, Subject};
use rampwatch::service::operator_service::OperatorService;

use super::shop::Shop;
use crate::support::desk::engine_settings;
use crate::support::eventually;
use crate::support::memory_store::MemoryStore;
use crate::support::no_chain::NoChain;
use crate::support::records::payment_id;

/// How long a condition may take.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// Follows user `u-1`, quickly.
pub(super) fn following(users: &[&str], recipients: &[&str]) -> EngineSettings {
    let pace = RetryPolicy {
        ask_every: Span::from_millis(400),
        backoff_first: Span::from_millis(50),
        end_confirm_after: Span::from_millis(200),
        ..RetryPolicy::for_timeout(Span::from_secs(2))
    };
    let intake = IntakeRules {
        users: users.iter().map(|id| UserId::new(*id).unwrap()).collect(),
        recipients: recipients.iter().map(|id| RecipientId::new(*id).unwrap()).collect(),
        interval: Span::from_millis(100),
        currency: "USDC".to_owned(),
    };
    EngineSettings { pace, intake, ..EngineSettings::clone(&engine_settings()) }
}

/// An engine that runs.
pub(super) struct Bench {
    pub(super) store: Arc<dyn Store>,
    pub(super) handle: OperatorService,
    pub(super) health: Arc<Health>,
    pub(super) shop: Shop,
    stop: CancellationToken,
    running: JoinHandle<Result<(), EngineError>>,
}

impl Bench {
    /// Over an empty store in memory, following user `u-1`.
    pub(super) fn start(shop: &Shop) -> Self {
        Self::over(Arc::new(MemoryStore::new()), shop, following(&["u-1"], &[]))
    }

    pub(super) fn over(store: Arc<dyn Store>, shop: &Shop, settings: EngineSettings) -> Self {
        let ports = Ports {
            store: store.clone(),
            chain: Arc::new(NoChain),
            api: Arc::new(shop.clone()),
            off_ramp_api: Some(Arc::new(shop.clone())),
            clock: Arc::new(SystemClock),
            chance: Arc::new(SystemChance),
            funding: None,
            payouts: None,
        };
        let (settings, health) = (Arc::new(settings), Arc::new(Health::default()));
        let handle = OperatorService::new(&ports, settings.clone(), health.clone());
        let stop = CancellationToken::new();
        let running = tokio::spawn(engine::run(ports, settings, health.clone(), stop.clone()));
        Self { store, handle, health, shop: shop.clone(), stop, running }
    }

    pub(super) async fn payment(&self, n: u64) -> Option<Payment> {
        self.store.payment(&payment_id(n)).await.unwrap()
    }

    pub(super) async fn candidate(&self, n: u64) -> Option<Candidate> {
        let key = RecordKey { kind: RecordKind::Candidate, id: payment_id(n).to_string() };
        self.store.record(&key).await.unwrap().map(|record| match record.body {
            RecordBody::Candidate(candidate) => candidate,
            other => panic!("a lead, and not {other:?}"),
        })
    }

    /// What was told of the payment's lead, in order.
    pub(super) async fn told(&self, n: u64) -> Vec<String> {
        let events = self.store.events_of(&Subject::Payment(payment_id(n)), 0, 99).await.unwrap();
        let why = |event: Event| match event.kind {
            EventKind::RecordChanged { why, .. } => Some(why),
            _ => None,
        };
        events.into_iter().filter_map(|recorded| why(recorded.event)).collect()
    }

    pub(super) async fn until_taken_up(&self, n: u64) -> Payment {
        let id: PaymentId = payment_id(n);
        eventually(LIMIT, &format!("payment {id} is taken up"), || async { self.payment(n).await.is_some() }).await;
        self.payment(n).await.unwrap()
    }

    /// Waits until the candidate is in the state with this name.
    pub(super) async fn until_candidate(&self, n: u64, state: &str) -> Candidate {
        let what = format!("lead {n} is {state}");
        let is = || async { self.candidate(n).await.is_some_and(|candidate| candidate.state.name() == state) };
        eventually(LIMIT, &what, is).await;
        self.candidate(n).await.unwrap()
    }

    /// Waits until the lists were read so many times more.
    pub(super) async fn rounds(&self, more: u32) {
        let wanted = self.shop.held().lists + more;
        eventually(LIMIT, "the lists are read", || async { self.shop.held().lists >= wanted }).await;
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(LIMIT, self.running).await.unwrap().unwrap().unwrap();
    }

    /// Dies where it stands.
    pub(super) async fn kill(self) {
        self.running.abort();
        drop(self.running.await);
    }
}
