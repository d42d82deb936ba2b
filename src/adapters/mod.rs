//! Driven adapters: each implements one port, and knows nothing of the others.

pub mod attachments;
pub mod evm;
pub mod notify_http;
pub mod payment_http;
pub mod shadow;
pub mod signer;
pub mod sled;
pub mod system;
