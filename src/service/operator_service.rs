//! The engine's handle: what operators and programs may ask of it, whether the daemon runs or only the store is open.
//!
//! Deliberately absent: HTTP and terminals; `http` and `cli` drive this.

use std::sync::Arc;

use crate::domain::actor::Actor;
use crate::domain::chain::Address;
use crate::domain::deposit::DepositKey;
use crate::domain::payment::{Payment, Provenance};
use crate::engine::add::{AddPayment, Adder, Adding};
use crate::engine::address_repository::{AddressRepository, AddressUnit, RepositoryError};
use crate::engine::health::Health;
use crate::engine::payout_repository::PayoutRepository;
use crate::engine::{EngineSettings, FundingPorts, PayoutPorts, Ports};
use crate::policy::approval::Approvers;
use crate::policy::payment_machine::Context;
use crate::policy::requests::Demand;
use crate::policy::resolve::{Decision, ResolveError, Said, resolve};
use crate::ports::chain::Chain;
use crate::ports::clock::{Chance, Clock};
use crate::ports::off_ramp_api::OffRampApi;
use crate::ports::payment_api::{ApiError, ApiPayment, PaymentApi};
use crate::ports::store::Store;
use crate::service::operator_calls::Demands;
pub use crate::service::operator_error::OperatorError;
use crate::service::repeats::RecentPayouts;
use crate::view::TokenName;

/// What operators may ask of the engine.
#[derive(Clone)]
pub struct OperatorService {
    pub(crate) store: Arc<dyn Store>,
    api: Option<Arc<dyn PaymentApi>>,
    pub(crate) off_ramp_api: Option<Arc<dyn OffRampApi>>,
    pub(crate) clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    pub(crate) settings: Arc<EngineSettings>,
    /// What tokens are called in what is shown; set by `with_tokens`.
    pub(crate) tokens: Arc<[TokenName]>,
    pub(crate) addresses: AddressRepository,
    /// The chain, where an engine runs.
    pub(crate) chain: Option<Arc<dyn Chain>>,
    pub(crate) health: Arc<Health>,
    /// The chain, and the ways out of funding, where an engine runs that has a wallet.
    pub(crate) wallet_ports: Option<(Arc<dyn Chain>, FundingPorts)>,
    /// What payouts need besides.
    pub(crate) payouts: Option<PayoutPorts>,
    /// What was placed of late, which later payouts may repeat.
    pub(crate) recent: RecentPayouts,
    /// Who asks; set by `acting_as`.
    pub(crate) actor: Actor,
    /// What each name may still ask of the payment API.
    pub(crate) demands: Demands,
    /// Where deliveries of webhooks reach this program; set by `with_public_url`.
    pub(crate) public_url: Option<String>,
    /// Who there is to approve; set by `with_approvers`.
    pub(crate) approvers: Approvers,
}

impl OperatorService {
    /// A handle on a running engine.
    #[must_use]
    pub fn new(ports: &Ports, settings: Arc<EngineSettings>, health: Arc<Health>) -> Self {
        let Ports { store, api, off_ramp_api, clock, chance, chain, funding, payouts } = ports.clone();
        let handle = Self::offline(store, Some(api), clock, chance, settings, health);
        let wallet_ports = funding.map(|funding| (Arc::clone(&chain), funding));
        Self { wallet_ports, chain: Some(chain), off_ramp_api, payouts, ..handle }
    }

    /// The same handle, able to place payouts although no engine runs.
    #[must_use]
    pub fn with_payouts(self, payouts: PayoutPorts) -> Self {
        Self { payouts: Some(payouts), ..self }
    }

    pub(crate) fn payout_repository(&self) -> PayoutRepository {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        PayoutRepository { store, clock, chance: self.chance.clone(), settings: self.settings.clone() }
    }

    /// A handle on a store that no engine runs over. Without an API only typed payments can be added.
    #[must_use]
    pub fn offline(
        store: Arc<dyn Store>,
        api: Option<Arc<dyn PaymentApi>>,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
        settings: Arc<EngineSettings>,
        health: Arc<Health>,
    ) -> Self {
        let addresses = AddressRepository::new(store.clone(), clock.clone(), chance.clone(), settings.clone());
        Self {
            store,
            api,
            off_ramp_api: None,
            clock,
            chance,
            settings,
            tokens: Arc::default(),
            addresses,
            health,
            chain: None,
            wallet_ports: None,
            payouts: None,
            recent: RecentPayouts::default(),
            demands: Demands::default(),
            public_url: None,
            actor: Actor::local(),
            approvers: Approvers::LocalOnly,
        }
    }

    /// The same handle for somebody else: what it changes is kept with this name. Without it, [`Actor::local`] asks.
    #[must_use]
    pub fn acting_as(&self, actor: &Actor) -> Self {
        Self { actor: actor.clone(), ..self.clone() }
    }

    /// The same handle, knowing who there is to approve. Without it, only the machine's own token can.
    #[must_use]
    pub fn with_approvers(self, approvers: Approvers) -> Self {
        Self { approvers, ..self }
    }

    /// The same handle, knowing where deliveries of webhooks reach this program. Without it, no webhook can be registered.
    #[must_use]
    pub fn with_public_url(self, public_url: Option<String>) -> Self {
        Self { public_url, ..self }
    }

