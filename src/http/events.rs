//! The routes of events: in parts, and as a stream of server-sent events.
//!
//! A stream can be taken up again where it broke off: each event's id is its number, and a reader that comes back says the
//! last one it has in `Last-Event-ID`, as browsers do by themselves. A reader that is slow is not buffered for: the
//! next events are read from the store when it has taken those before, and it is let go when it takes none for as long
//! as any silent connection.

use std::borrow::Cow;
use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::api::{Api, ApiResponse};
use super::api_request::ApiRequest;
use super::problem::{Code, Problem};
use super::route::Access::Needs;
use super::route::get;
use super::routes::limit;
use crate::domain::actor::Role::Read;
use crate::service::events::{EventFeed, Since};
use crate::view::{EventView, Page};

/// How often a stream without events says that it is alive. Shorter than any time after which a silent connection is let go.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The header in which a reader that comes back says what it has.
const LAST_EVENT_ID: &str = "last-event-id";

/// What `GET /v1/events` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    /// Those after the event with this number. Not together with `newest`.
    #[schemars(range(max = u64::MAX))]
    after: Option<u64>,
    /// Beginning so that the newest so many are shown.
    #[schemars(range(min = 1, max = 1_000))]
    newest: Option<usize>,
    /// At most so many.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<usize>,
}

/// What `GET /v1/events/stream` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StreamQuery {
    /// Those after the event with this number; `Last-Event-ID` goes before it. Not together with `newest`.
    #[schemars(range(max = u64::MAX))]
    after: Option<u64>,
    /// Beginning so that the newest so many are shown.
    #[schemars(range(min = 1, max = 1_000))]
    newest: Option<usize>,
}

/// One event of the stream, as the document describes it.
struct StreamedEvent;

impl JsonSchema for StreamedEvent {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("StreamedEvent")
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let data = generator.subschema_for::<EventView>();
        json_schema!({
            "type": "object",
            "description": "One event of the stream, by its lines.",
            "properties": {
                "id": { "type": "string", "pattern": "^[1-9][0-9]*$", "description": "The event's number." },
                "event": { "type": "string", "description": "What happened, in one word." },
                "data": { "type": "string", "contentMediaType": "application/json", "contentSchema": data }
            },
            "required": ["id", "event", "data"]
        })
    }
}

/// The routes of events.
pub(super) fn routes(api: &mut Api) {
    api.add(
        get("/v1/events", Needs(Read), "listEvents", "What happened, by number")
            .about("From the first event on, unless `after` or `newest` says otherwise.")
            .refuses(&[Code::Invalid]),
        events,
    );
    api.add_other(
        get("/v1/events/stream", Needs(Read), "streamEvents", "What happens, as server-sent events")
            .about(
                "As `/v1/events`, and then on: each event's `id` is its number, its `event` the word for it, and its \
                 `data` what `/v1/events` shows of it. A comment every 15 s says that the stream is alive. It ends when \
                 rampwatch stops.",
            )
            .answers::<StreamedEvent>()
            .header("Last-Event-ID", "The number of the last event that the reader has.")
            .refuses(&[Code::Invalid, Code::Busy]),
        "text/event-stream",
        stream_events,
    );
}

fn since(after: Option<u64>, newest: Option<usize>) -> ApiResponse<Since> {
    match (after, newest) {
        (Some(_), Some(_)) => Err(Problem::new(Code::Invalid, "newest: give either it or after")),
        (None, Some(newest)) => {
            let newest = limit(Some(newest)).map_err(|_| Problem::new(Code::Invalid, "newest: give 1 to 1000"))?;
            Ok(Since::Newest(u64::try_from(newest).unwrap_or(u64::MAX)))
        }
        (after, None) => Ok(Since::After(after.unwrap_or(0))),
    }
}

async fn events(asked: ApiRequest<EventsQuery>) -> ApiResponse<Page<EventView>> {
    let EventsQuery { after, newest, limit } = asked.query;
    Ok(asked.handle.events(since(after, newest)?, self::limit(limit)?).await?)
}

async fn stream_events(asked: ApiRequest<StreamQuery>) -> ApiResponse<Response> {
    let StreamQuery { after, newest } = asked.query;
    let mut since = since(after, newest)?;
    if let Some(last) = asked.headers.get(LAST_EVENT_ID) {
        let number = last.to_str().ok().and_then(|text| text.parse().ok());
        let malformed = || Problem::new(Code::Malformed, "Last-Event-ID: it must be the number of an event");
        since = Since::After(number.ok_or_else(malformed)?);
    }
    let place = asked.serving.streams.clone().try_acquire_owned().map_err(|_| {
        let most = super::MAX_STREAMS;
        Problem::new(Code::Busy, format!("{most} streams are open, which is the most: close one, or ask /v1/events"))
    })?;
    let feed = asked.handle.follow_events(since).await?;
    let reader = Reader { feed, stop: asked.serving.stop.clone(), _place: place };
    let alive = KeepAlive::new().interval(HEARTBEAT);
    Ok(Sse::new(stream::unfold(reader, Reader::next)).keep_alive(alive).into_response())
}

/// One open stream. Its place is free again when it ends.
struct Reader {
    feed: EventFeed,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Reader {
    /// The next event; `None` ends the stream.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        let got = tokio::select! {
            biased;
            () = self.stop.cancelled() => return None,
            got = self.feed.next() => got,
        };
        let view = got.inspect_err(|error| tracing::warn!(%error, "a stream of events ends")).ok()?;
        let event = Event::default().id(view.seq.to_string()).event(view.event.as_str()).json_data(&view);
        let event = event.inspect_err(|error| tracing::warn!(%error, "a stream of events ends")).ok()?;
        Some((Ok(event), self))
    }
}
