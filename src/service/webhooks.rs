//! Webhooks through the handle: registered, shown, changed.
//!
//! That one is to be registered is in the store before the API is called, because nothing could be asked after later.
//! Deliberately absent: deliveries, which come in elsewhere and only ever make a payment be asked after, and the secret,
//! which the adapter knows.

use crate::domain::event::{Event, EventKind};
use crate::domain::payment::WebhookId;
use crate::domain::record::{Record, RecordBody, RecordKey, RecordKind};
use crate::domain::text::short;
use crate::domain::webhook::{AttemptState, PAYMENT_UPDATED, Webhook, WebhookAttempt, checked_url};
use crate::engine::transaction;
use crate::policy::requests::Demand;
use crate::policy::webhooks::{is_ours, may_register};
use crate::ports::off_ramp_api::WebhookChange;
use crate::ports::payment_api::ApiError;
use crate::ports::store::{Commit, StoreError};
use crate::service::operator_service::{OperatorError, OperatorService};
use crate::view::Page;
use crate::view::webhook::{RegisterRequest, UpdateRequest, WebhookView};

/// The most webhooks that are looked at, and so shown: nobody needs more than a few.
pub const MAX_WEBHOOKS: usize = 100;

/// The most events that a webhook may be told of, and the most characters of one.
const MAX_EVENTS: usize = 16;
const MAX_EVENT: usize = 64;

impl OperatorService {
    /// Registers a webhook at the payment API, with the configured secret, and keeps what the API makes of it.
    ///
    /// # Errors
    /// A field is wrong; there is, or may be, one for the URL already; or the API cannot be asked, refuses, or its answer
    /// is lost, which the message says plainly.
    pub async fn register_webhook(&self, request: &RegisterRequest) -> Result<WebhookView, OperatorError> {
        self.check_place(&request.url)?;
        let events = request.events.clone().unwrap_or_else(|| vec![PAYMENT_UPDATED.to_owned()]);
        check_events(&events)?;
        self.refuse_in_shadow("no webhook is registered")?;
        let api = self.off_ramp_api()?;
        self.count(Demand::Question)?;
        let attempt = WebhookAttempt { url: request.url.clone(), at: self.clock.now(), state: AttemptState::Calling };
        let version = self.begin(&attempt, request.again).await?;
        let change =
            WebhookChange { url: Some(request.url.clone()), with_secret: true, events: Some(events), is_active: None };
        let answer = self.through_gate("a webhook", api.create_webhook(&change)).await?;
        let (state, why) = match &answer {
            Ok(webhook) => (AttemptState::Registered { webhook: webhook.id.clone() }, "was answered"),
            Err(error @ ApiError::Unclear { .. }) => {
                (AttemptState::Unclear { why: short(&error.to_string()) }, "was not answered clearly")
            }
            Err(error) => (AttemptState::Refused { why: short(&error.to_string()) }, "came to nothing"),
        };
        let body = RecordBody::WebhookAttempt(WebhookAttempt { state, ..attempt });
        self.keep_outcome((Record { version, next_at: None, body }, why), answer.as_ref().ok()).await?;
        match answer {
            Ok(webhook) => Ok(WebhookView::new(&webhook, None)),
            Err(ApiError::Unclear { detail, retry_after }) => {
                let detail = format!(
                    "{detail}. The webhook may be registered all the same, and the API has no call that would tell: look \
                     where its webhooks are shown, or register it once more with --again"
                );
                Err(OperatorError::Api(ApiError::Unclear { detail, retry_after }))
            }
            Err(error) => Err(OperatorError::Api(error)),
        }
    }

    /// The webhooks that were registered here, each as the API tells it now. Nothing is stored.
    ///
    /// # Errors
    /// The store fails, or there were too many questions. An API that cannot be asked is said of each webhook.
    pub async fn list_webhooks(&self) -> Result<Page<WebhookView>, OperatorError> {
        let mut items = Vec::new();
        // After an answer that the next question would get too, the others are not asked.
        let mut silent: Option<String> = None;
        for webhook in self.known_webhooks().await? {
            if let Some(why) = &silent {
                items.push(WebhookView::new(&webhook, Some(why.clone())));
                continue;
            }
            // Each of them is a question.
            let counted = match self.count(Demand::Question) {
                Err(error) if items.is_empty() => return Err(error),
                counted => counted,
            };
            let told = match counted.and_then(|()| self.off_ramp_api()) {
                Ok(api) => self.through_gate(webhook.id.as_str(), api.webhook(&webhook.id)).await?,
                Err(error) => {
                    let why = error.to_string();
                    items.push(WebhookView::new(&webhook, Some(why.clone())));
                    silent = Some(why);
                    continue;
                }
            };
            let (webhook, stale) = match told {
                Ok(told) => (told, None),
                Err(ApiError::NotFound { .. }) => {
                    (webhook, Some("the payment API does not know it any more".to_owned()))
                }
                Err(error @ ApiError::Refused { .. }) => (webhook, Some(error.to_string())),
                Err(error) => {
                    let why = error.to_string();
                    silent = Some(why.clone());
                    (webhook, Some(why))
                }
            };
            items.push(WebhookView::new(&webhook, stale));
        }
        Ok(Page { items, next: None })
    }

