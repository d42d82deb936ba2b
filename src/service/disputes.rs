//! Disputes and endpoints, as operators of rampwatch see and decide them.

use std::collections::BTreeSet;

use crate::domain::dispute::{Dispute, Exclusion, Trust};
use crate::domain::event::{Event, EventKind};
use crate::domain::operator::Operator;
use crate::domain::record::{Record, RecordBody, RecordKey, RecordKind};
use crate::domain::text::short;
use crate::domain::time::Timestamp;
use crate::engine::exclusions::{excluded, exclusions};
use crate::engine::transaction;
use crate::ports::store::{Commit, StoreError};
use crate::service::operator_service::{OperatorError, OperatorService};
use crate::service::orders::given;
use crate::service::queries::MAX_PAGE;
use crate::view::dispute::{DisputeView, EndpointView, TrustRequest};
use crate::view::{Page, moment};

impl OperatorService {
    /// Disputes: the open ones, or with `all` also those that have ended, by id.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list_disputes(
        &self,
        all: bool,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<DisputeView>, OperatorError> {
        let limit = limit.clamp(1, MAX_PAGE);
        let is_after = |view: &DisputeView| after.is_none_or(|after| view.id.as_str() > after);
        let (mut items, next) = if all {
            let page = self.store.records_page(RecordKind::Dispute, after, limit).await?;
            let next = page.last().filter(|_| page.len() >= limit).map(|last| last.body.key().id);
            (views(&page), next)
        } else {
            let open = self.store.records_due(RecordKind::Dispute, Timestamp::FAR_FUTURE, MAX_PAGE).await?;
            (views(&open), None)
        };
        items.sort_by(|one, other| one.id.cmp(&other.id));
        items.retain(is_after);
        let next =
            next.or_else(|| (items.len() > limit).then(|| items.get(limit.saturating_sub(1)))?.map(|it| it.id.clone()));
        items.truncate(limit);
        Ok(Page { items, next })
    }

    /// Decides an open dispute: in this case one operator's word is enough. Others go on as before.
    ///
    /// # Errors
    /// There is no such dispute, it has ended, the operator is none of the endpoints', or no reason is given.
    pub async fn decide_dispute(&self, id: &str, request: &TrustRequest) -> Result<DisputeView, OperatorError> {
        let reason = given(&request.reason)?;
        let operator = Operator::named(&request.trust);
        let known: BTreeSet<&Operator> = self.settings.endpoints.iter().map(|known| &known.operator).collect();
        if !known.contains(&operator) {
            let names: Vec<&str> = known.iter().map(|operator| operator.as_str()).collect();
            let problem = format!("{:?} runs no endpoint; the operators are {}", request.trust, names.join(", "));
            return Err(OperatorError::Invalid { field: "trust", problem });
        }
        let key = RecordKey { kind: RecordKind::Dispute, id: id.to_owned() };
        let record = self.store.record(&key).await?;
        let record = record.ok_or_else(|| OperatorError::NotFound(format!("a dispute about {id}")))?;
        let RecordBody::Dispute(dispute) = &record.body else {
            return Err(OperatorError::NotFound(format!("a dispute about {id}")));
        };
        if let Some(ended) = &dispute.ended {
            return Err(OperatorError::Refused(format!("the dispute about {id} is over: {}", ended.how)));
        }
        let (by, at) = (Some(self.actor.clone()), self.clock.now());
        let trusted = Some(Trust { operator: operator.clone(), by, reason: short(reason), at });
        let decided = Dispute { trusted, ..(**dispute).clone() };
        let view = DisputeView::of(&decided);
        let payment = Some(decided.matter.payment().clone());
        let why = format!("is decided: {operator} is believed in this case");
        let next_at = record.next_at;
        let body = RecordBody::Dispute(Box::new(decided));
        let decision = EventKind::PersonDecided {
            action: format!("trust {operator}"),
            reason: reason.to_owned(),
            by: Some(self.actor.clone()),
        };
        let kinds = vec![decision, EventKind::RecordChanged { body: Box::new(body.clone()), why }];
        let events =
            kinds.into_iter().map(|kind| Event { at, payment: payment.clone(), deposit: None, kind }).collect();
        self.keep_decision(Record { version: record.version, next_at, body }, events).await?;
        Ok(view)
    }

