//! A fake payment API: off-ramps, both shapes of answers, and faults on command.
//!
//! It does what `reference/sentra-api.md` documents, and where that is silent, what a careful server would do: it
//! completes a payment once and answers 409 after that. It keeps a journal of everything it received, which tests
//! read. It listens on the loopback interface only and asks for its `X-API-KEY`.
//!
//! It gives quotes at invented rates, with fees, and tells webhooks of changes when asked to.
//!
//! Deliberately absent: keeping anything on disk, and the files' contents.

mod book;
mod change;
mod control;
mod create;
mod deliveries;
mod fault;
mod journal;
mod listener;
mod people;
mod quotes;
mod rates;
mod routes;
mod server;
mod shapes;
mod verifier;
mod webhooks;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use self::book::Refusal;
use self::listener::{Cutter, CuttingListener};
use self::server::{Shared, World};
use super::error::{Result, SandboxError};
use crate::domain::payment::{PaymentId, RecipientId, UserId};
use crate::domain::time::Span;

pub use book::{NewOffRamp, OffRamp, Progress, SharedHash, Tally};
pub use change::{Change, Told};
pub use create::{FileSeen, KeyReuse};
pub use deliveries::{Delivery, SIGNATURE_HEADER, signature};
pub use fault::{Call, Fault, FaultRule, RetryAfter, When};
pub use journal::Entry;
pub use shapes::Shape;
pub use verifier::Verifier;
pub use webhooks::Registered;

/// How the fake API behaves where the API's descriptions differ or say nothing. It can be changed while it runs.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Which description it follows.
    pub shape: Shape,
    /// How a completed payment moves on.
    pub progress: Progress,
    /// Whether several payments may bear one transaction hash.
    pub shared_hash: SharedHash,
    /// Checks each hash on the chain before it completes a payment; believes everything when `None`.
    pub verifier: Option<Verifier>,
    /// How long a quote lives.
    pub quote_life: Span,
    /// What happens when an idempotency key comes again with another request.
    pub key_reuse: KeyReuse,
    /// Whether webhooks are told of changes.
    pub deliver: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            shape: Shape::Guide,
            progress: Progress::PerGets(1),
            shared_hash: SharedHash::Accepted,
            verifier: None,
            // The lower of the documented 10 to 15 minutes.
            quote_life: Span::from_secs(600),
            key_reuse: KeyReuse::SamePayment,
            deliver: false,
        }
    }
}

/// How the fake API is to be started.
#[derive(Clone, Debug)]
pub struct FakeApiOptions {
    /// The port on the loopback interface; 0 for any free one.
    pub port: u16,
    /// The key that it asks for. It opens nothing but the fake API.
    pub api_key: String,
    /// The seed of the faults that strike by chance.
    pub seed: u64,
    /// How it behaves at first.
    pub behaviour: Behaviour,
}

impl Default for FakeApiOptions {
    fn default() -> Self {
        Self { port: 0, api_key: "sk_dev_sandbox".to_owned(), seed: 1, behaviour: Behaviour::default() }
    }
}

/// A running fake API. It ends with this value.
#[derive(Debug)]
pub struct FakeApi {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl FakeApi {
    /// Starts it. It serves when this returns.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start(options: FakeApiOptions) -> Result<Self> {
        let taken = |error: std::io::Error| SandboxError::FakeApi(format!("port {}: {error}", options.port));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await.map_err(taken)?;
        let address = listener.local_addr().map_err(taken)?;
        let world = World::new(options.behaviour, options.seed);
        let shared = Arc::new(Shared::new(world, options.api_key));
        let app = routes::router(Arc::clone(&shared)).into_make_service_with_connect_info::<Cutter>();
        let stopped = shared.stopped.clone();
        let task = tokio::spawn(async move {
            let serving = axum::serve(CuttingListener(listener), app);
            if let Err(error) = serving.with_graceful_shutdown(stopped.cancelled_owned()).await {
                tracing::error!(%error, "the fake API ended");
            }
        });
        // It ends with the token that ends the rest.
        tokio::spawn(deliveries::keep_telling(Arc::clone(&shared)));
        Ok(Self { shared, address, task })
    }

