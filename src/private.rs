//! Files that hold secrets: opened only if nobody but their owner, and root, can reach them.
//!
//! There is one exception, for files that are mounted for the process: one that root owns and that a group of the process's own
//! may read, and nobody else (mode 0440 or less). Kubernetes mounts secrets so where a pod has an `fsGroup`, whatever
//! `defaultMode` says; only root can have chosen the group, and what is in the file nobody but root can have written. For
//! root itself its own group does not count: those are its own files. systemd's credentials are let in as well.
//!
//! What is looked at is the file that was opened, through whatever links led to it.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::domain::private::is_private_to;

/// What to do about a file that others can reach, where chmod is not for whoever reads this.
pub const MOUNTED: &str = "where it is mounted for you, mount it with mode 0400, or with 0440 for a group of this process \
                           (Kubernetes: defaultMode 0400 and the pod's fsGroup; Docker: mode 0400 and the uid)";

/// Why a file was not opened.
#[derive(Debug)]
pub enum Closed {
    /// It is a folder, a pipe or a device.
    NoFile,
    /// Others can reach it; its permission bits.
    Open(u32),
    Refused(io::Error),
}

/// Opens a file that only its owner can reach, or that was mounted for this process.
///
/// # Errors
/// It is no file, others can reach it, or the system refuses.
pub fn open(path: &Path) -> Result<(File, Metadata), Closed> {
    // Only a plain file is opened: opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(Closed::Refused)?.is_file() {
        return Err(Closed::NoFile);
    }
    let file = File::open(path).map_err(Closed::Refused)?;
    let found = file.metadata().map_err(Closed::Refused)?;
    if is_private(path, &found) {
        return Ok((file, found));
    }
    Err(Closed::Open(found.mode() & 0o777))
}

/// Whether a file can be reached by nobody who should not. In the folder of systemd's credentials, which no other user can
/// enter, the service is let in by an access list, and the list shows as the group's right to read.
#[must_use]
pub fn is_private(path: &Path, found: &Metadata) -> bool {
    let mode = found.mode() & 0o777;
    let of_systemd = || {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty());
        credentials.is_some_and(|folder| path.parent() == Some(Path::new(&folder)))
    };
    if mode & 0o077 == 0o040 && of_systemd() {
        return true;
    }
    let user = rustix::process::geteuid().as_raw();
    let mut groups = vec![rustix::process::getegid().as_raw()];
    // Without the list, the one group that is known has to do.
    groups.extend(rustix::process::getgroups().unwrap_or_default().into_iter().map(rustix::process::Gid::as_raw));
    is_private_to(mode, found.uid(), found.gid(), user, &groups)
}
