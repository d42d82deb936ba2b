//! The routes of funding: orders and the hot wallet.
//!
//! Deliberately absent: anything that signs or sends. These change what the store says, and the one sender acts on that.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;

use super::Operator;
use super::routes::{Answer, Body, DEFAULT_LIMIT, Query_, json, path, query};
use crate::engine::order_views::{FundView, OrderView, WalletView};
use crate::engine::orders::{FundRequest, ReasonRequest};
use crate::engine::return_views::ReturnsView;
use crate::engine::views::Page;

type Id = Result<Path<String>, PathRejection>;

/// What `GET /v1/orders` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrdersQuery {
    state: Option<String>,
    payment: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

/// What `GET /v1/wallet/returns` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReturnsQuery {
    after: Option<String>,
    limit: Option<usize>,
}

/// The routes, below `/v1`.
pub(super) fn routes() -> Router<Arc<Operator>> {
    Router::new()
        .route("/payments/{id}/fund", get(preview))
        .route("/orders", get(orders).post(fund))
        .route("/orders/{id}", get(order))
        .route("/orders/{id}/approve", post(approve))
        .route("/orders/{id}/reject", post(reject))
        .route("/orders/{id}/cancel", post(cancel))
        .route("/wallet", get(wallet))
        .route("/wallet/returns", get(returns))
        .route("/wallet/pause", post(pause))
        .route("/wallet/resume", post(resume))
        .route("/wallet/adopt", post(adopt))
}

async fn preview(State(operator): State<Arc<Operator>>, id: Id) -> Answer<FundView> {
    Ok(Json(operator.handle.preview_fund(&path(id)?).await?))
}

async fn fund(State(operator): State<Arc<Operator>>, body: Body) -> Answer<OrderView> {
    let request: FundRequest = json(body)?;
    Ok(Json(operator.handle.fund(&request).await?))
}

async fn orders(State(operator): State<Arc<Operator>>, given: Query_<OrdersQuery>) -> Answer<Page<OrderView>> {
    let OrdersQuery { state, payment, after, limit } = query(given)?;
    let (state, payment, after) = (state.as_deref(), payment.as_deref(), after.as_deref());
    Ok(Json(operator.handle.list_orders(state, payment, after, limit.unwrap_or(DEFAULT_LIMIT)).await?))
}

async fn order(State(operator): State<Arc<Operator>>, id: Id) -> Answer<OrderView> {
    Ok(Json(operator.handle.show_order(&path(id)?).await?))
}

async fn approve(State(operator): State<Arc<Operator>>, id: Id, body: Body) -> Answer<OrderView> {
    let (id, ReasonRequest { reason }) = (path(id)?, json(body)?);
    Ok(Json(operator.handle.approve(&id, &reason).await?))
}

async fn reject(State(operator): State<Arc<Operator>>, id: Id, body: Body) -> Answer<OrderView> {
    let (id, ReasonRequest { reason }) = (path(id)?, json(body)?);
    Ok(Json(operator.handle.reject(&id, &reason).await?))
}

async fn cancel(State(operator): State<Arc<Operator>>, id: Id, body: Body) -> Answer<OrderView> {
    let (id, ReasonRequest { reason }) = (path(id)?, json(body)?);
    Ok(Json(operator.handle.cancel_order(&id, &reason).await?))
}

async fn wallet(State(operator): State<Arc<Operator>>) -> Answer<WalletView> {
    Ok(Json(operator.handle.wallet().await?))
}

async fn returns(State(operator): State<Arc<Operator>>, given: Query_<ReturnsQuery>) -> Answer<ReturnsView> {
    let ReturnsQuery { after, limit } = query(given)?;
    Ok(Json(operator.handle.wallet_returns(after.as_deref(), limit.unwrap_or(DEFAULT_LIMIT)).await?))
}

async fn pause(State(operator): State<Arc<Operator>>, body: Body) -> Answer<WalletView> {
    let ReasonRequest { reason } = json(body)?;
    Ok(Json(operator.handle.pause_wallet(&reason).await?))
}

async fn resume(State(operator): State<Arc<Operator>>, body: Body) -> Answer<WalletView> {
    let ReasonRequest { reason } = json(body)?;
    Ok(Json(operator.handle.resume_wallet(&reason).await?))
}

async fn adopt(State(operator): State<Arc<Operator>>, body: Body) -> Answer<WalletView> {
    let ReasonRequest { reason } = json(body)?;
    Ok(Json(operator.handle.adopt_wallet(&reason).await?))
}
