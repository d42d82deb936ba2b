//! The hot wallet over a real anvil, a real store and the fake payment API: whatever happens, each payment gets its
//! money at most once, and every order ends as designed.

mod auto;
pub(crate) mod bench;
mod books;
mod crowd;
mod deaths;
mod fees;
mod held;
mod mempool;
mod outside;
mod people;
mod plain;
mod preflight;
pub(crate) mod proxy;
mod reorgs;
mod returns;
mod reverts;
mod secrets;
mod shadow;
mod short;
pub(crate) mod stores;
mod tools;
mod unreadable;
mod withdrawn;
