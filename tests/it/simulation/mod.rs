//! The whole engine in one process on virtual time, against a chain, an API and a store that fail in every way they
//! can, and with a process that dies before and after any call.
//!
//! One number determines everything. A seed that fails prints what happened; run it alone with
//! `RAMPWATCH_SIM_SEED=n cargo test --test it simulation -- --nocapture`, or more of them with
//! `RAMPWATCH_SIM_SEEDS=count`.
#![cfg(test)]
#![allow(clippy::arithmetic_side_effects, reason = "an overflow panics in a test, which is what it should do")]

mod api_server;
mod chain;
mod checks;
mod clock;
mod crash_store;
mod end_checks;
mod fake_api;
mod fake_chain;
mod fuse;
mod hints;
mod log;
mod operator;
mod people;
mod plan;
mod process;
mod rng;
mod run;
mod seeds;
mod selftest;
mod settings;
mod verdicts;
mod weather;
mod world;
