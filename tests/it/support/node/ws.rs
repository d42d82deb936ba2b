//! JSON-RPC and subscriptions over a websocket.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::block::{Block, Change};
use super::faults::{Behaviour, Refusal};
use super::filter::LogFilter;
use super::methods::show_log;
use super::view::{Command, Outcome, View, error_reply, lock};

/// How many blocks below the head a connection remembers having announced.
const REMEMBERED: usize = 1024;

/// The next subscription's id; each id is given once in the life of the test program, as by real nodes.
static NEXT_ID: AtomicU64 = AtomicU64::new(0xc0ff_ee00);

/// Answers a request for a websocket.
pub(super) async fn upgrade(view: &Arc<View>, upgrade: WebSocketUpgrade) -> Response {
    let faults = view.behaviour().ws;
    if faults.hang_upgrade {
        std::future::pending::<()>().await;
    }
    if view.is_dead() {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    if let Some(status) = faults.refuse_upgrade {
        return StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response();
    }
    let view = view.clone();
    // Subscribed before the connection counts as open, so that no command to it is lost.
    let commands = view.commands.subscribe();
    upgrade.on_upgrade(move |socket| Session::run(view, socket, commands))
}

/// What a connection has subscribed to.
enum Subscription {
    Heads,
    Logs(LogFilter),
}

/// One websocket connection.
struct Session {
    view: Arc<View>,
    subscriptions: BTreeMap<u64, Subscription>,
    /// The topmost blocks, and which of them have been announced.
    tail: Vec<(Arc<Block>, bool)>,
    /// How many changes of the chain have been taken in.
    taken_in: usize,
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut all = lock(&self.view.subscriptions);
        for id in self.subscriptions.keys() {
            all.remove(id);
        }
        drop(all);
        self.view.open_sockets.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Session {
    fn new(view: Arc<View>) -> Self {
        view.open_sockets.fetch_add(1, Ordering::SeqCst);
        view.count(|counts| counts.ws_connections += 1);
        let lag = view.behaviour().lag;
        let (tail, taken_in) = view.chain.with(|state| {
            let known = state.blocks.len().saturating_sub(REMEMBERED);
            let seen = state.head().number.saturating_sub(lag);
            let tail = state.blocks.iter().skip(known).map(|block| (block.clone(), block.number <= seen)).collect();
            (tail, state.changes.len())
        });
        Self { view, subscriptions: BTreeMap::new(), tail, taken_in }
    }

    async fn run(view: Arc<View>, mut socket: WebSocket, mut commands: Receiver<Command>) {
        let mut chain = view.chain.changed();
        let mut behaviour = view.behaviour_changes();
        let mut session = Self::new(view);
        if let Some(greeting) = session.view.behaviour().ws.greeting
            && socket.send(Message::text(greeting)).await.is_err()
        {
            return;
        }
        loop {
            let frozen = behaviour.borrow_and_update().ws.frozen;
            let messages = tokio::select! {
                biased;
                changed = behaviour.changed() => match changed {
                    Ok(()) => session.take_in(),
                    Err(_) => return,
                },
                command = commands.recv() => match command {
                    Ok(Command::Cut) | Err(RecvError::Closed) => return,
                    Ok(command) if !frozen => session.commanded(&command),
                    Ok(_) | Err(RecvError::Lagged(_)) => Vec::new(),
                },
                changed = chain.changed(), if !frozen => match changed {
                    Ok(()) => session.take_in(),
                    Err(_) => return,
                },
                message = socket.recv(), if !frozen => match message {
                    Some(Ok(Message::Text(text))) => session.asked(text.as_str()),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => Vec::new(),
                },
            };
            if session.view.behaviour().ws.frozen {
                continue;
            }
            let in_binary = session.view.behaviour().ws.binary_pushes;
            for message in messages {
                let is_push = message.contains("\"eth_subscription\"");
                let message =
                    if in_binary && is_push { Message::binary(message.into_bytes()) } else { Message::text(message) };
                if socket.send(message).await.is_err() {
                    return;
                }
            }
        }
    }

    /// What the test told the connections to send.
    fn commanded(&self, command: &Command) -> Vec<String> {
        let heads = match command {
            Command::ToHeads(_) => true,
            Command::ToLogs(_) => false,
            Command::Text(text) => return vec![text.clone()],
            Command::Cut => return Vec::new(),
        };
        let (Command::ToHeads(value) | Command::ToLogs(value)) = command else { return Vec::new() };
        let wanted = |subscription: &Subscription| matches!(subscription, Subscription::Heads) == heads;
        let ids = self.subscriptions.iter().filter(|(_, subscription)| wanted(subscription));
        let pushes: Vec<String> = ids.map(|(id, _)| push(*id, value)).collect();
        self.view.count(|counts| counts.pushes += pushes.len() as u64);
        pushes
    }

    /// Looks at what has happened to the chain since, and announces it.
    fn take_in(&mut self) -> Vec<String> {
        let behaviour = self.view.behaviour();
        if behaviour.ws.frozen {
            return Vec::new();
        }
        let changes = self.view.chain.with(|state| state.changes.get(self.taken_in..).unwrap_or_default().to_vec());
        self.taken_in += changes.len();
        let mut pushes = self.announce(&behaviour);
        for change in changes {
            match change {
                Change::Appended(block) => {
                    self.tail.push((block, false));
                    pushes.extend(self.announce(&behaviour));
                }
                Change::RolledBack(blocks) => {
                    for block in blocks {
                        let announced = self.tail.pop().is_some_and(|(_, announced)| announced);
                        if announced && !behaviour.ws.quiet_reorgs {
                            pushes.extend(self.take_back(&block));
                        }
                    }
                }
            }
        }
        let surplus = self.tail.len().saturating_sub(REMEMBERED);
        self.tail.drain(..surplus);
        self.spoil(pushes, &behaviour)
    }

    /// The pushes for blocks that this node has now seen.
    fn announce(&mut self, behaviour: &Behaviour) -> Vec<String> {
        let seen = self.tail.len().saturating_sub(usize::try_from(behaviour.lag).unwrap_or(usize::MAX));
        let mut pushes = Vec::new();
        for (block, announced) in self.tail.iter_mut().take(seen).filter(|(_, announced)| !announced) {
            *announced = true;
            for (id, subscription) in &self.subscriptions {
                match subscription {
                    Subscription::Heads => pushes.push(push(*id, &block.header)),
                    Subscription::Logs(filter) => {
                        let wanted = block.logs.iter().filter(|log| filter.wants(log));
                        pushes.extend(wanted.map(|log| push(*id, &show_log(behaviour, log))));
                    }
                }
            }
        }
        pushes
    }

    /// The pushes for a block that is gone.
    fn take_back(&self, block: &Block) -> Vec<String> {
        let mut pushes = Vec::new();
        for (id, subscription) in &self.subscriptions {
            if let Subscription::Logs(filter) = subscription {
                let wanted = block.logs.iter().rev().filter(|log| filter.wants(log));
                pushes.extend(wanted.map(|log| push(*id, &log.removed())));
            }
        }
        pushes
    }

    /// Does to the pushes what the faults ask for, and counts them.
    fn spoil(&self, mut pushes: Vec<String>, behaviour: &Behaviour) -> Vec<String> {
        if behaviour.ws.drop_pushes {
            self.view.count(|counts| counts.pushes_dropped += pushes.len() as u64);
            return Vec::new();
        }
        if behaviour.ws.duplicate_pushes {
            pushes = pushes.into_iter().flat_map(|push| [push.clone(), push]).collect();
        }
        if behaviour.ws.reverse_pushes {
            pushes.reverse();
        }
        self.view.count(|counts| counts.pushes += pushes.len() as u64);
        pushes
    }

    /// Answers a message.
    fn asked(&mut self, text: &str) -> Vec<String> {
        let Ok(message) = serde_json::from_str::<Value>(text) else {
            let refusal = Refusal::rpc(-32700, "parse error");
            return vec![error_reply(&Value::Null, &refusal).to_string()];
        };
        let Value::Array(batch) = &message else {
            return self.call(&message).into_iter().map(|reply| reply.to_string()).collect();
        };
        self.view.count(|counts| {
            counts.batches += 1;
            counts.batch_members += batch.len() as u64;
        });
        if let Some((most, refusal)) = &self.view.behaviour().max_batch
            && batch.len() > *most
        {
            batch.iter().for_each(|call| self.view.note(call));
            self.view.count(|counts| counts.errors += 1);
            return vec![error_reply(&Value::Null, refusal).to_string()];
        }
        let replies = batch.iter().filter_map(|call| self.call(call)).collect();
        vec![Value::Array(replies).to_string()]
    }

    fn call(&mut self, call: &Value) -> Option<Value> {
        self.view.note(call);
        self.view.count(|counts| counts.ws_calls += 1);
        let faulty = self.view.behaviour().methods.contains_key(call["method"].as_str().unwrap_or(""));
        let outcome = match call["method"].as_str() {
            Some("eth_subscribe") if !faulty => {
                let result = self.subscribe(&call["params"]);
                self.view.reply(call, result)
            }
            Some("eth_unsubscribe") if !faulty => {
                let result = self.unsubscribe(&call["params"][0]);
                self.view.reply(call, result)
            }
            _ => self.view.answer(call),
        };
        match outcome {
            Outcome::Reply(reply) => Some(reply),
            Outcome::Http(status, body) => Some(error_reply(call, &Refusal::http(status, &body))),
            Outcome::Hang => None,
        }
    }

    fn subscribe(&mut self, params: &Value) -> Result<Value, Refusal> {
        let behaviour = self.view.behaviour();
        if let Some(refusal) = behaviour.ws.refuse_subscribe {
            return Err(refusal);
        }
        let subscription = match params[0].as_str() {
            Some("newHeads") => Subscription::Heads,
            Some("logs") => {
                let filter = LogFilter::parse(&params[1]).map_err(|text| Refusal::rpc(-32602, &text))?;
                if let Some((most, refusal)) = behaviour.max_addresses
                    && filter.widest() > most
                {
                    return Err(refusal);
                }
                Subscription::Logs(filter)
            }
            other => {
                let text = format!("no {:?} subscription in eth namespace", other.unwrap_or(""));
                return Err(Refusal::rpc(-32601, &text));
            }
        };
        let id = NEXT_ID.fetch_add(1, Ordering::SeqCst);
        self.subscriptions.insert(id, subscription);
        lock(&self.view.subscriptions).insert(id, params.clone());
        Ok(json!(name(id)))
    }

    fn unsubscribe(&mut self, wanted: &Value) -> Result<Value, Refusal> {
        let id = self.subscriptions.keys().copied().find(|id| wanted == name(*id).as_str());
        let Some(id) = id else { return Err(Refusal::rpc(-32000, "subscription not found")) };
        self.subscriptions.remove(&id);
        lock(&self.view.subscriptions).remove(&id);
        Ok(Value::Bool(true))
    }
}

/// A subscription's id as JSON-RPC shows it: without leading zeros, as geth writes it (alloy takes it for a number).
fn name(id: u64) -> String {
    format!("{id:#x}")
}

/// A pushed message.
fn push(id: u64, result: &Value) -> String {
    let params = json!({ "subscription": name(id), "result": result });
    json!({ "jsonrpc": "2.0", "method": "eth_subscription", "params": params }).to_string()
}
