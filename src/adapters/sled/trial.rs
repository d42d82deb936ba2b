//! Tries on a copy whether a store is whole without some of its files. The database mends its files while it opens them, and
//! gives up what it does not find; a copy can be thrown away.

use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::check::{self, Depth};
use super::leftovers::Leftover;
use super::open::{self, last_event};
use crate::private;

/// Where the copy is made.
const PLACE: &str = "trial";

/// So many bytes must be left for what was tried to say anything: the database writes while it opens.
const ROOM: u64 = 4 << 20;

/// Why a store was not found whole without some of its files.
#[derive(Debug)]
pub(super) enum Doubt {
    /// Nothing is known: there could be no copy, or no room for what the database writes.
    NotTried(io::Error),
    /// In words, what it lacks.
    Lacks(String),
}

/// Whether a copy of the store without these files can be opened, has nothing in it that should not be, and holds the events
/// up to `needed`.
///
/// # Errors
/// [`Doubt`].
pub(super) fn hold(path: &Path, without: &[Leftover], needed: u64, depth: Depth) -> Result<(), Doubt> {
    let place = path.join(PLACE);
    let tried = copy(path, &place, without).map_err(Doubt::NotTried).and_then(|()| {
        try_copy(&place, needed, depth).map_err(|lacks| match has_room(&place) {
            Ok(true) => Doubt::Lacks(lacks),
            Ok(false) => Doubt::NotTried(ErrorKind::StorageFull.into()),
            Err(error) => Doubt::NotTried(error),
        })
    });
    // Nothing but copies lies there.
    if let Err(error) = remove(&place) {
        tracing::warn!(place = %place.display(), %error, "what was tried on a copy could not be removed");
    }
    tried
}

/// Removes what a trial that was killed has left, which is copies and nothing else.
///
/// # Errors
/// Of the system.
pub(super) fn clear(path: &Path) -> io::Result<()> {
    remove(&path.join(PLACE))
}

fn remove(place: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(place) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn has_room(place: &Path) -> io::Result<bool> {
    let found = rustix::fs::statvfs(place)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize) >= ROOM)
}

fn copy(path: &Path, place: &Path, without: &[Leftover]) -> io::Result<()> {
    remove(place)?;
    let blobs = place.join("blobs");
    private::make_folder(&blobs)?;
    let is_out = |file: &str| without.iter().any(|leftover| leftover.file == file);
    for entry in path.read_dir()? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let is_the_databases = name == "db" || name == "conf" || name.starts_with("snap.");
        if is_the_databases && !is_out(&name) {
            std::fs::copy(path.join(&name), place.join(&name))?;
        }
    }
    match path.join("blobs").read_dir() {
        Ok(entries) => {
            for entry in entries {
                let name = entry?.file_name().to_string_lossy().into_owned();
                if !is_out(&format!("blobs/{name}")) {
                    std::fs::copy(path.join("blobs").join(&name), blobs.join(&name))?;
                }
            }
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn try_copy(place: &Path, needed: u64, depth: Depth) -> Result<(), String> {
    let unreadable = |why: String| format!("the database does not read without it ({why})");
    let looked = catch_unwind(AssertUnwindSafe(|| {
        let opened = open::open_copy(place).map_err(|error| unreadable(error.to_string()))?;
        let report = check::look_through(&opened.db, open::SCHEMA_VERSION, depth)
            .map_err(|error| unreadable(error.to_string()))?;
        let held = last_event(&opened.db).map_err(|error| unreadable(error.to_string()))?;
        Ok::<_, String>((report, held))
    }));
    let (report, held) = looked.map_err(|_| unreadable("it found its files broken".to_owned()))??;
    if held < needed {
        return Err(format!("the store would hold events up to {held}, and {needed} were acknowledged"));
    }
    match report.findings.first() {
        Some(found) => Err(format!("the store would not be whole ({}: {})", found.key, found.what)),
        None => Ok(()),
    }
}
