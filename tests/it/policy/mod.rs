//! The functional core, case by case: matching, the state machines, the book of an address, a person's decisions, the sweep,
//! and the hot wallet: spend, fees, preflight, the order's machine, nonces.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows panics, as it should")]

mod address;
mod api_answer;
mod approval;
mod books;
mod doctor;
mod drawings;
mod ending;
mod evidence;
mod fees;
mod intake;
mod judging;
mod matching;
mod nonces;
mod notices;
mod numbering;
mod order_acts;
mod order_machine;
mod orders;
mod payment_machine;
mod payout;
mod payout_files;
mod preflight;
mod preflight_chain;
mod reconcile;
mod repeats;
mod resolve;
mod returns;
mod rules;
mod samples;
mod schedule;
mod second_reading;
mod shadow;
mod spend;
mod strays;
mod sweep;
mod walks;
mod watch_index;
mod window;
