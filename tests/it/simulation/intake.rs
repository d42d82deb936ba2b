//! Intake: the lists of users and recipients at the payment API, as the process sees them, with all that goes wrong with
//! them; the operator who settles what it cannot take up; and what must hold of it.
//!
//! In worlds with intake nobody tells rampwatch of most payments: the lists do. They also show what is none of its business,
//! are empty or cut short, leave fields out, and say other things than the payment itself.
//!
//! Deliberately absent: off-ramps that are opened here; in these worlds nobody opens one.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rampwatch::domain::amount::Amount;
use rampwatch::domain::candidate::{Candidate, CandidateState};
use rampwatch::domain::payment::{ApiStatus, BankAccountId, Payment, PaymentId, RecipientId, UserId, WebhookId};
use rampwatch::domain::quote::{Exchange, Quote, Rate};
use rampwatch::domain::record::{RecordBody, RecordKey, RecordKind};
use rampwatch::domain::time::Span;
use rampwatch::domain::webhook::Webhook;
use rampwatch::engine::IntakeRules;
use rampwatch::engine::add::AddPayment;
use rampwatch::ports::clock::Clock;
use rampwatch::ports::off_ramp_api::{Listing, NewOffRamp, OffRampApi, WebhookChange};
use rampwatch::ports::payment_api::{ApiError, ApiPayment};
use rampwatch::service::operator_service::{OperatorError, OperatorService};
use rampwatch::service::requests::ResolveRequest;

use super::fuse::{Life, Point};
use super::only::Chaos;
use super::plan::Planned;
use super::rng::Rng;
use super::weather::Fault;
use super::world::World;
use crate::support::memory_store::Contents;

/// What the API calls the token that pays.
const CURRENCY: &str = "USDC";
/// The user whose recipients these are; the others are another's.
const OF_USER: [&str; 3] = ["rec-0", "rec-1", "rec-2"];

/// What goes wrong with one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mishap {
    None,
    NotNow,
    Unclear,
    KeyRefused,
    /// The key, which is in order, may not see this list.
    Forbidden,
    /// It shows nothing.
    Empty,
    /// It shows every other payment.
    Half,
    /// It leaves out what is to be paid, and where.
    Bare,
    /// One entry cannot be read.
    Unreadable,
    /// It shows other amounts than the payments themselves.
    Lies,
}

/// Draws whose lists are followed, if any.
pub(super) fn draw(seed: u64) -> Option<IntakeRules> {
    let mut rng = Rng::stream(seed, "intake");
    let (is_on, of_user) = (rng.permille(400), rng.permille(600));
    let mut recipients: Vec<RecipientId> = Vec::new();
    for number in 0..4 {
        if rng.permille(400) || (!of_user && number == 0) {
            recipients.push(RecipientId::new(format!("rec-{number}")).expect("an id"));
        }
    }
    let users = of_user.then(|| UserId::new("user-1").expect("an id")).into_iter().collect();
    let interval = Span::from_secs(rng.range(15, 90));
    is_on.then(|| IntakeRules { users, recipients, interval, currency: CURRENCY.to_owned() })
}

/// Most payments that a list shows are not told to the operator.
pub(super) fn takes_on(rules: &IntakeRules, planned: &mut Planned, rng: &mut Rng) {
    if rng.permille(700) && follows(rules, &planned.recipient) {
        planned.add_at = None;
    }
}

/// Whether a list that is followed shows this recipient's payments.
fn follows(rules: &IntakeRules, recipient: &RecipientId) -> bool {
    let of_user = !rules.users.is_empty() && OF_USER.contains(&recipient.as_str());
    of_user || rules.recipients.contains(recipient)
}

/// The rest of the payment API as one life of the process sees it.
pub(super) struct FakeDesk {
    world: Arc<World>,
    life: Arc<Life>,
    rng: Mutex<Rng>,
}

/// The way to the lists, where they are followed.
pub(super) fn desk(world: &Arc<World>, life: &Arc<Life>) -> Option<Arc<dyn OffRampApi>> {
    world.settings.intake.as_ref()?;
    let rng = Mutex::new(Rng::stream(world.seed, &format!("lists of life {}", life.number)));
    Some(Arc::new(FakeDesk { world: Arc::clone(world), life: Arc::clone(life), rng }))
}

