//! The `rampwatch` program. Everything is in the library; see `cli` for the commands and the exit codes.

use std::process::ExitCode;

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
