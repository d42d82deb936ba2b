//! What stands between the engine and its node, and can fail as providers do: a JSON-RPC-aware HTTP proxy, and a pipe
//! for the websocket, both in front of a real anvil.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::any};
use rampwatch::adapters::evm::EndpointSettings;
use rampwatch::domain::operator::Operator;
use rampwatch::sandbox::Node;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::pipe::Pipe;
use crate::support::node::{Door, Refusal};

/// How much of the chain the requests are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum View {
    /// All of it.
    #[default]
    Honest,
    /// A node that is so many blocks behind: it has no later block, and answers `[]` where it is asked for its logs.
    Behind(u64),
    /// A node that has every header, but whose logs are so many blocks behind, which nothing tells.
    LogsBehind(u64),
    /// A balancer that gives each request in turn to a node that is so many blocks behind, and to a good one.
    Balanced(u64),
    /// The same, but the calls of a batch are dealt out one by one.
    BalancedByCall(u64),
}

/// A limit on the blocks of one `eth_getLogs`, and the words it is refused with.
struct RangeLimit {
    blocks: u64,
    refusal: Refusal,
}

/// The side of a call at which it is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The node has not been asked.
    Before,
    /// The node has answered, and nobody has heard it.
    After,
}

/// A call that waits at the proxy, or will. Dropping it lets the call go on.
pub(crate) struct Held {
    reached: oneshot::Receiver<()>,
    _go: oneshot::Sender<()>,
}

impl Held {
    /// Waits until the call has come.
    pub(crate) async fn reached(&mut self) {
        let come = tokio::time::timeout(super::world::LIMIT, &mut self.reached).await;
        come.expect("the call comes in time").expect("the proxy holds it");
    }
}

struct Stop {
    method: &'static str,
    stage: Stage,
    left: u32,
    reached: oneshot::Sender<()>,
    go: oneshot::Receiver<()>,
}

/// How the calls are answered.
struct Desk {
    node: String,
    client: reqwest::Client,
    view: Mutex<View>,
    limit: Mutex<Option<RangeLimit>>,
    stops: Mutex<Vec<Stop>>,
    turn: AtomicU64,
    requests: AtomicU64,
    withheld: AtomicU64,
    refused: AtomicU64,
}

