//! The teller: reads the events, makes notices of what people want to know, and delivers them until the endpoint has them.
//!
//! Each endpoint has a loop and a cursor of its own, so that a slow one holds nobody up. A notice and the cursor that has
//! passed its event are stored in one commit, so no event is skipped and none makes two notices, wherever the process dies.
//! A delivery is begun in the store before it goes out; an answer that is lost is asked for again under the same id: at least
//! once, and more than once only then. Deliberately absent: an order among deliveries, and telling of the past: an endpoint
//! that is new begins with what happens next.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::domain::amount::Amount;
use crate::domain::event::Event;
use crate::domain::hold::Hold;
use crate::domain::notice::Message;
use crate::domain::order::Order;
use crate::domain::time::{Span, Timestamp};
use crate::domain::wei::Wei;
use crate::engine::health::{Health, NOTIFIER};
use crate::engine::worker::Crew;
use crate::engine::workers::balances::Balances;
use crate::engine::{EngineError, EngineSettings, Ports};
use crate::policy::notices::News;
use crate::ports::notifier::Notifier;
use crate::ports::store::StoreError;

mod conditions;
mod endpoint;

pub(crate) use self::conditions::Conditions;
use self::conditions::Watch;
use self::endpoint::Endpoint;

/// How long the last word of an engine that stops by itself may take.
const LAST_WORD: Span = Span::from_secs(5);

/// Puts what is told into words: sentences for people are not the engine's.
#[async_trait]
pub trait Wording: Send + Sync {
    /// The message of an event that is news. Where what it is about does not read, the event's own words have to do.
    ///
    /// # Errors
    /// When the store fails.
    async fn message(&self, event: &Event, news: &News) -> Result<Message, StoreError>;

    /// The message of a hold that has lasted, with what holds the order up now.
    fn held(&self, order: &Order, hold: &Hold, before: &Message) -> Message;

    /// The message that the engine has stopped by itself.
    fn stopped(&self, error: &EngineError, at: Timestamp) -> Message;
}

/// Who is told, and when.
#[derive(Clone)]
pub struct NotifierSetup {
    pub endpoints: Vec<Arc<dyn Notifier>>,
    /// When a condition is news.
    pub rules: NoticeRules,
    /// Puts what is told into words.
    pub wording: Arc<dyn Wording>,
}

/// When a condition is news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoticeRules {
    /// How long an order must have been held up.
    pub hold_after: Span,
    /// How long the chain must have been unreadable.
    pub chain_after: Span,
    /// Less of the token than this in the wallet, in base units, is told.
    pub low_token: Option<Amount>,
    /// Less of the native coin than this in the wallet is told.
    pub low_native: Option<Wei>,
    /// How often the wallet's balances are read for that.
    pub balance_every: Span,
}

/// Runs the engine as [`crate::engine::run`] does, looks at the wallet's balances, and tells people what it comes to. Without `telling` nobody
/// is told.
///
/// # Errors
/// As [`crate::engine::run`]. Whoever is to be told is told that it stops, once, as far as that can be done without a store.
pub async fn run_beside(
    ports: Ports,
    settings: Arc<EngineSettings>,
    health: Arc<Health>,
    telling: Option<NotifierSetup>,
    stop: CancellationToken,
) -> Result<(), EngineError> {
    let halt = stop.child_token();
    let mut crew = Crew::new(halt.clone());
    let rules = telling.as_ref().map(|telling| telling.rules);
    if let Some(balances) = Balances::new(&ports, &settings, rules.as_ref()) {
        crew.spawn_worker("balances", balances, &ports, &health);
    }
    if let Some(telling) = &telling {
        for notifier in &telling.endpoints {
            let endpoint = Endpoint::new(&ports, notifier.clone(), telling.wording.clone(), telling.rules);
            crew.spawn_worker(NOTIFIER, endpoint, &ports, &health);
        }
        let watch = Watch { ports: ports.clone(), health: health.clone(), after: telling.rules.chain_after };
        crew.spawn_worker("conditions", watch, &ports, &health);
    }
    crew.spawn("engine", crate::engine::run(ports.clone(), settings, health, halt));
    let outcome = crew.join().await;
    if let (Err(error), Some(telling)) = (&outcome, &telling) {
        last_word(&ports, telling, error).await;
    }
    outcome
}

/// Says that the engine stops by itself. It may stop because nothing can be stored, so this is kept nowhere, and tried once.
async fn last_word(ports: &Ports, telling: &NotifierSetup, error: &EngineError) {
    let now = ports.clock.now();
    let message = telling.wording.stopped(error, now).shortened();
    let wanted = telling.endpoints.iter().filter(|endpoint| endpoint.takes(message.kind));
    let saying = futures_util::future::join_all(wanted.map(|endpoint| {
        let message = &message;
        async move {
            let id = format!("rw-stopped-{}-{}", now.as_millis(), endpoint.name());
            if let Err(error) = endpoint.deliver(&id, message, now).await {
                tracing::warn!(endpoint = endpoint.name(), %error, "the last word was not delivered");
            }
        }
    }));
    tokio::select! {
        _ = saying => {}
        () = ports.clock.sleep(LAST_WORD) => tracing::warn!("not everybody was told that the engine stops"),
    }
}