    /// The same handle with the rest of the payment API, for rates, quotes and webhooks.
    #[must_use]
    pub fn with_off_ramp_api(self, off_ramp_api: Option<Arc<dyn OffRampApi>>) -> Self {
        Self { off_ramp_api, ..self }
    }

    /// Refuses what a person asks for and shadow mode keeps from happening, before anything is stored of it.
    pub(crate) fn refuse_in_shadow(&self, what: &str) -> Result<(), OperatorError> {
        if self.settings.mode.acts() {
            return Ok(());
        }
        Err(OperatorError::Refused(format!("in shadow mode {what}: restart rampwatch without it")))
    }

    /// How the engine is.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Adds a payment, so that its deposit is looked for from its creation on. Adding the same payment again changes
    /// nothing and returns it as it stands.
    ///
    /// # Errors
    /// When the API does not know it, what the API leaves out was not given, or the payment is known with other terms.
    pub async fn add(&self, request: AddPayment) -> Result<Payment, OperatorError> {
        self.count(Demand::Look)?;
        let said = self.ask_api(&request).await?;
        let recipient_from = self.whose_word(&request, said.as_ref()).await?;
        let by = Adder::Person { recipient_from, name: self.actor.clone() };
        Ok(self.adding().add(&request, said, &by).await?)
    }

    fn adding(&self) -> Adding {
        Adding { addresses: self.addresses.clone(), payouts: self.payout_repository() }
    }

    /// Whether the API confirms whose payment it is: by its answer, or by that recipient's own list. A list that cannot be read
    /// confirms nothing, and keeps no payment from being added.
    async fn whose_word(&self, request: &AddPayment, said: Option<&ApiPayment>) -> Result<Provenance, OperatorError> {
        let Some(said) = said else { return Ok(Provenance::Typed) };
        if said.recipient_id.is_some() {
            return Ok(Provenance::Api);
        }
        let Some(api) = &self.off_ramp_api else { return Ok(Provenance::Typed) };
        let listing =
            self.through_gate(request.recipient_id.as_str(), api.payments_of_recipient(&request.recipient_id)).await?;
        Ok(match listing {
            Ok(listing) if listing.payments.iter().any(|listed| listed.id == request.id) => Provenance::Api,
            Ok(_) => Provenance::Typed,
            Err(error) => {
                let (payment_id, recipient) = (&request.id, &request.recipient_id);
                tracing::warn!(%payment_id, %recipient, %error, "the recipient's list cannot be read: the recipient counts as typed");
                Provenance::Typed
            }
        })
    }

    /// What the API says of the payment. Without an API everything has to be typed.
    async fn ask_api(&self, request: &AddPayment) -> Result<Option<ApiPayment>, OperatorError> {
        let Some(api) = &self.api else { return Ok(None) };
        match self.through_gate(request.id.as_str(), api.payment(&request.id)).await? {
            Ok(said) => Ok(Some(said)),
            Err(ApiError::NotFound { .. }) => Err(OperatorError::UnknownToApi(format!("payment {}", request.id))),
            Err(error) => Err(OperatorError::Api(error)),
        }
    }

    /// Carries out a person's decision. The reason is kept.
    ///
    /// # Errors
    /// When the deposit or payment is not known, or the rules forbid it.
    pub async fn resolve(&self, decision: &Decision, reason: &str) -> Result<(), OperatorError> {
        if matches!(decision, Decision::Retry { .. }) {
            self.count(Demand::Look)?;
        }
        let address = match decision {
            Decision::Assign { deposit, .. } | Decision::Ignore { deposit } => self.address_of(deposit).await?,
            Decision::Retry { payment } | Decision::Cancel { payment } => {
                let found = self.store.payment(payment).await?;
                found.ok_or_else(|| OperatorError::NotFound(format!("payment {payment}")))?.terms.deposit_address
            }
        };
        let decide = |unit: &mut AddressUnit, context: &Context<'_>| {
            // A wish to look again is a new version of the payment, so that an answer under way does not swallow it, even
            // if nothing else changes by it.
            unit.touch_payments = matches!(decision, Decision::Retry { .. });
            resolve(&mut unit.book, decision, Said { by: &self.actor, reason }, context)
        };
        self.addresses.change(address, decide).await.map_err(not_resolved)?;
        Ok(())
    }

    async fn address_of(&self, key: &DepositKey) -> Result<Address, OperatorError> {
        let found = self.store.deposit(key).await?;
        Ok(found.ok_or_else(|| OperatorError::NotFound(format!("deposit {key}")))?.to)
    }
}

pub(crate) fn not_resolved(error: RepositoryError<ResolveError>) -> OperatorError {
    match error {
        RepositoryError::Refused(error @ (ResolveError::Reason | ResolveError::OddReason(_))) => {
            OperatorError::Invalid { field: "reason", problem: error.to_string() }
        }
        RepositoryError::Refused(error) => OperatorError::Refused(error.to_string()),
        RepositoryError::Store(error) => OperatorError::Store(error),
        RepositoryError::Unexpected(error) => OperatorError::Refused(error.to_string()),
        RepositoryError::NoPayment(id) => OperatorError::NotFound(format!("payment {id}")),
    }
}
