//! `rampwatch payout`.

mod batch;
mod draft;
mod files;
mod qr;
