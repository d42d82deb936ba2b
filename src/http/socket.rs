//! The Unix socket of the machine's own commands. Who may open it is its proof: it has mode 0600, lies in a folder that
//! nobody else can write to, and each end looks at the other's user besides. So it needs no token, and nobody can take its
//! place while no daemon runs.
//!
//! Deliberately absent: the store's lock. Whoever binds holds it, so that a socket without a listener is a dead process's.

use std::fs::{Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::serve::Listener;
use rustix::fs::Mode;
use rustix::io::Errno;
use thiserror::Error;
use tokio::net::unix::SocketAddr;
use tokio::net::{UnixListener, UnixSocket, UnixStream};

use crate::config::MAX_SOCKET_PATH;
use crate::private;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 128;

/// How long a daemon on this machine may take to accept a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Where another place is, in every error that needs one.
const ELSEWHERE: &str = "set http.socket to another place, such as /run/user/1000/rampwatch.sock";

/// Why the socket is not used.
#[derive(Debug, Error)]
pub enum SocketError {
    /// The system takes no path as long.
    #[error(
        "the socket {} (http.socket) has a path of {length} bytes, and the system takes {MAX_SOCKET_PATH}: {ELSEWHERE}",
        .path.display()
    )]
    TooLong {
        path: PathBuf,
        /// How long its path is.
        length: usize,
    },
    /// Something else is there. It is left alone.
    #[error("{} (http.socket) is there and is no socket: move it away, or {ELSEWHERE}", .0.display())]
    NotASocket(PathBuf),
    /// Whoever listens there has it.
    #[error("another process listens at {} (http.socket): give each rampwatch its own", .0.display())]
    Taken(PathBuf),
    /// Others can put something of theirs in its place.
    #[error(
        "others can write to the folder of the socket {} (http.socket; owner {owner}, mode {mode:04o}): {ELSEWHERE}",
        .path.display()
    )]
    OpenFolder {
        path: PathBuf,
        /// Whose folder it is.
        owner: u32,
        mode: u32,
    },
    /// It is another user's.
    #[error("the socket {} (http.socket) is that of another user (id {owner}): nothing was said to it", .path.display())]
    Foreign { path: PathBuf, owner: u32 },
    /// The file system has no sockets, or does not let this process make one.
    #[error("no socket can be made at {} (http.socket): {source}: {ELSEWHERE}", .path.display())]
    NoSockets { path: PathBuf, source: io::Error },
    /// The system refused something else.
    #[error("the socket {} (http.socket) cannot be {verb}: {source}", .path.display())]
    Refused { path: PathBuf, verb: &'static str, source: io::Error },
}

/// The user who runs this.
fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn refused(path: &Path, verb: &'static str) -> impl FnOnce(io::Error) -> SocketError {
    let path = path.to_owned();
    move |source| SocketError::Refused { path, verb, source }
}

/// Whether what a user has is as good as one's own: root can do everything anyway.
fn is_own(user: u32) -> bool {
    user == own_user() || user == 0
}

/// What can be said of a place without making anything: the length of its path, who can write to its folder, and what is
/// there. A folder that is not there yet is made by the daemon, and the store's own is closed to others when it is opened.
///
/// # Errors
/// It cannot be used.
pub fn check_place(path: &Path, store: &Path) -> Result<(), SocketError> {
    check_length(path)?;
    let folder = private::folder_of(path);
    if folder != store
        && let Some(found) = look(path, folder.metadata())?
    {
        check_folder(path, &found)?;
    }
    look(path, path.symlink_metadata())?.map_or(Ok(()), |found| check_found(path, &found))
}

fn check_length(path: &Path) -> Result<(), SocketError> {
    let length = path.as_os_str().len();
    if length <= MAX_SOCKET_PATH { Ok(()) } else { Err(SocketError::TooLong { path: path.to_owned(), length }) }
}

/// What is there; `None` when nothing is.
fn look(path: &Path, found: io::Result<Metadata>) -> Result<Option<Metadata>, SocketError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(refused(path, "looked at")(error)),
    }
}

/// Only its owner may put something into the folder, and that is whoever runs this, or root. Root's own look goes for
/// the folders of all users.
fn check_folder(path: &Path, folder: &Metadata) -> Result<(), SocketError> {
    let mode = folder.permissions().mode() & 0o7777;
    if mode & 0o022 == 0 && (is_own(folder.uid()) || own_user() == 0) {
        return Ok(());
    }
    Err(SocketError::OpenFolder { path: path.to_owned(), owner: folder.uid(), mode })
}

fn check_found(path: &Path, found: &Metadata) -> Result<(), SocketError> {
    if !found.file_type().is_socket() {
        return Err(SocketError::NotASocket(path.to_owned()));
    }
    if is_own(found.uid()) || own_user() == 0 {
        return Ok(());
    }
    Err(SocketError::Foreign { path: path.to_owned(), owner: found.uid() })
}

