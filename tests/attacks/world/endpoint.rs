//! An endpoint: a port of the loopback behind which a node stands that may lie.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::any};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::chain::Chain;
use super::node::{self, Answer, RpcError};

/// The largest body.
const MOST_BYTES: usize = 32 << 20;

/// A call, and what an honest node would say.
pub(crate) struct Asked<'a> {
    pub(crate) chain: &'a Chain,
    pub(crate) method: &'a str,
    pub(crate) params: &'a Value,
}

impl Asked<'_> {
    /// What an honest node says. Carries the call out.
    pub(crate) fn honest(&self) -> Answer {
        let answer = node::answer(&mut self.chain.state(), self.method, self.params);
        answer.unwrap_or_else(|| node::refuse(-32_601, format!("the method {} does not exist", self.method)))
    }

    /// The tag or number of the block that is asked for, if the call asks for a block.
    pub(crate) fn block(&self) -> Option<&str> {
        (self.method == "eth_getBlockByNumber").then(|| self.params[0].as_str()).flatten()
    }
}

/// What a lying node says; `None` where it says the truth.
pub(crate) type Lie = Arc<dyn Fn(&Asked<'_>) -> Option<Answer> + Send + Sync>;

struct Desk {
    chain: Chain,
    lie: Mutex<Option<Lie>>,
    is_down: AtomicBool,
    counts: Mutex<BTreeMap<String, u64>>,
    lacking: Mutex<BTreeSet<String>>,
}

/// See the module. It ends with this value.
pub(crate) struct Endpoint {
    pub(crate) name: String,
    pub(crate) url: String,
    desk: Arc<Desk>,
    task: JoinHandle<()>,
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Endpoint {
    /// Opens one on a free port.
    pub(crate) async fn open(name: &str, chain: &Chain) -> std::io::Result<Self> {
        let desk = Arc::new(Desk {
            chain: chain.clone(),
            lie: Mutex::default(),
            is_down: AtomicBool::new(false),
            counts: Mutex::default(),
            lacking: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let app =
            Router::new().fallback(any(serve)).layer(DefaultBodyLimit::max(MOST_BYTES)).with_state(Arc::clone(&desk));
        let task = tokio::spawn(async move {
            // It serves until it is aborted.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { name: name.to_owned(), url, desk, task })
    }

    /// Lies like this from now on.
    pub(crate) fn lie(&self, lie: Lie) {
        *lock(&self.desk.lie) = Some(lie);
    }

    /// Says the truth from now on.
    pub(crate) fn be_honest(&self) {
        *lock(&self.desk.lie) = None;
        self.desk.is_down.store(false, Ordering::SeqCst);
    }

    /// Answers nothing but 503 from now on.
    pub(crate) fn go_down(&self) {
        self.desk.is_down.store(true, Ordering::SeqCst);
    }

    /// How many calls of a method came.
    pub(crate) fn asked(&self, method: &str) -> u64 {
        lock(&self.desk.counts).get(method).copied().unwrap_or_default()
    }

    /// The methods that were asked for and are not there.
    pub(crate) fn lacking(&self) -> Vec<String> {
        lock(&self.desk.lacking).iter().cloned().collect()
    }
}

async fn serve(State(desk): State<Arc<Desk>>, body: Bytes) -> Response {
    if desk.is_down.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let Ok(request) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let reply = match &request {
        Value::Array(calls) => Value::Array(calls.iter().map(|call| desk.reply(call)).collect()),
        call => desk.reply(call),
    };
    ([(header::CONTENT_TYPE, "application/json")], reply.to_string()).into_response()
}

impl Desk {
    fn reply(&self, call: &Value) -> Value {
        let method = call["method"].as_str().unwrap_or_default();
        *lock(&self.counts).entry(method.to_owned()).or_default() += 1;
        let asked = Asked { chain: &self.chain, method, params: &call["params"] };
        let lie = lock(&self.lie).clone();
        let answer = lie.and_then(|lie| lie(&asked)).unwrap_or_else(|| asked.honest());
        match answer {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }),
            Err(RpcError { code, message }) => {
                if code == -32_601 {
                    lock(&self.lacking).insert(method.to_owned());
                }
                json!({ "jsonrpc": "2.0", "id": call["id"], "error": { "code": code, "message": message } })
            }
        }
    }
}
