//! Live: a block every 200 ms ± 50 %, 50 Transfers each, 1 % of them to 1,000 watched addresses; final at once: the node
//! names its newest block as final, and no block has to come on top of it (depth 0).
//!
//! Every deposit that will come has an open payment with its address and amount, and every other address has one
//! that nobody pays. The load source takes the time from a block's publication to the arrival of the `/complete` that
//! names the transaction; by then deposit, match and "calling" are on the disk. The baseline subscribes to the same
//! recipients and posts; it keeps nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use rampwatch::domain::chain::Address;
use rampwatch::domain::deposit::Verdict;
use rampwatch::domain::time::{Span, Timestamp};
use rampwatch::ports::store::Store as _;

use crate::Args;
use crate::configuration::Configuration;
use crate::daemon::{Daemon, Ground};
use crate::figures::{median, number};
use crate::process::{Pid, within};
use crate::seed::{self, Awaited, Story};
use crate::table::{Reached, Table};
use crate::tools::{Expected, FakeRpc, Latency, START, Tools, free_port};

const INTERVAL_MS: u64 = 200;
const SPREAD_PCT: u64 = 50;
const NEVER_PAID: u128 = 123_456_789_012;
/// What p50 and p99 must stay below, in milliseconds.
const MOST_P50: f64 = 5.0;
const MOST_P99: f64 = 15.0;
/// More requests for each completion than three, beyond what the sweeps of two runs may differ by.
const MORE_THAN_THREE: f64 = 3.05;
/// How long after the last block its completions may take.
const LIMIT: Duration = Duration::from_secs(10);

struct Measured {
    latency: Latency,
    calls_a_block: f64,
    pushes_a_block: f64,
    cpu_percent: f64,
    rss_mb: f64,
    methods: String,
}

/// A history of one block: there is nothing to read before the measurement.
const OPTIONS: [(&str, u64); 4] =
    [("--blocks", 1), ("--logs-per-block", 50), ("--watched", 1_000), ("--finality-depth", 0)];

pub(crate) async fn measure(args: &Args, tools: &Tools, table: &mut Table) -> Result<()> {
    let last = START + args.live_blocks;
    let expected = FakeRpc::foretold(tools, &OPTIONS, START + 1, last).await?;
    let theirs = baseline(args, tools).await?;
    let ours = all_runs(args, tools, &expected, false).await?;
    let agreed = all_runs(args, tools, &expected, true).await?;
    let of = |field: fn(&Measured) -> f64| median(ours.iter().map(field));
    let (p50, p99) = (of(|it| it.latency.p50.unwrap_or(f64::MAX)), of(|it| it.latency.p99.unwrap_or(f64::MAX)));
    let missing: u64 = ours.iter().map(|it| it.latency.missing).sum();
    let twice: u64 = ours.iter().map(|it| it.latency.duplicates).sum();
    let their = |value: Option<f64>| format!("{:.1} ms", value.unwrap_or(f64::MAX));
    let what =
        format!("live, {} deposits over {} blocks, durable before the call: p50", expected.len(), args.live_blocks);
    table.add(&what, &format!("{p50:.1} ms"), "< 5 ms", Reached::of(p50 < MOST_P50), &their(theirs.latency.p50));
    table.add("… p99", &format!("{p99:.1} ms"), "< 15 ms", Reached::of(p99 < MOST_P99), &their(theirs.latency.p99));
    let value = format!("{missing} / {twice}");
    let base = format!("{} / {}", theirs.latency.missing, theirs.latency.duplicates);
    table.add("… missed / called twice, all runs", &value, "0 / 0", Reached::of(missing + twice == 0), &base);
    let calls = of(|it| it.calls_a_block);
    let base = format!("{:.2} ({:.1})", theirs.calls_a_block, theirs.pushes_a_block);
    let value = format!("{calls:.2} ({:.1})", of(|it| it.pushes_a_block));
    table.add("… requests a block (pushes)", &value, "≤ 1", Reached::of(calls <= 1.0), &base);
    let told = |cpu: f64, rss: f64| format!("{cpu:.1} % / {rss:.0} MB");
    let base = told(theirs.cpu_percent, theirs.rss_mb);
    table.tell("… CPU of one core / RSS", &told(of(|it| it.cpu_percent), of(|it| it.rss_mb)), &base);
    let completions = number(u64::try_from(expected.len())?);
    with_two_operators(&agreed, calls, completions / number(args.live_blocks), table);
    Ok(())
}

/// The same where two operators must agree on each completion. `alone`: the requests a block where one is enough.
fn with_two_operators(runs: &[Measured], alone: f64, completions_a_block: f64, table: &mut Table) {
    let of = |field: fn(&Measured) -> f64| median(runs.iter().map(field));
    let (p50, p99) = (of(|it| it.latency.p50.unwrap_or(f64::MAX)), of(|it| it.latency.p99.unwrap_or(f64::MAX)));
    table.tell("live, two operators must agree: p50 / p99", &format!("{p50:.1} / {p99:.1} ms"), "-");
    let missed: u64 = runs.iter().map(|it| it.latency.missing + it.latency.duplicates).sum();
    table.add("… missed or called twice, all runs", &missed.to_string(), "0", Reached::of(missed == 0), "-");
    let more = (of(|it| it.calls_a_block) - alone) / completions_a_block;
    table.add("… more requests a completion", &format!("{more:.1}"), "≤ 3", Reached::of(more < MORE_THAN_THREE), "-");
}

