//! The table: what was measured, what was to be reached, and what the baseline needed.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

/// Whether a goal was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    Yes,
    No,
    /// There is no goal.
    Open,
}

impl Reached {
    pub(crate) const fn of(is_so: bool) -> Self {
        if is_so { Self::Yes } else { Self::No }
    }
}

struct Row {
    what: String,
    value: String,
    goal: String,
    reached: Reached,
    baseline: String,
}

/// The rows so far.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Adds a figure that has a goal, or a baseline, or both; empty texts for what there is not.
    pub(crate) fn add(&mut self, what: &str, value: &str, goal: &str, reached: Reached, baseline: &str) {
        let row = Row {
            what: what.to_owned(),
            value: value.to_owned(),
            goal: goal.to_owned(),
            reached,
            baseline: baseline.to_owned(),
        };
        let word = match reached {
            Reached::Yes => "  (goal met)",
            Reached::No => "  (GOAL MISSED)",
            Reached::Open => "",
        };
        eprintln!("   {what}: {value}{word}");
        self.rows.push(row);
    }

    /// Adds a figure that is only told.
    pub(crate) fn tell(&mut self, what: &str, value: &str, baseline: &str) {
        self.add(what, value, "", Reached::Open, baseline);
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from("| what | rampwatch | goal | met | baseline, same run |\n|---|---|---|---|---|\n");
        for Row { what, value, goal, reached, baseline } in &self.rows {
            let met = match reached {
                Reached::Yes => "yes",
                Reached::No => "**no**",
                Reached::Open => "",
            };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "| {what} | {value} | {goal} | {met} | {baseline} |");
        }
        text
    }
}

/// The machine and the versions, in one paragraph.
pub(crate) fn machine(program: &Path) -> Result<String> {
    let cpu_info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu_info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("an unnamed processor");
    let model = model.trim_start_matches([' ', '\t', ':']);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let version = said(program, "--version")?;
    let compiler = said(Path::new("rustc"), "--version").unwrap_or_else(|_| "an unknown rustc".to_owned());
    Ok(format!("{version}, {compiler}; {cores} cores of {model}, Linux {}\n", kernel.trim()))
}

fn said(program: &Path, argument: &str) -> Result<String> {
    let output = Command::new(program).arg(argument).output().with_context(|| program.display().to_string())?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}
