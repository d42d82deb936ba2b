//! The whole engine in this process, over a real anvil, a real store and the fake payment API: what people and the
//! chain can do to a deposit, and for each exactly the right completions, each once, the rest kept with a reason.
//!
//! Blocks are mined by hand, so that each test owns its chain's story.

mod beyond;
mod counting;
mod crashes;
mod deaf;
mod downtime;
mod endpoints;
pub(crate) mod fuse;
mod people;
mod pipe;
mod plain;
mod proxy;
mod reorgs;
mod request;
mod sender;
mod stages;
mod times;
mod together;
pub(crate) mod world;