    /// The API's base URL, as the configuration wants it.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/api/v1", self.address)
    }

    /// The URL under which the control routes are.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("http://{}/control", self.address)
    }

    /// The key that it asks for.
    #[must_use]
    pub fn api_key(&self) -> &str {
        &self.shared.api_key
    }

    /// Opens an off-ramp.
    ///
    /// # Errors
    /// When its id is taken.
    pub fn open(&self, new: NewOffRamp) -> Result<OffRamp> {
        let opened = self.shared.world().book.open(new, server::now());
        self.shared.changed();
        opened.map_err(|reason: Refusal| SandboxError::FakeApi(shapes::refusal(&reason).1))
    }

    /// All off-ramps, in the order of their ids.
    #[must_use]
    pub fn off_ramps(&self) -> Vec<OffRamp> {
        let mut world = self.shared.world();
        let progress = world.behaviour.progress;
        world.book.all(progress, server::now())
    }

    #[must_use]
    pub fn off_ramp(&self, id: &PaymentId) -> Option<OffRamp> {
        let mut world = self.shared.world();
        let progress = world.behaviour.progress;
        world.book.look(id.as_str(), progress, server::now()).cloned()
    }

    /// Sets a payment's status from outside, and its hash if one is given.
    ///
    /// # Errors
    /// When the payment is unknown.
    pub fn set(&self, id: &PaymentId, status: &str, transaction_hash: Option<&str>) -> Result<()> {
        let known = self.shared.world().book.set(id.as_str(), status, transaction_hash, server::now());
        self.shared.changed();
        if known { Ok(()) } else { Err(SandboxError::FakeApi(format!("there is no payment {id}"))) }
    }

    /// Changes a payment from outside, or what is told of it, and gives it as it is now.
    ///
    /// # Errors
    /// When the payment is unknown.
    pub fn change(&self, id: &PaymentId, change: Change) -> Result<OffRamp> {
        let changed = self.shared.world().book.change(id.as_str(), change, server::now());
        self.shared.changed();
        changed.ok_or_else(|| SandboxError::FakeApi(format!("there is no payment {id}")))
    }

    /// Gives a recipient to a user. Recipients that nobody was named for are `user-1`'s.
    ///
    /// # Errors
    /// When there are too many.
    pub fn give(&self, recipient: RecipientId, user: UserId) -> Result<()> {
        if self.shared.world().people.give(recipient, user) {
            return Ok(());
        }
        Err(SandboxError::FakeApi("there are too many recipients already".to_owned()))
    }

    /// Lets every quote that was given run out now.
    pub fn expire_quotes(&self) {
        self.shared.world().quotes.expire(server::now());
    }

    /// The webhooks that were registered, secrets and all.
    #[must_use]
    pub fn webhooks(&self) -> Vec<Registered> {
        self.shared.world().webhooks.all()
    }

    /// What webhooks were told so far; at most the first 10 000.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.world().deliveries.clone()
    }

    /// Adds a fault.
    ///
    /// # Errors
    /// When there are a thousand already.
    pub fn add_fault(&self, rule: FaultRule) -> Result<()> {
        if self.shared.world().plan.add(rule) {
            return Ok(());
        }
        Err(SandboxError::FakeApi("there are too many faults already".to_owned()))
    }

    /// The next so many calls of a kind go wrong in this way, whatever their payment.
    ///
    /// # Errors
    /// As [`FakeApi::add_fault`].
    pub fn fail_next(&self, call: Call, times: u32, fault: Fault) -> Result<()> {
        self.add_fault(FaultRule { call, payment: None, when: When::Next(times), fault })
    }

    /// Takes back all faults.
    pub fn clear_faults(&self) {
        self.shared.world().plan.clear();
    }

    /// Changes how it behaves.
    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.shared.world().behaviour);
    }

    /// The calls received so far, in order; at most the first 200 000.
    #[must_use]
    pub fn journal(&self) -> Vec<Entry> {
        self.shared.world().journal.entries().to_vec()
    }

    /// How many calls were received so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.shared.world().journal.received()
    }

    /// Waits until `condition` holds; it is looked at after every change.
    ///
    /// # Errors
    /// When it does not hold within `limit`. The error names `what`.
    pub async fn wait_until(
        &self,
        limit: Duration,
        what: &str,
        mut condition: impl FnMut(&Self) -> bool + Send,
    ) -> Result<()> {
        let mut changes = self.shared.changes.subscribe();
        let look = async {
            while !condition(self) {
                // Time moves payments too, without a call: look now and then.
                tokio::time::timeout(Duration::from_millis(100), changes.changed()).await.ok();
            }
        };
        let late = |_| SandboxError::TooLate { what: what.to_owned(), seconds: limit.as_secs() };
        tokio::time::timeout(limit, look).await.map_err(late)
    }

    /// Ends it: no more connections, and calls that hang are cut.
    ///
    /// # Errors
    /// When it did not end in order.
    pub async fn stop(mut self) -> Result<()> {
        self.shared.stopped.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(5), &mut self.task).await;
        match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(SandboxError::FakeApi(error.to_string())),
            Err(_) => Err(SandboxError::FakeApi("it did not end within 5 s".to_owned())),
        }
    }
}

impl Drop for FakeApi {
    fn drop(&mut self) {
        self.shared.stopped.cancel();
        self.task.abort();
    }
}