    /// The configured endpoints, with who runs them and whether they are excluded.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list_endpoints(&self) -> Result<Page<EndpointView>, OperatorError> {
        let exclusions = exclusions(&*self.store).await?;
        let items = self.settings.endpoints.iter().map(|known| {
            let kept = exclusions.iter().find(|it| it.endpoint == known.name);
            EndpointView {
                name: known.name.clone(),
                operator: known.operator.to_string(),
                excluded: kept.is_some_and(|it| it.excluded),
                by: kept.and_then(|it| it.by.as_ref()).map(ToString::to_string),
                reason: kept.map(|it| it.reason.clone()),
                at: kept.map(|it| moment(it.at)),
            }
        });
        Ok(Page { items: items.collect(), next: None })
    }

    /// Excludes an endpoint at once, or includes it again: an excluded one is not asked, and what it said does not count.
    ///
    /// # Errors
    /// There is no such endpoint, none would be left, or no reason is given.
    pub async fn exclude_endpoint(
        &self,
        name: &str,
        excluded: bool,
        reason: &str,
    ) -> Result<Page<EndpointView>, OperatorError> {
        let reason = given(reason)?;
        let endpoints = &self.settings.endpoints;
        if !endpoints.iter().any(|known| known.name == name) {
            return Err(OperatorError::NotFound(format!("endpoint {name:?}")));
        }
        let mut out = self::excluded(&*self.store).await?;
        let changes = if excluded { out.insert(name.to_owned()) } else { out.remove(name) };
        if excluded && endpoints.iter().all(|known| out.contains(&known.name)) {
            let text = "it is the last endpoint that is asked: nothing could be read without it".to_owned();
            return Err(OperatorError::Refused(text));
        }
        if changes {
            let key = RecordKey { kind: RecordKind::Exclusion, id: name.to_owned() };
            let version = self.store.record(&key).await?.map_or(0, |record| record.version);
            let (by, at) = (Some(self.actor.clone()), self.clock.now());
            let kept = Exclusion { endpoint: name.to_owned(), excluded, by, reason: short(reason), at };
            let body = RecordBody::Exclusion(kept);
            let why = if excluded { "is excluded" } else { "is included again" };
            let action = if excluded { "exclude" } else { "include" };
            let said = EventKind::PersonDecided {
                action: format!("{action} endpoint {name}"),
                reason: reason.to_owned(),
                by: Some(self.actor.clone()),
            };
            let kinds = vec![said, EventKind::RecordChanged { body: Box::new(body.clone()), why: why.to_owned() }];
            let events = kinds.into_iter().map(|kind| Event::new(at, kind)).collect();
            self.keep_decision(Record { version, next_at: None, body }, events).await?;
        }
        if let Some(chain) = &self.chain {
            chain.exclude(&out);
        }
        self.list_endpoints().await
    }

    async fn keep_decision(&self, record: Record, events: Vec<Event>) -> Result<(), OperatorError> {
        let commit = Commit { records: vec![record], events, ..Commit::default() };
        match transaction::commit(&*self.store, commit).await {
            Ok(_) => Ok(()),
            Err(StoreError::Conflict(_)) => {
                Err(OperatorError::Refused("something changed meanwhile: look at it and try again".to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn views(records: &[Record]) -> Vec<DisputeView> {
    let view = |record: &Record| match &record.body {
        RecordBody::Dispute(dispute) => Some(DisputeView::of(dispute)),
        _ => None,
    };
    records.iter().filter_map(view).collect()
}
