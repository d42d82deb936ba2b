//! The engine over a scripted node: the real chain adapter, the store of the tests, and an API in the process.

mod api;
mod budget;
mod rig;
mod stories;
mod troubles;
