//! The configuration's file: read only if nobody but root and its reader can have written it. It says where keys and money go.
//!
//! What is looked at is the file that was opened, through whatever links led to it. Deliberately absent: the folders on the
//! way. Whoever can write there can at most put another file in its place, which the owner's check refuses unless root or the
//! reader wrote that too; and the folder of a mounted ConfigMap is open to all.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::error::ConfigError;
use crate::domain::private::{OtherWriter, encoding_fault, other_writer};

/// The folder whose files count as named: only root writes there.
pub(super) const SYSTEM_FOLDER: &str = "/etc/rampwatch";

/// The file that is read when none is named, in the working directory.
pub(super) const DEFAULT_FILE: &str = "config.toml";

/// The most bytes of a configuration.
const MAX_BYTES: u64 = 1 << 20;

pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, ConfigError> {
    let fail = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => ConfigError::Missing(path.to_path_buf()),
        _ => ConfigError::Unreadable { path: path.to_path_buf(), why: error.to_string() },
    };
    let file = File::open(path).map_err(fail)?;
    let found = file.metadata().map_err(fail)?;
    trusted(path, found.uid(), found.mode(), rustix::process::geteuid().as_raw())?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_BYTES.saturating_add(1)).read_to_end(&mut bytes).map_err(fail)?;
    // A mark before UTF-8 says nothing that is not so.
    let bytes = bytes.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(&bytes);
    if let Some(fault) = encoding_fault(bytes) {
        return Err(ConfigError::Unreadable { path: path.to_path_buf(), why: format!("it {fault}") });
    }
    let text = Zeroizing::new(String::from_utf8_lossy(bytes).into_owned());
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_BYTES {
        return Err(ConfigError::Unreadable {
            path: path.to_path_buf(),
            why: format!("it is longer than {MAX_BYTES} bytes"),
        });
    }
    Ok(text)
}

/// Whether only root and the reader can have written a file with this owner and mode.
fn trusted(path: &Path, owner: u32, mode: u32, reader: u32) -> Result<(), ConfigError> {
    let path = || path.to_path_buf();
    match other_writer(owner, mode, reader) {
        None => Ok(()),
        Some(OtherWriter::Owner(owner)) => Err(ConfigError::Foreign { path: path(), owner, reader }),
        Some(OtherWriter::Mode(mode)) => Err(ConfigError::Writable { path: path(), owner, mode }),
    }
}

/// Whether the file counts as named: because somebody named it, or because only root can have put it where it is.
pub(super) fn is_named(given: Option<&Path>) -> bool {
    counts_as_named(given, std::env::current_dir().ok().as_deref())
}

fn counts_as_named(given: Option<&Path>, working_folder: Option<&Path>) -> bool {
    given.is_some() || working_folder.is_some_and(|folder| folder.starts_with(SYSTEM_FOLDER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f16_whose_configuration_is_believed() {
        const READER: u32 = 1_000;
        let cases: &[(u32, u32, bool)] = &[
            // owner, mode, believed
            (0, 0o100_644, true),
            (0, 0o100_640, true),
            (0, 0o100_600, true),
            (READER, 0o100_600, true),
            (READER, 0o100_644, true),
            (READER, 0o100_755, true),
            (READER, 0o010_600, true), // a pipe of the shell's own
            (READER, 0o100_664, false),
            (READER, 0o100_646, false),
            (READER, 0o100_620, false),
            (0, 0o100_666, false),
            (0, 0o100_660, false),
            (1_001, 0o100_600, false),
            (1_001, 0o100_644, false),
            (65_534, 0o100_444, false),
        ];
        for &(owner, mode, believed) in cases {
            let result = trusted(Path::new("config.toml"), owner, mode, READER);
            assert_eq!(result.is_ok(), believed, "{owner} {mode:o}: {result:?}");
        }
        let named =
            |given: Option<&str>, folder: Option<&str>| counts_as_named(given.map(Path::new), folder.map(Path::new));
        assert!(named(Some("config.toml"), Some("/home/a")) && named(Some("/x/y"), None));
        assert!(named(None, Some("/etc/rampwatch")) && named(None, Some("/etc/rampwatch/a")));
        assert!(!named(None, Some("/etc/rampwatch-of-others")) && !named(None, Some("/home/a")) && !named(None, None));
        let foreign = trusted(Path::new("x.toml"), 1_001, 0o100_644, READER).unwrap_err().to_string();
        assert!(foreign.contains("1001") && foreign.contains("1000") && foreign.contains("chown"), "{foreign}");
        let open = trusted(Path::new("x.toml"), 0, 0o100_666, READER).unwrap_err().to_string();
        assert!(open.contains("0666") && open.contains("chmod go-w"), "{open}");
    }
}
