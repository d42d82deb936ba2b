//! The payment API over HTTP: what is asked, how answers are read, and what each failure means.

#![cfg(test)]

mod answers;
mod calls;
mod every_call;
mod failures;
mod figures;
mod odd;
mod server;

use std::sync::Arc;

use rampwatch::adapters::payment_http::{PaymentHttp, PaymentHttpSettings};
use rampwatch::adapters::system::SystemClock;
use rampwatch::domain::chain::B256;
use rampwatch::domain::payment::{PaymentId, RecipientId};
use rampwatch::domain::time::Span;
use rampwatch::outbound::Outbound;
use rampwatch::ports::payment_api::{ApiError, ApiPayment, PaymentApi as _};
use secrecy::SecretString;

/// A key that is easy to find wherever it should not be.
const KEY: &str = "sk_live_RECOGNISABLE";

/// The same for the webhooks' secret.
const SECRET: &str = "hook_secret_RECOGNISABLE";

/// A whole answer of the reference's shape.
const REFERENCE: &str = r#"{
    "id": "pay-1", "idempotencyKey": "k", "type": "OFF_RAMP", "status": "AWAITING_FUNDS", "quoteId": "q",
    "bankAccountId": "b", "walletId": null, "transactionHash": null, "fee": 1.5, "reason": null, "files": [],
    "metadata": {"id": "other"}, "createdAt": "2026-11-22T10:00:00.123Z", "updatedAt": "2026-11-22T10:00:01Z"
}"#;

fn client_at(url: &str, timeout_ms: u64) -> PaymentHttp {
    client_with(url, timeout_ms, Some(SecretString::from(SECRET)))
}

/// A client that knows no secret for webhooks.
fn client_without_secret(url: &str) -> PaymentHttp {
    client_with(url, 60_000, None)
}

fn client_with(url: &str, timeout_ms: u64, webhook_secret: Option<SecretString>) -> PaymentHttp {
    let settings = PaymentHttpSettings {
        base_url: url.to_owned(),
        key: SecretString::from(KEY),
        connect_timeout: Span::from_millis(timeout_ms / 2),
        timeout: Span::from_millis(timeout_ms),
        decimals: 6,
        webhook_secret,
        outbound: Outbound::local(),
    };
    PaymentHttp::new(settings, Arc::new(SystemClock)).unwrap()
}

/// A client that is patient enough for a busy machine.
fn client(url: &str) -> PaymentHttp {
    client_at(url, 60_000)
}

fn id() -> PaymentId {
    PaymentId::new("pay-1").unwrap()
}

fn hash() -> B256 {
    B256::repeat_byte(0xab)
}

async fn get(client: &PaymentHttp) -> Result<ApiPayment, ApiError> {
    client.payment(&id()).await
}

async fn complete(client: &PaymentHttp) -> Result<ApiPayment, ApiError> {
    client.complete(&RecipientId::new("rec-1").unwrap(), &id(), hash()).await
}
