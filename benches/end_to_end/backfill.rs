//! Catching up: 200,000 blocks of 20 Transfers, 1,000 watched addresses, 1 % of the Transfers to them (some 40,240).
//!
//! The store holds one open payment for each address, made just before the first block. No deposit has its amount, so that nothing
//! is completed meanwhile. The clock runs from the start of the process to the moment at which the metrics have counted
//! as many deposits as there are. The program is then killed, and its store must hold every one of them once.
//!
//! Up to 16 requests are under way at once (`rpc.max_in_flight`; 8 is usual), as many as the baseline's connections at 50 ms.
//! The baseline downloads and parses the same logs, recipients filtered by the server, and keeps nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rampwatch::domain::chain::B256;
use rampwatch::ports::store::Store as _;
use serde::Deserialize;

use crate::Args;
use crate::configuration::Configuration;
use crate::daemon::{Daemon, Ground};
use crate::figures::{median, megabytes, number, thousands};
use crate::seed::{self, Awaited, Story};
use crate::table::{Reached, Table};
use crate::tools::{Expected, FakeRpc, START, Tools, free_port};

const BLOCKS: u64 = 200_000;
const BLOCK_SECS: u64 = 2;
/// What no deposit of the load source has, and so little that none is dust beside it: dust is counted, not kept one by one.
const NEVER_PAID: u128 = 1_000_003;
/// The longest that catching up may take.
const LIMIT: Duration = Duration::from_secs(60);
/// How many times the baseline it may take.
const MOST_TIMES: f64 = 4.0;

/// What one program needed.
#[derive(Clone, Copy, Debug)]
struct Needed {
    wall: f64,
    cpu: f64,
    peak_mb: f64,
    requests: u64,
    bytes: u64,
}

/// What the baseline prints.
#[derive(Deserialize)]
struct Printed {
    wall: f64,
    cpu: f64,
    rss_mb: f64,
    reqs: u64,
    bytes: u64,
    hits: u64,
}

pub(crate) async fn measure(args: &Args, tools: &Tools, table: &mut Table) -> Result<()> {
    for (delay_ms, connections) in [(50, 16), (0, 4)] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for run in 0..args.runs {
            let now = seed::now().as_secs();
            let options = [("--blocks", BLOCKS), ("--rpc-delay-ms", delay_ms), ("--base-ts", now)];
            let source = FakeRpc::start(tools, &options).await?;
            let expected = source.expected(START, START + BLOCKS).await?;
            let watched = args.folder.join("watched.txt");
            std::fs::write(&watched, source.text("/watched").await?)?;
            let base = baseline(tools, &source, connections, &watched, expected.len()).await?;
            let first_block = now - (BLOCKS - 1) * BLOCK_SECS;
            let mine = once(args, &source, &expected, first_block, run).await?;
            eprintln!("   {delay_ms} ms, run {}: rampwatch {:.2} s, baseline {:.2} s", run + 1, mine.wall, base.wall);
            ours.push(mine);
            theirs.push(base);
            source.stop().await?;
        }
        add_rows(table, delay_ms, connections, &ours, &theirs);
    }
    Ok(())
}

fn add_rows(table: &mut Table, delay_ms: u64, connections: usize, ours: &[Needed], theirs: &[Needed]) {
    let of = |needed: &[Needed], field: fn(&Needed) -> f64| median(needed.iter().map(field));
    let (wall, base) = (of(ours, |it| it.wall), of(theirs, |it| it.wall));
    let what = format!("backfill, {delay_ms} ms RPC delay, 200,000 blocks, every deposit durable");
    let value = if wall.is_finite() {
        format!("{wall:.2} s = {:.1} × baseline", wall / base)
    } else {
        format!("not done after {} s", LIMIT.as_secs())
    };
    let baseline = format!("{base:.2} s ({connections} connections)");
    if delay_ms == 0 {
        table.tell(&what, &value, &baseline);
    } else {
        table.add(&what, &value, "≤ 4 ×", Reached::of(wall <= base * MOST_TIMES), &baseline);
    }
    let told = |needed: &[Needed]| {
        format!(
            "{} / {:.1} MB / {:.2} s / {:.0} MB",
            of(needed, |it| number(it.requests)),
            of(needed, |it| megabytes(it.bytes)),
            of(needed, |it| it.cpu),
            of(needed, |it| it.peak_mb)
        )
    };
    table.tell("… requests / bytes received / CPU / peak RSS", &told(ours), &told(theirs));
}

