//! One node's view of the chain: what it has seen, how it behaves, and what it was asked.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::{broadcast, watch};

use super::chain::ScriptedChain;
use super::counts::{Call, Counts, MOST_CALLS_KEPT};
use super::faults::{Behaviour, HttpFault, MethodFault, Refusal};
use super::methods;

/// How many commands may wait for a websocket connection.
const COMMANDS: usize = 4096;

/// Something that the test tells the websocket connections to do.
#[derive(Clone, Debug)]
pub(super) enum Command {
    /// Push this to each subscriber of logs.
    ToLogs(Value),
    /// Push this to each subscriber of heads.
    ToHeads(Value),
    /// Send this text as it is.
    Text(String),
    /// Cut the connection.
    Cut,
}

/// What comes of one call.
pub(super) enum Outcome {
    /// A whole JSON-RPC answer.
    Reply(Value),
    /// An HTTP answer to the whole request.
    Http(u16, String),
    /// Nothing, ever.
    Hang,
}

/// Done just before a call is answered.
type Hook = Box<dyn FnOnce(&ScriptedChain) + Send>;

/// See the module.
pub(super) struct View {
    pub(super) chain: ScriptedChain,
    pub(super) dead: AtomicBool,
    pub(super) commands: broadcast::Sender<Command>,
    pub(super) open_sockets: AtomicUsize,
    pub(super) subscriptions: Mutex<HashMap<u64, Value>>,
    behaviour: watch::Sender<Behaviour>,
    counts: Mutex<Counts>,
    calls: Mutex<VecDeque<Call>>,
    hooks: Mutex<HashMap<String, VecDeque<Hook>>>,
}

/// A lock that a failed test does not spoil.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl View {
    pub(super) fn new(chain: ScriptedChain, behaviour: Behaviour) -> Arc<Self> {
        Arc::new(Self {
            chain,
            dead: AtomicBool::new(false),
            commands: broadcast::Sender::new(COMMANDS),
            open_sockets: AtomicUsize::new(0),
            subscriptions: Mutex::default(),
            behaviour: watch::Sender::new(behaviour),
            counts: Mutex::default(),
            calls: Mutex::default(),
            hooks: Mutex::default(),
        })
    }

    pub(super) fn behaviour(&self) -> Behaviour {
        self.behaviour.borrow().clone()
    }

    pub(super) fn behaviour_changes(&self) -> watch::Receiver<Behaviour> {
        self.behaviour.subscribe()
    }

    pub(super) fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        self.behaviour.send_modify(change);
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// What is wrong with the HTTP request that has just come in.
    pub(super) fn take_http_fault(&self) -> Option<HttpFault> {
        let mut taken = None;
        self.behaviour.send_if_modified(|behaviour| {
            let Some((fault, left)) = &mut behaviour.http else { return false };
            taken = Some(fault.clone());
            if *left != u32::MAX {
                *left -= 1;
            }
            let last = *left == 0;
            if last {
                behaviour.http = None;
            }
            last
        });
        taken
    }

    pub(super) fn count<T>(&self, work: impl FnOnce(&mut Counts) -> T) -> T {
        work(&mut lock(&self.counts))
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        lock(&self.calls).iter().cloned().collect()
    }

    pub(super) fn reset(&self) {
        *lock(&self.counts) = Counts::default();
        lock(&self.calls).clear();
    }

    pub(super) fn before_next(&self, method: &str, hook: Hook) {
        lock(&self.hooks).entry(method.to_owned()).or_default().push_back(hook);
    }

    /// Counts a call that has come in.
    pub(super) fn note(&self, call: &Value) {
        let method = call["method"].as_str().unwrap_or("").to_owned();
        self.count(|counts| *counts.methods.entry(method.clone()).or_default() += 1);
        let mut calls = lock(&self.calls);
        if calls.len() >= MOST_CALLS_KEPT {
            calls.pop_front();
        }
        calls.push_back(Call { method, params: call["params"].clone() });
    }

    /// Answers a call that has been counted. Subscribing is not done here.
    pub(super) fn answer(&self, call: &Value) -> Outcome {
        let method = call["method"].as_str().unwrap_or("");
        let hook = lock(&self.hooks).get_mut(method).and_then(VecDeque::pop_front);
        if let Some(hook) = hook {
            hook(&self.chain);
        }
        let behaviour = self.behaviour();
        let result = match behaviour.methods.get(method) {
            Some(MethodFault::Hang) => return Outcome::Hang,
            Some(MethodFault::Refuse(refusal)) => Err(refusal.clone()),
            Some(MethodFault::Answer(value)) => Ok(value.clone()),
            None => self.chain.with(|state| methods::run(state, &behaviour, method, &call["params"])),
        };
        self.reply(call, result)
    }

    /// The JSON-RPC answer to a call.
    pub(super) fn reply(&self, call: &Value, result: Result<Value, Refusal>) -> Outcome {
        match result {
            Ok(result) => Outcome::Reply(json!({ "jsonrpc": "2.0", "id": call["id"], "result": result })),
            Err(refusal) => {
                self.count(|counts| counts.errors += 1);
                match refusal {
                    Refusal::Http { status, body } => Outcome::Http(status, body),
                    Refusal::Rpc { .. } => Outcome::Reply(error_reply(call, &refusal)),
                }
            }
        }
    }
}

/// A JSON-RPC answer that refuses a call.
pub(super) fn error_reply(call: &Value, refusal: &Refusal) -> Value {
    json!({ "jsonrpc": "2.0", "id": call["id"], "error": refusal.to_json() })
}
