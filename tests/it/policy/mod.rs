//! The functional core, case by case: matching, settlement, the book of an address, a person's decisions, the sweep,
//! and the hot wallet: spend, fees, preflight, the order's machine, nonces.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows panics, as it should")]

mod acts;
mod address;
mod api_answer;
mod approval;
mod books;
mod doctor;
mod ending;
mod evidence;
mod fees;
mod funding;
mod intake;
mod judging;
mod matching;
mod nonces;
mod notices;
mod numbering;
mod orders;
mod payout;
mod preflight;
mod preflight_chain;
mod reconcile;
mod repeats;
mod resolve;
mod returns;
mod roll;
mod rules;
mod samples;
mod second_reading;
mod settlement;
mod shadow;
mod spend;
mod strays;
mod sweep;
mod walks;
mod window;
