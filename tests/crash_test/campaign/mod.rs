//! `make campaign FAULTS=500`: the release binary with anvil, sled and the fake API, under every fault that a process or a
//! wire can have.
//!
//! One world: a chain with blocks every 250 ms, final after six, that reorgs below that ([`chain`]); the fake API, which
//! loses answers, is late, refuses and talks nonsense; between both and rampwatch lines that are processes of their own
//! ([`line`]). People pay off-ramps by hand (exactly, twice, too little, in another token, several at once), the wallet pays
//! others by itself or because somebody placed the order, large ones once they are approved, and sometimes somebody pays by
//! hand what the wallet is about to pay. The base fee jumps, and the pool forgets.
//!
//! rampwatch has three endpoints, of three operators, to the one chain. The first, which is asked before the others and has the
//! websocket, or the second, as the seed draws it, stands behind a proxy that lies ([`liar`]): for one to six seconds, with some
//! truth in between, all its answers tell one of the [`lies`], from receipts of transfers that failed to deposits that nobody
//! made. What the websocket pushes is true. The deck of the lies goes round, so that none is left out.
//!
//! Meanwhile the faults of a [`deck`] strike, half of them right after something was seen to be done, and some while another one
//! lasts: rampwatch is killed (-9); it, the node, or the way to the API or of the websocket stands still (SIGSTOP, for longer
//! than any time limit now and then) and goes on (SIGCONT); connections to any of them are cut, those to the nodes at the first
//! endpoint or at all but the one that lies. After each kill the store is opened and looked through ([`after`]). Within five
//! minutes after the last fault and the last lie everything must settle, with no person but those who approve large orders, and
//! is held against the chain's own blocks and the fake API's journal ([`verdict`]). What counts as a violation is in [`report`].
//!
//! That a weakness would be found can be seen by making one: with `--set RAMPWATCH__CHAIN__FINALITY__RULE=depth --set
//! RAMPWATCH__CHAIN__FINALITY__DEPTH=1` rampwatch believes blocks that reorgs take away, and a dozen faults are
//! enough to fail. `--set RAMPWATCH__RPC__AGREEMENT=1` makes it believe one operator.
//!
//! All chance comes from one seed, which is printed: the same seed draws the same faults, lies, loads and reorgs. Real
//! processes on a real machine do not fall in with that to the millisecond, so a run cannot be had again exactly.

mod after;
mod chain;
mod deck;
mod guard;
mod liar;
mod lies;
mod line;
mod report;
mod verdict;
mod world;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rampwatch::domain::amount::Amount;
use rampwatch::domain::payment::{BankAccountId, PaymentId};
use rampwatch::sandbox::{SandboxError, USDC, WALLET};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use self::after::Memory;
use self::deck::Fault;
use self::lies::Kind;
use self::report::{Disputes, Report, Wanted};
use self::verdict::Payments;
use self::world::World;
use crate::run::autopsy::{self, KINDS};
use crate::run::chance::{self, Chance};
use crate::run::load::{self as hand_load, Load as HandLoad};
use crate::run::{break_things, shown};
use crate::send::kills::load::{self as wallet_load, Load as WalletLoad};

/// Above this, in whole USDC, somebody approves the wallet's orders.
const APPROVAL_ABOVE: u32 = 40;

/// The bank account of what people pay by hand: the wallet must not.
const BY_HAND: &str = "bank-of-hands";

/// How long calls that were under way get to arrive or to be dropped, after a kill.
const DUST: Duration = Duration::from_millis(150);

/// With so many faults every kind of step must have been hit by a kill, and every kind of lie told.
const ENOUGH_FOR_ALL_KINDS: u32 = 300;

/// In so much time after the last fault and the last lie everything must have come to its end.
const SETTLED_WITHIN: Duration = Duration::from_secs(300);

const USAGE: &str = "usage: crash_test campaign [--program FILE] [--faults N] [--seed N] [--set RAMPWATCH__…=VALUE]…";

