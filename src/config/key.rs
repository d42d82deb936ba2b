//! The payment API's key: from an environment variable, or from a file that only its owner can read.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use super::{ApiSettings, ConfigError};

/// The most bytes a key may have.
const MAX_KEY_BYTES: u64 = 4096;

/// Where the API key comes from.
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
                checked(value.expose_secret(), &whence)
            }
            KeySource::File(path) => {
                let whence = format!("the file {:?} (api.key_file)", path.display().to_string());
                let text = read(path, &whence)?;
                checked(text.expose_secret(), &whence)
            }
        }
    }
}

fn checked(text: &str, whence: &str) -> Result<SecretString, ConfigError> {
    let key = text.trim_end_matches(['\r', '\n']);
    let why = if key.is_empty() {
        "is empty"
    } else if u64::try_from(key.len()).map_or(true, |length| length > MAX_KEY_BYTES) {
        "is too long for a key"
    } else if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        "holds blanks or unprintable characters, which no key has"
    } else {
        return Ok(SecretString::from(key));
    };
    Err(ConfigError::Key(format!("{whence} {why}: put the key there and nothing else")))
}

fn read(path: &Path, whence: &str) -> Result<SecretString, ConfigError> {
    let fail = |error: std::io::Error| ConfigError::Key(format!("{whence} cannot be read: {error}"));
    // Only a plain file is opened: opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(fail)?.is_file() {
        return Err(ConfigError::Key(format!("{whence} is not a file")));
    }
    let file = File::open(path).map_err(fail)?;
    owner_only(&file, whence)?;
    let mut text = String::new();
    file.take(MAX_KEY_BYTES.saturating_add(2)).read_to_string(&mut text).map_err(fail)?;
    Ok(SecretString::from(text))
}

#[cfg(unix)]
fn owner_only(file: &File, whence: &str) -> Result<(), ConfigError> {
    use std::os::unix::fs::PermissionsExt as _;

    let fail = |error: std::io::Error| ConfigError::Key(format!("{whence} cannot be read: {error}"));
    let mode = file.metadata().map_err(fail)?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(ConfigError::Key(format!(
        "{whence} can be reached by others (mode {mode:04o}): make it private with chmod 600"
    )))
}

#[cfg(not(unix))]
fn owner_only(_: &File, _: &str) -> Result<(), ConfigError> {
    Ok(())
}
