//! The whole engine in one process on virtual time, against a chain, an API and a store that fail in every way they
//! can, and with a process that dies before and after any call.
//!
//! One number determines everything. `make simulate SEEDS=n` runs many seeds (`runner`, `totals`, `hits`), and a handful
//! are run by `cargo test` (`seeds`). A seed that fails prints what happened, and how to run it alone.
//!
//! The world outlives the process: `chain` (the true chain), `api_server`, `people` and what they mean to do (`plan`),
//! the faults of the day (`weather`, `odd_nodes`); `long_due` and `late_logs` are worlds drawn for one danger each. The process sees
//! it through `fake_chain` with `hints` over the `endpoints`, `fake_api` and `crash_store`, each of which passes the
//! `fuse` that ends a life. `run` keeps it alive, `operator` works with it, `webhooks` come in, `intake`
//! follows the API's lists, `squatters` stand where it listens, and a `watchman` asks whether it is ready. `checks`, `counted`,
//! `verdicts` and `words` look at every commit and call, `end_checks` at what is left. `wallet` is the hot wallet with
//! all that belongs to it; most worlds have one. Deliberately absent: a second opinion from the policy; the checks know
//! only the true chain, the API's server, and rules of their own.
#![cfg(test)]
#![allow(clippy::arithmetic_side_effects, reason = "an overflow panics in a test, which is what it should do")]

mod api_server;
mod chain;
mod checks;
mod clock;
mod counted;
mod crash_store;
mod end_checks;
mod endpoints;
mod fake_api;
mod fake_chain;
mod fuse;
mod hints;
mod hits;
mod intake;
mod late_logs;
mod lies;
pub(crate) mod log;
mod long_due;
mod named;
mod odd;
mod odd_nodes;
pub(crate) mod only;
mod operator;
mod people;
mod plan;
mod process;
mod retold;
mod rng;
mod run;
pub(crate) mod runner;
#[allow(dead_code, unused_imports, reason = "without a harness, as in `make simulate`, its tests are left out")]
mod seeds;
#[allow(dead_code, unused_imports, reason = "without a harness, as in `make simulate`, its tests are left out")]
mod selftest;
mod settings;
pub(crate) mod shrink;
mod squatters;
mod strays;
pub(crate) mod totals;
mod verdicts;
mod wallet;
mod watchman;
mod weather;
mod webhooks;
mod words;
mod world;
