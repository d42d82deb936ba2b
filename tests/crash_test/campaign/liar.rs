//! The endpoint that lies: it passes everything on to the node and back, but for spans in which it tells one of the [`lies`].
//!
//! [`lies`]: super::lies

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy::primitives::hex;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::any};
use rampwatch::sandbox::{Sandbox, SandboxError, USDC, WALLET};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::lies::{Answer, Before, Call, Ground, Kind, Lie};
use crate::run::chance::Chance;

/// The largest body.
const MOST_BYTES: usize = 32 << 20;

/// How long the node may take when it is asked for what a lie is made of. While it stands still there is nothing to lie about.
const GROUND_WITHIN: Duration = Duration::from_secs(1);

/// How often each kind of lie was told: in how many answers.
pub(crate) type Told = BTreeMap<Kind, u64>;

/// See the module. It ends with this value.
pub(crate) struct Liar {
    address: SocketAddr,
    desk: Arc<Desk>,
    serving: JoinHandle<()>,
    lying: Option<JoinHandle<()>>,
    calm: CancellationToken,
}

struct Desk {
    node: String,
    client: reqwest::Client,
    lie: Mutex<Option<Arc<Lie>>>,
    told: Mutex<Told>,
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.serving.abort();
        self.lying.iter().for_each(JoinHandle::abort);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Liar {
    /// In front of the node at this address. It says the truth until it is told to begin.
    pub(crate) async fn open(node: SocketAddr) -> Result<Self, SandboxError> {
        let failed = |source| SandboxError::Process { what: "open the lying endpoint".to_owned(), source };
        let desk = Arc::new(Desk {
            node: format!("http://{node}"),
            client: reqwest::Client::builder().no_proxy().build().expect("a client can be made"),
            lie: Mutex::default(),
            told: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let app =
            Router::new().fallback(any(serve)).layer(DefaultBodyLimit::max(MOST_BYTES)).with_state(Arc::clone(&desk));
        let serving = tokio::spawn(async move {
            // It serves until it is aborted.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { address, desk, serving, lying: None, calm: CancellationToken::new() })
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lies now and then from now on.
    pub(crate) fn begin(&mut self, sandbox: Arc<Sandbox>, seed: u64) {
        let (desk, calm) = (Arc::clone(&self.desk), self.calm.clone());
        self.lying = Some(tokio::spawn(async move {
            let chance = Chance::new(seed, "lies");
            calm.run_until_cancelled(lie_now_and_then(&desk, &sandbox, chance)).await;
            *lock(&desk.lie) = None;
        }));
    }

    /// No more lies from now on.
    pub(crate) async fn calm(&mut self) {
        self.calm.cancel();
        if let Some(lying) = self.lying.take() {
            lying.await.expect("the liar does not panic");
        }
    }

    /// What it has told so far.
    pub(crate) fn told(&self) -> Told {
        lock(&self.desk.told).clone()
    }
}

/// Truth and lies take turns. The kinds come from a shuffled deck, so that none is left out.
async fn lie_now_and_then(desk: &Desk, sandbox: &Sandbox, mut chance: Chance) {
    let mut deck: Vec<Kind> = Vec::new();
    loop {
        tokio::time::sleep(chance.millis(300, 2_000)).await;
        if deck.is_empty() {
            deck.extend(Kind::ALL.map(|(kind, _)| kind));
        }
        let nth = usize::try_from(chance.between(0, deck.len() as u64)).expect("it is small");
        let Some(ground) = desk.ground(sandbox).await else { continue };
        let Some(lie) = Lie::draw(deck.swap_remove(nth), &mut chance, &ground) else { continue };
        *lock(&desk.lie) = Some(Arc::new(lie));
        tokio::time::sleep(chance.millis(1_000, 6_000)).await;
        *lock(&desk.lie) = None;
    }
}

async fn serve(State(desk): State<Arc<Desk>>, body: Bytes) -> Response {
    let lie = lock(&desk.lie).clone();
    let reply = match (lie, serde_json::from_slice::<Value>(&body)) {
        (Some(lie), Ok(request)) => desk.lie(&lie, &request).await.map(|reply| Bytes::from(reply.to_string())),
        _ => desk.forward(body).await,
    };
    match reply {
        Some(reply) => ([(header::CONTENT_TYPE, "application/json")], reply).into_response(),
        None => StatusCode::BAD_GATEWAY.into_response(),
    }
}

impl Desk {
    /// The node's answer to these bytes; `None` when there is none.
    async fn forward(&self, body: Bytes) -> Option<Bytes> {
        let request = self.client.post(&self.node).header(header::CONTENT_TYPE, "application/json").body(body);
        request.send().await.ok()?.bytes().await.ok()
    }

    /// The answers to a request, or to a batch of them, while this lie lasts. What is passed on stays one batch.
    async fn lie(&self, lie: &Lie, request: &Value) -> Option<Value> {
        let calls = request.as_array().map_or(std::slice::from_ref(request), Vec::as_slice);
        let plans: Vec<Before> = calls.iter().map(|call| lie.before(call_of(call))).collect();
        let asked = calls.iter().zip(&plans).filter_map(|(call, plan)| match plan {
            Before::Ask => Some(call.clone()),
            Before::AskWith(params) => {
                let mut call = call.clone();
                call["params"] = params.clone();
                Some(call)
            }
            Before::Say(_) => None,
        });
        let honest = self.ask(asked.collect()).await?;
        let mut told = 0;
        let mut replies = Vec::new();
        for (call, plan) in calls.iter().zip(plans) {
            let (answer, lied) = match plan {
                Before::Say(answer) => (answer, true),
                Before::Ask | Before::AskWith(_) => {
                    let honest = honest.iter().find(|reply| reply["id"] == call["id"])?;
                    let honest = match honest.get("error") {
                        Some(error) => Err(error.clone()),
                        None => Ok(honest["result"].clone()),
                    };
                    let answer = lie.after(call_of(call), honest.clone());
                    let lied = answer != honest || matches!(plan, Before::AskWith(_));
                    (answer, lied)
                }
            };
            told += u64::from(lied);
            replies.push(reply(&call["id"], answer));
        }
        if told > 0 {
            *lock(&self.told).entry(lie.kind()).or_default() += told;
        }
        if request.is_array() { Some(Value::Array(replies)) } else { replies.pop() }
    }

    /// The node's replies to these calls, in one request.
    async fn ask(&self, mut calls: Vec<Value>) -> Option<Vec<Value>> {
        let body = match calls.len() {
            0 => return Some(Vec::new()),
            1 => calls.remove(0),
            _ => Value::Array(calls),
        };
        let reply = self.forward(Bytes::from(body.to_string())).await?;
        match serde_json::from_slice(&reply).ok()? {
            Value::Array(replies) => Some(replies),
            reply => Some(vec![reply]),
        }
    }

    /// What is true now; `None` while the node stands still.
    async fn ground(&self, sandbox: &Sandbox) -> Option<Ground> {
        let balance_of = format!("0x70a08231{}", hex::encode(WALLET.into_word()));
        let ask = |id: u64, method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let calls = vec![
            ask(0, "eth_getBlockByNumber", json!(["finalized", false])),
            ask(1, "eth_getBlockByNumber", json!(["latest", false])),
            ask(2, "eth_call", json!([{ "to": USDC, "data": balance_of }, "latest"])),
        ];
        let replies = tokio::time::timeout(GROUND_WITHIN, self.ask(calls)).await.ok()??;
        let result =
            |id: u64| replies.iter().find(|reply| reply["id"] == json!(id)).map(|reply| reply["result"].clone());
        let off_ramps = sandbox.fake_api().off_ramps().into_iter();
        let open = off_ramps.filter(|off_ramp| off_ramp.status == "AWAITING_FUNDS");
        let open = open.map(|off_ramp| (off_ramp.deposit_address, off_ramp.amount)).collect();
        Some(Ground { finalized: result(0)?, head: result(1)?, balance: result(2)?, open })
    }
}

fn call_of(call: &Value) -> Call<'_> {
    Call { method: call["method"].as_str().unwrap_or_default(), params: &call["params"] }
}

fn reply(id: &Value, answer: Answer) -> Value {
    match answer {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error }),
    }
}
