//! Conditions that have no event of their own, such as a low balance: each becomes an alarm when it begins, once, and is
//! kept until it is over, so that a restart does not raise it again.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::super::health::{Health, Snapshot};
use super::super::{EngineError, Ports};
use super::NoticeRules;
use crate::domain::chain::Address;
use crate::domain::event::{Alarm, Event, EventKind};
use crate::domain::notice::{Condition, ConditionName};
use crate::domain::record::{Record, RecordBody};
use crate::domain::text::short;
use crate::domain::time::{Span, Timestamp};
use crate::engine::transaction;
use crate::ports::store::{Commit, StoreError};

/// How often is looked.
const EVERY: Span = Span::from_secs(15);

/// Looks at the conditions.
pub(super) struct Conditions {
    ports: Ports,
    token: Address,
    rules: NoticeRules,
    health: Arc<Health>,
    /// When the balances are read next.
    balances_at: Timestamp,
}

impl Conditions {
    pub(super) const fn new(ports: Ports, token: Address, rules: NoticeRules, health: Arc<Health>) -> Self {
        Self { ports, token, rules, health, balances_at: Timestamp::EPOCH }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), EngineError> {
        loop {
            self.health.beat("conditions", self.ports.clock.now());
            match self.look().await {
                Ok(()) => {}
                Err(StoreError::Conflict(what)) => tracing::debug!(what, "version conflict, retrying"),
                Err(StoreError::Corrupt(what)) => {
                    tracing::debug!(what, "a condition does not read, and is not told of")
                }
                Err(error) => {
                    self.health.update(|health| health.store_failed = Some(error.to_string()));
                    return Err(EngineError::Store(error));
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = self.ports.clock.sleep(EVERY.min(self.rules.balance_every)) => {}
            }
        }
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        let now = self.ports.clock.now();
        match chain_is_read(&self.health.snapshot(), now, self.rules.chain_after) {
            Some(Ok(())) => self.ended(ConditionName::ChainUnread, now).await?,
            Some(Err(alarm)) => self.begun(ConditionName::ChainUnread, alarm, now).await?,
            None => {}
        }
        match &self.health.unanswered(now) {
            None => self.ended(ConditionName::ApiUnanswered, now).await?,
            Some(told) if now.since(told.since) >= self.rules.chain_after => {
                let (about, detail) = (short(&told.about), short(&told.why));
                let alarm = Alarm::ApiUnanswered { since: told.since, about, detail };
                self.begun(ConditionName::ApiUnanswered, alarm, now).await?;
            }
            Some(_) => {}
        }
        self.look_at_balances(now).await
    }

    async fn look_at_balances(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let Some(funding) = self.ports.funding.clone() else { return Ok(()) };
        let (low_token, low_native) = (self.rules.low_token, self.rules.low_native);
        if now < self.balances_at || (low_token.is_none() && low_native.is_none()) {
            return Ok(());
        }
        self.balances_at = now.plus(self.rules.balance_every);
        let (token, native) = match funding.sender.balances(funding.signer.address(), self.token).await {
            Ok(balances) => balances,
            Err(error) => {
                tracing::warn!(%error, "the wallet's balances could not be read");
                return Ok(());
            }
        };
        if let Some(mark) = low_token {
            match token < mark {
                true => self.begun(ConditionName::LowToken, Alarm::LowToken { have: token, mark }, now).await?,
                false => self.ended(ConditionName::LowToken, now).await?,
            }
        }
        if let Some(mark) = low_native {
            match native < mark {
                true => self.begun(ConditionName::LowNative, Alarm::LowNative { have: native, mark }, now).await?,
                false => self.ended(ConditionName::LowNative, now).await?,
            }
        }
        Ok(())
    }

    async fn record(&self, what: ConditionName) -> Result<Record, StoreError> {
        let fresh = Record::new(RecordBody::Condition(Condition { what, since: None }), None);
        Ok(self.ports.store.desk(&fresh.body.key()).await?.unwrap_or(fresh))
    }

    /// Raises the alarm, unless it was raised for this time already.
    async fn begun(&self, what: ConditionName, alarm: Alarm, now: Timestamp) -> Result<(), StoreError> {
        let record = self.record(what).await?;
        if since(&record).is_some() {
            return Ok(());
        }
        let body = RecordBody::Condition(Condition { what, since: Some(now) });
        self.keep(Record { body, ..record }, EventKind::Alarm { alarm }, now).await
    }

    async fn ended(&self, what: ConditionName, now: Timestamp) -> Result<(), StoreError> {
        let record = self.record(what).await?;
        if since(&record).is_none() {
            return Ok(());
        }
        let body = RecordBody::Condition(Condition { what, since: None });
        let kind = EventKind::DeskChanged { body: Box::new(body.clone()), why: "is over".to_owned() };
        self.keep(Record { body, ..record }, kind, now).await
    }

    async fn keep(&self, record: Record, kind: EventKind, now: Timestamp) -> Result<(), StoreError> {
        let commit = Commit { desk: vec![record], events: vec![Event::new(now, kind)], ..Commit::default() };
        transaction::commit(&*self.ports.store, commit).await.map(drop)
    }
}

const fn since(record: &Record) -> Option<Timestamp> {
    if let RecordBody::Condition(condition) = &record.body { condition.since } else { None }
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
