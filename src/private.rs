//! Files that hold secrets, or say who is paid how much: opened only if nobody but their owner, and root, can reach them, and written
//! so that they are there whole, closed to others and on the disk, or not at all.
//!
//! There is one exception, for files that are mounted for the process: one that root owns and that a group of the process's own
//! may read, and nobody else (mode 0440 or less). Kubernetes mounts secrets so where a pod has an `fsGroup`, whatever
//! `defaultMode` says; only root can have chosen the group, and what is in the file nobody but root can have written. For
//! root itself its own group does not count: those are its own files. systemd's credentials are let in as well.
//!
//! What is looked at is the file that was opened, through whatever links led to it.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

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

/// Tells drafts apart that are being written at once.
static DRAFTS: AtomicU64 = AtomicU64::new(0);

/// A file under way, mode 0600. It has a name of its own beside its place until it is whole; dropped before, it goes away.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    draft: PathBuf,
    writer: Option<BufWriter<File>>,
}

impl Draft {
    /// Begins a file.
    ///
    /// # Errors
    /// The path ends in no name, or the folder cannot be written.
    pub fn beside(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_string_lossy().into_owned();
        let turn = DRAFTS.fetch_add(1, Ordering::Relaxed);
        Self::named(path, path.with_file_name(format!(".{name}.{}.{turn}", std::process::id())))
    }

    /// Begins a file under a name that others know. What a run that died has left there is taken away, and never written through.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn named(path: &Path, draft: PathBuf) -> io::Result<Self> {
        match std::fs::remove_file(&draft) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let file = new_file(&draft)?;
        Ok(Self { path: path.to_owned(), draft, writer: Some(BufWriter::new(file)) })
    }

    /// Puts it in place of what is there. File and name are on the disk then, and the file is still open for writing.
    ///
    /// # Errors
    /// It cannot be; what was there is there still.
    pub fn replace(self) -> io::Result<File> {
        self.put(|draft, path| std::fs::rename(draft, path))
    }

    /// Puts it where nothing is: a link takes nobody's place, a renaming would.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] where something is, or the system refuses.
    pub fn create(self) -> io::Result<File> {
        self.put(|draft, path| std::fs::hard_link(draft, path).and_then(|()| std::fs::remove_file(draft)))
    }

    fn put(mut self, named: impl FnOnce(&Path, &Path) -> io::Result<()>) -> io::Result<File> {
        let Some(writer) = self.writer.take() else { return Err(ErrorKind::InvalidInput.into()) };
        let done = (|| {
            let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            named(&self.draft, &self.path)?;
            sync_folder(folder_of(&self.path))?;
            Ok(file)
        })();
        if done.is_err() {
            // That it could not be put there is what has to be told.
            drop(std::fs::remove_file(&self.draft));
        }
        done
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.as_mut().map_or(Ok(0), |writer| writer.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.writer.take().is_some() {
            // Whoever drops it has something else to tell.
            drop(std::fs::remove_file(&self.draft));
        }
    }
}

/// Writes a whole file in place of what is there.
///
/// # Errors
/// See [`Draft::replace`].
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut draft = Draft::beside(path)?;
    draft.write_all(bytes)?;
    draft.replace().map(drop)
}

/// Writes a whole file where nothing is.
///
/// # Errors
/// See [`Draft::create`].
pub fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut draft = Draft::beside(path)?;
    draft.write_all(bytes)?;
    draft.create().map(drop)
}

/// A new file, mode 0600, where nothing is.
///
/// # Errors
/// Something is there, or the system refuses.
pub fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// A folder that nobody else can enter, with those above it, where it is not there yet.
///
/// # Errors
/// The system refuses.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// The folder that a path is in.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the names in a folder durable.
///
/// # Errors
/// The system refuses.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}
