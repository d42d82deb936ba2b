//! The hot wallet over a real anvil, a real store and the stand-in payment API: whatever happens, each payment gets its
//! money at most once, and every order ends as designed.

pub(crate) mod bench;
mod deaths;
mod plain;
pub(crate) mod proxy;
mod secrets;
