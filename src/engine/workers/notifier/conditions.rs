//! Conditions that have no event of their own, such as a low balance: each becomes an alarm when it begins, once, and is
//! kept until it is over, so that a restart does not raise it again.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::domain::event::{Alarm, Event, EventKind};
use crate::domain::notice::{Condition, ConditionName};
use crate::domain::record::{Record, RecordBody};
use crate::domain::text::short;
use crate::domain::time::{Span, Timestamp};
use crate::engine::health::{Health, Snapshot};
use crate::engine::transaction;
use crate::engine::worker::{Rest, Worker, no_change};
use crate::engine::{EngineError, Ports};
use crate::ports::store::{Changes, Commit, Store, StoreError};

/// How often is looked.
const EVERY: Span = Span::from_secs(15);

/// Keeps the conditions, and raises their alarms.
pub(crate) struct Conditions(pub(crate) Arc<dyn Store>);

impl Conditions {
    /// How a condition is now: with its alarm, if it holds. Whoever changes its record meanwhile, and one that does not read, leaves it
    /// to the next look.
    pub(crate) async fn note(
        &self,
        what: ConditionName,
        alarm: Option<Alarm>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        match self.change(what, alarm, now).await {
            Err(StoreError::Conflict(what)) => tracing::debug!(what, "version conflict, retrying"),
            Err(StoreError::Corrupt(what)) => tracing::debug!(what, "a condition does not read, and is not told of"),
            ended => ended?,
        }
        Ok(())
    }

    async fn change(&self, what: ConditionName, alarm: Option<Alarm>, now: Timestamp) -> Result<(), StoreError> {
        let fresh = Record::new(RecordBody::Condition(Condition { what, since: None }), None);
        let record = self.0.record(&fresh.body.key()).await?.unwrap_or(fresh);
        let has_begun = matches!(&record.body, RecordBody::Condition(Condition { since: Some(_), .. }));
        if has_begun == alarm.is_some() {
            return Ok(());
        }
        let body = RecordBody::Condition(Condition { what, since: alarm.is_some().then_some(now) });
        let kind = match alarm {
            Some(alarm) => EventKind::Alarm { alarm },
            None => EventKind::RecordChanged { body: Box::new(body.clone()), why: "is over".to_owned() },
        };
        let (records, events) = (vec![Record { body, ..record }], vec![Event::new(now, kind)]);
        transaction::commit(&*self.0, Commit { records, events, ..Commit::default() }).await.map(drop)
    }
}

/// Watches whether the chain is read, and the payment API answers.
pub(super) struct Watch {
    pub(super) ports: Ports,
    pub(super) health: Arc<Health>,
    /// How long it must have lasted.
    pub(super) after: Span,
}

impl Worker for Watch {
    fn name(&self) -> &str {
        "conditions"
    }

    async fn turn(&mut self, _: &Changes, _: &CancellationToken) -> Result<Rest, EngineError> {
        let (now, conditions) = (self.ports.clock.now(), Conditions(self.ports.store.clone()));
        match chain_is_read(&self.health.snapshot(), now, self.after) {
            Some(Ok(())) => conditions.note(ConditionName::ChainUnread, None, now).await?,
            Some(Err(alarm)) => conditions.note(ConditionName::ChainUnread, Some(alarm), now).await?,
            None => {}
        }
        match &self.health.unanswered(now) {
            None => conditions.note(ConditionName::ApiUnanswered, None, now).await?,
            Some(told) if now.since(told.since) >= self.after => {
                let (about, detail) = (short(&told.about), short(&told.why));
                let alarm = Alarm::ApiUnanswered { since: told.since, about, detail };
                conditions.note(ConditionName::ApiUnanswered, Some(alarm), now).await?;
            }
            Some(_) => {}
        }
        Ok(Rest::until(EVERY, no_change))
    }
}

/// Whether the chain is read, or was not for too long; `None` while that is not known, such as just after the start.
fn chain_is_read(health: &Snapshot, now: Timestamp, after: Span) -> Option<Result<(), Alarm>> {
    match &health.chain_trouble {
        Some((since, detail)) if now.since(*since) >= after => {
            Some(Err(Alarm::ChainUnread { since: *since, detail: short(detail) }))
        }
        Some(_) => None,
        None => health.swept_at.map(|_| Ok(())),
    }
}