/// Whether a daemon listens at the socket: one of this user, or root's; for root, one of whoever has the folder. Says nothing
/// to it.
///
/// # Errors
/// Something is there that must not be spoken to, or the system refuses.
pub async fn answers(path: &Path) -> Result<bool, SocketError> {
    if check_length(path).is_err() {
        return Ok(false);
    }
    match look(path, path.symlink_metadata()) {
        Ok(Some(found)) => check_found(path, &found)?,
        Ok(None) => return Ok(false),
        // Another user's daemon: there are tokens for that.
        Err(SocketError::Refused { source, .. }) if source.kind() == ErrorKind::PermissionDenied => return Ok(false),
        Err(error) => return Err(error),
    }
    check_folder(path, &private::folder_of(path).metadata().map_err(refused(path, "looked at"))?)?;
    let stream = match tokio::time::timeout(CONNECT_WITHIN, UnixStream::connect(path)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) if is_nobody(&error) => return Ok(false),
        Ok(Err(error)) => return Err(refused(path, "opened")(error)),
        Err(_) => return Err(refused(path, "opened")(ErrorKind::TimedOut.into())),
    };
    let owner = stream.peer_cred().map_err(refused(path, "looked at"))?.uid();
    let folder = private::folder_of(path).metadata().map_err(refused(path, "looked at"))?.uid();
    if is_own(owner) || (own_user() == 0 && owner == folder) {
        return Ok(true);
    }
    Err(SocketError::Foreign { path: path.to_owned(), owner })
}

fn is_nobody(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionRefused, NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), ConnectionRefused | NotADirectory | NotFound | PermissionDenied)
}

/// The daemon's end. Its file goes away with it.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Which file is ours: device and inode.
    made: (u64, u64),
}

impl Socket {
    /// Listens at this path, in place of a socket at which nobody listens any more. The store's lock must be held.
    ///
    /// # Errors
    /// The place cannot be used, something else is there, or somebody listens at it.
    pub async fn bind(path: &Path) -> Result<Self, SocketError> {
        check_length(path)?;
        let folder = private::folder_of(path);
        private::make_folder(folder).map_err(refused(path, "given a folder"))?;
        check_folder(path, &folder.metadata().map_err(refused(path, "looked at"))?)?;
        clear_away(path).await?;
        let made = || {
            let socket = UnixSocket::new_stream()?;
            // On Linux the file is made with the socket's own mode, so it never has another. Where that is not so, the mode is
            // set below, and whoever is quicker is turned away for his user.
            if let Err(error) = rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR) {
                tracing::debug!(%error, "the socket gets its mode only after it is made");
            }
            socket.bind(path)?;
            std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
            Ok((socket.listen(BACKLOG)?, path.symlink_metadata()?))
        };
        let (listener, file) = made().map_err(|source| not_made(path, source))?;
        Ok(Self { listener, path: path.to_owned(), made: (file.dev(), file.ino()) })
    }
}

/// Removes a socket at which nobody listens.
async fn clear_away(path: &Path) -> Result<(), SocketError> {
    let Some(found) = look(path, path.symlink_metadata())? else { return Ok(()) };
    check_found(path, &found)?;
    match tokio::time::timeout(CONNECT_WITHIN, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(refused(path, "replaced"))
        }
        Ok(Err(error)) => Err(refused(path, "opened")(error)),
        Ok(Ok(_)) | Err(_) => Err(SocketError::Taken(path.to_owned())),
    }
}

/// Why no socket came of it.
fn not_made(path: &Path, source: io::Error) -> SocketError {
    let errno = Errno::from_io_error(&source);
    let place = matches!(
        errno,
        Some(Errno::OPNOTSUPP | Errno::PERM | Errno::INVAL | Errno::NOSYS | Errno::ROFS | Errno::NAMETOOLONG)
    );
    if place {
        return SocketError::NoSockets { path: path.to_owned(), source };
    }
    refused(path, "made")(source)
}

impl Drop for Socket {
    fn drop(&mut self) {
        let ours = self.path.symlink_metadata().is_ok_and(|found| (found.dev(), found.ino()) == self.made);
        if ours && let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "the socket of the commands stays behind");
        }
    }
}

impl Listener for Socket {
    type Io = UnixStream;
    type Addr = SocketAddr;

    /// The next connection of this user, or of root. The socket's mode keeps others out; this is the second look.
    async fn accept(&mut self) -> (UnixStream, SocketAddr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            match stream.peer_cred() {
                Ok(peer) if is_own(peer.uid()) => return (stream, address),
                Ok(peer) => tracing::warn!(user = peer.uid(), "another user's connection to the socket is closed"),
                Err(error) => tracing::warn!(%error, "a connection to the socket is closed: whose it is is not known"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use rustix::io::Errno;

    use super::{SocketError, not_made};

    #[test]
    fn f13_a_file_system_without_sockets_is_named_with_another_place() {
        for errno in [Errno::OPNOTSUPP, Errno::PERM, Errno::ROFS, Errno::NOSYS] {
            let error = not_made(Path::new("/mnt/share/operator.sock"), io::Error::from(errno));
            let said = error.to_string();
            assert!(said.contains("/mnt/share/operator.sock") && said.contains("set http.socket to"), "{said}");
        }
        let other = not_made(Path::new("/data/operator.sock"), io::Error::from(Errno::NOSPC));
        assert!(matches!(other, SocketError::Refused { .. }), "{other}");
    }
}