/// See the module.
pub(crate) struct Proxy {
    door: Door,
    desk: Arc<Desk>,
    pipe: Option<Pipe>,
    dead: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// In front of a node, honest at first; with a websocket or without.
    pub(crate) fn open(node: &Node, websocket: bool) -> Self {
        let desk = Arc::new(Desk {
            node: node.http_url().as_str().to_owned(),
            client: reqwest::Client::new(),
            view: Mutex::default(),
            limit: Mutex::default(),
            stops: Mutex::default(),
            turn: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            withheld: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        let port = node.http_url().port().expect("a sandbox's node has a port");
        let door = Door::open(Router::new().fallback(any(serve)).with_state(Arc::clone(&desk)));
        let pipe = websocket.then(|| Pipe::open(SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
        Self { door, desk, pipe, dead: AtomicBool::new(false) }
    }

    /// How the engine reaches the node through it.
    pub(crate) fn endpoint(&self, name: String) -> EndpointSettings {
        let ws = self.pipe.as_ref().map(|pipe| SecretString::from(format!("ws://{}", pipe.address())));
        EndpointSettings {
            operator: Operator::named(&name),
            name,
            http: Some(SecretString::from(format!("http://{}", self.door.address()))),
            ws,
        }
    }

    /// The way of the websocket.
    pub(crate) fn ws(&self) -> &Pipe {
        self.pipe.as_ref().expect("the proxy was opened with a websocket")
    }

    /// Shows the requests this much of the chain, from now on.
    pub(crate) fn show(&self, view: View) {
        *lock(&self.desk.view) = view;
    }

    /// Refuses longer ranges of logs, from now on.
    pub(crate) fn limit(&self, blocks: u64, refusal: Refusal) {
        *lock(&self.desk.limit) = Some(RangeLimit { blocks, refusal });
    }

    /// Holds the call of this method that comes after `skipped` others.
    pub(crate) fn hold(&self, method: &'static str, stage: Stage, skipped: u32) -> Held {
        let (reach, reached) = oneshot::channel();
        let (release, go) = oneshot::channel();
        lock(&self.desk.stops).push(Stop { method, stage, left: skipped, reached: reach, go });
        Held { reached, _go: release }
    }

    /// Dies: all connections are cut, and new ones refused.
    pub(crate) async fn die(&self) {
        assert!(!self.dead.swap(true, Ordering::SeqCst), "it lives");
        self.door.close().await;
        if let Some(pipe) = &self.pipe {
            pipe.set_dead(true);
        }
    }

    /// Comes back on the same ports.
    pub(crate) fn come_back(&self) {
        assert!(self.dead.swap(false, Ordering::SeqCst), "it is dead");
        self.door.reopen();
        if let Some(pipe) = &self.pipe {
            pipe.set_dead(false);
        }
    }

    /// How many HTTP requests have come.
    pub(crate) fn requests(&self) -> u64 {
        self.desk.requests.load(Ordering::SeqCst)
    }

    /// How many questions after blocks that the node has, or after their logs, were answered as if it had not.
    pub(crate) fn withheld(&self) -> u64 {
        self.desk.withheld.load(Ordering::SeqCst)
    }

    /// How many questions were refused for their range.
    pub(crate) fn refused(&self) -> u64 {
        self.desk.refused.load(Ordering::SeqCst)
    }
}

/// One HTTP request: a call, or a batch, whose calls are answered in order.
async fn serve(State(desk): State<Arc<Desk>>, body: Bytes) -> Response {
    desk.requests.fetch_add(1, Ordering::SeqCst);
    let reply = match serde_json::from_slice::<Value>(&body) {
        Ok(Value::Array(calls)) => {
            let turn = desk.turn.fetch_add(1, Ordering::SeqCst);
            let mut replies = Vec::new();
            for call in &calls {
                replies.push(desk.answer(call, turn).await);
            }
            Value::Array(replies)
        }
        Ok(call) => {
            let turn = desk.turn.fetch_add(1, Ordering::SeqCst);
            desk.answer(&call, turn).await
        }
        Err(_) => return StatusCode::BAD_REQUEST.into_response(),
    };
    ([(header::CONTENT_TYPE, "application/json")], reply.to_string()).into_response()
}

impl Desk {
    async fn answer(&self, call: &Value, turn: u64) -> Value {
        let method = call["method"].as_str().unwrap_or_default();
        self.pass(method, Stage::Before).await;
        let mut reply = match self.say(method, &call["params"], turn).await {
            Ok(result) => json!({ "result": result }),
            Err(error) => json!({ "error": error }),
        };
        self.pass(method, Stage::After).await;
        reply["jsonrpc"] = json!("2.0");
        reply["id"] = call["id"].clone();
        reply
    }

    /// Waits where a test holds the call.
    async fn pass(&self, method: &str, stage: Stage) {
        let stop = {
            let mut stops = lock(&self.stops);
            let due = |stop: &Stop| stop.method == method && stop.stage == stage && stop.left == 0;
            let at = stops.iter().position(due);
            if at.is_none() {
                let counts = |stop: &&mut Stop| stop.method == method && stop.stage == stage;
                stops.iter_mut().filter(counts).for_each(|stop| stop.left -= 1);
            }
            at.map(|at| stops.remove(at))
        };
        if let Some(stop) = stop {
            // A test that has let go of it already waits for nothing.
            let _ = stop.reached.send(());
            let _ = stop.go.await;
        }
    }

    /// How many blocks behind this call's node is, and whether its headers are too.
    fn lag(&self, turn: u64) -> (u64, bool) {
        match *lock(&self.view) {
            View::Honest => (0, true),
            View::Behind(lag) => (lag, true),
            View::LogsBehind(lag) => (lag, false),
            View::Balanced(lag) => (if turn.is_multiple_of(2) { lag } else { 0 }, true),
            View::BalancedByCall(lag) => {
                (if self.turn.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) { lag } else { 0 }, true)
            }
        }
    }

    async fn say(&self, method: &str, params: &Value, turn: u64) -> Result<Value, Value> {
        if method == "eth_getLogs" {
            self.within_limit(&params[0])?;
        }
        let (lag, headers) = self.lag(turn);
        if lag == 0 {
            return self.ask(method, params).await;
        }
        let top = number(&self.ask("eth_blockNumber", &json!([])).await?).saturating_sub(lag);
        match method {
            "eth_blockNumber" if headers => Ok(json!(format!("{top:#x}"))),
            "eth_getBlockByNumber" if headers => self.block_up_to(top, lag, params).await,
            "eth_getLogs" => self.logs_up_to(top, params).await,
            _ => self.ask(method, params).await,
        }
    }

    fn within_limit(&self, filter: &Value) -> Result<(), Value> {
        let limit = lock(&self.limit);
        let Some(limit) = &*limit else { return Ok(()) };
        let blocks = number(&filter["toBlock"]) - number(&filter["fromBlock"]) + 1;
        if blocks <= limit.blocks {
            return Ok(());
        }
        self.refused.fetch_add(1, Ordering::SeqCst);
        Err(limit.refusal.to_json())
    }

    async fn block_up_to(&self, top: u64, lag: u64, params: &Value) -> Result<Value, Value> {
        let asked = match params[0].as_str().unwrap_or_default() {
            "latest" => top,
            "finalized" => {
                let block = self.ask("eth_getBlockByNumber", params).await?;
                number(&block["number"]).saturating_sub(lag)
            }
            other => number(&json!(other)),
        };
        if asked > top {
            self.withheld.fetch_add(1, Ordering::SeqCst);
            return Ok(Value::Null);
        }
        self.ask("eth_getBlockByNumber", &json!([format!("{asked:#x}"), params[1]])).await
    }

    async fn logs_up_to(&self, top: u64, params: &Value) -> Result<Value, Value> {
        let mut filter = params[0].clone();
        if number(&filter["toBlock"]) > top {
            self.withheld.fetch_add(1, Ordering::SeqCst);
            filter["toBlock"] = json!(format!("{top:#x}"));
        }
        if number(&filter["fromBlock"]) > top {
            return Ok(json!([]));
        }
        self.ask("eth_getLogs", &json!([filter])).await
    }

    /// Asks the node itself.
    async fn ask(&self, method: &str, params: &Value) -> Result<Value, Value> {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let failed = |error: reqwest::Error| json!({ "code": -32603, "message": error.to_string() });
        let response = self.client.post(&self.node).json(&call).send().await.map_err(failed)?;
        let mut reply: Value = response.json().await.map_err(failed)?;
        if reply["error"].is_null() { Ok(reply["result"].take()) } else { Err(reply["error"].take()) }
    }
}

/// A quantity as JSON-RPC writes it.
fn number(quantity: &Value) -> u64 {
    let text = quantity.as_str().unwrap_or_else(|| panic!("{quantity} is no quantity"));
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or_else(|_| panic!("{text} is no quantity"))
}
