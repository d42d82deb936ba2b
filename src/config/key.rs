//! Secrets that the configuration names: the payment API's key, and what opens the wallet. Each is in an environment
//! variable, or in a file that only its owner can reach.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use super::private::{self, MAX_SECRET_BYTES};
use super::{ApiSettings, ConfigError, Settings, WalletKey, WalletSettings};

/// What the payment API's development keys start with.
const DEVELOPMENT_KEY: &str = "sk_dev_";

/// Where a secret comes from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// An environment variable.
    Variable {
        /// Its name.
        name: String,
        /// What it held when the settings were loaded.
        value: Option<SecretString>,
    },
    /// A file.
    File(PathBuf),
}

impl ApiSettings {
    /// The API key. A line end after it is left away.
    ///
    /// # Errors
    /// The variable is not set; the file cannot be read, is no file, can be read or written by others than its owner;
    /// or what is there cannot be a key (empty, too long, or with blanks or unprintable characters in it).
    pub fn key(&self) -> Result<SecretString, ConfigError> {
        match &self.key_source {
            KeySource::Variable { name, value } => {
                let whence = format!("the environment variable {name} (api.key_env)");
                let value = value.as_ref().ok_or_else(|| {
                    ConfigError::Key(format!("{whence} is not set: set it, or name a file with api.key_file"))
                })?;
                checked_key(value.expose_secret(), &whence)
            }
            KeySource::File(path) => {
                let whence = format!("the file {:?} (api.key_file)", path.display().to_string());
                let text = private::read(path, &whence).map_err(ConfigError::Key)?;
                checked_key(text.expose_secret(), &whence)
            }
        }
    }
}

impl WalletSettings {
    /// What gives the key: the keystore's password, or the raw key. A line end after it is left away.
    ///
    /// # Errors
    /// The variable is not set ([`ConfigError::NoPassword`] for a keystore's); the file cannot be read, is no file, can
    /// be read or written by others than its owner; or what is there is empty, too long, or more than one line.
    pub fn secret(&self) -> Result<SecretString, ConfigError> {
        let variable = |name: &str, key: &str| format!("the environment variable {name} ({key})");
        match &self.key {
            WalletKey::Keystore { password: KeySource::File(path), .. } => {
                secret_file(path, &format!("the file {:?} (wallet.password_file)", path.display().to_string()))
            }
            WalletKey::Keystore { password: KeySource::Variable { name, value }, .. } => match value {
                Some(value) => secret_line(value, &variable(name, "wallet.password_env")),
                None => Err(ConfigError::NoPassword(name.clone())),
            },
            WalletKey::Raw { variable: name, key } => {
                let whence = variable(name, "wallet.key_env");
                let unset = || ConfigError::Secret(format!("{whence} is not set"));
                secret_line(key.as_ref().ok_or_else(unset)?, &whence)
            }
        }
    }
}

impl Settings {
    /// Refuses a development key of the payment API together with a wallet on a live chain, unless the configuration
    /// allows it by name (design decision 13): a rehearsal must not send real money.
    ///
    /// # Errors
    /// That it is so, or that there is no key.
    pub fn refuse_mixed_rehearsal(&self) -> Result<(), ConfigError> {
        let Some(wallet) = &self.wallet else { return Ok(()) };
        if !self.chain.live || wallet.allow_development_api_key_on_live_chain {
            return Ok(());
        }
        if self.api.key()?.expose_secret().starts_with(DEVELOPMENT_KEY) {
            return Err(ConfigError::MixedRehearsal { chain_id: self.chain.id });
        }
        Ok(())
    }
}

/// Reads a secret of one line, such as a password, from a file that only its owner can reach. A line end after it is
/// left away. `whence` names the file in errors, which hold nothing of what is in it.
///
/// # Errors
/// As [`WalletSettings::secret`].
pub fn secret_file(path: &Path, whence: &str) -> Result<SecretString, ConfigError> {
    secret_line(&private::read(path, whence).map_err(ConfigError::Secret)?, whence)
}

fn checked_key(text: &str, whence: &str) -> Result<SecretString, ConfigError> {
    let key = text.trim_end_matches(['\r', '\n']);
    let why = if key.is_empty() {
        "is empty"
    } else if key.len() > MAX_SECRET_BYTES {
        "is too long for a key"
    } else if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        "holds blanks or unprintable characters, which no key has"
    } else {
        return Ok(SecretString::from(key));
    };
    Err(ConfigError::Key(format!("{whence} {why}: put the key there and nothing else")))
}

/// A secret of one line, such as a password. A line end after it is left away; blanks in it count. `whence` says in
/// errors where it came from.
///
/// # Errors
/// It is empty, too long, or more than one line.
pub fn secret_line(text: &SecretString, whence: &str) -> Result<SecretString, ConfigError> {
    let line = text.expose_secret().trim_end_matches(['\r', '\n']);
    let why = if line.is_empty() {
        "is empty"
    } else if line.len() > MAX_SECRET_BYTES {
        "is too long"
    } else if line.contains(['\r', '\n']) {
        "has more than one line"
    } else {
        return Ok(SecretString::from(line));
    };
    Err(ConfigError::Secret(format!("{whence} {why}: put the secret there and nothing else")))
}
