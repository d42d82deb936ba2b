//! `make attacks`: what was done to rampwatch by those who reviewed it, done again to the release binary (`--program`), each
//! attack beside a control.
//!
//! Every row has a world of its own, twice: a scripted chain with a block each second, endpoints that can lie about it one by
//! one, a payment API, and the program with a throw-away key (`world`). In the control nobody lies, and the program has to pay
//! and to complete; so a row can hold neither because nothing works, nor because the suite is wrong. What the program says of
//! unknown keys, routes or values, and a start that fails, is a fault of the suite, and counts as broken.
//!
//! An older program can be attacked too (`--older`): configuration keys that it does not know are left out (`kit`). Another
//! attack is another file in `rows`. Deliberately absent: the program's insides, and waiting longer than a condition needs.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on may end with a panic that names the line"
)]

mod kit;
mod row;
mod rows;
mod world;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Instant;

use kit::Kit;
use row::{Played, Row, Stop, Told, Verdict};

const USAGE: &str = "usage: attacks [--program FILE [--older]] [--only NAME]... [--at-once N] [--list]";

/// How many worlds there are at once. They mostly wait.
const AT_ONCE: usize = 12;

/// What the command line asks for.
struct Wanted {
    program: PathBuf,
    is_older: bool,
    only: Vec<String>,
    at_once: usize,
    list: bool,
}

fn main() -> ExitCode {
    let Some(wanted) = wanted(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let rows: Vec<Row> = rows::all().into_iter().filter(|row| is_wanted(row, &wanted.only)).collect();
    if wanted.list {
        rows.iter().for_each(|row| println!("{:<22} {}", row.name, row.what));
        return ExitCode::SUCCESS;
    }
    if rows.is_empty() {
        eprintln!("no attack is called {}; --list names them", wanted.only.join(" or "));
        return ExitCode::from(2);
    }
    let kit = match on_a_runtime(Kit::for_program(wanted.program, wanted.is_older)) {
        Ok(kit) => kit,
        Err(Stop::Fault(why) | Stop::Broken(why)) => {
            println!("fault: {why}");
            println!("attacks={} held=0 broken={}", rows.len(), rows.len());
            return ExitCode::FAILURE;
        }
    };
    let left_out = kit.left_out();
    if !left_out.is_empty() {
        println!("it does not know {}, and runs without", left_out.join(", "));
    }
    let held = play(&kit, &rows, wanted.at_once);
    println!("attacks={} held={held} broken={}", rows.len(), rows.len() - held);
    if held == rows.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn wanted(arguments: impl Iterator<Item = String>) -> Option<Wanted> {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_rampwatch"));
    let mut wanted = Wanted { program, is_older: false, only: Vec::new(), at_once: AT_ONCE, list: false };
    let mut arguments = arguments;
    while let Some(flag) = arguments.next() {
        match flag.as_str() {
            "--list" => wanted.list = true,
            "--program" => wanted.program = PathBuf::from(arguments.next()?),
            "--older" => wanted.is_older = true,
            "--only" => wanted.only.push(arguments.next()?),
            "--at-once" => wanted.at_once = arguments.next()?.parse().ok().filter(|at_once| *at_once > 0)?,
            _ => return None,
        }
    }
    // A relative path is this folder's, whatever folder a child runs in.
    wanted.program = std::path::absolute(wanted.program).ok()?;
    Some(wanted)
}

/// Whether a row has one of these names, or is of a finding that has.
fn is_wanted(row: &Row, only: &[String]) -> bool {
    let matches = |name: &String| row.name == name || row.name.split(' ').next() == Some(name.as_str());
    only.is_empty() || only.iter().any(matches)
}

/// One runtime for one world: what is busy in one does not slow the clock of another.
fn on_a_runtime<T>(work: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(work)
}

/// Plays all rows with their controls, prints each that is done, and gives the number of those that held.
fn play(kit: &Kit, rows: &[Row], at_once: usize) -> usize {
    let all = rows.iter().enumerate().flat_map(|(nth, row)| [(nth, *row, Told::Truth), (nth, *row, Told::Lie)]);
    let queue: Arc<Mutex<VecDeque<(usize, Row, Told)>>> = Arc::new(Mutex::new(all.collect()));
    let (tell, hear) = mpsc::channel();
    let workers: Vec<_> = (0..at_once)
        .map(|_| {
            let (queue, tell, kit) = (Arc::clone(&queue), tell.clone(), kit.clone());
            std::thread::spawn(move || {
                loop {
                    let next = queue.lock().expect("nobody panics with it").pop_front();
                    let Some((nth, row, told)) = next else { return };
                    let began = Instant::now();
                    let played = play_one(&kit, row, told);
                    // Who listens listens until the last of us is gone.
                    let _ = tell.send((nth, told, played, began.elapsed().as_secs()));
                }
            })
        })
        .collect();
    drop(tell);
    let mut controls: Vec<Option<Played>> = rows.iter().map(|_| None).collect();
    let mut attacks = controls.clone();
    let mut took = vec![0; rows.len()];
    let mut held = 0;
    for (nth, told, played, seconds) in hear {
        took[nth] = seconds.max(took[nth]);
        match told {
            Told::Truth => controls[nth] = Some(played),
            Told::Lie => attacks[nth] = Some(played),
        }
        if let (Some(control), Some(attack)) = (&controls[nth], &attacks[nth]) {
            let verdict = Verdict::of(control.clone(), attack.clone());
            held += usize::from(matches!(verdict, Verdict::Held(_)));
            println!("{:<22} {:<6} {} [{} s]", rows[nth].name, verdict.name(), one_line(verdict.seen()), took[nth]);
        }
    }
    for worker in workers {
        worker.join().expect("a worker does not panic");
    }
    held
}

/// Plays one world of a row. A panic is a fault of the suite.
fn play_one(kit: &Kit, row: Row, told: Told) -> Played {
    let kit = kit.clone();
    let thread = std::thread::spawn(move || on_a_runtime((row.play)(kit, told)));
    thread.join().unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Stop::Fault(format!("the suite panicked: {}", said.unwrap_or_default())))
    })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
