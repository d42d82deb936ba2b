//! What may be asked of the daemon, or of the store, about the ledger.

use super::exit::Failure;
use super::operator::{Operator, told};
use crate::service::books::BookEntry;
use crate::service::export::{ExportRow, Interval};
use crate::view::Page;
use crate::view::receipt::ReceiptView;

impl Operator {
    pub(super) async fn export(
        &self,
        from: Option<&str>,
        to: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<ExportRow>, Failure> {
        match self {
            Self::Store(handle) => {
                let interval = told(Interval::parse(from, to))?;
                told(handle.export(&interval, after, limit).await)
            }
            Self::Daemon(daemon) => {
                let limit = limit.to_string();
                let query = [("from", from), ("to", to), ("after", after), ("limit", Some(limit.as_str()))];
                daemon.get(&["export"], &query).await
            }
        }
    }

    pub(super) async fn receipt(&self, payment: &str) -> Result<ReceiptView, Failure> {
        match self {
            Self::Store(handle) => told(handle.receipt(payment).await),
            Self::Daemon(daemon) => daemon.get(&["payments", payment, "receipt"], &[]).await,
        }
    }

    pub(super) async fn books(
        &self,
        part: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<BookEntry>, Failure> {
        match self {
            Self::Store(handle) => told(handle.books(part, after, limit).await),
            Self::Daemon(daemon) => {
                let limit = limit.to_string();
                daemon.get(&["books"], &[("part", Some(part)), ("after", after), ("limit", Some(&limit))]).await
            }
        }
    }
}
