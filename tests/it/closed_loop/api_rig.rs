//! The engine over a scripted node and the fake payment API, over HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use rampwatch::adapters::payment_http::{PaymentHttp, PaymentHttpSettings};
use rampwatch::adapters::system::SystemClock;
use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::Address;
use rampwatch::domain::event::EventKind;
use rampwatch::domain::payment::{Payment, PaymentId, PaymentState};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::engine::EngineSettings;
use rampwatch::engine::add::AddPayment;
use rampwatch::outbound::Outbound;
use rampwatch::policy::retry::RetryPolicy;
use rampwatch::sandbox::fake_api::{Behaviour, Call, Entry, FakeApi, FakeApiOptions, NewOffRamp, Shape};

use super::api::PlainApi;
use super::rig::{Rig, Ticker, now, place, quick_evm, quick_settings, urls};
use crate::support::memory_store::MemoryStore;
use crate::support::node::{Finalized, LogSpec, Node, NodeOptions, ScriptedChain};

/// The time-out of a call, in milliseconds.
pub(crate) const TIMEOUT_MS: u64 = 1_000;

/// Settings with a pace that fits the time-out.
fn settings() -> EngineSettings {
    let pace = RetryPolicy {
        api_timeout: Span::from_millis(TIMEOUT_MS),
        backoff_first: Span::from_millis(50),
        backoff_most: Span::from_millis(800),
        follow_first: Span::from_millis(50),
        follow_most: Span::from_millis(400),
        ask_every: Span::from_millis(500),
        ask_after_expiry: Span::from_millis(50),
        key_probe: Span::from_millis(400),
        end_confirm_after: Span::from_millis(200),
    };
    EngineSettings { pace, api_concurrency: 64, ..quick_settings() }
}

/// Everything, running.
pub(crate) struct ApiRig {
    pub(crate) chain: ScriptedChain,
    pub(crate) fake_api: FakeApi,
    pub(crate) rig: Rig,
    created: Timestamp,
    _node: Node,
    _ticker: Ticker,
}

impl ApiRig {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        Self::start_with(behaviour, |_| {}).await
    }

    /// The same, asking at another pace.
    pub(crate) async fn start_with(behaviour: Behaviour, change: impl FnOnce(&mut RetryPolicy)) -> Self {
        let chain = ScriptedChain::new();
        chain.append_empty(50);
        chain.set_finalized(Finalized::Below(3));
        let node = Node::start(&chain, NodeOptions::default());
        let fake_api = FakeApi::start(FakeApiOptions { behaviour, ..FakeApiOptions::default() }).await.unwrap();
        let api = PaymentHttpSettings {
            base_url: fake_api.base_url(),
            key: SecretString::from(fake_api.api_key()),
            connect_timeout: Span::from_millis(TIMEOUT_MS),
            timeout: Span::from_millis(TIMEOUT_MS),
            decimals: 6,
            webhook_secret: None,
            outbound: Outbound::local(),
        };
        let api = PaymentHttp::new(api, Arc::new(SystemClock)).unwrap();
        let evm = quick_evm(&[urls(&node)]);
        let mut settings = settings();
        change(&mut settings.pace);
        let rig = Rig::launch(evm, settings, MemoryStore::new(), Arc::new(api), PlainApi::default());
        let _ticker = Ticker::start(&chain, Duration::from_millis(20));
        Self { created: now(&chain), chain, fake_api, rig, _node: node, _ticker }
    }

    /// Opens an off-ramp of `n` base units at the `n`th place, and adds it, with all that the API may leave out.
    pub(crate) async fn expect(&self, n: u64) -> PaymentId {
        let id = PaymentId::new(format!("p-{n}")).unwrap();
        let opened = NewOffRamp {
            id: Some(id.clone()),
            deposit_address: Some(place(n)),
            amount: Amount::from_base_units(u128::from(n)),
            created_at: Some(self.created),
            // By this computer's clock as by the chain's.
            expires_at: Some(Timestamp::from_secs(4_000_000_000)),
            ..NewOffRamp::default()
        };
        let opened = self.fake_api.open(opened).unwrap();
        let request = AddPayment {
            id: id.clone(),
            recipient_id: opened.recipient_id,
            deposit_address: Some(place(n)),
            amount: Some(opened.amount.to_decimal(6)),
            sender: None,
            created_at: None,
            expires_at: None,
            deposit_chain: None,
        };
        self.rig.handle.add(request).await.unwrap();
        id
    }

    /// A transfer of `n` base units to the `n`th place, in the transaction with this label.
    pub(crate) fn transfer(n: u64) -> LogSpec {
        LogSpec::transfer(super::rig::USDC, Address::repeat_byte(0x11), place(n), u128::from(n))
    }

    /// The `/complete` calls for a payment.
    pub(crate) fn posts(&self, id: &PaymentId) -> Vec<Entry> {
        let journal = self.fake_api.journal();
        let mine = |entry: &Entry| entry.call == Call::Complete && entry.payment.as_deref() == Some(id.as_str());
        journal.into_iter().filter(mine).collect()
    }

    pub(crate) async fn payment(&self, id: &PaymentId) -> Payment {
        self.rig.payment(id).await
    }

    /// The states that the payment went through, by name.
    pub(crate) fn way(&self, id: &PaymentId) -> Vec<PaymentState> {
        let contents = self.rig.store.contents();
        let moves = contents.events.into_iter().filter(|recorded| recorded.event.payment.as_ref() == Some(id));
        moves
            .filter_map(|recorded| match recorded.event.kind {
                EventKind::PaymentMoved { to, .. } => Some(*to),
                _ => None,
            })
            .collect()
    }

    /// Stops everything, and checks that no payment was completed twice, none with a transaction that is not its own,
    /// and none while nothing said that it was open.
    pub(crate) async fn stop(self) {
        let own: BTreeMap<String, Vec<String>> = {
            let contents = self.rig.store.contents();
            let mut own: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for deposit in contents.deposits.values() {
                for payment in contents.payments.values() {
                    let fits = payment.terms.deposit_address == deposit.to && payment.terms.amount == deposit.amount;
                    if fits {
                        own.entry(payment.id.to_string()).or_default().push(deposit.key.tx_hash.to_string());
                    }
                }
            }
            own
        };
        for off_ramp in self.fake_api.off_ramps() {
            let tally = off_ramp.tally;
            assert!(tally.accepted <= 1, "{} was completed twice", off_ramp.id);
            assert_eq!(tally.calls_after_accepted, 0, "{} was called after it had been completed", off_ramp.id);
        }
        for entry in self.fake_api.journal().iter().filter(|entry| entry.call == Call::Complete) {
            let (id, hash) = (entry.payment.as_ref().unwrap(), entry.transaction_hash.as_ref().unwrap());
            let own = own.get(id).is_some_and(|own| own.contains(hash));
            assert!(own, "{id} was called with {hash}, which is not its own");
        }
        self.rig.stop().await;
        self.fake_api.stop().await.unwrap();
    }
}

/// Both of the API's shapes.
pub(crate) const SHAPES: [Shape; 2] = [Shape::Guide, Shape::Reference];
