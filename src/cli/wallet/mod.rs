//! `rampwatch wallet`: the hot wallet's key, what it has, and whether it sends.
//!
//! What is about the key or the balance needs no daemon, and no API key. Deliberately absent: a key or a password as an argument, which every
//! process of the machine could read, and a way to print a key.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::exit::{Exit, Failure};
use super::{output, quiet, settings, start_logging};
use crate::config::{LogFormat, Settings, WalletKey};
use crate::daemon::{self, KeystoreError, WalletAddress};
use crate::domain::chain::Address;

mod address;
mod balance;
mod import;
mod new;
mod prompt;
mod returns;
mod secrets;
mod words;

/// The hot wallet: its key, its balance, stopping it and letting it go on
#[derive(Debug, Args)]
pub(super) struct Wallet {
    #[command(subcommand)]
    command: Command,
}

// Without comments on the variants, clap shows those of the commands themselves.
#[derive(Debug, Subcommand)]
enum Command {
    New(new::New),
    Import(import::Import),
    Address(address::Address),
    Balance(balance::Balance),
    Status(words::Status),
    Pause(words::Pause),
    Resume(words::Resume),
    Adopt(words::Adopt),
    Returns(returns::Returns),
}

impl Wallet {
    pub(super) async fn run(self, file: Option<PathBuf>) -> Result<(), Failure> {
        match self.command {
            Command::New(command) => command.run(file).await,
            Command::Import(command) => command.run(file).await,
            Command::Address(command) => command.run(&quiet(file)?).await,
            Command::Balance(command) => {
                let settings = settings(file)?;
                // What goes wrong is the command's own answer; warnings would only say it a second time.
                start_logging("error", settings.log.format)?;
                command.run(&settings).await
            }
            Command::Status(command) => command.run(&quiet(file)?).await,
            Command::Pause(command) => command.run(&quiet(file)?).await,
            Command::Resume(command) => command.run(&quiet(file)?).await,
            Command::Adopt(command) => command.run(&quiet(file)?).await,
            Command::Returns(command) => command.run(&quiet(file)?).await,
        }
    }
}

/// Where a keystore is to be written, and whether the configuration names it already.
struct Place {
    file: PathBuf,
    configured: bool,
}

impl Place {
    /// The file that is given, or else the configured one. Only then is there need for a configuration. Nothing may be
    /// there: better to say so before a password is asked for.
    fn find(given: Option<PathBuf>, config: Option<PathBuf>) -> Result<Self, Failure> {
        let place = match given {
            Some(file) => {
                start_logging("warn", LogFormat::Text)?;
                Self { file, configured: false }
            }
            None => match quiet(config)?.wallet.map(|wallet| wallet.key) {
                Some(WalletKey::Keystore { file, .. }) => Self { file, configured: true },
                Some(WalletKey::Raw { .. }) | None => {
                    let said = "no keystore is configured (wallet.keystore): name the file with --keystore";
                    return Err(Failure::new(Exit::Usage, said));
                }
            },
        };
        if place.file.symlink_metadata().is_ok() {
            return Err(refused(&KeystoreError::Exists(place.file)));
        }
        Ok(place)
    }

    /// Prints the address, and what is to be done next.
    fn tell(&self, address: Address) -> Result<(), Failure> {
        output::print(&format!("{address}\n"))?;
        let file = self.file.display();
        output::remark(&format!(
            "the keystore is {file} (mode 0600), and opens with the password\n\
             keep a copy of the file and one of the password elsewhere, apart: whoever loses either loses the money"
        ));
        if !self.configured {
            output::remark(&format!("next: [wallet] keystore = {:?} in the configuration", file.to_string()));
        }
        output::remark(
            "next: give its password by wallet.password_file (mode 0600) or a variable (wallet.password_env), check it \
             with `rampwatch wallet address`, and send the address USDC and POL for gas",
        );
        Ok(())
    }
}

/// From what making a keystore said.
fn refused(error: &KeystoreError) -> Failure {
    let exit = match error {
        KeystoreError::Exists(_) => Exit::Refused,
        KeystoreError::EmptyPassword | KeystoreError::Key { .. } => Exit::Usage,
        KeystoreError::Missing(_)
        | KeystoreError::Open { .. }
        | KeystoreError::Unusable { .. }
        | KeystoreError::OtherWallet { .. } => Exit::Configuration,
        KeystoreError::Refused { .. } | KeystoreError::System(_) => Exit::Failed,
    };
    Failure::new(exit, error.to_string())
}

/// What is said when an address is not proven.
const UNPROVEN: &str =
    "the address is what keystore or configuration say; the password is not at hand, so nothing proves it";

async fn configured(settings: &Settings) -> Result<WalletAddress, Failure> {
    if settings.wallet.is_none() {
        let said = "no wallet is configured: `rampwatch wallet new` makes a keystore; name it with wallet.keystore";
        return Err(Failure::new(Exit::Configuration, said));
    }
    let found = daemon::wallet_address(settings).await.map_err(|error| Failure::of_wiring(&error))?;
    found.ok_or_else(|| {
        let said = "the keystore does not say its address, and its password is not at hand: set the variable with the \
                    password (wallet.password_env), or name a file with wallet.password_file";
        Failure::new(Exit::Configuration, said)
    })
}
