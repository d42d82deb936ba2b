//! Batches: a file with many payouts.

mod parse;
mod result;
