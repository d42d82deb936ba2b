//! Payouts: an engine over a payment API in the process that opens off-ramps, loses answers and refuses.

mod answers;
mod bench;
mod deaths;
mod files;
mod funding;
mod people;
mod repeats;
mod shop;
