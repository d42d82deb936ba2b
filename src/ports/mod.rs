//! Ports: what the engine needs of the world, as traits. Each has one error enum, whose variants say what the
//! caller must do.
//!
//! Deliberately absent: any implementation. Adapters implement these; tests have fakes of their own.

#![warn(missing_docs)]

pub mod attachments;
pub mod chain;
pub mod clock;
pub mod notifier;
pub mod off_ramp_api;
pub mod payment_api;
pub mod sender;
pub mod signer;
pub mod store;
