//! The ledger for the books: the export, the receipt of a payment, and what a reconciliation finds.

mod export;
pub(crate) mod planted;
mod receipt;
pub(crate) mod story;
