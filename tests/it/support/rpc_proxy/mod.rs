//! A proxy for JSON-RPC over HTTP between rampwatch and its node, which loses, delays, repeats, refuses and invents,
//! by rule, by plan or by chance, and which says when a call is about to reach the node and when it has been answered.
//!
//! The calls of a batch are dealt with one by one, in order, and given to the node one by one. What a call does at the
//! node happens even when the caller has gone meanwhile, as with a real one. Deliberately absent: websockets (a pipe of
//! bytes is beside the tests on anvil), and everything of the tests it serves: another test binary can take this folder
//! in by its path.

mod line;
mod plan;
#[cfg(test)]
mod self_test;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::{Router, routing::any};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::line::{Cutter, Ears};
use self::plan::{Rules, fits};

pub(crate) use self::plan::{ANY, Call, Deed, Tell, Weather};

/// How long [`Held::reached`] waits.
const LIMIT: Duration = Duration::from_secs(60);

/// The largest body.
const MOST_BYTES: usize = 32 << 20;

/// The most calls that are remembered.
const MOST_SEEN: usize = 1_000_000;

/// The side of the node on which a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is about to be given to the node. (A call that is never given to it gets here too.)
    Before,
    /// The node has done it, and nobody has heard so.
    After,
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) call: Call,
    /// What was done to it; a hook or a hold may have changed it on the way.
    pub(crate) deed: Deed,
    /// What the node answered, each time; an error is the whole `error` object. As many as it was forwarded.
    pub(crate) answers: Vec<Result<Value, Value>>,
    /// Whether all was done that was to be done to it.
    pub(crate) done: bool,
}

/// How many calls of a method came, and how often they were given to the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) received: u64,
    pub(crate) forwarded: u64,
    /// Forwarded at least once, and the caller has heard nothing of what the node said.
    pub(crate) unheard: u64,
}

type Hook = Arc<dyn Fn(Call, Stage) -> Pin<Box<dyn Future<Output = Option<Deed>> + Send>> + Send + Sync>;

/// A call that waits at the proxy, or will. Dropping it lets the call go on.
pub(crate) struct Held {
    reached: oneshot::Receiver<Call>,
    go: oneshot::Sender<Deed>,
}

impl Held {
    /// Waits until the call has come.
    pub(crate) async fn reached(&mut self) -> Call {
        let come = tokio::time::timeout(LIMIT, &mut self.reached).await;
        come.expect("the call comes in time").expect("the proxy holds it")
    }

    /// Lets it go on, with another deed than was planned. Behind the node only its word and its delay after count.
    pub(crate) fn go_with(self, deed: Deed) {
        // A caller who has gone has taken nothing along: the call waits in a task of its own. A proxy that has ended has.
        let _ = self.go.send(deed);
    }
}

struct Stop {
    method: String,
    stage: Stage,
    skipped: u64,
    reached: oneshot::Sender<Call>,
    go: oneshot::Receiver<Deed>,
}

struct Desk {
    node: Mutex<String>,
    client: reqwest::Client,
    rules: Mutex<Rules>,
    stops: Mutex<Vec<Stop>>,
    hook: Mutex<Option<Hook>>,
    seen: Mutex<Vec<Seen>>,
    paused: watch::Sender<bool>,
    ended: CancellationToken,
}

