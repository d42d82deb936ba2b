//! rampwatch watches a chain for USDC deposits and completes the off-ramp payments that they fund.

pub mod adapters;
pub mod cli;
pub mod config;
pub mod domain;
pub mod engine;
pub mod http;
pub mod policy;
pub mod ports;
pub mod sandbox;
pub mod telemetry;
pub mod wire;
