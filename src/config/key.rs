//! Secrets that the configuration names: the payment API's key, and what opens the wallet. Each is in an environment
//! variable, or in a file that only its owner can reach.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::domain::private::{encoding_fault, wrapping_fault};
use crate::private::{self, Closed};

use super::parse::begins_as;
use super::{ApiSettings, ConfigError, Settings, WalletKey, WalletSettings};

/// The most bytes that a secret may have.
const MAX_SECRET_BYTES: usize = 4_096;

/// What the payment API's development keys start with.
const DEVELOPMENT_KEY: &str = "sk_dev_";

/// Where a secret comes from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// An environment variable.
    Variable {
        name: String,
        /// What it held when the settings were loaded.
        value: Option<SecretString>,
    },
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
                let text = read(path, &whence).map_err(ConfigError::Key)?;
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
                key_line(key.as_ref().ok_or_else(unset)?, &whence)
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
        // What is around a key is refused before; this guard does not rest on that.
        if begins_as(self.api.key()?.expose_secret(), DEVELOPMENT_KEY) {
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
    secret_line(&read(path, whence).map_err(ConfigError::Secret)?, whence)
}

/// Reads a file. `whence` names it in errors, which hold nothing of what is in it.
fn read(path: &Path, whence: &str) -> Result<SecretString, String> {
    let fail = |error: std::io::Error| format!("{whence} cannot be read: {error}");
    let (file, _) = private::open(path).map_err(|closed| match closed {
        Closed::NoFile => format!("{whence} is not a file"),
        Closed::Open(mode) => {
            let mounted = private::MOUNTED;
            format!("{whence} can be reached by others (mode {mode:04o}): make it private with chmod 600; {mounted}")
        }
        Closed::Refused(error) => fail(error),
    })?;
    // Room for a line end, for a byte order mark, and for one more byte that tells that it is too long. Made at once: what grows
    // leaves pieces of itself in memory.
    let most = MAX_SECRET_BYTES.saturating_add(6);
    let mut bytes = Zeroizing::new(Vec::with_capacity(most));
    file.take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(&mut bytes).map_err(fail)?;
    if let Some(fault) = encoding_fault(&bytes) {
        return Err(format!("{whence} {fault}"));
    }
    std::str::from_utf8(&bytes).map(SecretString::from).map_err(|error| format!("{whence} is not in UTF-8: {error}"))
}

fn checked_key(text: &str, whence: &str) -> Result<SecretString, ConfigError> {
    let key = text.trim_end_matches(['\r', '\n']);
    let why = if key.trim().is_empty() {
        "is empty"
    } else if key.len() > MAX_SECRET_BYTES {
        "is too long for a key"
    } else if let Some(fault) = wrapping_fault(text) {
        return Err(ConfigError::Key(format!("{whence} {fault}")));
    } else if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        "holds blanks or unprintable characters, which no key has"
    } else {
        return Ok(SecretString::from(key));
    };
    Err(ConfigError::Key(format!("{whence} {why}: put the key there and nothing else")))
}

/// As [`secret_line`], for a key, which is letters, digits and signs of ASCII: what was put around it is named.
///
/// # Errors
/// As there, or something was put around it.
pub(super) fn key_line(text: &SecretString, whence: &str) -> Result<SecretString, ConfigError> {
    match wrapping_fault(text.expose_secret()) {
        Some(fault) => Err(ConfigError::Secret(format!("{whence} {fault}"))),
        None => secret_line(text, whence),
    }
}

/// A secret of one line, such as a password. A line end after it is left away; blanks in it count. `whence` says in
/// errors where it came from.
///
/// # Errors
/// It is empty, too long, or more than one line.
pub fn secret_line(text: &SecretString, whence: &str) -> Result<SecretString, ConfigError> {
    if let Some(fault) = encoding_fault(text.expose_secret().as_bytes()) {
        return Err(ConfigError::Secret(format!("{whence} {fault}")));
    }
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
