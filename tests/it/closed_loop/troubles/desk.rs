//! Puts the engine over a chain and a clock of the test's own, and takes it down again.

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use rampwatch::adapters::system::SystemChance;
use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::Address;
use rampwatch::domain::payment::{ApiStatus, Payment, PaymentId, RecipientId};
use rampwatch::domain::time::Timestamp;
use rampwatch::engine::handle::{AddPayment, Handle};
use rampwatch::engine::health::Health;
use rampwatch::engine::{self, EngineError, EngineSettings, Ports};
use rampwatch::ports::chain::Chain;
use rampwatch::ports::clock::Clock;
use rampwatch::ports::payment_api::ApiPayment;
use rampwatch::ports::store::Store;

use super::super::rig::LIMIT;
use super::api::Api;
use crate::support::eventually;
use crate::support::memory_store::MemoryStore;

/// An engine that runs.
pub(crate) struct Desk {
    pub(crate) api: Api,
    pub(crate) store: MemoryStore,
    pub(crate) handle: Handle,
    stop: CancellationToken,
    running: JoinHandle<Result<(), EngineError>>,
}

impl Desk {
    /// Starts an engine that reads this chain and goes by this clock.
    pub(crate) fn open(
        chain: Arc<dyn Chain>,
        clock: Arc<dyn Clock>,
        settings: EngineSettings,
        store: MemoryStore,
        api: Api,
    ) -> Self {
        let chance = Arc::new(SystemChance);
        let ports = Ports { store: Arc::new(store.clone()), chain, api: Arc::new(api.clone()), clock, chance };
        let settings = Arc::new(settings);
        let health = Arc::new(Health::default());
        let handle = Handle::new(&ports, settings.clone(), health.clone());
        let stop = CancellationToken::new();
        let running = tokio::spawn(engine::run(ports, settings, health, stop.clone()));
        Self { api, store, handle, stop, running }
    }

    /// Opens an off-ramp at the API and adds it.
    pub(crate) async fn add(&self, id: &str, to: Address, base_units: u128, created_at: Timestamp) -> PaymentId {
        let id = PaymentId::new(id).unwrap();
        let recipient = RecipientId::new("recipient").unwrap();
        self.api.open(ApiPayment {
            id: id.clone(),
            status: ApiStatus::AwaitingFunds,
            tx_hash: None,
            recipient_id: Some(recipient.clone()),
            deposit_address: Some(to),
            deposit_amount: Some(Amount::from_base_units(base_units)),
            deposit_chain: Some("POLYGON".to_owned()),
            sender: None,
            created_at: Some(created_at),
            expires_at: None,
        });
        let request = AddPayment {
            id: id.clone(),
            recipient_id: recipient,
            deposit_address: None,
            amount: None,
            sender: None,
            created_at: None,
            expires_at: None,
        };
        self.handle.add(request).await.unwrap();
        id
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

    /// Dies in the middle of whatever it does: nothing is finished, the store keeps what was committed.
    pub(crate) async fn crash(self) -> MemoryStore {
        self.running.abort();
        let _ = self.running.await;
        self.store.reopen()
    }

    /// Stops in good order.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
    }
}
