//! `rampwatch wallet import`.

use std::path::PathBuf;

use clap::Args;

use super::super::exit::Failure;
use super::Place;
use super::secrets::{KeyFrom, PasswordFrom};
use crate::daemon;

/// Write a keystore of a key that you have
///
/// Prints the address. The key (64 hexadecimal digits) and the password are asked for on the terminal, unless a file or
/// a variable gives them; never give them as an argument. Remove the file of the key afterwards. What is there is never
/// overwritten. Keystores of geth and Foundry need no import: name them with wallet.keystore.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// The file to write [default: wallet.keystore of the configuration]
    #[arg(long, value_name = "FILE")]
    keystore: Option<PathBuf>,
    #[command(flatten)]
    key: KeyFrom,
    #[command(flatten)]
    password: PasswordFrom,
}

impl Import {
    pub(super) async fn run(self, config: Option<PathBuf>) -> Result<(), Failure> {
        let place = Place::find(self.keystore, config)?;
        let (key, whence) = self.key.get().await?;
        let password = self.password.get().await?;
        let made = daemon::import_keystore(place.file.clone(), key, whence, password).await;
        place.tell(made.map_err(|error| super::refused(&error))?)
    }
}
