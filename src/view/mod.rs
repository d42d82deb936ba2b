//! What people and programs are shown: one form for the operator API, `--json`, tables and notices, and the sentences in them.
//!
//! Amounts come in base units, as text, and in whole units where the token's decimals are known; moments as RFC 3339 in UTC. This
//! is the only room with prose for people. Deliberately absent: secrets, anything that is kept for the engine alone (versions,
//! counters), and whatever asks or waits: views are made of records that somebody else has read.

pub mod candidate;
pub(crate) mod candidate_text;
pub(crate) mod common;
pub(crate) mod deposit;
pub mod dispute;
pub(crate) mod event;
pub(crate) mod explain;
pub(crate) mod explain_alarms;
pub(crate) mod explain_orders;
pub(crate) mod export_rows;
pub mod notice;
pub mod order;
pub(crate) mod payment;
pub mod payout;
pub(crate) mod payout_review;
pub(crate) mod payout_text;
pub mod quote;
pub mod receipt;
pub mod reconcile;
pub(crate) mod remedies;
pub mod returns;
pub(crate) mod reviews;
pub(crate) mod runbook;
pub mod shapes;
pub mod webhook;

pub use common::{AmountView, Page, ResolvedView, ReviewView, TokenName, WayOut, WhyView, moment};
pub use deposit::{CountedView, DepositView, StandingView};
pub use event::EventView;
pub use payment::{ApiWordView, PaymentView, StateView};
