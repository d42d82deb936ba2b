//! The one caller of `/complete` (decision 7).
//!
//! For every payment that is due: a last look at the deposit, a fresh GET, "calling" committed, and only then the
//! POST. A call whose answer is not known is looked into by a GET once it can no longer take effect. A crash between
//! any two lines leaves a state that says what the next start has to do: "due" (no call was made) or "calling" (it
//! may have been: wait, then ask).

use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard, PoisonError};

use tokio::sync::Mutex;

use crate::domain::api_field::ApiField;
use crate::domain::chain::B256;
use crate::domain::deposit::{BlockStatus, DepositKey};
use crate::domain::payment::{ApiStatus, ApiView, Payment, PaymentId, PaymentState};
use crate::domain::shadow::ShadowAct;
use crate::domain::time::{Span, Timestamp};
use crate::engine::address_repository::{AddressRepository, RepositoryError};
use crate::engine::agreement::Agreements;
use crate::engine::api_facts::{fact_of, failure, record, settle_result, view_of};
use crate::engine::circuit_breaker::{CallKind, CircuitBreaker, Permit};
use crate::engine::health::{self, Health};
use crate::engine::transaction;
use crate::engine::worker::Queue;
use crate::engine::{EngineSettings, Ports, Shared};
use crate::planted::{Bug, planted};
use crate::policy::api_answer::is_open;
use crate::policy::evidence::Proof;
use crate::policy::last_look::may_call;
use crate::policy::payment_machine::{CallFailure, Fact, Unexpected};
use crate::policy::shadow;
use crate::policy::sweep::owed_again;
use crate::ports::chain::{ChainError, FinalityReport};
use crate::ports::payment_api::{Answer, ApiError, ApiPayment};
use crate::ports::store::{Commit, Lane, StoreError};

mod look;

use self::look::Look;

/// How long a due payment is left alone when the chain could not confirm its deposit again.
const LOOK_AGAIN: Span = Span::from_secs(2);

/// The last answer to the question for finality, for all payments that look within [`LOOK_AGAIN`].
type RecentFinality = Mutex<Option<(Result<FinalityReport, ChainError>, Timestamp)>>;

pub(crate) struct Completer {
    agreements: Arc<Agreements>,
    ports: Ports,
    settings: Arc<EngineSettings>,
    addresses: AddressRepository,
    breaker: Arc<CircuitBreaker>,
    health: Arc<Health>,
    recent: RecentFinality,
    /// Payments with a call of this process that may still take effect.
    unsettled: std::sync::Mutex<BTreeSet<PaymentId>>,
}

impl Queue for Completer {
    type Item = Payment;
    type Key = PaymentId;

    const NAME: &'static str = "completer";
    const CALLS: CallKind = CallKind::Complete;
    const BATCH: usize = 512;

    fn key(payment: &Payment) -> PaymentId {
        payment.id.clone()
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Payment>, StoreError> {
        self.ports.store.due(Lane::Complete, now, limit).await
    }

    async fn next_due(&self, _: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.breaker.once_closed(CallKind::Complete, self.ports.store.next_due(Lane::Complete).await?))
    }

    fn at_once(&self) -> usize {
        self.breaker.window()
    }

    fn settles_after(&self) -> Span {
        self.settings.pace.unclear_wait()
    }

    fn was_called(payment: &Payment) -> bool {
        !matches!(payment.state, PaymentState::Due { .. })
    }

    fn is_unsettled(&self, id: &PaymentId) -> bool {
        self.unsettled().contains(id)
    }

    fn settled(&self, id: &PaymentId) {
        self.unsettled().remove(id);
    }

    fn note_backlog(&self, is_behind: bool) {
        self.breaker.note_completions(is_behind);
    }

