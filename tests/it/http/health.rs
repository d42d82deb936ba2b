//! Alive, ready, and the metrics: open to everybody on this machine.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rampwatch::adapters::system::SystemChance;
use rampwatch::domain::chain::B256;
use rampwatch::domain::payment::{PaymentId, RecipientId};
use rampwatch::engine::health::{Health, Readiness};
use rampwatch::engine::{self, Ports};
use rampwatch::ports::payment_api::{ApiError, ApiPayment, PaymentApi};
use rampwatch::ports::store::{Commit, Store as _};
use rampwatch::service::operator_service::OperatorService;
use tokio_util::sync::CancellationToken;

use crate::support::desk::{Desk, StillClock, engine_settings};
use crate::support::eventually;
use crate::support::memory_store::MemoryStore;
use crate::support::no_chain::NoChain;
use crate::support::records::{at, coverage, payment};

#[tokio::test]
async fn health_and_metrics_need_no_token() {
    let desk = Desk::open().await;
    let response = desk.client.get(desk.url("/healthz")).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.text().await.unwrap().as_str()), (200, "ok\n"));
    let response = desk.client.get(desk.url("/metrics")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    assert_eq!(response.text().await.unwrap(), "rampwatch_test 1\n");
    let (status, body) = desk.answer(desk.client.get(desk.url("/readyz"))).await;
    let readiness: Readiness = serde_json::from_value(body).unwrap();
    assert_eq!((status, readiness.ready, readiness.chain.as_str()), (200, true, "idle"), "nothing is watched");
}

/// An API that refuses the key.
struct KeyRefused;

#[async_trait]
impl PaymentApi for KeyRefused {
    async fn payment(&self, _: &PaymentId) -> Result<ApiPayment, ApiError> {
        Err(ApiError::KeyRefused { status: 401, detail: "no".to_owned() })
    }
    async fn complete(&self, _: &RecipientId, _: &PaymentId, _: B256) -> Result<ApiPayment, ApiError> {
        Err(ApiError::KeyRefused { status: 401, detail: "no".to_owned() })
    }
}

#[tokio::test]
async fn an_engine_that_reads_no_chain_and_has_no_key_is_not_ready() {
    let store = MemoryStore::new();
    let mut waiting = payment(1);
    waiting.next_at = Some(at(0));
    let commit = Commit { payments: vec![waiting], coverage: vec![coverage(1)], ..Commit::default() };
    store.commit(commit).await.unwrap();
    let ports = Ports {
        store: Arc::new(store.clone()),
        chain: Arc::new(NoChain),
        api: Arc::new(KeyRefused),
        off_ramp_api: None,
        clock: Arc::new(StillClock),
        chance: Arc::new(SystemChance),
        funding: None,
        payouts: None,
    };
    let health = Arc::new(Health::default());
    let handle = OperatorService::new(&ports, engine_settings(), health.clone());
    let stop = CancellationToken::new();
    let running = tokio::spawn(engine::run(ports, engine_settings(), health, stop.clone()));
    let desk = Desk::serve(store, handle).await;
    let (desk, limit) = (&desk, Duration::from_secs(20));
    eventually(limit, "both troubles are told", || async move {
        let (status, body) = desk.answer(desk.client.get(desk.url("/readyz"))).await;
        let readiness: Readiness = serde_json::from_value(body).unwrap();
        let told = readiness.chain.contains("nobody home") && readiness.api.contains("HTTP 401");
        told && status == 503 && !readiness.ready && readiness.store == "ok"
    })
    .await;
    let response = desk.client.get(desk.url("/healthz")).send().await.unwrap();
    assert_eq!(response.status(), 200, "it is alive all the same");
    stop.cancel();
    running.await.unwrap().unwrap();
}