    /// Changes a webhook at the payment API, and keeps what the API makes of it. It must deliver to the host of
    /// `webhook.public_url`, or be told to by this. Doing it twice does no harm.
    ///
    /// # Errors
    /// A field is wrong, or nothing is to change; it delivers to another host; or the API cannot be asked, refuses, or its answer
    /// is lost.
    pub async fn update_webhook(&self, id: &str, request: &UpdateRequest) -> Result<WebhookView, OperatorError> {
        let id = WebhookId::new(id).map_err(|error| invalid("webhook", error.to_string()))?;
        if let Some(url) = &request.url {
            self.check_place(url)?;
        }
        if let Some(events) = &request.events {
            check_events(events)?;
        }
        let change = WebhookChange {
            url: request.url.clone(),
            with_secret: request.rotate_secret,
            events: request.events.clone(),
            is_active: request.active,
        };
        if change == WebhookChange::default() {
            let problem = "nothing is to change: give a URL, events, whether it is active, or the secret";
            return Err(invalid("webhook", problem.to_owned()));
        }
        self.refuse_in_shadow("no webhook is changed")?;
        self.count(Demand::Question)?;
        let api = self.off_ramp_api()?;
        let unknown = || OperatorError::UnknownToApi(format!("webhook {id}"));
        if change.url.is_none() {
            // Somebody else's is not changed, whether or not its id is known here.
            let told = self.through_gate(id.as_str(), api.webhook(&id)).await?.map_err(|error| match error {
                ApiError::NotFound { .. } => unknown(),
                other => OperatorError::Api(other),
            })?;
            self.check_place(&told.url)?;
        }
        let answer = self.through_gate(id.as_str(), api.update_webhook(&id, &change)).await?;
        let told = answer.map_err(|error| match error {
            ApiError::NotFound { .. } => unknown(),
            ApiError::Unclear { detail, retry_after } => {
                let detail = format!("{detail}. Whether it was changed is not known; the same again does no harm");
                OperatorError::Api(ApiError::Unclear { detail, retry_after })
            }
            other => OperatorError::Api(other),
        })?;
        self.keep(vec![(self.record(&told).await?, "was changed")]).await?;
        Ok(WebhookView::new(&told, None))
    }

    /// Whether deliveries may be sent there.
    fn check_place(&self, url: &str) -> Result<(), OperatorError> {
        checked_url(url).map_err(|why| invalid("url", why.to_string()))?;
        is_ours(url, self.public_url.as_deref()).map_err(|why| OperatorError::Refused(format!("url: {why}")))
    }

    /// Stores what became of an attempt. Should another attempt have begun meanwhile, that one's record stands, and the
    /// webhook is kept all the same: nobody could find out its id later.
    async fn keep_outcome(&self, attempt: (Record, &str), made: Option<&Webhook>) -> Result<(), OperatorError> {
        let Some(webhook) = made else { return self.keep(vec![attempt]).await };
        let registered = (self.record(webhook).await?, "was registered");
        match self.keep(vec![attempt, registered]).await {
            Err(OperatorError::Refused(_)) => self.keep(vec![(self.record(webhook).await?, "was registered")]).await,
            done => done,
        }
    }

    /// Writes down that the API is going to be called, and gives the version that is stored then.
    async fn begin(&self, attempt: &WebhookAttempt, again: bool) -> Result<u64, OperatorError> {
        let key = RecordKey { kind: RecordKind::WebhookAttempt, id: attempt.url.clone() };
        let last = self.store.record(&key).await?;
        let version = last.as_ref().map_or(0, |record| record.version);
        let last = last.and_then(|record| match record.body {
            RecordBody::WebhookAttempt(attempt) => Some(attempt),
            _ => None,
        });
        if !again {
            may_register(&attempt.url, &self.known_webhooks().await?, last.as_ref())
                .map_err(|why| OperatorError::Exists(why.to_string()))?;
        }
        let record = Record { version, next_at: None, body: RecordBody::WebhookAttempt(attempt.clone()) };
        self.keep(vec![(record, "is about to be called for")]).await?;
        Ok(version.saturating_add(1))
    }

    async fn known_webhooks(&self) -> Result<Vec<Webhook>, OperatorError> {
        let records = self.store.records_page(RecordKind::Webhook, None, MAX_WEBHOOKS).await?;
        let webhook = |record: Record| match record.body {
            RecordBody::Webhook(webhook) => Some(webhook),
            _ => None,
        };
        Ok(records.into_iter().filter_map(webhook).collect())
    }

    /// The record of a webhook, to be stored over the one that is there.
    async fn record(&self, webhook: &Webhook) -> Result<Record, OperatorError> {
        let body = RecordBody::Webhook(webhook.clone());
        let version = self.store.record(&body.key()).await?.map_or(0, |record| record.version);
        Ok(Record { version, next_at: None, body })
    }

    /// Stores records, each with the event that says what happened to it.
    async fn keep(&self, records: Vec<(Record, &str)>) -> Result<(), OperatorError> {
        let at = self.clock.now();
        let event = |(record, why): &(Record, &str)| {
            let kind = EventKind::RecordChanged { body: Box::new(record.body.clone()), why: (*why).to_owned() };
            Event::new(at, kind)
        };
        let events: Vec<Event> = records.iter().map(event).collect();
        let records = records.into_iter().map(|(record, _)| record).collect();
        match transaction::commit(&*self.store, Commit { records, events, ..Commit::default() }).await {
            Ok(_) => Ok(()),
            Err(StoreError::Conflict(what)) => {
                Err(OperatorError::Refused(format!("{what} is being changed by somebody else: look, and try again")))
            }
            Err(other) => Err(other.into()),
        }
    }
}

fn check_events(events: &[String]) -> Result<(), OperatorError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'*');
    let good = |event: &String| !event.is_empty() && event.len() <= MAX_EVENT && event.bytes().all(plain);
    if events.is_empty() || events.len() > MAX_EVENTS || !events.iter().all(good) {
        let problem = format!("give 1 to {MAX_EVENTS} names of events, such as {PAYMENT_UPDATED}");
        return Err(invalid("events", problem));
    }
    Ok(())
}

fn invalid(field: &'static str, problem: String) -> OperatorError {
    OperatorError::Invalid { field, problem }
}
