//! All integration tests, in one binary.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy excuses only functions marked as tests; a helper that panics fails its test, and names the line"
)]

mod anvil;
mod cli;
mod closed_loop;
mod config;
mod crash;
#[cfg(test)]
#[path = "../crash_test/run/mod.rs"]
mod crash_run;
mod docs;
mod evm;
mod funding;
mod http;
mod inlet;
mod intake;
mod layers;
mod ledger;
mod node_self;
mod ops;
mod outbound;
mod payment_http;
mod payout_commands;
mod payouts;
mod policy;
mod reference;
mod sandbox;
mod signer;
mod simulation;
mod store;
mod support;
mod telling;
mod tutorial;
