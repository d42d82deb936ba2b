//! A scripted Polygon node for tests: JSON-RPC over HTTP and websocket on one port of the loopback, over a chain
//! that the test writes, with faults that the test switches.
//!
//! ```text
//! let chain = ScriptedChain::new();
//! let node = Node::start(&chain, NodeOptions::default());
//! chain.append(LogSpec::transfer(token, from, to, 1_000_000));
//! node.behave(|it| it.max_range = Some((10, provider_error("maximum [from, to] blocks distance"))));
//! assert_eq!(node.counts().of("eth_getLogs"), 0);
//! ```
//!
//! Deliberately absent: carrying out transactions, filters that are polled (`eth_newFilter`), TLS.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value;

mod accounts;
mod block;
mod chain;
mod counts;
mod door;
mod faults;
mod filter;
mod http;
mod methods;
mod recording;
mod view;
mod ws;

pub(crate) use accounts::{Account, Rules};
pub(crate) use block::{Block, BlockSpec, LogSpec, TRANSFER, tx_hash};
pub(crate) use chain::{Finalized, ScriptedChain, Token};
pub(crate) use counts::{Call, Counts};
pub(crate) use door::Door;
pub(crate) use faults::{BatchIds, Behaviour, HttpFault, MethodFault, Refusal};
pub(crate) use http::{Order, Unit};
pub(crate) use recording::{USDC_E, provider_error, provider_errors, recorded_json};

use http::Server;
use view::{Command, View, lock};

/// How a node starts; the behaviour can be changed later.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeOptions {
    /// Its first behaviour, which [`Node::heal`] goes back to.
    pub(crate) behaviour: Behaviour,
}

impl NodeOptions {
    /// A node that is `blocks` behind the head and says so.
    pub(crate) fn lagging(blocks: u64) -> Self {
        Self { behaviour: Behaviour { lag: blocks, ..Behaviour::default() } }
    }

    /// A node that is `blocks` behind the head and answers `[]` for blocks that it has not seen.
    pub(crate) fn clamping(blocks: u64) -> Self {
        Self { behaviour: Behaviour { lag: blocks, clamps: true, ..Behaviour::default() } }
    }
}

/// A node at a port of its own. Clones are the same node; it ends with the last of them.
#[derive(Clone)]
pub(crate) struct Node {
    view: Arc<View>,
    server: Arc<Server>,
    door: Arc<Door>,
    first_behaviour: Behaviour,
}

impl Node {
    /// Starts a node on a free port. Must be called within a tokio runtime.
    pub(crate) fn start(chain: &ScriptedChain, options: NodeOptions) -> Self {
        let view = View::new(chain.clone(), options.behaviour.clone());
        let server = Server::new(vec![view.clone()], Order::RoundRobin, Unit::Request);
        let door = Arc::new(Door::open(server.router()));
        Self { view, server, door, first_behaviour: options.behaviour }
    }

