//! Random kills.

use std::path::PathBuf;

use crate::report::Report;

#[path = "../../crash_test/run/chance.rs"]
mod chance;

/// What is to be done.
pub(crate) struct Plan {
    pub(crate) program: PathBuf,
    pub(crate) kills: u32,
    pub(crate) seed: u64,
}

impl Plan {
    pub(crate) fn new(program: PathBuf) -> Self {
        Self { program, kills: 100, seed: chance::fresh_seed() }
    }
}

pub(crate) async fn run(_plan: &Plan, _report: &mut Report) -> Result<(), String> {
    Ok(())
}
