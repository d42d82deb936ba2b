//! rampwatch watches a chain for USDC deposits and completes the off-ramp payments that they fund.
//!
//! # The bird's-eye view
//!
//! A payment is opened at a payment API, which answers with a deposit address and an amount. Somebody sends USDC.
//! rampwatch sees the `Transfer` log, matches it, waits until its block is final, and calls `/complete` with the
//! transaction's hash. Until the API says how it ended, it asks.
//!
//! ```text
//!  cli  http  sandbox          driving: people and programs ask
//!    \   |                     daemon puts everything together, config reads what is set
//!   service -- view            what operators may ask and decide | what is shown, and every sentence for people
//!      |        |
//!     engine    |              workers: watcher, completer, reconciler, funder, opener, intake, notifier, clock watch
//!    /   |   \  |              they meet at the store only
//!  policy  ports               decisions, as plain functions | what the engine needs of the world
//!    \   |   /    \
//!     domain      adapters     words and records | evm, sled, payment_http, signer, system
//! ```
//!
//! Arrows go down only; a test (`tests/it/layers.rs`) fails when an import breaks that.
//!
//! # The invariants
//!
//! 1. **The state is the queue.** What is to be done next is read from the store, never from memory; a crash loses
//!    nothing but time.
//! 2. **Coverage has no holes.** For each watched address all blocks from its payment's creation on are read, the
//!    final ones at least twice, and coverage rises in the commit that stores what was found.
//! 3. **No completion but with a final, matching deposit** whose block still stands, after a fresh GET that says that
//!    the payment waits for funds, and after "calling" is on the disk.
//! 4. **No second call while the first may still take effect.** After an unclear answer, twice the API's time-out
//!    passes before the API is asked, and only its answer allows another call.
//! 5. **No deposit pays two payments, and no payment takes two deposits.** What does not fit exactly one way is a
//!    named review.
//! 6. **No nonce but with its signed bytes.** The commit that takes a nonce stores the transaction that consumes it; all further
//!    attempts of the order bear that nonce, and the order takes another only when a receipt at it is final. So at most one transfer
//!    of a payment is ever mined.
//! 7. **Checked just before signing and before every broadcast.** Whatever has changed since holds the transfer back, or,
//!    once it is signed, replaces it by a self-send.
//! 8. **Every change is explained** by the events of its own commit.

pub mod adapters;
pub mod cli;
pub mod client;
pub mod config;
pub mod daemon;
pub mod domain;
pub mod engine;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod http;
pub mod outbound;
pub mod planted;
pub mod policy;
pub mod ports;
pub mod private;
pub mod sandbox;
pub mod service;
pub mod telemetry;
pub mod view;
