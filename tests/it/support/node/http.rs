//! JSON-RPC over HTTP, for one node or for a balancer in front of several.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::any};
use futures_util::stream;
use serde_json::{Value, json};

use super::counts::Counts;
use super::faults::{BatchIds, HttpFault, Refusal};
use super::view::{Outcome, View, error_reply, lock};
use super::ws;

/// The largest body that is read.
const MOST_BYTES: usize = 32 << 20;

/// Whose turn it is among several nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    /// One after the other.
    #[default]
    RoundRobin,
    /// By chance, always the same for the same seed.
    Seeded(u64),
}

/// What a balancer gives to one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Unit {
    /// A whole HTTP request.
    #[default]
    Request,
    /// Each call of a batch by itself.
    Member,
}

/// What answers at one port.
pub(super) struct Server {
    pub(super) views: Vec<Arc<View>>,
    order: Order,
    unit: Unit,
    turn: Mutex<u64>,
    counts: Mutex<Counts>,
}

impl Server {
    pub(super) fn new(views: Vec<Arc<View>>, order: Order, unit: Unit) -> Arc<Self> {
        let turn = match order {
            Order::RoundRobin => 0,
            Order::Seeded(seed) => seed,
        };
        Arc::new(Self { views, order, unit, turn: Mutex::new(turn), counts: Mutex::default() })
    }

    /// Any path: URLs of providers carry a key in it.
    pub(super) fn router(self: &Arc<Self>) -> Router {
        Router::new().fallback(any(serve)).with_state(self.clone())
    }

    /// The node whose turn it is.
    pub(super) fn pick(&self) -> Arc<View> {
        let mut turn = lock(&self.turn);
        let drawn = match self.order {
            Order::RoundRobin => *turn,
            Order::Seeded(_) => scramble(*turn),
        };
        *turn = turn.wrapping_add(1);
        let nth = drawn % self.views.len() as u64;
        self.views[usize::try_from(nth).unwrap_or(0)].clone()
    }

    pub(super) fn count<T>(&self, work: impl FnOnce(&mut Counts) -> T) -> T {
        work(&mut lock(&self.counts))
    }

