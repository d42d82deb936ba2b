//! Kills rampwatch again and again while money comes in, and counts at the end what was lost.
//!
//! A chain (blocks every 250 ms, final after two), the fake API with faults, and between it and rampwatch a network
//! that takes its time ([`network`]). Payments are opened, added and paid without a pause ([`load`]): exactly, twice,
//! too little, several in one transaction, before they are added. rampwatch is killed (-9) at a random moment: while
//! it starts, or 20 to 1500 ms after it is ready. Then the store that it left is opened and looked into ([`autopsy`]):
//! it must hold everything that it held at any earlier kill and everything that was acknowledged, and it shows which
//! kinds of step the process was killed in. Then it is started again. After the last kill the faults are taken back,
//! and everything must settle.
//!
//! The last line's numbers:
//! - `kills`: how often the process was killed.
//! - `completed`: payments that the API completed by exactly one call, and that the store has as ended, completed.
//! - `lost`: final transfers of a watched token to the address of an added payment that are not in the store (by block
//!   hash, transaction and log index), by the chain's own logs; also payments and deposits that had been acknowledged,
//!   or were in the store after a kill, and later were not.
//! - `wrong`: completions that the API took whose transaction has no final transfer of exactly the payment's amount of
//!   USDC to the payment's address.
//! - `doubled`: payments that the API completed more than once, or was called for again after it had completed them
//!   (a less careful API would have paid twice).
//! - `missing`: added payments whose address has a final transfer of exactly the amount, and that are not completed at
//!   the API, or not ended, completed in the store.

pub(crate) mod autopsy;
pub(crate) mod chance;
pub(crate) mod load;
pub(crate) mod network;
pub(crate) mod verdict;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rampwatch::sandbox::fake_api::{Call, FakeApi, FakeApiOptions, Fault, FaultRule, RetryAfter, When};
use rampwatch::sandbox::{Anvil, AnvilOptions, Daemon, DaemonOptions, Mining, Sandbox, SandboxError};
use tokio::time::Instant;

use self::autopsy::{KINDS, Memory};
use self::chance::Chance;
use self::load::{Habits, Load};
use self::network::Network;

/// The result of a part.
pub(crate) type Outcome<T> = Result<T, SandboxError>;

/// How long a start may take, and each wait at the end.
const LIMIT: Duration = Duration::from_secs(180);

/// How long calls that were under way get to arrive or to be dropped, after a kill.
const DUST: Duration = Duration::from_millis(150);

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The binary.
    pub(crate) program: PathBuf,
    /// How often it is killed.
    pub(crate) kills: u32,
    /// How many payments must be completed at the least.
    pub(crate) completed: usize,
    /// Of all that is random here. (What the machine does at which moment is not.)
    pub(crate) seed: u64,
    /// Whether each kind of step must have been hit.
    pub(crate) all_kinds: bool,
}

impl Plan {
    /// A hundred kills, and a seed of its own.
    pub(crate) fn new(program: PathBuf) -> Self {
        Self { program, kills: 100, completed: 500, seed: chance::fresh_seed(), all_kinds: true }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) kills: u32,
    pub(crate) completed: usize,
    pub(crate) lost: usize,
    pub(crate) wrong: usize,
    pub(crate) doubled: usize,
    pub(crate) missing: usize,
    /// In how many kills each kind of step was hit.
    pub(crate) kinds: BTreeMap<&'static str, u32>,
    /// What each of them was, in words.
    pub(crate) details: Vec<String>,
}

impl Report {
    /// The last line.
    pub(crate) fn line(&self) -> String {
        let Self { kills, completed, lost, wrong, doubled, missing, .. } = self;
        format!("kills={kills} completed={completed} lost={lost} wrong={wrong} doubled={doubled} missing={missing}")
    }

    /// Why the test fails, if it does.
    pub(crate) fn problems(&self, plan: &Plan) -> Vec<String> {
        let mut problems = self.details.clone();
        if self.kills < plan.kills {
            problems.push(format!("only {} of {} kills happened", self.kills, plan.kills));
        }
        if self.completed < plan.completed {
            problems.push(format!("only {} of {} payments were completed", self.completed, plan.completed));
        }
        for kind in KINDS.iter().filter(|kind| plan.all_kinds && !self.kinds.contains_key(*kind)) {
            problems.push(format!("no kill hit the step {kind:?}"));
        }
        problems
    }
}

