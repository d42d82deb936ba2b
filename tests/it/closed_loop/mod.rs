//! The engine over scripted nodes: the real chain adapter, the store of the tests, and an API in the process or the
//! fake API over HTTP.

mod agreement;
pub(crate) mod api;
mod api_faults;
mod api_rig;
mod budget;
mod endpoints;
mod ends;
mod finality;
mod heads;
mod intake;
mod laws;
mod limits;
mod listing;
mod logs;
mod odd_answers;
mod recorded;
mod reorgs;
pub(crate) mod rig;
mod shadow;
mod stages;
mod stories;
mod strays;
mod troubles;
mod websocket;
