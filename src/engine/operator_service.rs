//! The engine's handle: what operators and programs may ask of it, whether the daemon runs or only the store is open.
//!
//! Deliberately absent: HTTP and terminals; `http` and `cli` drive this.

use std::sync::Arc;

use super::api_facts::view_of;
use super::event_log::log_events;
use super::health::Health;
use super::ledger::{Ledger, LedgerError, Page};
use super::operator_calls::Demands;
pub use super::operator_error::OperatorError;
use super::payout_book::{Kept, PayoutBook, key_of};
use super::repeats::RecentPayouts;
use super::typed::{check_chain, vouched};
use super::views::TokenName;
use super::{EngineSettings, FundingPorts, PayoutPorts, Ports};
use crate::domain::actor::Actor;
use crate::domain::amount::{Amount, AmountError};
use crate::domain::chain::Address;
use crate::domain::deposit::DepositKey;
use crate::domain::payment::{Payment, PaymentId, PaymentState, Provenance, RecipientId, Terms};
use crate::domain::time::{Span, Timestamp};
use crate::policy::approval::Approvers;
use crate::policy::payment_machine::{Context, Unexpected};
use crate::policy::payout_machine::PayoutFact;
use crate::policy::requests::Demand;
use crate::policy::resolve::{Decision, ResolveError, Said, resolve};
use crate::ports::chain::Chain;
use crate::ports::clock::{Chance, Clock};
use crate::ports::desk_api::DeskApi;
use crate::ports::payment_api::{ApiError, ApiPayment, PaymentApi};
use crate::ports::store::Store;

/// What operators may ask of the engine.
#[derive(Clone)]
pub struct OperatorService {
    pub(super) store: Arc<dyn Store>,
    api: Option<Arc<dyn PaymentApi>>,
    pub(super) desk_api: Option<Arc<dyn DeskApi>>,
    pub(super) clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    pub(super) settings: Arc<EngineSettings>,
    /// What tokens are called in what is shown; set by `with_tokens`.
    pub(super) tokens: Arc<[TokenName]>,
    pub(super) ledger: Ledger,
    /// The chain, where an engine runs.
    pub(super) chain: Option<Arc<dyn Chain>>,
    pub(super) health: Arc<Health>,
    /// The chain, and the ways out of funding, where an engine runs that has a wallet.
    pub(super) wallet_ports: Option<(Arc<dyn Chain>, FundingPorts)>,
    /// What payouts need besides.
    pub(super) payouts: Option<PayoutPorts>,
    /// What was placed of late, which later payouts may repeat.
    pub(super) recent: RecentPayouts,
    /// Who asks; set by `acting_as`.
    pub(super) actor: Actor,
    /// What each name may still ask of the payment API.
    pub(super) demands: Demands,
    /// Where deliveries of webhooks reach this program; set by `with_public_url`.
    pub(super) public_url: Option<String>,
    /// Who there is to approve; set by `with_approvers`.
    pub(super) approvers: Approvers,
}

/// A payment to be added. What is `None` is taken from the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddPayment {
    /// The API's id of the payment.
    pub id: PaymentId,
    /// Whose payment it is.
    pub recipient_id: RecipientId,
    /// The deposit address, if typed.
    pub deposit_address: Option<Address>,
    /// The amount in whole units of the token, if typed, such as `1000.50`.
    pub amount: Option<String>,
    /// Who will send, if typed.
    pub sender: Option<Address>,
    /// When it was created, if typed.
    pub created_at: Option<Timestamp>,
    /// When it runs out, if typed.
    pub expires_at: Option<Timestamp>,
    /// The chain that the money comes in on, if typed.
    pub deposit_chain: Option<String>,
}

/// Who adds a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Adder {
    /// A person, who named the recipient.
    Person {
        /// Whether the API confirms the recipient.
        recipient_from: Provenance,
    },
    /// Intake, from the API's lists.
    Intake,
}

impl OperatorService {
    /// A handle on a running engine.
    #[must_use]
    pub fn new(ports: &Ports, settings: Arc<EngineSettings>, health: Arc<Health>) -> Self {
        let Ports { store, api, desk_api, clock, chance, chain, funding, payouts } = ports.clone();
        let handle = Self::offline(store, Some(api), clock, chance, settings, health);
        let wallet_ports = funding.map(|funding| (Arc::clone(&chain), funding));
        Self { wallet_ports, chain: Some(chain), desk_api, payouts, ..handle }
    }

