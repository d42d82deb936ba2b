//! Intake: an engine over a payment API in the process that lists what others have opened.

pub(crate) mod bench;
mod deaths;
mod leads;
mod lists;
mod shop;
