//! `rampwatch wallet address`.

use clap::Args;
use serde::Serialize;

use super::super::exit::{Exit, Failure};
use super::super::output;
use crate::config::Settings;
use crate::wire;

/// Print the address of the configured wallet
///
/// The keystore is opened with the configured password, so this also tells whether it opens. When the variable with the
/// password is not set, the address is what the keystore says, which proves nothing.
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
        if settings.wallet.is_none() {
            return Err(Failure::new(Exit::Configuration, NO_WALLET));
        }
        let found = wire::wallet_address(settings).await.map_err(|error| Failure::of_wiring(&error))?;
        let found = found.ok_or_else(unknown)?;
        let address = found.address.to_string();
        if self.json {
            return output::print_json(&Answer { address, proven: found.proven });
        }
        output::print(&format!("{address}\n"))?;
        if !found.proven {
            output::remark("this is what the keystore says; its password is not at hand, so nothing proves it");
        }
        Ok(())
    }
}

/// When neither the keystore nor its password tells the address.
pub(super) fn unknown() -> Failure {
    let said = "the keystore does not say its address, and its password is not at hand: set the variable with the password \
                (wallet.password_env), or name a file with wallet.password_file";
    Failure::new(Exit::Configuration, said)
}

/// What is said where a wallet is needed and there is none.
pub(super) const NO_WALLET: &str =
    "no wallet is configured: `rampwatch wallet new` makes a keystore; name it with wallet.keystore";
