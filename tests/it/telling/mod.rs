//! Telling people: what is told, once, to whom, whatever dies or fails meanwhile.

mod conditions;
mod deaths;
mod holds;
mod http;
mod outbox;
mod program;
pub(crate) mod rig;
