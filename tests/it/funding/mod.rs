//! The hot wallet over a real anvil, a real store and the stand-in payment API: whatever happens, each payment gets its
//! money at most once, and every order ends as designed.

mod auto;
mod bench;
mod people;
mod plain;
mod preflight;
mod reorgs;
mod returns;
mod short;
mod tools;
mod withdrawn;
