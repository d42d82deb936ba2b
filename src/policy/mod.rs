//! Decisions, as plain functions of what is known: (state, event, now) in, a new state out.
//!
//! Deliberately absent: clocks, networks, chance, logging. Whoever calls brings the moment and the facts.

pub mod above_head;
pub mod address;
pub mod address_pattern;
pub mod api_answer;
pub mod approval;
pub mod balances;
pub mod broadcast;
pub mod doctor;
pub mod ending;
pub mod evidence;
pub mod fees;
pub mod finality;
pub mod intake;
pub mod last_look;
pub mod log_filter;
pub mod matching;
pub mod nonces;
pub mod notices;
pub mod numbering;
pub mod order_decisions;
pub mod order_machine;
pub mod payment_machine;
pub mod payout_machine;
pub mod preflight;
pub mod progress;
pub mod quotes;
pub mod reconcile;
pub mod repeats;
pub mod requests;
pub mod resolve;
pub mod retry;
pub mod returns;
pub mod rules;
pub mod schedule;
pub mod shadow;
pub mod spend;
pub mod strays;
pub mod sweep;
pub mod watch_index;
pub mod webhooks;
pub mod window;
pub mod wrong_clock;
