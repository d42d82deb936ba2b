//! One endpoint's loop: from events to notices, and from notices to deliveries.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{NoticeRules, Wording};
use crate::domain::event::{Event, EventKind, Recorded};
use crate::domain::hold::Hold;
use crate::domain::notice::{Notice, NoticeCursor, NoticeState, notice_id};
use crate::domain::order::Order;
use crate::domain::record::{Record, RecordBody, RecordKey, RecordKind};
use crate::domain::text::short;
use crate::domain::time::{Span, Timestamp};
use crate::engine::health::NOTIFIER;
use crate::engine::transaction;
use crate::engine::worker::{LONGEST_WAIT, Rest, Worker, any_change, no_change};
use crate::engine::{EngineError, Ports};
use crate::policy::notices::{
    MAX_AGE, MAX_ATTEMPTS, OrderMove, endpoint_wait, goes_first, lasting_hold, moves_of, of_event, quiet_at, retry_at,
    retry_wait,
};
use crate::policy::retry::Jitter;
use crate::policy::wrong_clock::is_too_far;
use crate::ports::clock::{Chance, Clock};
use crate::ports::notifier::{Notifier, NotifyError};
use crate::ports::store::{Changes, Commit, Store, StoreError, Subject, if_readable};

/// How many events are read at once.
const CHUNK: usize = 64;
/// The cursor is stored at the latest when so many events without news have passed; they are read again after a crash.
const SAVE_AFTER: u64 = 256;
/// How many open notices are read at first, of all endpoints together; more when there are more.
const FIRST_LOOK: usize = 64;
/// The most.
const LAST_LOOK: usize = 8_192;
/// The most events of a payment that are looked through for a hold.
const MAX_MOVES: usize = 5_000;
/// How long a delivery under way may take when the program stops.
const GRACE: Span = Span::from_secs(5);

pub(super) struct Endpoint {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    notifier: Arc<dyn Notifier>,
    wording: Arc<dyn Wording>,
    rules: NoticeRules,
    worker: String,
    /// The record of the cursor, once it is known, and the number of the last event that was read.
    cursor: Option<(Record, u64)>,
    /// How many deliveries failed one after the other.
    failures: u32,
    /// The endpoint is left alone until then.
    quiet_until: Timestamp,
    /// Nothing is sent there any more: the endpoint wants nothing, or how far it has come does not read.
    gone: bool,
}

impl Endpoint {
    pub(super) fn new(
        ports: &Ports,
        notifier: Arc<dyn Notifier>,
        wording: Arc<dyn Wording>,
        rules: NoticeRules,
    ) -> Self {
        for result in ["delivered", "failed", "given_up", "gone", "dropped", "too_old"] {
            count(notifier.name(), result, 0);
        }
        Self {
            store: ports.store.clone(),
            clock: ports.clock.clone(),
            chance: ports.chance.clone(),
            worker: format!("{NOTIFIER} {}", notifier.name()),
            notifier,
            wording,
            rules,
            cursor: None,
            failures: 0,
            quiet_until: Timestamp::EPOCH,
            gone: false,
        }
    }

    /// Takes up what has happened, and delivers what is due. Returns how long there is nothing to do.
    async fn round(&mut self, stop: &CancellationToken) -> Result<Span, StoreError> {
        while self.take_up().await? {
            if stop.is_cancelled() {
                return Ok(Span::ZERO);
            }
        }
        loop {
            let now = self.clock.now();
            let open = self.open().await?;
            let ready = open.iter().filter(|record| self.may_go(record, now)).filter_map(|record| match &record.body {
                RecordBody::Notice(notice) => Some((notice.message.kind, record.next_at.unwrap_or(now), record)),
                _ => None,
            });
            let first = goes_first(ready);
            let Some(record) = first.cloned().filter(|_| !self.gone && !stop.is_cancelled()) else {
                let next = open.iter().filter_map(|record| self.goes_at(record, now)).min();
                return Ok(next.map_or(LONGEST_WAIT, |at| at.since(now).max(Span::from_millis(1)).min(LONGEST_WAIT)));
            };
            self.attend(record, stop).await?;
        }
    }

