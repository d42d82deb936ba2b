//! Keystore files from anywhere, for fuzzing (`make fuzz`). They are read, and not opened: that takes a second by design.

use super::keystore::Keystore;

/// Reads the bytes as a keystore. Returns the words that people would be shown.
pub(crate) fn keystore(data: &[u8]) -> Vec<String> {
    match Keystore::parse(data) {
        Ok(keystore) => keystore.stated().map(|address| address.to_string()).into_iter().collect(),
        Err(fault) => vec![format!("{fault:?}")],
    }
}
