//! `rampwatch config check`.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::exit::Failure;
use super::output;
use crate::config::Settings;
use crate::wire;

/// Look at the configuration
#[derive(Debug, Args)]
pub(super) struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check the configuration, the API key, and what the nodes say of chain and tokens; start and change nothing
    Check {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// What `--json` prints when everything is right.
#[derive(Debug, Serialize)]
struct Checked<'a> {
    file: String,
    checked: &'a [String],
}

impl Config {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let Command::Check { json } = self.command;
        let checked = wire::check(settings).await.map_err(|error| Failure::of_wiring(&error))?;
        let file = settings.file.display().to_string();
        if json {
            return output::print_json(&Checked { file, checked: &checked });
        }
        let lines: String = checked.iter().map(|line| format!("ok: {line}\n")).collect();
        output::print(&format!("{file} reads well\n{lines}"))
    }
}