/// What is to be done.
#[derive(Clone, Debug)]
struct Plan {
    /// The binary.
    program: PathBuf,
    /// How many faults strike.
    faults: u32,
    /// Of all that is random here. (What the machine does at which moment is not.)
    seed: u64,
    /// Settings of rampwatch that are to differ, to see that a bad one is found out.
    settings: Vec<(String, String)>,
}

/// Whether the arguments are for one of the processes of a campaign, and what came of it then.
pub(crate) fn side_process(arguments: &[String]) -> Option<ExitCode> {
    let (first, rest) = arguments.split_first()?;
    match first.as_str() {
        guard::CHILD_FLAG => Some(guard::child()),
        line::CHILD_FLAG => Some(line::child(rest)),
        _ => None,
    }
}

/// Does what the arguments after the command's name say.
pub(crate) fn main(arguments: Vec<String>) -> ExitCode {
    let Some(plan) = plan_of(arguments.into_iter()) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    eprintln!("seed {} (--seed {} draws the same again)", plan.seed, plan.seed);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let began = Instant::now();
    let mut report = Report::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let interrupted = runtime.block_on(async {
        tokio::select! {
            ended = run(&plan, folder.path(), &mut report) => {
                if let Err(error) = ended {
                    report.details.push(format!("the campaign could not go on: {error}"));
                }
                false
            }
            () = told_to_end() => true,
        }
    });
    if interrupted {
        return ExitCode::FAILURE;
    }
    let problems = report.problems(&wanted(&plan));
    for problem in &problems {
        eprintln!("FAILED: {problem}");
    }
    if !problems.is_empty() {
        eprintln!("the configuration, store and log are kept in {}", folder.keep().display());
    }
    eprintln!("{} s", began.elapsed().as_secs());
    println!("{}", report.line(plan.seed));
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Ctrl-C, or a TERM from whoever started it.
async fn told_to_end() {
    let mut term = signal(SignalKind::terminate()).expect("signals can be heard");
    tokio::select! {
        _ = term.recv() => {}
        heard = tokio::signal::ctrl_c() => heard.expect("signals can be heard"),
    }
}

fn plan_of(mut arguments: impl Iterator<Item = String>) -> Option<Plan> {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_rampwatch"));
    let mut plan = Plan { program, faults: 500, seed: chance::fresh_seed(), settings: Vec::new() };
    while let Some(flag) = arguments.next() {
        let value = arguments.next()?;
        match flag.as_str() {
            "--program" => plan.program = PathBuf::from(value),
            "--faults" => plan.faults = value.parse().ok()?,
            "--seed" => plan.seed = value.parse().ok()?,
            "--set" => plan.settings.extend(value.split_once('=').map(|(name, to)| (name.to_owned(), to.to_owned()))),
            _ => return None,
        }
    }
    Some(plan)
}

/// Of each kind of fault what the deck has of it; of the rest about half of what there is on a quick machine, on which the
/// faults follow one another faster and less is done between two, so that a run in which hardly anything was going on is not
/// taken for a proof.
fn wanted(plan: &Plan) -> Wanted {
    let mut wanted = Wanted::default();
    for fault in deck::shuffled(plan.faults, &mut Chance::new(plan.seed, "deck")) {
        *wanted.faults.entry(fault).or_default() += 1;
    }
    let faults = plan.faults as usize;
    wanted.reorgs = faults / 10;
    wanted.api_faults = faults / 2;
    wanted.lies = faults / 3;
    wanted.completed = faults;
    wanted.mined = faults / 3;
    if plan.faults >= ENOUGH_FOR_ALL_KINDS {
        wanted.kinds = KINDS.to_vec();
        wanted.kinds_of_lies = Kind::ALL.map(|(kind, _)| kind).to_vec();
    }
    wanted
}

/// What a campaign has under way.
struct Campaign<'a> {
    world: World,
    hands: HandLoad,
    wallet: WalletLoad,
    memory: Memory,
    report: &'a mut Report,
    /// rampwatch was started and not waited for: the next kill may hit it while it starts.
    starting: bool,
}

