//! `rampwatch demo`.

use super::exit::{Exit, Failure};
use crate::sandbox::demo::{self, DemoOptions};

/// Plays the demo and tells it on stdout.
pub(super) async fn run() -> Result<(), Failure> {
    let told = demo::run(&DemoOptions::default(), &mut std::io::stdout()).await;
    told.map_err(|error| Failure::new(Exit::Failed, error.to_string()))
}