/// Runs the plan, and tells how it goes on stdout.
pub(crate) async fn run(plan: &Plan) -> Outcome<Report> {
    let began = Instant::now();
    println!("seed {} (--seed {} to use it again)", plan.seed, plan.seed);
    let folder = tempfile::tempdir().unwrap();
    let options = AnvilOptions { mining: Mining::Every { millis: 250 }, ..AnvilOptions::default() };
    let anvil = Anvil::start(&options).await?;
    anvil.node().furnish().await?;
    let fake_api = FakeApi::start(FakeApiOptions { seed: plan.seed, ..FakeApiOptions::default() }).await?;
    let network = Network::start(&fake_api.base_url(), plan.seed).await;
    let sandbox = Arc::new(Sandbox::of_parts(anvil, fake_api, folder.path())?);
    let mut daemon = Daemon::new(DaemonOptions {
        program: plan.program.clone(),
        config: sandbox.config_path(),
        log: folder.path().join("watcher.log"),
        overrides: overrides(network.base_url()),
    })?;
    let load = Load::start(Arc::clone(&sandbox), daemon.operator().clone(), plan.seed, Habits::default());
    let mut report = Report::default();
    let mut memory = Memory::default();
    break_things(sandbox.fake_api())?;
    let mut chance = Chance::new(plan.seed, "kills");
    while report.kills < plan.kills {
        kill_once(&mut daemon, &mut chance, &load, &sandbox, (&mut memory, &mut report)).await?;
        if report.kills.is_multiple_of(10) {
            let (opened, seconds) = (load.opened(), began.elapsed().as_secs());
            println!("  {} kills, {opened} payments opened, {seconds} s", report.kills);
        }
    }
    daemon.start()?;
    daemon.ready(LIMIT).await?;
    load.wait_for_exact(plan.completed + plan.completed / 10).await;
    sandbox.fake_api().clear_faults();
    let book = load.finish(LIMIT).await?;
    println!("no more kills, no more faults; {} payments have to settle", book.len());
    let settled = verdict::settle(&sandbox, daemon.operator(), &book, LIMIT).await;
    daemon.stop(Duration::from_secs(20)).await?;
    let after = autopsy::open(&daemon.settings().store.path).await?;
    memory.compare(&after, &mut report);
    verdict::judge(&sandbox, &book, &after, &mut report).await?;
    report.details.extend(settled.err().map(|error| error.to_string()));
    println!("killed in the middle of: {}", shown(&report.kinds));
    if !report.problems(plan).is_empty() {
        println!("the configuration, store and log are kept in {}", folder.keep().display());
    }
    if let Some(sandbox) = Arc::into_inner(sandbox) {
        sandbox.stop().await?;
    }
    println!("{} s", began.elapsed().as_secs());
    Ok(report)
}

/// Starts the daemon, kills it at a random moment, and looks at what it left.
async fn kill_once(
    daemon: &mut Daemon,
    chance: &mut Chance,
    load: &Load,
    sandbox: &Sandbox,
    (memory, report): (&mut Memory, &mut Report),
) -> Outcome<()> {
    daemon.start()?;
    let starting = chance.one_in(8);
    if starting {
        tokio::time::sleep(chance.millis(0, 100)).await;
    } else {
        daemon.ready(LIMIT).await?;
        tokio::time::sleep(chance.millis(20, 1_500)).await;
    }
    if let Some(status) = daemon.ended()? {
        return Err(SandboxError::Outcome(format!("rampwatch ended by itself: {status}")));
    }
    // A start may have got ready in the meantime; then it was not killed while starting.
    let starting = starting && !daemon.operator().is_ready().await;
    let adding = load.adding();
    daemon.kill().await?;
    tokio::time::sleep(DUST).await;
    let left = autopsy::open(&daemon.settings().store.path).await?;
    memory.compare(&left, report);
    memory.acknowledged(&load.acknowledged(), &left, report);
    let mut hit = autopsy::kinds(&left, &sandbox.fake_api().journal());
    hit.extend(starting.then_some("starting"));
    hit.extend((adding > 0).then_some("adding"));
    for kind in hit {
        *report.kinds.entry(kind).or_default() += 1;
    }
    report.kills += 1;
    Ok(())
}

/// Small spans, so that much happens between two kills.
fn overrides(api: &str) -> Vec<(String, String)> {
    let pairs = [
        ("RAMPWATCH__API__BASE_URL", api),
        ("RAMPWATCH__API__TIMEOUT", "1s"),
        ("RAMPWATCH__API__CONNECT_TIMEOUT", "500ms"),
        ("RAMPWATCH__WATCH__SWEEP_INTERVAL", "2s"),
        ("RAMPWATCH__WATCH__SECOND_READING_AFTER", "5s"),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The API fails in all the ways that the same call may survive.
pub(crate) fn break_things(fake_api: &FakeApi) -> Outcome<()> {
    let soon = Some(RetryAfter::Seconds(1));
    let faults = [
        (Call::Complete, 60, Fault::answer_lost()),
        (Call::Complete, 30, Fault::cut()),
        (Call::Complete, 40, Fault::server_error()),
        (Call::Complete, 20, Fault::html(502, true)),
        (Call::Complete, 20, Fault::too_many_requests(soon)),
        (Call::Complete, 15, Fault::Hang { acts: true }),
        (Call::Complete, 15, Fault::Garbage { acts: true }),
        (Call::Complete, 80, Fault::Delay { millis: 500, acts_first: false }),
        (Call::Complete, 80, Fault::Delay { millis: 300, acts_first: true }),
        (Call::Get, 20, Fault::server_error()),
        (Call::Get, 20, Fault::cut()),
        (Call::Get, 10, Fault::Garbage { acts: false }),
        (Call::Get, 5, Fault::too_many_requests(soon)),
    ];
    for (call, per_mille, fault) in faults {
        fake_api.add_fault(FaultRule { call, payment: None, when: When::PerMille(per_mille), fault })?;
    }
    Ok(())
}

pub(crate) fn shown(kinds: &BTreeMap<&'static str, u32>) -> String {
    kinds.iter().map(|(kind, count)| format!("{kind} ({count})")).collect::<Vec<_>>().join(", ")
}