async fn run(plan: &Plan, folder: &Path, report: &mut Report) -> Result<(), SandboxError> {
    let mut world = World::start(plan, folder).await?;
    let had = world.sandbox.anvil().node().balance(USDC, WALLET).await?;
    let operator = world.daemon.operator().clone();
    break_things(world.sandbox.fake_api())?;
    world.start_daemon()?;
    world.daemon_ready().await?;
    let by_hand = BankAccountId::new(BY_HAND).expect("it is an id");
    let habits = hand_load::Habits { bank_account: Some(by_hand), pause: (300, 1_200) };
    let hands = HandLoad::start(Arc::clone(&world.sandbox), operator.clone(), plan.seed, habits);
    let limit = Amount::from_base_units(u128::from(APPROVAL_ABOVE) * 1_000_000);
    let habits = wallet_load::Habits { openers: 1, approve_above: Some(limit) };
    let wallet = WalletLoad::start(Arc::clone(&world.sandbox), operator, plan.seed, habits);
    let memory = Memory::default();
    let mut campaign = Campaign { world, hands, wallet, memory, report, starting: false };
    campaign.strike_all(plan).await?;
    campaign.settle_and_judge(folder, had).await
}

impl Campaign<'_> {
    /// Every fault of the deck.
    async fn strike_all(&mut self, plan: &Plan) -> Result<(), SandboxError> {
        let began = Instant::now();
        let mut deck = deck::shuffled(plan.faults, &mut Chance::new(plan.seed, "deck"));
        let mut told = 0;
        while let Some(fault) = self.draw(&mut deck) {
            let inner = deck.last().copied().filter(|inner| fault.can_hold(*inner));
            let inner = inner.filter(|_| self.world.chance().one_in(3));
            if inner.is_some() {
                deck.pop();
            }
            self.strike(fault, inner).await?;
            self.world.life.trouble()?;
            if !self.hands.goes_on() {
                // It says why when it is finished.
                return Ok(());
            }
            if self.report.total() / 10 > told {
                told = self.report.total() / 10;
                let completed = self.completed();
                let (opened, seconds) = (self.hands.opened() + self.wallet.opened(), began.elapsed().as_secs());
                let total = self.report.total();
                eprintln!("  {total} faults, {opened} payments opened, {completed} taken up, {seconds} s");
            }
        }
        Ok(())
    }

    /// The next fault: a kill, where one can hit a start.
    fn draw(&mut self, deck: &mut Vec<Fault>) -> Option<Fault> {
        match deck.iter().rposition(|fault| *fault == Fault::Kill).filter(|_| self.starting) {
            Some(kill) => Some(deck.remove(kill)),
            None => deck.pop(),
        }
    }

    fn completed(&self) -> usize {
        self.world.sandbox.fake_api().off_ramps().iter().filter(|off_ramp| off_ramp.tally.accepted > 0).count()
    }

    /// One fault, or two at once.
    async fn strike(&mut self, fault: Fault, inner: Option<Fault>) -> Result<(), SandboxError> {
        if !self.starting {
            self.world.moment().await;
        }
        self.alive().await?;
        if fault == Fault::Kill {
            return self.kill(None).await;
        }
        let span = self.world.span();
        self.world.begin(fault).await?;
        self.report.struck(fault);
        tokio::time::sleep(span / 2).await;
        match inner {
            Some(Fault::Kill) => {
                self.report.together += 1;
                self.kill(Some(fault)).await?;
            }
            Some(inner) => {
                self.report.together += 1;
                let span = self.world.span();
                self.alive().await?;
                self.world.begin(inner).await?;
                self.report.struck(inner);
                tokio::time::sleep(span).await;
                self.world.end(inner).await?;
            }
            None => {}
        }
        tokio::time::sleep(span / 2).await;
        self.world.end(fault).await?;
        self.back().await
    }

    /// Whatever stood still or was cut, rampwatch must still be there, and become ready.
    async fn back(&mut self) -> Result<(), SandboxError> {
        self.starting = false;
        loop {
            self.alive().await?;
            let Err(error) = self.world.daemon_ready().await else { return Ok(()) };
            // It may have given up its start in the meantime.
            if self.world.daemon.ended()?.is_none() {
                self.report.violate("exits", format!("it did not come back: {error}"));
                return Err(error);
            }
        }
    }

    /// It never ends by itself, but for a start without a chain.
    async fn alive(&mut self) -> Result<(), SandboxError> {
        while let Some(status) = self.world.daemon.ended()? {
            if !self.world.starts_again_after(status).await? {
                self.report.violate("exits", format!("rampwatch ended by itself: {status}"));
                return Err(SandboxError::Outcome("there is nothing left to strike".to_owned()));
            }
            self.report.refused_starts += 1;
        }
        Ok(())
    }

    /// Kills rampwatch, looks at what it left, and starts it again, all while another fault may last.
    async fn kill(&mut self, during: Option<Fault>) -> Result<(), SandboxError> {
        if self.starting {
            tokio::time::sleep(self.world.chance().millis(0, 100)).await;
        }
        self.alive().await?;
        if self.starting {
            // It may have got ready in the meantime; then it is not killed while starting.
            self.starting = !self.world.daemon.operator().is_ready().await;
        }
        let adding = self.hands.adding();
        self.world.kill_daemon().await?;
        self.report.struck(Fault::Kill);
        tokio::time::sleep(DUST).await;
        let node_answers = during != Some(Fault::FreezeNode);
        let acknowledged = self.hands.acknowledged();
        let left = self.memory.look(&self.world, node_answers, &acknowledged, self.report).await?;
        let mut hit = autopsy::kinds(&left, &self.world.sandbox.fake_api().journal());
        hit.extend(self.starting.then_some("starting"));
        hit.extend((adding > 0).then_some("adding"));
        for kind in hit {
            *self.report.kinds.entry(kind).or_default() += 1;
        }
        self.report.starting += u32::from(self.starting);
        self.world.start_daemon()?;
        self.starting = during.is_none() && self.world.chance().one_in(6);
        if self.starting || during.is_some() { Ok(()) } else { self.back().await }
    }

    /// After the last fault.
    async fn settle_and_judge(mut self, folder: &Path, had: Amount) -> Result<(), SandboxError> {
        self.back().await?;
        self.world.calm().await;
        let until = Instant::now() + SETTLED_WITHIN;
        let left_until = || until.saturating_duration_since(Instant::now());
        let Self { mut world, hands, wallet, mut memory, report, .. } = self;
        report.lies = world.lies();
        let acknowledged = hands.acknowledged();
        let mut all = hands.finish(left_until()).await?;
        let (mut wallets, paid_by_hand) = wallet.finish(left_until()).await?;
        all.extend(wallets.clone());
        wallets.retain(|id: &PaymentId, _| !paid_by_hand.contains(id));
        let payments = Payments { all, wallets };
        eprintln!("no more faults and lies; {} payments have to settle", payments.all.len());
        if let Err(error) = verdict::settle(&world, &payments, until).await {
            report.violate("stuck", error.to_string());
        }
        eprintln!("settled after {} s", (SETTLED_WITHIN - left_until()).as_secs());
        verdict::judge_orders(&world, report).await?;
        if let Err(error) = world.daemon.stop(Duration::from_secs(20)).await {
            report.violate("exits", error.to_string());
        }
        let left = memory.look(&world, true, &acknowledged, report).await?;
        verdict::judge(&world, &payments, &left, had, report).await?;
        let log = std::fs::read(folder.join("watcher.log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        report.violate_all("exits", log.lines().filter(|line| line.contains("panicked")).map(str::to_owned));
        eprintln!("lied about: {}", report.kinds_of_lies());
        let Disputes { all, open } = &report.disputes;
        eprintln!("{all} disputes, {} of them open: {open:#?}", open.len());
        eprintln!("killed in the middle of: {}", shown(&report.kinds));
        eprintln!("killed while orders were: {}", memory.order_states());
        world.stop().await
    }
}
