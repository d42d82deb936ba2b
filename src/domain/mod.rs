//! Entities and value objects: what the rest of the house talks about.
//!
//! Deliberately absent: anything that acts. Nothing here reads a clock, waits, logs or talks to a network.

pub mod actor;
pub mod address_pattern;
pub mod amount;
pub mod api_field;
pub mod candidate;
pub mod chain;
pub mod checkup;
pub mod coverage;
pub mod decimal;
pub mod deposit;
pub mod dispute;
pub mod event;
mod event_subject;
pub mod hold;
pub mod notice;
pub mod odd;
pub mod operator;
pub mod order;
pub mod payment;
pub mod payout;
pub mod plausibility;
pub mod private;
pub mod quote;
pub mod record;
pub mod shadow;
pub mod stall;
pub mod testimony;
pub mod text;
pub mod time;
pub mod wallet;
pub mod webhook;
pub mod wei;
