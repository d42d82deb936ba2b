//! `make planted-bugs`: plants every bug of `rampwatch::planted` by itself, runs seeds until one is violated, and tells
//! which. A bug that none of so many seeds finds is a hole in the checks or in the worlds, and fails the command; so does
//! a seed that found one and is violated without it.

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use comfy_table::{ContentArrangement, Table};
use rampwatch::planted::{Bug, plant};

use crate::simulation::log::Outcome;
use crate::simulation::runner::{all_cores, run_guarded, tell, world_of};

const USAGE: &str = "\
usage: simulate                             plants each bug, and tells which seed finds it
       simulate --bug NAME [--seed S]       only this one; with a seed only that, and everything that happens";

/// A bug that so many seeds do not find is not found.
const MOST_SEEDS: u64 = 400;
/// So much is told of what was violated, in characters.
const LONGEST: usize = 120;
/// So many digits of a hash.
const DIGITS: usize = 6;
/// How wide the table is, in characters.
const WIDTH: u16 = 180;

/// What is to be run.
#[derive(Default)]
struct Request {
    bug: Option<Bug>,
    seed: Option<u64>,
}

/// How a bug was looked for.
struct Search {
    bug: Bug,
    /// The seed that found it, and what came of that.
    found: Option<(u64, Outcome)>,
    /// How many things happened in all seeds that were tried.
    steps: u64,
}

/// The command line. The last line on stdout counts the bugs.
pub(crate) fn run(arguments: impl Iterator<Item = String>) -> ExitCode {
    let Some(request) = request_of(arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if let (Some(bug), Some(seed)) = (request.bug, request.seed) {
        tell(seed, &with(Some(bug), seed, true));
        return ExitCode::SUCCESS;
    }
    if !the_program_refuses() {
        println!("FAILED: the program that is built with the bugs starts");
        return ExitCode::FAILURE;
    }
    let bugs: Vec<Bug> = Bug::ALL.iter().copied().filter(|bug| request.bug.is_none_or(|only| only == *bug)).collect();
    let searches = in_parallel(&bugs, |bug| search(*bug));
    let seeds: Vec<u64> = searches.iter().filter_map(|search| search.found.as_ref().map(|(seed, _)| *seed)).collect();
    let highest = seeds.iter().copied().max().unwrap_or(0);
    let control: Vec<u64> = (1..=highest).collect();
    let clean = in_parallel(&control, |seed| (*seed, with(None, *seed, false)));
    finish(&searches, &clean)
}

fn request_of(mut arguments: impl Iterator<Item = String>) -> Option<Request> {
    let mut request = Request::default();
    while let Some(flag) = arguments.next() {
        let value = arguments.next()?;
        match flag.as_str() {
            "--bug" => request.bug = Some(Bug::ALL.iter().copied().find(|bug| format!("{bug:?}") == value)?),
            "--seed" => request.seed = Some(value.parse().ok()?),
            _ => return None,
        }
    }
    request.bug.is_some().then_some(()).or(request.seed.is_none().then_some(()))?;
    Some(request)
}

/// What is built with the bugs must never watch anybody's money.
fn the_program_refuses() -> bool {
    let program = Command::new(env!("CARGO_BIN_EXE_rampwatch")).arg("--version").output();
    program.is_ok_and(|ended| !ended.status.success() && ended.stdout.is_empty())
}

/// Runs a seed with a bug, or with none. A simulation never leaves its thread.
fn with(bug: Option<Bug>, seed: u64, loud: bool) -> Outcome {
    plant(bug);
    let outcome = run_guarded(seed, world_of(seed), loud);
    plant(None);
    outcome
}

fn search(bug: Bug) -> Search {
    let mut steps = 0;
    for seed in 1..=MOST_SEEDS {
        let outcome = with(Some(bug), seed, false);
        steps += outcome.steps;
        // What is violated without the bug too says nothing of it, and is told of by the control.
        if !outcome.violations.is_empty() && with(None, seed, false).violations.is_empty() {
            eprintln!("{bug:?} is found by seed {seed}");
            return Search { bug, found: Some((seed, outcome)), steps };
        }
    }
    eprintln!("{bug:?} is not found by {MOST_SEEDS} seeds");
    Search { bug, found: None, steps }
}

/// Does the work for each of them, on all cores; in their order.
fn in_parallel<T: Sync, R: Send>(of: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..all_cores() {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(one) = of.get(place) else { break };
                    let result = work(one);
                    done.lock().expect("nobody panics with it").insert(place, result);
                }
            });
        }
    });
    done.into_inner().expect("nobody panics with it").into_values().collect()
}

fn finish(searches: &[Search], clean: &[(u64, Outcome)]) -> ExitCode {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(WIDTH).set_header(["bug", "what it does", "seed", "world", "steps", "found by"]);
    for Search { bug, found, steps } in searches {
        let (seed, world, by) = match found {
            Some((seed, outcome)) => (seed.to_string(), world_of(*seed).name(), first_line(outcome)),
            None => ("none".to_owned(), "-", "NOT FOUND".to_owned()),
        };
        table.add_row([format!("{bug:?}"), bug.does().to_owned(), seed, world.to_owned(), steps.to_string(), by]);
    }
    println!("{table}");
    let violated: Vec<_> = clean.iter().filter(|(_, outcome)| !outcome.violations.is_empty()).collect();
    for (seed, outcome) in &violated {
        println!("FAILED: seed {seed} is violated without any bug");
        tell(*seed, outcome);
    }
    let found = searches.iter().filter(|search| search.found.is_some()).count();
    let tried: u64 = searches.iter().map(|search| search.found.as_ref().map_or(MOST_SEEDS, |(seed, _)| *seed)).sum();
    let steps: u64 = searches.iter().map(|search| search.steps).sum();
    println!(
        "bugs={} found={found} seeds={tried} steps={steps} control_seeds={} control_violations={}",
        searches.len(),
        clean.len(),
        violated.len()
    );
    if found == searches.len() && violated.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The first rule that was broken, without the step, in one line.
fn first_line(outcome: &Outcome) -> String {
    let first = outcome.violations.first().map_or("", String::as_str);
    let text = first.split_once(": ").map_or(first, |(_, text)| text);
    without_digits(text).chars().take(LONGEST).collect()
}

/// Of long hexadecimal numbers only the first digits.
fn without_digits(text: &str) -> String {
    let mut parts = text.split("0x");
    let mut short = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.chars().take_while(char::is_ascii_hexdigit).count();
        let (number, rest) = part.split_at(digits);
        short.push_str("0x");
        short.push_str(number.get(..DIGITS).unwrap_or(number));
        short.push_str(rest);
    }
    short
}
