//! Notices, as they are shown.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::notice::{Message, NoticeState};
use crate::domain::order::OrderId;
use crate::domain::payment::PaymentId;
use crate::domain::record::{Record, RecordBody};
use crate::view::moment;
use crate::view::shapes;

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
    pub(crate) fn of(record: Record) -> Option<Self> {
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

    pub(crate) fn is_open(&self) -> bool {
        self.ended_at.is_none()
    }
}
