//! The ledger's events, for people and programs: in parts, and as they happen.
//!
//! Events are numbered from 1 without a gap, so that a number says where a reader is. Deliberately absent: what is kept of
//! each for the engine; the records themselves are shown by the other views.

use std::collections::VecDeque;

use tokio::sync::watch;

use crate::engine::transaction;
use crate::ports::store::{Changes, Commit, StoreError};
use crate::service::operator_service::{OperatorError, OperatorService};
use crate::service::queries::MAX_PAGE;
use crate::view::{EventView, Page};

/// How many events a reader holds at most: one that is slow costs no more than this.
const HELD: usize = 32;

/// Where a list of events begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// After the event with this number; 0: with the first.
    After(u64),
    /// So that the newest so many are in it.
    Newest(u64),
}

/// Events one after the other, waiting for those that are yet to happen.
pub struct EventFeed {
    handle: OperatorService,
    changes: watch::Receiver<Changes>,
    after: u64,
    held: VecDeque<EventView>,
}

impl OperatorService {
    /// Events by number.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn events(&self, since: Since, limit: usize) -> Result<Page<EventView>, OperatorError> {
        let limit = limit.clamp(1, MAX_PAGE);
        let after = self.place(since).await?;
        let recorded = self.store.events(after, limit.saturating_add(1)).await?;
        let names = self.names();
        let items: Vec<EventView> = recorded.iter().take(limit).map(|event| EventView::of(event, &names)).collect();
        let next = items.last().filter(|_| recorded.len() > limit).map(|last| last.seq.to_string());
        Ok(Page { items, next })
    }

    /// Events as they happen, from a place on.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn follow_events(&self, since: Since) -> Result<EventFeed, OperatorError> {
        let after = self.place(since).await?;
        Ok(EventFeed { handle: self.clone(), changes: self.store.changes(), after, held: VecDeque::new() })
    }

    /// The number after which a list begins.
    async fn place(&self, since: Since) -> Result<u64, OperatorError> {
        match since {
            Since::After(after) => Ok(after),
            Since::Newest(count) => Ok(self.newest_event().await?.saturating_sub(count)),
        }
    }

    /// The number of the newest event; 0 when there is none. A commit returns it, also one that changes nothing.
    async fn newest_event(&self) -> Result<u64, StoreError> {
        transaction::commit(&*self.store, Commit::default()).await
    }
}

impl EventFeed {
    /// The next event, as soon as there is one. Nothing is lost when the caller stops waiting.
    ///
    /// # Errors
    /// When the store fails or is closed.
    pub async fn next(&mut self) -> Result<EventView, OperatorError> {
        loop {
            if let Some(event) = self.held.pop_front() {
                self.after = event.seq;
                return Ok(event);
            }
            // Marked before it is read: what is committed meanwhile is a change that is still to be seen.
            self.changes.mark_unchanged();
            let recorded = self.handle.store.events(self.after, HELD).await?;
            if recorded.is_empty() {
                let closed = |_| StoreError::Failed("it was closed".to_owned());
                self.changes.changed().await.map_err(closed)?;
                continue;
            }
            let names = self.handle.names();
            self.held = recorded.iter().map(|event| EventView::of(event, &names)).collect();
        }
    }
}
