//! `rampwatch payout`, `create` and `payouts`: the real binary, on a chain and a payment API of its own.

mod batch;
mod bench;
mod deaths;
mod one;
mod repeats;
mod sheets;
