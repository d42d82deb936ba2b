//! One million open payments, each with an address of its own, as after a restart: every address was swept to the head before.
//!
//! "Start" is from exec until `/readyz` says that the chain is swept to its head, for all addresses. The
//! memory is the most that the process ever had, until its counts of payments are complete too. Then a few blocks
//! with deposits for them are published, to see that it works, and how fast it still is.
//!
//! Making the store takes a while, so it is kept and used again while it is young.

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use rampwatch::domain::time::Span;

use crate::Args;
use crate::configuration::Configuration;
use crate::daemon::{Daemon, Ground};
use crate::figures::{number, thousands};
use crate::live;
use crate::process::within;
use crate::seed::{self, Story};
use crate::table::{Reached, Table};
use crate::tools::{FakeRpc, START, Tools, free_port};

const BLOCKS: u64 = 20;
const PER_BLOCK: u64 = 50;
const LIMIT: Duration = Duration::from_secs(120);
/// A store that is older is made anew: its payments come to be asked after.
const YOUNG: Duration = Duration::from_secs(5 * 3_600);
/// What the start must stay below in seconds, and the memory in MB (1 GiB).
const MOST_SECS: f64 = 5.0;
const MOST_MB: f64 = 1_073.7;

pub(crate) async fn measure(args: &Args, tools: &Tools, table: &mut Table) -> Result<()> {
    let payments = u64::try_from(args.payments)?;
    let options = [
        ("--blocks", 1),
        ("--finality-depth", 0),
        ("--logs-per-block", PER_BLOCK),
        ("--watched", payments),
        ("--watched-pct", 10),
    ];
    let expected = FakeRpc::foretold(tools, &options, START + 1, START + BLOCKS).await?;
    let source = FakeRpc::start(tools, &options).await?;
    let kept = Ground::lasting(&args.folder, &format!("kept-{payments}"))?;
    if !is_young(kept.path()) {
        eprintln!("   making a store with {} payments", thousands(payments));
        make(kept.path(), &live::awaited(&expected, source.watched().await?)).await?;
    }
    let ground = Ground::new(&args.folder, "million", args.keep)?;
    copy(&kept.store(), &ground.store())?;
    let configuration = Configuration { depth: 0, ..Configuration::new(source.port(), free_port()?) };
    let mut daemon = Daemon::start(&args.program, &ground, &configuration)?;
    let seconds = |at: std::time::Instant, daemon: &Daemon| at.duration_since(daemon.started).as_secs_f64();
    let alive = daemon.alive(LIMIT).await?;
    let ready = daemon.swept(LIMIT).await?;
    let (alive, ready) = (seconds(alive, &daemon), seconds(ready, &daemon));
    let counted = daemon.counted("rampwatch_payments", number(payments), LIMIT).await?;
    let live_at = daemon.counted("rampwatch_subscription_live", 1.0, LIMIT).await?;
    let (counted, live_at) = (seconds(counted, &daemon), seconds(live_at, &daemon));
    let (peak_mb, rss_mb) = (daemon.pid().peak_rss_mb()?, daemon.pid().rss_mb()?);
    source.reset().await?;
    source.publish(BLOCKS, 200, 50).await?;
    let done =
        within(LIMIT, "all are completed", async || source.latency().await.is_ok_and(|it| it.missing == 0)).await;
    let latency = source.latency().await?;
    let stats = source.stats().await?;
    let peak_after = daemon.pid().peak_rss_mb()?;
    daemon.stop().await?;
    source.stop().await?;
    done?;
    ensure!(latency.missing + latency.duplicates + latency.unwatched == 0, "wrongly completed: {latency:?}");
    live::verify(&ground, &expected).await?;
    let what = format!("{} open payments: start, from exec to ready", thousands(payments));
    table.add(&what, &format!("{ready:.1} s"), "< 5 s", Reached::of(ready < MOST_SECS), "");
    let value = format!("{alive:.1} s / {live_at:.1} s / {counted:.1} s");
    table.tell("… answering / subscribed / all counted for the metrics", &value, "");
    let peak = peak_mb.max(peak_after);
    table.add("… peak RSS", &format!("{peak:.0} MB"), "< 1 GiB", Reached::of(peak < MOST_MB), "");
    table.tell("… RSS at rest", &format!("{rss_mb:.0} MB"), "");
    let (p50, max) = (latency.p50.unwrap_or(f64::MAX), latency.max.unwrap_or(f64::MAX));
    let value = format!("{p50:.0} ms / {max:.0} ms / {:.0}", number(stats.calls) / number(BLOCKS));
    let what = format!("… {} deposits in {BLOCKS} blocks completed: p50 / slowest / requests a block", expected.len());
    table.tell(&what, &value, "");
    Ok(())
}

/// The file that says that the store beside it is complete.
const MADE: &str = "made";

fn is_young(folder: &Path) -> bool {
    let made = std::fs::metadata(folder.join(MADE)).and_then(|made| made.modified());
    made.is_ok_and(|made| SystemTime::now().duration_since(made).is_ok_and(|age| age < YOUNG))
}

async fn make(folder: &Path, awaited: &[seed::Awaited]) -> Result<()> {
    std::fs::remove_dir_all(folder)?;
    std::fs::create_dir_all(folder)?;
    let created_at = seed::now().minus(Span::from_secs(60));
    seed::fill(&folder.join("store"), awaited, &Story { created_at, swept_to: Some(START) }).await?;
    Ok(std::fs::write(folder.join(MADE), "This store is complete.\n")?)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target).with_context(|| format!("copying {}", entry.path().display()))?;
        }
    }
    Ok(())
}