/// See the module. It ends with this value.
pub(crate) struct RpcProxy {
    address: SocketAddr,
    desk: Arc<Desk>,
    deaf: Arc<AtomicBool>,
    all: Arc<Mutex<CancellationToken>>,
    _end: DropGuard,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RpcProxy {
    /// On a free port, in front of the node at an `http://` address. Everything passes at first.
    pub(crate) fn open(node: &str) -> Self {
        let ended = CancellationToken::new();
        let desk = Arc::new(Desk {
            node: Mutex::new(node.to_owned()),
            client: reqwest::Client::builder().no_proxy().build().expect("a client can be made"),
            rules: Mutex::default(),
            stops: Mutex::default(),
            hook: Mutex::default(),
            seen: Mutex::default(),
            paused: watch::Sender::new(false),
            ended: ended.clone(),
        });
        let (ears, address) = Ears::open();
        let (deaf, all) = (Arc::clone(&ears.deaf), Arc::clone(&ears.all));
        let app = Router::new()
            .fallback(any(serve))
            .layer(DefaultBodyLimit::max(MOST_BYTES))
            .with_state(Arc::clone(&desk))
            .into_make_service_with_connect_info::<Cutter>();
        let (end, lines) = (ended.clone(), Arc::clone(&all));
        tokio::spawn(async move {
            tokio::select! {
                () = end.cancelled() => lock(&lines).cancel(),
                _ = async { axum::serve(ears, app).await } => {}
            }
        });
        Self { address, desk, deaf, all, _end: ended.drop_guard() }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stands in front of another node from now on.
    pub(crate) fn set_node(&self, node: &str) {
        node.clone_into(&mut lock(&self.desk.node));
    }

    /// This is done to the next call of a method ([`ANY`] for all), once.
    pub(crate) fn next(&self, method: &str, deed: Deed) {
        self.rule(method, 0, 1, deed);
    }

    /// This is done to every call of a method from now on.
    pub(crate) fn always(&self, method: &str, deed: Deed) {
        self.rule(method, 0, u64::MAX, deed);
    }

    /// This is done to so many calls of a method, after so many were skipped. Rules go before the plan, in the order in
    /// which they were given.
    pub(crate) fn rule(&self, method: &str, skipped: u64, times: u64, deed: Deed) {
        lock(&self.desk.rules).add(method, skipped, times, deed);
    }

    /// Asks this for every call that no rule is for. `None` leaves the call to chance. It must not give the proxy rules.
    pub(crate) fn plan(&self, plan: impl FnMut(&Call) -> Option<Deed> + Send + 'static) {
        lock(&self.desk.rules).set_plan(Box::new(plan));
    }

    /// Leaves what no rule and no plan is for to chance.
    pub(crate) fn weather(&self, weather: Weather) {
        lock(&self.desk.rules).set_weather(weather);
    }

    /// Takes back rules, plan and chance. Calls that are under way keep what was decided.
    pub(crate) fn clear(&self) {
        lock(&self.desk.rules).clear();
    }

    /// Holds the call of a method ([`ANY`] for all) that comes to this side of the node after so many others.
    pub(crate) fn hold(&self, method: &str, stage: Stage, skipped: u64) -> Held {
        let (reach, reached) = oneshot::channel();
        let (release, go) = oneshot::channel();
        lock(&self.desk.stops).push(Stop { method: method.to_owned(), stage, skipped, reached: reach, go });
        Held { reached, go: release }
    }

    /// Calls this for every call on both sides of the node, and waits for it; what it gives is done instead of what was
    /// planned (behind the node only its word and its delay after count).
    pub(crate) fn hook<F>(&self, hook: impl Fn(Call, Stage) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Option<Deed>> + Send + 'static,
    {
        *lock(&self.desk.hook) = Some(Arc::new(move |call, stage| Box::pin(hook(call, stage))));
    }

    /// While it is paused, calls are taken, and wait in front of the node.
    pub(crate) fn set_paused(&self, paused: bool) {
        self.desk.paused.send_replace(paused);
    }

    /// While it is deaf, connections are closed as soon as they are made; those there are are not cut by it.
    pub(crate) fn set_deaf(&self, deaf: bool) {
        self.deaf.store(deaf, Ordering::SeqCst);
    }

    /// Cuts all connections there are. What is under way reaches the node; new connections work.
    pub(crate) fn cut(&self) {
        std::mem::take(&mut *lock(&self.all)).cancel();
    }

    /// Every call so far, in the order they came; at most the first million.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        lock(&self.desk.seen).clone()
    }

    /// The calls of a method so far ([`ANY`] for all).
    pub(crate) fn count(&self, method: &str) -> Count {
        let mut count = Count::default();
        for seen in lock(&self.desk.seen).iter().filter(|seen| fits(method, &seen.call.method)) {
            count.received += 1;
            count.forwarded += seen.answers.len() as u64;
            let heard = matches!(seen.deed.tell, Tell::Answer(_)) && seen.done;
            count.unheard += u64::from(!seen.answers.is_empty() && !heard);
        }
        count
    }

    /// Whether nothing is under way: every call that came was dealt with.
    pub(crate) fn is_idle(&self) -> bool {
        lock(&self.desk.seen).iter().all(|seen| seen.done)
    }
}

/// What a whole HTTP request gets.
enum Reply {
    Body(Value),
    Status(u16),
    Silence,
    Cut,
}

async fn serve(State(desk): State<Arc<Desk>>, ConnectInfo(Cutter(cut)): ConnectInfo<Cutter>, body: Bytes) -> Response {
    let Ok(request) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    // In a task of its own, because a caller that hangs up would take this one along.
    let ended = desk.ended.clone();
    let task = tokio::spawn(async move {
        tokio::select! {
            () = desk.ended.clone().cancelled_owned() => Reply::Cut,
            reply = desk.deal(&request) => reply,
        }
    });
    match task.await {
        Ok(Reply::Body(body)) => ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response(),
        Ok(Reply::Status(status)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, Html(format!("<html><body><h1>{status}</h1></body></html>"))).into_response()
        }
        Ok(Reply::Silence) => {
            ended.cancelled().await;
            cut.cancel();
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        // The response is never seen: writing it fails.
        Ok(Reply::Cut) | Err(_) => {
            cut.cancel();
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

impl Desk {
    async fn deal(&self, request: &Value) -> Reply {
        let Value::Array(calls) = request else {
            let told = self.call(request).await;
            return match told {
                Tell::Cut => Reply::Cut,
                Tell::Silence => Reply::Silence,
                Tell::Status(status) => Reply::Status(status),
                told => Reply::Body(reply(request, told)),
            };
        };
        let mut replies = Vec::new();
        let mut spoilt = None;
        for call in calls {
            match self.call(call).await {
                Tell::Cut => spoilt = Some(Reply::Cut),
                Tell::Silence if !matches!(spoilt, Some(Reply::Cut)) => spoilt = Some(Reply::Silence),
                Tell::Silence => {}
                Tell::Status(status) if spoilt.is_none() => spoilt = Some(Reply::Status(status)),
                Tell::Status(_) => {}
                told => replies.push(reply(call, told)),
            }
        }
        spoilt.unwrap_or(Reply::Body(Value::Array(replies)))
    }

    /// Deals with one call, and says what the caller is to hear: never [`Tell::Answer`].
    async fn call(&self, request: &Value) -> Tell {
        let method = request["method"].as_str().unwrap_or_default();
        let (call, mut deed, place) = {
            let mut rules = lock(&self.rules);
            let call = rules.call(method, request["params"].clone());
            let deed = rules.decide(&call);
            let mut seen = lock(&self.seen);
            assert!(seen.len() < MOST_SEEN, "a test makes fewer calls than {MOST_SEEN}");
            seen.push(Seen { call: call.clone(), deed: deed.clone(), answers: Vec::new(), done: false });
            (call, deed, seen.len() - 1)
        };
        // The sender lives as long as the desk.
        let _ = self.paused.subscribe().wait_for(|paused| !paused).await;
        if let Some(other) = self.pass(&call, Stage::Before).await {
            deed = other;
        }
        tokio::time::sleep(deed.before).await;
        let mut broken = false;
        for _ in 0..deed.forwards {
            match self.ask(&call).await {
                Some(answer) => self.note(place, |seen| seen.answers.push(answer)),
                None => broken = true,
            }
        }
        if let Some(other) = self.pass(&call, Stage::After).await {
            deed = Deed { before: deed.before, forwards: deed.forwards, ..other };
        }
        tokio::time::sleep(deed.after).await;
        self.note(place, |seen| {
            seen.deed = deed.clone();
            seen.done = true;
            match deed.tell {
                _ if broken => Tell::Cut,
                Tell::Answer(nth) => match seen.answers.get(nth) {
                    Some(Ok(result)) => Tell::Result(result.clone()),
                    Some(Err(error)) => Tell::Error(error.clone()),
                    None => Tell::Cut,
                },
                told => told,
            }
        })
    }

    fn note<T>(&self, place: usize, note: impl FnOnce(&mut Seen) -> T) -> T {
        note(&mut lock(&self.seen)[place])
    }

    /// Tells the hook, and waits where a test holds the call. What the hold says counts before what the hook says.
    async fn pass(&self, call: &Call, stage: Stage) -> Option<Deed> {
        let hook = lock(&self.hook).clone();
        let mut other = match hook {
            Some(hook) => hook(call.clone(), stage).await,
            None => None,
        };
        let stop = {
            let mut stops = lock(&self.stops);
            let fitting = |stop: &Stop| fits(&stop.method, &call.method) && stop.stage == stage;
            let at = stops.iter().position(|stop| fitting(stop) && stop.skipped == 0);
            for stop in stops.iter_mut().filter(|stop| fitting(stop) && stop.skipped > 0) {
                stop.skipped -= 1;
            }
            at.map(|at| stops.remove(at))
        };
        if let Some(stop) = stop {
            // A test that has let go of it already waits for nothing.
            let _ = stop.reached.send(call.clone());
            other = stop.go.await.ok().or(other);
        }
        other
    }

    /// Asks the node; `None` when it cannot be reached or makes no sense.
    async fn ask(&self, call: &Call) -> Option<Result<Value, Value>> {
        let node = lock(&self.node).clone();
        let body = json!({ "jsonrpc": "2.0", "id": call.number, "method": call.method, "params": call.params });
        let response = self.client.post(node).json(&body).send().await.ok()?;
        let mut reply: Value = response.json().await.ok()?;
        let error = reply.get_mut("error").map(Value::take).filter(|error| !error.is_null());
        match error {
            Some(error) => Some(Err(error)),
            None => reply.get_mut("result").map(Value::take).map(Ok),
        }
    }
}

/// A call's reply, when there is one.
fn reply(call: &Value, told: Tell) -> Value {
    let (name, content) = match told {
        Tell::Result(result) => ("result", result),
        Tell::Error(error) => ("error", error),
        other => panic!("{other:?} is no reply"),
    };
    json!({ "jsonrpc": "2.0", "id": call["id"], name: content })
}
