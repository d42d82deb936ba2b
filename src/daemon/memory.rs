//! Keeps what is in memory, keys among it, from others: no core dumps, and not dumpable, so that no other process of the same
//! user can attach, or read memory and environment in `/proc`.
//!
//! Deliberately absent: keeping memory out of swap, which is the service's or the machine's business.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Closes the process's memory to others.
///
/// # Errors
/// The system's reason; what could be closed is.
pub fn close_memory() -> io::Result<()> {
    let dumpable = not_dumpable();
    // A limit that is there already is not set again: a service's filter of system calls may forbid that.
    if !no_core() {
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    }
    dumpable
}

#[cfg(target_os = "linux")]
fn not_dumpable() -> io::Result<()> {
    Ok(rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?)
}

#[cfg(not(target_os = "linux"))]
fn not_dumpable() -> io::Result<()> {
    Ok(())
}

fn no_core() -> bool {
    getrlimit(Resource::Core).current == Some(0)
}

/// What is open of the process's memory, in words; `None` when nothing is.
pub(super) fn memory_is_open() -> Option<&'static str> {
    if !no_core() {
        return Some("core dumps are on");
    }
    #[cfg(target_os = "linux")]
    if rustix::process::dumpable_behavior().ok() != Some(rustix::process::DumpableBehavior::NotDumpable) {
        return Some("other processes of the same user can read it");
    }
    None
}