    /// When the record can be looked after. A hold is only looked at; a delivery waits until the endpoint is rested.
    fn goes_at(&self, record: &Record, now: Timestamp) -> Option<Timestamp> {
        let RecordBody::Notice(notice) = &record.body else { return None };
        let at = record.next_at?;
        match notice.state {
            NoticeState::Withheld if is_too_far(at, now, self.rules.hold_after) => Some(now),
            NoticeState::Withheld => Some(at),
            NoticeState::Pending { attempts, .. } => {
                Some(retry_at(at, attempts, now).max(quiet_at(self.quiet_until, now)))
            }
            NoticeState::Delivered { .. } | NoticeState::GivenUp { .. } | NoticeState::Dropped { .. } => None,
        }
    }

    fn may_go(&self, record: &Record, now: Timestamp) -> bool {
        self.goes_at(record, now).is_some_and(|at| at <= now)
    }

    /// This endpoint's open notices, the earliest first; not all of them when there are very many. Behind many that are told
    /// later there may be one that is told first, so the first page is not enough.
    async fn open(&self) -> Result<Vec<Record>, StoreError> {
        let mut limit = FIRST_LOOK;
        loop {
            let mut open = self.store.records_due(RecordKind::Notice, Timestamp::FAR_FUTURE, limit).await?;
            let is_all = open.len() < limit;
            let mine =
                |body: &RecordBody| matches!(body, RecordBody::Notice(it) if it.endpoint == self.notifier.name());
            open.retain(|record| mine(&record.body));
            if is_all || limit >= LAST_LOOK {
                return Ok(open);
            }
            limit = limit.saturating_mul(4);
        }
    }

    /// Reads the next events, and stores the notices that come of them together with the cursor. Returns whether there may
    /// be more.
    async fn take_up(&mut self) -> Result<bool, StoreError> {
        let (mut record, after) = match self.cursor.take() {
            Some(known) => known,
            None => self.begin().await?,
        };
        let events = self.store.events(after, CHUNK).await?;
        let through = events.last().map_or(after, |last| last.seq);
        let mut records = Vec::new();
        for recorded in &events {
            records.extend(self.notice_of(recorded).await?);
        }
        let saved = saved_through(&record);
        if !records.is_empty() || through.saturating_sub(saved) >= SAVE_AFTER {
            record = self.advance(record, through, records).await?;
        }
        self.cursor = Some((record, through));
        Ok(events.len() >= CHUNK)
    }

    /// Stores the cursor, with notices. Neither has an event of its own: they follow from the events that were read.
    async fn advance(&self, record: Record, through: u64, notices: Vec<Record>) -> Result<Record, StoreError> {
        let endpoint = self.notifier.name().to_owned();
        let body = RecordBody::NoticeCursor(NoticeCursor { endpoint, through: Some(through) });
        let record = Record { body, ..record };
        let mut records = notices;
        records.push(record.clone());
        transaction::commit(&*self.store, Commit { records, ..Commit::default() }).await?;
        Ok(Record { version: record.version.saturating_add(1), ..record })
    }

    async fn save(&mut self) -> Result<(), StoreError> {
        let Some((record, through)) = self.cursor.take() else { return Ok(()) };
        if saved_through(&record) < through {
            self.advance(record, through, Vec::new()).await?;
        }
        Ok(())
    }

    /// The cursor as it is stored. An endpoint that is new begins at the newest event.
    async fn begin(&self) -> Result<(Record, u64), StoreError> {
        let endpoint = self.notifier.name().to_owned();
        let key = RecordKey { kind: RecordKind::NoticeCursor, id: endpoint.clone() };
        let stored = self.store.record(&key).await?;
        if let Some(record) = &stored
            && let RecordBody::NoticeCursor(NoticeCursor { through: Some(through), .. }) = &record.body
        {
            return Ok((record.clone(), *through));
        }
        let body = RecordBody::NoticeCursor(NoticeCursor { endpoint, through: None });
        let record = stored.unwrap_or_else(|| Record::new(body, None));
        // A commit returns the number of the last event. Whatever happens after it is told.
        let newest =
            transaction::commit(&*self.store, Commit { records: vec![record.clone()], ..Commit::default() }).await?;
        let record = Record { version: record.version.saturating_add(1), ..record };
        Ok((self.advance(record, newest, Vec::new()).await?, newest))
    }

