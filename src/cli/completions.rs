//! `rampwatch completions`: what a shell needs to complete rampwatch's commands and flags.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::exit::Failure;
use super::output;

const WHERE_TO: &str = "\
Where it goes:
  bash  rampwatch completions bash > /etc/bash_completion.d/rampwatch
  zsh   rampwatch completions zsh > /usr/local/share/zsh/site-functions/_rampwatch
  fish  rampwatch completions fish > ~/.config/fish/completions/rampwatch.fish";

/// Print what a shell needs to complete commands and flags
#[derive(Debug, Args)]
#[command(after_help = WHERE_TO)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// Needs no configuration.
    pub(super) fn run(&self) -> Result<(), Failure> {
        let mut command = super::Cli::command();
        let mut script = Vec::new();
        generate(self.shell, &mut command, "rampwatch", &mut script);
        output::print(&String::from_utf8_lossy(&script))
    }
}