    /// The same handle, able to place payouts although no engine runs.
    #[must_use]
    pub fn with_payouts(self, payouts: PayoutPorts) -> Self {
        Self { payouts: Some(payouts), ..self }
    }

    pub(super) fn payout_book(&self) -> PayoutBook {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        PayoutBook { store, clock, chance: self.chance.clone(), settings: self.settings.clone() }
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
        let ledger = Ledger::new(store.clone(), clock.clone(), chance.clone(), settings.clone());
        Self {
            store,
            api,
            desk_api: None,
            clock,
            chance,
            settings,
            tokens: Arc::default(),
            ledger,
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
    pub fn with_desk_api(self, desk_api: Option<Arc<dyn DeskApi>>) -> Self {
        Self { desk_api, ..self }
    }

    /// Refuses what a person asks for and shadow mode keeps from happening, before anything is stored of it.
    pub(super) fn refuse_in_shadow(&self, what: &str) -> Result<(), OperatorError> {
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
        self.count(Demand::Add)?;
        let said = self.ask_api(&request).await?;
        let recipient_from = self.whose_word(&request, said.as_ref()).await?;
        self.add_linked(&request, said, Adder::Person { recipient_from }).await
    }

    /// Whether the API confirms whose payment it is: by its answer, or by that recipient's own list. A list that cannot be read
    /// confirms nothing, and keeps no payment from being added.
    async fn whose_word(&self, request: &AddPayment, said: Option<&ApiPayment>) -> Result<Provenance, OperatorError> {
        let Some(said) = said else { return Ok(Provenance::Typed) };
        if said.recipient_id.is_some() {
            return Ok(Provenance::Api);
        }
        let Some(api) = &self.desk_api else { return Ok(Provenance::Typed) };
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

    /// The same, with what the API has just said of the payment. A payout that waits for a person's word on its payment goes
    /// on waiting: this is nobody's.
    ///
    /// # Errors
    /// As [`OperatorService::add`].
    pub(super) async fn add_said(
        &self,
        request: &AddPayment,
        said: Option<ApiPayment>,
    ) -> Result<Payment, OperatorError> {
        self.add_linked(request, said, Adder::Intake).await
    }

    async fn add_linked(
        &self,
        request: &AddPayment,
        said: Option<ApiPayment>,
        adder: Adder,
    ) -> Result<Payment, OperatorError> {
        let payment = self.compose(request, said, adder)?;
        // A payout may wait for just this: what the API does not tell of its payment.
        let payouts = self.payout_book();
        let waiting = payouts.of_payment(&payment.id).await?.filter(|_| adder != Adder::Intake);
        let waiting = waiting.map(|kept| key_of(&kept.payout.reference));
        let known = self.store.payment(&payment.id).await?;
        if let Some(known) = &known {
            same_or_refused(known.clone(), &payment)?;
        }
        if let (Some(known), None) = (known, &waiting) {
            return Ok(known);
        }
        let address = payment.terms.deposit_address;
        let added = self
            .ledger
            .change_with(address, waiting.as_ref(), |page, _| {
                // Somebody may have added it in the meantime.
                if !page.book.payments().iter().any(|known| known.id == payment.id) {
                    page.add_payment(payment.clone(), &self.settings.sweep);
                }
                if let Some(kept) = page.desk.clone().and_then(Kept::of)
                    && let Ok((next, said)) = payouts.decide(&kept, &PayoutFact::Added)
                {
                    page.desk = Some(next.record());
                    page.said.push(said);
                }
                Ok::<(), Unexpected>(())
            })
            .await;
        let changes = added.map_err(to_handle_error)?;
        log_events(&changes.events);
        let stored = self.store.payment(&payment.id).await?;
        let stored = stored.ok_or_else(|| OperatorError::NotFound(format!("payment {}", payment.id)))?;
        same_or_refused(stored, &payment)
    }

    /// What the API says of the payment. Without an API everything has to be typed.
    async fn ask_api(&self, request: &AddPayment) -> Result<Option<ApiPayment>, OperatorError> {
        let Some(api) = &self.api else { return Ok(None) };
        match self.through_gate(request.id.as_str(), api.payment(&request.id)).await? {
            Ok(said) => Ok(Some(said)),
            Err(ApiError::NotFound { .. }) => {
                Err(OperatorError::NotFound(format!("payment {} (says the payment API)", request.id)))
            }
            Err(error) => Err(OperatorError::Api(error)),
        }
    }

    /// The payment from what was typed and what the API said. Where both speak they must agree.
    fn compose(&self, request: &AddPayment, said: Option<ApiPayment>, adder: Adder) -> Result<Payment, OperatorError> {
        let now = self.clock.now();
        let typed_amount = self.typed_amount(request)?;
        let vouched = vouched(request, said.as_ref())?;
        let (address, address_from) =
            one_of("deposit-address", request.deposit_address, said.as_ref().and_then(|said| said.deposit_address))?;
        let (amount, amount_from) = one_of("amount", typed_amount, said.as_ref().and_then(|said| said.deposit_amount))?;
        let created = said.as_ref().and_then(|said| said.created_at);
        let (created_at, _) = one_of("created-at", request.created_at, created)?;
        let (expires_at, expiry_from) = either(said.as_ref().and_then(|said| said.expires_at), request.expires_at);
        let (sender, sender_from) = either(said.as_ref().and_then(|said| said.sender), request.sender);
        let recipient_from = match adder {
            Adder::Person { recipient_from } => recipient_from,
            Adder::Intake => Provenance::Api,
        };
        check_terms(address, amount, created_at, now, &self.settings)?;
        check_chain(request, &self.settings)?;
        if let Some(said) = &said {
            check_said(request, said, &self.settings)?;
        }
        let mut terms = Terms {
            chain_id: self.settings.chain_id,
            token: self.settings.token,
            deposit_address: address,
            address_from,
            amount,
            amount_from,
            sender,
            created_at,
            expires_at,
            bank_account: said.as_ref().and_then(|said| said.bank_account.clone()),
            recipient_from: Some(recipient_from),
            expiry_from,
            sender_from,
            typed_by: None,
        };
        terms.typed_by = terms.any_typed().then(|| self.actor.clone());
        Ok(Payment {
            id: request.id.clone(),
            version: 0,
            recipient_id: request.recipient_id.clone(),
            terms,
            state: PaymentState::Waiting,
            api: said.map(|said| view_of(said, now)),
            // The reconciler looks at once: the payment may have moved on before it was added.
            next_at: Some(now),
            quiet_checks: 0,
            added_at: now,
            ending: None,
            taken: Some(false),
            vouched,
        })
    }

    fn typed_amount(&self, request: &AddPayment) -> Result<Option<Amount>, OperatorError> {
        let parse = |text: &String| Amount::from_person(text, self.settings.decimals);
        let invalid = |error: AmountError| OperatorError::Invalid { field: "amount", problem: error.to_string() };
        request.amount.as_ref().map(parse).transpose().map_err(invalid)
    }

    /// Carries out a person's decision. The reason is kept.
    ///
    /// # Errors
    /// When the deposit or payment is not known, or the rules forbid it.
    pub async fn resolve(&self, decision: &Decision, reason: &str) -> Result<(), OperatorError> {
        let address = match decision {
            Decision::Assign { deposit, .. } | Decision::Ignore { deposit } => self.address_of(deposit).await?,
            Decision::Retry { payment } | Decision::Cancel { payment } => {
                let found = self.store.payment(payment).await?;
                found.ok_or_else(|| OperatorError::NotFound(format!("payment {payment}")))?.terms.deposit_address
            }
        };
        let decide = |page: &mut Page, context: &Context<'_>| {
            // A wish to look again is a new version of the payment, so that an answer under way does not swallow it, even
            // if nothing else changes by it.
            page.touch_payments = matches!(decision, Decision::Retry { .. });
            resolve(&mut page.book, decision, Said { by: &self.actor, reason }, context)
        };
        let changes = self.ledger.change(address, decide).await.map_err(not_resolved)?;
        log_events(&changes.events);
        Ok(())
    }

    async fn address_of(&self, key: &DepositKey) -> Result<Address, OperatorError> {
        let found = self.store.deposit(key).await?;
        Ok(found.ok_or_else(|| OperatorError::NotFound(format!("deposit {key}")))?.to)
    }
}

pub(super) fn not_resolved(error: LedgerError<ResolveError>) -> OperatorError {
    match error {
        LedgerError::Refused(ResolveError::Reason) => {
            OperatorError::Invalid { field: "reason", problem: ResolveError::Reason.to_string() }
        }
        LedgerError::Refused(error) => OperatorError::Refused(error.to_string()),
        LedgerError::Store(error) => OperatorError::Store(error),
        LedgerError::Unexpected(error) => OperatorError::Refused(error.to_string()),
        LedgerError::NoPayment(id) => OperatorError::NotFound(format!("payment {id}")),
    }
}

fn to_handle_error(error: LedgerError<Unexpected>) -> OperatorError {
    match error {
        LedgerError::Store(error) => OperatorError::Store(error),
        LedgerError::Refused(error) | LedgerError::Unexpected(error) => OperatorError::Refused(error.to_string()),
        LedgerError::NoPayment(id) => OperatorError::NotFound(format!("payment {id}")),
    }
}

/// The API's value, or what was typed in its place.
fn either<T>(said: Option<T>, typed: Option<T>) -> (Option<T>, Option<Provenance>) {
    match (said, typed) {
        (Some(said), _) => (Some(said), Some(Provenance::Api)),
        (None, Some(typed)) => (Some(typed), Some(Provenance::Typed)),
        (None, None) => (None, None),
    }
}

/// The value that is there; where both are, they must be the same.
fn one_of<T: PartialEq>(
    field: &'static str,
    typed: Option<T>,
    said: Option<T>,
) -> Result<(T, Provenance), OperatorError> {
    match (typed, said) {
        (Some(typed), Some(said)) if typed != said => Err(OperatorError::Invalid {
            field,
            problem: "what was given is not what the payment API says; leave it out to take the API's".to_owned(),
        }),
        (_, Some(said)) => Ok((said, Provenance::Api)),
        (Some(typed), None) => Ok((typed, Provenance::Typed)),
        (None, None) => Err(OperatorError::Invalid {
            field,
            problem: "the payment API does not say it, or was not asked for want of a key; give it with this flag"
                .to_owned(),
        }),
    }
}

fn check_terms(
    address: Address,
    amount: Amount,
    created_at: Timestamp,
    now: Timestamp,
    settings: &EngineSettings,
) -> Result<(), OperatorError> {
    let invalid = |field, problem: &str| Err(OperatorError::Invalid { field, problem: problem.to_owned() });
    if address.is_zero() || address == settings.token || settings.other_tokens.contains(&address) {
        return invalid("deposit-address", "the zero address or a token's own contract cannot be a deposit address");
    }
    if amount.is_zero() {
        return invalid("amount", "it is zero");
    }
    if created_at > now.plus(Span::from_secs(86_400)) {
        return invalid("created-at", "it is more than a day in the future");
    }
    Ok(())
}

/// What the API says must be about this payment, on this chain.
fn check_said(request: &AddPayment, said: &ApiPayment, settings: &EngineSettings) -> Result<(), OperatorError> {
    if let Some(theirs) = said.recipient_id.as_ref().filter(|theirs| **theirs != request.recipient_id) {
        let problem = format!("the payment API says that the recipient is {theirs}, not {}", request.recipient_id);
        return Err(OperatorError::Invalid { field: "recipient", problem });
    }
    let other_chain = said.deposit_chain.as_ref().filter(|name| !name.eq_ignore_ascii_case(&settings.chain_name));
    if let Some(theirs) = other_chain {
        let problem = format!("the payment API wants it on {theirs:?}; chain.name here is {:?}", settings.chain_name);
        return Err(OperatorError::Invalid { field: "payment", problem });
    }
    Ok(())
}

fn same_or_refused(known: Payment, wanted: &Payment) -> Result<Payment, OperatorError> {
    let same = known.recipient_id == wanted.recipient_id
        && known.terms.deposit_address == wanted.terms.deposit_address
        && known.terms.amount == wanted.terms.amount;
    if same {
        return Ok(known);
    }
    Err(OperatorError::Exists(format!(
        "payment {} is known already, with another recipient, address or amount",
        known.id
    )))
}
