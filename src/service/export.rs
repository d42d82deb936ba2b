//! The export: every deposit, match, completion, order and fee of an interval, page by page.
//!
//! The ledger is the sum of its events, so the export walks them in their order and keeps those whose time is in the
//! interval. Memory is bounded by the page. Deliberately absent: an index by time; an export reads the ledger from its
//! beginning, because the clock may have been set back and events of an interval need not stand together.

use crate::domain::chain::{B256, BlockRef};
use crate::domain::event::{Event, EventKind, Recorded};
use crate::domain::payment::PaymentId;
use crate::domain::time::Timestamp;
use crate::domain::wei::Wei;
use crate::ports::store::{Subject, if_readable};
use crate::service::operator_service::{OperatorError, OperatorService};
use crate::service::queries::MAX_PAGE;
use crate::service::requests::parse_day_or_moment;
use crate::view::Page;
use crate::view::export_rows::{About, rows, settles};

pub use crate::view::export_rows::{COLUMNS, ExportRow, KINDS};

/// The most events that one page looks at.
const MAX_SCAN: usize = 5_000;

/// How many events are read at once.
const CHUNK: usize = 500;

/// The most events of a payment that are looked through for a receipt.
const MAX_LOOK_BACK: usize = 20_000;

/// From when and until when, half open: what happened at `from` is in it, what happened at `to` is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub to: Timestamp,
}

impl Interval {
    /// Reads what a person wrote: days, which begin at midnight UTC, or moments in RFC 3339. What is not given is open.
    ///
    /// # Errors
    /// When one is neither, or the end comes before the beginning.
    pub fn parse(from: Option<&str>, to: Option<&str>) -> Result<Self, OperatorError> {
        let from = from.map_or(Ok(Timestamp::EPOCH), |text| parse_day_or_moment("from", text))?;
        let to = to.map_or(Ok(Timestamp::FAR_FUTURE), |text| parse_day_or_moment("to", text))?;
        if to < from {
            let problem = "it comes before `from`; the interval goes from `from` up to, but not including, `to`";
            return Err(OperatorError::Invalid { field: "to", problem: problem.to_owned() });
        }
        Ok(Self { from, to })
    }

    /// Whether a moment is in it.
    #[must_use]
    pub fn has(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

impl OperatorService {
    /// Rows of the interval, in the order of the addresses, those of events after `after`. A page may have a row more than
    /// asked for, and be empty and still have a next.
    ///
    /// # Errors
    /// When `after` is no event's number, or the store fails.
    pub async fn export(
        &self,
        interval: &Interval,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<ExportRow>, OperatorError> {
        let mut after = after.map_or(Ok(0), parse_seq)?;
        let limit = limit.clamp(1, MAX_PAGE);
        let (mut items, mut looked_at) = (Vec::new(), 0_usize);
        loop {
            let chunk = self.store.events(after, CHUNK).await?;
            let is_last = chunk.len() < CHUNK;
            for recorded in chunk {
                if items.len() >= limit || looked_at >= MAX_SCAN {
                    return Ok(Page { items, next: Some(after.to_string()) });
                }
                if interval.has(recorded.event.at) {
                    let about = self.about(&recorded).await?;
                    items.extend(rows(&recorded, &about, &self.names()));
                }
                after = recorded.seq;
                looked_at = looked_at.saturating_add(1);
            }
            if is_last {
                return Ok(Page { items, next: None });
            }
        }
    }

    /// The records that the event is about.
    async fn about(&self, recorded: &Recorded) -> Result<About, OperatorError> {
        let Event { payment, deposit, kind, .. } = &recorded.event;
        let mut about = About::default();
        if let Some(id) = payment {
            about.payment = if_readable(self.store.payment(id).await)?;
        }
        if let Some(key) = deposit {
            about.deposit = if_readable(self.store.deposit(key).await)?;
        }
        let order = match kind {
            EventKind::OrderMoved { order, .. }
            | EventKind::AttemptSigned { order, .. }
            | EventKind::AttemptSent { order, .. }
            | EventKind::AttemptMined { order, .. } => Some(order),
            _ => None,
        };
        if let Some(id) = order {
            about.order = if_readable(self.store.order(id).await)?;
        }
        if let (Some((tx_hash, block)), Some(id)) = (settles(kind), payment) {
            about.gas = self.gas_of(id, tx_hash, block, recorded.seq).await?;
        }
        Ok(about)
    }

    /// Gas used and price by the receipt that was noted of this transaction in this block, before event `until`.
    async fn gas_of(
        &self,
        payment: &PaymentId,
        tx_hash: B256,
        block: BlockRef,
        until: u64,
    ) -> Result<Option<(u64, Wei)>, OperatorError> {
        let (subject, mut after, mut found) = (Subject::Payment(payment.clone()), 0, None);
        for _ in 0..MAX_LOOK_BACK.div_ceil(CHUNK) {
            let chunk = self.store.events_of(&subject, after, CHUNK).await?;
            for recorded in chunk.iter().filter(|recorded| recorded.seq < until) {
                if let EventKind::AttemptMined { tx_hash: its, block: held, gas_used, gas_price, .. } =
                    &recorded.event.kind
                    && (*its, *held) == (tx_hash, block)
                {
                    found = gas_used.zip(*gas_price);
                }
            }
            match chunk.last().filter(|last| chunk.len() == CHUNK && last.seq < until) {
                Some(last) => after = last.seq,
                None => break,
            }
        }
        Ok(found)
    }
}

fn parse_seq(text: &str) -> Result<u64, OperatorError> {
    text.parse().map_err(|_| OperatorError::Invalid {
        field: "after",
        problem: format!("{text:?} is no event's number; give the `next` of the page before"),
    })
}
