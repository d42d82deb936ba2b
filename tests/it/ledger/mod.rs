//! The ledger for the books: the export, the receipt of a payment, and what a reconciliation finds.

mod export;
mod receipt;
pub(crate) mod story;
