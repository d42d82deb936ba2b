//! The configuration that rampwatch is measured with: `config.toml` as it comes, but for what a measurement names, and
//! without the second token, which the load source's chain has not got.

use std::fmt::Write as _;
use std::path::Path;

/// The example's spans run this many times faster where a block of 20 ms stands for one of 1.5 s.
pub(crate) const HURRY: u64 = 75;

/// What differs between measurements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Configuration {
    /// The load source's port: the node's and the API's.
    pub(crate) rpc_port: u16,
    /// Whether there is a websocket besides HTTP.
    pub(crate) websocket: bool,
    /// Whether a second operator must agree: the same node by another name.
    pub(crate) two_operators: bool,
    /// The operator API's port.
    pub(crate) listen: u16,
    /// Blocks on top, besides the node's word, until a block is final (the example: 4).
    pub(crate) depth: u64,
    /// Requests under way at once (the example: 8).
    pub(crate) max_in_flight: usize,
    /// Calls to the API at once; `None`: as many as it comes with.
    pub(crate) api_concurrency: Option<usize>,
    /// Whether the spans are shortened by [`HURRY`].
    pub(crate) hurried: bool,
}

/// The variable that the API key is in. The load source takes any.
pub(crate) const KEY_VARIABLE: &str = "BENCH_API_KEY";

impl Configuration {
    pub(crate) fn new(rpc_port: u16, listen: u16) -> Self {
        Self {
            rpc_port,
            websocket: true,
            two_operators: false,
            listen,
            depth: 4,
            max_in_flight: 8,
            api_concurrency: None,
            hurried: false,
        }
    }

    pub(crate) fn text(&self, store: &Path) -> String {
        let Self { rpc_port, listen, depth, max_in_flight, .. } = *self;
        let store = toml::Value::String(store.display().to_string());
        let mut text = format!(
            r#"[chain]
id = 137
name = "polygon"
[chain.token]
address = "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359"
symbol = "USDC"
decimals = 6
[chain.finality]
rule = "finalized"
depth = {depth}
[rpc]
max_block_range = 2000
max_addresses = 1000
max_in_flight = {max_in_flight}
[[rpc.endpoints]]
name = "fakerpc"
http = "http://127.0.0.1:{rpc_port}"
"#
        );
        if self.websocket {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "ws = \"ws://127.0.0.1:{rpc_port}\"");
        }
        if self.two_operators {
            let _ = write!(text, "[[rpc.endpoints]]\nname = \"another\"\nhttp = \"http://localhost:{rpc_port}\"\n");
        }
        let max_concurrent = self.api_concurrency.map(|most| format!("max_concurrent = {most}\n")).unwrap_or_default();
        let _ = write!(
            text,
            r#"[api]
base_url = "http://127.0.0.1:{rpc_port}/complete"
key_env = "{KEY_VARIABLE}"
{max_concurrent}[store]
path = {store}
[http]
listen = "127.0.0.1:{listen}"
[log]
filter = "info"
format = "text"
"#
        );
        if self.hurried {
            let span = |seconds: u64| format!("{}ms", seconds * 1_000 / HURRY);
            let (sweep, poll, ended, second) = (span(60), span(40), span(300), span(300));
            let _ = write!(
                text,
                "[watch]\nsweep_interval = \"{sweep}\"\npoll_interval = \"{poll}\"\nended_interval = \"{ended}\"\n\
                 second_reading_after = \"{second}\"\n"
            );
        }
        text
    }
}
