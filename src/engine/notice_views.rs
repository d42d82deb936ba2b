//! What people were told, as operators see it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::operator_service::{OperatorError, OperatorService};
use super::queries::MAX_PAGE;
use super::shapes;
use super::views::{Page, moment};
use crate::domain::notice::{Message, NoticeState};
use crate::domain::order::OrderId;
use crate::domain::payment::PaymentId;
use crate::domain::record::{Record, RecordBody, RecordKind};

/// The most notices that one question looks at.
const MAX_SCAN: usize = 10_000;

/// How many are read at once.
const CHUNK: usize = 500;

/// A notice as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoticeView {
    /// Its id, which a delivery bears as `webhook-id`.
    pub id: String,
    /// The endpoint.
    pub endpoint: String,
    /// The number of the event that it comes of.
    pub event: u64,
    /// What it is about: `review`, `approval`, `hold`, `stall`, `balance`, `failure` or `completed`.
    pub kind: String,
    /// When that happened, in RFC 3339.
    pub at: String,
    /// What, in a line.
    pub title: String,
    /// The same in sentences.
    pub text: Vec<String>,
    /// What can be done.
    pub remedies: Vec<String>,
    /// The payment, if any.
    #[schemars(with = "Option<shapes::Id>")]
    pub payment: Option<PaymentId>,
    /// The order, if any.
    #[schemars(with = "Option<shapes::OrderId>")]
    pub order: Option<OrderId>,
    /// How far it is: `withheld`, `pending`, `delivered`, `given-up` or `dropped`.
    pub state: String,
    /// How many deliveries were begun.
    pub attempts: u32,
    /// Why the last one did not succeed, if it did not.
    pub trouble: Option<String>,
    /// When it ended, in RFC 3339.
    pub ended_at: Option<String>,
    /// When it is looked at next, in RFC 3339.
    pub next_at: Option<String>,
}

impl NoticeView {
    fn of(record: Record) -> Option<Self> {
        let RecordBody::Notice(notice) = record.body else { return None };
        let (attempts, trouble, ended) = match &notice.state {
            NoticeState::Withheld => (0, None, None),
            NoticeState::Pending { attempts, trouble } => (*attempts, trouble.clone(), None),
            NoticeState::Delivered { at, attempts } => (*attempts, None, Some(*at)),
            NoticeState::GivenUp { at, attempts, why } => (*attempts, Some(why.clone()), Some(*at)),
            NoticeState::Dropped { at } => (0, None, Some(*at)),
        };
        let Message { kind, at, title, text, remedies, payment, order } = notice.message;
        Some(Self {
            id: notice.id,
            endpoint: notice.endpoint,
            event: notice.event,
            kind: kind.name().to_owned(),
            at: moment(at),
            title,
            text,
            remedies,
            payment,
            order,
            state: notice.state.name().to_owned(),
            attempts,
            trouble,
            ended_at: ended.map(moment),
            next_at: record.next_at.map(moment),
        })
    }

    fn is_open(&self) -> bool {
        self.ended_at.is_none()
    }
}

impl OperatorService {
    /// Notices, the oldest first, those after `after`; with `pending` only those that are still to be told.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list_notices(
        &self,
        pending: bool,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<NoticeView>, OperatorError> {
        let limit = limit.clamp(1, MAX_PAGE);
        let (mut items, mut looked_at): (Vec<NoticeView>, usize) = (Vec::new(), 0);
        let mut after = after.map(str::to_owned);
        loop {
            let chunk = self.store.desk_page(RecordKind::Notice, after.as_deref(), CHUNK).await?;
            let is_last = chunk.len() < CHUNK;
            looked_at = looked_at.saturating_add(chunk.len());
            for record in chunk {
                let id = record.body.key().id;
                items.extend(NoticeView::of(record).filter(|view| !pending || view.is_open()));
                after = Some(id);
                if items.len() >= limit {
                    return Ok(Page { items, next: after });
                }
            }
            if is_last {
                return Ok(Page { items, next: None });
            }
            if looked_at >= MAX_SCAN {
                return Ok(Page { items, next: after });
            }
        }
    }
}
