//! `make simulate SEEDS=100000`: many seeds of the simulation that `cargo test` runs a handful of, built as the released
//! program is. What is simulated, and what the last line means, is in `simulation`.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a simulation that cannot go on may end with a panic that names the line"
)]

mod command;
#[cfg(test)]
#[path = "../it/simulation/mod.rs"]
mod simulation;
mod support;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run(std::env::args().skip(1))
}
