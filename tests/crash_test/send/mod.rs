//! `make send-crash-test KILLS=100`: rampwatch dies while it sends money.
//!
//! First by script: at every commit and every network call of a send, before it and after it (see `scripted`). Then at
//! random, under load, as the release binary (`--program`; see `kills`). What the numbers of the last line mean is in
//! `report`.

pub(crate) mod aftermath;
pub(crate) mod kills;
pub(crate) mod report;
mod scripted;

use std::path::PathBuf;
use std::process::ExitCode;

use self::report::Report;

const USAGE: &str = "usage: crash_test send [--program FILE] [--kills N] [--seed N] [--cases N] [--workers N] [--story NAME] [--at POINT]";

struct Plan {
    kills: kills::Plan,
    scripted: scripted::Plan,
}

/// Does what the arguments after the command's name say.
pub(crate) fn main(arguments: Vec<String>) -> ExitCode {
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if let [flag, orders] = arguments.as_slice()
        && flag == scripted::CHILD_FLAG
    {
        return runtime().block_on(scripted::child(orders));
    }
    let Some(plan) = plan_of(arguments.into_iter()) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let mut report = Report::default();
    runtime().block_on(async {
        if plan.scripted.workers > 0 {
            scripted::run(&plan.scripted, &mut report).await;
        }
        if let Err(error) = kills::run(&plan.kills, &mut report).await {
            report.failed(format!("the random kills: {error}"));
        }
    });
    for detail in &report.details {
        eprintln!("FAILED: {detail}");
    }
    println!("{}", report.line());
    if report.is_good(plan.kills.kills) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn plan_of(mut arguments: impl Iterator<Item = String>) -> Option<Plan> {
    let mut plan = Plan {
        kills: kills::Plan::new(PathBuf::from(env!("CARGO_BIN_EXE_rampwatch"))),
        scripted: scripted::Plan::default(),
    };
    while let Some(flag) = arguments.next() {
        let value = arguments.next()?;
        match flag.as_str() {
            "--program" => plan.kills.program = PathBuf::from(value),
            "--kills" => plan.kills.kills = value.parse().ok()?,
            "--seed" => plan.kills.seed = value.parse().ok()?,
            "--cases" => plan.scripted.most = value.parse().ok()?,
            "--workers" => plan.scripted.workers = value.parse().ok()?,
            "--story" => plan.scripted.story = Some(value),
            "--at" => plan.scripted.at = Some(value),
            _ => return None,
        }
    }
    Some(plan)
}
