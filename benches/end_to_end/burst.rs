//! 10,000 deposits in one block, each to an address of its own with an open payment, all completed: the API takes 5 ms
//! for each `/complete`.
//!
//! The clock runs from the block's publication to the arrival of the last `/complete` at the API. Meanwhile it is
//! counted how many connections to the load source are open: the node's and the API's together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use rampwatch::domain::time::Span;

use crate::Args;
use crate::configuration::Configuration;
use crate::daemon::{Daemon, Ground};
use crate::live::verify;
use crate::process::{connections_to, within};
use crate::seed::{self, Awaited, Story};
use crate::table::{Reached, Table};
use crate::tools::{FakeRpc, START, Tools, free_port};

const DEPOSITS: u64 = 10_000;
/// What the whole must stay below, in seconds.
const MOST: f64 = 5.0;
/// How long the completions may take.
const LIMIT: Duration = Duration::from_secs(60);

/// So many addresses that hardly one of them comes twice, neither in the block nor in the one before.
const OPTIONS: [(&str, u64); 6] = [
    ("--blocks", 1),
    ("--finality-depth", 0),
    ("--logs-per-block", DEPOSITS),
    ("--watched", 1_000_000),
    ("--watched-pct", 100),
    ("--sink-delay-ms", 5),
];

pub(crate) async fn measure(args: &Args, tools: &Tools, table: &mut Table) -> Result<()> {
    let expected = FakeRpc::foretold(tools, &OPTIONS, START + 1, START + 1).await?;
    ensure!(expected.len() == usize::try_from(DEPOSITS)?, "the block has {} deposits", expected.len());
    // The block before is a day old, so that nothing of it matters.
    let day_ago = ("--base-ts", seed::now().as_secs() - 86_400);
    let options: Vec<(&str, u64)> = OPTIONS.iter().copied().chain([day_ago]).collect();
    let source = FakeRpc::start(tools, &options).await?;
    let ground = Ground::new(&args.folder, "burst", args.keep)?;
    let awaited: Vec<Awaited> =
        expected.iter().map(|expected| Awaited { address: expected.to, amount: expected.amount }).collect();
    let created_at = seed::now().minus(Span::from_secs(60));
    seed::fill(&ground.store(), &awaited, &Story { created_at, swept_to: None }).await?;
    let configuration = Configuration {
        depth: 0,
        api_concurrency: args.api_concurrency,
        ..Configuration::new(source.port(), free_port()?)
    };
    let mut daemon = Daemon::start(&args.program, &ground, &configuration)?;
    daemon.swept(LIMIT).await?;
    daemon.counted("rampwatch_subscription_live", 1.0, LIMIT).await?;
    source.reset().await?;
    let cpu_before = daemon.pid().cpu()?;
    let most = Connections::watch(source.port());
    source.publish(1, 10, 0).await?;
    let done =
        within(LIMIT, "all are completed", async || source.latency().await.is_ok_and(|it| it.missing == 0)).await;
    let most = most.stop();
    let (latency, cpu) = (source.latency().await?, daemon.pid().cpu()? - cpu_before);
    eprintln!("   {}", source.stats().await?.methods);
    let peak_mb = daemon.pid().peak_rss_mb()?;
    daemon.stop().await?;
    source.stop().await?;
    ensure!(latency.duplicates + latency.unwatched == 0, "wrongly completed: {latency:?}");
    let last = match done {
        Ok(()) => latency.max.unwrap_or(f64::INFINITY) / 1_000.0,
        Err(_) => f64::INFINITY,
    };
    let what = format!("{DEPOSITS} deposits in one block, API answering in 5 ms: last `/complete` after");
    let value = if last.is_finite() {
        verify(&ground, &expected).await?;
        format!("{last:.2} s")
    } else {
        format!("{} after {} s", latency.count, LIMIT.as_secs())
    };
    table.add(&what, &value, "< 5 s", Reached::of(last < MOST), "");
    let half = latency.p50.unwrap_or(f64::MAX) / 1_000.0;
    let value = format!("{half:.2} s / {most} / {cpu:.1} s / {peak_mb:.0} MB");
    table.tell("… half of them after / most connections open / CPU / peak RSS", &value, "");
    Ok(())
}

/// Counts open connections until told to stop.
struct Connections {
    stop: Arc<AtomicBool>,
    most: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Connections {
    fn watch(port: u16) -> Self {
        let (stop, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, highest) = (Arc::clone(&stop), Arc::clone(&most));
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                highest.fetch_max(connections_to(port), Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        Self { stop, most, task }
    }

    fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.task.abort();
        self.most.load(Ordering::Relaxed)
    }
}
