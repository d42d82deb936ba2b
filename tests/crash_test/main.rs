//! `make crash-test KILLS=100`: kill -9 of the release binary (`--program`) at random moments under load. What is done, and
//! what the numbers of the last line mean, is in `run`. The others are `send` (`make send-crash-test`) and `campaign` (`make
//! campaign`), which has all of it in one world and more kinds of faults.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on may end with a panic that names the line"
)]

mod campaign;
mod run;
mod send;

use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "usage: crash_test [--program FILE] [--kills N] [--completed N] [--seed N]";

/// The first argument that asks for the test of sending (`make send-crash-test`) instead; see `send`.
const SEND: &str = "send";

/// The same for `make campaign`; see `campaign`.
const CAMPAIGN: &str = "campaign";

fn main() -> ExitCode {
    let all: Vec<String> = std::env::args().skip(1).collect();
    if let Some(ended) = campaign::side_process(&all) {
        return ended;
    }
    let mut arguments = all.into_iter().peekable();
    if arguments.next_if(|first| first == CAMPAIGN).is_some() {
        return campaign::main(arguments.collect());
    }
    if arguments.next_if(|first| first == SEND).is_some() {
        return send::main(arguments.collect());
    }
    let Some(plan) = plan_of(arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match runtime.block_on(run::run(&plan)) {
        Ok(report) => {
            println!("{}", report.line());
            for problem in report.problems(&plan) {
                eprintln!("FAILED: {problem}");
            }
            if report.problems(&plan).is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn plan_of(arguments: impl Iterator<Item = String>) -> Option<run::Plan> {
    let mut plan = run::Plan::new(PathBuf::from(env!("CARGO_BIN_EXE_rampwatch")));
    let mut arguments = arguments;
    while let Some(flag) = arguments.next() {
        let value = arguments.next()?;
        if flag == "--program" {
            plan.program = PathBuf::from(value);
            continue;
        }
        let number: u64 = value.parse().ok()?;
        match flag.as_str() {
            "--kills" => plan.kills = u32::try_from(number).ok()?,
            "--completed" => plan.completed = usize::try_from(number).ok()?,
            "--seed" => plan.seed = number,
            _ => return None,
        }
    }
    Some(plan)
}
