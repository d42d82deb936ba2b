//! Disputes and endpoints, as operators of rampwatch see and decide them.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event_log::log_events;
use super::operator_service::{OperatorError, OperatorService};
use super::orders::given;
use super::queries::MAX_PAGE;
use super::views::{Page, moment};
use crate::domain::dispute::{Dispute, DisputeKind, Exclusion, Trust};
use crate::domain::event::{Event, EventKind};
use crate::domain::operator::Operator;
use crate::domain::record::{Record, RecordBody, RecordKey, RecordKind};
use crate::domain::text::short;
use crate::domain::time::Timestamp;
use crate::ports::store::{Commit, Store, StoreError};

/// The most endpoints that there can be.
const MAX_ENDPOINTS: usize = 64;

/// A dispute as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DisputeView {
    /// What it is about: the payment's id, or the order's.
    pub id: String,
    /// `contradiction`: operators say different things; `silence`: too few say anything.
    pub kind: String,
    /// The transaction.
    pub tx_hash: String,
    /// The block that is said to hold it.
    pub block: u64,
    /// That block's hash.
    pub block_hash: String,
    /// Since when, in RFC 3339.
    pub since: String,
    /// When the payment expires, in RFC 3339.
    pub deadline: Option<String>,
    /// What was said, ours first.
    pub said: Vec<SaidView>,
    /// The operator that a person has decided to believe in this case.
    pub trusted: Option<String>,
    /// Who decided that.
    pub decided_by: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// When it ended, in RFC 3339; `null` while it is open.
    pub ended_at: Option<String>,
    /// How it ended.
    pub ended: Option<String>,
}

/// What one operator says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SaidView {
    /// The operator.
    pub operator: String,
    /// The endpoint that answered.
    pub endpoint: String,
    /// Its words.
    pub words: String,
}

/// An endpoint as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointView {
    /// Its configured name.
    pub name: String,
    /// Who runs it.
    pub operator: String,
    /// Whether it is excluded: not asked, and what it said does not count.
    pub excluded: bool,
    /// Who excluded it, or included it again.
    pub by: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// When, in RFC 3339.
    pub at: Option<String>,
}

/// A decision about a dispute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustRequest {
    /// The operator that is believed in this case, as `disputes` names it.
    #[schemars(length(min = 1, max = 100))]
    pub trust: String,
    /// Why; it is kept.
    #[schemars(length(min = 1, max = 1_000))]
    pub reason: String,
}

impl DisputeView {
    fn of(dispute: &Dispute) -> Self {
        let said = dispute.said.iter().map(|said| SaidView {
            operator: said.operator.to_string(),
            endpoint: said.endpoint.clone(),
            words: said.words.clone(),
        });
        let trusted = dispute.trusted.as_ref();
        Self {
            id: dispute.matter.id(),
            kind: match dispute.kind_of {
                DisputeKind::Contradiction => "contradiction".to_owned(),
                DisputeKind::Silence => "silence".to_owned(),
            },
            tx_hash: dispute.tx_hash.to_string(),
            block: dispute.block.number,
            block_hash: dispute.block.hash.to_string(),
            since: moment(dispute.since),
            deadline: dispute.deadline.map(moment),
            said: said.collect(),
            trusted: trusted.map(|trust| trust.operator.to_string()),
            decided_by: trusted.and_then(|trust| trust.by.as_ref()).map(ToString::to_string),
            reason: trusted.map(|trust| trust.reason.clone()),
            ended_at: dispute.ended.as_ref().map(|ended| moment(ended.at)),
            ended: dispute.ended.as_ref().map(|ended| ended.how.clone()),
        }
    }
}

/// The endpoints that are excluded, by the store.
pub(super) async fn excluded(store: &dyn Store) -> Result<BTreeSet<String>, StoreError> {
    let known = exclusions(store).await?.into_iter().filter(|it| it.excluded).map(|it| it.endpoint);
    // What a record that does not read said of its endpoint is not known: the endpoint is not heard.
    let unreadable = store.unreadable().into_iter().filter_map(|found| found.desk);
    let doubted = unreadable.filter(|key| key.kind == RecordKind::Exclusion).map(|key| key.id);
    Ok(known.chain(doubted).collect())
}

async fn exclusions(store: &dyn Store) -> Result<Vec<Exclusion>, StoreError> {
    let records = store.desk_page(RecordKind::Exclusion, None, MAX_ENDPOINTS).await?;
    let exclusion = |record: Record| match record.body {
        RecordBody::Exclusion(exclusion) => Some(exclusion),
        _ => None,
    };
    Ok(records.into_iter().filter_map(exclusion).collect())
}

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
            let page = self.store.desk_page(RecordKind::Dispute, after, limit).await?;
            let next = page.last().filter(|_| page.len() >= limit).map(|last| last.body.key().id);
            (views(&page), next)
        } else {
            let open = self.store.desk_due(RecordKind::Dispute, Timestamp::FAR_FUTURE, MAX_PAGE).await?;
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
        let record = self.store.desk(&key).await?;
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
        let kinds = vec![decision, EventKind::DeskChanged { body: Box::new(body.clone()), why }];
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
            let version = self.store.desk(&key).await?.map_or(0, |record| record.version);
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
            let kinds = vec![said, EventKind::DeskChanged { body: Box::new(body.clone()), why: why.to_owned() }];
            let events = kinds.into_iter().map(|kind| Event { at, payment: None, deposit: None, kind }).collect();
            self.keep_decision(Record { version, next_at: None, body }, events).await?;
        }
        if let Some(chain) = &self.chain {
            chain.exclude(&out);
        }
        self.list_endpoints().await
    }

    async fn keep_decision(&self, record: Record, events: Vec<Event>) -> Result<(), OperatorError> {
        let commit = Commit { desk: vec![record], events: events.clone(), ..Commit::default() };
        match self.store.commit(commit).await {
            Ok(_) => {
                log_events(&events);
                Ok(())
            }
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