    async fn notice_of(&self, recorded: &Recorded) -> Result<Option<Record>, StoreError> {
        let Some(news) = of_event(&recorded.event.kind).filter(|news| self.notifier.takes(news.kind)) else {
            return Ok(None);
        };
        let (now, at) = (self.clock.now(), recorded.event.at);
        if now.since(at) > MAX_AGE {
            tracing::warn!(endpoint = self.notifier.name(), event = recorded.seq, "too old to be told");
            count(self.notifier.name(), "too_old", 1);
            return Ok(None);
        }
        let message = self.wording.message(&recorded.event, &news).await?.shortened();
        let (state, next_at) = if news.must_last {
            (NoticeState::Withheld, at.plus(self.rules.hold_after))
        } else {
            (NoticeState::Pending { attempts: 0, trouble: None }, now)
        };
        let endpoint = self.notifier.name().to_owned();
        let notice =
            Notice { id: notice_id(recorded.seq, at, &endpoint), endpoint, event: recorded.seq, message, state };
        Ok(Some(Record::new(RecordBody::Notice(Box::new(notice)), Some(next_at))))
    }

    async fn attend(&mut self, record: Record, stop: &CancellationToken) -> Result<(), StoreError> {
        let RecordBody::Notice(notice) = &record.body else { return Ok(()) };
        match &notice.state {
            NoticeState::Withheld => self.judge_hold(notice, &record).await,
            NoticeState::Pending { attempts, trouble } => {
                let (attempts, trouble) = (attempts.saturating_add(1), trouble.clone());
                self.deliver(notice, &record, attempts, trouble, stop).await
            }
            NoticeState::Delivered { .. } | NoticeState::GivenUp { .. } | NoticeState::Dropped { .. } => Ok(()),
        }
    }

    /// Stores a notice's next state. Its end is an event; what is between follows from the deliveries' own rules.
    async fn store(
        &self,
        record: &Record,
        notice: Notice,
        next_at: Option<Timestamp>,
        why: Option<String>,
    ) -> Result<Record, StoreError> {
        let body = RecordBody::Notice(Box::new(notice));
        let kind = why.map(|why| EventKind::RecordChanged { body: Box::new(body.clone()), why });
        let at = self.clock.now();
        let events = kind.map(|kind| Event::new(at, kind)).into_iter().collect();
        let record = Record { version: record.version, next_at, body };
        transaction::commit(&*self.store, Commit { records: vec![record.clone()], events, ..Commit::default() })
            .await?;
        Ok(Record { version: record.version.saturating_add(1), ..record })
    }

    /// An order was held up some time ago: it is told now if it has been ever since.
    async fn judge_hold(&self, notice: &Notice, record: &Record) -> Result<(), StoreError> {
        let now = self.clock.now();
        let (state, message, next_at, why) = match self.still_held(notice).await? {
            Some((order, hold)) => {
                let message = self.wording.held(&order, &hold, &notice.message).shortened();
                (NoticeState::Pending { attempts: 0, trouble: None }, message, Some(now), None)
            }
            None => {
                count(self.notifier.name(), "dropped", 1);
                let why = "was dropped: it was over before it had lasted".to_owned();
                (NoticeState::Dropped { at: now }, notice.message.clone(), None, Some(why))
            }
        };
        self.store(record, Notice { state, message, ..notice.clone() }, next_at, why).await.map(|_| ())
    }

    async fn still_held(&self, notice: &Notice) -> Result<Option<(Order, Hold)>, StoreError> {
        let Some(id) = &notice.message.order else { return Ok(None) };
        // That a record does not read is told by itself.
        let Some(order) = if_readable(self.store.order(id).await)? else { return Ok(None) };
        let (subject, mut after, mut looked_at) = (Subject::Payment(id.payment.clone()), 0, 0_usize);
        let mut moves: Vec<OrderMove> = Vec::new();
        while looked_at < MAX_MOVES {
            let page = if_readable(self.store.events_of(&subject, after, 500).await)?;
            let Some(last) = page.last() else { break };
            (after, looked_at) = (last.seq, looked_at.saturating_add(page.len()));
            moves.extend(moves_of(id, page.iter().map(|it| (it.seq, it.event.at, &it.event.kind))));
        }
        Ok(lasting_hold(&moves, notice.event, self.rules.hold_after).cloned().map(|hold| (order, hold)))
    }

