//! Intake: an engine over a payment API in the process that lists what others have opened.

pub(crate) mod bench;
mod candidates;
mod deaths;
mod lists;
mod shop;
