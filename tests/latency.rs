//! How long after a deposit's block is final at the node is `/complete` received? `make latency`.
//!
//! The release binary (`--program`; only this harness is built for debugging) watches anvil with blocks of one second over a websocket, with the finalized rule. 500 deposits
//! are spread over at least 100 blocks. For each, the time is taken from the moment at which its block became final at
//! the node to the moment at which the fake API received `/complete`, by one clock.
//!
//! The first moment is observed from outside, by asking the node for its `finalized` block over a connection of its
//! own, again and again, with two milliseconds between an answer and the next question. It lies between the question
//! that was last answered with a lower block and the answer that first named this one or a later; the *earlier* end is
//! taken, so the times printed are never too short, and too long by at most the resolution that is printed too.
//!
//! The last line gives deposits, blocks, p50 and p99 (nearest rank). The test fails when p99 is 250 ms or more, the
//! deposits are in fewer than 100 blocks, or a completion is missing, doubled or has another hash.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a measurement that cannot go on may end with a panic that names the line"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rampwatch::domain::amount::Amount;
use rampwatch::domain::chain::B256;
use rampwatch::domain::payment::PaymentId;
use rampwatch::sandbox::fake_api::{Call, FakeApi, FakeApiOptions, NewOffRamp, OffRamp};
use rampwatch::sandbox::{
    Anvil, AnvilOptions, BlockTag, DEV_ACCOUNTS, Daemon, DaemonOptions, Mining, Node, Sandbox, SandboxError, USDC,
};

/// How many deposits are made.
const DEPOSITS: usize = 500;
/// In how many blocks they are at least.
const BLOCKS: usize = 100;
/// Between two deposits: 500 of them take 112 blocks of one second.
const APART: Duration = Duration::from_millis(225);
/// Between an answer of the node and the next question.
const PAUSE: Duration = Duration::from_millis(2);
/// What p99 must stay below, in microseconds.
const MOST_P99: u64 = 250_000;
/// How long the last completions may take.
const LIMIT: Duration = Duration::from_secs(60);

type Outcome<T> = Result<T, SandboxError>;

