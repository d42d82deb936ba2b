//! The route of the notices: what people were told, and what is still to be told.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;

use super::Operator;
use super::routes::{Answer, DEFAULT_LIMIT, Query_, query};
use crate::engine::notice_views::NoticeView;
use crate::engine::views::Page;

/// What `GET /v1/notices` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoticesQuery {
    #[serde(default)]
    pending: bool,
    after: Option<String>,
    limit: Option<usize>,
}

/// The routes, below `/v1`.
pub(super) fn routes() -> Router<Arc<Operator>> {
    Router::new().route("/notices", get(notices))
}

async fn notices(State(operator): State<Arc<Operator>>, given: Query_<NoticesQuery>) -> Answer<Page<NoticeView>> {
    let NoticesQuery { pending, after, limit } = query(given)?;
    Ok(Json(operator.handle.list_notices(pending, after.as_deref(), limit.unwrap_or(DEFAULT_LIMIT)).await?))
}
