//! The functional core, case by case: matching, settlement, the book of an address, a person's decisions, the sweep.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows panics, as it should")]

mod address;
mod books;
mod judging;
mod matching;
mod resolve;
mod returns;
mod samples;
mod settlement;
mod sweep;