fn main() -> std::process::ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let program = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => PathBuf::from(env!("CARGO_BIN_EXE_rampwatch")),
        [flag, program] if flag == "--program" => PathBuf::from(program),
        _ => {
            eprintln!("usage: latency [--program FILE]");
            return std::process::ExitCode::from(2);
        }
    };
    match runtime.block_on(measure(program)) {
        Ok(problems) if problems.is_empty() => std::process::ExitCode::SUCCESS,
        Ok(problems) => {
            eprintln!("FAILED: {}", problems.join("; "));
            std::process::ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("FAILED: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// Now, in microseconds since the Unix epoch.
fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

/// One change of the node's final block.
#[derive(Clone, Copy)]
struct Rise {
    block: u64,
    /// When the question was asked that was last answered with a lower block.
    not_before: u64,
    /// When the answer came.
    not_after: u64,
}

/// Notes every change of the node's final block, for ever.
async fn observe(node: Node, rises: Arc<Mutex<Vec<Rise>>>) -> Outcome<()> {
    let mut known = None;
    let mut asked_before = now();
    loop {
        let asked = now();
        let found = node.block(BlockTag::Finalized).await?.map(|block| block.header.block.number);
        let not_after = now();
        if found > known {
            let block = found.unwrap_or_default();
            rises.lock().unwrap().push(Rise { block, not_before: asked_before, not_after });
            known = found;
        }
        asked_before = asked;
        tokio::time::sleep(PAUSE).await;
    }
}

/// A deposit that was made.
struct Paid {
    off_ramp: OffRamp,
    tx_hash: B256,
}

async fn measure(program: PathBuf) -> Outcome<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let options = AnvilOptions { mining: Mining::Every { millis: 1_000 }, ..AnvilOptions::default() };
    let anvil = Anvil::start(&options).await?;
    anvil.node().furnish().await?;
    let fake_api = FakeApi::start(FakeApiOptions::default()).await?;
    let sandbox = Sandbox::of_parts(anvil, fake_api, folder.path())?;
    let mut daemon = Daemon::new(DaemonOptions {
        program,
        config: sandbox.config_path(),
        log: folder.path().join("watcher.log"),
        overrides: Vec::new(),
    })?;
    daemon.start()?;
    daemon.ready(LIMIT).await?;
    println!("opening and adding {DEPOSITS} off-ramps");
    let off_ramps = open_all(sandbox.fake_api(), &daemon).await?;
    let rises = Arc::new(Mutex::new(Vec::new()));
    // A connection of its own, so that nothing else waits in front of the question.
    let eye = Node::connect(sandbox.anvil().node().http_url().as_str()).await?;
    let observing = tokio::spawn(observe(eye, Arc::clone(&rises)));
    println!("sending {DEPOSITS} deposits, one every {} ms", APART.as_millis());
    let paid = pay_all(sandbox.anvil().node(), off_ramps).await?;
    let all_there = |fake_api: &FakeApi| fake_api.off_ramps().iter().all(|off_ramp| off_ramp.tally.accepted > 0);
    let settled = sandbox.fake_api().wait_until(LIMIT, "all payments completed", all_there).await;
    observing.abort();
    if observing.await.is_ok_and(|ended| ended.is_err()) {
        return Err(SandboxError::Outcome("the node could not be observed to the end".to_owned()));
    }
    let mut problems: Vec<String> = settled.err().iter().map(ToString::to_string).collect();
    let rises = rises.lock().unwrap().clone();
    report(&sandbox, &paid, &rises, &mut problems).await?;
    daemon.stop(LIMIT).await?;
    sandbox.stop().await?;
    Ok(problems)
}

async fn open_all(fake_api: &FakeApi, daemon: &Daemon) -> Outcome<Vec<OffRamp>> {
    let mut off_ramps = Vec::with_capacity(DEPOSITS);
    for number in 0..DEPOSITS {
        let id = PaymentId::new(format!("latency-{number}")).unwrap();
        let amount = Amount::from_base_units(1_000_000 + number as u128);
        let off_ramp = fake_api.open(NewOffRamp { id: Some(id), amount, ..NewOffRamp::default() })?;
        daemon.operator().add(&off_ramp.id, &off_ramp.recipient_id).await?;
        off_ramps.push(off_ramp);
    }
    Ok(off_ramps)
}

async fn pay_all(node: &Node, off_ramps: Vec<OffRamp>) -> Outcome<Vec<Paid>> {
    let mut ticks = tokio::time::interval(APART);
    let mut paid = Vec::with_capacity(off_ramps.len());
    for (number, off_ramp) in off_ramps.into_iter().enumerate() {
        ticks.tick().await;
        let payer = DEV_ACCOUNTS[number % DEV_ACCOUNTS.len()];
        let tx_hash = node.transfer(USDC, payer, off_ramp.deposit_address, off_ramp.amount).await?;
        paid.push(Paid { off_ramp, tx_hash });
        if (number + 1) % 100 == 0 {
            println!("  {} sent", number + 1);
        }
    }
    Ok(paid)
}

/// Works the times out, prints them, and notes what is wrong.
async fn report(sandbox: &Sandbox, paid: &[Paid], rises: &[Rise], problems: &mut Vec<String>) -> Outcome<()> {
    let mut received: BTreeMap<String, Vec<(u64, Option<String>)>> = BTreeMap::new();
    for entry in sandbox.fake_api().journal().into_iter().filter(|entry| entry.call == Call::Complete) {
        // The fake API's clock counts whole milliseconds; the end of the one it names is taken.
        let at = (entry.received_at.as_millis() + 1) * 1_000;
        received.entry(entry.payment.unwrap_or_default()).or_default().push((at, entry.transaction_hash));
    }
    let (mut times, mut blocks, mut resolution) = (Vec::new(), BTreeSet::new(), 0);
    for paid in paid {
        let id = paid.off_ramp.id.as_str();
        let receipt = sandbox.anvil().node().succeeded(paid.tx_hash, LIMIT).await?;
        blocks.insert(receipt.block.number);
        let calls = received.remove(id).unwrap_or_default();
        let hash = paid.tx_hash.to_string();
        match (calls.as_slice(), rises.iter().find(|rise| rise.block >= receipt.block.number)) {
            ([(at, Some(theirs))], Some(rise)) if *theirs == hash => {
                resolution = resolution.max(rise.not_after - rise.not_before);
                if *at < rise.not_before {
                    problems.push(format!("{id} was completed before its block was final"));
                }
                times.push(at.saturating_sub(rise.not_before));
            }
            ([], _) => problems.push(format!("{id} was never completed")),
            (calls, _) => problems.push(format!("{id} was called {} times, or with another hash", calls.len())),
        }
    }
    times.sort_unstable();
    let rank = |percent: usize| times.get((times.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    let (p50, p99) = (rank(50).unwrap_or(u64::MAX), rank(99).unwrap_or(u64::MAX));
    if times.len() < DEPOSITS || blocks.len() < BLOCKS {
        problems.push(format!("{} deposits were measured in {} blocks", times.len(), blocks.len()));
    }
    if p99 >= MOST_P99 {
        problems.push(format!("p99 is not below {} ms", MOST_P99 / 1_000));
    }
    let millis = |micros: u64| format!("{}.{}", micros / 1_000, micros % 1_000 / 100);
    let (least, most) = (times.first().copied().unwrap_or_default(), times.last().copied().unwrap_or_default());
    println!("final at the node, to /complete received: least {} ms, most {} ms", millis(least), millis(most));
    println!("when a block became final is known to within {} ms; the earlier end is taken", millis(resolution));
    let (deposits, blocks) = (times.len(), blocks.len());
    println!("deposits={deposits} blocks={blocks} p50={}ms p99={}ms", millis(p50), millis(p99));
    Ok(())
}
