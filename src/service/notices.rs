//! Notices, for people and programs: what was told, and what is still to be told.

use crate::domain::record::RecordKind;
use crate::service::operator_service::{OperatorError, OperatorService};
use crate::service::queries::MAX_PAGE;
use crate::view::Page;
use crate::view::notice::NoticeView;

/// The most notices that one question looks at.
const MAX_SCAN: usize = 10_000;

/// How many are read at once.
const CHUNK: usize = 500;

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
            let chunk = self.store.records_page(RecordKind::Notice, after.as_deref(), CHUNK).await?;
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
