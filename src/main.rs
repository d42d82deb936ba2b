//! The `rampwatch` program. Everything is in the library; see `cli` for the commands and the exit codes.

use std::process::ExitCode;

/// The system's allocator keeps what a flood of logs has taken for a moment; this one gives it back.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[cfg(not(feature = "planted-bugs"))]
fn main() -> ExitCode {
    rampwatch::cli::main()
}

/// The bugs are there for the simulation only, which has no use for the program.
#[cfg(feature = "planted-bugs")]
fn main() -> ExitCode {
    eprintln!(
        "rampwatch: this program was built with the feature planted-bugs, for the simulation only; it does nothing"
    );
    ExitCode::FAILURE
}
