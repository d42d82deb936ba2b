//! The routes of the ledger: what happened in an interval, and the evidence of one payment.
//!
//! Deliberately absent: files. A page is JSON like every other list; the command makes CSV of it.

use std::sync::Arc;

use axum::extract::Path;
use axum::extract::State;
use axum::extract::rejection::PathRejection;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;

use super::Operator;
use super::routes::{Answer, DEFAULT_LIMIT, Query_, path, query};
use crate::engine::export::{ExportRow, Interval};
use crate::engine::receipt_views::ReceiptView;
use crate::engine::views::Page;

/// What `GET /v1/export` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportQuery {
    from: Option<String>,
    to: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

/// The routes, below `/v1`.
pub(super) fn routes() -> Router<Arc<Operator>> {
    Router::new().route("/export", get(export)).route("/payments/{id}/receipt", get(receipt))
}

async fn export(State(operator): State<Arc<Operator>>, given: Query_<ExportQuery>) -> Answer<Page<ExportRow>> {
    let ExportQuery { from, to, after, limit } = query(given)?;
    let interval = Interval::parse(from.as_deref(), to.as_deref())?;
    Ok(Json(operator.handle.export(&interval, after.as_deref(), limit.unwrap_or(DEFAULT_LIMIT)).await?))
}

async fn receipt(
    State(operator): State<Arc<Operator>>,
    id: Result<Path<String>, PathRejection>,
) -> Answer<ReceiptView> {
    Ok(Json(operator.handle.receipt(&path(id)?).await?))
}
