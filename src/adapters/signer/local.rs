//! The signer with the key in memory, and the making of keystores.

use std::fmt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};

use super::error::{Fault, KeystoreError};
use super::file;
use super::key::PrivateKey;
use super::keystore::{self, Keystore};
use crate::domain::chain::{Address, B256};
use crate::domain::private::password_doubt;
use crate::ports::signer::{DigestSignature, Signer, SignerError};

/// What the signer needs.
#[derive(Clone, Debug)]
pub struct SignerSettings {
    /// Where the key comes from.
    pub origin: KeyOrigin,
    /// The address that the key must have, if one is configured.
    pub address: Option<Address>,
}

/// Where a key comes from.
#[derive(Clone, Debug)]
pub enum KeyOrigin {
    Keystore {
        file: PathBuf,
        password: SecretString,
    },
    /// A raw key, for rehearsal. Whether that is allowed on this chain is decided elsewhere.
    Raw {
        /// The environment variable that it was in, for messages.
        variable: String,
        /// The key, in hexadecimal.
        key: SecretString,
    },
}

/// Signs with a key that is in this process's memory.
pub struct LocalSigner {
    key: PrivateKey,
    address: Address,
}

impl fmt::Debug for LocalSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSigner").field("address", &self.address).finish_non_exhaustive()
    }
}

impl LocalSigner {
    /// Gets the key. Opening a keystore takes about a second, on a thread of its own. A raw key is logged as a warning.
    ///
    /// # Errors
    /// The keystore is missing, can be reached by others, is none or asks for too much work; the password is wrong;
    /// the raw key is none; or the key is not that of the configured address.
    pub async fn open(settings: SignerSettings) -> Result<Self, KeystoreError> {
        let key = match settings.origin {
            KeyOrigin::Keystore { file, password } => blocking(move || open(&file, &password)).await?,
            KeyOrigin::Raw { variable, key } => {
                let whence = || format!("the environment variable {variable} (wallet.key_env)");
                let key = PrivateKey::from_hex(&key).map_err(|fault| KeystoreError::Key { whence: whence(), fault })?;
                tracing::warn!(
                    address = %key.address(),
                    variable,
                    "the wallet's key is a raw key from the environment: for rehearsals only; keep real money behind a \
                     keystore (wallet.keystore)"
                );
                key
            }
        };
        let actual = key.address();
        match settings.address {
            Some(expected) if expected != actual => Err(KeystoreError::OtherWallet { expected, actual }),
            _ => Ok(Self { key, address: actual }),
        }
    }
}

#[async_trait]
impl Signer for LocalSigner {
    fn address(&self) -> Address {
        self.address
    }

    async fn sign(&self, digest: B256) -> Result<DigestSignature, SignerError> {
        self.key.sign(digest)
    }
}

/// Makes a new key and its keystore, and returns its address. The file is on the disk, and was read back and opened.
///
/// # Errors
/// The password is empty, something is there already, or the file cannot be written.
pub async fn create(path: PathBuf, password: SecretString) -> Result<Address, KeystoreError> {
    blocking(move || {
        let key = PrivateKey::random().map_err(KeystoreError::System)?;
        keep(&path, &key, &password)
    })
    .await
}

/// Makes a keystore of a key in hexadecimal. Otherwise as [`create`]; `whence` says in messages where the key came from.
///
/// # Errors
/// As [`create`], or when it is no key.
pub async fn import(
    path: PathBuf,
    key: SecretString,
    whence: String,
    password: SecretString,
) -> Result<Address, KeystoreError> {
    blocking(move || {
        let key = PrivateKey::from_hex(&key).map_err(|fault| KeystoreError::Key { whence, fault })?;
        keep(&path, &key, &password)
    })
    .await
}

/// The address that a keystore says it is for, without opening it: nothing proves it. `None` when it says none.
///
/// # Errors
/// The keystore is missing, can be reached by others, or is none.
pub fn stated_address(path: &Path) -> Result<Option<Address>, KeystoreError> {
    Ok(parsed(path)?.stated())
}

fn parsed(path: &Path) -> Result<Keystore, KeystoreError> {
    let text = file::read(path)?;
    Keystore::parse(&text).map_err(|fault| KeystoreError::Unusable { path: path.to_owned(), fault, doubt: None })
}

fn open(path: &Path, password: &SecretString) -> Result<PrivateKey, KeystoreError> {
    parsed(path)?.open(password).map_err(|fault| {
        let is_password = fault == Fault::WrongPassword;
        let doubt = if is_password { password_doubt(password.expose_secret()) } else { None };
        KeystoreError::Unusable { path: path.to_owned(), fault, doubt }
    })
}

fn keep(path: &Path, key: &PrivateKey, password: &SecretString) -> Result<Address, KeystoreError> {
    if password.expose_secret().is_empty() {
        return Err(KeystoreError::EmptyPassword);
    }
    let text = keystore::sealed(key, password).map_err(KeystoreError::System)?;
    file::write(path, &text)?;
    // Money may be sent to the address as soon as it is told: so it is told only when the file is known to open.
    let address = open(path, password)?.address();
    if address == key.address() {
        return Ok(address);
    }
    let fault = Fault::OtherAddress { stated: key.address(), actual: address };
    Err(KeystoreError::Unusable { path: path.to_owned(), fault, doubt: None })
}

/// Runs work that takes long where it holds up nothing else.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KeystoreError> + Send + 'static,
) -> Result<T, KeystoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        // What a panic said is not repeated: nobody knows what it holds.
        let why = if error.is_panic() { "it failed unexpectedly" } else { "it was broken off" };
        KeystoreError::System(why.to_owned())
    })?
}
