//! What a scripted node has been asked, and what it has sent.

use std::collections::BTreeMap;

use serde_json::Value;

/// The most calls whose parameters are kept.
pub(super) const MOST_CALLS_KEPT: usize = 20_000;

/// A call as it came in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    /// The method.
    pub(crate) method: String,
    /// The parameters.
    pub(crate) params: Value,
}

/// Counters since the start, or since they were last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// JSON-RPC calls by method, over HTTP (single or in a batch) and websocket alike. Refused calls count as well.
    pub(crate) methods: BTreeMap<String, u64>,
    /// HTTP requests.
    pub(crate) http_requests: u64,
    /// HTTP requests or websocket messages that were batches.
    pub(crate) batches: u64,
    /// Calls that came in batches.
    pub(crate) batch_members: u64,
    /// Calls that came over a websocket.
    pub(crate) ws_calls: u64,
    /// Websocket connections made.
    pub(crate) ws_connections: u64,
    /// Messages pushed to subscribers; they are no calls.
    pub(crate) pushes: u64,
    /// Messages that should have been pushed and were left out.
    pub(crate) pushes_dropped: u64,
    /// Calls answered with an error, and HTTP requests answered with a fault.
    pub(crate) errors: u64,
}

impl Counts {
    /// All JSON-RPC calls.
    pub(crate) fn calls(&self) -> u64 {
        self.methods.values().sum()
    }

    /// The calls of one method.
    pub(crate) fn of(&self, method: &str) -> u64 {
        self.methods.get(method).copied().unwrap_or(0)
    }

    /// Adds another server's counters.
    pub(super) fn add(&mut self, other: &Self) {
        for (method, count) in &other.methods {
            *self.methods.entry(method.clone()).or_default() += count;
        }
        self.http_requests += other.http_requests;
        self.batches += other.batches;
        self.batch_members += other.batch_members;
        self.ws_calls += other.ws_calls;
        self.ws_connections += other.ws_connections;
        self.pushes += other.pushes;
        self.pushes_dropped += other.pushes_dropped;
        self.errors += other.errors;
    }
}
