//! The `rampwatch` program. Everything is in the library; see `cli` for the commands and the exit codes.

use std::process::ExitCode;

fn main() -> ExitCode {
    rampwatch::cli::main()
}
