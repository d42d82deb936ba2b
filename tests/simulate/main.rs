//! `make simulate SEEDS=100000`: many seeds of the simulation that `cargo test` runs a handful of, built as the released
//! program is. What is simulated, and what the last line means, is in `simulation`. With the feature `planted-bugs` it is `make planted-bugs` instead (`planted`).

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a simulation that cannot go on may end with a panic that names the line"
)]

#[cfg(not(feature = "planted-bugs"))]
mod command;
#[cfg(feature = "planted-bugs")]
mod planted;
#[cfg(test)]
#[cfg_attr(feature = "planted-bugs", allow(dead_code, reason = "what only `make simulate` needs"))]
#[path = "../it/simulation/mod.rs"]
mod simulation;
mod support;

use std::process::ExitCode;

#[cfg(not(feature = "planted-bugs"))]
fn main() -> ExitCode {
    command::run(std::env::args().skip(1))
}

#[cfg(feature = "planted-bugs")]
fn main() -> ExitCode {
    planted::run(std::env::args().skip(1))
}