    fn fault(&self, status: u16, body: String, content: &str) -> Response {
        self.count(|counts| counts.errors += 1);
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, content)], body).into_response()
    }

    fn html(&self, status: u16) -> Response {
        let page = format!("<html><head><title>{status}</title></head><body><h1>{status}</h1>nginx</body></html>");
        self.fault(status, page, "text/html")
    }

    /// An answer that has a JSON-RPC error in it, but another HTTP status.
    fn refused(&self, status: u16, call: &Value, refusal: &Refusal) -> Response {
        self.fault(status, error_reply(call, refusal).to_string(), "application/json")
    }

    async fn post(&self, body: &[u8]) -> Response {
        self.count(|counts| counts.http_requests += 1);
        let view = self.pick();
        if view.is_dead() {
            return self.html(502);
        }
        let parsed = match serde_json::from_slice::<Value>(body) {
            Ok(parsed) if parsed.is_object() || parsed.is_array() => parsed,
            _ => return self.refused(400, &Value::Null, &Refusal::rpc(-32700, "parse error")),
        };
        let calls: Vec<(Arc<View>, &Value)> = match &parsed {
            Value::Array(batch) => {
                self.count(|counts| {
                    counts.batches += 1;
                    counts.batch_members += batch.len() as u64;
                });
                let mut first = Some(view.clone());
                let shared = |first: &mut Option<Arc<View>>| match self.unit {
                    Unit::Request => view.clone(),
                    Unit::Member => first.take().unwrap_or_else(|| self.pick()),
                };
                batch.iter().map(|call| (shared(&mut first), call)).collect()
            }
            single => vec![(view.clone(), single)],
        };
        for (view, call) in &calls {
            view.note(call);
        }
        let behaviour = view.behaviour();
        if behaviour.latency > Duration::ZERO {
            tokio::time::sleep(behaviour.latency).await;
        }
        if let Some((most, refusal)) = &behaviour.max_batch
            && calls.len() > *most
        {
            if behaviour.odd.refuses_in_list {
                return self.fault(200, json!([error_reply(&Value::Null, refusal)]).to_string(), "application/json");
            }
            return self.refused(200, &Value::Null, refusal);
        }
        let fault = view.take_http_fault();
        if let Some(answer) = self.faulty(fault.as_ref(), &parsed).await {
            return answer;
        }
        let mut replies = Vec::new();
        for (view, call) in &calls {
            let outcome = match &fault {
                Some(HttpFault::EveryCall(refusal)) => view.reply(call, Err(refusal.clone())),
                _ => view.answer(call),
            };
            match outcome {
                Outcome::Reply(reply) => replies.push(reply),
                Outcome::Http(status, body) => return self.fault(status, body, "text/plain"),
                Outcome::Hang => std::future::pending().await,
            }
        }
        if behaviour.reverse_batches {
            replies.reverse();
        }
        if parsed.is_array() {
            replies.iter_mut().for_each(|reply| name(reply, behaviour.odd.batch_ids));
        }
        let answer = if parsed.is_array() { Value::Array(replies) } else { replies.pop().unwrap_or_default() };
        let text = answer.to_string();
        if fault == Some(HttpFault::Cut) { self.cut(text) } else { json_answer(text) }
    }

    /// The answer of a node with a fault that spoils the whole answer.
    async fn faulty(&self, fault: Option<&HttpFault>, request: &Value) -> Option<Response> {
        let answer = match fault? {
            HttpFault::RateLimited { retry_after } => {
                let refusal = Refusal::rpc(-32005, "daily request count exceeded, request rate limited");
                let mut answer = self.refused(429, request, &refusal);
                if let Some(seconds) = retry_after {
                    answer.headers_mut().insert(header::RETRY_AFTER, (*seconds).into());
                }
                answer
            }
            HttpFault::QuotaGone => self.refused(402, request, &Refusal::rpc(402, "Payment Required")),
            HttpFault::Html(status) => self.html(*status),
            HttpFault::Garbage(text) => self.fault(200, text.clone(), "application/json"),
            HttpFault::Hang => std::future::pending().await,
            HttpFault::Cut | HttpFault::EveryCall(_) => return None,
        };
        Some(answer)
    }

    /// Half of the answer, and then the connection breaks.
    fn cut(&self, text: String) -> Response {
        self.count(|counts| counts.errors += 1);
        let length = text.len();
        let half = Bytes::from(text).slice(..length / 2);
        let body = stream::unfold(Some(half), |left| async {
            let half = left?;
            if half.is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
                return Some((Err(io::Error::from(io::ErrorKind::ConnectionReset)), None));
            }
            Some((Ok(half), Some(Bytes::new())))
        });
        let headers =
            [(header::CONTENT_TYPE, "application/json".to_owned()), (header::CONTENT_LENGTH, length.to_string())];
        (headers, Body::from_stream(body)).into_response()
    }
}

/// Says in a batch's answer what it answers.
fn name(reply: &mut Value, ids: BatchIds) {
    match ids {
        BatchIds::Numbers => {}
        BatchIds::Text => reply["id"] = json!(reply["id"].to_string()),
        BatchIds::NullInErrors if reply.get("error").is_some() => reply["id"] = Value::Null,
        BatchIds::NullInErrors => {}
    }
}

fn json_answer(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// Spreads neighbouring numbers over all numbers (the finaliser of splitmix64).
const fn scramble(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

async fn serve(State(server): State<Arc<Server>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    if parts.headers.contains_key(header::UPGRADE) {
        return match WebSocketUpgrade::from_request_parts(&mut parts, &server).await {
            Ok(upgrade) => ws::upgrade(&server.pick(), upgrade).await,
            Err(rejection) => rejection.into_response(),
        };
    }
    match to_bytes(body, MOST_BYTES).await {
        Ok(body) => server.post(&body).await,
        Err(error) => {
            (StatusCode::PAYLOAD_TOO_LARGE, json!({ "error": error.to_string() }).to_string()).into_response()
        }
    }
}