impl FakeDesk {
    fn rng<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.rng.lock().expect("one thread"))
    }

    fn draw_mishap(&self) -> Mishap {
        let elapsed = self.world.clock.elapsed();
        let general = [Mishap::NotNow, Mishap::Unclear];
        let of_list = [
            Mishap::Forbidden,
            Mishap::Empty,
            Mishap::Half,
            Mishap::Bare,
            Mishap::Unreadable,
            Mishap::Lies,
            Mishap::NotNow,
            Mishap::Unclear,
        ];
        if self.world.weather.is(elapsed, Fault::KeyRefused) {
            return Mishap::KeyRefused;
        }
        if self.world.weather.is(elapsed, Fault::ApiAway) {
            return self.rng(|rng| *rng.pick(&general));
        }
        let (fails, mishap) = self.rng(|rng| (rng.permille(self.world.settings.api_faults), *rng.pick(&of_list)));
        if fails && self.world.fails(Chaos::Api) { mishap } else { Mishap::None }
    }

    async fn list(&self, whose: &str, shows: impl Fn(&RecipientId) -> bool + Send) -> Result<Listing, ApiError> {
        self.life.before(Point::DeskList).await;
        let mishap = self.draw_mishap();
        self.world.clock.sleep(Span::from_millis(self.rng(|rng| rng.range(10, 600)))).await;
        let mut payments = self.world.api().list(self.world.clock.now(), shows);
        for said in &mut payments {
            (said.kind, said.source_currency) = (Some("OFF_RAMP".to_owned()), Some(CURRENCY.to_owned()));
        }
        payments.extend(foreign());
        let detail = "simulated".to_owned();
        let mut unreadable = Vec::new();
        let answer = match mishap {
            Mishap::NotNow => Err(ApiError::NotNow { detail, retry_after: None }),
            Mishap::Unclear => Err(ApiError::Unclear { detail, retry_after: None }),
            Mishap::KeyRefused => Err(ApiError::KeyRefused { status: 401, detail }),
            Mishap::Forbidden => Err(ApiError::KeyRefused { status: 403, detail }),
            Mishap::Empty => Ok(Vec::new()),
            Mishap::Half => Ok(payments.into_iter().step_by(2).collect()),
            Mishap::Bare => Ok(payments.into_iter().map(bare).collect()),
            Mishap::Unreadable => {
                unreadable.extend(payments.pop().map(|said| format!("payment {} has no status", said.id)));
                Ok(payments)
            }
            Mishap::Lies => Ok(payments.into_iter().map(otherwise).collect()),
            Mishap::None => Ok(payments),
        };
        self.world.note(&format!("the list of {whose}: {mishap:?}"));
        self.world.count(&format!("list: {mishap:?}"));
        self.life.after(Point::DeskList).await;
        answer.map(|payments| Listing { payments, unreadable, partial: None })
    }

    /// A call that nothing in these worlds gives a reason for.
    fn unasked<T>(&self, what: &str) -> Result<T, ApiError> {
        self.world.violate(&format!("nobody asked for it, and the process calls for {what}"));
        Err(ApiError::Refused { status: 422, detail: "simulated".to_owned() })
    }
}

/// What lists show beside our payments: money that comes in from the bank, on another chain, in another currency.
fn foreign() -> [ApiPayment; 3] {
    let named = |id: &str| ApiPayment::new(PaymentId::new(id).expect("an id"), ApiStatus::AwaitingFunds);
    let some = |text: &str| Some(text.to_owned());
    [
        ApiPayment { kind: some("ON_RAMP"), ..named("foreign-kind") },
        ApiPayment { deposit_chain: some("elsewhere"), ..named("foreign-chain") },
        ApiPayment { source_currency: some("EURC"), ..named("foreign-currency") },
    ]
}

fn bare(said: ApiPayment) -> ApiPayment {
    ApiPayment { deposit_address: None, deposit_amount: None, deposit_chain: None, created_at: None, ..said }
}

fn otherwise(said: ApiPayment) -> ApiPayment {
    let deposit_amount = said.deposit_amount.map(|amount| Amount::from_base_units(amount.base_units() + 1));
    ApiPayment { deposit_amount, ..said }
}

#[async_trait]
impl OffRampApi for FakeDesk {
    async fn payments_of_user(&self, user: &UserId) -> Result<Listing, ApiError> {
        self.list(user.as_str(), |recipient| OF_USER.contains(&recipient.as_str())).await
    }

    async fn payments_of_recipient(&self, recipient: &RecipientId) -> Result<Listing, ApiError> {
        self.list(recipient.as_str(), |whose| whose == recipient).await
    }

    async fn rate(&self, _: &UserId, _: &Exchange) -> Result<Rate, ApiError> {
        self.unasked("a rate")
    }

    async fn quote(&self, _: &UserId, _: &Exchange, _: &BankAccountId) -> Result<Quote, ApiError> {
        self.unasked("a quote")
    }

