//! The signer and its keystores: known answers of other programs, files, and what is refused.

#![cfg(test)]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rampwatch::adapters::signer::{Fault, KeyOrigin, KeystoreError, LocalSigner, SignerSettings};
use secrecy::SecretString;
use tempfile::TempDir;

use crate::support::temp_dir;

mod files;
mod hostile;
mod known;

/// A keystore that Foundry 1.7.1 wrote (`cast wallet import`): the first key of anvil, which everyone knows.
pub(crate) const FOUNDRY: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"5ce43961ab3fd9e255bb972289af89d9"},
"ciphertext":"46ada3a47164b4beb7cd7dcf1ad0765b8b7bec9d09480beccee800c1ad1a8cf8","kdf":"scrypt","kdfparams":
{"dklen":32,"n":8192,"p":1,"r":8,"salt":"ec2dd5ae866b2e0e1a89c4d87cc07679663ed5243ad119d8af5cb6db42446923"},
"mac":"c222cf6c04742cafd367739e8f70091c901fccba05a9dde5298a50cd5c69960e"},
"id":"f7835e62-6450-4fc2-ad0d-e3e382becb7b","version":3}"#;
/// What opens it. The blank counts.
pub(crate) const FOUNDRY_PASSWORD: &str = "test test";
/// Whose key it is.
const FOUNDRY_ADDRESS: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
/// The key itself.
const FOUNDRY_KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

/// A folder with a file of this text and mode.
fn kept(text: impl AsRef<[u8]>, mode: u32) -> (TempDir, PathBuf) {
    let folder = temp_dir();
    let file = folder.path().join("wallet.json");
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
    (folder, file)
}

async fn open(file: &Path, password: &str) -> Result<LocalSigner, KeystoreError> {
    let origin = KeyOrigin::Keystore { file: file.to_owned(), password: secret(password) };
    LocalSigner::open(SignerSettings { origin, address: None }).await
}

/// Opens a keystore of this text.
async fn open_text(text: &str, password: &str) -> Result<LocalSigner, KeystoreError> {
    let (_folder, file) = kept(text, 0o600);
    open(&file, password).await
}

/// What is wrong with a keystore of this text.
async fn fault(text: &str, password: &str) -> Fault {
    match open_text(text, password).await {
        Err(KeystoreError::Unusable { fault, .. }) => fault,
        other => panic!("it must be refused, and was not: {other:?}\n{text}"),
    }
}