    /// Its URL over HTTP.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.door.address())
    }

    /// Its URL over websocket.
    pub(crate) fn ws_url(&self) -> String {
        format!("ws://{}/", self.door.address())
    }

    /// Changes how it behaves, from the next request on.
    pub(crate) fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        self.view.behave(change);
    }

    /// Behaves again as at the start, takes connections, and is alive.
    pub(crate) fn heal(&self) {
        self.view.behave(|behaviour| *behaviour = self.first_behaviour.clone());
        self.door.set_mute(false);
        self.revive();
    }

    /// Every HTTP request fails like this until [`Node::heal`].
    pub(crate) fn fail_http(&self, fault: HttpFault) {
        self.fail_next_http(u32::MAX, fault);
    }

    /// The next `count` HTTP requests fail like this.
    pub(crate) fn fail_next_http(&self, count: u32, fault: HttpFault) {
        self.view.behave(|behaviour| behaviour.http = (count > 0).then_some((fault, count)));
    }

    /// Every call of the method fails like this until [`Node::heal`].
    pub(crate) fn fail_method(&self, method: &str, fault: MethodFault) {
        self.view.behave(|behaviour| {
            behaviour.methods.insert(method.to_owned(), fault);
        });
    }

    /// Does something to the chain just before the next call of the method is answered (once for each time this is
    /// called, one call after the other).
    pub(crate) fn before_next(&self, method: &str, hook: impl FnOnce(&ScriptedChain) + Send + 'static) {
        self.view.before_next(method, Box::new(hook));
    }

    /// Closes the port and cuts all connections. Nobody else can get the port meanwhile.
    pub(crate) async fn refuse_connections(&self) {
        self.door.close().await;
    }

    /// Opens the same port again.
    pub(crate) fn accept_connections(&self) {
        self.door.reopen();
    }

    /// Dies: the port is closed, and a balancer answers 502 in its stead.
    pub(crate) async fn die(&self) {
        self.view.dead.store(true, Ordering::SeqCst);
        self.drop_websockets();
        self.door.close().await;
    }

    /// Lives again, at the same port.
    pub(crate) fn revive(&self) {
        self.view.dead.store(false, Ordering::SeqCst);
        self.door.reopen();
    }

    /// Takes connections and then says nothing: no HTTP answer, no handshake. Cuts the connections that there are.
    pub(crate) fn set_mute(&self, mute: bool) {
        self.door.set_mute(mute);
    }

    /// Cuts all connections, HTTP and websocket; new ones are taken.
    pub(crate) fn cut_connections(&self) {
        self.door.cut();
    }

    /// Cuts all websocket connections, also those through a balancer; new ones are taken.
    pub(crate) fn drop_websockets(&self) {
        // Without a connection nobody receives it, which is as it should be.
        let _ = self.view.commands.send(Command::Cut);
    }

    /// Pushes this as a log to every subscription of logs, whatever it asked for.
    pub(crate) fn push_log(&self, log: Value) {
        let _ = self.view.commands.send(Command::ToLogs(log));
    }

    /// Pushes this as a head to every subscription of heads.
    pub(crate) fn push_head(&self, head: Value) {
        let _ = self.view.commands.send(Command::ToHeads(head));
    }

    /// Sends this text over every websocket.
    pub(crate) fn push_text(&self, text: &str) {
        let _ = self.view.commands.send(Command::Text(text.to_owned()));
    }

    /// Pushes the logs of a block once more, with `removed: true`.
    pub(crate) fn push_removed(&self, block: &Block) {
        for log in &block.logs {
            self.push_log(log.removed());
        }
    }

    /// How many websockets are open.
    pub(crate) fn open_websockets(&self) -> usize {
        self.view.open_sockets.load(Ordering::SeqCst)
    }

    /// The parameters of all subscriptions that there are.
    pub(crate) fn subscriptions(&self) -> Vec<Value> {
        lock(&self.view.subscriptions).values().cloned().collect()
    }

    /// What it has been asked and has sent, at its own port or through a balancer.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = self.view.count(|counts| counts.clone());
        self.server.count(|own| counts.add(own));
        counts
    }

    /// The last calls, in the order in which they came (at most 20,000).
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.view.calls()
    }

    /// Sets all counters to zero and forgets the calls.
    pub(crate) fn reset(&self) {
        self.view.reset();
        self.server.count(|own| *own = Counts::default());
    }
}

/// One URL in front of several nodes. A websocket stays with the node that got it.
#[derive(Clone)]
pub(crate) struct Balancer {
    server: Arc<Server>,
    door: Arc<Door>,
}

impl Balancer {
    /// Starts a balancer on a free port. Must be called within a tokio runtime.
    pub(crate) fn start(nodes: &[&Node], order: Order, unit: Unit) -> Self {
        assert!(!nodes.is_empty(), "a balancer needs a node");
        let views = nodes.iter().map(|node| node.view.clone()).collect();
        let server = Server::new(views, order, unit);
        let door = Arc::new(Door::open(server.router()));
        Self { server, door }
    }

    /// Its URL over HTTP.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.door.address())
    }

    /// Its URL over websocket.
    pub(crate) fn ws_url(&self) -> String {
        format!("ws://{}/", self.door.address())
    }

    /// What was asked here, and the calls of all its nodes (also those at their own ports).
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = self.server.count(|own| own.clone());
        for view in &self.server.views {
            view.count(|theirs| counts.add(theirs));
        }
        counts
    }

    /// Sets its own counters and its nodes' to zero.
    pub(crate) fn reset(&self) {
        self.server.count(|own| *own = Counts::default());
        self.server.views.iter().for_each(|view| view.reset());
    }
}