async fn baseline(
    tools: &Tools,
    source: &FakeRpc,
    connections: usize,
    watched: &Path,
    expected: usize,
) -> Result<Needed> {
    let mut command = tools.command("backfill");
    command.args(["--topics", "--chunk", "2000", "--conns", &connections.to_string()]);
    command.args(["--port", &source.port().to_string(), "--watched-file"]).arg(watched);
    let output = command.stdout(Stdio::piped()).output().await.context("running the baseline")?;
    let printed: Printed = serde_json::from_slice(&output.stdout).context("what the baseline printed")?;
    ensure!(printed.hits == u64::try_from(expected)?, "the baseline found {} of {expected} logs", printed.hits);
    let Printed { wall, cpu, rss_mb, reqs: requests, bytes, hits: _ } = printed;
    Ok(Needed { wall, cpu, peak_mb: rss_mb, requests, bytes })
}

async fn once(args: &Args, source: &FakeRpc, expected: &[Expected], first_block: u64, run: usize) -> Result<Needed> {
    let ground = Ground::new(&args.folder, &format!("backfill-{run}"), args.keep)?;
    ensure!(
        expected.iter().all(|it| it.amount != NEVER_PAID),
        "a deposit pays one of the payments: choose another amount"
    );
    let addresses = source.watched().await?;
    let awaited: Vec<Awaited> = addresses.into_iter().map(|address| Awaited { address, amount: NEVER_PAID }).collect();
    let created_at = rampwatch::domain::time::Timestamp::from_secs(first_block - 60);
    seed::fill(&ground.store(), &awaited, &Story { created_at, swept_to: None }).await?;
    source.reset().await?;
    let configuration = Configuration { max_in_flight: 16, ..Configuration::new(source.port(), free_port()?) };
    let mut daemon = Daemon::start(&args.program, &ground, &configuration)?;
    let all = number(u64::try_from(expected.len())?);
    let done = daemon.counted("rampwatch_deposits_total", all, LIMIT).await;
    if done.is_err() {
        let so_far = daemon.metric("rampwatch_deposits_total").await.unwrap_or_default();
        eprintln!("   NOT DONE after {} s: {so_far} of {all} deposits", LIMIT.as_secs());
    }
    let (cpu, peak_mb) = (daemon.pid().cpu()?, daemon.pid().peak_rss_mb()?);
    let stats = source.stats().await?;
    let wall = match &done {
        Ok(done) => done.duration_since(daemon.started).as_secs_f64(),
        Err(_) => f64::INFINITY,
    };
    daemon.kill().await?;
    eprintln!("   {}", stats.methods);
    if done.is_ok() {
        verify(&ground.store(), expected).await?;
    }
    Ok(Needed { wall, cpu, peak_mb, requests: stats.calls, bytes: stats.bytes_out })
}

/// Every expected deposit is in the store once, with its amount, and no other is.
async fn verify(path: &Path, expected: &[Expected]) -> Result<()> {
    let store = seed::open(path)?;
    let mut left: BTreeMap<(B256, u64), &Expected> =
        expected.iter().map(|expected| ((expected.tx_hash, expected.log_index), expected)).collect();
    let mut after = None;
    loop {
        let page = store.deposits(after.as_ref(), 5_000).await?;
        for deposit in &page {
            let known = left.remove(&(deposit.key.tx_hash, deposit.key.log_index));
            let known = known.with_context(|| format!("the store holds {} twice, or wrongly", deposit.key))?;
            let is_it = known.to == deposit.to
                && known.amount == deposit.amount.base_units()
                && known.block == deposit.block_number;
            ensure!(is_it, "the store's {} is not what the chain has", deposit.key);
        }
        let Some(last) = page.last() else { break };
        after = Some(last.key);
    }
    let all = u64::try_from(expected.len())?;
    ensure!(left.is_empty(), "{} of {} deposits are not in the store", left.len(), thousands(all));
    Ok(())
}
