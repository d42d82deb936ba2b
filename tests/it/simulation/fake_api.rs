//! The payment API as the process sees it: the way to the server and back, with all that goes wrong on it. A call that
//! is on its way when the process dies goes on without it.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rampwatch::domain::chain::B256;
use rampwatch::domain::payment::{ApiStatus, NO_PAYMENT, PaymentId, RecipientId};
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::ports::clock::Clock;
use rampwatch::ports::payment_api::{ApiError, ApiPayment, PaymentApi};
use tokio::sync::oneshot;

use super::api_server::{Call, Refusal};
use super::checks;
use super::fuse::{Life, Point};
use super::odd;
use super::only::Chaos;
use super::rng::Rng;
use super::wallet;
use super::weather::Fault;
use super::world::{World, short};

/// The API port of one life of the process.
pub(super) struct FakeApi {
    world: Arc<World>,
    life: Arc<Life>,
    rng: Mutex<Rng>,
    /// For answers in other clothes, which change nothing else by being drawn.
    odd: Mutex<Rng>,
}

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mishap {
    None,
    /// Certainly not acted upon.
    NotNow,
    /// An error page, nothing done.
    UnclearBefore,
    /// Done, and the answer is lost.
    UnclearAfter,
    /// No answer; done at some time within twice the timeout from the start.
    Late,
    /// Refused, for no reason to be seen.
    Refused,
    /// Said to be unknown.
    NotFound,
    KeyRefused,
}

type Answer = Result<ApiPayment, ApiError>;

impl FakeApi {
    /// The port of this life.
    pub(super) fn new(world: Arc<World>, life: Arc<Life>) -> Self {
        let rng = Mutex::new(Rng::stream(world.seed, &format!("api of life {}", life.number)));
        let odd = Mutex::new(Rng::stream(world.seed, &format!("odd answers of life {}", life.number)));
        Self { world, life, rng, odd }
    }

    fn draw_mishap(&self, posting: bool) -> Mishap {
        let elapsed = self.world.clock.elapsed();
        let mut rng = self.rng.lock().expect("one thread");
        if self.world.weather.is(elapsed, Fault::KeyRefused) {
            return Mishap::KeyRefused;
        }
        if self.world.weather.is(elapsed, Fault::ApiAway) {
            return *rng.pick(&[Mishap::NotNow, Mishap::UnclearBefore]);
        }
        if !rng.permille(self.world.settings.api_faults) || !self.world.fails(Chaos::Api) {
            return Mishap::None;
        }
        let both = [Mishap::NotNow, Mishap::NotNow, Mishap::UnclearBefore, Mishap::UnclearBefore];
        let post = [Mishap::NotNow, Mishap::UnclearBefore, Mishap::UnclearAfter, Mishap::UnclearAfter, Mishap::Late];
        let mishap = if posting { *rng.pick(&post) } else { *rng.pick(&both) };
        match rng.below(25) {
            0 if posting => Mishap::Refused,
            1 => Mishap::NotFound,
            _ => mishap,
        }
    }

    /// The answer, sometimes in other clothes.
    fn dressed(&self, said: ApiPayment) -> Answer {
        odd::dressed(&self.world, &mut self.odd.lock().expect("one thread"), said)
    }

    fn is_away(&self) -> bool {
        self.world.weather.is(self.world.clock.elapsed(), Fault::ApiAway)
    }

    fn draw_millis(&self, low: u64, high: u64) -> Span {
        Span::from_millis(self.rng.lock().expect("one thread").range(low, high))
    }

    fn error_of(&self, mishap: Mishap) -> Option<ApiError> {
        let detail = "simulated".to_owned();
        let mut rng = self.rng.lock().expect("one thread");
        let retry_after = rng.permille(300).then(|| Span::from_secs(rng.range(1, 20)));
        match mishap {
            Mishap::None => None,
            Mishap::NotNow => Some(ApiError::NotNow { detail, retry_after }),
            Mishap::UnclearBefore | Mishap::UnclearAfter | Mishap::Late => {
                Some(ApiError::Unclear { detail, retry_after })
            }
            Mishap::Refused => Some(ApiError::Refused { status: 422, detail }),
            Mishap::NotFound => Some(ApiError::NotFound { detail }),
            Mishap::KeyRefused => Some(ApiError::KeyRefused { status: 401, detail }),
        }
    }

    /// Sends the call on its way. What the server does with it does not depend on the process any more.
    fn post(&self, id: &PaymentId, tx_hash: B256, mishap: Mishap) -> oneshot::Receiver<Answer> {
        let timeout = self.world.settings.api_timeout.as_millis();
        let act_after = match mishap {
            Mishap::Late => self.draw_millis(timeout / 2, 2 * timeout),
            _ => self.draw_millis(10, 400),
        };
        let answer_after = self.draw_millis(5, 400);
        let error = self.error_of(mishap);
        let acts = matches!(mishap, Mishap::None | Mishap::UnclearAfter | Mishap::Late);
        let (world, id) = (Arc::clone(&self.world), id.clone());
        let (sender, receiver) = oneshot::channel();
        if acts {
            world.api().coming.push((id.clone(), tx_hash));
        }
        tokio::spawn(async move {
            world.clock.sleep(act_after).await;
            let done = if acts { arrive(&world, &id, tx_hash) } else { Ok(()) };
            world.clock.sleep(answer_after).await;
            let answer = match (error, done) {
                (Some(error), _) => Err(error),
                (None, Err(Refusal::Unknown)) => Err(ApiError::NotFound { detail: "no such payment".to_owned() }),
                (None, Err(Refusal::No(status, detail))) => {
                    Err(ApiError::Refused { status, detail: detail.to_owned() })
                }
                (None, Ok(())) => Ok(world.api().look(&id, world.clock.now()).expect("it was there")),
            };
            // Nobody may be left to hear it.
            let _heard = sender.send(answer);
        });
        receiver
    }

