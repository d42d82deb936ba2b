//! The load source and the baseline, as child processes. They end with the value that holds them, whatever happens.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rampwatch::domain::chain::{Address, B256};
use serde::Deserialize;
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::process::within;

/// The first block of every measurement that has logs.
pub(crate) const START: u64 = 80_000_000;

/// The load source ends by itself after this many seconds, should nobody end it.
const MOST_SECS: &str = "900";

/// Where the built programs are.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    folder: PathBuf,
}

impl Tools {
    pub(crate) fn find(folder: &Path) -> Result<Self> {
        for name in ["fakerpc", "backfill", "live"] {
            ensure!(
                folder.join(name).is_file(),
                "there is no {name} in {}: `make bench-tools` builds it from benches/load",
                folder.display()
            );
        }
        Ok(Self { folder: folder.to_owned() })
    }

    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join(name));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        command
    }
}

/// A port of the loopback that nobody uses now.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// One watched log of the load source.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) block: u64,
    pub(crate) log_index: u64,
    pub(crate) tx_hash: B256,
    pub(crate) to: Address,
    pub(crate) amount: u128,
}

impl FromStr for Expected {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Self> {
        let fields: Vec<&str> = line.split(',').collect();
        let [block, log_index, tx_hash, to, amount] = fields.as_slice() else {
            bail!("{line:?} is no line of /expected");
        };
        Ok(Self {
            block: block.parse()?,
            log_index: log_index.parse()?,
            tx_hash: tx_hash.parse()?,
            to: to.parse()?,
            amount: amount.parse()?,
        })
    }
}

/// `GET /latency`, in milliseconds.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Latency {
    pub(crate) count: u64,
    pub(crate) missing: u64,
    pub(crate) duplicates: u64,
    pub(crate) unwatched: u64,
    pub(crate) historical: u64,
    pub(crate) unknown: u64,
    pub(crate) p50: Option<f64>,
    pub(crate) p99: Option<f64>,
    pub(crate) max: Option<f64>,
}

/// The part of `GET /stats` that is of interest.
#[derive(Clone, Debug)]
pub(crate) struct Stats {
    /// JSON-RPC calls, over HTTP and websocket; one of a batch counts as one.
    pub(crate) calls: u64,
    /// What was sent back, pushes included.
    pub(crate) bytes_out: u64,
    /// What was pushed.
    pub(crate) pushes: u64,
    /// The calls by method, in words.
    pub(crate) methods: String,
}

/// A running load source.
pub(crate) struct FakeRpc {
    child: Child,
    port: u16,
    client: reqwest::Client,
}

impl FakeRpc {
    /// Starts one with these options besides the port, and waits until it answers.
    pub(crate) async fn start(tools: &Tools, options: &[(&str, u64)]) -> Result<Self> {
        let port = free_port()?;
        let mut command = tools.command("fakerpc");
        command.args(["--port", &port.to_string(), "--max-secs", MOST_SECS, "--start-block", &START.to_string()]);
        for (name, value) in options {
            command.args([(*name).to_owned(), value.to_string()]);
        }
        let child = command.spawn().context("starting fakerpc")?;
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build()?;
        let this = Self { child, port, client };
        within(Duration::from_secs(20), "the load source answers", async || this.json("/control/live").await.is_ok())
            .await?;
        Ok(this)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) async fn text(&self, path: &str) -> Result<String> {
        let answer = self.client.get(format!("http://127.0.0.1:{}{path}", self.port)).send().await?;
        Ok(answer.error_for_status()?.text().await?)
    }

    async fn json(&self, path: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.text(path).await?)?)
    }

    async fn post(&self, path: &str) -> Result<()> {
        self.client.post(format!("http://127.0.0.1:{}{path}", self.port)).send().await?.error_for_status()?;
        Ok(())
    }

    /// Zeroes the counters.
    pub(crate) async fn reset(&self) -> Result<()> {
        self.post("/control/reset").await
    }

    /// The watched logs in these blocks, up to the head.
    pub(crate) async fn expected(&self, from: u64, to: u64) -> Result<Vec<Expected>> {
        let text = self.text(&format!("/expected?from={from}&to={to}")).await?;
        text.lines().skip(1).map(str::parse).collect()
    }

    /// The watched addresses.
    pub(crate) async fn watched(&self) -> Result<Vec<Address>> {
        self.text("/watched").await?.lines().map(|line| Ok(line.parse()?)).collect()
    }

    pub(crate) async fn latency(&self) -> Result<Latency> {
        Ok(serde_json::from_value(self.json("/latency").await?)?)
    }

    pub(crate) async fn stats(&self) -> Result<Stats> {
        let stats = self.json("/stats").await?;
        let number = |path: &str| stats.pointer(path).and_then(Value::as_u64).unwrap_or_default();
        let methods = stats.pointer("/methods").and_then(Value::as_object);
        let counted = methods.into_iter().flatten().map(|(name, method)| format!("{name} {}", method["calls"]));
        Ok(Stats {
            calls: number("/calls"),
            bytes_out: number("/http/bytes_out") + number("/ws/bytes_out"),
            pushes: number("/ws/notifications"),
            methods: counted.collect::<Vec<_>>().join(", "),
        })
    }

    /// How often this method was called since the last reset.
    pub(crate) async fn calls_of(&self, method: &str) -> Result<u64> {
        let stats = self.json("/stats").await?;
        Ok(stats.pointer(&format!("/methods/{method}/calls")).and_then(Value::as_u64).unwrap_or_default())
    }

    /// Publishes blocks, and waits until the last one is out.
    pub(crate) async fn publish(&self, blocks: u64, interval_ms: u64, spread_pct: u64) -> Result<()> {
        let before = self.json("/control/live").await?["published"].as_u64().unwrap_or_default();
        self.post(&format!("/control/live?interval_ms={interval_ms}&blocks={blocks}&spread_pct={spread_pct}")).await?;
        let longest = Duration::from_millis(blocks * interval_ms * 2 + 5_000);
        within(longest, "all blocks are published", async || {
            self.json("/control/live").await.is_ok_and(|live| {
                live["live"] == Value::Bool(false) && live["published"].as_u64() == Some(before + blocks)
            })
        })
        .await
    }

    /// What blocks that are not published yet will hold: another load source with the same seed knows them already.
    pub(crate) async fn foretold(tools: &Tools, options: &[(&str, u64)], from: u64, to: u64) -> Result<Vec<Expected>> {
        let mut options: Vec<(&str, u64)> = options.iter().filter(|(name, _)| *name != "--blocks").copied().collect();
        options.push(("--blocks", to - START + 1));
        let oracle = Self::start(tools, &options).await?;
        let expected = oracle.expected(from, to).await?;
        oracle.stop().await?;
        Ok(expected)
    }

    pub(crate) async fn stop(mut self) -> Result<()> {
        self.child.kill().await.context("ending fakerpc")
    }
}
