//! `rampwatch wallet new`.

use std::path::PathBuf;

use clap::Args;

use super::super::exit::Failure;
use super::Place;
use super::secrets::PasswordFrom;
use crate::daemon;

/// Make a new key and write its keystore
///
/// Prints the address. The password is asked for twice on the terminal, unless --password-file or --password-env gives
/// it. What is there is never overwritten.
#[derive(Debug, Args)]
pub(super) struct New {
    /// The file to write [default: wallet.keystore of the configuration]
    #[arg(long, value_name = "FILE")]
    keystore: Option<PathBuf>,
    #[command(flatten)]
    password: PasswordFrom,
}

impl New {
    pub(super) async fn run(self, config: Option<PathBuf>) -> Result<(), Failure> {
        let place = Place::find(self.keystore, config)?;
        let password = self.password.get().await?;
        let made = daemon::create_keystore(place.file.clone(), password).await;
        place.tell(made.map_err(|error| super::refused(&error))?)
    }
}
