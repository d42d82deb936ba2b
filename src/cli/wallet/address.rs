//! `rampwatch wallet address`.

use clap::Args;
use serde::Serialize;

use super::super::exit::Failure;
use super::super::output;
use crate::config::Settings;

/// Print the address of the configured wallet
///
/// The keystore is opened with the configured password, so this also tells whether it opens. When the variable with the
/// password is not set, the address is what the keystore or wallet.address says, which proves nothing.
#[derive(Debug, Args)]
pub(super) struct Address {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Answer {
    address: String,
    /// Whether the keystore was opened.
    proven: bool,
}

impl Address {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let found = super::configured(settings).await?;
        let address = found.address.to_string();
        if self.json {
            return output::print_json(&Answer { address, proven: found.proven });
        }
        output::print(&format!("{address}\n"))?;
        if !found.proven {
            output::remark(super::UNPROVEN);
        }
        Ok(())
    }
}