    async fn deliver(
        &mut self,
        notice: &Notice,
        record: &Record,
        attempts: u32,
        trouble: Option<String>,
        stop: &CancellationToken,
    ) -> Result<(), StoreError> {
        let next_at = self.clock.now().plus(retry_wait(attempts, None, self.jitter()));
        let begun = Notice { state: NoticeState::Pending { attempts, trouble }, ..notice.clone() };
        let record = &self.store(record, begun, Some(next_at), None).await?;
        let overdue = async {
            stop.cancelled().await;
            self.clock.sleep(GRACE).await;
        };
        let said = tokio::select! {
            said = self.notifier.deliver(&notice.id, &notice.message, self.clock.now()) => said,
            // The next start repeats it under the same id.
            () = overdue => return Ok(()),
        };
        let (now, name) = (self.clock.now(), self.notifier.name());
        let id = &notice.id;
        match said {
            Ok(()) => {
                (self.failures, self.quiet_until) = (0, Timestamp::EPOCH);
                count(name, "delivered", 1);
                tracing::info!(endpoint = name, notice = %id, kind = notice.message.kind.name(), "told");
                let state = NoticeState::Delivered { at: now, attempts };
                let why = Some(format!("was delivered to {name}"));
                self.store(record, Notice { state, ..notice.clone() }, None, why).await?;
            }
            Err(NotifyError::Later { detail, .. }) if attempts >= MAX_ATTEMPTS => {
                count(name, "given_up", 1);
                tracing::error!(endpoint = name, notice = %id, attempts, why = %detail, "given up: nobody was told");
                let state = NoticeState::GivenUp { at: now, attempts, why: short(&detail) };
                let why = Some(format!("was given up after {attempts} deliveries"));
                self.store(record, Notice { state, ..notice.clone() }, None, why).await?;
            }
            Err(NotifyError::Later { detail, retry_after }) => {
                count(name, "failed", 1);
                self.failures = self.failures.saturating_add(1);
                self.quiet_until = now.plus(endpoint_wait(self.failures, retry_after));
                let wait = retry_wait(attempts, retry_after, self.jitter());
                let again_in_s = wait.as_secs();
                tracing::warn!(endpoint = name, notice = %id, attempts, why = %detail, again_in_s, "not delivered");
                let state = NoticeState::Pending { attempts, trouble: Some(short(&detail)) };
                self.store(record, Notice { state, ..notice.clone() }, Some(now.plus(wait)), None).await?;
            }
            Err(error @ NotifyError::Gone) => {
                count(name, "gone", 1);
                tracing::error!(endpoint = name, notice = %id, %error, "nothing more is sent there until a restart");
                self.gone = true;
                let state = NoticeState::Pending { attempts, trouble: Some(short(&error.to_string())) };
                self.store(record, Notice { state, ..notice.clone() }, record.next_at, None).await?;
            }
        }
        Ok(())
    }

    fn jitter(&self) -> Jitter {
        Jitter(self.chance.below(1_000))
    }
}

impl Worker for Endpoint {
    fn name(&self) -> &str {
        &self.worker
    }

    async fn turn(&mut self, _: &Changes, stop: &CancellationToken) -> Result<Rest, EngineError> {
        let asked = if self.gone { Ok(LONGEST_WAIT) } else { self.round(stop).await };
        let wait = match asked {
            Ok(wait) => wait,
            Err(StoreError::Conflict(what)) => {
                // Only this loop writes its records, so it is the store that was opened twice, or a person's repair.
                tracing::warn!(what, endpoint = self.notifier.name(), "a notice was changed by somebody else");
                self.cursor = None;
                Span::from_secs(1)
            }
            Err(StoreError::Corrupt(what)) => {
                // How far it has come is not known: to begin anew would tell everything twice, or leave some out.
                tracing::error!(what, endpoint = self.notifier.name(), "no notices go there until the record reads");
                self.gone = true;
                LONGEST_WAIT
            }
            Err(error) => return Err(error.into()),
        };
        Ok(if self.gone { Rest::until(LONGEST_WAIT, no_change) } else { Rest::until(wait, any_change) })
    }

    async fn finish(&mut self) -> Result<(), EngineError> {
        if self.gone { Ok(()) } else { Ok(self.save().await?) }
    }
}

/// Through which event the stored cursor has read.
fn saved_through(record: &Record) -> u64 {
    if let RecordBody::NoticeCursor(cursor) = &record.body { cursor.through.unwrap_or(0) } else { 0 }
}

fn count(endpoint: &str, result: &'static str, by: u64) {
    metrics::counter!("rampwatch_notices_total", "endpoint" => endpoint.to_owned(), "result" => result).increment(by);
}
