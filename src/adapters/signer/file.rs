//! Keystore files: closed to others, written once, and on the disk when that is said.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
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
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(refused)?;
    if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()) {
        // What is half there is of no use, and would be in the way of the next try; that it could not be written is
        // what has to be told.
        drop(std::fs::remove_file(path));
        return Err(refused(error));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(refused)
}
