//! The `rampwatch` program.

fn main() {}
