//! All integration tests, in one binary.

mod anvil;
mod cli;
mod config;
mod evm;
mod http;
mod layers;
mod payment_http;
#[cfg(test)]
mod policy;
mod simulation;
mod store;
mod support;
