//! The command line: many seeds over all cores, or one of them loudly.

use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::simulation::only::Only;
use crate::simulation::runner::{all_cores, replay, run_guarded, run_seeds, tell, world_of};
use crate::simulation::shrink::shrink;
use crate::simulation::totals::Totals;

const USAGE: &str = "\
usage: simulate [--seeds N] [--from S] [--threads N]   runs the seeds S to S + N - 1
       simulate --seed S [--only PARTS]                runs one, and tells everything that happens
       simulate --shrink S                             looks for a smaller world in which it fails as well";

/// How many failing seeds are told of in full.
const TOLD: usize = 3;
/// How many failing seeds are named as they come.
const NAMED: u64 = 20;
/// How many smaller worlds are tried.
const TRIED: u64 = 1_000;
/// How often it is said how far it is.
const SAID_EVERY: Duration = Duration::from_secs(10);
/// Fewer seeds than this need not hit everything that has to be hit (`hits`).
const HITS_ALL: u64 = 1_000;

/// What is to be run.
struct Request {
    seeds: u64,
    from: u64,
    threads: usize,
    /// This one only, loudly.
    seed: Option<u64>,
    /// With these parts of its world.
    only: Only,
    /// This one, made smaller.
    shrink: Option<u64>,
}

/// The command line of `simulate`. Its last line on stdout is that of the sums; it fails when a rule was broken, or when
/// something that should have been hit never was.
pub(crate) fn run(arguments: impl Iterator<Item = String>) -> ExitCode {
    let Some(request) = request_of(arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match (request.seed, request.shrink) {
        (Some(seed), _) => run_loudly(seed, request.only),
        (None, Some(seed)) => {
            if make_smaller(seed) {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            }
        }
        (None, None) => run_many(&request),
    }
}

fn request_of(mut arguments: impl Iterator<Item = String>) -> Option<Request> {
    let mut request =
        Request { seeds: 1_000, from: 1, threads: all_cores(), seed: None, only: Only::default(), shrink: None };
    while let Some(flag) = arguments.next() {
        let value = arguments.next()?;
        if flag == "--only" {
            request.only = value.parse().ok()?;
            continue;
        }
        let number: u64 = value.parse().ok()?;
        match flag.as_str() {
            "--seeds" => request.seeds = number,
            "--from" => request.from = number,
            "--threads" => request.threads = usize::try_from(number).ok().filter(|threads| *threads > 0)?,
            "--seed" => request.seed = Some(number),
            "--shrink" => request.shrink = Some(number),
            _ => return None,
        }
    }
    Some(request)
}

fn run_loudly(seed: u64, only: Only) -> ExitCode {
    let outcome = run_guarded(seed, world_of(seed).with_only(only), true);
    if !outcome.violations.is_empty() {
        tell(seed, &outcome);
    }
    println!(
        "seed={seed} steps={} violations={} digest={:016x}",
        outcome.steps,
        outcome.violations.len(),
        outcome.digest
    );
    if outcome.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Looks for a smaller world in which a seed fails as well, and tells of it. False when the seed does not fail.
fn make_smaller(seed: u64) -> bool {
    let Some(small) = shrink(seed, &world_of(seed), TRIED) else {
        println!("seed {seed} breaks no rule");
        return false;
    };
    let (left, all) = small.left;
    println!("\nseed {seed} made smaller, to {left} of {all} parts, in {} runs:", small.tried);
    for line in &small.outcome.happenings {
        println!("{line}");
    }
    println!("it is replayed by: {}", replay(seed, &small.only));
    true
}

fn run_many(request: &Request) -> ExitCode {
    let (began, said, totals) = (Instant::now(), Mutex::new(Instant::now()), Mutex::new(Totals::default()));
    let seeds = request.from..request.from.saturating_add(request.seeds);
    run_seeds(seeds, request.threads, world_of, |seed, outcome| {
        let mut totals = totals.lock().expect("nobody panics with it");
        if let Some(violation) = outcome.violations.first().filter(|_| totals.violations < NAMED) {
            println!("seed {seed} violated: {violation}\n  replay: {}", replay(seed, &Only::default()));
        }
        totals.add(seed, outcome);
        let mut said = said.lock().expect("nobody panics with it");
        if said.elapsed() >= SAID_EVERY {
            *said = Instant::now();
            let minutes = began.elapsed().as_secs_f64() / 60.0;
            let pace = totals.seeds as f64 / minutes;
            eprintln!("{} of {} seeds, {pace:.0} a minute", totals.seeds, request.seeds);
        }
    });
    let totals = totals.into_inner().expect("nobody panics with it");
    finish(&totals)
}

fn finish(totals: &Totals) -> ExitCode {
    for (seed, outcome) in totals.failing.iter().take(TOLD) {
        tell(*seed, outcome);
    }
    if let Some(seed) = totals.failing.keys().next() {
        make_smaller(*seed);
    }
    let missed = if totals.seeds >= HITS_ALL { totals.missed() } else { Vec::new() };
    if !missed.is_empty() {
        println!("FAILED: never hit in {} seeds: {missed:?}", totals.seeds);
    }
    println!("{}", totals.line());
    if totals.violations == 0 && missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