    async fn work(&self, payment: Payment, _: Permit) -> Result<(), StoreError> {
        match &payment.state {
            PaymentState::Due { .. } => self.complete(&payment).await,
            PaymentState::Calling { .. } | PaymentState::Unclear { .. } => {
                let asked_at = self.ports.clock.now();
                let answer = self.ask(&payment).await?;
                record(&self.addresses, &payment, answer, &self.settings.chain_name, asked_at).await
            }
            // The lane holds no others; one that moved on meanwhile is left alone.
            PaymentState::Waiting
            | PaymentState::Seen { .. }
            | PaymentState::Following { .. }
            | PaymentState::Ended { .. }
            | PaymentState::Review { .. } => Ok(()),
        }
    }
}

impl Completer {
    pub(crate) fn new(shared: &Shared) -> Self {
        let Shared { ports, settings, addresses, breaker, health, agreements } = shared.clone();
        let (recent, unsettled) = Default::default();
        Self { agreements, ports, settings, addresses, breaker, health, recent, unsettled }
    }

    fn unsettled(&self) -> MutexGuard<'_, BTreeSet<PaymentId>> {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn complete(&self, payment: &Payment) -> Result<(), StoreError> {
        let Some(key) = payment.state.deposit().copied() else { return Ok(()) };
        let proof = match self.last_look(payment).await? {
            Look::Good(proof) => proof,
            Look::NotYet(why) => return self.postpone(payment, &why, LOOK_AGAIN).await,
            Look::Unagreed { why, again } => return self.postpone(payment, &why, again).await,
            Look::Gone(canonical) => return self.gone(payment, canonical).await,
            Look::Disowned => return self.disowned(payment, key).await,
        };
        self.health.completion_goes_on(&payment.id, self.ports.clock.now());
        let asked_at = self.ports.clock.now();
        let answer = self.ask(payment).await?;
        let fact = fact_of(payment, answer.clone(), &self.settings.chain_name, asked_at);
        self.note_status(payment, &fact);
        if !matches!(&fact, Fact::Reported(view) if is_open(payment, view)) {
            return record(&self.addresses, payment, answer, &self.settings.chain_name, asked_at).await;
        }
        if !self.settings.mode.acts() {
            return self.would_complete(payment, &fact).await;
        }
        if planted(Bug::PostBeforeCalling) {
            let answer = self.post(payment, key).await?;
            self.start_call(payment, &fact, &proof).await?;
            return self.take_answer(payment, key, answer).await;
        }
        if !self.start_call(payment, &fact, &proof).await? {
            return Ok(());
        }
        // A process that was frozen since then must not act upon an answer that has grown old. The state says
        // "calling"; it is looked into like any other call whose fate is not known.
        // Nobody knows how long it was, if the clock was set back meanwhile.
        let now = self.ports.clock.now();
        if now < asked_at || now.since(asked_at) > self.settings.pace.api_timeout {
            tracing::warn!(payment_id = %payment.id, "too long since the API was asked; the call is not made");
            return Ok(());
        }
        let answer = self.post(payment, key).await?;
        self.take_answer(payment, key, answer).await
    }

    /// A completion that waits because of a status that nobody knows is heard of, like one whose answer cannot be read.
    fn note_status(&self, payment: &Payment, fact: &Fact) {
        let (about, now) = (health::completion_of(&payment.id), self.ports.clock.now());
        match fact {
            Fact::Reported(ApiView { status: status @ ApiStatus::Other(_), tx_hash: None, .. }) => {
                let why = format!("its status is {:?}, which nobody here knows", status.as_str());
                self.health.api_unanswered(&about, now, &why);
            }
            _ => self.health.api_answered(&about, now),
        }
    }

    /// How the payment stands, by the API's fresh word.
    async fn ask(&self, payment: &Payment) -> Result<Answer<ApiPayment>, StoreError> {
        if planted(Bug::RetryWithoutAsking) && was_called(&payment.state) {
            return Ok(Ok(ApiPayment::new(payment.id.clone(), ApiStatus::AwaitingFunds)));
        }
        let answer = self.ports.api.payment(&payment.id).await;
        self.breaker.learn(CallKind::Get, payment.id.as_str(), answer).await
    }

    async fn postpone(&self, payment: &Payment, why: &str, wait: Span) -> Result<(), StoreError> {
        tracing::info!(payment_id = %payment.id, why, "the completion has to wait");
        self.health.completion_waits(&payment.id, self.ports.clock.now(), why);
        let result = self.addresses.change_known(payment, |unit, current, context| {
            if current.state == payment.state {
                unit.book.postpone(&current.id, context.now.plus(wait));
            }
            Ok::<(), Unexpected>(())
        });
        settle_result(&payment.id, result.await)
    }

    /// The chain says that the final deposit is gone: an alarm, and a person's business. Another one may pay by now: of that one
    /// nothing was said.
    async fn gone(&self, payment: &Payment, canonical: Option<B256>) -> Result<(), StoreError> {
        let looked_at = payment.state.deposit().copied();
        let result = self.addresses.change_known(payment, |unit, current, context| {
            if let Some(key) = looked_at.filter(|key| current.state.deposit() == Some(key)) {
                unit.book.lose_final(&key, canonical, context.now);
            }
            Ok::<(), Unexpected>(())
        });
        settle_result(&payment.id, result.await)
    }

    /// Nobody shows the deposit any more, and nothing was called for it: the payment waits for another one. The deposit's block
    /// is read a second time again, so that what all have only withheld is found.
    async fn disowned(&self, payment: &Payment, key: DepositKey) -> Result<(), StoreError> {
        let Some(deposit) = self.ports.store.deposit(&key).await? else { return Ok(()) };
        let at = self.ports.clock.now().plus(self.settings.sweep.second_after);
        let coverage = self.ports.store.coverage(deposit.to).await?;
        let owed = coverage.and_then(|coverage| owed_again(&coverage, deposit.block_number, at));
        if let Some(owed) = owed {
            let commit = Commit { coverage: vec![owed], ..Commit::default() };
            match transaction::commit(&*self.ports.store, commit).await {
                Ok(_) => {}
                // It was read or let go meanwhile; the next look finds it so.
                Err(StoreError::Conflict(_)) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        tracing::error!(payment_id = %payment.id, tx_hash = %key.tx_hash, "an endpoint showed a deposit that nobody has");
        let result = self.addresses.change_known(payment, |unit, current, context| {
            if current.state == payment.state {
                unit.book.set_standing(&key, BlockStatus::Gone { after_final: false }, None, context.now);
            }
            Ok::<(), Unexpected>(())
        });
        settle_result(&payment.id, result.await)
    }

    /// Commits that the call is about to be made. False when somebody else moved the payment meanwhile.
    async fn start_call(&self, payment: &Payment, said: &Fact, proof: &Proof) -> Result<bool, StoreError> {
        let mut started = false;
        let result = self
            .addresses
            .change_known(payment, |unit, current, context| {
                started = false;
                let key = current.state.deposit().copied();
                let deposit = unit.book.deposits().iter().find(|deposit| Some(deposit.key) == key);
                let unchanged = current.state == payment.state;
                if !unchanged || deposit.is_none_or(|deposit| may_call(current, deposit).is_err()) {
                    return Ok::<(), Unexpected>(());
                }
                if let Fact::Reported(view) = said {
                    unit.book.hear(&current.id, said, view, context)?;
                }
                unit.book.tell(&current.id, &Fact::CallStarted(proof.clone()), context)?;
                started = true;
                Ok(())
            })
            .await;
        match result {
            Ok(_) => Ok(started),
            Err(RepositoryError::Store(StoreError::Conflict(_))) => Ok(false),
            Err(RepositoryError::Store(error)) => Err(error),
            Err(RepositoryError::Refused(_) | RepositoryError::Unexpected(_) | RepositoryError::NoPayment(_)) => {
                Ok(false)
            }
        }
    }

    /// In shadow mode: says once that the call would be made now. The payment stays due, and the API is asked again.
    async fn would_complete(&self, payment: &Payment, said: &Fact) -> Result<(), StoreError> {
        let result = self.addresses.change_known(payment, |unit, current, context| {
            let key = current.state.deposit().copied();
            let deposit = unit.book.deposits().iter().find(|deposit| Some(deposit.key) == key);
            let unchanged = current.state == payment.state;
            let Some(deposit) = deposit.filter(|deposit| unchanged && may_call(current, deposit).is_ok()) else {
                return Ok::<(), Unexpected>(());
            };
            let tx_hash = deposit.key.tx_hash;
            if let Fact::Reported(view) = said {
                unit.book.hear(&current.id, said, view, context)?;
            }
            unit.book.look_again(&current.id, shadow::look_at(current.quiet_checks, context.now, context.pace));
            unit.would = Some((current.id.clone(), ShadowAct::Complete { tx_hash }));
            Ok(())
        });
        settle_result(&payment.id, result.await)
    }

    async fn post(&self, payment: &Payment, key: DepositKey) -> Result<Answer<ApiPayment>, StoreError> {
        let answer = self.ports.api.complete(&payment.recipient_id, &payment.id, key.tx_hash).await;
        let answer = self.breaker.learn(CallKind::Complete, payment.id.as_str(), answer).await?;
        let result = answer.as_ref().map_or_else(ApiError::name, |_| "taken");
        metrics::counter!("rampwatch_completions_total", "result" => result).increment(1);
        if let Err(error) = &answer {
            tracing::warn!(payment_id = %payment.id, tx_hash = %key.tx_hash, %error, "the completion failed");
        }
        if may_still_act(&answer) && !planted(Bug::HintHurriesUnclear) {
            self.unsettled().insert(payment.id.clone());
        }
        Ok(answer)
    }

    /// What the answer to the POST makes of the payment.
    async fn take_answer(
        &self,
        payment: &Payment,
        key: DepositKey,
        answer: Answer<ApiPayment>,
    ) -> Result<(), StoreError> {
        let result = self
            .addresses
            .change_known(payment, |unit, current, context| {
                if current.state.deposit() != Some(&key) || !matches!(current.state, PaymentState::Calling { .. }) {
                    return Ok::<(), Unexpected>(());
                }
                match told(answer.clone(), context.now) {
                    (fact @ Fact::Accepted(_), Some(view)) => unit.book.hear(&current.id, &fact, &view, context),
                    (fact, _) => unit.book.tell(&current.id, &fact, context),
                }
            })
            .await;
        settle_result(&payment.id, result)
    }
}

/// Whether `/complete` was called for a payment in this state.
const fn was_called(state: &PaymentState) -> bool {
    match state {
        PaymentState::Due { attempt, .. } => *attempt > 0,
        PaymentState::Calling { .. } | PaymentState::Unclear { .. } => true,
        PaymentState::Waiting
        | PaymentState::Seen { .. }
        | PaymentState::Following { .. }
        | PaymentState::Ended { .. }
        | PaymentState::Review { .. } => false,
    }
}

/// Whether a call with this answer may take effect later.
fn may_still_act(answer: &Answer<ApiPayment>) -> bool {
    match answer {
        Ok(said) => said.status == ApiStatus::AwaitingFunds || said.unread(ApiField::TransactionHash).is_some(),
        Err(error) => error.may_have_acted(),
    }
}

/// Shows every result at 0: an alert looks for a rise, and a series that begins with 1 has never risen.
pub(crate) fn show_results() {
    for result in std::iter::once("taken").chain(ApiError::NAMES) {
        metrics::counter!("rampwatch_completions_total", "result" => result).increment(0);
    }
}

/// What the answer to `/complete` says, as a fact, with the API's word if there was one.
fn told(answer: Answer<ApiPayment>, now: Timestamp) -> (Fact, Option<ApiView>) {
    let failed = |failure| (Fact::CallFailed(failure), None);
    match answer {
        // With which transaction it is completed, if it is, the next question tells.
        Ok(said) if said.unread(ApiField::TransactionHash).is_some() => {
            failed(CallFailure::Unclear { retry_after: None })
        }
        Ok(said) => {
            let view = view_of(said, now);
            (Fact::Accepted(view.clone()), Some(view))
        }
        Err(error) => failed(failure(error)),
    }
}
