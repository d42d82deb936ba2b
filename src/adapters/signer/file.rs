//! Keystore files: closed to others, written once, and on the disk when that is said.

use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

use super::error::{Fault, KeystoreError};
use crate::private::{self, Closed};

/// The most bytes that a keystore may have. Those in use have about 500.
const MAX_BYTES: u64 = 16_384;

/// Reads a keystore that only its owner can reach.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, KeystoreError> {
    let refused = |source: io::Error| match source.kind() {
        ErrorKind::NotFound => KeystoreError::Missing(path.to_owned()),
        _ => KeystoreError::Refused { path: path.to_owned(), verb: "read", source },
    };
    let unusable = |what: &str| KeystoreError::Unusable {
        path: path.to_owned(),
        fault: Fault::Malformed(what.to_owned()),
        doubt: None,
    };
    let (file, _) = private::open(path).map_err(|closed| match closed {
        Closed::NoFile => unusable("it is not a file"),
        Closed::Open(mode) => KeystoreError::Open { path: path.to_owned(), mode },
        Closed::Refused(error) => refused(error),
    })?;
    let mut text = Vec::new();
    let count = file.take(MAX_BYTES.saturating_add(1)).read_to_end(&mut text).map_err(refused)?;
    if u64::try_from(count).map_or(true, |count| count > MAX_BYTES) {
        return Err(unusable("it is too long"));
    }
    Ok(text)
}

/// Writes a keystore where nothing is, with mode 0600. When it returns, both the file and its name are on the disk.
pub(super) fn write(path: &Path, text: &str) -> Result<(), KeystoreError> {
    let refused = |source: io::Error| match source.kind() {
        ErrorKind::AlreadyExists => KeystoreError::Exists(path.to_owned()),
        _ => KeystoreError::Refused { path: path.to_owned(), verb: "written", source },
    };
    private::create(path, text.as_bytes()).map_err(refused)
}