async fn all_runs(args: &Args, tools: &Tools, expected: &[Expected], two_operators: bool) -> Result<Vec<Measured>> {
    let mut all = Vec::new();
    for run in 0..args.runs {
        let measured = once(args, tools, expected, run, two_operators).await?;
        let Latency { p50, p99, max, count, .. } = measured.latency;
        let who = if two_operators { "two operators, " } else { "" };
        eprintln!("   {who}run {}: p50 {p50:?} p99 {p99:?} max {max:?} of {count}; {}", run + 1, measured.methods);
        all.push(measured);
    }
    Ok(all)
}

async fn baseline(args: &Args, tools: &Tools) -> Result<Measured> {
    let source = FakeRpc::start(tools, &OPTIONS).await?;
    let watched = args.folder.join("watched.txt");
    std::fs::write(&watched, source.text("/watched").await?)?;
    let mut command = tools.command("live");
    command.args(["--topics", "--port", &source.port().to_string(), "--watched-file"]).arg(&watched);
    let mut child = command.spawn()?;
    let pid = Pid(child.id().unwrap());
    within(LIMIT, "the baseline has subscribed", async || {
        source.calls_of("eth_subscribe").await.is_ok_and(|calls| calls > 0)
    })
    .await?;
    let measured = publish(args, &source, pid).await?;
    child.kill().await?;
    source.stop().await?;
    Ok(measured)
}

/// A payment for every deposit that is to come, and one for every other watched address.
pub(crate) fn awaited(expected: &[Expected], watched: Vec<Address>) -> Vec<Awaited> {
    let paid: BTreeSet<Address> = expected.iter().map(|expected| expected.to).collect();
    let others = watched.into_iter().filter(|address| !paid.contains(address));
    let others = others.map(|address| Awaited { address, amount: NEVER_PAID });
    expected.iter().map(|expected| Awaited { address: expected.to, amount: expected.amount }).chain(others).collect()
}

async fn once(args: &Args, tools: &Tools, expected: &[Expected], run: usize, two_operators: bool) -> Result<Measured> {
    let source = FakeRpc::start(tools, &OPTIONS).await?;
    let name = if two_operators { "live-two" } else { "live" };
    let ground = Ground::new(&args.folder, &format!("{name}-{run}"), args.keep)?;
    let created_at: Timestamp = seed::now().minus(Span::from_secs(60));
    let awaited = awaited(expected, source.watched().await?);
    seed::fill(&ground.store(), &awaited, &Story { created_at, swept_to: None }).await?;
    let configuration = Configuration { depth: 0, two_operators, ..Configuration::new(source.port(), free_port()?) };
    let mut daemon = Daemon::start(&args.program, &ground, &configuration)?;
    daemon.swept(LIMIT).await?;
    daemon.counted("rampwatch_subscription_live", 1.0, LIMIT).await?;
    let measured = publish(args, &source, daemon.pid()).await?;
    daemon.stop().await?;
    source.stop().await?;
    verify(&ground, expected).await?;
    Ok(measured)
}

/// Publishes the blocks, waits for the last completion, and takes the figures.
async fn publish(args: &Args, source: &FakeRpc, pid: Pid) -> Result<Measured> {
    source.reset().await?;
    let cpu_before = pid.cpu()?;
    let begun = std::time::Instant::now();
    source.publish(args.live_blocks, INTERVAL_MS, SPREAD_PCT).await?;
    // What is missing after this is told as missing.
    let _ = within(LIMIT, "all are completed", async || source.latency().await.is_ok_and(|it| it.missing == 0)).await;
    let cpu_percent = (pid.cpu()? - cpu_before) / begun.elapsed().as_secs_f64() * 100.0;
    let (stats, latency) = (source.stats().await?, source.latency().await?);
    ensure!(latency.unwatched + latency.historical + latency.unknown == 0, "calls that should not be: {latency:?}");
    let blocks = number(args.live_blocks);
    Ok(Measured {
        latency,
        calls_a_block: number(stats.calls) / blocks,
        pushes_a_block: number(stats.pushes) / blocks,
        cpu_percent,
        rss_mb: pid.rss_mb()?,
        methods: stats.methods,
    })
}

/// Every deposit is in the store, and pays the payment that was meant: the one with its number.
pub(crate) async fn verify(ground: &Ground, expected: &[Expected]) -> Result<()> {
    let store = seed::open(&ground.store())?;
    for (number, expected) in expected.iter().enumerate() {
        let deposits = store.deposits_at(expected.to).await?;
        let deposit = deposits.into_iter().find(|deposit| deposit.key.tx_hash == expected.tx_hash);
        let verdict = deposit.map(|deposit| deposit.verdict);
        let is_right = matches!(&verdict, Some(Verdict::Pays { payment, .. }) if *payment == seed::id(number));
        ensure!(is_right, "the deposit {} does not pay payment {number}: {verdict:?}", expected.tx_hash);
    }
    Ok(())
}
