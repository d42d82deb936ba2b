//! One websocket connection: made within a time, never made anew behind our back, closed when dropped.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use alloy::primitives::B256;
use alloy::pubsub::{ConnectionHandle, PubSubConnect, PubSubFrontend, RawSubscription};
use alloy::rpc::json_rpc::{Id, Request, ResponsePayload, RpcError};
use alloy::transports::ws::{WebSocketConfig, WsConnect};
use alloy::transports::{TransportError, TransportErrorKind, TransportResult};
use serde_json::value::RawValue;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{Connector, client_async_tls_with_config};
use url::Url;

use crate::outbound::Outbound;

use super::classify::Class;
use super::failure::Failure;
use super::redact::Redactor;
use super::reply::rpc_failure;
use super::rpc::{self, Ask};
use super::ws_carrier::carry;

/// Pushed messages that may wait to be read, for each subscription. More, and some are lost, which is noticed.
const CHANNEL: usize = 2_048;
/// No message may be longer than this, in bytes.
const MAX_MESSAGE: usize = 32 * 1_024 * 1_024;
/// alloy sends each `eth_unsubscribe` with the id 1: ours must stay clear of it.
const FIRST_ID: u64 = 1_000;
/// alloy's connection, opened on our way out, and without its reconnecting, which loses logs and tells nobody: when the
/// connection goes, all that hangs on it ends, and we hear of it.
struct Once {
    to: WsConnect,
    outbound: Outbound,
    /// Why the connection ended, in words, once it has.
    ended: Arc<OnceLock<String>>,
}

impl PubSubConnect for Once {
    fn is_local(&self) -> bool {
        self.to.is_local()
    }

    async fn connect(&self) -> TransportResult<ConnectionHandle> {
        let url = Url::parse(self.to.url()).map_err(TransportErrorKind::custom)?;
        let request = self.to.clone().into_client_request().map_err(TransportErrorKind::custom)?;
        let stream = self.outbound.dial(&url).await.map_err(TransportErrorKind::custom)?;
        let tls = self.outbound.tls().map_or(Connector::Plain, Connector::Rustls);
        let connecting = client_async_tls_with_config(request, stream, self.to.config().copied(), Some(tls));
        let (mut socket, _) = connecting.await.map_err(TransportErrorKind::custom)?;
        let (handle, mut interface) = ConnectionHandle::new();
        let ended = Arc::clone(&self.ended);
        tokio::spawn(async move {
            let why = carry(&mut socket, &mut interface).await;
            // Before alloy hears of it, so that whoever asks why is told.
            ended.get_or_init(|| why);
            drop(interface);
        });
        Ok(handle.with_max_retries(0))
    }

    async fn try_reconnect(&self) -> TransportResult<ConnectionHandle> {
        Err(TransportErrorKind::non_retryable_str("the connection is gone"))
    }
}

/// An open connection.
pub(super) struct WsLink {
    frontend: PubSubFrontend,
    next_id: AtomicU64,
    patience: Duration,
    redactor: Redactor,
    ended: Arc<OnceLock<String>>,
}

impl fmt::Debug for WsLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WsLink")
    }
}

impl WsLink {
    /// Connects, handshake included, within the first of the times. Each request has the second.
    pub(super) async fn connect(
        url: &str,
        outbound: &Outbound,
        (connect_timeout, request_timeout): (Duration, Duration),
        redactor: Redactor,
    ) -> Result<Self, Failure> {
        let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
        let to = WsConnect::new(url).with_config(config);
        let ended = Arc::new(OnceLock::new());
        let connecting = Once { to, outbound: outbound.clone(), ended: Arc::clone(&ended) }.into_service();
        let frontend = match timeout(connect_timeout, connecting).await {
            Ok(Ok(frontend)) => frontend,
            Ok(Err(error)) => {
                let text = redactor.clean(&error.to_string());
                return Err(Failure::new(Class::Connection, format!("no websocket connection: {text}")).unsent());
            }
            Err(_) => return Err(Failure::new(Class::Timeout, "no websocket connection in time").unsent()),
        };
        frontend.set_channel_size(CHANNEL);
        Ok(Self { frontend, next_id: AtomicU64::new(FIRST_ID), patience: request_timeout, redactor, ended })
    }

    pub(super) async fn one(&self, ask: &Ask) -> Result<Box<RawValue>, Failure> {
        let id = Id::Number(self.next_id.fetch_add(1, Ordering::Relaxed));
        let request = Request::new(ask.method, id, &ask.params)
            .serialize()
            .map_err(|error| Failure::new(Class::Refused, format!("the question can't be written: {error}")))?;
        let Ok(answer) = timeout(self.patience, self.frontend.send(request)).await else {
            return Err(Failure::new(Class::Timeout, "no answer in time"));
        };
        match answer.map_err(|error| self.failure(&error))?.payload {
            ResponsePayload::Success(result) => Ok(result),
            ResponsePayload::Failure(error) => {
                let data = error.data.as_ref().and_then(|data| serde_json::from_str::<String>(data.get()).ok());
                Err(rpc_failure(Some(error.code), &error.message, data.as_deref(), &self.redactor))
            }
        }
    }

    /// Subscribes, and gives what will be pushed.
    pub(super) async fn subscribe(&self, ask: &Ask) -> Result<RawSubscription, Failure> {
        let answer = self.one(ask).await?;
        let id: B256 = rpc::read(&answer, "a subscription")?;
        let Ok(subscription) = timeout(self.patience, self.frontend.get_subscription(id)).await else {
            return Err(Failure::new(Class::Timeout, "no subscription in time"));
        };
        subscription.map_err(|error| self.failure(&error))
    }

    /// Ends a subscription; the node's answer is not waited for.
    pub(super) fn unsubscribe(&self, id: B256) {
        // It fails only when the connection is gone, and the subscription with it.
        drop(self.frontend.unsubscribe(id));
    }

    fn failure(&self, error: &TransportError) -> Failure {
        match error {
            RpcError::DeserError { .. } => Failure::garbage("the answer is no JSON-RPC"),
            other => match self.why_ended() {
                Some(why) => Failure::new(Class::Connection, format!("the websocket connection ended: {why}")),
                None => {
                    let text = self.redactor.clean(&other.to_string());
                    Failure::new(Class::Connection, format!("the websocket connection failed: {text}"))
                }
            },
        }
    }

    /// Why the connection has ended, in words without secrets; `None` while it stands.
    pub(super) fn why_ended(&self) -> Option<String> {
        self.ended.get().map(|why| self.redactor.clean(why))
    }
}