    fn begin(&self, id: &PaymentId, tx_hash: B256, now: Timestamp) -> usize {
        checks::on_call(&self.world, id, tx_hash, now);
        let mut api = self.world.api();
        api.calls.push(Call { payment: id.clone(), started_at: now, clear: false });
        api.calls.len() - 1
    }
}

/// A completion reaches the server.
fn arrive(world: &World, id: &PaymentId, tx_hash: B256) -> Result<(), Refusal> {
    let now = world.clock.now();
    let before = {
        let mut api = world.api();
        if let Some(at) = api.coming.iter().position(|(coming, hash)| coming == id && *hash == tx_hash) {
            api.coming.remove(at);
        }
        api.accepted.len()
    };
    let done = world.api().complete(id, &tx_hash.to_string(), true, now);
    world.note(&format!("the API gets the completion of {id} with {}: {done:?}", short(&tx_hash)));
    if world.api().accepted.len() > before {
        world.count("api: completion accepted");
        checks::on_accepted(world, id, tx_hash);
    }
    done
}

#[async_trait]
impl PaymentApi for FakeApi {
    async fn payment(&self, id: &PaymentId) -> Answer {
        self.life.before(Point::ApiPayment).await;
        let asked_at = self.world.clock.now();
        let mishap = match self.draw_mishap(false) {
            // The question about no payment is answered where any is: what is of chance hits the others.
            Mishap::KeyRefused => Mishap::KeyRefused,
            _ if id.as_str() == NO_PAYMENT && !self.is_away() => Mishap::None,
            drawn => drawn,
        };
        self.world.clock.sleep(self.draw_millis(10, 300)).await;
        let looked = self.world.api().look(id, self.world.clock.now());
        self.world.clock.sleep(self.draw_millis(10, 300)).await;
        let answer = match self.error_of(mishap) {
            Some(error) => Err(error),
            None if self.world.is_refused(id) => {
                self.world.count("api: one payment refused");
                Err(ApiError::KeyRefused { status: 403, detail: "not yours to see".to_owned() })
            }
            None => looked.ok_or_else(|| ApiError::NotFound { detail: "no such payment".to_owned() }),
        };
        let answer = answer.and_then(|said| self.dressed(said));
        self.life.after(Point::ApiPayment).await;
        self.world.count(&format!("api: GET, {mishap:?}"));
        let told = answer.as_ref().map_or_else(ToString::to_string, |payment| payment.status.to_string());
        self.world.note(&format!("GET {id}: {told}"));
        wallet::heard::payment(&self.world, id, &answer, asked_at);
        if let Some(outcome) = answer.as_ref().ok().and_then(|payment| payment.status.outcome()) {
            let now = self.world.clock.now();
            self.world.api().told_ends.entry(id.clone()).or_default().push((now, outcome));
        }
        if let Ok(payment) = &answer
            && payment.status == ApiStatus::AwaitingFunds
            && payment.tx_hash.is_none()
            && odd::hides_nothing(&self.world, payment)
        {
            self.world.api().told_awaiting.insert(id.clone(), asked_at);
        }
        answer
    }

    async fn complete(&self, recipient: &RecipientId, id: &PaymentId, tx_hash: B256) -> Answer {
        self.life.before(Point::ApiComplete).await;
        let now = self.world.clock.now();
        let mishap = self.draw_mishap(true);
        self.world.note(&format!("POST {recipient}/{id} with {}: {mishap:?}", short(&tx_hash)));
        self.world.count(&format!("api: POST, {mishap:?}"));
        let call = self.begin(id, tx_hash, now);
        let receiver = self.post(id, tx_hash, mishap);
        let timeout = self.world.settings.api_timeout.as_duration();
        let timed_out = || ApiError::Unclear { detail: "no answer in time".to_owned(), retry_after: None };
        let answer = match tokio::time::timeout(timeout, receiver).await {
            Ok(answered) => answered.expect("the server always answers").and_then(|said| self.dressed(said)),
            Err(_) => Err(timed_out()),
        };
        self.life.after(Point::ApiComplete).await;
        if !matches!(answer, Err(ApiError::Unclear { .. })) {
            self.world.api().calls[call].clear = true;
        }
        if let Some(outcome) = answer.as_ref().ok().and_then(|payment| payment.status.outcome()) {
            self.world.api().told_ends.entry(id.clone()).or_default().push((self.world.clock.now(), outcome));
        }
        answer
    }
}
