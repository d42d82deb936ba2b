//! `rampwatch config check`.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::exit::Failure;
use super::output;
use crate::config::Settings;
use crate::daemon;

/// Look at the configuration
#[derive(Debug, Args)]
pub(super) struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check the configuration, the API key, the store's folder, each endpoint, and what the nodes say of chain and
    /// tokens; start and change nothing
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
    endpoints: Vec<Endpoint<'a>>,
}

/// How one URL of an endpoint did.
#[derive(Debug, Serialize)]
struct Endpoint<'a> {
    name: &'a str,
    /// `http` or `ws`.
    over: &'static str,
    ok: bool,
    /// Why it cannot be reached, without secrets.
    why: Option<&'a str>,
}

impl Config {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let Command::Check { json } = self.command;
        let checked = daemon::check(settings).await.map_err(|error| Failure::of_wiring(&error))?;
        Failure::unless_wallet_fits(settings, checked.wallet)?;
        let file = settings.file.display().to_string();
        if json {
            let endpoints = checked.sides.iter().map(|side| Endpoint {
                name: &side.endpoint,
                over: side.side,
                ok: side.problem.is_none(),
                why: side.problem.as_deref(),
            });
            return output::print_json(&Checked { file, checked: &checked.found, endpoints: endpoints.collect() });
        }
        let mut lines: String = checked.found.iter().map(|line| format!("ok: {line}\n")).collect();
        lines.extend(checked.sides.iter().map(|side| {
            let (name, over) = (output::plain(&side.endpoint), side.side);
            side.problem.as_ref().map_or_else(
                || format!("ok: endpoint {name} answers over {over}\n"),
                |why| format!("cannot be reached: endpoint {name} over {over}: {}\n", output::plain(why)),
            )
        }));
        output::print(&format!("{file} reads well\n{lines}"))
    }
}
