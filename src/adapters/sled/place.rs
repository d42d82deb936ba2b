//! Looks at the folder of a store without touching it: whether one is there, and whether one could be kept there.

use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::fs::{Access, access};

use super::open::{LOCK_FILE, StoreOpenError};

/// The files of a store that are written from the start on.
const FILES: [&str; 2] = [LOCK_FILE, "db"];

/// Fails when there is no store in the folder. What cannot be looked at is left to whoever opens it.
///
/// # Errors
/// [`StoreOpenError::Missing`].
pub(super) fn must_be_there(path: &Path) -> Result<(), StoreOpenError> {
    let absent = |name: &str| matches!(path.join(name).try_exists(), Ok(false));
    if FILES.iter().all(|name| absent(name)) {
        return Err(StoreOpenError::Missing { path: path.to_owned() });
    }
    Ok(())
}

/// Whether a store could be opened or made in the folder, as far as the rights of this process go.
///
/// # Errors
/// [`StoreOpenError::NotAFolder`] and [`StoreOpenError::Unusable`].
pub(super) fn must_be_usable(path: &Path) -> Result<(), StoreOpenError> {
    let unusable = |at: &Path, source: io::Error| {
        Err(StoreOpenError::Unusable { path: path.to_owned(), at: at.to_owned(), source })
    };
    for place in path.ancestors() {
        let place = if place.as_os_str().is_empty() { Path::new(".") } else { place };
        match place.metadata() {
            Ok(found) if found.is_dir() => {
                let wanted = Access::WRITE_OK | Access::EXEC_OK;
                let wanted = if place == path { wanted | Access::READ_OK } else { wanted };
                return match access(place, wanted).map_err(io::Error::from) {
                    Ok(()) => files_must_be_usable(path),
                    Err(error) => unusable(place, error),
                };
            }
            Ok(_) if place == path => return Err(StoreOpenError::NotAFolder { path: path.to_owned() }),
            Ok(_) => return unusable(place, ErrorKind::NotADirectory.into()),
            // What is below a file is no folder; the file itself is come to next.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return unusable(place, error),
        }
    }
    unusable(path, ErrorKind::NotFound.into())
}

fn files_must_be_usable(path: &Path) -> Result<(), StoreOpenError> {
    for file in FILES.map(|name| path.join(name)) {
        match access(&file, Access::READ_OK | Access::WRITE_OK).map_err(io::Error::from) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(StoreOpenError::Unusable { path: path.to_owned(), at: file, source }),
        }
    }
    Ok(())
}
