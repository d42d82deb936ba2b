//! The webhook inlet: what is refused and counted, and that no state moves on a body's word.

mod floods;
mod forged;
mod genuine;
mod rig;
mod slow;
