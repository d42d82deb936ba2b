//! Secrets in files: read only from files that nobody but their owner can reach.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use secrecy::SecretString;
use zeroize::Zeroizing;

/// The most bytes that a secret may have.
pub(super) const MAX_SECRET_BYTES: usize = 4_096;

/// Reads a file. `whence` names it in errors, which hold nothing of what is in it.
pub(super) fn read(path: &Path, whence: &str) -> Result<SecretString, String> {
    let fail = |error: std::io::Error| format!("{whence} cannot be read: {error}");
    // Only a plain file is opened: opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(fail)?.is_file() {
        return Err(format!("{whence} is not a file"));
    }
    let file = File::open(path).map_err(fail)?;
    owner_only(&file, path, whence)?;
    // Room for a line end, and for one more byte that tells that it is too long. Made at once: a text that grows
    // leaves pieces of itself in memory.
    let most = MAX_SECRET_BYTES.saturating_add(3);
    let mut text = Zeroizing::new(String::with_capacity(most));
    file.take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_string(&mut text).map_err(fail)?;
    Ok(SecretString::from(text.as_str()))
}

#[cfg(unix)]
fn owner_only(file: &File, path: &Path, whence: &str) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;

    let metadata = file.metadata().map_err(|error| format!("{whence} cannot be read: {error}"))?;
    let mode = metadata.permissions().mode() & 0o777;
    if is_private(path, mode) {
        return Ok(());
    }
    Err(format!("{whence} can be reached by others (mode {mode:04o}): make it private with chmod 600"))
}

/// Whether a file with this mode can be reached by its owner alone. In the folder of systemd's credentials, which no other
/// user can enter, the service is let in by an access list, and the list shows as the group's right to read.
#[must_use]
pub fn is_private(path: &Path, mode: u32) -> bool {
    let of_systemd = || {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty());
        credentials.is_some_and(|folder| path.parent() == Some(Path::new(&folder)))
    };
    mode & 0o077 == 0 || (mode & 0o077 == 0o040 && of_systemd())
}

#[cfg(not(unix))]
fn owner_only(_: &File, _: &Path, _: &str) -> Result<(), String> {
    Ok(())
}
