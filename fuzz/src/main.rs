//! The fuzzer: one program for all targets of `rampwatch::fuzzing`. Which one is said by `RAMPWATCH_FUZZ_TARGET`. Built and
//! run by `make fuzz`, with the flags in `.ci/fuzz`; it needs no nightly compiler.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<fn(&[u8]) -> Vec<String>> = OnceLock::new();

/// The target that is named, or an end with the names of all.
fn chosen() -> fn(&[u8]) -> Vec<String> {
    let name = std::env::var("RAMPWATCH_FUZZ_TARGET").unwrap_or_default();
    let found = rampwatch::fuzzing::TARGETS.into_iter().find(|(target, _)| *target == name);
    let names = || rampwatch::fuzzing::TARGETS.map(|(target, _)| target).join(" ");
    found.unwrap_or_else(|| panic!("RAMPWATCH_FUZZ_TARGET must be one of: {}", names())).1
}

fuzz_target!(|data: &[u8]| rampwatch::fuzzing::run(*TARGET.get_or_init(chosen), data));