    async fn create(&self, _: &RecipientId, _: &NewOffRamp) -> Result<ApiPayment, ApiError> {
        self.unasked("an off-ramp")
    }

    async fn create_webhook(&self, _: &WebhookChange) -> Result<Webhook, ApiError> {
        self.unasked("a webhook")
    }

    async fn webhook(&self, _: &WebhookId) -> Result<Webhook, ApiError> {
        self.unasked("a webhook's state")
    }

    async fn update_webhook(&self, _: &WebhookId, _: &WebhookChange) -> Result<Webhook, ApiError> {
        self.unasked("another webhook")
    }
}

/// A payment was stored for the first time: it is one that was opened, with the terms that it was opened with.
pub(super) fn is_as_opened(world: &World, payment: &Payment) {
    let terms = &payment.terms;
    let Some(planned) = world.plan.payments.iter().find(|planned| planned.id == payment.id) else {
        return world.violate(&format!("{} is somebody else's, and was taken up", payment.id));
    };
    let as_opened = terms.deposit_address == planned.address
        && terms.amount == planned.amount
        && terms.token == world.settings.token
        && payment.recipient_id == planned.recipient;
    if !as_opened {
        world.violate(&format!("{} was stored with other terms than it was opened with: {payment:?}", payment.id));
    }
    if planned.add_at.is_none() {
        world.count("list: a payment is taken up");
    }
}

/// The operator settles some of the candidates: adds what the API leaves out, or says that it is not to be added.
pub(super) async fn settle_candidates(world: &World, handle: &OperatorService, contents: &Contents, rng: &mut Rng) {
    for candidate in contents.records.values().filter_map(|record| open_candidate(&record.body)) {
        let Some(planned) = world.plan.payments.iter().find(|planned| planned.id == candidate.payment) else {
            world.violate(&format!("{} is somebody else's, and is a lead", candidate.payment));
            continue;
        };
        let (what, done) = match rng.below(10) {
            0..5 => ("lead added", handle.add(typed(world, planned)).await.map(drop)),
            5 => {
                let (payment, reason) = (planned.id.to_string(), "the simulation says so".to_owned());
                ("lead dismissed", handle.resolve_request(&ResolveRequest::Dismiss { payment, reason }).await.map(drop))
            }
            _ => continue,
        };
        world.note(&format!("a person settles the lead {}: {what}, {done:?}", planned.id));
        match done {
            Ok(()) => world.count(&format!("operator: {what}")),
            Err(OperatorError::Store(error)) => world.violate(&format!("the lead {}: {error}", planned.id)),
            Err(_) => world.count("operator: a lead not settled"),
        }
    }
}

/// Everything that its creator knows of a payment.
fn typed(world: &World, planned: &Planned) -> AddPayment {
    AddPayment {
        id: planned.id.clone(),
        recipient_id: planned.recipient.clone(),
        deposit_address: Some(planned.address),
        amount: Some(planned.amount.to_decimal(6)),
        sender: planned.sender,
        created_at: Some(world.clock.moment(planned.create_at)),
        expires_at: None,
        deposit_chain: None,
    }
}

fn open_candidate(body: &RecordBody) -> Option<&Candidate> {
    match body {
        RecordBody::Candidate(candidate) if candidate.state == CandidateState::Open => Some(candidate),
        _ => None,
    }
}

/// At the end: what the lists have shown all the time, and still waits for funds, was taken up or is with a person.
pub(super) fn nothing_is_overlooked(world: &World, contents: &Contents) {
    let Some(rules) = &world.settings.intake else { return };
    let now = world.clock.now();
    for planned in world.plan.payments.iter().filter(|planned| follows(rules, &planned.recipient)) {
        if world.api().status(&planned.id, now) != Some(ApiStatus::AwaitingFunds) {
            continue;
        }
        let candidate = contents.records.get(&RecordKey { kind: RecordKind::Candidate, id: planned.id.to_string() });
        if candidate.is_some() {
            world.count("end: lead");
        } else if !contents.payments.contains_key(&planned.id) {
            world.violate(&format!("{} was listed all the time, and nobody took it up", planned.id));
        }
    }
    for candidate in contents.records.values().filter_map(|record| open_candidate(&record.body)) {
        let waits = world.api().status(&candidate.payment, now) == Some(ApiStatus::AwaitingFunds);
        if !waits || contents.payments.contains_key(&candidate.payment) {
            world.violate(&format!("the lead {} is still open, and nothing is to be decided", candidate.payment));
        }
    }
}
