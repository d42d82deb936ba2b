//! Nothing watched: an empty store, while the chain goes on with a block every 200 ms.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::Args;
use crate::configuration::Configuration;
use crate::daemon::{Daemon, Ground};
use crate::figures::number;
use crate::table::{Reached, Table};
use crate::tools::{FakeRpc, Tools, free_port};

const BLOCKS: u64 = 150;
const INTERVAL_MS: u64 = 200;
/// How long the start may take, and how long it is left alone after it.
const LIMIT: Duration = Duration::from_secs(20);
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// Processor time, in percent of one core, and memory, in MB, that it must stay below.
const MOST_CPU: f64 = 0.5;
const MOST_MB: f64 = 30.0;

pub(crate) async fn measure(args: &Args, tools: &Tools, table: &mut Table) -> Result<()> {
    let source = FakeRpc::start(tools, &[("--blocks", 1_000), ("--logs-per-block", 50)]).await?;
    let ground = Ground::new(&args.folder, "idle", args.keep)?;
    let mut daemon = Daemon::start(&args.program, &ground, &Configuration::new(source.port(), free_port()?))?;
    let ready = daemon.ready(LIMIT).await?.duration_since(daemon.started);
    tokio::time::sleep(SETTLED_AFTER).await;
    source.reset().await?;
    let (cpu_before, begun) = (daemon.pid().cpu()?, Instant::now());
    source.publish(BLOCKS, INTERVAL_MS, 50).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = (daemon.pid().cpu()? - cpu_before) / seconds * 100.0;
    let (stats, rss_mb) = (source.stats().await?, daemon.pid().rss_mb()?);
    daemon.stop().await?;
    source.stop().await?;
    let is_silent = Reached::of(stats.calls == 0 && stats.pushes == 0);
    let value = format!("{} ({})", number(stats.calls), number(stats.pushes));
    table.add(&format!("nothing watched, {seconds:.0} s: requests (pushes)"), &value, "0", is_silent, "");
    table.add("… CPU of one core", &format!("{cpu:.2} %"), "< 0.5 %", Reached::of(cpu < MOST_CPU), "");
    table.add("… RSS", &format!("{rss_mb:.1} MB"), "< 30 MB", Reached::of(rss_mb < MOST_MB), "");
    table.tell("… start, from exec to ready", &format!("{:.0} ms", ready.as_secs_f64() * 1_000.0), "");
    Ok(())
}
